/*
 * Notifications: wake-ups from afar, from here, and deadlines. After kernel/object/ntfn.c
 * (ntfn_signal, ntfn_signal_afar, ntfn_signals_from_afar, ntfn_deliver, sys_wait), sched.c
 * (sched_block, sched_expire, thread_unblock) and ipc.c (thread_cancel_wait).
 *
 * CPU 0 is the home of two notifications; on each waits a thread. It has interrupts off in the
 * kernel: a kick or a deadline is taken between two system calls, or while nobody runs. CPUs 1 and 2
 * signal both notifications, each with a bit of its own; a device of CPU 0 signals the first one.
 * Each step of Promela is one memory access of the code, locked ones included.
 *
 * Holds: every bit that was signalled reaches the thread (no end state with a thread that waits, or
 * bits that nobody got); bits are handed to a thread that waits for them; the list of signals from
 * afar holds a notification once.
 *
 * KNOCK LOOK     sys_wait() does not look at the bits before it blocks
 * KNOCK CLI      an interrupt may come between that look and the note of the waiter
 * KNOCK KICK     ntfn_signal_afar() sends no interrupt
 * KNOCK LIST     ntfn_signal_afar() does not put the notification on the list
 * KNOCK QUEUED   ntfn_signals_from_afar() marks it as taken off only after delivery
 * KNOCK NEXT     ... and reads the link only after that mark
 * KNOCK XCHG     ntfn_deliver() reads the bits, then clears them: two accesses
 * KNOCK CANCEL   thread_cancel_wait() leaves the thread noted as waiter
 */
#define TIMEOUTS 1

byte bits[2];
bool queued[2];
byte next[2];      /* index + 1 of the next on the list; 0: last */
byte head;         /* of CPU 0's list: percpu.signals */
bool kick;         /* pending interrupt */
bool waiter[2];    /* notification i: thread i waits */
bool blocked[2];   /* thread i */
byte got[2];       /* what thread i has been given */
byte timeouts;
bool device_done;
byte all[2];       /* bits that will be signalled */

/* ntfn_deliver(); home CPU */
inline deliver(n)
{
    if
    :: !waiter[n] -> skip
    :: waiter[n] ->
#ifndef KNOCK_XCHG
        atomic { taken = bits[n]; bits[n] = 0 }
#else
        taken = bits[n];
        bits[n] = 0;
#endif
        if
        :: taken == 0 -> skip
        :: else ->
            atomic {
                waiter[n] = false;
                assert(blocked[n]);
                blocked[n] = false;
                got[n] = got[n] | taken;
            }
        fi;
        taken = 0
    fi
}

/* ntfn_signals_from_afar(); home CPU, from the kick */
inline from_afar()
{
    atomic { h = head; head = 0 }
    do
    :: h == 0 -> break
    :: else ->
        i = h - 1;
#ifdef KNOCK_NEXT
        queued[i] = false;
        h = next[i];
        deliver(i)
#else
        h = next[i];
#ifndef KNOCK_QUEUED
        queued[i] = false;
#endif
        deliver(i);
#ifdef KNOCK_QUEUED
        queued[i] = false;
#endif
#endif
    od;
    i = 0
}

/* ntfn_signal() and ntfn_signal_afar(); any other CPU */
inline signal_afar(n, mask)
{
    atomic { old = bits[n]; bits[n] = bits[n] | mask }
    if
    :: old != 0 -> skip /* whoever listens has been told */
    :: else ->
        atomic { was = queued[n]; queued[n] = true }
        if
        :: was -> skip
        :: else ->
#ifndef KNOCK_LIST
            h = head;
            do
            :: next[n] = h;
                atomic {
                    if
                    :: head == h -> assert(h != n + 1); head = n + 1; break
                    :: else -> h = head
                    fi
                }
            od;
#endif
#ifndef KNOCK_KICK
            kick = true
#else
            skip
#endif
        fi
    fi;
    atomic { h = 0; old = 0; was = false }
}

/* sys_wait() of thread n */
inline wait(n)
{
    assert(!waiter[n]);
#ifndef KNOCK_LOOK
    taken = bits[n];
#else
    taken = 0;
#endif
    if
    :: taken != 0 ->
        atomic { got[n] = got[n] | bits[n]; bits[n] = 0 }
    :: else ->
#ifdef KNOCK_CLI
        if
        :: kick -> kick = false; from_afar()
        :: skip
        fi;
#endif
        waiter[n] = true;
        blocked[n] = true
    fi;
    taken = 0
}

active proctype home()
{
    byte h, i, taken, old;

    all[0] = 7;
    all[1] = 3;
    do
    /* thread 0 or 1 calls sys_wait() until it has all */
    :: !blocked[0] && got[0] != all[0] -> wait(0)
    :: !blocked[1] && got[1] != all[1] -> wait(1)
    /* interrupts: the kick */
    :: kick -> kick = false; from_afar()
    /* the timer: sched_expire() for a blocked thread; it will try again */
    :: blocked[0] && timeouts < TIMEOUTS ->
        timeouts++;
#ifndef KNOCK_CANCEL
        waiter[0] = false;
#endif
        blocked[0] = false
    /* a device of this CPU: ntfn_signal() on the home CPU */
    :: !device_done ->
        device_done = true;
        atomic { old = bits[0]; bits[0] = bits[0] | 4 }
        if
        :: old == 0 -> deliver(0)
        :: else -> skip
        fi;
        old = 0
    :: got[0] == all[0] && got[1] == all[1] && !kick && device_done -> break
    od;
    assert(bits[0] == 0 && bits[1] == 0 && !blocked[0] && !blocked[1]);
    /* the last kicks may still come; they find nothing to do */
    do
    :: kick -> kick = false; from_afar()
    :: timeout -> break
    od;
    assert(head == 0 && !queued[0] && !queued[1])
}

active proctype cpu1()
{
    byte h, old;
    bool was;

    signal_afar(1, 1);
    signal_afar(0, 1)
}

active proctype cpu2()
{
    byte h, old;
    bool was;

    signal_afar(0, 2);
    signal_afar(1, 2)
}
