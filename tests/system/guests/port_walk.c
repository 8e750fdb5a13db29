/*
 * Fact: every I/O port but those of this PC's devices reads all ones and drops writes: the whole
 * table, port by port. Ports of PCI devices (base address registers) go with the decoding that
 * their command registers switch off (PCI 3.0, 6.2.2).
 */
#include "guest.h"

/* What the virtual PC has: PIC, PIT, i8042, port 0x61, RTC, serial port, ELCR, ACPI, APM, PCI, the
 * debug-exit port. */
static const struct {
    uint16_t first, last;
} devices[] = {{0x20, 0x21}, {0x40, 0x43},   {0x60, 0x61},   {0x64, 0x64},
               {0x70, 0x71}, {0xa0, 0xa1},   {0xf4, 0xf7},   {0x3f8, 0x3ff},
               {0xb2, 0xb3}, {0x4d0, 0x4d1}, {0x600, 0x67f}, {0xcf8, 0xcff}};

static bool device(uint32_t port)
{
    for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        if (port >= devices[i].first && port <= devices[i].last) return true;
    return false;
}

/* Wide accesses at every eleventh port, and wherever they would reach into a device. */
static bool wide(uint32_t port) { return port % 11 == 0 || device(port + 1) || device(port + 3); }

static unsigned answers(uint32_t port)
{
    uint16_t p = (uint16_t)port;

    return inb(p) != 0xff || (wide(p) && (inw(p) != 0xffff || inl(p) != 0xffffffff));
}

static void io_decoding_off(void)
{
    for (uint32_t bdf = 0; bdf < 256; bdf++) {
        outl(0xcf8, 0x80000000u | bdf << 8 | 4u);
        if (inw(0xcfc) != 0xffff) outw(0xcfc, inw(0xcfc) & 0xfffe);
    }
}

void guest_main(void)
{
    unsigned absent = 0, found = 0;

    io_decoding_off();

    for (uint32_t p = 0; p < 0x10000; p++) {
        if (device(p)) continue;
        absent++;
        if (answers(p) && found++ < 16) print("  port %x reads %x\n", p, inb((uint16_t)p));
    }
    fact("absent", found == 0, "%u of %u ports answer", found, absent);
    if (found != 0) return; /* a write could do anything */
    for (uint32_t p = 0; p < 0x10000; p++) {
        if (device(p)) continue;
        outb((uint16_t)p, 0);
        if (wide(p) && !device(p + 1) && !device(p + 3)) outl((uint16_t)p, 0);
        found += answers(p);
    }
    fact("drops-writes", found == 0, "%u of %u ports answer", found, absent);
}
