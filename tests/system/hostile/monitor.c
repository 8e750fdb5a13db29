/*
 * A monitor that has been taken over: linked in front of the shipped one's main function. A VM
 * whose command line has "attack=<name>" gets it; all others get the real monitor, which with
 * "entry=bad" is given a first state that the CPU refuses. Whatever it does, its VM ends or stands
 * still, and the others go on. With root.c it has a second thread. May call: system calls, with
 * anything it holds. Never calls: the monitor.
 */
#include <stdbool.h>
#include <stddef.h>
#include "fmt.h"
#include "monitor/loader.h"
#include "syscall.h"
#include "string.h"
#include "bulkhead/console.h"
#include "bulkhead/info.h"
#include "bulkhead/monitor.h"
#include "bulkhead/vcpu.h"
#include "bulkhead/wire_ring.h"

void __wrap_monitor_main(unsigned number);
void __real_monitor_main(unsigned number);
bool __wrap_boot_load(const struct boot_request *req, struct boot_state *s,
                      struct boot_error *error);
bool __real_boot_load(const struct boot_request *req, struct boot_state *s,
                      struct boot_error *error);

/* Of two threads: a lost update is another random number. */
static volatile uint64_t state = 0x243f6a8885a308d3ull;

static uint64_t next_random(void)
{
    uint64_t s = state;

    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    state = s;
    return s * 0x2545f4914f6cdd1dull;
}

/* Often something that is nearly right. */
static uint64_t word(void)
{
    static const uint64_t values[] = {0,
                                      1,
                                      0x60000010,
                                      0x80000011,
                                      0x80050033,
                                      0x20,
                                      0x6f8,
                                      0xd01,
                                      0x500,
                                      0x7fffffffffffull,
                                      0x800000000000ull,
                                      0xffff800000000000ull,
                                      0x80000b0e,
                                      0x80000202,
                                      0x800004ff,
                                      0x80000320,
                                      ~0ull};
    uint64_t r = next_random();

    return r % 3 == 0 ? next_random() : values[r / 3 % (sizeof(values) / sizeof(values[0]))];
}

static const struct bh_monitor_start *start(void)
{
    return (const struct bh_monitor_start *)BH_MONITOR_START;
}

/* NAME=number on the command line, 0: not there. */
static uint64_t argument(const char *name)
{
    size_t n = strlen(name);
    uint64_t value = 0;

    for (const char *c = start()->cmdline; *c != 0; c++) {
        if (strncmp(c, name, n) != 0 || c[n] != '=') continue;
        for (c += n + 1; *c >= '0' && *c <= '9'; c++) value = value * 10 + (uint64_t)(*c - '0');
        return value;
    }
    return 0;
}

static struct bh_vcpu_page *page(void) { return (struct bh_vcpu_page *)BH_MONITOR_VCPU; }

__attribute__((noreturn)) static void die(void)
{
    for (;;) __asm__ volatile("ud2");
}

/* Random and nearly valid state into the vCPU, then into the guest. */
static void bad_state(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t *p = (uint64_t *)page();

        for (unsigned n = 0; n < 1 + i % 40; n++) p[next_random() % 232] = word();
        /* Legal on hardware, but QEMU 7.2 does not restore the host's CR0 after an exit from it. */
        if ((page()->state.cr4 & 0x20u) == 0) page()->state.efer &= ~0x100ul;
        (void)bh_vcpu_run(rt_tsc() + next_random() % 50000, word() & BH_RUN_ALL);
        (void)bh_vcpu_read(BH_MONITOR_SLOT_VCPU, BH_STATE_ALL | BH_STATE_FPU);
        for (unsigned n = 0; n < 4; n++)
            (void)bh_vcpu_want(BH_MONITOR_SLOT_VCPU, next_random() % 26, next_random() % 4);
    }
    die();
}

/* The guest's memory somewhere else, nowhere, and while it runs. */
static void bad_mappings(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t va = word() & ~0xfffull, pages = 1 + next_random() % 2000;

        switch (next_random() % 3) {
        case 0: (void)bh_attach_map(BH_MONITOR_SLOT_RAM, va, word() | BH_MAP_READ, pages); break;
        case 1: (void)bh_attach_unmap(BH_MONITOR_SLOT_RAM, va, pages); break;
        default:
            (void)bh_attach_unmap(BH_MONITOR_SLOT_RAM,
                                  next_random() % start()->ram_bytes & ~0x1fffffull, 512);
            (void)bh_vcpu_run(rt_tsc() + 20000, 0);
            break;
        }
    }
    die();
}

/* More than its memory becomes its guest's, which writes all that it has: the next VM's lies there.
 * The first 2 MiB may be this monitor, and are left out. */
static void reach_beyond(void)
{
    uint64_t own = start()->ram_bytes;

    (void)bh_attach_map(BH_MONITOR_SLOT_RAM, own, own | BH_MAP_READ | BH_MAP_WRITE, 16384);
    (void)bh_attach_unmap(BH_MONITOR_SLOT_RAM, own, 512);
    __real_monitor_main(0);
}

/* Random invocations of everything in reach, own capabilities deleted in the end. */
static void bad_calls(void)
{
    for (unsigned i = 0; i < 50000; i++)
        (void)bh_invoke(next_random() % 40, next_random() % 9, word(), word(), word(), word());
    for (unsigned i = 0; i < 20000; i++)
        (void)bh_syscall(next_random() % 11, next_random() % 40, rt_tsc() + 1000, word(), word(),
                         word(), rt_tsc() + 1000);
    die();
}

/* Each system call with a stack pointer and return address that cannot be used. */
static void bad_stacks(void)
{
    __asm__ volatile("mov %0, %%rax\n"
                     "mov $0xffff800000000000, %%rsp\n"
                     "xor %%edi, %%edi\n"
                     "xor %%esi, %%esi\n"
                     "xor %%r9d, %%r9d\n"
                     "syscall\n"
                     "push %%rax\n"
                     "ud2\n"
                     :
                     : "r"(argument("call"))
                     : "memory");
    die();
}

/* What root reads of us: console and report, changing all the time. */
static void bad_pages(void)
{
    volatile uint32_t *console = (volatile uint32_t *)BH_MONITOR_CONSOLE;
    volatile uint64_t *report = (volatile uint64_t *)BH_MONITOR_REPORT;

    for (unsigned i = 0; i < 200000; i++) {
        console[next_random() % 64] = (uint32_t)word();
        report[next_random() % (sizeof(struct bh_monitor_report) / 8u)] =
            word() << 8 * (next_random() % 8);
        if (i % 64 == 0) (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    }
    die();
}

/* Tell root how this VM has ended, and go on. */
static void report(const char *text)
{
    struct bh_monitor_report *r = (struct bh_monitor_report *)BH_MONITOR_REPORT;

    (void)fmt_buf(r->text, sizeof(r->text), "%s", text);
    __atomic_store_n(&r->kind, (uint32_t)BH_END_STOPPED, __ATOMIC_RELEASE);
    (void)bh_signal(BH_MONITOR_SLOT_ROOT);
}

/* Root is told something all the time, and time is used up. */
static void flood(void)
{
    for (;;) (void)bh_signal(BH_MONITOR_SLOT_ROOT);
}

/* States that the CPU refuses, again and again; and then it says that the guest has powered off. */
static void conceal(void)
{
    struct bh_monitor_report *r = (struct bh_monitor_report *)BH_MONITOR_REPORT;

    (void)bh_vcpu_read(BH_MONITOR_SLOT_VCPU, BH_STATE_ALL);
    page()->rip = 0x1234;
    if (start()->backend == BH_BACKEND_VMX)
        page()->state.seg[BH_CS].attr = 0x92;
    else
        page()->state.cr4 = 1u << 22;
    for (unsigned i = 0; i < 1000; i++)
        (void)bh_vcpu_run(BH_FOREVER, BH_RUN_RIP | BH_STATE_SEG | BH_STATE_CR);
    __atomic_store_n(&r->kind, (uint32_t)BH_END_POWEROFF, __ATOMIC_RELEASE);
    (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    for (;;) (void)bh_wait(BH_MONITOR_SLOT_NTFN, BH_FOREVER);
}

/* Every unmap makes CPUs flush; for "ms" of time, then it says how often. */
static void unmap_storm(void)
{
    uint64_t end = rt_tsc() + start()->tsc_khz * argument("ms"), n = 0;
    char text[160];

    for (; rt_tsc() < end; n++) (void)bh_attach_unmap(BH_MONITOR_SLOT_RAM, 0, 1);
    (void)fmt_buf(text, sizeof(text), "%lu times", n);
    report(text);
    for (;;) (void)bh_wait(BH_MONITOR_SLOT_NTFN, BH_FOREVER);
}

/* The same with root's notification. */
static void signal_storm(void)
{
    uint64_t end = rt_tsc() + start()->tsc_khz * argument("ms"), n = 0;
    char text[160];

    for (; rt_tsc() < end; n++) (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    (void)fmt_buf(text, sizeof(text), "%lu times", n);
    report(text);
    for (;;) (void)bh_wait(BH_MONITOR_SLOT_NTFN, BH_FOREVER);
}

/* ---- A wire (bulkhead/wire_ring.h) -------------------------------------------------------------
 */

static struct bh_ring_header *box(void)
{
    return (struct bh_ring_header *)start()->wires[0].own_va;
}

/* Records as they should be, of frames as nobody should send them. */
static void bad_frames(uint64_t end)
{
    const struct bh_ring_header *peer = (const struct bh_ring_header *)start()->wires[0].peer_va;
    struct bh_ring_queue *q = &box()->queue[0];
    uint32_t put = 0;

    while (rt_tsc() < end) {
        uint32_t left = BH_RING_DATA_BYTES - put % BH_RING_DATA_BYTES;
        uint32_t bytes = 14u + (uint32_t)next_random() % (next_random() % 8u ? 2000u : 65000u);
        uint32_t whole = (bytes + 31u) & ~15u;
        uint64_t *words = (uint64_t *)((uint8_t *)box() + 4096 + put % BH_RING_DATA_BYTES);
        bool skip = whole > left;

        if (skip) whole = left;
        if (put + whole - __atomic_load_n(&peer->queue[0].get, __ATOMIC_ACQUIRE) >
            BH_RING_DATA_BYTES) {
            (void)bh_signal(BH_MONITOR_SLOT_WIRE);
            continue;
        }
        for (unsigned i = 0; i < 10u && 8u * i < whole; i++) words[i] = word();
        *(uint32_t *)words = skip ? BH_RING_SKIP : bytes;
        if (next_random() % 2u && !skip) ((uint8_t *)words)[4] &= 1u;
        put += whole;
        __atomic_store_n(&q->put, put, __ATOMIC_RELEASE);
        q->get = __atomic_load_n(&peer->queue[0].put, __ATOMIC_ACQUIRE);
        if (next_random() % 8u == 0) (void)bh_signal(BH_MONITOR_SLOT_WIRE);
    }
}

/* As a good end begins, then bad frames for "ms", then anything; in the end it tries to write what
 * it may only read. */
static void wire(void)
{
    uint64_t ms = start()->tsc_khz * argument("ms");
    uint32_t peer;

    for (unsigned i = 0; i < BH_RING_BOX_BYTES(1u) / 8u; i++)
        if (((const uint64_t *)(const void *)box())[i]) report("box is not clean");
    while ((peer = __atomic_load_n(&start()->wires[0].peer, __ATOMIC_ACQUIRE)) == 0)
        (void)bh_wait(BH_MONITOR_SLOT_NTFN, rt_tsc() + ms);
    memset(box()->queue, 0, sizeof(box()->queue));
    box()->magic = BH_RING_MAGIC;
    box()->version = BH_RING_VERSION;
    box()->queues = 1;
    __atomic_store_n(&box()->session, (uint64_t)start()->wires[0].self << 32 | peer,
                     __ATOMIC_RELEASE);
    (void)bh_signal(BH_MONITOR_SLOT_WIRE);
    bad_frames(rt_tsc() + ms);
    for (uint64_t end = rt_tsc() + ms; rt_tsc() < end;) {
        volatile uint32_t *words = (volatile uint32_t *)box();

        words[next_random() % (next_random() % 2u ? 64u : BH_RING_BOX_BYTES(1u) / 4u)] =
            (uint32_t)word();
        if (next_random() % 16u == 0) (void)bh_signal(BH_MONITOR_SLOT_WIRE);
    }
    *(volatile uint32_t *)start()->wires[0].peer_va = 1;
    report("has written to its peer's box");
    for (;;) (void)bh_wait(BH_MONITOR_SLOT_NTFN, BH_FOREVER);
}

/*
 * What a system call leaves on the kernel's stack, or anywhere behind the few descriptors that the
 * kernel has, is no descriptor: a VM exit of VMX sets the limit of GDTR to 64 KiB (SDM 28.5.2).
 */
static void descriptors(void)
{
    const uint64_t data = 0x00cff3000000ffff; /* a segment for ring 3 */
    unsigned readable = 0;
    char text[160];

    (void)bh_vcpu_run(rt_tsc() + 100000, 0);
    for (uint32_t selector = 0x3b; selector < 0x10000; selector += 8) {
        bool ok;

        if (selector % 0x100 == 0x3b) (void)bh_invoke(99, 0, data, data, data, data);
        __asm__ volatile("verr %w1" : "=@ccz"(ok) : "r"(selector));
        readable += ok;
    }
    (void)fmt_buf(text, sizeof(text), "%u more descriptors", readable);
    report(text);
    for (;;) (void)bh_wait(BH_MONITOR_SLOT_NTFN, BH_FOREVER);
}

static void flags_and_segments(void)
{
    /* AC, NT, DF, ID set, data segments loaded, then traps of every kind that ring 3 can raise. */
    __asm__ volatile("mov $0x1b, %eax\n"
                     "mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n"
                     "pushq $0x244ed6\n popfq\n");
    for (volatile uint64_t i = 0; i < 20000000; i++)
        ;
    (void)bh_vcpu_run(rt_tsc() + 100000, 0);
    __asm__ volatile("pushq $0x244fd6\n popfq\n mov %ss, %eax\n mov %eax, %ss\n syscall\n");
    die();
}

/* ---- Two threads (root.c: "second-cpu=N") ------------------------------------------------------
 */

static volatile uint64_t writes; /* what the second has done */
static volatile bool second_goes;

/* One word of the vCPU's page, right and wrong in turn. QEMU 7.2 does not restore the host's CR0
 * after an exit from a guest with EFER.LME but not CR4.PAE, which is legal on hardware. */
static void rewrite_word(uint64_t n)
{
    volatile uint64_t *p = (volatile uint64_t *)page() + n;
    uint64_t right = *p, wrong = word();

    if (n == offsetof(struct bh_vcpu_page, state.efer) / 8) wrong &= ~0x100ull;
    for (uint64_t i = next_random() % 512; i > 0; i--) {
        *p = wrong;
        *p = right;
        writes += 2;
    }
    if (next_random() % 4 == 0) *p = wrong;
}

static void second_rewrites(void)
{
    const uint64_t state_at = offsetof(struct bh_vcpu_page, state) / 8;

    for (;;) {
        rewrite_word(next_random() % 24); /* registers, rip, shadow, event */
        rewrite_word(state_at + next_random() % (sizeof(page()->state) / 8));
        rewrite_word(state_at + offsetof(struct bh_vcpu_state, cr0) / 8 + next_random() % 6);
    }
}

/* The one word whose wrong values would make the kernel itself fault (XSETBV). */
static void second_rewrites_xcr0(void)
{
    volatile uint64_t *p = &page()->state.xcr0;

    for (;; writes += 2) {
        *p = 1;
        *p = ~0ull;
    }
}

static void second_maps(void)
{
    for (;;) {
        (void)bh_attach_unmap(BH_MONITOR_SLOT_RAM, 0, 512);
        (void)bh_attach_map(BH_MONITOR_SLOT_RAM, 0, BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC, 512);
        writes += 2;
    }
}

/* Real-mode code: below 32 KiB it exits all the time, above it only works. */
static void place_code(void)
{
    static const uint8_t exits[16] = {0x0f, 0xa2, 0xe4, 0x80, 0x01, 0x07, 0xa4, 0xfb,
                                      0xfa, 0xe6, 0x80, 0x40, 0xf4, 0x90, 0xeb, 0xf0};
    static const uint8_t works[16] = {0x90, 0x01, 0x07, 0xa4, 0x40, 0xfb, 0xfa, 0x43,
                                      0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xeb, 0xf0};

    for (uint64_t at = 0; at < 0x10000; at += 16)
        memcpy((uint8_t *)BH_MONITOR_RAM + at, at < 0x8000 ? exits : works, 16);
}

/* Words in the page that look like the kernel's addresses. */
static uint64_t kernel_words(void)
{
    const volatile uint64_t *p = (const volatile uint64_t *)page();
    uint64_t n = 0;

    for (unsigned i = 0; i < sizeof(*page()) / 8; i++) {
        uint64_t w = p[i]; /* once: the other thread goes on */

        n += w >= 0xffffffff80000000ull && w < 0xfffffffff0000000ull;
    }
    return n;
}

/* The first thread: enters the guest for "ms" of time, and until it has done so more than "runs"
 * times with "failed" entries refused and as many failed, with what is right in the page whenever
 * it has been refused; then it says how that went, and goes on until it is stopped. */
static void raced(void)
{
    static struct bh_vcpu_state right;
    uint64_t end = rt_tsc() + start()->tsc_khz * argument("ms"), slice = start()->tsc_khz * 4ull;
    uint64_t runs = 0, refused = 0, invalid = 0, leaked = 0;
    const uint64_t least_runs = argument("runs"), least_failed = argument("failed");
    bool said = false;

    place_code();
    (void)bh_attach_map(BH_MONITOR_SLOT_RAM, 0, BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC, 512);
    (void)bh_vcpu_read(BH_MONITOR_SLOT_VCPU, BH_STATE_ALL);
    page()->state.seg[BH_CS] = (struct bh_segment){0, 0x9b, 0xffff, 0};
    right = page()->state;
    second_goes = true;
    for (uint64_t i = 0;; i++) {
        uint64_t flags = BH_RUN_RIP | BH_STATE_ALL | (next_random() & BH_RUN_ALL);
        /* Mostly short; now and then long enough to be preempted in the guest. */
        uint64_t wait = i % 32 == 0 ? slice : 20000;
        struct bh_result r;

        page()->gpr[4] = 0xfff0;
        page()->rip = next_random() & 0xffff;
        page()->rflags = 2;
        r = bh_vcpu_run(rt_tsc() + next_random() % wait, flags);
        runs++;
        refused += (int64_t)r.err < 0;
        if (r.err == BH_EXIT_INVALID) {
            invalid++;
            (void)bh_vcpu_read(BH_MONITOR_SLOT_VCPU, BH_STATE_ALL);
            leaked += kernel_words();
        }
        if ((int64_t)r.err < 0 || r.err == BH_EXIT_INVALID || r.err == BH_EXIT_SHUTDOWN)
            page()->state = right;
        if (i % 64 == 0)
            (void)bh_vcpu_want(BH_MONITOR_SLOT_VCPU, next_random() % BH_NEXITS, next_random() % 3);
        if (!said && rt_tsc() > end && writes > 1000 && runs > least_runs &&
            refused >= least_failed && invalid >= least_failed) {
            char text[160];

            (void)fmt_buf(text, sizeof(text),
                          "%lu runs, %lu refused, %lu failed, %lu leaked, %lu writes", runs,
                          refused, invalid, leaked, writes);
            report(text);
            said = true;
        }
    }
}

/* Inside system call "call" again and again while root takes the thread, the space and all else
 * away. */
static void end_in_call(void)
{
    uint64_t call = argument("call"), cap = BH_MONITOR_SLOT_NTFN, deadline = BH_FOREVER;

    if (call == BH_SYS_vcpu_run) { /* which has other arguments; the guest never exits */
        place_code();
        (void)bh_attach_map(BH_MONITOR_SLOT_RAM, 0, BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC, 512);
        (void)bh_vcpu_read(BH_MONITOR_SLOT_VCPU, BH_STATE_ALL);
        page()->state.seg[BH_CS] = (struct bh_segment){0, 0x9b, 0xffff, 0};
        page()->rip = 0x8000;
        (void)bh_vcpu_run(rt_tsc() + 100000, BH_RUN_RIP | BH_STATE_SEG);
        cap = BH_FOREVER;
        deadline = 0;
    }
    report("ends in a call");
    for (;;) (void)bh_syscall(call, cap, deadline, 0, 0, 0, BH_FOREVER);
}

/* The notification of a thread on another CPU, signalled and emptied again from here: that CPU is
 * interrupted each time, whoever has it. */
static void poll_storm(void)
{
    second_goes = true;
    for (;;)
        ;
}

static void second_polls(void)
{
    uint64_t end = rt_tsc() + start()->tsc_khz * argument("ms"), n = 0;
    char text[160];

    for (; rt_tsc() < end; n++) {
        (void)bh_signal(BH_MONITOR_SLOT_KICK);
        (void)bh_poll(BH_MONITOR_SLOT_NTFN);
    }
    (void)fmt_buf(text, sizeof(text), "%lu times", n);
    report(text);
    for (;;)
        ;
}

/* A doorbell puts a notification in use, and what is in use cannot be taken back: that of the VM at
 * the other end of a wire, each time that VM starts. */
static void doorbells(void)
{
    uint64_t end = rt_tsc() + start()->tsc_khz * argument("ms"), refused = 0, taken = 0;
    char text[160];

    for (uint64_t slot = 0; rt_tsc() < end; slot++) {
        uint64_t err = bh_vcpu_doorbell(BH_MONITOR_SLOT_VCPU, slot % BH_DOORBELLS, 0x80 | 1u << 16,
                                        1u + slot % (BH_MONITOR_SLOTS - 1u))
                           .err;

        taken += err == BH_OK;
        refused += err == BH_ERR_RIGHTS;
    }
    (void)fmt_buf(text, sizeof(text), "%lu refused, %lu taken", refused, taken);
    report(text);
    for (;;)
        ;
}

/* What the VM was saved as before is to be changed. */
static void store(void)
{
    *(volatile uint8_t *)start()->store_va = 1;
    report("the store can be written");
    for (;;)
        ;
}

/* FPU registers hold what some guest has left there. */
static void fpu(void)
{
    static uint64_t found[2];

    __asm__ volatile("movups %%xmm0, %0" : "=m"(found));
    report("the FPU can be read");
    for (;;)
        ;
}

/* Where the kernel's tables are. */
static void tables(void)
{
    uint8_t gdtr[10];

    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    report("SGDT is not refused");
    for (;;)
        ;
}

/* ---- Which -------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    void (*run)(void);
    void (*second)(void);
} attacks[] = {
    {"bad_state", bad_state, NULL},
    {"bad_mappings", bad_mappings, NULL},
    {"reach_beyond", reach_beyond, NULL},
    {"bad_calls", bad_calls, NULL},
    {"bad_stacks", bad_stacks, NULL},
    {"bad_pages", bad_pages, NULL},
    {"flood", flood, NULL},
    {"conceal", conceal, NULL},
    {"unmap_storm", unmap_storm, NULL},
    {"signal_storm", signal_storm, NULL},
    {"poll_storm", poll_storm, second_polls},
    {"flags_and_segments", flags_and_segments, NULL},
    {"descriptors", descriptors, NULL},
    {"wire", wire, NULL},
    {"end_in_call", end_in_call, NULL},
    {"doorbells", doorbells, NULL},
    {"store", store, NULL},
    {"fpu", fpu, NULL},
    {"tables", tables, NULL},
    {"die", die, NULL},
    {"page_rewritten", raced, second_rewrites},
    {"xcr0_rewritten", raced, second_rewrites_xcr0},
    {"unmapped_in_use", raced, second_maps},
};

void __wrap_monitor_main(unsigned number)
{
    const char *c = start()->cmdline;

    for (; *c != 0; c++) {
        if (strncmp(c, "attack=", 7) != 0) continue;
        for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
            if (strncmp(c + 7, attacks[i].name, strlen(attacks[i].name)) != 0) continue;
            if (number == 0) attacks[i].run();
            while (!second_goes) bh_yield();
            if (attacks[i].second != NULL) attacks[i].second();
        }
        die();
    }
    __real_monitor_main(number);
}

/* A state that passes the kernel's checks and fails the processor's: a data segment in CS (SDM
 * 27.3.1.2), a bit of CR4 that this CPU does not have (AMD APM vol. 2, 15.5.1). */
bool __wrap_boot_load(const struct boot_request *req, struct boot_state *s,
                      struct boot_error *error)
{
    if (!__real_boot_load(req, s, error)) return false;
    for (const char *c = start()->cmdline; *c != 0; c++) {
        if (strncmp(c, "entry=bad", 9) != 0) continue;
        if (start()->backend == BH_BACKEND_VMX)
            s->cs.attributes = (uint16_t)((s->cs.attributes & ~0xfu) | 2u);
        else
            s->cr4 |= 1u << 22;
    }
    return true;
}
