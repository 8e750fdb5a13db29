// sources: vmm/monitor/loader_mem.c vmm/monitor/loader_elf.c vmm/monitor/loader_pvh.c
// sources: vmm/monitor/loader_multiboot.c vmm/monitor/loader_any.c vmm/monitor/loader_linux.c
// sources: vmm/monitor/loader_flat.c vmm/monitor/loader_multiboot2.c vmm/monitor/dev/guest_mem.c
/*
 * Unit test of the multiboot2 loader, from the tables of the Multiboot2 specification 2.0: header
 * tags (3.1), machine state (3.3), boot information (3.6), and every way to break a header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "loader_elf.h"

#define MIB      (1024ull * 1024)
#define RAM_MIB  4u
#define LOAD_GPA 0x100000u
#define CODE     0x1000u /* file offset of the ELF image's segment */
#define IMAGE    0x1100u
#define MEMORY   0x2000u /* bytes of the image in memory */
#define RSDP_GPA 0xF0000u

static uint8_t image[40000];
static uint64_t image_bytes;
static uint8_t *ram;
static uint32_t header_at, header_bytes;
static struct boot_state state;
static struct boot_error error;
static const uint8_t initrd[100] = {9, 8, 7};

static struct boot_request request(void)
{
    struct boot_request req = {0};
    req.mem.base = ram;
    req.mem.size_bytes = RAM_MIB * MIB;
    req.kernel = image;
    req.kernel_bytes = image_bytes;
    req.cmdline = "a b";
    return req;
}

/* ---- headers: begin, tags, end ---- */

static void header_seal(void)
{
    le32_put(image + header_at + 8, header_bytes);
    le32_put(image + header_at + 12,
             0u - le32_get(image + header_at) - le32_get(image + header_at + 4) - header_bytes);
}

static void header_begin(uint32_t at)
{
    header_at = at;
    header_bytes = 16;
    le32_put(image + at, 0xE85250D6);
    le32_put(image + at + 4, 0);
}

/* Type, flags, and so many 32-bit words. */
static void tag(unsigned type, unsigned flags, unsigned count, ...)
{
    uint8_t *to = image + header_at + header_bytes;
    va_list words;

    le16_put(to, (uint16_t)type);
    le16_put(to + 2, (uint16_t)flags);
    le32_put(to + 4, 8 + 4 * count);
    va_start(words, count);
    for (unsigned i = 0; i < count; i++) {
        le32_put(to + 8 + 4 * (size_t)i, va_arg(words, uint32_t));
    }
    va_end(words);
    header_bytes += (8 + 4 * count + 7) & ~7u;
}

static void header_end(void)
{
    tag(0, 0, 0);
    header_seal();
}

/* A 32-bit or 64-bit ELF image that is linked at @gpa; its header is to be filled in. */
static void elf_make(bool wide, uint64_t gpa)
{
    memset(image, 0, sizeof(image));
    image_bytes = IMAGE;
    memcpy(image, "\177ELF", 4);
    image[4] = wide ? 2 : 1;
    image[5] = 1;
    image[6] = 1;
    le16_put(image + 18, wide ? 62 : 3);
    uint8_t *ph = image + 64;
    le32_put(ph, 1);
    if (wide) {
        le64_put(image + 24, gpa + 0xFFFF800000000000ull + 8);
        le64_put(image + 32, 64);
        le16_put(image + 54, 56);
        le16_put(image + 56, 1);
        le64_put(ph + 8, CODE);
        le64_put(ph + 16, gpa + 0xFFFF800000000000ull);
        le64_put(ph + 24, gpa);
        le64_put(ph + 32, IMAGE - CODE);
        le64_put(ph + 40, MEMORY);
    } else {
        le32_put(image + 24, (uint32_t)gpa + 8);
        le32_put(image + 28, 64);
        le16_put(image + 42, 32);
        le16_put(image + 44, 1);
        le32_put(ph + 4, CODE);
        le32_put(ph + 8, (uint32_t)gpa);
        le32_put(ph + 12, (uint32_t)gpa);
        le32_put(ph + 16, IMAGE - CODE);
        le32_put(ph + 20, MEMORY);
    }
    for (unsigned i = CODE; i < IMAGE; i++) {
        image[i] = (uint8_t)(i + 1);
    }
    header_begin(256);
}

/* An image that is no ELF file, its header at 16. */
static void flat_make(void)
{
    memset(image, 0x33, sizeof(image));
    image_bytes = IMAGE;
    header_begin(16);
}

static void flat_tags(void)
{
    tag(2, 0, 4, LOAD_GPA + 16, LOAD_GPA, 0, LOAD_GPA + MEMORY);
    tag(3, 0, 1, LOAD_GPA + 0x800);
}

static bool load_with(struct boot_request *req)
{
    memset(&error, 0, sizeof(error));
    memset(&state, 0xEE, sizeof(state));
    return boot_load(req, &state, &error);
}

static bool load(void)
{
    struct boot_request req = request();
    req.protocol = BOOT_PROTOCOL_MULTIBOOT2;
    return load_with(&req);
}

/* Refused, and says what with which value. */
static void refused(const char *what, uint64_t value)
{
    assert_false(load());
    assert_string_equal(error.what, what);
    assert_int_equal(error.value, value);
    assert_non_null(error.where);
    assert_non_null(error.remedy);
    assert_int_equal(state.rip, 0xEEEEEEEEEEEEEEEEull); /* untouched */
}

static int setup(void **s)
{
    (void)s;
    ram = malloc(RAM_MIB * MIB);
    if (ram != NULL) {
        memset(ram, 0xCC, RAM_MIB * MIB);
    }
    return ram == NULL ? -1 : 0;
}

static int teardown(void **s)
{
    (void)s;
    free(ram);
    return 0;
}

/* ---- boot information, 3.6 ---- */

/* The tag of this type, or NULL; checks the form of all. @return its payload, @bytes of it */
static const uint8_t *info_tag(uint32_t type, uint32_t *bytes)
{
    const uint8_t *info = ram + state.rbx;
    const uint32_t total = le32_get(info);
    const uint8_t *found = NULL;
    uint32_t at = 8;

    assert_int_equal(state.rbx % 8, 0);
    assert_int_equal(le32_get(info + 4), 0);
    for (;;) {
        assert_true(at + 8 <= total);
        const uint32_t size = le32_get(info + at + 4);
        assert_true(size >= 8 && at + size <= total);
        if (le32_get(info + at) == type && found == NULL) {
            found = info + at + 8;
            *bytes = size - 8;
        }
        if (le32_get(info + at) == 0) {
            assert_int_equal(size, 8);
            assert_int_equal(at + 8, total);
            return found;
        }
        at += (size + 7) & ~7u;
    }
}

static void is_told(void **s)
{
    (void)s;
    uint32_t bytes = 0;
    elf_make(true, LOAD_GPA);
    header_end();
    struct boot_request req = request();
    req.initrd = initrd;
    req.initrd_bytes = sizeof(initrd);
    req.acpi_rsdp_gpa = RSDP_GPA;
    req.screen = true;
    memcpy(ram + RSDP_GPA, "RSD PTR ", 8);
    ram[RSDP_GPA + 15] = 2;
    assert_true(load_with(&req));
    assert_int_equal(state.protocol, BOOT_PROTOCOL_MULTIBOOT2);

    const uint8_t *t = info_tag(1, &bytes); /* 3.6.5 */
    assert_int_equal(bytes, 4);
    assert_string_equal((const char *)t, "a b");
    t = info_tag(2, &bytes); /* 3.6.9 */
    assert_int_equal(bytes, 9);
    assert_string_equal((const char *)t, "Bulkhead");
    t = info_tag(3, &bytes); /* 3.6.6; at a page's begin, 3.1.11 */
    assert_int_equal(bytes, 9);
    assert_int_equal(le32_get(t) % 4096, 0);
    assert_int_equal(le32_get(t + 4) - le32_get(t), sizeof(initrd));
    assert_memory_equal(ram + le32_get(t), initrd, sizeof(initrd));
    assert_int_equal(t[8], 0);
    t = info_tag(4, &bytes); /* 3.6.3 */
    assert_int_equal(bytes, 8);
    assert_int_equal(le32_get(t), 639);
    assert_int_equal(le32_get(t + 4), (RAM_MIB - 1) * 1024);
    t = info_tag(6, &bytes); /* 3.6.8 */
    assert_int_equal(bytes, 8 + 5 * 24);
    assert_int_equal(le32_get(t), 24);
    assert_int_equal(le32_get(t + 4), 0);
    assert_int_equal(le64_get(t + 8 + 3 * 24), MIB);
    assert_int_equal(le64_get(t + 8 + 3 * 24 + 8), (RAM_MIB - 1) * MIB);
    assert_int_equal(le32_get(t + 8 + 3 * 24 + 16), 1);
    assert_int_equal(le32_get(t + 8 + 3 * 24 + 20), 0);
    t = info_tag(8, &bytes); /* 3.6.12 */
    assert_int_equal(le64_get(t), 0xB8000);
    assert_int_equal(le32_get(t + 8), 160);
    assert_int_equal(le32_get(t + 12), 80);
    assert_int_equal(le32_get(t + 16), 25);
    assert_int_equal(t[20], 16);
    assert_int_equal(t[21], 2);
    t = info_tag(14, &bytes); /* 3.6.16 */
    assert_int_equal(bytes, 20);
    assert_memory_equal(t, ram + RSDP_GPA, 20);
    t = info_tag(15, &bytes); /* 3.6.17 */
    assert_int_equal(bytes, 36);
    assert_memory_equal(t, ram + RSDP_GPA, 36);
    assert_null(info_tag(21, &bytes));

    /* An RSDP of ACPI 1.0; none; no more than there is. */
    ram[RSDP_GPA + 15] = 0;
    assert_true(load_with(&req));
    assert_non_null(info_tag(14, &bytes));
    assert_null(info_tag(15, &bytes));
    ram[RSDP_GPA] = 0;
    assert_true(load_with(&req));
    assert_null(info_tag(14, &bytes));
    req = request();
    req.cmdline = NULL;
    assert_true(load_with(&req));
    assert_string_equal((const char *)info_tag(1, &bytes), "");
    assert_null(info_tag(3, &bytes));
    assert_null(info_tag(8, &bytes));
}

static void long_command_line_fits(void **s)
{
    (void)s;
    static char text[BOOT_CMDLINE_MAX + 2];
    uint32_t bytes = 0;
    elf_make(false, LOAD_GPA);
    header_end();
    struct boot_request req = request();
    memset(text, 'x', BOOT_CMDLINE_MAX + 1);
    req.cmdline = text;
    assert_false(load_with(&req));
    text[BOOT_CMDLINE_MAX] = 0;
    assert_true(load_with(&req));
    assert_string_equal((const char *)info_tag(1, &bytes), text);
    assert_int_equal(bytes, BOOT_CMDLINE_MAX + 1);
    assert_non_null(info_tag(6, &bytes));
}

/* ---- images ---- */

/* 3.3 */
static void elf_starts(void **s)
{
    (void)s;
    for (unsigned wide = 0; wide < 2; wide++) {
        elf_make(wide != 0, LOAD_GPA);
        header_end();
        struct boot_request req = request();
        assert_true(load_with(&req));
        assert_int_equal(state.rax, 0x36D76289);
        assert_int_equal(state.rip, LOAD_GPA + 8); /* a virtual entry point becomes physical */
        assert_int_equal(state.cr0 & 0x80000001u, 1);
        assert_int_equal(state.cr4, 0);
        assert_int_equal(state.efer, 0);
        assert_false(state.long_mode);
        assert_int_equal(state.cs.base, 0);
        assert_int_equal(state.cs.limit_bytes, UINT32_MAX);
        assert_int_equal(state.cs.attributes, 0xC09B);
        assert_int_equal(state.data.base, 0);
        assert_int_equal(state.data.limit_bytes, UINT32_MAX);
        assert_int_equal(state.data.attributes, 0xC093);
        assert_memory_equal(ram + LOAD_GPA, image + CODE, IMAGE - CODE);
        assert_int_equal(ram[LOAD_GPA + IMAGE - CODE], 0);
        assert_int_equal(ram[LOAD_GPA + MEMORY - 1], 0);
        assert_int_equal(ram[LOAD_GPA + MEMORY], 0xCC);
    }
    /* The header's entry goes before the file's, 3.1.6. */
    elf_make(true, LOAD_GPA);
    tag(3, 0, 1, LOAD_GPA + 0x40);
    header_end();
    assert_true(load());
    assert_int_equal(state.rip, LOAD_GPA + 0x40);
}

/* 3.1.5 */
static void flat_starts(void **s)
{
    (void)s;
    flat_make();
    flat_tags();
    header_end();
    struct boot_request req = request();
    assert_true(load_with(&req));
    assert_int_equal(state.protocol, BOOT_PROTOCOL_MULTIBOOT2);
    assert_int_equal(state.rip, LOAD_GPA + 0x800);
    assert_memory_equal(ram + LOAD_GPA, image, IMAGE);
    assert_int_equal(ram[LOAD_GPA + IMAGE], 0);
    assert_int_equal(ram[LOAD_GPA + MEMORY - 1], 0);
    assert_int_equal(ram[LOAD_GPA + MEMORY], 0xCC);

    /* From the header on; then from the file's beginning, by the value -1. */
    memset(ram, 0xCC, RAM_MIB * MIB);
    flat_make();
    tag(2, 0, 4, LOAD_GPA, LOAD_GPA, LOAD_GPA + 0x100, 0);
    tag(3, 0, 1, LOAD_GPA + 0x80);
    header_end();
    assert_true(load());
    assert_memory_equal(ram + LOAD_GPA, image + 16, 0x100);
    assert_int_equal(ram[LOAD_GPA + 0x100], 0xCC);
    flat_make();
    tag(2, 0, 4, LOAD_GPA + 16, UINT32_MAX, 0, 0);
    tag(3, 0, 1, LOAD_GPA + 0x80);
    header_end();
    assert_true(load());
    assert_memory_equal(ram + LOAD_GPA, image, IMAGE);
}

static void detection_prefers_version_2(void **s)
{
    (void)s;
    elf_make(true, LOAD_GPA);
    header_end();
    le32_put(image + 240, 0x1BADB002); /* multiboot 1, before it */
    le32_put(image + 244, 0);
    le32_put(image + 248, 0u - 0x1BADB002u);
    struct boot_request req = request();
    assert_true(load_with(&req));
    assert_int_equal(state.protocol, BOOT_PROTOCOL_MULTIBOOT2);
    req.protocol = BOOT_PROTOCOL_MULTIBOOT;
    assert_true(load_with(&req));
    assert_int_equal(state.protocol, BOOT_PROTOCOL_MULTIBOOT);
}

/* 3.1: wholly in the first 32768 bytes, at a multiple of 8. */
static void header_is_found(void **s)
{
    (void)s;
    static const struct {
        uint32_t at;
        bool found;
    } places[] = {{256, true}, {260, false}, {252, false}, {32768 - 24, true}, {32768, false}};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        elf_make(false, LOAD_GPA);
        image_bytes = sizeof(image);
        memset(image + 256, 0, 16);
        header_begin(places[i].at);
        header_end();
        if (places[i].found) {
            assert_true(load());
        } else {
            refused("has no multiboot2 header in its first 32 KiB", 0);
        }
    }
    elf_make(false, LOAD_GPA); /* begins there, and does not end there */
    image_bytes = sizeof(image);
    header_begin(32768 - 24);
    tag(6, 0, 0);
    header_end();
    refused("the header does not end in the image's first 32 KiB; header_length", 32);
    /* A magic by accident, before the header. */
    elf_make(false, LOAD_GPA);
    header_end();
    le32_put(image + 128, 0xE85250D6);
    assert_true(load());
}

/* ---- broken headers ---- */

static void broken_headers_are_refused(void **s)
{
    (void)s;
    elf_make(true, LOAD_GPA);
    header_end();
    image[header_at + 12] ^= 1;
    refused("the checksum of the header is wrong; header at", 256);

    elf_make(true, LOAD_GPA);
    le32_put(image + header_at + 4, 4); /* MIPS */
    header_end();
    refused("is for another kind of CPU; architecture", 4);

    elf_make(true, LOAD_GPA);
    header_seal();
    refused("the header has no end tag; header_length", 16);
    elf_make(true, LOAD_GPA);
    header_bytes = 0;
    header_seal();
    refused("the header has no end tag; header_length", 0);
    elf_make(true, LOAD_GPA);
    header_bytes = 0xFFFFFFF0;
    header_seal();
    refused("the header does not end in the image's first 32 KiB; header_length", 0xFFFFFFF0);

    static const uint32_t sizes[] = {0, 7, 17, UINT32_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        elf_make(true, LOAD_GPA);
        tag(6, 0, 0);
        header_end();
        le32_put(image + header_at + 16 + 4, sizes[i]);
        refused("a tag of the header has a wrong size, at", 256 + 16);
    }
    static const struct {
        unsigned type, words;
    } short_tags[] = {{2, 3}, {3, 0}, {4, 0}, {5, 2}, {10, 3}};
    for (size_t i = 0; i < sizeof(short_tags) / sizeof(short_tags[0]); i++) {
        elf_make(true, LOAD_GPA);
        tag(short_tags[i].type, 0, short_tags[i].words, 0u, 0u, 0u);
        header_end();
        refused("a tag of the header is too short; its type", short_tags[i].type);
    }
}

/* Required or optional: bit 0 of the flags, 3.1.3. */
static void unknown_tags(void **s)
{
    (void)s;
    static const unsigned types[] = {7, 8, 9, 11, 0x1234, 0xFFFF};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        elf_make(true, LOAD_GPA);
        tag(types[i], 1, 1, 5u);
        header_end();
        assert_true(load());
        elf_make(true, LOAD_GPA);
        tag(types[i], 0, 1, 5u);
        header_end();
        refused("requires what is not there; type of the header's tag", types[i]);
    }
}

/* 3.1.4 */
static void information_requests(void **s)
{
    (void)s;
    for (uint32_t type = 0; type < 40; type++) {
        const bool known = type < 22 && type != 9 && type != 13;
        elf_make(true, LOAD_GPA);
        tag(1, 1, 2, 1u, type);
        header_end();
        assert_true(load());
        elf_make(true, LOAD_GPA);
        tag(1, 0, 2, 1u, type);
        header_end();
        if (known) {
            assert_true(load());
        } else {
            refused("requires information that is not given; its type", type);
        }
    }
}

/* 3.1.9, 3.1.10 */
static void consoles(void **s)
{
    (void)s;
    static const struct {
        uint32_t flags;
        bool optional, screen, starts;
    } cases[] = {
        {0, false, false, true},  {2, false, false, true}, {1, false, false, false},
        {3, false, false, false}, {1, false, true, false}, {3, false, true, true},
        {1, true, false, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        elf_make(true, LOAD_GPA);
        tag(4, cases[i].optional, 1, cases[i].flags);
        header_end();
        struct boot_request req = request();
        req.screen = cases[i].screen;
        assert_int_equal(load_with(&req), cases[i].starts);
        if (!cases[i].starts) {
            assert_string_equal(error.what,
                                "requires a screen, and there is one in text mode at most");
        }
    }
    for (unsigned optional = 0; optional < 2; optional++) {
        elf_make(true, LOAD_GPA);
        tag(5, optional, 3, 80u, 25u, 0u);
        header_end();
        assert_true(load());
        elf_make(true, LOAD_GPA);
        tag(5, optional, 3, 1024u, 768u, 32u);
        header_end();
        if (optional != 0) {
            assert_true(load());
        } else {
            refused("requires a graphics mode; bits per pixel", 32);
        }
    }
}

static void wrong_places_are_refused(void **s)
{
    (void)s;
    flat_make();
    tag(2, 0, 4, LOAD_GPA + 16, LOAD_GPA, 0, 0);
    header_end();
    refused("has an address tag and no entry address tag", 0);
    flat_make();
    tag(2, 0, 4, LOAD_GPA, LOAD_GPA + 1, 0, 0); /* above the header */
    tag(3, 0, 1, LOAD_GPA);
    header_end();
    refused("header_addr and load_addr do not fit the file; load_addr", LOAD_GPA + 1);
    flat_make();
    tag(2, 0, 4, LOAD_GPA + 17, LOAD_GPA, 0, 0); /* before the file's beginning */
    tag(3, 0, 1, LOAD_GPA);
    header_end();
    refused("header_addr and load_addr do not fit the file; load_addr", LOAD_GPA);
    flat_make();
    tag(2, 0, 4, LOAD_GPA + 16, LOAD_GPA, LOAD_GPA + IMAGE + 1, 0);
    tag(3, 0, 1, LOAD_GPA);
    header_end();
    refused("the image is cut short; bytes it should have", IMAGE + 1);
    flat_make();
    tag(2, 0, 4, LOAD_GPA + 16, LOAD_GPA, LOAD_GPA, 0);
    tag(3, 0, 1, LOAD_GPA);
    header_end();
    refused("load_end_addr is not above load_addr", LOAD_GPA);
    flat_make();
    tag(2, 0, 4, LOAD_GPA + 16, LOAD_GPA, 0, UINT32_MAX);
    tag(3, 0, 1, LOAD_GPA);
    header_end();
    refused("does not fit the VM's memory; loads at", LOAD_GPA);
    flat_make();
    tag(2, 0, 4, 0xA0010u, 0xA0000u, 0, 0);
    tag(3, 0, 1, 0xA0000u);
    header_end();
    refused("loads between 640 KiB and 1 MiB, where a PC has no RAM", 0xA0000);

    elf_make(true, 0x8000);
    header_end();
    refused("loads below 64 KiB, where boot data is", 0x8000);
    elf_make(true, 0xFFFFFFFFFFFFF000ull);
    header_end();
    refused("a segment goes beyond all memory, at", 0xFFFFFFFFFFFFF000ull);
    elf_make(true, LOAD_GPA);
    tag(3, 0, 1, LOAD_GPA + MEMORY);
    header_end();
    refused("the entry point is in no loaded segment, at", LOAD_GPA + MEMORY);
    flat_make(); /* no ELF file, and no address tag */
    header_end();
    refused("is not an ELF file, or ends inside the header", 0);
}

/* ---- 3.1.13 ---- */

static void relocation(void **s)
{
    (void)s;
    static const struct {
        uint64_t link;
        uint32_t min, max, align, preference;
        uint64_t place; /* 0: refused */
    } cases[] = {
        {LOAD_GPA, 0, UINT32_MAX, 4096, 0, LOAD_GPA},        /* where it is linked */
        {0, 0, UINT32_MAX, 4096, 0, 0x10000},                /* that will not do: lowest */
        {LOAD_GPA, 0x180000, UINT32_MAX, 4096, 0, 0x180000}, /* the same */
        {LOAD_GPA, 0, UINT32_MAX, 0x200000, 0, 0x200000},    /* the same */
        {LOAD_GPA, 0, UINT32_MAX, 4096, 1, 0x10000},         /* above boot data */
        {LOAD_GPA, 0x9FC00 - MEMORY, UINT32_MAX, 16, 1, 0x9FC00 - MEMORY},
        {LOAD_GPA, 0x9FC10 - MEMORY, UINT32_MAX, 16, 1, LOAD_GPA},       /* above the hole */
        {LOAD_GPA, 0, UINT32_MAX, 0x1000, 2, 4 * MIB - 0x2000 - MEMORY}, /* below the initrd */
        {0xFFFFF000, 0, UINT32_MAX, 0x100000, 2, 3 * MIB},
        {0x7000000000, 0, 0x250000, 0x1000, 2, 0x250000 - MEMORY}, /* linked above 4 GiB */
        {LOAD_GPA, 0, 0x101000, 0x1000, 2, 0x9D000},               /* below the hole */
        {LOAD_GPA, 0x12345, UINT32_MAX, 0, 1, 0x12345},            /* no alignment */
        {LOAD_GPA, 0x200000, 0x201FFF, 1, 1, 0},                   /* too narrow */
        {LOAD_GPA, 0x200000, 0x202000, 1, 1, 0x200000},            /* just so */
        {LOAD_GPA, UINT32_MAX, UINT32_MAX, 1, 0, 0},
        {LOAD_GPA, 0, UINT32_MAX, 0x80000000, 2, 0},
        {LOAD_GPA, 0, 0, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned entry = 0; entry < 2; entry++) {
            uint32_t bytes = 0;
            elf_make(true, cases[i].link);
            tag(10, i & 1, 4, cases[i].min, cases[i].max, cases[i].align, cases[i].preference);
            if (entry != 0 && cases[i].link < UINT32_MAX) {
                tag(3, 0, 1, (uint32_t)cases[i].link + 8);
            }
            header_end();
            struct boot_request req = request();
            req.initrd = initrd;
            req.initrd_bytes = sizeof(initrd);
            if (cases[i].place == 0) {
                assert_false(load_with(&req));
                assert_string_equal(error.what,
                                    "does not fit its bounds in the VM's memory; bytes it needs");
                assert_int_equal(error.value, MEMORY);
                continue;
            }
            assert_true(load_with(&req));
            assert_int_equal(state.rip, cases[i].place + 8);
            assert_memory_equal(ram + cases[i].place, image + CODE, IMAGE - CODE);
            const uint8_t *t = info_tag(21, &bytes); /* 3.6.23 */
            assert_int_equal(bytes, 4);
            assert_int_equal(le32_get(t), cases[i].place);
        }
    }
    flat_make();
    flat_tags();
    tag(10, 0, 4, 0x300000u, UINT32_MAX, 4096u, 1u);
    header_end();
    assert_true(load());
    assert_int_equal(state.rip, 0x300800);
    assert_memory_equal(ram + 0x300000, image, IMAGE);

    elf_make(true, LOAD_GPA);
    tag(10, 0, 4, 0u, UINT32_MAX, 24u, 0u);
    header_end();
    refused("the alignment it asks for is no power of two", 24);
    elf_make(true, LOAD_GPA);
    tag(10, 0, 4, 0u, UINT32_MAX, 16u, 3u);
    header_end();
    refused("the preference of its place is not known", 3);
}

/* Every length short of the whole: no read past the end (the copy has none to spare). */
static void truncated_images_do_no_harm(void **s)
{
    (void)s;
    for (unsigned kind = 0; kind < 3; kind++) {
        if (kind < 2) {
            elf_make(kind == 1, LOAD_GPA);
        } else {
            flat_make();
            tag(2, 0, 4, LOAD_GPA + 16, LOAD_GPA, LOAD_GPA + IMAGE, 0);
            tag(3, 0, 1, LOAD_GPA + 8);
        }
        tag(1, 0, 3, 1u, 4u, 6u);
        header_end();
        struct boot_request req = request();
        req.protocol = BOOT_PROTOCOL_MULTIBOOT2;
        for (size_t cut = 0; cut < IMAGE; cut++) {
            uint8_t *copy = malloc(cut + 1);
            assert_non_null(copy);
            memcpy(copy + 1, image, cut);
            req.kernel = copy + 1;
            req.kernel_bytes = cut;
            assert_false(load_with(&req));
            assert_non_null(error.what);
            free(copy);
        }
    }
}

static void damaged_headers_do_no_harm(void **s)
{
    (void)s;
    uint32_t random = 1;
    for (unsigned round = 0; round < 30000; round++) {
        if (round % 3 < 2) {
            elf_make(round % 3 == 1, LOAD_GPA);
        } else {
            flat_make();
            flat_tags();
        }
        tag(10, 0, 4, 0u, UINT32_MAX, 4096u, round % 3);
        tag(1, 0, 3, 1u, 4u, 6u);
        header_end();
        for (unsigned k = 0; k < 1 + round % 5; k++) {
            random = random * 1664525u + 1013904223u;
            image[(random >> 8) % (header_at + header_bytes)] = (uint8_t)(random >> 24);
        }
        if (round % 7 != 0) {
            header_seal();
        }
        struct boot_request req = request();
        req.initrd = initrd;
        req.initrd_bytes = sizeof(initrd);
        req.protocol = BOOT_PROTOCOL_MULTIBOOT2;
        if (load_with(&req)) {
            assert_true(state.rip >= 0x10000 && state.rip < RAM_MIB * MIB);
        } else {
            assert_non_null(error.what);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(is_told),
        TEST(long_command_line_fits),
        TEST(elf_starts),
        TEST(flat_starts),
        TEST(detection_prefers_version_2),
        TEST(header_is_found),
        TEST(broken_headers_are_refused),
        TEST(unknown_tags),
        TEST(information_requests),
        TEST(consoles),
        TEST(wrong_places_are_refused),
        TEST(relocation),
        TEST(truncated_images_do_no_harm),
        TEST(damaged_headers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
