// sources: vmm/rt/random.c
/* ChaCha20's block function by RFC 8439's example; a stream that does not repeat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/rt/random.h"

static void test_block(void **state)
{
    static const uint8_t want[64] = {
        /* RFC 8439, 2.3.2 */
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
    static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
    uint8_t key[32], out[64];
    uint32_t words[8];

    (void)state;
    for (unsigned i = 0; i < 32; i++) key[i] = (uint8_t)i;
    memcpy(words, key, 32);
    chacha20_block(words, 1, nonce, out);
    assert_memory_equal(out, want, 64);
}

static void test_stream(void **state)
{
    static const uint64_t seed[4] = {1, 2, 3, 4};
    static uint8_t a[4096], b[4096];
    struct random r, s;
    unsigned ones = 0;

    (void)state;
    random_init(&r, seed);
    random_init(&s, seed);
    random_fill(&r, a, sizeof(a));
    random_fill(&s, b, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
    random_fill(&r, b, sizeof(b));
    for (unsigned i = 0; i + 8 <= sizeof(a); i += 8) assert_memory_not_equal(a + i, b + i, 8);
    for (unsigned i = 0; i < sizeof(a); i++) ones += (unsigned)__builtin_popcount(a[i]);
    assert_in_range(ones, 4096 * 4 - 500, 4096 * 4 + 500);
    /* Every length; nothing beyond it is written, the key changes each time. */
    for (unsigned n = 0; n < 300; n++) {
        memset(a, 0, sizeof(a));
        s = r;
        random_fill(&r, a, n);
        assert_memory_not_equal(&r, &s, sizeof(r));
        for (unsigned i = n; i < n + 64; i++) assert_int_equal(a[i], 0);
        random_fill(&s, b, 300);
        assert_memory_equal(a, b, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_block), cmocka_unit_test(test_stream)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
