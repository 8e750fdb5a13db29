/*
 * KVM's paravirtual end of interrupt (Linux Documentation/virt/kvm/x86/msr.rst, MSR 0x4b564d04): a
 * word in the guest's RAM whose bit 0 says, while a handler runs, that clearing it is as good as an
 * EOI. It is set as an interrupt is injected, if its EOI would do nothing but end it, and looked at
 * when the vCPU leaves the guest the next time: cleared by the guest, then the EOI is made up for;
 * or else taken back, so that the guest makes the EOI itself. Interface facts only.
 * May call: the local APIC model. Writes the one word that the guest has named.
 */
#include "monitor.h"

#define ENABLED 1u
#define OFFERED 1u /* bit 0 of the word */

/* The guest's word; its own vCPU is not running. */
static uint32_t *word_of(uint64_t msr)
{
    return guest_mem_ptr(&guest_mem, msr & ~(uint64_t)3u, sizeof(uint32_t));
}

bool kvm_eoi_msr_read(uint32_t msr, uint64_t *value)
{
    *value = self()->kvm_eoi_msr;
    return true;
}

bool kvm_eoi_msr_write(uint32_t msr, uint64_t value)
{
    if ((value & ENABLED) && ((value & 2u) || !word_of(value))) return false;
    self()->kvm_eoi_msr = value;
    return true;
}

void kvm_eoi_offer(void)
{
    struct vcpu *v = self();
    uint32_t *word;

    if (!lapic_eoi_is_quiet(&v->lapic) || !(word = word_of(v->kvm_eoi_msr))) return;
    __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) | OFFERED, __ATOMIC_RELAXED);
    v->eoi_offered = true;
}

void kvm_eoi_take(void)
{
    struct vcpu *v = self();
    uint32_t *word = word_of(v->kvm_eoi_msr), value;

    v->eoi_offered = false;
    if (!word) return;
    value = __atomic_load_n(word, __ATOMIC_RELAXED);
    if (value & OFFERED)
        __atomic_store_n(word, value & ~OFFERED, __ATOMIC_RELAXED);
    else
        lapic_eoi(&v->lapic);
}
