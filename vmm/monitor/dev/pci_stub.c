/*
 * PCI configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2) with a host bridge at 00:00.0, and
 * the reset control register 0xcf9 (ICH9 data sheet, 13.7.5). Calls its reset callback and nothing
 * else.
 */
#include "pci_stub.h"
#include "dev_util.h"

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu
#define RESET_OFFSET     1u
#define RESET_CPU        0x04u
#define RESET_WRITABLE   0x0eu

/* The 82G33/Q35 memory controller's identity: no BAR, no capability, no interrupt pin. */
static const uint32_t host_bridge[16] = {
    [0] = 0x29c08086, /* device, vendor */
    [1] = 0x00000006, /* command: memory and bus master, hard-wired */
    [2] = 0x06000002, /* class 06 00 00 host bridge, revision 2 */
};

/* The configuration dword the address register selects. */
static uint32_t config_dword(uint32_t address)
{
    unsigned reg = address >> 2 & 63u;

    if (!(address & ADDRESS_ENABLE) || (address & 0x00ffff00u) != 0) return UINT32_MAX;
    return reg < 16u ? host_bridge[reg] : 0u;
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct pci_stub *p = dev;

    if (offset == 0 && size_bytes == 4u) return p->address;
    if (offset == RESET_OFFSET && size_bytes == 1u) return p->reset_control;
    if (offset < 4u || (offset & 3u) + size_bytes > 4u) return dev_ones(size_bytes);
    return config_dword(p->address) >> ((offset & 3u) * 8u) & dev_ones(size_bytes);
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pci_stub *p = dev;

    if (offset == 0 && size_bytes == 4u) {
        p->address = (uint32_t)value & ADDRESS_WRITABLE;
    } else if (offset == RESET_OFFSET && size_bytes == 1u) {
        bool rising = (value & RESET_CPU) && !(p->reset_control & RESET_CPU);

        p->reset_control = (uint8_t)value & RESET_WRITABLE;
        if (rising) p->reset(p->ctx);
    } /* the host bridge has no writable register */
}

bool pci_stub_init(struct pci_stub *p, struct bus *bus, const struct dev_host *host,
                   void (*reset)(void *ctx), void *ctx)
{
    static const struct bus_ops ops = {port_read, port_write};

    (void)host;
    *p = (struct pci_stub){.reset = reset, .ctx = ctx, .deadline_ns = NO_DEADLINE_NS};
    return bus_add(bus, BUS_PIO, 0xcf8, 8, &ops, p, "pci-config");
}
