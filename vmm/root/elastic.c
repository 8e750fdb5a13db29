/* Elastic VMs; see elastic.h. */
#include "elastic.h"
#include <stddef.h>
#include "admit.h"
#include "caps.h"
#include "idle.h"
#include "log.h"
#include "patience.h"
#include "pieces.h"

#define CALM_MS  250u   /* nothing has moved for so long: what VMs say is how they are */
#define LATE_MS  2000u  /* however much moves */
#define STUCK_MS 3000u  /* no step towards what was asked: */
#define STEPS    8u     /* so many of them */
#define WAIT_MS  20000u /* of a VM that is to be started */
#define FRESH    2u     /* reports since it was asked: the first may have been under way */
/* Of a VM's changes of direction so many are on record at once, then one in so long: two monitors
 * that take turns in saying that they are in need could push all else out of the ring. */
#define RECORDS   8u
#define RECORD_MS 5000u

/* Beside struct vm: what it has been asked, and since when. */
static struct elastic {
    bool begun;        /* its guest has told something */
    uint32_t target;   /* pieces that it is to keep */
    uint32_t told;     /* bh_pieces.told when that was said */
    uint64_t step_tsc; /* when that was said, or it has done a step since */
    uint32_t step;     /* pieces of one; what it takes back is none of it */
    uint32_t next;     /* that it keeps after the next one */
    uint32_t keeps;
    enum { STEADY, SHRINKS, GROWS } direction; /* on record */
    uint64_t records_tsc; /* the records so far take until then, at the rate that is allowed */
} elastics[VMS_MAX];

static struct vm *vms;
static unsigned vm_count;
static bool any;                 /* is there an elastic one? */
static const struct vm *waiting; /* is to be started and lacks memory; NULL: nobody does */
static uint64_t waiting_tsc, changed_tsc, policy_tsc;

void elastic_init(struct vm *all, unsigned count)
{
    vms = all;
    vm_count = count;
    for (unsigned i = 0; i < count; i++) any = any || vm_elastic(all[i].config);
    pieces_init(all, count);
}

static bool passed_ms(uint64_t since_tsc, uint64_t ms)
{
    return patient_tsc() - since_tsc > (uint64_t)info()->tsc_khz * ms;
}

static uint32_t most(const struct vm *vm) { return vm->config->memory_mib / 2u; }
static uint32_t least(const struct vm *vm) { return vm->config->balloon_min_mib / 2u; }

/* What a balloon with so many pages leaves it. */
static uint32_t kept(const struct vm *vm, uint32_t pages)
{
    uint32_t gone = pages / BH_PIECE_PAGES + (pages % BH_PIECE_PAGES != 0);

    return gone < most(vm) ? most(vm) - gone : 0;
}

void elastic_started(const struct vm *vm)
{
    if (vm_elastic(vm->config)) elastics[vm->number] = (struct elastic){.target = most(vm)};
}

/* ---- who waits ---- */

uint64_t elastic_spare(const struct vm *vm)
{
    uint64_t spare = 0;

    for (unsigned i = 0; i < vm_count; i++)
        if (&vms[i] != vm && vm_lives(&vms[i]) && vms[i].pieces &&
            vms[i].pieces_have + 1u > least(&vms[i]))
            spare += vms[i].pieces_have + 1u - least(&vms[i]);
    return spare;
}

bool elastic_can_restore(const struct vm *vm)
{
    uint64_t lacks = vm_pieces(vm->config) - vm->pieces_have;

    if (!vm_lives(vm) || lacks <= pieces_free()) return true;
    say("vm %s: cannot be made anew: others have %lu MiB of its memory, %lu MiB are free",
        vm->config->name, lacks * 2u, pieces_free() * 2u);
    audit_begin("vm-refused");
    audit_text("vm", vm->config->name);
    audit_text("rule", "admission");
    audit_number("needs", lacks * 2u);
    audit_number("free", pieces_free() * 2u);
    audit_end();
    return false;
}

static void wait_ends(void)
{
    waiting = NULL;
    pieces_reserve(0);
}

bool elastic_waits(const struct vm *vm)
{
    uint64_t lacks;

    if (!vm_elastic(vm->config)) return false;
    if (waiting && waiting != vm) return true;
    lacks = admit_lacks_pieces(vm);
    if (lacks && !waiting && lacks <= elastic_spare(vm)) {
        waiting = vm;
        waiting_tsc = patient_tsc();
        pieces_reserve(vm_pieces(vm->config));
        audit_begin("vm-awaits-memory");
        audit_text("vm", vm->config->name);
        audit_number("needs_mib", vm_pieces(vm->config) * 2u);
        audit_number("lacks_mib", lacks * 2u);
        audit_number("others_mib", elastic_spare(vm) * 2u);
        audit_end();
    }
    if (!waiting) return false;
    if (lacks && !passed_ms(waiting_tsc, WAIT_MS)) return true;
    wait_ends();
    return false;
}

/* ---- who gives, who gets ---- */

/* What it is asked for is due from now on. */
static void expect_steps(struct elastic *e)
{
    e->step = e->keeps > e->target ? (e->keeps - e->target) / STEPS + 1u : 1u;
    e->next = e->keeps > e->step ? e->keeps - e->step : 0;
    e->step_tsc = patient_tsc();
}

/* The monitor's words, each read once. */
static struct idle_vm describe(const struct vm *vm)
{
    const struct bh_pieces *p = vm->pieces;
    struct elastic *e = &elastics[vm->number];
    uint32_t told = __atomic_load_n(&p->told, __ATOMIC_ACQUIRE);
    uint32_t keeps = kept(vm, __atomic_load_n(&p->given_pages, __ATOMIC_RELAXED));
    uint64_t available = __atomic_load_n(&p->available_bytes, __ATOMIC_RELAXED);
    struct idle_vm v = {.min = least(vm), .max = most(vm), .has = vm->pieces_have + 1u};

    if (keeps != e->keeps) {
        e->keeps = keeps;
        changed_tsc = patient_tsc();
    }
    if (keeps <= e->next) {
        e->next = keeps > e->step ? keeps - e->step : 0;
        e->step_tsc = patient_tsc();
    }
    if (!e->begun && told) { /* a VM that was restored goes on with what it was asked before */
        e->begun = true;
        e->told = told;
        e->target = kept(vm, __atomic_load_n(&p->asked_pages, __ATOMIC_RELAXED));
        if (e->target < v.min) e->target = v.min;
        expect_steps(e);
    }
    v.keeps = keeps;
    v.target = e->target;
    v.stuck = e->target < keeps && passed_ms(e->step_tsc, STUCK_MS);
    v.takes_part =
        e->begun && vm->state == VM_RUNNING && told - e->told >= FRESH && available != UINT64_MAX;
    available /= BH_PIECE_BYTES;
    v.available = available < v.max ? (uint32_t)available : v.max;
    return v;
}

static void record(const struct vm *vm, const struct idle_vm *v, bool less)
{
    audit_begin(less ? "vm-shrinks" : "vm-grows");
    audit_text("vm", vm->config->name);
    audit_number("has_mib", v->has * 2u);
    audit_number("target_mib", v->target * 2u);
    audit_number("available_mib", v->available * 2u);
    if (less && waiting) audit_text("for", waiting->config->name);
    audit_end();
}

static bool record_left(struct elastic *e)
{
    uint64_t now = rt_tsc(), each = (uint64_t)info()->tsc_khz * RECORD_MS;

    if (e->records_tsc < now) e->records_tsc = now;
    if (e->records_tsc - now > (RECORDS - 1u) * each) return false;
    e->records_tsc += each;
    return true;
}

static void ask_to_keep(struct vm *vm, const struct idle_vm *v)
{
    struct elastic *e = &elastics[vm->number];
    struct bh_pieces *p = vm->pieces;
    bool less = v->target < e->target;

    if (v->target == e->target) return;
    if (e->direction != (less ? SHRINKS : GROWS) && record_left(e)) {
        record(vm, v, less);
        e->direction = less ? SHRINKS : GROWS;
    }
    e->target = v->target;
    e->told = __atomic_load_n(&p->told, __ATOMIC_ACQUIRE);
    expect_steps(e);
    __atomic_store_n(&p->target_pages, (most(vm) - v->target) * BH_PIECE_PAGES, __ATOMIC_RELAXED);
    __atomic_store_n(&p->target_number, p->target_number + 1u, __ATOMIC_RELEASE);
    vm_signal_pieces(vm);
}

static void policy(void)
{
    static struct idle_vm idle[VMS_MAX];
    uint64_t wanted = waiting ? vm_pieces(waiting->config) : 0;
    uint64_t lacks = waiting ? admit_lacks_pieces(waiting) : 0;
    uint64_t free = waiting ? (wanted > lacks ? wanted - lacks : 0) : pieces_free();

    for (unsigned i = 0; i < vm_count; i++)
        idle[i] = vm_lives(&vms[i]) && vms[i].pieces ? describe(&vms[i]) : (struct idle_vm){0};
    if (!(passed_ms(changed_tsc, CALM_MS) && passed_ms(pieces_moved_tsc(), CALM_MS)) &&
        !passed_ms(policy_tsc, LATE_MS))
        return;
    policy_tsc = patient_tsc();
    idle_policy(idle, vm_count, (uint32_t)free, (uint32_t)wanted);
    for (unsigned i = 0; i < vm_count; i++)
        if (vm_lives(&vms[i]) && vms[i].pieces) ask_to_keep(&vms[i], &idle[i]);
}

bool elastic_poll(void)
{
    static uint64_t looked_tsc;
    bool busy;

    if (!any) return false;
    busy = pieces_poll();
    if (waiting && waiting->state != VM_STARTING) wait_ends();
    if (passed_ms(looked_tsc, CALM_MS / 2u)) {
        looked_tsc = patient_tsc();
        policy();
    }
    return busy;
}
