/*
 * PVH boot protocol: an ELF image with a note that names a 32-bit entry point
 * (Xen docs/misc/pvh.pandoc; xen/include/public/arch-x86/hvm/start_info.h, version 1).
 * May call: loader_mem.h, loader_elf.h. Never trusts the note before checking it.
 */
#include "loader_elf.h"

#include <string.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18u
#define START_INFO_MAGIC         0x336EC578u
#define START_INFO_BYTES         56u
#define MODULE_BYTES             32u
#define MAP_ENTRY_BYTES          24u

static const char where[] = "kernel (PVH)";

bool loader_pvh_detect(const struct boot_request *req)
{
    struct elf elf;
    struct boot_error ignored;
    uint64_t bytes;
    return elf_detect(req) && elf_parse(req, &elf, &ignored) &&
           elf_note(req, &elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &bytes) != NULL;
}

static bool put_start_info(const struct boot_request *req, uint64_t initrd_gpa,
                           struct boot_error *error)
{
    uint8_t *area = guest_mem_ptr(&req->mem, 0, BOOT_AREA_END_GPA);
    struct memory_range map[MEMORY_MAP_MAX];
    const unsigned ranges = boot_memory_map(&req->mem, map);

    if (area == NULL) {
        return boot_fail(error, "memory-mib", "the VM has no room for boot data", "give 1 or more",
                         0);
    }
    uint8_t *info = area + BOOT_INFO_GPA;
    memset(info, 0, START_INFO_BYTES);
    le32_put(info, START_INFO_MAGIC);
    le32_put(info + 4, 1);
    le32_put(info + 12, req->initrd != NULL ? 1 : 0);
    le64_put(info + 16, req->initrd != NULL ? BOOT_MODULES_GPA : 0);
    le64_put(info + 24, BOOT_CMDLINE_GPA);
    le64_put(info + 32, req->acpi_rsdp_gpa);
    le64_put(info + 40, BOOT_MAP_GPA);
    le32_put(info + 48, ranges);

    uint8_t *module = area + BOOT_MODULES_GPA;
    memset(module, 0, MODULE_BYTES);
    if (req->initrd != NULL) {
        le64_put(module, initrd_gpa);
        le64_put(module + 8, req->initrd_bytes);
    }
    for (unsigned i = 0; i < ranges; i++) {
        uint8_t *entry = area + BOOT_MAP_GPA + i * MAP_ENTRY_BYTES;
        le64_put(entry, map[i].base);
        le64_put(entry + 8, map[i].length_bytes);
        le32_put(entry + 16, map[i].type);
        le32_put(entry + 20, 0);
    }
    return true;
}

bool loader_pvh(const struct boot_request *req, struct boot_state *state, struct boot_error *error)
{
    struct elf elf;
    uint64_t note_bytes = 0;
    uint64_t initrd_gpa = 0;

    if (!elf_parse(req, &elf, error)) {
        return false;
    }
    const uint8_t *note = elf_note(req, &elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &note_bytes);
    if (note == NULL || (note_bytes != 4 && note_bytes != 8)) {
        return boot_fail(error, where, "has no PHYS32_ENTRY note of 4 or 8 bytes",
                         "build the kernel with CONFIG_PVH, or use another protocol", note_bytes);
    }
    const uint64_t entry = note_bytes == 8 ? le64_get(note) : le32_get(note);
    if (entry > UINT32_MAX || !elf_loads(&elf, entry)) {
        return boot_fail(error, where, "the entry point is in no loaded segment, at",
                         "link the image again", entry);
    }
    elf_load(req, &elf);
    if (req->initrd != NULL &&
        !boot_put_initrd(req, elf.end_gpa, GUEST_LOW_RAM_END, &initrd_gpa, error)) {
        return false;
    }
    if (!boot_put_cmdline(req, BOOT_CMDLINE_MAX, error) ||
        !put_start_info(req, initrd_gpa, error) ||
        !boot_state_protected(req, entry, state, error)) {
        return false;
    }
    state->rbx = BOOT_INFO_GPA;
    state->protocol = BOOT_PROTOCOL_PVH;
    return true;
}
