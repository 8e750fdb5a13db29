/*
 * Fact: a triple fault ends the VM. The guest cannot see its own end: it prints what the runner
 * has to find as the reason, and fails if it is still there afterwards.
 */
#include "guest.h"

void guest_main(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    print("BH-EXPECT triple-fault\n");
    __asm__ volatile("lidt %0; int3" ::"m"(none));
    fact("ended", false, "INT3 with an empty IDT returned");
}
