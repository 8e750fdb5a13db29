/* Guest-physical addresses to guest RAM; see guest_mem.h. */
#include "guest_mem.h"

#include <string.h>

uint64_t guest_mem_low_end(const struct guest_mem *gm)
{
    return gm->size_bytes < GUEST_LOW_RAM_END ? gm->size_bytes : GUEST_LOW_RAM_END;
}

uint64_t guest_mem_high_bytes(const struct guest_mem *gm)
{
    return gm->size_bytes - guest_mem_low_end(gm);
}

bool guest_mem_offset(const struct guest_mem *gm, uint64_t gpa, uint64_t length, uint64_t *offset)
{
    const uint64_t low_end = guest_mem_low_end(gm);
    const uint64_t high_bytes = guest_mem_high_bytes(gm);

    if (gpa <= low_end && length <= low_end - gpa)
        *offset = gpa;
    else if (gpa >= GUEST_HIGH_RAM_BASE && gpa - GUEST_HIGH_RAM_BASE <= high_bytes &&
             length <= high_bytes - (gpa - GUEST_HIGH_RAM_BASE))
        *offset = GUEST_LOW_RAM_END + (gpa - GUEST_HIGH_RAM_BASE);
    else
        return false;
    return true;
}

/* A word of 64 pieces at a time. */
static bool is_there(const struct guest_mem *gm, uint64_t offset, uint64_t length)
{
    uint64_t at = offset / BH_PIECE_BYTES, last;

    if (length == 0) return true;
    last = (offset + length - 1u) / BH_PIECE_BYTES;
    for (; at <= last; at = (at | 63u) + 1u) {
        uint64_t mask = ~(uint64_t)0 << at % 64u;

        if (last / 64u == at / 64u) mask &= ~(uint64_t)0 >> (63u - last % 64u);
        if (__atomic_load_n(&gm->absent[at / 64u], __ATOMIC_RELAXED) & mask) return false;
    }
    return true;
}

void *guest_mem_ptr(const struct guest_mem *gm, uint64_t gpa, uint64_t length)
{
    uint64_t offset;

    if (!guest_mem_offset(gm, gpa, length, &offset)) return NULL;
    if (__builtin_expect(gm->absent != NULL, 0) && !is_there(gm, offset, length)) return NULL;
    return gm->base + offset;
}

bool guest_mem_read(const struct guest_mem *gm, uint64_t gpa, void *buf, uint64_t length)
{
    const void *p = guest_mem_ptr(gm, gpa, length);

    if (p) memcpy(buf, p, length);
    return p != NULL;
}

bool guest_mem_write(const struct guest_mem *gm, uint64_t gpa, const void *buf, uint64_t length)
{
    void *p = guest_mem_ptr(gm, gpa, length);

    if (p) memcpy(p, buf, length);
    return p != NULL;
}
