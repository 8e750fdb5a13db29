/*
 * MCH; register numbers are those of the data sheet named in mch.h, section 5.1. There is no system
 * management mode: the SMRAM registers hold what is written, lock, and open nothing. Calls pci.c,
 * the host's map, guest RAM below 1 MiB.
 */
#include "mch.h"
#include "dev_util.h"

#include <string.h>

#define COMMAND          0x04u
#define PCIEXBAR         0x60u
#define PAM0             0x90u
#define PAM_REGISTERS    7u
#define SMRAM            0x9du
#define ESMRAMC          0x9eu
#define TOM              0xa0u
#define TOUUD            0xa2u
#define TOLUD            0xb0u
#define COMMAND_FIXED    0x06u /* memory, bus master: hard-wired */
#define PCIEXBAR_ENABLE  0x1u
#define PCIEXBAR_RW_LOW  0xf0000007u
#define PCIEXBAR_RW_HIGH 0xfu
#define SMRAM_OPEN       0x40u
#define SMRAM_CLOSED     0x20u
#define SMRAM_LOCK       0x10u
#define SMRAM_RW         0x78u
#define SMRAM_RESET      0x02u
#define ESMRAMC_RW       0x87u
#define ESMRAMC_RESET    0x38u

#define MIB           0x100000u
#define SEGMENT_BYTES (MCH_PAM_BYTES / MCH_SEGMENTS)
#define ROM_BYTES     0x20000u

/* Two bits a segment: where reads and where writes go (PAM, table in 5.1.15). */
#define RAM_READ  1u
#define RAM_WRITE 2u

/* What a segment shows; RAM that is only written is in nobody's reach but ours. */
enum shown { SHOWN_NOTHING, SHOWN_ROM, SHOWN_RAM_READ, SHOWN_RAM };

/* ---- memory below 1 MiB ---- */

static unsigned segment_mode(const struct mch *m, unsigned segment)
{
    const uint8_t *pam = &m->f.config[PAM0];

    if (segment >= 12u) return (unsigned)pam[0] >> 4 & 3u; /* the last 64 KiB are one */
    return (unsigned)pam[1u + segment / 2u] >> (segment % 2u * 4u) & 3u;
}

/* Offset in the ROM of @offset in the region. @return false: no ROM there */
static bool rom_offset(const struct mch *m, uint64_t offset, uint64_t *at)
{
    uint64_t below = MCH_PAM_BYTES - offset;

    if (m->rom == NULL || below > ROM_BYTES || below > m->rom->size_bytes) return false;
    *at = m->rom->size_bytes - below;
    return true;
}

static void segment_show(struct mch *m, unsigned segment)
{
    const struct dev_host *host = m->pci->host;
    uint64_t offset = segment * SEGMENT_BYTES, gpa = MCH_PAM_GPA + offset, at = 0;
    unsigned mode = segment_mode(m, segment), access = DEV_MAP_READ | DEV_MAP_EXEC;
    enum shown show = mode == (RAM_READ | RAM_WRITE) ? SHOWN_RAM : SHOWN_RAM_READ;
    const struct dev_ram *ram = &m->low;

    if (!(mode & RAM_READ)) show = rom_offset(m, offset, &at) ? SHOWN_ROM : SHOWN_NOTHING;
    if (show == m->shown[segment] || host->map == NULL || m->low.bytes == NULL) return;
    if (m->shown[segment] != SHOWN_NOTHING)
        (void)host->map(host->ctx, m->shown[segment] == SHOWN_ROM ? m->rom : &m->low, 0,
                        SEGMENT_BYTES, gpa, 0);
    m->shown[segment] = SHOWN_NOTHING;
    if (show == SHOWN_NOTHING) return;
    if (show == SHOWN_RAM) access |= DEV_MAP_WRITE;
    if (show == SHOWN_ROM)
        ram = m->rom;
    else
        at = offset;
    if (host->map(host->ctx, ram, at, SEGMENT_BYTES, gpa, access))
        m->shown[segment] = (uint8_t)show;
}

/* Accesses that the mapping leaves: writes to what is read-only, everything where nothing is, and
 * operands of instructions that the monitor carries out. */
static uint8_t byte_read(void *dev, unsigned offset)
{
    const struct mch *m = dev;
    uint64_t at;

    if (offset >= MCH_PAM_BYTES || m->low.bytes == NULL) return 0xff;
    if (segment_mode(m, offset / SEGMENT_BYTES) & RAM_READ) return m->low.bytes[offset];
    return rom_offset(m, offset, &at) ? m->rom->bytes[at] : 0xff;
}

static void byte_write(void *dev, unsigned offset, uint8_t value)
{
    struct mch *m = dev;

    if (offset < MCH_PAM_BYTES && m->low.bytes &&
        (segment_mode(m, offset / SEGMENT_BYTES) & RAM_WRITE))
        m->low.bytes[offset] = value;
}

static uint64_t pam_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(byte_read, dev, offset, size_bytes);
}

static void pam_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(byte_write, dev, offset, size_bytes, value);
}

/* ---- registers ---- */

/* Length 0, 1, 2: 256, 128, 64 buses of 1 MiB, aligned to as much; 3 is reserved. */
static void ecam_update(struct mch *m)
{
    uint32_t low = pci_get(&m->f, PCIEXBAR, 4);
    unsigned length = low >> 1 & 3u, buses = 256u >> length;
    uint64_t base = (uint64_t)pci_get(&m->f, PCIEXBAR + 4u, 4) << 32 | low;

    base &= ~((uint64_t)buses * MIB - 1u);
    if (!(low & PCIEXBAR_ENABLE) || length == 3u) base = 0;
    (void)pci_ecam(m->pci, base, buses);
}

/* Only base bits of the length's alignment can be set. */
static void ecam_writable(struct mch *m)
{
    unsigned length = m->f.config[PCIEXBAR] >> 1 & 3u;
    uint32_t more = length == 2u ? 0x0c000000u : length == 1u ? 0x08000000u : 0;

    pci_put(m->f.writable, PCIEXBAR, 4, PCIEXBAR_RW_LOW | more);
}

static void smram_update(struct mch *m)
{
    if (!(m->f.config[SMRAM] & SMRAM_LOCK)) return;
    m->f.config[SMRAM] &= (uint8_t)~SMRAM_OPEN;
    m->f.writable[SMRAM] = SMRAM_CLOSED;
    m->f.writable[ESMRAMC] = 0;
}

static bool touches(unsigned offset, unsigned size_bytes, unsigned first, unsigned bytes)
{
    return offset < first + bytes && first < offset + size_bytes;
}

static void written(void *dev, unsigned offset, unsigned size_bytes)
{
    struct mch *m = dev;

    if (touches(offset, size_bytes, PCIEXBAR, 8)) {
        ecam_writable(m);
        ecam_update(m);
    }
    if (touches(offset, size_bytes, PAM0, PAM_REGISTERS))
        for (unsigned i = 0; i < MCH_SEGMENTS; i++) segment_show(m, i);
    smram_update(m);
}

static void loaded(void *dev) { written(dev, 0, PCI_CONFIG_BYTES); }

/* Where RAM ends: written by nobody, as after firmware has locked them (5.1.22 to 5.1.29). */
static void memory_registers(struct mch *m, const struct guest_mem *mem)
{
    uint64_t low = guest_mem_low_end(mem), high = guest_mem_high_bytes(mem);
    uint64_t upper = high ? GUEST_HIGH_RAM_BASE + high : low;

    pci_put(m->f.config, TOM, 2, (uint32_t)((low + high) / (64u * MIB)) & 0x3ffu);
    pci_put(m->f.config, TOUUD, 2, (uint32_t)(upper / MIB) & 0xffffu);
    pci_put(m->f.config, TOLUD, 2, (uint32_t)(low / MIB << 4) & 0xfff0u);
}

bool mch_init(struct mch *m, struct pci *pci, const struct dev_ram *rom)
{
    static const struct bus_ops ops = {pam_read, pam_write};
    static const struct pci_id id = {.vendor = 0x8086,
                                     .device = 0x29c0,
                                     .class_code = 0x060000,
                                     .revision = 2,
                                     .subsystem_vendor = 0x1af4,
                                     .subsystem = 0x1100}; /* how SeaBIOS knows a virtual PC */
    const struct guest_mem *mem = pci->host->mem;

    memset(m, 0, sizeof(*m));
    m->pci = pci;
    m->rom = rom;
    if (!pci_add(pci, &m->f, "mch", PCI_DEVFN(0, 0), &id, m)) return false;
    m->f.written = written;
    m->f.loaded = loaded;
    pci_put(m->f.config, COMMAND, 2, COMMAND_FIXED);
    pci_put(m->f.writable, COMMAND, 2, 0);
    pci_put(m->f.writable, PCIEXBAR, 4, PCIEXBAR_RW_LOW);
    pci_put(m->f.writable, PCIEXBAR + 4u, 4, PCIEXBAR_RW_HIGH);
    m->f.writable[PAM0] = 0x30;
    for (unsigned i = 1; i < PAM_REGISTERS; i++) m->f.writable[PAM0 + i] = 0x33;
    m->f.config[SMRAM] = SMRAM_RESET;
    m->f.writable[SMRAM] = SMRAM_RW;
    m->f.config[ESMRAMC] = ESMRAMC_RESET;
    m->f.writable[ESMRAMC] = ESMRAMC_RW;
    if (mem) {
        m->low = (struct dev_ram){guest_mem_ptr(mem, MCH_PAM_GPA, MCH_PAM_BYTES), MCH_PAM_BYTES};
        memory_registers(m, mem);
    }
    for (unsigned i = 0; i < MCH_SEGMENTS; i++) segment_show(m, i);
    return bus_add(pci->bus, BUS_MMIO, MCH_PAM_GPA, MCH_PAM_BYTES, &ops, m, "pam");
}

void mch_setup(struct mch *m)
{
    for (unsigned i = 0; i < PAM_REGISTERS; i++) m->f.config[PAM0 + i] = m->f.writable[PAM0 + i];
    pci_put(m->f.config, PCIEXBAR, 4, (uint32_t)GUEST_ECAM_BASE | PCIEXBAR_ENABLE);
    loaded(m);
}
