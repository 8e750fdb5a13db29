/*
 * PCI bus 0: configuration space (PCI 3.0, chapter 6), its two ways in, and the decoding of base
 * address registers. Work per access is bounded by PCI_FUNCTIONS_MAX * PCI_BARS. Calls the bus, the
 * host's map, the models' written and the reset callback. A guest that puts a BAR where something
 * else is gets a BAR that does not answer, nothing worse.
 */
#include "pci.h"
#include "dev_util.h"

#include <string.h>

#define PORT_BASE        0xcf8u
#define PORT_BYTES       8u
#define PORT_DATA        4u
#define RESET_OFFSET     1u
#define RESET_CPU        0x04u
#define RESET_WRITABLE   0x0eu
#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu

/* Header, PCI 3.0, figure 6-1 */
#define COMMAND             0x04u
#define STATUS              0x06u
#define REVISION            0x08u
#define CACHE_LINE          0x0cu
#define HEADER_TYPE         0x0eu
#define BAR0                0x10u
#define BARS_END            0x28u
#define SUBSYSTEM           0x2cu
#define CAPABILITIES        0x34u
#define INTERRUPT_LINE      0x3cu
#define INTERRUPT_PIN       0x3du
#define HEADER_BYTES        0x40u
#define STATUS_CAPABILITIES 0x10u
#define MULTIFUNCTION       0x80u
/* I/O, memory, master, parity error response, SERR#, INTx off: the last three but have no effect */
#define COMMAND_WRITABLE 0x0547u

#define BAR_IO           0x1u
#define BAR_WIDE         0x4u
#define BAR_PREFETCHABLE 0x8u

#define ECAM_BUS_BYTES 0x100000u
#define IO_FIRST       0xc000u
#define IO_END         0x10000u
#define BAR_MIN_IO     4u
#define BAR_MIN_MEMORY 16u

/* ---- base address registers ---- */

static unsigned bar_register(unsigned index) { return BAR0 + index * 4u; }

/* What the registers say, without the type bits. */
static uint64_t bar_value(const struct pci_function *f, unsigned index)
{
    const struct pci_bar *b = &f->bar[index];
    uint64_t value = pci_get(f, bar_register(index), 4);

    if (b->wide && index + 1u < PCI_BARS)
        value |= (uint64_t)pci_get(f, bar_register(index + 1u), 4) << 32;
    return value & ~(b->size_bytes - 1u);
}

/* Is the register to be decoded, wherever it is? Zero is what it holds before it is set, all ones
 * what its size is asked with: neither is a place. */
static bool bar_enabled(const struct pci_function *f, unsigned index)
{
    const struct pci_bar *b = &f->bar[index];
    uint64_t base = bar_value(f, index), last = base + (b->size_bytes - 1u);

    if (b->size_bytes == 0 || base == 0 || last == UINT32_MAX || last == UINT64_MAX) return false;
    return (f->config[COMMAND] & (b->kind == BUS_PIO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) != 0;
}

/* Device memory as the monitor itself reads and writes it: operands of instructions that it carries
 * out. The guest's own accesses never come here. */
static uint64_t ram_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct dev_ram *ram = dev;
    uint64_t value = 0;

    if (offset + size_bytes <= ram->size_bytes) memcpy(&value, ram->bytes + offset, size_bytes);
    return value;
}

static void ram_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct dev_ram *ram = dev;

    if (offset + size_bytes <= ram->size_bytes) memcpy(ram->bytes + offset, &value, size_bytes);
}

static uint64_t mapped_bytes(const struct pci_bar *b)
{
    return b->ram->size_bytes < b->size_bytes ? b->ram->size_bytes : b->size_bytes;
}

static void bar_remove(struct pci *pci, struct pci_bar *b)
{
    if (!b->decoded) return;
    b->decoded = false;
    if (b->ram) (void)pci->host->map(pci->host->ctx, b->ram, 0, mapped_bytes(b), b->base, 0);
    bus_remove(pci->bus, b->kind, b->base);
}

static void bar_place(struct pci *pci, struct pci_function *f, struct pci_bar *b, uint64_t base)
{
    static const struct bus_ops ram_ops = {ram_read, ram_write};
    bool ok;

    if (b->ram && pci->host->map == NULL) return;
    ok = b->ram
             ? bus_add(pci->bus, b->kind, base, mapped_bytes(b), &ram_ops, (void *)b->ram, f->name)
             : bus_add(pci->bus, b->kind, base, b->size_bytes, b->ops, b->dev, f->name);
    if (!ok) return;
    if (b->ram && !pci->host->map(pci->host->ctx, b->ram, 0, mapped_bytes(b), base,
                                  DEV_MAP_READ | DEV_MAP_WRITE | DEV_MAP_EXEC)) {
        bus_remove(pci->bus, b->kind, base);
        return;
    }
    b->base = base;
    b->decoded = true;
}

/* First everything that leaves, then what comes: a BAR that found no room finds it when another
 * makes it. */
static void bars_update(struct pci *pci)
{
    for (unsigned n = 0; n < pci->count; n++)
        for (unsigned i = 0; i < PCI_BARS; i++) {
            struct pci_function *f = pci->function[n];

            if (!bar_enabled(f, i) || f->bar[i].base != bar_value(f, i))
                bar_remove(pci, &f->bar[i]);
        }
    for (unsigned n = 0; n < pci->count; n++)
        for (unsigned i = 0; i < PCI_BARS; i++) {
            struct pci_function *f = pci->function[n];

            if (bar_enabled(f, i) && !f->bar[i].decoded)
                bar_place(pci, f, &f->bar[i], bar_value(f, i));
        }
}

void pci_bar_add(struct pci_function *f, unsigned index, const struct pci_bar *bar)
{
    unsigned at = bar_register(index);
    uint64_t writable = ~(bar->size_bytes - 1u);

    if (index >= PCI_BARS || bar->size_bytes == 0) return;
    f->bar[index] = *bar;
    f->bar[index].decoded = false;
    pci_put(f->writable, at, 4, (uint32_t)writable);
    if (bar->kind == BUS_PIO) {
        f->config[at] = BAR_IO;
        return;
    }
    f->config[at] =
        (uint8_t)((bar->wide ? BAR_WIDE : 0) | (bar->prefetchable ? BAR_PREFETCHABLE : 0));
    if (bar->wide && index + 1u < PCI_BARS)
        pci_put(f->writable, at + 4u, 4, (uint32_t)(writable >> 32));
}

/* ---- configuration space ---- */

static struct pci_function *function_find(const struct pci *pci, unsigned bus, unsigned devfn)
{
    for (unsigned i = 0; bus == 0 && i < pci->count; i++)
        if (pci->function[i]->devfn == devfn) return pci->function[i];
    return NULL;
}

/* No function here has a PCI Express capability: there is nothing beyond the first 256 bytes. */
static uint64_t config_read(const struct pci *pci, unsigned bus, unsigned devfn, unsigned offset,
                            unsigned size_bytes)
{
    const struct pci_function *f = function_find(pci, bus, devfn);
    uint64_t value = 0;

    if (f == NULL || offset + size_bytes > PCI_CONFIG_BYTES) return dev_ones(size_bytes);
    if (f->reading) f->reading(f->dev, offset, size_bytes);
    for (unsigned i = 0; i < size_bytes; i++) value |= (uint64_t)f->config[offset + i] << (i * 8u);
    return value;
}

static void config_write(struct pci *pci, unsigned bus, unsigned devfn, unsigned offset,
                         unsigned size_bytes, uint64_t value)
{
    struct pci_function *f = function_find(pci, bus, devfn);

    if (f == NULL || offset + size_bytes > PCI_CONFIG_BYTES) return;
    for (unsigned i = 0; i < size_bytes; i++) {
        unsigned at = offset + i, byte = (unsigned)(value >> (i * 8u)) & 0xffu;
        unsigned keep = f->config[at] & ~(unsigned)f->writable[at] & ~(byte & f->clear[at]);

        f->config[at] = (uint8_t)(keep | (byte & f->writable[at]));
    }
    if (offset < BARS_END && offset + size_bytes > COMMAND) bars_update(pci);
    pci_interrupts_update(f);
    if (f->written) f->written(f->dev, offset, size_bytes);
}

/* Byte enables pick bytes of one dword (PCI 3.0, 3.2.2.3.2): what would cross it never arrives as
 * one access. */
static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct pci *p = dev;
    uint32_t a = p->address;

    if (offset == 0 && size_bytes == 4u) return a;
    if (offset == RESET_OFFSET && size_bytes == 1u) return p->reset_control;
    if (offset < PORT_DATA || !(a & ADDRESS_ENABLE)) return dev_ones(size_bytes);
    return config_read(p, a >> 16 & 0xffu, a >> 8 & 0xffu, (a & 0xfcu) + ((unsigned)offset & 3u),
                       size_bytes);
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pci *p = dev;
    uint32_t a = p->address;

    if (offset == 0 && size_bytes == 4u) {
        p->address = (uint32_t)value & ADDRESS_WRITABLE;
    } else if (offset == RESET_OFFSET && size_bytes == 1u) {
        bool rising = (value & RESET_CPU) && !(p->reset_control & RESET_CPU);

        p->reset_control = (uint8_t)value & RESET_WRITABLE;
        if (rising) p->reset(p->ctx);
    } else if (offset >= PORT_DATA && (a & ADDRESS_ENABLE)) {
        config_write(p, a >> 16 & 0xffu, a >> 8 & 0xffu, (a & 0xfcu) + ((unsigned)offset & 3u),
                     size_bytes, value);
    }
}

/* Address bits: 27..20 bus, 19..12 device and function, 11..0 register (PCIe 3.0, table 7-1). */
static uint64_t ecam_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return config_read(dev, (unsigned)(offset >> 20), (unsigned)(offset >> 12) & 0xffu,
                       (unsigned)offset & 0xfffu, size_bytes);
}

static void ecam_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    config_write(dev, (unsigned)(offset >> 20), (unsigned)(offset >> 12) & 0xffu,
                 (unsigned)offset & 0xfffu, size_bytes, value);
}

/* ---- setup ---- */

static const struct state_member members[] = {
    STATE_MEMBER(struct pci, address),
    STATE_MEMBER(struct pci, reset_control),
};

/* Once all functions have been loaded: what one had in another's way is gone. */
static bool bus_loaded(void *dev)
{
    struct pci *pci = dev;

    for (unsigned n = 0; n < pci->count; n++)
        if (pci->function[n]->loaded) pci->function[n]->loaded(pci->function[n]->dev);
    bars_update(pci);
    return true;
}

const struct dev_state pci_state = DEV_STATE("pci", 1, members, bus_loaded);

static const struct state_member function_members[] = {
    STATE_MEMBER(struct pci_function, config),       STATE_MEMBER(struct pci_function, vector),
    STATE_MEMBER(struct pci_function, intx_level),   STATE_MEMBER(struct pci_function, intx_wire),
    STATE_MEMBER(struct pci_function, msix_pending),
};

static bool function_loaded(void *dev)
{
    struct pci_function *f = dev;

    if (f->loaded) f->loaded(f->dev);
    bars_update(f->pci);
    return true;
}

const struct dev_state pci_function_state =
    DEV_STATE("pci-function", 1, function_members, function_loaded);

bool pci_init(struct pci *pci, struct bus *bus, const struct dev_host *host,
              void (*intx)(void *ctx, unsigned devfn, unsigned pin, bool level),
              void (*reset)(void *ctx), void *ctx)
{
    static const struct bus_ops ops = {port_read, port_write};

    *pci = (struct pci){.bus = bus, .host = host, .intx = intx, .reset = reset, .ctx = ctx};
    return bus_add(bus, BUS_PIO, PORT_BASE, PORT_BYTES, &ops, pci, "pci-config");
}

bool pci_ecam(struct pci *pci, uint64_t base, unsigned buses)
{
    static const struct bus_ops ops = {ecam_read, ecam_write};
    bool ok = true;

    if (pci->ecam_base) bus_remove(pci->bus, BUS_MMIO, pci->ecam_base);
    pci->ecam_base = 0;
    for (unsigned n = 0; n < pci->count; n++)
        for (unsigned i = 0; i < PCI_BARS; i++)
            if (pci->function[n]->bar[i].kind == BUS_MMIO)
                bar_remove(pci, &pci->function[n]->bar[i]);
    if (base) {
        ok = bus_add(pci->bus, BUS_MMIO, base, (uint64_t)buses * ECAM_BUS_BYTES, &ops, pci,
                     "pci-ecam");
        if (ok) pci->ecam_base = base;
    }
    bars_update(pci);
    return ok;
}

bool pci_add(struct pci *pci, struct pci_function *f, const char *name, unsigned devfn,
             const struct pci_id *id, void *dev)
{
    if (pci->count >= PCI_FUNCTIONS_MAX || devfn > 0xffu || function_find(pci, 0, devfn))
        return false;
    memset(f, 0, sizeof(*f));
    f->name = name;
    f->pci = pci;
    f->dev = dev;
    f->devfn = (uint8_t)devfn;
    f->pin = id->pin;
    f->capability_end = HEADER_BYTES;
    pci_put(f->config, 0, 4, (uint32_t)id->device << 16 | id->vendor);
    pci_put(f->config, REVISION, 4, id->class_code << 8 | id->revision);
    pci_put(f->config, SUBSYSTEM, 4, (uint32_t)id->subsystem << 16 | id->subsystem_vendor);
    f->config[INTERRUPT_PIN] = id->pin;
    pci_put(f->writable, COMMAND, 2, COMMAND_WRITABLE);
    f->writable[CACHE_LINE] = 0xff;
    f->writable[INTERRUPT_LINE] = id->pin ? 0xff : 0;
    for (unsigned i = 0; i < pci->count; i++) {
        struct pci_function *other = pci->function[i];

        if (other->devfn >> 3 != devfn >> 3) continue;
        f->config[HEADER_TYPE] = MULTIFUNCTION;
        other->config[HEADER_TYPE] |= MULTIFUNCTION;
    }
    pci->function[pci->count++] = f;
    return true;
}

unsigned pci_capability(struct pci_function *f, uint8_t id, unsigned bytes)
{
    unsigned at = f->capability_end, link = CAPABILITIES;

    if (at < HEADER_BYTES || bytes > PCI_CONFIG_BYTES - at) return 0;
    while (f->config[link]) link = f->config[link] + 1u;
    f->config[link] = (uint8_t)at;
    f->config[at] = id;
    f->config[STATUS] |= STATUS_CAPABILITIES;
    f->capability_end = (uint8_t)((at + bytes + 3u) & ~3u); /* 0: full */
    return at;
}

/* ---- addresses for guests without firmware ---- */

/* All BARs of @kind and @size, from @next on. @return the first address after them */
static uint64_t assign_size(struct pci *pci, enum bus_kind kind, uint64_t size, uint64_t next,
                            uint64_t end, bool *ok)
{
    for (unsigned n = 0; n < pci->count; n++)
        for (unsigned i = 0; i < PCI_BARS; i++) {
            struct pci_function *f = pci->function[n];
            const struct pci_bar *b = &f->bar[i];
            uint64_t base = (next + size - 1u) & ~(size - 1u);

            if (b->size_bytes != size || b->kind != kind) continue;
            if (base + size > end) {
                *ok = false;
                continue;
            }
            pci_put(f->config, bar_register(i), 4,
                    (uint32_t)base | (pci_get(f, bar_register(i), 4) & (BAR_MIN_MEMORY - 1u) &
                                      ~f->writable[bar_register(i)]));
            f->config[COMMAND] |= (uint8_t)(kind == BUS_PIO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
            next = base + size;
        }
    return next;
}

bool pci_assign(struct pci *pci, uint32_t memory_base, uint32_t memory_end)
{
    uint64_t io = IO_FIRST, memory = memory_base;
    bool ok = true;

    /* The largest first: then none leaves a gap. */
    for (uint64_t size = 1ull << 63; size >= BAR_MIN_MEMORY; size >>= 1)
        memory = assign_size(pci, BUS_MMIO, size, memory, memory_end, &ok);
    for (uint64_t size = 256; size >= BAR_MIN_IO; size >>= 1) /* no larger one: PCI 3.0, 6.2.5.1 */
        io = assign_size(pci, BUS_PIO, size, io, IO_END, &ok);
    bars_update(pci);
    return ok;
}
