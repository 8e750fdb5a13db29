// sources: vmm/root/rights.c vmm/rt/fmt.c policy/manifest/may_words.c
/*
 * Root's decisions about the life of VMs, with VMs that do as they are told: order, restarts and
 * their waits, deadlines, shutting down. What is not decided here is in tests/system/life.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Time is what the test says: one tick a microsecond. */
static uint64_t now_us;
#define rt_tsc real_rt_tsc
#include "syscall.h"
#undef rt_tsc
#define rt_tsc() now_us

#include "rights.h"

#include "vmm/root/life.c"

#include "root_fixture.h"

uint64_t patient_tsc(void) { return now_us; }

static struct vm all[VMS_MAX];
static struct manifest_vm configs[VMS_MAX];
static char order[VMS_MAX * 4 + 1]; /* numbers of VMs, as they were started */
static unsigned started;
static bool waits_for_memory, can_be_made, stands[VMS_MAX], is_asked;
static unsigned buttons[VMS_MAX], kills[VMS_MAX], given_up, resumed;

bool vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config, uint64_t ntfn)
{
    assert_ptr_equal(config, &configs[number]);
    assert_int_equal(ntfn, 77);
    vm->state = can_be_made ? VM_RUNNING : VM_CRASHED;
    vm->started_tsc = now_us;
    vm->has_ended = false;
    if (started + 1 < sizeof(order)) order[started++] = (char)('0' + number);
    return can_be_made;
}

bool vm_restore(struct vm *vm) { return vm_start(vm, vm->number, vm->config, 77); }

void vm_kill(struct vm *vm, const char *why)
{
    kills[vm->number]++;
    vm->state = VM_STOPPED;
    vm->has_ended = true;
}

void vm_signal_stop(const struct vm *vm) { buttons[vm->number]++; }
bool elastic_waits(const struct vm *vm) { return waits_for_memory; }
bool vm_stands(const struct vm *vm) { return stands[vm->number]; }
bool ask_free(const struct vm *vm) { return !is_asked; }

void ask(struct vm *vm, const void *asker, enum bh_control_verb verb,
         const uint64_t args[BH_CONTROL_ARGS], const void *in, uint32_t in_bytes)
{
    assert_int_equal(verb, BH_CONTROL_RESUME);
    resumed++;
}

void say(const char *format, ...) {}
void audit_begin(const char *event) { given_up += strcmp(event, "vm-given-up") == 0; }
void audit_number(const char *key, uint64_t value) {}
void audit_text(const char *key, const char *value) {}
void audit_end(void) {}

static void begin(unsigned count)
{
    memset(all, 0, sizeof(all));
    memset(plans, 0, sizeof(plans));
    memset(order, 0, sizeof(order));
    memset(buttons, 0, sizeof(buttons));
    memset(kills, 0, sizeof(kills));
    memset(stands, 0, sizeof(stands));
    started = given_up = resumed = 0;
    shutting_down = false;
    can_be_made = true;
    now_us = 1000;
    for (unsigned i = 0; i < count; i++) {
        all[i].number = i;
        all[i].config = &configs[i];
        configs[i].name = "vm";
    }
    life_init(all, count, 77);
}

static void plain_configs(void)
{
    memset(configs, 0, sizeof(configs));
    for (unsigned i = 0; i < VMS_MAX; i++) {
        configs[i].stop_wait_s = 30;
        configs[i].restart_wait_ms = 1000;
        configs[i].restart_count = 3;
    }
}

static void poll(unsigned times)
{
    for (unsigned i = 0; i < times; i++) life_poll();
}

static void ends(unsigned n, enum vm_state state)
{
    all[n].state = state;
    all[n].has_ended = true;
}

/* 0 is after 1 and 2, 1 is after 2, 3 is after 4; 4 and 3 are started by hand. */
static void chain(void)
{
    plain_configs();
    configs[0].after[0] = 6;
    configs[1].after[0] = 4;
    configs[3].after[0] = 16;
    configs[3].start = configs[4].start = MANIFEST_START_MANUAL;
}

static void order_is_kept(void **state)
{
    (void)state;
    chain();
    begin(5);
    poll(5);
    assert_string_equal(order, "210");
    assert_int_equal(all[3].state, VM_CREATED);
    assert_int_equal(life_start(&all[3]), BH_WIRE_OK);
    assert_int_equal(life_start(&all[0]), BH_WIRE_RUNS);
    poll(3);
    assert_string_equal(order, "21043");
}

static void who_is_needed_does_not_come(void **state)
{
    (void)state;
    chain();
    begin(5);
    can_be_made = false;
    poll(5);
    assert_string_equal(order, "2");
    assert_int_equal(all[2].state, VM_CRASHED);
    assert_int_equal(all[1].state, VM_STOPPED);
    assert_int_equal(all[0].state, VM_STOPPED);
    assert_true(strstr(all[0].reason, "after") != NULL);
}

/* The one that the others are after ends at once, and is started again: they wait for it. */
static void who_is_needed_comes_again(void **state)
{
    (void)state;
    chain();
    configs[2].restart = MANIFEST_RESTART_ALWAYS;
    begin(5);
    poll(1);
    ends(2, VM_CRASHED);
    poll(1);
    assert_int_equal(all[0].state, VM_STARTING);
    assert_int_equal(all[1].state, VM_STARTING);
    now_us += 1000000;
    poll(5);
    assert_string_equal(order, "2210");
}

static void rules_for_ends(void **state)
{
    static const struct {
        uint32_t rule;
        enum vm_state end;
        bool reset, again;
    } rows[] = {
        {MANIFEST_RESTART_NEVER, VM_CRASHED, false, false},
        {MANIFEST_RESTART_NEVER, VM_STOPPED, true, false},
        {MANIFEST_RESTART_LIMITED, VM_CRASHED, false, true},
        {MANIFEST_RESTART_LIMITED, VM_STOPPED, true, true},
        {MANIFEST_RESTART_LIMITED, VM_STOPPED, false, false},
        {MANIFEST_RESTART_ALWAYS, VM_CRASHED, false, true},
        {MANIFEST_RESTART_ALWAYS, VM_STOPPED, false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        plain_configs();
        configs[0].restart = rows[i].rule;
        begin(1);
        poll(1);
        ends(0, rows[i].end);
        all[0].guest_reset = rows[i].reset;
        poll(1);
        assert_int_equal(all[0].state, rows[i].again ? VM_STARTING : rows[i].end);
        now_us += 999000;
        poll(1);
        assert_int_equal(started, 1);
        now_us += 1000;
        poll(1);
        assert_int_equal(started, rows[i].again ? 2 : 1);
    }
}

/* A guest that ends at once, with no wait in the manifest: once more at once, then by and by. */
static void storm(void **state)
{
    (void)state;
    plain_configs();
    configs[0].restart = MANIFEST_RESTART_ALWAYS;
    configs[0].restart_wait_ms = 0;
    begin(1);
    poll(1);
    for (unsigned i = 0; i < 10000; i++, now_us += 1000u) {
        if (vm_lives(&all[0])) ends(0, VM_CRASHED);
        poll(1);
    }
    assert_in_range(started, 3, 10);
    plans[0].in_row = UINT32_MAX - 1u; /* however long it goes on */
    assert_int_equal(restart_wait_ms(&all[0]), WAIT_MAX_MS);
}

/* 1, 2, 4 s, then it is given up; after a good run it begins anew. */
static void waits_double(void **state)
{
    (void)state;
    plain_configs();
    configs[0].restart = MANIFEST_RESTART_LIMITED;
    begin(1);
    poll(1);
    for (unsigned i = 0; i < 3; i++) {
        ends(0, VM_CRASHED);
        poll(1);
        now_us += (1000000u << i) - 1u;
        poll(1);
        assert_int_equal(all[0].state, VM_STARTING);
        now_us++;
        poll(1);
        assert_int_equal(all[0].state, VM_RUNNING);
    }
    now_us += RUN_GOOD_MS * 1000u + 1u;
    ends(0, VM_CRASHED);
    poll(1);
    assert_int_equal(all[0].state, VM_STARTING);
    now_us += 1000000u;
    poll(1);
    for (unsigned i = 0; i < 2; i++) {
        ends(0, VM_CRASHED);
        poll(1);
        now_us += 4000000u;
        poll(1);
    }
    ends(0, VM_CRASHED);
    poll(1);
    assert_int_equal(all[0].state, VM_CRASHED);
    assert_int_equal(given_up, 1);
    assert_int_equal(life_restarts(&all[0]), 6);
}

static void waits_are_bounded(void **state)
{
    (void)state;
    plain_configs();
    configs[0].restart = MANIFEST_RESTART_ALWAYS;
    begin(1);
    for (unsigned i = 0; i < 100; i++) {
        poll(1);
        assert_int_equal(all[0].state, VM_RUNNING);
        ends(0, VM_CRASHED);
        poll(1);
        now_us += WAIT_MAX_MS * 1000u;
    }
}

static void deadline(void **state)
{
    uint64_t left;

    (void)state;
    plain_configs();
    configs[0].restart = MANIFEST_RESTART_ALWAYS;
    begin(1);
    poll(1);
    assert_int_equal(life_stop(&all[0], 0), BH_WIRE_OK);
    assert_int_equal(buttons[0], 1);
    assert_true(life_stopping(&all[0], &left));
    assert_int_equal(left, 30000);
    for (unsigned s = 1; s < 30u; s++) { /* it boots, and does not hear its button */
        now_us += 1000000;
        poll(2);
        assert_int_equal(buttons[0], 1u + s / 5u);
    }
    now_us += 999999;
    poll(1);
    assert_int_equal(kills[0], 0);
    now_us++;
    poll(1);
    assert_int_equal(kills[0], 1);
    assert_int_equal(all[0].state, VM_STOPPED); /* it was asked to: no rule applies */
    assert_int_equal(life_stop(&all[0], 0), BH_WIRE_NOT_RUNNING);
    assert_int_equal(life_kill(&all[0]), BH_WIRE_NOT_RUNNING);
    assert_int_equal(life_restart(&all[0], 5), BH_WIRE_OK);
    poll(1);
    assert_int_equal(all[0].state, VM_RUNNING);
    assert_int_equal(life_restart(&all[0], 5), BH_WIRE_OK);
    ends(0, VM_STOPPED);
    poll(1);
    assert_int_equal(started, 3);
    stands[0] = true;
    poll(1);
    assert_int_equal(all[0].state, VM_PAUSED);
    assert_int_equal(resumed, 0);
    assert_int_equal(life_stop(&all[0], 5000), BH_WIRE_OK);
    is_asked = true; /* somebody saves it: what its monitor is asked waits */
    poll(3);
    assert_int_equal(resumed, 0);
    is_asked = false;
    poll(3);
    assert_int_equal(resumed, 1);
    stands[0] = false;
    now_us += 1000000;
    poll(3);
    assert_int_equal(resumed, 1);
    stands[0] = true; /* somebody lets it stand still anew, again and again */
    poll(3);
    assert_int_equal(resumed, 2);
    now_us += 999999;
    poll(3);
    assert_int_equal(resumed, 2);
    now_us += 1;
    poll(3);
    assert_int_equal(resumed, 3);
}

/* It is started when there is memory for it, and not before. */
static void waits_for_its_memory(void **state)
{
    (void)state;
    plain_configs();
    begin(1);
    waits_for_memory = true;
    poll(3);
    assert_int_equal(all[0].state, VM_STARTING);
    assert_int_equal(started, 0);
    waits_for_memory = false;
    poll(1);
    assert_int_equal(started, 1);
}

/* A restart that finds no room is tried again, as its rule says; a start that somebody asked for is
 * not. */
static void tried_again(void **state)
{
    (void)state;
    plain_configs();
    configs[0].restart = MANIFEST_RESTART_LIMITED;
    begin(1);
    poll(1);
    assert_int_equal(started, 1);
    ends(0, VM_CRASHED);
    can_be_made = false;
    poll(1);
    now_us += 1000000;
    poll(2); /* fails, and waits for its next turn */
    assert_int_equal(started, 2);
    assert_int_equal(all[0].state, VM_STARTING);
    can_be_made = true;
    now_us += 2000000;
    poll(1);
    assert_int_equal(all[0].state, VM_RUNNING);
    assert_int_equal(life_restarts(&all[0]), 2);
    (void)life_kill(&all[0]);
    poll(1);
    can_be_made = false;
    assert_int_equal(life_start(&all[0]), BH_WIRE_OK);
    poll(3);
    assert_int_equal(all[0].state, VM_CRASHED);
    can_be_made = true;
}

/* What is restored while it stops is not killed for that. */
static void restored(void **state)
{
    (void)state;
    plain_configs();
    begin(1);
    poll(1);
    (void)life_stop(&all[0], 5);
    assert_int_equal(life_restore(&all[0]), BH_WIRE_OK);
    now_us += 10000;
    poll(1);
    assert_int_equal(kills[0], 0);
}

/* It does not come back before those that it is after, and starts none of them; one that runs may
 * be restored whatever has become of them. */
static void restored_in_order(void **state)
{
    (void)state;
    plain_configs();
    manifest_add_to_set(configs[1].after, 0);
    begin(2);
    poll(1);
    assert_string_equal(order, "01");
    all[0].state = VM_STOPPED;
    assert_int_equal(life_restore(&all[1]), BH_WIRE_OK);
    assert_string_equal(order, "011");
    all[1].state = VM_STOPPED;
    assert_int_equal(life_restore(&all[1]), BH_WIRE_NOT_STARTED);
    assert_string_equal(all[1].reason, "vm vm not started: it is after vm");
    assert_string_equal(order, "011");
    assert_int_equal(life_start(&all[0]), BH_WIRE_OK);
    assert_int_equal(life_restore(&all[1]), BH_WIRE_NOT_STARTED);
    poll(1);
    assert_int_equal(life_restore(&all[1]), BH_WIRE_OK);
    assert_string_equal(order, "01101");
}

/* A guest that may stop or restore itself, and would rather not end: no time more for that. */
static void asked_again(void **state)
{
    uint64_t left;

    (void)state;
    plain_configs();
    begin(2);
    poll(1);
    (void)life_stop(&all[0], 5);
    assert_int_equal(life_stop(&all[0], 3600000), BH_WIRE_OK);
    assert_true(life_stopping(&all[0], &left));
    assert_int_equal(left, 5);
    assert_int_equal(life_restart(&all[0], 4), BH_WIRE_OK);
    assert_true(life_stopping(&all[0], &left));
    assert_int_equal(left, 4);
    life_shut_down();
    poll(1);
    for (unsigned i = 0; i < 35; i++) {
        (void)life_stop(&all[1], 3600000);
        assert_int_equal(life_restore(&all[1]), BH_WIRE_SHUTTING_DOWN);
        now_us += 1000000;
        poll(1);
    }
    assert_int_equal(kills[1], 1);
    assert_true(life_is_down());
}

static void start_is_cancelled(void **state)
{
    (void)state;
    plain_configs();
    configs[0].restart = MANIFEST_RESTART_ALWAYS;
    begin(1);
    poll(1);
    ends(0, VM_CRASHED);
    poll(1);
    assert_int_equal(life_stop(&all[0], 0), BH_WIRE_OK);
    now_us += 10000000;
    poll(1);
    assert_int_equal(all[0].state, VM_STOPPED);
    assert_int_equal(started, 1);
}

static void down_in_order(void **state)
{
    (void)state;
    chain();
    begin(5);
    poll(5);
    life_shut_down();
    assert_int_equal(life_start(&all[3]), BH_WIRE_SHUTTING_DOWN);
    assert_int_equal(life_restart(&all[0], 0), BH_WIRE_SHUTTING_DOWN);
    poll(2);
    assert_int_equal(buttons[0], 1);
    assert_int_equal(buttons[1] + buttons[2], 0);
    ends(0, VM_STOPPED);
    poll(2);
    assert_int_equal(buttons[1], 1);
    assert_int_equal(buttons[2], 0);
    now_us += 30000000; /* 1 is killed then */
    poll(2);
    assert_int_equal(buttons[2], 1);
    assert_false(life_is_down());
    ends(2, VM_CRASHED);
    poll(1);
    assert_true(life_is_down());
}

static void rights_name_their_rule(void **state)
{
    const struct manifest_vm guest = {
        .name = "vm", .may_system = MANIFEST_MAY_AUDIT, .may[1] = MANIFEST_MAY_STOP};
    const struct subject s = rights_host(MANIFEST_MAY_WATCH | MANIFEST_MAY_STORE),
                         g = rights_guest(&guest);

    (void)state;
    plain_configs();
    begin(3);
    assert_null(rights_refuse(&s, MANIFEST_MAY_STATUS, NULL));
    assert_null(rights_refuse(&s, MANIFEST_MAY_SAVE, &all[0]));
    assert_string_equal(rights_refuse(&s, MANIFEST_MAY_KILL, &all[0]), "host-may");
    assert_string_equal(rights_refuse(&s, MANIFEST_MAY_SHUTDOWN, NULL), "host-may");
    /* A guest: of each VM, and of the system, what is named and nothing else. */
    assert_null(rights_refuse(&g, MANIFEST_MAY_STOP, &all[1]));
    assert_string_equal(rights_refuse(&g, MANIFEST_MAY_STOP, &all[0]), "may");
    assert_string_equal(rights_refuse(&g, MANIFEST_MAY_KILL, &all[1]), "may");
    assert_string_equal(rights_refuse(&g, MANIFEST_MAY_STOP, NULL), "may");
    assert_null(rights_refuse(&g, MANIFEST_MAY_AUDIT, NULL));
    assert_string_equal(rights_refuse(&g, MANIFEST_MAY_AUDIT, &all[1]), "may");
    assert_null(rights_refuse_all(&g, MANIFEST_MAY_STOP));
    assert_string_equal(rights_refuse_all(&g, MANIFEST_MAY_LIST), "may");
    for (uint32_t bit = 1; bit & MANIFEST_MAY_ALL; bit *= 2)
        assert_string_not_equal(rights_word(bit), "nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(who_is_needed_does_not_come),
        cmocka_unit_test(who_is_needed_comes_again),
        cmocka_unit_test(rules_for_ends),
        cmocka_unit_test(storm),
        cmocka_unit_test(waits_double),
        cmocka_unit_test(waits_are_bounded),
        cmocka_unit_test(deadline),
        cmocka_unit_test(waits_for_its_memory),
        cmocka_unit_test(tried_again),
        cmocka_unit_test(restored),
        cmocka_unit_test(restored_in_order),
        cmocka_unit_test(asked_again),
        cmocka_unit_test(start_is_cancelled),
        cmocka_unit_test(down_in_order),
        cmocka_unit_test(rights_name_their_rule),
    };
    return cmocka_run_group_tests(tests, map_info, NULL);
}
