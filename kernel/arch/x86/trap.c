/*
 * C side of interrupts and exceptions. From user mode they never return here: they leave by
 * resume_current(). From the kernel only interrupts in the two windows (idle, after a guest exit)
 * are expected, and interrupt() returns to whoever opened the window; all else is a broken
 * invariant.
 */
#include "trap.h"
#include <stddef.h>
#include "apic.h"
#include "asm.h"
#include "audit.h"
#include "klog.h"
#include "layout.h"
#include "percpu.h"
#include "core/epoch.h"
#include "object/entry.h"
#include "object/lookup.h"
#include "object/ntfn.h"
#include "object/sched.h"
#include "object/thread.h"

_Static_assert(BH_SYS_vcpu_run == 10 && BH_SYS_invoke == 1 && BH_SYS_yield == 9, "entry.S");
_Static_assert(offsetof(struct percpu, kstack) == PC_KSTACK, "layout.h");
_Static_assert(offsetof(struct percpu, current) == PC_CURRENT, "layout.h");
_Static_assert(offsetof(struct percpu, save) == PC_SAVE, "layout.h");
_Static_assert(offsetof(struct percpu, hazard) == PC_HAZARD, "layout.h");
_Static_assert(offsetof(struct frame, rip) - sizeof(struct frame) == (size_t)SAVE_RIP, "layout.h");
_Static_assert(offsetof(struct frame, rsp) - sizeof(struct frame) == (size_t)SAVE_RSP, "layout.h");

/* SDM vol. 3A, table 6-1. */
static const char exception_names[][4] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
                                          "#DF", "#9",  "#TS", "#NP", "#SS", "#GP", "#PF", "#15",
                                          "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};

static const char *exception_name(uint64_t vector)
{
    return vector < sizeof(exception_names) / 4 ? exception_names[vector] : "exception";
}

void interrupt(uint32_t vector)
{
    struct percpu *pc = percpu();

    pc->irqs++;
    if (vector == VEC_KICK) {
        if (__atomic_load_n(&epoch_now, __ATOMIC_SEQ_CST) != epoch_cpu[pc->cpu])
            pc->hazard |= HAZARD_FLUSH;
        ntfn_signals_from_afar();
    } else if (vector == VEC_TIMER) {
        pc->armed = ~0ull;
        pc->hazard |= HAZARD_RESCHED;
    } else if (vector == VEC_SPURIOUS) {
        return;
    } else if (vector >= VEC_IRQ_BASE && vector < VEC_IRQ_BASE + 24) {
        irq_arrived(vector - VEC_IRQ_BASE);
    }
    apic_eoi();
}

__attribute__((noreturn)) void trap_user(struct frame *f)
{
    if (f->vector >= 32) {
        interrupt((uint32_t)f->vector);
        percpu()->current->cont = CONT_FRAME;
        resume_current();
    }
    thread_fault((uint32_t)f->vector, f->error, f->rip, f->vector == 14 ? read_cr2() : 0);
}

__attribute__((noreturn)) void trap_kernel(struct frame *f)
{
    panic_frame(exception_name(f->vector), f);
}

/* NMI, double fault, machine check; GS is right, the interrupted context may be anything. */
void trap_ist(struct frame *f)
{
    if (f->vector == 2) {
        audit_ring.reserved[0]++; /* NMIs seen; a lock could be held: no record */
        while (__atomic_load_n(&panic_stops, __ATOMIC_SEQ_CST) != 0) __asm__ volatile("hlt");
        return;
    }
    panic_frame(exception_name(f->vector), f);
}

struct sysret sys_yield(void)
{
    percpu()->hazard |= HAZARD_RESCHED;
#ifdef BREAK_STRAY_WRITE
    *(volatile uint32_t *)0x7ffffffff000 = 0;
#endif
    return sysret(BH_OK, 0);
}
