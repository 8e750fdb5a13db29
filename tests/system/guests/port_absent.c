/*
 * Fact: an I/O port with nothing behind it reads all ones in every size and drops writes.
 */
#include "guest.h"

void guest_main(void)
{
    static const uint16_t ports[] = {0x1e0, 0x2a0, 0x3a8, 0x9120, 0xabcc, 0xfff0};

    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        uint16_t p = ports[i];

        fact("reads-ones", inb(p) == 0xff && inw(p) == 0xffff && inl(p) == 0xffffffff,
             "%x: %x %x %x", p, inb(p), inw(p), inl(p));
        outb(p, 0x12);
        outw(p, 0x1234);
        outl(p, 0x12345678);
        fact("drops-writes", inb(p) == 0xff && inl(p) == 0xffffffff, "%x", p);
    }
}
