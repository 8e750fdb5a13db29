/*
 * Address decoding: finds the device range an access lies in. Calls the device's handlers and
 * ports_changed. Never lets an access reach a device unless it lies wholly inside the range.
 */
#include "bus.h"
#include "dev_util.h"

bool bus_add(struct bus *bus, enum bus_kind kind, uint64_t base, uint64_t size,
             const struct bus_ops *ops, void *dev, const char *name)
{
    unsigned k = kind == BUS_MMIO ? BUS_MMIO : BUS_PIO;
    unsigned place = bus->count[k];
    uint64_t last = base + (size - 1u);

    if (size == 0 || last < base || (k == BUS_PIO && last >= BUS_PORTS)) return false;
    for (unsigned i = 0; i < bus->count[k]; i++) {
        const struct bus_range *r = &bus->ranges[k][i];

        if (r->size == 0)
            place = i;
        else if (base <= r->base + (r->size - 1u) && r->base <= last)
            return false;
    }
    if (place >= BUS_MAX_RANGES) return false;
    if (place == bus->count[k]) bus->count[k]++;
    bus->ranges[k][place] = (struct bus_range){base, size, ops, dev, name};
    for (uint64_t port = base; k == BUS_PIO && port <= last; port++)
        bus->port[port] = (uint8_t)(place + 1u);
    if (k == BUS_PIO && bus->ports_changed) bus->ports_changed(bus);
    return true;
}

void bus_remove(struct bus *bus, enum bus_kind kind, uint64_t base)
{
    unsigned k = kind == BUS_MMIO ? BUS_MMIO : BUS_PIO;

    for (unsigned i = 0; i < bus->count[k]; i++) {
        struct bus_range *r = &bus->ranges[k][i];

        if (r->size == 0 || r->base != base) continue;
        for (uint64_t port = base; k == BUS_PIO && port < base + r->size; port++)
            bus->port[port] = 0;
        *r = (struct bus_range){0};
        if (k == BUS_PIO && bus->ports_changed) bus->ports_changed(bus);
        return;
    }
}

static bool size_valid(unsigned kind, unsigned size_bytes)
{
    return size_bytes == 1u || size_bytes == 2u || size_bytes == 4u ||
           (size_bytes == 8u && kind == BUS_MMIO);
}

static const struct bus_range *range_find(const struct bus *bus, unsigned kind, uint64_t addr,
                                          unsigned size_bytes)
{
    if (!size_valid(kind, size_bytes)) return NULL;
    if (kind == BUS_PIO) {
        const struct bus_range *r;

        if (addr >= BUS_PORTS || bus->port[addr] == 0) return NULL;
        r = &bus->ranges[BUS_PIO][bus->port[addr] - 1u];
        return r->size - (addr - r->base) >= size_bytes ? r : NULL;
    }
    for (unsigned i = 0; i < bus->count[kind]; i++) {
        const struct bus_range *r = &bus->ranges[kind][i];

        if (addr >= r->base && addr - r->base < r->size)
            return r->size - (addr - r->base) >= size_bytes ? r : NULL;
    }
    return NULL;
}

uint64_t bus_read(struct bus *bus, enum bus_kind kind, uint64_t addr, unsigned size_bytes)
{
    unsigned k = kind == BUS_MMIO ? BUS_MMIO : BUS_PIO;
    const struct bus_range *r = range_find(bus, k, addr, size_bytes);

    if (r == NULL || r->ops->read == NULL) {
        bus->holes[k]++;
        return dev_ones(size_bytes);
    }
    return r->ops->read(r->dev, addr - r->base, size_bytes) & dev_ones(size_bytes);
}

void bus_write(struct bus *bus, enum bus_kind kind, uint64_t addr, unsigned size_bytes,
               uint64_t value)
{
    unsigned k = kind == BUS_MMIO ? BUS_MMIO : BUS_PIO;
    const struct bus_range *r = range_find(bus, k, addr, size_bytes);

    if (r == NULL || r->ops->write == NULL) {
        bus->holes[k]++;
        return;
    }
    r->ops->write(r->dev, addr - r->base, size_bytes, value & dev_ones(size_bytes));
}
