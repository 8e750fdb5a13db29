// sources: vmm/monitor/dev/ata.c vmm/monitor/dev/ata_pages.c vmm/monitor/dev/atapi.c
// sources: vmm/monitor/dev/disk.c vmm/monitor/dev/bus.c
/*
 * ATA8-ACS commands of a disk and of a CD-ROM drive as such: the whole opcode space, addresses and
 * counts at their edges, IDENTIFY data word by word, settings, logs, a full overlay.
 */
#include "dev_fixture.h"
#include "vmm/monitor/dev/ata.h"

#define SECTORS 70000u
#define OVERLAY 16u /* blocks of 4 KiB */

static uint8_t memory[(SECTORS / 8u + 1u) * 4u + 8192u + OVERLAY * 4096u];
static uint8_t cd_image[64 * 2048], data[65536u * 512u];
static struct disk disk, cd;
static struct ata_drive d, c;

static void setup(void)
{
    struct bh_monitor_disk m = {.name = "abc", .bytes = SECTORS * 512ull};

    fixture_reset();
    m.memory_bytes = bh_disk_memory_bytes(m.bytes, OVERLAY * 4096u);
    assert_true(m.memory_bytes <= sizeof(memory));
    memset(memory, 0, sizeof(memory));
    assert_true(disk_init(&disk, &m, memory));
    m = (struct bh_monitor_disk){.name = "cd",
                                 .bytes = sizeof(cd_image),
                                 .image_va = (uintptr_t)cd_image,
                                 .image_bytes = sizeof(cd_image),
                                 .flags = BH_DISK_CDROM};
    assert_true(disk_init(&cd, &m, NULL));
    ata_init(&d, &disk);
    ata_init(&c, &cd);
}

/* Carry out a command with all its data, in odd pieces. @return status */
static uint8_t run(struct ata_drive *drive, uint8_t command, uint8_t device, uint64_t lba,
                   unsigned count, unsigned features)
{
    struct ata_command cmd = {command, device, (uint16_t)features, (uint16_t)count, lba, {0}};
    uint32_t at = 0;

    ata_begin(drive, &cmd);
    while (drive->s.left) {
        uint32_t n = drive->s.left < 1234u ? drive->s.left : 1234u;

        if (!ata_move(drive, data + at, n)) break;
        at += n;
    }
    while (!ata_end(drive)) continue;
    assert_int_equal(drive->s.left, 0);
    assert_true(ata_state_valid(drive));
    return drive->s.status;
}

static uint8_t lba(uint8_t command, uint64_t first, unsigned count)
{
    return run(&d, command, 0x40 | (uint8_t)(first >> 24 & 0xf), first & 0xffffff, count, 0);
}

/* ---- */

static void test_opcodes(void **state)
{
    static const uint8_t disk_has_[] = {0x20,
                                        0x21,
                                        0x24,
                                        0x25,
                                        0x27,
                                        0x2f,
                                        0x30,
                                        0x31,
                                        0x34,
                                        0x35,
                                        0x3d,
                                        0x40,
                                        0x41,
                                        0x42,
                                        0x60,
                                        0x61,
                                        0x90,
                                        0x91,
                                        0xc6,
                                        0xc8,
                                        0xc9,
                                        0xca,
                                        0xcb,
                                        0xe0,
                                        0xe1,
                                        0xe2,
                                        0xe3,
                                        0xe5,
                                        0xe6,
                                        0xe7,
                                        0xea,
                                        0xec,
                                        0xf8,
                                        /* and when asked rightly: */ 0x06,
                                        0x29,
                                        0x39,
                                        0xc4,
                                        0xc5,
                                        0xce,
                                        0xef};
    static const uint8_t cd_has[] = {0x08,
                                     0x90,
                                     0xa1,
                                     0xe0,
                                     0xe1,
                                     0xe2,
                                     0xe3,
                                     0xe5,
                                     0xe6,
                                     /* and when asked rightly: */ 0xa0,
                                     0xef};

    for (unsigned op = 0; op < 256; op++) {
        bool on_disk = memchr(disk_has_, (int)op, sizeof(disk_has_)) != NULL;
        bool on_cd = memchr(cd_has, (int)op, sizeof(cd_has)) != NULL;
        unsigned features = op == 0x06 || op == 0x60 || op == 0x61 ? 1 : op == 0xef ? 0x02 : 0;

        setup();
        (void)lba(0xc6, 0, 8);
        memset(data, 0, 512);
        assert_int_equal(run(&d, (uint8_t)op, 0x40, 0, 1, features), on_disk ? 0x50 : 0x51);
        if (!on_disk) assert_int_equal(d.s.error, ATA_ABRT);
        (void)run(&c, 0xa0, 0, 0, 0, 0); /* the unit attention goes */
        (void)run(&c, (uint8_t)op, 0x40, 0, 1, features);
        assert_int_equal(c.s.status, on_cd ? (op == 0x08 ? 0 : 0x50) : 0x51);
        if (op == 0xec || op == 0x20) assert_int_equal(c.s.lba, 0xeb1401);
    }
}

static void test_identify(void **state)
{
    static const struct {
        uint16_t word, value;
    } rows[] = {{0, 0x0040},
                {1, SECTORS / 1008},
                {3, 16},
                {6, 63},
                {47, 0x8010},
                {49, 0x2f00},
                {50, 0x4000},
                {53, 7},
                {59, 0},
                {60, SECTORS & 0xffff},
                {61, 1},
                {63, 7},
                {64, 3},
                {75, 31},
                {76, 0x0106},
                {80, 0x01f0},
                {82, 0x4068},
                {83, 0x7400},
                {84, 0x4160},
                {85, 0x4068},
                {86, 0xb400},
                {87, 0x4160},
                {88, 0x207f},
                {100, SECTORS & 0xffff},
                {101, 1},
                {102, 0},
                {103, 0},
                {105, 1},
                {106, 0x4000},
                {169, 1},
                {217, 1},
                {222, 0x101f},
                {10, 'a' << 8 | 'b'},
                {11, 'c' << 8 | ' '},
                {27, 'B' << 8 | 'u'}};
    uint16_t w[256];
    uint8_t sum = 0;

    setup();
    assert_int_equal(lba(0xec, 0, 0), 0x50);
    memcpy(w, data, 512);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (w[rows[i].word] != rows[i].value)
            fail_msg("word %u is %04x, not %04x", rows[i].word, w[rows[i].word], rows[i].value);
    assert_int_equal(w[108] >> 12, 3);
    assert_int_equal(w[255] & 0xff, 0xa5);
    for (unsigned i = 0; i < 512; i++) sum = (uint8_t)(sum + data[i]);
    assert_int_equal(sum, 0);
    /* Settings show. */
    (void)lba(0xc6, 0, 16);
    assert_int_equal(run(&d, 0xef, 0, 0, 0, 0x82), 0x50);
    assert_int_equal(run(&d, 0xef, 0, 0, 0, 0x55), 0x50);
    assert_int_equal(run(&d, 0xef, 0, 0, 0x22, 0x03), 0x50);
    assert_int_equal(lba(0xec, 0, 0), 0x50);
    memcpy(w, data, 512);
    assert_int_equal(w[59], 0x110);
    assert_int_equal(w[85], 0x4008);
    assert_int_equal(w[63], 0x407);
    assert_int_equal(w[88], 0x7f);
    assert_int_equal(run(&d, 0xef, 0, 0, 0x23, 0x03), 0x51);
    assert_int_equal(run(&d, 0xef, 0, 0, 0x47, 0x03), 0x51);
    ata_reset(&d);
    assert_int_equal(lba(0xec, 0, 0), 0x50);
    memcpy(w, data, 512);
    assert_int_equal(w[59], 0);
    assert_int_equal(w[85], 0x4068);
    assert_int_equal(w[88], 0x207f);
    /* The CD-ROM drive. */
    assert_int_equal(run(&c, 0xa1, 0, 0, 0, 0), 0x50);
    memcpy(w, data, 512);
    assert_int_equal(w[0], 0x85c0);
    assert_int_equal(w[49], 0x0f00);
    assert_int_equal(w[82], 0x4218);
    assert_int_equal(w[83] | w[84], 0x4000);
    sum = 0;
    for (unsigned i = 0; i < 512; i++) sum = (uint8_t)(sum + data[i]);
    assert_int_equal(sum, 0);
}

static void test_addresses(void **state)
{
    setup();
    assert_int_equal(lba(0xc8, SECTORS - 1, 1), 0x50);
    assert_int_equal(lba(0xc8, SECTORS - 1, 2), 0x51);
    assert_int_equal(d.s.error, ATA_IDNF);
    assert_int_equal(lba(0xc8, SECTORS, 1), 0x51);
    assert_int_equal(lba(0xc8, 0x0fffffff, 1), 0x51);
    /* Zero: 256 of the short commands, 65536 of the long ones. */
    assert_int_equal(lba(0xc8, SECTORS - 256, 0), 0x50);
    assert_int_equal(d.s.total, 256 * 512);
    assert_int_equal(lba(0xc8, SECTORS - 255, 0), 0x51);
    assert_int_equal(run(&d, 0x25, 0x40, SECTORS - 65536, 0, 0), 0x50);
    assert_int_equal(d.s.total, 65536 * 512);
    assert_int_equal(run(&d, 0x25, 0x40, SECTORS - 65535, 0, 0), 0x51);
    assert_int_equal(run(&d, 0x25, 0x40, 0xffffffffffff, 1, 0), 0x51);
    assert_int_equal(run(&d, 0x25, 0x00, 0, 1, 0), 0x51); /* no long command without LBA */
    assert_int_equal(run(&d, 0x60, 0x40, SECTORS - 1, 31 << 3, 1), 0x50);
    assert_int_equal(d.s.tag, 31);
    /* Cylinder 2, head 3, sector 4. */
    data[0] = 0x5a;
    assert_int_equal(run(&d, 0xca, 0x40, (2 * 16 + 3) * 63 + 3, 1, 0), 0x50);
    data[0] = 0;
    assert_int_equal(run(&d, 0xc8, 0x03, 2 << 8 | 4, 1, 0), 0x50);
    assert_int_equal(data[0], 0x5a);
    assert_int_equal(run(&d, 0xc8, 0x03, 2 << 8, 1, 0), 0x51); /* sectors count from 1 */
    assert_int_equal(run(&d, 0xc8, 0x03, 2 << 8 | 64, 1, 0), 0x51);
    /* The last one, as the drive says it. */
    assert_int_equal(lba(0xf8, 0, 0), 0x50);
    assert_int_equal(d.s.lba | (uint64_t)(d.s.device & 15u) << 24, SECTORS - 1);
    assert_int_equal(run(&d, 0x27, 0x40, 0, 0, 0), 0x50);
    assert_int_equal(d.s.lba, SECTORS - 1);
    assert_int_equal(lba(0x40, SECTORS - 1, 1), 0x50);
    assert_int_equal(lba(0x40, SECTORS, 1), 0x51);
}

static void test_multiple(void **state)
{
    setup();
    assert_int_equal(lba(0xc4, 0, 1), 0x51);
    assert_int_equal(lba(0xc6, 0, 3), 0x51);
    assert_int_equal(lba(0xc6, 0, 32), 0x51);
    assert_int_equal(lba(0xc6, 0, 16), 0x50);
    assert_int_equal(lba(0xc4, 0, 40), 0x50);
    assert_int_equal(d.s.block_bytes, 16 * 512);
    assert_int_equal(lba(0xc6, 0, 0), 0x50);
    assert_int_equal(lba(0xc4, 0, 1), 0x51);
}

static void test_power(void **state)
{
    static const uint8_t to[][2] = {{0xe0, 0x00}, {0xe1, 0x80}, {0xe2, 0x00}, {0xe3, 0x80},
                                    {0xe6, 0x00}, {0xec, 0x00}, {0xc8, 0xff}};

    setup();
    assert_int_equal(lba(0xe5, 0, 0), 0x50);
    assert_int_equal(d.s.count, 0xff);
    for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        assert_int_equal(lba(to[i][0], 0, 0), 0x50);
        assert_int_equal(lba(0xe5, 0, 0), 0x50);
        assert_int_equal(d.s.count, to[i][1]);
    }
}

static void test_logs(void **state)
{
    setup();
    assert_int_equal(lba(0x2f, 0x00, 1), 0x50);
    assert_int_equal(data[0] | data[1] << 8, 1);
    for (unsigned i = 2; i < 512; i += 2)
        assert_int_equal(data[i] | data[i + 1] << 8, i == 0x20 ? 1 : 0);
    assert_int_equal(lba(0x2f, 0x10, 1), 0x50);
    assert_int_equal(data[0], 0x80);
    assert_int_equal(lba(0x2f, 0x11, 1), 0x51);
    assert_int_equal(lba(0x2f, 0x10, 2), 0x51);
    assert_int_equal(run(&d, 0x2f, 0x40, 0x110, 1, 0), 0x51);
    assert_int_equal(run(&d, 0x2f, 0x40, 0x100000010, 1, 0), 0x51);
}

/* No room for what is written: the drive says so, and goes on. */
static void test_overlay_full(void **state)
{
    setup();
    memset(data, 1, sizeof(data));
    assert_int_equal(lba(0xca, 0, OVERLAY * 8), 0x50);
    assert_int_equal(lba(0xca, 4096, 8), 0x51);
    assert_int_equal(d.s.error, ATA_ABRT);
    assert_int_equal(lba(0xca, 0, 8), 0x50);
    assert_int_equal(run(&d, 0x61, 0x40, 4096, 0, 8), 0x51);
    assert_true(d.s.queue_failed);
    disk.read_only = true;
    ata_reset(&d);
    assert_int_equal(lba(0xca, 0, 8), 0x51);
    assert_int_equal(lba(0xc8, 0, 8), 0x50);
}

static void trim_range(unsigned n, uint64_t first, uint64_t count)
{
    uint64_t range = first | count << 48;

    memcpy(data + n * 8, &range, 8);
}

static void test_trim(void **state)
{
    setup();
    memset(data, 1, 8 * 512);
    assert_int_equal(lba(0xca, 0, 8), 0x50);
    memset(data, 0, 512);
    trim_range(63, 2, 3);
    assert_int_equal(run(&d, 0x06, 0x40, 0, 1, 1), 0x50);
    assert_int_equal(lba(0xc8, 0, 8), 0x50);
    for (unsigned i = 0; i < 8; i++) assert_int_equal(data[i * 512 + 511], i < 2 || i > 4 ? 1 : 0);
    memset(data, 0, 512);
    trim_range(0, 0xffffffffffff, 0); /* ATA8-ACS, 7.10.3.1: padding, whatever its address */
    assert_int_equal(run(&d, 0x06, 0x40, 0, 1, 1), 0x50);
    memset(data, 0, 512);
    trim_range(0, SECTORS - 1, 2);
    assert_int_equal(run(&d, 0x06, 0x40, 0, 1, 1), 0x51);
    assert_int_equal(d.s.error, ATA_IDNF);
    assert_int_equal(run(&d, 0x06, 0x40, 0, 1, 0), 0x51); /* no other function than TRIM */
    assert_int_equal(run(&d, 0x06, 0x40, 0, 2, 1), 0x51);
}

/* Each command, each half-way state that data can be left in, and the next command is right. */
static void test_forgotten(void **state)
{
    struct ata_command cmd = {.device = 0x40, .count = 1, .features = 1};

    setup();
    for (unsigned op = 0; op < 256; op++)
        for (unsigned cdb = 0; cdb < 256; cdb++) {
            if (op != 0xa0 && cdb) break;
            for (unsigned n = 0; n < 2; n++) {
                struct ata_drive *drive = n ? &c : &d;

                cmd.command = (uint8_t)op;
                for (unsigned i = 0; i < 12; i++) cmd.packet[i] = (uint8_t)random_value();
                cmd.packet[0] = (uint8_t)cdb;
                ata_begin(drive, &cmd);
                if (drive->s.left > 1) assert_true(ata_move(drive, data, 1));
                assert_true(ata_state_valid(drive));
                (void)ata_end(drive);
                if (op & 1) ata_reset(drive);
                (void)run(drive, 0x2f, 0x40, 0x10, 1, 0);
                assert_int_equal(run(drive, n ? 0xa1 : 0xec, 0, 0, 0, 0), 0x50);
                assert_int_equal(data[510], 0xa5);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opcodes),      cmocka_unit_test(test_identify),
        cmocka_unit_test(test_addresses),    cmocka_unit_test(test_multiple),
        cmocka_unit_test(test_power),        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_overlay_full), cmocka_unit_test(test_trim),
        cmocka_unit_test(test_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
