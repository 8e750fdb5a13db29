/* What compilers call on their own, freestanding or not. */
#ifndef ARCH_X86_STRING_H
#define ARCH_X86_STRING_H
#include <stddef.h>
void *memset(void *to, int byte, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
#endif
