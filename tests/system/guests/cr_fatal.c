/*
 * Fact: MOV to CR0, CR3 and CR4 of an impossible state raise #GP(0). A
 * platform that accepts one of them loses the guest: it ends without a verdict after "TRY name".
 */
#include "guest.h"

static uint64_t value;

static void set_cr0(void) { write_cr0(value); }

static void set_cr3(void) { write_cr3(value); }

static void set_cr4(void) { write_cr4(value); }

static void refused(const char *name, void (*set)(void), uint64_t v)
{
    unsigned f;

    print("TRY %s\n", name);
    value = v;
    f = expect_fault(set);
    fact(name, f == FAULT(VEC_GP, 0), "%lx gives %x", v, f);
}

void guest_main(void)
{
    refused("cr0-high", set_cr0, read_cr0() | 1ULL << 32);
    refused("cr0-nw", set_cr0, read_cr0() | 1 << 29);
    refused("cr3-reserved", set_cr3, read_cr3() | 1ULL << 62);
    refused("pe-clear", set_cr0, read_cr0() & ~1ULL);
    refused("pe-clear-cd", set_cr0, (read_cr0() & ~1ULL) | 1 << 30);
    fact("cd-stays", !(read_cr0() & 1 << 30), "%lx", read_cr0());
    refused("pae-clear", set_cr4, read_cr4() & ~0x20ULL);
    refused("la57-set", set_cr4, read_cr4() | 1 << 12);
    refused("pg-clear", set_cr0, read_cr0() & ~(1ULL << 31));
}
