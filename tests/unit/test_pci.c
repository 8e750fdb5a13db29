// sources: vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c vmm/monitor/dev/bus.c
/* PCI configuration space by both ways in, base address registers, capabilities, pins, MSI and
 * MSI-X (PCI Local Bus 3.0, chapter 6), and the reset control register. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/pci.h"

#define ECAM 0xb0000000ull

static struct pci p;
static struct pci_function bridge, a, b;
static unsigned resets, writes, maps, messages;
static unsigned written_at, written_bytes;
static uint64_t map_gpa, message_address;
static uint32_t message_data;
static bool map_refused, pin_level[256][4];
static uint8_t screen_bytes[0x2000];
static const struct dev_ram screen = {screen_bytes, sizeof(screen_bytes)};

static void reset(void *ctx)
{
    (void)ctx;
    resets++;
}

static void intx(void *ctx, unsigned devfn, unsigned pin, bool level)
{
    (void)ctx;
    assert_true(devfn < 256u && pin < 4u);
    assert_true(pin_level[devfn][pin] != level); /* changes only */
    pin_level[devfn][pin] = level;
}

static void msi(void *ctx, uint64_t address, uint32_t data)
{
    (void)ctx;
    messages++;
    message_address = address;
    message_data = data;
}

static bool map(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes, uint64_t gpa,
                unsigned access)
{
    (void)ctx;
    assert_ptr_equal(ram, &screen);
    assert_int_equal(offset, 0);
    assert_int_equal(bytes, sizeof(screen_bytes));
    if (access == 0) {
        assert_int_equal(gpa, map_gpa); /* only what is there is taken away */
        map_gpa = 0;
        return true;
    }
    assert_int_equal(map_gpa, 0);
    if (map_refused) return false;
    maps++;
    map_gpa = gpa;
    return true;
}

static void written(void *dev, unsigned offset, unsigned bytes)
{
    assert_ptr_equal(dev, &a);
    writes++;
    written_at = offset;
    written_bytes = bytes;
}

static const struct dev_host pci_host = {
    .irq = fixture_irq, .now_ns = fixture_now, .msi = msi, .map = map};

/* A BAR's registers: reads give the offset, with the size in the top byte. */
static uint64_t regs_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    assert_ptr_equal(dev, &a);
    return offset | (uint64_t)size_bytes << 24;
}

static void regs_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    (void)offset, (void)size_bytes, (void)value;
    assert_ptr_equal(dev, &a);
}

static const struct bus_ops regs = {regs_read, regs_write};
static const struct pci_id bridge_id = {
    .vendor = 0x8086, .device = 0x29c0, .class_code = 0x060000, .revision = 2};
static const struct pci_id a_id = {0x1af4, 0x1042, 0x1af4, 0x1100, 0x010000, 1, 2};
static const struct pci_id b_id = {0x1234, 0x1111, 0, 0, 0x030000, 0, 0};

/* 00:00.0 a bridge; 00:03.0 "a" with an I/O, a 32-bit and a 64-bit BAR; 00:03.1 "b" with memory. */
static void setup(void)
{
    fixture_reset();
    resets = writes = maps = messages = 0;
    map_gpa = 0;
    map_refused = false;
    memset(pin_level, 0, sizeof(pin_level));
    assert_true(pci_init(&p, &bus, &pci_host, intx, reset, NULL));
    assert_true(pci_add(&p, &bridge, "bridge", PCI_DEVFN(0, 0), &bridge_id, NULL));
    assert_true(pci_add(&p, &a, "a", PCI_DEVFN(3, 0), &a_id, &a));
    assert_true(pci_add(&p, &b, "b", PCI_DEVFN(3, 1), &b_id, NULL));
    a.written = written;
    pci_bar_add(&a, 0,
                &(struct pci_bar){.size_bytes = 0x40, .kind = BUS_PIO, .ops = &regs, .dev = &a});
    pci_bar_add(&a, 1,
                &(struct pci_bar){.size_bytes = 0x1000, .kind = BUS_MMIO, .ops = &regs, .dev = &a});
    pci_bar_add(&a, 4,
                &(struct pci_bar){.size_bytes = 0x4000,
                                  .kind = BUS_MMIO,
                                  .wide = true,
                                  .prefetchable = true,
                                  .ops = &regs,
                                  .dev = &a});
    pci_bar_add(&b, 0,
                &(struct pci_bar){
                    .size_bytes = 0x2000, .kind = BUS_MMIO, .prefetchable = true, .ram = &screen});
    assert_true(pci_ecam(&p, ECAM, 256));
}

static uint64_t mem(uint64_t gpa, unsigned bytes) { return bus_read(&bus, BUS_MMIO, gpa, bytes); }
static void mem_set(uint64_t gpa, unsigned bytes, uint64_t value)
{
    bus_write(&bus, BUS_MMIO, gpa, bytes, value);
}

static uint64_t place(unsigned devfn, unsigned offset) { return ECAM + (devfn << 12) + offset; }

static uint32_t get(unsigned devfn, unsigned offset, unsigned bytes)
{
    uint32_t value = (uint32_t)mem(place(devfn, offset), bytes);

    /* The other way in says the same. */
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | devfn << 8 | (offset & 0xfcu));
    assert_int_equal(bus_read(&bus, BUS_PIO, (uint16_t)(0xcfc + (offset & 3u)), bytes), value);
    return value;
}

static void set(unsigned devfn, unsigned offset, unsigned bytes, uint32_t value)
{
    if (random_next() & 1u) {
        mem_set(place(devfn, offset), bytes, value);
        return;
    }
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | devfn << 8 | (offset & 0xfcu));
    bus_write(&bus, BUS_PIO, (uint16_t)(0xcfc + (offset & 3u)), bytes, value);
}

#define A PCI_DEVFN(3, 0)
#define B PCI_DEVFN(3, 1)

static uint32_t config(uint32_t address)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, address);
    return (uint32_t)bus_read(&bus, BUS_PIO, 0xcfc, 4);
}

static void test_ports(void **state)
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
    assert_int_equal(in8(0xcf8), 0xff); /* the address is a dword */
    assert_int_equal(config(0x80000008), 0x06000002);
    for (uint32_t bar = 0x10; bar < 0x28; bar += 4) {
        config(0x80000000 | bar);
        bus_write(&bus, BUS_PIO, 0xcfc, 4, 0xffffffff);
        assert_int_equal(config(0x80000000 | bar), 0);
    }
    assert_int_equal(config(0x800000fc), 0);
    assert_int_equal(config(0x00000000), 0xffffffff); /* not enabled */
    bus_write(&bus, BUS_PIO, 0xcfc, 4, 0);
    for (uint32_t bdf = 0; bdf < 0x10000; bdf++)
        assert_int_equal(config(0x80000000 | bdf << 8) != 0xffffffff,
                         bdf == 0 || bdf == A || bdf == B);
}

static void test_ecam(void **state)
{
    (void)state;
    setup();
    assert_int_equal(mem(ECAM, 4), 0x29c08086);
    assert_int_equal(mem(ECAM + 3, 1), 0x29);
    assert_true(mem(ECAM, 8) == 0x0000000029c08086ull);
    assert_int_equal(mem(ECAM + 0x100, 4), 0xffffffff); /* no extended space */
    assert_int_equal(mem(ECAM + 0xfe, 4), 0xffffffff);
    assert_int_equal(mem(ECAM + 0x100000, 4), 0xffffffff); /* bus 1 */
    assert_int_equal(mem(ECAM + 0xfffffffc, 4), 0xffffffff);
    assert_true(pci_ecam(&p, 0xe0000000, 64));
    assert_int_equal(mem(ECAM, 4), 0xffffffff);
    assert_int_equal(mem(0xe0000000, 4), 0x29c08086);
    assert_true(pci_ecam(&p, 0, 0));
    assert_int_equal(mem(0xe0000000, 4), 0xffffffff);
}

/* PCI 3.0, figure 6-1 and tables 6-1, 6-2. */
static void test_header(void **state)
{
    (void)state;
    setup();
    assert_int_equal(get(A, 0, 4), 0x10421af4);
    assert_int_equal(get(A, 4, 4), 0);
    assert_int_equal(get(A, 8, 4), 0x01000001);
    assert_int_equal(get(A, 0x2c, 4), 0x11001af4);
    assert_int_equal(get(A, 0x3d, 1), 2);
    assert_int_equal(get(A, 0x0e, 1), 0x80); /* multi-function */
    assert_int_equal(get(B, 0x0e, 1), 0x80);
    assert_int_equal(get(0, 0x0e, 1), 0);
    assert_int_equal(get(A, 0x34, 1), 0);
    set(A, 0, 4, 0);
    set(A, 8, 4, 0);
    set(A, 0x2c, 4, 0);
    set(A, 0x3c, 4, 0xffffff0b);
    set(A, 4, 4, 0xffffffff);
    assert_int_equal(get(A, 0, 4), 0x10421af4);
    assert_int_equal(get(A, 8, 4), 0x01000001);
    assert_int_equal(get(A, 0x2c, 4), 0x11001af4);
    assert_int_equal(get(A, 0x3c, 4), 0x0000020b);
    assert_int_equal(get(A, 4, 4), 0x00000547);
    assert_true(pci_master(&a));
    set(A, 5, 1, 0);
    assert_int_equal(get(A, 4, 2), 0x47);
    set(B, 0x3c, 1, 5); /* no pin, no line */
    assert_int_equal(get(B, 0x3c, 2), 0);
    assert_true(writes >= 6);
    assert_int_equal(written_at, 5);
    assert_int_equal(written_bytes, 1);
    assert_false(pci_add(&p, &b, "again", A, &b_id, NULL));
}

static void test_bar_sizes(void **state)
{
    (void)state;
    setup();
    assert_int_equal(get(A, 0x10, 4), 1);
    assert_int_equal(get(A, 0x14, 4), 0);
    assert_int_equal(get(A, 0x20, 4), 0xc);
    assert_int_equal(get(B, 0x10, 4), 8);
    for (unsigned at = 0x10; at < 0x28; at += 4) set(A, at, 4, 0xffffffff);
    assert_int_equal(get(A, 0x10, 4), 0xffffffc1);
    assert_int_equal(get(A, 0x14, 4), 0xfffff000);
    assert_int_equal(get(A, 0x18, 4), 0);
    assert_int_equal(get(A, 0x1c, 4), 0);
    assert_int_equal(get(A, 0x20, 4), 0xffffc00c);
    assert_int_equal(get(A, 0x24, 4), 0xffffffff);
    set(A, 0x30, 4, 0xffffffff); /* no expansion ROM */
    assert_int_equal(get(A, 0x30, 4), 0);
    /* Asked for with decoding on, nothing appears at the top of memory. */
    set(A, 4, 2, 3);
    assert_false(a.bar[0].decoded || a.bar[1].decoded || a.bar[4].decoded);
}

static void test_bar_decode(void **state)
{
    (void)state;
    setup();
    set(A, 0x10, 4, 0xc000);
    set(A, 0x14, 4, 0xfe000000);
    set(A, 0x20, 4, 0x00004000);
    set(A, 0x24, 4, 0x00000010);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xc000, 4), 0xffffffff);
    assert_int_equal(mem(0xfe000000, 4), 0xffffffff);
    set(A, 4, 2, 1);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xc004, 4), 0x04000004);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xc040, 4), 0xffffffff);
    assert_int_equal(mem(0xfe000000, 4), 0xffffffff);
    set(A, 4, 2, 2);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xc004, 4), 0xffffffff);
    assert_int_equal(mem(0xfe000ff8, 8), 0x08000ff8);
    assert_int_equal(mem(0x1000007ffcull, 4), 0x04003ffc);
    set(A, 0x24, 4, 0x11); /* moved by its upper half */
    assert_int_equal(mem(0x1000007ffcull, 4), 0xffffffff);
    assert_int_equal(mem(0x1100004000ull, 4), 0x04000000);
    set(A, 0x17, 1, 0xfd); /* and by one byte */
    assert_int_equal(mem(0xfd000010, 4), 0x04000010);
    assert_int_equal(mem(0xfe000010, 4), 0xffffffff);
    set(A, 0x14, 4, 0);
    assert_int_equal(mem(0, 4), 0xffffffff); /* zero is no place */
}

static void test_bar_overlap(void **state)
{
    (void)state;
    setup();
    set(A, 4, 2, 2);
    set(B, 4, 2, 2);
    set(A, 0x14, 4, 0xfe001000);
    set(B, 0x10, 4, 0xfe000000); /* covers it: the second is not decoded */
    assert_int_equal(mem(0xfe001000, 4), 0x04000000);
    assert_int_equal(mem(0xfe000000, 4), 0xffffffff);
    assert_int_equal(maps, 0);
    set(A, 0x14, 4, 0xfe002000); /* moved away: it appears */
    assert_int_equal(mem(0xfe002000, 4), 0x04000000);
    assert_int_equal(map_gpa, 0xfe000000);
    set(A, 0x14, 4, 0xb0001000); /* in the configuration space */
    assert_int_equal(mem(0xb0001000, 4), 0xffffffff);
    assert_true(pci_ecam(&p, 0, 0));
    assert_int_equal(mem(0xb0001000, 4), 0x04000000);
    assert_true(pci_ecam(&p, ECAM, 256)); /* which comes first */
    assert_int_equal(mem(0xb0001000, 4), 0xffffffff);
}

static void test_bar_memory(void **state)
{
    (void)state;
    setup();
    set(B, 0x10, 4, 0xe0000000);
    set(B, 4, 2, 2);
    assert_int_equal(map_gpa, 0xe0000000);
    screen_bytes[0x1ffe] = 0x34;
    screen_bytes[0x1fff] = 0x12;
    assert_int_equal(mem(0xe0001ffe, 2), 0x1234);
    mem_set(0xe0000008, 8, 0x1122334455667788ull);
    assert_int_equal(screen_bytes[8], 0x88);
    set(B, 0x10, 4, 0xe1000000);
    assert_int_equal(map_gpa, 0xe1000000);
    set(B, 4, 2, 0);
    assert_int_equal(map_gpa, 0);
    map_refused = true;
    set(B, 4, 2, 2);
    assert_false(b.bar[0].decoded);
    assert_int_equal(mem(0xe1000000, 4), 0xffffffff);
    map_refused = false;
    set(A, 4, 2, 0); /* any later change finds it */
    assert_int_equal(map_gpa, 0xe1000000);
}

static void test_capabilities(void **state)
{
    unsigned at, vendor;

    (void)state;
    setup();
    vendor = pci_capability(&a, 9, 13);
    assert_int_equal(vendor, 0x40);
    pci_msi_add(&a);
    assert_true(pci_msix_add(&a, 2, 3));
    assert_false(pci_msix_add(&a, 2, 3)); /* in use */
    assert_int_equal(get(A, 6, 2) & 0x10, 0x10);
    at = get(A, 0x34, 1);
    assert_int_equal(at, 0x40);
    assert_int_equal(get(A, at, 2), 0x5009);
    assert_int_equal(get(A, 0x50, 4), 0x00806005); /* 64-bit, one vector */
    assert_int_equal(get(A, 0x60, 4), 0x00020011); /* three */
    assert_int_equal(get(A, 0x64, 4), 2);
    assert_int_equal(get(A, 0x68, 4), 0x802);
    set(A, 0x40, 4, 0xffffffff);
    assert_int_equal(get(A, 0x40, 4), 0x00005009);
    while ((at = pci_capability(&a, 9, 32)) != 0) assert_true(at >= 0x6c && at <= 0xe0);
    assert_int_equal(pci_capability(&b, 9, 193), 0);
    assert_int_equal(pci_capability(&b, 9, 192), 0x40);
    assert_int_equal(pci_capability(&b, 9, 2), 0);
}

static void test_pin(void **state)
{
    (void)state;
    setup();
    pci_intx_set(&a, true);
    pci_intx_set(&a, true);
    assert_true(pin_level[A][1]);
    assert_int_equal(get(A, 6, 2), 0x08);
    set(A, 4, 2, PCI_COMMAND_INTX_OFF);
    assert_false(pin_level[A][1]);
    assert_int_equal(get(A, 6, 2), 0x08); /* the state behind it shows all the same */
    set(A, 4, 2, 0);
    assert_true(pin_level[A][1]);
    pci_intx_set(&a, false);
    assert_false(pin_level[A][1]);
    assert_int_equal(get(A, 6, 2), 0);
    pci_intx_set(&b, true); /* has no pin */
    assert_int_equal(get(B, 6, 2), 0x08);
}

static void test_msi(void **state)
{
    (void)state;
    setup();
    pci_msi_add(&a);
    set(A, 0x44, 4, 0xfee01007);
    set(A, 0x48, 4, 0);
    set(A, 0x4c, 4, 0xffff4041);
    assert_int_equal(get(A, 0x44, 4), 0xfee01004);
    assert_int_equal(get(A, 0x4c, 4), 0x00004041);
    pci_msi_send(&a);
    set(A, 0x42, 2, 0xffff);
    assert_int_equal(get(A, 0x42, 2), 0x00f1);
    assert_true(pci_msi_enabled(&a));
    pci_msi_send(&a);
    assert_int_equal(messages, 0); /* no bus master */
    pci_intx_set(&a, true);
    assert_false(pin_level[A][1]); /* one or the other */
    set(A, 4, 2, PCI_COMMAND_MASTER);
    pci_msi_send(&a);
    assert_int_equal(messages, 1);
    assert_int_equal(message_address, 0xfee01004);
    assert_int_equal(message_data, 0x4041);
    set(A, 0x42, 2, 0);
    assert_true(pin_level[A][1]);
    pci_msi_send(&b);
    assert_int_equal(messages, 1);
}

/* PCI 3.0, 6.8.2: table, pending bits, function mask. */
static void test_msix(void **state)
{
    const uint64_t table = 0xfe000000, pba = table + 0x800;

    (void)state;
    setup();
    assert_true(pci_msix_add(&a, 2, 3));
    set(A, 0x18, 4, table);
    set(A, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(mem(table + i * 16 + 12, 4), i < 3); /* masked */
        assert_int_equal(mem(table + i * 16, 4), 0);
        mem_set(table + i * 16, 8, 0x1fee00003ull + i * 0x1000);
        mem_set(table + i * 16 + 8, 4, 0x50 + i);
    }
    assert_true(mem(table + 16, 8) == 0x1fee01000ull);
    assert_int_equal(mem(table + 24, 8), 0x0000000100000051ull);
    assert_int_equal(mem(table + 48, 8), 0); /* there is no fourth */
    mem_set(table + 16 + 8, 2, 0xffff);
    mem_set(table + 16 + 8, 1, 0xff);
    mem_set(table + 16 + 10, 4, 0xffffffff);
    assert_int_equal(mem(table + 24, 4), 0x51); /* dwords only */
    pci_msix_send(&a, 0);
    assert_int_equal(mem(pba, 4), 0); /* off: nothing is noted */
    set(A, 0x42, 2, 0x8000);
    assert_int_equal(get(A, 0x42, 2), 0x8002);
    assert_true(pci_msix_enabled(&a));
    pci_msix_send(&a, 1);
    pci_msix_send(&a, 2);
    pci_msix_send(&a, 3);
    assert_int_equal(messages, 0);
    assert_int_equal(mem(pba, 8), 6);
    mem_set(pba, 4, 0); /* read-only */
    assert_int_equal(mem(pba, 4), 6);
    mem_set(table + 16 + 12, 4, 0xfffffffe);
    assert_int_equal(mem(table + 16 + 12, 4), 0);
    assert_int_equal(messages, 1);
    assert_true(message_address == 0x1fee01000ull);
    assert_int_equal(message_data, 0x51);
    assert_int_equal(mem(pba, 4), 4);
    pci_msix_send(&a, 1);
    assert_int_equal(messages, 2);
    set(A, 0x42, 2, 0xc000); /* all masked */
    pci_msix_send(&a, 1);
    mem_set(table + 32 + 12, 4, 0);
    assert_int_equal(messages, 2);
    assert_int_equal(mem(pba, 4), 6);
    set(A, 0x42, 2, 0x8000);
    assert_int_equal(messages, 4);
    assert_int_equal(mem(pba, 4), 0);
    set(A, 0x42, 2, 0xc000);
    pci_msix_send(&a, 1);
    set(A, 0x42, 2, 0);
    assert_int_equal(mem(pba, 4), 0);
}

static void test_assign(void **state)
{
    (void)state;
    setup();
    assert_true(pci_msix_add(&a, 2, 3));
    assert_true(pci_assign(&p, 0xc0001000, 0xfec00000));
    assert_int_equal(get(A, 4, 2), 3);
    assert_int_equal(get(B, 4, 2), 2);
    assert_int_equal(get(0, 4, 2), 0);
    assert_int_equal(get(A, 0x10, 4), 0xc001);
    assert_int_equal(get(A, 0x20, 4), 0xc000400c);
    assert_int_equal(get(A, 0x24, 4), 0);
    assert_int_equal(get(B, 0x10, 4), 0xc0008008);
    assert_int_equal(get(A, 0x14, 4), 0xc000a000);
    assert_int_equal(get(A, 0x18, 4), 0xc000b000);
    assert_true(a.bar[0].decoded && a.bar[1].decoded && a.bar[2].decoded && a.bar[4].decoded);
    assert_int_equal(map_gpa, 0xc0008000);
    setup();
    assert_false(pci_assign(&p, 0xc0001000, 0xc0005000));
    assert_false(a.bar[4].decoded);
    assert_true(a.bar[1].decoded && a.bar[0].decoded && b.bar[0].decoded);
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

static void tick(uint64_t t)
{
    (void)t;
    set((unsigned)random_next() % 32u, (unsigned)random_next() & 0xfcu, 4,
        (uint32_t)random_value());
    map_refused = (random_next() & 3u) == 0;
    pci_msix_send(&a, (unsigned)random_next() & 3u);
    pci_msi_send(&a);
    pci_intx_set(&a, (random_next() & 1u) != 0);
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    pci_msi_add(&a);
    assert_true(pci_msix_add(&a, 2, 16));
    hammer(300000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),      cmocka_unit_test(test_ecam),
        cmocka_unit_test(test_header),     cmocka_unit_test(test_bar_sizes),
        cmocka_unit_test(test_bar_decode), cmocka_unit_test(test_bar_overlap),
        cmocka_unit_test(test_bar_memory), cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_pin),        cmocka_unit_test(test_msi),
        cmocka_unit_test(test_msix),       cmocka_unit_test(test_assign),
        cmocka_unit_test(test_reset),      cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
