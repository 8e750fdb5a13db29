/*
 * The verbs of bhctl, each the twin of one in vmm/root/control_verbs.c: turns arguments into a
 * request and the answer into text or JSON. May call: link.c, keys.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bhctl.h"

#define ARGS_MAX 1000

/* ---- list ---- */

struct listing {
    bool json;
    unsigned count;
};

static bool text_ends(const char *text, size_t room) { return memchr(text, '\0', room) != NULL; }

static bool list_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    static const char *const states[] = {"absent", "running", "ended"};
    struct listing *l = ctx;
    struct bh_wire_vm vm;

    if (bytes != sizeof(vm)) return false;
    memcpy(&vm, payload, sizeof(vm));
    if (vm.state > BH_WIRE_VM_ENDED || !text_ends(vm.name, sizeof(vm.name)) ||
        !text_ends(vm.label, sizeof(vm.label)) || !text_ends(vm.reason, sizeof(vm.reason)))
        return false;
    if (l->json) {
        printf("%s\n  {\"name\": ", l->count++ ? "," : "");
        json_string(vm.name);
        printf(", \"label\": ");
        json_string(vm.label);
        printf(", \"state\": \"%s\", \"cpus\": %u, \"memory_mib\": %u", states[vm.state], vm.cpus,
               vm.memory_mib);
        if (vm.state == BH_WIRE_VM_ENDED) {
            printf(", \"status\": %u, \"reason\": ", vm.status);
            json_string(vm.reason);
        }
        printf("}");
        return true;
    }
    if (l->count++ == 0) printf("%-20s %-8s %4s %8s  %s\n", "NAME", "STATE", "CPUS", "MEMORY", "");
    printf("%-20s %-8s %4u %4u MiB  %s\n", vm.name, states[vm.state], vm.cpus, vm.memory_mib,
           vm.state == BH_WIRE_VM_ENDED     ? vm.reason
           : strcmp(vm.name, vm.label) == 0 ? ""
                                            : vm.label);
    return true;
}

static void list(const struct options *o, int argc, char **argv)
{
    struct listing l = {o->json, 0};

    (void)argc;
    (void)argv;
    link_open(o);
    if (o->json) printf("[");
    link_ask(BH_WIRE_LIST, NULL, NULL, 0, list_part, &l);
    if (o->json) printf("\n]\n");
}

/* ---- type ---- */

static void type(const struct options *o, int argc, char **argv)
{
    struct stroke s;

    for (int i = 1; i < argc; i++) /* all of it first: nothing is typed half */
        for (const char *text = argv[i]; *text != '\0';)
            if (!keys_next(&text, &s))
                die(EXIT_USAGE, "no key is known for '%.20s'; see bhctl --help", text);
    link_open(o);
    for (int i = 1; i < argc; i++) {
        for (const char *text = argv[i]; *text != '\0';) {
            if (!keys_next(&text, &s)) break;
            link_ask(BH_WIRE_TYPE, argv[0], s.events, (uint32_t)(s.count * sizeof(s.events[0])),
                     NULL, NULL);
            if (o->delay_ms) (void)usleep(o->delay_ms * 1000u);
        }
    }
}

/* ---- save, restore ---- */

static bool save_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    if (bytes != sizeof(uint64_t)) return false;
    memcpy(ctx, payload, bytes);
    if (*(uint64_t *)ctx == 0) fputc('.', stderr); /* it goes on */
    return true;
}

static void save(const struct options *o, int argc, char **argv)
{
    uint64_t bytes = 0;

    (void)argc;
    link_open(o);
    link_ask(BH_WIRE_SAVE, argv[0], NULL, 0, save_part, &bytes);
    if (o->json)
        printf("{\"bytes\": %llu}\n", (unsigned long long)bytes);
    else
        printf("%s saved: %llu KiB\n", argv[0], (unsigned long long)bytes / 1024u);
}

static void restore(const struct options *o, int argc, char **argv)
{
    (void)argc;
    link_open(o);
    link_ask(BH_WIRE_RESTORE, argv[0], NULL, 0, NULL, NULL);
}

const struct verb verbs[] = {
    {"list", "", "the VMs and how they are", 0, 0, list},
    {"screenshot", "VM FILE", "write the VM's screen to a PNG file; -: to stdout", 2, 2,
     verb_screenshot},
    {"text", "VM", "the characters on the VM's screen", 1, 1, verb_text},
    {"type", "VM TEXT...", "type on the VM's keyboard", 2, ARGS_MAX, type},
    {"save", "VM", "save the VM to its store; it goes on", 1, 1, save},
    {"restore", "VM", "make the VM anew as it was saved; what it has done since is lost", 1, 1,
     restore},
    {NULL, NULL, NULL, 0, 0, NULL},
};
