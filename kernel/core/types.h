/*
 * The kernel pool as typed arrays. Every kernel object lies in one physically contiguous pool; a
 * capability names it by its index in the array of its type. The arrays are views of the same
 * memory: that no two live objects overlap is what untyped.c proves. No pointers, casts or unions
 * here.
 */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#include <stdint.h>
#include "bulkhead/cap.h"
#include "bulkhead/error.h"

#define UNIT_BYTES     64u /* smallest object */
#define PAGE_BYTES     4096u
#define PAGE_UNITS     (PAGE_BYTES / UNIT_BYTES)
#define POOL_UNITS_MAX 0x1000000u /* 1 GiB */
#define POOL_PAGES_MAX 0x40000u
#define PFN_MAX        0x10000000000u /* 52-bit physical addresses */

/*
 * A capability slot. w0 packs type, rights, frozen and object index (cap.h). next/prev/depth are
 * the derivation tree: a circular preorder list through cell 0, the sentinel; a free cell is linked
 * to itself. Payload by type:
 *   KUNTYPED   a = base, b = size, c = watermark above the base, d = epoch that scrub waits for; in
 *              units of 64 bytes. Above the watermark all is clean
 *   FUNTYPED   the same in pages; the base is a page frame number
 *   FRAME      a = first page frame number, b = pages, c = carved up to here, count = attachments,
 *              d = flush debt: epoch that must have passed
 *   ATTACH     a, b = as its Frame; object index = the space, badge = its type; c = page table
 *              cursor of a detach
 *   CNODE      a = slots
 *   HOSTSPACE, GUESTSPACE   a = pages
 *   IOPORTS    a = first port, b = count
 *   IRQ        a = line, or IRQ_ALL
 */
struct cell {
    uint64_t w0;
    uint64_t badge;
    uint32_t next;
    uint32_t prev;
    uint32_t depth;
    uint32_t count;
    uint64_t a;
    uint64_t b;
    uint64_t c;
    uint64_t d;
};

#define IRQ_ALL         0xffffffffu
#define CDT_DEPTH_MAX   64u
#define CNODE_SLOTS_MIN 16u
#define CNODE_SLOTS_MAX 65536u
#define RETYPE_MAX      256u
#define ATTACH_MAX      1024u /* attachments of one Frame */

/*
 * cells[].w0 and badge are read without the lock (object/lookup.h). So a cell's word is 0 before
 * any other part of it changes, CELL_TURN() stands between, and CELL_ORDER() before a new word: a
 * reader that sees the same count before and after has read both of one capability. x86 keeps the
 * order of stores and that of loads (Intel SDM vol. 3A, 8.2.2). For the prover, which knows one
 * thread of control, both are empty.
 */
#ifdef __FRAMAC__
#define CELL_ORDER()
#define CELL_TURN()
#else
extern uint64_t cell_turns;
#define CELL_ORDER() __asm__ volatile("" : : : "memory")
#define CELL_TURN()                                                                                \
    do {                                                                                           \
        CELL_ORDER();                                                                              \
        cell_turns++;                                                                              \
        CELL_ORDER();                                                                              \
    } while (0)
#endif

#define POOL_CELLS POOL_UNITS_MAX
#ifdef __FRAMAC__
struct cell cells[POOL_CELLS];
#else
extern struct cell cells[]; /* unit index */
_Static_assert(sizeof(struct cell) == UNIT_BYTES, "a cell is one unit");
#endif

#endif
