// sources: vmm/monitor/dev/ich9.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/acpi_pm.c vmm/monitor/dev/bus.c
/* LPC bridge: power management block, PIRQ routing, chipset configuration registers (ICH9 data
 * sheet, 13.1 and 10.1). */
#include "dev_fixture.h"
#include "vmm/monitor/dev/ich9.h"

static struct pci p;
static struct acpi_pm pm;
static struct ich9 l;
static struct pci_function card[32], second;
static uint16_t lines;

static void pic(void *ctx, uint16_t now_lines)
{
    (void)ctx;
    assert_int_not_equal(lines, now_lines);
    lines = now_lines;
}

static void intx(void *ctx, unsigned devfn, unsigned pin, bool level)
{
    (void)ctx, (void)devfn, (void)pin, (void)level;
    ich9_intx(&l);
}

static void event(void *ctx) { (void)ctx; }

static void setup(void)
{
    fixture_reset();
    lines = 0;
    assert_true(pci_init(&p, &bus, &host, intx, event, NULL));
    assert_true(acpi_pm_init(&pm, &bus, &host, false, event, NULL));
    assert_true(ich9_init(&l, &p, &pm, pic, NULL));
}

/* One function in a slot, one pin. */
static void setup_card(unsigned device, unsigned pin)
{
    const struct pci_id id = {.vendor = 0x1af4, .device = 1, .pin = (uint8_t)(pin + 1u)};

    setup();
    assert_true(
        pci_add(&p, &card[device], "card", PCI_DEVFN(device, device == 31 ? 2 : 0), &id, NULL));
}

static uint32_t get(unsigned offset, unsigned bytes)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x8000f800u | (offset & 0xfcu));
    return (uint32_t)bus_read(&bus, BUS_PIO, 0xcfc + (offset & 3u), bytes);
}

static void set(unsigned offset, unsigned bytes, uint32_t value)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x8000f800u | (offset & 0xfcu));
    bus_write(&bus, BUS_PIO, 0xcfc + (offset & 3u), bytes, value);
}

static uint64_t rcba(unsigned offset, unsigned bytes)
{
    return bus_read(&bus, BUS_MMIO, ICH9_RCBA_BASE + offset, bytes);
}

static void rcba_set(unsigned offset, unsigned bytes, uint64_t value)
{
    bus_write(&bus, BUS_MMIO, ICH9_RCBA_BASE + offset, bytes, value);
}

/* Reset values of 13.1, and what can be written. */
static void test_registers(void **state)
{
    (void)state;
    setup();
    assert_int_equal(get(0, 4), 0x29188086);
    assert_int_equal(get(8, 4), 0x06010002);
    assert_int_equal(get(4, 2), 7);
    assert_int_equal(get(0x40, 4), 1);
    assert_int_equal(get(0x44, 1), 0);
    assert_int_equal(get(0x60, 4), 0x80808080);
    assert_int_equal(get(0x68, 4), 0x80808080);
    assert_int_equal(get(0xf0, 4), 0);
    for (unsigned at = 4; at < 0x100; at += 4) set(at, 4, 0xffffffff);
    assert_int_equal(get(0, 4), 0x29188086);
    assert_int_equal(get(4, 2), 7);
    assert_int_equal(get(0x40, 4), 0xff81);
    assert_int_equal(get(0x44, 4), 0x80);
    assert_int_equal(get(0x60, 4), 0x8f8f8f8f);
    assert_int_equal(get(0x68, 4), 0x8f8f8f8f);
    assert_int_equal(get(0xf0, 4), 0xffffc001);
}

static void test_pmbase(void **state)
{
    (void)state;
    setup();
    assert_int_equal(pm.base, 0);
    set(0x40, 4, 0xb001);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xb004, 2), 0xffff);
    set(0x44, 1, 0x80);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xb004, 2), 0);
    now = 1000000000;
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xb008, 4), 3579545);
    set(0x41, 1, 0x06);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xb004, 2), 0xffff);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x608, 4), 3579545);
    set(0x40, 4, 0x0c80); /* the configuration ports are there */
    assert_int_equal(pm.base, 0);
    assert_int_equal(get(0, 4), 0x29188086);
    set(0x40, 4, 0x0400);
    assert_int_equal(pm.base, 0x400);
    set(0x44, 1, 0);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x404, 2), 0xffff);
}

/* Device 0 to 24: PIRQE..H rotated; 25 to 31: D25IR to D31IR, 3210h but for device 30. */
static void test_routes(void **state)
{
    (void)state;
    for (unsigned device = 0; device < 32; device++)
        for (unsigned pin = 0; pin < 4; pin++) {
            unsigned pirq = device < 25 ? 4 + (device + pin) % 4 : device == 30 ? 4 + pin : pin;

            assert_int_equal(ich9_pirq_default(device, pin), pirq);
            setup_card(device, pin);
            pci_intx_set(&card[device], true);
            for (unsigned n = 0; n < 8; n++) assert_int_equal(line[16 + n], n == pirq);
            assert_int_equal(lines, 0);
            set(ICH9_PIRQ_ROUT(pirq), 1, 11);
            assert_int_equal(lines, 1 << 11);
            assert_true(line[16 + pirq]);
            set(ICH9_PIRQ_ROUT(pirq), 1, 0x8b);
            assert_int_equal(lines, 0);
            pci_intx_set(&card[device], false);
            assert_false(line[16 + pirq]);
        }
}

static void test_lines(void **state)
{
    (void)state;
    setup_card(3, 0); /* PIRQH */
    pci_intx_set(&card[3], true);
    for (unsigned n = 0; n < 16; n++) {
        bool ok = (n >= 3 && n <= 7) || (n >= 9 && n <= 12) || n >= 14; /* 13.1.17 */

        set(0x6b, 1, n);
        assert_int_equal(lines, ok ? 1 << n : 0);
    }
}

static void test_shared(void **state)
{
    const struct pci_id id = {.vendor = 0x1af4, .device = 1, .pin = 2};

    (void)state;
    setup_card(3, 1);
    assert_true(pci_add(&p, &second, "second", PCI_DEVFN(4, 0),
                        &(struct pci_id){.vendor = 1, .pin = 1}, NULL));
    assert_true(pci_add(&p, &card[0], "same pin", PCI_DEVFN(3, 1), &id, NULL));
    set(0x68, 1, 10);
    pci_intx_set(&card[3], true);
    pci_intx_set(&second, true);
    pci_intx_set(&card[0], true);
    assert_true(line[16 + 4]);
    pci_intx_set(&card[3], false);
    pci_intx_set(&second, false);
    assert_true(line[16 + 4]);
    assert_int_equal(lines, 1 << 10);
    pci_intx_set(&card[0], false);
    assert_false(line[16 + 4]);
    assert_int_equal(lines, 0);
    assert_int_equal(rises[16 + 4], 1);
}

static void test_rcba(void **state)
{
    (void)state;
    setup_card(31, 1);
    assert_int_equal(rcba(0x3140, 2), 0xffff);
    set(0xf0, 4, ICH9_RCBA_BASE | 1);
    assert_int_equal(rcba(0x3140, 4), 0x00003210);
    assert_int_equal(rcba(0x3144, 4), 0x32103210);
    assert_int_equal(rcba(0x3148, 4), 0x00003210);
    assert_int_equal(rcba(0x314c, 4), 0x00003210);
    assert_int_equal(rcba(0x3150, 4), 0x00003210);
    assert_int_equal(rcba(0x3410, 4), 0x20);
    rcba_set(0x3410, 4, 0);
    assert_int_equal(rcba(0x3410, 4), 0x20);
    assert_int_equal(rcba(0x3404, 4), 0); /* no HPET */
    pci_intx_set(&card[31], true);
    assert_true(line[17]);
    rcba_set(0x3140, 2, 0xffff);
    assert_int_equal(rcba(0x3140, 4), 0x00007777);
    assert_true(line[23] && !line[17]);
    rcba_set(0x3142, 2, 0xffff); /* D30IR is read-only */
    assert_int_equal(rcba(0x3142, 2), 0);
    rcba_set(0x3140, 8, 0x4567123400000123ull);
    assert_true(rcba(0x3140, 8) == 0x4567123400000123ull);
    set(0xf0, 4, ICH9_RCBA_BASE);
    assert_int_equal(rcba(0x3140, 2), 0xffff);
}

static void test_setup(void **state)
{
    (void)state;
    setup_card(3, 1); /* PIRQE */
    ich9_setup(&l);
    assert_int_equal(pm.base, ACPI_PM_BASE);
    assert_int_equal(get(0x60, 4), 0x0b0b0a0a);
    assert_int_equal(get(0x68, 4), 0x0b0b0a0a);
    assert_int_equal(card[3].config[0x3c], 10);
    pci_intx_set(&card[3], true);
    assert_int_equal(lines, 1 << 10);
}

/* A saved bridge goes on in a machine as it is after reset: same routes, same block, same levels.
 */
static void test_state(void **state)
{
    uint8_t config[PCI_CONFIG_BYTES];
    struct ich9 saved;

    (void)state;
    setup_card(3, 1);
    ich9_setup(&l);
    set(0xf0, 4, ICH9_RCBA_BASE | 1);
    set(0x40, 4, 0xb000);
    pci_intx_set(&card[3], true);
    assert_true(line[20]);
    saved = l;
    memcpy(config, card[3].config, sizeof(config));
    setup_card(3, 1);
    line[20] = true; /* the I/O APIC's own state */
    lines = saved.lines;
    memcpy(l.f.config, saved.f.config, sizeof(config));
    memcpy(card[3].config, config, sizeof(config));
    card[3].intx_level = card[3].intx_wire = true;
    for (unsigned i = 0; i < ich9_state.count; i++)
        memcpy((uint8_t *)&l + ich9_state.members[i].offset,
               (uint8_t *)&saved + ich9_state.members[i].offset, ich9_state.members[i].bytes);
    assert_true(pci_function_state.loaded(&l.f));
    assert_true(pci_function_state.loaded(&card[3]));
    assert_true(pci_state.loaded(&p));
    assert_true(ich9_state.loaded(&l));
    assert_int_equal(pm.base, 0xb000);
    assert_int_equal(rcba(0x3140, 2), 0x3210);
    assert_true(line[20]);
    pci_intx_set(&card[3], false);
    assert_false(line[20]);
    assert_int_equal(lines, 0);
}

static void tick(uint64_t t)
{
    acpi_pm_tick(&pm, t);
    set((unsigned)random_next() & 0xfc, 4, (uint32_t)random_value());
    pci_intx_set(&card[3], (random_next() & 1u) != 0);
}

static void test_hammer(void **state)
{
    (void)state;
    setup_card(3, 1);
    ich9_setup(&l);
    set(0xf0, 4, ICH9_RCBA_BASE | 1);
    hammer(300000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers), cmocka_unit_test(test_pmbase),
        cmocka_unit_test(test_routes),    cmocka_unit_test(test_lines),
        cmocka_unit_test(test_shared),    cmocka_unit_test(test_rcba),
        cmocka_unit_test(test_setup),     cmocka_unit_test(test_state),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
