/* From a capability address to its cell, for system calls that take no lock. */
#ifndef OBJECT_LOOKUP_H
#define OBJECT_LOOKUP_H

#include "object/objects.h"
#include "core/cap.h"
#include "core/err.h"
#include "arch/x86/percpu.h"

/** What a system call returns: rax, rdx. */
struct sysret {
    uint64_t err, value;
};
static inline struct sysret sysret(uint64_t err, uint64_t value)
{
    return (struct sysret){err, value};
}

/** What a look-up found: a copy, read once. */
struct cap {
    uint32_t obj;
    uint64_t badge;
};

/**
 * Find a capability of the current thread. Lock-free: word and badge are read again if a cell
 * changed meanwhile (core/types.h, CELL_TURN); the object lives as long as this CPU has not left
 * the kernel (epochs), also when the capability is deleted meanwhile.
 */
static inline err_t cap_lookup(uint64_t slot, uint32_t type, uint32_t rights, struct cap *out)
{
    const struct thread *t = percpu()->current;
    const uint64_t mask = 31u | (uint64_t)rights << 5, want = type | (uint64_t)rights << 5;
    const struct cell *c;
    uint64_t w0, badge, turns;

    if (__builtin_expect(slot >= t->cnode_count, 0)) return BH_ERR_CAP;
    c = &cells[t->cnode_first + slot];
    do {
        turns = cell_turns;
        CELL_ORDER();
        w0 = c->w0;
        CELL_ORDER();
        badge = c->badge;
        CELL_ORDER();
    } while (__builtin_expect(turns != cell_turns, 0));
    if (__builtin_expect((w0 & mask) != want, 0))
        return (w0 & 31u) != type ? BH_ERR_CAP : BH_ERR_RIGHTS;
    out->obj = (uint32_t)(w0 >> 16);
    out->badge = badge;
    return BH_OK;
}

#endif
