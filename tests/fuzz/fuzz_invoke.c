// restored: kernel/core/*.c kernel/object/*.c kernel/arch/x86/trap.c tests/fuzz/requires*.c
// forced: tests/fuzz/kernel_host.h tests/fuzz/requires.h
// wrapped: tests/fuzz/requires*.c
// sources: tests/fuzz/kernel_host.c
// flags: -Itests/fuzz
// link: cells=0x20000000 threads=cells scs=cells endpoints=cells ntfns=cells
// link: spaces=cells vcpus=cells tables=cells
/*
 * Kernel: system calls, invocations, interrupts and exceptions in any order by any thread of two
 * CPUs, on the kernel's own sources over a real object pool. After each step the shipped invariant
 * checker walks all objects, and at each call of kernel/core what its contract requires is checked
 * (requires.c), and that no CPU still reaches what is used anew (requires_flush.c). An invocation
 * that fails must have changed nothing, but for those that work piece by piece.
 */
#define TESTS_FUZZ_KERNEL_HOST_C
#include "machine.h"
#include "requires_flush.h"
#include "restore.h"
#include "arch/x86/audit.h"
#include "arch/x86/trap.h"
#include "core/cdt.h"
#include "core/cnode.h"
#include "core/epoch.h"
#include "object/check.h"
#include "object/entry.h"
#include "object/invoke.h"
#include "object/space.h"
#include "object/thread.h"
#include "object/vcpu.h"

#define SLOTS       256u
#define SPACE_PAGES 16u
#define USER_RIP    0x400000u
#define STEPS       300u

static uint32_t cnode; /* its first cell */

/* ---- Entering the kernel ---- */

struct call {
    uint64_t number, a[6];
};

static struct sysret ipc(const struct call *c, bool call)
{
    struct sysret r =
        call ? ipc_call_fast(c->a[0], c->a[5]) : ipc_reply_wait_fast(c->a[0], c->a[5]);

    if (r.err == 0) {
        if (percpu()->hazard != 0) ipc_hazard_words(r.value, c->a[1], c->a[2], c->a[3], c->a[4]);
        return (struct sysret){BH_OK, r.value};
    }
    if (!call) ipc_reply_wait_slow(c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
    return ipc_call_slow(c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
}

/* As entry.S does. */
static void enter_call(const void *what)
{
    const struct call *c = what;
    struct sysret r;

    switch (c->number) {
    case BH_SYS_invoke: r = sys_invoke(c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]); break;
    case BH_SYS_call: r = ipc(c, true); break;
    case BH_SYS_reply_wait: r = ipc(c, false); break;
    case BH_SYS_send: r = sys_send(c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]); break;
    case BH_SYS_receive: r = sys_receive(c->a[0], c->a[5]); break;
    case BH_SYS_signal: r = sys_signal(c->a[0]); break;
    case BH_SYS_wait: r = sys_wait(c->a[0], c->a[5]); break;
    case BH_SYS_poll: r = sys_poll(c->a[0]); break;
    case BH_SYS_vcpu_run: r = sys_vcpu_run(c->a[5], c->a[1]); break;
    default: r = sys_yield(); break;
    }
    if (percpu()->hazard != 0) syscall_hazard(r.err, r.value);
    return_syscall(r.err, r.value);
}

static void enter_trap(const void *vector)
{
    struct frame f = {.vector = *(const uint64_t *)vector}, *to;

    if (percpu()->current == NULL) { /* idle */
        interrupt((uint32_t)f.vector);
        schedule();
    }
    to = save_frame(percpu()->current->save);
    *to = (struct frame){.vector = f.vector, .rip = USER_RIP, .cs = SEL_UCODE, .ss = SEL_UDATA};
    trap_user(to);
}

static void enter_schedule(const void *unused) { schedule(); }

/* Run in the kernel until it leaves to a user or idles. */
static void kernel(void (*enter)(const void *), const void *what)
{
    switch (setjmp(host_leave)) {
    case 0: enter(what); break;
    case HOST_RESUME: resume(); break;
    default: break;
    }
}

static struct sysret system_call(uint64_t number, uint64_t cap, uint64_t a1, uint64_t a2,
                                 uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct call c = {number, {cap, a1, a2, a3, a4, a5}};

    host.result = (struct sysret){BH_OK, 0};
    kernel(enter_call, &c);
    return host.result;
}

/* ---- What there is at the start ---- */

static void give(uint32_t slot, uint32_t type, uint32_t obj, uint64_t a, uint64_t b)
{
    cnode_commit_new(0, cnode + slot, cap_pack(type, BH_RIGHTS_ALL, obj), 0, a, b);
}

static uint32_t boot(uint32_t pages)
{
    uint32_t first = pool_boot_pages;

    pool_boot_pages += pages;
    return first;
}

static void must(uint64_t slot, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
    CHECK(system_call(BH_SYS_invoke, slot, method, a0, a1, a2, a3).err == BH_OK);
}

static void retype(uint64_t from, uint64_t type, uint64_t bits, uint64_t cpu, uint64_t count,
                   uint64_t slot)
{
    must(from, BH_M_untyped_retype, BH_DESC(type, bits, cpu), count, BH_SLOT_CNODE, slot);
}

enum {
    S_THREAD = 160,
    S_SC = 164,
    S_EP = 168,
    S_NTFN = 170,
    S_HOST = 174,
    S_GUEST = 176,
    S_VCPU = 177,
    S_FRAME = 178,
    S_ATTACH = 180,
    S_CNODE = 182,
    S_NTFN1 = 183,
    S_KUNTYPED,
    S_DIRT
};

/* A few objects of each kind, threads that run and one that has a vCPU. */
static void arena(void)
{
    retype(BH_SLOT_KUNTYPED, BH_CAP_THREAD, 0, 0, 4, S_THREAD);
    retype(BH_SLOT_KUNTYPED, BH_CAP_SC, 0, 0, 4, S_SC);
    retype(BH_SLOT_KUNTYPED, BH_CAP_ENDPOINT, 0, 0, 2, S_EP);
    retype(BH_SLOT_KUNTYPED, BH_CAP_NTFN, 0, 0, 4, S_NTFN);
    retype(BH_SLOT_KUNTYPED, BH_CAP_HOSTSPACE, 0, 0, 16, S_HOST);
    retype(BH_SLOT_KUNTYPED, BH_CAP_HOSTSPACE, 0, 0, 16, S_HOST + 1);
    retype(BH_SLOT_KUNTYPED, BH_CAP_GUESTSPACE, 0, 0, 16, S_GUEST);
    retype(BH_SLOT_KUNTYPED, BH_CAP_VCPU, 0, 0, 1, S_VCPU);
    retype(BH_SLOT_KUNTYPED, BH_CAP_CNODE, 4, 0, 1, S_CNODE);
    retype(BH_SLOT_KUNTYPED, BH_CAP_NTFN, 0, 1, 1, S_NTFN1);
    retype(BH_SLOT_FUNTYPED, BH_CAP_FRAME, 9, 0, 1024, S_FRAME);
    retype(BH_SLOT_FUNTYPED, BH_CAP_FRAME, 0, 0, 8, S_FRAME + 1);
    retype(BH_SLOT_KUNTYPED, BH_CAP_KUNTYPED, 0, 0, 2, S_KUNTYPED);
    retype(S_KUNTYPED, BH_CAP_SC, 0, 0, 1, S_DIRT);
    must(BH_SLOT_CNODE, BH_M_cnode_delete, S_DIRT, 0, 0, 0); /* leaves it dirty */
    must(S_FRAME, BH_M_frame_attach, S_GUEST, 7, BH_SLOT_CNODE, S_ATTACH);
    must(S_FRAME + 1, BH_M_frame_attach, S_HOST, 7, BH_SLOT_CNODE, S_ATTACH + 1);
    for (uint64_t i = 0; i < 4u; i++) {
        must(S_SC + i, BH_M_sc_configure, i * 50000, 900000, 1000000, 100 + i);
        must(S_THREAD + i, BH_M_thread_bind, BH_SLOT_CNODE, S_HOST + (i & 1u), 0, 0);
        must(S_THREAD + i, BH_M_thread_set_sc, S_SC + i, 0, 0, 0);
    }
    must(S_THREAD, BH_M_thread_set_fault_ntfn, S_NTFN, 0, 0, 0);
    must(S_VCPU, BH_M_vcpu_bind, S_THREAD + 3, S_GUEST, S_NTFN + 1, 0x600000);
    must(S_VCPU, BH_M_vcpu_doorbell, 0, 0x80 | 1u << 16, S_NTFN + 2, 0);
    for (uint64_t i = 0; i < 4u; i++)
        must(S_THREAD + i, BH_M_thread_start, USER_RIP, 0x500000, i, 0);
}

/* As boot.c's root_start() and root_thread_start(). */
static void start(void)
{
    uint32_t space, objects, threads_at, scs_at;

    host_init();
    host_backend();
    pool_boot_pages = 1;
    epoch_cpus = HOST_CPUS;
    cdt_init();
    cnode_init(1, PAGE_UNITS - 1);
    cnode = boot(SLOTS / 64u) * 64u;
    cnode_init(cnode, SLOTS);
    space = boot(SPACE_PAGES);
    objects = boot(2);
    threads_at = objects * 8u;
    scs_at = (objects + 1u) * 16u;
    space_init(space, SPACE_HOST, SPACE_PAGES);
    give(BH_SLOT_CNODE, BH_CAP_CNODE, cnode, SLOTS, 0);
    give(BH_SLOT_HOSTSPACE, BH_CAP_HOSTSPACE, space, SPACE_PAGES, 0);
    give(BH_SLOT_KERNEL, BH_CAP_KERNEL, 0, 0, 0);
    give(BH_SLOT_IOPORTS, BH_CAP_IOPORTS, 0, 0, 65536);
    give(BH_SLOT_IRQ, BH_CAP_IRQ, 0, IRQ_ALL, 0);
    give(BH_SLOT_FUNTYPED, BH_CAP_FUNTYPED, 0, 0x100200, 0x80000);
    give(BH_SLOT_KUNTYPED, BH_CAP_KUNTYPED, 0, (uint64_t)pool_boot_pages * PAGE_UNITS,
         (uint64_t)(pool_pages - pool_boot_pages) * PAGE_UNITS);
    give(BH_SLOT_FUNTYPED + 1, BH_CAP_FUNTYPED, 0, 0x200000, 100);
    cells[cnode + BH_SLOT_FUNTYPED + 1].c = 100; /* dirty, as all memory is at first */
    info_page.ncpus = HOST_CPUS;
    for (uint32_t i = HOST_CPUS; i-- > 0;) {
        struct sc_params whole = {0, 10000000, 10000000, 256};
        struct thread *t = &threads[threads_at + i];
        struct sc *s = &scs[scs_at + i];

        percpus[i].self = &percpus[i];
        percpus[i].cpu = percpus[i].apic_id = i;
        percpus[i].armed = BH_FOREVER;
        percpus[i].tss_rsp0 = &percpus[i].user_rsp;
        percpus[i].cr3 = kernel_cr3;
        sched_init_cpu(&percpus[i], &host_runqs[i]);
        host_cpu(i);
        give(BH_SLOT_CPU_THREADS + i, BH_CAP_THREAD, threads_at + i, 0, 0);
        object_init(cnode + BH_SLOT_CPU_THREADS + i, i);
        give(BH_SLOT_CPU_SCS + i, BH_CAP_SC, scs_at + i, 0, 0);
        object_init(cnode + BH_SLOT_CPU_SCS + i, i);
        CHECK(thread_bind(t, cnode + BH_SLOT_CNODE, space) == BH_OK);
        s->handle = runq_handle(percpu()->runq->sc_of, scs_at + i);
        sc_commit_configure(&s->time, &whole, rdtsc(), 0);
        s->configured = s->users = 1;
        s->thread = threads_at + i;
        t->home_sc = t->sc = scs_at + i;
        t->start_rip = USER_RIP;
        sched_wake(t);
        kernel(enter_schedule, NULL);
        CHECK(percpu()->current == t);
    }
    arena();
    host_save();
    variables_restore(); /* remembers them */
}

/* ---- One step ---- */

/* Slots of the current thread's CNode, by what they hold. */
static uint64_t slot_of(struct input *in, uint32_t mask)
{
    const struct thread *t = percpu()->current;
    uint8_t how = (uint8_t)take(in, 1);
    uint32_t n = 0, k;

    if (how >= 0xf8u) return take_value(in);
    for (uint32_t i = 0; i < t->cnode_count; i++) n += mask >> cell_type(t->cnode_first + i) & 1u;
    if (n == 0) return how;
    k = how % n;
    for (uint32_t i = 0; i < t->cnode_count; i++)
        if ((mask >> cell_type(t->cnode_first + i) & 1u) != 0 && k-- == 0) return i;
    return how;
}

#define MASK(t) (1u << BH_CAP_##t)
#define ANY     (~MASK(NULL))

/* An argument by the name that the description gives it. */
enum argument {
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
    ARG_rights,
    ARG_rights_mask,
    ARG_badge,
    ARG_va,
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
    ARG_page_va,
    ARG_index,
    ARG_match,
    ARG_reason,
    ARG_group,
    ARG_groups,
    ARG_line,
    ARG_byte,
    ARG_which,
    ARG_cpu
};

static uint64_t argument(struct input *in, enum argument a)
{
    uint8_t v;

    switch (a) {
    case ARG__0:
    case ARG__1:
    case ARG__2:
    case ARG__3: return 0;
    case ARG_dst_cnode: return slot_of(in, MASK(CNODE));
    case ARG_dst_slot: return slot_of(in, MASK(NULL));
    case ARG_src_slot:
    case ARG_at_slot: return slot_of(in, ANY);
    case ARG_space: return slot_of(in, MASK(HOSTSPACE) | MASK(GUESTSPACE));
    case ARG_cnode: return slot_of(in, MASK(CNODE));
    case ARG_hostspace: return slot_of(in, MASK(HOSTSPACE));
    case ARG_guestspace: return slot_of(in, MASK(GUESTSPACE));
    case ARG_sc: return slot_of(in, MASK(SC));
    case ARG_ntfn: return slot_of(in, MASK(NTFN));
    case ARG_thread: return slot_of(in, MASK(THREAD));
    default: break;
    }
    v = (uint8_t)take(in, 1);
    if (v >= 0xf8u) return take_value(in);
    switch (a) {
    case ARG_desc:
        return BH_DESC(v % 20u,
                       v >= 0xc0u                    ? take(in, 1)
                       : v % 20u == BH_CAP_CNODE     ? 4
                       : v % 20u >= BH_CAP_HOSTSPACE ? 3u + (v >> 7)
                                                     : 0,
                       0) |
               (uint64_t)(v >> 6 & v >> 5 & 1u) << 16;
    case ARG_rights:
    case ARG_rights_mask: return v & 15u;
    case ARG_va:
    case ARG_page_va: return (uint64_t)(v & 31u) << (v & 0x80u ? 12 : v & 0x40u ? 30 : 21);
    case ARG_off_flags: return (uint64_t)(v >> 4) << 12 | BH_MAP_READ | (v & 15u);
    case ARG_pages: return v & 0x80u ? (uint64_t)(v & 0x7fu) << 7 : v;
    case ARG_width_bytes: return 1u << (v & 3u);
    case ARG_rip: return USER_RIP + v;
    case ARG_floor:
    case ARG_ceiling:
    case ARG_period: return (uint64_t)v << 12;
    case ARG_match:
        return v | (uint64_t)(1u << (v & 3u)) << 16 | (uint64_t)(v >> 7) << 24 | (uint64_t)v << 32;
    case ARG_groups: return (uint64_t)v << 8 & (BH_STATE_ALL | BH_STATE_FPU);
    default: return v;
    }
}

#define BH_CAP_UNTYPED BH_CAP_KUNTYPED
static const struct method {
    uint8_t type, number;
    enum argument arg[4];
    const char *name;
} methods[] = {
#define METHOD(type, n, name, a, b, c, d)                                                          \
    {BH_CAP_##type, (n), {ARG_##a, ARG_##b, ARG_##c, ARG_##d}, #name},
    BH_INVOCATIONS(METHOD)
#undef METHOD
};

static uint8_t before[HOST_POOL_PAGES * 4096ul];

/* Those that do a complete part of their work and say that there is more, or name what is in the
 * way only after some of it. By what the slot holds, which need not be what was looked for. */
static bool piecemeal(uint64_t slot, uint32_t number)
{
    const struct thread *t = percpu()->current;
    uint32_t type =
        slot < t->cnode_count ? cell_type(t->cnode_first + (uint32_t)slot) : BH_CAP_NULL;

    if (type == BH_CAP_FUNTYPED) type = BH_CAP_KUNTYPED;
    for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (methods[i].type == type && methods[i].number == number)
            return strcmp(methods[i].name, "cnode_delete") == 0 ||
                   strcmp(methods[i].name, "cnode_revoke") == 0 ||
                   strcmp(methods[i].name, "untyped_scrub") == 0;
    return false;
}

static void invoke(struct input *in, bool strict)
{
    const struct method *m = &methods[take(in, 1) % (sizeof(methods) / sizeof(methods[0]))];
    uint32_t mask = 1u << m->type;
    uint64_t cap, arg[4];
    struct thread *t = percpu()->current;
    size_t answer;
    struct sysret r;
    bool parts;

    if (m->type == BH_CAP_KUNTYPED) mask |= MASK(FUNTYPED);
    cap = slot_of(in, mask);
    for (unsigned i = 0; i < 4u; i++) arg[i] = argument(in, m->arg[i]);
    parts = piecemeal(cap, m->number);
    if (strict) memcpy(before, host_pool(), sizeof(before));
    r = system_call(BH_SYS_invoke, cap, m->number, arg[0], arg[1], arg[2], arg[3]);
    if (strict && percpu()->current == t && r.err != BH_OK && r.err != BH_ERR_PREEMPTED &&
        host.tsc < percpu()->armed && !parts) {
        /* The answer itself, and how it is given, where the kernel had something to do before it
         * went back. */
        answer = (size_t)(t - threads) * sizeof(*t) + offsetof(struct thread, result);
        memcpy(before + answer, &t->result, sizeof(t->result) + sizeof(t->value));
        before[(size_t)(t - threads) * sizeof(*t) + offsetof(struct thread, cont)] = t->cont;
        CHECK(memcmp(before, host_pool(), sizeof(before)) == 0);
    }
}

static void other_call(struct input *in)
{
    uint8_t v = (uint8_t)take(in, 1), d = (uint8_t)take(in, 1);
    uint64_t number = 2u + v % 9u, deadline, cap;

    deadline = d < 0x80u ? BH_FOREVER : d < 0xc0u ? host.tsc + ((uint64_t)d << 8) : take_value(in);
    cap = number == BH_SYS_vcpu_run
              ? 0
              : slot_of(in, number >= BH_SYS_signal ? MASK(NTFN) : MASK(ENDPOINT));
    (void)system_call(number, cap, number == BH_SYS_vcpu_run ? take(in, 2) : 1, 2, 3, 4, deadline);
}

static void step(struct input *in, bool strict)
{
    uint8_t op = (uint8_t)take(in, 1);
    uint64_t vector;

    if (op >= 0xe0u) host_cpu((host.cpu + 1u) % HOST_CPUS);
    if (op < 0x40u) host.tsc += (uint64_t)(op & 15u) << 10;
    if (op >= 0xa0u || percpu()->current == NULL || host.tsc >= percpu()->armed) {
        vector = host_pending();
        if (vector == 0 && op < 0xa8u)
            vector = op < 0xa4u ? VEC_IRQ_BASE + take(in, 1) % 26u : VEC_SPURIOUS;
        if (vector == 0 && op < 0xb0u && percpu()->current != NULL) vector = take(in, 1) % 32u;
        if (vector != 0) {
            kernel(enter_trap, &vector);
            return;
        }
        if (percpu()->current == NULL) return;
    }
    if (op & 1u)
        other_call(in);
    else
        invoke(in, strict);
}

/* What only its own CPU may look at is looked at there: on this one, or on all. */
static void check_machine(bool all)
{
    uint32_t cpu = host.cpu;

    CHECK(kernel_lock.next == kernel_lock.serving);
    stale_acknowledged();
    for (uint32_t i = 0; i < HOST_CPUS; i++) {
        struct thread *t = percpus[i].current;
        uint64_t broken;

        if (i != cpu && !all) continue;
        host_percpu = &percpus[i]; /* the checker needs no tables */
        broken = check_all();
        if (broken != 0) {
            const struct bh_audit_record *r =
                &audit_ring.records[(audit_ring.written - 1u) % BH_AUDIT_RECORDS];

            fprintf(stderr, "invariant %lu, cell %lu, value %lx\n", r->a, r->b, r->c);
        }
        CHECK(broken == 0);
        if (t == NULL) continue;
        /* Who runs is ready, on its own tables, with a context that says so. */
        CHECK(t->state == BH_THREAD_READY && t->cpu == i && t->bound);
        CHECK(percpus[i].cr3 == t->cr3 && percpus[i].save == t->save);
        CHECK(t->sc != NONE && scs[t->sc].thread == thread_index(t));
        CHECK(!sched_queued(&scs[t->sc]));
    }
    host_cpu(cpu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct input in = {data, data + size};
    bool strict;

    host_input = &in;
    if (!started) {
        struct input none = {NULL, NULL};

        host_input = &none;
        start();
        host_input = &in;
        started = true;
    } else {
        variables_restore();
    }
    host_restore();
    strict = (take(&in, 1) & 7u) == 7u;
    for (unsigned i = 0; more(&in) && i < STEPS; i++) {
        step(&in, strict);
        check_machine(i % 8u == 7u);
    }
    check_machine(true);
    return 0;
}
