/*
 * ACPI fixed hardware. ACPI 6.3, 4.8.3; register block as in the ICH9 data sheet, 13.8.3. The only
 * sleep state is S5; there is no system management mode, no general-purpose event and no TCO timer.
 * May call: host interrupt line and clock, power-off callback.
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

#define REG_TIMER      0x08u
#define REG_GPE_ENABLE 0x28u
#define REG_SMI_ENABLE 0x30u
/* The write to APM_CNT makes an SMI: firmware takes it that the handler is in place. */
#define SMI_APMC_EN 0x20u
#define TIMER_SHIFT 31u /* TMR_STS is set whenever the counter's top bit changes (4.8.3.1) */

static uint64_t timer_now(const struct acpi_pm *pm)
{
    return ns_to_ticks(pm->host->now_ns(pm->host->ctx), ACPI_PM_TIMER_HZ);
}

static void update(struct acpi_pm *pm)
{
    bool sci = (pm->control & CNT_SCI_EN) && (pm->status & pm->enable & STS_ALL);
    const unsigned shift = TIMER_SHIFT;

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
    const unsigned shift = TIMER_SHIFT;

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
    default:
        if (reg >= REG_GPE_ENABLE && reg < REG_GPE_ENABLE + sizeof(pm->gpe_enable))
            value = pm->gpe_enable[reg - REG_GPE_ENABLE];
        else if (reg >= REG_SMI_ENABLE && reg < REG_SMI_ENABLE + 4u)
            value = (uint8_t)((pm->smi_enable | SMI_APMC_EN) >> ((reg - REG_SMI_ENABLE) * 8u));
        break;
    }
    update(pm);
    return value;
}

static void control_write(struct acpi_pm *pm, unsigned shift, uint8_t value)
{
    uint16_t bits = (uint16_t)((unsigned)value << shift);
    uint16_t lane = (uint16_t)(0xffu << shift);
    unsigned type = (bits & CNT_TYPE) >> 10;

    lane &= CNT_TYPE | CNT_BM_RLD; /* SCI_EN is not for the operating system to write */
    pm->control = (uint16_t)((pm->control & ~lane) | (bits & lane));
    /* Operating systems use the type that the DSDT names; SeaBIOS and OVMF always write 0. */
    if ((bits & CNT_SLP_EN) && (type == ACPI_S5_TYPE || type == 0)) pm->power_off(pm->ctx);
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
    default:
        if (reg >= REG_GPE_ENABLE && reg < REG_GPE_ENABLE + sizeof(pm->gpe_enable))
            pm->gpe_enable[reg - REG_GPE_ENABLE] = value;
        else if (reg >= REG_SMI_ENABLE && reg < REG_SMI_ENABLE + 4u) {
            shift = (reg - REG_SMI_ENABLE) * 8u;
            pm->smi_enable = (pm->smi_enable & ~(0xffu << shift)) | (uint32_t)value << shift;
        }
        break;
    }
    update(pm);
}

static uint64_t pm_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct acpi_pm *pm = dev;

    if (offset >= REG_TIMER && offset < REG_TIMER + 4u) { /* all bytes of one moment */
        uint64_t t = timer_now(pm) & UINT32_MAX;

        return t >> ((offset - REG_TIMER) * 8u) & dev_ones(size_bytes);
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
    STATE_MEMBER(struct acpi_pm, smi_enable),  STATE_MEMBER(struct acpi_pm, gpe_enable),
    STATE_MEMBER(struct acpi_pm, apm),
};

/* The rest is written by the guest, or goes no further than its registers. */
static bool loaded(void *dev)
{
    return ((const struct acpi_pm *)dev)->timer_seen >> 62 == 0; /* room for a deadline behind it */
}

const struct dev_state acpi_pm_state = DEV_STATE("acpi_pm", 2, members, loaded);

/* APM_CNT and APM_STS (13.7.3): what the SMI handler would do, at once. */
static uint8_t apm_read(void *dev, unsigned reg) { return ((const struct acpi_pm *)dev)->apm[reg]; }

static void apm_write(void *dev, unsigned reg, uint8_t value)
{
    struct acpi_pm *pm = dev;

    pm->apm[reg] = value;
    if (reg != 0) return;
    if (value == ACPI_ENABLE_VALUE) pm->control |= CNT_SCI_EN;
    if (value == ACPI_DISABLE_VALUE) pm->control &= (uint16_t)~CNT_SCI_EN;
    update(pm);
}

static uint64_t apm_port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(apm_read, dev, offset, size_bytes);
}

static void apm_port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(apm_write, dev, offset, size_bytes, value);
}

bool acpi_pm_init(struct acpi_pm *pm, struct bus *bus, const struct dev_host *host, bool acpi_mode,
                  void (*power_off)(void *ctx), void *ctx)
{
    static const struct bus_ops apm_ops = {apm_port_read, apm_port_write};

    memset(pm, 0, sizeof(*pm));
    pm->bus = bus;
    pm->host = host;
    pm->power_off = power_off;
    pm->ctx = ctx;
    pm->control = acpi_mode ? CNT_SCI_EN : 0;
    pm->timer_seen = timer_now(pm);
    pm->deadline_ns = NO_DEADLINE_NS;
    return bus_add(bus, BUS_PIO, ACPI_SMI_PORT, sizeof(pm->apm), &apm_ops, pm, "apm");
}

bool acpi_pm_place(struct acpi_pm *pm, uint16_t base)
{
    static const struct bus_ops ops = {pm_read, pm_write};

    if (pm->base == base) return true;
    if (pm->base) bus_remove(pm->bus, BUS_PIO, pm->base);
    pm->base = 0;
    if (base == 0) return true;
    if (!bus_add(pm->bus, BUS_PIO, base, ACPI_PM_PORTS, &ops, pm, "acpi-pm")) return false;
    pm->base = base;
    return true;
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
