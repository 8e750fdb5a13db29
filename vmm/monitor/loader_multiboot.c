/*
 * Multiboot 0.6.96: an ELF image, or one whose header says itself where it loads.
 * May call: loader_mem.h, loader_elf.h. Never trusts the header before checking it.
 */
#include "loader_elf.h"

#include <string.h>

#define HEADER_MAGIC       0x1BADB002u
#define LOADER_MAGIC       0x2BADB002u
#define HEADER_SEARCH      8192u
#define HEADER_BYTES       12u
#define HEADER_ADDRS_BYTES 32u
#define FLAG_ADDRESSES     0x00010000u
#define FLAGS_MUST_KNOW    0x0000FFFFu
#define FLAGS_KNOWN        0x00000003u /* page-aligned modules, memory information */

#define INFO_BYTES   120u
#define INFO_MEMORY  0x001u
#define INFO_CMDLINE 0x004u
#define INFO_MODULES 0x008u
#define INFO_MAP     0x040u
#define INFO_NAME    0x200u
#define MODULE_BYTES 16u
#define MAP_BYTES    24u
#define NAME_GPA     (BOOT_MODULES_GPA + MODULE_BYTES)

static const char where[] = "kernel (multiboot)";
static const char remedy[] = "copy or link the image again";

/* @return offset of the header, or UINT64_MAX. */
static uint64_t find_header(const struct boot_request *req)
{
    for (uint64_t at = 0; at + HEADER_BYTES <= req->kernel_bytes && at <= HEADER_SEARCH - 12;
         at += 4) {
        const uint8_t *header = req->kernel + at;
        if (le32_get(header) == HEADER_MAGIC &&
            HEADER_MAGIC + le32_get(header + 4) + le32_get(header + 8) == 0) {
            return at;
        }
    }
    return UINT64_MAX;
}

bool loader_multiboot_detect(const struct boot_request *req)
{
    return find_header(req) != UINT64_MAX;
}

/* The header's own addresses (3.1.3). */
static bool read_flat(const struct boot_request *req, uint64_t at, struct elf *elf,
                      struct boot_error *error)
{
    if (at + HEADER_ADDRS_BYTES > req->kernel_bytes) {
        return boot_fail(error, where, "the image ends inside the header, at", remedy,
                         req->kernel_bytes);
    }
    const uint8_t *header = req->kernel + at;
    const struct flat_fields fields = {le32_get(header + 12), le32_get(header + 16),
                                       le32_get(header + 20), le32_get(header + 24)};
    return flat_read(req, where, at, &fields, le32_get(header + 28), elf, error) &&
           elf_check_place(req, where, elf, error);
}

static bool put_info(const struct boot_request *req, uint64_t initrd_gpa, struct boot_error *error)
{
    uint8_t *area = guest_mem_ptr(&req->mem, 0, BOOT_AREA_END_GPA);
    struct memory_range map[MEMORY_MAP_MAX];
    const unsigned ranges = boot_memory_map(&req->mem, map);

    if (area == NULL) {
        return boot_fail(error, "memory-mib", "the VM has no room for boot data", "give 1 or more",
                         0);
    }
    uint8_t *info = area + BOOT_INFO_GPA;
    memset(info, 0, INFO_BYTES);
    le32_put(info, INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_NAME);
    le32_put(info + 4, BOOT_LOW_MEMORY_KIB);
    le32_put(info + 8, boot_upper_kib(&req->mem));
    le32_put(info + 16, BOOT_CMDLINE_GPA);
    le32_put(info + 20, req->initrd != NULL ? 1 : 0);
    le32_put(info + 24, BOOT_MODULES_GPA);
    le32_put(info + 44, ranges * MAP_BYTES);
    le32_put(info + 48, BOOT_MAP_GPA);
    le32_put(info + 64, NAME_GPA);
    memcpy(area + NAME_GPA, BOOT_LOADER_NAME, sizeof(BOOT_LOADER_NAME));

    uint8_t *module = area + BOOT_MODULES_GPA;
    memset(module, 0, MODULE_BYTES);
    if (req->initrd != NULL) {
        le32_put(module, (uint32_t)initrd_gpa);
        le32_put(module + 4, (uint32_t)(initrd_gpa + req->initrd_bytes));
    }
    for (unsigned i = 0; i < ranges; i++) {
        uint8_t *entry = area + BOOT_MAP_GPA + i * MAP_BYTES;
        le32_put(entry, MAP_BYTES - 4); /* size of the rest of the entry */
        le64_put(entry + 4, map[i].base);
        le64_put(entry + 12, map[i].length_bytes);
        le32_put(entry + 20, map[i].type);
    }
    return true;
}

bool loader_multiboot(const struct boot_request *req, struct boot_state *state,
                      struct boot_error *error)
{
    const uint64_t at = find_header(req);
    struct elf elf;
    uint64_t initrd_gpa = 0;

    if (at == UINT64_MAX) {
        return boot_fail(error, where, "has no multiboot header in its first 8 KiB",
                         "give a multiboot image, or name the right protocol in the manifest", 0);
    }
    const uint32_t flags = le32_get(req->kernel + at + 4);
    if ((flags & FLAGS_MUST_KNOW & ~FLAGS_KNOWN) != 0) {
        return boot_fail(error, where, "demands features that are not there; flags",
                         "build the image without them", flags);
    }
    const bool flat = (flags & FLAG_ADDRESSES) != 0;
    if (flat ? !read_flat(req, at, &elf, error) : !elf_parse(req, &elf, error)) {
        return false;
    }
    const uint64_t entry = elf_physical(&elf, elf.entry);
    if (entry > UINT32_MAX || !elf_loads(&elf, entry)) {
        return boot_fail(error, where, "the entry point is in no loaded segment, at", remedy,
                         elf.entry);
    }
    elf_load(req, &elf);
    if (req->initrd != NULL &&
        !boot_put_initrd(req, elf.end_gpa, GUEST_LOW_RAM_END, &initrd_gpa, error)) {
        return false;
    }
    if (!boot_put_cmdline(req, BOOT_CMDLINE_MAX, error) || !put_info(req, initrd_gpa, error) ||
        !boot_state_protected(req, entry, state, error)) {
        return false;
    }
    state->rax = LOADER_MAGIC;
    state->rbx = BOOT_INFO_GPA;
    state->protocol = BOOT_PROTOCOL_MULTIBOOT;
    return true;
}
