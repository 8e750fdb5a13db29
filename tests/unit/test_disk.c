// sources: vmm/monitor/dev/disk.c
/* Disks in memory: image, overlay, zeroing, a full overlay, saved state, against a plain array. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/disk.h"

#define BLOCKS      64u
#define DISK_BYTES  (BLOCKS * DISK_BLOCK_BYTES - 512u) /* its last block is not whole */
#define IMAGE_BYTES (20u * DISK_BLOCK_BYTES + 700u)

static uint8_t image[IMAGE_BYTES + 1000u], memory[DISK_BLOCK_BYTES * (BLOCKS + 1u)];
static uint8_t model[DISK_BYTES], buf[DISK_BYTES];
static struct disk d;

static struct bh_monitor_disk config(unsigned overlay_blocks, unsigned flags)
{
    struct bh_monitor_disk c = {
        .name = "system",
        .bytes = DISK_BYTES,
        .image_va = (uintptr_t)image,
        .image_bytes = IMAGE_BYTES,
        .memory_bytes =
            bh_disk_memory_bytes(DISK_BYTES, (uint64_t)overlay_blocks * DISK_BLOCK_BYTES),
        .flags = flags,
    };

    return c;
}

static void setup(unsigned overlay_blocks)
{
    struct bh_monitor_disk c = config(overlay_blocks, 0);

    fixture_reset();
    for (unsigned i = 0; i < sizeof(image); i++) image[i] = (uint8_t)(random_next() | 1u);
    memset(memory, 0, sizeof(memory));
    memset(model, 0, sizeof(model));
    memcpy(model, image, IMAGE_BYTES);
    assert_true(disk_init(&d, &c, memory));
}

static void check_whole(void)
{
    assert_true(disk_read(&d, 0, buf, DISK_BYTES));
    assert_memory_equal(buf, model, DISK_BYTES);
}

static void test_sizes(void **state)
{
    struct bh_monitor_disk c = config(BLOCKS, 0);

    (void)state;
    assert_int_equal(bh_disk_memory_bytes(1, 0), 4096);
    assert_int_equal(bh_disk_memory_bytes(4u << 20, 1u << 20), 4096 + (1u << 20));
    assert_int_equal(bh_disk_memory_bytes((4u << 20) + 1u, 0), 8192);
    assert_true(disk_init(&d, &c, memory));
    assert_int_equal(disk_sectors(&d), DISK_BYTES / 512u);
    assert_string_equal(d.id, "system");
    assert_false(disk_init(&d, &c, NULL));
    c.memory_bytes = 0;
    assert_false(disk_init(&d, &c, memory));
    c = config(BLOCKS, 0);
    c.bytes = 0;
    assert_false(disk_init(&d, &c, memory));
    c.bytes = IMAGE_BYTES - 700u; /* the image does not fit */
    assert_false(disk_init(&d, &c, memory));
    c.bytes = DISK_BYTES + 1u;
    assert_false(disk_init(&d, &c, memory));
    c = config(0, BH_DISK_CDROM); /* no whole number of sectors */
    assert_false(disk_init(&d, &c, NULL));
    c.bytes = DISK_BYTES + 512u;
    assert_true(disk_init(&d, &c, NULL));
    assert_int_equal(d.sector_bytes, 2048);
    assert_true(d.read_only);
}

static void test_base(void **state)
{
    (void)state;
    setup(BLOCKS);
    check_whole(); /* what lies behind the image's end is not shown */
    assert_int_equal(d.used, 0);
    assert_false(disk_read(&d, DISK_BYTES, buf, 1));
    assert_false(disk_read(&d, DISK_BYTES - 1u, buf, 2));
    assert_false(disk_read(&d, UINT64_MAX, buf, 2));
    assert_false(disk_read(&d, 1, buf, UINT64_MAX));
    assert_true(disk_read(&d, DISK_BYTES, buf, 0));
    assert_false(disk_write(&d, DISK_BYTES - 1u, buf, 2));
    assert_false(disk_zero(&d, 2, UINT64_MAX));
    assert_true(disk_flush(&d));
}

static void test_read_only(void **state)
{
    struct bh_monitor_disk c = config(0, BH_DISK_READ_ONLY);

    (void)state;
    setup(BLOCKS);
    assert_true(disk_init(&d, &c, NULL));
    assert_int_equal(d.sector_bytes, 512);
    assert_false(disk_write(&d, 0, buf, 512));
    assert_false(disk_zero(&d, 0, 4096));
    check_whole();
}

static void test_like_an_array(void **state)
{
    (void)state;
    setup(BLOCKS);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t r = random_next(), at = r % DISK_BYTES, n = random_next() % 20000u;

        if ((r >> 40 & 3u) == 0) { /* whole blocks */
            at &= ~4095ull;
            n &= ~4095ull;
        }
        if (n > DISK_BYTES - at) n = DISK_BYTES - at;
        if ((r >> 50 & 3u) == 0) {
            assert_true(disk_zero(&d, at, n));
            memset(model + at, 0, n);
        } else if ((r >> 50 & 3u) == 1) {
            assert_true(disk_read(&d, at, buf, n));
            assert_memory_equal(buf, model + at, n);
        } else {
            for (uint64_t k = 0; k < n; k++) buf[k] = (uint8_t)(r >> (k & 31u));
            assert_true(disk_write(&d, at, buf, n));
            memcpy(model + at, buf, n);
        }
        assert_true(d.used <= BLOCKS);
    }
    check_whole();
    assert_int_equal(d.full, 0);
}

static void test_full(void **state)
{
    (void)state;
    setup(3);
    memset(buf, 0xaa, 4 * 4096);
    assert_true(disk_write(&d, 4096, buf, 512)); /* part of a block: the rest is kept */
    memcpy(model + 4096, buf, 512);
    assert_true(disk_write(&d, 5 * 4096, buf, 2 * 4096));
    memcpy(model + 5 * 4096, buf, 2 * 4096);
    assert_false(disk_write(&d, 9 * 4096, buf, 1));
    assert_int_equal(d.full, 1);
    assert_true(disk_write(&d, 5 * 4096 + 100, buf + 1, 100)); /* what has a block can be written */
    check_whole();
    assert_true(disk_zero(&d, 9 * 4096, 3 * 4096)); /* zeroes take no block */
    memset(model + 9 * 4096, 0, 3 * 4096);
    assert_false(disk_zero(&d, 13 * 4096 + 1, 512));
    assert_true(disk_zero(&d, 5 * 4096, 2 * 4096)); /* and give theirs back */
    memset(model + 5 * 4096, 0, 2 * 4096);
    check_whole();
    assert_true(disk_write(&d, 9 * 4096 + 5, buf, 4096)); /* two blocks */
    memcpy(model + 9 * 4096 + 5, buf, 4096);
    assert_false(disk_write(&d, 20 * 4096, buf, 1));
    check_whole();
}

/* Tables that a saved VM's file brings may say anything: nothing outside them is touched. */
static void test_hostile_tables(void **state)
{
    uint32_t entry;

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        setup(8);
        for (unsigned i = 0; i < BLOCKS; i++) {
            entry = (uint32_t)random_value() % (round & 1u ? 12u : UINT32_MAX);
            memcpy(memory + 4u * i, &entry, 4);
        }
        for (unsigned i = 0; i < 8; i++) {
            entry = (uint32_t)random_value();
            memcpy(d.overlay + i * 4096u, &entry, 4);
        }
        d.used = (uint32_t)random_next() % 12u;
        d.free_first = (uint32_t)random_next() % 12u;
        assert_int_equal(disk_state.loaded(&d), d.used <= 8 && d.free_first <= 8);
        if (!disk_state.loaded(&d)) continue;
        for (unsigned i = 0; i < 200; i++) {
            uint64_t at = random_next() % DISK_BYTES, n = random_next() % 9000u;

            if (n > DISK_BYTES - at) n = DISK_BYTES - at;
            if (i % 3u == 0) (void)disk_read(&d, at, buf, n);
            if (i % 3u == 1) (void)disk_write(&d, at, buf, n);
            if (i % 3u == 2) (void)disk_zero(&d, at, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_base),
        cmocka_unit_test(test_read_only), cmocka_unit_test(test_like_an_array),
        cmocka_unit_test(test_full),      cmocka_unit_test(test_hostile_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
