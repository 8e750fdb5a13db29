/* What the kernel reads of ACPI: the MADT. Boot only, through the identity map. */
#ifndef ARCH_X86_ACPI_H
#define ARCH_X86_ACPI_H
#include <stdint.h>
#include "bulkhead/info.h"
struct madt_info {
    uint64_t lapic_phys, ioapic_phys; /* 0: no IOAPIC begins at line 0 */
    uint32_t cpus;
    uint8_t apic_ids[BH_MAX_CPUS];
};
/** Find and read the MADT. @rsdp 0: search for it. @return address of the XSDT or RSDT, 0: no ACPI (one CPU, usual addresses) */
uint64_t acpi_madt(uint64_t rsdp, struct madt_info *out);
#endif
