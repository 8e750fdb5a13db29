/*
 * Threads and scheduling contexts: invocations, life, faults. A thread is fixed to the CPU it was
 * made for; only that CPU changes it. May call: scheduler, IPC, audit.
 */
#include "object/thread.h"
#include "object/invoke.h"
#include "object/ipc.h"
#include "object/ntfn.h"
#include "object/sched.h"
#include "object/vcpu.h"
#include "core/cdt.h"
#include "arch/x86/asm.h"
#include "arch/x86/audit.h"
#include "arch/x86/klog.h"
#include "arch/x86/layout.h"
#include "arch/x86/mem.h"

void thread_init(struct thread *t, uint32_t cpu)
{
    t->cpu = cpu;
    t->sc = t->home_sc = t->caller = t->vcpu = t->space = t->cnode = t->fault_ntfn = NONE;
    t->next = t->prev = t->server = NONE;
    t->handle = HEAP_NONE;
    t->cont = CONT_FRAME;
    t->cr3 = kernel_cr3;
}

void runq_release(uint32_t *table, uint32_t handle)
{
    if (handle != HEAP_NONE) table[handle] = NONE;
}

/* Out of every queue; it does not run until started anew. */
static void thread_halt(struct thread *t)
{
    struct percpu *pc = percpu();

    thread_cancel_wait(t);
    if (t == pc->current) sched_charge();
    sched_remove(t);
    ipc_abort_caller(t);
    t->state = BH_THREAD_STOPPED;
    if (t == pc->current) pc->hazard |= HAZARD_RESCHED;
}

void thread_fini(struct thread *t)
{
    if (t->bound == 0 && t->home_sc == NONE && t->fault_ntfn == NONE && t->vcpu == NONE) return;
    thread_halt(t);
    if (t->vcpu != NONE) vcpu_unbind(&vcpus[t->vcpu]);
    if (t->home_sc != NONE) {
        scs[t->home_sc].users--;
        scs[t->home_sc].thread = NONE;
        t->sc = t->home_sc = NONE;
    }
    if (t->fault_ntfn != NONE) {
        ntfns[t->fault_ntfn].users--;
        t->fault_ntfn = NONE;
    }
    if (t->bound != 0) {
        spaces[t->space].users--;
        spaces[t->space].save_used &= ~(1u << t->save_slot);
        cells[t->cnode].count--; /* the CNode's capability counts the threads that use it */
        t->bound = 0;
        t->cnode_count = 0;
    }
    if (t == percpu()->current) {
        percpu()->current = NULL;
        sched_leave(percpu()); /* its tables may go next */
    }
}

err_t thread_bind(struct thread *t, uint32_t cnode_cell, uint32_t space)
{
    uint32_t slot;

    if (t->bound != 0) return BH_ERR_STATE;
    for (slot = 0; slot < SAVE_COUNT && (spaces[space].save_used >> slot & 1u) != 0; slot++)
        ;
    if (slot == SAVE_COUNT) return BH_ERR_LIMIT;
    if (t->handle == HEAP_NONE) t->handle = runq_handle(percpu()->runq->thread_of, thread_index(t));
    if (t->handle == HEAP_NONE) return BH_ERR_LIMIT;
#ifndef BREAK_SAVE_SLOT
    spaces[space].save_used |= 1u << slot;
#endif
    spaces[space].users++;
    spaces[space].cpus |= 1ull << t->cpu;
    cells[cnode_cell].count++;
    t->cnode = cnode_cell;
    t->cnode_first = cell_obj(cnode_cell);
    t->cnode_count = (uint32_t)cells[cnode_cell].a;
    t->space = space;
    t->cr3 = page_phys(space + 1);
    t->save_slot = slot;
    t->save = PRIV_SAVE + (slot + 1) * SAVE_BYTES;
    t->bound = 1;
    return BH_OK;
}

/* The original capability of a CNode, which counts the threads that use it. */
static uint32_t cnode_owner(uint32_t cell)
{
    uint32_t parent = cdt_parent(cell);

    while (cell_type(parent) == BH_CAP_CNODE && cell_obj(parent) == cell_obj(cell)) {
        cell = parent;
        parent = cdt_parent(cell);
    }
    return cell;
}

static struct thread *invoked(const struct invocation *in) { return &threads[cell_obj(in->cell)]; }

struct sysret inv_thread_bind(const struct invocation *in)
{
    struct thread *t = invoked(in);
    uint32_t cnode, space;
    err_t e = arg_cell(in->a[0], BH_CAP_CNODE, BH_RIGHT_GRANT, &cnode);
    if (e == BH_OK) e = arg_cell(in->a[1], BH_CAP_HOSTSPACE, BH_RIGHT_GRANT, &space);
    if (e == BH_OK) e = thread_bind(t, cnode_owner(cnode), cell_obj(space));
    return sysret(e, 0);
}

struct sysret inv_thread_set_sc(const struct invocation *in)
{
    struct thread *t = invoked(in);
    uint32_t cell, sc;
    err_t e = arg_cell(in->a[0], BH_CAP_SC, BH_RIGHT_WRITE, &cell);
    if (e != BH_OK) return sysret(e, 0);
    sc = cell_obj(cell);
    if (scs[sc].cpu != t->cpu) return sysret(BH_ERR_CPU, scs[sc].cpu);
    if (scs[sc].users != 0) return sysret(BH_ERR_BUSY, 0);
    if (t->home_sc != NONE || scs[sc].configured == 0 || t->state == BH_THREAD_READY)
        return sysret(BH_ERR_STATE, 0);
    scs[sc].users = 1;
    scs[sc].thread = thread_index(t);
    t->home_sc = sc;
    if (t->sc == NONE) t->sc = sc;
    if (t->state == BH_THREAD_NO_SC) sched_wake(t);
    return sysret(BH_OK, 0);
}

struct sysret inv_thread_set_fault_ntfn(const struct invocation *in)
{
    struct thread *t = invoked(in);
    uint32_t cell;
    err_t e = arg_cell(in->a[0], BH_CAP_NTFN, BH_RIGHT_WRITE, &cell);
    if (e == BH_OK && t->fault_ntfn != NONE) e = BH_ERR_STATE;
    if (e != BH_OK) return sysret(e, 0);
    t->fault_ntfn = cell_obj(cell);
    t->fault_badge = cells[cell].badge;
#ifndef BREAK_NTFN_USERS
    ntfns[t->fault_ntfn].users++;
#endif
    return sysret(BH_OK, 0);
}

struct sysret inv_thread_start(const struct invocation *in)
{
    struct thread *t = invoked(in);

    if (in->a[0] < USER_START || in->a[0] >= USER_END || in->a[1] >= USER_END)
        return sysret(BH_ERR_RANGE, 0);
    if (t->bound == 0 || (t->state != BH_THREAD_STOPPED && t->state != BH_THREAD_FAULTED))
        return sysret(BH_ERR_STATE, 0);
    t->start_rip = in->a[0];
    t->start_rsp = in->a[1];
    t->start_arg = in->a[2];
    t->cont = CONT_FRAME;
    sched_wake(t);
    return sysret(BH_OK, 0);
}

struct sysret inv_thread_stop(const struct invocation *in)
{
    thread_halt(invoked(in));
    return sysret(BH_OK, 0);
}

struct sysret inv_thread_status(const struct invocation *in)
{
    const struct thread *t = &threads[cell_obj(in->cell)];

    return sysret(BH_OK, t->state | (uint64_t)t->fault_vector << 8 | (uint64_t)t->fault_code << 16);
}

struct sysret inv_thread_fault_rip(const struct invocation *in)
{
    return sysret(BH_OK, threads[cell_obj(in->cell)].fault_rip);
}

struct sysret inv_thread_fault_addr(const struct invocation *in)
{
    return sysret(BH_OK, threads[cell_obj(in->cell)].fault_addr);
}

void thread_fault(uint32_t vector, uint64_t code, uint64_t rip, uint64_t addr)
{
    struct thread *t = percpu()->current;

    t->fault_vector = vector;
    t->fault_code = (uint32_t)code;
    t->fault_rip = rip;
    t->fault_addr = addr;
    audit(BH_AUDIT_THREAD_FAULT, thread_index(t), t->fault_badge, vector, code, rip, addr);
    thread_halt(t);
    t->state = BH_THREAD_FAULTED;
    if (t->fault_ntfn != NONE)
        ntfn_signal(t->fault_ntfn, t->fault_badge);
    else /* root, or a thread nobody supervises: say so where it can be seen */
        klog("bulkhead: thread %u: exception %u, error %lx, rip %lx, address %lx", thread_index(t),
             vector, code, rip, addr);
    schedule();
}

struct sysret inv_sc_configure(const struct invocation *in)
{
    struct sc *s = &scs[cell_obj(in->cell)];
    struct sc_params p = {in->a[0], in->a[1], in->a[2], in->a[3]};
    err_t e = sc_decode_configure(p.floor, p.ceiling, p.period, p.weight);

    if (e != BH_OK) return sysret(e, 0);
    if (sc_admit(percpu()->runq->floors - s->share, p.floor, p.period) == 0)
        return sysret(BH_ERR_LIMIT, 0); /* the CPU cannot keep that promise beside the others */
    if (s->handle == HEAP_NONE) s->handle = runq_handle(percpu()->runq->sc_of, cell_obj(in->cell));
    if (s->handle == HEAP_NONE) return sysret(BH_ERR_LIMIT, 0);
    if (sched_queued(s)) return sysret(BH_ERR_BUSY, 0);
    sc_commit_configure(&s->time, &p, rdtsc(), percpu()->runq->vtime);
    percpu()->runq->floors += sc_share(p.floor, p.period) - s->share;
    s->share = sc_share(p.floor, p.period);
    s->configured = 1;
    return sysret(BH_OK, 0);
}

struct sysret inv_sc_consumed(const struct invocation *in)
{
    return sysret(BH_OK, scs[cell_obj(in->cell)].time.consumed);
}
