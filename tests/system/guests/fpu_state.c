/*
 * Fact: x87, SSE and AVX registers start clean, keep their patterns over exits of every kind, and
 * hold nothing of anybody else's. Run next to a neighbour with another seed=. exits=N (1000) of
 * each kind.
 */
#include "guest.h"

enum { CR4_OSFXSR = 1 << 9, CR4_OSXMM = 1 << 10, CR4_OSXSAVE = 1 << 18 };
enum { FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160, FX_BYTES = 512 };

static uint8_t before[FX_BYTES] __attribute__((aligned(64)));
static uint8_t after[FX_BYTES] __attribute__((aligned(64)));
static uint64_t ymm_in[64], ymm_out[64];
static uint64_t seed, times;

static void fxsave(void *to) { __asm__ volatile("fxsave64 (%0)" ::"r"(to) : "memory"); }

static void ymm_load(const void *from)
{
    __asm__ volatile(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
                     "vmovdqu 32*\\n(%0), %%ymm\\n\n.endr" ::"r"(from)
                     : "memory");
}

static void ymm_store(void *to)
{
    __asm__ volatile(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
                     "vmovdqu %%ymm\\n, 32*\\n(%0)\n.endr" ::"r"(to)
                     : "memory");
}

static bool zero(const uint8_t *p, size_t n)
{
    while (n--)
        if (*p++) return false;
    return true;
}

/* The kinds of exit differ in how far they go: kernel only, monitor, interrupt. */
static void exits(void)
{
    for (uint64_t i = 0; i < times; i++) {
        (void)cpuid(i & 7, 0);
        (void)inb(0x61);
        (void)lapic_read(LAPIC_VERSION);
        if (i % 100 == 0) {
            lapic_timer(0x41, (uint32_t)(lapic_timer_hz() / 2000));
            __asm__ volatile("sti; hlt; cli" ::: "memory");
        }
    }
}

static void on_timer(struct regs *r)
{
    (void)r;
    lapic_eoi();
}

static void x87_and_sse(void)
{
    uint64_t pattern[32];

    fxsave(before);
    fact("start-xmm", zero(before + FX_XMM, 256), "all zero");
    for (unsigned i = 0; i < 8; i++)
        if (!zero(before + FX_ST + 16 * i, 10)) fact("start-st", false, "register %u", i);
    fact("start-mxcsr", *(uint32_t *)(before + FX_MXCSR) == 0x1f80, "%x",
         *(uint32_t *)(before + FX_MXCSR));
    for (unsigned i = 0; i < 32; i++) pattern[i] = mix64(seed + i);
    __asm__ volatile(
        "fninit; fldpi; fldl2e; fldln2; fld1; fldlg2; fldl2t; fildll (%0); fildll 8(%0)\n"
        "pushq $0x5f80; ldmxcsr (%%rsp); popq %%rax\n"
        "pushq $0xb7f; fldcw (%%rsp); popq %%rax" ::"r"(pattern)
        : "rax", "memory");
    __asm__ volatile(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
                     "movups 16*\\n(%0), %%xmm\\n\n.endr" ::"r"(pattern)
                     : "memory");
    fxsave(before);
    exits();
    fxsave(after);
    /* Bytes 464 on belong to software; 8..23 (last instruction) may be cleared by XSAVE. */
    fact("kept-fxsave",
         memcmp(before, after, 8) == 0 && memcmp(before + 24, after + 24, 440 - 24) == 0,
         "%lu exits, MXCSR %x", times, *(uint32_t *)(after + FX_MXCSR));
    fact("patterns", memcmp(after + FX_XMM, pattern, 256) == 0, "XMM as loaded");
}

/* What CPUID offers must work: each form of XSAVE brings back all that it stored. (Bochs 2.7's
 * XSAVEC stores the upper halves where XRSTOR does not look for them, and into the header.) */
static void xsave_forms(void)
{
    static const char *const names[] = {"xsave", "xsaveopt", "xsavec"};
    static uint8_t area[1024] __attribute__((aligned(64)));
    uint32_t offered = 1 | (cpuid(0xd, 1).a & 3) << 1;

    for (unsigned form = 0; form < 3; form++) {
        if (!(offered >> form & 1)) continue;
        memset(area, 0, sizeof(area));
        ymm_load(ymm_in);
        if (form == 0)
            __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(7), "d"(0) : "memory");
        else if (form == 1)
            __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(7), "d"(0) : "memory");
        else
            __asm__ volatile("xsavec64 (%0)" ::"r"(area), "a"(7), "d"(0) : "memory");
        memset(ymm_out, 0xff, sizeof(ymm_out));
        ymm_load(ymm_out);
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(7), "d"(0) : "memory");
        ymm_store(ymm_out);
        fact(names[form], memcmp(ymm_in, ymm_out, sizeof(ymm_in)) == 0, "brings back AVX state");
    }
}

static void avx(void)
{
    bool clean = true;
    uint32_t lo, hi;

    write_cr4(read_cr4() | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" ::"a"(7), "d"(0), "c"(0));
    ymm_store(ymm_out);
    for (unsigned i = 0; i < 16; i++) clean &= !ymm_out[4 * i + 2] && !ymm_out[4 * i + 3];
    fact("start-ymm", clean, "upper halves are zero");
    for (unsigned i = 0; i < 64; i++) ymm_in[i] = mix64(seed + 1000 + i);
    ymm_load(ymm_in);
    exits();
    /* Before the registers are touched, because without it touching them is an exception. */
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    fact("kept-xcr0", lo == 7 && hi == 0, "%x", lo);
    if (lo != 7) return;
    ymm_store(ymm_out);
    fact("kept-ymm", memcmp(ymm_in, ymm_out, sizeof(ymm_in)) == 0, "%lu exits", times);
    xsave_forms();
}

void guest_main(void)
{
    seed = arg_u64("seed", 1);
    times = arg_u64("exits", 1000);
    pic_init();
    lapic_init(false);
    trap_set(0x41, on_timer);
    __asm__ volatile("clts");
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMM);
    x87_and_sse();
    if ((cpuid(1, 0).c >> 26 & 5) == 5) avx();
}
