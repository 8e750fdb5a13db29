/*
 * Fact: CPUID is a consistent table: leaves within the announced ranges are stable, those that
 * follow control registers do follow them, and the hypervisor range is used only when announced.
 * Row by row: a leaf or sub-leaf that is not in the table reads zero, and no bit is set that its
 * row does not have.
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

/* The table: leaves, how many sub-leaves count (0: any, they are the same), and for registers that
 * say what the CPU can do, the bits that may be seen. */
static const struct row {
    uint32_t leaf, subs;
    bool checked;
    struct cpuid bits;
} rows[] = {
    {0x0, 0, false, {0, 0, 0, 0}},
    {0x1, 0, true, {~0u, ~0u, 0xfff83203, 0x078bfbff}},
    {0x2, 0, false, {0, 0, 0, 0}},
    {0x4, 4, false, {0, 0, 0, 0}},
    {0x6, 0, true, {4, 0, 0, 0}},
    {0x7, 1, true, {0, 0x219c23eb, 0x604, 0x410}},
    {0xb, 2, true, {0, 1, 0x3ff, 0}},
    {0xd, 3, false, {0, 0, 0, 0}},
    {0x15, 0, false, {0, 0, 0, 0}},
    {0x16, 0, false, {0, 0, 0, 0}},
    {0x40000000, 0, false, {0, 0, 0, 0}},
    {0x40000001, 0, true, {1u << 1 | 1u << 3 | 1u << 6 | 1u << 11 | 1u << 24, 0, 0, 0}},
    {0x40000010, 0, false, {0, 0, 0, 0}},
    {0x40000100, 0, false, {0, 0, 0, 0}},
    {0x80000000, 0, false, {0, 0, 0, 0}},
    {0x80000001, 0, true, {~0u, ~0u, 0x2109e1, 0xe7d3fbff}},
    {0x80000002, 0, false, {0, 0, 0, 0}},
    {0x80000003, 0, false, {0, 0, 0, 0}},
    {0x80000004, 0, false, {0, 0, 0, 0}},
    {0x80000005, 0, false, {0, 0, 0, 0}},
    {0x80000006, 0, false, {0, 0, 0, 0}},
    {0x80000007, 0, true, {0, 0, 0, 1u << 8}},
    {0x80000008, 0, true, {0xffff, 5, 0, 0}},
};

/* What of a leaf the table does not allow; @absent counts leaves that should be there for nobody. */
static struct cpuid beyond(uint32_t leaf, uint32_t sub, unsigned *absent)
{
    struct cpuid r = cpuid(leaf, sub);

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].leaf != leaf || (rows[i].subs != 0 && sub >= rows[i].subs)) continue;
        if (!rows[i].checked) return (struct cpuid){0, 0, 0, 0};
        return (struct cpuid){r.a & ~rows[i].bits.a, r.b & ~rows[i].bits.b, r.c & ~rows[i].bits.c,
                              r.d & ~rows[i].bits.d};
    }
    ++*absent;
    if (leaf == 0xb) r.c &= ~0xffu; /* the level is echoed (SDM vol. 2A) */
    return r;
}

static void walk_table(void)
{
    static const struct {
        uint32_t first, last, subs;
    } ranges[] = {{0, 0x3ff, 8},
                  {0x1fffffff, 0x20000001, 1},
                  {0x3fffffff, 0x400001ff, 2},
                  {0x7fffffff, 0x800001ff, 4},
                  {0x8fffffff, 0x90000000, 1},
                  {0xbfffffff, 0xc000000f, 1},
                  {0xfffffffe, 0xffffffff, 1}};
    unsigned absent = 0, wrong = 0, read = 0;

    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        for (uint64_t leaf = ranges[i].first; leaf <= ranges[i].last; leaf++) {
            for (uint32_t sub = 0; sub < ranges[i].subs; sub++, read++) {
                struct cpuid r = beyond((uint32_t)leaf, sub, &absent);

                if (!(r.a | r.b | r.c | r.d)) continue;
                if (wrong++ < 16)
                    print("  %08lx.%x %08x %08x %08x %08x not in the table\n", leaf, sub, r.a, r.b,
                          r.c, r.d);
            }
        }
    }
    fact("table", wrong == 0 && absent < read, "%u of %u leaves, %u of them absent", wrong, read,
         absent);
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
        walk(0x40000010, 0x40000010);
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
    walk_table();
}
