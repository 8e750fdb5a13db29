/*
 * The firmware's ROM, which ends at 4 GiB. Its alias below 1 MiB is the MCH's business.
 */
#ifndef VMM_MONITOR_DEV_BIOS_ROM_H
#define VMM_MONITOR_DEV_BIOS_ROM_H

#include "bus.h"

/** Show the ROM; writes to it are dropped. @param rom must stay */
bool bios_rom_init(struct bus *bus, const struct dev_host *host, const struct dev_ram *rom);

#endif
