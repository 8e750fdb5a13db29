/*
 * Memory writes that are interrupts (Intel SDM vol. 3A, 10.11): from address and data to a message
 * for the local APICs. Pure.
 */
#ifndef VMM_MONITOR_DEV_MSI_H
#define VMM_MONITOR_DEV_MSI_H

#include "lapic.h"

#define MSI_BASE  0xfee00000u
#define MSI_BYTES 0x100000u

/** @return false: the write is no interrupt (another address, a reserved delivery mode) */
bool msi_decode(uint64_t address, uint32_t data, struct apic_msg *msg);

#endif
