/* The host's devices are kept quiet: every function of bus 0 that was a bus master and is neither a
 * host bridge nor a display, and nothing else is written, or looked at where no device is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/root/devices.c"

static uint32_t config[256][4]; /* bus 0: ID, command and status, class, header */
static uint32_t address;
static unsigned reads, writes;

void port_out32(unsigned port, uint32_t value)
{
    assert_int_equal(port, 0xcf8);
    assert_int_equal(value >> 16, 0x8000); /* bus 0 */
    assert_true((value & 0xff) <= 12 && value % 4 == 0);
    address = value;
}

uint32_t port_in32(unsigned port)
{
    assert_int_equal(port, 0xcfc);
    reads++;
    return config[address >> 8 & 0xff][address >> 2 & 3];
}

void port_out16(unsigned port, uint16_t value)
{
    assert_int_equal(port, 0xcfc);
    assert_int_equal(address & 0xff, 4);
    config[address >> 8 & 0xff][1] = value | (config[address >> 8 & 0xff][1] & 0xffff0000u);
    writes++;
}

static void put(unsigned device, unsigned function, uint32_t class, uint16_t command,
                uint8_t header)
{
    uint32_t *c = config[device << 3 | function];

    c[0] = 0x12348086;
    c[1] = 0xf9b00000u | command;
    c[2] = class << 16 | 5;
    c[3] = (uint32_t)header << 16;
}

static unsigned command(unsigned device, unsigned function)
{
    return config[device << 3 | function][1];
}

static void laptop(void **state)
{
    memset(config, 0xff, sizeof(config));
    put(0, 0, 0x600, 6, 0);           /* host bridge */
    put(2, 0, 0x300, 7, 0);           /* display */
    put(0x14, 0, 0xc03, 0x406, 0x80); /* USB */
    put(0x14, 2, 0x500, 2, 0);        /* no bus master */
    put(0x1c, 0, 0x604, 7, 0x81);     /* ports */
    put(0x1c, 5, 0x604, 7, 0x81);
    put(0x1f, 0, 0x601, 7, 0); /* one function only, whatever is found at the others */
    put(0x1f, 3, 0x403, 6, 0);
    assert_int_equal(devices_quiet(), 4);
    assert_int_equal(writes, 4);
    assert_int_equal(command(0, 0), 0xf9b00006);
    assert_int_equal(command(2, 0), 0xf9b00007);
    assert_int_equal(command(0x14, 0), 0xf9b00402);
    assert_int_equal(command(0x14, 2), 0xf9b00002);
    assert_int_equal(command(0x1c, 0), 0xf9b00003);
    assert_int_equal(command(0x1c, 5), 0xf9b00003);
    assert_int_equal(command(0x1f, 0), 0xf9b00003);
    assert_int_equal(command(0x1f, 3), 0xf9b00006);
    assert_int_equal(devices_quiet(), 0);
}

static void no_pci(void **state)
{
    memset(config, 0xff, sizeof(config));
    reads = writes = 0;
    assert_int_equal(devices_quiet(), 0);
    assert_int_equal(writes, 0);
    assert_int_equal(reads, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(laptop), cmocka_unit_test(no_pci)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
