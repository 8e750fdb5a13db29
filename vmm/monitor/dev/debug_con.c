/* Debug console; see debug_con.h. A read says that it is there (as on Bochs and QEMU). */
#include "debug_con.h"

#define PRESENT 0xe9u

static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    (void)dev;
    (void)offset;
    (void)size_bytes;
    return PRESENT;
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct debug_con *d = dev;

    (void)offset;
    (void)size_bytes;
    d->line[d->length++] = (uint8_t)value;
    if (value != '\n' && d->length < DEBUG_CON_LINE_BYTES) return;
    for (unsigned i = 0; i < d->length; i++) (void)d->out(d->ctx, d->line[i]);
    d->length = 0;
}

bool debug_con_init(struct debug_con *d, struct bus *bus, bool (*out)(void *ctx, uint8_t byte),
                    void *ctx)
{
    static const struct bus_ops ops = {port_read, port_write};

    *d = (struct debug_con){.out = out, .ctx = ctx};
    return bus_add(bus, BUS_PIO, DEBUG_CON_PORT, 1, &ops, d, "debug-console");
}
