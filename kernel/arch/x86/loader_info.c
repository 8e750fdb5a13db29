/*
 * Reads the loader's tables: Multiboot2 specification 2.0, 3.6; Xen's PVH start info
 * (arch-x86/hvm/start_info.h facts: magic 0x336ec578, version 1). Input, so every length is
 * checked. Boot only, identity map.
 */
#include "loader_info.h"
#include <stdbool.h>
#include <stddef.h>

#define MB2_MAGIC 0x36d76289u
#define PVH_MAGIC 0x336ec578u
#define LOW_END   0x100000000ull

static uint32_t rd32(uint64_t a) { return *(const volatile uint32_t *)a; }

static uint64_t rd64(uint64_t a) { return *(const volatile uint64_t *)a; }

/* RAM in whole pages above 1 MiB; the first MiB is left alone (trampoline, firmware). */
static void ram_add(struct loader_info *o, uint64_t base, uint64_t len)
{
    uint64_t end = base + len;

    if (end < base) end = ~0ull;
    base = base < 0x100000 ? 0x100000 : (base + 4095) & ~4095ull;
    end &= ~4095ull;
    if (end > 1ull << 52) end = 1ull << 52;
    if (base < end && o->nranges < RAM_RANGES_MAX)
        o->ranges[o->nranges++] = (struct ram_range){base, end};
}

static void text_copy(struct loader_info *o, uint64_t from, uint64_t max)
{
    uint32_t i;

    for (i = 0; i + 1 < BH_CMDLINE_BYTES && i < max; i++) {
        o->cmdline[i] = *(const char *)(from + i);
        if (o->cmdline[i] == 0) return;
    }
    o->cmdline[i] = 0;
}

static const char *mb2_read(uint64_t p, struct loader_info *o)
{
    uint64_t end;

    if (p % 8 != 0 || p > LOW_END - 16)
        return "multiboot2 information is not where the loader says";
    end = p + rd32(p);
    if (end > LOW_END) return "multiboot2 information is too long";
    p += 8;
    while (p + 8 <= end) {
        uint32_t type = rd32(p), size = rd32(p + 4);

        if (size < 8 || size > end - p) return "multiboot2 tag has a wrong size";
        if (type == 0) return NULL;
        if (type == 1) {
            text_copy(o, p + 8, size - 8);
        } else if (type == 3 && size >= 16 && o->module == 0) {
            o->module = rd32(p + 8);
            o->module_bytes = (uint64_t)rd32(p + 12) - rd32(p + 8);
        } else if (type == 6 && size >= 16 && rd32(p + 8) >= 24) {
            for (uint64_t e = p + 16; e + 24 <= p + size; e += rd32(p + 8)) {
                if (rd32(e + 16) == 1) ram_add(o, rd64(e), rd64(e + 8));
            }
        } else if ((type == 14 && o->rsdp == 0) || type == 15) {
            o->rsdp = p + 8;
        }
        p += (size + 7u) & ~7u;
    }
    return "multiboot2 information has no end tag";
}

static const char *pvh_read(uint64_t p, struct loader_info *o)
{
    uint64_t mods, map;
    uint32_t n;

    if (p > LOW_END - 56 || rd32(p) != PVH_MAGIC) return "started by neither multiboot2 nor PVH";
    if (rd32(p + 4) < 1) return "PVH start information has no memory map (version 0)";
    if (rd64(p + 24) != 0 && rd64(p + 24) < LOW_END - BH_CMDLINE_BYTES)
        text_copy(o, rd64(p + 24), BH_CMDLINE_BYTES);
    mods = rd64(p + 16);
    if (rd32(p + 12) > 0 && mods < LOW_END - 32) {
        o->module = rd64(mods);
        o->module_bytes = rd64(mods + 8);
    }
    o->rsdp = rd64(p + 32);
    map = rd64(p + 40);
    n = rd32(p + 48);
    if (map > LOW_END - 24ull * RAM_RANGES_MAX) return "PVH memory map is out of reach";
    for (uint32_t i = 0; i < n && i < RAM_RANGES_MAX; i++) {
        if (rd32(map + 24ull * i + 16) == 1)
            ram_add(o, rd64(map + 24ull * i), rd64(map + 24ull * i + 8));
    }
    return NULL;
}

const char *loader_read(uint32_t magic, uint64_t phys, struct loader_info *o)
{
    const char *e;

    *o = (struct loader_info){0};
    e = magic == MB2_MAGIC ? mb2_read(phys, o) : pvh_read(phys, o);
    if (e != NULL) return e;
    if (o->nranges == 0) return "the loader reports no memory";
    if (o->module == 0)
        return "no boot module: give the boot archive as module (GRUB: module2, QEMU: -initrd)";
    if (o->module % 4096 != 0 || o->module >= LOW_END || o->module_bytes > LOW_END - o->module ||
        o->module_bytes < 4096)
        return "the boot module is not page-aligned below 4 GiB";
    return NULL;
}
