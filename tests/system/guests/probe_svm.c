/*
 * Probe of the emulated CPU, not of Bulkhead: which of SVM's intercepts it honours. Runs on the
 * emulator alone as the smallest hypervisor there can be, one guest of a few instructions on the
 * same page tables. A fact that is BAD is the demonstration of a gap that qemu.gaps names.
 */
#include "guest.h"

enum { MSR_EFER = 0xc0000080, EFER_SVME = 1 << 12, MSR_VM_HSAVE_PA = 0xc0010117 };
/* VMCB offsets and bits: AMD APM vol. 2, appendix B. */
enum { MISC2 = 0x10, ASID = 0x58, EXIT_CODE = 0x70, CS = 0x410, SS = 0x420, EFER = 0x4d0 };
enum { CR4 = 0x548, CR3 = 0x550, CR0 = 0x558, RFLAGS = 0x570, RIP = 0x578, RSP = 0x5d8 };
enum { MISC2_VMRUN = 1 << 0, MISC2_VMMCALL = 1 << 1, MISC2_RDTSCP = 1 << 7 };
enum { EXIT_VMMCALL = 0x81, EXIT_RDTSCP = 0x87 };

static uint8_t vmcb[4096] __attribute__((aligned(4096)));
static uint8_t host_save[4096] __attribute__((aligned(4096)));
static uint8_t stack[4096] __attribute__((aligned(16)));

extern char probe_rdtscp[];
__asm__(".text\nprobe_rdtscp: rdtscp\n    vmmcall\n");

static void put(unsigned at, uint64_t v) { *(uint64_t *)(vmcb + at) = v; }

/* Exit code of the first #VMEXIT after entry at `code`. */
static uint64_t first_exit(const char *code, uint32_t misc2)
{
    memset(vmcb, 0, sizeof(vmcb));
    put(MISC2, misc2 | MISC2_VMRUN | MISC2_VMMCALL);
    put(ASID, 1);
    put(CS, 8 | 0x29bULL << 16 | 0xffffffffULL << 32);
    put(SS, 16 | 0xc93ULL << 16 | 0xffffffffULL << 32);
    put(EFER, rdmsr(MSR_EFER));
    put(CR4, read_cr4());
    put(CR3, read_cr3());
    put(CR0, read_cr0());
    put(RFLAGS, 2);
    put(RIP, (uint64_t)code);
    put(RSP, (uint64_t)(stack + sizeof(stack)));
    __asm__ volatile("vmrun\n\tstgi" ::"a"(vmcb) : "rcx", "rdx", "memory", "cc");
    return *(uint64_t *)(vmcb + EXIT_CODE);
}

void guest_main(void)
{
    if (cpuid(0x80000000, 0).a < 0x8000000a || !(cpuid(0x80000001, 0).c >> 2 & 1)) skip("no SVM");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, (uint64_t)host_save);
    uint64_t code = first_exit(probe_rdtscp, MISC2_RDTSCP);
    fact("rdtscp", code == EXIT_RDTSCP, "exit code %lx", code);
    fact("vmmcall", first_exit(probe_rdtscp, 0) == EXIT_VMMCALL, "the guest runs at all");
}
