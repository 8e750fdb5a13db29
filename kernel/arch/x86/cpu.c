/*
 * One CPU: features, GDT/TSS/IDT, control registers, system-call MSRs; starting the others; making
 * all of them flush.
 */
#include "cpu.h"
#include <stddef.h>
#include "apic.h"
#include "asm.h"
#include "audit.h"
#include "klog.h"
#include "layout.h"
#include "lock.h"
#include "mem.h"
#include "percpu.h"
#include "trap.h"
#include "vcpu_ops.h"
#include "core/epoch.h"
#include "object/entry.h"
#include "object/sched.h"

struct percpu percpus[BH_MAX_CPUS] __attribute__((aligned(64)));
bool cpu_has_1g;
uint32_t cpu_prot_on, cpu_prot_off;
uint64_t host_xcr0;
static uint32_t cr4_wanted, domain_flags, verw_needed;

extern char ap_start[], ap_end[];

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed));

/* What a CPU needs in memory of its own: one page of descriptors beside the stacks. */
struct tables {
    uint64_t gdt[8];
    struct tss tss;
};
_Static_assert(offsetof(struct tss, rsp) == 4, "Intel SDM vol. 3A, figure 8-11");

static uint64_t idt[512] __attribute__((aligned(16)));

static void protection(uint32_t bit, bool on)
{
    if (on)
        cpu_prot_on |= bit;
    else
        cpu_prot_off |= bit;
}

/* Intel SDM vol. 2A, CPUID; AMD APM vol. 3, E. */
void cpu_detect(void)
{
    struct cpuid_regs l1 = cpuid(1, 0), l7 = {0}, e1 = cpuid(0x80000001, 0), e8 = {0};
    bool intel = cpuid(0, 0).b == 0x756e6547;
    uint64_t cap = 0;

    if (cpuid(0, 0).a >= 7) l7 = cpuid(7, 0);
    if (cpuid(0x80000000, 0).a >= 0x80000008) e8 = cpuid(0x80000008, 0);
    cpu_has_1g = (e1.d >> 26 & 1u) != 0;
    pte_nx = (e1.d >> 20 & 1u) != 0 ? 1ull << 63 : 0;
    protection(BH_PROT_NX, pte_nx != 0);
    protection(BH_PROT_SMEP, (l7.b >> 7 & 1u) != 0);
    protection(BH_PROT_SMAP, (l7.b >> 20 & 1u) != 0);
    protection(BH_PROT_UMIP, (l7.c >> 2 & 1u) != 0);
    protection(BH_PROT_RDSEED, (l7.b >> 18 & 1u) != 0);
    cr4_wanted = 0x660 /* OSXMMEXCPT, OSFXSR, MCE, PAE */ | (l7.b >> 7 & 1u) << 20 |
                 (l7.b >> 20 & 1u) << 21 | (l7.c >> 2 & 1u) << 11; /* SMEP, SMAP, UMIP */
    if ((l1.c >> 26 & 1u) != 0) {
        cr4_wanted |= 1u << 18;
        host_xcr0 = cpuid(0xd, 0).a & 0x2e7; /* x87 SSE AVX AVX-512 PKRU */
    }
    if (intel && (l7.d >> 29 & 1u) != 0) cap = rdmsr(MSR_ARCH_CAP);
    if ((l7.d >> 26 & 1u) != 0 || (e8.b >> 12 & 1u) != 0) domain_flags |= DOMAIN_IBPB;
    if (intel && (cap >> 6 & 1u) == 0) /* IF_PSCHANGE_MC_NO */
        protection(BH_PROT_EXEC_4K, true);
    protection(BH_PROT_IBPB, (domain_flags & DOMAIN_IBPB) != 0);
    /* Of ARCH_CAPABILITIES: MDS_NO 5, TAA_NO 8, FBSDP_NO 14, FB_CLEAR 17, RFDS_NO 27,
     * RFDS_CLEAR 28. */
    if (intel && ((cap >> 5 & 1u) == 0 || ((l7.b >> 11 & 1u) != 0 && (cap >> 8 & 1u) == 0) ||
                  (cap >> 14 & 9u) == 8u || (cap >> 27 & 3u) == 2u)) {
        verw_needed = l7.d >> 10 & 1u; /* MD_CLEAR: VERW does it */
        protection(BH_PROT_VERW, verw_needed != 0);
    }
    /* AMD, transient scheduler attacks: VERW_CLEAR (APM vol. 3, E.4.17). */
    if (cpuid(0x80000000, 0).a >= 0x80000021 && (cpuid(0x80000021, 0).a >> 5 & 1u) != 0) {
        verw_needed = 1;
        protection(BH_PROT_VERW, true);
    }
    if (intel && (cap & 9u) == 0) { /* neither RDCL_NO nor SKIP_L1DFL_VMENTRY */
        if ((l7.d >> 28 & 1u) != 0) domain_flags |= DOMAIN_L1D;
        protection(BH_PROT_L1D_FLUSH, (domain_flags & DOMAIN_L1D) != 0);
    }
}

void cpu_domain_flush(void)
{
    uint32_t what = percpu()->domain_flush;

    if ((what & DOMAIN_IBPB) != 0) wrmsr(MSR_PRED_CMD, 1);
    if ((what & DOMAIN_L1D) != 0) wrmsr(MSR_FLUSH_CMD, 1);
}

static void idt_set(uint32_t v, uint32_t ist)
{
    uint64_t a = (uint64_t)vectors_start + v * 16ul;

    idt[2 * v] = (a & 0xffff) | (uint64_t)SEL_KCODE << 16 | (uint64_t)ist << 32 | 0x8e00ull << 32 |
                 (a >> 16 & 0xffff) << 48;
    idt[2 * v + 1] = a >> 32;
}

static uint64_t stack_new(uint32_t cpu, uint32_t slot, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++) stack_map(cpu, slot + i, boot_pages(1));
    return STACK_BASE + ((uint64_t)cpu * STACK_CPU_PAGES + slot + pages) * 4096;
}

static void load_gdt(const uint64_t *gdt)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) g = {63, (uint64_t)gdt}, i = {sizeof(idt) - 1, (uint64_t)idt};

    __asm__ volatile("lgdt %0\n\t"
                     "push %1\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1: mov %2, %%ss\n\t"
                     "xor %%eax, %%eax\n\t"
                     "mov %%eax, %%ds\n\t"
                     "mov %%eax, %%es\n\t"
                     "mov %%eax, %%fs\n\t"
                     "mov %%eax, %%gs\n\t"
                     "lldt %%ax\n\t"
                     "lidt %3\n\t"
                     "ltr %w4"
                     :
                     : "m"(g), "i"(SEL_KCODE), "r"(SEL_KDATA), "m"(i), "r"(SEL_TSS)
                     : "rax", "memory");
}

void cpu_init(uint32_t cpu)
{
    struct percpu *pc = &percpus[cpu];
    /* A VM exit sets the limit of GDTR to 64 KiB (SDM vol. 3C, 28.5.2): what lies there must never
     * hold a descriptor of ring 3's making. 16 pages of zeroes, but for the first. */
    uint32_t page = boot_pages(16), rq = boot_pages((sizeof(struct runq) + 4095) / 4096);
    struct tables *t = page_ptr(page);
    static const uint8_t ist_slots[3] = {6, 8, 10};

    pc->self = pc;
    pc->cpu = cpu;
    pc->kstack = stack_new(cpu, 1, 4);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t top = stack_new(cpu, ist_slots[i], 1) - 16;
        *(uint64_t *)top = (uint64_t)pc; /* entry.S, ist_common */
        t->tss.ist[i] = top;
    }
    t->tss.iomap = sizeof(struct tss);
    t->gdt[1] = 0x00af9b000000ffff;
    t->gdt[2] = 0x00cf93000000ffff;
    t->gdt[3] = 0x00cff3000000ffff; /* user data before user code: SYSRET */
    t->gdt[4] = 0x00affb000000ffff;
    t->gdt[5] = (sizeof(struct tss) - 1) | ((uint64_t)&t->tss & 0xffffff) << 16 | 0x89ull << 40 |
                ((uint64_t)&t->tss >> 24 & 0xff) << 56;
    t->gdt[6] = (uint64_t)&t->tss >> 32;
    pc->gdt_base = (uint64_t)t->gdt;
    pc->idt_base = (uint64_t)idt;
    pc->tss_base = (uint64_t)&t->tss;
    pc->tss_rsp0 = (uint64_t *)((char *)t + offsetof(struct tables, tss) + 4);
    t->tss.rsp[0] = pc->kstack;
    page = boot_pages(1);
    pc->vmxon_page = page_ptr(page);
    pc->vmxon_phys = page_phys(page);
    if (cpu == 0) {
        for (uint32_t v = 0; v < 256; v++) idt_set(v, v == 2 ? 1 : v == 8 ? 2 : v == 18 ? 3 : 0);
    }
    load_gdt(t->gdt);
    wrmsr(MSR_GS_BASE, (uint64_t)pc);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (pte_nx != 0 ? EFER_NXE : 0));
    wrmsr(MSR_STAR, (uint64_t)(SEL_UCODE - 16) << 48 | (uint64_t)SEL_KCODE << 32);
    wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_CSTAR, 0);
    wrmsr(MSR_SYSENTER_CS, 0);          /* SYSENTER faults */
    wrmsr(MSR_SFMASK, 0x47fd5);         /* all that can be: IF, DF, TF, AC, ... */
    wrmsr(MSR_PAT, 0x0007040600070406); /* as after power-up: PCD with PWT is uncacheable */
    /* One clock for all CPUs, as the hardware keeps it: SDM vol. 3B, 18.17.3. */
    if ((cpuid(7, 0).b >> 1 & 1u) != 0) wrmsr(MSR_TSC_ADJUST, 0);
    write_cr4(cr4_wanted);
    if (host_xcr0 != 0) xsetbv0(host_xcr0);
    write_cr0(0x80010033); /* PG WP NE ET MP PE */
    __asm__ volatile("fninit");
    fpu_disable();
    pc->cr3 = kernel_cr3;
    pc->domain_flush = domain_flags;
    pc->hazard = verw_needed != 0 ? HAZARD_VERW : 0;
    sched_init_cpu(pc, page_ptr(rq));
    apic_init_cpu();
}

static uint32_t ap_next;
static bool ap_go;

/* On the shared boot stack; one at a time. */
__attribute__((noreturn)) void ap_main(void)
{
    uint32_t cpu = ap_next;

    if (pte_nx != 0) wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    write_cr3(kernel_cr3);
    cpu_init(cpu);
    /* What CPU 0 can, this one cannot, or its firmware has locked it: it is left out. */
    while (vcpu_ops->probe() != NULL || !vcpu_ops->cpu_enable()) __asm__ volatile("cli; hlt");
    percpu()->switch_tsc = rdtsc();
    __asm__ volatile("mov %0, %%rsp" : : "r"(percpu()->kstack) : "memory");
    __atomic_store_n(&percpus[ap_next].online, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&ap_go, __ATOMIC_ACQUIRE)) cpu_relax();
    write_cr3(kernel_cr3);
    root_thread_start();
    schedule();
}

/* APIC id bits that tell the threads of one core apart (SDM vol. 3A, 10.9; AMD APM vol. 3, E.4.15).
 */
static uint32_t thread_mask(void)
{
    uint32_t mask = 0;

    if (cpuid(0, 0).a >= 0xb && (cpuid(0xb, 0).c >> 8 & 0xff) == 1)
        return (1u << (cpuid(0xb, 0).a & 31)) - 1;
    if (cpuid(0x80000000, 0).a >= 0x8000001e && (cpuid(0x80000001, 0).c >> 22 & 1u) != 0)
        while (mask < (cpuid(0x8000001e, 0).b >> 8 & 0xff)) mask = mask << 1 | 1;
    return mask;
}

static bool core_runs(uint32_t apic_id, uint32_t mask)
{
    for (uint32_t i = 0; i < epoch_cpus; i++) {
        if ((percpus[i].apic_id | mask) == (apic_id | mask)) return true;
    }
    return false;
}

void cpus_start(const uint8_t *apic_ids, uint32_t count, uint64_t low_page, bool siblings)
{
    uint8_t *to = (uint8_t *)low_page;
    uint32_t mask = thread_mask();

    percpus[0].online = 1;
    epoch_cpus = 1;
    /* Out of the firmware's loops, parked ones too: those may lie in memory that guests get. */
    apic_to_others(TO_OTHERS_INIT);
    if (low_page == 0) {
        klog("bulkhead: no free page below 640 KiB: the other CPUs cannot start");
        return;
    }
    for (const char *from = ap_start; from < ap_end; from++) *to++ = (uint8_t)*from;
    for (uint32_t i = 0; i < count && epoch_cpus < BH_MAX_CPUS; i++) {
        uint32_t ms = 10000; /* of this CPU's own: a machine below us may hold both up */

        if (core_runs(apic_ids[i], 0)) continue; /* this one, or listed twice */
        if (core_runs(apic_ids[i], mask)) {
            protection(BH_PROT_SMT_PARKED, !siblings);
            if (!siblings) continue; /* it waits for a start-up that does not come */
        }
        ap_next = epoch_cpus;
        apic_start_cpu(apic_ids[i], (uint8_t)(low_page >> 12));
        while (!__atomic_load_n(&percpus[ap_next].online, __ATOMIC_ACQUIRE) && ms-- != 0)
            for (uint64_t end = rdtsc() + tsc_khz; rdtsc() < end;) cpu_relax();
        if (percpus[ap_next].online == 0) {
            *(volatile uint32_t *)low_page = 0xfdebf4; /* hlt; jmp to it: should it still come */
            klog("bulkhead: CPU with APIC id %u does not start; it is left out", apic_ids[i]);
            return; /* it may still come up and use ap_next: start no further one */
        }
        epoch_cpus++;
    }
}

void cpus_release(void) { __atomic_store_n(&ap_go, true, __ATOMIC_RELEASE); }

static uint64_t epoch_kicked;
uint64_t cpus_spared;

void cpus_flush_if_owed(bool waited)
{
    uint64_t spared = waited ? 0 : cpus_spared & ~(1ull << percpu()->cpu); /* never itself */

    cpus_spared = 0;
    if (__builtin_expect(epoch_now == epoch_kicked && !waited, 1)) return;
    epoch_kicked = epoch_now;
    for (uint32_t i = 0; i < epoch_cpus; i++) {
        struct percpu *pc = &percpus[i];

        if (pc == percpu()) {
            if (epoch_cpu[i] != epoch_now) pc->hazard |= HAZARD_FLUSH;
        } else if (pc->kicked != epoch_now && (spared >> i & 1u) == 0) {
            pc->kicked = epoch_now;
            apic_kick(pc->apic_id);
        }
    }
}
