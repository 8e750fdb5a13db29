// sources: kernel/arch/x86/loader_info.c
/*
 * Which memory is the system's to use, by the loader's tables: maps that overlap or contradict each
 * other, UEFI's own map beside GRUB's, tables that are damaged.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include "arch/x86/loader_info.h"

#define MB2 0x36d76289u
#define MIB 0x100000ull

/* The tables, at an address below 4 GiB as the kernel demands. */
static uint8_t *table;
static uint32_t used;
static struct loader_info info;

static void put(const void *data, uint32_t bytes)
{
    memcpy(table + used, data, bytes);
    used += bytes;
}

static void put32(uint32_t v) { put(&v, 4); }

static void put64(uint64_t v) { put(&v, 8); }

/* A module at 16 MiB, 1 MiB long; each test adds what it is about. */
static int begin(void **state)
{
    (void)state;
    if (table == NULL)
        table = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                     -1, 0);
    if (table == MAP_FAILED) return -1;
    memset(table, 0xff, 65536);
    used = 8;
    put32(3), put32(17), put32(16 * MIB), put32(17 * MIB), put64(0);
    return 0;
}

static const char *read_all(void)
{
    uint32_t total;

    put32(0), put32(8);
    total = used;
    memcpy(table, &total, 4);
    return loader_read(MB2, (uint64_t)(uintptr_t)table, &info);
}

struct e820 {
    uint64_t base, bytes;
    uint32_t type;
};

static void put_e820(const struct e820 *e, uint32_t n)
{
    put32(6), put32(16 + 24 * n), put32(24), put32(0);
    for (uint32_t i = 0; i < n; i++)
        put64(e[i].base), put64(e[i].bytes), put32(e[i].type), put32(0);
}
#define E820(...)                                                                                  \
    put_e820((struct e820[]){__VA_ARGS__},                                                         \
             sizeof((struct e820[]){__VA_ARGS__}) / sizeof(struct e820))

struct efi {
    uint32_t type;
    uint64_t base, pages, attribute;
};

/* 48 bytes an entry, as firmware does it: more than the structure has. */
static void put_efi(const struct efi *e, uint32_t n)
{
    put32(17), put32(16 + 48 * n), put32(48), put32(1);
    for (uint32_t i = 0; i < n; i++)
        put32(e[i].type), put32(0), put64(e[i].base), put64(0), put64(e[i].pages),
            put64(e[i].attribute), put64(0);
}
#define EFI(...)                                                                                   \
    put_efi((struct efi[]){__VA_ARGS__}, sizeof((struct efi[]){__VA_ARGS__}) / sizeof(struct efi))

/* How many bytes of [base, end) are in the ranges; each byte is in one range at most. */
static uint64_t given(uint64_t base, uint64_t end)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < info.nranges; i++) {
        struct ram_range r = info.ranges[i];

        for (uint32_t k = 0; k < i && r.base < r.end; k++)
            assert_true(info.ranges[k].base == info.ranges[k].end || r.base >= info.ranges[k].end ||
                        r.end <= info.ranges[k].base);
        assert_true(r.base % 4096 == 0 && r.end % 4096 == 0 && r.base <= r.end);
        if (r.base < base) r.base = base;
        if (r.end > end) r.end = end;
        if (r.base < r.end) n += r.end - r.base;
    }
    return n;
}

static void plain(void **state)
{
    (void)state;
    E820({0, 0x9fc00, 1}, {0x9fc00, 0x400, 2}, {MIB, 31 * MIB, 1}, {1ull << 32, 64 * MIB, 1});
    assert_null(read_all());
    assert_int_equal(given(0, MIB), 0);
    assert_int_equal(given(MIB, 32 * MIB), 30 * MIB); /* but for the module */
    assert_int_equal(given(16 * MIB, 17 * MIB), 0);
    assert_int_equal(given(1ull << 32, ~0ull), 64 * MIB);
    assert_int_equal(info.low_page, 0x9e000);
    assert_false(info.uefi);
}

/* Memory that two entries call RAM is given out once. */
static void overlapping_ram(void **state)
{
    (void)state;
    E820({MIB, 40 * MIB, 1}, {32 * MIB, 32 * MIB, 1}, {MIB, 40 * MIB, 1}, {50 * MIB + 1, MIB, 1});
    assert_null(read_all());
    assert_int_equal(given(0, ~0ull), 62 * MIB);
}

/* What one entry keeps stays kept, whatever the order; partial pages are kept whole. */
static void contradiction(void **state)
{
    (void)state;
    E820({20 * MIB, 2 * MIB, 2}, {MIB, 63 * MIB, 1}, {30 * MIB + 100, 8, 4}, {20 * MIB, MIB, 1});
    assert_null(read_all());
    assert_int_equal(given(20 * MIB, 22 * MIB), 0);
    assert_int_equal(given(30 * MIB, 30 * MIB + 4096), 0);
    assert_int_equal(given(0, ~0ull), 62 * MIB - 2 * MIB - 4096);
}

/* UEFI's map takes away what GRUB's calls RAM: reserved and ACPI memory, and all that firmware
 * needs at run time, even of a kind that is free otherwise. It never adds. */
static void uefi_map(void **state)
{
    (void)state;
    EFI({7, 0, 0x87, 15}, {4, 0x87000, 1, 15}, {7, MIB, 256 * 19, 15},
        {6, 20 * MIB, 256, 15 | 1ull << 63}, {5, 21 * MIB, 256, 15 | 1ull << 63},
        {0, 22 * MIB, 256, 15}, {9, 23 * MIB, 256, 15}, {10, 24 * MIB, 256, 15},
        {4, 25 * MIB, 256, 15}, {3, 26 * MIB, 256, 15}, {4, 27 * MIB, 256, 15 | 1ull << 63},
        {14, 28 * MIB, 256, 15}, {11, 29 * MIB, 256, 1}, {7, 40 * MIB, 256, 15},
        {0, 30 * MIB, ~0ull >> 8, 0});
    E820({0, 0xa0000, 1}, {MIB, 31 * MIB, 1});
    assert_null(read_all());
    assert_true(info.uefi);
    assert_int_equal(given(20 * MIB, 25 * MIB), 0);
    assert_int_equal(given(25 * MIB, 27 * MIB), 2 * MIB);
    assert_int_equal(given(27 * MIB, ~0ull), 0);
    assert_int_equal(given(0, ~0ull), 18 * MIB + 2 * MIB);
    assert_int_equal(info.low_page, 0x9f000);
}

/* The page for the other CPUs' start avoids what is kept, and the module. */
static void low_page(void **state)
{
    (void)state;
    E820({0, 0xa0000, 1}, {MIB, 31 * MIB, 1}, {0x8000, 0x98000, 2});
    assert_null(read_all());
    assert_int_equal(info.low_page, 0x7000);
    begin(NULL);
    E820({0, 0x1000, 1}, {MIB, 31 * MIB, 1});
    assert_null(read_all());
    assert_int_equal(info.low_page, 0);
    begin(NULL);
    memcpy(table + 16, (uint32_t[]){0x90000, 0xa0000}, 8);
    E820({0, 0xa0000, 1}, {MIB, 31 * MIB, 1});
    assert_null(read_all());
    assert_int_equal(info.low_page, 0x8f000);
}

/* More pieces than the table has: memory is lost, never given twice or given though kept. */
static void too_many(void **state)
{
    (void)state;
    put32(6), put32(16 + 24 * 201), put32(24), put32(0);
    put64(MIB), put64(1000 * MIB), put32(1), put32(0);
    for (uint64_t i = 0; i < 200; i++) put64((20 + 3 * i) * MIB), put64(MIB), put32(2), put32(0);
    assert_null(read_all());
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(given((20 + 3 * i) * MIB, (21 + 3 * i) * MIB), 0);
    assert_true(given(0, ~0ull) > 0);
}

/* Ends that wrap around, or lie beyond what a CPU addresses. */
static void wrap(void **state)
{
    (void)state;
    E820({MIB, ~0ull, 1}, {64 * MIB, ~0ull, 2}, {~0ull - 5, 4, 2}, {~0ull - 5000, 4999, 1});
    assert_null(read_all());
    assert_int_equal(given(0, ~0ull), 62 * MIB);
}

/* Where the RSDP's copy is; version 2's wins. */
static void rsdp(void **state)
{
    (void)state;
    E820({MIB, 31 * MIB, 1});
    put32(15), put32(8 + 36), put(table + 60000, 40);
    put32(14), put32(8 + 20), put(table + 60000, 24);
    assert_null(read_all());
    assert_int_equal(info.rsdp, (uintptr_t)table + used - 8 - 32 - 40);
}

static void damaged(void **state)
{
    (void)state;
    E820({MIB, 31 * MIB, 1});
    put32(18), put32(8);
    assert_non_null(strstr(read_all(), "boot services"));

    for (uint32_t step = 0; step < 100; step++) {
        begin(NULL);
        put32(17), put32(16 + 400), put32(step), put32(1);
        for (unsigned i = 0; i < 50; i++) put64(0);
        E820({MIB, 31 * MIB, 1});
        assert_true((read_all() == NULL) == (step >= 40 && step % 8 == 0));
    }
    begin(NULL);
    E820({MIB, 31 * MIB, 2});
    assert_non_null(strstr(read_all(), "no memory"));
    begin(NULL);
    put32(6), put32(7);
    assert_non_null(strstr(read_all(), "wrong size"));
    begin(NULL);
    put32(6), put32(8), put64(0);
    assert_non_null(read_all());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(plain, begin),
        cmocka_unit_test_setup(overlapping_ram, begin),
        cmocka_unit_test_setup(contradiction, begin),
        cmocka_unit_test_setup(uefi_map, begin),
        cmocka_unit_test_setup(low_page, begin),
        cmocka_unit_test_setup(too_many, begin),
        cmocka_unit_test_setup(wrap, begin),
        cmocka_unit_test_setup(rsdp, begin),
        cmocka_unit_test_setup(damaged, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
