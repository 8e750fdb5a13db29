/*
 * The hostile task: started in root's place, it makes an arena of every kind of object, starts
 * threads in address spaces of their own that invoke it at random, and lets the kernel check its
 * invariants all the while. One thread at a time first (every (method, error) pair is recorded and
 * compared with possible.c), then all of them against each other.
 * May call: vmm/rt. Never touches: anything outside the arena, but to tear it down and build it
 * again.
 *
 * Kernel command line: hostile.seed= hostile.count= hostile.reset= (invocations between rebuilds)
 * hostile.attacks=0 hostile.pairs=0 (neither sequences nor the demand that all pairs happen)
 * hostile.alone=0 (all threads at once from the start) hostile.checks= (of the invariants, per ms)
 * Ends with "hostile: pass" or "hostile: FAIL <why>" in the log, and the system with it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include "syscall.h"
#include "fmt.h"
#include "string.h"
#include "bulkhead/info.h"
#include "bulkhead/vcpu.h"
#include "ring3.h"

/* ---- What both sides know -------------------------------------------------------------------- */

#define ARENA_SLOTS 256u /* of the workers' CNode */
#define WORKERS     4u   /* per CPU; restarted whenever they stop */
#define WORKERS_MAX 16u  /* on all of them */
#define SHARED_VA   0x10000000ul
#define STACKS_VA   0x10100000ul /* 16 for the workers, 48 for threads that they start */
#define STACKS      64u
#define IMAGE_VA    0x18000000ul
#define PAGE        4096ul
#define GIVE_UP_S   60u
/* In the upper half of the index that root starts a worker with. */
#define HOSTILE_WORKER_MARK 0x5eed600dul

/* A worker's own words, in the shared memory. */
struct worker {
    uint64_t rng;
    uint64_t progress;
    uint64_t trace[8];         /* what it invoked last: method | slot << 16 */
    uint8_t type[ARENA_SLOTS]; /* what the slots held when last looked at */
    uint32_t looked;
    uint32_t invoked_type, wanted_type; /* of the capability invoked; of what a retype is to make */
    uint32_t cpu;
};

#define HOME_UNKNOWN 0xffu

struct shared {
    uint32_t stack_next; /* first: the entry code takes from it */
    uint32_t strict;     /* one worker alone: results can be attributed */
    uint32_t ncpus, tsc_khz;
    uint64_t spoiled;  /* the arena needs building again */
    uint64_t clearing; /* odd: it is being taken down: less of what finds nothing there */
    uint64_t ops, ok, limit, stuck, restarts;
    uint8_t home[ARENA_SLOTS]; /* CPU of the object in a slot, as far as somebody has found out */
    uint32_t hits[HOSTILE_METHODS][HOSTILE_ERRORS];
    uint32_t calls[BH_NCALLS + 1][HOSTILE_ERRORS]; /* the last: numbers that are no call */
    struct worker worker[2 * WORKERS_MAX];
};
#define SHARED_PAGES ((sizeof(struct shared) + PAGE - 1) / PAGE)
#define SHARED       ((volatile struct shared *)SHARED_VA)
#define WORK(i)      ((struct worker *)&((struct shared *)SHARED_VA)->worker[i])

void hostile_worker(uint64_t index);

/* ---- Workers --------------------------------------------------------------------------------- */

static uint64_t next_random(struct worker *w)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return w->rng * 0x2545f4914f6cdd1dull >> 8;
}

static uint64_t below(struct worker *w, uint64_t n) { return next_random(w) % n; }

static bool one_in(struct worker *w, uint64_t n) { return below(w, n) == 0; }

static uint64_t garbage(struct worker *w)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      15,
                                      16,
                                      17,
                                      255,
                                      256,
                                      257,
                                      4095,
                                      4096,
                                      4097,
                                      65535,
                                      65536,
                                      65537,
                                      0x1ff000,
                                      0x200000,
                                      0x7fffffffull,
                                      0x80000000ull,
                                      0xffffffffull,
                                      0x100000000ull,
                                      0x7fffffe000ull,
                                      0x7ffffff000ull,
                                      0x8000000000ull,
                                      0x7ffffffff000ull,
                                      0x800000000000ull,
                                      0xffff800000000000ull,
                                      0xffffffff80000000ull,
                                      0x7fffffffffffffffull,
                                      0x8000000000000000ull,
                                      0xfffffffffffff000ull,
                                      ~0ull};

    switch (below(w, 4)) {
    case 0: return next_random(w) << 8;
    case 1: return below(w, 512);
    default:
        return values[below(w, sizeof(values) / sizeof(values[0]))] + below(w, 2) - below(w, 2);
    }
}

/* Look at all slots again. These invocations are not counted. */
static void look(struct worker *w)
{
    for (uint32_t i = 0; i < ARENA_SLOTS; i++) {
        struct bh_result r = bh_cnode_type(HOSTILE_SLOT_CNODE, i);

        if (w->type[i] != (r.err == BH_OK ? r.value & 0xff : 0)) SHARED->home[i] = HOME_UNKNOWN;
        w->type[i] = (uint8_t)(r.err == BH_OK ? r.value & 0xff : 0);
    }
    w->looked = 0;
    if (w->type[HOSTILE_SLOT_CNODE] != BH_CAP_CNODE ||
        w->type[HOSTILE_SLOT_KUNTYPED] != BH_CAP_KUNTYPED)
        SHARED->spoiled = 1;
}

static bool holds(struct worker *w, uint32_t mask)
{
    for (uint32_t i = 0; i < ARENA_SLOTS; i++) {
        if ((mask >> w->type[i] & 1u) != 0) return true;
    }
    return false;
}

/* A slot that holds (as far as we know) one of the types in @mask, mostly an object of our own
 * CPU; any slot if there is none. */
static uint64_t slot_of(struct worker *w, uint32_t mask)
{
    uint64_t from = below(w, ARENA_SLOTS), afar = ARENA_SLOTS;
    bool any_cpu = one_in(w, 24);

    for (uint64_t i = 0; i < ARENA_SLOTS; i++) {
        uint64_t s = (from + i) % ARENA_SLOTS;

        if ((mask >> w->type[s] & 1u) == 0) continue;
        if (any_cpu || SHARED->home[s] == HOME_UNKNOWN || SHARED->home[s] == w->cpu) return s;
        afar = s;
    }
    return afar != ARENA_SLOTS ? afar : from;
}

/* What an invocation has told about where objects live. */
static void learn_home(uint32_t m, uint64_t slot, const uint64_t *args, struct bh_result r)
{
    bool in_arena = args[2] == HOSTILE_SLOT_CNODE && args[3] < ARENA_SLOTS;

    if (r.err == BH_ERR_CPU && r.value < HOME_UNKNOWN) {
        if (m == HOSTILE_cnode_delete || m == HOSTILE_cnode_revoke) slot = args[0];
        if (m == HOSTILE_thread_set_sc && slot < ARENA_SLOTS && SHARED->home[slot] != HOME_UNKNOWN)
            slot = args[0];
        if (slot < ARENA_SLOTS) SHARED->home[slot] = (uint8_t)r.value;
    }
    if (r.err != BH_OK) return;
    if (m == HOSTILE_untyped_retype && in_arena && args[1] <= ARENA_SLOTS) {
        for (uint64_t s = args[3]; s < args[3] + args[1] && s < ARENA_SLOTS; s++)
            SHARED->home[s] = (uint8_t)(args[0] >> 16);
    }
    if (slot == HOSTILE_SLOT_CNODE && m <= HOSTILE_cnode_move && m >= HOSTILE_cnode_copy)
        SHARED->home[args[0] % ARENA_SLOTS] = SHARED->home[args[1] % ARENA_SLOTS];
}

#define MASK(t)    (1u << BH_CAP_##t)
#define MASK_SPACE (MASK(HOSTSPACE) | MASK(GUESTSPACE))

static uint64_t random_va(struct worker *w)
{
    static const uint64_t bases[] = {0,          0x20000000, 0x20000000,   0x30000000,
                                     0x3ffff000, 0x40000000, 0x7fbffff000, 0x8000000000ull,
                                     0x3fe00000};
    uint64_t base = bases[below(w, sizeof(bases) / sizeof(bases[0]))];

    return base + (one_in(w, 4) ? below(w, 8) << 21 : below(w, 64) << 12);
}

static uint64_t random_desc(struct worker *w)
{
    static const uint8_t types[] = {BH_CAP_KUNTYPED,  BH_CAP_CNODE,      BH_CAP_THREAD,
                                    BH_CAP_SC,        BH_CAP_ENDPOINT,   BH_CAP_NTFN,
                                    BH_CAP_HOSTSPACE, BH_CAP_GUESTSPACE, BH_CAP_VCPU};
    uint64_t cpu = one_in(w, 24) ? below(w, SHARED->ncpus) : w->cpu, type, bits = 0;

    if (w->invoked_type == BH_CAP_FUNTYPED) {
        type = one_in(w, 5) ? BH_CAP_FUNTYPED : BH_CAP_FRAME;
        bits = one_in(w, 6) ? 9 : below(w, 3);
    } else {
        type = types[below(w, sizeof(types))];
        if (type == BH_CAP_CNODE) bits = 4 + below(w, 2);
    }
    if (one_in(w, 32)) type = below(w, 20);
    w->wanted_type = (uint32_t)type;
    return BH_DESC(type, bits, cpu);
}

static uint64_t random_deadline(struct worker *w)
{
    uint64_t now = rt_tsc(), us = SHARED->tsc_khz / 1000 + 1;

    switch (below(w, 8)) {
    case 0: return one_in(w, 16) ? BH_FOREVER : BH_FOREVER - 1 - below(w, 2) * (~0ull >> 1);
    case 1: return below(w, 2) * now;
    case 2: return now + below(w, 2);
    case 3: return now + below(w, 5 * us);
    default: return now + below(w, 100 * us);
    }
}

/* An argument of an invocation, by the name the description gives it. */
static uint64_t argument(struct worker *w, enum hostile_argument a)
{
    uint64_t slot;

    if (a != ARG_byte && one_in(w, 24)) return garbage(w);
    switch (a) {
    case ARG_desc: return random_desc(w);
    case ARG_count:
        if (w->invoked_type == BH_CAP_IOPORTS) return 1 + below(w, 8);
        if (w->wanted_type == BH_CAP_HOSTSPACE || w->wanted_type == BH_CAP_GUESTSPACE)
            return one_in(w, 40) ? 512 : BH_HOSTSPACE_MIN_PAGES + below(w, 24);
        return one_in(w, 3) ? 1 + below(w, 24) : one_in(w, 40) ? 512 : 1 + below(w, 3);
    case ARG_dst_cnode: return one_in(w, 3) ? slot_of(w, MASK(CNODE)) : HOSTILE_SLOT_CNODE;
    case ARG_dst_slot: return one_in(w, 4) ? below(w, 16) : slot_of(w, MASK(NULL));
    case ARG_src_slot:
        do slot = slot_of(w, ~MASK(NULL));
        while (slot < HOSTILE_SLOT_FREE && !one_in(w, 8));
        return slot;
    case ARG_at_slot:
        return one_in(w, 32) ? below(w, 16)
                             : HOSTILE_SLOT_FREE + below(w, ARENA_SLOTS - HOSTILE_SLOT_FREE);
    case ARG_offset_pages: return one_in(w, 2) ? 0 : below(w, 6);
    case ARG_pages: return one_in(w, 6) ? below(w, 1100) : one_in(w, 2) ? 1 + below(w, 4) : 1;
    case ARG_space: return slot_of(w, MASK_SPACE);
    case ARG_rights:
    case ARG_rights_mask: return one_in(w, 2) ? BH_RIGHTS_ALL : below(w, 16);
    case ARG_va:
    case ARG_page_va: return random_va(w);
    case ARG_off_flags:
        return (one_in(w, 3) ? below(w, 3) << 12 : 0) | BH_MAP_READ |
               (one_in(w, 2) ? below(w, 16) : 0);
    case ARG_port:
    case ARG_first: return HOSTILE_PORT + below(w, 16);
    case ARG_width_bytes: return 1ull << below(w, 3);
    case ARG_cnode: return slot_of(w, MASK(CNODE));
    case ARG_hostspace: return slot_of(w, MASK(HOSTSPACE));
    case ARG_guestspace: return slot_of(w, MASK(GUESTSPACE));
    case ARG_sc: return slot_of(w, MASK(SC));
    case ARG_ntfn: return slot_of(w, MASK(NTFN));
    case ARG_thread: return slot_of(w, MASK(THREAD));
    case ARG_rip: return one_in(w, 4) ? random_va(w) : (uint64_t)hostile_worker_entry;
    case ARG_arg: return WORKERS_MAX + w->cpu * WORKERS + below(w, WORKERS);
    case ARG_floor: return one_in(w, 2) ? 0 : below(w, 1000);
    case ARG_ceiling: return 1000 + below(w, 100000);
    case ARG_period: return 10000 + below(w, 1000000);
    case ARG_weight: return 1 + below(w, 1000);
    case ARG_index: return below(w, BH_DOORBELLS);
    case ARG_match:
        return below(w, 65536) | 1ull << (16 + below(w, 3)) | below(w, 2) << 24 |
               below(w, 256) << 32;
    case ARG_reason: return below(w, BH_NEXITS + 8);
    case ARG_group: return below(w, 3);
    case ARG_groups: return below(w, 256) << 8 & (BH_STATE_ALL | BH_STATE_FPU);
    case ARG_line: return below(w, 24);
    case ARG_byte: return '.';
    case ARG_which: return below(w, 5);
    case ARG_cpu: return below(w, SHARED->ncpus);
    case ARG__0:
    case ARG__1:
    case ARG__2:
    case ARG__3: return 0;
    default: return next_random(w); /* badges, data, rsp */
    }
}

const struct hostile_method hostile_methods[HOSTILE_METHODS] = {
#define METHOD(type, n, name, a, b, c, d)                                                          \
    {#name, BH_CAP_##type, (n), {ARG_##a, ARG_##b, ARG_##c, ARG_##d}},
#define BH_CAP_UNTYPED BH_CAP_KUNTYPED
    BH_INVOCATIONS(METHOD)
#undef METHOD
};

static uint32_t column(uint64_t err)
{
    return err < HOSTILE_ERRORS ? (uint32_t)err : HOSTILE_ERRORS - 1;
}

void count_hit(uint32_t method, uint64_t err) { SHARED->hits[method][column(err)]++; }

static void count_call(uint32_t call, uint64_t err) { SHARED->calls[call][column(err)]++; }

static void invoke_something(struct worker *w)
{
    uint32_t m = one_in(w, 12)   ? HOSTILE_untyped_retype
                 : one_in(w, 30) ? HOSTILE_frame_attach
                                 : (uint32_t)below(w, HOSTILE_METHODS);
    const struct hostile_method *x = &hostile_methods[m];
    uint32_t mask = 1u << x->type;
    uint64_t slot, args[4], number = one_in(w, 64) ? garbage(w) : x->number;
    /* While the arena is taken down, another of its threads may start a worker: what it invokes may
     * go between its look and its call. So it may when the arena is taken down and filled anew
     * between the two. */
    uint64_t clearing = SHARED->clearing;
    bool right = (clearing & 1u) == 0;
    struct bh_result r;

    /* What costs much or repairs little is drawn less often. */
    if ((m == HOSTILE_kernel_putc || m == HOSTILE_kernel_check || m == HOSTILE_cnode_revoke ||
         m == HOSTILE_cnode_delete || m == HOSTILE_thread_stop) &&
        !one_in(w, 8))
        return;
    if (x->type == BH_CAP_KUNTYPED) mask |= MASK(FUNTYPED);
    if (x->type == BH_CAP_HOSTSPACE) mask = MASK(HOSTSPACE);
    if (!holds(w, mask) && !one_in(w, 16)) return;
    slot = one_in(w, 32)                              ? garbage(w)
           : x->type == BH_CAP_CNODE && !one_in(w, 4) ? HOSTILE_SLOT_CNODE
                                                      : slot_of(w, mask);
    if (SHARED->strict != 0) { /* nobody else runs: what the slot holds now is what is invoked */
        r = bh_cnode_type(HOSTILE_SLOT_CNODE, slot);
        w->invoked_type = (uint32_t)(r.err == BH_OK ? r.value & 0xff : 0);
        right = right && (mask >> w->invoked_type & 1u) != 0;
    } else {
        w->invoked_type = slot < ARENA_SLOTS ? w->type[slot] : 0;
    }
    for (uint32_t i = 0; i < 4; i++) args[i] = argument(w, x->argument[i]);
    w->trace[w->progress % 8] = m | slot << 16;
    if (number != x->number) right = false;
    r = bh_invoke(slot, number, args[0], args[1], args[2], args[3]);
    __atomic_fetch_add(&SHARED->ops, 1, __ATOMIC_RELAXED);
    if (r.err == BH_OK) __atomic_fetch_add(&SHARED->ok, 1, __ATOMIC_RELAXED);
    learn_home(m, slot, args, r);
    /* A thread that the arena itself has started can empty the slot between the two as well, or put
     * another capability there. An error that cannot be, and CAP, is this method's only if the slot
     * still holds what was looked at: neither has changed the slot. */
    if (SHARED->strict != 0 && right &&
        (r.err == BH_ERR_CAP || (hostile_possible(m, SHARED->ncpus) >> column(r.err) & 1u) == 0)) {
        struct bh_result now = bh_cnode_type(HOSTILE_SLOT_CNODE, slot);

        right = now.err == BH_OK && (mask >> (now.value & 0xff) & 1u) != 0;
    }
    if (SHARED->strict != 0 && right && SHARED->clearing == clearing) count_hit(m, r.err);
}

static void call_something(struct worker *w)
{
    struct bh_message m = {{next_random(w), next_random(w), next_random(w), next_random(w)}, 0};
    uint32_t call = (uint32_t)below(w, BH_NCALLS + 1);
    uint64_t err, number, deadline = random_deadline(w);
    uint64_t slot = one_in(w, 24) ? garbage(w)
                                  : slot_of(w, call >= BH_SYS_signal ? MASK(NTFN) : MASK(ENDPOINT));

    switch (call) {
    case BH_SYS_call:
    case BH_SYS_reply_wait:
    case BH_SYS_send:
    case BH_SYS_receive: err = bh_ipc((enum bh_call)call, slot, &m, deadline); break;
    case BH_SYS_vcpu_run:
        deadline = rt_tsc() + below(w, 20000);
        err = bh_vcpu_run(one_in(w, 16) ? garbage(w) % (rt_tsc() + 100000) : deadline,
                          one_in(w, 4) ? garbage(w) : below(w, 0x10000) & BH_RUN_ALL)
                  .err;
        err = (int64_t)err < 0 ? 0 - err : BH_OK; /* an exit */
        break;
    case BH_SYS_invoke: /* what never reaches a method */
        err =
            bh_invoke(slot, BH_METHODS_MAX + (one_in(w, 2) ? garbage(w) >> 8 : 0), 0, 0, 0, 0).err;
        break;
    case BH_NCALLS:
        number = garbage(w);
        if ((uint32_t)number < BH_NCALLS) number += BH_NCALLS; /* the upper half does not count */
        err = bh_syscall(number, slot, deadline, 0, 0, 0, 0).err;
        break;
    default: err = bh_syscall(call, slot, deadline, 0, 0, 0, 0).err; break;
    }
    count_call(call, err);
}

void hostile_worker(uint64_t index)
{
    /* What only we start is a worker. The others may be started with any index. */
    struct worker *w = WORK(index >> 32 == HOSTILE_WORKER_MARK ? (uint32_t)index
                                                               : WORKERS_MAX + index % WORKERS_MAX);

    w->cpu = (uint32_t)(index % WORKERS_MAX / WORKERS);
    look(w);
    for (;;) {
        w->progress++;
        if ((SHARED->clearing & 1u) != 0 && !one_in(w, 8)) {
            bh_yield();
            continue;
        }
        if (w->looked++ >= 200 || one_in(w, 256)) look(w);
        if (SHARED->strict == 0 && one_in(w, 3))
            call_something(w);
        else
            invoke_something(w);
        if (SHARED->ops >= SHARED->limit) bh_yield();
    }
}

/* Threads are started here with rdi = index. Workers (root marks them) have a stack of their own,
 * the others take the next: two that share one would spoil each other's results. */
__asm__(".text\n"
        ".globl hostile_worker_entry\n"
        "hostile_worker_entry:\n"
        "    mov %edi, %eax\n"
        "    mov %rdi, %rdx\n"
        "    shr $32, %rdx\n"
        "    cmp $0x5eed600d, %edx\n"
        "    je 1f\n"
        "    mov $1, %eax\n"
        "    lock xaddl %eax, 0x10000000\n"
        "    xor %edx, %edx\n"
        "    mov $48, %ecx\n"
        "    div %ecx\n"
        "    lea 16(%rdx), %eax\n"
        "1:  inc %rax\n"
        "    shl $12, %rax\n"
        "    lea 0x10100000(%rax), %rsp\n"
        "    xor %ebp, %ebp\n"
        "    call hostile_worker\n"
        "    ud2\n");

/* ---- The supervisor: root's own thread ------------------------------------------------------- */

static void put(void *ctx, char c)
{
    (void)ctx;
    (void)bh_kernel_putc(BH_SLOT_KERNEL, (uint8_t)c);
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_v(put, NULL, format, args);
    va_end(args);
    put(NULL, '\n');
}

__attribute__((noreturn)) static void end(bool good)
{
    say("bulkhead: end status=%d reason=hostile %s", good ? 0 : 1, good ? "pass" : "fail");
    (void)bh_ioports_out(BH_SLOT_IOPORTS, 0xf4, 1, good ? 0 : 1);
    for (const char *s = "Shutdown"; *s != 0; s++)
        (void)bh_ioports_out(BH_SLOT_IOPORTS, 0x8900, 1, (uint8_t)*s);
    for (;;)
        ;
}

void fail(const char *format, ...)
{
    va_list args;

    say("\nhostile: FAIL");
    va_start(args, format);
    fmt_v(put, NULL, format, args);
    va_end(args);
    say(" ");
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        struct worker *w = WORK(i);

        if (w->progress == 0) continue;
        say("worker %u: %lu steps", i, w->progress);
        for (uint32_t n = 0; n < 8; n++) {
            uint64_t t = w->trace[(w->progress + n + 1) % 8];
            say("    %s on slot %lx", hostile_methods[t % HOSTILE_METHODS].name, t >> 16);
        }
    }
    end(false);
}

/* Root's slots. */
enum {
    S_CNODE = 200, /* behind what root is given; the workers' */
    S_SPACE,       /* two */
    S_NTFN = S_SPACE + 2,
    S_SC, /* of each worker */
    S_THREAD = S_SC + 16,
    S_ARENA_K = S_THREAD + 16, /* untyped memory of the arena */
    S_ARENA_F,
    S_FRAME, /* shared, stacks, image */
    S_ATTACH = S_FRAME + 3,
    S_NTFN_BADGED = S_ATTACH + 16,
    S_AGENT_NTFN = S_NTFN_BADGED + 16,
    S_AGENT_CALL = S_AGENT_NTFN + 16, /* the same with a badge */
    S_END = S_AGENT_CALL + 16
};

void must(const char *what, struct bh_result r)
{
    if (r.err != BH_OK) fail("%s: error %lu (value %lx)", what, r.err, r.value);
}

static const char *const error_names[HOSTILE_ERRORS] = {
    [BH_OK] = "OK",
    [BH_ERR_CAP] = "CAP",
    [BH_ERR_RIGHTS] = "RIGHTS",
    [BH_ERR_METHOD] = "METHOD",
    [BH_ERR_RANGE] = "RANGE",
    [BH_ERR_SLOT] = "SLOT",
    [BH_ERR_MEMORY] = "MEMORY",
    [BH_ERR_TABLES] = "TABLES",
    [BH_ERR_BUSY] = "BUSY",
    [BH_ERR_STATE] = "STATE",
    [BH_ERR_CPU] = "CPU",
    [BH_ERR_PREEMPTED] = "PREEMPTED",
    [BH_ERR_TIMEOUT] = "TIMEOUT",
    [BH_ERR_MAPPED] = "MAPPED",
    [BH_ERR_ABORTED] = "ABORTED",
    [BH_ERR_UNSUPPORTED] = "UNSUPPORTED",
    [BH_ERR_LIMIT] = "LIMIT",
    [HOSTILE_ERRORS - 1] = "no error number",
};
static const char *const call_names[BH_NCALLS + 1] = {
#define NAME(n, name) [n] = #name,
    BH_CALLS(NAME)
#undef NAME
        [BH_NCALLS] = "no call",
};

static const char *error_name(uint64_t err) { return error_names[column(err)]; }

struct bh_result hit(uint32_t method, uint64_t want, uint64_t cap, uint64_t a0, uint64_t a1,
                     uint64_t a2, uint64_t a3)
{
    struct bh_result r = bh_invoke(cap, hostile_methods[method].number, a0, a1, a2, a3);

    count_hit(method, r.err);
    if (r.err != want)
        fail("%s on slot %lu (%lx, %lx, %lx, %lx): %s (value %lx), not %s",
             hostile_methods[method].name, cap, a0, a1, a2, a3, error_name(r.err), r.value,
             error_name(want));
    return r;
}

void hit_call(uint32_t call, uint64_t want, uint64_t err)
{
    count_call(call, err);
    if (err != want) fail("%s: %s, not %s", call_names[call], error_name(err), error_name(want));
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *c = info()->cmdline;
    size_t n = strlen(name);
    uint64_t v = 0;

    for (; *c != 0; c++) {
        if (strncmp(c, name, n) != 0) continue;
        for (c += n; *c >= '0' && *c <= '9'; c++) v = v * 10 + (uint64_t)(*c - '0');
        return v;
    }
    return otherwise;
}

extern const char root_image[], root_data[];
static uint64_t funtyped; /* slot of the one we use */
static uint32_t workers, attaches;

void make(uint64_t from, uint32_t type, uint32_t bits, uint32_t cpu, uint64_t count, uint64_t slot)
{
    must("retype", bh_untyped_retype(from, BH_DESC(type, bits, cpu), count, BH_SLOT_CNODE, slot));
}

/* What has not happened by then never will: an emulator with more CPUs than its host leaves one of
 * them alone for long. */
static uint64_t give_up_at(void) { return rt_tsc() + info()->tsc_khz * 1000ull * GIVE_UP_S; }

/* Call it until it is neither preempted nor waits for other CPUs' flushes. */
void again(const char *what, struct bh_result (*call)(uint64_t, uint64_t), uint64_t a, uint64_t b)
{
    uint64_t give_up = give_up_at();
    struct bh_result r;

    do r = call(a, b);
    while (r.err == BH_ERR_PREEMPTED || (r.err == BH_ERR_BUSY && rt_tsc() < give_up));
    must(what, r);
}

/* ---- Root's threads on the other CPUs do there what must be done there ---- */

static struct errand {
    uint64_t cap, method, a[4];
    struct bh_result r;
    uint64_t asked, done;
} errands[BH_MAX_CPUS];

void root_service(uint64_t cpu);
void root_service(uint64_t cpu)
{
    struct errand *e = &errands[cpu];

    for (;;) {
        while (__atomic_load_n(&e->asked, __ATOMIC_ACQUIRE) == e->done) {
            if (bh_wait(S_AGENT_NTFN + cpu, BH_FOREVER).err != BH_OK) bh_yield(); /* not made yet */
        }
        e->r = bh_invoke(e->cap, e->method, e->a[0], e->a[1], e->a[2], e->a[3]);
        __atomic_store_n(&e->done, e->asked, __ATOMIC_RELEASE);
    }
}

static struct bh_result on_cpu(uint64_t cpu, uint64_t cap, uint64_t method, uint64_t a0,
                               uint64_t a1, uint64_t a2, uint64_t a3)
{
    struct errand *e = &errands[cpu];
    uint64_t give_up = give_up_at();

    if (cpu == 0) return bh_invoke(cap, method, a0, a1, a2, a3);
    *e = (struct errand){cap, method, {a0, a1, a2, a3}, {0, 0}, e->asked, e->done};
    __atomic_store_n(&e->asked, e->asked + 1, __ATOMIC_RELEASE);
    (void)bh_signal(S_AGENT_CALL + cpu);
    while (__atomic_load_n(&e->done, __ATOMIC_ACQUIRE) != e->asked) {
        if (rt_tsc() > give_up) fail("CPU %lu does not answer for %u s", cpu, GIVE_UP_S);
        bh_yield();
    }
    return e->r;
}

struct bh_result revoke(uint64_t cnode, uint64_t slot)
{
    struct bh_result r = bh_cnode_revoke(cnode, slot);

    if (r.err == BH_ERR_CPU) r = on_cpu(r.value, cnode, BH_M_cnode_revoke, slot, 0, 0, 0);
    if (r.err == BH_ERR_CPU) /* and the next one elsewhere */
        r.err = BH_ERR_PREEMPTED;
    return r;
}

struct bh_result scrub(uint64_t untyped, uint64_t unused)
{
    (void)unused;
    return bh_untyped_scrub(untyped);
}

static struct bh_result worker_does(uint32_t i, uint64_t method, uint64_t a0, uint64_t a1,
                                    uint64_t a2)
{
    return on_cpu(i / WORKERS, S_THREAD + i, method, a0, a1, a2, 0);
}

static struct bh_result context(uint32_t i)
{
    return on_cpu(i / WORKERS, S_SC + i, BH_M_sc_configure, 0, 100000 + i, 100000 + i, 100);
}

static void map_here(uint64_t space, uint32_t frame, uint64_t va, uint64_t flags, uint64_t pages)
{
    uint64_t at = S_ATTACH + attaches++;

    must("attach", bh_frame_attach(S_FRAME + frame, space, BH_RIGHTS_ALL, BH_SLOT_CNODE, at));
    must("map", bh_attach_map(at, va, flags, pages));
}

/* Once: memory, the workers' spaces with a copy of this program, their threads. */
static void set_up(void)
{
    uint64_t image = (uint64_t)(root_data - root_image), count = setting("hostile.count=", 100000);
    uint32_t sizes[3] = {SHARED_PAGES, STACKS, (uint32_t)(image / PAGE)};
    struct bh_result r;

    workers = WORKERS * (info()->ncpus < 4 ? info()->ncpus : 4);
    for (uint32_t i = 1; i < workers / WORKERS; i++) {
        make(BH_SLOT_KUNTYPED, BH_CAP_NTFN, 0, i, 1, S_AGENT_NTFN + i);
        must("badge",
             bh_cnode_mint(BH_SLOT_CNODE, S_AGENT_CALL + i, S_AGENT_NTFN + i, BH_RIGHTS_ALL, 1));
    }
    must("own context",
         bh_sc_configure(BH_SLOT_SC, (uint64_t)info()->tsc_khz * 10, (uint64_t)info()->tsc_khz * 10,
                         (uint64_t)info()->tsc_khz * 10, 1));
    for (uint32_t i = 0; i < info()->funtyped_count; i++) {
        funtyped = BH_SLOT_FUNTYPED + i;
        for (uint32_t n = 0; n < 1000000; n++) {
            if (bh_untyped_left(funtyped).value >= 16ul << 20) break;
            r = bh_untyped_scrub(funtyped);
            if (r.err != BH_ERR_PREEMPTED && r.err != BH_ERR_BUSY) break;
        }
        if (bh_untyped_left(funtyped).value >= 16ul << 20) break;
    }
    make(funtyped, BH_CAP_FUNTYPED, 9, 0, 1024, S_ARENA_F);
    for (uint32_t i = 0; i < 3; i++) make(funtyped, BH_CAP_FRAME, 0, 0, sizes[i], S_FRAME + i);
    make(BH_SLOT_KUNTYPED, BH_CAP_KUNTYPED, 0, 0, 512, S_ARENA_K);
    make(BH_SLOT_KUNTYPED, BH_CAP_CNODE, 8, 0, 1, S_CNODE);
    for (uint32_t i = 0; i < 2; i++)
        make(BH_SLOT_KUNTYPED, BH_CAP_HOSTSPACE, 0, 0, 32, S_SPACE + i);
    make(BH_SLOT_KUNTYPED, BH_CAP_NTFN, 0, 0, 1, S_NTFN);

    map_here(BH_SLOT_HOSTSPACE, 0, SHARED_VA, BH_MAP_READ | BH_MAP_WRITE, sizes[0]);
    map_here(BH_SLOT_HOSTSPACE, 2, IMAGE_VA, BH_MAP_READ | BH_MAP_WRITE, sizes[2]);
    memcpy((void *)IMAGE_VA, root_image, image);
    for (uint32_t i = 0; i < 2; i++) {
        map_here(S_SPACE + i, 0, SHARED_VA, BH_MAP_READ | BH_MAP_WRITE, sizes[0]);
        map_here(S_SPACE + i, 1, STACKS_VA, BH_MAP_READ | BH_MAP_WRITE, sizes[1]);
        map_here(S_SPACE + i, 2, BH_ROOT_BASE, BH_MAP_READ | BH_MAP_EXEC, sizes[2]);
    }
    SHARED->ncpus = info()->ncpus;
    SHARED->tsc_khz = info()->tsc_khz;
    SHARED->limit = count;
    for (uint32_t i = 0; i < workers; i++) {
        WORK(i)->rng = (setting("hostile.seed=", 1) + 1) * 0x9e3779b97f4a7c15ull + i * 0x1234567ull;
        make(BH_SLOT_KUNTYPED, BH_CAP_SC, 0, i / WORKERS, 1, S_SC + i);
        make(BH_SLOT_KUNTYPED, BH_CAP_THREAD, 0, i / WORKERS, 1, S_THREAD + i);
        must("configure", context(i));
        must("bind", worker_does(i, BH_M_thread_bind, S_CNODE, S_SPACE + i % 2, 0));
        must("set_sc", worker_does(i, BH_M_thread_set_sc, S_SC + i, 0, 0));
        must("badge",
             bh_cnode_mint(BH_SLOT_CNODE, S_NTFN_BADGED + i, S_NTFN, BH_RIGHTS_ALL, 1ul << i));
        must("fault", worker_does(i, BH_M_thread_set_fault_ntfn, S_NTFN_BADGED + i, 0, 0));
    }
    for (uint32_t i = 2 * WORKERS_MAX; i-- > WORKERS;) WORK(i)->rng = 0x9e3779b97f4a7c15ull + i;
}

/* Everything the workers may name. */
static void fill(void)
{
    for (uint32_t i = 0; i < ARENA_SLOTS; i++) SHARED->home[i] = HOME_UNKNOWN;
    must("fill", bh_cnode_copy(S_CNODE, HOSTILE_SLOT_CNODE, S_CNODE, BH_RIGHTS_ALL));
    must("fill", bh_cnode_copy(S_CNODE, HOSTILE_SLOT_CNODE_READ, S_CNODE, BH_RIGHT_READ));
    for (uint32_t cpu = 0; cpu < workers / WORKERS; cpu++) {
        must("fill", bh_untyped_retype(S_ARENA_K, BH_DESC(BH_CAP_ENDPOINT, 0, cpu), 2, S_CNODE,
                                       HOSTILE_SLOT_ENDPOINT + 2 * cpu));
        must("fill", bh_untyped_retype(S_ARENA_K, BH_DESC(BH_CAP_NTFN, 0, cpu), 1, S_CNODE,
                                       HOSTILE_SLOT_NTFN + cpu));
        SHARED->home[HOSTILE_SLOT_ENDPOINT + 2 * cpu] = (uint8_t)cpu;
        SHARED->home[HOSTILE_SLOT_ENDPOINT + 2 * cpu + 1] = (uint8_t)cpu;
        SHARED->home[HOSTILE_SLOT_NTFN + cpu] = (uint8_t)cpu;
    }
    must("fill", bh_untyped_retype(S_ARENA_K, BH_DESC(BH_CAP_KUNTYPED, 0, 0), 511, S_CNODE,
                                   HOSTILE_SLOT_KUNTYPED));
    must("fill", bh_untyped_retype(S_ARENA_F, BH_DESC(BH_CAP_FUNTYPED, 9, 0), 1024, S_CNODE,
                                   HOSTILE_SLOT_FUNTYPED));
    must("fill", bh_cnode_copy(S_CNODE, HOSTILE_SLOT_KERNEL, BH_SLOT_KERNEL, BH_RIGHTS_ALL));
    must("fill",
         bh_ioports_derive(BH_SLOT_IOPORTS, HOSTILE_PORT, 16, S_CNODE, HOSTILE_SLOT_IOPORTS));
    must("fill", bh_irq_derive(BH_SLOT_IRQ, 2, S_CNODE, HOSTILE_SLOT_IRQ));
    must("fill", bh_irq_derive(BH_SLOT_IRQ, 5, S_CNODE, HOSTILE_SLOT_IRQ + 1));
    for (uint32_t i = 0; i < 2; i++)
        must("fill", bh_cnode_copy(S_CNODE, HOSTILE_SLOT_SPACE + i, S_SPACE + i, BH_RIGHTS_ALL));
    for (uint32_t i = 0; i < workers; i++) {
        must("fill", bh_cnode_copy(S_CNODE, HOSTILE_SLOT_THREAD + i, S_THREAD + i, BH_RIGHTS_ALL));
        must("fill", bh_cnode_copy(S_CNODE, HOSTILE_SLOT_SC + i, S_SC + i, BH_RIGHTS_ALL));
        SHARED->home[HOSTILE_SLOT_THREAD + i] = (uint8_t)(i / WORKERS);
        SHARED->home[HOSTILE_SLOT_SC + i] = (uint8_t)(i / WORKERS);
    }
}

/* Take the arena down to the last capability; all its memory must come back. */
static void clear(void)
{
    uint64_t left = 1, last = 0, give_up = give_up_at();
    struct bh_result r = {0, 0};

    while (left != 0) {
        left = 0;
        /* Each time: a thread of the arena may have started one again. */
        for (uint32_t i = 0; i < workers; i++)
            must("stop", worker_does(i, BH_M_thread_stop, 0, 0, 0));
        for (uint32_t i = 0; i < ARENA_SLOTS; i++) {
            if (bh_cnode_type(S_CNODE, i).value == 0) continue;
            r = revoke(S_CNODE, i);
            if (r.err == BH_OK) r = bh_cnode_delete(S_CNODE, i);
            if (r.err == BH_ERR_CPU) r = on_cpu(r.value, S_CNODE, BH_M_cnode_delete, i, 0, 0, 0);
            if (r.err == BH_OK) continue;
            if (r.err != BH_ERR_PREEMPTED && r.err != BH_ERR_BUSY && r.err != BH_ERR_CAP)
                fail("slot %u of the arena: revoke says %lu", i, r.err);
            left++;
            last = i;
        }
        if (left == 0 || rt_tsc() < give_up) continue;
        check("while the arena cannot be emptied");
        fail("%lu slots of the arena cannot be emptied: the last is %lu of type %lu, %s", left,
             last, bh_cnode_type(S_CNODE, last).value & 0xff, error_name(r.err));
    }
    for (uint32_t i = 0; i < 2; i++) {
        again("revoke of the arena", revoke, BH_SLOT_CNODE, S_ARENA_K + i);
        again("scrub of the arena", scrub, S_ARENA_K + i, 0);
    }
}

/* How much the checker has found since the last look, whoever called it: the audit ring says so.
 * What a worker is given for kernel_check can be the answer of what has come into the slot since.
 */
static uint32_t found_broken(void)
{
    static uint64_t seen;
    const struct bh_audit_ring *ring = (const struct bh_audit_ring *)BH_ROOT_AUDIT;
    uint64_t end = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
    uint32_t found = 0;

    if (end - seen > BH_AUDIT_RECORDS) seen = end - BH_AUDIT_RECORDS;
    for (; seen < end; seen++) {
        const struct bh_audit_record *a = &ring->records[seen % BH_AUDIT_RECORDS];

        if (a->kind == BH_AUDIT_CHECK && found++ < 6)
            say("broken: invariant %lu, capability %lx, value %lx", a->a, a->b, a->c);
    }
    return found;
}

void check(const char *when)
{
    struct bh_result r = bh_kernel_check(BH_SLOT_KERNEL);
    uint32_t found = found_broken();

    if (r.err != BH_OK || r.value != 0 || found != 0)
        fail("%s: kernel_check says error %lu, %lu broken invariants; %u found since the last",
             when, r.err, r.value, found);
}

/* It is good, or another thread of the arena has started the worker in between. */
static void unless(const char *what, struct bh_result r, uint64_t started)
{
    if (r.err != started) must(what, r);
}

/* Start what has stopped; unblock what has not moved for long. */
static void tend(uint64_t *seen, uint64_t *since, uint32_t running)
{
    uint64_t now = rt_tsc();

    for (uint32_t i = 0; i < running; i++) {
        struct bh_result r;
        uint32_t state;

        if (WORK(i)->progress != seen[i]) {
            seen[i] = WORK(i)->progress;
            since[i] = now;
            continue;
        }
        r = worker_does(i, BH_M_thread_status, 0, 0, 0);
        must("status", r);
        state = (uint32_t)r.value & 0xff;
        if (now - since[i] > info()->tsc_khz * (state == BH_THREAD_BLOCKED ? 1ull : 50ull)) {
            /* It waits for ever, or somebody has given it no time. */
            must("stop", worker_does(i, BH_M_thread_stop, 0, 0, 0));
            unless("configure", context(i), BH_ERR_BUSY);
            state = BH_THREAD_STOPPED;
            SHARED->stuck++;
        }
        if (state == BH_THREAD_STOPPED || state == BH_THREAD_FAULTED) {
            since[i] = now;
            SHARED->restarts++;
            r = worker_does(i, BH_M_thread_start, (uint64_t)hostile_worker_entry, 0,
                            HOSTILE_WORKER_MARK << 32 | i);
            unless("start", r, BH_ERR_STATE);
        }
    }
}

static void run(uint64_t until, uint32_t running, uint32_t reset)
{
    uint64_t seen[WORKERS_MAX] = {0}, since[WORKERS_MAX] = {0}, next, said = SHARED->ops;
    uint64_t moved = said, give_up = give_up_at(), check_at = 0;
    uint64_t pause = info()->tsc_khz / setting("hostile.checks=", 2);

    SHARED->strict = running == 1;
    while (SHARED->ops < until) {
        fill();
        next = SHARED->ops + reset;
        for (uint32_t i = 0; i < running; i++) since[i] = rt_tsc();
        SHARED->spoiled = 0;
        while (SHARED->ops < until && SHARED->ops < next && SHARED->spoiled == 0) {
            tend(seen, since, running);
            /* A check holds the kernel's lock: several CPUs want it in between. */
            if (running <= WORKERS || rt_tsc() > check_at) {
                check("while workers run");
                check_at = rt_tsc() + info()->tsc_khz * 4;
            }
            if (SHARED->ops != moved) moved = SHARED->ops, give_up = give_up_at();
            if (rt_tsc() > give_up) fail("no worker has invoked anything for %u s", GIVE_UP_S);
            (void)bh_wait(S_NTFN, rt_tsc() + pause);
        }
        SHARED->clearing++;
        clear();
        SHARED->clearing++;
        check("after the arena was taken down");
        if (SHARED->ops - said > 100000) {
            said = SHARED->ops;
            say("\nhostile: %lu invocations, %lu succeeded, %lu s", said, SHARED->ok,
                rt_tsc() / info()->tsc_khz / 1000);
        }
    }
}

/* What the sequences have hit, before the workers start: coverage says which pairs the random
 * stream found by itself. */
static uint32_t on_purpose[HOSTILE_METHODS][HOSTILE_ERRORS];
static uint32_t calls_on_purpose[BH_NCALLS + 1][HOSTILE_ERRORS];

struct coverage {
    uint32_t possible, random, missing, wrong;
};

/* One line: error=times, error=+times for what only a sequence got. */
static void report_row(struct coverage *c, const char *name, uint32_t possible,
                       const volatile uint32_t *hits, const uint32_t *purpose)
{
    char text[600];
    size_t n = fmt_buf(text, sizeof(text), "%s:", name);

    for (uint32_t e = 0; e < HOSTILE_ERRORS; e++) {
        bool can = (possible >> e & 1u) != 0;

        if (!can && hits[e] == 0) continue;
        n += fmt_buf(text + n, sizeof(text) - n, " %s=%s%u%s", error_names[e],
                     can && hits[e] != 0 && hits[e] == purpose[e] ? "+" : "", hits[e],
                     !can           ? " IMPOSSIBLE"
                     : hits[e] == 0 ? " MISSING"
                                    : "");
        c->possible += can;
        c->random += can && hits[e] > purpose[e];
        c->missing += can && hits[e] == 0;
        c->wrong += !can;
    }
    say("%s", text);
}

static void report(void)
{
    struct coverage c = {0, 0, 0, 0};
    uint32_t n = info()->ncpus;

    say(" ");
    for (uint32_t m = 0; m < HOSTILE_METHODS; m++)
        report_row(&c, hostile_methods[m].name, hostile_possible(m, n), SHARED->hits[m],
                   on_purpose[m]);
    for (uint32_t i = 0; i <= BH_NCALLS; i++)
        report_row(&c, call_names[i], hostile_call_possible(i, n), SHARED->calls[i],
                   calls_on_purpose[i]);
    say("hostile: %lu restarts, %lu of them because a worker stood still", SHARED->restarts,
        SHARED->stuck);
    say("hostile: %u pairs are possible, %u random, %u by sequences only, %u missing, %u wrong",
        c.possible, c.random, c.possible - c.random - c.missing, c.missing, c.wrong);
    say("hostile: %lu invocations, %lu succeeded", SHARED->ops, SHARED->ok);
    if (c.wrong != 0) fail("%u pairs happened that are not possible", c.wrong);
    if (c.missing != 0 && setting("hostile.pairs=", 1) != 0)
        fail("%u possible pairs did not happen", c.missing);
    if (SHARED->ok * 10 < SHARED->ops * 3)
        fail("only %lu of %lu invocations succeeded", SHARED->ok, SHARED->ops);
    if (SHARED->ok * 10 > SHARED->ops * 7)
        fail("%lu of %lu invocations succeeded: too tame", SHARED->ok, SHARED->ops);
}

void root_main(void);
void root_main(void)
{
    uint64_t count = setting("hostile.count=", 100000);
    uint32_t reset = (uint32_t)setting("hostile.reset=", 4000);

    set_up();
    acts_set_up(funtyped, S_END);
    if (setting("hostile.attacks=", 1) != 0) attacks(setting("hostile.only=", 0));
    if (setting("hostile.pairs=", 1) != 0) sequences(setting("hostile.sequence=", 0));
    memcpy(on_purpose, (const void *)SHARED->hits, sizeof(on_purpose));
    memcpy(calls_on_purpose, (const void *)SHARED->calls, sizeof(calls_on_purpose));
    say("hostile: %u CPUs, seed %lu, %lu invocations", info()->ncpus, setting("hostile.seed=", 1),
        count);
    if (setting("hostile.alone=", 1) != 0) run(count / 2, 1, reset);
    run(count, workers, reset);
    report();
    say("hostile: pass");
    end(true);
}
