/*
 * Attacks that once worked, or that the kernel's design invites: each builds its own little world
 * from a fresh piece of memory, does its worst, and expects all memory back in the end.
 * May call: ring3.c's helpers.
 */
#include <stddef.h>
#include "ring3.h"
#include "bulkhead/vcpu.h"

#define PAGE 4096ul

uint64_t ut, ft, first;

static uint64_t err(struct bh_result r) { return r.err; }

/* A CNode of 16 slots; its slot 0 is for whoever wants it. */
static void make_cnode(uint64_t slot) { make(ut, BH_CAP_CNODE, 4, 0, 1, slot); }

/* The untyped memory that a CNode is made of lies in the CNode. */
static void cnode_holds_its_memory(void)
{
    make(ut, BH_CAP_KUNTYPED, 0, 0, 8, first);
    make(first, BH_CAP_CNODE, 4, 0, 1, first + 1);
    must("move", bh_cnode_move(first + 1, 3, first));
    for (uint32_t i = 0; i < 4; i++) (void)bh_cnode_delete(BH_SLOT_CNODE, first + 1);
}

/* The same after a scrub of that memory has begun: a count that says how far it is stays behind. */
static void cnode_holds_scrubbed_memory(void)
{
    uint64_t until;

    make(ut, BH_CAP_KUNTYPED, 0, 0, 8, first);
    make(first, BH_CAP_ENDPOINT, 0, 0, 1, first + 1);
    must("delete", bh_cnode_delete(BH_SLOT_CNODE, first + 1));
    for (uint32_t i = 0; i < 2; i++) { /* one epoch, then the other */
        if (bh_untyped_scrub(first).err != BH_ERR_BUSY) fail("scrub %u is not waited for", i);
        until = rt_tsc() + info()->tsc_khz * 5ul;
        while (rt_tsc() < until) bh_yield();
    }
    make(first, BH_CAP_CNODE, 4, 0, 1, first + 1);
    must("move", bh_cnode_move(first + 1, 3, first));
}

/* A CNode's original capability in its own slots would keep it alive for ever: refused. */
static void cnode_holds_itself(void)
{
    uint64_t e;

    make_cnode(first);
    e = err(bh_cnode_move(first, 5, first));
    if (e != BH_ERR_STATE) fail("a CNode moved into itself: %lu", e);
}

/* CNodes in CNodes, deeper than any stack. */
static void cnodes_nested(void)
{
    for (uint64_t i = 0; i < 500; i++) make_cnode(first + i);
    for (uint64_t i = 499; i > 0; i--) must("move", bh_cnode_move(first + i - 1, 7, first + i));
    for (uint32_t i = 0; i < 4; i++) (void)bh_cnode_delete(BH_SLOT_CNODE, first);
}

/* While a large CNode is deleted step by step, something is put where the deletion has been. */
static void cnode_filled_while_deleted(void)
{
    uint64_t e;

    make(ut, BH_CAP_CNODE, 8, 0, 1, first);
    make(ut, BH_CAP_ENDPOINT, 0, 0, 1, first + 1);
    for (uint64_t i = 0; i < 200; i++)
        must("copy", bh_cnode_copy(first, i, first + 1, BH_RIGHTS_ALL));
    e = err(bh_cnode_delete(BH_SLOT_CNODE, first));
    if (e != BH_ERR_PREEMPTED) fail("deletion of 200 capabilities in one step: %lu", e);
    e = err(bh_cnode_copy(first, 0, first + 1, BH_RIGHTS_ALL));
    if (e == BH_OK) say("    (a dying CNode takes capabilities)");
    do e = err(bh_cnode_delete(BH_SLOT_CNODE, first));
    while (e == BH_ERR_PREEMPTED);
}

/* Many objects that are in use lie before the thread that uses them: revoke must come through. */
static void revoke_behind_busy(void)
{
    for (uint64_t i = 0; i < 3; i++) make(ut, BH_CAP_HOSTSPACE, 0, 0, 8, first + i);
    make_cnode(first + 3);
    make(ut, BH_CAP_THREAD, 0, 0, 40, first + 10);
    make(ut, BH_CAP_SC, 0, 0, 40, first + 60);
    for (uint64_t i = 0; i < 40; i++) {
        must("bind", bh_thread_bind(first + 10 + i, first + 3, first + i / 15));
        must("configure", bh_sc_configure(first + 60 + i, 0, 10000, 10000, 10));
        must("set_sc", bh_thread_set_sc(first + 10 + i, first + 60 + i));
    }
}

/* A mapping that crosses 1 GiB needs one table more than fits: nothing behind the space may change.
 */
static void tables_overflow(void)
{
    struct bh_result r;

    make(ut, BH_CAP_GUESTSPACE, 0, 0, 8, first);
    make(ut, BH_CAP_CNODE, 6, 0, 1, first + 1); /* lies right behind */
    make(ft, BH_CAP_FRAME, 9, 0, 512, first + 2);
    must("attach", bh_frame_attach(first + 2, first, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 3));
    must("2 MiB", bh_attach_map(first + 3, 1ul << 39, BH_MAP_READ, 512));
    if (bh_guestspace_tables_left(first).value != 4)
        fail("the space has %lu tables left, not 4", bh_guestspace_tables_left(first).value);
    r = bh_attach_map(first + 3, 0x3ffff000, BH_MAP_READ | PAGE, 2);
    if (r.err != BH_ERR_TABLES || r.value != 1)
        fail("5 tables out of 4: error %lu, value %lu", r.err, r.value);
    check("after a mapping that did not fit");
    again("revoke frame", revoke, BH_SLOT_CNODE, first + 2);
}

/* An attachment that is being deleted maps once more, where the deletion has been already. */
static void map_while_detached(void)
{
    uint64_t e, va = 0x20000000;

    make(ut, BH_CAP_GUESTSPACE, 0, 0, 32, first);
    make(ft, BH_CAP_FRAME, 0, 0, 1, first + 1);
    must("attach", bh_frame_attach(first + 1, first, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 2));
    for (uint64_t i = 0; i < 20; i++)
        must("map", bh_attach_map(first + 2, va + (i << 21), BH_MAP_READ, 1));
    e = err(bh_cnode_delete(BH_SLOT_CNODE, first + 2));
    if (e != BH_ERR_PREEMPTED) fail("deletion of an attachment over 22 tables in one step: %lu", e);
    e = err(bh_attach_map(first + 2, va, BH_MAP_READ, 1));
    if (e == BH_OK) fail("an attachment that is being deleted still maps");
    do e = err(bh_cnode_delete(BH_SLOT_CNODE, first + 2));
    while (e == BH_ERR_PREEMPTED);
    again("revoke frame", revoke, BH_SLOT_CNODE, first + 1);
}

/* More pages than the Frame has. */
static void map_beyond_frame(void)
{
    uint64_t e;

    make(ut, BH_CAP_GUESTSPACE, 0, 0, 16, first);
    make(ft, BH_CAP_FRAME, 0, 0, 4, first + 1);
    must("attach", bh_frame_attach(first + 1, first, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 2));
    for (uint64_t offset = 0; offset <= 4; offset++) {
        e = err(bh_attach_map(first + 2, 0x200000, offset << 12 | BH_MAP_READ, 5 - offset));
        if (e != BH_ERR_RANGE)
            fail("%lu pages at %lu of a Frame of 4 mapped: %lu", 5 - offset, offset, e);
    }
    again("revoke frame", revoke, BH_SLOT_CNODE, first + 1);
}

/* Threads that read the same address for ever. */
extern const char read_for_ever[];
__asm__(".text\nread_for_ever: mov (%rdi), %rax\n jmp read_for_ever\n");

/* A page that a thread of the same space reads all the time is gone when unmap has returned. */
static void unmapped_is_unreachable(void)
{
    const uint64_t va = 0x300b7000; /* no line of an emulated TLB that anything else uses */
    struct bh_result r;

    make(ft, BH_CAP_FRAME, 0, 0, 1, first);
    make(ut, BH_CAP_SC, 0, 0, 1, first + 1);
    make(ut, BH_CAP_THREAD, 0, 0, 1, first + 2);
    make(ut, BH_CAP_NTFN, 0, 0, 1, first + 3);
    must("attach",
         bh_frame_attach(first, BH_SLOT_HOSTSPACE, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 4));
    must("map", bh_attach_map(first + 4, va, BH_MAP_READ, 1));
    /* Never out of time: the idle loop would flush. */
    must("configure",
         bh_sc_configure(first + 1, 0, info()->tsc_khz * 1000ul, info()->tsc_khz * 1000ul, 1));
    must("bind", bh_thread_bind(first + 2, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
    must("set_sc", bh_thread_set_sc(first + 2, first + 1));
    must("start", bh_thread_start(first + 2, (uint64_t)read_for_ever, 0, va));
    (void)bh_wait(first + 3, rt_tsc() + info()->tsc_khz * 20ul);
    r = bh_thread_status(first + 2);
    if ((r.value & 0xff) != BH_THREAD_READY) fail("the reader does not run: %lx", r.value);
    must("unmap", bh_attach_unmap(first + 4, va, 1));
    for (uint32_t i = 0; i < 500 && (r.value & 0xff) != BH_THREAD_FAULTED; i++) {
        (void)bh_wait(first + 3, rt_tsc() + info()->tsc_khz);
        r = bh_thread_status(first + 2);
    }
    if ((r.value & 0xff) != BH_THREAD_FAULTED) fail("a page that was unmapped is still read");
    again("revoke frame", revoke, BH_SLOT_CNODE, first);
}

/*
 * A chain of calls whose deadlines all pass at once: the caller's just before the server, in turn,
 * calls with a deadline long past. The context goes back by two hands in one moment of the kernel.
 */
static uint8_t chain_stacks[3][PAGE] __attribute__((aligned(16)));
static volatile uint64_t chain_rounds;

static uint64_t chain_stack(unsigned i) { return (uint64_t)&chain_stacks[i + 1] - 8; }

__attribute__((noreturn)) static void chain_caller(uint64_t slot)
{
    for (;;) {
        struct bh_message m = {{rt_tsc() + info()->tsc_khz / 20}, 0};

        (void)bh_ipc(BH_SYS_call, slot, &m, m.word[0]);
        chain_rounds++;
    }
}

__attribute__((noreturn)) static void chain_server(uint64_t slot)
{
    for (;;) {
        struct bh_message m = {{0}, 0};

        (void)bh_ipc(BH_SYS_reply_wait, slot, &m, BH_FOREVER);
        while (rt_tsc() < m.word[0])
            ;
        (void)bh_ipc(BH_SYS_call, slot + 1, &m, 1);
    }
}

__attribute__((noreturn)) static void chain_last(uint64_t slot)
{
    struct bh_message m = {{0}, 0};

    for (;;) (void)bh_ipc(BH_SYS_reply_wait, slot + 1, &m, BH_FOREVER);
}

static void deadlines_meet(void)
{
    static void (*const bodies[])(uint64_t) = {chain_last, chain_server, chain_caller};
    uint64_t period = info()->tsc_khz * 10ul, end;

    make(ut, BH_CAP_ENDPOINT, 0, 0, 2, first);
    make(ut, BH_CAP_SC, 0, 0, 3, first + 2);
    make(ut, BH_CAP_THREAD, 0, 0, 3, first + 5);
    make(ut, BH_CAP_NTFN, 0, 0, 1, first + 8);
    chain_rounds = 0;
    for (uint64_t i = 0; i < 3; i++) {
        must("configure", bh_sc_configure(first + 2 + i, 0, period, period, 1));
        must("bind", bh_thread_bind(first + 5 + i, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
        must("set_sc", bh_thread_set_sc(first + 5 + i, first + 2 + i));
        must("start",
             bh_thread_start(first + 5 + i, (uint64_t)bodies[i], chain_stack((unsigned)i), first));
    }
    end = rt_tsc() + info()->tsc_khz * 5000ul;
    while (chain_rounds < 2000 && rt_tsc() < end) (void)bh_wait(first + 8, rt_tsc() + period / 10);
    if (chain_rounds < 2000) fail("only %lu of 2000 deadlines came back", chain_rounds);
}

__attribute__((noreturn)) static void alone_caller(uint64_t slot)
{
    struct bh_message m = {{0}, 0};

    (void)bh_ipc(BH_SYS_call, slot, &m, rt_tsc() + info()->tsc_khz);
    for (;;) (void)bh_wait(slot + 8, BH_FOREVER);
}

__attribute__((noreturn)) static void alone_server(uint64_t slot)
{
    struct bh_message m = {{0}, 0};

    (void)bh_ipc(BH_SYS_receive, slot, &m, BH_FOREVER);
    (void)bh_ipc(BH_SYS_call, slot + 1, &m, BH_FOREVER);
    for (;;)
        ;
}

__attribute__((noreturn)) static void alone_last(uint64_t slot)
{
    struct bh_message m = {{0}, 0};

    (void)bh_ipc(BH_SYS_receive, slot + 1, &m, BH_FOREVER);
    for (;;)
        ;
}

/* Servers lose their caller's context in the middle of a call, fall back to their own, then end. */
static void servers_left_alone(void)
{
    static void (*const bodies[])(uint64_t) = {alone_last, alone_server, alone_caller};
    uint64_t period = info()->tsc_khz * 10ul;

    make(ut, BH_CAP_ENDPOINT, 0, 0, 2, first);
    make(ut, BH_CAP_SC, 0, 0, 3, first + 2);
    make(ut, BH_CAP_THREAD, 0, 0, 3, first + 5);
    make(ut, BH_CAP_NTFN, 0, 0, 2, first + 8);
    for (uint64_t i = 0; i < 3; i++) {
        must("configure", bh_sc_configure(first + 2 + i, 0, period, period, 1));
        must("bind", bh_thread_bind(first + 5 + i, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
        must("set_sc", bh_thread_set_sc(first + 5 + i, first + 2 + i));
        must("start",
             bh_thread_start(first + 5 + i, (uint64_t)bodies[i], chain_stack((unsigned)i), first));
        (void)bh_wait(first + 9, rt_tsc() + period / 4);
    }
    (void)bh_wait(first + 9, rt_tsc() + period);
    for (uint64_t i = 0; i < 3; i++) {
        must("stop", bh_thread_stop(first + 5 + (i + 1) % 3));
        check("while servers end");
    }
}

/* The caller gives up while its server waits in a call of its own, with a later deadline: that must
 * still come. */
static volatile uint64_t late_err; /* + 1 */

__attribute__((noreturn)) static void late_caller(uint64_t slot)
{
    struct bh_message m = {{0}, 0};

    (void)bh_ipc(BH_SYS_call, slot, &m, rt_tsc() + info()->tsc_khz * 20ul);
    for (;;) (void)bh_wait(slot + 8, BH_FOREVER);
}

__attribute__((noreturn)) static void late_server(uint64_t slot)
{
    struct bh_message m = {{0}, 0};

    (void)bh_ipc(BH_SYS_receive, slot, &m, BH_FOREVER);
    late_err = 1 + bh_ipc(BH_SYS_call, slot + 1, &m, rt_tsc() + info()->tsc_khz * 60ul);
    for (;;)
        ;
}

static void deadline_of_a_server(void)
{
    static void (*const bodies[])(uint64_t) = {alone_last, late_server, late_caller};
    uint64_t period = info()->tsc_khz * 10ul, end = rt_tsc() + info()->tsc_khz * 5000ul;

    late_err = 0;
    make(ut, BH_CAP_ENDPOINT, 0, 0, 2, first);
    make(ut, BH_CAP_SC, 0, 0, 3, first + 2);
    make(ut, BH_CAP_THREAD, 0, 0, 3, first + 5);
    make(ut, BH_CAP_NTFN, 0, 0, 2, first + 8);
    for (uint64_t i = 0; i < 3; i++) {
        must("configure", bh_sc_configure(first + 2 + i, 0, period, period, 1));
        must("bind", bh_thread_bind(first + 5 + i, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
        must("set_sc", bh_thread_set_sc(first + 5 + i, first + 2 + i));
        must("start",
             bh_thread_start(first + 5 + i, (uint64_t)bodies[i], chain_stack((unsigned)i), first));
        (void)bh_wait(first + 9, rt_tsc() + period);
    }
    while (late_err == 0 && rt_tsc() < end) (void)bh_wait(first + 9, rt_tsc() + period);
    if (late_err != 1 + BH_ERR_TIMEOUT) fail("a server's own deadline: error %lu - 1", late_err);
}

/* A thread deletes itself while the FPU state of a guest of its space is in the registers. */
__attribute__((noreturn)) static void deletes_itself(uint64_t slot)
{
    (void)bh_cnode_delete(BH_SLOT_CNODE, slot);
    for (;;)
        ;
}

static void deleted_with_guest_fpu(void)
{
    uint64_t period = info()->tsc_khz * 10ul, end, e;

    make(ut, BH_CAP_VCPU, 0, 0, 1, first);
    make(ut, BH_CAP_GUESTSPACE, 0, 0, 2, first + 1);
    make(ut, BH_CAP_NTFN, 0, 0, 2, first + 2);
    make(ut, BH_CAP_SC, 0, 0, 1, first + 4);
    make(ut, BH_CAP_THREAD, 0, 0, 1, first + 5);
    must("vcpu", bh_vcpu_bind(first, BH_SLOT_THREAD, first + 1, first + 2, 0x300b8000));
    must("configure", bh_sc_configure(first + 4, 0, period, period, 1));
    must("bind", bh_thread_bind(first + 5, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
    must("set_sc", bh_thread_set_sc(first + 5, first + 4));
    must("start", bh_thread_start(first + 5, (uint64_t)deletes_itself, chain_stack(0), first + 5));
    e = bh_vcpu_run(rt_tsc() + info()->tsc_khz * 1000ul, 0).err;
    if (e != BH_EXIT_MEMORY) fail("a guest without memory exits for %lx", e);
    end = rt_tsc() + info()->tsc_khz * 5000ul;
    do { /* its turn, on a busy machine not at once */
        (void)bh_wait(first + 3, rt_tsc() + period);
        e = err(bh_thread_status(first + 5));
    } while (e != BH_ERR_CAP && rt_tsc() < end);
    if (e != BH_ERR_CAP) fail("the thread has not deleted itself: %lu", e);
    must("unbind", bh_vcpu_unbind(first));
}

static const struct hostile_act list[] = {
    {"cnode_holds_its_memory", cnode_holds_its_memory},
    {"cnode_holds_scrubbed_memory", cnode_holds_scrubbed_memory},
    {"cnode_holds_itself", cnode_holds_itself},
    {"cnodes_nested", cnodes_nested},
    {"cnode_filled_while_deleted", cnode_filled_while_deleted},
    {"revoke_behind_busy", revoke_behind_busy},
    {"tables_overflow", tables_overflow},
    {"map_while_detached", map_while_detached},
    {"map_beyond_frame", map_beyond_frame},
    {"unmapped_is_unreachable", unmapped_is_unreachable},
    {"deadlines_meet", deadlines_meet},
    {"servers_left_alone", servers_left_alone},
    {"deadline_of_a_server", deadline_of_a_server},
    {"deleted_with_guest_fpu", deleted_with_guest_fpu},
};

static uint64_t memory; /* bytes that every act finds */

void acts_set_up(uint64_t funtyped, uint64_t slot)
{
    ut = slot;
    ft = slot + 1;
    first = slot + 2;
    make(BH_SLOT_KUNTYPED, BH_CAP_KUNTYPED, 0, 0, 256, ut);
    make(funtyped, BH_CAP_FUNTYPED, 9, 0, 1024, ft);
    memory = bh_untyped_left(ut).value;
}

void act_out(const char *kind, const struct hostile_act *acts, uint32_t count, uint64_t only)
{
    for (uint32_t i = 0; i < count; i++) {
        if (only != 0 && only != i + 1) continue;
        say("%s %s", kind, acts[i].name);
        acts[i].run();
        check(acts[i].name);
        again("revoke frames", revoke, BH_SLOT_CNODE, ft);
        again("revoke", revoke, BH_SLOT_CNODE, ut);
        again("scrub frames", scrub, ft, 0);
        again("scrub", scrub, ut, 0);
        check("after it was taken down");
        if (bh_untyped_left(ut).value != memory)
            fail("memory is missing after %s: %lu of %lu bytes", acts[i].name,
                 bh_untyped_left(ut).value, memory);
    }
}

void attacks(uint64_t only) { act_out("attack", list, sizeof(list) / sizeof(list[0]), only); }
