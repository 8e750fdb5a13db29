/*
 * Fact: EFER refuses reserved and unannounced bits and a change of LME under paging; SCE and NXE
 * work at once. Intel SDM vol. 3A, 2.2.1; AMD APM vol. 2, 3.1.7.
 */
#include "guest.h"

enum {
    MSR_EFER = 0xc0000080,
    MSR_STAR = 0xc0000081,
    MSR_LSTAR = 0xc0000082,
    MSR_SFMASK = 0xc0000084
};
enum {
    EFER_SCE = 1,
    EFER_LME = 1 << 8,
    EFER_LMA = 1 << 10,
    EFER_NXE = 1 << 11,
    EFER_SVME = 1 << 12
};

static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint8_t page[4096] __attribute__((aligned(4096)));
static uint64_t efer;
static volatile uint64_t syscall_rcx;
extern char syscall_entry[], syscall_return[];

static void refused(const char *name, uint64_t v)
{
    unsigned f = wrmsr_fault(MSR_EFER, v);

    fact(name, f == FAULT(VEC_GP, 0), "%lx gives %x", v, f);
    if (f == FAULT_NONE) wrmsr(MSR_EFER, efer);
}

static void do_syscall(void)
{
    __asm__ volatile("syscall\n"
                     ".globl syscall_return\nsyscall_return: jmp 1f\n"
                     ".globl syscall_entry\nsyscall_entry: movq %%rcx, %0; jmp *%%rcx\n1:"
                     : "=m"(syscall_rcx)::"rcx", "r11", "memory");
}

static void read_window(void) { (void)*(volatile uint8_t *)(1ULL << 39); }

static void call_window(void) { ((void (*)(void))(1ULL << 39))(); }

void guest_main(void)
{
    efer = rdmsr(MSR_EFER);
    fact("reads", (efer & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA) && !(efer & EFER_SVME),
         "%lx", efer);
    refused("reserved-bit9", efer | 1 << 9);
    refused("reserved-bit63", efer | 1ULL << 63);
    refused("lme", efer & ~(uint64_t)EFER_LME);
    if (!cpu_is_amd() || !(cpuid(0x80000001, 0).c >> 2 & 1)) refused("svme", efer | EFER_SVME);
    fact("sce-off", expect_fault(do_syscall) == FAULT(VEC_UD, 0), "SYSCALL gives #UD");
    wrmsr(MSR_EFER, efer | EFER_SCE);
    wrmsr(MSR_STAR, (uint64_t)SEL_CODE << 32);
    wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_SFMASK, 0x200);
    fact("sce-on",
         expect_fault(do_syscall) == FAULT_NONE && syscall_rcx == (uint64_t)syscall_return,
         "RCX %lx", syscall_rcx);
    wrmsr(MSR_EFER, efer);
    if (!(cpuid(0x80000001, 0).d >> 20 & 1)) return;
    page[0] = 0xc3;
    boot_pml4[1] = (uint64_t)pdpt | 3;
    pdpt[0] = (uint64_t)pd | 3;
    pd[0] = (uint64_t)pt | 3;
    pt[0] = (uint64_t)page | 3 | 1ULL << 63;
    fact("nxe-off", expect_fault(read_window) == FAULT(VEC_PF, 9), "bit 63 is reserved");
    wrmsr(MSR_EFER, efer | EFER_NXE);
    fact("nxe-read", expect_fault(read_window) == FAULT_NONE, "readable");
    fact("nxe-call", expect_fault(call_window) == FAULT(VEC_PF, 0x11), "not executable");
    fact("nxe-kept", rdmsr(MSR_EFER) == (efer | EFER_NXE), "%lx", rdmsr(MSR_EFER));
}
