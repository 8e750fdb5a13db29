/*
 * The DSDT's definition block: processors, PCI root bridge with its windows and interrupt routing,
 * ISA devices, S5.
 */
#ifndef VMM_MONITOR_DEV_ACPI_DSDT_H
#define VMM_MONITOR_DEV_ACPI_DSDT_H

#include "acpi_tables.h"

/** Write the AML that follows the table's header. @return bytes used; 0: @size is too small */
size_t acpi_dsdt_emit(uint8_t *buf, size_t size, const struct acpi_config *config);

#endif
