/*
 * The (method, error) pairs that random invocations get seldom or never: each made to happen on
 * purpose, so that the test can demand all of them. Run in root's own thread, before the workers.
 * May call: ring3.c's helpers.
 */
#include <stddef.h>
#include <stdbool.h>
#include "ring3.h"
#include "string.h"
#include "bulkhead/vcpu.h"

#define PAGE    4096ul
#define ROOT_VA 0x10180000ul /* free in root's space, and its page table is there */

#define HIT(method, want, cap, ...)                                                                \
    hit_args(HOSTILE_##method, want, cap, (uint64_t[4]){__VA_ARGS__})

static struct bh_result hit_args(uint32_t method, uint64_t want, uint64_t cap, const uint64_t *a)
{
    return hit(method, want, cap, a[0], a[1], a[2], a[3]);
}

static uint64_t one(uint32_t type, uint32_t bits, uint64_t slot)
{
    if (type == BH_CAP_HOSTSPACE || type == BH_CAP_GUESTSPACE) /* one object of so many pages */
        make(ut, type, 0, 0, 1ul << bits, slot);
    else
        make(type == BH_CAP_FRAME ? ft : ut, type, bits, 0, 1, slot);
    return slot;
}

static void copy(uint64_t slot, uint64_t from, uint64_t rights)
{
    must("copy", bh_cnode_copy(BH_SLOT_CNODE, slot, from, rights));
}

static struct bh_result delete (uint64_t cnode, uint64_t slot)
{
    return bh_cnode_delete(cnode, slot);
}

/* Undo what does not lie in the sequence's memory. */
static void drop(uint64_t slot)
{
    again("revoke", revoke, BH_SLOT_CNODE, slot);
    must("delete", bh_cnode_delete(BH_SLOT_CNODE, slot));
}

static void sleep_us(uint64_t ntfn, uint64_t us)
{
    (void)bh_wait(ntfn, rt_tsc() + info()->tsc_khz * us / 1000);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* Derive each from the one before, until the tree is too deep. */
static void tree_too_deep(void)
{
    uint64_t n, e, last = ut;

    for (n = 0; n < 70; n++) {
        e = bh_untyped_retype(last, BH_DESC(BH_CAP_KUNTYPED, 0, 0), 80 - n, BH_SLOT_CNODE,
                              first + n)
                .err;
        if (e != BH_OK) break;
        last = first + n;
    }
    HIT(untyped_retype, BH_ERR_LIMIT, last, BH_DESC(BH_CAP_KUNTYPED, 0, 0), 1, BH_SLOT_CNODE,
        first + n);

    last = one(BH_CAP_FRAME, 0, first + 100);
    for (n = 101; n < 170; n++) {
        if (bh_frame_carve(last, 0, 1, BH_SLOT_CNODE, first + n).err != BH_OK) break;
        last = first + n;
    }
    HIT(frame_carve, BH_ERR_LIMIT, last, 0, 1, BH_SLOT_CNODE, first + n);
    HIT(frame_attach, BH_ERR_LIMIT, last, BH_SLOT_HOSTSPACE, BH_RIGHTS_ALL, BH_SLOT_CNODE,
        first + n);

    must("derive", bh_ioports_derive(BH_SLOT_IOPORTS, HOSTILE_PORT, 4, BH_SLOT_CNODE, first + 200));
    last = first + 200;
    for (n = 201; n < 270; n++) {
        if (bh_ioports_derive(last, HOSTILE_PORT, 4, BH_SLOT_CNODE, first + n).err != BH_OK) break;
        last = first + n;
    }
    HIT(ioports_derive, BH_ERR_LIMIT, last, HOSTILE_PORT, 1, BH_SLOT_CNODE, first + n);
    drop(first + 200);

    last = one(BH_CAP_ENDPOINT, 0, first + 300);
    for (n = 301; n < 370; n++) {
        if (bh_cnode_copy(BH_SLOT_CNODE, first + n, last, BH_RIGHTS_ALL).err != BH_OK) break;
        last = first + n;
    }
    HIT(cnode_copy, BH_ERR_LIMIT, BH_SLOT_CNODE, first + n, last, BH_RIGHTS_ALL);
    HIT(cnode_mint, BH_ERR_LIMIT, BH_SLOT_CNODE, first + n, last, BH_RIGHTS_ALL, 1);
}

static void too_many(void)
{
    uint64_t space = one(BH_CAP_HOSTSPACE, 3, first), cnode = one(BH_CAP_CNODE, 4, first + 1);
    uint64_t frame = one(BH_CAP_FRAME, 0, first + 2), sc = one(BH_CAP_SC, 0, first + 3);

    make(ut, BH_CAP_THREAD, 0, 0, 17, first + 10);
    for (uint64_t i = 0; i < 16; i++) HIT(thread_bind, BH_OK, first + 10 + i, cnode, space);
    HIT(thread_bind, BH_ERR_LIMIT, first + 26, cnode, space);
    HIT(thread_bind, BH_ERR_STATE, first + 10, cnode, space);
    for (uint64_t i = 0; i < 1024; i++)
        HIT(frame_attach, BH_OK, frame, space, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 100 + i);
    HIT(frame_attach, BH_ERR_LIMIT, frame, space, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 1124);
    /* Root's own context has all of the CPU for its floor. */
    HIT(sc_configure, BH_ERR_LIMIT, sc, 1000000, 1000000, 1000000, 1);
    HIT(untyped_retype, BH_ERR_MEMORY, ut, BH_DESC(BH_CAP_KUNTYPED, 0, 0), 257, BH_SLOT_CNODE,
        first + 30);
}

/* ---- What is half done ------------------------------------------------------------------------
 */

/* A revoke that has not come to its end freezes its root: nothing is derived from it. */
static void under_revocation(void)
{
    uint64_t u = first, e, deleted = 0, lines = 0;
    struct bh_result r;

    make(ut, BH_CAP_KUNTYPED, 0, 0, 8, u);
    make(u, BH_CAP_ENDPOINT, 0, 0, 40, first + 1);
    HIT(untyped_scrub, BH_ERR_BUSY, u, 0);
    HIT(cnode_revoke, BH_ERR_PREEMPTED, BH_SLOT_CNODE, u);
    HIT(untyped_retype, BH_ERR_STATE, u, BH_DESC(BH_CAP_ENDPOINT, 0, 0), 1, BH_SLOT_CNODE,
        first + 50);
    HIT(cnode_move, BH_ERR_STATE, BH_SLOT_CNODE, first + 50, u);
    again("revoke", revoke, BH_SLOT_CNODE, u);

    make(ft, BH_CAP_FRAME, 0, 0, 40, first + 100);
    for (uint64_t i = 0; i < 40; i++)
        HIT(frame_carve, BH_OK, first + 100, i, 1, BH_SLOT_CNODE, first + 101 + i);
    HIT(cnode_revoke, BH_ERR_PREEMPTED, BH_SLOT_CNODE, first + 100);
    HIT(frame_carve, BH_ERR_STATE, first + 100, 39, 1, BH_SLOT_CNODE, first + 150);
    HIT(frame_attach, BH_ERR_STATE, first + 100, BH_SLOT_HOSTSPACE, 1, BH_SLOT_CNODE, first + 150);
    again("revoke", revoke, BH_SLOT_CNODE, first + 100);

    must("derive", bh_ioports_derive(BH_SLOT_IOPORTS, HOSTILE_PORT, 4, BH_SLOT_CNODE, first + 200));
    for (uint64_t i = 0; i < 40; i++)
        HIT(ioports_derive, BH_OK, first + 200, HOSTILE_PORT, 1, BH_SLOT_CNODE, first + 201 + i);
    HIT(cnode_revoke, BH_ERR_PREEMPTED, BH_SLOT_CNODE, first + 200);
    HIT(ioports_derive, BH_ERR_STATE, first + 200, HOSTILE_PORT, 1, BH_SLOT_CNODE, first + 250);
    drop(first + 200);

    one(BH_CAP_ENDPOINT, 0, first + 300);
    for (uint64_t i = 0; i < 40; i++)
        HIT(cnode_copy, BH_OK, BH_SLOT_CNODE, first + 301 + i, first + 300, BH_RIGHTS_ALL);
    HIT(cnode_revoke, BH_ERR_PREEMPTED, BH_SLOT_CNODE, first + 300);
    HIT(cnode_copy, BH_ERR_STATE, BH_SLOT_CNODE, first + 350, first + 300, BH_RIGHTS_ALL);
    HIT(cnode_mint, BH_ERR_STATE, BH_SLOT_CNODE, first + 350, first + 300, BH_RIGHTS_ALL, 1);

    /* All lines that nobody has; those that the first step has given back are refused. */
    for (uint64_t i = 0; i < 24; i++) {
        e = bh_irq_derive(BH_SLOT_IRQ, i, BH_SLOT_CNODE, first + 400 + i).err;
        if (e == BH_OK) lines++;
    }
    if (lines <= 16) fail("only %lu interrupt lines are free", lines);
    HIT(cnode_revoke, BH_ERR_PREEMPTED, BH_SLOT_CNODE, BH_SLOT_IRQ);
    for (uint64_t i = 0; i < 24; i++) {
        if (bh_cnode_type(BH_SLOT_CNODE, first + 400 + i).value != 0) continue;
        r = bh_irq_derive(BH_SLOT_IRQ, i, BH_SLOT_CNODE, first + 450);
        if (r.err == BH_ERR_BUSY) continue; /* somebody else's */
        HIT(irq_derive, BH_ERR_STATE, BH_SLOT_IRQ, i, BH_SLOT_CNODE, first + 450);
        deleted++;
    }
    if (deleted == 0) fail("no interrupt line was given back by 16 deletions");
    again("revoke lines", revoke, BH_SLOT_CNODE, BH_SLOT_IRQ);
}

static struct bh_result attach_read(uint64_t frame, uint64_t space)
{
    return bh_frame_attach(frame, space, BH_RIGHT_READ, BH_SLOT_CNODE, first + 4);
}

static struct bh_result attach_all(uint64_t frame, uint64_t space)
{
    return bh_frame_attach(frame, space, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 4);
}

/* Work that takes more than one call. */
static void in_parts(void)
{
    uint64_t host = one(BH_CAP_HOSTSPACE, 4, first + 3), e;
    uint64_t guest = one(BH_CAP_GUESTSPACE, 5, first), at = first + 2;

    make(ft, BH_CAP_FRAME, 0, 0, 600, first + 1);
    must("attach", bh_frame_attach(first + 1, guest, BH_RIGHTS_ALL, BH_SLOT_CNODE, at));
    HIT(attach_map, BH_ERR_PREEMPTED, at, PAGE, BH_MAP_READ, 600);
    HIT(attach_map, BH_ERR_MAPPED, at, PAGE, BH_MAP_READ, 1);
    HIT(attach_unmap, BH_ERR_PREEMPTED, at, PAGE, 600);
    for (uint64_t i = 0; i < 20; i++)
        HIT(attach_map, BH_OK, at, 0x20000000 + (i << 21), BH_MAP_READ, 1);
    HIT(cnode_delete, BH_ERR_PREEMPTED, BH_SLOT_CNODE, at);
    HIT(attach_map, BH_ERR_STATE, at, PAGE, BH_MAP_READ, 1);
    do e = bh_cnode_delete(BH_SLOT_CNODE, at).err;
    while (e == BH_ERR_PREEMPTED);
    /* The same from inside of a CNode: its deletion gets further with each call, and says so. */
    again("attach", attach_all, first + 1, guest);
    HIT(cnode_move, BH_OK, one(BH_CAP_CNODE, 4, first + 41), 3, first + 4);
    HIT(cnode_delete, BH_ERR_PREEMPTED, BH_SLOT_CNODE, first + 41);
    do e = bh_cnode_delete(BH_SLOT_CNODE, first + 41).err;
    while (e == BH_ERR_PREEMPTED);
    if (e != BH_OK) fail("a CNode with an attachment: error %lu", e);

    again("attach", attach_read, first + 1, host); /* BUSY while other CPUs owe the flush */
    HIT(attach_map, BH_ERR_RIGHTS, first + 4, 0x20000000, BH_MAP_READ | BH_MAP_WRITE, 1);
    HIT(attach_map, BH_ERR_RANGE, first + 4, 0x20000000, BH_MAP_WRITE, 1);
    for (uint64_t i = 1; i <= 5; i++) /* two of its 10 free tables each */
        HIT(attach_map, BH_OK, first + 4, i << 30, BH_MAP_READ, 1);
    if (HIT(attach_map, BH_ERR_TABLES, first + 4, 6ul << 30, BH_MAP_READ, 1).value != 2)
        fail("two tables are missing, not the number it says");
    HIT(frame_carve, BH_ERR_STATE, first + 1, 0, 1, BH_SLOT_CNODE, first + 40); /* attached */

    /* 64 pages are cleaned at a time. */
    make(ut, BH_CAP_KUNTYPED, 0, 0, 130, first + 50);
    make(first + 50, BH_CAP_KUNTYPED, 0, 0, 130, first + 51);
    again("revoke", revoke, BH_SLOT_CNODE, first + 50);
    for (uint32_t i = 0; i < 100000 && bh_untyped_scrub(first + 50).err == BH_ERR_BUSY; i++)
        ;
    HIT(untyped_scrub, BH_ERR_PREEMPTED, first + 50, 0);
    HIT(untyped_scrub, BH_OK, first + 50, 0);
}

/* ---- Rights, destinations, machine ------------------------------------------------------------
 */

/* Every method of a type on a capability that may only read. */
static void read_only(void)
{
    static const uint8_t types[] = {BH_CAP_THREAD, BH_CAP_SC, BH_CAP_VCPU};
    uint64_t slot[BH_CAP_NTYPES] = {0}, cnode = one(BH_CAP_CNODE, 4, first + 20);

    for (uint32_t i = 0; i < sizeof(types); i++) {
        slot[types[i]] = first + 10 + i;
        copy(slot[types[i]], one(types[i], 0, first + i), BH_RIGHT_READ);
    }
    slot[BH_CAP_KERNEL] = first + 19;
    copy(first + 19, BH_SLOT_KERNEL, BH_RIGHT_READ);
    for (uint32_t m = 0; m < HOSTILE_METHODS; m++) {
        if (slot[hostile_methods[m].type] == 0) continue;
        (void)hit(m, BH_ERR_RIGHTS, slot[hostile_methods[m].type], 0, 0, 0, 0);
    }
    must("delete", bh_cnode_delete(BH_SLOT_CNODE, first + 19));

    copy(first + 21, cnode, BH_RIGHT_READ);
    HIT(cnode_copy, BH_ERR_RIGHTS, first + 21, 0, first, 0);
    HIT(cnode_mint, BH_ERR_RIGHTS, first + 21, 0, first, 0, 0);
    HIT(cnode_move, BH_ERR_RIGHTS, first + 21, 0, first);
    HIT(cnode_delete, BH_ERR_RIGHTS, first + 21, 0);
    HIT(cnode_revoke, BH_ERR_RIGHTS, first + 21, 0);
    HIT(cnode_delete, BH_ERR_SLOT, cnode, 16);
    HIT(cnode_revoke, BH_ERR_SLOT, cnode, 16);
    HIT(cnode_delete, BH_ERR_CAP, cnode, 0);
    HIT(cnode_revoke, BH_ERR_CAP, cnode, 0);
}

static void destinations(void)
{
    uint64_t cnode = one(BH_CAP_CNODE, 4, first), frame = one(BH_CAP_FRAME, 0, first + 1);
    uint64_t ntfn = one(BH_CAP_NTFN, 0, first + 2), bad[3][3];

    make(ft, BH_CAP_FRAME, 0, 0, 2, first + 5);
    copy(first + 3, cnode, BH_RIGHT_READ);
    copy(first + 4, ntfn, BH_RIGHT_READ);
    bad[0][0] = ntfn, bad[0][1] = 1, bad[0][2] = BH_ERR_CAP;
    bad[1][0] = first + 3, bad[1][1] = 1, bad[1][2] = BH_ERR_RIGHTS;
    bad[2][0] = cnode, bad[2][1] = 16, bad[2][2] = BH_ERR_SLOT;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t c = bad[i][0], slot = bad[i][1], want = bad[i][2];

        HIT(untyped_retype, want, ut, BH_DESC(BH_CAP_NTFN, 0, 0), 1, c, slot);
        HIT(frame_carve, want, first + 5, 0, 1, c, slot);
        HIT(frame_attach, want, frame, BH_SLOT_HOSTSPACE, 1, c, slot);
        HIT(ioports_derive, want, BH_SLOT_IOPORTS, HOSTILE_PORT, 1, c, slot);
        HIT(irq_derive, want, BH_SLOT_IRQ, 5, c, slot);
    }
    HIT(irq_derive, BH_ERR_RANGE, BH_SLOT_IRQ, 24, cnode, 1);
    HIT(irq_derive, BH_OK, BH_SLOT_IRQ, 5, BH_SLOT_CNODE, first + 10);
    HIT(irq_derive, BH_ERR_BUSY, BH_SLOT_IRQ, 5, BH_SLOT_CNODE, first + 11);
    HIT(irq_bind, BH_ERR_RANGE, BH_SLOT_IRQ, ntfn);
    HIT(irq_bind, BH_ERR_CAP, first + 10, cnode);
    HIT(irq_bind, BH_ERR_RIGHTS, first + 10, first + 4);
    HIT(irq_unmask, BH_ERR_STATE, first + 10, 0);
    HIT(irq_bind, BH_OK, first + 10, ntfn);
    HIT(irq_bind, BH_ERR_STATE, first + 10, ntfn);
    drop(first + 10);
}

/* ---- Objects in use ---------------------------------------------------------------------------
 */

__attribute__((noreturn)) static void spin(void)
{
    for (;;)
        ;
}

static void in_use(void)
{
    uint64_t cnode = one(BH_CAP_CNODE, 4, first), space = one(BH_CAP_HOSTSPACE, 3, first + 1);
    uint64_t thread = one(BH_CAP_THREAD, 0, first + 2), u = first + 3, sc = first + 4;
    uint64_t other = one(BH_CAP_SC, 0, first + 7), busy = one(BH_CAP_THREAD, 0, first + 8);

    HIT(cnode_move, BH_ERR_STATE, cnode, 5, cnode); /* into itself */
    make(ut, BH_CAP_KUNTYPED, 0, 0, 1, u);
    make(u, BH_CAP_SC, 0, 0, 1, sc);
    HIT(thread_set_sc, BH_ERR_STATE, thread, sc); /* not configured */
    HIT(sc_configure, BH_OK, sc, 0, 1000000, 1000000, 1);
    HIT(thread_set_sc, BH_OK, thread, sc);
    HIT(thread_set_sc, BH_ERR_BUSY, busy, sc);
    must("bind", bh_thread_bind(thread, cnode, space));
    HIT(cnode_move, BH_ERR_BUSY, BH_SLOT_CNODE, first + 5, cnode);
    HIT(cnode_delete, BH_ERR_BUSY, BH_SLOT_CNODE, sc);
    HIT(cnode_revoke, BH_ERR_BUSY, BH_SLOT_CNODE, u);
    /* A thread that is ready, and does not run while we do. */
    must("configure", bh_sc_configure(other, 0, 1000000, 1000000, 1));
    must("bind", bh_thread_bind(busy, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
    must("set_sc", bh_thread_set_sc(busy, other));
    HIT(thread_start, BH_OK, busy, (uint64_t)spin, 0, 0);
    HIT(thread_start, BH_ERR_STATE, busy, (uint64_t)spin, 0, 0);
    HIT(sc_configure, BH_ERR_BUSY, other, 0, 1000000, 1000000, 1);
    HIT(thread_stop, BH_OK, busy, 0);
    must("delete", bh_cnode_delete(BH_SLOT_CNODE, thread));
    again("revoke", revoke, BH_SLOT_CNODE, u);
}

/* Just after its last mapping has gone, a Frame still waits for the other CPUs' flush. How long is
 * up to them: try until it was seen. */
static void flush_owed(void)
{
    uint64_t frame = one(BH_CAP_FRAME, 0, first), space = one(BH_CAP_GUESTSPACE, 3, first + 1);
    bool attach = false, carve = false;
    uint64_t e;

    for (uint32_t i = 0; i < 10000 && info()->ncpus > 1 && !(attach && carve); i++) {
        do e = bh_frame_attach(frame, space, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 2).err;
        while (e == BH_ERR_BUSY);
        if (e != BH_OK) fail("attach: %lu", e);
        must("detach", bh_cnode_delete(BH_SLOT_CNODE, first + 2));
        if (!carve) {
            e = bh_frame_carve(frame, 0, 1, BH_SLOT_CNODE, first + 2).err;
            if (e == BH_ERR_BUSY) count_hit(HOSTILE_frame_carve, e), carve = true;
        } else {
            e = bh_frame_attach(frame, space, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 2).err;
            if (e == BH_ERR_BUSY) count_hit(HOSTILE_frame_attach, e), attach = true;
        }
        if (e == BH_OK) again("delete", delete, BH_SLOT_CNODE, first + 2);
    }
}

/* ---- Other CPUs -------------------------------------------------------------------------------
 */

static void elsewhere(void)
{
    static const uint8_t types[] = {BH_CAP_THREAD, BH_CAP_SC, BH_CAP_VCPU, BH_CAP_NTFN,
                                    BH_CAP_ENDPOINT};
    uint64_t slot[BH_CAP_NTYPES] = {0}, here = one(BH_CAP_THREAD, 0, first + 10);
    struct bh_message m = {{0}, 0};

    if (info()->ncpus == 1) return;
    for (uint32_t i = 0; i < sizeof(types); i++) {
        slot[types[i]] = first + i;
        make(ut, types[i], 0, 1, 1, first + i);
    }
    for (uint32_t i = 0; i < HOSTILE_METHODS; i++) {
        if (slot[hostile_methods[i].type] == 0) continue;
        if (hit(i, BH_ERR_CPU, slot[hostile_methods[i].type], 0, 0, 0, 0).value != 1)
            fail("%s names another CPU than 1", hostile_methods[i].name);
    }
    HIT(thread_set_sc, BH_ERR_CPU, here, slot[BH_CAP_SC]);
    HIT(cnode_delete, BH_ERR_CPU, BH_SLOT_CNODE, slot[BH_CAP_NTFN]);
    for (uint32_t call = BH_SYS_call; call <= BH_SYS_receive; call++)
        hit_call(call, BH_ERR_CPU, bh_ipc((enum bh_call)call, slot[BH_CAP_ENDPOINT], &m, 0));
    hit_call(BH_SYS_wait, BH_ERR_CPU, bh_wait(slot[BH_CAP_NTFN], 0).err);
    must("delete", bh_cnode_delete(BH_SLOT_CNODE, here));
    HIT(cnode_revoke, BH_ERR_CPU, BH_SLOT_CNODE, ut);
}

/* ---- Calls that end otherwise than their caller thought ---------------------------------------
 */

static struct job {
    uint64_t call, cap, err, done;
} jobs[2];
static uint8_t stacks[2][4096] __attribute__((aligned(16)));

/* A thread of root's space: make one call, say how it went. */
__attribute__((noreturn)) static void helper(uint64_t index)
{
    struct job *j = &jobs[index];
    struct bh_message m = {{0}, 0};
    uint64_t err = 0;

    if (j->call == BH_SYS_vcpu_run) {
        for (uint32_t n = 0; n < 100 && (int64_t)err >= 0; n++)
            err = bh_vcpu_run(BH_FOREVER, 0).err;
        err = 0 - err;
    } else {
        err = bh_ipc((enum bh_call)j->call, j->cap, &m, BH_FOREVER);
    }
    j->err = err;
    __atomic_store_n(&j->done, 1, __ATOMIC_RELEASE);
    for (;;) bh_yield();
}

static void help(uint64_t index, uint64_t thread, uint64_t sc, uint64_t call, uint64_t cap)
{
    jobs[index] = (struct job){call, cap, 0, 0};
    must("configure", bh_sc_configure(sc, 0, 1000000, 1000000, 1));
    must("set_sc", bh_thread_set_sc(thread, sc));
    must("start", bh_thread_start(thread, (uint64_t)helper,
                                  (uint64_t)stacks[index] + sizeof(stacks[index]) - 8, index));
}

static void helped(uint64_t index, uint64_t ntfn, uint64_t want)
{
    for (uint32_t i = 0; i < 10000 && __atomic_load_n(&jobs[index].done, __ATOMIC_ACQUIRE) == 0;
         i++)
        sleep_us(ntfn, 1000);
    if (jobs[index].done == 0) fail("call %lu of a helper does not end", jobs[index].call);
    hit_call((uint32_t)jobs[index].call, want, jobs[index].err);
}

/* Who has taken a call is stopped. */
static void server_stopped(void)
{
    uint64_t ep = one(BH_CAP_ENDPOINT, 0, first), ntfn = one(BH_CAP_NTFN, 0, first + 1);

    make(ut, BH_CAP_THREAD, 0, 0, 2, first + 2);
    make(ut, BH_CAP_SC, 0, 0, 2, first + 4);
    for (uint64_t i = 0; i < 2; i++)
        must("bind", bh_thread_bind(first + 2 + i, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
    help(0, first + 2, first + 4, BH_SYS_receive, ep);
    sleep_us(ntfn, 2000);
    help(1, first + 3, first + 5, BH_SYS_call, ep);
    helped(0, ntfn, BH_OK);
    must("stop", bh_thread_stop(first + 2));
    helped(1, ntfn, BH_ERR_ABORTED);
}

/* A server that needs neither stack nor memory: its rsp, which calls keep, is the endpoint's slot.
 * It answers with what it has got, the badge in the first word. */
extern const uint8_t echo_start[], echo_end[];
__asm__(".pushsection .rodata\n"
        ".globl echo_start, echo_end\n"
        "echo_start: xor %rdi, %rsi; mov %rsp, %rdi; mov $-1, %r9; mov $3, %eax; syscall\n"
        "jmp echo_start\n"
        "echo_end: .popsection");

/* Words and badge arrive in another address space, and the answer comes back: with a deadline (the
 * slow way) and without (the fast one); a message that is only sent does not disturb that. */
static void messages(void)
{
    uint64_t ep = one(BH_CAP_ENDPOINT, 0, first), host = one(BH_CAP_HOSTSPACE, 4, first + 1);
    uint64_t thread = one(BH_CAP_THREAD, 0, first + 2), sc = one(BH_CAP_SC, 0, first + 3);
    uint64_t frame = one(BH_CAP_FRAME, 0, first + 4), x = 1;

    must("attach",
         bh_frame_attach(frame, BH_SLOT_HOSTSPACE, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 5));
    must("map", bh_attach_map(first + 5, ROOT_VA, BH_MAP_READ | BH_MAP_WRITE, 1));
    memcpy((void *)ROOT_VA, echo_start, (size_t)(echo_end - echo_start));
    must("attach", bh_frame_attach(frame, host, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 6));
    must("map", bh_attach_map(first + 6, 0x400000, BH_MAP_READ | BH_MAP_EXEC, 1));
    must("mint", bh_cnode_mint(BH_SLOT_CNODE, first + 7, ep, BH_RIGHTS_ALL, 0x5eed));
    must("bind", bh_thread_bind(thread, BH_SLOT_CNODE, host));
    must("configure", bh_sc_configure(sc, 0, 1000000, 1000000, 1));
    must("set_sc", bh_thread_set_sc(thread, sc));
    must("start", bh_thread_start(thread, 0x400000, ep, 0));
    for (uint64_t i = 0; i < 300; i++) {
        struct bh_message m = {.badge = 1};
        uint64_t sent[4], deadline = rt_tsc() + info()->tsc_khz * 1000ul;

        for (uint32_t w = 0; w < 4; w++) m.word[w] = sent[w] = x = x * 0x5851f42d4c957f2dul + 1;
        if (i % 3 == 2) {
            hit_call(BH_SYS_send, BH_OK, bh_ipc(BH_SYS_send, ep, &m, deadline));
            continue;
        }
        hit_call(BH_SYS_call, BH_OK,
                 bh_ipc(BH_SYS_call, first + 7, &m, i % 3 == 0 ? BH_FOREVER : deadline));
        if (m.word[0] != (sent[0] ^ 0x5eed) || memcmp(m.word + 1, sent + 1, 24) || m.badge != 0)
            fail("message %lu came back as %lx %lx %lx %lx, badge %lx", i, m.word[0], m.word[1],
                 m.word[2], m.word[3], m.badge);
    }
}

/* Exits that never left the kernel. */
static uint64_t kernel_exits(uint64_t vcpu)
{
    uint64_t n = 0;

    for (uint64_t reason = BH_NEXITS; reason < BH_NEXITS + 8; reason++)
        n += HIT(vcpu_exits, BH_OK, vcpu, reason).value;
    return n;
}

/* vCPUs: root's own thread runs one, then a helper's is taken away from under its guest. */
static void vcpus(void)
{
    uint64_t v = one(BH_CAP_VCPU, 0, first), guest = one(BH_CAP_GUESTSPACE, 3, first + 1);
    uint64_t ntfn = one(BH_CAP_NTFN, 0, first + 2), host = one(BH_CAP_HOSTSPACE, 3, first + 3);
    uint64_t thread = one(BH_CAP_THREAD, 0, first + 4), sc = one(BH_CAP_SC, 0, first + 5);
    uint64_t other = one(BH_CAP_VCPU, 0, first + 6), frame = one(BH_CAP_FRAME, 0, first + 7);
    uint64_t cnode = one(BH_CAP_CNODE, 4, first + 8), idle = one(BH_CAP_THREAD, 0, first + 9);
    uint64_t err, before;

    hit_call(BH_SYS_vcpu_run, BH_ERR_STATE, 0 - bh_vcpu_run(0, 0).err);
    HIT(vcpu_unbind, BH_ERR_STATE, v, 0);
    HIT(vcpu_bind, BH_ERR_STATE, v, idle, guest, ntfn, ROOT_VA); /* no space yet */
    HIT(vcpu_bind, BH_ERR_CAP, v, BH_SLOT_THREAD, host, ntfn, ROOT_VA);
    HIT(vcpu_bind, BH_ERR_RANGE, v, BH_SLOT_THREAD, guest, ntfn, ROOT_VA + 1);
    HIT(vcpu_bind, BH_OK, v, BH_SLOT_THREAD, guest, ntfn, ROOT_VA);
    HIT(vcpu_read, BH_OK, v, BH_STATE_ALL);
    HIT(vcpu_read, BH_ERR_RANGE, v, 1);
    HIT(vcpu_read, BH_ERR_STATE, other, BH_STATE_ALL);
    hit_call(BH_SYS_vcpu_run, BH_ERR_RANGE, 0 - bh_vcpu_run(0, 0x20).err);
    err = bh_vcpu_run(rt_tsc() + info()->tsc_khz * 1000ul, 0).err;
    if (err != BH_EXIT_MEMORY) fail("a guest without memory exits for %lx", err);
    hit_call(BH_SYS_vcpu_run, BH_OK, BH_OK);

    must("bind", bh_thread_bind(idle, cnode, host));
    HIT(vcpu_bind, BH_ERR_BUSY, other, idle, guest, ntfn, 0x20000000);
    HIT(vcpu_unbind, BH_OK, v, 0);
    must("attach", bh_frame_attach(frame, host, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 10));
    must("map", bh_attach_map(first + 10, 0x20000000, BH_MAP_READ, 1));
    /* Not while another CPU may still reach the page of the last binding. */
    for (uint32_t i = 0; i < 1000000; i++) {
        if (bh_vcpu_bind(v, idle, guest, ntfn, 0x20000000).err != BH_ERR_BUSY) break;
        bh_yield();
    }
    HIT(vcpu_bind, BH_ERR_MAPPED, v, idle, guest, ntfn, 0x20000000);
    HIT(vcpu_bind, BH_ERR_TABLES, v, idle, guest, ntfn, 0x80000000);

    /* Guest code at the reset vector: a jump to itself. */
    must("attach",
         bh_frame_attach(frame, BH_SLOT_HOSTSPACE, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 11));
    must("map", bh_attach_map(first + 11, ROOT_VA + PAGE, BH_MAP_READ | BH_MAP_WRITE, 1));
    *(volatile uint16_t *)(ROOT_VA + PAGE + 0xff0) = 0xfeeb;
    must("attach", bh_frame_attach(frame, guest, BH_RIGHTS_ALL, BH_SLOT_CNODE, first + 12));
    must("map", bh_attach_map(first + 12, 0xfffff000, BH_MAP_READ | BH_MAP_EXEC, 1));
    must("bind", bh_thread_bind(thread, BH_SLOT_CNODE, BH_SLOT_HOSTSPACE));
    must("vcpu", bh_vcpu_bind(v, thread, guest, ntfn, ROOT_VA));
    before = kernel_exits(v);
    help(0, thread, sc, BH_SYS_vcpu_run, 0);
    ntfn = one(BH_CAP_NTFN, 0, first + 13); /* the other one would interrupt the guest */
    /* Until our timer has interrupted the guest. */
    for (uint32_t i = 0; i < 2000 && kernel_exits(v) == before; i++) sleep_us(ntfn, 1000);
    HIT(vcpu_unbind, BH_OK, v, 0);
    helped(0, ntfn, BH_ERR_ABORTED);
}

static const struct hostile_act list[] = {
    {"tree_too_deep", tree_too_deep},
    {"too_many", too_many},
    {"under_revocation", under_revocation},
    {"in_parts", in_parts},
    {"read_only", read_only},
    {"destinations", destinations},
    {"in_use", in_use},
    {"flush_owed", flush_owed},
    {"elsewhere", elsewhere},
    {"server_stopped", server_stopped},
    {"messages", messages},
    {"vcpus", vcpus},
};

void sequences(uint64_t only) { act_out("sequence", list, sizeof(list) / sizeof(list[0]), only); }
