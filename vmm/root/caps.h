/*
 * Root's capabilities: which slot holds what, and the operations on them that have to be repeated
 * until done. May call: system calls, on_cpu(), the log.
 */
#ifndef VMM_ROOT_CAPS_H
#define VMM_ROOT_CAPS_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/info.h"
#include "syscall.h"

#define PAGE        4096u
#define LARGE_BYTES 0x200000u /* one entry of a page table's second level */

/** Fixed by the kernel at start. */
static inline const struct bh_info *info(void) { return (const struct bh_info *)BH_ROOT_INFO; }

static inline uint64_t ticks_to_ns(uint64_t ticks)
{
    uint64_t khz = info()->tsc_khz;

    return ticks / khz * 1000000u + ticks % khz * 1000000u / khz;
}

/** @return the first of @count consecutive slots of root's CNode that nobody uses yet, 0: none.
 *  Slots are handed out for good: VMs that come and go keep theirs. */
uint64_t slots_take(uint64_t count);

/** How many more there are. */
uint64_t slots_left(void);

/** Words for an enum bh_err. */
const char *error_name(uint64_t err);

/** Make objects in root's own CNode. @return BH_OK or the kernel's error. */
uint64_t retype(uint64_t untyped, unsigned type, unsigned size_bits, unsigned cpu, uint64_t count,
                uint64_t slot);

/** Clean an untyped without children until @enough_bytes are left in it: no more than that, since
 *  cleaning all memory of the machine would take long. Repeats what the kernel preempts. */
uint64_t scrub(uint64_t untyped, uint64_t enough_bytes);

/** Take [@offset_pages, +@pages) of a Frame out as a Frame of its own, in ascending order. */
uint64_t carve(uint64_t frame, uint64_t offset_pages, uint64_t pages, uint64_t slot);

/** Delete what is in a slot of root's CNode (nothing: fine). */
uint64_t slot_delete(uint64_t slot);

/** Take back everything derived from a slot, on whichever CPUs it lives; begins on @cpu. Only for
 *  the thread on CPU 0. */
uint64_t slot_revoke(uint64_t slot, unsigned cpu);

/** Derive an attachment of @frame to @space in @slot and map all of [@offset, +@pages) at @va. */
uint64_t attach(uint64_t frame, uint64_t space, uint64_t rights, uint64_t slot);
uint64_t map(uint64_t attachment, uint64_t va, uint64_t offset_pages, uint64_t pages,
             uint64_t flags);

#endif
