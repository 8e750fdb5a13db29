/*
 * The only thing a device model knows of the world: a bus it registers ranges on and a host that
 * carries its interrupt lines and its clock. Same source runs in the monitor and in host unit
 * tests. A device model never touches guest memory, system calls or another device's state.
 */
#ifndef VMM_MONITOR_DEV_BUS_H
#define VMM_MONITOR_DEV_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bus_kind { BUS_PIO = 0, BUS_MMIO = 1 };

/** Access handlers of one range. @size_bytes is 1, 2, 4 (or 8 on MMIO); @offset < range size and the
 *  access lies wholly inside the range. A read returns the value zero-extended. */
struct bus_ops {
    uint64_t (*read)(void *dev, uint64_t offset, unsigned size_bytes);
    void (*write)(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value);
};

/** One registered range. Ranges of one kind never overlap. */
struct bus_range {
    uint64_t base;
    uint64_t size;
    const struct bus_ops *ops;
    void *dev;
    const char *name;
};

#define BUS_MAX_RANGES 32u

struct bus {
    struct bus_range ranges[2][BUS_MAX_RANGES];
    unsigned count[2];
    uint64_t holes[2]; /* accesses no range answered; reads gave all ones, writes were dropped */
};

/** Register a range. @return false when the table is full, the size is 0 or the range overlaps. */
bool bus_add(struct bus *bus, enum bus_kind kind, uint64_t base, uint64_t size,
             const struct bus_ops *ops, void *dev, const char *name);

/** Read; a hole, or an access that straddles a range's end, reads all ones of @size_bytes. */
uint64_t bus_read(struct bus *bus, enum bus_kind kind, uint64_t addr, unsigned size_bytes);
/** Write; a hole drops it. */
void bus_write(struct bus *bus, enum bus_kind kind, uint64_t addr, unsigned size_bytes,
               uint64_t value);

/**
 * What the monitor gives every device.
 * Time is in nanoseconds of guest time since VM start (monotonic; stops while the VM is paused).
 * A device that wants to be called back sets its own deadline field (NO_DEADLINE_NS when idle); the
 * monitor takes the minimum over all devices and calls X_tick(dev, now) when it has passed.
 */
struct dev_host {
    void *ctx;
    void (*irq)(void *ctx, unsigned line, bool level); /* ISA/GSI line 0..23 changes level */
    uint64_t (*now_ns)(void *ctx);
};

#define NO_DEADLINE_NS UINT64_MAX

#endif
