/*
 * Fact: the table of MSRs, row by row over all three ranges of the hardware's bitmaps and the edges
 * around them: those that this PC has can be read, and written as the row says; each of the others
 * raises #GP(0) for both.
 */
#include "guest.h"

enum access { RW, READ_ONLY, IGNORED, UNTOUCHED };

static const struct row {
    uint32_t first, last;
    enum access access; /* UNTOUCHED: written by other guests, with values that are legal */
} rows[] = {
    {0x10, 0x10, UNTOUCHED},
    {0x17, 0x17, READ_ONLY},
    {0x1b, 0x1b, RW},
    {0x3a, 0x3a, READ_ONLY},
    {0x3b, 0x3b, RW},
    {0x79, 0x79, IGNORED},
    {0x8b, 0x8b, IGNORED},
    {0xfe, 0xfe, READ_ONLY},
    {0x174, 0x176, RW},
    {0x179, 0x179, READ_ONLY},
    {0x17a, 0x17a, IGNORED},
    {0x1a0, 0x1a0, IGNORED},
    {0x1d9, 0x1d9, IGNORED},
    {0x200, 0x20f, RW},
    {0x250, 0x250, RW},
    {0x258, 0x259, RW},
    {0x268, 0x26f, RW},
    {0x277, 0x277, RW},
    {0x2ff, 0x2ff, RW},
    {0x6e0, 0x6e0, UNTOUCHED},
    {0x4b564d00, 0x4b564d01, UNTOUCHED},
    {0x4b564d04, 0x4b564d04, UNTOUCHED},
    {0xc0000080, 0xc0000084, RW},
    {0xc0000100, 0xc0000102, RW},
    {0xc0010010, 0xc0010010, IGNORED},
    {0xc0010015, 0xc0010015, IGNORED},
    {0xc001001f, 0xc0010020, IGNORED},
    {0xc0010055, 0xc0010055, IGNORED},
    {0xc0010058, 0xc0010058, READ_ONLY},
    {0xc0010064, 0xc001006b, READ_ONLY},
    {0xc0011022, 0xc0011023, IGNORED},
    {0xc0011029, 0xc0011029, IGNORED},
};

/* The bitmaps' ranges (AMD APM vol. 2, 15.11; Intel SDM vol. 3C, 25.6.9), what lies around them,
 * and the hypervisors' own. */
static const struct {
    uint32_t first, last;
} ranges[] = {{0, 0x20ff},
              {0x3fffffff, 0x400000ff},
              {0x4b564cff, 0x4b564dff},
              {0x7fffffff, 0x80000001},
              {0xbffffff0, 0xc00020ff},
              {0xc000fff0, 0xc00120ff},
              {0xfffffff0, 0xffffffff}};

static unsigned shown;

static bool wrong(const char *what, uint32_t msr, uint64_t v)
{
    if (shown++ < 24) print("  %x: %s %lx\n", msr, what, v);
    return true;
}

static const struct row *row_of(uint32_t msr)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (msr >= rows[i].first && msr <= rows[i].last) return &rows[i];
    return 0;
}

static bool present_wrong(const struct row *row, uint32_t msr)
{
    uint64_t v = 0, again = 0;
    unsigned f = rdmsr_fault(msr, &v);
    bool changes = row->access == IGNORED || row->access == READ_ONLY;

    if (f != FAULT_NONE) return wrong("read gives", msr, f);
    if (row->access == UNTOUCHED) return false;
    f = wrmsr_fault(msr, changes ? v ^ 1 : v);
    if (f != (row->access == READ_ONLY ? FAULT(VEC_GP, 0) : FAULT_NONE))
        return wrong("write gives", msr, f);
    if (rdmsr_fault(msr, &again) != FAULT_NONE || again != v)
        return wrong("then reads", msr, again);
    return false;
}

static bool absent_wrong(uint32_t msr)
{
    uint64_t v = 0;
    unsigned f = rdmsr_fault(msr, &v);

    if (f != FAULT(VEC_GP, 0)) return wrong("absent, read gives", msr, f);
    f = wrmsr_fault(msr, 0);
    return f != FAULT(VEC_GP, 0) && wrong("absent, write gives", msr, f);
}

static void x2apic(void)
{
    /* SDM table 11-6: which registers have an MSR, R: 1, W: 2. */
    static const uint8_t registers[0x100] = {
        [0x02] = 1,          [0x03] = 1, [0x08] = 3,          [0x0a] = 1, [0x0b] = 2,
        [0x0d] = 1,          [0x0f] = 3, [0x10 ... 0x27] = 1, [0x28] = 3, [0x30] = 3,
        [0x32 ... 0x37] = 3, [0x38] = 3, [0x39] = 1,          [0x3e] = 3, [0x3f] = 2};
    unsigned bad = 0;

    for (uint32_t i = 0; i < 0x100; i++) {
        uint64_t v = 0;
        unsigned f = rdmsr_fault(0x800 + i, &v);

        if ((f == FAULT_NONE) != (registers[i] & 1))
            bad += wrong("x2APIC, read gives", 0x800 + i, f);
        /* Written where no interrupt can follow: not SELF_IPI, not ICR. */
        if (i == 0x30 || i == 0x3f) continue;
        f = wrmsr_fault(0x800 + i, i == 0x0b || i == 0x28 ? 0 : v);
        if ((f == FAULT_NONE) != (registers[i] >> 1 & 1))
            bad += wrong("x2APIC, write gives", 0x800 + i, f);
    }
    fact("x2apic", bad == 0, "%u of 256 registers are not as the table says", bad);
}

void guest_main(void)
{
    unsigned present = 0, absent = 0, present_bad = 0, absent_bad = 0;

    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        for (uint64_t msr = ranges[i].first; msr <= ranges[i].last; msr++) {
            const struct row *row = row_of((uint32_t)msr);

            if (row) {
                present++;
                present_bad += present_wrong(row, (uint32_t)msr);
            } else {
                absent++;
                absent_bad += absent_wrong((uint32_t)msr);
            }
        }
    }
    fact("present", present_bad == 0, "%u of %u are not as their rows say", present_bad, present);
    fact("absent", absent_bad == 0, "%u of %u do not raise #GP(0)", absent_bad, absent);
    if (lapic_init(true) && lapic_is_x2apic()) x2apic();
}
