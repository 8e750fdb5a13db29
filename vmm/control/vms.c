/*
 * Verbs about VMs as a whole: the list, and their life. May call: link.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bhctl.h"

const char *const state_words[BH_WIRE_VM_STATES] = {
    [BH_WIRE_VM_CREATED] = "created",   [BH_WIRE_VM_STARTING] = "starting",
    [BH_WIRE_VM_RUNNING] = "running",   [BH_WIRE_VM_PAUSED] = "paused",
    [BH_WIRE_VM_STOPPING] = "stopping", [BH_WIRE_VM_STOPPED] = "stopped",
    [BH_WIRE_VM_CRASHED] = "crashed",
};

bool text_ends(const char *text, size_t room)
{
    for (size_t i = 0; i < room && text[i] >= '\0' && text[i] <= '~'; i++) {
        if (text[i] == '\0') return true;
        if (text[i] < ' ') return false;
    }
    return false;
}

void memory_words(char *text, size_t room, uint64_t has_mib, uint64_t most_mib)
{
    if (has_mib == most_mib)
        (void)snprintf(text, room, "%llu MiB", (unsigned long long)has_mib);
    else
        (void)snprintf(text, room, "%llu/%llu MiB", (unsigned long long)has_mib,
                       (unsigned long long)most_mib);
}

static bool take_vm(struct bh_wire_vm *vm, const uint8_t *payload, uint32_t bytes)
{
    if (bytes != sizeof(*vm)) return false;
    memcpy(vm, payload, sizeof(*vm));
    return vm->state < BH_WIRE_VM_STATES && text_ends(vm->name, sizeof(vm->name)) &&
           text_ends(vm->label, sizeof(vm->label)) && text_ends(vm->reason, sizeof(vm->reason));
}

static bool has_ended(const struct bh_wire_vm *vm) { return vm->state >= BH_WIRE_VM_STOPPED; }

static void print_json(const struct bh_wire_vm *vm)
{
    printf("{\"name\": ");
    json_string(vm->name);
    printf(", \"label\": ");
    json_string(vm->label);
    printf(", \"state\": \"%s\", \"cpus\": %u, \"memory_mib\": %u, \"memory_has_mib\": %u, "
           "\"restarts\": %u",
           state_words[vm->state], vm->cpus, vm->memory_mib, vm->memory_has_mib, vm->restarts);
    if (vm->state == BH_WIRE_VM_STOPPING) printf(", \"left_ms\": %u", vm->left_ms);
    if (has_ended(vm)) {
        printf(", \"status\": %u, \"reason\": ", vm->status);
        json_string(vm->reason);
    }
    printf("}");
}

static void print_line(const struct bh_wire_vm *vm)
{
    char memory[32];

    memory_words(memory, sizeof(memory), vm->memory_has_mib, vm->memory_mib);
    printf("%-20s %-8s %4u %12s  %s\n", vm->name, state_words[vm->state], vm->cpus, memory,
           has_ended(vm)                      ? vm->reason
           : strcmp(vm->name, vm->label) == 0 ? ""
                                              : vm->label);
}

/* ---- list ---- */

struct listing {
    bool json;
    unsigned count;
};

static bool list_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct listing *l = ctx;
    struct bh_wire_vm vm;

    if (!take_vm(&vm, payload, bytes)) return false;
    if (l->json) {
        printf("%s\n  ", l->count++ ? "," : "");
        print_json(&vm);
    } else {
        if (l->count++ == 0)
            printf("%-20s %-8s %4s %12s  %s\n", "NAME", "STATE", "CPUS", "MEMORY",
                   "LABEL, OR HOW IT ENDED");
        print_line(&vm);
    }
    return true;
}

void list_vms(const struct options *o)
{
    struct listing l = {o->json, 0};

    if (o->json) printf("[");
    link_ask(BH_WIRE_LIST, NULL, NULL, 0, list_part, &l);
    if (o->json) printf("\n]");
}

void verb_list(const struct options *o, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    link_open(o);
    list_vms(o);
}

/* ---- life ---- */

/* The VM as it was last said to be; what takes long is shown on the terminal meanwhile. */
static bool follow_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct bh_wire_vm *vm = ctx;

    if (!take_vm(vm, payload, bytes)) return false;
    if (!isatty(2)) return true;
    if (vm->state == BH_WIRE_VM_STOPPING)
        fprintf(stderr, "\r%s: stopping, killed in %u s ", vm->name, vm->left_ms / 1000u);
    else
        fprintf(stderr, "\r%s: %-30s\r", vm->name, state_words[vm->state]);
    return true;
}

static void live(const struct options *o, enum bh_wire_verb verb, const char *name,
                 const uint64_t *timeout_ms)
{
    struct bh_wire_vm vm = {.name = ""};

    link_open(o);
    link_ask(verb, name, timeout_ms, timeout_ms ? (uint32_t)sizeof(*timeout_ms) : 0, follow_part,
             &vm);
    if (vm.name[0] == '\0') die(EXIT_BAD_LINK, "the running system does not say how %s is", name);
    if (o->json)
        print_json(&vm);
    else
        printf("%s: %s%s%s\n", vm.name, state_words[vm.state], has_ended(&vm) ? ", " : "",
               has_ended(&vm) ? vm.reason : "");
}

void verb_start(const struct options *o, int argc, char **argv)
{
    (void)argc;
    live(o, BH_WIRE_START, argv[0], NULL);
}

void verb_stop(const struct options *o, int argc, char **argv)
{
    (void)argc;
    live(o, BH_WIRE_STOP, argv[0], &o->timeout_ms);
}

void verb_kill(const struct options *o, int argc, char **argv)
{
    (void)argc;
    live(o, BH_WIRE_KILL, argv[0], NULL);
}

void verb_restart(const struct options *o, int argc, char **argv)
{
    (void)argc;
    live(o, BH_WIRE_RESTART, argv[0], &o->timeout_ms);
}

void verb_pause(const struct options *o, int argc, char **argv)
{
    (void)argc;
    live(o, BH_WIRE_PAUSE, argv[0], NULL);
}

void verb_resume(const struct options *o, int argc, char **argv)
{
    (void)argc;
    live(o, BH_WIRE_RESUME, argv[0], NULL);
}

void verb_shutdown(const struct options *o, int argc, char **argv)
{
    struct bh_wire_vm vm;

    (void)argc;
    (void)argv;
    link_open(o);
    link_ask(BH_WIRE_SHUTDOWN, NULL, NULL, 0, follow_part, &vm);
    if (!o->json) printf("all VMs have ended\n");
}
