/*
 * Fact: device memory also answers instructions that drivers hardly ever use on it: stack and bit
 * operations, conditional moves, exchanges. Split from mmio.c so that each shows its own result.
 */
#include "guest.h"
#include "mmio_form.h"

enum { TPR = LAPIC_BASE + LAPIC_TPR, VERSION = LAPIC_BASE + LAPIC_VERSION };

void guest_main(void)
{
    uint64_t hole = arg_u64("hole", 0xfed80000);
    uint64_t v;

    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    v = mmio_read32(VERSION);
    mmio_write32(TPR, 0x71);
    (void)FORM(TPR, 1, "subl %%eax, (%%rbx)");
    fact("sub", mmio_read32(TPR) == 0x70, "%x", mmio_read32(TPR));
    (void)FORM(TPR, 0, "incl (%%rbx)");
    fact("inc", mmio_read32(TPR) == 0x71, "%x", mmio_read32(TPR));
    fact("xchg", FORM(TPR, 0x50, "xchgl %%eax, (%%rbx)") == 0x71 && mmio_read32(TPR) == 0x50, "%x",
         mmio_read32(TPR));
    (void)FORM(TPR, 0x50, "movl $0x20, %%edx; lock cmpxchgl %%edx, (%%rbx)");
    fact("cmpxchg", mmio_read32(TPR) == 0x20, "%x", mmio_read32(TPR));
    (void)FORM(TPR, 0, "pushq $0x40; popq %%rax; btsl $7, (%%rbx)");
    fact("bts", mmio_read32(TPR) == 0xa0, "%x", mmio_read32(TPR));
    mmio_write32(TPR, 0);
    fact("push", FORM(hole, 0, "pushq (%%rbx); popq %%rax") == ~0ULL, "from the hole");
    fact("bt", FORM(VERSION, 0, "btl $4, (%%rbx); setc %%al") == (v >> 4 & 1), "flags");
    fact("add-r-m", FORM(VERSION, 5, "addl (%%rbx), %%eax") == v + 5, "ALU from memory");
    fact("cmov", FORM(VERSION, 5, "cmpl %%eax, %%eax; cmovel (%%rbx), %%eax") == v, "taken");
}
