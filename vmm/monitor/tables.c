/*
 * The tables that firmware leaves in memory for an operating system. A VM without firmware finds
 * them where old PCs have them, below 1 MiB; a VM with firmware gets them from it, which is given
 * the same ones. May call: the writers of the tables.
 */
#include "acpi_tables.h"
#include "monitor.h"
#include "mptable.h"
#include "smbios.h"
#include "string.h"
#include "tables.h"

/* Found in steps of 16 bytes from 0xf0000 on (DSP0134, 5.2.1). */
#define SMBIOS_ENTRY_GPA  0xf8000u
#define SMBIOS_TABLES_GPA 0xf8020u
#define MPTABLE_GPA       0xfa000u
#define PCI_WINDOW_ALIGN  0x40000000ull

size_t tables_acpi(void *buf, size_t size, uint64_t gpa)
{
    /* 64-bit BARs lie above RAM, as far as addresses go. */
    uint64_t ram_end = GUEST_HIGH_RAM_BASE + guest_mem_high_bytes(&guest_mem);
    const struct acpi_config config = {
        .ncpus = vcpu_count(),
        .vga = (start_block()->flags & BH_MONITOR_FLAG_VGA) != 0,
        .watchdog = (start_block()->flags & BH_MONITOR_FLAG_WATCHDOG) != 0,
        .window_base = (ram_end + PCI_WINDOW_ALIGN - 1u) & ~(PCI_WINDOW_ALIGN - 1u),
        .window_end = (uint64_t)1 << cpuid_address_bits(),
    };

    return acpi_tables_build(buf, size, gpa, &config);
}

size_t tables_smbios(uint8_t *buf, bool firmware, uint8_t uuid[16])
{
    const struct bh_monitor_start *st = start_block();
    struct smbios_info info = {
        .name = st->name,
        .version = "1",
        .cpus = vcpu_count(),
        .cpu_signature = cpuid_signature(),
        .cpu_features = cpuid_features(),
        .mhz = st->tsc_khz / 1000u,
        .amd = !cpuid_intel(),
        .firmware_table = firmware,
        .ram_bytes = guest_mem.size_bytes,
        .ram_low_bytes = guest_mem_low_end(&guest_mem),
    };

    smbios_uuid(info.name, info.uuid);
    memcpy(uuid, info.uuid, sizeof(info.uuid));
    return smbios_build(&info, buf);
}

static bool put_smbios(void)
{
    uint8_t *tables = guest_mem_ptr(&guest_mem, SMBIOS_TABLES_GPA, SMBIOS_MAX_BYTES);
    uint8_t *entry = guest_mem_ptr(&guest_mem, SMBIOS_ENTRY_GPA, SMBIOS_ENTRY_BYTES);
    uint8_t uuid[16];
    size_t bytes;

    if (!tables || !entry) return false;
    bytes = tables_smbios(tables, true, uuid);
    if (bytes) smbios_entry(tables, bytes, SMBIOS_TABLES_GPA, entry);
    return bytes != 0;
}

static bool put_mptable(void)
{
    uint8_t *table = guest_mem_ptr(&guest_mem, MPTABLE_GPA, MPTABLE_MAX_BYTES);

    return table && mptable_build(table, MPTABLE_GPA, vcpu_count(), cpuid_signature(),
                                  cpuid_features()) != 0;
}

bool tables_put(void)
{
    void *acpi = guest_mem_ptr(&guest_mem, TABLES_RSDP_GPA, ACPI_TABLES_MAX_BYTES);

    return acpi && tables_acpi(acpi, ACPI_TABLES_MAX_BYTES, TABLES_RSDP_GPA) != 0 && put_smbios() &&
           put_mptable();
}
