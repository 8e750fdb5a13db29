// sources: vmm/monitor/cpu_model.c vmm/rt/crc32c.c vmm/rt/fmt.c
// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/bus.c
/*
 * The CPUID and MSR tables row by row: what a row promises it does; what no row names reads as zero
 * or raises #GP, and is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define rows   cpuid_rows
#define row    cpuid_row
#define row_of cpuid_row_of
#include "vmm/monitor/cpuid.c"
enum { CPUID_ROWS = ROWS };
#undef rows
#undef row
#undef row_of
#undef ALL
#include "vmm/monitor/msr.c"

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
uint32_t device_lock_word;
bool device_lock_needed;

void device_lock_wait(void) {}

static int injected, skipped;

static uint64_t now(void *ctx) { return 1000; }

static uint64_t tsc(void *ctx) { return 5000; }

static const struct dev_host dev_host = {.now_ns = now};
static const struct lapic_host apic_host = {.tsc = tsc};

struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    return (struct bh_result){0, 0};
}

void read_state(uint64_t groups) {}

void inject_exception(unsigned vector, int64_t code)
{
    assert_int_equal(code, 0);
    injected = (int)vector;
}

void insn_skip_slow(uint32_t opcode, unsigned length) { skipped++; }

void insn_stepped(void) {}

bool kvm_msr_read(uint32_t msr, uint64_t *value)
{
    *value = msr;
    return true;
}

bool kvm_msr_write(uint32_t msr, uint64_t value) { return true; }

bool kvm_eoi_msr_read(uint32_t msr, uint64_t *value)
{
    *value = msr;
    return true;
}

bool kvm_eoi_msr_write(uint32_t msr, uint64_t value) { return true; }

void kvm_tsc_moved(void) {}

uint64_t clock_ns(void) { return 1000; }

static int setup(void **state)
{
    struct bh_monitor_start *st = (struct bh_monitor_start *)BH_MONITOR_START;
    char text[160];

    memset(vcpus, 0, sizeof(vcpus));
    vcpus[0].page = (struct bh_vcpu_page *)BH_MONITOR_VCPU;
    vcpus[0].mtrr_default = 0xc06;
    memset(page(), 0, 4096);
    st->tsc_khz = 2500000;
    st->nvcpus = 1;
    page()->state.pat = 0x0007040600070406ull;
    assert_true(lapic_init(&vcpus[0].lapic, NULL, &dev_host, &apic_host, 0, true, 2500000000u));
    st->cpu_model = BH_MONITOR_CPU_HOST;
    assert_true(cpuid_init(text, sizeof(text)));
    return 0;
}

static struct regs ask(uint32_t leaf, uint32_t sub)
{
    struct bh_vcpu_page *p = page();

    memset(p->gpr, 0xff, sizeof(p->gpr));
    p->gpr[RAX] = 0xffffffff00000000ull | leaf;
    p->gpr[RCX] = 0xffffffff00000000ull | sub;
    exit_cpuid();
    assert_int_equal((p->gpr[RAX] | p->gpr[RBX] | p->gpr[RCX] | p->gpr[RDX]) >> 32, 0);
    return (struct regs){(uint32_t)p->gpr[RAX], (uint32_t)p->gpr[RBX], (uint32_t)p->gpr[RCX],
                         (uint32_t)p->gpr[RDX]};
}

/* No bit outside mask and fixed value is ever seen; fixed bits always are. */
static void cpuid_each_row(void **state)
{
    for (unsigned i = 0; i < CPUID_ROWS; i++) {
        const struct cpuid_row *r = &cpuid_rows[i];
        struct regs v = ask(r->leaf, r->sub);
        bool dynamic = r->now != NULL;

        if (dynamic) /* what follows the vCPU's state has tests of its own below */
            continue;
        assert_int_equal(v.a & ~(r->mask.a | r->fixed.a), 0);
        assert_int_equal(v.b & ~(r->mask.b | r->fixed.b), 0);
        assert_int_equal(v.c & ~(r->mask.c | r->fixed.c), 0);
        assert_int_equal(v.d & ~(r->mask.d | r->fixed.d), 0);
        assert_int_equal(v.a & r->fixed.a, r->fixed.a);
        assert_int_equal(v.b & r->fixed.b, r->fixed.b);
        assert_int_equal(v.c & r->fixed.c, r->fixed.c);
        assert_int_equal(v.d & r->fixed.d, r->fixed.d);
    }
    assert_int_equal(vcpus[0].holes, 0);
}

static void cpuid_absent(void **state)
{
    static const uint32_t absent[] = {
        0x3,    0x5,        0x8,        0xa,        0xe,        0x12,       0x1f,       0x20,
        0x1000, 0x40000002, 0x40000101, 0x7fffffff, 0x8000000a, 0x8000001f, 0xc0000000, 0xffffffff};

    for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        struct regs v = ask(absent[i], 0);

        assert_int_equal(v.a | v.b | v.c | v.d, 0);
        assert_int_equal(vcpus[0].holes, i + 1u);
    }
}

static void cpuid_follows_state(void **state)
{
    struct regs v;

    page()->state.cr4 = CR4_OSXSAVE;
    page()->state.xcr0 = 1;
    v = ask(1, 0);
    assert_int_equal(v.c >> 27 & 1u, v.c >> 26 & 1u);
    assert_int_equal(v.c >> 31, 1);
    assert_int_equal(v.d & L1_D_APIC, L1_D_APIC);
    page()->state.cr4 = 0;
    assert_int_equal(ask(1, 0).c >> 27 & 1u, 0);
    /* Neither VMX nor SVM nor MONITOR is offered, whatever the host has. */
    assert_int_equal(ask(1, 0).c & (1u << 5 | 1u << 3), 0);
    assert_int_equal(ask(0x80000001u, 0).c & 1u << 2, 0);
    assert_int_equal(ask(0xd, 0).b, 576);
    page()->state.xcr0 = 7;
    assert_int_equal(ask(0xd, 0).b, 832);
    assert_int_equal(ask(0xb, 0).d, 0);
    assert_int_equal(ask(0xb, 7).c, 7);
    assert_true(
        lapic_msr_write(&vcpus[0].lapic, MSR_IA32_APIC_BASE, LAPIC_DEFAULT_BASE | APIC_BASE_BSP));
    assert_int_equal(ask(1, 0).d & L1_D_APIC, 0);
}

static bool msr_get(uint32_t msr, uint64_t *value)
{
    struct bh_vcpu_page *p = page();
    int before = skipped;

    injected = -1;
    p->gpr[RCX] = 0xaaaaaaaa00000000ull | msr;
    exit_rdmsr();
    *value = p->gpr[RDX] << 32 | (uint32_t)p->gpr[RAX];
    assert_true(injected == VEC_GP ? skipped == before : skipped == before + 1);
    return injected != VEC_GP;
}

static bool msr_set(uint32_t msr, uint64_t value)
{
    struct bh_vcpu_page *p = page();

    injected = -1;
    p->gpr[RCX] = msr;
    p->gpr[RAX] = 0xbbbbbbbb00000000ull | (uint32_t)value;
    p->gpr[RDX] = 0xcccccccc00000000ull | value >> 32;
    exit_wrmsr();
    return injected != VEC_GP;
}

static void msr_each_row(void **state)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        uint64_t value;

        assert_true(r->first <= r->last);
        for (unsigned j = i + 1u; j < sizeof(rows) / sizeof(rows[0]); j++)
            assert_true(rows[j].first > r->last || rows[j].last < r->first);
        if (lapic_msr_mine(r->first)) /* the APIC model has tests of its own */
            continue;
        assert_true(msr_get(r->first, &value));
        if (!r->read && !r->write) {
            assert_int_equal(value, r->value);
            assert_int_equal(msr_set(r->first, r->value ^ 1u), r->ignore);
            assert_true(msr_get(r->first, &value));
            assert_int_equal(value, r->value);
        } else {
            assert_true(msr_set(r->first, value)); /* what was read can be written */
        }
    }
    assert_int_equal(vcpus[0].holes, 0);
}

static void msr_absent(void **state)
{
    static const uint32_t absent[] = {
        0,          0x11,       0x12,       0x3c,       0x48,       0x49,      0xc1,  0x10b,
        0x186,      0x210,      0x251,      0x25a,      0x267,      0x270,     0x300, 0x480,
        0x4b564d02, 0x4b564d05, 0xc0000085, 0xc0000103, 0xc0010117, 0xffffffff};
    uint64_t value;

    for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        assert_false(msr_get(absent[i], &value));
        assert_false(msr_set(absent[i], 0));
        assert_int_equal(vcpus[0].holes, 2u * (i + 1u));
    }
}

static void msr_values(void **state)
{
    struct bh_vcpu_state *s = &page()->state;

    assert_false(msr_set(0x277, 0x02)); /* reserved memory type */
    assert_false(msr_set(0x2ff, 0x1c06));
    assert_true(msr_set(0x2ff, 0xc00));
    assert_false(msr_set(0x200, 0x02));
    assert_false(msr_set(0xc0000082u, 0x800000000000ull));
    assert_true(msr_set(0xc0000082u, 0xffff800000000000ull));
    assert_int_equal(s->lstar, 0xffff800000000000ull);
    /* EFER: no SVME, no change of LME under paging, LMA kept. */
    s->efer = EFER_LME | EFER_LMA;
    s->cr0 = CR0_PE | CR0_PG;
    assert_false(msr_set(0xc0000080u, 0x1000 | EFER_LME));
    assert_false(msr_set(0xc0000080u, EFER_NXE));
    assert_true(msr_set(0xc0000080u, EFER_LME | EFER_NXE));
    assert_int_equal(s->efer, EFER_LME | EFER_LMA | EFER_NXE);
    s->cr0 = CR0_PE;
    assert_true(msr_set(0xc0000080u, EFER_SCE));
    /* TSC and TSC_ADJUST move together. */
    vcpus[0].tsc_offset = 0;
    assert_true(msr_set(0x3b, 0x1000));
    assert_int_equal(vcpus[0].tsc_offset, 0x1000);
    assert_int_equal(s->tsc_offset, 0x1000);
    assert_true(vcpus[0].flags & BH_STATE_TSC);
}

/* The frequency is told, and by no leaf whose product kernels compute in 32 bits. */
static void frequency(void **state)
{
    struct bh_monitor_start *st = (struct bh_monitor_start *)BH_MONITOR_START;
    char model[32], later[32], text[160];

    assert_int_equal(ask(0x40000010u, 0).a, 2500000);
    assert_int_equal(ask(0x40000010u, 0).b, LAPIC_TIMER_HZ / 1000u);
    assert_in_range(ask(0x40000000u, 0).a, 0x40000010u, 0x400000ffu);
    assert_int_equal(ask(0x15, 0).b, 0);
    /* The next boot measures another one, and what was saved is still of this processor. */
    cpuid_model(model);
    st->tsc_khz++;
    assert_true(cpuid_init(text, sizeof(text)));
    assert_int_equal(ask(0x40000010u, 0).a, 2500001);
    cpuid_model(later);
    assert_string_equal(model, later);
    st->tsc_khz--;
}

/* A TSC is what is written, but when another vCPU's is near: then they agree. */
static void tscs_written_together(void **state)
{
    struct bh_monitor_start *st = (struct bh_monitor_start *)BH_MONITOR_START;
    uint64_t other;

    st->nvcpus = 2;
    vcpus[0].tsc_offset = vcpus[1].tsc_offset = 0x123456789abcull;
    assert_true(msr_set(0x10, 0)); /* both have the same: exact */
    other = vcpus[0].tsc_offset;
    assert_in_range(rt_tsc() + other, 0, 2500000000u);
    vcpus[0].tsc_offset = 0x123456789abcull; /* the other one writes it, a while later */
    vcpus[0].tsc_adjust = 0;
    vcpus[1].tsc_offset = other;
    assert_true(msr_set(0x10, 0));
    assert_int_equal(vcpus[0].tsc_offset, other);
    assert_int_equal(vcpus[0].tsc_adjust, other - 0x123456789abcull);
    assert_true(msr_set(0x10, 0)); /* again: it is meant */
    assert_int_not_equal(vcpus[0].tsc_offset, other);
    assert_true(msr_set(0x10, 1ull << 50)); /* far from the other's */
    assert_in_range(rt_tsc() + vcpus[0].tsc_offset, 1ull << 50, (1ull << 50) + 2500000000u);
    st->nvcpus = 1;
}

static void map_page(uint64_t at)
{
    void *got = mmap((void *)at, 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    assert_ptr_equal(got, (void *)at);
}

/* Last: it changes the table. Every feature of the model and no other, if this processor has them;
 * or words about what it lacks. */
static void named_models(void **state)
{
    struct bh_monitor_start *st = (struct bh_monitor_start *)BH_MONITOR_START;

    for (uint32_t number = BH_MONITOR_CPU_V3; number != BH_MONITOR_CPU_HOST; number--) {
        const struct cpu_model *m = cpu_model_named(number);
        char text[160], model[32];

        st->cpu_model = number;
        if (!cpuid_init(text, sizeof(text))) {
            assert_non_null(strstr(text, "this processor lacks"));
            continue;
        }
        assert_int_equal(ask(1, 0).c & ~(L1_C_FIXED | L1_C_OSXSAVE), m->word[CPU_1C]);
        assert_int_equal(ask(7, 0).b & ~L7_B_FIXED, m->word[CPU_7B]);
        assert_int_equal(ask(7, 0).c | ask(7, 0).d | ask(0xd, 1).a, 0);
        assert_int_equal(ask(0x80000001u, 0).c, m->word[CPU_E1C]);
        assert_int_equal(ask(0x80000001u, 0).d & ~E1_D_COPY, m->word[CPU_E1D] & ~E1_D_COPY);
        assert_int_equal(ask(2, 0).a | ask(4, 0).a | ask(0x80000006u, 0).c, 0);
        assert_int_equal(ask(0x80000008u, 0).a, 0x3028);
        assert_int_equal(ask(0xd, 0).a, cpu_model_xsave(m) ? 7 : 0);
        assert_int_equal(cpuid_address_bits(), 40);
        cpuid_model(model);
        assert_non_null(strstr(model, m->name));
    }
    st->cpu_model = 99;
    {
        char text[160];

        assert_false(cpuid_init(text, sizeof(text)));
    }
    st->cpu_model = BH_MONITOR_CPU_HOST;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cpuid_each_row, setup),
        cmocka_unit_test_setup(cpuid_absent, setup),
        cmocka_unit_test_setup(cpuid_follows_state, setup),
        cmocka_unit_test_setup(msr_each_row, setup),
        cmocka_unit_test_setup(msr_absent, setup),
        cmocka_unit_test_setup(msr_values, setup),
        cmocka_unit_test_setup(frequency, setup),
        cmocka_unit_test_setup(tscs_written_together, setup),
        cmocka_unit_test_setup(named_models, setup),
    };

    map_page(BH_MONITOR_VCPU);
    map_page(BH_MONITOR_START);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
