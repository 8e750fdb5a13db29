/*
 * Fact: each CR4 bit works when CPUID announces its feature and raises #GP(0) when not.
 * Intel SDM vol. 3A, 2.5; AMD APM vol. 2, 3.1.3.
 */
#include "guest.h"

static uint64_t value;

static void set_cr4(void) { write_cr4(value); }

static void refused(const char *name, uint64_t v, uint64_t old)
{
    unsigned f;

    print("TRY %s\n", name);
    value = v;
    f = expect_fault(set_cr4);
    fact(name, f == FAULT(VEC_GP, 0), "%lx gives %x", v, f);
    write_cr4(old);
}

void guest_main(void)
{
    uint64_t old = read_cr4();
    struct cpuid one = cpuid(1, 0);
    struct cpuid seven = cpuid(7, 0);
    static const struct {
        const char *name;
        uint8_t bit, reg,
            feature; /* reg: 0 = leaf 1 ECX, 1 = leaf 7 EBX, 2 = leaf 7 ECX, 3 = none */
    } bits[] = {
        {"cr4-umip", 11, 2, 2},  {"cr4-vmxe", 13, 0, 5},     {"cr4-smxe", 14, 0, 6},
        {"cr4-bit15", 15, 3, 0}, {"cr4-fsgsbase", 16, 1, 0}, {"cr4-osxsave", 18, 0, 26},
        {"cr4-smep", 20, 1, 7},  {"cr4-pke", 22, 2, 3},      {"cr4-bit31", 31, 3, 0},
        {"cr4-bit63", 63, 3, 0},
    };

    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        uint32_t word = bits[i].reg == 0 ? one.c : bits[i].reg == 1 ? seven.b : seven.c;
        bool there = bits[i].reg < 3 && (word >> bits[i].feature & 1);
        uint64_t bit = 1ULL << bits[i].bit;
        unsigned f;

        /* SMEP would fault on this very code, whose pages are open to ring 3. */
        if (there && bits[i].bit == 20) continue;
        if (!there) {
            refused(bits[i].name, old | bit, old);
            continue;
        }
        value = old | bit;
        f = expect_fault(set_cr4);
        fact(bits[i].name, f == FAULT_NONE && read_cr4() == (old | bit), "%lx", read_cr4());
        write_cr4(old);
    }
}
