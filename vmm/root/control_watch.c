/*
 * What bhctl asks of root and changes nothing: VMs, protections, figures, records, the manifest.
 * May call: VMs, life.h, status, audit ring.
 */
#include "audit.h"
#include "caps.h"
#include "control.h"
#include "fmt.h"
#include "life.h"
#include "service.h"
#include "status.h"
#include "string.h"
#include "wires.h"

_Static_assert(BH_WIRE_EXITS == BH_MONITOR_EXITS, "all of them");
_Static_assert(BH_WIRE_LINKS == BH_MONITOR_WIRES, "all of them");
_Static_assert(AUDIT_LINE_BYTES <= BH_WIRE_PAYLOAD_BYTES, "a record is a part");

static uint64_t now_ns(void) { return ticks_to_ns(rt_tsc() - info()->root_entry_tsc); }

static uint32_t state_of(const struct vm *vm, uint32_t *left_ms)
{
    static const uint8_t states[] = {
        [VM_CREATED] = BH_WIRE_VM_CREATED, [VM_STARTING] = BH_WIRE_VM_STARTING,
        [VM_RUNNING] = BH_WIRE_VM_RUNNING, [VM_PAUSED] = BH_WIRE_VM_PAUSED,
        [VM_STOPPED] = BH_WIRE_VM_STOPPED, [VM_CRASHED] = BH_WIRE_VM_CRASHED,
    };
    uint64_t left;
    bool stopping = life_stopping(vm, &left);

    *left_ms = stopping ? (uint32_t)left : 0;
    return stopping ? BH_WIRE_VM_STOPPING : states[vm->state];
}

void control_put_vm(struct control_call *c, const struct vm *vm)
{
    struct bh_wire_vm *w = (struct bh_wire_vm *)c->out;
    bool all = !rights_refuse(c->who, MANIFEST_MAY_LIST, vm);

    memset(w, 0, sizeof(*w));
    c->out_bytes = sizeof(*w);
    (void)fmt_buf(w->name, sizeof(w->name), "%s", all || vm == c->vm ? vm->config->name : "?");
    w->state = state_of(vm, &w->left_ms);
    if (!all) return;
    (void)fmt_buf(w->label, sizeof(w->label), "%s", vm->config->label);
    w->cpus = vm->config->cpus;
    w->memory_mib = w->memory_has_mib = vm->config->memory_mib;
    if (vm->pieces) w->memory_has_mib = (vm->pieces_have + 1u) * 2u;
    w->restarts = life_restarts(vm);
    if (vm->state == VM_STOPPED || vm->state == VM_CRASHED) {
        w->status = (uint32_t)vm->status;
        (void)fmt_buf(w->reason, sizeof(w->reason), "%s", vm->reason);
    }
}

/* On to the next VM that one may ask about. @return false: there is none */
static bool next_vm(struct control_call *c)
{
    while (c->at < c->system->vm_count &&
           rights_refuse(c->who, MANIFEST_MAY_LIST, &c->system->vms[c->at]))
        c->at++;
    return c->at < c->system->vm_count;
}

int control_list(struct control_call *c)
{
    if (!next_vm(c)) return BH_WIRE_OK;
    control_put_vm(c, &c->system->vms[c->at++]);
    return CONTROL_GO_ON;
}

int control_protections(struct control_call *c)
{
    struct bh_wire_protection *w = (struct bh_wire_protection *)c->out;
    const char *words;
    bool on;

    if (!status_protection((unsigned)c->at, &on, &words)) return BH_WIRE_OK;
    memset(w, 0, sizeof(*w));
    w->on = on;
    (void)fmt_buf(w->words, sizeof(w->words), "%s", words);
    c->out_bytes = sizeof(*w);
    c->at++;
    return CONTROL_GO_ON;
}

/* Who may not ask about the VM at the other end of a wire is not told that there is one. */
static void put_links(const struct control_call *c, struct bh_wire_stats *w, const struct vm *vm)
{
    w->links = vm->config->wire_count;
    for (unsigned n = 0; n < w->links; n++) {
        struct bh_wire_link *l = &w->link[n];
        const struct vm *peer = wires_peer(vm, n);

        (void)fmt_buf(l->name, sizeof(l->name), "%s", wires_name(vm, n));
        (void)fmt_buf(l->peer, sizeof(l->peer), "%s",
                      rights_refuse(c->who, MANIFEST_MAY_LIST, peer) ? "?" : peer->config->name);
        if (vm_lives(vm)) memcpy(&l->count, &vm->report->wires[n], sizeof(l->count));
    }
}

int control_stats(struct control_call *c)
{
    struct bh_wire_stats *w = (struct bh_wire_stats *)c->out;
    const struct vm *vm;
    uint32_t left_ms;

    if (!next_vm(c)) return BH_WIRE_OK;
    vm = &c->system->vms[c->at];
    memset(w, 0, sizeof(*w));
    (void)fmt_buf(w->name, sizeof(w->name), "%s", vm->config->name);
    w->state = state_of(vm, &left_ms);
    w->cpus = vm->config->cpus;
    w->starts = vm->starts;
    w->restarts = life_restarts(vm);
    w->now_ns = now_ns();
    if (vm_lives(vm)) {
        w->uptime_ns = ticks_to_ns(rt_tsc() - vm->started_tsc);
        w->cpu_ns = ticks_to_ns(vm_cpu_ticks(vm));
        w->memory_bytes = vm->funtyped_bytes + vm->pieces_have * BH_PIECE_BYTES;
        w->memory_max_bytes = vm->funtyped_bytes + vm_pieces(vm->config) * BH_PIECE_BYTES;
        w->kernel_bytes = vm->kuntyped_bytes;
        vm_count_exits(vm, w->exits);
    }
    put_links(c, w, vm);
    c->out_bytes = sizeof(*w);
    c->at++;
    return CONTROL_GO_ON;
}

/* at: the next record. Records that come meanwhile are left for the next time. */
int control_audit(struct control_call *c)
{
    const char *record;

    if (c->step == 0) {
        if (c->in_bytes != sizeof(uint64_t)) return BH_WIRE_BAD_REQUEST;
        memcpy(&c->at, c->in, sizeof(c->at));
        c->words[0] = audit_count();
        if (c->words[0] > AUDIT_RECORDS && c->at < c->words[0] - AUDIT_RECORDS)
            c->at = c->words[0] - AUDIT_RECORDS;
        c->step = 1;
    }
    while (c->at < c->words[0]) {
        record = audit_record(c->at++);
        if (!record) continue; /* overwritten by now */
        c->out_bytes = (uint32_t)strlen(record);
        memcpy(c->out, record, c->out_bytes);
        return CONTROL_GO_ON;
    }
    return BH_WIRE_OK;
}

int control_manifest(struct control_call *c)
{
    uint64_t left = c->system->blob_bytes - c->at;

    if (left == 0) return BH_WIRE_OK;
    c->out_bytes = left < BH_WIRE_PAYLOAD_BYTES ? (uint32_t)left : BH_WIRE_PAYLOAD_BYTES;
    memcpy(c->out, (const uint8_t *)c->system->blob + c->at, c->out_bytes);
    c->at += c->out_bytes;
    return CONTROL_GO_ON;
}

int control_system(struct control_call *c)
{
    struct bh_wire_system *w = (struct bh_wire_system *)c->out;

    if (c->at++ != 0) return BH_WIRE_OK;
    memset(w, 0, sizeof(*w));
    w->abi_version = info()->abi_version;
    w->backend = info()->backend;
    w->cpus = info()->ncpus;
    w->tsc_khz = info()->tsc_khz;
    w->memory_bytes = info()->funtyped_bytes;
    w->pool_bytes = info()->kuntyped_bytes;
    w->now_ns = now_ns();
    w->root_cpu_ns = ticks_to_ns(bh_sc_consumed(BH_SLOT_SC).value);
    w->may = c->who->system;
    c->out_bytes = sizeof(*w);
    return CONTROL_GO_ON;
}
