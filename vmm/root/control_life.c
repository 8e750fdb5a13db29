/*
 * What bhctl asks about the life of VMs: each verb sets something going and follows it to its end,
 * a part each second meanwhile. What is set going goes on when nobody asks any more. May call:
 * life.h, ask.h.
 */
#include "ask.h"
#include "caps.h"
#include "control.h"
#include "fmt.h"
#include "life.h"
#include "patience.h"
#include "string.h"

#define PROGRESS_MS 1000u
#define PAUSE_MS    10000u

static uint64_t after_ms(uint64_t ms) { return patient_tsc() + (uint64_t)info()->tsc_khz * ms; }

/* Who may not kill it leaves it the manifest's time at least. */
static bool wait_given(const struct control_call *c, uint64_t *ms)
{
    *ms = 0;
    if (c->in_bytes == 0) return true;
    if (c->in_bytes != sizeof(*ms)) return false;
    memcpy(ms, c->in, sizeof(*ms));
    if (*ms > MANIFEST_MAX_STOP_S * 1000ull) return false;
    if (*ms < c->vm->config->stop_wait_s * 1000ull &&
        rights_refuse(c->who, MANIFEST_MAY_KILL, c->vm))
        *ms = 0;
    return true;
}

enum { LIFE_BEGIN, LIFE_GOES_ON, LIFE_END };

/* Of a verb that is on its way: once it is @over the VM as it is then, and the end. */
static int follow(struct control_call *c, bool over, int end)
{
    if (c->step == LIFE_BEGIN) {
        c->step = LIFE_GOES_ON;
        c->pause_tsc = after_ms(PROGRESS_MS);
    } else if (c->step == LIFE_END) {
        return end;
    } else if (over) {
        control_put_vm(c, c->vm);
        c->step = LIFE_END;
    } else if (patient_tsc() >= c->pause_tsc) {
        control_put_vm(c, c->vm);
        c->pause_tsc = after_ms(PROGRESS_MS);
    }
    return CONTROL_GO_ON;
}

static bool at_rest(const struct vm *vm)
{
    return !vm_lives(vm) && vm->state != VM_STARTING && !vm->has_ended;
}

/* It has ended; whoever may has perhaps started it anew since. */
static int ended(struct control_call *c)
{
    return follow(c, at_rest(c->vm) || c->vm->starts != (uint32_t)c->at, BH_WIRE_OK);
}

int control_not_started(struct control_call *c)
{
    if (rights_refuse(c->who, MANIFEST_MAY_LIST, c->vm)) return BH_WIRE_NOT_STARTED;
    c->out[0] = '\0';
    c->out_bytes =
        (uint32_t)fmt_buf((char *)c->out + 1, BH_WIRE_PAYLOAD_BYTES - 1u, "%s", c->vm->reason) + 2u;
    return BH_WIRE_NOT_STARTED;
}

/* It runs, or has run; or it was not to be. */
static int started(struct control_call *c)
{
    bool has = c->vm->starts != (uint32_t)c->at && c->vm->made;

    int status = follow(c, has || at_rest(c->vm), has ? BH_WIRE_OK : BH_WIRE_NOT_STARTED);

    return status == BH_WIRE_NOT_STARTED ? control_not_started(c) : status;
}

int control_start(struct control_call *c)
{
    if (c->step == LIFE_BEGIN) {
        uint32_t status = life_start(c->vm);

        if (status != BH_WIRE_OK) return (int)status;
        c->at = c->vm->starts;
    }
    return started(c);
}

int control_restart(struct control_call *c)
{
    if (c->step == LIFE_BEGIN) {
        uint64_t ms;
        uint32_t status = wait_given(c, &ms) ? life_restart(c->vm, ms) : BH_WIRE_BAD_REQUEST;

        if (status != BH_WIRE_OK) return (int)status;
        c->at = c->vm->starts;
    }
    return started(c);
}

int control_stop(struct control_call *c)
{
    if (c->step == LIFE_BEGIN) {
        uint64_t ms;
        uint32_t status = wait_given(c, &ms) ? life_stop(c->vm, ms) : BH_WIRE_BAD_REQUEST;

        if (status != BH_WIRE_OK) return (int)status;
        c->at = c->vm->starts;
    }
    return ended(c);
}

int control_kill(struct control_call *c)
{
    if (c->step == LIFE_BEGIN) {
        uint32_t status = life_kill(c->vm);

        if (status != BH_WIRE_OK) return (int)status;
        c->at = c->vm->starts;
    }
    return ended(c);
}

/* @return CONTROL_GO_ON until the monitor has answered. */
static int ask_and_follow(struct control_call *c, enum bh_control_verb what)
{
    struct ask_answer answer;

    if (c->step == LIFE_BEGIN) {
        if (!ask_free(c->vm)) return ask_wait(c);
        ask(c->vm, c, what, NULL, NULL, 0);
        c->vm->ask_deadline_tsc = after_ms(PAUSE_MS);
    }
    if (c->step == LIFE_GOES_ON) {
        if (!ask_answered(c->vm, c, &answer, NULL, 0)) return CONTROL_GO_ON;
        if (answer.status != BH_WIRE_OK) return (int)answer.status;
        c->vm->state = vm_stands(c->vm) ? VM_PAUSED : VM_RUNNING;
    }
    return follow(c, c->step == LIFE_GOES_ON, BH_WIRE_OK);
}

int control_pause(struct control_call *c)
{
    if (c->step == LIFE_BEGIN && c->vm->state == VM_PAUSED) return BH_WIRE_PAUSED;
    return ask_and_follow(c, BH_CONTROL_PAUSE);
}

int control_resume(struct control_call *c)
{
    if (c->step == LIFE_BEGIN && c->vm->state != VM_PAUSED) return BH_WIRE_RUNS;
    return ask_and_follow(c, BH_CONTROL_RESUME);
}

/* Each second one of those that are still there; at the end there is none. */
int control_shutdown(struct control_call *c)
{
    const struct control_system *s = c->system;

    if (c->step++ == 0) life_shut_down();
    if (life_is_down()) return BH_WIRE_OK;
    if (patient_tsc() < c->pause_tsc) return CONTROL_GO_ON;
    c->pause_tsc = after_ms(PROGRESS_MS);
    for (unsigned i = 0; i < s->vm_count; i++)
        if (vm_lives(&s->vms[i])) {
            control_put_vm(c, &s->vms[i]);
            break;
        }
    return CONTROL_GO_ON;
}
