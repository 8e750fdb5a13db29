// sources: vmm/monitor/dev/pci_stub.c vmm/monitor/dev/bus.c
/* PCI configuration mechanism 1 in front of one host bridge, and the reset control register. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/pci_stub.h"

static struct pci_stub p;
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
    assert_true(pci_stub_init(&p, &bus, &host, reset, NULL));
}

static uint32_t config(uint32_t address)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, address);
    return (uint32_t)bus_read(&bus, BUS_PIO, 0xcfc, 4);
}

static void test_config(void **state)
{
    (void)state;
    setup();
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0xffffffff);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xcf8, 4), 0x80fffffc);
    assert_int_equal(config(0x80000000), 0x29c08086);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xcfc, 2), 0x8086);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xcfe, 2), 0x29c0);
    assert_int_equal(in8(0xcff), 0x29);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xcfd, 2), 0xc080);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xcff, 2), 0xffff);
    assert_int_equal(config(0x80000008), 0x06000002);
    for (uint32_t bar = 0x10; bar < 0x28; bar += 4) {
        config(0x80000000 | bar);
        bus_write(&bus, BUS_PIO, 0xcfc, 4, 0xffffffff);
        assert_int_equal(config(0x80000000 | bar), 0);
    }
    assert_int_equal(config(0x800000fc), 0);
    assert_int_equal(config(0x00000000), 0xffffffff); /* not enabled */
    for (uint32_t bdf = 1; bdf < 0x10000; bdf++)
        assert_int_equal(config(0x80000000 | bdf << 8), 0xffffffff);
}

static void test_reset(void **state)
{
    (void)state;
    setup();
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x00000600); /* a dword is an address, not a reset */
    bus_write(&bus, BUS_PIO, 0xcf8, 2, 0x0600);
    assert_int_equal(resets, 0);
    out8(0xcf9, 0x02);
    assert_int_equal(resets, 0);
    assert_int_equal(in8(0xcf9), 0x02);
    out8(0xcf9, 0x06);
    assert_int_equal(resets, 1);
    out8(0xcf9, 0x06); /* only the rise of bit 2 counts */
    assert_int_equal(resets, 1);
    out8(0xcf9, 0xff);
    assert_int_equal(in8(0xcf9), 0x0e);
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
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
