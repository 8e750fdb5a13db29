// sources:
/* Questions to a monitor that answers what it likes: whatever it says is bounded, and its own word.
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

#include "vmm/root/ask.c"

uint64_t patient_tsc(void) { return now_us; }

static struct bh_control pages;
static struct vm vm = {.control = &pages};
static int me, other;

void vm_signal_control(const struct vm *v) { assert_ptr_equal(v, &vm); }

static struct ask_answer answered(uint32_t status, uint32_t out_bytes, uint32_t room)
{
    static uint8_t out[BH_CONTROL_OUT_BYTES + 1u];
    struct ask_answer a;

    assert_true(room < sizeof(out));
    ask(&vm, &me, BH_CONTROL_SCREEN, NULL, NULL, 0);
    assert_false(ask_answered(&vm, &me, &a, out, room));
    memset(out, 0, sizeof(out));
    memset(pages.out, 0xee, sizeof(pages.out));
    pages.status = status;
    pages.out_bytes = out_bytes;
    pages.reply = pages.request;
    assert_true(ask_answered(&vm, &me, &a, out, room));
    assert_int_equal(out[room], 0);
    assert_true(ask_free(&vm));
    return a;
}

static void its_own_word(void **state)
{
    (void)state;
    assert_int_equal(answered(BH_WIRE_OK, 8, 16).out_bytes, 8);
    assert_int_equal(answered(BH_WIRE_BAD_FILE, UINT32_MAX, 16).status, BH_WIRE_BAD_FILE);
    assert_int_equal(answered(BH_WIRE_OK, UINT32_MAX, 16).out_bytes, 16);
    assert_int_equal(answered(BH_WIRE_OK, UINT32_MAX, BH_CONTROL_OUT_BYTES).out_bytes,
                     BH_CONTROL_OUT_BYTES);
    assert_int_equal(answered(BH_WIRE_FORBIDDEN, 0, 0).status, BH_WIRE_NO_ANSWER);
    assert_int_equal(answered(BH_WIRE_SHUTTING_DOWN, 0, 0).status, BH_WIRE_NO_ANSWER);
    assert_int_equal(answered(BH_WIRE_NO_VM, 0, 0).status, BH_WIRE_NO_ANSWER);
    assert_int_equal(answered(BH_WIRE_STATUSES, 0, 0).status, BH_WIRE_NO_ANSWER);
    assert_int_equal(answered(UINT32_MAX, 0, 0).status, BH_WIRE_NO_ANSWER);
}

static void never_answered(void **state)
{
    struct ask_answer a;

    (void)state;
    ask(&vm, &me, BH_CONTROL_SCREEN, NULL, NULL, 0);
    assert_false(ask_free(&vm));
    now_us += ANSWER_MS * 1000u;
    assert_false(ask_answered(&vm, &me, &a, NULL, 0));
    now_us++;
    assert_true(ask_free(&vm));
    assert_true(ask_answered(&vm, &me, &a, NULL, 0));
    assert_int_equal(a.status, BH_WIRE_NO_ANSWER);
    /* Somebody else's question has taken its place: an answer to that is not one to this. */
    ask(&vm, &other, BH_CONTROL_SCREEN, NULL, NULL, 0);
    pages.status = BH_WIRE_OK;
    pages.reply = pages.request;
    assert_true(ask_answered(&vm, &me, &a, NULL, 0));
    assert_int_equal(a.status, BH_WIRE_NO_ANSWER);
    assert_true(ask_answered(&vm, &other, &a, NULL, 0));
    assert_int_equal(a.status, BH_WIRE_OK);
}

/* Who asks and goes, again and again, gets no turn before those who wait: the monitor is at work.
 */
static void gone(void **state)
{
    (void)state;
    ask(&vm, &me, BH_CONTROL_SAVE, NULL, NULL, 0);
    ask_forget(&vm, &me);
    assert_false(ask_free(&vm));
    pages.reply = pages.request;
    assert_true(ask_free(&vm));
    ask(&vm, &me, BH_CONTROL_SAVE, NULL, NULL, 0);
    ask_forget(&vm, &me);
    now_us += ANSWER_MS * 1000u;
    assert_false(ask_free(&vm));
    now_us++;
    assert_true(ask_free(&vm));
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(its_own_word),
                                       cmocka_unit_test(never_answered), cmocka_unit_test(gone)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
