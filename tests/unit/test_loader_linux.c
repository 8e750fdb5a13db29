// sources: vmm/monitor/loader_mem.c vmm/monitor/dev/guest_mem.c vmm/monitor/loader_linux.c
/*
 * Unit test of the bzImage loader: a synthetic image, cut and damaged everywhere; memory of all
 * sizes; Debian's kernel when it has been fetched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "loader_mem.h"

#define MIB        (1024ull * 1024)
#define SETUP      ((4 + 1) * 512u)
#define CODE_BYTES 4096u
#define IMAGE      (SETUP + CODE_BYTES)

static uint8_t image[IMAGE];
static uint8_t *ram;
static struct boot_state state;
static struct boot_error error;

static void image_make(void)
{
    memset(image, 0, sizeof(image));
    image[0x1F1] = 4;
    le32_put(image + 0x1F4, CODE_BYTES / 16);
    le16_put(image + 0x1FE, 0xAA55);
    image[0x200] = 0xEB;
    image[0x201] = 0x6A;
    memcpy(image + 0x202, "HdrS", 4);
    le16_put(image + 0x206, 0x020F);
    image[0x211] = 1;
    le32_put(image + 0x22C, 0x7FFFFFFF);
    le32_put(image + 0x230, 0x200000);
    image[0x234] = 1;
    le16_put(image + 0x236, 0x3F);
    le32_put(image + 0x238, 2047);
    le64_put(image + 0x258, 16 * MIB);
    le32_put(image + 0x260, 1 * MIB);
    for (unsigned i = 0; i < CODE_BYTES; i++) {
        image[SETUP + i] = (uint8_t)(i * 7 + 1);
    }
}

static struct boot_request request(uint64_t mib)
{
    struct boot_request req = {0};
    req.mem.base = ram;
    req.mem.size_bytes = mib * MIB;
    req.kernel = image;
    req.kernel_bytes = sizeof(image);
    req.cmdline = "console=ttyS0";
    return req;
}

static int setup(void **s)
{
    (void)s;
    image_make();
    ram = calloc(1, 128 * MIB);
    return ram == NULL ? -1 : 0;
}

static int teardown(void **s)
{
    (void)s;
    free(ram);
    return 0;
}

static void loads_by_the_protocol(void **s)
{
    (void)s;
    struct boot_request req = request(64);
    static const uint8_t initrd[5000] = {1, 2, 3};
    req.initrd = initrd;
    req.initrd_bytes = sizeof(initrd);
    req.acpi_rsdp_gpa = 0xE0000;
    assert_true(loader_linux(&req, &state, &error));

    assert_int_equal(state.rip, 16 * MIB + 0x200);
    assert_int_equal(state.rsi, BOOT_INFO_GPA);
    assert_true(state.long_mode);
    assert_int_equal(state.efer, 0x500);
    assert_int_equal(state.cs.selector, 0x10);
    assert_int_equal(state.data.selector, 0x18);
    assert_memory_equal(ram + 16 * MIB, image + SETUP, CODE_BYTES);

    const uint8_t *params = ram + BOOT_INFO_GPA;
    assert_memory_equal(params + 0x202, "HdrS", 4);
    assert_int_equal(params[0x210], 0xFF);
    assert_int_equal(le64_get(params + 0x70), 0xE0000);
    assert_string_equal((const char *)ram + le32_get(params + 0x228), "console=ttyS0");
    const uint32_t at = le32_get(params + 0x218);
    assert_int_equal(le32_get(params + 0x21C), sizeof(initrd));
    assert_int_equal(at, 64 * MIB - 8192);
    assert_memory_equal(ram + at, initrd, sizeof(initrd));
    assert_int_equal(params[0x1EF], 0); /* sentinel */

    /* Memory map: RAM, BIOS area, hole, RAM to the end; PCI configuration space. */
    assert_int_equal(params[0x1E8], 5);
    assert_int_equal(le64_get(params + 0x2D0 + 3 * 20), 1 * MIB);
    assert_int_equal(le64_get(params + 0x2D0 + 3 * 20 + 8), 63 * MIB);
    assert_int_equal(le32_get(params + 0x2D0 + 3 * 20 + 16), 1);
    assert_int_equal(le64_get(params + 0x2D0 + 4 * 20), GUEST_ECAM_BASE);
    assert_int_equal(le64_get(params + 0x2D0 + 4 * 20 + 8), 256 * MIB);
    assert_int_equal(le32_get(params + 0x2D0 + 4 * 20 + 16), 2);

    /* Identity map of the last 2 MiB below 4 GiB; GDT as the protocol says. */
    const uint64_t pd3 = le64_get(ram + (le64_get(ram + state.cr3) & ~0xFFFull) + 24) & ~0xFFFull;
    assert_int_equal(le64_get(ram + pd3 + 511 * 8), 0xFFE00083);
    assert_int_equal(le64_get(ram + state.gdt_base + 0x10), 0x00AF9B000000FFFFull);
}

/* boot.rst, "32-bit Boot Protocol": flat segments 10h and 18h, paging off, parameters in ESI. */
static void loads_without_64_bit_entry(void **s)
{
    (void)s;
    struct boot_request req = request(64);
    le16_put(image + 0x236, 0);
    assert_true(loader_linux(&req, &state, &error));
    assert_int_equal(state.rip, 16 * MIB);
    assert_int_equal(state.rsi, BOOT_INFO_GPA);
    assert_false(state.long_mode);
    assert_int_equal(state.cr0, 0x11);
    assert_int_equal(state.efer | state.cr3 | state.cr4 | state.rbx, 0);
    assert_int_equal(state.cs.selector, 0x10);
    assert_int_equal(state.cs.attributes, 0xC09B);
    assert_int_equal(state.data.selector, 0x18);
    assert_int_equal(le64_get(ram + state.gdt_base + 0x10), 0x00CF9B000000FFFFull);
    assert_memory_equal(ram + 16 * MIB, image + SETUP, CODE_BYTES);
}

/* Every length short of the whole: refused, with no read past the end (the copy has none to spare).
 */
static void truncated_images_are_refused(void **s)
{
    (void)s;
    struct boot_request req = request(64);
    for (size_t cut = 0; cut < sizeof(image) - 15; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy + 1, image, cut);
        req.kernel = copy + 1;
        req.kernel_bytes = cut;
        memset(&error, 0, sizeof(error));
        assert_false(loader_linux(&req, &state, &error));
        assert_non_null(error.where);
        assert_non_null(error.what);
        assert_non_null(error.remedy);
        free(copy);
    }
}

/* Each byte of the header set to each of some values, and random headers: an answer, no overrun. */
static void damaged_headers_do_no_harm(void **s)
{
    (void)s;
    static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0xEB, 0xFF};
    struct boot_request req = request(64);
    static const uint8_t initrd[5000];
    req.initrd = initrd;
    req.initrd_bytes = sizeof(initrd);
    for (size_t at = 0x1F0; at < 0x290; at++) {
        for (size_t v = 0; v < sizeof(values); v++) {
            image_make();
            image[at] = values[v];
            (void)loader_linux(&req, &state, &error);
        }
    }
    uint32_t random = 1;
    for (unsigned round = 0; round < 3000; round++) {
        image_make();
        for (unsigned k = 0; k < 6; k++) {
            random = random * 1664525u + 1013904223u;
            image[0x1F1 + (random >> 8) % 0x73] = (uint8_t)(random >> 24);
        }
        memcpy(image + 0x202, "HdrS", 4);
        (void)loader_linux(&req, &state, &error);
    }
}

static bool refuses(uint64_t mib)
{
    struct boot_request req = request(mib);
    memset(&error, 0, sizeof(error));
    return !loader_linux(&req, &state, &error);
}

static void each_check_refuses(void **s)
{
    (void)s;
    assert_false(refuses(17));
    assert_true(refuses(16)); /* pref_address + init_size is 17 MiB */
    assert_int_equal(error.value, 18);

    le16_put(image + 0x206, 0x020B);
    assert_true(refuses(64));
    image_make();
    image[0x211] = 0;
    assert_true(refuses(64));
    image_make();
    le32_put(image + 0x260, CODE_BYTES - 1);
    assert_true(refuses(64));
    image_make();
    le64_put(image + 0x258, UINT64_MAX - 0xFFF);
    assert_true(refuses(64));
    image_make();
    le64_put(image + 0x258, 16 * MIB + 4096);
    assert_true(refuses(64)); /* not aligned to kernel_alignment */
    image_make();
    image[0x201] = 0xFE;
    assert_true(refuses(64)); /* header reaches into the next field of boot_params */
    image_make();
    assert_false(refuses(64));
}

static void initrd_and_cmdline_must_fit(void **s)
{
    (void)s;
    struct boot_request req = request(18);
    uint8_t *initrd = calloc(1, MIB + 1);
    req.initrd = initrd;
    req.initrd_bytes = MIB;
    assert_true(loader_linux(&req, &state, &error));
    assert_int_equal(le32_get(ram + BOOT_INFO_GPA + 0x218), 17 * MIB);
    req.initrd_bytes = MIB + 1;
    assert_false(loader_linux(&req, &state, &error));
    assert_string_equal(error.where, "initrd");
    req.initrd_bytes = UINT64_MAX;
    assert_false(loader_linux(&req, &state, &error));

    /* Below the highest address the kernel takes an initrd at. */
    req = request(64);
    req.initrd = initrd;
    req.initrd_bytes = 4096;
    le32_put(image + 0x22C, (uint32_t)(32 * MIB - 1));
    assert_true(loader_linux(&req, &state, &error));
    assert_int_equal(le32_get(ram + BOOT_INFO_GPA + 0x218), 32 * MIB - 4096);
    free(initrd);

    image_make();
    char text[2049];
    memset(text, 'x', sizeof(text));
    text[2047] = '\0';
    req = request(64);
    req.cmdline = text;
    assert_true(loader_linux(&req, &state, &error));
    text[2047] = 'x';
    text[2048] = '\0';
    assert_false(loader_linux(&req, &state, &error));
    assert_string_equal(error.where, "append");
}

/* RAM has its hole below 4 GiB; only addresses are computed here, nothing is touched. */
static void guest_memory_has_its_hole(void **s)
{
    (void)s;
    const struct guest_mem gm = {(uint8_t *)(uintptr_t)0x100000, 4096 * MIB, NULL};
    const uint64_t hole = GUEST_LOW_RAM_END;
    assert_ptr_equal(guest_mem_ptr(&gm, 0, 1), gm.base);
    assert_ptr_equal(guest_mem_ptr(&gm, hole - 1, 1), gm.base + hole - 1);
    assert_null(guest_mem_ptr(&gm, hole - 1, 2));
    assert_null(guest_mem_ptr(&gm, hole, 1));
    assert_null(guest_mem_ptr(&gm, 0xFFFFFFFF, 1));
    assert_ptr_equal(guest_mem_ptr(&gm, 1ull << 32, 1), gm.base + hole);
    assert_ptr_equal(guest_mem_ptr(&gm, (1ull << 32) + 1280 * MIB - 1, 1),
                     gm.base + 4096 * MIB - 1);
    assert_null(guest_mem_ptr(&gm, (1ull << 32) + 1280 * MIB - 1, 2));
    assert_null(guest_mem_ptr(&gm, UINT64_MAX, 2));
    assert_null(guest_mem_ptr(&gm, 4096, UINT64_MAX));
    struct memory_range map[MEMORY_MAP_MAX];
    assert_int_equal(boot_memory_map(&gm, map), 6);
    assert_int_equal(map[5].base, 1ull << 32);
    assert_int_equal(map[5].length_bytes, 1280 * MIB);
    assert_int_equal(map[3].base + map[3].length_bytes, hole);
}

static void debian_kernel_loads(void **s)
{
    (void)s;
    FILE *f = fopen("build/guests/linux/vmlinuz-cloud", "rb");
    if (f == NULL) {
        print_message("vmlinuz-cloud has not been fetched\n");
        skip();
    }
    uint8_t *kernel = malloc(32 * MIB);
    struct boot_request req = request(128);
    req.kernel = kernel;
    req.kernel_bytes = fread(kernel, 1, 32 * MIB, f);
    fclose(f);
    const bool loaded = loader_linux(&req, &state, &error);
    if (!loaded) {
        print_message("%s: %s (%llu); %s\n", error.where, error.what,
                      (unsigned long long)error.value, error.remedy);
    }
    assert_true(loaded);
    assert_true(loader_linux_detect(&req));
    req.kernel_bytes /= 2;
    assert_false(loader_linux(&req, &state, &error));
    free(kernel);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(loads_by_the_protocol),        TEST(loads_without_64_bit_entry),
        TEST(truncated_images_are_refused), TEST(damaged_headers_do_no_harm),
        TEST(each_check_refuses),           TEST(initrd_and_cmdline_must_fit),
        TEST(guest_memory_has_its_hole),    TEST(debian_kernel_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
