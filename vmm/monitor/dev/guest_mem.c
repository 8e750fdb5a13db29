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

void *guest_mem_ptr(const struct guest_mem *gm, uint64_t gpa, uint64_t length)
{
    const uint64_t low_end = guest_mem_low_end(gm);
    const uint64_t high_bytes = guest_mem_high_bytes(gm);

    if (gpa <= low_end && length <= low_end - gpa) return gm->base + gpa;
    if (gpa >= GUEST_HIGH_RAM_BASE && gpa - GUEST_HIGH_RAM_BASE <= high_bytes &&
        length <= high_bytes - (gpa - GUEST_HIGH_RAM_BASE))
        return gm->base + GUEST_LOW_RAM_END + (gpa - GUEST_HIGH_RAM_BASE);
    return NULL;
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
