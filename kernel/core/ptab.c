/*
 * Page-table arithmetic shared by HostSpace and GuestSpace. May call nothing. Never touches
 * hardware: stores that hardware sees go through the caller.
 */
#include "core/ptab.h"

struct ptab_walk ptab_walk(uint32_t root, uint64_t vpn, uint32_t level)
{
    struct ptab_walk w = {root, PTAB_LEVELS};

    /*@ loop invariant table: is_table(w.table) && pt_level[w.table] == w.level;
        loop invariant level: level <= w.level <= 4;
        loop invariant own: ix(vpn, w.level) < pt_own[w.table];
        loop invariant path: stop(root, vpn) == (w.level == 4 ? stop(w.table, vpn) :
            w.level == 3 ? stop3(w.table, vpn) : w.level == 2 ? stop2(w.table, vpn) : w.table);
        loop assigns w;
        loop variant w.level; */
    while (w.level > level) {
        uint64_t e = tables[w.table][ptab_slot(vpn, w.level)];
        uint64_t pfn = ptab_entry_pfn(e);

        if (e == 0u) return w;
        if (w.level <= 3u && e / 128u % 2u == 1u) /* a large leaf stands here */
            return w;
        /*@ assert go: go(w.table, ix(vpn, w.level)) == pfn - pool_pfn; */
        /*@ assert down: down(w.table, ix(vpn, w.level)) && pfn - pool_pfn != w.table; */
        /*@ assert at4: w.level == 4 ==> stop(root, vpn) == stop3(pfn - pool_pfn, vpn); */
        /*@ assert at3: w.level == 3 ==> stop(root, vpn) == stop2(pfn - pool_pfn, vpn); */
        /*@ assert at2: w.level == 2 ==> stop(root, vpn) == pfn - pool_pfn; */
        w.table = (uint32_t)(pfn - pool_pfn);
        w.level = w.level - 1u;
    }
    return w;
}

uint32_t ptab_clear_extent(uint32_t table, uint64_t pfn, uint64_t pages)
{
    uint32_t i, n = 0;

    /*@ loop invariant 0 <= i <= 512 && n <= i;
        loop invariant cleared: \forall integer s; 0 <= s < i &&
            in_extent(\at(tables[table][s], Pre), pfn, pages) ==> tables[table][s] == 0;
        loop invariant others: \forall integer s; 0 <= s < i &&
            !in_extent(\at(tables[table][s], Pre), pfn, pages) ==>
            tables[table][s] == \at(tables[table][s], Pre);
        loop invariant rest: \forall integer s; i <= s < 512 ==>
            tables[table][s] == \at(tables[table][s], Pre);
        loop assigns i, n, tables[table][0 .. 511];
        loop variant 512 - i; */
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
