/*
 * Fact: CPUID is a consistent table: leaves within the announced ranges are stable, those that
 * follow control registers do follow them, and the hypervisor range is used only when announced.
 */
#include "guest.h"

static bool same(struct cpuid x, struct cpuid y)
{
    return x.a == y.a && x.b == y.b && x.c == y.c && x.d == y.d;
}

/* Print a range of leaves; how many differ when read again. */
static unsigned walk(uint32_t from, uint32_t to)
{
    unsigned unstable = 0;

    for (uint32_t leaf = from; leaf >= from && leaf <= to; leaf++) {
        unsigned subs = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd ? 3 : 1;

        for (uint32_t sub = 0; sub < subs; sub++) {
            struct cpuid r = cpuid(leaf, sub);

            unstable += !same(r, cpuid(leaf, sub));
            print("  %08x.%x %08x %08x %08x %08x\n", leaf, sub, r.a, r.b, r.c, r.d);
        }
    }
    return unstable;
}

void guest_main(void)
{
    uint32_t max = cpuid(0, 0).a;
    uint32_t max_ext = cpuid(0x80000000, 0).a;
    uint64_t rax = ~0ULL << 32, rbx = ~0ULL, rcx = ~0ULL << 32, rdx = ~0ULL;
    uint32_t phys = max_ext >= 0x80000008 ? cpuid(0x80000008, 0).a & 0xff : 36;
    struct cpuid hv = cpuid(0x40000000, 0);

    fact("ranges", max >= 1 && max < 0x100 && max_ext >= 0x80000008 && max_ext < 0x80000100,
         "basic %x extended %x", max, max_ext);
    fact("stable", walk(0, max) + walk(0x80000000, max_ext) == 0, "read twice");
    __asm__ volatile("cpuid" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx));
    fact("upper-halves", !((rax | rbx | rcx | rdx) >> 32), "cleared");
    fact("phys-bits", phys >= 36 && phys <= 52, "%u", phys);
    fact("long-mode", cpuid(0x80000001, 0).d >> 29 & 1, "announced");
    if (cpu_has_hypervisor()) {
        walk(0x40000000, 0x40000001);
        fact("hypervisor", hv.a >= 0x40000000 && hv.a < 0x40010000 && hv.b, "max %x", hv.a);
    } else {
        fact("hypervisor", hv.b != 0x4b4d564b, "bit 31 is clear");
    }
    if (cpuid(1, 0).c >> 26 & 1) {
        bool before = cpuid(1, 0).c >> 27 & 1;
        bool during;

        write_cr4(read_cr4() | 1 << 18);
        during = cpuid(1, 0).c >> 27 & 1;
        write_cr4(read_cr4() & ~(1ULL << 18));
        fact("osxsave", !before && during && !(cpuid(1, 0).c >> 27 & 1), "follows CR4");
        fact("xsave-size", cpuid(0xd, 0).c >= 576 && cpuid(0xd, 0).b >= 576, "%u", cpuid(0xd, 0).c);
    }
    hv = cpuid(max + 1, 0);
    fact("past-basic", !(hv.a | hv.b | hv.c | hv.d) || same(hv, cpuid(max, 0)),
         "zero, or the last basic leaf as Intel's do");
    hv = cpuid(0x8fffffff, 0);
    fact("past-extended", !(hv.a | hv.b | hv.c | hv.d) || same(hv, cpuid(max, 0)), "the same");
}
