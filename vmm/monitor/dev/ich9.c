/*
 * ICH9 LPC bridge and its chipset configuration registers; see ich9.h. Work per access is bounded
 * by the number of functions on the bus. Not there: GPIO, TCO timer, HPET, SPI.
 */
#include "ich9.h"
#include "dev_util.h"

#include <string.h>

/* Configuration space (13.1) */
#define PMBASE        0x40u
#define ACPI_CNTL     0x44u
#define RCBA          0xf0u
#define PMBASE_IO     0x1u
#define PMBASE_RW     0xff80u
#define ACPI_EN       0x80u
#define PIRQ_OFF      0x80u
#define PIRQ_LINE     0x0fu
#define PIRQ_LINES_OK 0xdef8u /* 3 to 7, 9 to 12, 14, 15 (13.1.17) */
#define RCBA_ENABLE   0x1u
#define RCBA_RW       0xffffc001u
#define LINE_REGISTER 0x3cu
#define COMMAND       0x04u
#define COMMAND_FIXED 0x07u

/* Chipset configuration registers (10.1) */
#define D31IR          0x3140u
#define GCS            0x3410u
#define GCS_NO_REBOOT  0x20u /* the TCO timer resets nothing: drivers leave it alone */
#define ROUTE_RESET    0x3210u
#define ROUTE_WRITABLE 0x7777u
#define ROUTES         7u

/* Offset of each device's route, D31IR first (10.1.35 to 10.1.41). */
static const uint8_t route_offset[ROUTES] = {0x00, 0x02, 0x04, 0x06, 0x08, 0x0c, 0x10};
#define ROUTE_BRIDGE 1u /* D30IR is read-only: the bridge to conventional PCI has no pin */

/* ---- pins to PIRQs to lines ---- */

/* Devices 25 to 31 are the chipset's own, with a register each. What is in a slot takes PIRQE..H,
 * rotated by the slot; so do pins of device 30, unrotated. */
static unsigned pirq_of(const uint16_t route[ROUTES], unsigned device, unsigned pin)
{
    if (device < 25u) return 4u + ((device + pin) & 3u);
    if (31u - device == ROUTE_BRIDGE) return 4u + (pin & 3u);
    return (unsigned)route[31u - device] >> ((pin & 3u) * 4u) & 7u;
}

unsigned ich9_pirq_default(unsigned device, unsigned pin)
{
    static const uint16_t reset[ROUTES] = {ROUTE_RESET, 0,           ROUTE_RESET, ROUTE_RESET,
                                           ROUTE_RESET, ROUTE_RESET, ROUTE_RESET};

    return pirq_of(reset, device & 31u, pin & 3u);
}

/* A pin is shared by functions and a PIRQ by pins: all are looked at anew. */
void ich9_intx(struct ich9 *l)
{
    const struct dev_host *host = l->pci->host;
    unsigned pirqs = 0, lines = 0, changed;

    for (unsigned n = 0; n < l->pci->count; n++) {
        const struct pci_function *f = l->pci->function[n];

        if (f->intx_wire) pirqs |= 1u << pirq_of(l->device_route, f->devfn >> 3, f->pin - 1u);
    }
    for (unsigned i = 0; i < ICH9_PIRQS; i++) {
        unsigned rout = l->f.config[ICH9_PIRQ_ROUT(i)];

        if ((pirqs >> i & 1u) && !(rout & PIRQ_OFF)) lines |= 1u << (rout & PIRQ_LINE);
    }
    lines &= PIRQ_LINES_OK;
    changed = pirqs ^ l->pirqs;
    l->pirqs = (uint8_t)pirqs;
    for (unsigned i = 0; i < ICH9_PIRQS; i++)
        if (changed >> i & 1u) host->irq(host->ctx, ICH9_PIRQ_GSI + i, (pirqs >> i & 1u) != 0);
    if (lines == l->lines) return;
    l->lines = (uint16_t)lines;
    l->pic(l->ctx, l->lines);
}

/* ---- chipset configuration registers ---- */

static uint8_t rcba_read_byte(void *dev, unsigned offset)
{
    const struct ich9 *l = dev;

    for (unsigned i = 0; i < ROUTES; i++)
        if (offset - D31IR - route_offset[i] < 2u)
            return (uint8_t)(l->device_route[i] >> (offset - D31IR - route_offset[i]) * 8u);
    return offset == GCS ? GCS_NO_REBOOT : 0;
}

static void rcba_write_byte(void *dev, unsigned offset, uint8_t value)
{
    struct ich9 *l = dev;

    for (unsigned i = 0; i < ROUTES; i++) {
        unsigned shift = (offset - D31IR - route_offset[i]) * 8u;

        if (shift > 8u || i == ROUTE_BRIDGE) continue;
        l->device_route[i] = (uint16_t)((l->device_route[i] & ~(0xffu << shift)) |
                                        (((unsigned)value << shift) & ROUTE_WRITABLE));
    }
}

static uint64_t rcba_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(rcba_read_byte, dev, offset, size_bytes);
}

static void rcba_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(rcba_write_byte, dev, offset, size_bytes, value);
    ich9_intx(dev);
}

static void rcba_place(struct ich9 *l)
{
    static const struct bus_ops ops = {rcba_read, rcba_write};
    uint32_t value = pci_get(&l->f, RCBA, 4);
    uint32_t base = value & RCBA_ENABLE ? value & ~(ICH9_RCBA_BYTES - 1u) : 0;

    if (base == l->rcba) return;
    if (l->rcba) bus_remove(l->pci->bus, BUS_MMIO, l->rcba);
    l->rcba = 0;
    if (base && bus_add(l->pci->bus, BUS_MMIO, base, ICH9_RCBA_BYTES, &ops, l, "rcba"))
        l->rcba = base;
}

/* ---- configuration space ---- */

static void update(void *dev)
{
    struct ich9 *l = dev;
    bool on = (l->f.config[ACPI_CNTL] & ACPI_EN) != 0;

    (void)acpi_pm_place(l->pm, (uint16_t)(on ? pci_get(&l->f, PMBASE, 2) & PMBASE_RW : 0));
    rcba_place(l);
    ich9_intx(l);
}

static void written(void *dev, unsigned offset, unsigned size_bytes)
{
    (void)offset, (void)size_bytes;
    update(dev);
}

static const struct state_member members[] = {
    STATE_MEMBER(struct ich9, device_route),
    STATE_MEMBER(struct ich9, pirqs),
    STATE_MEMBER(struct ich9, lines),
};

/* The I/O APIC and the 8259s bring their inputs' levels along: here they become what the functions
 * say, which is the same unless the state is made up. */
static bool loaded(void *dev)
{
    update(dev);
    return true;
}

const struct dev_state ich9_state = DEV_STATE("ich9", 1, members, loaded);

bool ich9_init(struct ich9 *l, struct pci *pci, struct acpi_pm *pm,
               void (*pic)(void *ctx, uint16_t lines), void *ctx)
{
    static const struct pci_id id = {
        .vendor = 0x8086, .device = 0x2918, .class_code = 0x060100, .revision = 2};

    memset(l, 0, sizeof(*l));
    l->pci = pci;
    l->pm = pm;
    l->pic = pic;
    l->ctx = ctx;
    for (unsigned i = 0; i < ROUTES; i++) l->device_route[i] = i == ROUTE_BRIDGE ? 0 : ROUTE_RESET;
    if (!pci_add(pci, &l->f, "ich9-lpc", ICH9_DEVFN, &id, l)) return false;
    l->f.written = written;
    l->f.loaded = update;
    pci_put(l->f.config, COMMAND, 2, COMMAND_FIXED);
    pci_put(l->f.writable, COMMAND, 2, 0);
    l->f.config[PMBASE] = PMBASE_IO;
    pci_put(l->f.writable, PMBASE, 2, PMBASE_RW);
    l->f.writable[ACPI_CNTL] = ACPI_EN; /* the SCI stays on line 9 */
    pci_put(l->f.writable, RCBA, 4, RCBA_RW);
    for (unsigned i = 0; i < ICH9_PIRQS; i++) {
        l->f.config[ICH9_PIRQ_ROUT(i)] = PIRQ_OFF;
        l->f.writable[ICH9_PIRQ_ROUT(i)] = PIRQ_OFF | PIRQ_LINE;
    }
    return true;
}

/* Lines 10 and 11 are free of ISA devices, and each takes every other pair of pins. */
static uint8_t line_of(unsigned pirq) { return pirq & 2u ? 11 : 10; }

void ich9_setup(struct ich9 *l)
{
    for (unsigned i = 0; i < ICH9_PIRQS; i++) l->f.config[ICH9_PIRQ_ROUT(i)] = line_of(i);
    for (unsigned n = 0; n < l->pci->count; n++) {
        struct pci_function *f = l->pci->function[n];

        if (f->pin)
            f->config[LINE_REGISTER] =
                line_of(pirq_of(l->device_route, f->devfn >> 3, f->pin - 1u));
    }
    pci_put(l->f.config, PMBASE, 2, ACPI_PM_BASE | PMBASE_IO);
    l->f.config[ACPI_CNTL] = ACPI_EN;
    update(l);
}
