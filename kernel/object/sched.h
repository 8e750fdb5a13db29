/* Scheduling of one CPU's scheduling contexts, deadlines, switching threads. Own CPU, interrupts
 * off. */
#ifndef OBJECT_SCHED_H
#define OBJECT_SCHED_H

#include "object/objects.h"
#include "core/heap.h"

/** Queues of one CPU. Heap ids are handles, given to SchedContexts and Threads when they are
 * created. */
struct runq {
    struct sc *first;     /* the context that goes first, kept out of the heap: a wake-up that */
                          /* preempts costs no heap operation; NULL: see the heap's top */
    struct heap ready;    /* the other contexts with a thread that can run, by class and key */
    struct heap release;  /* those whose next period changes what they may do, by its start */
    struct heap deadline; /* blocked threads, by deadline */
    uint64_t event;       /* the first of the releases and deadlines; all ones: none */
    uint32_t sc_of[HEAP_MAX], thread_of[HEAP_MAX];
    uint64_t vtime;  /* of the leftover: where newcomers start */
    uint64_t floors; /* sum of the guaranteed shares, in millionths of the CPU */
};

struct percpu;
/** Give a CPU its empty queues. */
void sched_init_cpu(struct percpu *pc, struct runq *q);

/** Handle in the CPU's table, HEAP_NONE when all are taken. */
uint32_t runq_handle(uint32_t *table, uint32_t owner);

/** Is the context in a queue of this CPU? */
bool sched_queued(const struct sc *s);
/** The thread can run now; preempts the current one if it goes first. */
void sched_wake(struct thread *t);
/** Take a thread out of every queue of the scheduler (it is blocked, stopped or loses its context).
 */
void sched_remove(struct thread *t);
/** A context goes back to the thread it belongs to: whoever ran on it is charged, or waits no
 * longer in the ready queue. The caller enters the new owner. */
void sched_take_back(struct sc *s);
/** Block the current thread; the caller has set wait, wait_object and cont. deadline BH_FOREVER:
 * none. */
void sched_block(struct thread *t, uint64_t deadline);
/** Choose who runs next and leave the kernel. */
__attribute__((noreturn)) void schedule(void);
/** Charge the time since the last switch to the current context. */
void sched_charge(void);
/** Leave the domain whose tables are loaded, for the kernel's own tables. */
void sched_leave(struct percpu *pc);
/** Give @t's processor to @next, context included (IPC). */
void thread_switch(struct thread *next);
/** Finish a system call of a thread that is not current: it will return these. */
static inline void thread_return(struct thread *t, uint64_t result, uint64_t value)
{
    t->cont = CONT_SYSCALL;
    t->result = result;
    t->value = value;
}
/** End whatever a blocked thread waits for, with this result, and wake it. */
void thread_unblock(struct thread *t, uint64_t result, uint64_t value);
void thread_cancel_wait(struct thread *t);
/** Process what HAZARD bits ask for, except rescheduling. */
void hazard_work(void);

static inline uint32_t thread_index(const struct thread *t) { return (uint32_t)(t - threads); }

#endif
