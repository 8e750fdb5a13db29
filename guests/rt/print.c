/*
 * Output, facts and the guest's end. May call: port I/O. Must never need interrupts or memory
 * beyond its own, so that it works whatever the guest under test has broken.
 */
#include <stdarg.h>

#include "guest.h"

enum { COM1 = 0x3f8, COM_LSR = 5, COM_LSR_THRE = 0x20 };

static unsigned facts_bad;
static unsigned facts_gap;
static unsigned facts_all;
static const char *first_bad;

static void put(char c)
{
    if (c == '\n') put('\r');
    while (!(inb(COM1 + COM_LSR) & COM_LSR_THRE)) pause();
    outb(COM1, (uint8_t)c);
}

static void put_text(const char *s, unsigned width)
{
    unsigned n = 0;

    for (; s && s[n]; n++) put(s[n]);
    for (; n < width; n++) put(' ');
}

static void put_number(uint64_t v, unsigned base, unsigned width, char pad, bool minus)
{
    char digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (minus) digits[n++] = '-';
    for (unsigned i = n; i < width; i++) put(pad);
    while (n) put(digits[--n]);
}

static void vprint(const char *fmt, va_list ap)
{
    for (; *fmt; fmt++) {
        unsigned width = 0;
        unsigned longs = 0;
        char pad = ' ';

        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        fmt++;
        if (*fmt == '0') pad = '0';
        while (*fmt >= '0' && *fmt <= '9') width = width * 10 + (unsigned)(*fmt++ - '0');
        while (*fmt == 'l') {
            longs++;
            fmt++;
        }
        switch (*fmt) {
        case 's': put_text(va_arg(ap, const char *), width); break;
        case 'c': put((char)va_arg(ap, int)); break;
        case 'd': {
            int64_t v = longs ? va_arg(ap, int64_t) : va_arg(ap, int);

            put_number(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, width, pad, v < 0);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t v = longs ? va_arg(ap, uint64_t) : va_arg(ap, unsigned);

            put_number(v, *fmt == 'u' ? 10 : 16, width, pad, false);
            break;
        }
        case 'p': put_number((uint64_t)va_arg(ap, void *), 16, 16, '0', false); break;
        default: put(*fmt);
        }
    }
}

void print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
}

/* Start of the value of name= on the command line; NULL when it is not there. */
static const char *arg_find(const char *name)
{
    for (const char *p = boot.cmdline; *p; p++) {
        size_t n = 0;

        if (p != boot.cmdline && p[-1] != ' ') continue;
        while (name[n] && p[n] == name[n]) n++;
        if (!name[n] && p[n] == '=') return p + n + 1;
    }
    return NULL;
}

uint64_t arg_u64(const char *name, uint64_t otherwise)
{
    const char *p = arg_find(name);
    unsigned base = 10;
    uint64_t v = 0;

    if (!p) return otherwise;
    if (p[0] == '0' && p[1] == 'x') {
        base = 16;
        p += 2;
    }
    for (;; p++) {
        unsigned digit = *p >= 'a' ? (unsigned)(*p - 'a') + 10 : (unsigned)(*p - '0');

        if (*p < '0' || digit >= base) return v;
        v = v * base + digit;
    }
}

/* Is this fact in gaps=a,b,c? */
static bool is_gap(const char *name)
{
    const char *p = arg_find("gaps");

    while (p && *p && *p != ' ') {
        size_t n = 0;

        while (name[n] && p[n] == name[n]) n++;
        if (!name[n] && (p[n] == ',' || p[n] == ' ' || !p[n])) return true;
        while (*p && *p != ' ' && *p++ != ',')
            ;
    }
    return false;
}

void fact(const char *name, bool holds, const char *fmt, ...)
{
    bool gap = !holds && is_gap(name);
    va_list ap;

    facts_all++;
    if (gap) {
        facts_gap++;
    } else if (!holds) {
        facts_bad++;
        if (!first_bad) first_bad = name;
    }
    print("FACT %s %s ", name, holds ? "ok" : gap ? "GAP" : "BAD");
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
    print("\n");
}

static __attribute__((noreturn)) void leave(uint8_t code)
{
    outb(EXIT_PORT, code);
    /* Without that port: ACPI power-off of q35 as firmware sets it up, else stand still. */
    outw(0x604, 0x2000);
    for (;;) __asm__ volatile("cli; hlt");
}

void finish(void)
{
    if (facts_bad) {
        print("BH-FAIL %s %u of %u facts, first: %s\n", guest_name, facts_bad, facts_all,
              first_bad);
        leave(EXIT_FAIL);
    }
    if (facts_gap && facts_gap == facts_all) skip("all facts are known gaps");
    print("BH-PASS %s %u facts, %u gaps\n", guest_name, facts_all, facts_gap);
    leave(EXIT_PASS);
}

void skip(const char *why)
{
    print("BH-SKIP %s %s\n", guest_name, why);
    leave(EXIT_SKIP);
}
