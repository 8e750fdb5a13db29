/*
 * Kernel log and panic. The log goes to COM2, a panic to COM1 as well; klog() writes one line.
 * Formats: %s %u %x, with l, a width and 0.
 */
#ifndef ARCH_X86_KLOG_H
#define ARCH_X86_KLOG_H

#include <stdarg.h>
#include <stdint.h>

void klog_init(void);
void klog_putc(char ch);
void klog_to_com1(void);
void klog(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vklog(const char *fmt, va_list ap);

/** Last log line, then off where an emulator offers a way; else halt this CPU. */
__attribute__((noreturn, cold)) void machine_end(uint32_t status, const char *why);

struct frame;
/** Stop the machine: names the broken invariant, prints registers and a symbolised backtrace. */
__attribute__((noreturn, format(printf, 1, 2), cold)) void panic(const char *fmt, ...);
/** The same with the registers of the trap that found it. */
__attribute__((noreturn, cold)) void panic_frame(const char *what, const struct frame *f);

extern uint32_t panic_stops; /* other CPUs stop at the NMI that comes with it */

#define invariant(cond, ...)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) panic(__VA_ARGS__);                                      \
    } while (0)

#endif
