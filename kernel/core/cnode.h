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

/** Make @count cells from @first, all zero memory, empty cells of a CNode. */
void cnode_init(uint32_t first, uint32_t count);

/** Cell of slot @slot. @return BH_ERR_SLOT: @slot >= @count. */
MUST_CHECK err_t cnode_lookup(uint32_t first, uint32_t count, uint32_t slot, uint32_t *cell);

/** Write a capability into the empty cell @dst as a child of @parent (0: root capability). */
void cnode_commit_new(uint32_t parent, uint32_t dst, uint64_t w0, uint64_t badge, uint64_t a,
                      uint64_t b);

/**
 * Check a derivation that is a copy with at most @rights.
 *
 * @return BH_ERR_CAP source is empty; BH_ERR_RANGE rights > BH_RIGHTS_ALL; BH_ERR_RIGHTS no GRANT;
 *         BH_ERR_STATE type cannot be copied, or under revocation; BH_ERR_LIMIT tree too deep;
 *         BH_ERR_SLOT destination not empty
 */
MUST_CHECK err_t cnode_decode_copy(uint32_t src, uint32_t dst, uint32_t rights);

/** The same for a copy that gets a badge: besides, BH_ERR_STATE unless the type is ENDPOINT, NTFN,
 *  VCPU or THREAD and its badge is 0. */
MUST_CHECK err_t cnode_decode_mint(uint32_t src, uint32_t dst, uint32_t rights);

/** Copy; with @set_badge != 0 mint with @badge. */
void cnode_commit_copy(uint32_t src, uint32_t dst, uint32_t rights, uint64_t badge,
                       uint32_t set_badge);

/** @return BH_ERR_CAP source empty; BH_ERR_STATE under revocation; BH_ERR_SLOT destination not
 *  empty */
MUST_CHECK err_t cnode_decode_move(uint32_t src, uint32_t dst);
void cnode_commit_move(uint32_t src, uint32_t dst);

/** @return BH_ERR_CAP empty; BH_ERR_BUSY something is derived from it */
MUST_CHECK err_t cnode_decode_delete(uint32_t cell);
void cnode_commit_delete(uint32_t cell);

/** Set or clear the mark that a revocation is under way. */
void cnode_commit_freeze(uint32_t cell);
void cnode_commit_thaw(uint32_t cell);

#endif
