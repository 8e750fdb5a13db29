/*
 * Page tables as indexes: the tables of a space are pages of the pool, an entry's frame number
 * minus the pool's is the next table. The same for host, EPT and NPT: an entry is 0 or present. No
 * hardware access.
 */
#ifndef CORE_PTAB_H
#define CORE_PTAB_H

#include <stdint.h>
#include "core/types.h"

#define PTAB_LEVELS 4u
#define VPN_MAX     0x1000000000u /* 48-bit addresses */

#ifdef __FRAMAC__
uint64_t tables[POOL_PAGES_MAX][512];
#else
extern uint64_t tables[][512];
#endif
extern uint64_t pool_pfn; /* frame number of pool page 0 */

/*
 * Specification. Ghost arrays say what each page of the pool is: pt_level 1..4, a table of that
 * level (0: none); the one entry that leads to it; how many of its entries are the space's own (the
 * last entry of a host's root leads to the kernel half, which no walk of ours enters).
 */
/*@ ghost uint32_t pt_level[POOL_PAGES_MAX]; */
/*@ ghost uint32_t pt_up[POOL_PAGES_MAX]; */
/*@ ghost uint32_t pt_at[POOL_PAGES_MAX]; */
/*@ ghost uint32_t pt_own[POOL_PAGES_MAX]; */
/*@
  logic integer ix4(integer v) = (v / 0x8000000) % 512;
  logic integer ix3(integer v) = (v / 0x40000) % 512;
  logic integer ix2(integer v) = (v / 512) % 512;
  logic integer ix1(integer v) = v % 512;
  logic integer ix(integer v, integer l) = l == 4 ? ix4(v) : l == 3 ? ix3(v) : l == 2 ? ix2(v) :
      ix1(v);
  logic integer e_pfn(integer e) = (e / 4096) % PFN_MAX;
  // entry e of a table of level l leads to another table
  predicate e_down(integer e, integer l) = e != 0 && l > 1 && (l > 3 || (e / 128) % 2 == 0);
  predicate in_extent(integer e, integer pfn, integer pages) =
      e != 0 && pfn <= e_pfn(e) < pfn + pages;

  predicate is_table{L}(integer t) = 0 <= t < POOL_PAGES_MAX && 1 <= pt_level[t] <= 4;
  predicate is_root{L}(integer t) = 0 <= t < POOL_PAGES_MAX && pt_level[t] == 4;
  predicate down{L}(integer t, integer s) = e_down(tables[t][s], pt_level[t]);
  logic integer child{L}(integer t, integer s) = e_pfn(tables[t][s]) - pool_pfn;

  predicate levels_ok{L} = \forall integer t; 0 <= t < POOL_PAGES_MAX ==>
      pt_level[t] <= 4 && pt_own[t] <= 512 && (1 <= pt_level[t] <= 3 ==> pt_own[t] == 512);
  // the tables of a space are a tree
  predicate links_down{L} = \forall integer t, s;
      is_table(t) && 0 <= s < pt_own[t] && down(t, s) ==>
      0 <= child(t, s) < POOL_PAGES_MAX && pt_level[child(t, s)] == pt_level[t] - 1 &&
      pt_up[child(t, s)] == t && pt_at[child(t, s)] == s;
  predicate pt_ok{L} = levels_ok && links_down;

  // v is an address that walks from root r may look up
  predicate own_page{L}(integer r, integer v) =
      is_root(r) && 0 <= v < VPN_MAX && ix4(v) < pt_own[r];
  // one step down, or the table itself where the entry leads nowhere
  logic integer go{L}(integer t, integer s) =
      (tables[t][s] != 0 && (pt_level[t] > 3 || (tables[t][s] / 128) % 2 == 0)) ?
      child(t, s) : t;
  logic integer stop2{L}(integer t, integer v) = go(t, ix2(v));
  logic integer stop3{L}(integer t, integer v) =
      go(t, ix3(v)) == t ? t : stop2(go(t, ix3(v)), v);
  // the table where the walk for v ends: it holds the leaf, or nothing
  logic integer stop{L}(integer r, integer v) =
      go(r, ix4(v)) == r ? r : stop3(go(r, ix4(v)), v);
  // the abstract page table: what the walk finds, 0 if nothing, and how many pages it spans
  logic integer entry{L}(integer r, integer v) =
      tables[stop(r, v)][ix(v, pt_level[stop(r, v)])];
  logic integer entry_level{L}(integer r, integer v) = pt_level[stop(r, v)];
  logic integer span(integer l) = l == 1 ? 1 : l == 2 ? 512 : l == 3 ? 0x40000 : 0x8000000;

  // the same tables hang in the same places
  predicate same_levels{A, B} = \forall integer t; 0 <= t < POOL_PAGES_MAX ==>
      \at(pt_level[t], A) == \at(pt_level[t], B) && \at(pt_own[t], A) == \at(pt_own[t], B);
  predicate same_links{A, B} = same_levels{A, B} &&
      \forall integer t, s; 0 <= t < POOL_PAGES_MAX && 2 <= \at(pt_level[t], A) <= 4 &&
      0 <= s < \at(pt_own[t], A) ==> go{A}(t, s) == go{B}(t, s);

  predicate fresh{L}(integer c) = 0 <= c < POOL_PAGES_MAX && pt_level[c] == 0 &&
      \forall integer k; 0 <= k < 512 ==> tables[c][k] == 0;
  // from A to B the empty table c was hung into slot s of t, where nothing was
  predicate hung{A, B}(integer t, integer s, integer c) =
      \at(pool_pfn, A) == \at(pool_pfn, B) && is_table{A}(t) && 2 <= \at(pt_level[t], A) && 0 <= s <
  \at(pt_own[t], A) && \at(tables[t][s], A) == 0 && go{B}(t, s) == c && fresh{A}(c) &&
  \at(pt_level[c], B) == \at(pt_level[t], A) - 1 &&
      (\forall integer k; 0 <= k < 512 ==> \at(tables[c][k], B) == 0) &&
      (\forall integer x; 0 <= x < POOL_PAGES_MAX && x != c ==>
          \at(pt_level[x], A) == \at(pt_level[x], B) && \at(pt_own[x], A) == \at(pt_own[x], B)) &&
      (\forall integer x, k; is_table{A}(x) && 0 <= k < \at(pt_own[x], A) && !(x == t && k == s) ==>
          \at(tables[x][k], A) == \at(tables[x][k], B));
*/

/** Slot of @vpn in a table of @level (1..4). */
/*@ requires 1 <= level <= 4 && vpn < VPN_MAX;
    assigns \nothing;
    ensures value: \result == ix(vpn, level);
    ensures range: \result < 512; */
static inline uint32_t ptab_slot(uint64_t vpn, uint32_t level)
{
    return (uint32_t)((level == 1u   ? vpn
                       : level == 2u ? vpn / 512u
                       : level == 3u ? vpn / 0x40000u
                                     : vpn / 0x8000000u) %
                      512u);
}

/** Pages that one leaf of @level (1, 2, 3) covers. */
/*@ requires 1 <= level <= 3;
    assigns \nothing;
    ensures value: \result == (level == 1 ? 1 : level == 2 ? 512 : 0x40000); */
static inline uint64_t ptab_leaf_pages(uint32_t level)
{
    return level == 1u ? 1u : level == 2u ? 512u : 0x40000u;
}

/*@ assigns \nothing;
    ensures value: \result == e_pfn(e);
    ensures range: \result < PFN_MAX; */
static inline uint64_t ptab_entry_pfn(uint64_t e) { return e / 4096u % PFN_MAX; }

/** What a walk towards a leaf of some level found. */
struct ptab_walk {
    uint32_t table; /* deepest table reached */
    uint32_t level; /* its level */
};

/** Walk from @root towards the table of @level; stops early where a table is missing or a leaf
 *  stands. */
/*@ requires pt_ok && pool_pfn <= PFN_MAX;
    requires page: own_page(root, vpn);
    requires level: 1 <= level <= 4;
    assigns \nothing;
    ensures table: is_table(\result.table) && pt_level[\result.table] == \result.level;
    ensures level: level <= \result.level <= 4;
    ensures own: ix(vpn, \result.level) < pt_own[\result.table];
    ensures early: \result.level > level ==>
        !down(\result.table, ix(vpn, \result.level));
    ensures stop: \result.level == 1 || !down(\result.table, ix(vpn, \result.level)) ==>
        \result.table == stop(root, vpn); */
struct ptab_walk ptab_walk(uint32_t root, uint64_t vpn, uint32_t level);

/** Write entry @e, a leaf or nothing, where the walk @w for @vpn has ended. What other addresses
 *  translate to stays. */
/*@ requires pt_ok && own_page(root, vpn);
    requires walked: w.table == stop(root, vpn) && w.level == pt_level[w.table];
    requires leaf: !e_down(e, w.level);
    assigns tables[w.table][ix(vpn, w.level)];
    ensures levels: levels_ok;
    ensures links: links_down;
    ensures here: entry(root, vpn) == e && stop(root, vpn) == w.table;
    ensures others: \forall integer r, v; own_page(r, v) &&
        (r != root || v / span(w.level) != vpn / span(w.level)) ==>
        entry(r, v) == \old(entry(r, v)); */
void ptab_put(struct ptab_walk w, uint64_t vpn, uint64_t e) /*@ ghost (uint32_t root) */;

/** Hang the empty table @table, by the entry @e that leads to it, where the walk @w for @vpn has ended
 *  at nothing. No address translates to anything else for it. @return the walk, one step further */
/*@ requires pt_ok && own_page(root, vpn);
    requires walked: w.table == stop(root, vpn) && w.level == pt_level[w.table] >= 2;
    requires nothing: entry(root, vpn) == 0;
    requires fresh: fresh(table);
    requires leads: e_down(e, w.level) && e_pfn(e) == pool_pfn + table;
    assigns tables[w.table][ix(vpn, w.level)], pt_level[table], pt_own[table], pt_up[table],
            pt_at[table];
    ensures levels: levels_ok;
    ensures links: links_down;
    ensures walk: \result.table == table && \result.level == w.level - 1 == pt_level[table];
    ensures stop: stop(root, vpn) == table;
    ensures same: \forall integer r, v; own_page(r, v) && r != table ==>
        entry(r, v) == \old(entry(r, v)); */
struct ptab_walk ptab_link(struct ptab_walk w, uint64_t vpn, uint32_t table,
                           uint64_t e) /*@ ghost (uint32_t root) */;

/** Clear the entries of table page @table that point into frames [pfn, pfn + pages). @return
 *  entries cleared */
/*@ requires pt_ok && is_table(table);
    requires extent: pfn + pages <= PFN_MAX;
    requires leaves: \forall integer s; 0 <= s < 512 && in_extent(tables[table][s], pfn, pages) ==>
        !down(table, s);
    assigns tables[table][0 .. 511];
    ensures cleared: \forall integer s; 0 <= s < 512 &&
        in_extent(\old(tables[table][s]), pfn, pages) ==> tables[table][s] == 0;
    ensures others: \forall integer s; 0 <= s < 512 &&
        !in_extent(\old(tables[table][s]), pfn, pages) ==>
        tables[table][s] == \old(tables[table][s]);
    ensures none: \forall integer s; 0 <= s < 512 ==> !in_extent(tables[table][s], pfn, pages);
    ensures links: links_down;
    ensures same: same_links{Pre, Here};
    ensures unmapped: \forall integer r, v; own_page(r, v) && stop(r, v) == table &&
        in_extent(\old(entry(r, v)), pfn, pages) ==> entry(r, v) == 0;
    ensures mapped: \forall integer r, v; own_page(r, v) &&
        !(stop(r, v) == table && in_extent(\old(entry(r, v)), pfn, pages)) ==>
        entry(r, v) == \old(entry(r, v));
    ensures count: \result <= 512; */
uint32_t ptab_clear_extent(uint32_t table, uint64_t pfn, uint64_t pages);

/** Choose the largest leaf level (1..max) for this place. */
/*@ assigns \nothing;
    ensures range: 1 <= \result <= 3 && (\result == 1 || \result <= max);
    ensures fits: \result == 3 ==> pages >= 0x40000 && vpn % 0x40000 == 0 && pfn % 0x40000 == 0;
    ensures fits2: \result == 2 ==> pages >= 512 && vpn % 512 == 0 && pfn % 512 == 0;
    ensures largest: \result < 3 && max >= 3 ==>
        pages < 0x40000 || vpn % 0x40000 != 0 || pfn % 0x40000 != 0;
    ensures larger: \result == 1 && max >= 2 ==>
        pages < 512 || vpn % 512 != 0 || pfn % 512 != 0; */
uint32_t ptab_leaf_level(uint64_t vpn, uint64_t pfn, uint64_t pages, uint32_t max);

#endif
