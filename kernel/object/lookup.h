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
 * Find a capability of the current thread. Lock-free: the word is read once; the object it names
 * lives as long as this CPU has not left the kernel (epochs), also when the capability is deleted
 * meanwhile.
 */
static inline err_t cap_lookup(uint64_t slot, uint32_t type, uint32_t rights, struct cap *out)
{
    const struct thread *t = percpu()->current;
    const struct cell *c;
    uint64_t w0;

    if (__builtin_expect(slot >= t->cnode_count, 0)) return BH_ERR_CAP;
    c = &cells[t->cnode_first + slot];
    w0 = __atomic_load_n(&c->w0, __ATOMIC_RELAXED);
    if (__builtin_expect((w0 & 31u) != type, 0)) return BH_ERR_CAP;
    if (__builtin_expect((w0 >> 5 & rights) != rights, 0)) return BH_ERR_RIGHTS;
    out->obj = (uint32_t)(w0 >> 16);
    out->badge = c->badge;
    return BH_OK;
}

#endif
