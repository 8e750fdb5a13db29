/*
 * What bhctl can ask of root, and the verbs that a monitor answers: one function per verb, called
 * until it has ended (control.h). A new verb is a function here, a line in the table, a number in
 * bulkhead/wire.h, and its twin in vmm/control/verbs.c. May call: ask.h, VMs. Never waits.
 */
#include "ask.h"
#include "caps.h"
#include "control.h"
#include "life.h"
#include "patience.h"
#include "string.h"

#define TYPE_RETRY_US    5000u
#define TYPE_PATIENCE_MS 10000u

static uint64_t after_us(uint64_t us)
{
    return patient_tsc() + (uint64_t)info()->tsc_khz * us / 1000u;
}

enum { TYPE_ASK, TYPE_WAIT, TYPE_PAUSE };

/* Devices take what their queues have room for: the rest is offered again, as long as the guest
 * takes something now and then. at: events taken; deadline: end of the patience. */
static int type(struct control_call *c)
{
    struct ask_answer answer;
    uint32_t count = c->in_bytes / (uint32_t)sizeof(struct bh_input);

    if (c->in_bytes % sizeof(struct bh_input) != 0) return BH_WIRE_BAD_REQUEST;
    if (c->step == TYPE_PAUSE && patient_tsc() >= c->pause_tsc) c->step = TYPE_ASK;
    if (c->step == TYPE_ASK) {
        if (c->at >= count) return BH_WIRE_OK;
        if (!ask_free(c->vm)) return ask_wait(c);
        if (c->deadline_tsc == 0) c->deadline_tsc = after_us(TYPE_PATIENCE_MS * 1000u);
        ask(c->vm, c, BH_CONTROL_INPUT, NULL, c->in + c->at * sizeof(struct bh_input),
            (uint32_t)(count - c->at) * (uint32_t)sizeof(struct bh_input));
        c->step = TYPE_WAIT;
    } else if (c->step == TYPE_WAIT && ask_answered(c->vm, c, &answer, NULL, 0)) {
        if (answer.status != BH_WIRE_OK) return (int)answer.status;
        if (answer.values[0] > count - c->at) return BH_WIRE_NO_ANSWER;
        c->at += answer.values[0];
        if (answer.values[0] != 0) c->deadline_tsc = 0;
        if (c->at < count && c->deadline_tsc != 0 && patient_tsc() > c->deadline_tsc)
            return BH_WIRE_NOT_TAKEN;
        c->pause_tsc = c->at < count ? after_us(TYPE_RETRY_US) : 0;
        c->step = TYPE_PAUSE;
    }
    return CONTROL_GO_ON;
}

const struct control_verb control_verbs[] = {
    {BH_WIRE_LIST, "list", MANIFEST_MAY_LIST, OF_SEVERAL, control_list},
    {BH_WIRE_TYPE, "type", MANIFEST_MAY_TYPE, OF_LIVING_VM, type},
    {BH_WIRE_SCREENSHOT, "screenshot", MANIFEST_MAY_SCREENSHOT, OF_LIVING_VM, control_screenshot},
    {BH_WIRE_SAVE, "save", MANIFEST_MAY_SAVE, OF_LIVING_VM, control_save},
    {BH_WIRE_RESTORE, "restore", MANIFEST_MAY_RESTORE, OF_VM, control_restore},
    {BH_WIRE_STORE_READ, "store-read", MANIFEST_MAY_SAVE, OF_FILE, control_store_read},
    {BH_WIRE_STORE_WRITE, "store-write", MANIFEST_MAY_RESTORE, OF_FILE, control_store_write},
    {BH_WIRE_START, "start", MANIFEST_MAY_START, OF_VM, control_start},
    {BH_WIRE_STOP, "stop", MANIFEST_MAY_STOP, OF_VM, control_stop},
    {BH_WIRE_KILL, "kill", MANIFEST_MAY_KILL, OF_VM, control_kill},
    {BH_WIRE_RESTART, "restart", MANIFEST_MAY_RESTART, OF_VM, control_restart},
    {BH_WIRE_PAUSE, "pause", MANIFEST_MAY_PAUSE, OF_LIVING_VM, control_pause},
    {BH_WIRE_RESUME, "resume", MANIFEST_MAY_RESUME, OF_LIVING_VM, control_resume},
    {BH_WIRE_SHUTDOWN, "shutdown", MANIFEST_MAY_SHUTDOWN, OF_SYSTEM, control_shutdown},
    {BH_WIRE_PROTECTIONS, "status", MANIFEST_MAY_STATUS, OF_SYSTEM, control_protections},
    {BH_WIRE_STATS, "stats", MANIFEST_MAY_LIST, OF_SEVERAL, control_stats},
    {BH_WIRE_AUDIT, "audit", MANIFEST_MAY_AUDIT, OF_SYSTEM, control_audit},
    {BH_WIRE_MANIFEST, "manifest", MANIFEST_MAY_MANIFEST, OF_SYSTEM, control_manifest},
    {BH_WIRE_SYSTEM, "version", MANIFEST_MAY_STATUS, OF_SYSTEM, control_system},
    {BH_WIRE_CONSOLE, "console", MANIFEST_MAY_CONSOLE, OF_VM, control_console},
    {0, NULL, 0, OF_SYSTEM, NULL},
};
