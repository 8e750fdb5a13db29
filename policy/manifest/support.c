/*
 * What libfdt wants of a C library and a freestanding program may not have. All weak: the program's
 * own versions win. Linked into programs that boot only, never into hosted ones.
 * May call: nothing.
 */
#include <stddef.h>
#include <string.h>

__attribute__((weak)) void *memchr(const void *s, int c, size_t n)
{
    const unsigned char *p = s;
    for (; n > 0; n--, p++) {
        if (*p == (unsigned char)c) {
            return (void *)(size_t)p;
        }
    }
    return NULL;
}

__attribute__((weak)) size_t strnlen(const char *s, size_t limit)
{
    size_t n = 0;
    while (n < limit && s[n] != '\0') {
        n++;
    }
    return n;
}

__attribute__((weak)) size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n] != '\0') {
        n++;
    }
    return n;
}

__attribute__((weak)) char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c) {
            return (char *)(size_t)s;
        }
        if (*s == '\0') {
            return NULL;
        }
    }
}

__attribute__((weak)) char *strrchr(const char *s, int c)
{
    const char *last = NULL;
    for (;; s++) {
        if (*s == (char)c) {
            last = s;
        }
        if (*s == '\0') {
            return (char *)(size_t)last;
        }
    }
}

__attribute__((weak)) int strcmp(const char *a, const char *b)
{
    for (; *a != '\0' && *a == *b; a++, b++) {
    }
    return (int)(unsigned char)*a - (int)(unsigned char)*b;
}

/* Called when a guard value on the stack was overwritten: nothing may be trusted any more. */
__attribute__((weak, noreturn)) void __stack_chk_fail(void);
__attribute__((weak, noreturn)) void __stack_chk_fail(void) { __builtin_trap(); }
