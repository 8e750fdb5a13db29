// sources: vmm/monitor/loader_mem.c vmm/monitor/loader_elf.c vmm/monitor/loader_pvh.c
// sources: vmm/monitor/loader_multiboot.c vmm/monitor/loader_any.c vmm/monitor/loader_linux.c
// sources: vmm/monitor/loader_flat.c vmm/monitor/loader_multiboot2.c vmm/monitor/dev/guest_mem.c
/*
 * Unit test of the PVH and multiboot loaders: synthetic images of both ELF classes, cut at every
 * byte and damaged at random; address checks; what the guest is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "loader_elf.h"

#define MIB        (1024ull * 1024)
#define CODE       0x200u /* file offset of the loaded segment */
#define CODE_BYTES 64u
#define LOAD_GPA   0x100000u
#define MEM_BYTES  4096u
#define NOTE       0x180u
#define MULTIBOOT  0x1C0u
#define IMAGE      (CODE + CODE_BYTES)

static uint8_t image[IMAGE];
static uint8_t *ram;
static struct boot_state state;
static struct boot_error error;

/* A program header; @at is where it goes in the image. */
static void put_segment(bool wide, unsigned at, uint32_t type, uint32_t offset, uint64_t gpa,
                        uint64_t file_bytes, uint64_t memory_bytes)
{
    uint8_t *ph = image + at;
    le32_put(ph, type);
    if (wide) {
        le64_put(ph + 8, offset);
        le64_put(ph + 16, gpa + 0xFFFF800000000000ull);
        le64_put(ph + 24, gpa);
        le64_put(ph + 32, file_bytes);
        le64_put(ph + 40, memory_bytes);
    } else {
        le32_put(ph + 4, offset);
        le32_put(ph + 8, (uint32_t)gpa);
        le32_put(ph + 12, (uint32_t)gpa);
        le32_put(ph + 16, (uint32_t)file_bytes);
        le32_put(ph + 20, (uint32_t)memory_bytes);
    }
}

static void image_make(bool wide)
{
    memset(image, 0, sizeof(image));
    memcpy(image, "\177ELF", 4);
    image[4] = wide ? 2 : 1;
    image[5] = 1;
    image[6] = 1;
    le16_put(image + 18, wide ? 62 : 3);
    if (wide) {
        le64_put(image + 24, LOAD_GPA + 0xFFFF800000000000ull + 8);
        le64_put(image + 32, 64);
        le16_put(image + 54, 56);
        le16_put(image + 56, 2);
    } else {
        le32_put(image + 24, LOAD_GPA + 8);
        le32_put(image + 28, 64);
        le16_put(image + 42, 32);
        le16_put(image + 44, 2);
    }
    put_segment(wide, 64, 1, CODE, LOAD_GPA, CODE_BYTES, MEM_BYTES);
    put_segment(wide, wide ? 120 : 96, 4, NOTE, 0, 36, 36);
    /* A note of somebody else first. */
    le32_put(image + NOTE, 4);
    le32_put(image + NOTE + 4, 0);
    le32_put(image + NOTE + 8, 1);
    memcpy(image + NOTE + 12, "GNU", 4);
    le32_put(image + NOTE + 16, 4);
    le32_put(image + NOTE + 20, 4);
    le32_put(image + NOTE + 24, 18);
    memcpy(image + NOTE + 28, "Xen", 4);
    le32_put(image + NOTE + 32, LOAD_GPA + 4);
    le32_put(image + MULTIBOOT, 0x1BADB002);
    le32_put(image + MULTIBOOT + 4, 3);
    le32_put(image + MULTIBOOT + 8, 0u - 0x1BADB002u - 3u);
    for (unsigned i = 0; i < CODE_BYTES; i++) {
        image[CODE + i] = (uint8_t)(i + 1);
    }
}

static struct boot_request request(uint64_t mib)
{
    struct boot_request req = {0};
    req.mem.base = ram;
    req.mem.size_bytes = mib * MIB;
    req.kernel = image;
    req.kernel_bytes = sizeof(image);
    req.cmdline = "a b";
    return req;
}

static int setup(void **s)
{
    (void)s;
    ram = malloc(4 * MIB);
    if (ram != NULL) {
        memset(ram, 0xCC, 4 * MIB);
    }
    return ram == NULL ? -1 : 0;
}

static int teardown(void **s)
{
    (void)s;
    free(ram);
    return 0;
}

static const uint8_t initrd[100] = {9, 8, 7};

static void pvh_loads(void **s)
{
    (void)s;
    for (unsigned wide = 0; wide < 2; wide++) {
        image_make(wide != 0);
        struct boot_request req = request(4);
        req.initrd = initrd;
        req.initrd_bytes = sizeof(initrd);
        req.acpi_rsdp_gpa = 0xE0000;
        assert_true(boot_load(&req, &state, &error));
        assert_int_equal(state.protocol, BOOT_PROTOCOL_PVH);
        assert_int_equal(state.rip, LOAD_GPA + 4);
        assert_int_equal(state.cr0, 0x11);
        assert_int_equal(state.efer, 0);
        assert_false(state.long_mode);
        assert_memory_equal(ram + LOAD_GPA, image + CODE, CODE_BYTES);
        assert_int_equal(ram[LOAD_GPA + CODE_BYTES], 0);
        assert_int_equal(ram[LOAD_GPA + MEM_BYTES - 1], 0);
        assert_int_equal(ram[LOAD_GPA + MEM_BYTES], 0xCC);

        const uint8_t *info = ram + state.rbx;
        assert_int_equal(le32_get(info), 0x336EC578);
        assert_int_equal(le32_get(info + 4), 1);
        assert_int_equal(le32_get(info + 12), 1);
        const uint8_t *module = ram + le64_get(info + 16);
        assert_memory_equal(ram + le64_get(module), initrd, sizeof(initrd));
        assert_int_equal(le64_get(module + 8), sizeof(initrd));
        assert_string_equal((const char *)ram + le64_get(info + 24), "a b");
        assert_int_equal(le64_get(info + 32), 0xE0000);
        assert_int_equal(le32_get(info + 48), 5);
        const uint8_t *map = ram + le64_get(info + 40);
        assert_int_equal(le64_get(map + 3 * 24), 1 * MIB);
        assert_int_equal(le64_get(map + 3 * 24 + 8), 3 * MIB);
        assert_int_equal(le32_get(map + 3 * 24 + 16), 1);
    }
}

/* What a BIOS leaves at 0x400 (IBM PS/2 and PC BIOS Interface Technical Reference, section 3). */
static void bios_data_is_there(void **s)
{
    (void)s;
    image_make(false);
    memset(ram, 0, 4 * MIB);
    struct boot_request req = request(4);
    assert_true(boot_load(&req, &state, &error));
    assert_int_equal(le16_get(ram + 0x400), 0x3f8);
    assert_int_equal(le16_get(ram + 0x40e), 0x9fc0); /* the extended area, in paragraphs */
    assert_int_equal(ram[0x9fc00], 1);               /* and its size */
    assert_int_equal(le16_get(ram + 0x410), 0x0202);
    assert_int_equal(le16_get(ram + 0x413), 639);
    assert_int_equal(ram[0x449] | ram[0x44a] | ram[0x463], 0);
    req.screen = true;
    assert_true(boot_load(&req, &state, &error));
    assert_int_equal(le16_get(ram + 0x410), 0x0222);
    assert_int_equal(ram[0x449], 3);
    assert_int_equal(le16_get(ram + 0x44a), 80);
    assert_int_equal(le16_get(ram + 0x463), 0x3d4);
    assert_int_equal(ram[0x484], 24);
    assert_int_equal(ram[0x485], 16);
    /* Nothing else up to the loader's own tables. */
    for (unsigned i = 0; i < 0x400; i++) assert_int_equal(ram[i], 0);
    for (unsigned i = 0x500; i < 0x1000; i++) assert_int_equal(ram[i], 0);
}

static void multiboot_loads_elf(void **s)
{
    (void)s;
    for (unsigned wide = 0; wide < 2; wide++) {
        image_make(wide != 0);
        image[NOTE + 24] = 99; /* no PVH note: detection goes on */
        struct boot_request req = request(4);
        req.initrd = initrd;
        req.initrd_bytes = sizeof(initrd);
        assert_true(boot_load(&req, &state, &error));
        assert_int_equal(state.protocol, BOOT_PROTOCOL_MULTIBOOT);
        assert_int_equal(state.rax, 0x2BADB002);
        assert_int_equal(state.rip, LOAD_GPA + 8); /* a virtual entry point becomes physical */
        assert_memory_equal(ram + LOAD_GPA, image + CODE, CODE_BYTES);
        const uint8_t *info = ram + state.rbx;
        assert_int_equal(le32_get(info), 0x24D);
        assert_int_equal(le32_get(info + 8), 3 * 1024);
        assert_string_equal((const char *)ram + le32_get(info + 16), "a b");
        const uint8_t *module = ram + le32_get(info + 24);
        assert_memory_equal(ram + le32_get(module), initrd, sizeof(initrd));
        assert_int_equal(le32_get(module + 4) - le32_get(module), sizeof(initrd));
        assert_int_equal(le32_get(info + 44), 5 * 24);
        assert_int_equal(le32_get(ram + le32_get(info + 48)), 20);
        assert_string_equal((const char *)ram + le32_get(info + 64), "Bulkhead");
    }
}

/* An image that is no ELF file, with the addresses in its multiboot header. */
static void flat_make(void)
{
    memset(image, 0x90, sizeof(image));
    uint8_t *h = image + 16;
    le32_put(h, 0x1BADB002);
    le32_put(h + 4, 0x10000);
    le32_put(h + 8, 0u - 0x1BADB002u - 0x10000u);
    le32_put(h + 12, LOAD_GPA + 16);
    le32_put(h + 16, LOAD_GPA);
    le32_put(h + 20, 0);
    le32_put(h + 24, LOAD_GPA + MEM_BYTES);
    le32_put(h + 28, LOAD_GPA + 64);
}

static void multiboot_loads_flat(void **s)
{
    (void)s;
    flat_make();
    struct boot_request req = request(4);
    assert_true(boot_load(&req, &state, &error));
    assert_int_equal(state.rip, LOAD_GPA + 64);
    assert_memory_equal(ram + LOAD_GPA, image, IMAGE);
    assert_int_equal(ram[LOAD_GPA + IMAGE], 0);
    assert_int_equal(ram[LOAD_GPA + MEM_BYTES], 0xCC);

    le32_put(image + 16 + 16, LOAD_GPA + 32); /* load_addr above header_addr */
    assert_false(boot_load(&req, &state, &error));
    flat_make();
    le32_put(image + 16 + 28, LOAD_GPA + MEM_BYTES); /* entry */
    assert_false(boot_load(&req, &state, &error));
    flat_make();
    le32_put(image + 16 + 24, 0xFFFFFFFF); /* bss_end_addr */
    assert_false(boot_load(&req, &state, &error));
    flat_make();
    le32_put(image + 16 + 20, LOAD_GPA + IMAGE + 1); /* load_end_addr */
    assert_false(boot_load(&req, &state, &error));
    flat_make();
    le32_put(image + 16 + 4, 0x10004); /* demands a video mode */
    le32_put(image + 16 + 8, 0u - 0x1BADB002u - 0x10004u);
    assert_false(boot_load(&req, &state, &error));
}

static bool loads_at(uint64_t gpa, uint64_t memory_bytes, enum boot_protocol protocol)
{
    struct boot_request req = request(4);
    req.protocol = protocol;
    put_segment(true, 64, 1, CODE, gpa, CODE_BYTES, memory_bytes);
    le32_put(image + NOTE + 32, (uint32_t)gpa);
    le64_put(image + 24, gpa);
    return boot_load(&req, &state, &error);
}

static void segments_stay_in_their_place(void **s)
{
    (void)s;
    image_make(true);
    for (enum boot_protocol p = BOOT_PROTOCOL_PVH; p <= BOOT_PROTOCOL_MULTIBOOT; p++) {
        assert_true(loads_at(0x10000, 4096, p));
        assert_true(loads_at(0x9F000, 4096, p));
        assert_true(loads_at(4 * MIB - 4096, 4096, p));
        assert_false(loads_at(0xFFFF, 4096, p));
        assert_false(loads_at(0x9F000, 4097, p));
        assert_false(loads_at(0xFF000, 4096, p));
        assert_false(loads_at(4 * MIB - 4096, 4097, p));
        assert_false(loads_at(UINT64_MAX - 4095, 8192, p));
        assert_false(loads_at(LOAD_GPA, UINT64_MAX, p));
        assert_false(loads_at(LOAD_GPA, CODE_BYTES - 1, p));
    }
}

static void overlap_is_refused(void **s)
{
    (void)s;
    image_make(true);
    struct boot_request req = request(4);
    req.protocol = BOOT_PROTOCOL_MULTIBOOT;
    put_segment(true, 120, 1, CODE, LOAD_GPA + MEM_BYTES, 1, 1);
    assert_true(boot_load(&req, &state, &error));
    put_segment(true, 120, 1, CODE, LOAD_GPA + MEM_BYTES - 1, 1, 1);
    assert_false(boot_load(&req, &state, &error));
}

/* Every length short of the whole: refused, with no read past the end (the copy has none to spare).
 */
static void truncated_images_are_refused(void **s)
{
    (void)s;
    for (unsigned kind = 0; kind < 3; kind++) {
        if (kind < 2) {
            image_make(kind == 1);
        } else {
            flat_make();
            le32_put(image + 16 + 20, LOAD_GPA + IMAGE); /* else any length is right */
        }
        struct boot_request req = request(4);
        for (size_t cut = 0; cut < sizeof(image); cut++) {
            uint8_t *copy = malloc(cut + 1);
            assert_non_null(copy);
            memcpy(copy + 1, image, cut);
            req.kernel = copy + 1;
            req.kernel_bytes = cut;
            for (unsigned p = 0; p <= BOOT_PROTOCOL_MULTIBOOT; p++) {
                req.protocol = (enum boot_protocol)p;
                memset(&error, 0, sizeof(error));
                assert_false(boot_load(&req, &state, &error));
                assert_non_null(error.where);
                assert_non_null(error.what);
                assert_non_null(error.remedy);
            }
            free(copy);
        }
    }
}

/* A VM of 1 MiB: the end of its memory is where a PC has its BIOS. */
static void initrd_is_kept_out_of_the_legacy_hole(void **s)
{
    (void)s;
    struct boot_request req = request(2);
    const uint64_t ends[] = {0xA0000, 0xA1000, 0x100000, 0x101000, 0x102000};
    const uint64_t at[] = {0x9F000, 0x9F000, 0x9F000, 0x100000, 0x101000};
    uint64_t gpa = 0;

    req.initrd = initrd;
    req.initrd_bytes = sizeof(initrd);
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        assert_true(boot_put_initrd(&req, 0x10000, ends[i], &gpa, &error));
        assert_int_equal(gpa, at[i]);
        assert_memory_equal(ram + gpa, initrd, sizeof(initrd));
    }
    assert_false(boot_put_initrd(&req, 0x9F001, 0x100000, &gpa, &error));
    assert_false(boot_put_initrd(&req, 0x100000, 0x100000, &gpa, &error));
}

static void damaged_images_do_no_harm(void **s)
{
    (void)s;
    uint32_t random = 1;
    struct boot_request req = request(2);
    req.initrd = initrd;
    req.initrd_bytes = sizeof(initrd);
    for (unsigned round = 0; round < 60000; round++) {
        if (round % 3 < 2) {
            image_make(round % 3 == 1);
        } else {
            flat_make();
        }
        for (unsigned k = 0; k < 1 + round % 5; k++) {
            random = random * 1664525u + 1013904223u;
            image[(random >> 8) % CODE] = (uint8_t)(random >> 24);
        }
        for (unsigned p = 0; p <= BOOT_PROTOCOL_MULTIBOOT; p++) {
            req.protocol = (enum boot_protocol)p;
            (void)boot_load(&req, &state, &error);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(pvh_loads),
        TEST(bios_data_is_there),
        TEST(multiboot_loads_elf),
        TEST(multiboot_loads_flat),
        TEST(segments_stay_in_their_place),
        TEST(overlap_is_refused),
        TEST(truncated_images_are_refused),
        TEST(initrd_is_kept_out_of_the_legacy_hole),
        TEST(damaged_images_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
