/*
 * A Frame is taken back while another CPU maps and uses it. After kernel/object/memory.c
 * (inv_attach_map, inv_attach_unmap, attach_destroy), cnode_inv.c (revoke_below, delete_leaf),
 * kernel/core/frame.c (frame_decode_delete, frame_commit_detach), epoch.c, sched.c (hazard_work) and
 * arch/x86/cpu.c (cpus_flush_if_owed), trap.c (interrupt).
 *
 * A Frame has one attachment to a space of two page tables. CPU 0 revokes the Frame: each call clears
 * one table and may be preempted; then it deletes the Frame, which is refused until the flush it owes
 * is acknowledged, and hands the memory to somebody else. Meanwhile a thread on CPU 1 in that space
 * maps and unmaps pages of it. Both CPUs have the space loaded: their page walkers fill the TLB at any
 * moment, also speculatively while the kernel runs (Intel SDM vol. 3A, 4.10.2.3), and a TLB keeps what
 * it has until it is flushed. Invocations hold the kernel lock; the rest runs freely. Interrupts are
 * taken outside the kernel only, the hazard word is looked at on each way out.
 *
 * An unmap interrupts the CPUs that have had the space loaded; a third CPU never had, and is interrupted
 * only when a call ends with BUSY because it waits for it.
 *
 * Holds: when the Frame is gone, no page table and no TLB reaches it; when it is attached anew after an
 * unmap, no TLB has what was unmapped; CPU 0 does not wait for ever.
 *
 * KNOCK PASSED   frame_decode_delete() does not ask epoch_passed()
 * KNOCK DEBT     frame_commit_detach() does not charge an epoch
 * KNOCK UNMAP    inv_attach_unmap() does not charge an epoch
 * KNOCK CURSOR   inv_attach_map() maps through an attachment that is half deleted
 * KNOCK CLEAR    attach_destroy() leaves the last table out
 * KNOCK FLUSH    hazard_work() acknowledges without a flush
 * KNOCK ORDER    hazard_work() reads the epoch after the flush
 * KNOCK EARLY    the epoch is charged before the entries are cleared
 * KNOCK KICK     cpus_flush_if_owed() interrupts nobody
 * KNOCK SELF     ... and forgets its own CPU
 * KNOCK WAITED   ... and spares CPUs although the call ended with BUSY
 * KNOCK KICKED   ... and notes a spared CPU as interrupted
 */
#define TABLES 2

bool lock;
bool frame = true;             /* the Frame's capability */
bool attached = true;          /* the attachment's capability */
byte cursor;                   /* cell.c of the attachment: 0, or 1 + tables cleared */
bool pte[TABLES];              /* an entry that reaches the frame */
bool tlb[2];                   /* CPU n has such an entry cached */
byte debt;                     /* cell.d of the Frame */
byte epoch_now, epoch_kicked;
byte epoch_cpu[3];
byte kicked[3];                /* percpu.kicked */
bool kick[3];                  /* VEC_KICK pending */
bool hazard[3];                /* HAZARD_FLUSH */

#define ACQUIRE atomic { !lock -> lock = true }
#define EPOCH_PASSED (epoch_cpu[0] >= debt && epoch_cpu[1] >= debt && epoch_cpu[2] >= debt)

inline kick_if_not(cpu)
{
    if
    :: kicked[cpu] != epoch_now ->
        kicked[cpu] = epoch_now;
#ifndef KNOCK_KICK
        kick[cpu] = true
#endif
    :: else -> skip
    fi
}

/* cpus_flush_if_owed(), before the lock is left; @spare: an unmap, CPU 2 never had the space */
inline flush_if_owed(me, waited, spare)
{
    if
    :: epoch_now == epoch_kicked && !waited -> skip
    :: else ->
        epoch_kicked = epoch_now;
#ifndef KNOCK_SELF
        if
        :: epoch_cpu[me] != epoch_now -> hazard[me] = true
        :: else -> skip
        fi;
#endif
        kick_if_not(1 - me);
        if
#ifdef KNOCK_WAITED
        :: true -> skip
#elif defined(KNOCK_KICKED)
        :: spare -> kicked[2] = epoch_now
        :: else -> kick_if_not(2)
#else
        :: spare && !waited -> skip
        :: else -> kick_if_not(2)
#endif
        fi
    fi;
    lock = false
}

/* hazard_work() */
inline hazard_work(me)
{
    if
    :: hazard[me] ->
        hazard[me] = false;
#ifdef KNOCK_ORDER
        tlb[me] = false;
        e = epoch_now;
#else
        e = epoch_now;
#ifndef KNOCK_FLUSH
        tlb[me] = false;
#endif
#endif
        epoch_cpu[me] = e;
        e = 0
    :: else -> skip
    fi
}

/* interrupt(): the kick, then the way out */
inline take_kick(me)
{
    kick[me] = false;
    if
    :: epoch_now != epoch_cpu[me] -> hazard[me] = true
    :: else -> skip
    fi;
    hazard_work(me)
}

/* Page walks of CPU n */
active [2] proctype walker()
{
end:
    do
    :: atomic { (pte[0] || pte[1]) && !tlb[_pid] -> tlb[_pid] = true }
    od
}

active proctype cpu0()
{
    byte e;
    bool done;

    /* frame_decode_attach() for another space */
    ACQUIRE;
    if
    :: EPOCH_PASSED -> assert(pte[0] || pte[1] || (!tlb[0] && !tlb[1])); lock = false
    :: else -> flush_if_owed(0, true, false); hazard_work(0) /* BUSY */
    fi;
    /* inv_cnode_revoke() of the Frame: again while PREEMPTED */
    do
    :: done -> break
    :: !done ->
        ACQUIRE;
        if
        :: !attached -> done = true
        :: else -> /* attach_destroy(), DETACH_TABLES_PER_CALL = 1 */
            if
            :: cursor == 0 -> cursor = 1
            :: else -> skip
            fi;
#ifdef KNOCK_EARLY
            if
            :: cursor == TABLES -> debt = epoch_now + 1; epoch_now = debt
            :: else -> skip
            fi;
#endif
#ifdef KNOCK_CLEAR
            if
            :: cursor < TABLES -> pte[cursor - 1] = false
            :: else -> skip
            fi;
#else
            pte[cursor - 1] = false;
#endif
            cursor++;
            if
            :: cursor <= TABLES -> skip /* PREEMPTED */
            :: else ->
                /* frame_commit_detach() */
#if !defined(KNOCK_DEBT) && !defined(KNOCK_EARLY)
                epoch_now++;
                debt = epoch_now;
#endif
                attached = false
            fi
        fi;
        flush_if_owed(0, false, true); /* the debt of a detach is not spared: made harder here */
        hazard_work(0);
        if
        :: kick[0] -> take_kick(0)
        :: skip
        fi
    od;
    /* inv_cnode_delete() of the Frame: BUSY at least once if it is owed something; then again when that
       has come, which the guard waits for */
    ACQUIRE;
#ifndef KNOCK_PASSED
    if
    :: EPOCH_PASSED -> skip
    :: else ->
        flush_if_owed(0, true, false);
        hazard_work(0);
        do
        :: EPOCH_PASSED -> break
        :: kick[0] -> take_kick(0)
        od;
        ACQUIRE
    fi;
#endif
    frame = false;
    lock = false;
    assert(!pte[0] && !pte[1]);
    assert(!tlb[0] && !tlb[1]);
end:
    do
    :: kick[0] -> take_kick(0)
    od
}

active proctype cpu1()
{
    byte e, t, calls;

end:
    do
    :: kick[1] -> take_kick(1)
    :: calls < 3 -> /* inv_attach_map() of a page whose entry is in table t */
        calls++;
        select(t : 0 .. TABLES - 1);
        ACQUIRE;
        if
#ifdef KNOCK_CURSOR
        :: attached -> pte[t] = true
#else
        :: attached && cursor == 0 -> pte[t] = true
#endif
        :: else -> skip
        fi;
        t = 0;
        flush_if_owed(1, false, true);
        hazard_work(1)
    :: calls < 3 -> /* inv_attach_unmap() */
        calls++;
        select(t : 0 .. TABLES - 1);
        ACQUIRE;
        if
        :: attached ->
            pte[t] = false;
#ifndef KNOCK_UNMAP
            epoch_now++;
            debt = epoch_now
#endif
        :: else -> skip
        fi;
        t = 0;
        flush_if_owed(1, false, true);
        hazard_work(1)
    od
}

/* A CPU that is about something else */
active proctype cpu2()
{
    byte e;

end:
    do
    :: kick[2] ->
        kick[2] = false;
        if
        :: epoch_now != epoch_cpu[2] ->
            e = epoch_now;
            epoch_cpu[2] = e;
            e = 0
        :: else -> skip
        fi
    od
}
