/*
 * What the boot protocols share: guest RAM layout at boot, memory map, tables, module placement.
 * May call: memcpy-class functions. Never looks at images.
 */
#ifndef VMM_MONITOR_LOADER_MEM_H
#define VMM_MONITOR_LOADER_MEM_H

#include "loader.h"

/* Guest-physical layout of what a loader leaves for the guest; images stay out of it. */
#define BOOT_GDT_GPA      0x1000u
#define BOOT_PML4_GPA     0x2000u /* PML4, PDPT, four page directories */
#define BOOT_INFO_GPA     0x8000u /* boot_params, hvm_start_info or multiboot information */
#define BOOT_MAP_GPA      0x9000u /* memory map and module list, where separate */
#define BOOT_MODULES_GPA  0x9800u
#define BOOT_CMDLINE_GPA  0xA000u
#define BOOT_CMDLINE_MAX  4095u   /* characters */
#define BOOT_STACK_GPA    0xF000u /* grows down to 0xB000 */
#define BOOT_AREA_END_GPA 0x10000u

#define LEGACY_HOLE_GPA     0xA0000u /* VGA, option ROMs, BIOS: no image may load here */
#define LEGACY_HOLE_END_GPA 0x100000u

#define BOOT_CODE_SELECTOR 0x10u /* Linux's __BOOT_CS */
#define BOOT_DATA_SELECTOR 0x18u /* Linux's __BOOT_DS */
#define BOOT_TSS_SELECTOR  0x20u

#define BOOT_LOADER_NAME    "Bulkhead"
#define BOOT_LOW_MEMORY_KIB 639u

enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2 };

struct memory_range {
    uint64_t base;
    uint64_t length_bytes;
    uint32_t type;
};

#define MEMORY_MAP_MAX 6u

/** The memory map all protocols show: a PC's. @return number of ranges, MEMORY_MAP_MAX at most. */
unsigned boot_memory_map(const struct guest_mem *gm, struct memory_range map[MEMORY_MAP_MAX]);

/** KiB of RAM from 1 MiB on, up to the first hole. */
uint32_t boot_upper_kib(const struct guest_mem *gm);

/** Put the command line at BOOT_CMDLINE_GPA. @max_chars: longest the guest takes. */
bool boot_put_cmdline(const struct boot_request *req, uint64_t max_chars, struct boot_error *error);

/**
 * Put the initrd as high as possible, page aligned, inside [floor, ceiling) below 4 GiB.
 * @param[out] gpa where it is
 */
bool boot_put_initrd(const struct boot_request *req, uint64_t floor, uint64_t ceiling,
                     uint64_t *gpa, struct boot_error *error);

/** BIOS data area, GDT and state for a 32-bit flat protected mode start without paging. */
bool boot_state_protected(const struct boot_request *req, uint64_t rip, struct boot_state *state,
                          struct boot_error *error);
/** The same with identity page tables for the first 4 GiB, and state for a 64-bit start. */
bool boot_state_long(const struct boot_request *req, uint64_t rip, struct boot_state *state,
                     struct boot_error *error);

/** Fill in @error. @return false, so that a loader can return it. */
static inline bool boot_fail(struct boot_error *error, const char *where, const char *what,
                             const char *remedy, uint64_t value)
{
    *error = (struct boot_error){where, what, remedy, value};
    return false;
}

/* x86 is little-endian and so is every structure here: byte order needs no care, alignment does. */
uint16_t le16_get(const uint8_t *p);
uint32_t le32_get(const uint8_t *p);
uint64_t le64_get(const uint8_t *p);
void le16_put(uint8_t *p, uint16_t value);
void le32_put(uint8_t *p, uint32_t value);
void le64_put(uint8_t *p, uint64_t value);

#endif
