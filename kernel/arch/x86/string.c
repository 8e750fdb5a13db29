/*
 * The two functions compilers call on their own. Nothing in the kernel is large enough for more
 * than this.
 */
#include <stddef.h>
#include <stdint.h>
#include "string.h"

void *memset(void *to, int byte, size_t n)
{
    void *p = to;

    __asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(byte) : "memory");
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    void *p = to;

    __asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n) : : "memory");
    return to;
}
