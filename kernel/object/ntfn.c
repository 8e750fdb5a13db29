/*
 * Notifications. A remote signal sets the bits, then puts the notification on the home CPU's list
 * and kicks it; the waiter is looked at on the home CPU only, so no wake-up is lost. No lock. May
 * call: scheduler, IPIs.
 */
#include "object/entry.h"
#include "object/ntfn.h"
#include "object/lookup.h"
#include "object/sched.h"
#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/layout.h"
#include "arch/x86/percpu.h"

/* Home CPU. A vCPU needs nothing: its loop looks at the bits before it enters the guest. */
static void ntfn_deliver(struct ntfn *n)
{
    uint32_t waiter = n->waiter;
    uint64_t bits;

    if (waiter == NONE) return;
    bits = __atomic_exchange_n(&n->bits, 0, __ATOMIC_SEQ_CST);
    if (bits == 0) return;
    n->waiter = NONE;
    thread_unblock(&threads[waiter], BH_OK, bits);
}

__attribute__((noinline)) static void ntfn_signal_afar(uint32_t i, struct ntfn *n)
{
    struct percpu *home = held(&percpus[n->cpu]);
    uint64_t head;

    if (__atomic_exchange_n(&n->queued, 1, __ATOMIC_SEQ_CST) != 0)
        return; /* on the list already: the home CPU will look at the bits after it has taken it off
                 */
    head = __atomic_load_n(&home->signals, __ATOMIC_RELAXED);
    do n->next = (uint32_t)head;
    while (!__atomic_compare_exchange_n(&home->signals, &head, (uint64_t)i + 1, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    percpu()->ipis++;
    apic_kick(home->apic_id);
}

void ntfn_signal(uint32_t i, uint64_t bits)
{
    struct ntfn *n = held(&ntfns[i]);

    if (__atomic_fetch_or(&n->bits, bits, __ATOMIC_SEQ_CST) != 0)
        return; /* whoever listens has been told and has not looked yet */
    if (n->cpu != percpu()->cpu)
        ntfn_signal_afar(i, n);
    else if (n->waiter != NONE)
        ntfn_deliver(n);
}

void ntfn_signals_from_afar(void)
{
    uint64_t head = __atomic_exchange_n(&percpu()->signals, 0, __ATOMIC_SEQ_CST);

    while (head != 0) {
        struct ntfn *n = held(&ntfns[head - 1]);
        head = n->next;
        __atomic_store_n(&n->queued, 0, __ATOMIC_SEQ_CST);
        ntfn_deliver(n);
    }
}

struct sysret sys_signal(uint64_t cap)
{
    struct cap c;
    err_t e = cap_lookup(cap, BH_CAP_NTFN, BH_RIGHT_WRITE, &c);

    if (e == BH_OK) ntfn_signal(c.obj, c.badge);
    return sysret(e, 0);
}

struct sysret sys_wait(uint64_t cap, uint64_t deadline)
{
    struct thread *t = percpu()->current;
    struct cap c;
    struct ntfn *n;
    uint64_t bits;
    err_t e = cap_lookup(cap, BH_CAP_NTFN, BH_RIGHT_READ, &c);

    if (e != BH_OK) return sysret(e, 0);
    n = &ntfns[c.obj];
    if (n->cpu != percpu()->cpu) return sysret(BH_ERR_CPU, n->cpu);
    if (n->waiter != NONE) return sysret(BH_ERR_BUSY, 0);
    bits = __atomic_load_n(&n->bits, __ATOMIC_RELAXED);
    if (bits == 0) {
        /* A signal from afar after this look finds the waiter: its kick waits until we are gone. */
        if (deadline != BH_FOREVER && deadline <= rdtsc()) return sysret(BH_ERR_TIMEOUT, 0);
        n->waiter = thread_index(t);
        t->wait = WAIT_NTFN;
        t->wait_object = c.obj;
        t->cont = CONT_SYSCALL;
        sched_block(t, deadline);
        schedule();
    }
    return sysret(BH_OK, __atomic_exchange_n(&n->bits, 0, __ATOMIC_SEQ_CST));
}

struct sysret sys_poll(uint64_t cap)
{
    struct cap c;
    err_t e = cap_lookup(cap, BH_CAP_NTFN, BH_RIGHT_READ, &c);

    if (e != BH_OK) return sysret(e, 0);
    /* Emptied from afar, it could be signalled again and again: an interrupt there each time. */
    if (ntfns[c.obj].cpu != percpu()->cpu) return sysret(BH_ERR_CPU, ntfns[c.obj].cpu);
    return sysret(BH_OK, __atomic_exchange_n(&ntfns[c.obj].bits, 0, __ATOMIC_SEQ_CST));
}
