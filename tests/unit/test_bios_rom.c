// sources: vmm/monitor/dev/bios_rom.c vmm/monitor/dev/bus.c
/* Firmware ROM: ends at 4 GiB, is read and executed, never written. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/bios_rom.h"

#define ROM_BYTES 0x40000u
#define BASE      (0x100000000ull - ROM_BYTES)

static uint8_t rom_bytes[ROM_BYTES];
static const struct dev_ram rom = {rom_bytes, ROM_BYTES};
static unsigned maps;
static bool refuse;

static bool map(void *ctx, const struct dev_ram *r, uint64_t offset, uint64_t bytes, uint64_t gpa,
                unsigned access)
{
    (void)ctx;
    assert_ptr_equal(r, &rom);
    assert_true(offset == 0 && bytes == ROM_BYTES && gpa == BASE);
    assert_int_equal(access, DEV_MAP_READ | DEV_MAP_EXEC);
    maps++;
    return !refuse;
}

static const struct dev_host rom_host = {.irq = fixture_irq, .now_ns = fixture_now, .map = map};

static void test_all(void **state)
{
    (void)state;
    fixture_reset();
    for (unsigned i = 0; i < ROM_BYTES; i++) rom_bytes[i] = (uint8_t)(i * 13u);
    assert_true(bios_rom_init(&bus, &rom_host, &rom));
    assert_int_equal(maps, 1);
    for (unsigned i = 0; i < ROM_BYTES; i += 61u)
        assert_int_equal(bus_read(&bus, BUS_MMIO, BASE + i, 1), rom_bytes[i]);
    bus_write(&bus, BUS_MMIO, 0xfffffff0u, 4, 0);
    assert_int_equal(rom_bytes[ROM_BYTES - 16u], (uint8_t)((ROM_BYTES - 16u) * 13u));
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xfffffffeu, 2),
                     rom_bytes[ROM_BYTES - 2u] | rom_bytes[ROM_BYTES - 1u] << 8);
    assert_int_equal(bus_read(&bus, BUS_MMIO, BASE - 1u, 1), 0xff);
    hammer(1000, NULL);
    refuse = true;
    fixture_reset();
    assert_false(bios_rom_init(&bus, &rom_host, &rom));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
