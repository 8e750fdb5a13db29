/*
 * ACPI tables for guests with firmware: the firmware decides where they lie, and follows a script
 * that says which fields are addresses and which bytes are checksums (the table loader of QEMU's
 * fw_cfg; layout as in OvmfPkg/Include/IndustryStandard/QemuLoader.h).
 */
#ifndef VMM_MONITOR_DEV_ACPI_LOADER_H
#define VMM_MONITOR_DEV_ACPI_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_LOADER_RSDP_BYTES    36u
#define ACPI_LOADER_COMMAND_BYTES 128u
#define ACPI_LOADER_COMMANDS_MAX  48u

/** File names that the script uses. */
#define ACPI_LOADER_RSDP_FILE   "etc/acpi/rsdp"
#define ACPI_LOADER_TABLES_FILE "etc/acpi/tables"
#define ACPI_LOADER_SCRIPT_FILE "etc/table-loader"

struct acpi_loader {
    uint8_t rsdp[ACPI_LOADER_RSDP_BYTES];
    uint8_t script[ACPI_LOADER_COMMANDS_MAX * ACPI_LOADER_COMMAND_BYTES];
    size_t script_bytes;
};

/**
 * Turn tables that were built for address 0, with the RSDP first (acpi_tables_build), into what the
 * table loader wants. Addresses are then offsets into @tables, which becomes the tables file;
 * checksums that depend on addresses become 0.
 * @return false: the tables do not hang together, or are more than the script has room for
 */
bool acpi_loader_build(struct acpi_loader *l, uint8_t *tables, size_t bytes);

#endif
