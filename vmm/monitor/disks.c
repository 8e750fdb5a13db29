/*
 * The VM's disks, as root has described them: each with its overlay in device memory. Controllers
 * take theirs from here. May call: device memory, disk.h.
 */
#include "monitor.h"
#include "disk.h"

static struct disk disks[BH_MONITOR_DISKS];

bool disks_init(void)
{
    const struct bh_monitor_start *st = start_block();

    if (st->ndisks > BH_MONITOR_DISKS) return false;
    for (unsigned i = 0; i < st->ndisks; i++) {
        const struct bh_monitor_disk *config = &st->disks[i];
        struct dev_ram memory = {NULL, 0};

        if ((config->memory_bytes && !memory_take(&memory, config->memory_bytes)) ||
            !disk_init(&disks[i], config, memory.bytes))
            return false;
    }
    return true;
}

struct disk *disk_next(unsigned *n, uint32_t bus)
{
    const struct bh_monitor_start *st = start_block();

    for (; *n < st->ndisks; (*n)++)
        if ((st->disks[*n].flags & BH_DISK_AHCI) == bus) return &disks[(*n)++];
    return NULL;
}

bool disks_saved(unsigned n, const struct dev_state **state, void **dev)
{
    if (n >= start_block()->ndisks) return false;
    *state = &disk_state;
    *dev = &disks[n];
    return true;
}
