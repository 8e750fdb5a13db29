/*
 * The measuring root task: runs on the shipped kernel in place of vmm/root, with all capabilities.
 * Makes workers (an address space, a CNode and a thread each), lets them measure one operation
 * after the other, prints "BENCH name mean max n" on the system log and ends the system.
 * Instructions are TSC ticks (QEMU -icount shift=0). May call: vmm/rt, vmm/root/caps.c. Workers run
 * from a copy of this image without its data: what they call must not touch .data or .bss.
 *
 * On one CPU: everything that one CPU can show. On more: the rows that need them.
 * The kernel's command line may hold: n=COUNT (10000)
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bench.h"
#include "caps.h"
#include "fmt.h"
#include "string.h"
#include "bulkhead/vcpu.h"

void root_main(void);

/* ---- ops.S
 * -------------------------------------------------------------------------------------*/
void op_empty(uint32_t *samples, uint64_t count);
void op_null(uint32_t *samples, uint64_t count);
void op_call(uint32_t *samples, uint64_t count);
void op_signal(uint32_t *samples, uint64_t count);
void op_signal_wait(uint32_t *samples, uint64_t count);
void echo_server(void);
void pong(void);
uint64_t raw_monitor_2(uint64_t expected_exit);
uint64_t raw_monitor_3(uint64_t expected_exit);
#define GUEST_PROGRAM(name) extern const uint8_t guest_##name[], guest_##name##_end[];
GUEST_PROGRAM(empty)
GUEST_PROGRAM(cpuid)
GUEST_PROGRAM(in)
GUEST_PROGRAM(vmmcall)
GUEST_PROGRAM(vmcall)
GUEST_PROGRAM(ring)
GUEST_PROGRAM(ring_again)
GUEST_PROGRAM(ring_afar)
GUEST_PROGRAM(ring_here)
GUEST_PROGRAM(gaps)
GUEST_PROGRAM(spin)
extern char root_image[], root_data[];

/* Window of tests/bench/trace.c; outside of what is timed. */
#define WINDOW(id) __asm__ volatile("nopl %c0(%%rax)" ::"i"(0x42480000 + (id)))
enum { CLOSE = 0xffff };

/* ---- The board: what root and workers share
 * ----------------------------------------------------*/
enum {
    SAMPLES = 10000,
    WARM_UP = 16,
    WORKERS = 5,
    STACK_BYTES = 8192,
    BOARD_PAGES = 32,
    GUEST_PAGES = 16,
    SPACE_PAGES = 16,
    PERIOD_TICKS = 1000000000,
    FLOOR_TICKS = PERIOD_TICKS / 4,
    IRQ_PERIOD_TICKS = 100000 /* of the row that counts host interrupts */
};
struct board {
    uint64_t count; /* operations each */
    uint64_t final_exit;
    volatile uint64_t woken; /* times the thread behind a doorbell has run */
    uint32_t samples[SAMPLES + WARM_UP];
    uint8_t stacks[WORKERS][STACK_BYTES];
};
_Static_assert(sizeof(struct board) <= BOARD_PAGES * 4096, "");
static struct board *const board = (struct board *)BENCH_BOARD;
static struct bh_vcpu_page *const vcpu_page = (struct bh_vcpu_page *)BENCH_VCPU_PAGE;
static uint8_t *const guest_ram = (uint8_t *)BENCH_GUEST_RAM;

/* ---- Output
 * ------------------------------------------------------------------------------------*/
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[160];
    va_list args;

    va_start(args, format);
    (void)fmt_vbuf(line, sizeof(line), format, args);
    va_end(args);
    for (const char *c = line; *c; c++) (void)bh_kernel_putc(BH_SLOT_KERNEL, (uint8_t)*c);
    (void)bh_kernel_putc(BH_SLOT_KERNEL, '\n');
}

static __attribute__((noreturn)) void end(int status, const char *why)
{
    say("bulkhead: end status=%d reason=%s", status, why);
    for (const char *c = "Shutdown"; *c; c++)
        (void)bh_ioports_out(BH_SLOT_IOPORTS, 0x8900, 1, (uint8_t)*c);
    (void)bh_ioports_out(BH_SLOT_IOPORTS, 0xf4, 1, (uint64_t)status);
    for (;;) (void)bh_wait(0, BH_FOREVER);
}

static void must(uint64_t err, const char *what)
{
    if (err) {
        say("%s: %s", what, error_name(err));
        end(1, "the benchmark cannot be set up");
    }
}

static uint64_t overhead, guest_overhead;

/* Where every instruction is written down: no second VM, and nothing said about rows. */
static bool tracing;

/* Mean in hundredths, and max, of samples[WARM_UP..]; an empty pair of @off ticks is taken off. */
static void report(const char *name, const uint32_t *samples, uint64_t n, uint64_t off)
{
    uint64_t total = 0, max = 0;

    if (tracing) return;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t t = samples[i] > off ? samples[i] - off : 0;

        total += t;
        if (t > max) max = t;
    }
    total = total * 100u / n;
    say("BENCH %s %lu.%02lu %lu %lu", name, total / 100u, total % 100u, max, n);
}

static uint64_t least(const uint32_t *samples, uint64_t n)
{
    uint64_t l = ~0ull;

    for (uint64_t i = 0; i < n; i++) l = samples[i] < l ? samples[i] : l;
    return l;
}

static uint64_t argument(const char *name, uint64_t otherwise)
{
    const char *s = info()->cmdline;
    size_t length = strlen(name);
    uint64_t value = 0;

    for (; *s; s++) {
        if (strncmp(s, name, length) == 0 && s[length] == '=') {
            for (s += length + 1; *s >= '0' && *s <= '9'; s++)
                value = value * 10u + (uint64_t)(*s - '0');
            return value;
        }
    }
    return otherwise;
}

/* ---- Memory and workers
 * ------------------------------------------------------------------------*/
static uint64_t funtyped;
static uint64_t board_frame, image_frame, guest_frame, done_ntfn;
static uint64_t image_pages;

static uint64_t object(unsigned type, unsigned bits, unsigned cpu, const char *what)
{
    uint64_t slot = slots_take(1);

    must(retype(BH_SLOT_KUNTYPED, type, bits, cpu, 1, slot), what);
    return slot;
}

static uint64_t space(unsigned type, uint64_t pages, const char *what)
{
    uint64_t slot = slots_take(1);

    must(retype(BH_SLOT_KUNTYPED, type, 0, 0, pages, slot), what);
    return slot;
}

static uint64_t frame(uint64_t pages, const char *what)
{
    uint64_t slot = slots_take(1);

    must(retype(funtyped, BH_CAP_FRAME, 0, 0, pages, slot), what);
    return slot;
}

static uint64_t share(uint64_t f, uint64_t space, uint64_t va, uint64_t pages, uint64_t flags)
{
    uint64_t slot = slots_take(1);

    must(attach(f, space, flags, slot), "attach");
    must(map(slot, va, 0, pages, flags), "map");
    return slot;
}

struct worker {
    uint64_t space, cnode;
};

/* An address space with this image and the board, and a CNode with the capabilities of bench.h. */
static struct worker worker_make(uint64_t ep, uint64_t a, uint64_t b)
{
    struct worker w;
    const struct {
        uint64_t from, to, badge;
    } caps[] = {{ep, BENCH_EP, 1},
                {a, BENCH_NTFN_A, 1},
                {b, BENCH_NTFN_B, 1},
                {done_ntfn, BENCH_DONE, 1},
                {object(BH_CAP_NTFN, 0, 0, "notification"), BENCH_NEVER, 1}};

    w.space = space(BH_CAP_HOSTSPACE, SPACE_PAGES, "HostSpace");
    w.cnode = object(BH_CAP_CNODE, 5, 0, "CNode");
    (void)share(image_frame, w.space, BH_ROOT_BASE, image_pages, BH_MAP_READ | BH_MAP_EXEC);
    (void)share(board_frame, w.space, BENCH_BOARD, BOARD_PAGES, BH_MAP_READ | BH_MAP_WRITE);
    for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
        if (caps[i].from)
            must(bh_cnode_mint(w.cnode, caps[i].to, caps[i].from, BH_RIGHTS_ALL, caps[i].badge).err,
                 "mint");
    return w;
}

/* A thread in a worker's space with a context of its own: @floor ticks of each @period go before all
 * threads without. @return the thread's slot, the context is in the next; it is not started */
static uint64_t thread_make(const struct worker *w, uint64_t floor, uint64_t period)
{
    uint64_t t = object(BH_CAP_THREAD, 0, 0, "Thread"), sc = object(BH_CAP_SC, 0, 0, "SC");

    must(bh_thread_bind(t, w->cnode, w->space).err, "thread_bind");
    must(bh_sc_configure(sc, floor, period, period, 100).err, "sc_configure");
    must(bh_thread_set_sc(t, sc).err, "thread_set_sc");
    return t;
}

/* The thread goes, and its context with the share of the CPU that it holds. */
static void thread_end(uint64_t thread)
{
    must(bh_thread_stop(thread).err, "thread_stop");
    must(slot_delete(thread), "thread: delete");
    must(slot_delete(thread + 1), "SC: delete");
}

static void thread_go(uint64_t thread, unsigned stack, void *entry, uint64_t argument)
{
    must(
        bh_thread_start(thread, (uint64_t)entry, (uint64_t)(board->stacks[stack + 1] - 8), argument)
            .err,
        "thread_start");
}

/* Wait until the worker says that it is done. */
static void done(uint64_t thread, const char *what)
{
    struct bh_result r = bh_wait(done_ntfn, rt_tsc() + 60ull * info()->tsc_khz * 1000u);

    if (r.err) {
        say("%s: %s; thread status %lx rip %lx address %lx", what, error_name(r.err),
            bh_thread_status(thread).value, bh_thread_fault_rip(thread).value,
            bh_thread_fault_addr(thread).value);
        end(1, "a worker did not finish");
    }
}

/* ---- Operations of threads
 * ---------------------------------------------------------------------*/
typedef void (*op_t)(uint32_t *, uint64_t);

/* Worker: measure and stop. */
static __attribute__((noreturn)) void measure(op_t op)
{
    op(board->samples, board->count + WARM_UP);
    (void)bh_signal(BENCH_DONE);
    for (;;) (void)bh_wait(BENCH_NEVER, BH_FOREVER);
}

static void measure_row(const char *name, const struct worker *w, op_t op)
{
    uint64_t t = thread_make(w, FLOOR_TICKS, PERIOD_TICKS);

    thread_go(t, 0, measure, (uint64_t)op);
    done(t, name);
    if (op == op_empty) overhead = least(board->samples + WARM_UP, board->count);
    report(name, board->samples + WARM_UP, board->count, op == op_empty ? 0 : overhead);
    thread_end(t);
}

/* ---- Guest exits
 * -------------------------------------------------------------------------------*/
enum kind { RAW, RING, RING_AFAR, RING_HERE, GAPS };

/* Worker: the monitor of the raw rows. @exit the exit that is expected | instruction length << 8 |
 * kind << 16 */
static __attribute__((noreturn)) void monitor(uint64_t what)
{
    uint64_t expected = what & 0xffu, kind = what >> 16, reason, rings = 0;
    struct bh_vcpu_page *p = vcpu_page;
    struct bh_result r;

    (void)bh_vcpu_read(BENCH_VCPU, BH_STATE_ALL);
    p->state.seg[BH_CS].base = 0;
    p->state.seg[BH_CS].selector = 0;
    p->rip = BENCH_GUEST_CODE;
    p->gpr[1] = board->count + WARM_UP;
    p->gpr[7] = BENCH_GUEST_SAMPLES;
    r = bh_vcpu_run(1,
                    BH_RUN_RIP | BH_STATE_SEG); /* a deadline of the past: state is loaded only */
    reason = r.err;
    if (reason == (BH_EXIT_TIMEOUT | BH_EXIT_NOT_ENTERED)) {
        if (kind == RAW) {
            reason = (what >> 8 & 0xffu) == 2 ? raw_monitor_2(expected) : raw_monitor_3(expected);
        } else {
            for (;;) {
                reason = bh_vcpu_run(BH_FOREVER, BH_RUN_RIP).err;
                if (reason != BH_EXIT_CPUID) break;
                /* Make ready for the next ring. */
                rings++;
                if (kind == RING)
                    (void)bh_poll(BENCH_NTFN_A);
                else if (kind == RING_AFAR) /* asleep, so that the emulator runs the other CPU */
                    do (void)bh_wait(BENCH_NEVER, rt_tsc() + 50000);
                    while (board->woken < rings);
                else
                    while (board->woken < rings) bh_yield();
                p->rip += 2;
            }
        }
    }
    board->final_exit = reason;
    (void)bh_signal(BENCH_DONE);
    for (;;) (void)bh_wait(BENCH_NEVER, BH_FOREVER);
}

/* Worker: the thread a doorbell wakes. */
static __attribute__((noreturn)) void sleeper(uint64_t unused)
{
    (void)unused;
    for (;;) {
        if (bh_wait(BENCH_NTFN_A, BH_FOREVER).err == BH_OK) board->woken++;
    }
}

struct guest {
    struct worker worker;
    uint64_t thread, vcpu;
};

/* A worker with a vCPU whose guest is @code. @a is its notification A. */
static struct guest guest_make(uint64_t a, unsigned doorbell_width, const uint8_t *code,
                               const uint8_t *code_end, uint64_t ram, uint8_t *view, uint64_t floor,
                               uint64_t period)
{
    struct guest g;
    uint64_t gspace = space(BH_CAP_GUESTSPACE, 8, "GuestSpace");
    uint64_t own = object(BH_CAP_NTFN, 0, 0, "notification");

    g.worker = worker_make(0, a, 0);
    g.thread = thread_make(&g.worker, floor, period);
    g.vcpu = object(BH_CAP_VCPU, 0, 0, "vCPU");
    (void)share(ram, gspace, 0, GUEST_PAGES, BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC);
    must(bh_vcpu_bind(g.vcpu, g.thread, gspace, own, BENCH_VCPU_PAGE).err, "vcpu_bind");
    must(bh_cnode_copy(g.worker.cnode, BENCH_VCPU, g.vcpu, BH_RIGHTS_ALL).err, "copy");
    if (doorbell_width) {
        uint64_t badged = slots_take(1);

        must(bh_cnode_mint(BH_SLOT_CNODE, badged, a, BH_RIGHTS_ALL, 1).err, "mint");
        must(bh_vcpu_doorbell(g.vcpu, 0, 0x90u | doorbell_width << 16, badged).err, "doorbell");
    }
    memcpy(view + BENCH_GUEST_CODE, code, (size_t)(code_end - code));
    return g;
}

static void guest_row(const char *name, enum kind kind, unsigned exit, unsigned length,
                      const uint8_t *code, const uint8_t *code_end, uint64_t a)
{
    struct guest g = guest_make(a, kind == RAW || kind == GAPS ? 0 : 1, code, code_end, guest_frame,
                                guest_ram, kind == GAPS ? IRQ_PERIOD_TICKS / 2 : FLOOR_TICKS,
                                kind == GAPS ? IRQ_PERIOD_TICKS : PERIOD_TICKS);
    uint64_t off = guest_overhead;
    uint32_t *samples = (uint32_t *)(guest_ram + BENCH_GUEST_SAMPLES) + WARM_UP;

    board->woken = 0;
    thread_go(g.thread, 0, monitor, exit | length << 8 | (uint64_t)kind << 16);
    done(g.thread, name);
    if (board->final_exit != BH_EXIT_HLT) {
        say("%s: the guest ended with exit 0x%lx", name, board->final_exit);
        end(1, "a guest did not finish");
    }
    if (guest_overhead == 0) {
        guest_overhead = least(samples, board->count);
        off = 0;
    }
    report(name, samples, board->count, off);
    thread_end(g.thread);
}

#define CODE(name) guest_##name, guest_##name##_end

/* The second VM: a guest that never stops, always ready to run, behind those with a floor. */
static uint64_t second_vm(void)
{
    uint64_t ram = frame(GUEST_PAGES, "guest memory");
    uint8_t *view = (uint8_t *)BENCH_SECOND_RAM;
    struct guest g;

    (void)share(ram, BH_SLOT_HOSTSPACE, BENCH_SECOND_RAM, GUEST_PAGES, BH_MAP_READ | BH_MAP_WRITE);
    g = guest_make(0, 0, CODE(spin), ram, view, 0, PERIOD_TICKS);
    thread_go(g.thread, 4, monitor, 0xffu | (uint64_t)GAPS << 16);
    return g.thread;
}

static void guest_rows(uint64_t second)
{
    uint64_t a = object(BH_CAP_NTFN, 0, 0, "notification");
    struct worker w;
    uint64_t t;

    guest_row("raw_empty", RAW, BH_EXIT_CPUID, 2, CODE(empty), 0);
    guest_row("raw_cpuid", RAW, BH_EXIT_CPUID, 2, CODE(cpuid), 0);
    guest_row("raw_in", RAW, BH_EXIT_IO, 2, CODE(in), 0);
    if (info()->backend == BH_BACKEND_SVM)
        guest_row("raw_hypercall", RAW, BH_EXIT_HYPERCALL, 3, CODE(vmmcall), 0);
    else
        guest_row("raw_hypercall", RAW, BH_EXIT_HYPERCALL, 3, CODE(vmcall), 0);
    guest_row("doorbell", RING, 0, 2, CODE(ring), a);
    guest_row("doorbell_set", RING, 0, 2, CODE(ring_again), a);
    w = worker_make(0, a, 0);
    t = thread_make(&w, FLOOR_TICKS, PERIOD_TICKS);
    (void)bh_poll(a);
    thread_go(t, 1, sleeper, 0);
    guest_row("doorbell_here", RING_HERE, 0, 2, CODE(ring_here), a);
    thread_end(t);
    /* Interrupts by the end of its own budget, alone: nobody else gets the CPU then. */
    if (second) thread_end(second);
    guest_row("host_irq", GAPS, 0, 2, CODE(gaps), a);
}

/* Root's thread on the second CPU: the one that a doorbell of the first CPU's guest wakes. */
static volatile bool afar_waits;

void root_service(uint64_t cpu);
void root_service(uint64_t cpu)
{
    uint64_t slot = info()->cnode_slots - 1u; /* out of the way of slots_take() */

    if (cpu != 1) {
        (void)bh_thread_stop(BH_SLOT_CPU_THREADS + cpu);
        return;
    }
    must(retype(BH_SLOT_KUNTYPED, BH_CAP_NTFN, 0, 1, 1, slot), "notification");
    afar_waits = true;
    for (;;) {
        if (bh_wait(slot, BH_FOREVER).err == BH_OK) {
            WINDOW(CLOSE);
            board->woken++;
        }
    }
}

/* What is timed is the signalling side; the woken CPU's side is counted by tests/bench/trace.c. */
static void afar_row(uint64_t nobody)
{
    while (!afar_waits) (void)bh_wait(nobody, rt_tsc() + 20000);
    guest_row("raw_empty_afar", RAW, BH_EXIT_CPUID, 2, CODE(empty), 0);
    guest_row("doorbell_afar", RING_AFAR, 0, 2, CODE(ring_afar), info()->cnode_slots - 1u);
}

static void ipc_rows(void)
{
    uint64_t ep = object(BH_CAP_ENDPOINT, 0, 0, "endpoint");
    uint64_t a = object(BH_CAP_NTFN, 0, 0, "notification");
    uint64_t b = object(BH_CAP_NTFN, 0, 0, "notification");
    struct worker client = worker_make(ep, a, b), server = worker_make(ep, a, b);
    uint64_t t;

    measure_row("empty", &client, op_empty);
    measure_row("null", &client, op_null);
    measure_row("signal", &client, op_signal);
    t = thread_make(&server, FLOOR_TICKS, PERIOD_TICKS);
    thread_go(t, 1, echo_server, 0);
    bh_yield();
    measure_row("call", &client, op_call);
    thread_end(t);
    t = thread_make(&server, FLOOR_TICKS, PERIOD_TICKS);
    thread_go(t, 2, pong, 0);
    measure_row("signal_wait", &client, op_signal_wait);
    thread_end(t);
}

/* From taking a mapping away until the memory may be given to somebody else: every CPU has flushed.
 * This CPU sleeps meanwhile, so that the emulator lets the others run. */
static void unmap_row(uint64_t nobody)
{
    uint64_t f = frame(1, "page"), at = slots_take(1), probe = slots_take(1);
    uint64_t n = board->count < 200 ? board->count : 200, va = BENCH_GUEST_RAM + 0x100000;

    must(attach(f, BH_SLOT_HOSTSPACE, BH_RIGHT_READ | BH_RIGHT_WRITE, at), "attach");
    for (uint64_t i = 0; i < n; i++) {
        uint64_t t;

        must(map(at, va, 0, 1, BH_MAP_READ | BH_MAP_WRITE), "map");
        *(volatile uint64_t *)va = i;
        WINDOW(BENCH_ID_UNMAP);
        t = rt_tsc();
        must(bh_attach_unmap(at, va, 1).err, "unmap");
        while (bh_frame_attach(f, BH_SLOT_HOSTSPACE, BH_RIGHT_READ, BH_SLOT_CNODE, probe).err ==
               BH_ERR_BUSY)
            (void)bh_wait(nobody, rt_tsc() + 20000);
        board->samples[i] = (uint32_t)(rt_tsc() - t);
        WINDOW(CLOSE);
        must(slot_delete(probe), "delete");
    }
    report("unmap", board->samples, n, overhead);
}

void root_main(void)
{
    uint64_t second = 0, count = argument("n", SAMPLES), err = BH_ERR_MEMORY;

    tracing = argument("trace", 0) != 0;
    image_pages = (uint64_t)(root_data - root_image) / PAGE;
    for (unsigned i = 0; i < info()->funtyped_count && err; i++) {
        funtyped = BH_SLOT_FUNTYPED + i;
        if (bh_untyped_left(funtyped).value > 0x100000u)
            err = BH_OK;
        else
            err = scrub(funtyped, 0x200000u) || bh_untyped_left(funtyped).value < 0x200000u;
    }
    must(err, "no memory");
    board_frame = frame(BOARD_PAGES, "board");
    image_frame = frame(image_pages, "image");
    (void)share(board_frame, BH_SLOT_HOSTSPACE, BENCH_BOARD, BOARD_PAGES,
                BH_MAP_READ | BH_MAP_WRITE);
    (void)share(image_frame, BH_SLOT_HOSTSPACE, BENCH_GUEST_RAM, image_pages,
                BH_MAP_READ | BH_MAP_WRITE);
    memcpy((void *)BENCH_GUEST_RAM, root_image, image_pages * PAGE);
    must(slot_delete(slots_take(1) - 1), "window");
    board->count = count > SAMPLES ? SAMPLES : count;
    done_ntfn = object(BH_CAP_NTFN, 0, 0, "notification");

    say("BENCH boot %lu.00 0 1", info()->root_entry_tsc - info()->kernel_entry_tsc);
    if (info()->backend != BH_BACKEND_NONE) {
        guest_frame = frame(GUEST_PAGES, "guest memory");
        (void)share(guest_frame, BH_SLOT_HOSTSPACE, BENCH_GUEST_RAM, GUEST_PAGES,
                    BH_MAP_READ | BH_MAP_WRITE);
    }
    if (info()->ncpus > 1) {
        uint64_t nobody = object(BH_CAP_NTFN, 0, 0, "notification");

        unmap_row(nobody);
        if (info()->backend != BH_BACKEND_NONE) afar_row(nobody);
        end(0, "measured");
    }
    if (info()->backend != BH_BACKEND_NONE && !tracing) second = second_vm();
    ipc_rows();
    if (info()->backend != BH_BACKEND_NONE) guest_rows(second);
    end(0, "measured");
}
