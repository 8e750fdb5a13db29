/*
 * Fact: a line that is typed faster than anybody reads it arrives whole. typed=N bytes are expected
 * on COM1, the letters in turn; without it nobody types, and there is nothing to show.
 */
#include "guest.h"

enum { COM1 = 0x3f8, LSR = COM1 + 5, DATA_READY = 1, OVERRUN = 2 };

void guest_main(void)
{
    uint64_t count = arg_u64("typed", 0), right = 0, lost = 0;
    uint64_t end = rdtsc() + tsc_hz() * 20;

    print("BH-EXPECT typing\n");
    for (uint64_t i = 0; i < count && rdtsc() < end;) {
        uint8_t lsr = inb(LSR);

        lost += lsr & OVERRUN ? 1 : 0;
        if (!(lsr & DATA_READY)) continue;
        right += inb(COM1) == 'a' + i % 26 ? 1 : 0;
        i++;
    }
    fact("typed", right == count && !lost, "%lu of %lu, %lu overruns", right, count, lost);
}
