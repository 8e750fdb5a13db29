/* The table of models; see cpu_model.h. Bits: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E.
 */
#include "cpu_model.h"
#include "bulkhead/monitor.h"
#include "fmt.h"

/* Every 64-bit processor, also emulated ones: FPU DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA
 * CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2; SYSCALL NX LM. */
#define BASE_1D  0x078bfbfdu
#define BASE_E1D (1u << 11 | 1u << 20 | 1u << 29)
/* SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT; LAHF. */
#define V2_1C  (1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23)
#define V2_E1C (1u << 0)
/* FMA MOVBE XSAVE AVX F16C; BMI1 AVX2 BMI2; LZCNT. */
#define V3_1C  (V2_1C | 1u << 12 | 1u << 22 | 1u << 26 | 1u << 28 | 1u << 29)
#define V3_7B  (1u << 3 | 1u << 5 | 1u << 8)
#define V3_E1C (V2_E1C | 1u << 5)

/* Signatures: Nehalem, Haswell; the first Zen has all of both levels. */
static const struct cpu_model models[] = {
    [BH_MONITOR_CPU_V2] =
        {"x86-64-v2",
         {[CPU_1C] = V2_1C, [CPU_1D] = BASE_1D, [CPU_E1C] = V2_E1C, [CPU_E1D] = BASE_E1D},
         0x000106a5,
         0x00800f12},
    [BH_MONITOR_CPU_V3] = {"x86-64-v3",
                           {[CPU_1C] = V3_1C,
                            [CPU_1D] = BASE_1D,
                            [CPU_7B] = V3_7B,
                            [CPU_E1C] = V3_E1C,
                            [CPU_E1D] = BASE_E1D},
                           0x000306c3,
                           0x00800f12},
};

/* Names for messages; what has none is part of every 64-bit processor. */
static const struct {
    uint8_t word, bit;
    const char *name;
} names[] = {
    {CPU_1C, 0, "sse3"},    {CPU_1C, 9, "ssse3"},   {CPU_1C, 12, "fma"},     {CPU_1C, 13, "cx16"},
    {CPU_1C, 19, "sse4.1"}, {CPU_1C, 20, "sse4.2"}, {CPU_1C, 22, "movbe"},   {CPU_1C, 23, "popcnt"},
    {CPU_1C, 26, "xsave"},  {CPU_1C, 28, "avx"},    {CPU_1C, 29, "f16c"},    {CPU_7B, 3, "bmi1"},
    {CPU_7B, 5, "avx2"},    {CPU_7B, 8, "bmi2"},    {CPU_E1C, 0, "lahf_lm"}, {CPU_E1C, 5, "lzcnt"},
    {CPU_E1D, 20, "nx"},
};

const struct cpu_model *cpu_model_named(uint32_t number)
{
    return number < sizeof(models) / sizeof(models[0]) && models[number].name ? &models[number]
                                                                              : NULL;
}

static const char *name_of(unsigned word, unsigned bit)
{
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].word == word && names[i].bit == bit) return names[i].name;
    return NULL;
}

/* What is lacking, in words, as far as there is room. */
struct lacking {
    char *text;
    size_t bytes, at;
    unsigned count;
};

static void say(struct lacking *l, const char *name)
{
    l->at += fmt_buf(l->text + l->at, l->bytes - l->at, " %s", name);
    l->count++;
}

bool cpu_model_given(const struct cpu_model *m, const struct cpu_features *have, char *text,
                     size_t bytes)
{
    struct lacking l = {.text = text, .bytes = bytes};
    bool base = false;

    l.at = fmt_buf(text, bytes, "cpu-model %s: this processor lacks", m->name);
    for (unsigned w = 0; w < CPU_WORDS; w++) {
        for (uint32_t bits = m->word[w] & ~have->word[w]; bits; bits &= bits - 1u) {
            const char *name = name_of(w, (unsigned)__builtin_ctz(bits));

            if (name)
                say(&l, name);
            else
                base = true;
        }
    }
    if (base) say(&l, "parts-of-x86-64");
    if (cpu_model_xsave(m) && (have->xcr0 & 7u) != 7u) say(&l, "avx-state");
    if (have->address_bits < CPU_MODEL_ADDRESS_BITS) say(&l, "40-bit-addresses");
    return l.count == 0;
}
