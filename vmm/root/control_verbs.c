/*
 * What bhctl can ask of root: one function per verb, called until it has ended (control.h). A new
 * verb is a function here, a line in the table, a number in bulkhead/wire.h, and its twin in
 * vmm/control/verbs.c. May call: ask.h, VMs. Never waits.
 */
#include "ask.h"
#include "caps.h"
#include "control.h"
#include "fmt.h"
#include "string.h"

#define TYPE_RETRY_US    5000u
#define TYPE_PATIENCE_MS 10000u

static int list(struct control_call *c)
{
    struct bh_wire_vm *w = (struct bh_wire_vm *)c->out;
    const struct vm *vm = &c->vms[c->at];

    if (c->at == c->vm_count) return BH_WIRE_OK;
    memset(w, 0, sizeof(*w));
    (void)fmt_buf(w->name, sizeof(w->name), "%s", vm->config->name);
    (void)fmt_buf(w->label, sizeof(w->label), "%s", vm->config->label);
    w->state = vm->state == VM_RUNNING ? BH_WIRE_VM_RUNNING
               : vm->state == VM_ENDED ? BH_WIRE_VM_ENDED
                                       : BH_WIRE_VM_ABSENT;
    w->cpus = vm->config->cpus;
    w->memory_mib = vm->config->memory_mib;
    if (vm->state == VM_ENDED) {
        w->status = (uint32_t)vm->status;
        (void)fmt_buf(w->reason, sizeof(w->reason), "%s", vm->reason);
    }
    c->out_bytes = sizeof(*w);
    c->at++;
    return CONTROL_GO_ON;
}

static uint64_t after_us(uint64_t us) { return rt_tsc() + (uint64_t)info()->tsc_khz * us / 1000u; }

enum { TYPE_ASK, TYPE_WAIT, TYPE_PAUSE };

/* Devices take what their queues have room for: the rest is offered again, as long as the guest
 * takes something now and then. at: events taken; deadline: end of the patience. */
static int type(struct control_call *c)
{
    struct ask_answer answer;
    uint32_t count = c->in_bytes / (uint32_t)sizeof(struct bh_input);

    if (c->in_bytes % sizeof(struct bh_input) != 0) return BH_WIRE_BAD_REQUEST;
    if (c->step == TYPE_PAUSE && rt_tsc() >= c->pause_tsc) c->step = TYPE_ASK;
    if (c->step == TYPE_ASK) {
        if (c->at >= count) return BH_WIRE_OK;
        if (c->deadline_tsc == 0) c->deadline_tsc = after_us(TYPE_PATIENCE_MS * 1000u);
        ask(c->vm, BH_CONTROL_INPUT, NULL, c->in + c->at * sizeof(struct bh_input),
            (uint32_t)(count - c->at) * (uint32_t)sizeof(struct bh_input));
        c->step = TYPE_WAIT;
    } else if (c->step == TYPE_WAIT && ask_answered(c->vm, &answer, NULL, 0)) {
        if (answer.status != BH_WIRE_OK) return (int)answer.status;
        if (answer.values[0] > count - c->at) return BH_WIRE_NO_ANSWER;
        c->at += answer.values[0];
        if (answer.values[0] != 0) c->deadline_tsc = 0;
        if (c->at < count && c->deadline_tsc != 0 && rt_tsc() > c->deadline_tsc)
            return BH_WIRE_NOT_TAKEN;
        c->pause_tsc = c->at < count ? after_us(TYPE_RETRY_US) : 0;
        c->step = TYPE_PAUSE;
    }
    return CONTROL_GO_ON;
}

const struct control_verb control_verbs[] = {
    {BH_WIRE_LIST, false, list},
    {BH_WIRE_TYPE, true, type},
    {0, false, NULL},
};
