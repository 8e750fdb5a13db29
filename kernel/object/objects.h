/*
 * The kernel objects that own pool memory, as typed arrays over the pool (core/types.h).
 * Owner of every Thread, SchedContext, Endpoint, Notification and VCpu is the CPU in `cpu`: fields
 * are touched there only, interrupts off, unless marked (any). `users` counts references from other
 * objects and is changed under the kernel lock; an object with users cannot be destroyed.
 */
#ifndef OBJECT_OBJECTS_H
#define OBJECT_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/types.h"
#include "core/sched_math.h"
#include "bulkhead/call.h"

#define NONE 0xffffffffu

/** An object's address, computed once: the compiler knows the arrays' addresses and would rather
 * shift the index again at each use. */
static inline void *held(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

/** What to do when the thread runs next; its registers are in its save area. */
enum cont {
    CONT_SYSCALL = 0, /* return from a system call: result, value */
    CONT_IPC = 1,     /* the same with badge and words (thread.words) */
    CONT_FRAME = 2,   /* full register frame: interrupted, or new */
    CONT_VCPU = 3,    /* go on in the guest */
};

enum wait_kind { WAIT_NOTHING, WAIT_SEND, WAIT_CALL, WAIT_RECEIVE, WAIT_REPLY, WAIT_NTFN };

struct thread {
    /* What the IPC path reads. */
    uint32_t cnode_first, cnode_count;
    uint64_t cr3;
    uint64_t save; /* top of the save area */
    uint32_t sc;   /* scheduling context it runs on now */
    uint32_t home_sc;
    uint32_t caller; /* who waits for our reply */
    uint32_t cpu;
    uint8_t state; /* enum bh_thread_state */
    uint8_t cont;
    uint8_t wait;  /* enum wait_kind */
    uint8_t timed; /* in the deadline heap */
    uint32_t wait_object;
    uint32_t vcpu;
    uint32_t next, prev; /* queue of an endpoint */
    uint64_t badge;      /* of the message being sent or received */
    /* The rest. */
    uint64_t result, value;
    uint64_t run_deadline, run_flags; /* of vcpu_run */
    uint64_t deadline;
    uint32_t space, cnode; /* objects it refers to */
    uint32_t save_slot;
    uint32_t fault_ntfn;
    uint64_t fault_badge;
    uint32_t users;
    uint32_t bound;
    uint32_t fault_vector, fault_code;
    uint64_t fault_rip, fault_addr;
    uint64_t start_rip, start_rsp, start_arg, start_arg2;
    uint32_t server; /* WAIT_REPLY: the thread that runs on our scheduling context */
    uint32_t handle; /* in runq.thread_of */
} __attribute__((aligned(BH_THREAD_BYTES)));
_Static_assert(sizeof(struct thread) == BH_THREAD_BYTES, "ABI");

struct sc {
    struct sc_time time; /* core/sched_math.h */
    uint64_t key;        /* in the ready heap */
    uint32_t thread;     /* that runs on it, NONE */
    uint32_t cpu;
    uint32_t users;
    uint32_t handle; /* in runq.sc_of */
    uint32_t configured;
    uint64_t share; /* of the CPU that its floor guarantees, in millionths */
} __attribute__((aligned(BH_SC_BYTES)));
_Static_assert(sizeof(struct sc) == BH_SC_BYTES, "ABI");

enum ep_queue { EP_IDLE = 0, EP_SENDERS = 1, EP_RECEIVERS = 2 };
struct endpoint {
    uint32_t queue; /* enum ep_queue */
    uint32_t head, tail;
    uint32_t cpu;
    uint32_t users;
} __attribute__((aligned(BH_ENDPOINT_BYTES)));
_Static_assert(sizeof(struct endpoint) == BH_ENDPOINT_BYTES, "ABI");

struct ntfn {
    uint64_t bits;   /* (any) atomic */
    uint32_t queued; /* (any) atomic: in the home CPU's signal list */
    uint32_t next;   /* link in that list */
    uint32_t cpu;
    uint32_t waiter; /* thread that waits, NONE */
    uint32_t vcpu;   /* vCPU it interrupts, NONE */
    uint32_t users;
    uint32_t seen; /* checker */
} __attribute__((aligned(BH_NTFN_BYTES)));
_Static_assert(sizeof(struct ntfn) == BH_NTFN_BYTES, "ABI");

enum space_kind { SPACE_HOST = 1, SPACE_GUEST = 2 };
/* Header page of a HostSpace or GuestSpace; the root table is the next page, its other tables
 * follow. */
struct space {
    uint32_t kind;
    uint32_t pages;            /* of the object, this one included */
    uint32_t next_free;        /* page of the object not yet used as a table */
    uint32_t users;            /* threads, vCPUs, attachments */
    uint32_t save_used;        /* host: bitmap of save areas */
    uint32_t vcpu_used;        /* host: bitmap of vCPU slots */
    uint64_t cpus;             /* bits: where threads or vCPUs have been bound that use it */
    uint32_t seen, saves_seen; /* checker */
} __attribute__((aligned(4096)));

/* The pool, seen as each type; the linker script gives all of them the pool's address. */
extern struct thread threads[];
extern struct sc scs[];
extern struct endpoint endpoints[];
extern struct ntfn ntfns[];
extern struct space spaces[];
extern uint64_t tables[][512]; /* page index */

#endif
