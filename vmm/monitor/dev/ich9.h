/*
 * LPC bridge 00:1f.0 of the virtual PC: Intel's ICH9 8086:2918 as far as firmware and operating
 * systems look at it (ICH9 data sheet, 13.1 and 10.1): where the power management block lies, and
 * how the pins of PCI functions reach interrupt controllers. Calls pci.c, acpi_pm.c, the host's
 * interrupt lines 16..23.
 */
#ifndef VMM_MONITOR_DEV_ICH9_H
#define VMM_MONITOR_DEV_ICH9_H

#include "acpi_pm.h"
#include "pci.h"

#define ICH9_DEVFN      PCI_DEVFN(31, 0)
#define ICH9_RCBA_BASE  0xfed1c000u /* where firmware puts the chipset configuration registers */
#define ICH9_RCBA_BYTES 0x4000u
#define ICH9_PIRQS      8u
#define ICH9_PIRQ_GSI   16u /* PIRQA is I/O APIC input 16, ... */

/** Configuration registers that choose a PIRQ's 8259 line: bits 3..0; bit 7: none. */
#define ICH9_PIRQ_ROUT(pirq) ((pirq) < 4u ? 0x60u + (pirq) : 0x64u + (pirq))

struct ich9 {
    struct pci_function f;
    struct pci *pci;
    struct acpi_pm *pm;
    /** ISA lines that PCI pins hold up at the 8259s, as one mask. */
    void (*pic)(void *ctx, uint16_t lines);
    void *ctx;
    uint16_t device_route[7]; /* D31IR, D30IR, ... D25IR */
    uint32_t rcba;            /* where decoded; 0: nowhere */
    uint8_t pirqs;            /* levels of PIRQA..H */
    uint16_t lines;           /* what @pic has been told */
};

extern const struct dev_state ich9_state;

/** Reset state: nothing is decoded, no PIRQ reaches an 8259. @pm has been initialised. */
bool ich9_init(struct ich9 *l, struct pci *pci, struct acpi_pm *pm,
               void (*pic)(void *ctx, uint16_t lines), void *ctx);

/** A function's pin has changed: struct pci's intx. */
void ich9_intx(struct ich9 *l);

/** The PIRQ that @pin (0..3) of @device reaches while the routing registers are as after reset: what
 *  ACPI tables say. */
unsigned ich9_pirq_default(unsigned device, unsigned pin);

/** What firmware does, once all functions are there: power management block at ACPI_PM_BASE, PIRQs
 *  to lines 10 and 11, each function's interrupt line register. For boots without firmware. */
void ich9_setup(struct ich9 *l);

#endif
