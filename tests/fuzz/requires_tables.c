/*
 * What core/ptab.h requires of its callers, in the manner of requires.c. pt_level, pt_up, pt_at and
 * pt_own are the proof's; what a space starts with and that its tables end with it is the glue's
 * (object/space.c).
 */
#include "requires_flush.h"
#include "object/objects.h"
#include "object/space.h"
#include "core/ptab.h"

#define NOWHERE (-1)

static uint32_t pt_level[HOST_POOL_PAGES], pt_up[HOST_POOL_PAGES], pt_at[HOST_POOL_PAGES],
    pt_own[HOST_POOL_PAGES];

static uint32_t ix(uint64_t v, uint32_t l)
{
    return (uint32_t)((l == 4u   ? v / 0x8000000u
                       : l == 3u ? v / 0x40000u
                       : l == 2u ? v / 512u
                                 : v) %
                      512u);
}

static uint64_t e_pfn(uint64_t e) { return e / 4096u % PFN_MAX; }

static bool e_down(uint64_t e, uint32_t l)
{
    return e != 0 && l > 1 && (l > 3 || e / 128u % 2u == 0);
}

static bool in_extent(uint64_t e, integer pfn, integer pages)
{
    return e != 0 && pfn <= e_pfn(e) && e_pfn(e) < pfn + pages;
}

bool is_table(integer t)
{
    return 0 <= t && t < HOST_POOL_PAGES && 1 <= pt_level[t] && pt_level[t] <= 4;
}

static bool down(uint32_t t, uint32_t s) { return e_down(tables[t][s], pt_level[t]); }

static bool own_page(integer r, uint64_t v)
{
    return is_table(r) && pt_level[r] == 4 && v < VPN_MAX && ix(v, 4) < pt_own[r];
}

/* The table where the walk for v ends. Each step is as links_down says. */
static uint32_t stop(integer r, uint64_t v)
{
    uint32_t t = (uint32_t)r;

    while (down(t, ix(v, pt_level[t]))) {
        uint32_t s = ix(v, pt_level[t]);
        integer c = (integer)e_pfn(tables[t][s]) - pool_pfn;

        ASSUME("pt_ok: links_down",
               is_table(c) && pt_level[c] == pt_level[t] - 1u && pt_up[c] == t && pt_at[c] == s);
        t = (uint32_t)c;
    }
    return t;
}

static uint64_t entry(integer r, uint64_t v)
{
    uint32_t t = stop(r, v);

    return tables[t][ix(v, pt_level[t])];
}

/* What the caller of ptab_put() and ptab_link() says in ghost code: of which space the table is. */
static integer root_of(uint32_t table)
{
    integer t = table;

    for (uint32_t i = 0; i < PTAB_LEVELS && is_table(t); i++) {
        if (pt_level[t] == PTAB_LEVELS) return t;
        t = pt_up[t];
    }
    return NOWHERE;
}

static bool fresh(uint32_t c)
{
    if (c >= HOST_POOL_PAGES || pt_level[c] != 0) return false;
    for (uint32_t k = 0; k < 512u; k++)
        if (tables[c][k] != 0) return false;
    return true;
}

static bool leaves_only(uint32_t table, uint64_t pfn, uint64_t pages)
{
    for (uint32_t s = 0; s < 512u; s++)
        if (in_extent(tables[table][s], pfn, pages) && down(table, s)) return false;
    return true;
}

static void hang(uint32_t c, uint32_t level, uint32_t own, uint32_t up, uint32_t at)
{
    pt_level[c] = level;
    pt_own[c] = own;
    pt_up[c] = up;
    pt_at[c] = at;
}

REAL(ptab_walk);
struct ptab_walk __wrap_ptab_walk(uint32_t root, uint64_t vpn, uint32_t level)
{
    ASSUME_LOCKED();
    REQUIRE(, pool_pfn <= PFN_MAX);
    REQUIRE(page, own_page(root, vpn));
    REQUIRE_AS(level, "1 <= level <= 4", 1 <= level && level <= 4);
    (void)stop(root, vpn); /* pt_ok on the way */
    return __real_ptab_walk(root, vpn, level);
}

REAL(ptab_put);
void __wrap_ptab_put(struct ptab_walk w, uint64_t vpn, uint64_t e)
{
    integer root = root_of(w.table);

    ASSUME_LOCKED();
    REQUIRE(, own_page(root, vpn));
    REQUIRE(walked, w.table == stop(root, vpn) && w.level == pt_level[w.table]);
    REQUIRE(leaf, !e_down(e, w.level));
    if (entry(root, vpn) != 0)
        stale_cleared((uint32_t)root - HOST_ROOT, e_pfn(entry(root, vpn)), ptab_leaf_pages(w.level),
                      false);
    if (e_pfn(e) >= pool_pfn && e_pfn(e) < pool_pfn + pool_pages)
        stale_none("it is a vCPU's page again", e_pfn(e), 1, false);
    __real_ptab_put(w, vpn, e);
}

REAL(ptab_link);
struct ptab_walk __wrap_ptab_link(struct ptab_walk w, uint64_t vpn, uint32_t table, uint64_t e)
{
    integer root = root_of(w.table);
    struct ptab_walk further;

    ASSUME_LOCKED();
    REQUIRE(, own_page(root, vpn));
    REQUIRE_AS(walked, "w.table == stop(root, vpn) && w.level == pt_level[w.table] >= 2",
               w.table == stop(root, vpn) && w.level == pt_level[w.table] && w.level >= 2);
    REQUIRE(nothing, entry(root, vpn) == 0);
    REQUIRE(fresh, fresh(table));
    REQUIRE(leads, e_down(e, w.level) && e_pfn(e) == pool_pfn + table);
    further = __real_ptab_link(w, vpn, table, e);
    hang(table, pt_level[w.table] - 1u, 512, w.table, ix(vpn, w.level));
    return further;
}

REAL(ptab_clear_extent);
uint32_t __wrap_ptab_clear_extent(uint32_t table, uint64_t pfn, uint64_t pages)
{
    uint32_t n;

    ASSUME_LOCKED();
    REQUIRE(, is_table(table));
    REQUIRE_AS(extent, "pfn + pages <= PFN_MAX", (integer)pfn + pages <= PFN_MAX);
    REQUIRE_AS(leaves,
               "\\forall integer s; 0 <= s < 512 && in_extent(tables[table][s], pfn, pages) ==> "
               "!down(table, s)",
               leaves_only(table, pfn, pages));
    n = __real_ptab_clear_extent(table, pfn, pages);
    if (n != 0) stale_cleared((uint32_t)root_of(table) - HOST_ROOT, pfn, pages, true);
    return n;
}

/* ---- Tables that the glue makes and gives up ---- */

REAL(space_init);
void __wrap_space_init(uint32_t space, uint32_t kind, uint32_t pages)
{
    for (uint32_t t = space; t < space + pages; t++)
        ASSUME("pages of a new space are no tables and zero", fresh(t));
    __real_space_init(space, kind, pages);
    if (kind == SPACE_GUEST) {
        hang(space + GUEST_ROOT, 4, 512, 0, 0);
    } else { /* the last entry leads to the kernel half */
        hang(space + HOST_ROOT, 4, 511, 0, 0);
        hang(space + HOST_PDPT, 3, 512, space + HOST_ROOT, 0);
        hang(space + HOST_PD, 2, 512, space + HOST_PDPT, 0);
        hang(space + HOST_PRIVATE, 1, 512, space + HOST_PD, 0);
    }
}

REAL(space_fini);
void __wrap_space_fini(uint32_t space)
{
    for (uint32_t i = 0; i < spaces[space].pages; i++) hang(space + i, 0, 0, 0, 0);
    stale_cleared(space, pool_pfn + space, spaces[space].pages, false); /* its tables */
    __real_space_fini(space);
}
