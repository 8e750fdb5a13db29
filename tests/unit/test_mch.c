// sources: vmm/monitor/dev/mch.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/guest_mem.c
/* Host bridge: identity, PCIEXBAR, PAM, SMRAM, memory registers (3 Series chipset data sheet, 5.1).
 */
#include "dev_fixture.h"
#include "vmm/monitor/dev/mch.h"

#define RAM_BYTES 0x200000u

static uint8_t ram[RAM_BYTES], rom_bytes[0x40000];
static struct guest_mem mem = {ram, RAM_BYTES, NULL};
static const struct dev_ram rom = {rom_bytes, sizeof(rom_bytes)};
static struct pci p;
static struct mch m;

/* What the guest's own accesses find, a byte for each 16 KiB: '.' nothing, 'o' ROM, 'r' RAM that is
 * read, 'w' RAM. */
static char shown[17];

static bool map(void *ctx, const struct dev_ram *from, uint64_t offset, uint64_t bytes,
                uint64_t gpa, unsigned access)
{
    unsigned n = (unsigned)(gpa - 0xc0000) / 0x4000;

    (void)ctx;
    assert_true(gpa >= 0xc0000 && gpa < 0x100000 && gpa % 0x4000 == 0);
    assert_int_equal(bytes, 0x4000);
    assert_true(offset + bytes <= from->size_bytes);
    assert_int_equal(shown[n] == '.', access != 0);
    if (access == 0) {
        shown[n] = '.';
        return true;
    }
    assert_int_equal(access & (DEV_MAP_READ | DEV_MAP_EXEC), DEV_MAP_READ | DEV_MAP_EXEC);
    if (from == &rom) {
        assert_int_equal(access & DEV_MAP_WRITE, 0);
        assert_int_equal(offset, sizeof(rom_bytes) - (0x100000 - gpa));
        shown[n] = 'o';
    } else {
        assert_ptr_equal(from->bytes + offset, ram + gpa);
        shown[n] = access & DEV_MAP_WRITE ? 'w' : 'r';
    }
    return true;
}

static const struct dev_host mch_host = {
    .irq = fixture_irq, .now_ns = fixture_now, .mem = &mem, .map = map};

static void event(void *ctx) { (void)ctx; }

static void setup(const struct dev_ram *with)
{
    fixture_reset();
    memset(ram, 0x11, sizeof(ram));
    memset(rom_bytes, 0x22, sizeof(rom_bytes));
    strcpy(shown, "................");
    assert_true(pci_init(&p, &bus, &mch_host, NULL, event, NULL));
    assert_true(mch_init(&m, &p, with));
}

static uint32_t get(unsigned offset, unsigned bytes)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | (offset & 0xfcu));
    return (uint32_t)bus_read(&bus, BUS_PIO, 0xcfc + (offset & 3u), bytes);
}

static void set(unsigned offset, unsigned bytes, uint32_t value)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | (offset & 0xfcu));
    bus_write(&bus, BUS_PIO, 0xcfc + (offset & 3u), bytes, value);
}

static uint64_t read1(uint64_t gpa) { return bus_read(&bus, BUS_MMIO, gpa, 1); }
static void write1(uint64_t gpa, uint8_t value) { bus_write(&bus, BUS_MMIO, gpa, 1, value); }

static void test_identity(void **state)
{
    (void)state;
    setup(NULL);
    assert_int_equal(get(0, 4), 0x29c08086);
    assert_int_equal(get(4, 2), 6);
    set(4, 2, 0);
    assert_int_equal(get(4, 2), 6);
    assert_int_equal(get(8, 4), 0x06000002);
    assert_int_equal(get(0x3d, 1), 0);
    assert_int_equal(get(0xb0, 2), 0x20); /* 2 MiB */
    assert_int_equal(get(0xa2, 2), 2);
    mem.size_bytes = 0x180000000ull; /* 6 GiB: registers only */
    setup(NULL);
    assert_int_equal(get(0xb0, 2), 0xb000);
    assert_int_equal(get(0xa0, 2), 96);
    assert_int_equal(get(0xa2, 2), 0x1000 + 6 * 1024 - 0xb00);
    mem.size_bytes = RAM_BYTES;
}

static void test_ecam(void **state)
{
    (void)state;
    setup(NULL);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xb0000000, 4), 0xffffffff);
    set(0x64, 4, 0);
    set(0x60, 4, 0xb0000001);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xb0000000, 4), 0x29c08086);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xbffffffc, 4), 0xffffffff);
    set(0x60, 4, 0xffffffff); /* length 3 is reserved */
    assert_int_equal(get(0x60, 4), 0xf0000007);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xb0000000, 4), 0xffffffff);
    set(0x60, 4, 0xec000005); /* 64 MiB */
    set(0x60, 4, 0xec000005);
    assert_int_equal(p.ecam_base, 0xec000000);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xec000000, 4), 0x29c08086);
    assert_int_equal(bus.holes[BUS_MMIO], 2);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xf0000000, 4), 0xffffffff);
    assert_int_equal(bus.holes[BUS_MMIO], 3);
    set(0x64, 4, 0xffffffff);
    assert_int_equal(get(0x64, 4), 0xf);
    assert_true(p.ecam_base == 0xfec000000ull);
    /* Written through itself. */
    bus_write(&bus, BUS_MMIO, 0xfec000060ull, 8, 0xe0000001);
    assert_int_equal(p.ecam_base, 0xe0000000);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xe0000060, 8), 0xe0000001);
}

/* Each register's two fields in turn. */
static void test_pam(void **state)
{
    static const struct {
        uint16_t reg;
        uint8_t shift, first, count;
    } fields[] = {{0x91, 0, 0, 1}, {0x91, 4, 1, 1}, {0x92, 0, 2, 1},  {0x92, 4, 3, 1},
                  {0x93, 0, 4, 1}, {0x93, 4, 5, 1}, {0x94, 0, 6, 1},  {0x94, 4, 7, 1},
                  {0x95, 0, 8, 1}, {0x95, 4, 9, 1}, {0x96, 0, 10, 1}, {0x96, 4, 11, 1},
                  {0x90, 4, 12, 4}};

    (void)state;
    setup(&rom);
    assert_string_equal(shown, "........oooooooo");
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        for (unsigned mode = 0; mode < 4; mode++) {
            uint64_t gpa = 0xc0000 + fields[i].first * 0x4000ull;
            bool has_rom = gpa >= 0xe0000;
            char want = mode == 3 ? 'w' : mode == 1 ? 'r' : has_rom ? 'o' : '.';

            setup(&rom);
            set(fields[i].reg, 1, mode << fields[i].shift);
            for (unsigned n = 0; n < 16; n++)
                assert_int_equal(shown[n], n - fields[i].first < fields[i].count ? want
                                           : n >= 8                              ? 'o'
                                                                                 : '.');
            for (uint64_t at = gpa; at < gpa + fields[i].count * 0x4000ull; at += 0x3fff) {
                uint8_t unread = has_rom ? 0x22 : 0xff;

                ram[at] = 0x11;
                assert_int_equal(read1(at), mode & 1 ? 0x11 : unread);
                write1(at, 0x33);
                assert_int_equal(ram[at], mode & 2 ? 0x33 : 0x11);
                assert_int_equal(read1(at), !(mode & 1) ? unread : mode & 2 ? 0x33 : 0x11);
            }
        }
    assert_int_equal(rom_bytes[sizeof(rom_bytes) - 1], 0x22);
    set(0x90, 4, 0xffffffff);
    set(0x94, 4, 0xffffffff);
    assert_int_equal(get(0x90, 4), 0x33333330);
    assert_int_equal(get(0x94, 4), 0x00333333);
    assert_string_equal(shown, "wwwwwwwwwwwwwwww");
    set(0x93, 1, 0x01);
    assert_true(bus_read(&bus, BUS_MMIO, 0xd3ffc, 8) == 0xffffffff11111111ull); /* across two */
}

static void test_without(void **state)
{
    (void)state;
    setup(NULL);
    assert_string_equal(shown, "................");
    assert_int_equal(read1(0xfffff), 0xff);
    mch_setup(&m);
    assert_string_equal(shown, "wwwwwwwwwwwwwwww");
    assert_int_equal(p.ecam_base, GUEST_ECAM_BASE);
    mem.size_bytes = 0xc0000; /* no RAM there at all */
    setup(&rom);
    mch_setup(&m);
    assert_string_equal(shown, "................");
    write1(0xf0000, 1);
    assert_int_equal(read1(0xf0000), 0xff);
    mem.size_bytes = RAM_BYTES;
}

static void test_smram(void **state)
{
    (void)state;
    setup(NULL);
    assert_int_equal(get(0x9d, 2), 0x3802);
    set(0x9d, 1, 0x48);
    assert_int_equal(get(0x9d, 1), 0x4a);
    set(0x9e, 1, 0xff);
    assert_int_equal(get(0x9e, 1), 0xbf);
    set(0x9d, 1, 0x58); /* lock: closes, for good */
    assert_int_equal(get(0x9d, 1), 0x1a);
    set(0x9d, 2, 0x0048);
    assert_int_equal(get(0x9d, 2), 0xbf1a);
    set(0x9d, 1, 0x20);
    assert_int_equal(get(0x9d, 1), 0x3a);
}

static void test_state(void **state)
{
    (void)state;
    setup(&rom);
    m.f.config[0x93] = 0x31; /* as loaded */
    m.f.config[0x90] = 0x30;
    m.f.config[0x9d] = 0x10;
    pci_put(m.f.config, 0x60, 4, 0xe0000001);
    assert_true(pci_function_state.loaded(&m.f));
    assert_string_equal(shown, "....rw..oooowwww");
    assert_int_equal(p.ecam_base, 0xe0000000);
    set(0x9d, 1, 0x48);
    assert_int_equal(get(0x9d, 1), 0x10);
}

static void tick(uint64_t t)
{
    (void)t;
    set(0x60 + ((unsigned)random_next() & 0x3c), 4, (uint32_t)random_value());
}

static void test_hammer(void **state)
{
    (void)state;
    setup(&rom);
    hammer(300000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_ecam),  cmocka_unit_test(test_pam),
        cmocka_unit_test(test_without),  cmocka_unit_test(test_smram), cmocka_unit_test(test_state),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
