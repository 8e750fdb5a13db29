// sources: vmm/root/rights.c policy/manifest/may_words.c
/* Verbs that a monitor answers, with a monitor that says what it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/root/control_verbs.c"
/* Each has one of its own. */
#define after_us store_after_us
#include "vmm/root/control_store.c"

#include "root_fixture.h"

uint64_t patient_tsc(void) { return rt_tsc(); }

static struct ask_answer said;
static char said_text[BH_CONTROL_TEXT_BYTES], part[BH_WIRE_PAYLOAD_BYTES];
static struct vm vm;
static struct manifest_vm config = {.name = "vm", .memory_mib = 64, .save_mib = 8};

#define VERB(name)                                                                                 \
    int name(struct control_call *c) { return BH_WIRE_NO_VERB; }
VERB(control_list)
VERB(control_protections)
VERB(control_stats)
VERB(control_audit)
VERB(control_manifest)
VERB(control_system)
VERB(control_start)
VERB(control_stop)
VERB(control_kill)
VERB(control_restart)
VERB(control_pause)
VERB(control_resume)
VERB(control_shutdown)
VERB(control_screenshot)
VERB(control_console)

bool vm_store_read(struct vm *v, uint64_t offset, void *to, uint32_t bytes) { return true; }
bool vm_store_write(struct vm *v, uint64_t offset, const void *from, uint32_t bytes)
{
    return true;
}
static char shown[32]; /* as the store was shown to the monitor: w(ritable), r(ead-only) */
bool vm_store_show(struct vm *v, bool writable)
{
    assert_true(strlen(shown) + 1u < sizeof(shown));
    strcat(shown, writable ? "w" : "r");
    return true;
}
void audit_begin(const char *event) {}
void audit_text(const char *name, const char *text) {}
void audit_number(const char *name, uint64_t number) {}
void audit_end(void) {}

bool ask_free(const struct vm *v) { return true; }
int ask_wait(struct control_call *c) { return BH_WIRE_BUSY; }

void ask(struct vm *v, const void *asker, enum bh_control_verb verb,
         const uint64_t args[BH_CONTROL_ARGS], const void *in, uint32_t in_bytes)
{
}

bool ask_answered(struct vm *v, const void *asker, struct ask_answer *answer, void *out,
                  uint32_t out_room)
{
    *answer = said;
    if (out) memcpy(out, said_text, out_room < sizeof(said_text) ? out_room : sizeof(said_text));
    return true;
}

uint32_t life_restore(struct vm *v) { return BH_WIRE_OK; }
int control_not_started(struct control_call *c) { return BH_WIRE_NOT_STARTED; }
bool elastic_can_restore(const struct vm *v) { return true; }

static int run(int (*verb)(struct control_call *), const void *in, uint32_t in_bytes)
{
    static uint8_t out[BH_WIRE_PAYLOAD_BYTES];
    struct control_call c = {.vm = &vm, .in = in, .in_bytes = in_bytes, .out = out};
    int status = CONTROL_GO_ON;

    for (unsigned i = 0; i < 100u && status == CONTROL_GO_ON; i++) {
        c.pause_tsc = 0;
        c.out_bytes = 0;
        status = verb(&c);
        if (c.out_bytes != 0) memcpy(part, out, c.out_bytes);
    }
    return status;
}

/* A length beyond the store would have the next monitor of this VM read what lies behind it. */
static void saved_length(void **state)
{
    static const uint64_t too_long[] = {8u * 0x100000ull + 1u, UINT32_MAX, UINT64_MAX};

    (void)state;
    vm.config = &config;
    vm.state = VM_RUNNING;
    for (unsigned i = 0; i < 3u; i++) {
        said = (struct ask_answer){.status = BH_WIRE_OK, .values = {too_long[i]}};
        assert_int_equal(run(control_save, NULL, 0), BH_WIRE_NO_ANSWER);
        assert_int_equal(vm.saved_bytes, 0);
        assert_int_equal(run(control_restore, NULL, 0), BH_WIRE_NOT_SAVED);
    }
    said.values[0] = 8u * 0x100000u;
    assert_int_equal(run(control_save, NULL, 0), BH_WIRE_OK);
    assert_int_equal(vm.saved_bytes, said.values[0]);
    assert_int_equal(run(control_restore, NULL, 0), BH_WIRE_OK);
}

/* The store is written by the monitor while it saves, and then no more. */
static void store_is_shut(void **state)
{
    struct {
        struct bh_wire_piece piece;
        uint8_t bytes[8];
    } piece = {.piece = {.total = 16}};

    (void)state;
    vm.config = &config;
    vm.state = VM_RUNNING;
    shown[0] = '\0';
    said = (struct ask_answer){.status = BH_WIRE_OK, .values = {4096}};
    assert_int_equal(run(control_save, NULL, 0), BH_WIRE_OK);
    assert_string_equal(shown, "wr");
    said.status = BH_WIRE_STORE_FULL;
    assert_int_equal(run(control_save, NULL, 0), BH_WIRE_STORE_FULL);
    assert_string_equal(shown, "wrwr");
    assert_int_equal(run(control_store_write, &piece, sizeof(piece)), BH_WIRE_OK);
    assert_string_equal(shown, "wrwrr"); /* whoever has left it open */
    piece.piece.offset = 8;
    assert_int_equal(run(control_store_write, &piece, sizeof(piece)), BH_WIRE_OK);
    assert_string_equal(shown, "wrwrr");
    said.status = BH_WIRE_NO_ANSWER; /* it may still be at it */
    assert_int_equal(run(control_save, NULL, 0), BH_WIRE_NO_ANSWER);
    assert_string_equal(shown, "wrwrrw");
    piece.piece.offset =
        0; /* a file whose way is crossed by a save, for which the store is open: not whole */
    said.status = BH_WIRE_STORE_FULL;
    assert_int_equal(run(control_store_write, &piece, sizeof(piece)), BH_WIRE_OK);
    assert_int_equal(run(control_save, NULL, 0), BH_WIRE_STORE_FULL);
    piece.piece.offset = 8;
    assert_int_equal(run(control_store_write, &piece, sizeof(piece)), BH_WIRE_BAD_REQUEST);
    assert_int_equal(vm.saved_bytes, 0);
    shown[0] = '\0';
}

/* A store of 5 GiB holds 5 GiB. */
static void large_store(void **state)
{
    struct {
        struct bh_wire_piece piece;
        uint8_t bytes[8];
    } piece = {.piece = {.total = 5ull << 30}};

    (void)state;
    vm.config = &config;
    vm.state = VM_RUNNING;
    config.save_mib = 5u * 1024u;
    said = (struct ask_answer){.status = BH_WIRE_OK, .values = {5ull << 30}};
    assert_int_equal(run(control_save, NULL, 0), BH_WIRE_OK);
    assert_int_equal(vm.saved_bytes, 5ull << 30);
    said.values[0]++;
    assert_int_equal(run(control_save, NULL, 0), BH_WIRE_NO_ANSWER);
    assert_int_equal(run(control_store_write, &piece, sizeof(piece)), BH_WIRE_OK);
    piece.piece.total++;
    assert_int_equal(run(control_store_write, &piece, sizeof(piece)), BH_WIRE_STORE_FULL);
    config.save_mib = 8;
}

/* Why a VM cannot be restored is a monitor's word, and shown on a terminal. */
static void refusal_text(void **state)
{
    (void)state;
    vm.config = &config;
    vm.state = VM_RUNNING;
    vm.saved_bytes = 4096;
    memset(said_text, 'x', sizeof(said_text));
    memcpy(said_text, "saved: \033]52;c;eA==\a\033[6n\x9b\n", 25);
    said = (struct ask_answer){.status = BH_WIRE_BAD_FILE, .out_bytes = sizeof(said_text)};
    assert_int_equal(run(control_restore, NULL, 0), BH_WIRE_BAD_FILE);
    assert_memory_equal(part, "saved: ?]52;c;eA==??[6n??xx", 27);
    assert_int_equal(part[sizeof(said_text)], '\0');
}

/* More events taken than there were. */
static void typed_count(void **state)
{
    static const struct bh_input events[3];

    (void)state;
    said = (struct ask_answer){.status = BH_WIRE_OK, .values = {4}};
    assert_int_equal(run(type, events, sizeof(events)), BH_WIRE_NO_ANSWER);
    said.values[0] = UINT64_MAX;
    assert_int_equal(run(type, events, sizeof(events)), BH_WIRE_NO_ANSWER);
    assert_int_equal(run(type, events, sizeof(events) - 1u), BH_WIRE_BAD_REQUEST);
    said.values[0] = 3;
    assert_int_equal(run(type, events, sizeof(events)), BH_WIRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_length), cmocka_unit_test(store_is_shut),
        cmocka_unit_test(large_store), cmocka_unit_test(refusal_text),
        cmocka_unit_test(typed_count)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
