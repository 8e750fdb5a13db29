/*
 * Capability cells and CNodes: look-up, copy, mint, move, delete. A CNode is the range of cells
 * [first, first + count). May call: cap.h, cdt.h. Never touches objects: destroying what a last
 * capability names is the caller's work, before cnode_commit_delete().
 * All of it: kernel lock held. decode_* change nothing; commit_* need a decode_* that said BH_OK.
 */
#ifndef CORE_CNODE_H
#define CORE_CNODE_H

#include "err.h"
#include "cap.h"
#include "cdt.h"

/*
 * Specification. ext_* are a ghost record of what each cell's object takes of the memory of the
 * untyped or Frame it was made from: cell ext_from (0: nothing), [ext_lo, ext_hi).
 */
/*@ ghost uint32_t ext_from[POOL_CELLS]; */
/*@ ghost uint64_t ext_lo[POOL_CELLS]; */
/*@ ghost uint64_t ext_hi[POOL_CELLS]; */
/*@
  predicate is_extent(integer t) =
      t == BH_CAP_KUNTYPED || t == BH_CAP_FUNTYPED || t == BH_CAP_FRAME;

  predicate empty{L}(integer i) = c_type(cells[i].w0) == BH_CAP_NULL;

  predicate words_ok{L} = \forall integer i; live(i) ==> cells[i].w0 < CAP_WORDS;

  predicate used_ok{L} = \forall integer i; live(i) ==> (empty(i) <==> cells[i].depth == 0);

  predicate range_ok(integer t, integer a, integer b, integer c) =
      (t == BH_CAP_KUNTYPED ==> a + b <= POOL_UNITS_MAX) &&
      (t == BH_CAP_FUNTYPED || t == BH_CAP_FRAME ==> a + b <= PFN_MAX) &&
      (is_extent(t) ==> c <= b);

  predicate ranges_ok{L} = \forall integer i; live(i) ==>
      range_ok(c_type(cells[i].w0), cells[i].a, cells[i].b, cells[i].c);

  predicate attach_ok{L} = \forall integer i; live(i) ==>
      (c_type(cells[i].w0) == BH_CAP_FRAME ==> cells[i].count <= ATTACH_MAX);

  predicate taken{L}(integer k) = 0 <= k < POOL_CELLS && ext_from[k] != 0;

  predicate ext_used{L} = \forall integer k; taken(k) ==> live(k) && !empty(k);

  // what was taken lies below the watermark of its source
  predicate ext_in{L} = \forall integer k; taken(k) ==>
      live(ext_from[k]) && is_extent(c_type(cells[ext_from[k]].w0)) &&
      cells[ext_from[k]].a <= ext_lo[k] < ext_hi[k] <=
          cells[ext_from[k]].a + cells[ext_from[k]].c;

  // no two objects made from the same source overlap
  predicate ext_disjoint{L} = \forall integer i, j; taken(i) && taken(j) && i != j &&
      ext_from[i] == ext_from[j] ==> ext_hi[i] <= ext_lo[j] || ext_hi[j] <= ext_lo[i];

  // untypeds and Frames span exactly what was taken for them
  predicate ext_self{L} = \forall integer k; taken(k) && is_extent(c_type(cells[k].w0)) ==>
      cells[k].a == ext_lo[k] && cells[k].a + cells[k].b == ext_hi[k];

  predicate none_from{L}(integer u) = \forall integer k; 0 <= k < POOL_CELLS ==> ext_from[k] != u;

  predicate cells_ok{L} = words_ok && used_ok && ranges_ok && attach_ok;
  predicate ext_ok{L} = ext_used && ext_in && ext_disjoint && ext_self;
  predicate core_ok{L} = tree_ok && cells_ok && ext_ok;

  predicate t_copies(integer t) = t == BH_CAP_CNODE || t == BH_CAP_THREAD || t == BH_CAP_SC ||
      t == BH_CAP_ENDPOINT || t == BH_CAP_NTFN || t == BH_CAP_HOSTSPACE ||
      t == BH_CAP_GUESTSPACE || t == BH_CAP_VCPU || t == BH_CAP_KERNEL;
  predicate t_badges(integer t) = t == BH_CAP_ENDPOINT || t == BH_CAP_NTFN || t == BH_CAP_VCPU ||
      t == BH_CAP_THREAD;
*/
#ifdef __FRAMAC__
#define ENSURES_CORE                                                                               \
    ensures links : links_ok;                                                                      \
    ensures free : free_ok;                                                                        \
    ensures depth : depth_ok;                                                                      \
    ensures root : root_ok;                                                                        \
    ensures words : words_ok;                                                                      \
    ensures used : used_ok;                                                                        \
    ensures ranges : ranges_ok;                                                                    \
    ensures attach : attach_ok;                                                                    \
    ensures ext_used : ext_used;                                                                   \
    ensures ext_in : ext_in;                                                                       \
    ensures ext_disjoint : ext_disjoint;                                                           \
    ensures ext_self : ext_self;
#define INVARIANT_CORE                                                                             \
    loop invariant links : links_ok;                                                               \
    loop invariant free : free_ok;                                                                 \
    loop invariant depth : depth_ok;                                                               \
    loop invariant root : root_ok;                                                                 \
    loop invariant words : words_ok;                                                               \
    loop invariant used : used_ok;                                                                 \
    loop invariant ranges : ranges_ok;                                                             \
    loop invariant attach : attach_ok;                                                             \
    loop invariant ext_used : ext_used;                                                            \
    loop invariant ext_in : ext_in;                                                                \
    loop invariant ext_disjoint : ext_disjoint;                                                    \
    loop invariant ext_self : ext_self;
#endif

/** Make @count cells from @first, all zero memory, empty cells of a CNode. */
/*@ requires core_ok;
    requires range: first + count <= POOL_CELLS;
    requires fresh: \forall integer k; first <= k < first + count ==>
        cell_live[k] == 0 && cells[k].w0 == 0;
    assigns cells[first .. first + count - 1], cell_live[first .. first + count - 1];
    ensures made: \forall integer k; first <= k < first + count ==> live(k) && empty(k);
    ENSURES_CORE */
void cnode_init(uint32_t first, uint32_t count);

/** Cell of slot @slot. @return BH_ERR_SLOT: @slot >= @count. */
/*@ requires \valid(cell) && first + count <= POOL_CELLS;
    assigns *cell;
    ensures ok: \result == BH_OK <==> slot < count;
    ensures slot: \result == BH_ERR_SLOT <==> slot >= count;
    ensures cell: \result == BH_OK ==> *cell == first + slot && first <= *cell < first + count;
    ensures nochange: \result != BH_OK ==> *cell == \old(*cell); */
MUST_CHECK err_t cnode_lookup(uint32_t first, uint32_t count, uint32_t slot, uint32_t *cell);

/** Write a capability into the empty cell @dst as a child of @parent (0: root capability). */
/*@ requires core_ok;
    requires index: live(parent) && live(dst) && dst != 0;
    requires parent_in: parent == 0 || !empty(parent);
    requires limit: cells[parent].depth < CDT_DEPTH_MAX;
    requires dst_empty: empty(dst);
    requires word: w0 < CAP_WORDS && c_type(w0) != BH_CAP_NULL;
    requires range: range_ok(c_type(w0), a, b, 0);
    assigns cells[dst], cells[parent].next, cells[\at(cells[parent].next, Pre)].prev;
    ENSURES_CORE
    ensures first: cells[parent].next == dst;
    ensures below: cells[dst].depth == cells[parent].depth + 1;
    ensures word: cells[dst].w0 == w0;
    ensures payload: cells[dst].badge == badge && cells[dst].count == 0 && cells[dst].a == a &&
        cells[dst].b == b && cells[dst].c == 0 && cells[dst].d == 0; */
void cnode_commit_new(uint32_t parent, uint32_t dst, uint64_t w0, uint64_t badge, uint64_t a,
                      uint64_t b);

/**
 * Check a derivation that is a copy with at most @rights.
 *
 * @return BH_ERR_CAP source is empty; BH_ERR_RANGE rights > BH_RIGHTS_ALL; BH_ERR_RIGHTS no GRANT;
 *         BH_ERR_STATE type cannot be copied, or under revocation; BH_ERR_LIMIT tree too deep;
 *         BH_ERR_SLOT destination not empty
 */
/*@ requires core_ok && live(src) && live(dst);
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> empty(src);
    ensures range: \result == BH_ERR_RANGE <==> !empty(src) && rights > BH_RIGHTS_ALL;
    ensures rights: \result == BH_ERR_RIGHTS <==> !empty(src) && rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) == 0;
    ensures state: \result == BH_ERR_STATE <==> !empty(src) && rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 &&
        (!t_copies(c_type(cells[src].w0)) || c_frozen(cells[src].w0) != 0);
    ensures limit: \result == BH_ERR_LIMIT <==> !empty(src) && rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 && t_copies(c_type(cells[src].w0)) &&
        c_frozen(cells[src].w0) == 0 && cells[src].depth >= CDT_DEPTH_MAX;
    ensures slot: \result == BH_ERR_SLOT <==> rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 && t_copies(c_type(cells[src].w0)) &&
        c_frozen(cells[src].w0) == 0 && cells[src].depth < CDT_DEPTH_MAX && !empty(dst);
    ensures ok: \result == BH_OK <==> rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 && t_copies(c_type(cells[src].w0)) &&
        c_frozen(cells[src].w0) == 0 && cells[src].depth < CDT_DEPTH_MAX && empty(dst); */
MUST_CHECK err_t cnode_decode_copy(uint32_t src, uint32_t dst, uint32_t rights);

/** The same for a copy that gets a badge: besides, BH_ERR_STATE unless the type is ENDPOINT, NTFN,
 *  VCPU or THREAD and its badge is 0. */
/*@ requires core_ok && live(src) && live(dst);
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> empty(src);
    ensures range: \result == BH_ERR_RANGE <==> !empty(src) && rights > BH_RIGHTS_ALL;
    ensures rights: \result == BH_ERR_RIGHTS <==> !empty(src) && rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) == 0;
    ensures state: \result == BH_ERR_STATE <==> !empty(src) && rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 &&
        (!t_copies(c_type(cells[src].w0)) || c_frozen(cells[src].w0) != 0 ||
         (cells[src].depth < CDT_DEPTH_MAX && empty(dst) &&
          (!t_badges(c_type(cells[src].w0)) || cells[src].badge != 0)));
    ensures limit: \result == BH_ERR_LIMIT <==> !empty(src) && rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 && t_copies(c_type(cells[src].w0)) &&
        c_frozen(cells[src].w0) == 0 && cells[src].depth >= CDT_DEPTH_MAX;
    ensures slot: \result == BH_ERR_SLOT <==> rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 && t_copies(c_type(cells[src].w0)) &&
        c_frozen(cells[src].w0) == 0 && cells[src].depth < CDT_DEPTH_MAX && !empty(dst);
    ensures ok: \result == BH_OK <==> rights <= BH_RIGHTS_ALL &&
        c_grant(cells[src].w0) != 0 && t_badges(c_type(cells[src].w0)) &&
        c_frozen(cells[src].w0) == 0 && cells[src].depth < CDT_DEPTH_MAX && empty(dst) &&
        cells[src].badge == 0; */
MUST_CHECK err_t cnode_decode_mint(uint32_t src, uint32_t dst, uint32_t rights);

/** Copy; with @set_badge != 0 mint with @badge. */
/*@ requires core_ok && live(src) && live(dst) && dst != 0;
    requires decoded: rights <= BH_RIGHTS_ALL && t_copies(c_type(cells[src].w0)) &&
        cells[src].depth < CDT_DEPTH_MAX && empty(dst);
    assigns cells[dst], cells[src].next, cells[\at(cells[src].next, Pre)].prev;
    ENSURES_CORE
    ensures first: cells[src].next == dst;
    ensures below: cells[dst].depth == cells[src].depth + 1;
    ensures same: c_type(cells[dst].w0) == c_type(cells[src].w0) &&
        c_obj(cells[dst].w0) == c_obj(cells[src].w0);
    ensures less: subset(c_rights(cells[dst].w0), c_rights(cells[src].w0)) &&
        subset(c_rights(cells[dst].w0), rights);
    ensures thawed: c_frozen(cells[dst].w0) == 0;
    ensures badge: cells[dst].badge == (set_badge != 0 ? badge : cells[src].badge); */
void cnode_commit_copy(uint32_t src, uint32_t dst, uint32_t rights, uint64_t badge,
                       uint32_t set_badge);

/** @return BH_ERR_CAP source empty; BH_ERR_STATE under revocation; BH_ERR_SLOT destination not
 *  empty */
/*@ requires core_ok && live(src) && live(dst);
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> empty(src);
    ensures state: \result == BH_ERR_STATE <==> !empty(src) && c_frozen(cells[src].w0) != 0;
    ensures slot: \result == BH_ERR_SLOT <==> !empty(src) && c_frozen(cells[src].w0) == 0 &&
        !empty(dst);
    ensures ok: \result == BH_OK <==> !empty(src) && c_frozen(cells[src].w0) == 0 && empty(dst); */
MUST_CHECK err_t cnode_decode_move(uint32_t src, uint32_t dst);
/*@ requires core_ok && live(src) && live(dst) && dst != 0;
    requires decoded: !empty(src) && empty(dst);
    assigns cells[src], cells[dst], cells[\at(cells[src].prev, Pre)].next,
            cells[\at(cells[src].next, Pre)].prev, ext_from[0 .. POOL_CELLS - 1], ext_lo[dst],
            ext_hi[dst];
    ENSURES_CORE
    ensures emptied: empty(src) && cells[src].badge == 0 && cells[src].a == 0 &&
        cells[src].b == 0 && cells[src].c == 0 && cells[src].d == 0 && cells[src].count == 0;
    ensures word: cells[dst].w0 == \old(cells[src].w0);
    ensures place: cells[dst].depth == \old(cells[src].depth);
    ensures payload: cells[dst].badge == \old(cells[src].badge) &&
        cells[dst].count == \old(cells[src].count) && cells[dst].a == \old(cells[src].a) &&
        cells[dst].b == \old(cells[src].b) && cells[dst].c == \old(cells[src].c) &&
        cells[dst].d == \old(cells[src].d); */
void cnode_commit_move(uint32_t src, uint32_t dst);

/** @return BH_ERR_CAP empty; BH_ERR_BUSY something is derived from it */
/*@ requires core_ok && live(cell);
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> empty(cell);
    ensures busy: \result == BH_ERR_BUSY <==> !empty(cell) && !childless(cell);
    ensures ok: \result == BH_OK <==> !empty(cell) && childless(cell); */
MUST_CHECK err_t cnode_decode_delete(uint32_t cell);
/*@ requires core_ok && live(cell);
    requires decoded: !empty(cell) && childless(cell);
    requires nothing_from: none_from(cell);
    assigns cells[cell], cells[\at(cells[cell].prev, Pre)].next,
            cells[\at(cells[cell].next, Pre)].prev, ext_from[cell];
    ENSURES_CORE
    ensures emptied: empty(cell) && cells[cell].badge == 0 && cells[cell].a == 0 &&
        cells[cell].b == 0 && cells[cell].c == 0 && cells[cell].d == 0 && cells[cell].count == 0;
    ensures released: ext_from[cell] == 0; */
void cnode_commit_delete(uint32_t cell);

/** Set or clear the mark that a revocation is under way. */
/*@ requires core_ok && live(cell);
    assigns cells[cell].w0;
    ENSURES_CORE
    ensures set: c_frozen(cells[cell].w0) == 1;
    ensures rest: c_rights(cells[cell].w0) == \old(c_rights(cells[cell].w0)) &&
        c_obj(cells[cell].w0) == \old(c_obj(cells[cell].w0)); */
void cnode_commit_freeze(uint32_t cell);
/*@ requires core_ok && live(cell);
    assigns cells[cell].w0;
    ENSURES_CORE
    ensures set: c_frozen(cells[cell].w0) == 0;
    ensures rest: c_rights(cells[cell].w0) == \old(c_rights(cells[cell].w0)) &&
        c_obj(cells[cell].w0) == \old(c_obj(cells[cell].w0)); */
void cnode_commit_thaw(uint32_t cell);

#endif
