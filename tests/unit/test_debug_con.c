// sources: vmm/monitor/dev/debug_con.c vmm/monitor/dev/bus.c
/* Debug console port: says that it is there, hands bytes over. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/debug_con.h"

static struct debug_con d;
static unsigned said;

static bool out(void *ctx, uint8_t byte)
{
    (void)ctx;
    said = said << 8 | byte;
    return true;
}

static void test_all(void **state)
{
    (void)state;
    fixture_reset();
    assert_true(debug_con_init(&d, &bus, out, NULL));
    assert_int_equal(in8(0x402), 0xe9);
    out8(0x402, 'h');
    out8(0x402, 'i');
    assert_int_equal(said, 0); /* lines come whole */
    out8(0x402, '\n');
    assert_int_equal(said, 'h' << 16 | 'i' << 8 | '\n');
    bus_write(&bus, BUS_PIO, 0x402, 2, 0x0a0a); /* one byte wide */
    assert_int_equal(said, 'h' << 16 | 'i' << 8 | '\n');
    for (unsigned i = 0; i < DEBUG_CON_LINE_BYTES; i++) out8(0x402, '0' + i % 8u); /* too long */
    assert_int_equal(said, 0x34353637);
    hammer(1000, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
