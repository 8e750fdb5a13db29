/* When VMs are started and ended; see life.h. */
#include "life.h"
#include "ask.h"
#include "caps.h"
#include "elastic.h"
#include "fmt.h"
#include "log.h"
#include "patience.h"

#define RUN_GOOD_MS 60000u /* a run this long ends a row of restarts */
#define WAIT_MAX_MS 60000u
#define WAIT_MIN_MS 100u /* but for the first of a row */
#define RESUME_MS   1000u
#define PRESS_MS    5000u /* a guest that boots does not hear its button yet */

/* Beside struct vm: what is meant to become of it. */
static struct plan {
    uint64_t start_tsc;  /* STARTING: not before */
    uint64_t stop_tsc;   /* it has been asked to stop, and is killed then; 0: it has not */
    uint64_t press_tsc;  /* stopping, its power button is pressed again then */
    uint64_t resume_tsc; /* stopping, it has been asked to go on until then */
    bool again;          /* it is started when it has stopped */
    bool by_rule;        /* it is started anew, by its rule: and again if that fails */
    uint32_t in_row, restarts;
} plans[VMS_MAX];

static struct vm *vms;
static unsigned vm_count;
static uint64_t root_ntfn;
static bool shutting_down;

static struct plan *plan_of(const struct vm *vm) { return &plans[vm->number]; }

static uint64_t after_ms(uint64_t ms) { return patient_tsc() + (uint64_t)info()->tsc_khz * ms; }

static void start_at(struct vm *vm, uint64_t tsc)
{
    vm->state = VM_STARTING;
    vm->has_ended = false;
    plan_of(vm)->start_tsc = tsc;
    plan_of(vm)->stop_tsc = 0;
    plan_of(vm)->again = plan_of(vm)->by_rule = false;
}

void life_init(struct vm *all, unsigned count, uint64_t ntfn)
{
    vms = all;
    vm_count = count;
    root_ntfn = ntfn;
    for (unsigned i = 0; i < count; i++)
        if (vms[i].config->start == MANIFEST_START_BOOT) start_at(&vms[i], 0);
}

/* ---- asked for ---- */

/* @return whether there was one that was not in @set. */
static bool add_all(uint64_t *set, const uint64_t *others)
{
    bool more = false;

    for (unsigned i = 0; i < MANIFEST_VM_WORDS; i++) {
        more = more || (others[i] & ~set[i]) != 0;
        set[i] |= others[i];
    }
    return more;
}

uint32_t life_start(struct vm *vm)
{
    uint64_t need[MANIFEST_VM_WORDS] = {0};
    bool more = true;

    if (shutting_down) return BH_WIRE_SHUTTING_DOWN;
    if (vm_lives(vm)) return BH_WIRE_RUNS;
    /* All that it is after, and what those are after. */
    manifest_add_to_set(need, vm->number);
    while (more) {
        more = false;
        for (unsigned i = 0; i < vm_count; i++)
            if (manifest_in_set(need, i)) more = add_all(need, vms[i].config->after) || more;
    }
    for (unsigned i = 0; i < vm_count; i++)
        if (manifest_in_set(need, i) && !vm_lives(&vms[i])) {
            start_at(&vms[i], patient_tsc());
            plans[i].in_row = 0;
        }
    return BH_WIRE_OK;
}

static void cancel_start(struct vm *vm)
{
    vm->state = VM_STOPPED;
    vm->status = 0;
    (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s: stopped before it was started",
                  vm->config->name);
}

static void press(struct vm *vm)
{
    vm_signal_stop(vm);
    plan_of(vm)->press_tsc = after_ms(PRESS_MS);
}

uint32_t life_stop(struct vm *vm, uint64_t wait_ms)
{
    uint64_t end_tsc;

    if (vm->state == VM_STARTING) {
        cancel_start(vm);
        return BH_WIRE_OK;
    }
    if (!vm_lives(vm)) return BH_WIRE_NOT_RUNNING;
    end_tsc = after_ms(wait_ms ? wait_ms : vm->config->stop_wait_s * 1000ull);
    /* Asked again it does not get more time: a guest that may stop itself would live for ever. */
    if (plan_of(vm)->stop_tsc == 0 || end_tsc < plan_of(vm)->stop_tsc)
        plan_of(vm)->stop_tsc = end_tsc;
    plan_of(vm)->again = false;
    press(vm);
    return BH_WIRE_OK;
}

uint32_t life_kill(struct vm *vm)
{
    if (vm->state == VM_STARTING) {
        cancel_start(vm);
        return BH_WIRE_OK;
    }
    if (!vm_lives(vm)) return BH_WIRE_NOT_RUNNING;
    plan_of(vm)->stop_tsc = patient_tsc();
    plan_of(vm)->again = false;
    vm_kill(vm, "killed");
    return BH_WIRE_OK;
}

uint32_t life_restart(struct vm *vm, uint64_t wait_ms)
{
    uint32_t status;

    if (shutting_down) return BH_WIRE_SHUTTING_DOWN;
    if (!vm_lives(vm)) return life_start(vm);
    status = life_stop(vm, wait_ms);
    plan_of(vm)->again = status == BH_WIRE_OK;
    return status;
}

/* @return the first that it is after and that does not run, or NULL */
static const struct vm *missing(const struct vm *vm)
{
    for (unsigned i = 0; i < vm_count; i++)
        if (manifest_in_set(vm->config->after, i) && !vm_lives(&vms[i])) return &vms[i];
    return NULL;
}

static void not_started(struct vm *vm, const struct vm *needs)
{
    (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s not started: it is after %s",
                  vm->config->name, needs->config->name);
    audit_begin("vm-not-started");
    audit_text("vm", vm->config->name);
    audit_text("rule", "after");
    audit_text("needs", needs->config->name);
    audit_end();
}

/* Unlike a start it starts no others: what is restored goes on in the middle of things. */
uint32_t life_restore(struct vm *vm)
{
    const struct vm *needs = vm_lives(vm) ? NULL : missing(vm);

    if (shutting_down) return BH_WIRE_SHUTTING_DOWN;
    if (needs) {
        not_started(vm, needs);
        return BH_WIRE_NOT_STARTED;
    }
    plan_of(vm)->stop_tsc = 0;
    plan_of(vm)->again = false;
    return vm_restore(vm) ? BH_WIRE_OK : BH_WIRE_NOT_MADE;
}

bool life_stopping(const struct vm *vm, uint64_t *left_ms)
{
    uint64_t now = patient_tsc(), end = plan_of(vm)->stop_tsc;

    *left_ms = end > now ? (end - now) / info()->tsc_khz : 0;
    return vm_lives(vm) && end != 0;
}

uint32_t life_restarts(const struct vm *vm) { return plan_of(vm)->restarts; }

/* ---- what follows ---- */

/* The manifest's rule for a VM that has ended by itself. @return true: it is started again */
static bool rule_restarts(const struct vm *vm)
{
    const struct manifest_vm *c = vm->config;
    struct plan *p = plan_of(vm);
    bool wanted =
        c->restart == MANIFEST_RESTART_ALWAYS ||
        (c->restart == MANIFEST_RESTART_LIMITED && (vm->state == VM_CRASHED || vm->guest_reset));

    if (rt_tsc() - vm->started_tsc > (uint64_t)info()->tsc_khz * RUN_GOOD_MS) p->in_row = 0;
    if (!wanted) return false;
    if (c->restart == MANIFEST_RESTART_ALWAYS || p->in_row < c->restart_count) return true;
    audit_begin("vm-given-up");
    audit_text("vm", c->name);
    audit_text("rule", "restart");
    audit_number("restarts", p->in_row);
    audit_end();
    return false;
}

/* Each wait of a row is twice the last one, and none but the first is nothing: making a VM anew is
 * root's work, and a guest that ends at once must not keep it busy. */
static uint64_t restart_wait_ms(const struct vm *vm)
{
    uint64_t ms = vm->config->restart_wait_ms;
    uint64_t most = ms > WAIT_MAX_MS ? ms : WAIT_MAX_MS;

    for (uint32_t i = 0; i < plan_of(vm)->in_row && ms < most; i++) ms = ms ? ms * 2u : WAIT_MIN_MS;
    return ms < most ? ms : most;
}

static void look_at_end(struct vm *vm)
{
    struct plan *p = plan_of(vm);
    bool asked = p->stop_tsc != 0, again = p->again;

    vm->has_ended = false;
    p->stop_tsc = 0;
    p->again = false;
    if (shutting_down) return;
    if (again) {
        start_at(vm, patient_tsc());
    } else if (!asked && rule_restarts(vm)) {
        uint64_t ms = restart_wait_ms(vm);

        p->in_row++;
        p->restarts++;
        audit_begin("vm-restart");
        audit_text("vm", vm->config->name);
        audit_number("in_row", p->in_row);
        audit_number("wait_ms", ms);
        audit_end();
        start_at(vm, after_ms(ms));
        p->by_rule = true;
    }
}

/* @return true when all run that this one is after. One that will not: nor will this. */
static bool others_run(struct vm *vm)
{
    bool run = true;

    for (unsigned i = 0; i < vm_count; i++) {
        if (!manifest_in_set(vm->config->after, i) || vm_lives(&vms[i])) continue;
        run = false;
        if (vms[i].state == VM_STARTING) continue;
        vm->state = VM_STOPPED;
        not_started(vm, &vms[i]);
        return false;
    }
    return run;
}

/* A VM is stopped when none is left that is after it. */
static void stop_next(void)
{
    for (unsigned i = 0; i < vm_count; i++) {
        bool needed = false;

        for (unsigned j = 0; j < vm_count; j++)
            needed = needed || (manifest_in_set(vms[j].config->after, i) && vm_lives(&vms[j]));
        if (vms[i].state == VM_STARTING)
            cancel_start(&vms[i]);
        else if (!needed && vm_lives(&vms[i]) && plans[i].stop_tsc == 0)
            (void)life_stop(&vms[i], 0);
    }
}

/* To stop it has to run, whoever lets it stand still, before or meanwhile. */
static void go_on_to_stop(struct vm *vm, uint64_t now)
{
    struct plan *p = plan_of(vm);

    if (vm->state != VM_PAUSED || p->stop_tsc == 0 || now < p->resume_tsc || !ask_free(vm)) return;
    ask(vm, NULL, BH_CONTROL_RESUME, NULL, NULL, 0);
    p->resume_tsc = after_ms(RESUME_MS);
}

void life_poll(void)
{
    uint64_t now = patient_tsc();

    if (shutting_down) stop_next();
    for (unsigned i = 0; i < vm_count; i++) {
        struct vm *vm = &vms[i];

        if (vm_lives(vm)) vm->state = vm_stands(vm) ? VM_PAUSED : VM_RUNNING;
        go_on_to_stop(vm, now);
        if (vm_lives(vm) && plans[i].stop_tsc != 0) {
            if (now >= plans[i].stop_tsc)
                vm_kill(vm, "killed: it has not stopped in time");
            else if (now >= plans[i].press_tsc)
                press(vm);
        }
        if (vm->has_ended) look_at_end(vm);
    }
    /* Whoever is started again is starting by now, and waited for. */
    for (unsigned i = 0; i < vm_count; i++) {
        struct vm *vm = &vms[i];

        if (vm->state == VM_STARTING && now >= plans[i].start_tsc && others_run(vm) &&
            !elastic_waits(vm) && !vm_start(vm, i, vm->config, root_ntfn)) {
            say("vm %s: not started", vm->config->name);
            if (plans[i].by_rule) look_at_end(vm); /* others have what it needs, perhaps for now */
        }
    }
}

void life_shut_down(void) { shutting_down = true; }

bool life_is_down(void)
{
    for (unsigned i = 0; i < vm_count; i++)
        if (vm_lives(&vms[i]) || vms[i].state == VM_STARTING) return false;
    return shutting_down;
}
