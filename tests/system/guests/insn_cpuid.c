/*
 * Fact: instructions that hypervisors intercept behave as CPUID announces: they work, raise #UD
 * when absent, #GP when the operand is bad or the privilege too low.
 */
#include "guest.h"

enum { CR4_OSXSAVE = 1 << 18, MSR_TSC_AUX = 0xc0000103 };

static uint64_t line[16] __attribute__((aligned(64)));

#define INSN(name, text)                                                                           \
    static void name(void)                                                                         \
    {                                                                                              \
        __asm__ volatile(text ::"a"(0ULL), "b"(line), "c"(0ULL), "d"(0ULL) : "memory", "cc");      \
    }
INSN(wbinvd, "wbinvd")
INSN(invd, "invd")
INSN(monitor, "movq %%rbx, %%rax; monitor")
INSN(monitor_mwait, "movq %%rbx, %%rax; monitor; sti; nop; movl $0, %%eax; mwait; cli")
INSN(xgetbv, "xgetbv")
INSN(xsetbv_same, "xgetbv; xsetbv")
INSN(xsetbv_no_x87, "xsetbv")
INSN(xsetbv_reserved, "movl $-1, %%eax; movl $-1, %%edx; xsetbv")
INSN(xsetbv_index, "movl $1, %%eax; movl $7, %%ecx; xsetbv")
INSN(rdtscp, "rdtscp")
INSN(rdtsc_insn, "rdtsc")
INSN(rdpmc_bad, "movl $0x12345, %%ecx; rdpmc")
INSN(rdrand, "rdrand %%rax")
INSN(rdseed, "rdseed %%rax")
INSN(clflush, "clflush (%%rbx)")
INSN(invpcid, "movl $2, %%eax; invpcid (%%rbx), %%rax")
INSN(vmrun, "movq %%rbx, %%rax; .byte 0x0f, 0x01, 0xd8")
INSN(stgi, ".byte 0x0f, 0x01, 0xdc")
INSN(clgi, ".byte 0x0f, 0x01, 0xdd")
INSN(invlpga, ".byte 0x0f, 0x01, 0xdf")
INSN(vmload, "movq %%rbx, %%rax; .byte 0x0f, 0x01, 0xda")
INSN(vmxon, "vmxon (%%rbx)")
INSN(vmread, "vmread %%rax, %%rcx")
INSN(getsec, "getsec")
INSN(rsm, "rsm")
INSN(rdmsr_user, "movl $0x10, %%ecx; rdmsr")
INSN(sgdt_user, "sgdt (%%rbx)")

static void expect(const char *name, void (*fn)(void), unsigned want)
{
    unsigned f = expect_fault(fn);

    fact(name, f == want, "got %x", f);
}

/* Works when announced, #UD when not. */
static void announced(const char *name, void (*fn)(void), bool there)
{
    expect(name, fn, there ? FAULT_NONE : FAULT(VEC_UD, 0));
}

static void xsave(bool there)
{
    announced("xgetbv-off", xgetbv, false);
    announced("xsetbv-off", xsetbv_same, false);
    if (!there) return;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    announced("xgetbv", xgetbv, true);
    announced("xsetbv", xsetbv_same, true);
    expect("xsetbv-no-x87", xsetbv_no_x87, FAULT(VEC_GP, 0));
    expect("xsetbv-reserved", xsetbv_reserved, FAULT(VEC_GP, 0));
    expect("xsetbv-index", xsetbv_index, FAULT(VEC_GP, 0));
    fact("xsetbv-user", user_fault(xsetbv_same) == FAULT(VEC_GP, 0), "CPL 3");
}

void guest_main(void)
{
    struct cpuid one = cpuid(1, 0);
    struct cpuid seven = cpuid(7, 0);
    struct cpuid ext = cpuid(0x80000001, 0);
    uint32_t aux;
    unsigned f;

    expect("wbinvd", wbinvd, FAULT_NONE);
    expect("invd", invd, FAULT_NONE);
    expect("rdtsc", rdtsc_insn, FAULT_NONE);
    if (one.d >> 19 & 1) expect("clflush", clflush, FAULT_NONE);
    announced("monitor", monitor, one.c >> 3 & 1);
    if (one.c >> 3 & 1) {
        /* MWAIT may end at once; without an event it would not, so give it one. */
        pic_init();
        lapic_init(false);
        lapic_timer(LAPIC_VECTOR_SPURIOUS, (uint32_t)(lapic_timer_hz() / 1000));
        f = expect_fault(monitor_mwait);
        fact("mwait", f == FAULT_NONE || f == FAULT(LAPIC_VECTOR_SPURIOUS, 0), "got %x", f);
        lapic_eoi();
    }
    xsave(one.c >> 26 & 1);
    /* No host can hide these from a CPU that has them, so only their presence is promised. */
    if (one.c >> 30 & 1) expect("rdrand", rdrand, FAULT_NONE);
    if (seven.b >> 18 & 1) expect("rdseed", rdseed, FAULT_NONE);
    announced("invpcid", invpcid, seven.b >> 10 & 1);
    announced("rdtscp", rdtscp, ext.d >> 27 & 1);
    if (ext.d >> 27 & 1) {
        wrmsr(MSR_TSC_AUX, 0x1234567);
        __asm__ volatile("rdtscp" : "=c"(aux)::"rax", "rdx");
        fact("tsc-aux", aux == 0x1234567, "%x", aux);
    }
    expect("rdpmc", rdpmc_bad, FAULT(VEC_GP, 0));
    announced("vmrun", vmrun, false);
    announced("vmload", vmload, false);
    announced("stgi", stgi, false);
    announced("clgi", clgi, false);
    announced("invlpga", invlpga, false);
    announced("vmxon", vmxon, false);
    announced("vmread", vmread, false);
    announced("getsec", getsec, false);
    announced("rsm", rsm, false);
    fact("user-wbinvd", user_fault(wbinvd) == FAULT(VEC_GP, 0), "CPL 3");
    fact("user-rdmsr", user_fault(rdmsr_user) == FAULT(VEC_GP, 0), "CPL 3");
    fact("user-sgdt", user_fault(sgdt_user) == FAULT_NONE, "CPL 3 without UMIP");
    fact("user-rdtsc", user_fault(rdtsc_insn) == FAULT_NONE, "CPL 3 without TSD");
    write_cr4(read_cr4() | 4);
    fact("user-tsd", user_fault(rdtsc_insn) == FAULT(VEC_GP, 0), "CPL 3 with TSD");
}
