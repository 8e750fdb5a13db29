/*
 * Guest RAM as the monitor sees it, and the one way from a guest-physical address to it: every
 * address and length that comes from a guest passes here. May call: nothing but memcpy.
 */
#ifndef VMM_MONITOR_DEV_GUEST_MEM_H
#define VMM_MONITOR_DEV_GUEST_MEM_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/pieces.h"

#define GUEST_LOW_RAM_END                                                                          \
    BH_GUEST_LOW_RAM_END                      /* RAM ends here at the latest; devices up to 4 GiB */
#define GUEST_ECAM_BASE     0xB0000000ull     /* where firmware puts PCI configuration space, ... */
#define GUEST_ECAM_BYTES    0x10000000ull     /* ... 256 buses of it */
#define GUEST_HIGH_RAM_BASE BH_GUEST_HIGH_RAM /* where RAM continues */
_Static_assert(GUEST_LOW_RAM_END <= GUEST_ECAM_BASE, "RAM ends where configuration space begins");

/**
 * One piece of size_bytes at base. Guest-physical 0 is base; what is beyond
 * GUEST_LOW_RAM_END appears to the guest from 4 GiB on. size_bytes is a multiple of 4096.
 */
struct guest_mem {
    uint8_t *base;
    uint64_t size_bytes;
    const uint64_t *absent; /* a bit for each BH_PIECE_BYTES that is not there now: a hole; NULL:
                               all is there. Changed by atomic stores */
};

/** @return false: [gpa, + length) is not wholly where RAM may be; else its offset from the base */
bool guest_mem_offset(const struct guest_mem *gm, uint64_t gpa, uint64_t length, uint64_t *offset);

/** @return where [gpa, gpa + length) is, or NULL when it is not wholly inside RAM (or wraps), or
 *  not all of it is there. The guest may change it at any time: what is checked is copied first. */
void *guest_mem_ptr(const struct guest_mem *gm, uint64_t gpa, uint64_t length);

/** End of RAM below 4 GiB, and RAM above 4 GiB, in bytes. */
uint64_t guest_mem_low_end(const struct guest_mem *gm);
uint64_t guest_mem_high_bytes(const struct guest_mem *gm);

/** Copy between guest RAM and a device. @return false when not wholly inside RAM: nothing copied. */
bool guest_mem_read(const struct guest_mem *gm, uint64_t gpa, void *buf, uint64_t length);
bool guest_mem_write(const struct guest_mem *gm, uint64_t gpa, const void *buf, uint64_t length);

#endif
