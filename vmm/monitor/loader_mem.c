/*
 * What the boot protocols share: guest RAM layout at boot, memory map, tables, module placement.
 * May call: memcpy-class functions. Never looks at images.
 */
#include "loader_mem.h"

#include <string.h>

#define PAGE_BYTES 4096ull
#define PDE_BYTES  (2ull << 20)

/* The BIOS data area (IBM PS/2 and PC BIOS Interface Technical Reference, section 3), as far as a
 * kernel looks at it that was not started by a BIOS: Xen finds its place below 1 MiB by it. */
#define BDA_COM1       0x400u
#define BDA_EBDA       0x40Eu /* segment */
#define BDA_EQUIPMENT  0x410u
#define BDA_MEMORY_KIB 0x413u
#define BDA_MODE       0x449u
#define BDA_COLUMNS    0x44Au
#define BDA_PAGE_BYTES 0x44Cu
#define BDA_CRTC       0x463u
#define BDA_ROWS       0x484u /* less one */
#define BDA_POINTS     0x485u
#define EBDA_GPA       0x9FC00u
#define EQUIPMENT      0x0202u /* coprocessor, one serial port */
#define EQUIPMENT_VGA  0x0020u /* 80 columns, colour */

/* Access rights as in Intel SDM vol. 3C, 25.4.1: type, S, DPL, P, L, D/B, G, unusable. */
#define ATTR_CODE32   0xC09Bu
#define ATTR_CODE64   0xA09Bu
#define ATTR_DATA     0xC093u
#define ATTR_TSS_BUSY 0x008Bu
#define ATTR_LDT      0x0082u

uint16_t le16_get(const uint8_t *p)
{
    uint16_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

uint32_t le32_get(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

uint64_t le64_get(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

void le16_put(uint8_t *p, uint16_t value) { memcpy(p, &value, sizeof(value)); }

void le32_put(uint8_t *p, uint32_t value) { memcpy(p, &value, sizeof(value)); }

void le64_put(uint8_t *p, uint64_t value) { memcpy(p, &value, sizeof(value)); }

unsigned boot_memory_map(const struct guest_mem *gm, struct memory_range map[MEMORY_MAP_MAX])
{
    const uint64_t low_end = guest_mem_low_end(gm);
    const uint64_t high_bytes = guest_mem_high_bytes(gm);
    unsigned n = 0;

    /* The last KiB below 640 KiB is the extended BIOS data area of a PC. */
    map[n++] = (struct memory_range){0, EBDA_GPA, MEMORY_RAM};
    map[n++] = (struct memory_range){EBDA_GPA, 0x400, MEMORY_RESERVED};
    map[n++] = (struct memory_range){0xE0000, 0x20000, MEMORY_RESERVED};
    if (low_end > LEGACY_HOLE_END_GPA) {
        map[n++] =
            (struct memory_range){LEGACY_HOLE_END_GPA, low_end - LEGACY_HOLE_END_GPA, MEMORY_RAM};
    }
    map[n++] = (struct memory_range){GUEST_ECAM_BASE, GUEST_ECAM_BYTES, MEMORY_RESERVED};
    if (high_bytes != 0) {
        map[n++] = (struct memory_range){GUEST_HIGH_RAM_BASE, high_bytes, MEMORY_RAM};
    }
    return n;
}

uint32_t boot_upper_kib(const struct guest_mem *gm)
{
    const uint64_t low_end = guest_mem_low_end(gm);
    return low_end > LEGACY_HOLE_END_GPA ? (uint32_t)((low_end - LEGACY_HOLE_END_GPA) >> 10) : 0;
}

bool boot_put_cmdline(const struct boot_request *req, uint64_t max_chars, struct boot_error *error)
{
    const char *text = req->cmdline != NULL ? req->cmdline : "";
    const size_t length = strlen(text);
    if (length > max_chars || length > BOOT_CMDLINE_MAX) {
        return boot_fail(error, "append", "the command line is longer than the guest takes",
                         "shorten it to this number of characters",
                         max_chars < BOOT_CMDLINE_MAX ? max_chars : BOOT_CMDLINE_MAX);
    }
    uint8_t *to = guest_mem_ptr(&req->mem, BOOT_CMDLINE_GPA, length + 1);
    if (to == NULL) {
        return boot_fail(error, "memory-mib", "the VM has no room for boot data", "give 1 or more",
                         0);
    }
    memcpy(to, text, length + 1);
    return true;
}

bool boot_put_initrd(const struct boot_request *req, uint64_t floor, uint64_t ceiling,
                     uint64_t *gpa, struct boot_error *error)
{
    const uint64_t low_end = guest_mem_low_end(&req->mem);
    uint64_t top = (ceiling < low_end ? ceiling : low_end) & ~(PAGE_BYTES - 1);

    /* With little memory its place is where a PC has none: below that, then. */
    if (top > LEGACY_HOLE_GPA && top < LEGACY_HOLE_END_GPA + req->initrd_bytes) {
        top = LEGACY_HOLE_GPA;
    }
    if (top < req->initrd_bytes || ((top - req->initrd_bytes) & ~(PAGE_BYTES - 1)) < floor) {
        return boot_fail(error, "initrd", "does not fit between the kernel and the end of memory",
                         "raise memory-mib or use a smaller initrd; bytes of the initrd",
                         req->initrd_bytes);
    }
    const uint64_t at = (top - req->initrd_bytes) & ~(PAGE_BYTES - 1);
    uint8_t *to = guest_mem_ptr(&req->mem, at, req->initrd_bytes);
    if (to == NULL) {
        return boot_fail(error, "initrd", "does not fit the VM's memory", "raise memory-mib",
                         req->initrd_bytes);
    }
    memcpy(to, req->initrd, req->initrd_bytes);
    *gpa = at;
    return true;
}

/* Tables that must be in RAM below 64 KiB: there whenever the VM has any memory to speak of. */
static uint8_t *boot_area(const struct boot_request *req, struct boot_error *error)
{
    uint8_t *area = guest_mem_ptr(&req->mem, 0, BOOT_AREA_END_GPA);
    if (area == NULL) {
        boot_fail(error, "memory-mib", "the VM has no room for boot data", "give 1 or more", 0);
    }
    return area;
}

static void put_bios_data(const struct boot_request *req, uint8_t *area)
{
    uint8_t *ebda = guest_mem_ptr(&req->mem, EBDA_GPA, 1);

    le16_put(area + BDA_COM1, 0x3F8);
    le16_put(area + BDA_EQUIPMENT, EQUIPMENT | (req->screen ? EQUIPMENT_VGA : 0));
    if (ebda != NULL) {
        le16_put(area + BDA_EBDA, EBDA_GPA >> 4);
        le16_put(area + BDA_MEMORY_KIB, EBDA_GPA >> 10);
        *ebda = 1; /* KiB */
    }
    if (req->screen) {
        area[BDA_MODE] = 3;
        le16_put(area + BDA_COLUMNS, 80);
        le16_put(area + BDA_PAGE_BYTES, 4096);
        le16_put(area + BDA_CRTC, 0x3D4);
        area[BDA_ROWS] = 24;
        area[BDA_POINTS] = 16;
    }
}

static void put_state(uint8_t *area, uint64_t code_descriptor, uint16_t code_attributes,
                      struct boot_state *state)
{
    uint8_t *gdt = area + BOOT_GDT_GPA;
    memset(gdt, 0, 0x40);
    le64_put(gdt + BOOT_CODE_SELECTOR, code_descriptor);
    le64_put(gdt + BOOT_DATA_SELECTOR, 0x00CF93000000FFFFull);
    le64_put(gdt + BOOT_TSS_SELECTOR, 0x00008B0000000067ull);

    state->rsp = BOOT_STACK_GPA;
    state->gdt_base = BOOT_GDT_GPA;
    state->gdt_limit = 0x40 - 1; /* two slots for the TSS: 16 bytes in 64-bit mode */
    state->cs = (struct boot_segment){0, UINT32_MAX, BOOT_CODE_SELECTOR, code_attributes};
    state->data = (struct boot_segment){0, UINT32_MAX, BOOT_DATA_SELECTOR, ATTR_DATA};
    state->tr = (struct boot_segment){0, 0x67, BOOT_TSS_SELECTOR, ATTR_TSS_BUSY};
    state->ldtr = (struct boot_segment){0, 0, 0, ATTR_LDT};
}

bool boot_state_protected(const struct boot_request *req, uint64_t rip, struct boot_state *state,
                          struct boot_error *error)
{
    uint8_t *area = boot_area(req, error);
    if (area == NULL) {
        return false;
    }
    memset(state, 0, sizeof(*state));
    put_bios_data(req, area);
    put_state(area, 0x00CF9B000000FFFFull, ATTR_CODE32, state);
    state->rip = rip;
    state->cr0 = 0x11; /* PE, ET */
    return true;
}

bool boot_state_long(const struct boot_request *req, uint64_t rip, struct boot_state *state,
                     struct boot_error *error)
{
    uint8_t *area = boot_area(req, error);
    if (area == NULL) {
        return false;
    }
    memset(state, 0, sizeof(*state));
    put_bios_data(req, area);
    put_state(area, 0x00AF9B000000FFFFull, ATTR_CODE64, state);

    uint8_t *pml4 = area + BOOT_PML4_GPA;
    memset(pml4, 0, 6 * PAGE_BYTES);
    le64_put(pml4, (BOOT_PML4_GPA + PAGE_BYTES) | 3u);
    for (uint64_t i = 0; i < 4; i++) {
        le64_put(pml4 + PAGE_BYTES + 8 * i, (BOOT_PML4_GPA + (2 + i) * PAGE_BYTES) | 3u);
    }
    for (uint64_t i = 0; i < 4 * 512; i++) {
        le64_put(pml4 + 2 * PAGE_BYTES + 8 * i, i * PDE_BYTES | 0x83u); /* present, write, 2 MiB */
    }
    state->rip = rip;
    state->long_mode = true;
    state->cr0 = 0x80000011; /* PG, ET, PE */
    state->cr3 = BOOT_PML4_GPA;
    state->cr4 = 0x20;   /* PAE */
    state->efer = 0x500; /* LME, LMA */
    return true;
}
