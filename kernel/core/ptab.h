/*
 * Page tables as indexes: the tables of a space are pages of the pool, an entry's frame number
 * minus the pool's is the next table. The same for host, EPT and NPT: an entry is 0 or present. No
 * hardware access.
 */
#ifndef CORE_PTAB_H
#define CORE_PTAB_H

#include <stdint.h>
#include "core/types.h"

#define PTAB_NONE   0xffffffffu
#define PTAB_LEVELS 4u
#define VPN_MAX     0x1000000000u /* 48-bit addresses */

extern uint64_t tables[][512];
extern uint64_t pool_pfn; /* frame number of pool page 0 */

/** Slot of @vpn in a table of @level (1..4). */
static inline uint32_t ptab_slot(uint64_t vpn, uint32_t level)
{
    return (uint32_t)((level == 1u   ? vpn
                       : level == 2u ? vpn / 512u
                       : level == 3u ? vpn / 0x40000u
                                     : vpn / 0x8000000u) %
                      512u);
}

/** Pages that one leaf of @level (1, 2, 3) covers. */
static inline uint64_t ptab_leaf_pages(uint32_t level)
{
    return level == 1u ? 1u : level == 2u ? 512u : 0x40000u;
}

static inline uint64_t ptab_entry_pfn(uint64_t e) { return e / 4096u % PFN_MAX; }

/** What a walk towards a leaf of some level found. */
struct ptab_walk {
    uint32_t table; /* deepest table reached */
    uint32_t level; /* its level */
};

/** Walk from @root towards the table of @level; stops early where a table is missing or a leaf stands. */
struct ptab_walk ptab_walk(uint32_t root, uint64_t vpn, uint32_t level);
/** Clear the entries of table page @table that point into frames [pfn, pfn + pages). @return entries cleared */
uint32_t ptab_clear_extent(uint32_t table, uint64_t pfn, uint64_t pages);
/** Choose the largest leaf level (1..max) for this place. */
uint32_t ptab_leaf_level(uint64_t vpn, uint64_t pfn, uint64_t pages, uint32_t max);

#endif
