/*
 * I/O APIC. Intel 82093AA data sheet (290566), section 3; version 0x20 with the EOI register at
 * 0x40. A level input is delivered once per EOI; an edge on a masked input is lost, as the data
 * sheet says. Calls the deliver callback only; loops are over 24 entries.
 */
#include "ioapic.h"
#include "dev_util.h"

#include <string.h>

#define REG_SELECT  0x00u
#define REG_WINDOW  0x10u
#define REG_EOI     0x40u
#define PAGE_BYTES  0x1000u
#define VERSION     (0x20u | (IOAPIC_PINS - 1u) << 16)
#define INDEX_ID    0u
#define INDEX_VER   1u
#define INDEX_ARB   2u
#define INDEX_RTE   0x10u
#define RTE_LOGICAL 0x0800ull
#define RTE_REMOTE  0x4000ull
#define RTE_LEVEL   0x8000ull
#define RTE_MASKED  0x10000ull
#define RTE_LOW_RW  0x1afffull /* without delivery status and remote IRR */
#define RTE_HIGH_RW 0xff00000000000000ull

static void pin_send(struct ioapic *io, unsigned pin)
{
    uint64_t rte = io->rte[pin];
    struct apic_msg msg = {
        .dest = (uint32_t)(rte >> 56),
        .vector = (uint8_t)rte,
        .mode = (uint8_t)(rte >> 8 & 7u),
        .logical = (rte & RTE_LOGICAL) != 0,
        .level = (rte & RTE_LEVEL) != 0,
        .assert = true,
    };

    io->deliver(io->ctx, &msg);
}

/* Only fixed and lowest-priority interrupts are acknowledged by an EOI. */
static bool waits_for_eoi(uint64_t rte)
{
    return (rte & RTE_LEVEL) != 0 && (rte >> 8 & 7u) <= APIC_LOWEST;
}

/* Deliver a level input that is up, enabled and not waiting for an EOI. */
static void level_service(struct ioapic *io, unsigned pin)
{
    uint64_t rte = io->rte[pin];

    if (!(rte & RTE_LEVEL) || (rte & (RTE_MASKED | RTE_REMOTE)) || !(io->lines >> pin & 1u)) return;
    if (waits_for_eoi(rte)) io->rte[pin] |= RTE_REMOTE;
    pin_send(io, pin);
}

void ioapic_set_irq(struct ioapic *io, unsigned pin, bool level)
{
    bool rising;

    if (pin >= IOAPIC_PINS) return;
    rising = level && !(io->lines >> pin & 1u);
    io->lines = level ? io->lines | 1u << pin : io->lines & ~(1u << pin);
    if (!rising || (io->rte[pin] & RTE_MASKED)) return;
    if (io->rte[pin] & RTE_LEVEL)
        level_service(io, pin);
    else
        pin_send(io, pin);
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (!(io->rte[pin] & RTE_REMOTE) || (uint8_t)io->rte[pin] != vector) continue;
        io->rte[pin] &= ~RTE_REMOTE;
        level_service(io, pin);
    }
}

static uint32_t window_read(const struct ioapic *io)
{
    unsigned entry = io->index - INDEX_RTE;

    switch (io->index) {
    case INDEX_ID:
    case INDEX_ARB: return (uint32_t)io->id << 24;
    case INDEX_VER: return VERSION;
    default:
        if (io->index < INDEX_RTE || entry >= IOAPIC_PINS * 2u) return 0;
        return (uint32_t)(io->rte[entry / 2u] >> (entry % 2u * 32u));
    }
}

static void rte_write(struct ioapic *io, unsigned entry, uint32_t value)
{
    unsigned pin = entry / 2u;
    uint64_t *rte = &io->rte[pin];

    if (entry % 2u != 0) {
        *rte = (*rte & ~RTE_HIGH_RW) | ((uint64_t)value << 32 & RTE_HIGH_RW);
        return;
    }
    *rte = (*rte & ~RTE_LOW_RW) | (value & RTE_LOW_RW);
    if (!waits_for_eoi(*rte)) /* edge triggered: nothing to wait for */
        *rte &= ~RTE_REMOTE;
    level_service(io, pin);
}

static void window_write(struct ioapic *io, uint32_t value)
{
    unsigned entry = io->index - INDEX_RTE;

    if (io->index == INDEX_ID)
        io->id = value >> 24 & 15u;
    else if (io->index >= INDEX_RTE && entry < IOAPIC_PINS * 2u)
        rte_write(io, entry, value);
}

static uint64_t page_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct ioapic *io = dev;

    (void)size_bytes;
    switch (offset) {
    case REG_SELECT: return io->index;
    case REG_WINDOW: return window_read(io);
    default: return 0;
    }
}

static void page_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct ioapic *io = dev;

    switch (offset) {
    case REG_SELECT: io->index = (uint8_t)value; break;
    case REG_WINDOW:
        if (size_bytes >= 4u) window_write(io, (uint32_t)value);
        break;
    case REG_EOI: ioapic_eoi(io, (uint8_t)value); break;
    default: break;
    }
}

static const struct state_member members[] = {
    STATE_MEMBER(struct ioapic, rte),
    STATE_MEMBER(struct ioapic, lines),
    STATE_MEMBER(struct ioapic, index),
    STATE_MEMBER(struct ioapic, id),
};

const struct dev_state ioapic_state = DEV_STATE("ioapic", 1, members, NULL);

bool ioapic_init(struct ioapic *io, struct bus *bus, const struct dev_host *host,
                 void (*deliver)(void *ctx, const struct apic_msg *msg), void *ctx)
{
    static const struct bus_ops ops = {page_read, page_write};

    (void)host;
    memset(io, 0, sizeof(*io));
    io->deliver = deliver;
    io->ctx = ctx;
    io->deadline_ns = NO_DEADLINE_NS;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) io->rte[pin] = RTE_MASKED;
    return bus_add(bus, BUS_MMIO, IOAPIC_BASE, PAGE_BYTES, &ops, io, "ioapic");
}
