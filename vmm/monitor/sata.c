/*
 * The virtual PC's SATA controller, which is there when the VM has disks or CDs on that bus.
 * Everything here runs with the device lock held. May call: ahci.h, the VM's disks.
 */
#include "monitor.h"
#include "ahci.h"
#include "disk.h"

static struct ahci ahci;
static bool there;

bool sata_init(struct pci *pci, const struct dev_host *host)
{
    struct disk *disk;
    unsigned next = 0;

    for (unsigned port = 0; (disk = disk_next(&next, BH_DISK_AHCI)) != NULL; port++) {
        if (!there && !ahci_init(&ahci, pci, host)) return false;
        there = true;
        if (!ahci_attach(&ahci, port, disk)) return false;
    }
    return true;
}

uint64_t sata_deadline_ns(void) { return there ? ahci.deadline_ns : NO_DEADLINE_NS; }

bool sata_saved(const struct dev_state **state, void **dev)
{
    *state = &ahci_state;
    *dev = &ahci;
    return there;
}

void sata_tick(uint64_t now_ns)
{
    if (there && ahci.deadline_ns <= now_ns) ahci_tick(&ahci, now_ns);
}
