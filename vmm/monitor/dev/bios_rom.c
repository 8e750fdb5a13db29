/*
 * Firmware ROM; see bios_rom.h. Reads that come here are those of instructions that would write it,
 * too. May call: the host's map. Never writes.
 */
#include "bios_rom.h"

#define FOUR_GIB 0x100000000ull

static uint64_t rom_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct dev_ram *rom = dev;
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes; i++) value |= (uint64_t)rom->bytes[offset + i] << i * 8u;
    return value;
}

bool bios_rom_init(struct bus *bus, const struct dev_host *host, const struct dev_ram *rom)
{
    static const struct bus_ops ops = {rom_read, NULL};
    uint64_t gpa = FOUR_GIB - rom->size_bytes;

    return host->map(host->ctx, rom, 0, rom->size_bytes, gpa, DEV_MAP_READ | DEV_MAP_EXEC) &&
           bus_add(bus, BUS_MMIO, gpa, rom->size_bytes, &ops, (void *)(uintptr_t)rom, "rom");
}
