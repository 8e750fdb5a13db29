// sources: vmm/root/line.c vmm/root/rights.c vmm/rt/wire.c vmm/rt/crc32c.c vmm/rt/fmt.c
// sources: policy/manifest/may_words.c
/*
 * A guest's control channel, with a guest that means harm: what it may not have, VMs that there are
 * not, requests without end, garbage. What it asks for reaches a verb only by its rights, and its
 * records leave those of others room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

/* Time is what the test says: one tick a microsecond. */
static uint64_t now_us;
#define rt_tsc real_rt_tsc
#include "syscall.h"
#undef rt_tsc
#define rt_tsc() now_us

#include "vmm/root/control.c"

uint64_t patient_tsc(void) { return now_us; }

static struct vm all[2];
static struct manifest_vm configs[2] = {{.name = "browser"}, {.name = "desktop"}};
static struct bh_console ring;
static unsigned runs, records, refusals;
static uint64_t left_out;

/* Verbs count, and look at whom they are about. */
static int about_vm(struct control_call *c)
{
    assert_true(c->vm == &all[0] || c->vm == &all[1]);
    runs++;
    return BH_WIRE_OK;
}

static int about_system(struct control_call *c)
{
    assert_null(c->vm);
    runs++;
    return BH_WIRE_OK;
}

/* What makes a VM anew and finds that it cannot: the one that asks may be it, and has no rings now.
 */
static int not_made(struct control_call *c)
{
    c->vm->state = VM_CRASHED;
    c->vm->channel = NULL;
    runs++;
    return BH_WIRE_NOT_MADE;
}

/* What needs the monitor a dozen times, and finds it at work for another for a second each time. */
static int many_questions(struct control_call *c)
{
    runs++;
    if (now_us - c->at < 1000000u && c->at != 0) return ask_wait(c);
    c->at = now_us;
    return ++c->step > 12u ? BH_WIRE_OK : CONTROL_GO_ON;
}

/* And what finds it so for ever. */
static int no_turn(struct control_call *c) { return ask_wait(c); }

const struct control_verb control_verbs[] = {
    {BH_WIRE_SCREENSHOT, "screenshot", MANIFEST_MAY_SCREENSHOT, OF_LIVING_VM, many_questions},
    {BH_WIRE_TYPE, "type", MANIFEST_MAY_TYPE, OF_LIVING_VM, no_turn},
    {BH_WIRE_RESTORE, "restore", MANIFEST_MAY_RESTORE, OF_VM, not_made},
    {BH_WIRE_START, "start", MANIFEST_MAY_START, OF_VM, about_vm},
    {BH_WIRE_PAUSE, "pause", MANIFEST_MAY_PAUSE, OF_LIVING_VM, about_vm},
    {BH_WIRE_SHUTDOWN, "shutdown", MANIFEST_MAY_SHUTDOWN, OF_SYSTEM, about_system},
    {BH_WIRE_PROTECTIONS, "status", MANIFEST_MAY_STATUS, OF_SYSTEM, about_system},
    {0, NULL, 0, OF_SYSTEM, NULL},
};

bool serial_present(unsigned port) { return false; }
void serial_init(unsigned port) {}
unsigned serial_room(unsigned port) { return 0; }
void serial_put(unsigned port, uint8_t byte) {}
int serial_get(unsigned port) { return -1; }
void vm_signal_console(const struct vm *vm) {}
void ask_forget(struct vm *vm, const void *asker) {}

void audit_begin(const char *event)
{
    records++;
    refusals += strcmp(event, "refused") == 0;
}
void audit_text(const char *key, const char *value) {}
void audit_number(const char *key, uint64_t value)
{
    if (strcmp(key, "left_out") == 0) left_out += value;
}
void audit_end(void) {}

/* ---- the guest ---- */

static void begin_as(uint32_t system, uint32_t of_browser, uint32_t of_desktop)
{
    static const struct control_system s = {.vms = all, .vm_count = 2};

    memset(channels, 0, sizeof(channels));
    memset(&ring, 0, sizeof(ring));
    count = runs = records = refusals = 0;
    left_out = 0;
    configs[1].may_texts.text = "x";
    configs[1].may_system = system;
    configs[1].may[0] = of_browser;
    configs[1].may[1] = of_desktop;
    for (unsigned i = 0; i < 2u; i++)
        all[i] = (struct vm){
            .number = i, .state = VM_RUNNING, .config = &configs[i], .starts = 1, .channel = &ring};
    control_init(&s);
    assert_int_equal(count, 1);
}

static void send_bytes(const uint8_t *bytes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) ring.out[ring.out_put++ % BH_CONSOLE_OUT_BYTES] = bytes[i];
}

static void polled(void)
{
    for (unsigned i = 0; i < 20u; i++) {
        (void)control_poll();
        now_us += 10000u;
    }
}

/* @return the status of the answer; UINT32_MAX: there is none yet */
static uint32_t answered(void)
{
    static struct wire_frame in;
    uint32_t status = UINT32_MAX;

    polled();
    while (ring.in_get != ring.in_put)
        if (wire_take(&in, ring.in[ring.in_get++ % BH_CONSOLE_IN_BYTES]) == WIRE_FRAME &&
            in.header.kind == BH_WIRE_END)
            status = in.header.status;
    return status;
}

static uint32_t asked(uint16_t verb, const char *vm)
{
    static struct wire_frame out;

    memset(&out, 0, sizeof(out));
    out.header = (struct bh_wire_header){.verb = verb, .bytes = vm ? BH_WIRE_NAME_BYTES : 0};
    if (vm) strcpy((char *)wire_payload(&out), vm);
    send_bytes(out.bytes, wire_seal(&out, BH_WIRE_REQUEST));
    return answered();
}

static void rights(void **state)
{
    (void)state;
    begin_as(MANIFEST_MAY_STATUS, MANIFEST_MAY_START, 0);
    assert_int_equal(asked(BH_WIRE_START, "browser"), BH_WIRE_OK);
    assert_int_equal(asked(BH_WIRE_PROTECTIONS, NULL), BH_WIRE_OK);
    assert_int_equal(runs, 2);
    assert_int_equal(asked(BH_WIRE_START, "desktop"), BH_WIRE_FORBIDDEN);
    assert_int_equal(asked(BH_WIRE_PAUSE, "browser"), BH_WIRE_FORBIDDEN);
    assert_int_equal(asked(BH_WIRE_SHUTDOWN, NULL), BH_WIRE_FORBIDDEN);
    assert_int_equal(asked(BH_WIRE_START, NULL), BH_WIRE_BAD_REQUEST);
    assert_int_equal(asked(77, NULL), BH_WIRE_NO_VERB);
    assert_int_equal(runs, 2);
}

/* A VM that there is not: no verb sees it, whatever rights about the system somebody has. */
static void nobody(void **state)
{
    (void)state;
    begin_as(MANIFEST_MAY_ALL, 0, 0);
    assert_int_equal(asked(BH_WIRE_START, "nobody"), BH_WIRE_FORBIDDEN);
    assert_int_equal(asked(BH_WIRE_PAUSE, "nobody"), BH_WIRE_FORBIDDEN);
    assert_int_equal(asked(BH_WIRE_START, ""), BH_WIRE_FORBIDDEN);
    assert_int_equal(runs, 0);
}

/* Who needs a busy monitor gives up when its turn does not come, not when it needs many. */
static void turns(void **state)
{
    uint32_t status = UINT32_MAX;

    (void)state;
    begin_as(0, MANIFEST_MAY_SCREENSHOT | MANIFEST_MAY_TYPE, 0);
    for (unsigned i = 0; i < 100u && status == UINT32_MAX; i++)
        status = i == 0 ? asked(BH_WIRE_SCREENSHOT, "browser") : answered();
    assert_int_equal(status, BH_WIRE_OK);
    status = UINT32_MAX;
    for (unsigned i = 0; i < 100u && status == UINT32_MAX; i++)
        status = i == 0 ? asked(BH_WIRE_TYPE, "browser") : answered();
    assert_int_equal(status, BH_WIRE_BUSY);
}

/* While what a guest has asked for waits, root looks no more often than without it. */
static void waits(void **state)
{
    unsigned busy = 0;

    (void)state;
    begin_as(0, MANIFEST_MAY_TYPE, 0);
    assert_int_equal(asked(BH_WIRE_TYPE, "browser"), UINT32_MAX);
    for (unsigned i = 0; i < 1000u; i++) {
        busy += control_poll();
        now_us += 300u;
    }
    assert_non_null(channels[0].verb);
    assert_int_equal(busy, 0);
}

static void its_own_end(void **state)
{
    (void)state;
    begin_as(0, 0, MANIFEST_MAY_RESTORE | MANIFEST_MAY_START);
    assert_int_equal(asked(BH_WIRE_RESTORE, "desktop"), UINT32_MAX);
    assert_int_equal(runs, 1);
    all[1].state = VM_RUNNING;
    all[1].channel = &ring;
    all[1].starts++;
    memset(&ring, 0, sizeof(ring));
    assert_int_equal(asked(BH_WIRE_START, "desktop"), BH_WIRE_OK);
}

/* An hour of requests, as fast as they are taken: of those that leave records few are carried out,
 * and the ring, which keeps AUDIT_RECORDS, loses others' records slowly. */
static void flood(void **state)
{
    const uint64_t begin = now_us;
    unsigned busy = 0, asks = 0;

    (void)state;
    begin_as(MANIFEST_MAY_STATUS, MANIFEST_MAY_START, 0);
    for (unsigned i = 0; i < 3600u; i++, asks++) {
        bool may = i % 2u;
        uint32_t status = asked(BH_WIRE_START, may ? "browser" : "desktop");

        busy += status == BH_WIRE_BUSY;
        assert_int_equal(!may, status == BH_WIRE_FORBIDDEN);
    }
    assert_in_range(records, 1, GUEST_RECORDS + (now_us - begin) / (GUEST_RECORD_MS * 1000u) + 1u);
    assert_in_range(busy, asks / 4u, asks / 2u);
    assert_int_equal(runs + busy, asks / 2u);
    assert_int_equal(runs + refusals, records);
    assert_int_equal(left_out + channels[0].left_out + records, asks);
    assert_int_equal(asked(BH_WIRE_PROTECTIONS, NULL), BH_WIRE_OK); /* leaves none */
    now_us += GUEST_RECORDS * GUEST_RECORD_MS * 1000u;
    for (unsigned i = 0; i < GUEST_RECORDS - 5u; i++)
        assert_int_equal(asked(BH_WIRE_START, "browser"), BH_WIRE_OK);
}

static void garbage(void **state)
{
    (void)state;
    begin_as(MANIFEST_MAY_ALL, MANIFEST_MAY_ALL, MANIFEST_MAY_ALL);
    srand(1);
    for (unsigned i = 0; i < 3000u; i++) {
        uint8_t bytes[256];

        for (unsigned k = 0; k < sizeof(bytes); k++)
            bytes[k] = rand() % 4 ? (uint8_t)rand() : (uint8_t) "hBB\001\002\005"[rand() % 6];
        send_bytes(bytes, sizeof(bytes));
        if (i % 50u == 0) ring.out_get = (uint32_t)rand(); /* a monitor that writes root's index */
        (void)control_poll();
        ring.in_get = i % 3u ? ring.in_put : (uint32_t)rand();
        now_us += 1000u;
    }
    assert_int_equal(runs, 0);
    now_us += 10000000u;
    ring.out_get = ring.out_put;
    ring.in_get = ring.in_put;
    polled();
    ring.in_get = ring.in_put;
    assert_int_equal(asked(BH_WIRE_PROTECTIONS, NULL), BH_WIRE_OK);
}

static int map_info(void **state)
{
    struct bh_info *i = mmap((void *)BH_ROOT_INFO, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    (void)state;
    if (i != (void *)BH_ROOT_INFO) return -1;
    i->tsc_khz = 1000;
    now_us = 1000000u;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rights),      cmocka_unit_test(nobody),
                                       cmocka_unit_test(its_own_end), cmocka_unit_test(turns),
                                       cmocka_unit_test(flood),       cmocka_unit_test(garbage),
                                       cmocka_unit_test(waits)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
