/*
 * ELF images for the 32-bit boot protocols: checking, loading segments at their physical addresses,
 * finding notes. May call: loader_mem.h. Never uses sections or relocations.
 */
#ifndef VMM_MONITOR_LOADER_ELF_H
#define VMM_MONITOR_LOADER_ELF_H

#include "loader_mem.h"

#define ELF_MAX_SEGMENTS 32u
#define PT_LOAD          1u

struct elf_segment {
    uint32_t type; /* PT_LOAD or PT_NOTE */
    uint64_t offset, file_bytes;
    uint64_t gpa, vaddr, memory_bytes;
};

struct elf {
    uint64_t entry; /* virtual, as in the header */
    uint64_t end_gpa;
    unsigned count; /* PT_LOAD and PT_NOTE only, file ranges checked */
    struct elf_segment segments[ELF_MAX_SEGMENTS];
};

bool elf_detect(const struct boot_request *req);

/** Check the headers, 32-bit or 64-bit, and that every segment lies in the file. */
bool elf_read(const struct boot_request *req, struct elf *elf, struct boot_error *error);

/** Check that every segment lies in RAM, where it may. @place: for messages */
bool elf_check_place(const struct boot_request *req, const char *place, const struct elf *elf,
                     struct boot_error *error);

/** Both. */
bool elf_parse(const struct boot_request *req, struct elf *elf, struct boot_error *error);

/** @return where the lowest segment lies. */
uint64_t elf_base(const struct elf *elf);

/** Move the whole image, so that it begins at @base; virtual addresses stay. */
void elf_move(struct elf *elf, uint64_t base);

/** The address fields of a multiboot header (0.6.96, 3.1.3; 2.0, 3.1.5). */
struct flat_fields {
    uint32_t header, load, load_end, bss_end;
};

/**
 * An image whose header says where it lies: one segment, file bytes from load on, zeroes up to
 * bss_end.
 *
 * @param where for messages
 * @param at    the header's offset in the file
 */
bool flat_read(const struct boot_request *req, const char *where, uint64_t at,
               const struct flat_fields *fields, uint64_t entry, struct elf *elf,
               struct boot_error *error);

/** Copy the segments of a parsed image; zero what has no bytes in the file. Cannot fail. */
void elf_load(const struct boot_request *req, const struct elf *elf);

/** @return the descriptor of the first note of @name and @type, its length in @bytes; or NULL. */
const uint8_t *elf_note(const struct boot_request *req, const struct elf *elf, const char *name,
                        uint32_t type, uint64_t *bytes);

/** The physical address of a virtual one inside a segment; @vaddr itself when in none. */
uint64_t elf_physical(const struct elf *elf, uint64_t vaddr);

/** @return whether @gpa lies in a loaded segment. */
bool elf_loads(const struct elf *elf, uint64_t gpa);

/** One range an image wants to fill is inside RAM and clear of boot data and the legacy hole. */
bool boot_check_range(const struct boot_request *req, const char *where, uint64_t gpa,
                      uint64_t bytes, struct boot_error *error);

#endif
