/*
 * Frames: extents of physical pages, who may still reach them, and what flush they owe. A Frame
 * either is attached to spaces or is carved into child Frames, never both. May call: cap.h, cdt.h,
 * cnode.h, epoch.h. Never touches page tables: clearing entries is the caller's, before
 * frame_commit_detach().
 * All of it: kernel lock held. decode_* change nothing; commit_* need a decode_* that said BH_OK.
 */
#ifndef CORE_FRAME_H
#define CORE_FRAME_H

#include "err.h"
#include "cnode.h"
#include "epoch.h"

/*@
  predicate is_frame{L}(integer f) = live(f) && c_type(cells[f].w0) == BH_CAP_FRAME;
  predicate frame_rights{L}(integer f) =
      c_type(cells[f].w0) == BH_CAP_FRAME && c_grant(cells[f].w0) != 0;
  predicate frame_thawed{L}(integer f) = frame_rights(f) && c_frozen(cells[f].w0) == 0;
  predicate usable{L}(integer f) = frame_thawed(f) && cells[f].depth < CDT_DEPTH_MAX;
  predicate t_space_cap(integer t) = t == BH_CAP_HOSTSPACE || t == BH_CAP_GUESTSPACE;
  predicate space_grants{L}(integer s) =
      t_space_cap(c_type(cells[s].w0)) && c_grant(cells[s].w0) != 0;
  // not carved
  predicate attachable{L}(integer f) = cells[f].count != 0 || childless(f);
  predicate carve_range{L}(integer f, integer offset, integer pages) =
      0 < pages && offset + pages <= cells[f].b;
  predicate carve_state{L}(integer f, integer offset) =
      cells[f].count == 0 && (childless(f) || offset >= cells[f].c);
  // nothing that still is in a TLB can reach the Frame
  predicate paid{L}(integer f) = epoch_done(cells[f].d);
*/

/**
 * Check taking the extent [@offset, @offset + @pages) out of a Frame as a child Frame. Extents are
 * taken in ascending order; when all children are gone, it begins anew.
 *
 * @return BH_ERR_CAP not a Frame; BH_ERR_RIGHTS no GRANT; BH_ERR_RANGE no pages, or beyond its end;
 *         BH_ERR_STATE under revocation, attached, or below what is carved out already;
 *         BH_ERR_LIMIT tree too deep; BH_ERR_BUSY a flush is owed; BH_ERR_SLOT destination not
 *         empty
 */
/*@ requires core_ok && live(frame) && live(dst) && epoch_cpus <= BH_MAX_CPUS;
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> c_type(cells[frame].w0) != BH_CAP_FRAME;
    ensures rights: \result == BH_ERR_RIGHTS <==>
        c_type(cells[frame].w0) == BH_CAP_FRAME && c_grant(cells[frame].w0) == 0;
    ensures limit: \result == BH_ERR_LIMIT <==> frame_thawed(frame) && !usable(frame);
    ensures range: \result == BH_ERR_RANGE <==> usable(frame) &&
        !carve_range(frame, offset, pages);
    ensures state: \result == BH_ERR_STATE <==> (frame_rights(frame) && !frame_thawed(frame)) ||
        (usable(frame) && carve_range(frame, offset, pages) && !carve_state(frame, offset));
    ensures busy: \result == BH_ERR_BUSY <==> usable(frame) &&
        carve_range(frame, offset, pages) && carve_state(frame, offset) && !paid(frame);
    ensures slot: \result == BH_ERR_SLOT <==> usable(frame) &&
        carve_range(frame, offset, pages) && carve_state(frame, offset) && paid(frame) &&
        !empty(dst);
    ensures ok: \result == BH_OK <==> usable(frame) && carve_range(frame, offset, pages) &&
        carve_state(frame, offset) && paid(frame) && empty(dst); */
MUST_CHECK err_t frame_decode_carve(uint32_t frame, uint64_t offset, uint64_t pages, uint32_t dst);
/*@ requires core_ok && live(frame) && live(dst) && dst != 0;
    requires decoded: c_type(cells[frame].w0) == BH_CAP_FRAME &&
        cells[frame].depth < CDT_DEPTH_MAX && carve_range(frame, offset, pages) &&
        carve_state(frame, offset) && empty(dst);
    requires nothing_from: childless(frame) ==> none_from(frame);
    assigns cells[frame].c, cells[frame].next, cells[\at(cells[frame].next, Pre)].prev, cells[dst],
            ext_from[dst], ext_lo[dst], ext_hi[dst];
    ENSURES_CORE
    ensures child: c_type(cells[dst].w0) == BH_CAP_FRAME && cells[dst].b == pages &&
        cells[dst].a == cells[frame].a + offset && cells[dst].depth == cells[frame].depth + 1;
    ensures rights: c_rights(cells[dst].w0) == c_rights(cells[frame].w0);
    ensures clean: cells[dst].count == 0 && cells[dst].c == 0 && cells[dst].d == 0;
    ensures mark: cells[frame].c == offset + pages;
    ensures taken: ext_from[dst] == frame && ext_lo[dst] == cells[frame].a + offset &&
        ext_hi[dst] == ext_lo[dst] + pages; */
void frame_commit_carve(uint32_t frame, uint64_t offset, uint64_t pages, uint32_t dst);

/**
 * Check deriving the authority to map a Frame into a space.
 *
 * @param space cell of a HOSTSPACE or GUESTSPACE capability with GRANT
 * @param mask  rights that the attachment may have at most
 * @return BH_ERR_CAP not a Frame, or not a space; BH_ERR_RIGHTS one lacks GRANT; BH_ERR_RANGE mask;
 *         BH_ERR_STATE under revocation or carved; BH_ERR_LIMIT ATTACH_MAX reached or tree too
 *         deep; BH_ERR_BUSY a flush is owed; BH_ERR_SLOT destination not empty
 */
/*@ requires core_ok && live(frame) && live(space) && live(dst) && epoch_cpus <= BH_MAX_CPUS;
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> c_type(cells[frame].w0) != BH_CAP_FRAME ||
        (usable(frame) && !t_space_cap(c_type(cells[space].w0)));
    ensures rights: \result == BH_ERR_RIGHTS <==>
        (c_type(cells[frame].w0) == BH_CAP_FRAME && c_grant(cells[frame].w0) == 0) ||
        (usable(frame) && t_space_cap(c_type(cells[space].w0)) && c_grant(cells[space].w0) == 0);
    ensures range: \result == BH_ERR_RANGE <==> usable(frame) && space_grants(space) &&
        mask > BH_RIGHTS_ALL;
    ensures state: \result == BH_ERR_STATE <==> (frame_rights(frame) && !frame_thawed(frame)) ||
        (usable(frame) && space_grants(space) && mask <= BH_RIGHTS_ALL && !attachable(frame));
    ensures limit: \result == BH_ERR_LIMIT <==> (frame_thawed(frame) && !usable(frame)) ||
        (usable(frame) && space_grants(space) && mask <= BH_RIGHTS_ALL && attachable(frame) &&
         cells[frame].count >= ATTACH_MAX);
    ensures busy: \result == BH_ERR_BUSY <==> usable(frame) && space_grants(space) &&
        mask <= BH_RIGHTS_ALL && attachable(frame) && cells[frame].count < ATTACH_MAX &&
        !paid(frame);
    ensures slot: \result == BH_ERR_SLOT <==> usable(frame) && space_grants(space) &&
        mask <= BH_RIGHTS_ALL && attachable(frame) && cells[frame].count < ATTACH_MAX &&
        paid(frame) && !empty(dst);
    ensures ok: \result == BH_OK <==> usable(frame) && space_grants(space) &&
        mask <= BH_RIGHTS_ALL && attachable(frame) && cells[frame].count < ATTACH_MAX &&
        paid(frame) && empty(dst); */
MUST_CHECK err_t frame_decode_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst);

/** The new ATTACH: object index = the space's, badge = its type, a and b = the Frame's, c = 0. */
/*@ requires core_ok && live(frame) && live(space) && live(dst) && dst != 0;
    requires decoded: c_type(cells[frame].w0) == BH_CAP_FRAME &&
        cells[frame].depth < CDT_DEPTH_MAX && t_space_cap(c_type(cells[space].w0)) &&
        mask <= BH_RIGHTS_ALL && cells[frame].count < ATTACH_MAX && empty(dst);
    assigns cells[frame].count, cells[frame].next, cells[\at(cells[frame].next, Pre)].prev,
            cells[dst];
    ENSURES_CORE
    ensures counted: cells[frame].count == \old(cells[frame].count) + 1;
    ensures type: c_type(cells[dst].w0) == BH_CAP_ATTACH;
    ensures space: c_obj(cells[dst].w0) == c_obj(cells[space].w0) &&
        cells[dst].badge == c_type(cells[space].w0);
    ensures less: subset(c_rights(cells[dst].w0), c_rights(cells[frame].w0)) &&
        subset(c_rights(cells[dst].w0), mask);
    ensures extent: cells[dst].a == cells[frame].a && cells[dst].b == cells[frame].b;
    ensures below: cells[dst].depth == cells[frame].depth + 1; */
void frame_commit_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst);

/** @return BH_ERR_CAP not an attachment; BH_ERR_STATE it does not stand below a Frame (cannot
 *  happen) */
/*@ requires core_ok && live(attach);
    requires out: \valid(frame) && \separated(frame, &cells[0 .. POOL_CELLS - 1],
        &cell_live[0 .. POOL_CELLS - 1]);
    assigns *frame;
    ensures cap: \result == BH_ERR_CAP <==> c_type(cells[attach].w0) != BH_CAP_ATTACH;
    ensures ok: \result == BH_OK ==> is_frame(*frame) && cells[*frame].count > 0 &&
        cells[*frame].depth + 1 == cells[attach].depth;
    ensures state: \result == BH_ERR_STATE ==> c_type(cells[attach].w0) == BH_CAP_ATTACH;
    ensures only: \result \in {BH_OK, BH_ERR_CAP, BH_ERR_STATE};
    ensures nochange: \result != BH_OK ==> *frame == \old(*frame); */
MUST_CHECK err_t frame_decode_detach(uint32_t attach, uint32_t *frame);
/** Delete the ATTACH whose entries have all been cleared: the Frame now owes the flush. */
/*@ requires core_ok && live(attach) && is_frame(frame);
    requires decoded: c_type(cells[attach].w0) == BH_CAP_ATTACH && cells[frame].count > 0;
    requires leaf: childless(attach);
    requires nothing_from: none_from(attach);
    requires clock: epoch_now < 0xffffffffffffffff;
    assigns cells[attach], cells[\at(cells[attach].prev, Pre)].next,
            cells[\at(cells[attach].next, Pre)].prev, cells[frame].count, cells[frame].d,
            epoch_now, ext_from[attach];
    ENSURES_CORE
    ensures emptied: empty(attach);
    ensures counted: cells[frame].count == \old(cells[frame].count) - 1;
    ensures owes: cells[frame].d == epoch_now > \old(epoch_now); */
void frame_commit_detach(uint32_t attach, uint32_t frame);

/** @return BH_ERR_CAP not a Frame; BH_ERR_BUSY attached, carved, or a flush is owed */
/*@ requires core_ok && live(frame) && epoch_cpus <= BH_MAX_CPUS;
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> c_type(cells[frame].w0) != BH_CAP_FRAME;
    ensures busy: \result == BH_ERR_BUSY <==> is_frame(frame) &&
        (!childless(frame) || cells[frame].count != 0 || !paid(frame));
    ensures ok: \result == BH_OK <==> is_frame(frame) && childless(frame) &&
        cells[frame].count == 0 && paid(frame); */
MUST_CHECK err_t frame_decode_delete(uint32_t frame);
/*@ requires core_ok && is_frame(frame);
    requires decoded: childless(frame) && cells[frame].count == 0;
    requires nothing_from: none_from(frame);
    assigns cells[frame], cells[\at(cells[frame].prev, Pre)].next,
            cells[\at(cells[frame].next, Pre)].prev, ext_from[frame];
    ENSURES_CORE
    ensures emptied: empty(frame);
    ensures released: ext_from[frame] == 0; */
void frame_commit_delete(uint32_t frame);

#endif
