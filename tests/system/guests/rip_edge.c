/*
 * Fact: behind the last instruction below the canonical hole comes #GP, also when that instruction
 * has exited and software has moved RIP; the VM goes on.
 */
#include "guest.h"

enum { USER = 7, OFFSET = 4096 - 2 };

static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint8_t code[4096] __attribute__((aligned(4096)));

static void at_edge(void)
{
    uint32_t a = 1, c = 0;

    __asm__ volatile("call *%2"
                     : "+a"(a), "+c"(c)
                     : "r"(0x7ffffffff000ull + OFFSET)
                     : "rbx", "rdx", "memory");
}

static void check(const char *name, uint8_t first, uint8_t second)
{
    unsigned f;

    code[OFFSET] = first;
    code[OFFSET + 1] = second;
    f = expect_fault(at_edge);
    fact(name, f == FAULT(VEC_GP, 0), "fault %x rip %lx", f, fault_regs.rip);
}

void guest_main(void)
{
    unsigned f;

    boot_pml4[255] = (uint64_t)pdpt | USER;
    pdpt[511] = (uint64_t)pd | USER;
    pd[511] = (uint64_t)pt | USER;
    pt[511] = (uint64_t)code | USER;
    check("nop", 0x90, 0x90);   /* without an exit */
    check("in", 0xe4, 0x80);    /* IN AL, 0x80 */
    check("cpuid", 0x0f, 0xa2); /* exits everywhere */
    f = user_fault(at_edge);
    fact("user", f == FAULT(VEC_GP, 0), "fault %x", f);
}
