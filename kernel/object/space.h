/* HostSpace and GuestSpace: page tables that come with the object. Kernel lock held. */
#ifndef OBJECT_SPACE_H
#define OBJECT_SPACE_H

#include "object/lookup.h"

/** Pages of a HostSpace object before its free tables. */
enum { HOST_ROOT = 1, HOST_PDPT, HOST_PD, HOST_PRIVATE, HOST_SAVE, HOST_FIRST_FREE };
enum { GUEST_ROOT = 1, GUEST_FIRST_FREE };

struct map_plan {
    uint32_t space;
    uint64_t vpn, pfn, pages, flags;
    uint32_t steps; /* entries to write at most */
    uint64_t todo;  /* out: pages that commit will map */
};

void space_init(uint32_t space, uint32_t kind, uint32_t pages);
void space_fini(uint32_t space);
bool space_range_ok(const struct space *s, uint64_t va, uint64_t pages);
/** Check the first @steps entries: BH_ERR_TABLES (value = missing), BH_ERR_MAPPED. */
struct sysret space_decode_map(struct map_plan *p);
void space_commit_map(const struct map_plan *p);
/** The range would cut a large leaf in two. */
bool space_unmap_cuts(uint32_t space, uint64_t vpn, uint64_t pages);
/** Clear entries of [vpn, + pages) that point into [pfn, + extent). @return pages looked at */
uint64_t space_unmap(uint32_t space, uint64_t vpn, uint64_t pages, uint64_t pfn, uint64_t extent,
                     uint32_t steps);
/** Write one 4 KiB leaf of a HostSpace for a page of the kernel's own (vCPU page). */
MUST_CHECK err_t space_map_kernel_page(uint32_t space, uint64_t va, uint32_t page);
void space_unmap_kernel_page(uint32_t space, uint64_t va);
/** Page of the private slot, supervisor only. page = 0: none. */
void space_private(uint32_t space, uint64_t va, uint32_t page);

struct sysret attach_destroy(uint32_t cell);

#endif
