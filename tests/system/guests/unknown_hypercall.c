/*
 * Fact: without an announced hypervisor both vendors' hypercall instructions raise #UD; with one,
 * a number it does not know comes back as an error and nothing else.
 */
#include "guest.h"

static uint64_t rax;

static void vmmcall(void) { __asm__ volatile("vmmcall" : "+a"(rax)::"memory"); }

static void vmcall(void) { __asm__ volatile("vmcall" : "+a"(rax)::"memory"); }

static void probe(const char *name, void (*fn)(void), bool native)
{
    unsigned f;

    rax = 0x7fffff01;
    f = expect_fault(fn);
    if (!cpu_has_hypervisor() || !native)
        fact(name, f == FAULT(VEC_UD, 0) || (cpu_has_hypervisor() && (int64_t)rax < 0),
             "fault %x rax %lx", f, rax);
    else
        fact(name, f == FAULT(VEC_UD, 0) || (f == FAULT_NONE && (int64_t)rax < 0),
             "fault %x rax %lx", f, rax);
}

static void probe_user(const char *name, void (*fn)(void))
{
    unsigned f;

    rax = 0x7fffff01;
    f = user_fault(fn);
    fact(name,
         f == FAULT(VEC_UD, 0) || (cpu_has_hypervisor() && f == FAULT_NONE && (int64_t)rax < 0),
         "CPL 3: fault %x rax %lx", f, rax);
}

void guest_main(void)
{
    probe("vmmcall", vmmcall, cpu_is_amd());
    probe("vmcall", vmcall, !cpu_is_amd());
    probe_user("user-vmmcall", vmmcall);
    probe_user("user-vmcall", vmcall);
}
