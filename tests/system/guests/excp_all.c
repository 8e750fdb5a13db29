/*
 * Fact: every exception a guest can raise by itself reaches its handler with the vector, error code
 * and address of a PC. Sources: Intel SDM vol. 3A, 6.15; AMD APM vol. 2, 8.2.
 */
#include "guest.h"

enum { CR0_TS = 1 << 3, CR0_AM = 1 << 18, CR4_SSE = 0x600, PTE_P = 1, PTE_W = 2, PTE_U = 4 };
enum { MSR_EFER = 0xc0000080, EFER_NXE = 1 << 11, DR6_BS = 1 << 14, VECTOR_ABSENT = 0x81 };
#define PTE_NX        (1ULL << 63)
#define NON_CANONICAL 0x8000000000000000ULL

static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint8_t page[4096] __attribute__((aligned(4096)));
static uint8_t code[4] = {0xcd, 0, 0xc3, 0xc3};
static volatile uint32_t *const window = (uint32_t *)(1ULL << 39);

#define RAISE(name, text)                                                                          \
    static void name(void) { __asm__ volatile(text ::: "rax", "rcx", "rdx", "memory"); }

/* INTO and BOUND (62 04 24 is BOUND EAX, [ESP]) exist in 32-bit code only: go there by a far
 * return, and back if nothing happens.
 */
#define RAISE32(name, text)                                                                        \
    RAISE(name, "pushq $0x18; pushq $1f; lretq\n"                                                  \
                ".code32\n1: " text "\nljmp $0x08, $2f\n.code64\n2:")

RAISE(divide, "xorl %%ecx, %%ecx; movl $1, %%eax; cltd; divl %%ecx")
RAISE(divide_overflow, "movl $0x80000000, %%eax; cltd; movl $-1, %%ecx; idivl %%ecx")
RAISE(step, "pushfq; orl $0x100, (%%rsp); popfq; nop; nop")
RAISE(icebp, ".byte 0xf1")
RAISE(int3, "int3")
RAISE32(into, "movl $0x7fffffff, %%eax; incl %%eax; into")
RAISE32(bound, "pushl $20; pushl $10; movl $30, %%eax; .byte 0x62, 0x04, 0x24; addl $8, %%esp")
RAISE(ud2, "ud2")
RAISE(x87, "fninit")
RAISE(int_absent, "int $0x81")
RAISE(load_absent, "movl $0x50, %%eax; movl %%eax, %%ds")
RAISE(load_absent_ss, "movl $0x50, %%eax; movl %%eax, %%ss")
RAISE(load_past_gdt, "movl $0x1000, %%eax; movl %%eax, %%es")
RAISE(stack_non_canonical,
      "movq %%rbp, %%rcx; movq $1, %%rbp; shlq $63, %%rbp; movq (%%rbp), %%rax; movq %%rcx, %%rbp")
RAISE(data_non_canonical, "movq $1, %%rcx; shlq $63, %%rcx; movq (%%rcx), %%rax")
RAISE(too_long, ".fill 15, 1, 0x66; nop")
RAISE(x87_divide, "fninit; pushq $0x37b; fldcw (%%rsp); popq %%rax; fldz; fld1; fdivp; fwait")
RAISE(sse_divide,
      "pushq $0x1d80; ldmxcsr (%%rsp); popq %%rax; xorps %%xmm0, %%xmm0; movl $0x3f800000, "
      "%%eax; movd %%eax, %%xmm1; divss %%xmm0, %%xmm1")
RAISE(misaligned, "pushfq; orl $0x40000, (%%rsp); popfq; movl 1(%%rsp), %%eax")
RAISE(cli_user, "cli")
RAISE(hlt_user, "hlt")
RAISE(int_user, "int $0x82")
RAISE(mov_cr_user, "movq %%cr0, %%rax")

static void read_window(void) { (void)*window; }

static void write_window(void) { *window = 1; }

static void call_window(void) { ((void (*)(void))(1ULL << 39))(); }

static void call_code(void) { __asm__ volatile("call *%0" ::"r"(code) : "memory"); }

static void raises(const char *name, unsigned got, unsigned vector, unsigned error)
{
    fact(name, got == FAULT(vector, error), "got %x rip %lx", got, fault_regs.rip);
}

static void map(uint64_t pte)
{
    pt[0] = pte ? (uint64_t)page | pte : 0;
    __asm__ volatile("invlpg (%0)" ::"r"(window) : "memory");
}

static void page_faults(void)
{
    uint64_t reserved = 1ULL << 51;

    page[0] = 0xc3;
    boot_pml4[1] = (uint64_t)pdpt | 7;
    pdpt[0] = (uint64_t)pd | 7;
    pd[0] = (uint64_t)pt | 7;
    map(0);
    raises("pf-read", expect_fault(read_window), VEC_PF, 0);
    fact("pf-cr2", fault_cr2 == (uint64_t)window, "%lx", fault_cr2);
    raises("pf-write", expect_fault(write_window), VEC_PF, 2);
    raises("pf-user-read", user_fault(read_window), VEC_PF, 4);
    raises("pf-user-write", user_fault(write_window), VEC_PF, 6);
    map(PTE_P);
    raises("pf-read-only", expect_fault(write_window), VEC_PF, 3);
    raises("pf-user-supervisor", user_fault(read_window), VEC_PF, 5);
    map(PTE_P | PTE_U);
    raises("pf-user-read-only", user_fault(write_window), VEC_PF, 7);
    map(PTE_P | PTE_W | PTE_U);
    fact("pf-none", user_fault(write_window) == FAULT_NONE, "a writable user page");
    if ((cpuid(0x80000008, 0).a & 0xff) < 52) {
        map(PTE_P | PTE_W | reserved);
        raises("pf-reserved", expect_fault(read_window), VEC_PF, 9);
    }
    if (cpuid(0x80000001, 0).d >> 20 & 1) {
        page[0] = 0xc3;
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
        map(PTE_P | PTE_W | PTE_NX);
        raises("pf-nx", expect_fault(call_window), VEC_PF, 0x11);
        map(PTE_P | PTE_W);
        fact("pf-x", expect_fault(call_window) == FAULT_NONE, "without NX");
    }
}

static void floating_point(void)
{
    write_cr0(read_cr0() | CR0_TS);
    raises("nm", expect_fault(x87), VEC_NM, 0);
    __asm__ volatile("clts");
    raises("mf", expect_fault(x87_divide), VEC_MF, 0);
    __asm__ volatile("fninit");
    write_cr4(read_cr4() | CR4_SSE);
    raises("xm", expect_fault(sse_divide), VEC_XM, 0);
}

static void software_interrupts(void)
{
    unsigned wrong = 0;

    for (unsigned v = 0; v < 256; v++) {
        if (v == VECTOR_USER_DONE) continue;
        /* INT n pushes no error code, so the frame of a vector that has one would be off by it. */
        if (v == VEC_DF || (v >= VEC_TS && v <= VEC_PF) || v == VEC_AC || v == 21 || v == 29 ||
            v == 30)
            continue;
        code[1] = (uint8_t)v;
        wrong += expect_fault(call_code) != FAULT(v, 0);
    }
    fact("int-n", wrong == 0, "%u vectors wrong", wrong);
}

void guest_main(void)
{
    uint64_t np, gp;

    raises("de", expect_fault(divide), VEC_DE, 0);
    raises("de-overflow", expect_fault(divide_overflow), VEC_DE, 0);
    write_dr6(0);
    raises("db-step", expect_fault(step), VEC_DB, 0);
    fact("db-dr6", read_dr6() & DR6_BS, "%lx", read_dr6());
    raises("db-icebp", expect_fault(icebp), VEC_DB, 0);
    raises("bp", expect_fault(int3), VEC_BP, 0);
    raises("of", expect_fault(into), VEC_OF, 0);
    raises("br", expect_fault(bound), VEC_BR, 0);
    raises("ud", expect_fault(ud2), VEC_UD, 0);
    raises("np", expect_fault(load_absent), VEC_NP, SEL_ABSENT);
    raises("ss", expect_fault(load_absent_ss), VEC_SS, SEL_ABSENT);
    raises("ss-non-canonical", expect_fault(stack_non_canonical), VEC_SS, 0);
    raises("gp-selector", expect_fault(load_past_gdt), VEC_GP, 0x1000);
    raises("gp-non-canonical", expect_fault(data_non_canonical), VEC_GP, 0);
    raises("gp-too-long", expect_fault(too_long), VEC_GP, 0);
    raises("gp-cli", user_fault(cli_user), VEC_GP, 0);
    raises("gp-hlt", user_fault(hlt_user), VEC_GP, 0);
    raises("gp-cr", user_fault(mov_cr_user), VEC_GP, 0);
    raises("gp-int", user_fault(int_user), VEC_GP, 0x82 * 8 + 2);
    page_faults();
    floating_point();
    software_interrupts();
    write_cr0(read_cr0() | CR0_AM);
    raises("ac", user_fault(misaligned), VEC_AC, 0);
    write_cr0(read_cr0() & ~(uint64_t)CR0_AM);
    idt[2 * VECTOR_ABSENT] &= ~(1ULL << 47);
    raises("np-gate", expect_fault(int_absent), VEC_NP, VECTOR_ABSENT * 8 + 2);
    /* #GP whose gate is absent gives #NP; with that gate absent too, #DF. */
    np = idt[2 * VEC_NP];
    gp = idt[2 * VEC_GP];
    idt[2 * VEC_NP] &= ~(1ULL << 47);
    idt[2 * VEC_GP] &= ~(1ULL << 47);
    raises("df", expect_fault(data_non_canonical), VEC_DF, 0);
    idt[2 * VEC_NP] = np;
    idt[2 * VEC_GP] = gp;
}
