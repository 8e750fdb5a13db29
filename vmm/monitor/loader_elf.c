/*
 * ELF images for the 32-bit boot protocols (System V ABI, chapter 5; AMD64 supplement).
 * May call: loader_mem.h. Never uses sections or relocations, never trusts an offset.
 */
#include "loader_elf.h"

#include <string.h>

#define PT_NOTE    4u
#define EM_386     3u
#define EM_X86_64  62u
#define EHDR32     52u
#define EHDR64     64u
#define PHDR32     32u
#define PHDR64     56u
#define PHNUM_MAX  64u
#define NOTE_BYTES 12u

static const char where[] = "kernel (ELF)";
static const char remedy[] = "copy or link the image again";

bool elf_detect(const struct boot_request *req)
{
    return req->kernel_bytes >= EHDR32 && memcmp(req->kernel, "\177ELF", 4) == 0;
}

bool boot_check_range(const struct boot_request *req, const char *place, uint64_t gpa,
                      uint64_t bytes, struct boot_error *error)
{
    if (guest_mem_ptr(&req->mem, gpa, bytes) == NULL) {
        return boot_fail(error, place, "does not fit the VM's memory; loads at",
                         "raise memory-mib or link it lower", gpa);
    }
    if (gpa < BOOT_AREA_END_GPA) {
        return boot_fail(error, place, "loads below 64 KiB, where boot data is", "link it higher",
                         gpa);
    }
    if (gpa < LEGACY_HOLE_END_GPA && gpa + bytes > LEGACY_HOLE_GPA) {
        return boot_fail(error, place, "loads between 640 KiB and 1 MiB, where a PC has no RAM",
                         "link it elsewhere", gpa);
    }
    return true;
}

static bool read_segment(const struct boot_request *req, const uint8_t *ph, bool wide,
                         struct elf *elf, struct boot_error *error)
{
    struct elf_segment s;
    s.type = le32_get(ph);
    s.offset = wide ? le64_get(ph + 8) : le32_get(ph + 4);
    s.vaddr = wide ? le64_get(ph + 16) : le32_get(ph + 8);
    s.gpa = wide ? le64_get(ph + 24) : le32_get(ph + 12);
    s.file_bytes = wide ? le64_get(ph + 32) : le32_get(ph + 16);
    s.memory_bytes = wide ? le64_get(ph + 40) : le32_get(ph + 20);

    if ((s.type != PT_LOAD && s.type != PT_NOTE) || (s.type == PT_LOAD && s.memory_bytes == 0)) {
        return true;
    }
    if (elf->count == ELF_MAX_SEGMENTS) {
        return boot_fail(error, where, "has more segments than are supported", remedy,
                         ELF_MAX_SEGMENTS);
    }
    if (s.offset > req->kernel_bytes || s.file_bytes > req->kernel_bytes - s.offset) {
        return boot_fail(error, where, "the image is cut short: a segment lies behind its end, at",
                         remedy, s.offset);
    }
    if (s.type == PT_LOAD) {
        if (s.file_bytes > s.memory_bytes) {
            return boot_fail(error, where, "a segment is larger in the file than in memory; bytes",
                             remedy, s.file_bytes);
        }
        if (s.memory_bytes > UINT64_MAX - s.gpa) {
            return boot_fail(error, where, "a segment goes beyond all memory, at", remedy, s.gpa);
        }
        for (unsigned i = 0; i < elf->count; i++) {
            const struct elf_segment *other = &elf->segments[i];
            if (other->type == PT_LOAD && s.gpa < other->gpa + other->memory_bytes &&
                other->gpa < s.gpa + s.memory_bytes) {
                return boot_fail(error, where, "two segments overlap in memory, at", remedy, s.gpa);
            }
        }
        if (s.gpa + s.memory_bytes > elf->end_gpa) {
            elf->end_gpa = s.gpa + s.memory_bytes;
        }
    }
    elf->segments[elf->count++] = s;
    return true;
}

bool elf_read(const struct boot_request *req, struct elf *elf, struct boot_error *error)
{
    const uint8_t *image = req->kernel;
    elf->count = 0;
    elf->end_gpa = 0;

    if (!elf_detect(req)) {
        return boot_fail(error, where, "is not an ELF file, or ends inside the header", remedy, 0);
    }
    const bool wide = image[4] == 2;
    if ((!wide && image[4] != 1) || image[5] != 1 || image[6] != 1 ||
        (wide && req->kernel_bytes < EHDR64)) {
        return boot_fail(error, where, "is not a little-endian 32-bit or 64-bit ELF file", remedy,
                         0);
    }
    if (le16_get(image + 18) != (wide ? EM_X86_64 : EM_386) && le16_get(image + 18) != EM_X86_64) {
        return boot_fail(error, where, "is for another kind of CPU; machine",
                         "give an image for x86", le16_get(image + 18));
    }
    elf->entry = wide ? le64_get(image + 24) : le32_get(image + 24);
    const uint64_t table = wide ? le64_get(image + 32) : le32_get(image + 28);
    const uint64_t each = le16_get(image + (wide ? 54 : 42));
    const uint64_t count = le16_get(image + (wide ? 56 : 44));
    if (each < (wide ? PHDR64 : PHDR32) || count == 0 || count > PHNUM_MAX) {
        return boot_fail(error, where, "the program header table is wrong; entries", remedy, count);
    }
    if (table > req->kernel_bytes || each * count > req->kernel_bytes - table) {
        return boot_fail(error, where, "the image ends inside the program headers, at", remedy,
                         req->kernel_bytes);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!read_segment(req, image + table + i * each, wide, elf, error)) {
            return false;
        }
    }
    if (elf->end_gpa == 0) {
        return boot_fail(error, where, "has nothing to load", remedy, 0);
    }
    return true;
}

bool elf_check_place(const struct boot_request *req, const char *place, const struct elf *elf,
                     struct boot_error *error)
{
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        if (s->type == PT_LOAD && !boot_check_range(req, place, s->gpa, s->memory_bytes, error)) {
            return false;
        }
    }
    return true;
}

bool elf_parse(const struct boot_request *req, struct elf *elf, struct boot_error *error)
{
    return elf_read(req, elf, error) && elf_check_place(req, where, elf, error);
}

uint64_t elf_base(const struct elf *elf)
{
    uint64_t base = elf->end_gpa;
    for (unsigned i = 0; i < elf->count; i++) {
        if (elf->segments[i].type == PT_LOAD && elf->segments[i].gpa < base) {
            base = elf->segments[i].gpa;
        }
    }
    return base;
}

void elf_move(struct elf *elf, uint64_t base)
{
    const uint64_t by = base - elf_base(elf);
    for (unsigned i = 0; i < elf->count; i++) {
        elf->segments[i].gpa += by;
    }
    elf->end_gpa += by;
}

void elf_load(const struct boot_request *req, const struct elf *elf)
{
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        uint8_t *to = guest_mem_ptr(&req->mem, s->gpa, s->memory_bytes);
        if (s->type == PT_LOAD && to != NULL) {
            memcpy(to, req->kernel + s->offset, s->file_bytes);
            memset(to + s->file_bytes, 0, s->memory_bytes - s->file_bytes);
        }
    }
}

static uint64_t align4(uint64_t value) { return (value + 3) & ~3ull; }

const uint8_t *elf_note(const struct boot_request *req, const struct elf *elf, const char *name,
                        uint32_t type, uint64_t *bytes)
{
    const uint64_t name_bytes = strlen(name) + 1;

    for (unsigned i = 0; i < elf->count; i++) {
        if (elf->segments[i].type != PT_NOTE) {
            continue;
        }
        const uint8_t *note = req->kernel + elf->segments[i].offset;
        uint64_t left = elf->segments[i].file_bytes;
        while (left >= NOTE_BYTES) {
            const uint64_t n = le32_get(note);
            const uint64_t d = le32_get(note + 4);
            const uint64_t desc = NOTE_BYTES + align4(n);
            if (desc > left || d > left - desc) {
                break;
            }
            if (le32_get(note + 8) == type && n == name_bytes &&
                memcmp(note + NOTE_BYTES, name, name_bytes) == 0) {
                *bytes = d;
                return note + desc;
            }
            if (align4(d) > left - desc) {
                break;
            }
            note += desc + align4(d);
            left -= desc + align4(d);
        }
    }
    return NULL;
}

uint64_t elf_physical(const struct elf *elf, uint64_t vaddr)
{
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        if (s->type == PT_LOAD && vaddr >= s->vaddr && vaddr - s->vaddr < s->memory_bytes) {
            return vaddr - s->vaddr + s->gpa;
        }
    }
    return vaddr;
}

bool elf_loads(const struct elf *elf, uint64_t gpa)
{
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        if (s->type == PT_LOAD && gpa >= s->gpa && gpa - s->gpa < s->memory_bytes) {
            return true;
        }
    }
    return false;
}
