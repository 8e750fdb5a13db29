/*
 * Images that are loaded by the addresses in their multiboot header, of either version.
 * May call: loader_mem.h, loader_elf.h. Never trusts the header before checking it.
 */
#include "loader_elf.h"

static const char remedy[] = "copy or link the image again";

bool flat_read(const struct boot_request *req, const char *where, uint64_t at,
               const struct flat_fields *fields, uint64_t entry, struct elf *elf,
               struct boot_error *error)
{
    const uint64_t load = fields->load;
    const uint64_t load_end = fields->load_end;

    if (fields->header < load || fields->header - load > at) {
        return boot_fail(error, where, "header_addr and load_addr do not fit the file; load_addr",
                         remedy, load);
    }
    const uint64_t offset = at - (fields->header - load);
    if (load_end != 0 && load_end <= load) {
        return boot_fail(error, where, "load_end_addr is not above load_addr", remedy, load_end);
    }
    const uint64_t bytes = load_end != 0 ? load_end - load : req->kernel_bytes - offset;
    if (bytes > req->kernel_bytes - offset) {
        return boot_fail(error, where, "the image is cut short; bytes it should have", remedy,
                         offset + bytes);
    }
    const uint64_t end = fields->bss_end > load + bytes ? fields->bss_end : load + bytes;
    elf->entry = entry;
    elf->end_gpa = end;
    elf->count = 1;
    elf->segments[0] = (struct elf_segment){PT_LOAD, offset, bytes, load, load, end - load};
    return true;
}
