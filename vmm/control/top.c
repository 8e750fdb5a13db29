/*
 * What the VMs use: figures, and a picture of them that is drawn again and again. May call: link.c.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bhctl.h"

#define VMS_MAX   512u
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
    if (vm->links > BH_WIRE_LINKS) return false;
    for (unsigned n = 0; n < vm->links; n++)
        if (!text_ends(vm->link[n].name, sizeof(vm->link[n].name)) ||
            !text_ends(vm->link[n].peer, sizeof(vm->link[n].peer)))
            return false;
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

/* The figures of a wire, in the order that --json has them in. */
static const struct {
    const char *name;
    size_t at;
} counts[] = {
    {"sent_frames", offsetof(struct bh_net_count, sent_frames)},
    {"sent_bytes", offsetof(struct bh_net_count, sent_bytes)},
    {"received_frames", offsetof(struct bh_net_count, received_frames)},
    {"received_bytes", offsetof(struct bh_net_count, received_bytes)},
    {"lost", offsetof(struct bh_net_count, lost)},
    {"dropped", offsetof(struct bh_net_count, dropped)},
    {"refused", offsetof(struct bh_net_count, refused)},
    {"send_waits", offsetof(struct bh_net_count, send_waits)},
    {"receive_waits", offsetof(struct bh_net_count, receive_waits)},
};

static void print_links_json(const struct bh_wire_stats *vm)
{
    printf(", \"wires\": [");
    for (unsigned n = 0; n < vm->links; n++) {
        const struct bh_wire_link *l = &vm->link[n];

        printf("%s{\"name\": ", n ? ", " : "");
        json_string(l->name);
        printf(", \"peer\": ");
        json_string(l->peer);
        printf(", \"up\": %s, \"ups\": %u", l->count.up ? "true" : "false", l->count.ups);
        for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            uint64_t value;

            memcpy(&value, (const char *)&l->count + counts[i].at, sizeof(value));
            printf(", \"%s\": %llu", counts[i].name, (unsigned long long)value);
        }
        printf("}");
    }
    printf("]");
}

static void print_links(const struct bh_wire_stats *vm)
{
    for (unsigned n = 0; n < vm->links; n++) {
        const struct bh_wire_link *l = &vm->link[n];
        const struct bh_net_count *c = &l->count;

        printf("  wire %s to %s: %s, sent %llu frames (%.1f MiB), received %llu (%.1f MiB)",
               l->name, l->peer, c->up ? "up" : "down", (unsigned long long)c->sent_frames,
               (double)c->sent_bytes / 1048576.0, (unsigned long long)c->received_frames,
               (double)c->received_bytes / 1048576.0);
        printf("; lost %llu, dropped %llu, refused %llu; waited to send %llu, to receive %llu\n",
               (unsigned long long)c->lost, (unsigned long long)c->dropped,
               (unsigned long long)c->refused, (unsigned long long)c->send_waits,
               (unsigned long long)c->receive_waits);
    }
}

static void print_json(const struct bh_wire_stats *vm)
{
    const char *between = "";

    printf("{\"name\": ");
    json_string(vm->name);
    printf(", \"state\": \"%s\", \"cpus\": %u, \"starts\": %u, \"restarts\": %u, \"now_ns\": %llu, "
           "\"uptime_ns\": %llu, \"cpu_ns\": %llu, \"memory_bytes\": %llu, \"memory_max_bytes\": "
           "%llu, "
           "\"kernel_bytes\": %llu, "
           "\"exits\": {",
           state_words[vm->state], vm->cpus, vm->starts, vm->restarts,
           (unsigned long long)vm->now_ns, (unsigned long long)vm->uptime_ns,
           (unsigned long long)vm->cpu_ns, (unsigned long long)vm->memory_bytes,
           (unsigned long long)vm->memory_max_bytes, (unsigned long long)vm->kernel_bytes);
    for (unsigned i = 0; i < BH_WIRE_EXITS; i++)
        if (vm->exits[i] != 0) {
            printf("%s\"%s\": %llu", between, exit_words[i], (unsigned long long)vm->exits[i]);
            between = ", ";
        }
    printf("}");
    print_links_json(vm);
    printf("}");
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
        char memory[48];

        if (o->json) {
            printf("%s\n  ", i ? "," : "");
            print_json(vm);
            continue;
        }
        if (i == 0)
            printf("%-20s %-8s %10s %10s %12s %12s %8s\n", "NAME", "STATE", "UP s", "CPU s",
                   "EXITS", "MEMORY", "STARTS");
        memory_words(memory, sizeof(memory), vm->memory_bytes >> 20, vm->memory_max_bytes >> 20);
        printf("%-20s %-8s %10.2f %10.2f %12llu %12s %8u\n", vm->name, state_words[vm->state],
               (double)vm->uptime_ns / 1e9, (double)vm->cpu_ns / 1e9,
               (unsigned long long)exits_of(vm), memory, vm->starts);
        print_links(vm);
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

static void print_top_links(const struct options *o, const struct bh_wire_stats *now,
                            const struct bh_wire_stats *before, bool same, uint64_t ns)
{
    if (o->json) printf(", \"wires\": [");
    for (unsigned n = 0; n < now->links; n++) {
        const struct bh_wire_link *l = &now->link[n], *old = &before->link[n];
        double sent = rate(l->count.sent_bytes, old->count.sent_bytes, same, ns);
        double received = rate(l->count.received_bytes, old->count.received_bytes, same, ns);

        if (o->json) {
            printf("%s{\"name\": ", n ? ", " : "");
            json_string(l->name);
            printf(", \"up\": %s, \"sent_per_s\": %.0f, \"received_per_s\": %.0f}",
                   l->count.up ? "true" : "false", sent, received);
        } else {
            printf("  wire %s to %s: %s, %.2f MiB/s out, %.2f MiB/s in\n", l->name, l->peer,
                   l->count.up ? "up" : "down", sent / 1048576.0, received / 1048576.0);
        }
    }
    if (o->json) printf("]}");
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
        char memory[48];

        if (o->json) {
            printf("%s\n    {\"name\": ", i ? "," : "");
            json_string(vm->name);
            printf(", \"state\": \"%s\", \"cpu_percent\": %.1f, \"exits_per_s\": %.0f, "
                   "\"memory_bytes\": %llu, \"memory_max_bytes\": %llu",
                   state_words[vm->state], cpu, exits, (unsigned long long)vm->memory_bytes,
                   (unsigned long long)vm->memory_max_bytes);
            print_top_links(o, vm, old, same, ns);
            continue;
        }
        printf("%-16s %-8s %6.1f %% ", vm->name, state_words[vm->state], cpu);
        print_bar(cpu, 100.0 * vm->cpus);
        memory_words(memory, sizeof(memory), vm->memory_bytes >> 20, vm->memory_max_bytes >> 20);
        printf(" %8.0f %12s\n", exits, memory);
        print_top_links(o, vm, old, same, ns);
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

        link_close(); /* others may use the line meanwhile */
        wait_ms(o->interval_ms);
        link_open(o);
        fetch(now);
        if (o->json) {
            printf("%s\n  [", n > 1u ? "," : "");
            print_top(o, now, &samples[~n & 1u]);
            printf("\n  ]");
            continue;
        }
        if (screen) printf("\033[H\033[J");
        printf("%-16s %-8s %8s %-*s %9s %12s\n", "NAME", "STATE", "CPU", (int)BAR_CHARS + 2, "",
               "EXITS/s", "MEMORY");
        print_top(o, now, &samples[~n & 1u]);
        if (!screen) printf("\n");
        if (fflush(stdout) != 0) return;
    }
    if (o->json) printf("\n]");
}
