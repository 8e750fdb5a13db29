// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/pic.c vmm/monitor/dev/pit.c
// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/ioapic.c vmm/monitor/dev/uart16550.c
// sources: vmm/monitor/dev/rtc.c vmm/monitor/dev/acpi_pm.c vmm/monitor/dev/i8042.c
// sources: vmm/monitor/dev/ps2_keyboard.c vmm/monitor/dev/ps2_mouse.c
// sources: vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c vmm/monitor/dev/debug_exit.c
// sources: vmm/monitor/dev/mch.c vmm/monitor/dev/ich9.c vmm/monitor/dev/guest_mem.c
/* All devices on one bus: no two ranges collide, and a timer tick reaches the CPU on each of the
 * ways an operating system tries: 8259 through LINT0, I/O APIC, local timer against the PIT. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/acpi_pm.h"
#include "vmm/monitor/dev/debug_exit.h"
#include "vmm/monitor/dev/i8042.h"
#include "vmm/monitor/dev/ich9.h"
#include "vmm/monitor/dev/ioapic.h"
#include "vmm/monitor/dev/mch.h"
#include "vmm/monitor/dev/pci.h"
#include "vmm/monitor/dev/pic.h"
#include "vmm/monitor/dev/pit.h"
#include "vmm/monitor/dev/rtc.h"
#include "vmm/monitor/dev/uart16550.h"

static struct pic pic;
static struct pit pit;
static struct lapic lapic;
static struct ioapic ioapic;
static struct uart16550 uart;
static struct rtc rtc;
static struct acpi_pm pm;
static struct i8042 kbd;
static struct pci pci;
static struct mch mch;
static struct ich9 ich9;
static struct debug_exit dbg;

static void wire_irq(void *ctx, unsigned n, bool level)
{
    (void)ctx;
    pic_set_irq(&pic, n, level);
    ioapic_set_irq(&ioapic, n == 0 ? 2u : n, level);
}

static void wire_deliver(void *ctx, const struct apic_msg *msg)
{
    struct lapic *cpus[1] = {&lapic};

    (void)ctx;
    if (lapic_targets(cpus, 1, 1, msg)) lapic_accept(&lapic, msg);
}

static uint64_t wire_tsc(void *ctx)
{
    (void)ctx;
    return now * 2u;
}

static void wire_eoi(void *ctx, uint8_t vector)
{
    (void)ctx;
    ioapic_eoi(&ioapic, vector);
}

static bool wire_tx(void *ctx, uint8_t byte)
{
    (void)ctx;
    (void)byte;
    return true;
}

static void wire_event(void *ctx) { (void)ctx; }

static void wire_value(void *ctx, uint32_t value)
{
    (void)ctx;
    (void)value;
}

static void wire_pirq(void *ctx, uint16_t lines)
{
    (void)ctx;
    (void)lines;
}

static const struct dev_host wired = {.irq = wire_irq, .now_ns = fixture_now};
static const struct lapic_host lhost = {NULL, wire_tsc, NULL, wire_eoi};

static void setup(void)
{
    fixture_reset();
    assert_true(lapic_init(&lapic, &bus, &wired, &lhost, 0, true, 2000000000));
    assert_true(ioapic_init(&ioapic, &bus, &wired, wire_deliver, NULL));
    assert_true(pic_init(&pic, &bus, &wired));
    assert_true(pit_init(&pit, &bus, &wired));
    assert_true(rtc_init(&rtc, &bus, &wired, 1700000000, 1u << 28, 0));
    assert_true(uart16550_init(&uart, &bus, &wired, 0x3f8, 4, wire_tx, NULL));
    assert_true(i8042_init(&kbd, &bus, &wired, true, wire_event, NULL));
    assert_true(pci_init(&pci, &bus, &wired, NULL, wire_event, NULL));
    assert_true(acpi_pm_init(&pm, &bus, &wired, true, wire_event, NULL));
    assert_true(mch_init(&mch, &pci, NULL));
    assert_true(ich9_init(&ich9, &pci, &pm, wire_pirq, NULL));
    mch_setup(&mch);
    ich9_setup(&ich9);
    assert_true(debug_exit_init(&dbg, &bus, &wired, wire_value, NULL));
    lapic_virtual_wire(&lapic);
}

/* The vector the CPU would get now, as the monitor asks for it; -1 none. */
static int interrupt(void)
{
    int vector = lapic_ack(&lapic);

    if (vector < 0 && pic_intr(&pic) && lapic_extint_enabled(&lapic)) vector = pic_ack(&pic);
    return vector;
}

static void run_pit(void)
{
    if (pit.deadline_ns <= now + 100000000u) now = pit.deadline_ns;
    pit_tick(&pit, now);
}

static void pit_100hz(void)
{
    out8(0x43, 0x34);
    out8(0x40, 11932 & 0xff);
    out8(0x40, 11932 >> 8);
}

static void test_virtual_wire(void **state)
{
    (void)state;
    setup();
    out8(0x20, 0x11);
    out8(0x21, 0x30);
    out8(0x21, 0x04);
    out8(0x21, 0x01);
    out8(0x21, 0xfe);
    pit_100hz();
    (void)interrupt(); /* the output's rise when the mode is set */
    out8(0x20, 0x20);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(interrupt(), -1);
        run_pit();
        assert_int_equal(interrupt(), 0x30);
        assert_int_equal(interrupt(), -1);
        out8(0x20, 0x20);
    }
    assert_in_range(now, 999000000, 1001000000);
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0x350, 4, 0x10700);
    run_pit();
    assert_int_equal(interrupt(), -1);
}

static void test_ioapic_timer(void **state)
{
    (void)state;
    setup();
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0x350, 4, 0x10700);
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE, 4, 0x14);
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE + 0x10, 4, 0x30);
    pit_100hz();
    (void)interrupt();
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xb0, 4, 0);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(interrupt(), -1);
        run_pit();
        assert_int_equal(interrupt(), 0x30);
        bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xb0, 4, 0);
    }
    assert_in_range(now, 999000000, 1001000000);
}

/* How an operating system measures the local timer: count it down over ten PIT ticks. */
static void test_lapic_calibration(void **state)
{
    uint32_t before, after;

    (void)state;
    setup();
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0x3e0, 4, 0x03);
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0x380, 4, 0xffffffff);
    pit_100hz();
    run_pit();
    before = (uint32_t)bus_read(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0x390, 4);
    for (unsigned i = 0; i < 10; i++) run_pit();
    after = (uint32_t)bus_read(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0x390, 4);
    assert_in_range(before - after, 6249900, 6250300); /* 100 ms of 1 GHz / 16 */
}

/* The SCI: level triggered, stays until the guest has cleared the event. */
static void test_sci(void **state)
{
    (void)state;
    setup();
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE, 4, 0x22);
    bus_write(&bus, BUS_MMIO, IOAPIC_BASE + 0x10, 4, 0x8041);
    bus_write(&bus, BUS_PIO, ACPI_PM1_EVT + 2, 2, 0x0100);
    acpi_pm_power_button(&pm);
    assert_int_equal(interrupt(), 0x41);
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xb0, 4, 0);
    assert_int_equal(interrupt(), 0x41); /* still asserted */
    bus_write(&bus, BUS_PIO, ACPI_PM1_EVT, 2, 0x0100);
    bus_write(&bus, BUS_MMIO, LAPIC_DEFAULT_BASE + 0xb0, 4, 0);
    assert_int_equal(interrupt(), -1);
}

static void tick(uint64_t t)
{
    pit_tick(&pit, t);
    rtc_tick(&rtc, t);
    lapic_tick(&lapic, t);
    uart16550_tick(&uart, t);
    acpi_pm_tick(&pm, t);
    uart16550_rx(&uart, (uint8_t)t);
    for (unsigned i = 0; i < 4u; i++) (void)interrupt();
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    hammer(500000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_virtual_wire),
        cmocka_unit_test(test_ioapic_timer),
        cmocka_unit_test(test_lapic_calibration),
        cmocka_unit_test(test_sci),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
