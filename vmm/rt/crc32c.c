/*
 * CRC-32C; see crc32c.h. By the CRC32 instruction where the CPU has it (Intel SDM vol. 2A, CRC32:
 * general registers only), else four bits at a time: a table of 16 words, reflected 0x1edc6f41.
 */
#include "crc32c.h"
#include <stdbool.h>

static const uint32_t table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

#define CPUID_1_ECX_SSE42 0x100000u

static bool has_instruction(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c & CPUID_1_ECX_SSE42) != 0;
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n != 0; n--, p++) {
        crc ^= *p;
        crc = crc >> 4 ^ table[crc & 15u];
        crc = crc >> 4 ^ table[crc & 15u];
    }
    return crc;
}

static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t wide = crc, word;

    for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
        __builtin_memcpy(&word, p, sizeof(word));
        __asm__("crc32q %1, %0" : "+r"(wide) : "r"(word));
    }
    crc = (uint32_t)wide;
    for (; n != 0; n--, p++) __asm__("crc32b %1, %0" : "+r"(crc) : "r"(*p));
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t n)
{
    /* CPUID is slow where this runs in a VM: small pieces are done before it has answered. */
    if (n < 64u || !has_instruction()) return ~by_table(~crc, bytes, n);
    return ~by_instruction(~crc, bytes, n);
}
