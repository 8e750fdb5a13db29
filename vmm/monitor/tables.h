/* Tables for operating systems, as firmware would leave them; see tables.c. */
#ifndef VMM_MONITOR_TABLES_H
#define VMM_MONITOR_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLES_RSDP_GPA 0xf0000u

/** ACPI tables for address @gpa, the RSDP first. @return bytes; 0: no room */
size_t tables_acpi(void *buf, size_t size, uint64_t gpa);
/** SMBIOS tables in SMBIOS_MAX_BYTES. @param firmware with one about the firmware @return bytes; 0:
 *  no room */
size_t tables_smbios(uint8_t *buf, bool firmware, uint8_t uuid[16]);
/** Leave all tables in guest RAM below 1 MiB. @return false: no room */
bool tables_put(void);

#endif
