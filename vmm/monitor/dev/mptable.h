/*
 * MultiProcessor table (Intel MultiProcessor Specification 1.4, chapter 4): processors and
 * interrupt routing for operating systems that do not read ACPI tables. Pure: writes the buffer it
 * is given.
 */
#ifndef VMM_MONITOR_DEV_MPTABLE_H
#define VMM_MONITOR_DEV_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

#define MPTABLE_MAX_BYTES 2048u

/**
 * The floating pointer, then the table it points to.
 * @param gpa   where the guest finds @buf: a multiple of 16 in 0xf0000..0xfffff
 * @param ncpus 1..16; APIC ids are 0..ncpus-1
 * @return bytes used; 0: @ncpus is out of range
 */
size_t mptable_build(uint8_t buf[MPTABLE_MAX_BYTES], uint32_t gpa, unsigned ncpus,
                     uint32_t cpu_signature, uint32_t cpu_features);

#endif
