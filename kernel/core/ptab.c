/*
 * Page-table arithmetic shared by HostSpace and GuestSpace. May call nothing. Never touches
 * hardware: stores that hardware sees go through the caller.
 */
#include "core/ptab.h"

struct ptab_walk ptab_walk(uint32_t root, uint64_t vpn, uint32_t level)
{
    struct ptab_walk w = {root, PTAB_LEVELS};

    while (w.level > level) {
        uint64_t e = tables[w.table][ptab_slot(vpn, w.level)];
        uint64_t pfn = ptab_entry_pfn(e);

        if (e == 0u) return w;
        if (w.level <= 3u && e / 128u % 2u == 1u) /* a large leaf stands here */
            return w;
        w.table = (uint32_t)(pfn - pool_pfn);
        w.level = w.level - 1u;
    }
    return w;
}

uint32_t ptab_clear_extent(uint32_t table, uint64_t pfn, uint64_t pages)
{
    uint32_t i, n = 0;

    for (i = 0; i < 512u; i++) {
        uint64_t e = tables[table][i];
        uint64_t p = ptab_entry_pfn(e);

        if (e != 0u && p >= pfn && p - pfn < pages) {
            tables[table][i] = 0;
            n = n + 1u;
        }
    }
    return n;
}

uint32_t ptab_leaf_level(uint64_t vpn, uint64_t pfn, uint64_t pages, uint32_t max)
{
    if (max >= 3u && pages >= 0x40000u && vpn % 0x40000u == 0u && pfn % 0x40000u == 0u) return 3;
    if (max >= 2u && pages >= 512u && vpn % 512u == 0u && pfn % 512u == 0u) return 2;
    return 1;
}
