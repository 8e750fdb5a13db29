// sources: vmm/monitor/dev/msi.c
/* Intel SDM vol. 3A, 10.11: which writes are interrupts, and which ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/monitor/dev/msi.h"

static void test_address(void **state)
{
    struct apic_msg m;

    (void)state;
    assert_true(msi_decode(0xfee00000, 0x41, &m));
    assert_int_equal(m.dest, 0);
    assert_int_equal(m.vector, 0x41);
    assert_int_equal(m.mode, APIC_FIXED);
    assert_int_equal(m.shorthand, 0);
    assert_true(!m.logical && !m.level && m.assert && !m.wide);
    assert_true(msi_decode(0xfeeff000, 0x41, &m));
    assert_int_equal(m.dest, 0xff); /* broadcast */
    assert_true(msi_decode(0xfee05ff4, 0x41, &m));
    assert_int_equal(m.dest, 5);
    assert_true(m.logical);
    assert_int_equal(m.mode, APIC_FIXED);
    assert_true(msi_decode(0xfee0300c, 0x41, &m)); /* redirected: one of the group */
    assert_int_equal(m.mode, APIC_LOWEST);
    assert_true(msi_decode(0xfee03008, 0x41, &m));
    assert_int_equal(m.mode, APIC_FIXED);
    assert_false(msi_decode(0, 0x41, &m));
    assert_false(msi_decode(0xfec00000, 0x41, &m));
    assert_false(msi_decode(0xfef00000, 0x41, &m));
    assert_false(msi_decode(0x1fee00000ull, 0x41, &m));
}

static void test_data(void **state)
{
    struct apic_msg m;

    (void)state;
    for (unsigned mode = 0; mode < 8; mode++) {
        bool reserved = mode == 3 || mode == 6;

        assert_int_equal(msi_decode(0xfee00000, mode << 8 | 0x30, &m), !reserved);
        if (!reserved) assert_int_equal(m.mode, mode);
    }
    assert_true(msi_decode(0xfee00000, 0xc030, &m));
    assert_true(m.level);
    assert_false(msi_decode(0xfee00000, 0x8030, &m)); /* level, de-asserted */
    assert_true(msi_decode(0xfee00000, 0x4030, &m));
    assert_false(m.level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
