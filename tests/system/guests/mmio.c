/*
 * Fact: device memory answers every form of instruction that reaches it: the local APIC's registers
 * through MMIO, and a hole that reads all ones and drops writes.
 * Command line: hole=ADDRESS of unbacked space (default between the PC's chipset devices).
 */
#include "guest.h"
#include "mmio_form.h"

enum { FRAME = LAPIC_BASE, TPR = LAPIC_BASE + LAPIC_TPR, VERSION = LAPIC_BASE + LAPIC_VERSION };

static uint64_t hole;

static void reads(void)
{
    uint64_t v = mmio_read32(VERSION);
    uint64_t ones = ~0ULL << 32;

    fact("mov-r32", FORM(VERSION, ~0ULL, "movl (%%rbx), %%eax") == v, "%lx", v);
    fact("mov-disp8", FORM(VERSION - 16, 0, "movl 16(%%rbx), %%eax") == v, "version");
    fact("mov-disp32", FORM(VERSION - 4096, 0, "movl 4096(%%rbx), %%eax") == v, "version");
    fact("mov-sib", FORM(VERSION, 0, "movl (%%rbx,%%rcx,4), %%eax") == v, "version");
    fact("mov-moffs", FORM(0, 0, "movabsl 0xfee00030, %%eax") == v, "version");
    fact("mov-addr32", FORM(VERSION | ones, 0, "movl (%%ebx), %%eax") == v, "version");
    fact("mov-r8",
         FORM(FRAME + LAPIC_VERSION, 0,
              "pushq %%r8; movl (%%rbx), %%r8d; movl %%r8d, %%eax; popq %%r8") == v,
         "high register");
    fact("movsxd", FORM(VERSION, 0, "movslq (%%rbx), %%rax") == (uint64_t)(int32_t)v, "version");
    fact("test", FORM(VERSION, 0, "testl $0xff, (%%rbx); setnz %%al") == 1, "flags");
    fact("cmp", FORM(VERSION, v, "cmpl %%eax, (%%rbx); sete %%al; movzbl %%al, %%eax") == 1,
         "flags");
}

static void writes(void)
{
    (void)FORM(TPR, 0x20, "movl %%eax, (%%rbx)");
    fact("mov-m-r", mmio_read32(TPR) == 0x20, "%x", mmio_read32(TPR));
    (void)FORM(TPR, 0, "movl $0x30, (%%rbx)");
    fact("mov-m-imm", mmio_read32(TPR) == 0x30, "%x", mmio_read32(TPR));
    (void)FORM(TPR, 0, "orl $0x40, (%%rbx)");
    fact("or", mmio_read32(TPR) == 0x70, "%x", mmio_read32(TPR));
    (void)FORM(TPR, 0, "andl $0x60, (%%rbx)");
    fact("and", mmio_read32(TPR) == 0x60, "%x", mmio_read32(TPR));
    (void)FORM(TPR, 0x11, "xorl %%eax, (%%rbx)");
    fact("xor", mmio_read32(TPR) == 0x71, "%x", mmio_read32(TPR));
    (void)FORM(TPR, 0x30, "movq %%rdi, %%rdx; movq %%rbx, %%rdi; stosl; movq %%rdx, %%rdi");
    fact("stos", mmio_read32(TPR) == 0x30, "%x", mmio_read32(TPR));
    mmio_write32(TPR, 0);
}

static void strings(void)
{
    uint32_t out[4] = {0};
    const void *from = (const void *)(uint64_t)VERSION;
    void *to = out;
    uint64_t n = 1;

    __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(n)::"memory");
    fact("movs-read", out[0] == mmio_read32(VERSION) && to == &out[1] && !n, "%x", out[0]);
    out[0] = 0x60;
    from = out;
    to = (void *)(uint64_t)TPR;
    n = 1;
    __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(n)::"memory");
    fact("movs-write", mmio_read32(TPR) == 0x60 && !n, "%x", mmio_read32(TPR));
    mmio_write32(TPR, 0);
    from = (const void *)hole;
    to = out;
    n = 4;
    __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(n)::"memory");
    fact("movs-hole", (out[0] & out[1] & out[2] & out[3]) == 0xffffffff && !n, "%x %x", out[0],
         out[3]);
}

static void holes(void)
{
    uint64_t keep = 0x1122334455667700;

    fact("hole-8", FORM(hole, keep, "movb (%%rbx), %%al") == (keep | 0xff), "byte");
    fact("hole-high", FORM(hole, keep, "movb (%%rbx), %%ah") == (keep | 0xff00), "AH");
    fact("hole-16", FORM(hole + 2, keep, "movw (%%rbx), %%ax") == (keep | 0xffff), "word");
    fact("hole-32", FORM(hole, keep, "movl (%%rbx), %%eax") == 0xffffffff, "doubleword");
    fact("hole-64", FORM(hole, 0, "movq (%%rbx), %%rax") == ~0ULL, "quadword");
    fact("hole-unaligned", FORM(hole + 3, 0, "movq (%%rbx), %%rax") == ~0ULL, "unaligned");
    fact("hole-movzx8", FORM(hole, ~0ULL, "movzbl (%%rbx), %%eax") == 0xff, "zero-extended");
    fact("hole-movzx16", FORM(hole, ~0ULL, "movzwq (%%rbx), %%rax") == 0xffff, "zero-extended");
    fact("hole-movsx8", FORM(hole, 0, "movsbq (%%rbx), %%rax") == ~0ULL, "sign-extended");
    (void)FORM(hole, 0x55, "movb %%al, (%%rbx); movw %%ax, (%%rbx); movl %%eax, (%%rbx)");
    (void)FORM(hole, 0x55, "movq %%rax, (%%rbx); movq $0x55, (%%rbx)");
    fact("hole-writes", FORM(hole, 0, "movq (%%rbx), %%rax") == ~0ULL, "dropped");
}

void guest_main(void)
{
    hole = arg_u64("hole", 0xfed80000);
    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    reads();
    writes();
    strings();
    holes();
}
