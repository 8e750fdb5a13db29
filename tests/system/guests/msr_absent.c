/*
 * Fact: an MSR that this CPU does not announce raises #GP(0), and those every PC has work.
 */
#include "guest.h"

enum {
    MSR_TSC = 0x10,
    MSR_APIC_BASE = 0x1b,
    MSR_MTRRCAP = 0xfe,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_MTRR_PHYS_BASE0 = 0x200,
    MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff,
    MSR_X2APIC_VERSION = 0x803,
    MSR_EFER = 0xc0000080,
    MSR_STAR = 0xc0000081,
    MSR_LSTAR = 0xc0000082,
    MSR_CSTAR = 0xc0000083,
    MSR_SFMASK = 0xc0000084,
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
    MSR_KERNEL_GS_BASE = 0xc0000102,
};

static const uint64_t non_canonical = 0x8000000000000000;

static void absent(void)
{
    /* The last three exist only with VMX, SVM or a debug store, none of which a guest has. */
    static const uint32_t list[] = {0x3,        0x1234,     0x12345678, 0x40ff0000, 0x7fffffff,
                                    0xc0000fff, 0xc0012345, 0xffffffff, 0x480,      0x491};

    for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        uint64_t v = 0;
        unsigned r = rdmsr_fault(list[i], &v);
        unsigned w = wrmsr_fault(list[i], 0);

        fact("absent-read", r == FAULT(VEC_GP, 0), "%x: %x", list[i], r);
        fact("absent-write", w == FAULT(VEC_GP, 0), "%x: %x", list[i], w);
    }
}

/* Write, read back, restore. */
static void writable(uint32_t msr, uint64_t v)
{
    uint64_t old = rdmsr(msr);
    uint64_t got = 0;
    unsigned w = wrmsr_fault(msr, v);

    if (w == FAULT_NONE) got = rdmsr(msr);
    wrmsr(msr, old);
    fact("writable", w == FAULT_NONE && got == v, "%x: wrote %lx read %lx", msr, v, got);
}

static void illegal(uint32_t msr, uint64_t v)
{
    uint64_t old = rdmsr(msr);
    unsigned w = wrmsr_fault(msr, v);

    if (w == FAULT_NONE) wrmsr(msr, old);
    fact("illegal-value", w == FAULT(VEC_GP, 0), "%x: %lx gives %x", msr, v, w);
}

void guest_main(void)
{
    uint64_t v = 0;
    uint64_t base = rdmsr(MSR_APIC_BASE);
    uint64_t t;

    absent();
    writable(MSR_STAR, 0x0013000800000000);
    writable(MSR_LSTAR, 0xffffffff81000000);
    writable(MSR_CSTAR, 0x0000700012345678);
    writable(MSR_SFMASK, 0x47700);
    writable(MSR_FS_BASE, 0x0000123456789abc);
    writable(MSR_GS_BASE, 0xffff888012345678);
    writable(MSR_KERNEL_GS_BASE, 0xffff88801234abcd);
    writable(MSR_SYSENTER_CS, 0x10);
    writable(MSR_SYSENTER_ESP, 0xffff888000001000);
    writable(MSR_SYSENTER_EIP, 0xffffffff81001000);
    writable(MSR_PAT, 0x0007040600070406);
    writable(MSR_PAT, 0x0407010500070106);
    illegal(MSR_PAT, 2);
    illegal(MSR_LSTAR, non_canonical);
    illegal(MSR_FS_BASE, non_canonical);
    illegal(MSR_KERNEL_GS_BASE, non_canonical);
    fact("efer", (rdmsr(MSR_EFER) & 0x500) == 0x500, "%lx", rdmsr(MSR_EFER));
    fact("apic-base", (base & 0xfffff900) == 0xfee00900, "%lx", base);
    t = rdtsc();
    v = rdmsr(MSR_TSC);
    fact("tsc-msr", v >= t && v - t < 1ULL << 32, "%lx after %lx", v, t);
    if (cpuid(1, 0).d >> 12 & 1) {
        fact("mtrr", rdmsr_fault(MSR_MTRRCAP, &v) == FAULT_NONE, "cap %lx", v);
        fact("mtrr-def", rdmsr_fault(MSR_MTRR_DEF_TYPE, &v) == FAULT_NONE, "%lx", v);
        if (rdmsr(MSR_MTRRCAP) & 0xff)
            fact("mtrr-phys", rdmsr_fault(MSR_MTRR_PHYS_BASE0, &v) == FAULT_NONE, "%lx", v);
    }
    if (!cpu_is_amd())
        fact("misc-enable", rdmsr_fault(MSR_MISC_ENABLE, &v) == FAULT_NONE, "%lx", v);
    fact("x2apic-off", rdmsr_fault(MSR_X2APIC_VERSION, &v) == FAULT(VEC_GP, 0), "xAPIC mode");
    if (cpuid(1, 0).c >> 21 & 1) {
        fact("x2apic-on",
             lapic_init(true) && lapic_is_x2apic() &&
                 rdmsr_fault(MSR_X2APIC_VERSION, &v) == FAULT_NONE,
             "version %lx", v);
        fact("x2apic-hole", rdmsr_fault(0x804, &v) == FAULT(VEC_GP, 0), "reserved register");
        fact("x2apic-eoi-read", rdmsr_fault(0x80b, &v) == FAULT(VEC_GP, 0), "write-only register");
        fact("x2apic-id-write", wrmsr_fault(0x802, 0) == FAULT(VEC_GP, 0), "read-only register");
        illegal(MSR_APIC_BASE, base & ~0x400ULL);
    }
}
