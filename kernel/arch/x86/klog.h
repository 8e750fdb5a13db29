/* Kernel log and panic. Log: one line a call, to the debug console and COM1 or COM2 until root owns
 * them. */
#ifndef ARCH_X86_KLOG_H
#define ARCH_X86_KLOG_H
#include <stdint.h>
void klog(const char *fmt, ...)
    __attribute__((format(printf, 1, 2))); /* %s %c %d %u %x %lx %lu %p, widths */
/** Stop the machine: names the broken invariant, prints registers and a symbolised backtrace. */
__attribute__((noreturn, format(printf, 1, 2))) void panic(const char *fmt, ...);
#define invariant(cond, ...)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            panic(__VA_ARGS__);                                                                    \
    } while (0)
#endif
