/*
 * Writes the ACPI tables. Layouts: ACPI 6.3, 5.2. They state what the device models in this
 * directory are and nothing else. Pure: writes the buffer it is given. Fields are stored byte by
 * byte: no alignment is assumed.
 */
#include "acpi_tables.h"
#include "acpi_dsdt.h"
#include "acpi_pm.h"
#include "ioapic.h"
#include "watchdog.h"

#include <string.h>

#define HEADER_BYTES 36u
#define RSDP_BYTES   36u
#define FACS_BYTES   64u
#define FADT_BYTES   276u
#define MCFG_BYTES   60u
#define WDAT_BYTES   68u /* before its entries */
#define TABLE_ALIGN  64u

#define ECAM_BUS_BYTES 0x100000u

#define RESET_PORT  0xcf9u
#define RESET_VALUE 0x06u

/* FADT flags (table 5-34) and IA-PC boot flags (table 5-35) */
#define FADT_WBINVD      0x00000001u
#define FADT_PROC_C1     0x00000004u
#define FADT_NO_SLPBTN   0x00000020u /* no fixed-feature sleep button */
#define FADT_NO_FIX_RTC  0x00000040u /* RTC wake status is not in PM1 */
#define FADT_TIMER_32BIT 0x00000100u
#define FADT_RESET_REG   0x00000400u
#define BOOT_LEGACY      0x0001u
#define BOOT_8042        0x0002u
#define BOOT_NO_VGA      0x0004u

struct out {
    uint8_t *buf;
    size_t size, len;
    uint64_t base;
};

static void set_le(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> (i * 8u));
}

/* Byte that makes the sum of @bytes bytes zero. */
static uint8_t checksum(const uint8_t *p, size_t bytes)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < bytes; i++) sum = (uint8_t)(sum + p[i]);
    return (uint8_t)(0u - sum);
}

/* Room for a table, zeroed; NULL when there is none. */
static uint8_t *reserve(struct out *o, size_t bytes)
{
    size_t at = (o->len + TABLE_ALIGN - 1u) / TABLE_ALIGN * TABLE_ALIGN;

    if (at > o->size || o->size - at < bytes) return NULL;
    memset(o->buf + o->len, 0, at + bytes - o->len);
    o->len = at + bytes;
    return o->buf + at;
}

static uint64_t address(const struct out *o, const uint8_t *p)
{
    return o->base + (uint64_t)(p - o->buf);
}

static void header_set(uint8_t *p, const char *signature, size_t bytes, uint8_t revision)
{
    memcpy(p, signature, 4);
    set_le(p + 4, bytes, 4);
    p[8] = revision;
    memcpy(p + 10, "BULKHD", 6);
    memcpy(p + 16, "BULKHEAD", 8);
    set_le(p + 24, 1, 4);
    memcpy(p + 28, "BULK", 4);
    set_le(p + 32, 1, 4);
    p[9] = 0;
    p[9] = checksum(p, bytes);
}

static uint8_t *dsdt_emit(struct out *o, const struct acpi_config *config)
{
    uint8_t *p = reserve(o, HEADER_BYTES);
    size_t bytes;

    if (p == NULL) return NULL;
    bytes = acpi_dsdt_emit(p + HEADER_BYTES, o->size - o->len, config);
    if (bytes == 0) return NULL;
    o->len += bytes;
    header_set(p, "DSDT", HEADER_BYTES + bytes, 2);
    return p;
}

/* Generic address structure of an I/O port block (5.2.3.2). @access 1 byte, 2 word, 3 dword */
static void gas_set(uint8_t *p, uint16_t port, uint8_t bits, uint8_t access)
{
    p[0] = 1;
    p[1] = bits;
    p[2] = 0;
    p[3] = access;
    set_le(p + 4, port, 8);
}

static uint8_t *facs_emit(struct out *o)
{
    uint8_t *p = reserve(o, FACS_BYTES);

    if (p == NULL) return NULL;
    memcpy(p, "FACS", 4);
    set_le(p + 4, FACS_BYTES, 4);
    p[32] = 2; /* version */
    return p;
}

static uint8_t *fadt_emit(struct out *o, uint64_t facs, uint64_t dsdt, bool vga)
{
    uint8_t *p = reserve(o, FADT_BYTES);

    if (p == NULL) return NULL;
    set_le(p + 36, facs, 4);
    set_le(p + 40, dsdt, 4);
    p[45] = 1; /* desktop */
    set_le(p + 46, ACPI_SCI_LINE, 2);
    set_le(p + 48, ACPI_SMI_PORT, 4);
    p[52] = ACPI_ENABLE_VALUE;
    p[53] = ACPI_DISABLE_VALUE;
    set_le(p + 56, ACPI_PM1_EVT, 4);
    set_le(p + 64, ACPI_PM1_CNT, 4);
    set_le(p + 76, ACPI_PM_TIMER, 4);
    p[88] = 4;                /* PM1_EVT_LEN */
    p[89] = 2;                /* PM1_CNT_LEN */
    p[91] = 4;                /* PM_TMR_LEN */
    set_le(p + 96, 0xfff, 2); /* latencies this long: no C2, no C3 */
    set_le(p + 98, 0xfff, 2);
    p[108] = 0x32; /* CMOS index of the century */
    set_le(p + 109, BOOT_LEGACY | BOOT_8042 | (vga ? 0 : BOOT_NO_VGA), 2);
    set_le(p + 112,
           FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLPBTN | FADT_NO_FIX_RTC | FADT_TIMER_32BIT |
               FADT_RESET_REG,
           4);
    gas_set(p + 116, RESET_PORT, 8, 1);
    p[128] = RESET_VALUE;
    p[131] = 3; /* minor version: ACPI 6.3 */
    set_le(p + 140, dsdt, 8);
    gas_set(p + 148, ACPI_PM1_EVT, 32, 2);
    gas_set(p + 172, ACPI_PM1_CNT, 16, 2);
    gas_set(p + 208, ACPI_PM_TIMER, 32, 3);
    header_set(p, "FACP", FADT_BYTES, 6);
    return p;
}

static uint8_t *madt_emit(struct out *o, unsigned ncpus)
{
    size_t bytes = HEADER_BYTES + 8u + (size_t)ncpus * 8u + 12u + 2u * 10u + 6u;
    uint8_t *p = reserve(o, bytes);
    uint8_t *e;

    if (p == NULL) return NULL;
    set_le(p + 36, LAPIC_DEFAULT_BASE, 4);
    set_le(p + 40, 1, 4); /* PCAT_COMPAT: there are 8259s, too */
    e = p + 44;
    for (unsigned n = 0; n < ncpus; n++, e += 8) {
        const uint8_t lapic[8] = {0, 8, (uint8_t)n, (uint8_t)n, 1, 0, 0, 0};

        memcpy(e, lapic, 8);
    }
    e[0] = 1; /* I/O APIC, global interrupts from 0 */
    e[1] = 12;
    set_le(e + 4, IOAPIC_BASE, 4);
    e += 12;
    e[0] = 2; /* ISA line 0 is on input 2 */
    e[1] = 10;
    set_le(e + 4, 2, 4);
    e += 10;
    e[0] = 2; /* the SCI is level triggered, active high */
    e[1] = 10;
    e[3] = ACPI_SCI_LINE;
    set_le(e + 4, ACPI_SCI_LINE, 4);
    set_le(e + 8, 0x000d, 2);
    e += 10;
    e[0] = 4; /* NMI on LINT1 of all CPUs */
    e[1] = 6;
    e[2] = 0xff;
    e[5] = 1;
    header_set(p, "APIC", bytes, 5);
    return p;
}

/* PCI Firmware 3.0, 4.1.2: one segment, 256 buses. */
static uint8_t *mcfg_emit(struct out *o)
{
    uint8_t *p = reserve(o, MCFG_BYTES);

    if (p == NULL) return NULL;
    set_le(p + 44, GUEST_ECAM_BASE, 8);
    p[55] = (uint8_t)(GUEST_ECAM_BYTES / ECAM_BUS_BYTES - 1u);
    header_set(p, "MCFG", MCFG_BYTES, 1);
    return p;
}

/* The watchdog's table: which access to which register does what ("Hardware Watchdog Timers Design
 * Specification", tables 1 to 5). */
static uint8_t *wdat_emit(struct out *o)
{
    enum { READ_VALUE = 0, READ_COUNT = 1, WRITE_VALUE = 2, WRITE_COUNT = 3, ENTRY_BYTES = 24 };
    static const struct {
        uint8_t action, instruction, reg;
        uint32_t value, mask;
    } entries[] = {
        {1, WRITE_VALUE, WATCHDOG_NOW, 1, UINT32_MAX},  /* reset */
        {4, READ_COUNT, WATCHDOG_NOW, 0, UINT32_MAX},   /* query the countdown */
        {5, READ_COUNT, WATCHDOG_COUNT, 0, UINT32_MAX}, /* query its length */
        {6, WRITE_COUNT, WATCHDOG_COUNT, 0, UINT32_MAX},
        {8, READ_VALUE, WATCHDOG_RUN, 1, 1}, /* does it run? */
        {9, WRITE_VALUE, WATCHDOG_RUN, 1, 1},
        {10, READ_VALUE, WATCHDOG_RUN, 0, 1}, /* is it stopped? */
        {11, WRITE_VALUE, WATCHDOG_RUN, 0, 1},
    };
    const unsigned count = sizeof(entries) / sizeof(entries[0]);
    uint8_t *p = reserve(o, WDAT_BYTES + count * ENTRY_BYTES), *e;

    if (p == NULL) return NULL;
    set_le(p + 36, WDAT_BYTES - HEADER_BYTES, 4);
    set_le(p + 40, 0xff, 2); /* no PCI function */
    p[42] = p[43] = p[44] = 0xff;
    set_le(p + 48, WATCHDOG_PERIOD_MS, 4);
    set_le(p + 52, WATCHDOG_COUNT_MAX, 4);
    set_le(p + 56, 1, 4); /* least count */
    p[60] = 1;            /* it is there */
    set_le(p + 64, count, 4);
    e = p + WDAT_BYTES;
    for (unsigned i = 0; i < count; i++, e += ENTRY_BYTES) {
        e[0] = entries[i].action;
        e[1] = entries[i].instruction;
        gas_set(e + 4, (uint16_t)(WATCHDOG_PORT + entries[i].reg), 32, 3);
        set_le(e + 16, entries[i].value, 4);
        set_le(e + 20, entries[i].mask, 4);
    }
    header_set(p, "WDAT", WDAT_BYTES + count * ENTRY_BYTES, 1);
    return p;
}

static uint8_t *root_emit(struct out *o, const char *signature, const uint64_t *tables,
                          unsigned count, unsigned entry_bytes)
{
    size_t bytes = HEADER_BYTES + (size_t)count * entry_bytes;
    uint8_t *p = reserve(o, bytes);

    if (p == NULL) return NULL;
    for (unsigned i = 0; i < count; i++)
        set_le(p + HEADER_BYTES + (size_t)i * entry_bytes, tables[i], entry_bytes);
    header_set(p, signature, bytes, 1);
    return p;
}

size_t acpi_tables_build(void *buf, size_t size, uint64_t guest_phys_base,
                         const struct acpi_config *config)
{
    struct out o = {.buf = buf, .size = size, .len = 0, .base = guest_phys_base};
    uint8_t *rsdp, *facs, *dsdt, *fadt, *madt, *mcfg, *wdat, *rsdt, *xsdt;
    uint64_t tables[4];
    unsigned count = 3;

    if (config->ncpus == 0 || config->ncpus > ACPI_TABLES_MAX_CPUS ||
        guest_phys_base % TABLE_ALIGN != 0 || guest_phys_base > UINT32_MAX ||
        size > UINT32_MAX - guest_phys_base)
        return 0;
    rsdp = reserve(&o, RSDP_BYTES);
    facs = facs_emit(&o);
    dsdt = dsdt_emit(&o, config);
    if (rsdp == NULL || facs == NULL || dsdt == NULL) return 0;
    fadt = fadt_emit(&o, address(&o, facs), address(&o, dsdt), config->vga);
    madt = madt_emit(&o, config->ncpus);
    mcfg = mcfg_emit(&o);
    if (fadt == NULL || madt == NULL || mcfg == NULL) return 0;
    tables[0] = address(&o, fadt);
    tables[1] = address(&o, madt);
    tables[2] = address(&o, mcfg);
    if (config->watchdog) {
        wdat = wdat_emit(&o);
        if (wdat == NULL) return 0;
        tables[count++] = address(&o, wdat);
    }
    rsdt = root_emit(&o, "RSDT", tables, count, 4);
    xsdt = root_emit(&o, "XSDT", tables, count, 8);
    if (rsdt == NULL || xsdt == NULL) return 0;
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "BULKHD", 6);
    rsdp[15] = 2;
    set_le(rsdp + 16, address(&o, rsdt), 4);
    set_le(rsdp + 20, RSDP_BYTES, 4);
    set_le(rsdp + 24, address(&o, xsdt), 8);
    rsdp[8] = checksum(rsdp, 20);
    rsdp[32] = checksum(rsdp, RSDP_BYTES);
    return o.len;
}
