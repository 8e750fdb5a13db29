// sources: vmm/monitor/cpu_model.c vmm/rt/fmt.c
/*
 * Named CPU models: the features of the psABI's levels (x86-64 psABI, table 3.1), each asked for
 * by its bit, and named when the processor lacks it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/monitor.h"
#include "cpu_model.h"

static const struct {
    unsigned level, word, bit;
    const char *name;
} features[] = {
    {2, CPU_1C, 13, "cx16"},  {2, CPU_E1C, 0, "lahf_lm"}, {2, CPU_1C, 23, "popcnt"},
    {2, CPU_1C, 0, "sse3"},   {2, CPU_1C, 19, "sse4.1"},  {2, CPU_1C, 20, "sse4.2"},
    {2, CPU_1C, 9, "ssse3"},  {3, CPU_1C, 28, "avx"},     {3, CPU_7B, 5, "avx2"},
    {3, CPU_7B, 3, "bmi1"},   {3, CPU_7B, 8, "bmi2"},     {3, CPU_1C, 29, "f16c"},
    {3, CPU_1C, 12, "fma"},   {3, CPU_E1C, 5, "lzcnt"},   {3, CPU_1C, 22, "movbe"},
    {3, CPU_1C, 26, "xsave"},
};

#define COUNT (sizeof(features) / sizeof(features[0]))

static struct cpu_features all(void)
{
    struct cpu_features have = {.xcr0 = 7, .address_bits = 46};

    memset(have.word, 0xff, sizeof(have.word));
    return have;
}

static void levels(void **state)
{
    const struct cpu_model *v2 = cpu_model_named(BH_MONITOR_CPU_V2);
    const struct cpu_model *v3 = cpu_model_named(BH_MONITOR_CPU_V3);
    unsigned bits2 = 0, bits3 = 0;

    assert_null(cpu_model_named(BH_MONITOR_CPU_HOST));
    assert_null(cpu_model_named(99));
    assert_string_equal(v2->name, "x86-64-v2");
    assert_string_equal(v3->name, "x86-64-v3");
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(v2->word[features[i].word] >> features[i].bit & 1u,
                         features[i].level == 2);
        assert_int_equal(v3->word[features[i].word] >> features[i].bit & 1u, 1);
    }
    for (unsigned w = 0; w < CPU_WORDS; w++) {
        if (w == CPU_1D || w == CPU_E1D) continue;
        bits2 += (unsigned)__builtin_popcount(v2->word[w]);
        bits3 += (unsigned)__builtin_popcount(v3->word[w]);
    }
    assert_int_equal(bits2, 7); /* and nothing else */
    assert_int_equal(bits3, COUNT);
}

static void lacks(void **state)
{
    const struct cpu_model *v3 = cpu_model_named(BH_MONITOR_CPU_V3);
    struct cpu_features have = all();
    char text[160];

    assert_true(cpu_model_given(v3, &have, text, sizeof(text)));
    for (unsigned i = 0; i < COUNT; i++) {
        char wanted[64] = "cpu-model x86-64-v3: this processor lacks ";

        have = all();
        have.word[features[i].word] &= ~(1u << features[i].bit);
        assert_false(cpu_model_given(v3, &have, text, sizeof(text)));
        strcat(wanted, features[i].name);
        assert_string_equal(text, wanted);
    }
    have = all();
    have.word[CPU_1D] &= ~(1u << 26);
    assert_false(cpu_model_given(v3, &have, text, sizeof(text)));
    assert_non_null(strstr(text, "parts-of-x86-64"));
    have = all();
    have.xcr0 = 3;
    assert_false(cpu_model_given(v3, &have, text, sizeof(text)));
    assert_true(cpu_model_given(cpu_model_named(BH_MONITOR_CPU_V2), &have, text, sizeof(text)));
    have.address_bits = 39;
    assert_false(cpu_model_given(cpu_model_named(BH_MONITOR_CPU_V2), &have, text, sizeof(text)));
}

/* All at once, in little room. */
static void cut_short(void **state)
{
    const struct cpu_features none = {.xcr0 = 1};
    char text[160];

    for (size_t n = 1; n <= sizeof(text); n++) {
        memset(text, 'x', sizeof(text));
        assert_false(cpu_model_given(cpu_model_named(BH_MONITOR_CPU_V3), &none, text, n));
        assert_true(strnlen(text, n) < n);
        assert_true(n == sizeof(text) || text[n] == 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels), cmocka_unit_test(lacks),
                                       cmocka_unit_test(cut_short)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
