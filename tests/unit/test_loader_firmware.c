// sources: vmm/monitor/loader_firmware.c vmm/monitor/loader_mem.c vmm/monitor/dev/guest_mem.c
/* Firmware: where it lies, the state after reset (Intel SDM vol. 3A, table 9-1), sizes refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "loader_mem.h"

static struct boot_firmware_place place;
static struct boot_state state;
static struct boot_error error;

static bool load(uint64_t code_bytes, uint64_t variables_bytes)
{
    const struct boot_firmware fw = {
        .code_bytes = code_bytes, .variables_bytes = variables_bytes, .cpu_signature = 0x806c1};

    memset(&error, 0, sizeof(error));
    return loader_firmware(&fw, &place, &state, &error);
}

static void state_after_reset(void **s)
{
    (void)s;
    memset(&state, 0xee, sizeof(state));
    assert_true(load(0x40000, 0));
    assert_true(place.code_gpa == 0xfffc0000ull);
    assert_true(state.cs.base + state.rip == 0xfffffff0ull);
    assert_int_equal(state.cs.selector, 0xf000);
    assert_int_equal(state.cs.limit_bytes, 0xffff);
    assert_int_equal(state.cs.attributes, 0x9b);
    assert_int_equal(state.data.attributes, 0x93);
    assert_int_equal(state.data.base, 0);
    assert_int_equal(state.tr.attributes, 0x8b);
    assert_int_equal(state.ldtr.attributes, 0x82);
    assert_int_equal(state.cr0, 0x60000010);
    assert_int_equal(state.cr3 | state.cr4 | state.efer | state.rax | state.rsp, 0);
    assert_int_equal(state.rdx, 0x806c1);
    assert_int_equal(state.gdt_limit, 0xffff);
    assert_int_equal(state.idt_limit, 0xffff);
    assert_false(state.long_mode);
}

static void places(void **s)
{
    (void)s;
    assert_true(load(0x37c000, 0x84000));
    assert_true(place.code_gpa == 0xffc84000ull);
    assert_true(place.variables_gpa == 0xffc00000ull);
    assert_true(load(0x1000000, 0));
    assert_true(place.code_gpa == 0xff000000ull);
    assert_true(load(0x10000, 0xff0000));
    assert_true(place.variables_gpa == 0xff000000ull);
}

static void refuses(void **s)
{
    static const struct {
        uint64_t code, variables;
    } sizes[] = {
        {0, 0},
        {0xf000, 0},
        {0x10001, 0},
        {0x1001000, 0},
        {0x40000, 1},
        {0x40000, 0xfc1000},
        {0x40000, UINT64_MAX & ~0xfffull},
        {UINT64_MAX, 0},
        {UINT64_MAX - 0xfff, 0},
    };

    (void)s;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_false(load(sizes[i].code, sizes[i].variables));
        assert_string_equal(error.where, "firmware");
        assert_non_null(error.remedy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_after_reset),
        cmocka_unit_test(places),
        cmocka_unit_test(refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
