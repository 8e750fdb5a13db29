/*
 * The only thing a device model knows of the world: a bus it registers ranges on and a host that
 * carries its interrupts, its clock and its way to guest memory. Same source runs in the monitor
 * and in host unit tests. A device model never makes system calls and never touches another's
 * state.
 */
#ifndef VMM_MONITOR_DEV_BUS_H
#define VMM_MONITOR_DEV_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest_mem.h"

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

#define BUS_MAX_RANGES 64u
#define BUS_PORTS      65536u

struct bus {
    struct bus_range ranges[2][BUS_MAX_RANGES]; /* size 0: a place that is free */
    unsigned count[2];                          /* places in use are below this */
    uint64_t holes[2]; /* accesses no range answered; reads gave all ones, writes were dropped */
    /** The table of port ranges has changed. NULL: nobody asks. */
    void (*ports_changed)(struct bus *bus);
    uint8_t port[BUS_PORTS]; /* index of the port's range in ranges[BUS_PIO], plus one; 0: none */
};

/** Register a range. @return false when the table is full, the size is 0 or the range overlaps. */
bool bus_add(struct bus *bus, enum bus_kind kind, uint64_t base, uint64_t size,
             const struct bus_ops *ops, void *dev, const char *name);
/** Take back the range that begins at @base (a BAR that is moved or switched off). */
void bus_remove(struct bus *bus, enum bus_kind kind, uint64_t base);

/** Read; a hole, or an access that straddles a range's end, reads all ones of @size_bytes. */
uint64_t bus_read(struct bus *bus, enum bus_kind kind, uint64_t addr, unsigned size_bytes);
/** Write; a hole drops it. */
void bus_write(struct bus *bus, enum bus_kind kind, uint64_t addr, unsigned size_bytes,
               uint64_t value);

/** Memory of a device's own that the guest may see like RAM: a frame buffer, firmware. It is never
 *  part of guest RAM; bytes is the monitor's view of it. */
struct dev_ram {
    uint8_t *bytes;
    uint64_t size_bytes; /* a multiple of 4096 */
};

#define DEV_MAP_READ  1u
#define DEV_MAP_WRITE 2u
#define DEV_MAP_EXEC  4u

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
    /* Of bus masters only (PCI functions with their bus master bit set): */
    const struct guest_mem *mem;
    /** A memory write that signals an interrupt (PCI 3.0, 6.8). Any address: what is no interrupt
     *  message is dropped. */
    void (*msi)(void *ctx, uint64_t address, uint32_t data);
    /**
     * Show [offset, + bytes) of device memory to the guest at @gpa, as DEV_MAP_* say; 0: take it
     * away. All multiples of 4096; nothing else may be at those addresses.
     * @return false: cannot be mapped there; nothing has changed
     */
    bool (*map)(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes, uint64_t gpa,
                unsigned access);
};

#define NO_DEADLINE_NS UINT64_MAX

#endif
