/*
 * Frames that a CPU may still reach by translations that are in no table any more: what the flush
 * debts of the kernel are about, kept without a look at them (requires_flush.c).
 */
#ifndef TESTS_FUZZ_REQUIRES_FLUSH_H
#define TESTS_FUZZ_REQUIRES_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

/** A table of @space led to frames [pfn, + pages) and does no more. @detaching: the attachment goes
 *  table by table, and until it has gone its Frame is shared with whoever else has it. */
void stale_cleared(uint32_t space, uint64_t pfn, uint64_t pages, bool detaching);
/** The attachment to @space has gone. */
void stale_detached(uint32_t space, uint64_t pfn, uint64_t pages);
/** This CPU has flushed what it had of all spaces of this kind. */
void stale_flushed(uint32_t kind);
/** No CPU reaches [pfn, + pages) by an old translation before @what comes, or it is a finding.
 *  @shared: it may by attachments that are going. */
void stale_none(const char *what, uint64_t pfn, uint64_t pages, bool shared);
/** No CPU has acknowledged an epoch without the flushes that it stands for. */
void stale_acknowledged(void);

/** The finding: not flushed before @what. @space_kind: "host", "guest" */
_Noreturn void stale_found(uint64_t pfn, const char *space_kind, uint32_t space, uint32_t cpu,
                           const char *what);

/** FUZZ_LEAVES_OUT in the environment names this function: a machine or kernel where it does
 *  nothing, which is to be found out. */
bool left_out(const char *function);

#endif
