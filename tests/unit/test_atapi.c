// sources: vmm/monitor/dev/ata.c vmm/monitor/dev/ata_pages.c vmm/monitor/dev/atapi.c
// sources: vmm/monitor/dev/disk.c vmm/monitor/dev/bus.c
/*
 * Packet commands (MMC-3, SPC-3): all opcodes, sense data, what each command returns byte by byte,
 * allocation lengths, the tray.
 */
#include "dev_fixture.h"
#include "vmm/monitor/dev/atapi.h"

#define SECTORS 333000u /* the image is shorter: the rest reads as zero */

static uint8_t image[400 * 2048], data[65535 * 2048];
static struct disk cd;
static struct ata_drive d;
static uint32_t got;

static void setup_sectors(uint64_t sectors)
{
    struct bh_monitor_disk m = {.name = "cd",
                                .bytes = sectors * 2048u,
                                .image_va = (uintptr_t)image,
                                .image_bytes = sizeof(image),
                                .flags = BH_DISK_CDROM};

    fixture_reset();
    for (unsigned i = 0; i < sizeof(image); i++) image[i] = (uint8_t)(i * 31u + i / 2048u);
    assert_true(disk_init(&cd, &m, NULL));
    ata_init(&d, &cd);
}

/* @return sense: key << 16 | code << 8 | qualifier; 0: good */
static uint32_t run(const uint8_t *cdb, unsigned bytes)
{
    struct ata_command c = {.command = 0xa0, .features = 1};

    memset(c.packet, 0, sizeof(c.packet));
    memcpy(c.packet, cdb, bytes);
    memset(data, 0xee, 256);
    got = 0;
    ata_begin(&d, &c);
    while (d.s.left) {
        uint32_t n = d.s.left < 4097u ? d.s.left : 4097u;

        if (!ata_move(&d, data + got, n)) break;
        got += n;
    }
    assert_true(ata_end(&d));
    assert_int_equal(d.s.count, 3);
    if (d.s.status == 0x50) return 0;
    assert_int_equal(d.s.status, 0x51);
    assert_int_equal(d.s.error >> 4, d.s.sense_key);
    return (uint32_t)d.s.sense_key << 16 | (uint32_t)d.s.sense_asc << 8 | d.s.sense_ascq;
}

#define RUN(...) run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void setup(void)
{
    setup_sectors(SECTORS);
    assert_int_equal(RUN(0), 0x062900);
}

static void expect(const uint8_t *bytes, unsigned n)
{
    assert_int_equal(got, n);
    assert_memory_equal(data, bytes, n);
}

#define EXPECT(...) expect((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* ---- */

static void test_opcodes(void **state)
{
    static const uint8_t there[] = {0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43,
                                    0x46, 0x4a, 0x51, 0x52, 0x5a, 0xa8, 0xbb, 0xbd, 0xbe};

    for (unsigned op = 0; op < 256; op++) {
        uint32_t sense;

        setup();
        sense = RUN((uint8_t)op);
        if (memchr(there, (int)op, sizeof(there)))
            assert_true(sense == 0 || sense == 0x052400);
        else
            assert_int_equal(sense, 0x052000);
    }
}

/* SPC-3, 4.5: sense is of the last command; a unit attention is told once. */
static void test_sense(void **state)
{
    setup_sectors(SECTORS);
    assert_int_equal(RUN(0x12, 0, 0, 0, 36), 0); /* does not take it away */
    assert_int_equal(RUN(0), 0x062900);
    assert_int_equal(d.s.error, 0x60);
    assert_int_equal(RUN(0x03, 0, 0, 0, 252), 0);
    EXPECT(0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0);
    assert_int_equal(RUN(0x03, 0, 0, 0, 252), 0);
    assert_int_equal(data[2], 0);
    assert_int_equal(RUN(0), 0);
    assert_int_equal(RUN(0xff), 0x052000);
    assert_int_equal(d.s.error, 0x54);
    assert_int_equal(RUN(0x03, 0, 0, 0, 5), 0);
    EXPECT(0x70, 0, 5, 0, 0);
    /* Asked for before anything failed: the attention itself. */
    ata_reset(&d);
    assert_int_equal(RUN(0x03, 0, 0, 0, 18), 0);
    assert_int_equal(data[2], 6);
    assert_int_equal(data[12], 0x29);
    assert_int_equal(RUN(0), 0);
    /* A command that works takes the sense away. */
    assert_int_equal(RUN(0xff), 0x052000);
    assert_int_equal(RUN(0), 0);
    assert_int_equal(RUN(0x03, 0, 0, 0, 18), 0);
    assert_int_equal(data[2], 0);
}

static void test_inquiry(void **state)
{
    setup();
    assert_int_equal(RUN(0x12, 0, 0, 0, 255), 0);
    assert_int_equal(got, 36);
    assert_memory_equal(data, "\x05\x80\x05\x02\x1f\0\0\0", 8);
    assert_memory_equal(data + 8, "BulkheadCD-ROM          1.0 ", 28);
    assert_int_equal(RUN(0x12, 0, 0, 0, 0), 0);
    assert_int_equal(got, 0);
    assert_int_equal(RUN(0x12, 1, 0, 0, 255), 0x052400);
    assert_int_equal(RUN(0x12, 0, 0x80, 0, 255), 0x052400);
}

static void test_read(void **state)
{
    setup();
    assert_int_equal(RUN(0x25), 0);
    EXPECT(0, (SECTORS - 1) >> 16 & 0xff, (SECTORS - 1) >> 8 & 0xff, (SECTORS - 1) & 0xff, 0, 0, 8,
           0);
    assert_int_equal(RUN(0x28, 0, 0, 0, 0, 5, 0, 0, 3), 0);
    expect(image + 5 * 2048, 3 * 2048);
    assert_int_equal(RUN(0x28, 0, 0, 0, 0, 5, 0, 0, 0), 0);
    assert_int_equal(got, 0);
    assert_int_equal(RUN(0xa8, 0, 0, 0, 1, 1, 0, 0, 0, 143), 0);
    expect(image + 257 * 2048, 143 * 2048);
    assert_int_equal(RUN(0x28, 0, 0, 5, 0x14, 0xc7, 0, 0, 1), 0);
    assert_int_equal(RUN(0x28, 0, 0, 5, 0x14, 0xc7, 0, 0, 2), 0x052100);
    assert_int_equal(RUN(0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1), 0x052100);
    assert_int_equal(RUN(0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff), 0x052100);
    assert_int_equal(RUN(0xa8, 0, 0, 0, 0, 0, 0, 1, 0, 1),
                     0x052400); /* more than we move at once */
    assert_int_equal(RUN(0x28, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 0);
    assert_int_equal(got, 65535 * 2048);
    assert_int_equal(RUN(0x2b, 0, 0, 5, 0x14, 0xc7), 0);
    assert_int_equal(RUN(0x2b, 0, 0, 5, 0x14, 0xc8), 0x052100);
    /* READ CD: user data of mode 1 sectors, or nothing at all. */
    assert_int_equal(RUN(0xbe, 0, 0, 0, 0, 9, 0, 0, 1, 0x10), 0);
    expect(image + 9 * 2048, 2048);
    assert_int_equal(RUN(0xbe, 0, 0, 0, 0, 9, 0, 0, 1, 0), 0);
    assert_int_equal(got, 0);
    assert_int_equal(RUN(0xbe, 1 << 2, 0, 0, 0, 9, 0, 0, 1, 0x10), 0x056400);
    assert_int_equal(RUN(0xbe, 0, 0, 0, 0, 9, 0, 0, 1, 0xf8), 0x052400);
}

static void test_toc(void **state)
{
    setup();
    assert_int_equal(RUN(0x43, 0, 0, 0, 0, 0, 0, 1, 0), 0);
    EXPECT(0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, SECTORS >> 16,
           SECTORS >> 8 & 0xff, SECTORS & 0xff);
    assert_int_equal(RUN(0x43, 2, 0, 0, 0, 0, 1, 1, 0), 0); /* 333150 frames: 74:02:00 */
    EXPECT(0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 74, 2, 0);
    assert_int_equal(RUN(0x43, 0, 0, 0, 0, 0, 0xaa, 1, 0), 0);
    assert_int_equal(got, 12);
    assert_int_equal(RUN(0x43, 0, 0, 0, 0, 0, 2, 1, 0), 0x052400);
    assert_int_equal(RUN(0x43, 0, 0, 0, 0, 0, 0, 0, 4), 0);
    EXPECT(0, 18, 1, 1);
    assert_int_equal(RUN(0x43, 0, 1, 0, 0, 0, 0, 1, 0), 0);
    EXPECT(0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0);
    assert_int_equal(RUN(0x43, 2, 2, 0, 0, 0, 1, 1, 0), 0);
    EXPECT(0, 46, 1, 1, 1, 0x14, 0, 0xa0, 0, 0, 0, 0, 1, 0, 0, 1, 0x14, 0, 0xa1, 0, 0, 0, 0, 1, 0,
           0, 1, 0x14, 0, 0xa2, 0, 0, 0, 0, 74, 2, 0, 1, 0x14, 0, 1, 0, 0, 0, 0, 0, 2, 0);
    assert_int_equal(RUN(0x43, 0, 0, 0, 0, 0, 0, 1, 0, 1 << 6), 0); /* format in the last byte */
    assert_int_equal(got, 12);
    assert_int_equal(RUN(0x43, 0, 5, 0, 0, 0, 0, 1, 0), 0x052400);
}

static void test_configuration(void **state)
{
    static const uint16_t codes[] = {0, 1, 2, 3, 0x10, 0x1e, 0x1f, 0x100, 0x105};
    unsigned n = 0;

    setup();
    assert_int_equal(RUN(0x46, 0, 0, 0, 0, 0, 0, 4, 0), 0);
    assert_int_equal(data[3], got - 4);
    assert_int_equal(data[6] << 8 | data[7], 8);
    for (unsigned at = 8; at < got; at += 4u + data[at + 3]) {
        assert_int_equal(data[at] << 8 | data[at + 1], codes[n]);
        assert_int_equal(data[at + 2] & 1, codes[n] != 0x1f);
        n++;
    }
    assert_int_equal(n, 9);
    assert_int_equal(RUN(0x46, 2, 0, 0x1f, 0, 0, 0, 4, 0), 0);
    assert_int_equal(got, 12);
    assert_int_equal(data[9], 0x1f);
    assert_int_equal(RUN(0x46, 2, 0, 0x55, 0, 0, 0, 4, 0), 0);
    EXPECT(0, 0, 0, 4, 0, 0, 0, 8);
    assert_int_equal(RUN(0x46, 1, 0, 0, 0, 0, 0, 4, 0), 0);
    for (unsigned at = 8; at < got; at += 4u + data[at + 3]) assert_int_equal(data[at + 2] & 1, 1);
    assert_int_equal(RUN(0x46, 3, 0, 0, 0, 0, 0, 4, 0), 0x052400);
    setup_sectors(2000000); /* a DVD */
    assert_int_equal(RUN(0x46, 0, 0, 0, 0, 0, 0, 4, 0), 0);
    assert_int_equal(data[6] << 8 | data[7], 0x10);
}

static void test_mode_sense(void **state)
{
    setup();
    assert_int_equal(RUN(0x5a, 0, 0x2a, 0, 0, 0, 0, 1, 0), 0);
    assert_int_equal(got, 8 + 22);
    assert_int_equal(data[1], got - 2);
    assert_int_equal(data[8] | data[9] << 8, 0x2a | 20 << 8);
    assert_int_equal(data[14], 0x29);
    assert_int_equal(RUN(0x1a, 0, 0x01, 0, 255), 0);
    assert_int_equal(got, 4 + 12);
    assert_int_equal(data[0], got - 1);
    assert_int_equal(RUN(0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0), 0);
    assert_int_equal(got, 8 + 12 + 12 + 22);
    assert_int_equal(RUN(0x5a, 0, 0x6a, 0, 0, 0, 0, 1, 0), 0); /* changeable: nothing */
    for (unsigned i = 10; i < got; i++) assert_int_equal(data[i], 0);
    assert_int_equal(RUN(0x5a, 0, 0xea, 0, 0, 0, 0, 1, 0), 0x053900);
    assert_int_equal(RUN(0x5a, 0, 0x08, 0, 0, 0, 0, 1, 0), 0x052400);
}

static void test_information(void **state)
{
    setup();
    assert_int_equal(RUN(0x51, 0, 0, 0, 0, 0, 0, 1, 0), 0);
    assert_int_equal(got, 34);
    assert_memory_equal(data, "\0\x20\x0e\1\1\1\1\x20", 8);
    assert_int_equal(RUN(0x52, 1, 0, 0, 0, 1, 0, 1, 0), 0);
    assert_int_equal(got, 36);
    assert_int_equal(data[25] << 16 | data[26] << 8 | data[27], SECTORS);
    assert_int_equal(RUN(0x52, 1, 0, 0, 0, 2, 0, 1, 0), 0x052400);
    assert_int_equal(RUN(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 0);
    EXPECT(0, 0, 0, 0, 0, 1, 0, 0);
}

static void test_tray(void **state)
{
    static const uint8_t needs[] = {0x00, 0x25, 0x28, 0x2b, 0x43, 0x51, 0x52, 0xa8, 0xbe};

    setup();
    assert_int_equal(RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0);
    EXPECT(0, 6, 4, 0x10, 0, 2, 0, 0);
    assert_int_equal(RUN(0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8), 0); /* no such class */
    EXPECT(0, 2, 0x80, 0x10);
    assert_int_equal(RUN(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 0x052400);
    assert_int_equal(RUN(0x1e, 0, 0, 0, 1), 0);
    assert_int_equal(RUN(0x5a, 0, 0x2a, 0, 0, 0, 0, 1, 0), 0);
    assert_int_equal(data[14], 0x2b);
    assert_int_equal(RUN(0x1b, 0, 0, 0, 2), 0x055302);
    assert_int_equal(RUN(0x1e, 0, 0, 0, 0), 0);
    assert_int_equal(RUN(0x1b, 0, 0, 0, 0), 0); /* only stops */
    assert_int_equal(RUN(0), 0);
    assert_int_equal(RUN(0x1b, 0, 0, 0, 2), 0);
    for (unsigned i = 0; i < sizeof(needs); i++) assert_int_equal(RUN(needs[i]), 0x023a02);
    assert_int_equal(RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0);
    EXPECT(0, 6, 4, 0x10, 3, 1, 0, 0);
    assert_int_equal(RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0); /* told once */
    EXPECT(0, 6, 4, 0x10, 0, 1, 0, 0);
    assert_int_equal(RUN(0x46, 0, 0, 0, 0, 0, 0, 0, 8), 0);
    assert_int_equal(data[7], 0);
    ata_reset(&d); /* the tray stays where it is */
    assert_int_equal(RUN(0), 0x062900);
    assert_int_equal(RUN(0), 0x023a02);
    assert_int_equal(RUN(0x1b, 0, 0, 0, 3), 0);
    assert_int_equal(RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 4), 0); /* no room for the event: it stays */
    assert_int_equal(RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0);
    EXPECT(0, 6, 4, 0x10, 2, 2, 0, 0);
    assert_int_equal(RUN(0), 0x062800);
    assert_int_equal(RUN(0), 0);
}

static void test_any_packet(void **state)
{
    setup_sectors(400);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t cdb[12];

        for (unsigned k = 0; k < 12; k++) cdb[k] = (uint8_t)random_value();
        (void)run(cdb, 12);
        assert_true(ata_state_valid(&d));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opcodes),    cmocka_unit_test(test_sense),
        cmocka_unit_test(test_inquiry),    cmocka_unit_test(test_read),
        cmocka_unit_test(test_toc),        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_mode_sense), cmocka_unit_test(test_information),
        cmocka_unit_test(test_tray),       cmocka_unit_test(test_any_packet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
