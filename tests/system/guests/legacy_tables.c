/*
 * Facts: the tables that a PC's firmware leaves below 1 MiB are where operating systems look for
 * them, whole: RSDP (ACPI 6.3, 5.2.5.1), MP table (MultiProcessor Specification 1.4, chapter 4),
 * SMBIOS (DSP0134, 5.2.1).
 */
#include "guest.h"

#define AREA     0xf0000u
#define AREA_END 0x100000u

static uint8_t sum(const uint8_t *p, size_t bytes)
{
    uint8_t s = 0;

    while (bytes--) s = (uint8_t)(s + *p++);
    return s;
}

static uint32_t le(const uint8_t *p, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++) v |= (uint32_t)p[i] << i * 8u;
    return v;
}

static bool same(const uint8_t *p, const char *text)
{
    while (*text)
        if (*p++ != (uint8_t)*text++) return false;
    return true;
}

/* The structure that begins with @text and whose first @bytes sum to 0. */
static const uint8_t *find(const char *text, size_t bytes)
{
    for (uintptr_t at = AREA; at < AREA_END; at += 16u) {
        const uint8_t *p = (const uint8_t *)at;

        __asm__("" : "+r"(p)); /* an address like any other */
        if (same(p, text) && sum(p, bytes) == 0) return p;
    }
    return NULL;
}

static void mp_table(void)
{
    static const uint8_t bytes_of[5] = {20, 8, 8, 8, 8};
    const uint8_t *p = find("_MP_", 16), *t, *e;
    unsigned cpus = 0, ioapics = 0, timer = 0, boot_cpus = 0;

    fact("mp_pointer", p != NULL, "at %p", (const void *)p);
    if (!p) return;
    t = (const uint8_t *)(uintptr_t)le(p + 4, 4);
    fact("mp_table", same(t, "PCMP") && sum(t, le(t + 4, 2)) == 0, "at %p, %u bytes",
         (const void *)t, le(t + 4, 2));
    e = t + 44;
    for (unsigned n = le(t + 34, 2); n && *e < 5u; n--, e += bytes_of[*e]) {
        cpus += *e == 0 && (e[3] & 1u);
        boot_cpus += *e == 0 && (e[3] & 2u);
        ioapics += *e == 2u && (e[3] & 1u);
        if (*e == 3u && e[5] == 0 && e[1] == 0 && e[7] == 2u) timer++;
    }
    fact("mp_entries",
         e == t + le(t + 4, 2) && cpus >= 1 && boot_cpus == 1 && ioapics == 1 && timer,
         "%u CPUs, %u I/O APIC, timer on input 2: %u", cpus, ioapics, timer);
}

static void smbios(void)
{
    const uint8_t *p = find("_SM_", 31), *t, *end;
    unsigned count = 0;
    uint8_t last = 0;

    fact("smbios_entry", p != NULL, "at %p", (const void *)p);
    if (!p) return;
    t = (const uint8_t *)(uintptr_t)le(p + 0x18, 4);
    end = t + le(p + 0x16, 2);
    while (t < end && last != 127u) {
        last = t[0];
        count++;
        t += t[1];
        while (t[0] || t[1]) t++;
        t += 2;
    }
    fact("smbios_tables",
         same(p + 0x10, "_DMI_") && sum(p + 0x10, 15) == 0 && t == end && count == le(p + 0x1c, 2),
         "%u structures, the last is %u", count, last);
}

void guest_main(void)
{
    const uint8_t *rsdp = find("RSD PTR ", 20);

    fact("rsdp", rsdp && (rsdp[15] < 2u || sum(rsdp, 36) == 0), "at %p", (const void *)rsdp);
    mp_table();
    smbios();
}
