// sources: vmm/monitor/dev/ioapic.c vmm/monitor/dev/lapic.c vmm/monitor/dev/bus.c
/* I/O APIC: registers, edge and level inputs, remote IRR, EOI; together with a local APIC. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/ioapic.h"

static struct ioapic io;
static struct lapic lapic;
static struct apic_msg got;
static unsigned count;

static void deliver(void *ctx, const struct apic_msg *msg)
{
    (void)ctx;
    got = *msg;
    count++;
    if (lapic_matches(&lapic, msg)) lapic_accept(&lapic, msg);
}

static uint64_t tsc(void *ctx)
{
    (void)ctx;
    return now;
}

static void eoi(void *ctx, uint8_t vector)
{
    (void)ctx;
    ioapic_eoi(&io, vector);
}

static const struct lapic_host lhost = {NULL, tsc, NULL, eoi};

static void setup(void)
{
    fixture_reset();
    count = 0;
    assert_true(ioapic_init(&io, &bus, &host, deliver, NULL));
    assert_true(lapic_init(&lapic, &bus, &host, &lhost, 0, true, 1000000000));
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xf0, 4, 0x1ff);
}

static void wr(unsigned index, uint32_t value)
{
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE, 4, index);
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE + 0x10, 4, value);
}

static uint32_t rd(unsigned index)
{
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE, 4, index);
    return (uint32_t)bus_read(&bus, BUS_MMIO, IOAPIC_BASE + 0x10, 4);
}

static void test_registers(void **state)
{
    (void)state;
    setup();
    assert_int_equal(rd(1), 0x00170020);
    wr(1, 0xffffffff);
    assert_int_equal(rd(1), 0x00170020);
    wr(0, 0xffffffff);
    assert_int_equal(rd(0), 0x0f000000);
    assert_int_equal(rd(2), 0x0f000000);
    for (unsigned i = 0; i < 48; i++) {
        assert_int_equal(rd(0x10 + i), i % 2 ? 0 : 0x10000);
        wr(0x10 + i, 0xffffffff);
        assert_int_equal(rd(0x10 + i), i % 2 ? 0xff000000 : 0x1afff); /* status bits read-only */
    }
    for (unsigned i = 3; i < 256; i++) {
        if (i >= 0x10 && i < 0x40) continue;
        wr(i, 0xffffffff);
        assert_int_equal(rd(i), 0);
    }
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE, 4, 0x12);
    assert_int_equal(bus_read(&bus, BUS_MMIO, IOAPIC_BASE, 4), 0x12);
}

static void test_edge(void **state)
{
    (void)state;
    setup();
    ioapic_set_irq(&io, 4, true);
    assert_int_equal(count, 0);
    wr(0x18, 0x34); /* an edge on a masked input is lost */
    assert_int_equal(count, 0);
    ioapic_set_irq(&io, 4, true);
    assert_int_equal(count, 0);
    ioapic_set_irq(&io, 4, false);
    ioapic_set_irq(&io, 4, true);
    assert_int_equal(count, 1);
    assert_int_equal(lapic_ack(&lapic), 0x34);
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xb0, 4, 0);
    assert_int_equal(count, 1);
    assert_int_equal(rd(0x18), 0x34);
    wr(0x19, 0x05000000);
    wr(0x18, 0x00000c99); /* logical, NMI */
    ioapic_set_irq(&io, 4, false);
    ioapic_set_irq(&io, 4, true);
    assert_int_equal(got.dest, 5);
    assert_true(got.logical);
    assert_int_equal(got.mode, APIC_NMI);
    ioapic_set_irq(&io, 24, true);
    ioapic_set_irq(&io, UINT32_MAX, true);
    assert_int_equal(count, 2);
}

static void test_level(void **state)
{
    (void)state;
    setup();
    wr(0x22, 0x8051);
    ioapic_set_irq(&io, 9, true);
    assert_int_equal(count, 1);
    assert_true(got.level);
    assert_int_equal(rd(0x22), 0xc051); /* remote IRR */
    ioapic_set_irq(&io, 9, false);
    ioapic_set_irq(&io, 9, true);
    assert_int_equal(count, 1); /* waits for the EOI */
    assert_int_equal(lapic_ack(&lapic), 0x51);
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xb0, 4, 0);
    assert_int_equal(count, 2); /* still asserted: again */
    assert_int_equal(lapic_ack(&lapic), 0x51);
    ioapic_set_irq(&io, 9, false);
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xb0, 4, 0);
    assert_int_equal(count, 2);
    assert_int_equal(rd(0x22), 0x8051);
    wr(0x22, 0x18051);
    ioapic_set_irq(&io, 9, true);
    assert_int_equal(count, 2);
    wr(0x22, 0x8051); /* unmasking an asserted level input delivers it */
    assert_int_equal(count, 3);
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE + 0x40, 4, 0x52);
    assert_int_equal(count, 3);
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE + 0x40, 4, 0x51); /* EOI register */
    assert_int_equal(count, 4);
    wr(0x22, 0x10051); /* switching to edge clears remote IRR */
    assert_int_equal(rd(0x22), 0x10051);
}

static void tick(uint64_t t)
{
    ioapic_set_irq(&io, (unsigned)(random_next() % 26u), (random_next() & 1u) != 0);
    wr((unsigned)(0x10 + random_next() % 50u), (uint32_t)random_value());
    lapic_tick(&lapic, t);
    (void)lapic_ack(&lapic);
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    hammer(200000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_edge),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
