/*
 * Dispatch of invocations: capability to method table to function, under the kernel lock. May call:
 * every inv_*.
 */
#include "object/entry.h"
#include "object/invoke.h"
#include "object/sched.h"
#include "arch/x86/cpu.h"
#include "arch/x86/lock.h"
#include "core/cnode.h"

struct spinlock kernel_lock;

typedef struct sysret (*method_t)(const struct invocation *in);

enum { METHODS_UNTYPED = BH_CAP_KUNTYPED };
#define BH_CAP_UNTYPED BH_CAP_KUNTYPED
static const method_t methods[BH_CAP_NTYPES][BH_METHODS_MAX] = {
#define BH_METHOD_ROW(type, n, name, x, y, z, w) [BH_CAP_##type][n] = inv_##name,
    BH_INVOCATIONS(BH_METHOD_ROW)
#undef BH_METHOD_ROW
};

err_t arg_slot(uint64_t slot, uint32_t *cell)
{
    const struct thread *t = percpu()->current;

    if (slot >= t->cnode_count)
        return BH_ERR_CAP;
    *cell = t->cnode_first + (uint32_t)slot;
    return BH_OK;
}

err_t arg_cell(uint64_t slot, uint32_t type, uint32_t rights, uint32_t *cell)
{
    err_t e = arg_slot(slot, cell);

    if (e != BH_OK)
        return e;
    if (cell_type(*cell) != type)
        return BH_ERR_CAP;
    if ((cap_rights(cells[*cell].w0) & rights) != rights)
        return BH_ERR_RIGHTS;
    return BH_OK;
}

err_t arg_dst(uint64_t cnode, uint64_t slot, uint32_t *cell, uint32_t *avail)
{
    uint32_t c, count;
    err_t e = arg_cell(cnode, BH_CAP_CNODE, BH_RIGHT_WRITE, &c);

    if (e != BH_OK)
        return e;
    count = (uint32_t)cells[c].a;
    if (slot >= count)
        return BH_ERR_SLOT;
    *cell = cell_obj(c) + (uint32_t)slot;
    *avail = count - (uint32_t)slot;
    return BH_OK;
}

struct sysret sys_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                         uint64_t a3)
{
    struct invocation in = {0, {a0, a1, a2, a3}};
    struct sysret r;
    uint32_t type;
    err_t e;

    spin_lock(&kernel_lock);
    e = arg_slot(cap, &in.cell);
    type = e == BH_OK ? cell_type(in.cell) : BH_CAP_NULL;
    if (type == BH_CAP_FUNTYPED)
        type = BH_CAP_UNTYPED;
    if (type == BH_CAP_NULL || type >= BH_CAP_NTYPES)
        r = sysret(BH_ERR_CAP, 0);
    else if (method >= BH_METHODS_MAX || methods[type][method] == NULL)
        r = sysret(BH_ERR_METHOD, 0);
    else
        r = methods[type][method](&in);
    cpus_flush_if_owed();
    spin_unlock(&kernel_lock);
    if (percpu()->current == NULL || percpu()->current->state != BH_THREAD_READY) {
        /* It stopped or destroyed itself. */
        if (percpu()->current != NULL)
            thread_return(percpu()->current, r.err, r.value);
        schedule();
    }
    return r;
}
