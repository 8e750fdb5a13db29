// sources: kernel/arch/x86/vmx/ept.c
// flags: -fomit-frame-pointer -Wno-conversion
/*
 * Promise 5 on VMX, row by row: each bit of the five control words for each thing that the
 * capability MSRs can say about it, each bit of the MSR bitmap, what a new VMCS holds, and which
 * exit reasons are known. A control that is not named here is off wherever the CPU lets it be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/mem.h"
#include "arch/x86/vmx/vmx.h"

static struct percpu this_cpu;
static uint64_t fields[0x7000], cpu_msrs[0x2000];

static uint64_t fake_rdmsr(uint32_t msr) { return msr < 0x2000 ? cpu_msrs[msr] : 0; }

static void fake_wrmsr(uint32_t msr, uint64_t v)
{
    if (msr < 0x2000) cpu_msrs[msr] = v;
}

static uint32_t leaf7_d[3]; /* EDX of its subleaves */

static struct cpuid_regs fake_cpuid(uint32_t leaf, uint32_t sub)
{
    return (struct cpuid_regs){39, 0, 1u << 5, leaf == 7 ? leaf7_d[sub] : 0};
}

static void fake_vmwrite(uint32_t field, uint64_t value) { fields[field] = value; }

static uint64_t fake_vmread(uint32_t field) { return fields[field]; }

#define percpu()               (&this_cpu)
#define rdmsr                  fake_rdmsr
#define wrmsr                  fake_wrmsr
#define cpuid                  fake_cpuid
#define vmwrite                fake_vmwrite
#define vmread                 fake_vmread
#define vmclear(p)             (void)(p)
#define vmx_this_cpu()         (&vmx_cpus[0])
#define vmx_make_current(v, c) ((void)(c))
#define image_phys(p)          ((uint64_t)(uintptr_t)(p))
#include "kernel/arch/x86/vmx/vmx.c"
#include "kernel/arch/x86/vmx/vmx_run.c"

void panic(const char *fmt, ...) { abort(); }
void vmx_read_state(struct vcpu *v, uint64_t groups) {}
uint32_t vmx_write_state(struct vcpu *v, uint64_t groups) { return 0; }
void vmx_load_state(struct vcpu *v, const struct bh_vcpu_state *s, uint64_t groups) {}
bool vmx_canonical(uint64_t va) { return true; }
unsigned vmx_enter(uint64_t *gpr, uint64_t launched, uint64_t *rsp) { return 0; }
const char vmx_exit_point[1];

enum need {
    OFF,
    REQUIRED,
    OPTIONAL,
    REFUSED
}; /* REFUSED: a CPU that insists on it cannot be used */

struct word {
    const char *name;
    uint32_t msr;    /* that says what is possible; + 12 for the true one but the secondary's */
    size_t at;       /* in struct vmx_config */
    uint8_t bit[32]; /* enum need */
};

#define AT(f) offsetof(struct vmx_config, f)
/* Intel SDM vol. 3C, 25.6.1, 25.6.2, 25.7.1, 25.8.1. */
static const struct word words[] = {
    {"pin", MSR_VMX_PIN, AT(pin), {[0] = REQUIRED, [3] = REQUIRED, [5] = REQUIRED, [6] = REQUIRED}},
    {"primary",
     MSR_VMX_CPU,
     AT(cpu),
     {[3] = REQUIRED,  /* TSC offset */
      [7] = REQUIRED,  /* HLT */
      [9] = REFUSED,   /* INVLPG */
      [10] = REQUIRED, /* MWAIT */
      [11] = REQUIRED, /* RDPMC */
      [15] = REFUSED,  /* MOV to CR3 */
      [16] = REFUSED,  /* MOV from CR3 */
      [19] = REQUIRED, /* MOV to CR8 */
      [20] = REQUIRED, /* MOV from CR8 */
      [24] = REQUIRED, /* all ports */
      [28] = REQUIRED, /* MSR bitmaps */
      [29] = REQUIRED, /* MONITOR */
      [31] = REQUIRED}},
    {"secondary",
     MSR_VMX_CPU2,
     AT(cpu2),
     {[1] = REQUIRED, [5] = REQUIRED, [6] = OPTIONAL, [7] = REQUIRED, [15] = OPTIONAL}},
    {"exit",
     MSR_VMX_EXIT,
     AT(exit),
     {[2] = REQUIRED,
      [9] = REQUIRED,
      [18] = REQUIRED,
      [19] = REQUIRED,
      [20] = REQUIRED,
      [21] = REQUIRED}},
    {"entry", MSR_VMX_ENTRY, AT(entry), {[2] = REQUIRED, [14] = REQUIRED, [15] = REQUIRED}},
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static bool true_msrs;

static uint64_t *says(const struct word *w)
{
    return &cpu_msrs[w->msr + (true_msrs && w->msr != MSR_VMX_CPU2 ? 12 : 0)];
}

/* A CPU that can do all and insists on nothing. */
static void all_possible(void)
{
    memset(cpu_msrs, 0, sizeof(cpu_msrs));
    cpu_msrs[MSR_VMX_BASIC] = (true_msrs ? VMX_BASIC_TRUE : 0) | VMX_BASIC_INS_OUTS | 1;
    cpu_msrs[MSR_VMX_EPT_VPID] = ~0ull;
    cpu_msrs[MSR_FEATURE_CONTROL] = 5;
    for (unsigned i = 0; i < WORDS; i++) *says(&words[i]) = 0xffffffff00000000ull;
}

static uint32_t value(const struct vmx_config *c, const struct word *w)
{
    uint32_t v;

    memcpy(&v, (const char *)c + w->at, sizeof(v));
    return v;
}

static uint32_t expected(const struct word *w)
{
    uint32_t v = 0;

    for (unsigned b = 0; b < 32; b++)
        v |= (w->bit[b] == REQUIRED || w->bit[b] == OPTIONAL) ? 1u << b : 0;
    return v;
}

static void control_words(void **state)
{
    for (unsigned true_too = 0; true_too < 2; true_too++) {
        true_msrs = true_too != 0;
        for (unsigned i = 0; i < WORDS; i++) {
            const struct word *w = &words[i];

            for (unsigned b = 0; b < 32; b++) {
                struct vmx_config c = {0};
                const char *refused;

                print_message("%s %u\n", w->name, b);
                all_possible();
                assert_null(compute(&c));
                assert_int_equal(value(&c, w), expected(w));
                *says(w) &= ~(1ull << (32 + b)); /* the CPU cannot */
                refused = compute(&c);
                if (w->bit[b] == REQUIRED) {
                    assert_non_null(refused);
                    assert_non_null(vmx_probe());
                } else {
                    assert_null(refused);
                    assert_int_equal(value(&c, w), expected(w) & ~(1u << b));
                }
                all_possible();
                *says(w) |= 1ull << b; /* the CPU insists */
                refused = compute(&c);
                if (w->bit[b] == REFUSED) {
                    assert_non_null(refused);
                } else {
                    assert_null(refused);
                    assert_int_equal(value(&c, w), expected(w) | 1u << b);
                }
            }
        }
    }
}

/* What else the CPU must have: EPT with four levels, write-back, 2 MiB; flushes of all contexts. */
static void other_capabilities(void **state)
{
    static const uint8_t needed[] = {6, 14, 16, 20, 26, 32, 42};
    struct vmx_config c = {0};

    true_msrs = true;
    for (unsigned b = 0; b < 64; b++) {
        bool is_needed = memchr(needed, (int)b, sizeof(needed)) != NULL;

        all_possible();
        cpu_msrs[MSR_VMX_EPT_VPID] &= ~(1ull << b);
        assert_int_equal(compute(&c) != NULL, is_needed);
    }
    all_possible();
    cpu_msrs[MSR_VMX_BASIC] &= ~VMX_BASIC_INS_OUTS;
    assert_non_null(compute(&c));
    all_possible();
    cpu_msrs[MSR_FEATURE_CONTROL] = 1;
    assert_non_null(vmx_probe());
}

/* Reads at 0, writes at 2048, the upper range behind the lower one (SDM vol. 3C, 25.6.9). */
static void msr_bitmap(void **state)
{
    unsigned open = 0;

    build_msr_bitmap();
    for (uint32_t i = 0; i < 0x8000; i++) {
        uint32_t msr = (i & 0x1fff) | ((i & 0x2000) != 0 ? 0xc0000000u : 0);
        bool write = (i & 0x4000) != 0, shut = vmx_msr_bitmap[i / 8] >> (i % 8) & 1;
        bool both = (msr >= 0x174 && msr <= 0x176) || (msr >= 0xc0000100 && msr <= 0xc0000102);
        bool read = msr == 0xc0000081 || msr == 0xc0000082 || msr == 0xc0000084;

        assert_int_equal(shut, !(both || (read && !write)));
        open += !shut;
    }
    assert_int_equal(open, 15);
}

static void new_vmcs(void **state)
{
    static uint8_t hw[4096] __attribute__((aligned(4096))),
        xsave[4096] __attribute__((aligned(64)));
    static struct bh_vcpu_page page;
    static struct vcpu v;

    true_msrs = true;
    all_possible();
    assert_null(compute(&vmx_config));
    memset(fields, 0xff, sizeof(fields)); /* VMCLEAR leaves them undefined */
    v.hw = hw;
    v.xsave = xsave;
    v.page = &page;
    vmx_init(&v);
    assert_int_equal(fields[PIN_CONTROLS], expected(&words[0]));
    assert_int_equal(fields[PRIMARY_CONTROLS], expected(&words[1]));
    assert_int_equal(fields[SECONDARY_CONTROLS], expected(&words[2]));
    assert_int_equal(fields[EXIT_CONTROLS], expected(&words[3]));
    assert_int_equal(fields[EXCEPTION_BITMAP], 1u << 1 | 1u << 17 | 1u << 18);
    assert_int_equal(fields[PF_ERROR_MASK] | fields[PF_ERROR_MATCH],
                     0); /* page faults: the guest's */
    assert_int_equal(fields[ENCLS_EXIT_BITMAP], ~0ull);
    assert_int_equal(fields[MSR_BITMAP], (uintptr_t)vmx_msr_bitmap);
    assert_int_equal(fields[CR0_MASK], 0x60000020u);         /* CD NW NE */
    assert_int_equal(fields[CR4_MASK], ~0x370fffull | 0x40); /* all but the known; MCE */
    assert_int_equal(fields[VMCS_LINK_POINTER], ~0ull);
    assert_int_equal(fields[CR3_TARGET_COUNT] | fields[ENTRY_EVENT] | fields[GUEST_DEBUGCTL], 0);
    assert_int_equal(fields[ENTRY_MSR_LOAD_COUNT], SWAP_COUNT);
    assert_int_equal(fields[EXIT_MSR_LOAD_COUNT], SWAP_COUNT);
    assert_int_equal(fields[EXIT_MSR_STORE_COUNT], 1);
}

/* SDM vol. 3D, appendix C. Reasons that no control of ours can cause have no row: they are unknown,
 * and so is whatever comes after them. */
static void exit_reasons(void **state)
{
    static const uint8_t unknown[] = {5,  6,  14, 16, 17, 29, 33, 34, 35, 37, 38, 40,
                                      41, 42, 43, 44, 45, 46, 47, 49, 51, 56, 57, 58};

    for (unsigned r = 0; r < REASON_COUNT; r++) {
        print_message("%u\n", r);
        assert_int_equal(exit_map[r] == 0, memchr(unknown, (int)r, sizeof(unknown)) != NULL);
    }
}

/* Of SPEC_CTRL what this CPU has, and only where it is to stay on; the return predictor is filled
 * where the CPU does not say that it keeps it apart. Each CPU is asked. */
static void predictions(void **state)
{
    static const struct {
        uint32_t has_caps, modes;
        uint64_t caps, spec_ctrl;
        uint8_t fill;
    } rows[] = {
        {0, 0x14, 0, 0, 1},
        {1, 0x14, 0, 0, 1},
        {1, 0, 2, 1, 1},
        {1, 0, 0x1000002, 1, 0},
        {1, 4, 0x1000002, 0x41, 0},
        {1, 0x10, 0x1000002, 0x401, 0},
        {1, ~0u, 0x1000002, 0x441, 0},
        {1, ~0u, 0x1000000, 0, 1},
    };

    true_msrs = true;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        all_possible();
        leaf7_d[0] = rows[i].has_caps << 29;
        leaf7_d[2] = rows[i].modes;
        cpu_msrs[MSR_ARCH_CAP] = rows[i].caps;
        vmx_config.basic = 1; /* another CPU: it ends before VMXON */
        vmx_rsb_fill = 0;
        assert_false(vmx_cpu_enable());
        assert_int_equal(cpu_msrs[MSR_SPEC_CTRL], rows[i].spec_ctrl);
        assert_int_equal(vmx_rsb_fill, rows[i].fill);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_words), cmocka_unit_test(other_capabilities),
        cmocka_unit_test(msr_bitmap),    cmocka_unit_test(new_vmcs),
        cmocka_unit_test(exit_reasons),  cmocka_unit_test(predictions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
