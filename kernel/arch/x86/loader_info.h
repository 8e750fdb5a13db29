/* What the loader told, whichever it was: multiboot2 (GRUB on BIOS or UEFI) or PVH (QEMU -kernel).
 */
#ifndef ARCH_X86_LOADER_INFO_H
#define ARCH_X86_LOADER_INFO_H
#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/info.h"
#define RAM_RANGES_MAX 64u
struct ram_range {
    uint64_t base, end; /* whole pages */
};
struct loader_info {
    uint32_t nranges;
    struct ram_range ranges[RAM_RANGES_MAX];
    uint64_t module, module_bytes; /* 0: none */
    uint64_t rsdp;                 /* where it, or the loader's copy, is now; 0: search for it */
    uint64_t low_page;             /* free and below 640 KiB, for the other CPUs' start; 0: none */
    bool uefi;
    char cmdline[BH_CMDLINE_BYTES];
};
/**
 * Read it into @out. The ranges are RAM above 1 MiB that is the system's to use: none overlaps
 * another, nor the module, nor what any of the loader's maps keeps for the firmware.
 * @return NULL, or what is wrong with it
 */
const char *loader_read(uint32_t magic, uint64_t phys, struct loader_info *out);
/** Take [base, end) out of the ranges, in whole pages. When a range cannot be split, the rest is
 * lost. */
void ram_remove(struct loader_info *o, uint64_t base, uint64_t end);
#endif
