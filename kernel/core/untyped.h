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
#include "types.h"

#define RETYPE_ALIGN_BITS_MAX 18u      /* Frames: 1 GiB */
#define FRAME_PAGES_MAX       0x40000u /* 1 GiB */

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

/**
 * Check a retype request; changes nothing.
 *
 * @param ut        source cell
 * @param type      object type: from a KUNTYPED: KUNTYPED, CNODE, THREAD, SC, ENDPOINT, NTFN,
 *                  HOSTSPACE, GUESTSPACE, VCPU; from a FUNTYPED: FUNTYPED, FRAME
 * @param size_bits CNODE: log2 slots; spaces: log2 pages; FUNTYPED, FRAME: log2 of the alignment in
 *                  pages (0..18); else 0
 * @param count     objects (1..RETYPE_MAX; all CNodes together <= CNODE_SLOTS_MAX slots), or pages
 *                  of the one FRAME (<= FRAME_PAGES_MAX), FUNTYPED or KUNTYPED
 * @param dst       first destination cell, @dst_avail = cells there up to the CNode's end
 * @param[out] p    the plan; written on success only
 * @return BH_ERR_CAP not an untyped; BH_ERR_RIGHTS no GRANT; BH_ERR_STATE under revocation;
 *         BH_ERR_LIMIT tree too deep; BH_ERR_RANGE type, size or count; BH_ERR_SLOT destination
 *         ends too early or is not empty; BH_ERR_MEMORY not so much left above the watermark
 */
MUST_CHECK err_t untyped_decode_retype(uint32_t ut, uint32_t type, uint32_t size_bits,
                                       uint64_t count, uint32_t dst, uint32_t dst_avail,
                                       struct retype_plan *p);

/** Carry out a plan that decode has accepted. Cannot fail. */
void untyped_commit_retype(const struct retype_plan *p);

/** Units or pages left above the watermark (before alignment). */
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
MUST_CHECK err_t untyped_decode_scrub(uint32_t ut);
/** 1 if there is something to clean and no epoch has been charged for it yet. */
uint32_t untyped_scrub_owed(uint32_t ut);
/** Charge the epoch that must pass before the memory is touched. */
void untyped_commit_charge(uint32_t ut);
/** How much of the top below the watermark to clean now: at most @max. */
uint64_t untyped_scrub_count(uint32_t ut, uint64_t max);
/** Where the @n topmost units (KUNTYPED: unit index in the pool) or pages (FUNTYPED: page frame
 *  number) below the watermark begin. */
uint64_t untyped_scrub_first(uint32_t ut, uint64_t n);
/** The @n topmost are clean now. */
void untyped_commit_scrubbed(uint32_t ut, uint64_t n);

#endif
