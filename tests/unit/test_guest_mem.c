// sources: vmm/monitor/dev/guest_mem.c
/* Guest RAM of which pieces are not there: no pointer leads into one, whatever the length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vmm/monitor/dev/guest_mem.h"

#define MIB 0x100000ul

static uint64_t absent[BH_PIECES_MAX / 64];
/* Pointers are made and not followed. */
static struct guest_mem gm = {(uint8_t *)(uintptr_t)0x10000000, 8192 * MIB, absent};

static void put(unsigned piece, bool on)
{
    absent[piece / 64u] = on ? absent[piece / 64u] | 1ull << piece % 64u
                             : absent[piece / 64u] & ~(1ull << piece % 64u);
}

static bool there(uint64_t gpa, uint64_t bytes) { return guest_mem_ptr(&gm, gpa, bytes) != NULL; }

static void holes(void **state)
{
    put(5, true);
    assert_true(there(8 * MIB, 2 * MIB));
    assert_false(there(8 * MIB, 2 * MIB + 1));
    assert_false(there(10 * MIB, 1));
    assert_false(there(12 * MIB - 1, 1));
    assert_true(there(12 * MIB, 1));
    assert_true(there(10 * MIB, 0));
    assert_false(there(0, 64 * MIB));
    put(5, false);
    assert_true(there(0, 64 * MIB));
}

/* What is above 4 GiB has the next number after what is below GUEST_LOW_RAM_END. */
static void above_4_gib(void **state)
{
    const unsigned first = (unsigned)(GUEST_LOW_RAM_END / BH_PIECE_BYTES);
    const uint64_t end = GUEST_HIGH_RAM_BASE + gm.size_bytes - GUEST_LOW_RAM_END;

    put(first, true);
    assert_true(there(GUEST_LOW_RAM_END - 1, 1));
    assert_false(there(GUEST_HIGH_RAM_BASE, 1));
    assert_true(there(GUEST_HIGH_RAM_BASE + 2 * MIB, 1));
    put(first, false);
    put(BH_PIECES_MAX - 1, true);
    assert_false(there(end - 1, 1));
    assert_true(there(end, 0));
    assert_false(there(end, 1));
    assert_false(there(GUEST_HIGH_RAM_BASE, end - GUEST_HIGH_RAM_BASE));
    put(BH_PIECES_MAX - 1, false);
    assert_true(there(GUEST_HIGH_RAM_BASE, end - GUEST_HIGH_RAM_BASE));
    for (unsigned i = 0; i < BH_PIECES_MAX; i += 511) {
        uint64_t gpa = bh_ram_gpa(i * BH_PIECE_BYTES), offset;

        assert_true(guest_mem_offset(&gm, gpa, 1, &offset));
        assert_int_equal(offset, i * BH_PIECE_BYTES);
    }
}

static void like_a_piece_at_a_time(void **state)
{
    srand(2);
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t gpa = (uint64_t)rand() % (2048 * MIB), bytes = 1 + (uint64_t)rand() % (700 * MIB);
        unsigned piece = (unsigned)rand() % BH_PIECES_MAX;
        bool hit = gpa / BH_PIECE_BYTES <= piece && piece <= (gpa + bytes - 1) / BH_PIECE_BYTES;

        put(piece, true);
        assert_int_equal(there(gpa, bytes), !hit);
        put(piece, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holes), cmocka_unit_test(above_4_gib),
                                       cmocka_unit_test(like_a_piece_at_a_time)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
