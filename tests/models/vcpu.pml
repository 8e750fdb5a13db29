/*
 * vcpu-run against kicks: signals from afar and from here, flushes owed, deadlines, preemption.
 * After kernel/object/vcpu.c (vcpu_loop, sys_vcpu_run, vcpu_resume), ntfn.c (ntfn_signal,
 * ntfn_signals_from_afar), sched.c (resume, schedule, hazard_work), arch/x86/trap.c (interrupt) and
 * entry.S (exit_irq_window).
 *
 * CPU 0 runs a monitor's vCPU thread and another thread, which signals the vCPU once. CPU 1 signals the
 * vCPU, then may owe a flush and wait for its acknowledgement. The kernel of CPU 0 runs with interrupts
 * off: kick and timer stay pending until a user or guest runs or exit_irq_window() lets them in. The
 * guest never exits by itself more than once: what ends it is an interrupt.
 *
 * Holds: no signal is lost (vcpu_run returns SIGNALLED with every bit sooner or later), and CPU 1's flush
 * is acknowledged, although the guest would run for ever; an interrupt ends the guest once, not again
 * and again.
 *
 * KNOCK BITS     vcpu_loop() looks at the bits before the first entry only
 * KNOCK HAZARD   vcpu_loop() does not look at the hazard word
 * KNOCK EXIT     host interrupts do not end the guest
 * KNOCK CLI      interrupts may come between the look at the bits and the entry
 * KNOCK WINDOW   exits by an interrupt do not let it in
 * KNOCK KICK     a signal from afar sends no interrupt
 * KNOCK TAKE     SIGNALLED returns the bits without clearing them in the same access
 * KNOCK TIMER    the timer's interrupt does not ask for a new schedule
 */
#define ALL 3
#define ACKNOWLEDGED (started && (!unmaps || epoch_cpu0 == 1))

byte bits;                 /* ntfn.bits of the vCPU's notification */
bool listed;               /* queued, and on CPU 0's list (notification.pml has the list itself) */
bool kick, timer;          /* pending interrupts of CPU 0 */
bool flush, resched;       /* hazards of CPU 0 */
byte epoch_now, epoch_cpu0;
bool started, unmaps;      /* CPU 1 has chosen whether it owes a flush */
byte got;                  /* bits that vcpu_run has returned */
bool other_ready = true;   /* the other thread of CPU 0 has something to do */
byte timers = 2;           /* the timer fires so many times */
byte host_exits;           /* exits by a host interrupt */
byte exits = 1;            /* so often the guest exits by itself */

/* ntfn_signals_from_afar(); nobody waits: ntfn_deliver() does nothing for a vCPU */
inline from_afar()
{
    listed = false
}

/* interrupt() */
inline take_interrupts()
{
    do
    :: kick ->
        kick = false;
        if
        :: epoch_now != epoch_cpu0 -> flush = true
        :: else -> skip
        fi;
        from_afar()
    :: timer ->
        timer = false;
#ifndef KNOCK_TIMER
        resched = true
#endif
    :: else -> break
    od
}

/* resume(), schedule(): flush, then perhaps another thread for a while */
inline resume()
{
    if
    :: flush ->
        flush = false;
        e = epoch_now;
        from_afar();
        epoch_cpu0 = e;
        e = 0
    :: else -> skip
    fi;
    if
    :: resched ->
        resched = false;
        if
        :: other_ready -> /* it runs, signals the vCPU from its own CPU, and blocks */
            other_ready = false;
            atomic { bits = bits | 2 }
        :: else -> skip
        fi
    :: else -> skip
    fi
}

active proctype cpu0()
{
    byte e, taken;
    bool entered;

user: /* the monitor: calls vcpu_run until it has seen all signals */
    if
    :: got == ALL && ACKNOWLEDGED -> goto done
    :: atomic { kick || timer -> skip }; take_interrupts(); resume(); goto user
    :: !(got == ALL && ACKNOWLEDGED) -> skip
    fi;
    entered = false;
loop: /* vcpu_loop() */
#ifdef KNOCK_BITS
    if
    :: entered -> goto enter
    :: else -> skip
    fi;
#endif
    if
    :: bits != 0 ->
#ifndef KNOCK_TAKE
        atomic { taken = bits; bits = 0 };
#else
        taken = bits;
        bits = 0;
#endif
        got = got | taken;
        taken = 0;
        resume(); /* the way out looks at the hazards */
        goto user
    :: else -> skip
    fi;
#ifdef KNOCK_CLI
    take_interrupts();
#endif
enter:
#ifndef KNOCK_HAZARD
    if
    :: flush || resched -> resume(); goto loop /* vcpu_resume() */
    :: else -> skip
    fi;
#endif
    /* vcpu_ops->run(): the guest, until something ends it */
    entered = true;
    if
#ifndef KNOCK_EXIT
    :: kick || timer -> /* EXIT_HOST_IRQ */
        host_exits++;
        assert(host_exits <= 4) /* two kicks, two timers */
#endif
    :: got == ALL && ACKNOWLEDGED -> goto done /* it may stay there */
    :: exits > 0 -> exits--; resume(); goto user /* an exit for the monitor */
    fi;
#ifndef KNOCK_WINDOW
    take_interrupts();
#endif
    if
    :: goto loop
    :: timers > 0 -> resume(); goto user /* rdtsc() >= run_deadline: TIMEOUT */
    fi;
done:
    skip
}

/* The timer of CPU 0: ends of slices */
active proctype clock()
{
    do
    :: timers > 0 -> atomic { timers--; timer = true }
    :: timers == 0 -> break
    od
}

active proctype cpu1()
{
    byte old;
    bool was;

    if
    :: unmaps = true
    :: unmaps = false /* no second kick comes to the rescue of the first */
    fi;
    started = true;
    /* ntfn_signal() */
    atomic { old = bits; bits = bits | 1 }
    if
    :: old != 0 -> skip
    :: else ->
        atomic { was = listed; listed = true }
        if
        :: was -> skip
        :: else ->
#ifndef KNOCK_KICK
            kick = true
#else
            skip
#endif
        fi
    fi;
    if
    :: unmaps ->
        /* epoch_charge(), cpus_flush_if_owed() */
        epoch_now = 1;
        kick = true;
        epoch_cpu0 == 1
    :: else -> skip
    fi
}
