// sources: vmm/monitor/dev/*.c vmm/rt/wire_ring.c
// flags: -I. -Ivmm/monitor/dev -iquote vmm/rt
/*
 * A hostile driver of the AHCI controller: any access to its registers, command lists, tables and
 * regions anywhere and nowhere, commands good and bad on a disk and a CD-ROM drive, structures
 * rewritten while a transfer goes on, saved states that somebody has changed. What must hold: guest
 * memory is only touched inside its bounds and only while the function is bus master, the pin and
 * messages agree with the registers, a tick leaves a deadline in the future, transfers end, and no
 * access does more than its share of work.
 */
#include "input.h"
#include "vmm/monitor/dev/ahci.h"
#include "vmm/monitor/dev/dev_util.h"

#define ABAR     0xe0000000u
#define RAM      (256u << 10)
#define SECTORS  1600u
#define OVERLAY  8u
#define CD_BYTES (100u * 2048u)
#define TABLE    0x8000u /* commands that are built for it: 0x800 bytes a slot */

static uint8_t image[SECTORS * 512u], cd_image[CD_BYTES], *ram;
static uint8_t overlay[4096u * (1u + OVERLAY)];
static struct guest_mem mem;
static struct bus bus;
static struct pci pci;
static struct ahci a;
static struct disk disk, cd;
static uint64_t now;
static bool pin;
static unsigned messages;

static void wire_irq(void *ctx, unsigned n, bool level) { CHECK(false); }

static uint64_t wire_now(void *ctx) { return now; }

static void wire_msi(void *ctx, uint64_t address, uint32_t data)
{
    CHECK(pci_master(&a.pci) && pci_msi_enabled(&a.pci));
    messages++;
}

static void wire_intx(void *ctx, unsigned devfn, unsigned n, bool level)
{
    CHECK(devfn == AHCI_DEVFN && n == 0 && pin != level);
    pin = level;
}

static void wire_reset(void *ctx) {}

static const struct dev_host host = {
    .irq = wire_irq, .now_ns = wire_now, .mem = &mem, .msi = wire_msi};

static void config_write(unsigned offset, unsigned size, uint32_t value)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | AHCI_DEVFN << 8 | (offset & 0xfcu));
    bus_write(&bus, BUS_PIO, 0xcfcu + (offset & 3u), size, value);
}

static void reset(void)
{
    struct bh_monitor_disk c = {.name = "disk",
                                .bytes = sizeof(image),
                                .image_va = (uintptr_t)image,
                                .image_bytes = sizeof(image),
                                .memory_bytes = sizeof(overlay)};

    if (ram == NULL) ram = malloc(RAM);
    mem = (struct guest_mem){ram, RAM, NULL};
    memset(&bus, 0, sizeof(bus));
    memset(ram, 0, RAM);
    memset(overlay, 0, sizeof(overlay));
    now = 0;
    pin = false;
    CHECK(disk_init(&disk, &c, overlay));
    c = (struct bh_monitor_disk){.bytes = CD_BYTES,
                                 .image_va = (uintptr_t)cd_image,
                                 .image_bytes = CD_BYTES,
                                 .flags = BH_DISK_CDROM};
    CHECK(disk_init(&cd, &c, NULL));
    CHECK(pci_init(&pci, &bus, &host, wire_intx, wire_reset, NULL));
    CHECK(ahci_init(&a, &pci, &host));
    CHECK(ahci_attach(&a, 0, &disk) && ahci_attach(&a, 1, &cd));
    CHECK(pci_assign(&pci, ABAR, ABAR + 0x10000u));
    config_write(4, 2, 6);
}

/* ---- steps ---- */

static void put32(uint32_t at, uint32_t v)
{
    if (at <= RAM - 4u) memcpy(ram + at, &v, 4);
}

static void reg_write(unsigned reg, uint32_t value)
{
    bus_write(&bus, BUS_MMIO, a.pci.bar[5].base + reg, 4, value);
}

static void access(struct input *in)
{
    uint8_t how = (uint8_t)take(in, 1);
    unsigned size = 1u << (how & 3u), reg = (unsigned)take(in, 2) % (AHCI_BAR_BYTES + 4u);

    if (how & 4u) reg = 0x100u + (how >> 4 & 1u) * 0x80u + (reg & 0x7fu);
    if (how & 8u)
        bus_write(&bus, BUS_MMIO, a.pci.bar[5].base + reg, size, take_value(in));
    else
        CHECK((bus_read(&bus, BUS_MMIO, a.pci.bar[5].base + reg, size) & ~dev_ones(size)) == 0);
}

/* What a driver does at its start, the structures where it likes. */
static void start(struct input *in)
{
    unsigned port = 0x100u + ((unsigned)take(in, 1) % AHCI_PORTS) * 0x80u;

    reg_write(port, (uint32_t)take_value(in));
    reg_write(port + 8u, (uint32_t)take_value(in));
    reg_write(port + 0x14u, UINT32_MAX);
    reg_write(port + 0x18u, 0x10);
    reg_write(port + 0x18u, 0x11);
    reg_write(4, 2);
}

/* A command whose form is right, in the list of a port, with one or two regions. */
static void command(struct input *in)
{
    uint8_t how = (uint8_t)take(in, 1), opcode = (uint8_t)take(in, 1);
    unsigned slot = how & 31u, port = how >> 5 & 1u, regions = (how >> 6 & 1u) + 1u;
    uint32_t list = (uint32_t)a.port[port].clb + slot * 32u, table = TABLE + slot * 0x800u;

    put32(list, 5u | (opcode == 0xa0u ? 1u << 5 : 0) | regions << 16);
    put32(list + 8u, table);
    put32(list + 12u, 0);
    put32(table, 0x8027u | (uint32_t)opcode << 16 | (uint32_t)take(in, 1) << 24);
    put32(table + 4u, 0x40000000u | (uint32_t)take(in, 2));
    put32(table + 8u, 0);
    put32(table + 12u, opcode == 0x60u || opcode == 0x61u ? slot << 3 : (uint32_t)take(in, 2));
    if (opcode == 0xa0u)
        for (unsigned i = 0; i < 12u; i += 4u) put32(table + 0x40u + i, (uint32_t)take(in, 4));
    for (unsigned i = 0; i < regions; i++) {
        uint64_t at = take_value(in);

        put32(table + 0x80u + i * 16u, (uint32_t)at);
        put32(table + 0x84u + i * 16u, (uint32_t)(at >> 32));
        put32(table + 0x8cu + i * 16u, (uint32_t)take(in, 3) | (how & 0x80u ? 1u << 31 : 0));
    }
    reg_write(0x134u + port * 0x80u, 1u << slot);
    reg_write(0x138u + port * 0x80u, 1u << slot);
}

/* Any bytes anywhere: what the controller may be about to read. */
static void scribble(struct input *in)
{
    uint32_t at = (uint32_t)take(in, 3) % RAM, bytes = (uint32_t)take(in, 1) & 63u;

    while (bytes-- && at < RAM) ram[at++] = (uint8_t)take(in, 1);
}

/* Saved, changed in one place or not at all, loaded: as new when what comes is refused. */
static void restore(struct input *in)
{
    unsigned change = (unsigned)take(in, 2), seen = 0;
    uint8_t value = (uint8_t)take(in, 1);

    if (!ahci_state.loaded(&a)) CHECK(false);
    for (unsigned i = 0; i < ahci_state.count; i++) {
        const struct state_member *m = &ahci_state.members[i];

        if (change >= seen && change < seen + m->bytes)
            ((uint8_t *)&a + m->offset)[change - seen] = value;
        seen += m->bytes;
    }
    if (!ahci_state.loaded(&a)) reset();
}

static void tick(void)
{
    if (a.deadline_ns > now) return;
    ahci_tick(&a, now);
    CHECK(a.deadline_ns > now);
}

static void check_all(void)
{
    bool asks = (a.ghc & 2u) && a.is;

    for (unsigned n = 0; n < AHCI_PORTS; n++) {
        const struct ahci_port *p = &a.port[n];

        CHECK(p->prd_next <= p->prd_count && p->left <= AHCI_REGION_MAX && p->slot < AHCI_SLOTS);
        if (a.drive[n].disk) {
            CHECK(ata_state_valid(&a.drive[n]));
            if (ahci_port_runnable(&a, n)) CHECK(a.deadline_ns != NO_DEADLINE_NS);
        } else {
            CHECK(!p->busy && (p->ssts & 15u) != 3u);
        }
    }
    CHECK(disk.used <= disk.overlay_blocks);
    if (!pci_msi_enabled(&a.pci)) CHECK(a.pci.intx_level == asks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    reset();
    for (unsigned steps = 0; more(&in) && steps < 500u; steps++) {
        uint8_t op = (uint8_t)take(&in, 1);

        switch (op & 7u) {
        case 0:
        case 1: access(&in); break;
        case 2: start(&in); break;
        case 3:
        case 4: command(&in); break;
        case 5: scribble(&in); break;
        case 6:
            now += (uint64_t)1 << (op >> 3);
            tick();
            break;
        default:
            if (op & 0x80u)
                restore(&in);
            else
                config_write((unsigned)take(&in, 1), 1u << (op >> 3 & 3u),
                             (uint32_t)take_value(&in));
            break;
        }
        check_all();
    }
    /* Whatever was begun comes to an end. */
    for (unsigned i = 0; a.deadline_ns != NO_DEADLINE_NS; i++) {
        CHECK(i < 200000u);
        now = a.deadline_ns;
        tick();
    }
    return 0;
}
