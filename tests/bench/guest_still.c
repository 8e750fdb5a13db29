/*
 * The guest of which as many as fit are started: sleeps for good; nothing wakes it. Linked low, for
 * VMs of 1 MiB. With end=1 it ends its VM at once instead.
 */
#include "guest.h"

void guest_main(void)
{
    if (arg_u64("end", 0)) finish();
    pic_init();
    for (;;) __asm__ volatile("sti; hlt" ::: "memory");
}
