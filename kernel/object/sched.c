/*
 * The scheduler: floors first (earliest end of period), the leftover by weighted virtual time,
 * nobody above the ceiling. One ready heap per CPU, O(log n). May call: core heap and arithmetic,
 * the timer, the returns of entry.S. Never takes a lock, never touches another CPU's queues.
 */
#include "object/entry.h"
#include "object/sched.h"
#include "object/ntfn.h"
#include "object/vcpu.h"
#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/klog.h"
#include "arch/x86/mem.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trap.h"
#include "core/epoch.h"

#define KEY_LEFTOVER 0x4000000000000000ull

uint32_t runq_handle(uint32_t *table, uint32_t owner)
{
    for (uint32_t i = 0; i < HEAP_MAX; i++) {
        if (table[i] == NONE) {
            table[i] = owner;
            return i;
        }
    }
    return HEAP_NONE;
}

static void heap_put(struct heap *h, uint32_t id, uint64_t key)
{
    err_t e = heap_insert(h, id, key);

    invariant(e == BH_OK, "a heap handle is queued once (error %u)", e);
}

/* Into and out of the heaps of what comes at a time. */
static void event_put(struct runq *q, struct heap *h, uint32_t id, uint64_t key)
{
    heap_put(h, id, key);
    if (key < q->event) q->event = key;
}

__attribute__((noinline)) static void event_take(struct runq *q, struct heap *h, uint32_t id)
{
    heap_remove(h, id);
    q->event = heap_top_key(&q->deadline);
    if (heap_top_key(&q->release) < q->event) q->event = heap_top_key(&q->release);
}

/* Whoever goes before all others stays in front of the heap. */
static void ready_put(struct runq *q, struct sc *s)
{
    struct sc *first = q->first;

    if (first == NULL ? s->key < heap_top_key(&q->ready) : s->key < first->key) {
        q->first = s;
        s = first;
    }
    if (s != NULL) heap_put(&q->ready, s->handle, s->key);
#ifdef BREAK_QUEUED_TWICE
    if (s != NULL) heap_put(&q->ready, s->handle, s->key);
#endif
}

static struct sc *ready_top(const struct runq *q)
{
    if (q->first != NULL) return q->first;
    return q->ready.count == 0 ? NULL : &scs[q->sc_of[heap_top(&q->ready)]];
}

bool sched_queued(const struct sc *s)
{
    const struct runq *q = percpu()->runq;

    return q->first == s || heap_has(&q->ready, s->handle) != 0 ||
           heap_has(&q->release, s->handle) != 0;
}

/* Queue a context that has a runnable thread, where its budget says. */
static void sc_enqueue(struct runq *q, struct sc *s, uint64_t now)
{
    uint32_t class;

    if (s->time.refill_at <= now) (void)sc_refill(&s->time, now);
    class = sc_class(&s->time);
    if (class != SC_EMPTY) {
        if (class == SC_LEFTOVER && s->time.vtime < q->vtime) s->time.vtime = q->vtime;
        s->key = class == SC_FLOOR ? s->time.refill_at : KEY_LEFTOVER + s->time.vtime;
        ready_put(q, s);
    }
    if (class != SC_FLOOR && (class == SC_EMPTY || s->time.p.floor != 0))
        event_put(q, &q->release, s->handle, s->time.refill_at);
}

static inline void sc_dequeue(struct runq *q, struct sc *s)
{
    if (q->first == s)
        q->first = NULL;
    else
        heap_remove(&q->ready, s->handle);
    if (q->release.count != 0) event_take(q, &q->release, s->handle);
}

/* The leftover is shared in steps of 2 ms. */
static uint64_t leftover_step(void) { return tsc_khz * 2ull; }

/* @slept: its context has been idle meanwhile. */
static void wake(struct thread *t, bool slept)
{
    struct percpu *pc = percpu();
    uint64_t now = rdtsc(), until = now + leftover_step();
    struct sc *s;

    if (t->sc == NONE) {
        t->state = BH_THREAD_NO_SC;
        return;
    }
    t->state = BH_THREAD_READY;
    s = held(&scs[t->sc]);
    if (slept && s->share != 0) {
        if (s->time.refill_at <= now) (void)sc_refill(&s->time, now);
        sc_pace(&s->time, now, s->share);
    }
    sc_enqueue(pc->runq, s, now);
    if (pc->current == NULL || pc->current->sc == NONE || s->key < scs[pc->current->sc].key) {
        pc->hazard |= HAZARD_RESCHED;
        return;
    }
    /* It waits for its turn, and no longer than until its floor comes back: the timer may be set to
     * the end of a current thread that had nobody to share with. */
    if (s->time.refill_at < until) until = s->time.refill_at;
    if (until < pc->armed && (pc->hazard & HAZARD_RESCHED) == 0) timer_arm(until);
}

void sched_wake(struct thread *t) { wake(t, false); }

/* Was the context asleep while its thread waited? A server runs on it until it replies. */
static bool wait_sleeps(uint8_t wait) { return wait != WAIT_NOTHING && wait != WAIT_REPLY; }

void sched_remove(struct thread *t)
{
    struct runq *q = percpu()->runq;

    if (t->timed) {
        event_take(q, &q->deadline, t->handle);
        t->timed = 0;
    }
    if (t->sc != NONE && scs[t->sc].thread == thread_index(t)) sc_dequeue(q, &scs[t->sc]);
}

void sched_take_back(struct sc *s)
{
    struct percpu *pc = percpu();

    if (pc->current != NULL && pc->current->sc != NONE && &scs[pc->current->sc] == s)
        sched_charge();
    else
        sc_dequeue(pc->runq, s);
}

void sched_block(struct thread *t, uint64_t deadline)
{
    t->state = BH_THREAD_BLOCKED;
    if (deadline != BH_FOREVER) {
        event_put(percpu()->runq, &percpu()->runq->deadline, t->handle, deadline);
        t->timed = 1;
    }
}

void thread_unblock(struct thread *t, uint64_t result, uint64_t value)
{
    bool slept;

    if (__builtin_expect(t->timed, 0)) {
        event_take(percpu()->runq, &percpu()->runq->deadline, t->handle);
        t->timed = 0;
    }
    slept = wait_sleeps(t->wait);
    t->wait = WAIT_NOTHING;
    thread_return(t, result, value);
    wake(t, slept);
}

void sched_charge(void)
{
    struct percpu *pc = percpu();
    uint64_t now = rdtsc(), used = now - pc->switch_tsc;

    pc->switch_tsc = now;
    if (pc->current == NULL)
        pc->idle_ticks += used;
    else if (pc->current->sc != NONE)
        sc_charge(&scs[pc->current->sc].time, used);
}

/* Deadlines and releases that have come. */
static void sched_expire(struct runq *q, uint64_t now)
{
    uint32_t id;
    bool slept;

    while (heap_top_key(&q->deadline) <= now) {
        struct thread *t = &threads[q->thread_of[heap_top(&q->deadline)]];
        event_take(q, &q->deadline, t->handle);
        t->timed = 0;
        slept = wait_sleeps(t->wait);
        thread_cancel_wait(t);
        thread_return(t, BH_ERR_TIMEOUT, 0);
        wake(t, slept);
    }
    while (heap_top_key(&q->release) <= now) {
        id = heap_top(&q->release);
        sc_dequeue(q, &scs[q->sc_of[id]]);
        sc_enqueue(q, &scs[q->sc_of[id]], now);
    }
}

/* Leave a domain for another: what its VM left in this CPU must not be seen, not even
 * speculatively. */
static void domain_leave(struct percpu *pc)
{
    if ((pc->domain_flush & DOMAIN_FPU) != 0) vcpu_fpu_save();
    cpu_domain_flush();
}

void thread_switch(struct thread *next)
{
    struct percpu *pc = percpu();

    if (pc->cr3 != next->cr3) {
        if (__builtin_expect(pc->domain_flush != 0, 0)) domain_leave(pc);
        pc->cr3 = next->cr3;
        write_cr3(next->cr3);
    }
    pc->current = next;
    pc->save = next->save;
    *pc->tss_rsp0 = next->save;
}

static void arm_next(struct percpu *pc, uint64_t until)
{
    if (pc->runq->event < until) until = pc->runq->event;
    if (until < pc->armed) timer_arm(until);
}

void sched_leave(struct percpu *pc)
{
    if (pc->cr3 == kernel_cr3) return;
    if (pc->domain_flush != 0) domain_leave(pc);
    pc->cr3 = kernel_cr3;
    write_cr3(kernel_cr3);
}

static void idle(struct percpu *pc)
{
    sched_leave(pc);
    arm_next(pc, BH_FOREVER);
    if ((pc->hazard & ~HAZARD_VERW) == 0) idle_irq_window();
    sched_charge();
}

void schedule(void)
{
    struct percpu *pc = percpu();
    struct runq *q = pc->runq;
    struct thread *t = pc->current;
    struct sc *s;
    uint64_t slice;

    sched_charge();
    /* From here on nobody runs: a deadline may take the context back that the thread ran on. */
    pc->current = NULL;
    if (t != NULL && t->state == BH_THREAD_READY) sc_enqueue(q, &scs[t->sc], pc->switch_tsc);
    if (q->event <= pc->switch_tsc) sched_expire(q, pc->switch_tsc);
    for (;;) {
        pc->hazard &= ~HAZARD_RESCHED;
        if ((pc->hazard & HAZARD_FLUSH) != 0) hazard_work();
        s = ready_top(q);
        if (s == NULL) {
            idle(pc);
            if (q->event <= pc->switch_tsc) sched_expire(q, pc->switch_tsc);
            continue;
        }
        sc_dequeue(q, s);
        if (s->time.refill_at > pc->switch_tsc) break;
        sc_enqueue(q, s, pc->switch_tsc); /* its period ended while it waited */
    }
    if (s->key >= KEY_LEFTOVER && s->time.vtime > q->vtime) q->vtime = s->time.vtime;
    t = held(&threads[s->thread]);
    pc->switches++;
    thread_switch(t);
    slice = sc_slice(&s->time);
    if (ready_top(q) != NULL && slice > leftover_step()) slice = leftover_step();
    slice += pc->switch_tsc;
    /* What runs on into the next period is charged to that one's budget. */
    if (s->time.refill_at < slice) slice = s->time.refill_at;
    if (t->cont == CONT_VCPU && t->run_deadline < slice) slice = t->run_deadline;
    arm_next(pc, slice);
    resume_current();
}

void resume(void)
{
    struct percpu *pc = percpu();
    struct thread *t = pc->current;
    struct frame *f;

    if (__builtin_expect(pc->hazard == 0 && t->cont == CONT_SYSCALL, 1))
        return_syscall(t->result, t->value);
    if ((pc->hazard & HAZARD_FLUSH) != 0) hazard_work();
    if ((pc->hazard & HAZARD_RESCHED) != 0) schedule();
    if ((pc->hazard & HAZARD_VERW) != 0) cpu_verw();
    switch (t->cont) {
    case CONT_SYSCALL: return_syscall(t->result, t->value);
    case CONT_IPC: {
        uint64_t words[4];
        f = save_frame(t->save);
        words[0] = f->rsi;
        words[1] = f->rdx;
        words[2] = f->r10;
        words[3] = f->r8;
        return_ipc(t->result, t->badge, words);
    }
    case CONT_VCPU: vcpu_resume(t);
    default:
        if (t->start_rip != 0) { /* first run: its save area is written under its own tables */
            f = save_frame(t->save);
            *f = (struct frame){.rip = t->start_rip,
                                .rsp = t->start_rsp,
                                .rdi = t->start_arg,
                                .rsi = t->start_arg2,
                                .rflags = 0x202,
                                .cs = SEL_UCODE,
                                .ss = SEL_UDATA};
            t->start_rip = 0;
        }
        return_frame();
    }
}

void hazard_work(void)
{
    struct percpu *pc = percpu();
    uint64_t e;

    if ((pc->hazard & HAZARD_FLUSH) != 0) {
        pc->hazard &= ~HAZARD_FLUSH;
        e = __atomic_load_n(&epoch_now, __ATOMIC_SEQ_CST);
        ntfn_signals_from_afar();
        write_cr3(pc->cr3);
        if (vcpu_ops != NULL) vcpu_ops->flush_all();
        pc->flushes++;
        __atomic_store_n(&epoch_cpu[pc->cpu], e, __ATOMIC_SEQ_CST);
    }
}

/* System call whose way out found a hazard. */
__attribute__((noreturn)) void syscall_hazard(uint64_t result, uint64_t value)
{
    thread_return(percpu()->current, result, value);
    resume_current();
}
void sched_init_cpu(struct percpu *pc, struct runq *q)
{
    pc->runq = q;
    q->event = BH_FOREVER;
    for (uint32_t i = 0; i < HEAP_MAX; i++) q->sc_of[i] = q->thread_of[i] = NONE;
}
