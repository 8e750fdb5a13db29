/*
 * Emulator plugin: which instructions one measured operation executes, and how many instructions a
 * guest and its host execute between two points. Loaded by `qemu -plugin`; runs on the machine that
 * builds, never in the system. May call: the emulator's plugin interface and libc. It must not
 * change what is emulated: it only looks.
 *
 * Arguments (key=value, separated by commas):
 *   out=FILE     where the result goes
 *   skip=N       the N+1st time that a window opens is recorded (default 8), and from
 *                then on each CPU's instructions in it are counted
 *   start=HEX    address of the instruction that begins the count, a CLD unless it is the
 *                reset vector
 *   begin=HEX    code bytes there that begin it in its place, be it in a guest or not
 *   end=HEX      code bytes that end it
 *   nested=1     both of these mean code inside of VMRUN..#VMEXIT only
 *   turns=1      there are several CPUs
 *   marks=1      instead of start and end: each window of code inside of VMRUN..#VMEXIT is a count
 *   stores=LO-HI (with marks=1) code of the host, in hexadecimal: the bytes it stores are counted
 *   watch=HEX    address of a function of ring 3: how often the host enters it (may be repeated)
 *
 * Windows are marked in the code under test by long NOPs with a magic displacement, which cost
 * nothing that is counted (they stand outside of the RDTSC pair):
 *   nopl 0x42480000 + id(%rax)   window `id` opens       nopl 0x4248ffff(%rax)   it closes
 *
 * Output, a line each:
 *   insn ID CPU ADDRESS BYTES   in order of execution
 *   cost ID CPU TOTAL TIMES     instructions of a CPU in all of a window's times
 *   count TOTAL GUEST EXITS     instructions from start to end
 *   marked ID TOTAL GUEST EXITS STORED   the same of a window, all its times added up
 *   watch ADDRESS TIMES
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The part of the plugin interface (version 1) that is used
 * ---------------------------------*/
typedef uint64_t plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct plugin_info;
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int
qemu_plugin_install(plugin_id_t id, const struct plugin_info *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id_t id,
                                           void (*cb)(plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(plugin_id_t id, void (*cb)(plugin_id_t, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            void (*cb)(unsigned, void *), int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*cb)(unsigned, uint32_t, uint64_t, void *), int flags,
                                      int rw, void *data);
unsigned qemu_plugin_mem_size_shift(uint32_t info);
bool qemu_plugin_mem_is_store(uint32_t info);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr,
                                                uint64_t imm);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned, void *),
                                          int flags, void *data);
void qemu_plugin_reset(plugin_id_t id, void (*cb)(plugin_id_t));
enum { NO_REGS = 0, ADD_U64 = 0, MEM_STORES = 2 };

/* ---- State
 * -------------------------------------------------------------------------------------*/
#define MARK         0x42480000u
#define MARK_END     0xffffu
#define WINDOWS      64u
#define CPUS         8u
#define RECORDS      (1u << 20)
#define RETURNS      8u
#define WATCHES      32u
#define PATTERN      64u
#define HOST_BASE    0xffffffff80000000ull
#define INSN_BYTES   15u
#define CLD          0xfcu
#define RESET_VECTOR 0xfffffff0u

struct insn {
    uint64_t address;
    uint8_t size, bytes[INSN_BYTES];
};
static struct {
    const struct insn *insn;
    uint8_t window, cpu;
} records[RECORDS];
static size_t nrecords;
static unsigned seen[WINDOWS], skip = 8;
static int window = -1;               /* that is recorded */
static int open_window = -1;          /* that is counted */
static uint64_t costs[WINDOWS][CPUS]; /* instructions */
static uint64_t times[WINDOWS];
static bool armed; /* a mark has been met: all instructions are looked at from then on */
static plugin_id_t plugin;

struct pattern {
    uint8_t bytes[PATTERN];
    size_t size;
};
static struct pattern begin, end;
static uint64_t start;
static uint64_t executed; /* counted by code the emulator generates */
static uint64_t started_at, total, guest, counted, exits;
static unsigned current; /* CPU that executes; with several, what `turns=1` looks after */
static bool in_guest[CPUS];
static bool running, done, nested, turns, marks;
static struct {
    uint64_t total, guest, exits, stored;
    bool any;
} marked[WINDOWS];
static uint64_t stores_from, stores_to, stored;
static uint64_t returns[RETURNS]; /* addresses after VMRUN */
static size_t nreturns;
static struct {
    uint64_t address, times;
} watches[WATCHES];
static size_t nwatches;
static const char *out_path;

/* ---- While it runs
 * -----------------------------------------------------------------------------*/
static void on_insn(unsigned cpu, void *data)
{
    if (open_window >= 0 && cpu < CPUS) costs[open_window][cpu]++;
    if (window >= 0 && nrecords < RECORDS) {
        records[nrecords].insn = data;
        records[nrecords].window = (uint8_t)window;
        records[nrecords].cpu = (uint8_t)cpu;
        nrecords++;
    }
}

static void on_ready_again(plugin_id_t id);

static void on_mark(unsigned cpu, void *data)
{
    unsigned id = (unsigned)(uintptr_t)data;

    (void)cpu;
    if (!armed) { /* until here a whole system may have booted, faster without calls */
        armed = true;
        qemu_plugin_reset(plugin, on_ready_again);
    }
    if (id == MARK_END || id >= WINDOWS) {
        window = open_window = -1;
        return;
    }
    if (seen[id] == skip) window = (int)id;
    if (seen[id]++ >= skip) {
        open_window = (int)id;
        times[id]++;
    }
}

/* What has been executed since the last call was the current CPU's. */
static void count_guest(void)
{
    if (running && !done && in_guest[current]) guest += executed - counted;
    counted = executed;
}

/* A CPU's block of code: the emulator runs the CPUs in turn. */
static void on_block(unsigned cpu, void *data)
{
    (void)data;
    if (cpu == current || cpu >= CPUS) return;
    count_guest();
    current = cpu;
}

/* The callback of an instruction runs before `executed` counts it, or after: one too many or too
 * few at both ends, the same at each exit. */
static void on_vmrun(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    count_guest();
    in_guest[current] = true;
}

static void on_exit_from_guest(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (!in_guest[current]) return;
    count_guest();
    in_guest[current] = false;
    if (running && !done) exits++;
}

static void on_start(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (!running && (in_guest[current] || !nested || begin.size != 0)) {
        running = true;
        started_at = counted = executed;
        for (size_t i = 0; i < nwatches; i++) watches[i].times = 0;
    }
}

static void on_end(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (!running || done || (nested && !in_guest[current])) return;
    count_guest();
    done = true;
    total = executed - started_at;
}

static void on_watch(unsigned cpu, void *data)
{
    (void)cpu;
    if (!in_guest[current] && !done) watches[(uintptr_t)data].times++;
}

/* With marks=1: a window of the guest's opens, as on_start(), or closes. */
static void on_marked(unsigned cpu, void *data)
{
    unsigned id = (unsigned)(uintptr_t)data;

    if (!in_guest[current]) return;
    if (id < WINDOWS) {
        open_window = (int)id;
        guest = exits = stored = 0;
        running = false;
        on_start(cpu, NULL);
    } else if (running && open_window >= 0) {
        count_guest();
        marked[open_window].total += executed - started_at;
        marked[open_window].guest += guest;
        marked[open_window].exits += exits;
        marked[open_window].stored += stored;
        marked[open_window].any = true;
        running = false;
    }
}

static void on_store(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    (void)cpu, (void)address, (void)data;
    /* QEMU 7.2 shows loads, too. */
    if (!in_guest[current] && qemu_plugin_mem_is_store(info))
        stored += 1ull << qemu_plugin_mem_size_shift(info);
}

/* ---- When code is translated
 * -------------------------------------------------------------------*/
static bool block_starts_with(const struct qemu_plugin_tb *tb, const struct pattern *p)
{
    uint8_t bytes[PATTERN + INSN_BYTES];
    size_t have = 0;

    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb) && have < p->size; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        memcpy(bytes + have, qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
        have += qemu_plugin_insn_size(insn);
    }
    return p->size != 0 && have >= p->size && memcmp(bytes, p->bytes, p->size) == 0;
}

static void translate_count(struct qemu_plugin_insn *insn, const struct insn *d)
{
    static const uint8_t vmrun[3] = {0x0f, 0x01, 0xd8};

    /* A reset vector has other code in each firmware. */
    if (start && d->address == start && begin.size == 0 &&
        (d->bytes[0] == CLD || start == RESET_VECTOR))
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, NO_REGS, NULL);
    qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &executed, 1);
    for (size_t i = 0; i < nreturns; i++)
        if (d->address == returns[i])
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_exit_from_guest, NO_REGS, NULL);
    for (size_t i = 0; i < nwatches; i++)
        if (d->address == watches[i].address)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_watch, NO_REGS, (void *)i);
    if (d->address >= HOST_BASE && d->size == 3 && memcmp(d->bytes, vmrun, 3) == 0) {
        bool known = false;

        for (size_t i = 0; i < nreturns; i++) known |= returns[i] == d->address + 3;
        if (!known && nreturns < RETURNS) returns[nreturns++] = d->address + 3;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_vmrun, NO_REGS, NULL);
    }
}

/* The number behind a mark, or 0: they begin with 1. */
static unsigned mark_of(const struct insn *d)
{
    uint32_t disp = 0;

    if (d->size >= 7 && d->bytes[d->size - 7] == 0x0f && d->bytes[d->size - 6] == 0x1f)
        memcpy(&disp, d->bytes + d->size - 4, 4);
    return (disp & 0xffff0000u) == MARK ? disp & 0xffffu : 0;
}

static void translate_marked(struct qemu_plugin_insn *insn, const struct insn *d)
{
    if (mark_of(d))
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marked, NO_REGS,
                                               (void *)(uintptr_t)mark_of(d));
    if (d->address >= stores_from && d->address < stores_to)
        qemu_plugin_register_vcpu_mem_cb(insn, on_store, NO_REGS, MEM_STORES, NULL);
}

static void on_translate(plugin_id_t id, struct qemu_plugin_tb *tb)
{
    bool counting = start != 0 || marks;

    (void)id;
    if (counting && turns) qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, NO_REGS, NULL);
    if (counting && qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0)) == start &&
        block_starts_with(tb, &begin))
        qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, 0), on_start, NO_REGS,
                                               NULL);
    if (counting && block_starts_with(tb, &end))
        qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, 0), on_end, NO_REGS,
                                               NULL);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        struct insn local, *d = counting ? &local : malloc(sizeof(*d));

        if (!d) abort();
        d->address = qemu_plugin_insn_vaddr(insn);
        d->size = (uint8_t)(qemu_plugin_insn_size(insn) & 0xfu);
        memcpy(d->bytes, qemu_plugin_insn_data(insn), d->size);
        if (marks) translate_marked(insn, d);
        if (counting) {
            translate_count(insn, d);
            continue;
        }
        if (mark_of(d))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, NO_REGS,
                                                   (void *)(uintptr_t)mark_of(d));
        else if (armed)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, NO_REGS, d);
        else
            free(d);
    }
}

static void on_exit_of_emulator(plugin_id_t id, void *data)
{
    FILE *f = fopen(out_path, "w");

    (void)id, (void)data;
    if (!f) return;
    for (size_t i = 0; i < nrecords; i++) {
        const struct insn *d = records[i].insn;

        (void)fprintf(f, "insn %u %u %" PRIx64 " ", records[i].window, records[i].cpu, d->address);
        for (unsigned b = 0; b < d->size; b++) (void)fprintf(f, "%02x", d->bytes[b]);
        (void)fputc('\n', f);
    }
    for (unsigned w = 0; w < WINDOWS; w++)
        for (unsigned c = 0; c < CPUS; c++)
            if (costs[w][c] != 0)
                (void)fprintf(f, "cost %u %u %" PRIu64 " %" PRIu64 "\n", w, c, costs[w][c],
                              times[w]);
    if (done) (void)fprintf(f, "count %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", total, guest, exits);
    for (unsigned w = 0; w < WINDOWS; w++)
        if (marked[w].any)
            (void)fprintf(f, "marked %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", w,
                          marked[w].total, marked[w].guest, marked[w].exits, marked[w].stored);
    for (size_t i = 0; i < nwatches; i++)
        (void)fprintf(f, "watch %" PRIx64 " %" PRIu64 "\n", watches[i].address, watches[i].times);
    (void)fclose(f);
}

/* At the start, and after a reset, when all code is translated anew. */
static void on_ready_again(plugin_id_t id)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_of_emulator, NULL);
}

static void read_pattern(struct pattern *p, const char *text)
{
    unsigned byte;

    while (p->size < PATTERN && sscanf(text + 2 * p->size, "%2x", &byte) == 1)
        p->bytes[p->size++] = (uint8_t)byte;
}

int qemu_plugin_install(plugin_id_t id, const struct plugin_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0)
            out_path = strdup(argv[i] + 4);
        else if (strncmp(argv[i], "skip=", 5) == 0)
            skip = (unsigned)strtoul(argv[i] + 5, NULL, 0);
        else if (strncmp(argv[i], "start=", 6) == 0)
            start = strtoull(argv[i] + 6, NULL, 16);
        else if (strncmp(argv[i], "begin=", 6) == 0)
            read_pattern(&begin, argv[i] + 6);
        else if (strncmp(argv[i], "end=", 4) == 0)
            read_pattern(&end, argv[i] + 4);
        else if (strcmp(argv[i], "nested=1") == 0)
            nested = true;
        else if (strcmp(argv[i], "turns=1") == 0)
            turns = true;
        else if (strcmp(argv[i], "marks=1") == 0)
            marks = true;
        else if (sscanf(argv[i], "stores=%" SCNx64 "-%" SCNx64, &stores_from, &stores_to) == 2)
            continue;
        else if (strncmp(argv[i], "watch=", 6) == 0 && nwatches < WATCHES)
            watches[nwatches++].address = strtoull(argv[i] + 6, NULL, 16);
        else
            return -1;
    }
    if (!out_path) return -1;
    plugin = id;
    on_ready_again(id);
    return 0;
}
