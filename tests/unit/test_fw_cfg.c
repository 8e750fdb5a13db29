// sources: vmm/monitor/dev/fw_cfg.c vmm/monitor/dev/guest_mem.c vmm/monitor/dev/bus.c
/* fw_cfg: selector and data port, directory, DMA with every bit of its control word, bad addresses.
 */
#include "dev_fixture.h"
#include "vmm/monitor/dev/fw_cfg.h"

#define RAM_BYTES 0x400000u

static uint8_t ram[RAM_BYTES];
static const struct guest_mem mem = {ram, RAM_BYTES, NULL};
static const struct dev_host dma_host = {.irq = fixture_irq, .now_ns = fixture_now, .mem = &mem};
static struct fw_cfg f;
static const uint8_t blob[300] = {1, 2, 3, [299] = 0x99};

static void setup(void)
{
    const uint8_t cpus[2] = {4, 0};

    fixture_reset();
    memset(ram, 0xee, sizeof(ram));
    assert_true(fw_cfg_init(&f, &bus, &dma_host));
    assert_true(fw_cfg_add_value(&f, FW_CFG_CPUS, cpus, sizeof(cpus)));
    assert_true(fw_cfg_add_item(&f, FW_CFG_KERNEL, blob, 3));
    assert_true(fw_cfg_add_file(&f, "etc/blob", blob, sizeof(blob)));
    assert_true(fw_cfg_add_file(&f, "bootorder", "x", 2));
}

static void choose(unsigned key) { bus_write(&bus, BUS_PIO, 0x510, 2, key); }

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint64_t gpa, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(ram + gpa, &value, 4);
}

/* @return the control word afterwards */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    put32(0x1000, control);
    put32(0x1004, length);
    put32(0x1008, (uint32_t)(address >> 32));
    put32(0x100c, (uint32_t)address);
    bus_write(&bus, BUS_PIO, 0x514, 4, 0);
    bus_write(&bus, BUS_PIO, 0x518, 4, __builtin_bswap32(0x1000));
    return be32(ram + 0x1000);
}

static void test_ports(void **state)
{
    (void)state;
    setup();
    choose(0);
    assert_int_equal(in8(0x511), 'Q');
    assert_int_equal(in8(0x511), 'E');
    assert_int_equal(in8(0x511), 'M');
    assert_int_equal(in8(0x511), 'U');
    assert_int_equal(in8(0x511), 0);
    choose(1);
    assert_int_equal(in8(0x511), 3);
    choose(5);
    assert_int_equal(in8(0x511), 4);
    assert_int_equal(in8(0x511), 0);
    choose(0x11);
    assert_int_equal(in8(0x511), 1);
    assert_int_equal(in8(0x511), 2);
    assert_int_equal(in8(0x511), 3);
    assert_int_equal(in8(0x511), 0);
    choose(0x4005); /* with the write bit: the same item, and writes do nothing */
    out8(0x511, 0xff);
    assert_int_equal(in8(0x511), 4);
    choose(0x3fff);
    assert_int_equal(in8(0x511), 0);
    choose(0x8002);
    assert_int_equal(in8(0x511), 0);
    assert_int_equal(in8(0x510), 0xff); /* write-only */
    assert_int_equal(in8(0x513), 0xff);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x511, 2), 0xffff);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x514, 4), 0x554d4551); /* "QEMU" */
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x518, 4), 0x47464320); /* " CFG" */
    assert_int_equal(in8(0x51b), 'G');
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x51a, 4), 0xffffffff);
    choose(0);
    out8(0x510, 5); /* the selector is 16 bits wide */
    assert_int_equal(in8(0x511), 'Q');
}

static void test_directory(void **state)
{
    uint8_t d[4 + 2 * 64];

    (void)state;
    setup();
    choose(0x19);
    for (unsigned i = 0; i < sizeof(d); i++) d[i] = in8(0x511);
    assert_int_equal(be32(d), 2);
    assert_int_equal(be32(d + 4), sizeof(blob));
    assert_int_equal(be32(d + 8), 0x0020u << 16);
    assert_string_equal((const char *)d + 12, "etc/blob");
    assert_int_equal(be32(d + 68), 2);
    assert_int_equal(be32(d + 72), 0x0021u << 16);
    assert_string_equal((const char *)d + 76, "bootorder");
    assert_int_equal(in8(0x511), 0);
    choose(0x20);
    for (unsigned i = 0; i < sizeof(blob); i++) assert_int_equal(in8(0x511), blob[i]);
    assert_int_equal(in8(0x511), 0);
}

static void test_dma(void **state)
{
    (void)state;
    setup();
    assert_int_equal(dma(0x0020000a, sizeof(blob), 0x2000), 0); /* select, read */
    assert_memory_equal(ram + 0x2000, blob, sizeof(blob));
    assert_int_equal(ram[0x2000 + sizeof(blob)], 0xee);
    assert_int_equal(dma(0x00200008, 0, 0), 0); /* select */
    assert_int_equal(dma(4, 290, 0), 0);        /* skip */
    assert_int_equal(dma(2, 20, 0x3000), 0);    /* read: ten bytes and ten zeroes */
    assert_memory_equal(ram + 0x3000, blob + 290, 10);
    for (unsigned i = 10; i < 20; i++) assert_int_equal(ram[0x3000 + i], 0);
    assert_int_equal(ram[0x3000 + 20], 0xee);
    assert_int_equal(dma(4, UINT32_MAX, 0), 0);
    assert_int_equal(in8(0x511), 0);
    assert_int_equal(dma(0x00200018, 4, 0x2000), 1); /* write: refused */
    assert_int_equal(blob[0], 1);
    assert_int_equal(dma(0x0020001a, 1, 0x4000), 0); /* read goes before write */
    assert_int_equal(ram[0x4000], 1);
    assert_int_equal(dma(0, 100, 0x5000), 0); /* nothing asked for */
    assert_int_equal(ram[0x5000], 0xee);
}

static void test_bad_dma(void **state)
{
    (void)state;
    setup();
    assert_int_equal(dma(0x0020000a, 4, RAM_BYTES - 2u), 1);
    assert_int_equal(ram[RAM_BYTES - 2u], 0xee);
    assert_int_equal(dma(0x0020000a, 4, UINT64_MAX - 1u), 1);
    assert_int_equal(dma(0x0020000a, 4, 1ull << 40), 1);
    assert_int_equal(dma(0x0020000a, UINT32_MAX, 0), 1);
    assert_int_equal(dma(0x0020000a, 0x200000, 0x2000), 1); /* zeroes without end */
    assert_int_equal(ram[0x2000], 0xee);
    assert_int_equal(dma(0x0020000a, 0x100000 + sizeof(blob), 0x2000), 0);
    assert_int_equal(ram[0x2000 + 0x100000 + sizeof(blob) - 1u], 0);
    /* Control words that are not in RAM, or only in part; the upper half counts for one access. */
    for (uint32_t gpa = RAM_BYTES - 15u; gpa < RAM_BYTES + 2u; gpa++)
        bus_write(&bus, BUS_PIO, 0x518, 4, __builtin_bswap32(gpa));
    bus_write(&bus, BUS_PIO, 0x514, 4, __builtin_bswap32(1));
    bus_write(&bus, BUS_PIO, 0x518, 4, __builtin_bswap32(0x1000));
    put32(0x1000, 0x0020000a);
    put32(0x1004, 1);
    put32(0x1008, 0);
    put32(0x100c, 0x6000);
    bus_write(&bus, BUS_PIO, 0x518, 4, __builtin_bswap32(0x1000));
    assert_int_equal(be32(ram + 0x1000), 0);
    assert_int_equal(ram[0x6000], 1);
    /* The answer overwrites the request. */
    assert_int_equal(dma(0x0020000a, 32, 0x0ff8), 0);
}

static void test_limits(void **state)
{
    char name[64] = "";

    (void)state;
    setup();
    memset(name, 'a', 56);
    assert_false(fw_cfg_add_file(&f, name, blob, 1));
    name[55] = '\0';
    assert_true(fw_cfg_add_file(&f, name, blob, 1));
    for (unsigned i = 3; i < FW_CFG_FILES_MAX; i++) assert_true(fw_cfg_add_file(&f, "n", blob, i));
    assert_false(fw_cfg_add_file(&f, "n", blob, 1));
    assert_false(fw_cfg_add_value(&f, 2, blob, FW_CFG_VALUE_BYTES + 1u));
    for (unsigned i = 4; i < FW_CFG_KEYS_MAX; i++)
        assert_true(fw_cfg_add_value(&f, 2, blob, FW_CFG_VALUE_BYTES));
    assert_false(fw_cfg_add_value(&f, 2, blob, 1));
    assert_false(fw_cfg_add_item(&f, 2, blob, 1));
    choose(0x19);
    assert_int_equal(dma(2, sizeof(f.directory), 0x2000), 0);
    assert_int_equal(be32(ram + 0x2000), FW_CFG_FILES_MAX);
    f.offset = 2;
    f.selector = 0x20;
    assert_true(fw_cfg_state.loaded(&f));
    f.offset = sizeof(blob) + 1u;
    assert_false(fw_cfg_state.loaded(&f));
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned n = 0; n < 4096; n += 8) {
            uint64_t r = random_value();

            memcpy(ram + (random_next() & 0x3ff000u) + n, &r, 8);
        }
        hammer(20, NULL);
        choose((unsigned)random_next() & 0x3fu);
        (void)dma((uint32_t)random_value(), (uint32_t)random_value(), random_value());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),  cmocka_unit_test(test_directory),
        cmocka_unit_test(test_dma),    cmocka_unit_test(test_bad_dma),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
