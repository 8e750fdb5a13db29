/*
 * Named virtual CPU models: which features CPUID shows, whatever more the processor has, so that a
 * VM saved on one processor can go on on another of the same vendor. The levels are those of the
 * x86-64 psABI, 3.1.1 ("microarchitecture levels"), and nothing beside. Same source on the host.
 * May call: fmt.c.
 */
#ifndef VMM_MONITOR_CPU_MODEL_H
#define VMM_MONITOR_CPU_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Words of feature bits: CPUID 1 ECX, EDX; 7 EBX, ECX, EDX; 0xd.1 EAX; 0x80000001 ECX, EDX. */
enum cpu_word { CPU_1C, CPU_1D, CPU_7B, CPU_7C, CPU_7D, CPU_D1A, CPU_E1C, CPU_E1D, CPU_WORDS };

#define CPU_MODEL_ADDRESS_BITS 40u /* physical, of every named model */

struct cpu_model {
    const char *name;
    uint32_t word[CPU_WORDS];
    uint32_t signature_intel, signature_amd; /* family, model, stepping */
};

/** What a processor has, as far as guests may have it. */
struct cpu_features {
    uint32_t word[CPU_WORDS];
    uint64_t xcr0;
    unsigned address_bits;
};

/** @param number enum bh_monitor_cpu @return NULL: the processor as it is, or no such number */
const struct cpu_model *cpu_model_named(uint32_t number);

/**
 * Can a processor give this model?
 * @param[out] text when not: what it lacks, in words
 */
bool cpu_model_given(const struct cpu_model *m, const struct cpu_features *have, char *text,
                     size_t bytes);

/** Does the model have XSAVE? */
static inline bool cpu_model_xsave(const struct cpu_model *m)
{
    return (m->word[CPU_1C] >> 26 & 1u) != 0;
}

#endif
