/*
 * ACPI fixed hardware (ACPI 6.3, 4.8.3) of an ICH9: PM1a event and control blocks, PM timer, power
 * button, and the command port that switches between legacy and ACPI mode. Line 9 is the SCI. Where
 * the block lies is the LPC bridge's business; the reset register (0xcf9) is in pci.c.
 */
#ifndef VMM_MONITOR_DEV_ACPI_PM_H
#define VMM_MONITOR_DEV_ACPI_PM_H

#include "bus.h"
#include "state.h"

#define ACPI_PM_BASE       0x600u              /* where firmware puts the block */
#define ACPI_PM1_EVT       ACPI_PM_BASE        /* status, enable: 2 bytes each */
#define ACPI_PM1_CNT       (ACPI_PM_BASE + 4u) /* 2 bytes */
#define ACPI_PM_TIMER      (ACPI_PM_BASE + 8u) /* 4 bytes */
#define ACPI_PM_PORTS      128u
#define ACPI_SMI_PORT      0xb2u
#define ACPI_ENABLE_VALUE  2u /* written to it: legacy to ACPI mode, and back */
#define ACPI_DISABLE_VALUE 3u
#define ACPI_PM_TIMER_HZ   3579545u
#define ACPI_SCI_LINE      9u
#define ACPI_S5_TYPE       7u /* value of SLP_TYP that the DSDT's \_S5 names */

struct acpi_pm {
    struct bus *bus;
    const struct dev_host *host;
    void (*power_off)(void *ctx);
    void *ctx;

    uint64_t deadline_ns;
    uint64_t timer_seen; /* PM timer carries are accounted up to this tick */
    uint32_t smi_enable;
    uint16_t base; /* 0: not decoded */
    uint16_t status, enable, control;
    uint8_t gpe_enable[8], apm[2];
    bool sci_level;
};

extern const struct dev_state acpi_pm_state;

/**
 * Register the command port; the block itself is nowhere yet.
 * @param acpi_mode in ACPI mode from the start, as firmware for this machine would leave it
 * @param power_off the guest entered S5
 */
bool acpi_pm_init(struct acpi_pm *pm, struct bus *bus, const struct dev_host *host, bool acpi_mode,
                  void (*power_off)(void *ctx), void *ctx);

/** Decode the block at @base, 0: nowhere. @return false: something else is there, nothing is
 *  decoded */
bool acpi_pm_place(struct acpi_pm *pm, uint16_t base);

void acpi_pm_tick(struct acpi_pm *pm, uint64_t now_ns);

/** The user presses the power button: sets PWRBTN_STS, and the SCI if the guest enabled it. */
void acpi_pm_power_button(struct acpi_pm *pm);

#endif
