/* Formatted text; see fmt.h. */
#include "fmt.h"
#include <stdbool.h>
#include <stdint.h>

static void put_padding(fmt_sink_t sink, void *ctx, char c, unsigned have, unsigned width)
{
    for (; have < width; have++) sink(ctx, c);
}

static void put_number(fmt_sink_t sink, void *ctx, uint64_t v, unsigned base, bool negative,
                       unsigned width, bool zeros)
{
    char digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (negative && zeros) sink(ctx, '-');
    if (!zeros) put_padding(sink, ctx, ' ', n + negative, width);
    if (negative && !zeros) sink(ctx, '-');
    if (zeros) put_padding(sink, ctx, '0', n + negative, width);
    while (n) sink(ctx, digits[--n]);
}

void fmt_v(fmt_sink_t sink, void *ctx, const char *f, va_list args)
{
    for (; *f; f++) {
        bool zeros = false, wide = false, left = false;
        unsigned width = 0;

        if (*f != '%') {
            sink(ctx, *f);
            continue;
        }
        f++;
        for (; *f == '0' || *f == '-'; f++) {
            zeros |= *f == '0';
            left |= *f == '-';
        }
        for (; *f >= '0' && *f <= '9'; f++)
            width = width < 100u ? width * 10u + (unsigned)(*f - '0') : width;
        for (; *f == 'l' || *f == 'z'; f++) wide = true;
        switch (*f) {
        case 's': {
            const char *s = va_arg(args, const char *);
            unsigned n = 0;

            s = s ? s : "(null)";
            while (s[n]) n++;
            if (!left) put_padding(sink, ctx, ' ', n, width);
            for (const char *p = s; *p; p++) sink(ctx, *p);
            if (left) put_padding(sink, ctx, ' ', n, width);
            break;
        }
        case 'c': sink(ctx, (char)va_arg(args, int)); break;
        case 'd':
        case 'i': {
            int64_t v = wide ? va_arg(args, int64_t) : va_arg(args, int);

            put_number(sink, ctx, v < 0 ? 0u - (uint64_t)v : (uint64_t)v, 10, v < 0, width, zeros);
            break;
        }
        case 'p':
        case 'u':
        case 'x': {
            uint64_t v = wide || *f == 'p' ? va_arg(args, uint64_t) : va_arg(args, unsigned);

            put_number(sink, ctx, v, *f == 'u' ? 10 : 16, false, width, zeros);
            break;
        }
        case '%': sink(ctx, '%'); break;
        default: return; /* not ours: say no more rather than print garbage */
        }
    }
}

struct buffer {
    char *at;
    size_t left;
};

static void buffer_put(void *ctx, char c)
{
    struct buffer *b = ctx;

    if (b->left > 1u) {
        *b->at++ = c;
        b->left--;
    }
}

size_t fmt_vbuf(char *buf, size_t size, const char *format, va_list args)
{
    struct buffer b = {buf, size};

    fmt_v(buffer_put, &b, format, args);
    if (size) *b.at = '\0';
    return (size_t)(b.at - buf);
}

size_t fmt_buf(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    size_t n;

    va_start(args, format);
    n = fmt_vbuf(buf, size, format, args);
    va_end(args);
    return n;
}
