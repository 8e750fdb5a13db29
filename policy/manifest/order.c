/*
 * The rules on the life of VMs: which are started after which, and which are started again.
 * May call: report.h, memcmp-class functions. Never reads the blob other than through parsed
 * strings.
 */
#include "rules.h"

#include <string.h>

#define RESTARTS_DEFAULT 5u
#define WAIT_DEFAULT_MS  1000u

static const char vms_path[] = "/vms/";

/* The VM of this name; vm_count: there is none. */
static uint32_t find(const struct manifest *m, const char *name)
{
    uint32_t i = 0;
    while (i < m->vm_count && strcmp(m->vms[i].name, name) != 0) {
        i++;
    }
    return i;
}

static void name_error(struct report *r, const struct manifest_vm *vm, const char *name,
                       const char *text, enum manifest_rule_id rule)
{
    report_begin(r, vms_path, vm->name, "after");
    report_text(r, "\"");
    report_text(r, name);
    report_text(r, text);
    report_end(r, rule);
}

/* From names to bits. */
static void resolve(struct report *r, const struct manifest *m, struct manifest_vm *vm)
{
    const char *end = vm->after_names.text + vm->after_names.bytes;
    for (const char *name = vm->after_names.text; name < end; name += strlen(name) + 1) {
        const uint32_t i = find(m, name);
        if (i == m->vm_count) {
            name_error(r, vm, name,
                       "\" is not a VM of this manifest; correct the name, or remove it",
                       RULE_AFTER_KNOWN);
        } else if (manifest_in_set(vm->after, i)) {
            name_error(r, vm, name, "\" is there twice; remove one", RULE_AFTER_KNOWN);
        } else {
            manifest_add_to_set(vm->after, i);
        }
    }
}

static void check_boot(struct report *r, const struct manifest *m, const struct manifest_vm *vm)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        if (manifest_in_set(vm->after, i) && vm->start == MANIFEST_START_BOOT &&
            m->vms[i].start != MANIFEST_START_BOOT) {
            name_error(r, vm, m->vms[i].name,
                       "\" is started by hand only, and this VM at boot; give both the same start",
                       RULE_AFTER_BOOT);
        }
    }
}

/* The first of the VMs in both sets; MANIFEST_MAX_VMS: there is none. */
static uint32_t first_of_both(const uint64_t *a, const uint64_t *b)
{
    for (uint32_t i = 0; i < MANIFEST_VM_WORDS; i++) {
        if ((a[i] & b[i]) != 0) {
            return i * 64u + (uint32_t)__builtin_ctzll(a[i] & b[i]);
        }
    }
    return MANIFEST_MAX_VMS;
}

/* Take away, again and again, what waits for nothing that is left: what stays waits for itself. */
static void check_cycle(struct report *r, const struct manifest *m)
{
    uint64_t left[MANIFEST_VM_WORDS] = {0};
    for (uint32_t i = 0; i < m->vm_count; i++) {
        manifest_add_to_set(left, i);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < m->vm_count; i++) {
            if (manifest_in_set(left, i) &&
                first_of_both(m->vms[i].after, left) == MANIFEST_MAX_VMS) {
                left[i / 64u] &= ~(1ull << (i % 64u));
                changed = true;
            }
        }
    }
    uint32_t at = first_of_both(left, left);
    if (at == MANIFEST_MAX_VMS) {
        return;
    }
    /* Along the first name each, as many steps as there are VMs: the walk is in a cycle then. */
    for (uint32_t i = 0; i < m->vm_count; i++) {
        at = first_of_both(m->vms[at].after, left);
    }
    const uint32_t first = at;
    report_begin(r, vms_path, m->vms[first].name, "after");
    report_text(r, m->vms[first].name);
    do {
        at = first_of_both(m->vms[at].after, left);
        report_text(r, " waits for ");
        report_text(r, m->vms[at].name);
        report_text(r, at == first ? "" : ", which");
    } while (at != first);
    report_text(r, "; remove one of these names");
    report_end(r, RULE_AFTER_CYCLE);
}

void manifest_check_order(struct report *r, struct manifest *m)
{
    const unsigned before = r->errors;
    for (uint32_t i = 0; i < m->vm_count; i++) {
        if (m->vms[i].after_names.text != NULL) {
            resolve(r, m, &m->vms[i]);
        }
    }
    if (r->errors != before) {
        return;
    }
    check_cycle(r, m);
    for (uint32_t i = 0; i < m->vm_count; i++) {
        check_boot(r, m, &m->vms[i]);
    }
}

static void unused(struct report *r, const struct manifest_vm *vm, const char *property,
                   const char *text)
{
    report_begin(r, vms_path, vm->name, property);
    report_text(r, text);
    report_end(r, RULE_RESTART_USED);
}

void manifest_check_restart(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        struct manifest_vm *vm = &m->vms[i];
        if (vm->restart_count != UINT32_MAX && vm->restart != MANIFEST_RESTART_LIMITED) {
            unused(r, vm, "restart-count",
                   "counts for restart = \"limited\" only; add that, or remove this");
        }
        if (vm->restart_wait_ms != UINT32_MAX && vm->restart == MANIFEST_RESTART_NEVER) {
            unused(r, vm, "restart-wait-ms",
                   "is of no use to a VM that is never restarted; give it restart, or remove this");
        }
        if (vm->restart_count == UINT32_MAX) {
            vm->restart_count = RESTARTS_DEFAULT;
        }
        if (vm->restart_wait_ms == UINT32_MAX) {
            vm->restart_wait_ms = WAIT_DEFAULT_MS;
        }
    }
}
