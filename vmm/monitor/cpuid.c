/*
 * The CPUID policy: one row per leaf. What no row allows reads as zero. The host's own values are
 * read once, at start. Bit positions: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E.
 * May call: CPUID itself, the local APIC model.
 */
#include "cpu_model.h"
#include "crc32c.h"
#include "fmt.h"
#include "monitor.h"
#include "string.h"

struct regs {
    uint32_t a, b, c, d;
};

/* Rows for leaves without sub-leaves that matter (0), or one sub-leaf. */
struct row {
    uint32_t leaf, sub;
    struct regs mask;            /* of the host's value that the guest sees */
    struct regs fixed;           /* ORed in */
    void (*now)(struct regs *r); /* what depends on the vCPU's state; NULL: nothing */
};

#define ALL              0xffffffffu
#define ADDRESS_BITS_MAX 46u /* four levels of page tables give 48 */

/* Leaf 1 ECX: SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND. */
#define L1_C                                                                                       \
    (1u << 0 | 1u << 1 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 22 |          \
     1u << 23 | 1u << 25 | 1u << 26 | 1u << 28 | 1u << 29 | 1u << 30)
/* x2APIC and the TSC deadline timer are ours; bit 31 says that this is a virtual machine. */
#define L1_C_FIXED (1u << 21 | 1u << 24 | 1u << 31)
/* EDX: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE
 * SSE2. */
#define L1_D         0x078bfbffu
#define L1_C_OSXSAVE (1u << 27)
#define L1_D_APIC    (1u << 9)
#define L1_D_HTT     (1u << 28) /* more than one logical processor in the package */
/* Leaf 7 EBX: FSGSBASE BMI1 AVX2 FDP SMEP BMI2 ERMS ZERO_FCS RDSEED ADX SMAP CLFLUSHOPT CLWB SHA;
 * TSC_ADJUST is ours. ECX: UMIP VAES VPCLMUL. EDX: FSRM MD_CLEAR. */
#define L7_B                                                                                       \
    (1u << 0 | 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 13 | 1u << 18 |   \
     1u << 19 | 1u << 20 | 1u << 23 | 1u << 24 | 1u << 29)
#define L7_B_FIXED (1u << 1)
#define L7_C       (1u << 2 | 1u << 9 | 1u << 10)
#define L7_D       (1u << 4 | 1u << 10)
/* Leaf 0x80000001 ECX: LAHF ABM SSE4A MISALIGN 3DNOWPREFETCH XOP FMA4 TBM. */
#define E1_C (1u << 0 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 16 | 1u << 21)
/* EDX: the copy of leaf 1 on AMD, SYSCALL NX MMXEXT FXSR_OPT 1GB LM 3DNOWEXT 3DNOW; no RDTSCP. */
#define E1_D_COPY 0x0183f3ffu
#define E1_D                                                                                       \
    (E1_D_COPY | 1u << 11 | 1u << 20 | 1u << 22 | 1u << 25 | 1u << 26 | 1u << 29 | 1u << 30 |      \
     1u << 31)

/* KVM_FEATURE_: no delay after port accesses, clock (new MSR numbers), which is stable; end of
 * interrupt by a word in memory; a call for several interrupts to other processors. */
#define KVM_FEATURES (1u << 1 | 1u << 3 | 1u << 6 | 1u << 11 | 1u << 24)

#define XCR0_MASK 7u /* x87, SSE, AVX: what the kernel's save area holds */

static struct {
    bool intel;
    uint32_t max, max_extended;
    uint64_t xcr0;
    unsigned address_bits;
    const struct cpu_model *model; /* NULL: as the processor is */
} host;

static struct regs cpuid(uint32_t leaf, uint32_t sub)
{
    struct regs r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "0"(leaf), "2"(sub));
    return r;
}

/* Bits of an APIC id that tell the package's processors apart. */
static uint32_t id_bits(void)
{
    uint32_t bits = 0;

    while (1u << bits < vcpu_count()) bits++;
    return bits;
}

static uint32_t xsave_bytes(uint64_t xcr0) { return xcr0 & 4u ? 832u : 576u; }

static void now_features(struct regs *r)
{
    /* Mostly the exit has brought CR4 along: asking for it takes the kernel's lock. */
    if (!(self()->wants_mmio >> BH_EXIT_CPUID & 1u)) read_state(BH_STATE_CR);
    if (!(page()->state.cr4 & CR4_OSXSAVE)) r->c &= ~L1_C_OSXSAVE;
    if (!lapic_enabled(&self()->lapic)) r->d &= ~L1_D_APIC;
    r->b |= self()->number << 24;
}

static void now_xsave(struct regs *r)
{
    read_state(BH_STATE_CR);
    r->b = xsave_bytes(page()->state.xcr0);
}

static void now_topology(struct regs *r)
{
    r->c |= (uint32_t)page()->gpr[RCX] & 0xffu;
    r->d = self()->number;
}

/* Filled in by cpuid_init() where the value is not a constant: leaf 0, 0xd, 0x16, 0x40000010, the
 * extended maximum, and what says how many processors there are. */
static struct row rows[] = {
    {0x0, 0, {0, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x1,
     0,
     {ALL, 0x0000ffff, L1_C, L1_D},
     {0, 0, L1_C_FIXED | L1_C_OSXSAVE, L1_D_APIC},
     now_features},
    {0x2, 0, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x4, 0, {0x00003fff, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x4, 1, {0x00003fff, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x4, 2, {0x00003fff, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x4, 3, {0x00003fff, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x6, 0, {0, 0, 0, 0}, {1u << 2, 0, 0, 0}, NULL}, /* ARAT: the APIC timer never stops */
    {0x7, 0, {0, L7_B, L7_C, L7_D}, {0, L7_B_FIXED, 0, 0}, NULL},
    {0xb, 0, {0, 0, 0, 0}, {0, 1, 0x100, 0}, now_topology}, /* one thread in a core */
    {0xb, 1, {0, 0, 0, 0}, {0, 0, 0x200, 0}, now_topology},
    {0xd, 0, {XCR0_MASK, 0, 0, 0}, {0, 0, 0, 0}, now_xsave},
    /* XSAVEOPT XGETBV1. Not XSAVEC: with no more than AVX it saves nothing, and Bochs 2.7 has it
       wrong. */
    {0xd, 1, {0x5, 0, 0, 0}, {0, 0, 0, 0}, now_xsave},
    {0xd, 2, {ALL, ALL, ALL, 0}, {0, 0, 0, 0}, NULL},
    /* 0x15: none. An APIC timer's clock times a ratio that gives this TSC's kHz to the last one
       overflows the 32 bits in which kernels multiply (Linux, Haiku). */
    {0x15, 0, {0, 0, 0, 0}, {0, 0, 0, 0}, NULL},
    {0x16, 0, {0, 0, 0, 0}, {0, 0, 0, 0}, NULL},
    /* KVM's interface with exactly these features; our own leaves follow. */
    {0x40000000, 0, {0, 0, 0, 0}, {0x40000010, 0x4b4d564b, 0x564b4d56, 0x0000004d}, NULL},
    {0x40000001, 0, {0, 0, 0, 0}, {KVM_FEATURES, 0, 0, 0}, NULL},
    {0x40000010, 0, {0, 0, 0, 0}, {0, LAPIC_TIMER_HZ / 1000u, 0, 0}, NULL},
    {0x40000100, 0, {0, 0, 0, 0}, {0x40000100, 0x6b6c7542, 0x64616568, 0x6b6c7542}, NULL},
    {0x80000000, 0, {0, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x80000001, 0, {ALL, ALL, E1_C, E1_D}, {0, 0, 0, 0}, NULL},
    {0x80000002, 0, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x80000003, 0, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x80000004, 0, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x80000005, 0, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x80000006, 0, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, NULL},
    {0x80000007, 0, {0, 0, 0, 0}, {0, 0, 0, 1u << 8}, NULL}, /* invariant TSC */
    {0x80000008, 0, {0x0000ffff, 1u << 0 | 1u << 2, 0, 0}, {0, 0, 0, 0}, NULL},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Row number + 1 of a leaf's first row, directly. */
#define INDEX_LEAVES 0x20u
static uint8_t index_basic[INDEX_LEAVES], index_extended[INDEX_LEAVES];
static struct regs values[ROWS]; /* host value & mask | fixed */

static struct row *row_of(uint32_t leaf, uint32_t sub)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (rows[i].leaf == leaf && rows[i].sub == sub) return &rows[i];
    return &rows[0]; /* not reached: callers name rows that exist */
}

static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* KVM's clock tells the TSC's frequency; kernels without it find it in the leaf that hypervisors
 * have for that (kHz of TSC and APIC timer; FreeBSD, NetBSD), or measure it. Intel has MHz, too. */
static void init_frequency(void)
{
    uint32_t khz = start_block()->tsc_khz;

    row_of(0x40000010, 0)->fixed.a = khz;
    if (!host.intel) return;
    row_of(0x16, 0)->fixed = (struct regs){khz / 1000u, khz / 1000u, 100, 0};
}

/* One package, vCPUs as its cores, which share the last level of the caches. */
static void init_topology(void)
{
    uint32_t n = vcpu_count(), ids = (1u << id_bits()) - 1u;

    row_of(1, 0)->fixed.b = n << 16;
    if (n > 1u) row_of(1, 0)->fixed.d |= L1_D_HTT;
    for (uint32_t sub = 0; sub < 4u; sub++)
        if (cpuid(4, sub).a & 0x1fu)
            row_of(4, sub)->fixed.a = ids << 26 | (sub == 3u ? ids << 14 : 0);
    row_of(0xb, 1)->fixed.a = id_bits();
    row_of(0xb, 1)->fixed.b = n;
    if (host.intel) return;
    row_of(0x80000008u, 0)->fixed.c = id_bits() << 12 | (n - 1u);
    if (n > 1u) row_of(0x80000001u, 0)->fixed.c = 1u << 1; /* CmpLegacy: cores, not threads */
}

/* The host's value of a row. */
static struct regs host_regs(const struct row *r)
{
    bool absent = r->leaf >= 0x80000000u ? r->leaf > host.max_extended : r->leaf > host.max;

    return absent ? (struct regs){0, 0, 0, 0} : cpuid(r->leaf, r->sub);
}

static unsigned host_address_bits(void)
{
    unsigned bits = host.max_extended >= 0x80000008u ? cpuid(0x80000008u, 0).a & 0xffu : 36u;

    return bits < ADDRESS_BITS_MAX ? bits : ADDRESS_BITS_MAX;
}

/* Where the words of a model are. */
static struct {
    uint32_t leaf, sub;
    unsigned reg; /* of EAX, EBX, ECX, EDX */
} const model_words[CPU_WORDS] = {
    [CPU_1C] = {0x1, 0, 2},          [CPU_1D] = {0x1, 0, 3},          [CPU_7B] = {0x7, 0, 1},
    [CPU_7C] = {0x7, 0, 2},          [CPU_7D] = {0x7, 0, 3},          [CPU_D1A] = {0xd, 1, 0},
    [CPU_E1C] = {0x80000001u, 0, 2}, [CPU_E1D] = {0x80000001u, 0, 3},
};

static uint32_t *reg_of(struct regs *r, unsigned n)
{
    return n == 0 ? &r->a : n == 1u ? &r->b : n == 2u ? &r->c : &r->d;
}

/* All that a row shows. */
static void row_set(uint32_t leaf, uint32_t sub, struct regs value)
{
    struct row *r = row_of(leaf, sub);

    r->mask = (struct regs){0, 0, 0, 0};
    r->fixed = value;
}

static void row_clear(uint32_t leaf, uint32_t sub)
{
    row_set(leaf, sub, (struct regs){0, 0, 0, 0});
}

/* Features are masked by the model's; what else depends on the processor is said of all alike:
 * nothing of caches, the model's name for a brand. */
static void model_apply(const struct cpu_model *m)
{
    static const uint32_t unsaid[][2] = {{2, 0}, {4, 0},           {4, 1},          {4, 2},
                                         {4, 3}, {0x80000005u, 0}, {0x80000006u, 0}};
    uint32_t signature = host.intel ? m->signature_intel : m->signature_amd;
    char brand[48];

    for (unsigned w = 0; w < CPU_WORDS; w++)
        *reg_of(&row_of(model_words[w].leaf, model_words[w].sub)->mask, model_words[w].reg) &=
            m->word[w] | (w == CPU_E1D && !host.intel ? E1_D_COPY : 0);
    for (unsigned i = 0; i < sizeof(unsaid) / sizeof(unsaid[0]); i++)
        row_clear(unsaid[i][0], unsaid[i][1]);
    row_of(1, 0)->mask.a = row_of(0x80000001u, 0)->mask.a = 0;
    row_of(1, 0)->fixed.a = signature;
    row_of(0x80000001u, 0)->fixed.a = host.intel ? 0 : signature;
    row_of(0x80000001u, 0)->mask.b = 0;
    row_of(1, 0)->mask.b = 0;
    row_of(1, 0)->fixed.b |= 8u << 8; /* CLFLUSH: 64 bytes */
    row_of(0, 0)->fixed.a = host.intel ? 0x16u : 0xdu;
    row_of(0x80000000u, 0)->fixed.a = 0x80000008u;
    row_of(0x80000008u, 0)->mask = (struct regs){0, 0, 0, 0};
    row_of(0x80000008u, 0)->fixed.a = 48u << 8 | CPU_MODEL_ADDRESS_BITS;
    memset(brand, 0, sizeof(brand));
    (void)fmt_buf(brand, sizeof(brand), "Bulkhead %s", m->name);
    for (uint32_t i = 0; i < 3u; i++) {
        struct regs part;

        memcpy(&part, brand + 16u * i, sizeof(part));
        row_set(0x80000002u + i, 0, part);
    }
    if (cpu_model_xsave(m)) {
        row_set(0xd, 2, (struct regs){256, 576, 0, 0}); /* AVX: size and place */
    } else {
        host.xcr0 = 3;
        for (uint32_t sub = 0; sub < 3u; sub++) {
            row_clear(0xd, sub);
            row_of(0xd, sub)->now = NULL;
        }
    }
}

/* @return false: the processor lacks what @text says */
static bool model_init(char *text, size_t bytes)
{
    struct cpu_features have = {.xcr0 = host.xcr0, .address_bits = host.address_bits};

    host.model = cpu_model_named(start_block()->cpu_model);
    if (!host.model) {
        if (start_block()->cpu_model == BH_MONITOR_CPU_HOST) return true;
        (void)fmt_buf(text, bytes, "cpu-model: there is no number %u", start_block()->cpu_model);
        return false;
    }
    for (unsigned w = 0; w < CPU_WORDS; w++) {
        const struct row *r = row_of(model_words[w].leaf, model_words[w].sub);
        struct regs h = host_regs(r), mask = r->mask;

        have.word[w] = *reg_of(&h, model_words[w].reg) & *reg_of(&mask, model_words[w].reg);
    }
    if (!cpu_model_given(host.model, &have, text, bytes)) return false;
    model_apply(host.model);
    host.address_bits = CPU_MODEL_ADDRESS_BITS;
    return true;
}

bool cpuid_init(char *text, size_t bytes)
{
    struct regs zero = cpuid(0, 0);

    host.intel = zero.b == 0x756e6547u;
    host.max = zero.a;
    host.max_extended = cpuid(0x80000000u, 0).a;
    host.xcr0 = host.max >= 0xdu ? cpuid(0xd, 0).a & XCR0_MASK : 3u;
    host.address_bits = host_address_bits();
    row_of(0, 0)->fixed.a = host.intel ? 0x16u : min_u32(host.max, 0xd);
    row_of(0x80000000u, 0)->fixed.a = min_u32(host.max_extended, 0x80000008u);
    row_of(0xd, 0)->fixed.c = xsave_bytes(host.xcr0);
    init_frequency();
    init_topology();
    if (!model_init(text, bytes)) return false;
    for (unsigned i = ROWS; i-- > 0;) {
        const struct row *r = &rows[i];
        struct regs h = host_regs(r);

        values[i] = (struct regs){(h.a & r->mask.a) | r->fixed.a, (h.b & r->mask.b) | r->fixed.b,
                                  (h.c & r->mask.c) | r->fixed.c, (h.d & r->mask.d) | r->fixed.d};
        if (r->leaf < INDEX_LEAVES)
            index_basic[r->leaf] = (uint8_t)(i + 1u);
        else if (r->leaf - 0x80000000u < INDEX_LEAVES)
            index_extended[r->leaf - 0x80000000u] = (uint8_t)(i + 1u);
    }
    /* OSXSAVE must not be seen where the host has no XSAVE. */
    if (!(values[1].c & 1u << 26)) values[1].c &= ~L1_C_OSXSAVE;
    return true;
}

unsigned cpuid_address_bits(void) { return host.address_bits; }

uint64_t cpuid_xcr0_mask(void) { return host.xcr0; }

uint32_t cpuid_signature(void) { return values[1].a; }

void cpuid_model(char model[32])
{
    uint32_t crc = 0;

    /* Frequencies are measured anew at each boot: they have a check of their own. */
    for (unsigned i = 0; i < ROWS; i++)
        if (rows[i].leaf != 0x15u && rows[i].leaf != 0x16u && rows[i].leaf != 0x40000010u)
            crc = crc32c(crc, &values[i], sizeof(values[i]));
    memset(model, 0, 32);
    (void)fmt_buf(model, 32, "%s %s %08x", host.model ? host.model->name : "host",
                  host.intel ? "Intel" : "AMD", crc);
}

uint32_t cpuid_features(void) { return values[1].d; }

bool cpuid_intel(void) { return host.intel; }

static bool has_subleaves(uint32_t leaf)
{
    return leaf == 0x4u || leaf == 0x7u || leaf == 0xbu || leaf == 0xdu;
}

static unsigned lookup(uint32_t leaf, uint32_t sub)
{
    unsigned i;

    if (leaf < INDEX_LEAVES)
        i = index_basic[leaf];
    else if (leaf - 0x80000000u < INDEX_LEAVES)
        i = index_extended[leaf - 0x80000000u];
    else {
        for (i = 1; i <= ROWS && rows[i - 1u].leaf != leaf; i++)
            ;
        return i <= ROWS ? i : 0;
    }
    if (!i || sub == 0 || !has_subleaves(leaf)) return i;
    for (; i <= ROWS && rows[i - 1u].leaf == leaf; i++)
        if (rows[i - 1u].sub == sub) return i;
    return 0;
}

void exit_cpuid(void)
{
    struct bh_vcpu_page *p = page();
    unsigned i = lookup((uint32_t)p->gpr[RAX], (uint32_t)p->gpr[RCX]);
    struct regs r = {0, 0, 0, 0};

    if (i) {
        r = values[i - 1u];
        if (rows[i - 1u].now) rows[i - 1u].now(&r);
    } else {
        self()->holes++;
        if ((uint32_t)p->gpr[RAX] == 0xbu) /* beyond the last level: type 0, the level echoed */
            now_topology(&r);
    }
    p->gpr[RAX] = r.a;
    p->gpr[RBX] = r.b;
    p->gpr[RCX] = r.c;
    p->gpr[RDX] = r.d;
    insn_skip(0xa20f, 2);
}
