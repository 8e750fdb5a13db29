/*
 * Invocations: the frame they share. Each is decoded completely, then committed; all run under the
 * kernel lock, interrupts off. A function per method, named as in bulkhead/call.h.
 */
#ifndef OBJECT_INVOKE_H
#define OBJECT_INVOKE_H

#include "object/lookup.h"

/** The invoked capability's cell and the four arguments. */
struct invocation {
    uint32_t cell;
    uint64_t a[4];
};

#define BH_INVOKE_PROTO(type, n, name, x, y, z, w)                                                 \
    struct sysret inv_##name(const struct invocation *in);
BH_INVOCATIONS(BH_INVOKE_PROTO)
#undef BH_INVOKE_PROTO

/** Cell of the current thread's slot @slot holding @type with @rights. BH_ERR_CAP, BH_ERR_RIGHTS. */
MUST_CHECK err_t arg_cell(uint64_t slot, uint32_t type, uint32_t rights, uint32_t *cell);
/** Any slot of the current thread. */
MUST_CHECK err_t arg_slot(uint64_t slot, uint32_t *cell);
/** Destination: slot @slot of the CNode that the thread's slot @cnode names (WRITE); @avail = cells to its end. */
MUST_CHECK err_t arg_dst(uint64_t cnode, uint64_t slot, uint32_t *cell, uint32_t *avail);

static inline uint32_t cell_obj(uint32_t cell) { return cap_obj(cells[cell].w0); }
static inline uint32_t cell_type(uint32_t cell) { return cap_type(cells[cell].w0); }

/** CPU that the object named by the cell lives on; this one if it lives on none. */
uint32_t cell_cpu(uint32_t cell);

/** Destroy the object that the childless cell's capability owns, before the cell goes. PREEMPTED:
 * again. */
struct sysret object_destroy(uint32_t cell);
/** Make a fresh object of a retyped cell usable. */
void object_init(uint32_t cell, uint32_t cpu);

#endif
