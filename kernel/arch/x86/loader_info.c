/*
 * Reads the loader's tables: Multiboot2 specification 2.0, 3.6; Xen's PVH start info
 * (arch-x86/hvm/start_info.h facts: magic 0x336ec578, version 1). Input, so every length is
 * checked, and where maps contradict each other memory is left alone. Boot only, identity map.
 */
#include "loader_info.h"
#include <stddef.h>
#include "phys.h"

#define MB2_MAGIC 0x36d76289u
#define PVH_MAGIC 0x336ec578u
#define LOW_END   0x100000000ull
#define RAM_END   (1ull << 52)

static uint32_t rd32(uint64_t a) { return *(const volatile uint32_t *)phys_ptr(a); }

static uint64_t rd64(uint64_t a) { return *(const volatile uint64_t *)phys_ptr(a); }

void ram_remove(struct loader_info *o, uint64_t base, uint64_t end)
{
    uint32_t n = o->nranges;

    base &= ~4095ull;
    end = end > RAM_END ? RAM_END : (end + 4095) & ~4095ull;
    for (uint32_t i = 0; i < n; i++) {
        struct ram_range *r = &o->ranges[i];

        if (end <= r->base || base >= r->end) continue;
        if (base > r->base && end < r->end && o->nranges < RAM_RANGES_MAX)
            o->ranges[o->nranges++] = (struct ram_range){end, r->end};
        if (base > r->base)
            r->end = base;
        else
            r->base = end < r->end ? end : r->end;
    }
}

/* One entry of a memory map. First all RAM is added, each byte once; then what any entry keeps is
 * removed, so that it stays kept if another entry, or another map, calls it RAM. */
enum pass { ADD, REMOVE, PASSES };

static void ram_entry(struct loader_info *o, enum pass pass, bool ram, uint64_t base, uint64_t len)
{
    uint64_t end = base + len;

    if (end < base || end > RAM_END) end = RAM_END;
    if (pass == REMOVE && !ram) {
        if (base < end) ram_remove(o, base, end);
    } else if (pass == ADD && ram) {
        base = (base + 4095) & ~4095ull;
        end &= ~4095ull;
        if (base >= end) return;
        ram_remove(o, base, end);
        if (o->nranges < RAM_RANGES_MAX) o->ranges[o->nranges++] = (struct ram_range){base, end};
    }
}

/* UEFI 2.10, 7.2.3: what is free once boot services have ended. Memory with the RUNTIME attribute
 * stays the firmware's, whatever its type. */
static bool efi_free(uint32_t type, uint64_t attribute)
{
    bool free = (type >= 1 && type <= 4) || type == 7; /* loader, boot services, conventional */

    return free && attribute >> 63 == 0;
}

static uint64_t efi_bytes(uint64_t pages)
{
    return (pages < RAM_END / 4096 ? pages : RAM_END / 4096) * 4096;
}

static void text_copy(struct loader_info *o, uint64_t from, uint64_t max)
{
    uint32_t i;

    for (i = 0; i + 1 < BH_CMDLINE_BYTES && i < max; i++) {
        o->cmdline[i] = (char)*phys_ptr(from + i);
        if (o->cmdline[i] == 0) return;
    }
    o->cmdline[i] = 0;
}

static const char *mb2_read(uint64_t p, struct loader_info *o, enum pass pass)
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
        } else if (type == 6 || type == 17) {
            uint32_t step = size < 16 ? 0 : rd32(p + 8), least = type == 6 ? 24 : 40;

            if (step < least || step % 8 != 0) return "a memory map of the loader has a wrong form";
            for (uint64_t e = p + 16; e + least <= p + size; e += step) {
                if (type == 6)
                    ram_entry(o, pass, rd32(e + 16) == 1, rd64(e), rd64(e + 8));
                else if (pass == REMOVE) /* the map above is made from this one */
                    ram_entry(o, pass, efi_free(rd32(e), rd64(e + 32)), rd64(e + 8),
                              efi_bytes(rd64(e + 24)));
            }
            o->uefi |= type == 17;
        } else if (type == 11 || type == 12) {
            o->uefi = true;
        } else if (type == 18) {
            return "the loader has left UEFI boot services running";
        } else if ((type == 14 && o->rsdp == 0) || type == 15) {
            o->rsdp = p + 8;
        }
        p += (size + 7u) & ~7u;
    }
    return "multiboot2 information has no end tag";
}

static const char *pvh_read(uint64_t p, struct loader_info *o, enum pass pass)
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
    for (uint32_t i = 0; i < n && i < RAM_RANGES_MAX; i++)
        ram_entry(o, pass, rd32(map + 24ull * i + 16) == 1, rd64(map + 24ull * i),
                  rd64(map + 24ull * i + 8));
    return NULL;
}

const char *loader_read(uint32_t magic, uint64_t phys, struct loader_info *o)
{
    const char *e = NULL;

    *o = (struct loader_info){0};
    for (enum pass pass = ADD; pass < PASSES && e == NULL; pass++)
        e = magic == MB2_MAGIC ? mb2_read(phys, o, pass) : pvh_read(phys, o, pass);
    if (e != NULL) return e;
    if (o->nranges == 0) return "the loader reports no memory";
    if (o->module == 0)
        return "no boot module: give the boot archive as module (GRUB: module2, QEMU: -initrd)";
    if (o->module % 4096 != 0 || o->module >= LOW_END || o->module_bytes > LOW_END - o->module ||
        o->module_bytes < 4096)
        return "the boot module is not page-aligned below 4 GiB";
    ram_remove(o, o->module, o->module + o->module_bytes);
    /* The highest: firmware has been seen to write to the first 64 KiB. */
    for (uint32_t i = 0; i < o->nranges; i++) {
        uint64_t end = o->ranges[i].end < 0xa0000 ? o->ranges[i].end : 0xa0000;
        if (end > o->ranges[i].base && end > 0x1000 && end - 4096 > o->low_page)
            o->low_page = end - 4096;
    }
    ram_remove(o, 0, 0x100000); /* the rest of the first MiB is left alone */
    return NULL;
}
