/*
 * Format of extended page-table entries (SDM vol. 3C, 29.3.2). Pure functions; the walk itself is
 * common code. Accessed and dirty flags are not used.
 */
#include "vmx.h"
#include "bulkhead/call.h"

#define EPT_READ    1u
#define EPT_WRITE   2u
#define EPT_EXECUTE 4u
#define EPT_TYPE_UC (0u << 3)
#define EPT_TYPE_WB (6u << 3)
#define EPT_LARGE   0x80u
#define EPTP_WALK4  (3u << 3)
#define EPTP_WB     6u

/**
 * Flags of the entry that maps a page of @level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB).
 *
 * The guest's PAT still applies to write-back pages (ignore-PAT stays clear), as on a PC; a page
 * mapped uncacheable cannot become cacheable by it (SDM table 12-7). Where a CPU has the
 * instruction-fetch machine check on large pages (ARCH_CAPABILITIES.IF_PSCHANGE_MC_NO clear), the
 * caller must map executable memory with level 1 only.
 */
uint64_t ept_leaf_flags(uint64_t map_flags, unsigned level)
{
    uint64_t e = (map_flags & BH_MAP_UC) != 0 ? EPT_TYPE_UC : EPT_TYPE_WB;

    if ((map_flags & (BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC)) == 0) return 0;
    e |= EPT_READ; /* write without read is a misconfiguration; execute-only is not offered */
    if ((map_flags & BH_MAP_WRITE) != 0) e |= EPT_WRITE;
    if ((map_flags & BH_MAP_EXEC) != 0) e |= EPT_EXECUTE;
    if (level > 1) e |= EPT_LARGE;
    return e;
}

/** Flags of an entry that points to a table: all rights, leaves decide. */
uint64_t ept_table_flags(void) { return EPT_READ | EPT_WRITE | EPT_EXECUTE; }

/** The EPT pointer for a root table (25.6.11): write-back, four levels, no accessed/dirty flags. */
uint64_t ept_pointer(uint64_t root) { return root | EPTP_WB | EPTP_WALK4; }
