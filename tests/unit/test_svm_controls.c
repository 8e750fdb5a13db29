// sources: kernel/core/epoch.c
// flags: -fomit-frame-pointer -Wno-conversion
/*
 * Promise 5 on SVM, row by row: each bit of the intercept words, of the MSR map and of the port
 * map, as svm.c sets them up; and for each intercept, whether its exit is known. What is not named
 * here as the guest's must be intercepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/asm.h"
#include "arch/x86/klog.h"
#include "arch/x86/mem.h"
#include "arch/x86/percpu.h"

static struct percpu this_cpu;
static uint8_t save_page[4096];

static uint64_t fake_rdmsr(uint32_t msr) { return 0; }

static void fake_wrmsr(uint32_t msr, uint64_t v) {}

static struct cpuid_regs fake_cpuid(uint32_t leaf, uint32_t sub)
{
    return (struct cpuid_regs){0x8000000a, 16, 4, 1};
}

#define percpu()      (&this_cpu)
#define rdmsr         fake_rdmsr
#define wrmsr         fake_wrmsr
#define cpuid         fake_cpuid
#define boot_pages(n) 0u
#define page_phys(p)  ((uint64_t)(uintptr_t)&save_page[p])
#define image_phys(p) ((uint64_t)(uintptr_t)(p))
#include "kernel/arch/x86/svm/svm.c"

uint64_t pte_nx;
uint32_t cpu_prot_on;
void panic(const char *fmt, ...) { abort(); }
void apic_kick(uint32_t id) {}
void svm_read_state(struct vcpu *v, uint64_t groups) {}
uint32_t svm_write_state(struct vcpu *v, uint64_t groups) { return 0; }
void svm_debug_save(struct vcpu *v) {}
void svm_debug_load(struct vcpu *v) {}

static struct vmcb vmcb;
static struct vcpu vcpu;

static int setup(void **state)
{
    memset(&vmcb, 0, sizeof(vmcb));
    memset(&vcpu, 0, sizeof(vcpu));
    vcpu.hw = &vmcb;
    vcpu.nested_root = 0x5000;
    maps_init();
    svm_init(&vcpu);
    return 0;
}

/* The ten that VMLOAD and VMSAVE switch (AMD APM vol. 2, 15.5.2), so that they are the guest's own.
 */
static bool msr_is_guests(uint32_t msr)
{
    return (msr >= 0x174 && msr <= 0x176) || (msr >= 0xc0000081 && msr <= 0xc0000084) ||
           (msr >= 0xc0000100 && msr <= 0xc0000102);
}

/* APM vol. 2, 15.11: three ranges of 8,192 MSRs, two bits each, then nothing. */
static void msr_map(void **state)
{
    static const uint32_t first[] = {0, 0xc0000000, 0xc0010000};
    unsigned open = 0;

    for (uint32_t r = 0; r < 3; r++) {
        for (uint32_t i = 0; i < 0x2000; i++) {
            unsigned bits = msrpm[r * 2048 + i / 4] >> (i % 4 * 2) & 3;

            assert_int_equal(bits, msr_is_guests(first[r] + i) ? 0 : 3);
            open += bits == 0;
        }
    }
    assert_int_equal(open, 10);
    for (uint32_t i = 3 * 2048; i < sizeof(msrpm); i++) assert_int_equal(msrpm[i], 0xff);
    assert_int_equal(vmcb.msrpm_pa, (uintptr_t)msrpm);
}

static void port_map(void **state)
{
    for (uint32_t i = 0; i < sizeof(iopm); i++) assert_int_equal(iopm[i], 0xff);
    assert_int_equal(vmcb.iopm_pa, (uintptr_t)iopm);
}

enum whose { OURS, GUESTS, WHEN_ASKED };
struct intercept {
    const char *name;
    enum whose whose;
    bool own_case; /* its exit is told apart in svm_exit_rare(), or ends the VM as unknown */
};

/* APM vol. 2, appendix B, offset 0x0c; exit codes from 0x60. The guest's: what changes nothing but
 * its own state; the descriptor tables, which it could read anyway (UMIP is its own bit). */
static const struct intercept misc1[32] = {
    {"INTR", OURS, false},         {"NMI", OURS, false},          {"SMI", OURS, false},
    {"INIT", OURS, false},         {"VINTR", OURS, true},         {"CR0 selective", GUESTS, false},
    {"IDTR read", GUESTS, false},  {"GDTR read", GUESTS, false},  {"LDTR read", GUESTS, false},
    {"TR read", GUESTS, false},    {"IDTR write", GUESTS, false}, {"GDTR write", GUESTS, false},
    {"LDTR write", GUESTS, false}, {"TR write", GUESTS, false},   {"RDTSC", GUESTS, false},
    {"RDPMC", OURS, false},        {"PUSHF", GUESTS, false},      {"POPF", GUESTS, false},
    {"CPUID", OURS, false},        {"RSM", OURS, false},          {"IRET", WHEN_ASKED, true},
    {"INTn", GUESTS, false},       {"INVD", OURS, false},         {"PAUSE", GUESTS, false},
    {"HLT", OURS, false},          {"INVLPG", GUESTS, false},     {"INVLPGA", OURS, false},
    {"IOIO", OURS, false},         {"MSR", OURS, false},          {"task switch", OURS, false},
    {"FERR_FREEZE", OURS, true},   {"shutdown", OURS, false}};

/* Offset 0x10; exit codes from 0x80. */
static const struct intercept misc2[16] = {
    {"VMRUN", OURS, false},       {"VMMCALL", OURS, false}, {"VMLOAD", OURS, false},
    {"VMSAVE", OURS, false},      {"STGI", OURS, false},    {"CLGI", OURS, false},
    {"SKINIT", OURS, false},      {"RDTSCP", OURS, false},  {"ICEBP", GUESTS, false},
    {"WBINVD", OURS, false},      {"MONITOR", OURS, false}, {"MWAIT", OURS, false},
    {"MWAIT armed", OURS, false}, {"XSETBV", OURS, false},  {"RDPRU", OURS, false},
    {"EFER trap", GUESTS, false}};

static void walk(const struct intercept *rows, unsigned count, uint32_t word, uint32_t first_code)
{
    for (unsigned i = 0; i < count; i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(word >> i & 1, rows[i].whose == OURS);
        if (rows[i].whose == GUESTS || rows[i].own_case)
            assert_int_equal(exit_map[first_code + i], 0);
        else
            assert_int_not_equal(exit_map[first_code + i], 0);
    }
    assert_int_equal((uint64_t)word >> count, 0);
}

static void intercepts(void **state)
{
    walk(misc1, 32, vmcb.misc1, 0x60);
    walk(misc2, 16, vmcb.misc2, 0x80);
    assert_int_equal(vmcb.misc3, 0);
    assert_int_equal(vmcb.cr_read, 1u << 8); /* CR8: the APIC's task priority is the monitor's */
    assert_int_equal(vmcb.cr_write, 1u << 8);
    assert_int_equal(vmcb.dr_read | vmcb.dr_write, 0);
    /* Exceptions: #DB and #AC could repeat for ever; #MC is the host's. */
    assert_int_equal(vmcb.exceptions, 1u << 1 | 1u << 17 | 1u << 18);
}

static void controls(void **state)
{
    assert_int_equal(vmcb.int_ctl, 1u << 24); /* V_INTR_MASKING, and nothing virtual */
    assert_int_equal(vmcb.np_enable, 1);
    assert_int_equal(vmcb.ncr3, 0x5000);
    assert_int_equal(vmcb.lbr, 0);
    assert_int_equal(vmcb.event_inj, 0);
    assert_int_equal(vmcb.clean, 0);
    assert_int_equal(vmcb.efer, 1u << 12); /* SVME, which VMRUN demands */
}

/* All other exit codes are unknown: they end the VM. */
static void exit_codes(void **state)
{
    for (unsigned code = 0; code < sizeof(exit_map); code++) {
        if (code == 0x08 || code == 0x18 || (code >= 0x60 && code < 0x90)) continue;
        assert_int_equal(exit_map[code], 0);
    }
}

/* After an entry that failed, whatever is in the VMCB goes, controls included. */
static void refused(void **state)
{
    static struct bh_vcpu_page page;

    vcpu.page = &page;
    memset(&vmcb, 0xff, sizeof(vmcb));
    page.rip = 0x1234;
    vmcb.exit_info1 = 7;
    assert_int_equal(svm_refused(&vcpu, &vmcb), BH_EXIT_INVALID);
    assert_int_equal(page.rip, 0x1234);
    assert_int_equal(vcpu.rip, 0x1234);
    assert_int_equal(page.info, 7);
    intercepts(state);
    controls(state);
    assert_int_equal(vmcb.rip, 0xfff0);
    assert_int_equal(vmcb.rsp | vmcb.cr3 | vmcb.idtr.base | vmcb.gdtr.base | vmcb.lstar, 0);
}

/* VMRUN checks the guest's state before it carries out TLB_CONTROL (APM vol. 3, VMRUN): a flush
 * that was to come with an entry that failed is still owed. */
static void refused_with_flush(void **state)
{
    static struct bh_vcpu_page page;
    static struct vmcb other;
    static struct vcpu next;
    static uint64_t whole[512]; /* svm_refused() clears a page */
    struct vmcb *b = (struct vmcb *)(void *)whole;

    asids = 16;
    vcpu.page = &page;
    vcpu.hw = b;
    svm_flush_all();
    svm_take_cpu(&vcpu, b);
    assert_int_equal(b->tlb_control, 1);
    assert_int_equal(svm_refused(&vcpu, b), BH_EXIT_INVALID);
    svm_take_cpu(&next, &other);
    assert_int_equal(other.tlb_control, 1);
    svm_take_cpu(&vcpu, b);
    assert_int_equal(b->tlb_control, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(msr_map, setup),           cmocka_unit_test_setup(port_map, setup),
        cmocka_unit_test_setup(intercepts, setup),        cmocka_unit_test_setup(controls, setup),
        cmocka_unit_test_setup(exit_codes, setup),        cmocka_unit_test_setup(refused, setup),
        cmocka_unit_test_setup(refused_with_flush, setup)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
