/*
 * SMBIOS tables of the virtual PC (DMTF DSP0134, version 2.8): what `dmidecode` shows. Pure: writes
 * the buffers it is given.
 */
#ifndef VMM_MONITOR_DEV_SMBIOS_H
#define VMM_MONITOR_DEV_SMBIOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMBIOS_ENTRY_BYTES 31u
#define SMBIOS_MAX_BYTES   4096u

struct smbios_info {
    const char *name; /* of the VM: printable, 31 characters at most */
    const char *version;
    uint8_t uuid[16];                     /* as RFC 4122 writes it; smbios_uuid() */
    unsigned cpus;                        /* 1..16 */
    uint32_t cpu_signature, cpu_features; /* CPUID 1: EAX, EDX */
    unsigned mhz;
    bool amd;            /* vendor of the CPUs, otherwise Intel */
    bool firmware_table; /* describe the firmware: where there is none that does so itself */
    uint64_t ram_bytes, ram_low_bytes; /* all; below 4 GiB */
};

/** A UUID that depends on the VM's name alone: it survives restarts, and tells nobody on which
 *  machine the VM runs. */
void smbios_uuid(const char *name, uint8_t uuid[16]);

/** @return bytes of the tables in @buf, of which there are SMBIOS_MAX_BYTES; 0: no room */
size_t smbios_build(const struct smbios_info *info, uint8_t buf[SMBIOS_MAX_BYTES]);

/** The entry point for tables of @bytes at @address. */
void smbios_entry(const uint8_t *tables, size_t bytes, uint32_t address,
                  uint8_t entry[SMBIOS_ENTRY_BYTES]);

#endif
