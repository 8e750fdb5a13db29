// sources: vmm/monitor/dev/i8042.c vmm/monitor/dev/bus.c
/* 8042 with nothing attached: the dialogue drivers hold with it when they probe. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/i8042.h"

static struct i8042 k;
static unsigned resets;

static void reset(void *ctx)
{
    (void)ctx;
    resets++;
}

static void setup(void)
{
    fixture_reset();
    resets = 0;
    assert_true(i8042_init(&k, &bus, &host, reset, NULL));
}

static void test_probe(void **state)
{
    (void)state;
    setup();
    assert_int_equal(in8(0x64), 0x14);
    out8(0x64, 0xaa);
    assert_int_equal(in8(0x64), 0x1d);
    assert_int_equal(in8(0x60), 0x55);
    assert_int_equal(in8(0x64) & 1, 0);
    out8(0x64, 0xab);
    assert_int_equal(in8(0x60), 0);
    out8(0x64, 0xa9);
    assert_int_equal(in8(0x60), 0);
    out8(0x64, 0x60);
    out8(0x60, 0x03);
    out8(0x64, 0x20);
    assert_true(line[1]);
    assert_int_equal(in8(0x60), 0x03);
    assert_false(line[1]);
    out8(0x64, 0xd3); /* auxiliary loop */
    out8(0x60, 0x5a);
    assert_int_equal(in8(0x64) & 0x21, 0x21);
    assert_true(line[12]);
    assert_false(line[1]);
    assert_int_equal(in8(0x60), 0x5a);
    assert_false(line[12]);
    out8(0x64, 0xa7);
    out8(0x64, 0x20);
    assert_int_equal(in8(0x60), 0x23);
    out8(0x64, 0xa8);
    out8(0x64, 0xad);
    out8(0x64, 0x20);
    assert_int_equal(in8(0x60), 0x13);
    out8(0x64, 0xae);
    out8(0x64, 0xd2);
    out8(0x60, 0x77);
    assert_int_equal(in8(0x64) & 0x21, 0x01);
    assert_int_equal(in8(0x60), 0x77);
    for (unsigned i = 0; i < 32; i++) {
        out8(0x64, 0x60 + i);
        out8(0x60, 0xa0 ^ i);
        out8(0x64, 0x20 + i);
        assert_int_equal(in8(0x60), 0xa0 ^ i);
    }
}

/* Nothing is plugged in: each byte sent gets a time-out at once, not silence. */
static void test_no_devices(void **state)
{
    (void)state;
    setup();
    out8(0x64, 0x60);
    out8(0x60, 0x03);
    out8(0x60, 0xf2);
    assert_true(line[1]);
    assert_int_equal(in8(0x64) & 0x61, 0x41);
    assert_int_equal(in8(0x60), 0xfe);
    assert_false(line[1]);
    out8(0x64, 0xd4);
    out8(0x60, 0xff);
    assert_true(line[12]);
    assert_int_equal(in8(0x64) & 0x61, 0x61);
    assert_int_equal(in8(0x60), 0xfe);
}

static void test_reset(void **state)
{
    (void)state;
    setup();
    for (unsigned c = 0xf0; c <= 0xff; c++) {
        resets = 0;
        out8(0x64, c);
        assert_int_equal(resets, (c & 1) == 0);
    }
    resets = 0;
    out8(0x64, 0xd1);
    out8(0x60, 0x03);
    assert_int_equal(resets, 0);
    out8(0x64, 0xd0);
    assert_int_equal(in8(0x60) & 3, 3);
    out8(0x64, 0xd1);
    out8(0x60, 0x01); /* A20 */
    out8(0x64, 0xd0);
    assert_int_equal(in8(0x60) & 3, 1);
    out8(0x64, 0xd1);
    out8(0x60, 0x02);
    assert_int_equal(resets, 1);
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    hammer(200000, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_no_devices),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
