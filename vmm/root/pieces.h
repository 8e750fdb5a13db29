/*
 * The memory of elastic VMs: pieces of 2 MiB, each a FrameUntyped of its own, which are root's for
 * good and are with one VM or free, and clean, at any time (bulkhead/pieces.h). Whose a piece is
 * stands here; what a monitor writes is a hint. May call: capabilities, the log.
 */
#ifndef VMM_ROOT_PIECES_H
#define VMM_ROOT_PIECES_H

#include "vm.h"

#define PIECES_MAX (MANIFEST_MAX_ALL_ELASTIC_MIB / 2u)

void pieces_init(struct vm *vms, unsigned count);

/** Pieces that nobody has; that there is room to make in so much of an untyped, at least; both. */
uint64_t pieces_pooled(void);
uint64_t pieces_in(uint64_t bytes);
uint64_t pieces_free(void);

/** So many of those are not for VMs that run. */
void pieces_reserve(uint64_t count);

/** All that the VM can have, mapped, while it is made. @return false: said why; what it has is for
 *  pieces_take_all() */
bool pieces_give_all(struct vm *vm);
/** All that it has; its threads have ended. @return BH_OK or the kernel's error */
uint64_t pieces_take_all(struct vm *vm);

/** Take what monitors offer and give what they want, a few at a time. @return true: there is more to
 *  do at once */
bool pieces_poll(void);

/** When a piece moved last, TSC. */
uint64_t pieces_moved_tsc(void);

#endif
