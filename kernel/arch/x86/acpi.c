/*
 * RSDP, RSDT/XSDT, MADT (ACPI 6.4, 5.2.5 to 5.2.12). Firmware tables are input: every length is
 * checked against a bound, every checksum is summed, a table that fails is left out. May call:
 * klog.
 */
#include "acpi.h"
#include <stdbool.h>
#include <stddef.h>
#include "klog.h"
#include "phys.h"

#define TABLE_MAX 65536u
#define LOW_END   0x100000000ull /* what the identity map reaches */

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static bool sum_ok(const uint8_t *p, uint32_t n)
{
    uint8_t s = 0;

    for (uint32_t i = 0; i < n; i++) s = (uint8_t)(s + p[i]);
    return s == 0;
}

static bool same(const uint8_t *p, const char *s)
{
    while (*s != 0) {
        if (*p++ != (uint8_t)*s++) return false;
    }
    return true;
}

/* A table with a sane length and checksum, or NULL. */
static const uint8_t *table(uint64_t phys)
{
    const uint8_t *p = phys_ptr(phys);
    uint32_t len;

    if (phys == 0 || phys > LOW_END - 36) return NULL;
    len = get32(p + 4);
    if (len < 36 || len > TABLE_MAX || phys > LOW_END - len || !sum_ok(p, len)) return NULL;
    return p;
}

static uint64_t rsdp_scan(uint64_t from, uint64_t to)
{
    for (uint64_t a = from; a < to; a += 16) {
        const uint8_t *p = phys_ptr(a);
        if (same(p, "RSD PTR ") && sum_ok(p, 20)) return a;
    }
    return 0;
}

static uint64_t rsdp_find(void)
{
    uint64_t ebda = (uint64_t) * (const volatile uint16_t *)phys_ptr(0x40e) << 4, a = 0;

    if (ebda >= 0x80000 && ebda < 0xa0000) a = rsdp_scan(ebda, ebda + 1024);
    return a != 0 ? a : rsdp_scan(0xe0000, 0x100000);
}

static void madt_read(const uint8_t *m, struct madt_info *out)
{
    uint32_t len = get32(m + 4), at = 44;

    if (len < 44) return;
    out->lapic_phys = get32(m + 36);
    while (at + 2 <= len && m[at + 1] >= 2 && m[at + 1] <= len - at) {
        const uint8_t *e = m + at;
        uint32_t id = 256, flags = 0;

        if (e[0] == 0 && e[1] >= 8) {
            id = e[3];
            flags = get32(e + 4);
        } else if (e[0] == 9 && e[1] >= 16) {
            id = get32(e + 4);
            flags = get32(e + 8);
        } else if (e[0] == 1 && e[1] >= 12 && get32(e + 8) == 0) { /* from line 0 on */
            out->ioapic_phys = get32(e + 4);
        } else if (e[0] == 5 && e[1] >= 12) {
            out->lapic_phys = get64(e + 4);
        }
        if (id < 255 && (flags & 1) != 0 && out->cpus < BH_MAX_CPUS)
            out->apic_ids[out->cpus++] = (uint8_t)id;
        at += e[1];
    }
}

uint64_t acpi_madt(uint64_t rsdp, struct madt_info *out)
{
    const uint8_t *r, *root;
    bool xsdt;
    uint32_t entry, n;

    *out = (struct madt_info){.lapic_phys = 0xfee00000, .ioapic_phys = 0};
    if (rsdp == 0 || rsdp > LOW_END - 36 || !same(phys_ptr(rsdp), "RSD PTR ")) rsdp = rsdp_find();
    if (rsdp == 0) return 0;
    r = phys_ptr(rsdp);
    root = NULL;
    xsdt = r[15] >= 2 && sum_ok(r, 36);
    if (xsdt) root = table(get64(r + 24));
    if (root == NULL) {
        xsdt = false;
        root = table(get32(r + 16));
    }
    if (root == NULL) {
        klog("bulkhead: ACPI root table is damaged; going on with one CPU");
        return 0;
    }
    entry = xsdt ? 8 : 4;
    n = (get32(root + 4) - 36) / entry;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = root + 36 + i * entry;
        const uint8_t *t = table(xsdt ? get64(p) : get32(p));
        if (t != NULL && same(t, "APIC")) {
            madt_read(t, out);
            break;
        }
    }
    /* Not the RSDP: that may be the loader's copy, in memory that is reused. */
    return phys_of(root);
}
