/*
 * Dispatch of invocations: capability to method table to function, under the kernel lock. May call:
 * every inv_*.
 */
#include "object/entry.h"
#include "object/invoke.h"
#include "object/sched.h"
#include "object/vcpu.h"
#include "arch/x86/cpu.h"
#include "arch/x86/lock.h"
#include "core/cnode.h"

struct spinlock kernel_lock;

typedef struct sysret (*method_t)(const struct invocation *in);

#define BH_CAP_UNTYPED BH_CAP_KUNTYPED
static const method_t methods[BH_CAP_NTYPES][BH_METHODS_MAX] = {
#define BH_METHOD_ROW(type, n, name, x, y, z, w) [BH_CAP_##type][n] = inv_##name,
    BH_INVOCATIONS(BH_METHOD_ROW)
#undef BH_METHOD_ROW
};

err_t arg_slot(uint64_t slot, uint32_t *cell)
{
    const struct thread *t = percpu()->current;

    if (slot >= t->cnode_count) return BH_ERR_CAP;
    *cell = t->cnode_first + (uint32_t)slot;
    return BH_OK;
}

err_t arg_cell(uint64_t slot, uint32_t type, uint32_t rights, uint32_t *cell)
{
    err_t e = arg_slot(slot, cell);

    if (e != BH_OK) return e;
    if (cell_type(*cell) != type) return BH_ERR_CAP;
    if ((cap_rights(cells[*cell].w0) & rights) != rights) return BH_ERR_RIGHTS;
    return BH_OK;
}

err_t arg_dst(uint64_t cnode, uint64_t slot, uint32_t *cell, uint32_t *avail)
{
    uint32_t c, count;
    err_t e = arg_cell(cnode, BH_CAP_CNODE, BH_RIGHT_WRITE, &c);

    if (e != BH_OK) return e;
    count = (uint32_t)cells[c].a;
    if (slot >= count) return BH_ERR_SLOT;
    *cell = cell_obj(c) + (uint32_t)slot;
    *avail = count - (uint32_t)slot;
    return BH_OK;
}

/* Objects that only their own CPU touches; NONE: any may. */
static uint32_t home_cpu(uint32_t type, uint32_t obj)
{
    switch (type) {
    case BH_CAP_THREAD: return threads[obj].cpu;
    case BH_CAP_SC: return scs[obj].cpu;
    case BH_CAP_ENDPOINT: return endpoints[obj].cpu;
    case BH_CAP_NTFN: return ntfns[obj].cpu;
    case BH_CAP_VCPU: return vcpus[obj].cpu;
    default: return NONE;
    }
}

uint32_t cell_cpu(uint32_t cell)
{
    uint32_t cpu = home_cpu(cell_type(cell), cell_obj(cell));

    return cpu == NONE ? percpu()->cpu : cpu;
}

/* What every method of a type needs; the rest is checked by the method. */
static const uint8_t type_rights[BH_CAP_NTYPES] = {
    [BH_CAP_THREAD] = BH_RIGHT_WRITE, [BH_CAP_SC] = BH_RIGHT_WRITE,
    [BH_CAP_VCPU] = BH_RIGHT_WRITE,   [BH_CAP_IRQ] = BH_RIGHT_WRITE,
    [BH_CAP_KERNEL] = BH_RIGHT_WRITE,
};

static struct sysret invoke(struct invocation *in, uint64_t cap, uint64_t method)
{
    uint32_t type;

    if (arg_slot(cap, &in->cell) != BH_OK || cell_type(in->cell) == BH_CAP_NULL)
        return sysret(BH_ERR_CAP, 0);
    type = cell_type(in->cell);
    if (type == BH_CAP_FUNTYPED) type = BH_CAP_UNTYPED;
    if (method >= BH_METHODS_MAX || methods[type][method] == NULL) return sysret(BH_ERR_METHOD, 0);
    if ((cap_rights(cells[in->cell].w0) & type_rights[type]) != type_rights[type])
        return sysret(BH_ERR_RIGHTS, 0);
    if (cell_cpu(in->cell) != percpu()->cpu) return sysret(BH_ERR_CPU, cell_cpu(in->cell));
    return methods[type][method](in);
}

struct sysret sys_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                         uint64_t a3)
{
    struct invocation in = {0, {a0, a1, a2, a3}};
    struct percpu *pc = percpu();
    struct sysret r;

    spin_lock(&kernel_lock);
    r = invoke(&in, cap, method);
    cpus_flush_if_owed(r.err == BH_ERR_BUSY);
    spin_unlock(&kernel_lock);
    if (pc->current == NULL || pc->current->state != BH_THREAD_READY) {
        /* It stopped or destroyed itself. */
        if (pc->current != NULL) thread_return(pc->current, r.err, r.value);
        schedule();
    }
    return r;
}
