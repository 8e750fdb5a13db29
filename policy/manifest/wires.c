/*
 * The rules of wires between VMs, which VMs their ends are, and whether one is the policy VM. May
 * call: report.h, strcmp-class functions. Never reads the blob other than through the parsed
 * strings.
 */
#include "rules.h"

#include <string.h>

const char manifest_wires_path[] = "/wires/";

static void wire_error(struct report *r, const struct manifest_wire *w, const char *name,
                       const char *text, enum manifest_rule_id rule)
{
    report_begin(r, manifest_wires_path, w->name, "ends");
    if (name != NULL) {
        report_text(r, "\"");
        report_text(r, name);
        report_text(r, "\" ");
    }
    report_text(r, text);
    report_end(r, rule);
}

/* @return false: reported */
static bool two_ends(struct report *r, const struct manifest_wire *w, const char *end[2])
{
    const char *const last = w->ends.text + w->ends.bytes;
    unsigned ends = 0;

    for (const char *text = w->ends.text; text < last; text += strlen(text) + 1, ends++) {
        if (ends < 2) {
            end[ends] = text;
        }
    }
    if (ends == 2) {
        return true;
    }
    wire_error(r, w, NULL, "a wire has two ends; give the names of two VMs", RULE_WIRE_TWO_ENDS);
    return false;
}

/* The VM of this name; MANIFEST_MAX_VMS: there is none. */
static uint32_t find_vm(const struct manifest *m, const char *name)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        if (strcmp(m->vms[i].name, name) == 0) {
            return i;
        }
    }
    return MANIFEST_MAX_VMS;
}

static bool find_end(struct report *r, const struct manifest *m, const struct manifest_wire *w,
                     const char *name, uint32_t *vm)
{
    *vm = find_vm(m, name);
    if (*vm != MANIFEST_MAX_VMS) {
        return true;
    }
    wire_error(r, w, name, "is no VM of this manifest; correct the name or describe the VM",
               RULE_WIRE_END_KNOWN);
    return false;
}

static void connect(struct report *r, struct manifest *m, uint32_t number, unsigned end)
{
    struct manifest_wire *w = &m->wires[number];
    struct manifest_vm *vm = &m->vms[w->vm[end]];

    if (vm->wire_count == MANIFEST_MAX_VM_WIRES) {
        wire_error(r, w, vm->name, "has 4 wires already, and can have no more; leave one out",
                   RULE_WIRE_COUNT);
        return;
    }
    w->card[end] = vm->wire_count;
    vm->wires[vm->wire_count++] = number;
}

static void check_name(struct report *r, const struct manifest *m, uint32_t number)
{
    for (uint32_t j = 0; j < number; j++) {
        if (strcmp(m->wires[number].name, m->wires[j].name) == 0) {
            report_begin(r, manifest_wires_path, m->wires[number].name, NULL);
            report_text(r, "the name is given to two wires; rename one of them");
            report_end(r, RULE_WIRE_NAME_UNIQUE);
            return;
        }
    }
}

bool manifest_wire_around(const struct manifest *m, const struct manifest_wire *w)
{
    return m->policy_vm != MANIFEST_MAX_VMS && w->vm[0] != m->policy_vm && w->vm[1] != m->policy_vm;
}

const char *manifest_path_words(const struct manifest *m, bool *on)
{
    bool around = false;

    if (m->wire_count == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < m->wire_count; i++) {
        around = around || manifest_wire_around(m, &m->wires[i]);
    }
    *on = m->policy_vm != MANIFEST_MAX_VMS && !around;
    if (m->policy_vm == MANIFEST_MAX_VMS) {
        return "no policy VM stands in the network path: wires join VMs directly";
    }
    return around ? "wires go around the policy VM" : "every wire ends at the policy VM";
}

static void find_policy_vm(struct report *r, struct manifest *m)
{
    m->policy_vm = MANIFEST_MAX_VMS;
    if (m->policy_name == NULL) {
        return;
    }
    m->policy_vm = find_vm(m, m->policy_name);
    if (m->policy_vm == MANIFEST_MAX_VMS) {
        report_begin(r, "/system", NULL, "policy-vm");
        report_text(r, "\"");
        report_text(r, m->policy_name);
        report_text(r, "\" is no VM of this manifest; correct the name or describe the VM");
        report_end(r, RULE_POLICY_VM_KNOWN);
    }
}

/* Both ends are known. */
static void check_path(struct report *r, const struct manifest *m, const struct manifest_wire *w)
{
    const bool around = manifest_wire_around(m, w);

    if (around && w->around_policy == 0) {
        report_begin(r, manifest_wires_path, w->name, "ends");
        report_text(r, "it joins \"");
        report_text(r, m->vms[w->vm[0]].name);
        report_text(r, "\" to \"");
        report_text(r, m->vms[w->vm[1]].name);
        report_text(r, "\" around the policy VM; make \"");
        report_text(r, m->policy_name);
        report_text(r, "\" one of its ends, or add around-policy if that is meant");
        report_end(r, RULE_WIRE_THROUGH_POLICY);
    } else if (!around && w->around_policy != 0) {
        report_begin(r, manifest_wires_path, w->name, "around-policy");
        report_text(r, m->policy_name != NULL
                           ? "the wire ends at the policy VM; remove this, or change ends"
                           : "there is no policy VM; name one in /system, or remove this");
        report_end(r, RULE_AROUND_POLICY_USED);
    }
}

void manifest_check_wires(struct report *r, struct manifest *m)
{
    find_policy_vm(r, m);
    for (uint32_t i = 0; i < m->wire_count; i++) {
        struct manifest_wire *w = &m->wires[i];
        const char *end[2];

        check_name(r, m, i);
        if (!two_ends(r, w, end) || !find_end(r, m, w, end[0], &w->vm[0]) ||
            !find_end(r, m, w, end[1], &w->vm[1])) {
            continue;
        }
        if (w->vm[0] == w->vm[1]) {
            wire_error(r, w, end[0], "is at both ends; a wire joins two different VMs",
                       RULE_WIRE_ENDS_DIFFER);
            continue;
        }
        connect(r, m, i, 0);
        connect(r, m, i, 1);
        if (m->policy_name == NULL || m->policy_vm != MANIFEST_MAX_VMS) {
            check_path(r, m, w);
        }
    }
}
