/*
 * Kernel log: formats one line and writes it to a serial port (COM2, polled with a
 * bound). May call: port I/O. Never allocates, never waits without a bound.
 */
#include <stdarg.h>
#include <stddef.h>
#include "klog.h"
#include "asm.h"
#include "lock.h"

#define LOG_PORT 0x2f8u /* COM2 */
static struct spinlock klog_lock;

static void uart_putc(uint16_t port, char ch)
{
    if (inb((uint16_t)(port + 5)) == 0xff) return; /* no such port */
    for (unsigned i = 0; i < 100000 && (inb((uint16_t)(port + 5)) & 0x20u) == 0; i++) cpu_relax();
    outb(port, (uint8_t)ch);
}

void machine_end(uint32_t status, const char *why)
{
    klog("bulkhead: end status=%u reason=%s", status, why);
    for (unsigned i = 0; i < 1000000 && (inb(LOG_PORT + 5) & 0x40u) == 0; i++) cpu_relax();
    outb(0xf4, 35); /* QEMU: isa-debug-exit */
    for (const char *s = "Shutdown"; *s != 0; s++) outb(0x8900, (uint8_t)*s); /* Bochs */
    for (;;) __asm__ volatile("cli; hlt");
}

void klog_init(void)
{
    for (uint16_t p = LOG_PORT; p <= 0x3f8; p = (uint16_t)(p + 0x100)) { /* and COM1 */
        outb((uint16_t)(p + 1), 0);
        outb((uint16_t)(p + 3), 0x80);
        outb(p, 1); /* 115,200 baud */
        outb((uint16_t)(p + 1), 0);
        outb((uint16_t)(p + 3), 3);
        outb((uint16_t)(p + 2), 0xc7);
        outb((uint16_t)(p + 4), 0x0b);
    }
}

void klog_putc(char ch)
{
    if (ch == '\n') uart_putc(LOG_PORT, '\r');
    uart_putc(LOG_PORT, ch);
}

/* A panic also goes to COM1, where a person may be looking. */
static bool to_com1;
static void put(char ch)
{
    klog_putc(ch);
    if (to_com1) {
        if (ch == '\n') uart_putc(0x3f8, '\r');
        uart_putc(0x3f8, ch);
    }
}

void klog_to_com1(void) { to_com1 = true; }

static void put_number(uint64_t v, unsigned base, unsigned width, char pad)
{
    char buf[24];
    unsigned n = 0;

    do {
        buf[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v != 0);
    while (n < width && n < sizeof(buf)) buf[n++] = pad;
    while (n > 0) put(buf[--n]);
}

void vklog(const char *fmt, va_list ap)
{
    for (; *fmt != 0; fmt++) {
        unsigned width = 0;
        bool is_long = false;
        char pad = ' ';

        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        if (*++fmt == '0') pad = '0';
        while (*fmt >= '0' && *fmt <= '9') width = width * 10 + (unsigned)(*fmt++ - '0');
        while (*fmt == 'l') {
            is_long = true;
            fmt++;
        }
        switch (*fmt) {
        case 's':
            for (const char *s = va_arg(ap, const char *); *s != 0; s++) put(*s);
            break;
        case 'u':
        case 'x':
            put_number(is_long ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), *fmt == 'u' ? 10 : 16,
                       width, pad);
            break;
        default: return; /* compilers check formats */
        }
    }
}

void klog(const char *fmt, ...)
{
    va_list ap;

    if (!to_com1) spin_lock(&klog_lock); /* who panics does not wait for who has been stopped */
    va_start(ap, fmt);
    vklog(fmt, ap);
    va_end(ap);
    put('\n');
    spin_unlock(&klog_lock);
}
