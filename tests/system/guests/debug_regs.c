/*
 * Fact: DR0-3, DR6 and DR7 belong to the guest: kept over exits, breakpoints and single steps fire
 * where they should, also on instructions that exit.
 */
#include "guest.h"

enum { CR4_DE = 1 << 3, DR6_BD = 1 << 13, DR6_BS = 1 << 14, DR7_GD = 1 << 13 };

static volatile uint64_t watched;
static volatile unsigned hits;
static uint64_t hit_rip, hit_dr6;

static void on_debug(struct regs *r)
{
    hits++;
    hit_rip = r->rip;
    hit_dr6 = read_dr6();
    /* One step only; and go past a breakpoint on the instruction itself (RF). */
    r->rflags = (r->rflags & ~0x100ULL) | 0x10000;
    write_dr6(0xffff0ff0);
}

static void reset(void)
{
    hits = 0;
    hit_rip = 0;
    hit_dr6 = 0;
}

static void read_dr4(void) { __asm__ volatile(".byte 0x0f, 0x21, 0xe0" ::: "rax"); }

static void write_dr7_high(void) { write_dr7(1ULL << 32 | 0x400); }

static void read_dr_guarded(void) { (void)read_dr0(); }

/* #DB arrives at the boundary behind the stepped instruction, and on no other. */
#define STEP(name, text)                                                                           \
    do {                                                                                           \
        uint64_t want_;                                                                            \
        reset();                                                                                   \
        __asm__ volatile("leaq 1f(%%rip), %%rsi; pushfq; orl $0x100, (%%rsp); popfq; " text        \
                         "; 1: nop; nop"                                                           \
                         : "=S"(want_)::"rax", "rbx", "rcx", "rdx", "memory");                     \
        fact(name, hits == 1 && hit_rip == want_ && (hit_dr6 & DR6_BS), "%u at %lx not %lx", hits, \
             hit_rip, want_);                                                                      \
    } while (0)

static void kept(void)
{
    static const uint64_t v[4] = {0x123456789abc, 0xffff800000001000, 0x5555, 0xfedcba98};

    fact("start", read_dr6() == 0xffff0ff0 && read_dr7() == 0x400, "%lx %lx", read_dr6(),
         read_dr7());
    write_dr0(v[0]);
    write_dr1(v[1]);
    write_dr2(v[2]);
    write_dr3(v[3]);
    for (uint32_t i = 0; i < 1000; i++) {
        (void)cpuid(0, 0);
        (void)inb(0x61);
    }
    fact("kept",
         read_dr0() == v[0] && read_dr1() == v[1] && read_dr2() == v[2] && read_dr3() == v[3],
         "%lx %lx %lx %lx", read_dr0(), read_dr1(), read_dr2(), read_dr3());
}

static void breakpoints(void)
{
    uint64_t at;

    reset();
    __asm__ volatile("leaq 1f(%%rip), %0; movq %0, %%dr0; movl $0x401, %%eax; movq %%rax, %%dr7\n"
                     "nop; 1: nop; nop"
                     : "=&r"(at)::"rax", "memory");
    fact("execute", hits == 1 && hit_rip == at && (hit_dr6 & 15) == 1, "%u at %lx not %lx", hits,
         hit_rip, at);
    reset();
    __asm__ volatile("leaq 1f(%%rip), %0; movq %0, %%dr0; xorl %%eax, %%eax; 1: cpuid; nop"
                     : "=&r"(at)::"rax", "rbx", "rcx", "rdx", "memory");
    fact("execute-exit", hits == 1 && hit_rip == at, "on CPUID: %u at %lx not %lx", hits, hit_rip,
         at);
    write_dr7(0x400);
    reset();
    write_dr1((uint64_t)&watched);
    write_dr7(0x400 | 4 | 9ULL << 20);
    watched = 1;
    fact("write", hits == 1 && (hit_dr6 & 15) == 2, "%u DR6 %lx", hits, hit_dr6);
    write_dr7(0x400);
    watched = 2;
    fact("off", hits == 1, "%u", hits);
}

void guest_main(void)
{
    unsigned f;

    kept();
    trap_set(VEC_DB, on_debug);
    reset();
    STEP("step-nop", "nop");
    STEP("step-exit-cpuid", "cpuid");
    STEP("step-exit-in", "inb $0x61, %%al");
    STEP("step-exit-out", "outb %%al, $0x80");
    breakpoints();
    trap_set(VEC_DB, NULL);
    fact("dr7-high", expect_fault(write_dr7_high) == FAULT(VEC_GP, 0), "bits 63:32");
    fact("dr4-alias", expect_fault(read_dr4) == FAULT_NONE, "without CR4.DE");
    write_cr4(read_cr4() | CR4_DE);
    fact("dr4-de", expect_fault(read_dr4) == FAULT(VEC_UD, 0), "with CR4.DE");
    write_dr6(0xffff0ff0);
    write_dr7(0x400 | DR7_GD);
    f = expect_fault(read_dr_guarded);
    fact("general-detect", f == FAULT(VEC_DB, 0) && (read_dr6() & DR6_BD), "got %x DR6 %lx", f,
         read_dr6());
    write_dr7(0x400);
}
