/*
 * The part of <string.h> that freestanding code needs (libfdt and Zydis included). No locale, no
 * allocation. May call: nothing.
 */
#ifndef VMM_RT_STRING_H
#define VMM_RT_STRING_H

#include <stddef.h>

/* Copies of a size the compiler knows become plain moves; the rest calls the functions below. */
#ifndef VMM_RT_STRING_C
#define memcpy(dst, src, n) __builtin_memcpy(dst, src, n)
#define memset(dst, c, n)   __builtin_memset(dst, c, n)
#endif

void *(memcpy)(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *(memset)(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

#endif
