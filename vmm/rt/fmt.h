/*
 * Formatted text to a sink: %s %c %d %i %u %x %p %% with 0, width, l, ll and z. No floats, no
 * allocation, no state. May call: the sink.
 */
#ifndef VMM_RT_FMT_H
#define VMM_RT_FMT_H

#include <stdarg.h>
#include <stddef.h>

typedef void (*fmt_sink_t)(void *ctx, char c);

void fmt_v(fmt_sink_t sink, void *ctx, const char *format, va_list args);

/** Into a buffer, always NUL-terminated when @size > 0; longer text is cut. @return bytes stored. */
size_t fmt_buf(char *buf, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t fmt_vbuf(char *buf, size_t size, const char *format, va_list args);

#endif
