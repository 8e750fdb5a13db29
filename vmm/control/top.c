/*
 * What the VMs use: figures, and a picture of them that is drawn again and again. May call: link.c.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bhctl.h"

#define VMS_MAX   64u
#define BAR_CHARS 24u

struct sample {
    struct bh_wire_stats vm[VMS_MAX];
    unsigned count;
};

/* Reasons of exits, enum bh_exit; the kernel's own from 24 on. */
static const char *const exit_words[BH_WIRE_EXITS] = {
    "signalled", "timeout",   "cpuid",     "io",         "rdmsr",     "wrmsr",       "hlt",
    "memory",    "window",    "shutdown",  "hypercall",  "cr",        "xsetbv",      "cache",
    "mwait",     "undefined", "rdpmc",     "nmi-window", "exception", "task-switch", "init",
    "invalid",   "unknown",   "dr",        "kernel-24",  "kernel-25", "kernel-26",   "kernel-27",
    "kernel-28", "kernel-29", "kernel-30", "kernel-31",
};

static bool stats_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct sample *s = ctx;
    struct bh_wire_stats *vm = &s->vm[s->count];

    if (bytes != sizeof(*vm) || s->count == VMS_MAX) return false;
    memcpy(vm, payload, sizeof(*vm));
    if (vm->state >= BH_WIRE_VM_STATES || !text_ends(vm->name, sizeof(vm->name))) return false;
    s->count++;
    return true;
}

static void fetch(struct sample *s)
{
    s->count = 0;
    link_ask(BH_WIRE_STATS, NULL, NULL, 0, stats_part, s);
}

static uint64_t exits_of(const struct bh_wire_stats *vm)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < BH_WIRE_EXITS; i++) sum += vm->exits[i];
    return sum;
}

static void print_json(const struct bh_wire_stats *vm)
{
    const char *between = "";

    printf("{\"name\": ");
    json_string(vm->name);
    printf(", \"state\": \"%s\", \"cpus\": %u, \"starts\": %u, \"restarts\": %u, \"now_ns\": %llu, "
           "\"uptime_ns\": %llu, \"cpu_ns\": %llu, \"memory_bytes\": %llu, \"kernel_bytes\": %llu, "
           "\"exits\": {",
           state_words[vm->state], vm->cpus, vm->starts, vm->restarts,
           (unsigned long long)vm->now_ns, (unsigned long long)vm->uptime_ns,
           (unsigned long long)vm->cpu_ns, (unsigned long long)vm->memory_bytes,
           (unsigned long long)vm->kernel_bytes);
    for (unsigned i = 0; i < BH_WIRE_EXITS; i++)
        if (vm->exits[i] != 0) {
            printf("%s\"%s\": %llu", between, exit_words[i], (unsigned long long)vm->exits[i]);
            between = ", ";
        }
    printf("}}");
}

void verb_stats(const struct options *o, int argc, char **argv)
{
    static struct sample s;

    (void)argc;
    (void)argv;
    link_open(o);
    fetch(&s);
    if (o->json) printf("[");
    for (unsigned i = 0; i < s.count; i++) {
        const struct bh_wire_stats *vm = &s.vm[i];

        if (o->json) {
            printf("%s\n  ", i ? "," : "");
            print_json(vm);
            continue;
        }
        if (i == 0)
            printf("%-20s %-8s %10s %10s %12s %10s %8s\n", "NAME", "STATE", "UP s", "CPU s",
                   "EXITS", "MEMORY", "STARTS");
        printf("%-20s %-8s %10.2f %10.2f %12llu %6llu MiB %8u\n", vm->name, state_words[vm->state],
               (double)vm->uptime_ns / 1e9, (double)vm->cpu_ns / 1e9,
               (unsigned long long)exits_of(vm), (unsigned long long)(vm->memory_bytes >> 20),
               vm->starts);
    }
    if (o->json) printf("\n]");
}

/* ---- top ---- */

/* What has grown since the sample before; a VM that was started in between begins at 0. */
static double rate(uint64_t now, uint64_t before, bool same, uint64_t ns)
{
    uint64_t grown = same && now >= before ? now - before : now;

    return ns == 0 ? 0 : (double)grown * 1e9 / (double)ns;
}

static void print_bar(double percent, double full)
{
    unsigned filled = (unsigned)(percent * BAR_CHARS / full + 0.5);

    putchar('[');
    for (unsigned i = 0; i < BAR_CHARS; i++) putchar(i < filled ? '#' : '.');
    putchar(']');
}

static void print_top(const struct options *o, const struct sample *now,
                      const struct sample *before)
{
    for (unsigned i = 0; i < now->count; i++) {
        const struct bh_wire_stats *vm = &now->vm[i], *old = &before->vm[i];
        bool same = i < before->count && old->starts == vm->starts;
        uint64_t ns = i < before->count ? vm->now_ns - old->now_ns : vm->uptime_ns;
        double cpu = 100.0 * rate(vm->cpu_ns, old->cpu_ns, same, ns) / 1e9;
        double exits = rate(exits_of(vm), exits_of(old), same, ns);

        if (o->json) {
            printf("%s\n    {\"name\": ", i ? "," : "");
            json_string(vm->name);
            printf(", \"state\": \"%s\", \"cpu_percent\": %.1f, \"exits_per_s\": %.0f, "
                   "\"memory_bytes\": %llu}",
                   state_words[vm->state], cpu, exits, (unsigned long long)vm->memory_bytes);
            continue;
        }
        printf("%-16s %-8s %6.1f %% ", vm->name, state_words[vm->state], cpu);
        print_bar(cpu, 100.0 * vm->cpus);
        printf(" %8.0f %5llu MiB\n", exits, (unsigned long long)(vm->memory_bytes >> 20));
    }
}

static void wait_ms(uint64_t ms)
{
    const struct timespec t = {(time_t)(ms / 1000u), (long)(ms % 1000u) * 1000000l};

    (void)nanosleep(&t, NULL);
}

void verb_top(const struct options *o, int argc, char **argv)
{
    static struct sample samples[2];
    bool screen = !o->json && isatty(1);

    (void)argc;
    (void)argv;
    if (o->json && o->count == 0) die(EXIT_USAGE, "--json top wants --count=N");
    link_open(o);
    fetch(&samples[0]);
    if (o->json) printf("[");
    for (uint64_t n = 1; o->count == 0 || n <= o->count; n++) {
        struct sample *now = &samples[n & 1u];

        wait_ms(o->interval_ms);
        fetch(now);
        if (o->json) {
            printf("%s\n  [", n > 1u ? "," : "");
            print_top(o, now, &samples[~n & 1u]);
            printf("\n  ]");
            continue;
        }
        if (screen) printf("\033[H\033[J");
        printf("%-16s %-8s %8s %-*s %9s %9s\n", "NAME", "STATE", "CPU", (int)BAR_CHARS + 2, "",
               "EXITS/s", "MEMORY");
        print_top(o, now, &samples[~n & 1u]);
        if (!screen) printf("\n");
        if (fflush(stdout) != 0) return;
    }
    if (o->json) printf("\n]");
}
