/*
 * The kernel's own scheduler (kernel/object/sched.c, thread.c, ntfn.c, ipc.c; kernel/core/heap.c,
 * sched_math.c) on a simulated CPU: random task sets, an exact clock, a one-shot timer, devices
 * that signal notifications. The simulation keeps accounts of its own, window by window of each
 * context's period, and compares them with what KERNEL-API.md promises: floor     a context that
 * could run all through a period got its floor in it ceiling   no context ran longer than its
 * ceiling in a period leftover  what ran beyond the floors is shared by weight, to 1 % hunger    no
 * context that could run waited longer than its bound and it counts the basic blocks of kernel code
 * that a decision executes (-fsanitize-coverage). Never changes anything of the scheduler's:
 * threads block by sys_wait(), wake by a deadline or by ntfn_signal(), and lose the CPU by the
 * timer. usage: sched_sim PERIODS [SEED [v]]     v: each finding, each set; exit status 1 on a
 * finding
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/cnode.h"
#include "core/epoch.h"
#include "object/entry.h"
#include "object/invoke.h"
#include "object/ntfn.h"
#include "object/sched.h"
#include "object/thread.h"
#include "object/vcpu.h"
#include "arch/x86/layout.h"

#define CONTEXTS_MAX        1000u
#define TICKS_PER_MS        1000000ull
#define SLICE               (2 * TICKS_PER_MS) /* of the leftover, as in schedule() */
#define NEVER               (~0ull)
#define BLOCKS_PER_DOUBLING 12.0 /* that a decision may cost more when the contexts double */

/* ---- What the scheduler is linked with ----------------------------------------------------------
 */

struct percpu percpus[BH_MAX_CPUS];
struct thread threads[CONTEXTS_MAX + 1];
struct sc scs[CONTEXTS_MAX + 1];
struct ntfn ntfns[CONTEXTS_MAX + 1];
struct endpoint endpoints[1];
struct space spaces[CONTEXTS_MAX + 1];
struct vcpu vcpus[1];
struct cell cells[3 * CONTEXTS_MAX + 4];
uint64_t kernel_cr3, pool_pfn, sim_now;
uint32_t tsc_khz = TICKS_PER_MS;
const struct vcpu_ops *vcpu_ops;
static struct runq queues;
static uint64_t rsp0, blocks;
static char save_areas[CONTEXTS_MAX + 1][256] __attribute__((aligned(64)));
static jmp_buf out_of_kernel, to_user;

/* One basic block of instrumented kernel code. */
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) { blocks++; }

void timer_arm(uint64_t when) { percpus[0].armed = when; }
void resume_current(void) { longjmp(out_of_kernel, 1); }
void return_frame(void) { longjmp(to_user, 1); }
void return_syscall(uint64_t result, uint64_t value) { longjmp(to_user, 1); }
static _Noreturn void never(const char *what)
{
    fprintf(stderr, "sched_sim: %s is not part of this simulation\n", what);
    abort();
}
void return_ipc(uint64_t result, uint64_t badge, const uint64_t *words) { never("return_ipc"); }
void vcpu_resume(struct thread *t) { never("vcpu_resume"); }
void vcpu_unbind(struct vcpu *v) { never("vcpu_unbind"); }
void vcpu_fpu_save(void) { never("vcpu_fpu_save"); }
void apic_kick(uint32_t id);
void apic_kick(uint32_t id) { never("apic_kick"); }
void cpu_domain_flush(void) {}
void cpu_verw(void);
void cpu_verw(void) {}
void klog(const char *fmt, ...) { never("klog"); }
void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    fputs(": the kernel would panic\n", stderr);
    abort();
}
void audit(uint32_t kind, uint32_t object, uint64_t tag, uint64_t a, uint64_t b, uint64_t c,
           uint64_t d);
void audit(uint32_t kind, uint32_t object, uint64_t tag, uint64_t a, uint64_t b, uint64_t c,
           uint64_t d)
{
    never("audit");
}
/* Slot numbers are cell numbers here: every thread has all cells as its CNode. */
err_t arg_cell(uint64_t slot, uint32_t type, uint32_t rights, uint32_t *cell)
{
    *cell = (uint32_t)slot;
    return cell_type(*cell) == type ? BH_OK : BH_ERR_CAP;
}

static uint32_t thread_cell(uint32_t i) { return 3 * i; }
static uint32_t sc_cell(uint32_t i) { return 3 * i + 1; }
static uint32_t ntfn_cell(uint32_t i) { return 3 * i + 2; }

/* ---- Random numbers
 * ------------------------------------------------------------------------------ */

static uint64_t random_state;

static uint64_t rnd(uint64_t n) /* 0 .. n - 1; xorshift64* */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 0x2545f4914f6cdd1dull >> 11) % n;
}

/* Log-uniform in about lo .. hi. */
static uint64_t rnd_log(uint64_t lo, uint64_t hi)
{
    uint64_t top = lo;

    while (top < hi && rnd(8) != 0) top = top + top / 4 + 1;
    if (top > hi) top = hi;
    return lo + rnd(top - lo + 1);
}

/* ---- A task set and its accounts
 * ------------------------------------------------------------------ */

enum work { HOG, SLEEPER, DEVICE };
struct task {
    struct sc_params p;
    enum work work;
    uint64_t burst, pause;     /* SLEEPER, DEVICE: means */
    uint64_t left;             /* of this burst */
    uint64_t event;            /* DEVICE: when it is signalled next */
    uint64_t window_end, used; /* of this window */
    uint64_t ready_since;      /* could run and did not, from here on; NEVER: blocked or running */
    uint64_t leftover, floors; /* ran beyond its floors, inside them, in windows that have ended */
    uint64_t slices_short;
    bool whole, blocked;
};
static struct task tasks[CONTEXTS_MAX];
static uint32_t ntasks;

static struct {
    uint64_t periods, floors_checked, floors_missed, worst_floor_ppm;
    uint64_t ceilings_checked, ceilings_broken, worst_ceiling_ppm;
    uint64_t shares_checked, shares_off;
    double worst_share;
    uint64_t waits, waits_long;
    double worst_wait; /* of its bound */
    uint64_t sets, decisions;
} seen;
static bool loud;

static void window_close(struct task *c)
{
    uint64_t floor = c->p.floor, extra = c->used > floor ? c->used - floor : 0;

    seen.periods++;
    seen.ceilings_checked++;
    if (c->used > c->p.ceiling) {
        uint64_t over = (c->used - c->p.ceiling) * 1000000 / c->p.period;
        seen.ceilings_broken++;
        if (over > seen.worst_ceiling_ppm) seen.worst_ceiling_ppm = over;
    }
    if (c->whole && floor != 0) {
        seen.floors_checked++;
        if (c->used < floor) {
            uint64_t under = (floor - c->used) * 1000000 / c->p.period;
            seen.floors_missed++;
            if (loud)
                printf("set %lu task %u at %lu: floor missed, %lu of %lu in %lu\n", seen.sets,
                       (uint32_t)(c - tasks), c->window_end, c->used, floor, c->p.period);
            if (under > seen.worst_floor_ppm) seen.worst_floor_ppm = under;
        }
    }
    c->leftover += extra;
    c->floors += c->used - extra;
    c->used = 0;
    c->window_end += c->p.period;
    c->whole = !c->blocked;
}

/* Close the windows that have ended by now; c's state has not changed since the last call. */
static void windows_until(struct task *c, uint64_t now)
{
    while (c->window_end <= now) window_close(c);
}

/*
 * The longest that c may have to wait while it could run: until the floors of others are served and
 * each of them has had its slices of the leftover; one that is at its ceiling waits for its period
 * to end as well.
 */
static double wait_bound(const struct task *c)
{
    double slices = 2 * (double)SLICE, share = 0, floors = 0;

    for (uint32_t i = 0; i < ntasks; i++) {
        const struct task *o = &tasks[i];

        if (o == c) continue;
        share += (double)o->p.floor / (double)o->p.period;
        floors += 2 * (double)o->p.floor;
        slices += ((double)o->p.weight / (double)c->p.weight + 1) * (double)SLICE;
    }
    if (share > 0.95) return -1; /* too little is left over to promise anything */
    return (slices + floors) / (1 - share) + (c->p.ceiling < c->p.period ? (double)c->p.period : 0);
}

static void ran(struct task *c, uint64_t from, uint64_t to)
{
    windows_until(c, from);
    if (c->ready_since != NEVER) {
        double bound = wait_bound(c), waited = (double)(from - c->ready_since);
        if (bound > 0) {
            seen.waits++;
            if (waited > bound) seen.waits_long++;
            if (waited / bound > seen.worst_wait) seen.worst_wait = waited / bound;
        }
    }
    while (from < to) {
        uint64_t end = to < c->window_end ? to : c->window_end;

        c->used += end - from;
        from = end;
        windows_until(c, end);
    }
    c->ready_since = to;
}

/* ---- The simulated CPU
 * ----------------------------------------------------------------------------- */

static uint64_t next_event(uint32_t *which)
{
    uint64_t at = NEVER;

    *which = 0;

    for (uint32_t i = 0; i < ntasks; i++) {
        if (tasks[i].event < at) {
            at = tasks[i].event;
            *which = i;
        }
    }
    return at;
}

static uint64_t entry_blocks, end_of_set;
static struct {
    uint64_t decisions, blocks, max;
} count;

static void kernel_entered(void) { entry_blocks = blocks; }

static void kernel_left(void)
{
    uint64_t n = blocks - entry_blocks;

    count.decisions++;
    count.blocks += n;
    if (n > count.max) count.max = n;
}

/* Interrupts that are due, as interrupt() in trap.c takes them. */
static void take_interrupts(void)
{
    uint32_t i;

    if (percpus[0].armed <= sim_now) {
        percpus[0].armed = NEVER;
        percpus[0].hazard |= HAZARD_RESCHED;
    }
    while (next_event(&i) <= sim_now) {
        tasks[i].event = NEVER;
        ntfn_signal(i, 1);
    }
}

static bool finished;

/* idle(): nothing runs until something happens. */
void idle_irq_window(void)
{
    uint32_t i;
    uint64_t next = next_event(&i);

    if (percpus[0].armed < next) next = percpus[0].armed;
    if (next < sim_now) next = sim_now;
    if (next > end_of_set) { /* also when nothing would ever happen again */
        finished = true;
        longjmp(to_user, 1);
    }
    sim_now = next;
    kernel_entered();
    take_interrupts();
}

/* Blocked threads that the kernel has made ready. */
static void note_wakeups(void)
{
    for (uint32_t i = 0; i < ntasks; i++) {
        struct task *c = &tasks[i];

        if (c->blocked && threads[i].state == BH_THREAD_READY) {
            windows_until(c, sim_now);
            c->blocked = false;
            c->ready_since = sim_now;
            c->left = 1 + rnd(2 * c->burst);
        }
    }
}

/* The current thread's burst is over: it waits, for time to pass or for its device. */
static void user_blocks(uint32_t i)
{
    struct task *c = &tasks[i];
    uint64_t wake = sim_now + 1 + rnd(2 * c->pause);
    struct sysret r;

    windows_until(c, sim_now);
    c->blocked = true;
    c->whole = false;
    c->ready_since = NEVER;
    if (c->work == DEVICE) c->event = wake;
    kernel_entered();
    r = sys_wait(ntfn_cell(i), c->work == DEVICE ? BH_FOREVER : wake);
    abort(); /* nothing was pending and wake lies ahead: it blocks */
    (void)r;
}

/* The current thread runs until something interrupts it. Enters the kernel, does not come back. */
static _Noreturn void user(void)
{
    uint32_t i = (uint32_t)(percpus[0].current - threads), event;
    struct task *c = &tasks[i];
    uint64_t from = sim_now, until = next_event(&event);

    if (percpus[0].armed < until) until = percpus[0].armed;
    if (c->work != HOG && from + c->left < until) until = from + c->left;
    if (until > end_of_set) until = end_of_set;
    if (until < from) until = from;
    sim_now = until;
    if (c->work != HOG) c->left -= until - from;
    ran(c, from, until);
    if (until == end_of_set) {
        finished = true;
        longjmp(to_user, 1);
    }
    kernel_entered();
    if (percpus[0].armed <= sim_now || next_event(&event) <= sim_now) {
        take_interrupts();
        percpus[0].current->cont = CONT_FRAME;
        resume_current();
    }
    user_blocks(i);
    abort();
}

static void simulate(uint64_t until)
{
    end_of_set = until;
    finished = false;
    if (setjmp(to_user) != 0) {
        if (finished) return;
        kernel_left();
        note_wakeups();
        if (setjmp(out_of_kernel) == 0) user();
        resume();
    }
    if (setjmp(out_of_kernel) != 0) resume();
    kernel_entered();
    schedule();
}

static void set_begin(void)
{
    memset(percpus, 0, sizeof(percpus));
    memset(threads, 0, sizeof(threads));
    memset(scs, 0, sizeof(scs));
    memset(ntfns, 0, sizeof(ntfns));
    memset(spaces, 0, sizeof(spaces));
    memset(cells, 0, sizeof(cells));
    memset(&queues, 0, sizeof(queues));
    memset(&count, 0, sizeof(count));
    sim_now = 1 + rnd(1000000);
    percpus[0].tss_rsp0 = &rsp0;
    percpus[0].armed = NEVER;
    percpus[0].switch_tsc = sim_now;
    sched_init_cpu(&percpus[0], &queues);
    ntasks = 0;
}

/* A thread with a context of its own, configured and started by the kernel's own invocations. */
static bool task_add(const struct sc_params *p, enum work work, uint64_t burst, uint64_t pause)
{
    uint32_t i = ntasks;
    struct task *c = &tasks[i];
    struct invocation in = {sc_cell(i), {p->floor, p->ceiling, p->period, p->weight}};

    cells[thread_cell(i)].w0 = cap_pack(BH_CAP_THREAD, BH_RIGHTS_ALL, i);
    cells[sc_cell(i)].w0 = cap_pack(BH_CAP_SC, BH_RIGHTS_ALL, i);
    cells[ntfn_cell(i)].w0 = cap_pack(BH_CAP_NTFN, BH_RIGHTS_ALL, i);
    scs[i] = (struct sc){.thread = NONE, .handle = HEAP_NONE};
    ntfns[i] = (struct ntfn){.waiter = NONE, .vcpu = NONE};
    if (inv_sc_configure(&in).err != BH_OK) return false;
    thread_init(&threads[i], 0);
    if (thread_bind(&threads[i], 3 * CONTEXTS_MAX + 3, i) != BH_OK) abort();
    threads[i].cnode_first = 0;
    threads[i].cnode_count = 3 * CONTEXTS_MAX;
    threads[i].save = (uint64_t)&save_areas[i + 1];
    in = (struct invocation){thread_cell(i), {sc_cell(i)}};
    if (inv_thread_set_sc(&in).err != BH_OK) abort();
    *c = (struct task){.p = *p,
                       .work = work,
                       .burst = burst,
                       .pause = pause,
                       .left = burst,
                       .event = NEVER,
                       .window_end = scs[i].time.refill_at,
                       .ready_since = sim_now,
                       .whole = true};
    in = (struct invocation){thread_cell(i), {USER_START, 0, 0, 0}};
    if (inv_thread_start(&in).err != BH_OK) abort();
    ntasks++;
    return true;
}

/* Shares of the leftover among those that always wanted more and had no ceiling. */
static void check_shares(void)
{
    double total = 0, weights = 0;

    for (uint32_t i = 0; i < ntasks; i++) {
        if (tasks[i].work != HOG || tasks[i].p.ceiling != tasks[i].p.period) continue;
        total += (double)tasks[i].leftover;
        weights += (double)tasks[i].p.weight;
    }
    for (uint32_t i = 0; i < ntasks; i++) {
        const struct task *c = &tasks[i];
        double due = total * (double)c->p.weight / weights, off;

        if (c->work != HOG || c->p.ceiling != c->p.period) continue;
        off = (double)c->leftover > due ? (double)c->leftover - due : due - (double)c->leftover;
        if (due < 300.0 * (double)SLICE) continue; /* too few slices to tell 1 % */
        seen.shares_checked++;
        if (off / due > 0.01) seen.shares_off++;
        if (off / due > seen.worst_share) seen.worst_share = off / due;
        if (loud && off / due > 0.01)
            printf("set %lu task %u: floor %.1f %% weight %lu leftover %.1f ms, due %.1f ms\n",
                   seen.sets, i, 100.0 * (double)c->p.floor / (double)c->p.period, c->p.weight,
                   (double)c->leftover / TICKS_PER_MS, due / TICKS_PER_MS);
    }
}

/* A random task set that runs for about that many periods of all its contexts together. */
static void random_set(uint64_t periods)
{
    static const uint64_t loads[] = {0, 300, 600, 900, 1000};
    uint64_t load = loads[rnd(5)], begun = seen.periods, parts[CONTEXTS_MAX], sum = 0, step;
    uint32_t n = 1 + (uint32_t)rnd(rnd(2) == 0 ? 4 : 16);
    bool calm = rnd(2) == 0; /* only hogs: the leftover is all theirs */

    set_begin();
    for (uint32_t i = 0; i < n; i++) sum += parts[i] = rnd(4) == 0 ? 0 : 1 + rnd(10);
    for (uint32_t i = 0; i < n; i++) {
        struct sc_params p;
        enum work work = calm || rnd(3) == 0 ? HOG : rnd(2) == 0 ? SLEEPER : DEVICE;

        p.period = rnd_log(TICKS_PER_MS, 100 * TICKS_PER_MS);
        p.floor = sum == 0 ? 0 : p.period * load / 1000 * parts[i] / sum;
        p.ceiling = rnd(5) < 3 ? p.period : p.floor + 1 + rnd(p.period - p.floor + 1);
        if (p.ceiling > p.period) p.ceiling = p.period;
        p.weight = 1 + rnd(16) * rnd(16);
        if (rnd(4) == 0) p.weight *= 256;
        while (!task_add(&p, work, rnd_log(10000, 2 * p.period), rnd_log(10000, 3 * p.period)))
            p.floor = p.floor * 999 / 1000; /* its share, rounded up, is more than what is left */
    }
    step = 1000 * TICKS_PER_MS;
    while (seen.periods - begun < periods) {
        end_of_set = sim_now + step;
        simulate(end_of_set);
        for (uint32_t i = 0; i < ntasks; i++) windows_until(&tasks[i], sim_now);
    }
    check_shares();
    seen.sets++;
    seen.decisions += count.decisions;
    if (loud) {
        printf("set %lu: %u tasks, load %lu, %lu periods, %lu decisions\n", seen.sets, n, load,
               seen.periods - begun, count.decisions);
    }
}

/* ---- Cost of a decision
 * ---------------------------------------------------------------------------- */

struct cost {
    uint32_t n;
    double mean;
    uint64_t max, decisions;
};

/* n contexts, a third of each kind, floors on half of them: basic blocks from an entry of the
 * kernel to the return to a thread. */
static struct cost cost_of(uint32_t n)
{
    uint64_t step = 2000 * TICKS_PER_MS;

    set_begin();
    for (uint32_t i = 0; i < n; i++) {
        struct sc_params p = {.period = (10 + rnd(90)) * TICKS_PER_MS + rnd(TICKS_PER_MS)};

        p.floor = i % 2 == 0 ? p.period * 8 / 10 / n : 0;
        p.ceiling = i % 5 == 4 ? p.period / 2 : p.period;
        p.weight = 1 + rnd(100);
        if (!task_add(&p, (enum work)(i % 3), TICKS_PER_MS, 5 * TICKS_PER_MS)) abort();
    }
    simulate(sim_now + step); /* all of them have started */
    memset(&count, 0, sizeof(count));
    simulate(sim_now + step);
    return (struct cost){n, (double)count.blocks / (double)count.decisions, count.max,
                         count.decisions};
}

/* The mean may grow by a constant for each doubling of the contexts; linear would be 500 times. */
static bool costs_ok(void)
{
    static const uint32_t sizes[] = {1, 10, 100, 1000};
    struct cost c[4];
    bool ok = true;

    printf("%9s %10s %12s %6s  basic blocks of kernel code\n", "contexts", "decisions",
           "mean blocks", "max");
    for (unsigned i = 0; i < 4; i++) {
        c[i] = cost_of(sizes[i]);
        printf("%9u %10lu %12.1f %6lu\n", c[i].n, c[i].decisions, c[i].mean, c[i].max);
    }
    for (unsigned i = 2; i < 4; i++) {
        double step = c[i].mean - c[i - 1].mean;
        if (step > 3.33 * BLOCKS_PER_DOUBLING) ok = false; /* ten times the contexts */
    }
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t goal = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
    bool ok;

    random_state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    random_state = random_state * 0x9e3779b97f4a7c15ull + 1;
    loud = argc > 3;
    while (seen.periods < goal) random_set(goal < 100000 ? goal / 10 : 10000);
    printf("%lu sets, %lu periods, %lu decisions\n", seen.sets, seen.periods, seen.decisions);
    printf("floors: %lu checked, %lu missed, worst by %.4f %% of the period\n", seen.floors_checked,
           seen.floors_missed, (double)seen.worst_floor_ppm / 10000);
    printf("ceilings: %lu checked, %lu broken, worst by %.4f %% of the period\n",
           seen.ceilings_checked, seen.ceilings_broken, (double)seen.worst_ceiling_ppm / 10000);
    printf("leftover: %lu shares checked, %lu off by more than 1 %%, worst %.3f %%\n",
           seen.shares_checked, seen.shares_off, 100 * seen.worst_share);
    printf("waits: %lu checked, %lu too long, worst %.3f of the bound\n", seen.waits,
           seen.waits_long, seen.worst_wait);
    ok = costs_ok();
    if (seen.floors_missed + seen.ceilings_broken + seen.shares_off + seen.waits_long != 0)
        ok = false;
    if (seen.floors_checked == 0 || seen.shares_checked == 0 || seen.waits == 0) ok = false;
    puts(ok ? "sched_sim: all kept" : "sched_sim: NOT kept");
    return ok ? 0 : 1;
}
