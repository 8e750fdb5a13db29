/*
 * The virtual PC's virtio devices and what is behind them. Everything here runs with the device
 * lock held. May call: virtio device models, the VM's disks.
 */
#include "monitor.h"
#include "dev_util.h"
#include "virtio_blk.h"

/* Slots of the PCI bus, in the order that guests find the devices in. */
enum { SLOT_BLK = 4 };

static struct virtio_blk blk[BH_MONITOR_DISKS];

/* Every device that there is. */
static struct virtio *devices[BH_MONITOR_DISKS];
static unsigned ndevices;

static bool add(bool ok, struct virtio *v)
{
    if (ok) devices[ndevices++] = v;
    return ok;
}

bool virtio_devices_init(struct pci *pci, const struct dev_host *host)
{
    struct disk *disk;
    unsigned next = 0;

    for (unsigned n = 0; (disk = disk_next(&next, 0)) != NULL; n++)
        if (!add(virtio_blk_init(&blk[n], pci, host, PCI_DEVFN(SLOT_BLK + n, 0), disk),
                 &blk[n].virtio))
            return false;
    return true;
}

uint64_t virtio_devices_deadline_ns(void)
{
    uint64_t ns = NO_DEADLINE_NS;

    for (unsigned i = 0; i < ndevices; i++) ns = ns_min(ns, devices[i]->deadline_ns);
    return ns;
}

void virtio_devices_tick(uint64_t now_ns)
{
    for (unsigned i = 0; i < ndevices; i++)
        if (devices[i]->deadline_ns <= now_ns) virtio_tick(devices[i], now_ns);
}

bool virtio_devices_saved(unsigned n, const struct dev_state **state, void **dev)
{
    if (n >= ndevices) return false;
    *state = &virtio_state;
    *dev = devices[n];
    return true;
}
