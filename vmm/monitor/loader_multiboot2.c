/*
 * Multiboot2 specification 2.0: an ELF image, or one whose header says itself where it loads.
 * May call: loader_mem.h, loader_elf.h. Never trusts the header before checking it.
 */
#include "loader_elf.h"

#include <string.h>

/* 3.1.1, 3.1.2 */
#define HEADER_MAGIC      0xE85250D6u
#define LOADER_MAGIC      0x36D76289u
#define HEADER_SEARCH     32768u
#define HEADER_BYTES      16u
#define ARCHITECTURE_I386 0u

#define TAG_BYTES    8u /* 3.1.3, 3.6.2: the head of a tag; tags begin at multiples of 8 */
#define TAG_OPTIONAL 1u

#define CONSOLE_REQUIRED 1u /* 3.1.9 */
#define CONSOLE_EGA_TEXT 2u

#define PREFERENCE_NONE    0u /* 3.1.13; 1: the lowest place */
#define PREFERENCE_HIGHEST 2u

/* Boot information, 3.6.3 to 3.6.23. */
#define INFO_CMDLINE     1u
#define INFO_NAME        2u
#define INFO_MODULE      3u
#define INFO_MEMORY      4u
#define INFO_MAP         6u
#define INFO_FRAMEBUFFER 8u
#define INFO_ELF_SYMBOLS 9u
#define INFO_SMBIOS      13u
#define INFO_RSDP_OLD    14u
#define INFO_RSDP_NEW    15u
#define INFO_LOAD_BASE   21u
#define INFO_TYPES       22u

#define MAP_BYTES      24u
#define RSDP_OLD_BYTES 20u /* ACPI 6.4, 5.2.5.3 */
#define RSDP_NEW_BYTES 36u
#define EGA_TEXT_GPA   0xB8000u
#define EGA_TEXT       2u

static const char where[] = "kernel (multiboot2)";
static const char remedy[] = "copy or link the image again";
static const char leave_out[] = "build the image without that, or with the tag marked as optional";

/* What the header's tags say. */
struct header {
    bool flat, entry_given, relocatable;
    struct flat_fields fields;
    uint32_t entry;
    uint32_t min, max, align, preference;
};

static uint64_t align_up(uint64_t value, uint64_t to) { return (value + to - 1) & ~(to - 1); }

/* @return offset of the header, or UINT64_MAX. @at_magic: of the first with its magic alone. */
static uint64_t find_header(const struct boot_request *req, uint64_t *at_magic)
{
    *at_magic = UINT64_MAX;
    for (uint64_t at = 0;
         at + HEADER_BYTES <= req->kernel_bytes && at + HEADER_BYTES <= HEADER_SEARCH; at += 8) {
        const uint8_t *header = req->kernel + at;
        if (le32_get(header) != HEADER_MAGIC) {
            continue;
        }
        if (HEADER_MAGIC + le32_get(header + 4) + le32_get(header + 8) + le32_get(header + 12) ==
            0) {
            return at;
        }
        if (*at_magic == UINT64_MAX) {
            *at_magic = at;
        }
    }
    return UINT64_MAX;
}

bool loader_multiboot2_detect(const struct boot_request *req)
{
    uint64_t ignored;
    return find_header(req, &ignored) != UINT64_MAX;
}

/* ---- header tags: @tag has as many bytes as the table below asks for ---- */

/* 3.1.4. What this PC does not have (EFI, VBE, APM, ...) need not be told, what it has must be. */
static bool take_requests(const struct boot_request *req, const uint8_t *tag, bool required,
                          struct header *h, struct boot_error *error)
{
    const uint32_t count = (le32_get(tag + 4) - TAG_BYTES) / 4;

    (void)req;
    (void)h;
    for (uint32_t i = 0; required && i < count; i++) {
        const uint32_t type = le32_get(tag + TAG_BYTES + 4 * (uint64_t)i);
        if (type >= INFO_TYPES || type == INFO_ELF_SYMBOLS || type == INFO_SMBIOS) {
            return boot_fail(error, where, "requires information that is not given; its type",
                             leave_out, type);
        }
    }
    return true;
}

/* 3.1.5 */
static bool take_addresses(const struct boot_request *req, const uint8_t *tag, bool required,
                           struct header *h, struct boot_error *error)
{
    (void)req;
    (void)required;
    (void)error;
    h->flat = true;
    h->fields = (struct flat_fields){le32_get(tag + 8), le32_get(tag + 12), le32_get(tag + 16),
                                     le32_get(tag + 20)};
    return true;
}

/* 3.1.6 */
static bool take_entry(const struct boot_request *req, const uint8_t *tag, bool required,
                       struct header *h, struct boot_error *error)
{
    (void)req;
    (void)required;
    (void)error;
    h->entry_given = true;
    h->entry = le32_get(tag + 8);
    return true;
}

/* 3.1.9: the one console is a screen in text mode. */
static bool take_console(const struct boot_request *req, const uint8_t *tag, bool required,
                         struct header *h, struct boot_error *error)
{
    const uint32_t flags = le32_get(tag + 8);

    (void)h;
    if (required && (flags & CONSOLE_REQUIRED) != 0 &&
        (!req->screen || (flags & CONSOLE_EGA_TEXT) == 0)) {
        return boot_fail(error, where, "requires a screen, and there is one in text mode at most",
                         "give the VM display = \"vga\" if the image knows EGA text", 0);
    }
    return true;
}

/* 3.1.10 */
static bool take_framebuffer(const struct boot_request *req, const uint8_t *tag, bool required,
                             struct header *h, struct boot_error *error)
{
    const uint32_t depth = le32_get(tag + 16);

    (void)req;
    (void)h;
    if (required && depth != 0) {
        return boot_fail(error, where, "requires a graphics mode; bits per pixel", leave_out,
                         depth);
    }
    return true;
}

/* 3.1.11: modules are page-aligned always. */
static bool take_nothing(const struct boot_request *req, const uint8_t *tag, bool required,
                         struct header *h, struct boot_error *error)
{
    (void)req;
    (void)tag;
    (void)required;
    (void)h;
    (void)error;
    return true;
}

/* 3.1.13 */
static bool take_relocation(const struct boot_request *req, const uint8_t *tag, bool required,
                            struct header *h, struct boot_error *error)
{
    (void)req;
    (void)required;
    h->relocatable = true;
    h->min = le32_get(tag + 8);
    h->max = le32_get(tag + 12);
    h->align = le32_get(tag + 16);
    h->preference = le32_get(tag + 20);
    if (h->align == 0) {
        h->align = 1;
    }
    if ((h->align & (h->align - 1)) != 0) {
        return boot_fail(error, where, "the alignment it asks for is no power of two", remedy,
                         h->align);
    }
    if (h->preference > PREFERENCE_HIGHEST) {
        return boot_fail(error, where, "the preference of its place is not known", remedy,
                         h->preference);
    }
    return true;
}

/* By type. The EFI tags (7 to 9) are not there: nothing here is EFI. */
static const struct {
    uint32_t bytes;
    bool (*take)(const struct boot_request *req, const uint8_t *tag, bool required,
                 struct header *h, struct boot_error *error);
} tags[] = {
    [1] = {8, take_requests},     [2] = {24, take_addresses},   [3] = {12, take_entry},
    [4] = {12, take_console},     [5] = {20, take_framebuffer}, [6] = {8, take_nothing},
    [10] = {24, take_relocation},
};

static bool read_tag(const struct boot_request *req, const uint8_t *tag, struct header *h,
                     struct boot_error *error)
{
    const uint32_t type = le16_get(tag);
    const bool required = (le16_get(tag + 2) & TAG_OPTIONAL) == 0;

    if (type >= sizeof(tags) / sizeof(tags[0]) || tags[type].take == NULL) {
        return !required ||
               boot_fail(error, where, "requires what is not there; type of the header's tag",
                         leave_out, type);
    }
    if (le32_get(tag + 4) < tags[type].bytes) {
        return boot_fail(error, where, "a tag of the header is too short; its type", remedy, type);
    }
    return tags[type].take(req, tag, required, h, error);
}

static bool read_header(const struct boot_request *req, uint64_t at, struct header *h,
                        struct boot_error *error)
{
    const uint8_t *header = req->kernel + at;
    const uint32_t architecture = le32_get(header + 4);
    const uint64_t bytes = le32_get(header + 8);
    const uint64_t room = req->kernel_bytes < HEADER_SEARCH ? req->kernel_bytes : HEADER_SEARCH;

    memset(h, 0, sizeof(*h));
    if (architecture != ARCHITECTURE_I386) {
        return boot_fail(error, where, "is for another kind of CPU; architecture",
                         "give an image for i386", architecture);
    }
    if (bytes > room - at) {
        return boot_fail(error, where,
                         "the header does not end in the image's first 32 KiB; header_length",
                         remedy, bytes);
    }
    for (uint64_t p = HEADER_BYTES; p + TAG_BYTES <= bytes;) {
        const uint8_t *tag = header + p;
        const uint64_t size = le32_get(tag + 4);
        if (size < TAG_BYTES || size > bytes - p) {
            return boot_fail(error, where, "a tag of the header has a wrong size, at", remedy,
                             at + p);
        }
        if (le16_get(tag) == 0) {
            return true;
        }
        if (!read_tag(req, tag, h, error)) {
            return false;
        }
        p = align_up(p + size, 8);
    }
    return boot_fail(error, where, "the header has no end tag; header_length", remedy, bytes);
}

/* ---- the image's place ---- */

/*
 * The place the image asks for in RAM that is free (3.1.13), the initrd above it: as linked, if it
 * asks for none and that is within its bounds; else the lowest.
 */
static bool find_place(const struct boot_request *req, const struct header *h, uint64_t link,
                       uint64_t bytes, uint64_t *place)
{
    struct memory_range map[MEMORY_MAP_MAX];
    const unsigned ranges = boot_memory_map(&req->mem, map);
    const uint64_t low_end = guest_mem_low_end(&req->mem);
    const uint64_t initrd = req->initrd != NULL ? align_up(req->initrd_bytes, 4096) + 4096 : 0;
    bool found = false;

    if (initrd >= low_end) {
        return false;
    }
    for (unsigned i = 0; i < ranges; i++) {
        uint64_t from = map[i].base > BOOT_AREA_END_GPA ? map[i].base : BOOT_AREA_END_GPA;
        uint64_t end = map[i].base + map[i].length_bytes;

        from = align_up(from > h->min ? from : h->min, h->align);
        end = end < low_end - initrd ? end : low_end - initrd;
        end = end < h->max ? end : h->max;
        if (map[i].type != MEMORY_RAM || bytes > end || from > end - bytes) {
            continue;
        }
        if (h->preference == PREFERENCE_HIGHEST) {
            *place = (end - bytes) & ~(uint64_t)(h->align - 1);
        } else if (!found) {
            *place = from;
        }
        found = true;
        if (h->preference == PREFERENCE_NONE && link >= from && link <= end - bytes &&
            link % h->align == 0) {
            *place = link;
        }
    }
    return found;
}

/* Load the image. @base, @entry, @end: where it lies and starts */
static bool load_image(const struct boot_request *req, uint64_t at, const struct header *h,
                       uint64_t *base, uint64_t *entry, uint64_t *end, struct boot_error *error)
{
    struct flat_fields fields = h->fields;
    struct elf elf;

    if (h->flat && !h->entry_given) {
        return boot_fail(error, where, "has an address tag and no entry address tag",
                         "give the header a tag of type 3", 0);
    }
    if (fields.load == UINT32_MAX) { /* from the beginning of the file, 3.1.5 */
        fields.load = fields.header - (uint32_t)at;
    }
    if (h->flat ? !flat_read(req, where, at, &fields, h->entry, &elf, error)
                : !elf_read(req, &elf, error)) {
        return false;
    }
    const uint64_t link = elf_base(&elf);
    *base = link;
    if (h->relocatable) {
        if (!find_place(req, h, link, elf.end_gpa - link, base)) {
            return boot_fail(
                error, where, "does not fit its bounds in the VM's memory; bytes it needs",
                "raise memory-mib or widen the relocatable tag's bounds", elf.end_gpa - link);
        }
        elf_move(&elf, *base);
    }
    if (!elf_check_place(req, where, &elf, error)) {
        return false;
    }
    if (elf.end_gpa > UINT32_MAX) { /* 3.5 */
        return boot_fail(error, where, "loads above 4 GiB; ends at", "link it lower", elf.end_gpa);
    }
    *entry = h->entry_given ? h->entry + (*base - link) : elf_physical(&elf, elf.entry);
    if (!elf_loads(&elf, *entry)) {
        return boot_fail(error, where, "the entry point is in no loaded segment, at", remedy,
                         *entry);
    }
    *end = elf.end_gpa;
    elf_load(req, &elf);
    return true;
}

/* ---- boot information ---- */

/* Append a tag. @return its bytes behind the head, zero */
static uint8_t *put_tag(uint8_t *info, uint32_t type, uint64_t bytes)
{
    const uint32_t at = le32_get(info);
    const uint32_t size = TAG_BYTES + (uint32_t)bytes;
    uint8_t *tag = info + at;

    memset(tag, 0, align_up(size, 8));
    le32_put(tag, type);
    le32_put(tag + 4, size);
    le32_put(info, at + (uint32_t)align_up(size, 8));
    return tag + TAG_BYTES;
}

/* 3.6.16, 3.6.17: of the RSDP that is in guest memory by now. */
static void put_rsdp(const struct boot_request *req, uint8_t *info)
{
    const uint8_t *rsdp = guest_mem_ptr(&req->mem, req->acpi_rsdp_gpa, RSDP_NEW_BYTES);

    if (rsdp == NULL || memcmp(rsdp, "RSD PTR ", 8) != 0) {
        return;
    }
    memcpy(put_tag(info, INFO_RSDP_OLD, RSDP_OLD_BYTES), rsdp, RSDP_OLD_BYTES);
    if (rsdp[15] >= 2) { /* revision */
        memcpy(put_tag(info, INFO_RSDP_NEW, RSDP_NEW_BYTES), rsdp, RSDP_NEW_BYTES);
    }
}

static void put_map(const struct boot_request *req, uint8_t *info)
{
    struct memory_range map[MEMORY_MAP_MAX];
    const unsigned ranges = boot_memory_map(&req->mem, map);
    uint8_t *tag = put_tag(info, INFO_MAP, 8 + ranges * MAP_BYTES);

    le32_put(tag, MAP_BYTES);
    for (unsigned i = 0; i < ranges; i++) {
        uint8_t *entry = tag + 8 + i * MAP_BYTES;
        le64_put(entry, map[i].base);
        le64_put(entry + 8, map[i].length_bytes);
        le32_put(entry + 16, map[i].type);
    }
}

/* 3.6.12: mode 3, 80 x 25 characters. */
static void put_screen(uint8_t *info)
{
    uint8_t *tag = put_tag(info, INFO_FRAMEBUFFER, 24);

    le64_put(tag, EGA_TEXT_GPA);
    le32_put(tag + 8, 160);
    le32_put(tag + 12, 80);
    le32_put(tag + 16, 25);
    tag[20] = 16;
    tag[21] = EGA_TEXT;
}

/* At BOOT_INFO_GPA, up to the command line's own place: a command line of BOOT_CMDLINE_MAX leaves
 * half of that. */
_Static_assert(BOOT_CMDLINE_GPA - BOOT_INFO_GPA > BOOT_CMDLINE_MAX + 1024u, "boot information");

static void put_info(const struct boot_request *req, const struct header *h, uint64_t base,
                     uint64_t initrd_gpa, uint8_t *area)
{
    const char *cmdline = (const char *)area + BOOT_CMDLINE_GPA;
    const size_t cmdline_bytes = strlen(cmdline) + 1;
    uint8_t *info = area + BOOT_INFO_GPA;
    uint8_t *tag;

    le32_put(info, 8); /* total_size: so far */
    le32_put(info + 4, 0);
    memcpy(put_tag(info, INFO_CMDLINE, cmdline_bytes), cmdline, cmdline_bytes);
    memcpy(put_tag(info, INFO_NAME, sizeof(BOOT_LOADER_NAME)), BOOT_LOADER_NAME,
           sizeof(BOOT_LOADER_NAME));
    if (req->initrd != NULL) {
        tag = put_tag(info, INFO_MODULE, 8 + 1); /* with an empty text */
        le32_put(tag, (uint32_t)initrd_gpa);
        le32_put(tag + 4, (uint32_t)(initrd_gpa + req->initrd_bytes));
    }
    tag = put_tag(info, INFO_MEMORY, 8);
    le32_put(tag, BOOT_LOW_MEMORY_KIB);
    le32_put(tag + 4, boot_upper_kib(&req->mem));
    put_map(req, info);
    if (req->screen) {
        put_screen(info);
    }
    if (req->acpi_rsdp_gpa != 0) {
        put_rsdp(req, info);
    }
    if (h->relocatable) {
        le32_put(put_tag(info, INFO_LOAD_BASE, 4), (uint32_t)base);
    }
    (void)put_tag(info, 0, 0);
}

bool loader_multiboot2(const struct boot_request *req, struct boot_state *state,
                       struct boot_error *error)
{
    struct header h;
    uint64_t at_magic, base, entry, end;
    uint64_t initrd_gpa = 0;
    const uint64_t at = find_header(req, &at_magic);

    if (at == UINT64_MAX && at_magic != UINT64_MAX) {
        return boot_fail(error, where, "the checksum of the header is wrong; header at", remedy,
                         at_magic);
    }
    if (at == UINT64_MAX) {
        return boot_fail(error, where, "has no multiboot2 header in its first 32 KiB",
                         "give a multiboot2 image, or name the right protocol in the manifest", 0);
    }
    if (!read_header(req, at, &h, error) || !load_image(req, at, &h, &base, &entry, &end, error) ||
        (req->initrd != NULL &&
         !boot_put_initrd(req, end, GUEST_LOW_RAM_END, &initrd_gpa, error)) ||
        !boot_put_cmdline(req, BOOT_CMDLINE_MAX, error) ||
        !boot_state_protected(req, entry, state, error)) {
        return false;
    }
    put_info(req, &h, base, initrd_gpa, guest_mem_ptr(&req->mem, 0, BOOT_AREA_END_GPA));
    state->rax = LOADER_MAGIC;
    state->rbx = BOOT_INFO_GPA;
    state->protocol = BOOT_PROTOCOL_MULTIBOOT2;
    return true;
}
