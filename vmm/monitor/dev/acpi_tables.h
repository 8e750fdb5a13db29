/*
 * The ACPI tables of the virtual PC: RSDP, RSDT, XSDT, FADT, FACS, MADT, MCFG, DSDT, WDAT.
 */
#ifndef VMM_MONITOR_DEV_ACPI_TABLES_H
#define VMM_MONITOR_DEV_ACPI_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_TABLES_MAX_BYTES 16384u
#define ACPI_TABLES_MAX_CPUS  64u

/** What differs from one virtual PC to another. */
struct acpi_config {
    unsigned ncpus; /* 1..ACPI_TABLES_MAX_CPUS; APIC ids are 0..ncpus-1 */
    bool vga, watchdog;
    uint64_t window_base, window_end; /* of 64-bit BARs, above RAM; equal: none */
};

/**
 * Build all tables into @buf, the RSDP first. The only addresses in them that depend on
 * @guest_phys_base are those in RSDP, RSDT, XSDT and FADT.
 * @param buf             destination, @size bytes (ACPI_TABLES_MAX_BYTES always suffice)
 * @param guest_phys_base where the guest will find @buf: a multiple of 64 below 4 GiB; for a guest
 *                        that searches the RSDP, in 0xe0000..0xfffff
 * @return bytes used; 0 if a parameter is out of range or @size is too small
 */
size_t acpi_tables_build(void *buf, size_t size, uint64_t guest_phys_base,
                         const struct acpi_config *config);

#endif
