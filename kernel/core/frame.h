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
#include "types.h"

/**
 * Check taking the extent [@offset, @offset + @pages) out of a Frame as a child Frame. Extents are
 * taken in ascending order; when all children are gone, it begins anew.
 *
 * @return BH_ERR_CAP not a Frame; BH_ERR_RIGHTS no GRANT; BH_ERR_RANGE no pages, or beyond its end;
 *         BH_ERR_STATE under revocation, attached, or below what is carved out already;
 *         BH_ERR_LIMIT tree too deep; BH_ERR_BUSY a flush is owed; BH_ERR_SLOT destination not
 *         empty
 */
MUST_CHECK err_t frame_decode_carve(uint32_t frame, uint64_t offset, uint64_t pages, uint32_t dst);
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
MUST_CHECK err_t frame_decode_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst);

/** The new ATTACH: object index = the space's, badge = its type, a and b = the Frame's, c = 0. */
void frame_commit_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst);

/** @return BH_ERR_CAP not an attachment; BH_ERR_STATE it does not stand below a Frame (cannot
 *  happen) */
MUST_CHECK err_t frame_decode_detach(uint32_t attach, uint32_t *frame);
/** Delete the ATTACH whose entries have all been cleared: the Frame now owes the flush. */
void frame_commit_detach(uint32_t attach, uint32_t frame);

/** @return BH_ERR_CAP not a Frame; BH_ERR_BUSY attached, carved, or a flush is owed */
MUST_CHECK err_t frame_decode_delete(uint32_t frame);
void frame_commit_delete(uint32_t frame);

#endif
