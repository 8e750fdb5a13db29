/*
 * Page tables: see ptab.h. May call nothing. Touches tables[] only, each entry in one store; that
 * hardware forgets what it has cached of them is the caller's.
 */
#include "core/ptab.h"

/*@
  lemma ix_split: \forall integer v; 0 <= v < VPN_MAX ==>
      v == ix4(v) * 0x8000000 + ix3(v) * 0x40000 + ix2(v) * 512 + ix1(v);
  lemma ix_range: \forall integer v; 0 <= v < VPN_MAX ==>
      0 <= ix4(v) < 512 && 0 <= ix3(v) < 512 && 0 <= ix2(v) < 512 && 0 <= ix1(v) < 512;
  lemma ix_page2: \forall integer v; 0 <= v < VPN_MAX ==>
      v / 512 == ix4(v) * 0x40000 + ix3(v) * 512 + ix2(v);
  lemma ix_page3: \forall integer v; 0 <= v < VPN_MAX ==> v / 0x40000 == ix4(v) * 512 + ix3(v);
  lemma ix_page4: \forall integer v; 0 <= v < VPN_MAX ==> v / 0x8000000 == ix4(v);
  // a step down
  lemma go_down{L}: pt_ok ==> \forall integer t, s; 0 <= t < POOL_PAGES_MAX &&
      2 <= pt_level[t] <= 4 && 0 <= s < pt_own[t] && go(t, s) != t ==>
      0 <= go(t, s) < POOL_PAGES_MAX && pt_level[go(t, s)] == pt_level[t] - 1 &&
      pt_up[go(t, s)] == t && pt_at[go(t, s)] == s;
  lemma stop_table{L}: pt_ok ==> \forall integer r, v; own_page(r, v) ==>
      is_table(stop(r, v)) && ix(v, pt_level[stop(r, v)]) < pt_own[stop(r, v)];
  // one place in one table is reached from one root by one page, or by those of one leaf
  lemma stop_once{L}: pt_ok ==> \forall integer r, v, q, w; own_page(r, v) && own_page(q, w) &&
      stop(r, v) == stop(q, w) &&
      ix(v, pt_level[stop(r, v)]) == ix(w, pt_level[stop(r, v)]) ==>
      r == q && v / span(pt_level[stop(r, v)]) == w / span(pt_level[stop(r, v)]);
  lemma stop_same{A, B}: pt_ok{A} ==> same_links{A, B} ==> \forall integer r, v;
      own_page{A}(r, v) ==> stop{A}(r, v) == stop{B}(r, v);
  lemma hung_go{A, B}: \forall integer t, s, c; hung{A, B}(t, s, c) ==> \forall integer x, k;
      0 <= x < POOL_PAGES_MAX && 2 <= \at(pt_level[x], A) <= 4 && 0 <= k < \at(pt_own[x], A) &&
      !(x == t && k == s) ==> go{A}(x, k) == go{B}(x, k);
  lemma hung_at{A, B}: \forall integer t, s, c; hung{A, B}(t, s, c) ==> go{A}(t, s) == t;
  lemma hung_empty{A, B}: \forall integer t, s, c; hung{A, B}(t, s, c) ==> \forall integer k;
      0 <= k < 512 ==> go{B}(c, k) == c;
  lemma hung_stop2{A, B}: pt_ok{A} ==> \forall integer t, s, c; hung{A, B}(t, s, c) ==>
      \forall integer x, v; 0 <= x < POOL_PAGES_MAX && \at(pt_level[x], A) == 2 &&
      0 <= v < VPN_MAX ==> stop2{B}(x, v) == (x == t && ix2(v) == s ? c : stop2{A}(x, v));
  lemma hung_stop3{A, B}: pt_ok{A} ==> \forall integer t, s, c; hung{A, B}(t, s, c) ==>
      \forall integer x, v; 0 <= x < POOL_PAGES_MAX && \at(pt_level[x], A) == 3 &&
      0 <= v < VPN_MAX ==> stop3{B}(x, v) ==
      (stop3{A}(x, v) == t && ix(v, \at(pt_level[t], A)) == s ? c : stop3{A}(x, v));
  lemma hung_stop{A, B}: pt_ok{A} ==> \forall integer t, s, c; hung{A, B}(t, s, c) ==>
      \forall integer r, v; own_page{A}(r, v) ==> stop{B}(r, v) ==
      (stop{A}(r, v) == t && ix(v, \at(pt_level[t], A)) == s ? c : stop{A}(r, v));
  lemma ix_any: \forall integer v, l; 0 <= v < VPN_MAX ==> 0 <= ix(v, l) < 512;
  lemma hung_zero{A, B}: \forall integer t, s, c; hung{A, B}(t, s, c) ==> \forall integer v, l;
      0 <= v < VPN_MAX ==> \at(tables[c][ix(v, l)], B) == 0;
  lemma hung_here{A, B}: pt_ok{A} ==> \forall integer t, s, c; hung{A, B}(t, s, c) ==>
      \forall integer r, v; own_page{A}(r, v) && stop{A}(r, v) == t &&
      ix(v, \at(pt_level[t], A)) == s ==>
      entry{A}(r, v) == 0 && stop{B}(r, v) == c && entry{B}(r, v) == 0;
  lemma hung_there{A, B}: pt_ok{A} ==> \forall integer t, s, c; hung{A, B}(t, s, c) ==>
      \forall integer r, v; own_page{A}(r, v) &&
      !(stop{A}(r, v) == t && ix(v, \at(pt_level[t], A)) == s) ==>
      entry{A}(r, v) == entry{B}(r, v);
  lemma hung_entry{A, B}: pt_ok{A} ==> \forall integer t, s, c; hung{A, B}(t, s, c) ==>
      \forall integer r, v; own_page{A}(r, v) ==> entry{A}(r, v) == entry{B}(r, v);
*/

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

/* The only writer of leaves: structure only. */
/*@ requires pt_ok && is_table(table) && slot < pt_own[table];
    requires no_table: pt_level[table] == 1 || !down(table, slot);
    requires leaf: !e_down(e, pt_level[table]);
    assigns tables[table][slot];
    ensures levels: levels_ok;
    ensures links: links_down;
    ensures value: tables[table][slot] == e;
    ensures same: same_links{Pre, Here}; */
static void ptab_set(uint32_t table, uint32_t slot, uint64_t e) { tables[table][slot] = e; }

void ptab_put(struct ptab_walk w, uint64_t vpn, uint64_t e)
/*@ ghost (uint32_t root) */ { ptab_set(w.table, ptab_slot(vpn, w.level), e); }

/* The only writer of entries that lead to tables: structure only. */
/*@ requires pt_ok && is_table(table) && pt_level[table] >= 2 && slot < pt_own[table];
    requires nothing: tables[table][slot] == 0;
    requires fresh: fresh(c);
    requires leads: e_down(e, pt_level[table]) && e_pfn(e) == pool_pfn + c;
    assigns tables[table][slot], pt_level[c], pt_own[c], pt_up[c], pt_at[c];
    ensures levels: levels_ok;
    ensures links: links_down;
    ensures level: pt_level[c] == pt_level[table] - 1 && pt_level[table] == \old(pt_level[table]);
    ensures hung: hung{Pre, Here}(table, slot, c); */
static void ptab_hang(uint32_t table, uint32_t slot, uint32_t c, uint64_t e)
{
    tables[table][slot] = e;
    /*@ ghost
      pt_level[c] = (uint32_t)(pt_level[table] - 1);
      pt_own[c] = 512;
      pt_up[c] = table;
      pt_at[c] = slot; */
}

struct ptab_walk ptab_link(struct ptab_walk w, uint64_t vpn, uint32_t table, uint64_t e)
/*@ ghost (uint32_t root) */
{
    struct ptab_walk further = {table, w.level - 1u};

    ptab_hang(w.table, ptab_slot(vpn, w.level), table, e);
    /*@ assert roots: \forall integer r, v; own_page(r, v) && r != table ==> own_page{Pre}(r, v); */
    /*@ assert hung: hung{Pre, Here}(w.table, ix(vpn, w.level), table); */
    /*@ assert same: \forall integer r, v; own_page{Pre}(r, v) ==>
          entry{Pre}(r, v) == entry{Here}(r, v); */
    return further;
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
    /*@ assert same: same_links{Pre, Here}; */
    /*@ assert stops: \forall integer r, v; own_page(r, v) ==>
          stop{Pre}(r, v) == stop{Here}(r, v) && 0 <= ix(v, pt_level[stop(r, v)]) < 512; */
    /*@ assert elsewhere: \forall integer t, s; 0 <= t < POOL_PAGES_MAX && t != table &&
          0 <= s < 512 ==> tables[t][s] == \at(tables[t][s], Pre); */
    return n;
}

uint32_t ptab_leaf_level(uint64_t vpn, uint64_t pfn, uint64_t pages, uint32_t max)
{
    if (max >= 3u && pages >= 0x40000u && vpn % 0x40000u == 0u && pfn % 0x40000u == 0u) return 3;
    if (max >= 2u && pages >= 512u && vpn % 512u == 0u && pfn % 512u == 0u) return 2;
    return 1;
}
