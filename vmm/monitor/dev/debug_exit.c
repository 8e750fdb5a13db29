/*
 * Debug exit port with the semantics of QEMU's isa-debug-exit (iobase 0xf4, iosize 4): reads give
 * 0, any write ends the VM. Calls its callback and nothing else.
 */
#include "debug_exit.h"
#include "dev_util.h"

static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    (void)dev;
    (void)offset;
    (void)size_bytes;
    return 0;
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    const struct debug_exit *d = dev;

    (void)offset;
    (void)size_bytes;
    d->exit(d->ctx, (uint32_t)value);
}

bool debug_exit_init(struct debug_exit *d, struct bus *bus, const struct dev_host *host,
                     void (*exit)(void *ctx, uint32_t value), void *ctx)
{
    static const struct bus_ops ops = {port_read, port_write};

    (void)host;
    *d = (struct debug_exit){exit, ctx, NO_DEADLINE_NS};
    return bus_add(bus, BUS_PIO, DEBUG_EXIT_PORT, 4, &ops, d, "debug-exit");
}
