/* What the loader told, whichever it was: multiboot2 (GRUB) or PVH (QEMU -kernel). */
#ifndef ARCH_X86_LOADER_INFO_H
#define ARCH_X86_LOADER_INFO_H
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
    uint64_t rsdp;
    char cmdline[BH_CMDLINE_BYTES];
};
/** Read it into @out. @return NULL, or what is wrong with it */
const char *loader_read(uint32_t magic, uint64_t phys, struct loader_info *out);
#endif
