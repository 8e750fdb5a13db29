// sources: vmm/monitor/dev/ahci.c vmm/monitor/dev/ahci_port.c vmm/monitor/dev/ahci_fis.c
// sources: vmm/monitor/dev/ata.c vmm/monitor/dev/ata_pages.c vmm/monitor/dev/atapi.c
// sources: vmm/monitor/dev/disk.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/guest_mem.c
/*
 * AHCI 1.3.1: what the registers hold after each kind of reset, the frames in guest memory byte by
 * byte, command lists and region tables that are wrong, queues, interrupts by pin and by message,
 * resets and saved state at any moment.
 */
#include "dev_fixture.h"
#include "vmm/monitor/dev/ahci.h"
#include "vmm/monitor/dev/dev_util.h"

#define ABAR     0xf0000000u
#define RAM      (4u << 20)
#define CLB      0x10000u
#define FB       0x11000u
#define TABLES   0x20000u /* one of 0x1000 bytes a slot */
#define DATA     0x100000u
#define SECTORS  8192u
#define CD_BYTES (300u * 2048u)

static uint8_t ram[RAM], disk_memory[8u << 20], image[SECTORS * 512u], cd_image[CD_BYTES];
static struct guest_mem mem = {ram, RAM, NULL};
static struct pci pci;
static struct ahci a;
static struct disk disk, cd;
static bool pin;
static unsigned messages;

static void wire_msi(void *ctx, uint64_t address, uint32_t data)
{
    assert_true(address == 0xfee00000u && data == 0x41u);
    messages++;
}

static void wire_intx(void *ctx, unsigned devfn, unsigned n, bool level)
{
    assert_int_equal(devfn, PCI_DEVFN(0x1fu, 2u));
    assert_true(pin != level);
    pin = level;
}

static void wire_reset(void *ctx) {}

static const struct dev_host sata_host = {
    .irq = fixture_irq, .now_ns = fixture_now, .mem = &mem, .msi = wire_msi};

static uint32_t get(unsigned reg) { return (uint32_t)bus_read(&bus, BUS_MMIO, ABAR + reg, 4); }

static void set(unsigned reg, uint32_t value) { bus_write(&bus, BUS_MMIO, ABAR + reg, 4, value); }

/* Registers of port 0 (the disk) and port 1 (the CD-ROM drive). */
enum { IS = 0x10, IE = 0x14, CMD = 0x18, TFD = 0x20, SIG = 0x24, SSTS = 0x28, SCTL = 0x2c };
enum { SERR = 0x30, SACT = 0x34, CI = 0x38 };

static unsigned P(unsigned port, unsigned reg) { return 0x100u + port * 0x80u + reg; }

static uint32_t config(unsigned offset, unsigned bytes, bool write, uint32_t value)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | AHCI_DEVFN << 8 | (offset & 0xfcu));
    if (write)
        bus_write(&bus, BUS_PIO, 0xcfc + (offset & 3u), bytes, value);
    else
        return (uint32_t)bus_read(&bus, BUS_PIO, 0xcfc + (offset & 3u), bytes);
    return 0;
}

static void setup(void)
{
    struct bh_monitor_disk c = {.name = "sda",
                                .bytes = sizeof(image),
                                .image_va = (uintptr_t)image,
                                .image_bytes = sizeof(image)};

    fixture_reset();
    memset(ram, 0xee, sizeof(ram));
    memset(disk_memory, 0, 64u << 10); /* the index */
    if (image[4] == 0) {
        for (unsigned i = 0; i < sizeof(image); i += 4u)
            memcpy(image + i, &(uint32_t){i * 2654435761u}, 4);
        for (unsigned i = 0; i < sizeof(cd_image); i += 4u)
            memcpy(cd_image + i, &(uint32_t){i * 40503u + 7u}, 4);
    }
    pin = false;
    messages = 0;
    c.memory_bytes = bh_disk_memory_bytes(c.bytes, c.bytes);
    assert_true(c.memory_bytes <= sizeof(disk_memory));
    assert_true(disk_init(&disk, &c, disk_memory));
    c = (struct bh_monitor_disk){.name = "cd",
                                 .bytes = CD_BYTES,
                                 .image_va = (uintptr_t)cd_image,
                                 .image_bytes = CD_BYTES,
                                 .flags = BH_DISK_CDROM};
    assert_true(disk_init(&cd, &c, NULL));
    assert_true(pci_init(&pci, &bus, &sata_host, wire_intx, wire_reset, NULL));
    assert_true(ahci_init(&a, &pci, &sata_host));
    assert_true(ahci_attach(&a, 0, &disk));
    assert_true(ahci_attach(&a, 1, &cd));
    assert_true(pci_assign(&pci, ABAR, ABAR + 0x100000u));
    config(4, 2, true, 6);
}

/* What a driver does before the first command. */
static void start(unsigned port)
{
    set(P(port, 0x00), CLB);
    set(P(port, 0x04), 0);
    set(P(port, 0x08), FB);
    set(P(port, 0x0c), 0);
    set(P(port, SERR), UINT32_MAX);
    set(P(port, IS), UINT32_MAX);
    set(P(port, CMD), 0x10);
    set(P(port, CMD), 0x11);
}

static uint32_t word(unsigned at)
{
    uint32_t v;

    memcpy(&v, ram + at, 4);
    return v;
}

static void put(unsigned at, uint32_t v) { memcpy(ram + at, &v, 4); }

static void region(unsigned slot, unsigned n, uint64_t at, uint32_t bytes, bool interrupt)
{
    unsigned prd = TABLES + slot * 0x1000u + 0x80u + n * 16u;

    put(prd, (uint32_t)at);
    put(prd + 4, (uint32_t)(at >> 32));
    put(prd + 8, 0xffffffff);
    put(prd + 12, (bytes - 1u) | (interrupt ? 1u << 31 : 0));
}

/* Command header, register frame; @regions already there. */
static void command(unsigned slot, uint8_t cmd, uint64_t lba, unsigned count, unsigned features,
                    unsigned regions)
{
    unsigned table = TABLES + slot * 0x1000u, header = CLB + slot * 32u;
    uint8_t fis[20] = {0x27, 0x80, cmd};

    fis[3] = (uint8_t)features;
    fis[11] = (uint8_t)(features >> 8);
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (uint8_t)(lba >> (8 * i));
        fis[8 + i] = (uint8_t)(lba >> (24 + 8 * i));
    }
    fis[7] = 0x40;
    fis[12] = (uint8_t)count;
    fis[13] = (uint8_t)(count >> 8);
    put(header, 5u | regions << 16);
    put(header + 4, 0xffffffff);
    put(header + 8, table);
    put(header + 12, 0);
    memcpy(ram + table, fis, sizeof(fis));
}

static void soft_reset(unsigned port, bool on)
{
    command(0, 0, 0, 0, 0, 0);
    ram[TABLES + 1] = 0;
    ram[TABLES + 15] = on ? 4 : 0;
    set(P(port, CI), 1);
}

static void packet(unsigned slot, const uint8_t *cdb, unsigned bytes)
{
    region(slot, 0, DATA, bytes, false);
    command(slot, 0xa0, 0, 0, 1, 1);
    put(CLB + slot * 32u, 5u | 1u << 5 | 1u << 16);
    memcpy(ram + TABLES + slot * 0x1000u + 0x40, cdb, 12);
    set(P(1, CI), 1u << slot);
}

static void finish(void)
{
    while (a.deadline_ns != NO_DEADLINE_NS) {
        assert_true(a.deadline_ns > now);
        now = a.deadline_ns;
        ahci_tick(&a, now);
    }
}

/* ---- registers ---- */

static void test_identity(void **state)
{
    setup();
    assert_int_equal(config(0, 4, false, 0), 0x29228086);
    assert_int_equal(config(8, 4, false, 0), 0x01060102);
    assert_int_equal(config(0x24, 4, false, 0), ABAR);
    config(0x24, 4, true, UINT32_MAX);
    assert_int_equal(config(0x24, 4, false, 0), 0xfffff800);
    assert_int_equal(config(0x3d, 1, false, 0), 1);
    assert_int_equal(config(0x90, 1, false, 0), 0x40);
    assert_int_equal(config(0x92, 1, false, 0), 0x3f);
    assert_int_equal(config(config(0x34, 1, false, 0), 1, false, 0), 5);
    assert_false(ahci_attach(&a, 0, &disk));
    assert_false(ahci_attach(&a, 6, &disk));
}

static void check_reset_values(bool bases)
{
    assert_int_equal(get(0x00), 0xc1249f05);
    assert_int_equal(get(0x04), 0x80000000);
    assert_int_equal(get(0x08), 0);
    assert_int_equal(get(0x0c), 0x3f);
    assert_int_equal(get(0x10), 0x00010301);
    for (unsigned reg = 0x14; reg < 0x100; reg += 4) assert_int_equal(get(reg), 0);
    for (unsigned n = 0; n < 6; n++) {
        bool there = n < 2;

        if (bases) assert_int_equal(get(P(n, 0)) | get(P(n, 8)), 0);
        assert_int_equal(get(P(n, IS)), there ? 0x00400040 : 0);
        assert_int_equal(get(P(n, IE)), 0);
        assert_int_equal(get(P(n, CMD)), 6);
        assert_int_equal(get(P(n, TFD)), there ? 0xff : 0x7f);
        assert_int_equal(get(P(n, SIG)), 0xffffffff);
        assert_int_equal(get(P(n, SSTS)), there ? 0x123 : 0);
        assert_int_equal(get(P(n, SCTL)), 0);
        assert_int_equal(get(P(n, SERR)), there ? 0x04010000 : 0);
        assert_int_equal(get(P(n, SACT)) | get(P(n, CI)), 0);
        for (unsigned reg = 0x3c; reg < 0x80; reg += 4) assert_int_equal(get(P(n, reg)), 0);
    }
    for (unsigned reg = 0x400; reg < 0x800; reg += 4) assert_int_equal(get(reg), 0);
}

static void test_reset_values(void **state)
{
    setup();
    check_reset_values(true);
    start(0);
    set(P(0, IE), UINT32_MAX);
    set(4, 2);
    soft_reset(0, true);
    set(P(0, SERR), 0);
    set(4, 1); /* HBA reset */
    check_reset_values(false);
    assert_int_equal(get(P(0, 0)), CLB);
    assert_int_equal(get(P(0, 8)), FB);
}

static void test_writable_bits(void **state)
{
    static const struct {
        unsigned reg;
        uint32_t writable;
    } rows[] = {{0x00, 0xfffffc00}, {0x04, 0xffffffff},
                {0x08, 0xffffff00}, {0x0c, 0xffffffff},
                {IE, 0xfdc000ff},   {TFD, 0},
                {SIG, 0},           {SSTS, 0},
                {SACT, 0},          {CI, 0},
                {0x3c, 0},          {0x40, 0}};

    setup();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t before = get(P(2, rows[i].reg));

        set(P(2, rows[i].reg), UINT32_MAX);
        assert_int_equal(get(P(2, rows[i].reg)), before | rows[i].writable);
        set(P(2, rows[i].reg), 0);
        assert_int_equal(get(P(2, rows[i].reg)), before & ~rows[i].writable);
    }
    set(0, UINT32_MAX);
    set(0xc, 0);
    set(0x10, 0);
    check_reset_values(true);
    /* Narrow accesses touch their bytes only; wide ones are two registers. */
    set(P(2, IE), 0);
    bus_write(&bus, BUS_MMIO, ABAR + P(2, IE) + 3, 1, 0xff);
    assert_int_equal(get(P(2, IE)), 0xfd000000);
    assert_int_equal(bus_read(&bus, BUS_MMIO, ABAR + P(2, IE) + 2, 2), 0xfd00);
    bus_write(&bus, BUS_MMIO, ABAR + P(0, SERR) + 2, 1, 0xff);
    assert_int_equal(get(P(0, SERR)), 0x04000000);
    bus_write(&bus, BUS_MMIO, ABAR + P(2, 0), 8, 0x123456789abcdef0);
    assert_true(bus_read(&bus, BUS_MMIO, ABAR + P(2, 0), 8) == 0x123456789abcdc00);
}

/* ---- links ---- */

static void test_signature(void **state)
{
    static const uint32_t sig[] = {0x00000101, 0xeb140101};
    static const uint8_t status[] = {0x50, 0x00};

    for (unsigned n = 0; n < 2; n++) {
        setup();
        set(P(n, 8), FB);
        assert_int_equal(get(P(n, TFD)), 0xff);
        set(P(n, CMD), 0x10); /* now the frame can come in */
        assert_int_equal(get(P(n, CMD)), 0x4016);
        assert_int_equal(get(P(n, TFD)), 0x100 | status[n]);
        assert_int_equal(get(P(n, SIG)), sig[n]);
        assert_int_equal(word(FB + 0x40), 0x01000034 | (uint32_t)status[n] << 16);
        assert_int_equal(word(FB + 0x44), n ? 0x00eb1401 : 1);
        assert_int_equal(word(FB + 0x48), 0);
        assert_int_equal(word(FB + 0x4c), 1);
        assert_int_equal(word(FB + 0x54), 0xeeeeeeee);
        assert_int_equal(get(P(n, IS)) & 1u, 0); /* no interrupt bit in this frame */
    }
}

static void test_port_reset(void **state)
{
    setup();
    start(0);
    set(P(0, CMD), 0x10);
    set(P(0, SCTL), 0x301);
    assert_int_equal(get(P(0, SSTS)), 0);
    assert_int_equal(get(P(0, TFD)), 0x7f);
    set(P(0, SCTL), 0x300);
    assert_int_equal(get(P(0, SSTS)), 0x123);
    assert_int_equal(get(P(0, SERR)), 0x04010000);
    assert_int_equal(get(P(0, IS)), 0x00400040);
    assert_int_equal(get(P(0, TFD)), 0x150);
    set(P(0, SERR), UINT32_MAX);
    assert_int_equal(get(P(0, IS)), 0);
    set(P(0, SCTL), 4); /* offline */
    assert_int_equal(get(P(0, SSTS)), 4);
    /* Nothing there: the link stays down; what CLO clears lets no command through. */
    set(P(3, SCTL), 1);
    set(P(3, SCTL), 0);
    assert_int_equal(get(P(3, SSTS)), 0);
    set(P(3, CMD), 0x18);
    assert_int_equal(get(P(3, TFD)), 0x77);
    set(P(3, CMD), 0x11);
    set(P(3, CI), 1);
    assert_int_equal(get(P(3, CI)), 1);
}

static void test_soft_reset(void **state)
{
    setup();
    start(0);
    region(0, 0, DATA, 512, false);
    command(0, 0xc8, SECTORS, 1, 0, 1);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, TFD)), 0x1051);
    set(P(0, CMD), 0x10);
    set(P(0, CMD), 0x11);
    soft_reset(0, true);
    assert_int_equal(get(P(0, CI)), 0);
    soft_reset(0, false);
    assert_int_equal(get(P(0, CI)), 0);
    assert_int_equal(get(P(0, TFD)), 0x150);
    assert_int_equal(get(P(0, SIG)), 0x101);
}

/* ---- commands ---- */

static void test_read_dma(void **state)
{
    setup();
    start(0);
    region(0, 0, DATA, 512 + 2, false);
    region(0, 1, DATA + 0x1000, 1022, true);
    command(0, 0x25, 0x123, 3, 0, 2);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, CI)), 0);
    assert_int_equal(get(P(0, IS)), 0x21); /* a register frame, a descriptor done */
    assert_int_equal(get(P(0, TFD)), 0x50);
    assert_memory_equal(ram + DATA, image + 0x123 * 512, 514);
    assert_int_equal(ram[DATA + 514], 0xee);
    assert_memory_equal(ram + DATA + 0x1000, image + 0x123 * 512 + 514, 1022);
    assert_int_equal(word(CLB + 4), 1536);
    assert_int_equal(word(FB + 0x40), 0x00504034);
    set(P(0, IS), 0x21);
    assert_int_equal(get(P(0, IS)), 0);
}

static void test_write_and_read_pio(void **state)
{
    setup();
    start(0);
    for (unsigned i = 0; i < 1024; i++) ram[DATA + i] = (uint8_t)(i * 7 + 1);
    region(0, 0, DATA, 1024, false);
    command(0, 0x34, 0x1000, 2, 0, 1);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, IS)), 1); /* data out ends with a register frame */
    assert_int_equal(word(FB + 0x20) & 0xffffff, 0x58005f);
    assert_int_equal(word(FB + 0x30), 512);
    set(P(0, IS), UINT32_MAX);
    memset(ram + FB, 0xee, 256);
    region(3, 0, DATA + 0x1000, 1024, false);
    command(3, 0x24, 0x1000, 2, 0, 1);
    set(P(0, CI), 8);
    assert_int_equal(get(P(0, IS)), 2); /* data in with the PIO Setup frame alone */
    assert_int_equal(get(P(0, TFD)), 0x50);
    assert_int_equal(get(P(0, CMD)) >> 8 & 31, 3);
    assert_int_equal(word(FB + 0x20), 0x0058605f);
    assert_int_equal(word(FB + 0x2c), 0x50000002);
    assert_int_equal(word(FB + 0x40), 0xeeeeeeee);
    assert_memory_equal(ram + DATA + 0x1000, ram + DATA, 1024);
    assert_int_equal(word(CLB + 3 * 32 + 4), 1024);
}

static void test_queued(void **state)
{
    setup();
    start(0);
    for (unsigned slot = 0; slot < 32; slot++) {
        region(slot, 0, DATA + slot * 0x1000, 4096, false);
        command(slot, 0x60, slot * 8 + 16, slot << 3, 8, 1);
    }
    set(P(0, SACT), UINT32_MAX);
    set(P(0, CI), UINT32_MAX);
    finish();
    assert_int_equal(get(P(0, CI)), 0);
    assert_int_equal(get(P(0, SACT)), 0);
    assert_int_equal(get(P(0, IS)), 8); /* Set Device Bits frames alone interrupt */
    for (unsigned slot = 0; slot < 32; slot++)
        assert_memory_equal(ram + DATA + slot * 0x1000, image + (slot * 8 + 16) * 512, 4096);
    assert_int_equal(word(FB + 0x58), 0x005040a1);
    assert_int_equal(word(FB + 0x5c), 1u << 31);
    assert_int_equal(word(FB + 0x00), 0x00002041);
    assert_int_equal(word(FB + 0x04), 31);
    assert_int_equal(word(FB + 0x14), 4096);
    assert_int_equal(word(FB + 0x40), 0x00500034);
}

/* A queued command that fails: everything but its log is aborted (ATA8-ACS, 4.16, A.14). */
static void test_queue_error(void **state)
{
    setup();
    start(0);
    region(5, 0, DATA, 4096, false);
    command(5, 0x61, SECTORS - 1, 5 << 3, 8, 1);
    set(P(0, SACT), 1u << 5);
    set(P(0, CI), 1u << 5);
    assert_int_equal(get(P(0, IS)), 1u << 30 | 1);
    assert_int_equal(get(P(0, TFD)), 0x1451);
    assert_int_equal(get(P(0, SACT)), 1u << 5);
    assert_int_equal(get(P(0, CI)), 1u << 5);
    assert_int_equal(get(P(0, CMD)) >> 8 & 31, 5);
    /* Nothing more happens until the list is stopped. */
    command(6, 0x25, 0, 1, 0, 1);
    set(P(0, CI), 1u << 6);
    assert_int_equal(get(P(0, CI)), 3u << 5);
    set(P(0, CMD), 0x10);
    assert_int_equal(get(P(0, CMD)), 0x4016);
    assert_int_equal(get(P(0, CI)) | get(P(0, SACT)), 0);
    set(P(0, IS), UINT32_MAX);
    set(P(0, CMD), 0x11);
    region(0, 0, DATA, 512, false);
    command(0, 0x25, 0, 1, 0, 1);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, TFD)), 0x451);
    set(P(0, CMD), 0x10);
    set(P(0, CMD), 0x11);
    command(0, 0x2f, 0x10, 1, 0, 1);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, TFD)), 0x50);
    assert_int_equal(ram[DATA], 5);
    assert_int_equal(word(DATA + 2) & 0xffff, 0x1451);
    assert_int_equal(word(DATA + 4) & 0xffffff, SECTORS - 1);
    command(0, 0x25, 0, 1, 0, 1);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, TFD)), 0x50);
}

/* A long transfer goes on by itself, and no access does more than its share. */
static void test_split(void **state)
{
    setup();
    start(0);
    region(0, 0, DATA, 1 << 20, false);
    region(0, 1, DATA + (1 << 20), 1 << 20, false);
    command(0, 0x25, 0, 4096, 0, 2);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, CI)), 1);
    assert_true(get(P(0, TFD)) & 0x80);
    assert_true(a.port[0].moved <= AHCI_BUDGET_BYTES);
    finish();
    assert_int_equal(get(P(0, TFD)), 0x50);
    assert_int_equal(get(P(0, CI)), 0);
    assert_memory_equal(ram + DATA, image, 2 << 20);
}

static void test_trim(void **state)
{
    uint64_t range = 8 | (uint64_t)16 << 48;

    setup();
    start(0);
    memset(ram + DATA, 0, 512);
    memcpy(ram + DATA + 8, &range, 8);
    region(0, 0, DATA, 512, false);
    command(0, 0x06, 0, 1, 1, 1);
    set(P(0, CI), 1);
    finish();
    assert_int_equal(get(P(0, TFD)), 0x50);
    region(0, 0, DATA, 26 * 512, false);
    command(0, 0x25, 0, 26, 0, 1);
    set(P(0, CI), 1);
    assert_memory_equal(ram + DATA, image, 8 * 512);
    for (unsigned i = 8 * 512; i < 24 * 512; i++) assert_int_equal(ram[DATA + i], 0);
    assert_memory_equal(ram + DATA + 24 * 512, image + 24 * 512, 2 * 512);
    /* As many large ranges as there is room for, again and again: no step takes long. */
    range = (uint64_t)SECTORS << 48;
    for (unsigned i = 0; i < 64; i++) memcpy(ram + DATA + 8 * i, &range, 8);
    region(0, 0, DATA, 512, false);
    command(0, 0x06, 0, 1, 1, 1);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, CI)), 1);
    finish();
    assert_int_equal(get(P(0, TFD)), 0x50);
}

static void test_packet(void **state)
{
    static const uint8_t inquiry[12] = {0x12, 0, 0, 0, 36}, ready[12] = {0},
                         read[12] = {0x28, 0, 0, 0, 0, 7, 0, 0, 2};

    setup();
    start(1);
    packet(0, inquiry, 64);
    assert_int_equal(get(P(1, TFD)), 0x50);
    assert_int_equal(word(CLB + 4), 36);
    assert_memory_equal(ram + DATA + 8, "BulkheadCD-ROM", 14);
    packet(1, ready, 64); /* unit attention */
    assert_int_equal(get(P(1, IS)), 1u << 30 | 1);
    assert_int_equal(get(P(1, TFD)), 0x6051);
    assert_int_equal(word(FB + 0x4c) & 0xff, 3);
    set(P(1, CMD), 0x10);
    set(P(1, IS), UINT32_MAX);
    set(P(1, CMD), 0x11);
    packet(0, read, 4096);
    assert_int_equal(get(P(1, TFD)), 0x50);
    assert_memory_equal(ram + DATA, cd_image + 7 * 2048, 4096);
    /* The same without DMA. */
    memset(ram + DATA, 0, 4096);
    command(0, 0xa0, 2048 << 8, 0, 0, 1);
    put(CLB, 5u | 1u << 5 | 1u << 16);
    memcpy(ram + TABLES + 0x40, read, 12);
    set(P(1, CI), 1);
    assert_int_equal(word(FB + 0x30), 2048);
    assert_int_equal(get(P(1, IS)), 1);
    assert_memory_equal(ram + DATA, cd_image + 7 * 2048, 4096);
}

/* ---- drivers' mistakes ---- */

static void stopped_with(uint32_t cause)
{
    assert_int_equal(get(P(0, IS)) & ~0x20u, cause);
    command(1, 0xec, 0, 0, 0, 1);
    set(P(0, CI), 2);
    assert_true(get(P(0, CI)) & 2);
    set(P(0, CMD), 0x18); /* stop, clear BSY, start: it goes on */
    set(P(0, IS), UINT32_MAX);
    set(P(0, 0x08), FB);
    set(P(0, 0x00), CLB);
    set(P(0, CMD), 0x11);
    region(1, 0, DATA, 512, false);
    command(1, 0xec, 0, 0, 0, 1);
    set(P(0, CI), 2);
    assert_int_equal(get(P(0, CI)), 0);
    set(P(0, IS), UINT32_MAX);
}

static void test_bad_structures(void **state)
{
    setup();
    start(0);
    set(P(0, 0x00), RAM - 0x400 + 0x400); /* command list behind memory */
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_HBFS);
    command(0, 0x25, 0, 1, 0, 1);
    put(CLB + 8, RAM); /* command table */
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_HBFS);
    command(0, 0x25, 0, 1, 0, 1);
    put(CLB + 8, RAM - 0x80); /* its regions */
    memcpy(ram + RAM - 0x80, ram + TABLES, 0x80);
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_HBFS);
    region(0, 0, DATA, 512, false); /* a region that ends behind memory */
    region(0, 1, RAM - 512, 1024, false);
    command(0, 0x25, 0, 3, 0, 2);
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_HBFS);
    region(0, 0, UINT64_MAX - 1, 512, false);
    command(0, 0x35, 0, 1, 0, 1);
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_HBFS);
    set(P(0, 0x08), RAM); /* received frames */
    region(0, 0, DATA, 512, false);
    command(0, 0x25, 0, 1, 0, 1);
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_HBFS | AHCI_IS_DHRS);
    command(0, 0x25, 0, 1, 0, 1); /* a frame too short, and one of another type */
    put(CLB, 4 | 1 << 16);
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_IFS);
    assert_int_equal(get(P(0, SERR)), 1u << 22);
    command(0, 0x25, 0, 1, 0, 1);
    ram[TABLES] = 0x34;
    set(P(0, CI), 1);
    stopped_with(AHCI_IS_IFS);
}

static void test_regions_short(void **state)
{
    setup();
    start(0);
    memset(ram + DATA, 0xee, 4096);
    region(0, 0, DATA, 700, false);
    command(0, 0x25, 0, 2, 0, 1);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, IS)), AHCI_IS_OFS | 1);
    assert_memory_equal(ram + DATA, image, 700);
    assert_int_equal(ram[DATA + 700], 0xee);
    assert_int_equal(word(CLB + 4), 700);
    set(P(0, IS), UINT32_MAX);
    command(0, 0x25, 0, 2, 0, 0);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, IS)), AHCI_IS_OFS | 1);
    set(P(0, IS), UINT32_MAX);
    command(0, 0x35, 0, 2, 0, 1); /* data out that never comes */
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, IS)), AHCI_IS_OFS | AHCI_IS_TFES | 1);
    assert_int_equal(get(P(0, CI)), 1);
}

static void test_regions_tiny(void **state)
{
    setup();
    start(0);
    for (unsigned i = 0; i < 65535; i++) {
        uint64_t at = DATA + 0x180000 + (i & 1u) * 0x100000;
        unsigned prd = 0x80080 + i * 16u;

        put(prd, (uint32_t)at);
        put(prd + 4, 0);
        put(prd + 12, 0); /* zero means one byte; the lowest bit reads as one: two */
    }
    command(0, 0x25, 0, 256, 0, 0);
    put(CLB, 5 | 65535u << 16);
    put(CLB + 8, 0x80000);
    memcpy(ram + 0x80000, ram + TABLES, 20);
    set(P(0, CI), 1);
    assert_true(a.port[0].prd_next <= AHCI_BUDGET_BYTES / 128u);
    finish();
    assert_int_equal(get(P(0, IS)), AHCI_IS_OFS | 1);
    assert_int_equal(word(CLB + 4), 131070);
}

static void test_master(void **state)
{
    setup();
    start(0);
    region(0, 0, DATA, 512, false);
    command(0, 0x25, 9, 1, 0, 1);
    config(4, 2, true, 2);
    set(P(0, CI), 1);
    assert_int_equal(get(P(0, CI)), 1);
    assert_int_equal(ram[DATA], 0xee);
    config(4, 2, true, 6);
    assert_int_equal(get(P(0, CI)), 0);
    assert_memory_equal(ram + DATA, image + 9 * 512, 512);
}

/* ---- interrupts ---- */

static void test_interrupt_pin(void **state)
{
    setup();
    start(0);
    region(0, 0, DATA, 512, false);
    command(0, 0xec, 0, 0, 0, 1);
    set(P(0, IE), 2);
    set(P(0, CI), 1);
    assert_int_equal(get(8), 1);
    assert_false(pin);
    set(4, 2);
    assert_true(pin);
    set(8, 1); /* the port still says so */
    assert_int_equal(get(8), 1);
    set(P(0, IS), 2);
    assert_true(pin);
    set(8, 1);
    assert_false(pin);
    assert_int_equal(get(8), 0);
    /* PCS is a copy of SERR.X. */
    set(P(0, IE), 0x40);
    set(P(0, SCTL), 1);
    set(P(0, SCTL), 0);
    assert_true(pin);
    set(P(0, IS), UINT32_MAX);
    set(8, 1);
    assert_true(pin);
    set(P(0, SERR), UINT32_MAX);
    set(8, 1);
    assert_false(pin);
    /* HBA reset takes it back. */
    set(P(0, SCTL), 1);
    set(P(0, SCTL), 0);
    assert_true(pin);
    set(4, 1);
    assert_false(pin);
}

static void test_interrupt_message(void **state)
{
    unsigned cap;

    setup();
    cap = config(0x34, 1, false, 0);
    config(cap + 4, 4, true, 0xfee00000);
    config(cap + 8, 4, true, 0);
    config(cap + 12, 2, true, 0x41);
    config(cap + 2, 2, true, 1);
    start(0);
    start(1);
    set(4, 2);
    region(0, 0, DATA, 512, false);
    command(0, 0xec, 0, 0, 0, 1);
    set(P(0, IE), 2);
    set(P(1, IE), 0x40);
    set(P(0, CI), 1);
    assert_int_equal(messages, 1);
    assert_false(pin);
    set(P(0, CI), 1); /* its bit is set already */
    assert_int_equal(messages, 1);
    set(P(1, SCTL), 1);
    set(P(1, SCTL), 0);
    assert_int_equal(messages, 2);
    set(P(0, IS), UINT32_MAX);
    set(8, 1); /* one of two */
    assert_int_equal(messages, 3);
    set(P(1, SERR), UINT32_MAX);
    set(8, 2);
    assert_int_equal(messages, 3);
    /* A cause that came between the port's register and IS is told again. */
    set(P(0, CI), 1);
    assert_int_equal(messages, 4);
    set(8, 1);
    assert_int_equal(messages, 5);
    set(8, 0);
    assert_int_equal(messages, 5);
}

/* ---- any moment ---- */

static void save(uint8_t *to)
{
    for (unsigned i = 0; i < ahci_state.count; i++) {
        const struct state_member *m = &ahci_state.members[i];

        memcpy(to, (const uint8_t *)&a + m->offset, m->bytes);
        to += m->bytes;
    }
}

static bool load(const uint8_t *from)
{
    for (unsigned i = 0; i < ahci_state.count; i++) {
        const struct state_member *m = &ahci_state.members[i];

        memcpy((uint8_t *)&a + m->offset, from, m->bytes);
        from += m->bytes;
    }
    return ahci_state.loaded(&a);
}

/* A reset at each step of a long transfer, and then a command that works. */
static void test_reset_any_moment(void **state)
{
    for (unsigned kind = 0; kind < 4; kind++)
        for (unsigned step = 0; step < 12; step++) {
            setup();
            start(0);
            region(0, 0, DATA, 2 << 20, false);
            command(0, kind & 1 ? 0x25 : 0x60, 0, kind & 1 ? 4096 : 0, 4096, 1);
            set(P(0, SACT), kind & 1 ? 0 : 1);
            set(P(0, CI), 1);
            for (unsigned i = 0; i < step && a.deadline_ns != NO_DEADLINE_NS; i++) {
                now = a.deadline_ns;
                ahci_tick(&a, now);
            }
            if (kind < 2) {
                set(4, 1);
            } else {
                set(P(0, CMD), 0x10);
                set(P(0, SCTL), 1);
                set(P(0, SCTL), 0);
            }
            finish();
            start(0);
            region(0, 0, DATA, 512, false);
            command(0, 0x25, 77, 1, 0, 1);
            set(P(0, CI), 1);
            assert_int_equal(get(P(0, TFD)), 0x50);
            assert_memory_equal(ram + DATA, image + 77 * 512, 512);
        }
}

static void test_save_any_moment(void **state)
{
    static uint8_t saved[64 << 10];

    for (unsigned step = 0; step < 9; step++) {
        setup();
        start(0);
        region(0, 0, DATA, 2 << 20, false);
        command(0, 0x25, 0, 4096, 0, 1);
        set(P(0, CI), 1);
        for (unsigned i = 0; i < step && a.deadline_ns != NO_DEADLINE_NS; i++) {
            now = a.deadline_ns;
            ahci_tick(&a, now);
        }
        save(saved);
        set(4, 1);
        memset(saved + sizeof(saved) - 8, 0, 8);
        assert_true(load(saved));
        finish();
        assert_int_equal(get(P(0, TFD)), 0x50);
        assert_memory_equal(ram + DATA, image, 2 << 20);
    }
    /* What is not a state of this device is refused, or harmless. */
    for (unsigned i = 0; i < 1500; i++) {
        unsigned size = 0;

        setup();
        start(0);
        for (unsigned m = 0; m < ahci_state.count; m++) size += ahci_state.members[m].bytes;
        assert_true(size <= sizeof(saved));
        save(saved);
        for (unsigned k = 0; k < 8; k++) saved[random_next() % size] = (uint8_t)random_value();
        if (!load(saved)) continue;
        set(P(0, CI), UINT32_MAX);
        for (unsigned k = 0; k < 20; k++) ahci_tick(&a, now += 1000000);
        set(4, 1);
    }
}

static void tick(uint64_t t)
{
    /* Now and then the driver's structures change as well. */
    if ((random_next() & 3u) == 0) {
        unsigned slot = random_next() & 31u;

        region(slot, 0, random_value(), 1u + (unsigned)(random_next() & 0x3fffff), true);
        command(slot, (uint8_t)random_next(), random_next() % (SECTORS + 9), slot << 3,
                (unsigned)random_next() & 0xff, 1 + (random_next() & 1u));
        for (unsigned i = 0; i < 12; i++)
            ram[TABLES + slot * 0x1000u + 0x40 + i] = (uint8_t)random_value();
        ram[TABLES + slot * 0x1000u + 0x40] = (uint8_t)random_next();
        start(random_next() & 1u);
        config(4, 2, true, 6);
        set(P(random_next() & 1u, CI), 1u << slot);
    }
    if (a.deadline_ns <= t) {
        ahci_tick(&a, t);
        assert_true(a.deadline_ns > t);
    }
}

static void test_hammer(void **state)
{
    for (unsigned i = 0; i < 100; i++) {
        setup();
        start(0);
        start(1);
        hammer(1000, tick);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_reset_values),
        cmocka_unit_test(test_writable_bits),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_port_reset),
        cmocka_unit_test(test_soft_reset),
        cmocka_unit_test(test_read_dma),
        cmocka_unit_test(test_write_and_read_pio),
        cmocka_unit_test(test_queued),
        cmocka_unit_test(test_queue_error),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_packet),
        cmocka_unit_test(test_bad_structures),
        cmocka_unit_test(test_regions_short),
        cmocka_unit_test(test_regions_tiny),
        cmocka_unit_test(test_master),
        cmocka_unit_test(test_interrupt_pin),
        cmocka_unit_test(test_interrupt_message),
        cmocka_unit_test(test_reset_any_moment),
        cmocka_unit_test(test_save_any_moment),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
