/*
 * The guest that takes all the CPU time it is given. Straight code, which an emulator that counts
 * instructions gets through quickly: the system's clock counts them, not the emulator's. Never
 * ends.
 */
#include "guest.h"

void guest_main(void)
{
    for (;;) __asm__ volatile(".rept 400; nop; .endr");
}
