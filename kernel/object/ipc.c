/*
 * Synchronous message passing through endpoints, same CPU: four words, the caller's scheduling
 * context goes along and comes back with the reply. No scheduler and no lock on the way. May call:
 * scheduler for the slow cases.
 */
#include "object/entry.h"
#include "object/ipc.h"
#include "object/lookup.h"
#include "object/sched.h"
#include "arch/x86/asm.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trap.h"

static void queue_push(struct endpoint *ep, enum ep_queue kind, struct thread *t)
{
    uint32_t i = thread_index(t);

    t->next = NONE;
    if (ep->queue == EP_IDLE) {
        t->prev = NONE;
        ep->head = i;
    } else {
        t->prev = ep->tail;
        threads[ep->tail].next = i;
    }
    ep->tail = i;
    ep->queue = kind;
}

static void queue_remove(struct endpoint *ep, struct thread *t)
{
    if (t->prev == NONE)
        ep->head = t->next;
    else
        threads[t->prev].next = t->next;
#ifndef BREAK_QUEUE
    if (t->next == NONE)
        ep->tail = t->prev;
    else
        threads[t->next].prev = t->prev;
#endif
    if (ep->head == NONE) ep->queue = EP_IDLE;
}

/* The server runs on the caller's context until it replies. */
static void sc_donate(struct thread *from, struct thread *to)
{
    to->caller = thread_index(from);
    from->server = thread_index(to);
    from->wait = WAIT_REPLY;
    from->state = BH_THREAD_BLOCKED;
    to->sc = from->sc;
    scs[to->sc].thread = thread_index(to);
}

/* The context goes back to its caller; the server is left with its own, if it has one. */
static void sc_return(struct thread *server, struct thread *caller)
{
    if (server->sc == caller->sc && caller->sc != NONE) {
#ifndef BREAK_SC_RETURN
        scs[caller->sc].thread = thread_index(caller);
#endif
        server->sc = server->home_sc;
    }
    server->caller = NONE;
    caller->wait = WAIT_NOTHING;
    caller->state = BH_THREAD_READY;
}

/* In: endpoint capability, deadline. rax 0: switched to the receiver, rdx = badge. The words are in
 * registers. */
struct sysret ipc_call_fast(uint64_t cap, uint64_t deadline)
{
    struct percpu *pc = percpu();
    struct thread *t = pc->current, *r;
    struct endpoint *ep;
    struct cap c;

    if (cap_lookup(cap, BH_CAP_ENDPOINT, BH_RIGHT_WRITE, &c) != BH_OK || deadline != BH_FOREVER)
        return sysret(1, 0);
    ep = &endpoints[c.obj];
    if (ep->queue != EP_RECEIVERS || ep->cpu != pc->cpu) return sysret(1, 0);
    r = &threads[ep->head];
    if (r->timed) return sysret(1, 0);
    ep->head = r->next;
    if (r->next == NONE)
        ep->queue = EP_IDLE;
    else
        threads[r->next].prev = NONE;
    r->wait = WAIT_NOTHING;
    r->state = BH_THREAD_READY;
    t->cont = CONT_IPC;
    sc_donate(t, r);
    thread_switch(r);
    return sysret(0, c.badge);
}

/* Reply to the caller and wait on the endpoint for the next. */
struct sysret ipc_reply_wait_fast(uint64_t cap, uint64_t deadline)
{
    struct percpu *pc = percpu();
    struct thread *t = pc->current, *r;
    struct endpoint *ep;
    struct cap c;

    if (cap_lookup(cap, BH_CAP_ENDPOINT, BH_RIGHT_READ, &c) != BH_OK || deadline != BH_FOREVER)
        return sysret(1, 0);
    ep = &endpoints[c.obj];
    if (ep->queue == EP_SENDERS || ep->cpu != pc->cpu || t->caller == NONE) return sysret(1, 0);
    r = &threads[t->caller];
    if (r->timed || r->sc != t->sc) return sysret(1, 0);
    queue_push(ep, EP_RECEIVERS, t);
    t->wait = WAIT_RECEIVE;
    t->wait_object = c.obj;
    t->state = BH_THREAD_BLOCKED;
    t->cont = CONT_IPC;
    sc_return(t, r);
    thread_switch(r);
    return sysret(0, 0);
}

/* Registers of a thread that is not current lie in its save area, under its own tables. */
static void words_store(struct thread *t, const uint64_t *w)
{
    uint64_t cr3 = percpu()->cr3;
    struct frame *f = save_frame(t->save);

    if (t->cr3 != cr3) write_cr3(t->cr3);
    f->rsi = w[0];
    f->rdx = w[1];
    f->r10 = w[2];
    f->r8 = w[3];
    if (t->cr3 != cr3) write_cr3(cr3);
}

static void words_load(struct thread *t, uint64_t *w)
{
    uint64_t cr3 = percpu()->cr3;
    const struct frame *f = save_frame(t->save);

    if (t->cr3 != cr3) write_cr3(t->cr3);
    w[0] = f->rsi;
    w[1] = f->rdx;
    w[2] = f->r10;
    w[3] = f->r8;
    if (t->cr3 != cr3) write_cr3(cr3);
}

/* A hazard on the way out of a fast path: the words go to the save area of who is current now. */
__attribute__((noreturn)) void ipc_hazard_words(uint64_t badge, uint64_t w0, uint64_t w1,
                                                uint64_t w2, uint64_t w3)
{
    struct thread *t = percpu()->current;
    const uint64_t w[4] = {w0, w1, w2, w3};

    words_store(t, w);
    t->badge = badge;
    t->result = BH_OK;
    t->cont = CONT_IPC;
    resume_current();
}

/* Give message @w from @from to the blocked receiver @r; @call: with the context, and it owes a reply. */
static void deliver(struct thread *from, struct thread *r, const uint64_t *w, uint64_t badge,
                    bool call)
{
    words_store(r, w);
    r->badge = badge;
    if (call) {
        if (r->timed) sched_remove(r);
        sched_remove(from);
        r->wait = WAIT_NOTHING;
        sc_donate(from, r);
    }
    thread_unblock(r, BH_OK, 0);
    r->cont = CONT_IPC;
}

static struct sysret send(uint64_t cap, const uint64_t *w, uint64_t deadline, bool call)
{
    struct thread *t = percpu()->current, *r;
    struct endpoint *ep;
    struct cap c;
    err_t e = cap_lookup(cap, BH_CAP_ENDPOINT, BH_RIGHT_WRITE, &c);

    if (e != BH_OK) return sysret(e, 0);
    ep = &endpoints[c.obj];
    if (ep->cpu != percpu()->cpu) return sysret(BH_ERR_CPU, ep->cpu);
    if (ep->queue != EP_RECEIVERS && deadline != BH_FOREVER && deadline <= rdtsc())
        return sysret(BH_ERR_TIMEOUT, 0);
    if (!call && ep->queue == EP_RECEIVERS) {
        r = &threads[ep->head];
        queue_remove(ep, r);
        deliver(t, r, w, c.badge, false);
        return sysret(BH_OK, 0);
    }
    sched_charge();
    t->cont = CONT_IPC;
    if (ep->queue == EP_RECEIVERS) {
        r = &threads[ep->head];
        queue_remove(ep, r);
        t->wait_object = c.obj;
        deliver(t, r, w, c.badge, true);
        sched_block(t, deadline);
        t->wait = WAIT_REPLY;
    } else {
        words_store(t, w);
        t->badge = c.badge;
        queue_push(ep, EP_SENDERS, t);
        t->wait = call ? WAIT_CALL : WAIT_SEND;
        t->wait_object = c.obj;
        sched_block(t, deadline);
    }
    schedule();
}

struct sysret ipc_call_slow(uint64_t cap, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                            uint64_t deadline)
{
    const uint64_t w[4] = {w0, w1, w2, w3};

    return send(cap, w, deadline, true);
}

struct sysret sys_send(uint64_t cap, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                       uint64_t deadline)
{
    const uint64_t w[4] = {w0, w1, w2, w3};

    return send(cap, w, deadline, false);
}

/* Take the first sender's message, or wait for one. The current thread leaves the kernel from here.
 */
__attribute__((noreturn)) static void receive(uint64_t cap, uint64_t deadline)
{
    struct thread *t = percpu()->current, *s;
    struct endpoint *ep;
    struct cap c;
    uint64_t w[4];
    err_t e = cap_lookup(cap, BH_CAP_ENDPOINT, BH_RIGHT_READ, &c);

    if (e == BH_OK && endpoints[c.obj].cpu != percpu()->cpu) e = BH_ERR_CPU;
    if (e == BH_OK && t->caller != NONE) e = BH_ERR_STATE; /* a reply is owed first */
    if (e == BH_OK && endpoints[c.obj].queue != EP_SENDERS && deadline != BH_FOREVER &&
        deadline <= rdtsc())
        e = BH_ERR_TIMEOUT;
    if (e != BH_OK) {
        thread_return(t, e, 0);
        schedule(); /* after a reply it runs on another context than the timer was set for */
    }
    ep = &endpoints[c.obj];
    t->cont = CONT_IPC;
    t->result = BH_OK;
    if (ep->queue != EP_SENDERS) {
        queue_push(ep, EP_RECEIVERS, t);
        t->wait = WAIT_RECEIVE;
        t->wait_object = c.obj;
        sched_block(t, deadline);
        schedule();
    }
    s = &threads[ep->head];
    queue_remove(ep, s);
    words_load(s, w);
    words_store(t, w);
    t->badge = s->badge;
    if (s->wait == WAIT_SEND) {
        thread_unblock(s, BH_OK, 0);
    } else { /* a call: run on its context from here on */
        sched_charge();
        if (t->sc != NONE) scs[t->sc].thread = thread_index(t);
        sc_donate(s, t);
        t->state = BH_THREAD_READY;
    }
    schedule();
}

struct sysret sys_receive(uint64_t cap, uint64_t deadline) { receive(cap, deadline); }

/* Wake the caller of the current thread with a reply; its context goes with it. */
static void reply(const uint64_t *w)
{
    struct thread *t = percpu()->current, *r;

    if (t->caller == NONE) return;
    r = &threads[t->caller];
    sched_charge();
    words_store(r, w);
    sc_return(t, r);
    thread_unblock(r, BH_OK, 0);
    r->badge = 0;
    r->cont = CONT_IPC;
    if (t->sc == NONE) t->state = BH_THREAD_NO_SC;
}

__attribute__((noreturn)) void ipc_reply_wait_slow(uint64_t cap, uint64_t w0, uint64_t w1,
                                                   uint64_t w2, uint64_t w3, uint64_t deadline)
{
    const uint64_t w[4] = {w0, w1, w2, w3};

    reply(w);
    receive(cap, deadline);
}

/* Every server down the chain that has @t's context is left with its own; its wait goes on. */
static void sc_take_back(struct thread *t)
{
    struct thread *server = &threads[t->server];

    sched_take_back(&scs[t->sc]);
    while (server->sc == t->sc) {
        server->sc = server->home_sc;
        if (server->state == BH_THREAD_READY) {
            if (server == percpu()->current) percpu()->hazard |= HAZARD_RESCHED;
            if (server->sc == NONE)
                server->state = BH_THREAD_NO_SC;
            else if (server != percpu()->current)
                sched_wake(server);
        }
        if (server->wait != WAIT_REPLY) break;
        server = &threads[server->server];
    }
    scs[t->sc].thread = thread_index(t);
}

/* End a wait without waking: the thread leaves the queue it is in; a server keeps no context that
 * is not its own. */
void thread_cancel_wait(struct thread *t)
{
    switch (t->wait) {
    case WAIT_SEND:
    case WAIT_CALL:
    case WAIT_RECEIVE: queue_remove(&endpoints[t->wait_object], t); break;
    case WAIT_NTFN:
#ifndef BREAK_WAITER
        ntfns[t->wait_object].waiter = NONE;
#endif
        break;
    case WAIT_REPLY:
        threads[t->server].caller = NONE;
        sc_take_back(t);
        break;
    default: break;
    }
    t->wait = WAIT_NOTHING;
}

/* The current thread will never reply: its caller is told. */
void ipc_abort_caller(struct thread *t)
{
    struct thread *r;

    if (t->caller == NONE) return;
    r = &threads[t->caller];
    sc_return(t, r);
    thread_unblock(r, BH_ERR_ABORTED, 0);
}
