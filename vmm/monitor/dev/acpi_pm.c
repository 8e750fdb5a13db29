/*
 * ACPI fixed hardware. ACPI 6.3, 4.8.3. There is no SMI command port: the machine is always in ACPI
 * mode, SCI_EN reads as one (4.8.3.2.1). The only sleep state is S5. May call: host interrupt line
 * and clock, power-off callback.
 */
#include "acpi_pm.h"
#include "dev_util.h"

#include <string.h>

#define STS_TIMER  0x0001u
#define STS_PWRBTN 0x0100u
#define STS_ALL    (STS_TIMER | STS_PWRBTN) /* the events that can happen here */
#define EN_ALL     0x0721u /* TMR, GBL, PWRBTN, SLPBTN, RTC: writable, mostly without effect */
#define CNT_SCI_EN 0x0001u
#define CNT_BM_RLD 0x0002u
#define CNT_TYPE   0x1c00u
#define CNT_SLP_EN 0x2000u

static uint64_t timer_now(const struct acpi_pm *pm)
{
    return ns_to_ticks(pm->host->now_ns(pm->host->ctx), ACPI_PM_TIMER_HZ);
}

/* TMR_STS is set whenever the counter's top bit changes (4.8.3.1). */
static unsigned carry_shift(const struct acpi_pm *pm) { return pm->timer_32bit ? 31u : 23u; }

static void update(struct acpi_pm *pm)
{
    bool sci = (pm->status & pm->enable & STS_ALL) != 0;
    unsigned shift = carry_shift(pm);

    pm->deadline_ns = NO_DEADLINE_NS;
    if ((pm->enable & STS_TIMER) && !(pm->status & STS_TIMER))
        pm->deadline_ns = ticks_to_ns(((pm->timer_seen >> shift) + 1u) << shift, ACPI_PM_TIMER_HZ);
    if (sci != pm->sci_level) {
        pm->sci_level = sci;
        pm->host->irq(pm->host->ctx, ACPI_SCI_LINE, sci);
    }
}

static void sync(struct acpi_pm *pm, uint64_t t)
{
    unsigned shift = carry_shift(pm);

    if (t >> shift > pm->timer_seen >> shift) pm->status |= STS_TIMER;
    if (t > pm->timer_seen) pm->timer_seen = t;
}

static uint8_t reg_read(void *dev, unsigned reg)
{
    struct acpi_pm *pm = dev;
    uint64_t t = timer_now(pm);
    uint8_t value = 0;

    sync(pm, t);
    switch (reg) {
    case 0:
    case 1: value = (uint8_t)(pm->status >> (reg * 8u)); break;
    case 2:
    case 3: value = (uint8_t)(pm->enable >> ((reg - 2u) * 8u)); break;
    case 4:
    case 5: value = (uint8_t)(pm->control >> ((reg - 4u) * 8u)); break;
    default: break;
    }
    update(pm);
    return value;
}

static void control_write(struct acpi_pm *pm, unsigned shift, uint8_t value)
{
    uint16_t bits = (uint16_t)((unsigned)value << shift);
    uint16_t lane = (uint16_t)(0xffu << shift);

    pm->control = (uint16_t)((pm->control & ~lane) | (bits & (CNT_TYPE | CNT_BM_RLD)) | CNT_SCI_EN);
    if ((bits & CNT_SLP_EN) && (bits & CNT_TYPE) >> 10 == ACPI_S5_TYPE) pm->power_off(pm->ctx);
}

static void reg_write(void *dev, unsigned reg, uint8_t value)
{
    struct acpi_pm *pm = dev;
    unsigned shift = reg % 2u * 8u;
    uint16_t bits = (uint16_t)((unsigned)value << shift);
    uint16_t lane = (uint16_t)(0xffu << shift);

    sync(pm, timer_now(pm));
    switch (reg) {
    case 0:
    case 1: /* write one to clear */ pm->status = (uint16_t)(pm->status & ~bits); break;
    case 2:
    case 3: pm->enable = (uint16_t)((pm->enable & ~lane) | (bits & EN_ALL)); break;
    case 4:
    case 5: control_write(pm, shift, value); break;
    default: break;
    }
    update(pm);
}

static uint64_t pm_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct acpi_pm *pm = dev;
    const uint64_t timer = ACPI_PM_TIMER - ACPI_PM_BASE;

    if (offset >= timer && offset < timer + 4u) { /* all bytes of one moment */
        uint64_t t = timer_now(pm) & (pm->timer_32bit ? 0xffffffffu : 0xffffffu);

        return t >> ((offset - timer) * 8u) & dev_ones(size_bytes);
    }
    return dev_read_bytes(reg_read, dev, offset, size_bytes);
}

static void pm_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(reg_write, dev, offset, size_bytes, value);
}

static const struct state_member members[] = {
    STATE_MEMBER(struct acpi_pm, deadline_ns), STATE_MEMBER(struct acpi_pm, timer_seen),
    STATE_MEMBER(struct acpi_pm, status),      STATE_MEMBER(struct acpi_pm, enable),
    STATE_MEMBER(struct acpi_pm, control),     STATE_MEMBER(struct acpi_pm, sci_level),
};

const struct dev_state acpi_pm_state = DEV_STATE("acpi_pm", 1, members, NULL);

bool acpi_pm_init(struct acpi_pm *pm, struct bus *bus, const struct dev_host *host,
                  bool timer_32bit, void (*power_off)(void *ctx), void *ctx)
{
    static const struct bus_ops ops = {pm_read, pm_write};

    memset(pm, 0, sizeof(*pm));
    pm->host = host;
    pm->power_off = power_off;
    pm->ctx = ctx;
    pm->timer_32bit = timer_32bit;
    pm->control = CNT_SCI_EN;
    pm->timer_seen = timer_now(pm);
    pm->deadline_ns = NO_DEADLINE_NS;
    return bus_add(bus, BUS_PIO, ACPI_PM_BASE, ACPI_PM_PORTS, &ops, pm, "acpi-pm");
}

void acpi_pm_tick(struct acpi_pm *pm, uint64_t now_ns)
{
    sync(pm, ns_to_ticks(now_ns, ACPI_PM_TIMER_HZ));
    update(pm);
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
    pm->status |= STS_PWRBTN;
    update(pm);
}
