/*
 * A guest whose #DB never reaches its handler: delivering it writes to a stack that a breakpoint
 * watches, which raises the next one. The CPU would never leave the guest by itself. Not a fact:
 * isolation.py runs it beside another VM.
 */
#include "guest.h"

static uint64_t stack[512] __attribute__((aligned(4096)));

static void handler(struct regs *r)
{
    (void)r;
    print("BH-RETURNED the handler runs\n");
}

void guest_main(void)
{
    uint64_t top = (uint64_t)&stack[512];

    trap_set(VEC_DB, handler);
    idt_ist(VEC_DB, 4);
    tss_ist(4, top);
    /* DR0: the slot that SS is pushed to; eight bytes, writes. */
    __asm__ volatile("mov %0, %%dr0" : : "r"(top - 8));
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x90401ull));
    print("BH-EXPECT endless\n");
    *(volatile uint64_t *)&stack[511] = 1;
    print("BH-RETURNED from the write\n");
    for (;;) __asm__ volatile("pause");
}
