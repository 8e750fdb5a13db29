// sources: vmm/root/rights.c vmm/rt/fmt.c policy/manifest/may_words.c
/* Verbs of life, with a guest that has some of them: what it may not do by one it cannot by
 * another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/root/control_life.c"

#include "root_fixture.h"

static struct manifest_vm config = {.name = "vm", .stop_wait_s = 30};
static struct vm vm = {.config = &config, .state = VM_RUNNING};
static uint64_t waits_ms;

uint64_t patient_tsc(void) { return rt_tsc(); }
bool ask_free(const struct vm *v) { return true; }
int ask_wait(struct control_call *c) { return BH_WIRE_BUSY; }
void ask(struct vm *v, const void *asker, enum bh_control_verb verb,
         const uint64_t args[BH_CONTROL_ARGS], const void *in, uint32_t in_bytes)
{
}
bool ask_answered(struct vm *v, const void *asker, struct ask_answer *answer, void *out,
                  uint32_t out_room)
{
    return false;
}
bool vm_stands(const struct vm *v) { return false; }
void control_put_vm(struct control_call *c, const struct vm *v) { c->out_bytes = 1; }

/* It cannot be started. */
uint32_t life_start(struct vm *v)
{
    v->state = VM_STOPPED;
    strcpy(v->reason, "vm vm not started: it is after other");
    return BH_WIRE_OK;
}
uint32_t life_kill(struct vm *v) { return BH_WIRE_OK; }
void life_shut_down(void) {}
bool life_is_down(void) { return true; }
uint32_t life_stop(struct vm *v, uint64_t ms)
{
    waits_ms = ms;
    return BH_WIRE_OK;
}
uint32_t life_restart(struct vm *v, uint64_t ms) { return life_stop(v, ms); }

static uint8_t out[BH_WIRE_PAYLOAD_BYTES];

/* @return what the VM has to stop; 0: the manifest's time */
static uint64_t asked(int (*verb)(struct control_call *), uint32_t rights, uint64_t ms)
{
    const struct manifest_vm guest = {.name = "guest", .may[0] = rights};
    const struct subject who = rights_guest(&guest);
    struct control_call c = {
        .vm = &vm, .who = &who, .in = (uint8_t *)&ms, .in_bytes = sizeof(ms), .out = out};

    waits_ms = UINT64_MAX;
    vm.state = VM_RUNNING;
    assert_int_equal(verb(&c), CONTROL_GO_ON);
    return waits_ms;
}

/* A stop with a millisecond's time is a kill. */
static void stop_is_no_kill(void **state)
{
    (void)state;
    assert_int_equal(asked(control_stop, MANIFEST_MAY_STOP, 1), 0);
    assert_int_equal(asked(control_stop, MANIFEST_MAY_STOP, 29999), 0);
    assert_int_equal(asked(control_stop, MANIFEST_MAY_STOP, 31000), 31000);
    assert_int_equal(asked(control_stop, MANIFEST_MAY_STOP | MANIFEST_MAY_KILL, 1), 1);
    assert_int_equal(asked(control_restart, MANIFEST_MAY_RESTART, 1), 0);
    assert_int_equal(asked(control_restart, MANIFEST_MAY_LIFE, 1), 1);
}

/* Why it was not started names another VM. */
static uint32_t why_bytes(uint32_t rights)
{
    const struct manifest_vm guest = {.name = "guest", .may[0] = rights};
    const struct subject who = rights_guest(&guest);
    struct control_call c = {.vm = &vm, .who = &who, .out = out};
    int status = CONTROL_GO_ON;

    for (unsigned i = 0; i < 9u && status == CONTROL_GO_ON; i++) {
        c.out_bytes = 0;
        status = control_start(&c);
    }
    assert_int_equal(status, BH_WIRE_NOT_STARTED);
    return c.out_bytes;
}

static void others_are_not_named(void **state)
{
    (void)state;
    assert_int_equal(why_bytes(MANIFEST_MAY_START), 0);
    assert_int_equal(why_bytes(MANIFEST_MAY_START | MANIFEST_MAY_LIST), strlen(vm.reason) + 2u);
}

/* A guest that starts it again at once does not keep the host's verb from its end. */
static void killed_and_started(void **state)
{
    const struct subject who = rights_host(MANIFEST_MAY_ALL);
    int (*const verbs[])(struct control_call *) = {control_kill, control_stop};

    (void)state;
    for (unsigned v = 0; v < 2u; v++) {
        struct control_call c = {.vm = &vm, .who = &who, .out = out};
        int status = CONTROL_GO_ON;

        vm.state = VM_RUNNING;
        assert_int_equal(verbs[v](&c), CONTROL_GO_ON);
        vm.starts++;
        for (unsigned i = 0; i < 9u && status == CONTROL_GO_ON; i++) status = verbs[v](&c);
        assert_int_equal(status, BH_WIRE_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stop_is_no_kill),
                                       cmocka_unit_test(others_are_not_named),
                                       cmocka_unit_test(killed_and_started)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
