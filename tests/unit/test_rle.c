// sources: vmm/rt/rle.c
/* Packed pictures: what is unpacked is what was packed, in pieces of any size; what is made up is
 * refused or stays within its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/rt/rle.h"

static uint8_t data[300000], packed[4096], back[sizeof(data)];
static uint64_t r = 0x9e3779b97f4a7c15ull;

static uint64_t random_next(void)
{
    r ^= r << 13;
    r ^= r >> 7;
    r ^= r << 17;
    return r;
}

/* Through pieces of @room bytes. @return bytes that it took in all */
static size_t through(size_t bytes, unsigned unit, size_t room)
{
    size_t at = 0, all = 0;

    memset(back, 0xee, sizeof(back));
    while (at < bytes) {
        size_t taken = 0, n = rle_pack(packed, room, data + at, bytes - at, unit, &taken);

        assert_in_range(n, 1, room);
        assert_in_range(taken, 1, bytes - at);
        assert_int_equal(rle_unpack(back + at, taken, packed, n, unit), taken);
        at += taken;
        all += n;
    }
    assert_memory_equal(back, data, bytes);
    return all;
}

static void test_round_trip(void **state)
{
    static const size_t rooms[] = {8, 9, 64, 2040, 4096};

    (void)state;
    for (unsigned unit = 1; unit <= 4; unit++)
        for (unsigned round = 0; round < 40; round++) {
            size_t bytes = (size_t)(random_next() % 5000u) + 1u;

            for (size_t i = 0; i < bytes;) { /* runs and noise */
                size_t n = (size_t)(random_next() % 300u) + 1u;
                bool run = random_next() & 1u;
                uint64_t pixel = random_next();

                for (; n != 0 && i < bytes; n--, i++)
                    data[i] = (uint8_t)(run ? pixel >> (8u * (i % unit)) : random_next());
            }
            (void)through(bytes, unit, rooms[round % 5u]);
        }
}

static void test_sizes(void **state)
{
    (void)state;
    memset(data, 7, sizeof(data));
    assert_true(through(sizeof(data), 4, 4096) <= 2u * 7u);
    assert_true(through(1, 4, 64) <= 5);
    for (size_t i = 0; i < 4096; i++) data[i] = (uint8_t)random_next();
    assert_true(through(4096, 1, 4096) <= 4096 + 4096 / 64); /* noise grows little */
}

static void test_made_up(void **state)
{
    static const uint8_t cut[] = {0xff, 1};
    static const uint8_t cut_literals[] = {5, 1, 2, 3};

    (void)state;
    assert_int_equal(rle_unpack(back, 100, cut, 2, 1), SIZE_MAX);
    assert_int_equal(rle_unpack(back, 100, cut_literals, 4, 1), SIZE_MAX);
    assert_int_equal(rle_unpack(back, 0, cut_literals, 0, 1), 0);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t in[24];
        size_t room = (size_t)(random_next() % 64u), n;

        for (unsigned k = 0; k < sizeof(in); k++) in[k] = (uint8_t)random_next();
        memset(back, 0x5a, 128);
        n = rle_unpack(back, room, in, sizeof(in), (unsigned)(random_next() % 4u) + 1u);
        assert_true(n == SIZE_MAX || n <= room);
        assert_int_equal(back[room], 0x5a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_made_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
