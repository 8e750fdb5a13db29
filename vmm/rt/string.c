/*
 * Memory and string functions. Copies move 8 bytes a step: rep movsq is fast everywhere, also where
 * rep movsb is not. May call: nothing. Must not be compiled into calls of itself
 * (-fno-builtin, -fno-tree-loop-distribute-patterns by the makefile).
 */
#define VMM_RT_STRING_C
#include "string.h"
#include <stdint.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *d = dst;
    size_t words = n / 8u, rest = n % 8u;

    __asm__ volatile("rep movsq\n\tmov %[rest], %%rcx\n\trep movsb"
                     : "+D"(d), "+S"(src), "+c"(words)
                     : [rest] "r"(rest)
                     : "memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    uint8_t *d = dst;
    const uint8_t *s = src;

    if ((uintptr_t)dst - (uintptr_t)src >= n) return memcpy(dst, src, n);
    while (n--) d[n] = s[n];
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *d = dst;
    size_t words = n / 8u, rest = n % 8u;
    uint64_t fill = (uint64_t)(uint8_t)c * 0x0101010101010101ull;

    __asm__ volatile("rep stosq\n\tmov %[rest], %%rcx\n\trep stosb"
                     : "+D"(d), "+c"(words)
                     : "a"(fill), [rest] "r"(rest)
                     : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i]) return x[i] - y[i];
    return 0;
}

void *memchr(const void *s, int c, size_t n)
{
    const uint8_t *p = s;

    for (size_t i = 0; i < n; i++)
        if (p[i] == (uint8_t)c) return (void *)(uintptr_t)(p + i);
    return NULL;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n]) n++;
    return n;
}

size_t strnlen(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && s[i]) i++;
    return i;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) return (uint8_t)a[i] - (uint8_t)b[i];
        if (!a[i]) break;
    }
    return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c) return (char *)(uintptr_t)s;
        if (!*s) return NULL;
    }
}

char *strrchr(const char *s, int c)
{
    const char *last = NULL;

    for (;; s++) {
        if (*s == (char)c) last = s;
        if (!*s) return (char *)(uintptr_t)last;
    }
}
