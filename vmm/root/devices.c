/* PCI devices kept quiet; see devices.h. */
#include "devices.h"
#include <stdint.h>
#include "log.h"

/* PCI Local Bus 3.0, 3.2.2.3.2 and 6.1. */
#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define ENABLE         0x80000000u
enum { ID = 0, COMMAND = 4, CLASS = 8, HEADER = 12 };
#define BUS_MASTER    4u
#define MULTIFUNCTION 0x800000u
#define CLASS_DISPLAY 3u
#define HOST_BRIDGE   0x600u /* class and subclass */

static uint32_t read(unsigned function, unsigned reg)
{
    port_out32(CONFIG_ADDRESS, ENABLE | function << 8 | reg);
    return port_in32(CONFIG_DATA);
}

static unsigned function_quiet(unsigned function)
{
    uint32_t class = read(function, CLASS) >> 16, command = read(function, COMMAND) & 0xffffu;

    if (class >> 8 == CLASS_DISPLAY || class == HOST_BRIDGE || (command & BUS_MASTER) == 0)
        return 0;
    port_out32(CONFIG_ADDRESS, ENABLE | function << 8 | COMMAND);
    /* 16 bits: the status register behind it is cleared by ones. */
    port_out16(CONFIG_DATA, (uint16_t)(command & ~BUS_MASTER));
    return 1;
}

unsigned devices_quiet(void)
{
    unsigned n = 0;

    for (unsigned device = 0; device < 32u; device++) {
        unsigned functions = read(device << 3, HEADER) & MULTIFUNCTION ? 8u : 1u;

        if (read(device << 3, ID) == 0xffffffffu) continue;
        for (unsigned f = device << 3; f < (device << 3) + functions; f++)
            if (read(f, ID) != 0xffffffffu) n += function_quiet(f);
    }
    return n;
}
