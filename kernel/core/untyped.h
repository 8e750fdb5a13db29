/*
 * Untyped memory: the only source of kernel objects and Frames. Each untyped hands its memory out
 * upwards from its base; what lies above the watermark is clean (all zero). May call: cap.h, cdt.h,
 * cnode.h, epoch.h. Never touches the memory itself: zeroing it is the caller's, between
 * untyped_scrub_count() and untyped_commit_scrubbed().
 * All of it: kernel lock held. KUNTYPED counts in units of 64 bytes, FUNTYPED in pages.
 */
#ifndef CORE_UNTYPED_H
#define CORE_UNTYPED_H

#include "err.h"
#include "cnode.h"
#include "epoch.h"

#define RETYPE_ALIGN_BITS_MAX 18u /* 1 GiB */

/** What untyped_commit_retype() will do. Made by untyped_decode_retype() only. */
struct retype_plan {
    uint32_t ut;        /* source cell */
    uint32_t type;      /* enum bh_cap_type */
    uint32_t count;     /* capabilities to make: cells dst .. dst + count - 1 */
    uint32_t dst;       /* first destination cell */
    uint64_t start;     /* where the first lies, in units or pages of the source */
    uint64_t obj_units; /* size of each */
    uint64_t obj;       /* object index of the first */
    uint64_t obj_step;  /* from one object index to the next */
    uint64_t a, b;      /* payload of the new cells */
};

/*@
  logic integer p2(integer b) =
      b == 0 ? 0x1 : b == 1 ? 0x2 : b == 2 ? 0x4 : b == 3 ? 0x8 : b == 4 ? 0x10 :
      b == 5 ? 0x20 : b == 6 ? 0x40 : b == 7 ? 0x80 : b == 8 ? 0x100 : b == 9 ? 0x200 :
      b == 10 ? 0x400 : b == 11 ? 0x800 : b == 12 ? 0x1000 : b == 13 ? 0x2000 :
      b == 14 ? 0x4000 : b == 15 ? 0x8000 : b == 16 ? 0x10000 : b == 17 ? 0x20000 : 0x40000;

  predicate t_untyped(integer t) = t == BH_CAP_KUNTYPED || t == BH_CAP_FUNTYPED;
  predicate t_space(integer t) = t == BH_CAP_HOSTSPACE || t == BH_CAP_GUESTSPACE;
  // a count of pages makes one object
  predicate t_pages(integer t) = is_extent(t) || t_space(t);

  // size of one object (of extents and spaces: of one page) in units or pages of the source;
  // 0: not allowed
  logic integer u_kernel(integer t, integer b) =
      t == BH_CAP_CNODE ? (4 <= b <= 16 ? p2(b) : 0) :
      b != 0 ? 0 :
      t == BH_CAP_KUNTYPED || t == BH_CAP_HOSTSPACE || t == BH_CAP_GUESTSPACE ? 64 :
      t == BH_CAP_THREAD ? 8 : t == BH_CAP_SC ? 4 :
      t == BH_CAP_ENDPOINT ? 1 : t == BH_CAP_NTFN ? 1 : t == BH_CAP_VCPU ? 256 : 0;
  logic integer u_units(integer from, integer t, integer b) =
      from == BH_CAP_KUNTYPED ? u_kernel(t, b) :
      t != BH_CAP_FUNTYPED && t != BH_CAP_FRAME ? 0 : b <= 18 ? 1 : 0;
  logic integer u_align(integer from, integer t, integer b) =
      from == BH_CAP_FUNTYPED ? p2(b) : u_units(from, t, b);
  logic integer u_min(integer t) = t == BH_CAP_HOSTSPACE ? BH_HOSTSPACE_MIN_PAGES :
      t == BH_CAP_GUESTSPACE ? BH_GUESTSPACE_MIN_PAGES : 1;
  logic integer u_max(integer t, integer units) =
      t == BH_CAP_KUNTYPED ? POOL_PAGES_MAX :
      t == BH_CAP_FUNTYPED || t == BH_CAP_FRAME ? PFN_MAX :
      t == BH_CAP_HOSTSPACE || t == BH_CAP_GUESTSPACE ? BH_SPACE_MAX_PAGES :
      t == BH_CAP_CNODE && CNODE_SLOTS_MAX / units < RETYPE_MAX ? CNODE_SLOTS_MAX / units :
      RETYPE_MAX;
  logic integer u_cells(integer t, integer count) =
      t == BH_CAP_KUNTYPED || t == BH_CAP_FUNTYPED || t == BH_CAP_FRAME ||
      t == BH_CAP_HOSTSPACE || t == BH_CAP_GUESTSPACE ? 1 : count;
  logic integer up(integer x, integer a) = x % a == 0 ? x : x + (a - x % a);
  // first free unit or page
  logic integer mark{L}(integer ut) = cells[ut].a + cells[ut].c;
  logic integer limit{L}(integer ut) = cells[ut].a + cells[ut].b;

  predicate source_ok{L}(integer ut) = t_untyped(c_type(cells[ut].w0)) &&
      c_grant(cells[ut].w0) != 0 && c_frozen(cells[ut].w0) == 0 &&
      cells[ut].depth < CDT_DEPTH_MAX;
  predicate shape_ok(integer from, integer t, integer b, integer count) =
      u_units(from, t, b) != 0 && u_min(t) <= count <= u_max(t, u_units(from, t, b));
  predicate all_empty{L}(integer dst, integer n) =
      \forall integer k; dst <= k < dst + n ==> empty(k);
  predicate fits{L}(integer ut, integer t, integer b, integer count) =
      up(mark(ut), u_align(c_type(cells[ut].w0), t, b)) +
          count * u_units(c_type(cells[ut].w0), t, b) <= limit(ut);

  predicate plan_place{L}(struct retype_plan p) =
      live(p.ut) && t_untyped(c_type(cells[p.ut].w0)) && cells[p.ut].depth < CDT_DEPTH_MAX &&
      0 < p.count <= RETYPE_MAX && 0 < p.dst && p.dst + p.count <= POOL_CELLS &&
      (\forall integer k; p.dst <= k < p.dst + p.count ==> live(k) && empty(k));
  predicate plan_extent{L}(struct retype_plan p) =
      0 < p.obj_units <= PFN_MAX && mark(p.ut) <= p.start &&
      p.start + p.count * p.obj_units <= limit(p.ut);
  predicate plan_shape{L}(struct retype_plan p) =
      0 < p.type < BH_CAP_NTYPES &&
      (is_extent(p.type) ==> p.count == 1 && p.a == p.start && p.b == p.obj_units) &&
      (p.type == BH_CAP_KUNTYPED ==> c_type(cells[p.ut].w0) == BH_CAP_KUNTYPED) &&
      (!is_extent(p.type) ==> p.obj_units <= BH_SPACE_MAX_PAGES * PAGE_UNITS) &&
      p.obj <= POOL_UNITS_MAX && p.obj_step <= BH_SPACE_MAX_PAGES * PAGE_UNITS;
  // the new cells take one piece after the other
  predicate taken_row{L}(struct retype_plan p) =
      ext_lo[p.dst] == p.start &&
      (\forall integer j; p.dst <= j < p.dst + p.count ==>
          ext_from[j] == p.ut && ext_hi[j] == ext_lo[j] + p.obj_units) &&
      (\forall integer j; p.dst < j < p.dst + p.count ==> ext_lo[j] == ext_hi[j - 1]);
  // the object index times the object's size is where it lies
  predicate plan_index(struct retype_plan p) =
      (p.type == BH_CAP_CNODE ==> p.obj == p.start && p.obj_step == p.obj_units == p.a) &&
      (t_space(p.type) ==> p.obj == p.start / PAGE_UNITS && p.start % PAGE_UNITS == 0 &&
          p.a * PAGE_UNITS == p.obj_units && p.count == 1) &&
      (!is_extent(p.type) && p.type != BH_CAP_CNODE && !t_space(p.type) ==>
          p.obj * p.obj_units == p.start && p.obj_step == 1);
*/

/**
 * Check a retype request; changes nothing.
 *
 * @param ut        source cell
 * @param type      object type: from a KUNTYPED: KUNTYPED, CNODE, THREAD, SC, ENDPOINT, NTFN,
 *                  HOSTSPACE, GUESTSPACE, VCPU; from a FUNTYPED: FUNTYPED, FRAME
 * @param size_bits CNODE: log2 slots; FUNTYPED, FRAME: log2 of the alignment in pages (0..18);
 *                  else 0
 * @param count     objects (1..RETYPE_MAX; all CNodes together <= CNODE_SLOTS_MAX slots), or pages
 *                  of the one FRAME, FUNTYPED, KUNTYPED, HOSTSPACE
 *                  (BH_HOSTSPACE_MIN_PAGES..BH_SPACE_MAX_PAGES) or GUESTSPACE
 *                  (from BH_GUESTSPACE_MIN_PAGES)
 * @param dst       first destination cell, @dst_avail = cells there up to the CNode's end
 * @param[out] p    the plan; written on success only
 * @return BH_ERR_CAP not an untyped; BH_ERR_RIGHTS no GRANT; BH_ERR_STATE under revocation;
 *         BH_ERR_LIMIT tree too deep; BH_ERR_RANGE type, size or count; BH_ERR_SLOT destination
 *         ends too early or is not empty; BH_ERR_MEMORY not so much left above the watermark
 */
/*@ requires core_ok && live(ut);
    requires room: 0 < dst && dst + dst_avail <= POOL_CELLS &&
        \forall integer k; dst <= k < dst + dst_avail ==> live(k);
    requires out: \valid(p) && \separated(p, &cells[0 .. POOL_CELLS - 1], &cell_live[0 .. POOL_CELLS
   - 1], &ext_from[0 .. POOL_CELLS - 1], &ext_lo[0 .. POOL_CELLS - 1], &ext_hi[0 .. POOL_CELLS -
   1]); assigns *p; ensures cap: \result == BH_ERR_CAP <==> !t_untyped(c_type(cells[ut].w0));
    ensures rights: \result == BH_ERR_RIGHTS <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) == 0;
    ensures state: \result == BH_ERR_STATE <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) != 0 && c_frozen(cells[ut].w0) != 0;
    ensures limit: \result == BH_ERR_LIMIT <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) != 0 && c_frozen(cells[ut].w0) == 0 &&
        cells[ut].depth >= CDT_DEPTH_MAX;
    ensures range: \result == BH_ERR_RANGE <==> source_ok(ut) &&
        !shape_ok(c_type(cells[ut].w0), type, size_bits, count);
    ensures slot: \result == BH_ERR_SLOT <==> source_ok(ut) &&
        shape_ok(c_type(cells[ut].w0), type, size_bits, count) &&
        (u_cells(type, count) > dst_avail || !all_empty(dst, u_cells(type, count)));
    ensures memory: \result == BH_ERR_MEMORY <==> source_ok(ut) &&
        shape_ok(c_type(cells[ut].w0), type, size_bits, count) &&
        u_cells(type, count) <= dst_avail && all_empty(dst, u_cells(type, count)) &&
        !fits(ut, type, size_bits, count);
    ensures ok: \result == BH_OK <==> source_ok(ut) &&
        shape_ok(c_type(cells[ut].w0), type, size_bits, count) &&
        u_cells(type, count) <= dst_avail && all_empty(dst, u_cells(type, count)) &&
        fits(ut, type, size_bits, count);
    ensures nochange: \result != BH_OK ==> *p == \old(*p);
    ensures what: \result == BH_OK ==> p->ut == ut && p->type == type && p->dst == dst &&
        p->count == u_cells(type, count) &&
        p->start == up(mark(ut), u_align(c_type(cells[ut].w0), type, size_bits));
    ensures place: \result == BH_OK ==> plan_place(*p);
    ensures extent: \result == BH_OK ==> plan_extent(*p);
    ensures shape: \result == BH_OK ==> plan_shape(*p);
    ensures index: \result == BH_OK ==> plan_index(*p); */
MUST_CHECK err_t untyped_decode_retype(uint32_t ut, uint32_t type, uint32_t size_bits,
                                       uint64_t count, uint32_t dst, uint32_t dst_avail,
                                       struct retype_plan *p);

/** Carry out a plan that decode has accepted. Cannot fail. */
/*@ requires core_ok;
    requires plan: \valid_read(p) && \separated(p, &cells[0 .. POOL_CELLS - 1], &cell_live[0 ..
   POOL_CELLS - 1], &ext_from[0 .. POOL_CELLS - 1], &ext_lo[0 .. POOL_CELLS - 1], &ext_hi[0 ..
   POOL_CELLS - 1]); requires decoded: plan_place(*p) && plan_extent(*p) && plan_shape(*p); assigns
   cells[p->ut].c, cells[p->ut].d, cells[p->ut].next, cells[\at(cells[p->ut].next, Pre)].prev,
            cells[p->dst .. p->dst + p->count - 1], ext_from[p->dst .. p->dst + p->count - 1],
            ext_lo[p->dst .. p->dst + p->count - 1], ext_hi[p->dst .. p->dst + p->count - 1];
    ENSURES_CORE
    ensures mark: \let q = \old(*p); mark(q.ut) == q.start + q.count * q.obj_units;
    ensures epoch: cells[\old(p->ut)].d == 0;
    ensures taken: \let q = \old(*p); taken_row(q); */
void untyped_commit_retype(const struct retype_plan *p);

/** Units or pages left above the watermark (before alignment). */
/*@ requires core_ok && live(ut) && t_untyped(c_type(cells[ut].w0));
    assigns \nothing;
    ensures value: \result == limit(ut) - mark(ut); */
uint64_t untyped_left(uint32_t ut);

/**
 * Scrub, in this order, all under one lock or restarted from decode at any point:
 *   e = untyped_decode_scrub(ut)            anything but BH_OK ends it
 *   if (untyped_scrub_owed(ut)) untyped_commit_charge(ut), make the CPUs flush
 *   if (!epoch_passed(cells[ut].d)) BH_ERR_BUSY
 *   n = untyped_scrub_count(ut, max); zero [untyped_scrub_first(ut, n), + n)
 *   untyped_commit_scrubbed(ut, n); n == 0 or cells[ut].c == 0: done, else BH_ERR_PREEMPTED
 *
 * @return BH_ERR_CAP not an untyped; BH_ERR_RIGHTS no GRANT; BH_ERR_BUSY something is derived
 */
/*@ requires core_ok && live(ut);
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> !t_untyped(c_type(cells[ut].w0));
    ensures rights: \result == BH_ERR_RIGHTS <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) == 0;
    ensures busy: \result == BH_ERR_BUSY <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) != 0 && !childless(ut);
    ensures ok: \result == BH_OK <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) != 0 && childless(ut); */
MUST_CHECK err_t untyped_decode_scrub(uint32_t ut);
/** 1 if there is something to clean and no epoch has been charged for it yet. */
/*@ requires live(ut);
    assigns \nothing;
    ensures value: \result != 0 <==> cells[ut].c != 0 && cells[ut].d == 0; */
uint32_t untyped_scrub_owed(uint32_t ut);
/** Charge the epoch that must pass before the memory is touched. */
/*@ requires core_ok && live(ut) && t_untyped(c_type(cells[ut].w0));
    requires clock: epoch_now < 0xffffffffffffffff;
    assigns cells[ut].d, epoch_now;
    ENSURES_CORE
    ensures charged: cells[ut].d == epoch_now == \old(epoch_now) + 1; */
void untyped_commit_charge(uint32_t ut);
/** How much of the top below the watermark to clean now: at most @max. */
/*@ requires live(ut);
    assigns \nothing;
    ensures value: \result == \min(cells[ut].c, max); */
uint64_t untyped_scrub_count(uint32_t ut, uint64_t max);
/** Where the @n topmost units (KUNTYPED: unit index in the pool) or pages (FUNTYPED: page frame
 *  number) below the watermark begin. */
/*@ requires core_ok && live(ut) && t_untyped(c_type(cells[ut].w0));
    requires counted: n <= cells[ut].c;
    assigns \nothing;
    ensures value: \result == mark(ut) - n;
    ensures inside: cells[ut].a <= \result <= limit(ut) - n; */
uint64_t untyped_scrub_first(uint32_t ut, uint64_t n);
/** The @n topmost are clean now. */
/*@ requires core_ok && live(ut) && t_untyped(c_type(cells[ut].w0));
    requires counted: n <= cells[ut].c;
    requires decoded: childless(ut);
    requires nothing_from: none_from(ut);
    assigns cells[ut].c, cells[ut].d;
    ENSURES_CORE
    ensures lower: cells[ut].c == \old(cells[ut].c) - n;
    ensures epoch: cells[ut].d == (cells[ut].c == 0 ? 0 : \old(cells[ut].d)); */
void untyped_commit_scrubbed(uint32_t ut, uint64_t n);

#endif
