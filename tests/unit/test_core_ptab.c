// sources: kernel/core/ptab.c
// Page tables over a small pool: slots, walks, large leaves, clearing; then random maps against a
// plain array of pages.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/ptab.h"

#define PAGES 40u
#define LARGE 0x80u
#define BASE  0x12300u /* pool_pfn */
uint64_t tables[PAGES][512];
uint64_t pool_pfn = BASE;
static uint32_t next_table;

static void reset(void)
{
    memset(tables, 0, sizeof(tables));
    next_table = 1; /* page 0 is the root */
}

static uint64_t leaf(uint64_t pfn, uint32_t level)
{
    return pfn * 4096u + (level > 1 ? LARGE : 0u) + 7u;
}

/* As space_commit_map() does: down to the level, tables on the way, then the leaf. */
static void map(uint64_t vpn, uint64_t pfn, uint32_t level)
{
    struct ptab_walk w = ptab_walk(0, vpn, level);

    while (w.level > level) {
        assert_true(next_table < PAGES);
        w = ptab_link(w, vpn, next_table, (BASE + next_table) * 4096ull + 7u);
        assert_int_equal(w.table, next_table);
        next_table++;
    }
    assert_int_equal(w.level, level);
    ptab_put(w, vpn, leaf(pfn, level));
}

/* What a walk finds for a page, and how far down. */
static uint64_t look(uint64_t vpn, uint32_t *level)
{
    struct ptab_walk w = ptab_walk(0, vpn, 1);

    *level = w.level;
    return tables[w.table][ptab_slot(vpn, w.level)];
}

static void arithmetic(void **state)
{
    uint64_t v = 5ull * 0x8000000 + 6 * 0x40000 + 7 * 512 + 8;

    assert_int_equal(ptab_slot(v, 4), 5);
    assert_int_equal(ptab_slot(v, 3), 6);
    assert_int_equal(ptab_slot(v, 2), 7);
    assert_int_equal(ptab_slot(v, 1), 8);
    for (uint32_t level = 1; level <= 4; level++) {
        assert_int_equal(ptab_slot(VPN_MAX - 1, level), 511);
        assert_int_equal(ptab_slot(0, level), 0);
    }
    assert_int_equal(ptab_leaf_pages(1), 1);
    assert_int_equal(ptab_leaf_pages(2), 512);
    assert_int_equal(ptab_leaf_pages(3), 512 * 512);
    assert_int_equal(ptab_entry_pfn(0x8000000012345fffull), 0x12345);
    assert_int_equal(ptab_entry_pfn(~0ull), PFN_MAX - 1);
    assert_int_equal(ptab_entry_pfn(4095), 0);
    (void)state;
}

static void leaf_level(void **state)
{
    const uint64_t g = 0x40000, m = 512;

    assert_int_equal(ptab_leaf_level(g, 3 * g, g, 3), 3);
    assert_int_equal(ptab_leaf_level(g, 3 * g, g + 1, 4), 3);
    assert_int_equal(ptab_leaf_level(g, 3 * g, g - 1, 3), 2);
    assert_int_equal(ptab_leaf_level(g + m, 3 * g, g, 3), 2);
    assert_int_equal(ptab_leaf_level(g, 3 * g + m, g, 3), 2);
    assert_int_equal(ptab_leaf_level(g, 3 * g, g, 2), 2);
    assert_int_equal(ptab_leaf_level(m, 3 * m, m, 2), 2);
    assert_int_equal(ptab_leaf_level(m, 3 * m, m - 1, 3), 1);
    assert_int_equal(ptab_leaf_level(m + 1, 3 * m, m, 3), 1);
    assert_int_equal(ptab_leaf_level(m, 3 * m + 1, m, 3), 1);
    assert_int_equal(ptab_leaf_level(g, 3 * g, g, 1), 1);
    assert_int_equal(ptab_leaf_level(0, 0, 0, 3), 1);
    (void)state;
}

static void walks(void **state)
{
    const uint64_t v = 511ull * 0x8000000 + 510 * 0x40000 + 509 * 512 + 508;
    struct ptab_walk w;
    uint32_t level;

    reset();
    w = ptab_walk(0, v, 1);
    assert_true(w.table == 0 && w.level == 4); /* nothing there */
    map(v, 0x777, 1);
    assert_int_equal(next_table, 4);
    for (uint32_t l = 1; l <= 4; l++) {
        w = ptab_walk(0, v, l);
        assert_true(w.level == l && w.table == 4 - l);
    }
    assert_int_equal(look(v, &level), leaf(0x777, 1));
    assert_int_equal(look(v - 1, &level), 0);
    assert_int_equal(level, 1);
    assert_int_equal(look(v - 512, &level), 0);
    assert_int_equal(level, 2);
    assert_int_equal(look(v - 0x40000, &level), 0);
    assert_int_equal(level, 3);
    assert_int_equal(look(v - 0x8000000, &level), 0);
    assert_int_equal(level, 4);
    /* leaves of 2 MiB and 1 GiB end the walk; bit 7 of a leaf of 4 KiB (PAT) says nothing */
    map(512 * 3, 0x4000, 2);
    assert_int_equal(look(512 * 3 + 17, &level), leaf(0x4000, 2));
    assert_int_equal(level, 2);
    map(0x40000 * 2, 0x80000, 3);
    assert_int_equal(look(0x40000 * 2 + 5000, &level), leaf(0x80000, 3));
    assert_int_equal(level, 3);
    map(512 * 4, 0x555, 1);
    w = ptab_walk(0, 512 * 4, 1);
    ptab_put(w, 512 * 4, leaf(0x555, 1) + LARGE);
    assert_int_equal(look(512 * 4, &level), leaf(0x555, 1) + LARGE);
    assert_int_equal(level, 1);
    /* bit 7 in the root is no leaf either */
    tables[0][511] |= LARGE;
    assert_int_equal(look(v, &level), leaf(0x777, 1));
    (void)state;
}

static void clear(void **state)
{
    reset();
    for (uint32_t i = 1; i < 512; i++) tables[1][i] = leaf(0x1000 + i, 1);
    assert_int_equal(ptab_clear_extent(1, 0x1000 + 5, 3), 3);
    assert_int_equal(ptab_clear_extent(1, 0x1000 + 5, 3), 0);
    for (uint32_t i = 1; i < 512; i++)
        assert_int_equal(tables[1][i], i >= 5 && i < 8 ? 0 : leaf(0x1000 + i, 1));
    assert_int_equal(ptab_clear_extent(1, 0x1000, 2), 1); /* entry 1 only */
    assert_int_equal(tables[1][1], 0);
    assert_int_equal(ptab_clear_extent(1, 0x1000 + 511, 1), 1);
    assert_int_equal(ptab_clear_extent(1, 0x1000 + 10, 0), 0);
    assert_int_equal(ptab_clear_extent(1, 0, PFN_MAX), 506);
    for (uint32_t i = 0; i < 512; i++) assert_int_equal(tables[1][i], 0);
    tables[1][3] = 7; /* frame 0 is a frame */
    assert_int_equal(ptab_clear_extent(1, 0, 1), 1);
    assert_int_equal(tables[1][3], 0);
    (void)state;
}

/* 4096 pages on eight last-level tables, some under leaves of 2 MiB. */
static void random_maps(void **state)
{
    static uint64_t page[8 * 512];
    static const uint64_t first =
        3ull * 0x8000000 + 0x40000 - 4 * 512; /* across a table of 1 GiB */
    uint32_t level;

    reset();
    memset(page, 0, sizeof(page));
    srand(5);
    for (int step = 0; step < 3000; step++) {
        uint32_t i = (uint32_t)rand() % (8 * 512);
        uint64_t pfn = 0x200u * (1u + (uint32_t)rand() % 32);

        if (step < 2) { /* two large leaves, where no table hangs yet */
            map(first + 512u * (uint32_t)step, pfn, 2);
            for (uint32_t k = 0; k < 512; k++) page[512u * (uint32_t)step + k] = leaf(pfn, 2);
        } else if (step % 50 == 0) { /* an extent goes from all tables */
            for (uint32_t t = 1; t < next_table; t++) ptab_clear_extent(t, pfn, 512);
            for (uint32_t k = 0; k < 8 * 512; k++)
                if (page[k] != 0 && ptab_entry_pfn(page[k]) - pfn < 512) page[k] = 0;
        } else if (i >= 2 * 512) {
            map(first + i, pfn + i % 512, 1);
            page[i] = leaf(pfn + i % 512, 1);
        }
        for (uint32_t k = i % 7; k < 8 * 512; k += 7)
            assert_int_equal(look(first + k, &level), page[k]);
    }
    assert_int_equal(look(first - 1, &level), 0);
    assert_int_equal(look(first + 8 * 512, &level), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(arithmetic), cmocka_unit_test(leaf_level),
                                       cmocka_unit_test(walks), cmocka_unit_test(clear),
                                       cmocka_unit_test(random_maps)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
