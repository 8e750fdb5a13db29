/* Who reaches whom through what; see views.h. */
#include <stdio.h>
#include <string.h>
#include "views.h"

/* Who or what an edge begins or ends at: a VM's name, or something beside the VMs. */
struct edge {
    const char *from, *to, *through;
    bool both;    /* bytes go both ways */
    bool to_file; /* `to` is a file of the boot archive */
    bool around;  /* the policy VM */
};

typedef void edge_fn(void *ctx, const struct edge *e);

/* The words for these rights, of those that concern VMs, or the system: there none that is of VMs
 * as well ("life"). */
static void words_text(char *text, size_t room, uint32_t may, uint32_t of)
{
    const char *between = "";

    may &= of;
    text[0] = '\0';
    for (const struct manifest_may_word *w = manifest_may_words; w->word != NULL; w++) {
        const uint32_t bits = w->bits & of;
        if (of == MANIFEST_MAY_SYSTEM && bits != w->bits) {
            continue;
        }
        if (bits != 0 && (may & bits) == bits) {
            const size_t used = strlen(text);
            (void)snprintf(text + used, room - used, "%s%s", between, w->word);
            between = ", ";
            may &= ~bits;
        }
    }
}

/* The words for what somebody may do with a VM that has what it takes. */
static void may_text(char *text, size_t room, uint32_t may, const struct manifest_vm *vm)
{
    if (vm->display != MANIFEST_DISPLAY_VGA) {
        may &= ~(uint32_t)(MANIFEST_MAY_SCREENSHOT | MANIFEST_MAY_TYPE);
    }
    if (vm->save_mib == 0) {
        may &= ~(uint32_t)MANIFEST_MAY_STORE;
    }
    words_text(text, room, may, ~(uint32_t)MANIFEST_MAY_SYSTEM);
}

static void host_edges(const struct manifest *m, const struct manifest_vm *vm, edge_fn *fn,
                       void *ctx)
{
    char text[256];

    if (vm->console == MANIFEST_CONSOLE_SERIAL) {
        fn(ctx, &(struct edge){"COM1", vm->name, "console", true, false, false});
    }
    may_text(text, sizeof(text), m->host_may, vm);
    if (text[0] != '\0') {
        fn(ctx, &(struct edge){"bhctl", vm->name, text, false, false, false});
    }
}

/* Whom a VM may control, by its own control channel; and what of all of them together. */
static void may_edges(const struct manifest *m, const struct manifest_vm *vm, edge_fn *fn,
                      void *ctx)
{
    char text[256];

    for (uint32_t i = 0; i < m->vm_count; i++) {
        may_text(text, sizeof(text), vm->may[i], &m->vms[i]);
        if (text[0] != '\0') {
            fn(ctx, &(struct edge){vm->name, m->vms[i].name, text, false, false, false});
        }
    }
    words_text(text, sizeof(text), vm->may_system, MANIFEST_MAY_SYSTEM);
    if (text[0] != '\0') {
        fn(ctx, &(struct edge){vm->name, "the system", text, false, false, false});
    }
}

static void vm_edges(const struct manifest_vm *vm, edge_fn *fn, void *ctx)
{
    if (vm->network == MANIFEST_NETWORK_LOOPBACK) {
        fn(ctx, &(struct edge){vm->name, "reflector", "network card", true, false, false});
    }
    for (uint32_t k = 0; k < vm->disk_count; k++) {
        if (vm->disks[k].image != NULL) {
            fn(ctx,
               &(struct edge){vm->name, vm->disks[k].image, vm->disks[k].name, false, true, false});
        }
    }
}

static void all_edges(const struct manifest *m, edge_fn *fn, void *ctx)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        host_edges(m, &m->vms[i], fn, ctx);
        vm_edges(&m->vms[i], fn, ctx);
        may_edges(m, &m->vms[i], fn, ctx);
    }
    for (uint32_t i = 0; i < m->wire_count; i++) {
        const struct manifest_wire *w = &m->wires[i];
        fn(ctx, &(struct edge){m->vms[w->vm[0]].name, m->vms[w->vm[1]].name, w->name, true, false,
                               manifest_wire_around(m, w)});
    }
}

static const char *arrow(const struct edge *e) { return e->both ? "<->" : "->"; }

static void text_edge(void *ctx, const struct edge *e)
{
    (void)ctx;
    printf("%s %s %s: %s%s%s\n", e->from, arrow(e), e->to, e->through,
           e->to_file ? ", only read" : "", e->around ? ", around the policy VM" : "");
}

static void dot_edge(void *ctx, const struct edge *e)
{
    (void)ctx;
    if (e->to_file) {
        printf("    \"%s\" [shape=note];\n", e->to);
    }
    printf("    \"%s\" -> \"%s\" [label=\"%s%s\"%s%s%s];\n", e->from, e->to, e->through,
           e->around ? ", around the policy VM" : "", e->both ? ", dir=both" : "",
           e->to_file ? ", style=dotted" : "", e->around ? ", color=red" : "");
}

static void print_dot(const struct manifest *m)
{
    bool on;
    const char *words = manifest_path_words(m, &on);

    printf("digraph manifest {\n    rankdir=LR;\n    node [shape=box];\n"
           "    \"COM1\" [shape=ellipse];\n    \"bhctl\" [shape=ellipse];\n");
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        printf("    \"%s\" [label=\"", vm->name);
        for (const char *c = vm->label; *c != '\0'; c++) { /* printable ASCII, by its rule */
            printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        }
        printf("\\n%u MiB\"%s];\n", vm->memory_mib, i == m->policy_vm ? ", style=bold" : "");
    }
    if (words != NULL) {
        printf("    label=\"protection %s %s\";\n", on ? "on:" : "OFF:", words);
    }
    all_edges(m, dot_edge, NULL);
    printf("}\n");
}

static bool runs_on(const struct manifest_vm *vm, uint32_t cpu)
{
    for (uint32_t k = 0; k < vm->cpus; k++) {
        if (vm->vcpu_cpu[k] == cpu) {
            return true;
        }
    }
    return false;
}

/* VMs that run on a CPU together: what one does can be timed by the other. */
static void shared_cpus(const struct manifest *m)
{
    for (uint32_t cpu = 0; cpu < MANIFEST_MAX_CPUS; cpu++) {
        uint32_t on = 0;
        for (uint32_t i = 0; i < m->vm_count; i++) {
            on += runs_on(&m->vms[i], cpu) ? 1u : 0u;
        }
        if (on < 2) {
            continue;
        }
        printf("CPU %u is shared, in turns, by", cpu);
        for (uint32_t i = 0; i < m->vm_count; i++) {
            if (runs_on(&m->vms[i], cpu)) {
                printf(" %s", m->vms[i].name);
            }
        }
        printf("\n");
    }
}

struct vm_set reached(const struct manifest *m, uint32_t from, uint32_t avoid)
{
    struct vm_set all = {{0}};
    bool more = true;

    manifest_add_to_set(all.word, from);
    while (more) {
        more = false;
        for (uint32_t i = 0; i < m->wire_count; i++) {
            const uint32_t *vm = m->wires[i].vm;
            if (vm[0] != avoid && vm[1] != avoid &&
                manifest_in_set(all.word, vm[0]) != manifest_in_set(all.word, vm[1])) {
                manifest_add_to_set(all.word, vm[0]);
                manifest_add_to_set(all.word, vm[1]);
                more = true;
            }
        }
    }
    return all;
}

static bool wired(const struct manifest *m, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < m->wire_count; i++) {
        const uint32_t *vm = m->wires[i].vm;
        if ((vm[0] == a && vm[1] == b) || (vm[0] == b && vm[1] == a)) {
            return true;
        }
    }
    return false;
}

static void who_reaches_whom(const struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct vm_set all = reached(m, i, MANIFEST_MAX_VMS);
        const char *between = " reaches ";
        printf("%s", m->vms[i].name);
        for (uint32_t j = 0; j < m->vm_count; j++) {
            if (j != i && manifest_in_set(all.word, j)) {
                printf("%s%s%s", between, m->vms[j].name,
                       wired(m, i, j) ? "" : " (through others)");
                between = ", ";
            }
        }
        printf("%s\n", m->vms[i].wire_count == 0 ? " reaches no other VM" : "");
    }
}

void graph(const struct manifest *m, bool dot)
{
    bool on;

    if (dot) {
        print_dot(m);
        return;
    }
    all_edges(m, text_edge, NULL);
    shared_cpus(m);
    who_reaches_whom(m);
    const char *words = manifest_path_words(m, &on);
    if (words != NULL) {
        printf("protection %s %s\n", on ? "on: " : "OFF:", words);
    }
}
