/*
 * What the hostile task knows of the kernel's interface: every method and argument of
 * bulkhead/call.h by name (a new argument name without a generator does not compile), the arena's
 * fixed slots, and which errors are possible where. Calls nothing.
 */
#ifndef HOSTILE_RING3_H
#define HOSTILE_RING3_H

#include <stdint.h>
#include "bulkhead/call.h"
#include "bulkhead/cap.h"
#include "bulkhead/error.h"
#include "bulkhead/info.h"
#include "syscall.h"

enum hostile_method_index {
#define INDEX(type, n, name, a, b, c, d) HOSTILE_##name,
    BH_INVOCATIONS(INDEX)
#undef INDEX
        HOSTILE_METHODS
};

#define HOSTILE_ERRORS 18u /* the last: a number that is no error */

enum hostile_argument {
    ARG__0,
    ARG__1,
    ARG__2,
    ARG__3,
    ARG_desc,
    ARG_count,
    ARG_dst_cnode,
    ARG_dst_slot,
    ARG_src_slot,
    ARG_at_slot,
    ARG_offset_pages,
    ARG_pages,
    ARG_space,
    ARG_rights_mask,
    ARG_rights,
    ARG_badge,
    ARG_va,
    ARG_page_va,
    ARG_off_flags,
    ARG_port,
    ARG_first,
    ARG_width_bytes,
    ARG_data,
    ARG_cnode,
    ARG_hostspace,
    ARG_guestspace,
    ARG_sc,
    ARG_ntfn,
    ARG_thread,
    ARG_rip,
    ARG_rsp,
    ARG_arg,
    ARG_floor,
    ARG_ceiling,
    ARG_period,
    ARG_weight,
    ARG_index,
    ARG_match,
    ARG_reason,
    ARG_group,
    ARG_groups,
    ARG_line,
    ARG_byte,
    ARG_which,
    ARG_cpu,
};

struct hostile_method {
    const char *name;
    uint8_t type, number;
    uint8_t argument[4];
};

/** Slots of the workers' CNode that are filled at each rebuild; the rest is free. */
enum hostile_slot {
    HOSTILE_SLOT_CNODE = 1, /* the CNode itself */
    HOSTILE_SLOT_CNODE_READ,
    HOSTILE_SLOT_KUNTYPED,
    HOSTILE_SLOT_FUNTYPED,
    HOSTILE_SLOT_KERNEL,
    HOSTILE_SLOT_IOPORTS,
    HOSTILE_SLOT_IRQ, /* two lines */
    HOSTILE_SLOT_SPACE = HOSTILE_SLOT_IRQ + 2,
    HOSTILE_SLOT_THREAD = HOSTILE_SLOT_SPACE + 2,
    HOSTILE_SLOT_SC = HOSTILE_SLOT_THREAD + 16,
    HOSTILE_SLOT_ENDPOINT = HOSTILE_SLOT_SC + 16, /* two on each of four CPUs */
    HOSTILE_SLOT_NTFN = HOSTILE_SLOT_ENDPOINT + 8,
    HOSTILE_SLOT_FREE = 64
};

#define HOSTILE_PORT 0x300u /* nothing decodes these */

extern const char hostile_worker_entry[];

extern const struct hostile_method hostile_methods[HOSTILE_METHODS];

/** Errors (BH_OK too) that a method can give on a machine with @ncpus CPUs: a bit each. */
uint32_t hostile_possible(uint32_t method, uint32_t ncpus);
/** The same for a call; BH_NCALLS: for a number that is none. */
uint32_t hostile_call_possible(uint32_t call, uint32_t ncpus);

/* ---- Of the supervisor ----------------------------------------------------------------------- */

static inline const struct bh_info *info(void) { return (const struct bh_info *)BH_ROOT_INFO; }
/** A line in the log. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Say why, and end the run as failed. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void must(const char *what, struct bh_result r);
/** Retype into root's CNode. */
void make(uint64_t from, uint32_t type, uint32_t bits, uint32_t cpu, uint64_t count, uint64_t slot);
/** Repeat a call while it is PREEMPTED, or BUSY for at most half a second; then it must be good. */
void again(const char *what, struct bh_result (*call)(uint64_t, uint64_t), uint64_t a, uint64_t b);
struct bh_result revoke(uint64_t cnode, uint64_t slot);
struct bh_result scrub(uint64_t untyped, uint64_t unused);
/** The kernel's checker finds nothing. */
void check(const char *when);

/** Invoke: it must give @want, and the pair counts as hit. */
struct bh_result hit(uint32_t method, uint64_t want, uint64_t cap, uint64_t a0, uint64_t a1,
                     uint64_t a2, uint64_t a3);
/** A pair that was not sure to happen has happened. */
void count_hit(uint32_t method, uint64_t err);
/** A call has given @err; it must be @want, and the pair counts as hit. */
void hit_call(uint32_t call, uint64_t want, uint64_t err);

/* Memory for the attack or sequence at hand, and the first of 600 free slots of root's. */
extern uint64_t ut, ft, first;

struct hostile_act {
    const char *name;
    void (*run)(void);
};
/** Each act in memory that is fresh, and must all be back in the end; then the checker looks.
 *  @only: 0, or the number of one, from 1. */
void act_out(const char *kind, const struct hostile_act *acts, uint32_t count, uint64_t only);

/** Before the two below. @funtyped: clean frames; slots of root's from @slot on are free. */
void acts_set_up(uint64_t funtyped, uint64_t slot);
/** Known attacks, each once. */
void attacks(uint64_t only);
/** What random invocations seldom or never get, done on purpose: every pair that they may miss. */
void sequences(uint64_t only);

#endif
