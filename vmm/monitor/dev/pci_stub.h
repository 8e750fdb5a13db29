/*
 * PCI configuration mechanism 1 (ports 0xcf8, 0xcfc) in front of a bus with a host bridge and
 * nothing else, and the reset control register that shares its first port range (0xcf9).
 */
#ifndef VMM_MONITOR_DEV_PCI_STUB_H
#define VMM_MONITOR_DEV_PCI_STUB_H

#include "bus.h"

struct pci_stub {
    void (*reset)(void *ctx);
    void *ctx;

    uint64_t deadline_ns; /* always idle */
    uint32_t address;
    uint8_t reset_control;
};

/** Register 0xcf8..0xcff. @param reset the guest asked for a reset of the machine */
bool pci_stub_init(struct pci_stub *p, struct bus *bus, const struct dev_host *host,
                   void (*reset)(void *ctx), void *ctx);

#endif
