// sources: vmm/monitor/dev/pflash.c vmm/monitor/dev/bus.c
/* NOR flash: reads by mode, program, erase, buffered write, wrong sequences, CFI query, mapping. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/pflash.h"

#define BASE   0xffc00000ull
#define BYTES  0x8000u
#define OFFSET 0x3000u

static uint8_t bytes[OFFSET + BYTES + 0x1000u];
static struct dev_ram ram = {bytes, sizeof(bytes)};
static bool shown, refuse;
static unsigned maps;

static bool map(void *ctx, const struct dev_ram *r, uint64_t offset, uint64_t size, uint64_t gpa,
                unsigned access)
{
    (void)ctx;
    assert_ptr_equal(r, &ram);
    assert_true(offset == OFFSET && size == BYTES && gpa == BASE);
    assert_true(access == 0 || access == (DEV_MAP_READ | DEV_MAP_EXEC));
    assert_true(shown != (access != 0));
    if (refuse) return false;
    shown = access != 0;
    maps++;
    return true;
}

static const struct dev_host flash_host = {.irq = fixture_irq, .now_ns = fixture_now, .map = map};
static struct pflash f;

static void setup(void)
{
    fixture_reset();
    shown = refuse = false;
    maps = 0;
    for (unsigned i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 7u + 3u);
    assert_true(pflash_init(&f, &bus, &flash_host, &ram, OFFSET, BASE, BYTES));
}

static uint8_t rd(unsigned at) { return (uint8_t)bus_read(&bus, BUS_MMIO, BASE + at, 1); }
static void wr(unsigned at, unsigned v) { bus_write(&bus, BUS_MMIO, BASE + at, 1, v); }

static void test_modes(void **state)
{
    (void)state;
    setup();
    assert_true(shown);
    assert_int_equal(rd(5), bytes[OFFSET + 5]);
    assert_true(bus_read(&bus, BUS_MMIO, BASE + 6, 4) ==
                ((uint32_t)bytes[OFFSET + 6] | (uint32_t)bytes[OFFSET + 7] << 8 |
                 (uint32_t)bytes[OFFSET + 8] << 16 | (uint32_t)bytes[OFFSET + 9] << 24));
    wr(0x1234, 0x70);
    assert_false(shown);
    assert_int_equal(rd(0), 0);
    assert_int_equal(rd(BYTES - 1u), 0);
    wr(0, 0x90);
    assert_int_equal(rd(0), 0x89);
    assert_int_equal(rd(1), 0x18);
    assert_int_equal(rd(2), 0);
    wr(0, 0xff);
    assert_true(shown);
    assert_int_equal(rd(2), bytes[OFFSET + 2]);
    wr(0, 0x50); /* what a driver probes with: clear status reads as the array */
    assert_true(shown);
    wr(0, 0x00);
    assert_true(shown);
    assert_int_equal(maps, 3);
}

static void test_query(void **state)
{
    (void)state;
    setup();
    wr(0x55, 0x98);
    assert_int_equal(rd(0x10), 'Q');
    assert_int_equal(rd(0x11), 'R');
    assert_int_equal(rd(0x12), 'Y');
    assert_int_equal(rd(0x13), 1);
    assert_int_equal(1u << rd(0x27), BYTES);
    assert_int_equal(1u << rd(0x2a), PFLASH_BUFFER_BYTES);
    assert_int_equal(rd(0x2c), 1);
    assert_int_equal(rd(0x2d) + 1, BYTES / PFLASH_BLOCK_BYTES);
    assert_int_equal((rd(0x2f) | rd(0x30) << 8) * 256, PFLASH_BLOCK_BYTES);
    assert_int_equal(rd(rd(0x15)), 'P');
    assert_int_equal(rd(0x33), 'I');
    assert_int_equal(rd(0), 0);
    assert_int_equal(rd(0xff), 0);
}

static void test_program_and_erase(void **state)
{
    (void)state;
    setup();
    bytes[OFFSET + 0x1001] = 0xf0;
    wr(0x1001, 0x10);
    wr(0x1001, 0x3c);
    assert_int_equal(rd(0x1001), 0x80);
    assert_int_equal(bytes[OFFSET + 0x1001], 0x30); /* bits go from 1 to 0 only */
    wr(0x1001, 0x20);
    wr(0x1001, 0xd0);
    assert_int_equal(rd(0), 0x80);
    for (unsigned i = 0; i < 0x1000; i++) assert_int_equal(bytes[OFFSET + 0x1000 + i], 0xff);
    assert_int_equal(bytes[OFFSET + 0xfff], (uint8_t)((OFFSET + 0xfff) * 7u + 3u));
    assert_int_equal(bytes[OFFSET + 0x2000], (uint8_t)((OFFSET + 0x2000) * 7u + 3u));
    wr(0x1004, 0x40);
    bus_write(&bus, BUS_MMIO, BASE + 0x1004, 4, 0x44332211);
    assert_int_equal(bytes[OFFSET + 0x1003], 0xff);
    assert_int_equal(bytes[OFFSET + 0x1004], 0x11);
    assert_int_equal(bytes[OFFSET + 0x1007], 0x44);
    assert_int_equal(bytes[OFFSET + 0x1008], 0xff);
    wr(BYTES - 1u, 0x20); /* erase, not confirmed */
    wr(BYTES - 1u, 0xff);
    assert_int_equal(rd(0), 0xb0);
    assert_int_not_equal(bytes[OFFSET + BYTES - 1u], 0xff);
    wr(0, 0x50);
    wr(0, 0x70);
    assert_int_equal(rd(0), 0);
    wr(0, 0x60); /* lock commands do nothing */
    wr(0, 0x01);
    assert_int_equal(rd(0), 0x80);
}

static void buffered(unsigned at, unsigned count)
{
    wr(at, 0xe8);
    assert_int_equal(rd(at), 0x80);
    wr(at, count - 1u);
    for (unsigned i = 0; i < count; i++) wr(at + i, 0xa0u + i);
}

static void test_buffered(void **state)
{
    (void)state;
    setup();
    memset(bytes + OFFSET, 0xff, BYTES);
    buffered(0x80, 32);
    assert_int_equal(bytes[OFFSET + 0x80], 0xff); /* not yet */
    wr(0x80, 0xd0);
    for (unsigned i = 0; i < 32; i++) assert_int_equal(bytes[OFFSET + 0x80 + i], 0xa0 + i);
    assert_int_equal(bytes[OFFSET + 0xa0], 0xff);
    assert_int_equal(rd(0), 0x80);
    buffered(0x100, 3);
    wr(0x100, 0xff); /* not confirmed */
    assert_int_equal(rd(0), 0xb0);
    assert_int_equal(bytes[OFFSET + 0x100], 0xff);
    wr(0, 0x50);
    wr(0x100, 0xe8);
    wr(0x100, 32); /* more than the buffer holds */
    assert_int_equal(rd(0), 0xb0);
    wr(0, 0x50);
    wr(0x100, 0xe8);
    wr(0x100, 3);
    wr(0x100, 1);
    wr(0x104, 1); /* beyond what was announced */
    assert_int_equal(rd(0), 0xb0);
    wr(0, 0x50);
    wr(0x100, 0xe8);
    wr(0x100, 3);
    wr(0x100, 1);
    wr(0xff, 1); /* before the first */
    assert_int_equal(rd(0), 0xb0);
    wr(0, 0x50);
    buffered(BYTES - 2u, 2); /* at the end: no byte beyond it */
    wr(BYTES - 2u, 0xd0);
    assert_int_equal(bytes[OFFSET + BYTES - 1u], 0xa1);
    assert_int_equal(bytes[OFFSET + BYTES], (uint8_t)((OFFSET + BYTES) * 7u + 3u));
}

static void test_refused(void **state)
{
    struct pflash other;

    (void)state;
    setup();
    assert_false(pflash_init(&other, &bus, &flash_host, &ram, OFFSET, BASE, 0));
    assert_false(pflash_init(&other, &bus, &flash_host, &ram, OFFSET, BASE, 0x1001));
    assert_false(pflash_init(&other, &bus, &flash_host, &ram, OFFSET, BASE, BYTES + 0x2000u));
    assert_false(pflash_init(&other, &bus, &flash_host, &ram, sizeof(bytes) + 1u, BASE, BYTES));
    wr(0, 0x70);
    refuse = true;
    wr(0, 0xff); /* cannot be mapped: read one by one */
    assert_false(shown);
    assert_int_equal(rd(7), bytes[OFFSET + 7]);
    refuse = false;
    wr(0, 0xff);
    assert_true(shown);
}

static void test_state(void **state)
{
    (void)state;
    setup();
    wr(0, 0x70);
    assert_true(pflash_state.loaded(&f));
    assert_false(shown);
    f.mode = 0;
    assert_true(pflash_state.loaded(&f));
    assert_true(shown);
    f.mode = 200;
    assert_false(pflash_state.loaded(&f));
    f.mode = 0;
    f.buffer_at = BYTES;
    assert_false(pflash_state.loaded(&f));
    f.buffer_at = 0;
    f.buffer_count = PFLASH_BUFFER_BYTES + 1u;
    assert_false(pflash_state.loaded(&f));
    f.buffer_count = 3;
    f.buffer_done = 4;
    assert_false(pflash_state.loaded(&f));
    f.buffer_done = 3;
    assert_true(pflash_state.loaded(&f));
    wr(0, 0xff);
    wr(0, 0xe8);
    wr(0, 2);
    assert_true(pflash_state.loaded(&f));
    f.buffer_done = 3; /* the next byte would be one too many */
    assert_false(pflash_state.loaded(&f));
}

static void test_hammer(void **state)
{
    static const uint8_t commands[] = {0xff, 0x90, 0x98, 0x70, 0x50, 0x40, 0x10, 0xe8, 0x20, 0x60};

    (void)state;
    setup();
    for (unsigned i = 0; i < 20000; i++) {
        wr((unsigned)random_next() % BYTES, commands[random_next() % sizeof(commands)]);
        if (random_next() & 1u) wr((unsigned)random_next() % BYTES, random_next() & 1u ? 0xd0 : 31);
        hammer(4, NULL);
    }
    for (unsigned i = 0; i < OFFSET; i++) assert_int_equal(bytes[i], (uint8_t)(i * 7u + 3u));
    for (unsigned i = OFFSET + BYTES; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], (uint8_t)(i * 7u + 3u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_program_and_erase),
        cmocka_unit_test(test_buffered),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
