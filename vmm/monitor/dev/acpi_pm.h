/*
 * ACPI fixed hardware (ACPI 6.3, 4.8.3): PM1a event and control blocks, PM timer, power button.
 * Line 9 is the SCI. The reset register (0xcf9) is in pci.c: it shares a port range with 0xcf8.
 */
#ifndef VMM_MONITOR_DEV_ACPI_PM_H
#define VMM_MONITOR_DEV_ACPI_PM_H

#include "bus.h"
#include "state.h"

#define ACPI_PM_BASE     0x600u
#define ACPI_PM1_EVT     ACPI_PM_BASE        /* status, enable: 2 bytes each */
#define ACPI_PM1_CNT     (ACPI_PM_BASE + 4u) /* 2 bytes */
#define ACPI_PM_TIMER    (ACPI_PM_BASE + 8u) /* 4 bytes */
#define ACPI_PM_PORTS    12u
#define ACPI_PM_TIMER_HZ 3579545u
#define ACPI_SCI_LINE    9u
#define ACPI_S5_TYPE     7u /* value of SLP_TYP that the DSDT's \_S5 names */

struct acpi_pm {
    const struct dev_host *host;
    void (*power_off)(void *ctx);
    void *ctx;

    uint64_t deadline_ns;
    uint64_t timer_seen; /* PM timer carries are accounted up to this tick */
    uint16_t status, enable, control;
    bool timer_32bit, sci_level;
};

extern const struct dev_state acpi_pm_state;

/**
 * Register ports 0x600..0x60b.
 * @param timer_32bit counter width 32 instead of 24 bits; our FADT says 32
 * @param power_off   the guest entered S5
 */
bool acpi_pm_init(struct acpi_pm *pm, struct bus *bus, const struct dev_host *host,
                  bool timer_32bit, void (*power_off)(void *ctx), void *ctx);

void acpi_pm_tick(struct acpi_pm *pm, uint64_t now_ns);

/** The user presses the power button: sets PWRBTN_STS, and the SCI if the guest enabled it. */
void acpi_pm_power_button(struct acpi_pm *pm);

#endif
