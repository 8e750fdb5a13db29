// sources: vmm/monitor/dev/virtio_blk.c vmm/monitor/dev/disk.c vmm/monitor/dev/virtio.c
// sources: vmm/monitor/dev/virtio_pci.c vmm/monitor/dev/virtqueue.c vmm/monitor/dev/guest_mem.c
// sources: vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c vmm/monitor/dev/bus.c
/* virtio block device from virtio 1.2, 5.2: configuration, each request, and requests that are
 * none. */
#include "dev_fixture.h"
#include "virtio_fixture.h"
#include "vmm/monitor/dev/virtio_blk.h"

#define SECTORS 64u
#define BYTES   (SECTORS * 512u)
#define REQUEST DATA_GPA            /* header */
#define STATUS  (DATA_GPA + 0x100u) /* where the status is put */
#define BUFFER  (DATA_GPA + 0x1000u)

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2 };

static uint8_t image[BYTES], memory[0x20000];
static struct disk disk;
static struct virtio_blk blk;

static void setup(unsigned flags)
{
    struct bh_monitor_disk c = {.name = "twenty-characters-id",
                                .bytes = BYTES,
                                .image_va = (uintptr_t)image,
                                .image_bytes = BYTES,
                                .memory_bytes = bh_disk_memory_bytes(BYTES, BYTES),
                                .flags = flags};

    vf_begin();
    for (unsigned i = 0; i < BYTES; i++) image[i] = (uint8_t)(i / 512u + i);
    memset(memory, 0, sizeof(memory));
    assert_true(disk_init(&disk, &c, memory));
    assert_true(virtio_blk_init(&blk, &bus0, &vf_host, PCI_DEVFN(4, 0), &disk));
    vf_attach();
    vf_up(F_V1 | F_INDIRECT, 1);
}

/* Header, data to or from BUFFER, status. @return the status, -1: not used, -2: the device is
 * broken */
static int request(uint32_t type, uint64_t sector, uint32_t out_bytes, uint32_t in_bytes)
{
    uint64_t header[2] = {type, sector};
    unsigned idx = used_idx(0), n = 0;

    memcpy(ram + REQUEST, header, 16);
    ram[STATUS] = 0xee;
    vf_desc(0, n, REQUEST, 16, NEXT, n + 1), n++;
    if (out_bytes) vf_desc(0, n, BUFFER, out_bytes, NEXT, n + 1), n++;
    if (in_bytes) vf_desc(0, n, BUFFER, in_bytes, NEXT | WRITE, n + 1), n++;
    vf_desc(0, n, STATUS, 1, WRITE, 0);
    vf_offer(0, QSIZE, 0);
    vf_kick(0);
    if (status() & 0x40) return -2;
    if (used_idx(0) == idx) return -1;
    assert_int_equal(used_len(0, idx % QSIZE), in_bytes + 1);
    return ram[STATUS];
}

static void test_config(void **state)
{
    (void)state;
    setup(0);
    assert_int_equal(cf_read(2, 2), 0x1042);
    assert_int_equal(mr(device, 8), SECTORS);
    assert_int_equal(mr(device + 12, 4), 126); /* seg_max */
    assert_int_equal(mr(device + 20, 4), 512);
    assert_int_equal(mr(device + 24, 1), 3); /* 4 KiB underneath */
    assert_int_equal(mr(device + 36, 4), 131072);
    assert_int_equal(mr(device + 56, 1), 1);
    assert_int_equal(offered() & 0xffffff,
                     1u << 2 | 1u << 6 | 1u << 9 | 1u << 10 | 1u << 13 | 1u << 14);
    setup(BH_DISK_READ_ONLY);
    assert_int_equal(offered() & 0xffffff, 1u << 2 | 1u << 5 | 1u << 6 | 1u << 9 | 1u << 10);
}

static void test_read_write(void **state)
{
    (void)state;
    setup(0);
    assert_int_equal(request(IN, 3, 0, 1024), OK);
    assert_memory_equal(ram + BUFFER, image + 3 * 512, 1024);
    memset(ram + BUFFER, 0xab, 1536);
    assert_int_equal(request(OUT, 61, 1536, 0), OK);
    memset(ram + BUFFER, 0, 1536);
    assert_int_equal(request(IN, 61, 0, 1536), OK);
    for (unsigned i = 0; i < 1536; i++) assert_int_equal(ram[BUFFER + i], 0xab);
    assert_int_equal(request(FLUSH, 0, 0, 0), OK);
    assert_int_equal(request(IN, 0, 0, BYTES), OK);
    assert_memory_equal(ram + BUFFER, image, 61 * 512);
    /* errors: behind the end, no whole sectors, addresses that wrap */
    memset(ram + BUFFER, 0x77, 1024);
    assert_int_equal(request(IN, 63, 0, 1024), IOERR);
    for (unsigned i = 0; i < 1024; i++) assert_int_equal(ram[BUFFER + i], 0);
    assert_int_equal(request(OUT, 64, 512, 0), IOERR);
    assert_int_equal(request(OUT, UINT64_MAX, 512, 0), IOERR);
    assert_int_equal(request(IN, UINT64_MAX / 512 + 1, 0, 512), IOERR);
    assert_int_equal(request(IN, 0, 0, 511), IOERR);
    assert_int_equal(request(OUT, 0, 513, 0), IOERR);
    assert_int_equal(request(IN, 0, 0, 0), OK);
    for (unsigned type = 0; type < 32; type++)
        if (type != IN && type != OUT && type != FLUSH && type != GET_ID && type != DISCARD &&
            type != WRITE_ZEROES)
            assert_int_equal(request(type, 0, 0, 512), UNSUPP);
}

/* A request may lie in any number of buffers (2.7.4.1). */
static void test_framing(void **state)
{
    uint64_t table = DATA_GPA + 0x4000;
    unsigned n = 0;
    uint64_t header[2] = {OUT, 8};

    (void)state;
    setup(0);
    memcpy(ram + REQUEST, header, 16);
    for (unsigned i = 0; i < 512; i++) ram[BUFFER + i] = (uint8_t)(i * 3);
    set_desc(table + 16 * n, REQUEST, 3, NEXT, n + 1), n++;
    set_desc(table + 16 * n, REQUEST + 3, 12, NEXT, n + 1), n++;
    /* its last byte and the first of the data: one buffer */
    memmove(ram + REQUEST + 0x80, ram + REQUEST + 15, 1);
    memcpy(ram + REQUEST + 0x81, ram + BUFFER, 100);
    set_desc(table + 16 * n, REQUEST + 0x80, 101, NEXT, n + 1), n++;
    set_desc(table + 16 * n, BUFFER + 100, 412, NEXT, n + 1), n++;
    set_desc(table + 16 * n, STATUS, 1, WRITE, 0), n++;
    vf_desc(0, 0, table, 16 * n, INDIRECT, 0);
    vf_offer(0, QSIZE, 0);
    vf_kick(0);
    assert_int_equal(ram[STATUS], OK);
    memset(ram + STATUS, 0xee, 0x700);
    header[0] = IN;
    memcpy(ram + REQUEST, header, 16);
    vf_desc(0, 0, REQUEST, 16, NEXT, 1);
    vf_desc(0, 1, STATUS + 0x100, 1, NEXT | WRITE, 2);
    vf_desc(0, 2, STATUS + 0x101, 512, WRITE, 0); /* data and status */
    vf_offer(0, QSIZE, 0);
    vf_kick(0);
    assert_int_equal(used_len(0, 1), 513);
    assert_memory_equal(ram + STATUS + 0x100, ram + BUFFER, 512);
    assert_int_equal(ram[STATUS + 0x300], OK);
    assert_int_equal(ram[STATUS + 0x301], 0xee);
}

static void test_id(void **state)
{
    (void)state;
    setup(0);
    assert_int_equal(request(GET_ID, 0, 0, 20), OK);
    assert_memory_equal(ram + BUFFER, "twenty-characters-id", 20);
    assert_int_equal(request(GET_ID, 0, 0, 19), IOERR);
    assert_int_equal(request(GET_ID, 0, 0, 512), OK);
    assert_memory_equal(ram + BUFFER, "twenty-characters-id", 21);
}

static void range(unsigned n, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    memcpy(ram + BUFFER + 16 * n, &sector, 8);
    memcpy(ram + BUFFER + 16 * n + 8, &sectors, 4);
    memcpy(ram + BUFFER + 16 * n + 12, &flags, 4);
}

static bool zero(uint64_t from, uint64_t to)
{
    assert_int_equal(request(IN, from, 0, (uint32_t)(to - from) * 512), OK);
    for (unsigned i = 0; i < (to - from) * 512; i++)
        if (ram[BUFFER + i]) return false;
    return true;
}

static void test_ranges(void **state)
{
    (void)state;
    setup(0);
    range(0, 1, 2, 0);
    range(1, 60, 4, 1);
    assert_int_equal(request(WRITE_ZEROES, 0, 32, 0), OK);
    assert_true(zero(1, 3));
    assert_true(zero(60, 64));
    assert_false(zero(0, 1));
    assert_false(zero(3, 4));
    range(0, 9, 30, 0); /* sectors 16 to 31 are whole blocks */
    assert_int_equal(request(DISCARD, 0, 16, 0), OK);
    assert_true(zero(16, 32));
    assert_false(zero(9, 10));
    range(0, 0, 8, 1); /* unmap is for write zeroes alone */
    assert_int_equal(request(DISCARD, 0, 16, 0), UNSUPP);
    range(0, 0, 8, 2);
    assert_int_equal(request(WRITE_ZEROES, 0, 16, 0), UNSUPP);
    range(0, 60, 5, 0);
    assert_int_equal(request(WRITE_ZEROES, 0, 16, 0), IOERR);
    range(0, 60, 5, 0);
    assert_int_equal(request(DISCARD, 0, 16, 0), IOERR);
    range(0, UINT64_MAX, 1, 0);
    assert_int_equal(request(DISCARD, 0, 16, 0), IOERR);
    range(0, 0, 131073, 0);
    assert_int_equal(request(WRITE_ZEROES, 0, 16, 0), IOERR);
    range(0, 0, 8, 0);
    assert_int_equal(request(DISCARD, 0, 15, 0), IOERR);
    for (unsigned i = 0; i < 17; i++) range(i, 0, 0, 0);
    assert_int_equal(request(DISCARD, 0, 16 * 16, 0), OK);
    assert_int_equal(request(DISCARD, 0, 17 * 16, 0), IOERR);
}

static void test_read_only(void **state)
{
    (void)state;
    setup(BH_DISK_READ_ONLY);
    assert_int_equal(request(IN, 0, 0, 512), OK);
    assert_int_equal(request(OUT, 0, 512, 0), IOERR);
    range(0, 0, 8, 0);
    assert_int_equal(request(DISCARD, 0, 16, 0), IOERR);
    assert_int_equal(request(WRITE_ZEROES, 0, 16, 0), IOERR);
    assert_int_equal(request(FLUSH, 0, 0, 0), OK);
}

/* What is no request at all breaks the device, and a reset mends it. */
static void test_malformed(void **state)
{
    (void)state;
    setup(0);
    assert_int_equal(vf_exchange(0, REQUEST, 16, 0, 0), -1); /* no room for a status */
    assert_int_equal(status(), 0x4f);
    vf_up(F_V1, 1);
    assert_int_equal(vf_exchange(0, REQUEST, 15, STATUS, 1), -1);
    assert_int_equal(status(), 0x4f);
    vf_up(F_V1, 1);
    assert_int_equal(vf_exchange(0, 0, 0, STATUS, 1), -1);
    assert_int_equal(status(), 0x4f);
    vf_up(F_V1, 1);
    assert_int_equal(request(IN, 0, 0, 512), OK);
}

/* As much at once as 16 MiB of buffers, however often it is asked for; the rest by and by. */
static void test_bounded(void **state)
{
    const uint32_t piece = RAM_BYTES - BUFFER;
    const uint64_t header[2] = {IN, 0};
    unsigned done;

    (void)state;
    setup(0);
    memcpy(ram + REQUEST, header, 16);
    vf_desc(0, 0, REQUEST, 16, NEXT, 1);
    for (unsigned n = 1; n < QSIZE - 1u; n++) vf_desc(0, n, BUFFER, piece, NEXT | WRITE, n + 1);
    vf_desc(0, QSIZE - 1u, STATUS, 1, WRITE, 0);
    for (unsigned i = 0; i < QSIZE; i++) vf_offer(0, QSIZE, 0);
    for (unsigned i = 0; i < 3u; i++) {
        vf_kick(0);
        done = used_idx(0);
        assert_int_equal(done, (16u << 20) / (piece * (QSIZE - 2u)) + 1u);
    }
    now = blk.virtio.deadline_ns;
    virtio_tick(&blk.virtio, now);
    assert_int_equal(used_idx(0), QSIZE);
    assert_int_equal(ram[STATUS], IOERR);
    assert_int_equal(request(IN, 0, 0, 512), OK); /* notifications count again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),    cmocka_unit_test(test_read_write),
        cmocka_unit_test(test_framing),   cmocka_unit_test(test_id),
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
