/*
 * Host bridge 00:00.0 of the virtual PC: Intel's MCH 8086:29c0 as far as firmware and operating
 * systems look at it (Intel 3 Series Express Chipset data sheet, 5.1): where the memory-mapped
 * configuration space lies, and what the 256 KiB below 1 MiB are. Never touches RAM elsewhere.
 */
#ifndef VMM_MONITOR_DEV_MCH_H
#define VMM_MONITOR_DEV_MCH_H

#include "pci.h"

/* What 32-bit BARs may have. */
#define MCH_WINDOW_BASE 0xc0000000u
#define MCH_WINDOW_END  0xfec00000u

#define MCH_PAM_GPA   0xc0000u
#define MCH_PAM_BYTES 0x40000u
#define MCH_SEGMENTS  16u /* of 16 KiB each */

struct mch {
    struct pci_function f;
    struct pci *pci;
    struct dev_ram low;        /* guest RAM at MCH_PAM_GPA; bytes NULL: the VM has none there */
    const struct dev_ram *rom; /* what lies below 1 MiB where RAM is not read; NULL: nothing */
    uint8_t shown[MCH_SEGMENTS];
};

/**
 * Reset state: RAM is neither read nor written below 1 MiB, no ECAM. The guest sees of
 * [MCH_PAM_GPA, + MCH_PAM_BYTES) what the host's map has been told here, so nobody else maps there.
 * @param rom its last 128 KiB appear at 0xe0000; NULL: none
 */
bool mch_init(struct mch *m, struct pci *pci, const struct dev_ram *rom);

/** What firmware does: RAM all through, ECAM at GUEST_ECAM_BASE. For boots without firmware. */
void mch_setup(struct mch *m);

#endif
