// sources: vmm/rt/wire.c vmm/rt/crc32c.c
/* Frames of the control channel: what is sealed comes out whole, whatever else is on the line; what
 * is damaged does not come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/rt/crc32c.h"
#include "vmm/rt/wire.h"

static struct wire_frame in, out;

/* RFC 3720, B.4: bytes as they go on the wire. */
static void test_crc(void **state)
{
    uint8_t b[48];

    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    memset(b, 0, 32);
    assert_int_equal(crc32c(0, b, 32), 0x8a9136aa);
    memset(b, 0xff, 32);
    assert_int_equal(crc32c(0, b, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++) b[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, b, 32), 0x46dd794e);
    assert_int_equal(crc32c(crc32c(0, b, 7), b + 7, 25), 0x46dd794e);
    assert_int_equal(crc32c(0, NULL, 0), 0);
}

static uint32_t make(uint32_t bytes)
{
    out.header = (struct bh_wire_header){.verb = 7, .sequence = 0x1234, .bytes = bytes};
    for (uint32_t i = 0; i < bytes && i < BH_WIRE_PAYLOAD_BYTES; i++)
        wire_payload(&out)[i] = (uint8_t)(i * 7u + bytes);
    return wire_seal(&out, BH_WIRE_REQUEST);
}

static enum wire_event feed(const uint8_t *bytes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        enum wire_event event = wire_take(&in, bytes[i]);

        if (event != WIRE_MORE) {
            assert_int_equal(i, n - 1u);
            return event;
        }
    }
    return WIRE_MORE;
}

static void test_frames(void **state)
{
    static const uint32_t sizes[] = {0, 1, 31, 32, 2047, 2048};

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        uint32_t n = make(sizes[i]);

        assert_int_equal(n, 16u + sizes[i] + 4u);
        assert_int_equal(feed((const uint8_t *)"Bx BB \0h", 8), WIRE_MORE); /* noise */
        assert_int_equal(feed(out.bytes, n), WIRE_FRAME);
        assert_int_equal(in.header.verb, 7);
        assert_int_equal(in.header.sequence, 0x1234);
        assert_int_equal(in.header.version, BH_WIRE_VERSION);
        assert_int_equal(in.header.bytes, sizes[i]);
        assert_memory_equal(wire_payload(&in), wire_payload(&out), sizes[i]);
        assert_int_equal(feed((const uint8_t *)"BB", 2), WIRE_MORE);
        assert_int_equal(feed(out.bytes + 1, n - 1u), WIRE_FRAME); /* BBh: the second counts */
    }
    assert_int_equal(make(100000), 16u + 2048u + 4u); /* cut to what a frame holds */
}

/* Any bit of a frame that is turned: no frame comes of it, and the next one does. */
static void test_damage(void **state)
{
    uint8_t damaged[64];
    uint32_t n = make(20);

    (void)state;
    for (uint32_t bit = 0; bit < n * 8u; bit++) {
        memcpy(damaged, out.bytes, n);
        damaged[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
        for (uint32_t i = 0; i < n; i++) assert_true(wire_take(&in, damaged[i]) != WIRE_FRAME);
        in.used = 0; /* a length that was made larger: the receiver's patience has ended */
        assert_int_equal(feed(out.bytes, n), WIRE_FRAME);
    }
}

static void test_noise(void **state)
{
    uint64_t r = 0x9e3779b97f4a7c15ull;

    (void)state;
    for (unsigned i = 0; i < 2000000; i++) {
        r ^= r << 13;
        r ^= r >> 7;
        r ^= r << 17;
        (void)wire_take(&in, (r & 0x300u) == 0 ? (r & 0x400u ? 'B' : 'h') : (uint8_t)(r >> 32));
        assert_true(in.used <= WIRE_FRAME_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
