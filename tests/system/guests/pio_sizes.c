/*
 * Fact: IN and OUT of every size and form change exactly the bits they should, and CPL 3 without
 * an I/O permission map gets #GP(0). Port: PCI configuration address 0xCF8, absent ports.
 */
#include "guest.h"

enum { ABSENT = 0x1e0 };

static void user_in(void) { (void)inb(0x61); }

static void user_out(void) { outb(0x80, 0); }

void guest_main(void)
{
    uint64_t rax = 0x1122334455667788;
    uint32_t old = inl(0xcf8);

    __asm__ volatile("inb %w1, %%al" : "+a"(rax) : "d"(ABSENT));
    fact("in8", rax == 0x11223344556677ff, "%lx", rax);
    rax = 0x1122334455667788;
    __asm__ volatile("inw %w1, %%ax" : "+a"(rax) : "d"(ABSENT));
    fact("in16", rax == 0x112233445566ffff, "%lx", rax);
    rax = 0x1122334455667788;
    __asm__ volatile("inl %w1, %%eax" : "+a"(rax) : "d"(ABSENT));
    fact("in32", rax == 0xffffffff, "%lx", rax);
    rax = 0x1122334455667788;
    __asm__ volatile("inb $0xe0, %%al" : "+a"(rax));
    fact("in8-imm", rax >> 8 == 0x11223344556677, "%lx", rax);
    rax = 0x1122334455667788;
    __asm__ volatile("inl $0xe0, %%eax" : "+a"(rax));
    fact("in32-imm", rax >> 32 == 0, "%lx", rax);
    /* The configuration address register answers doublewords only: 8-bit writes miss it. */
    outl(0xcf8, 0x80000804);
    fact("cf8", inl(0xcf8) == 0x80000804, "%x", inl(0xcf8));
    outb(0xcf8, 0x55);
    fact("cf8-byte", inl(0xcf8) == 0x80000804, "%x after a byte write", inl(0xcf8));
    outl(0xcf8, 0x80000000);
    fact("cfc-parts",
         inw(0xcfc) == (inl(0xcfc) & 0xffff) && inw(0xcfe) == inl(0xcfc) >> 16 &&
             inb(0xcff) == inl(0xcfc) >> 24,
         "device 0 is %x", inl(0xcfc));
    outl(0xcf8, old);
    fact("user-in", user_fault(user_in) == FAULT(VEC_GP, 0), "CPL 3");
    fact("user-out", user_fault(user_out) == FAULT(VEC_GP, 0), "CPL 3");
}
