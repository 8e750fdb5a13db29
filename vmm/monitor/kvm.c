/*
 * KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst, cpuid.rst): a page in the
 * guest's RAM that turns a vCPU's TSC into nanoseconds. All vCPUs count from the same moment by
 * the same scale, so that their clocks agree as far as their TSCs do. It is written when the guest
 * asks for it and when the guest moves a TSC. Interface facts only.
 * May call: guest_mem_ptr(), clock.c. Writes the 32 bytes the guest has named, nothing else.
 */
#include "monitor.h"

#define FLAG_TSC_STABLE 1u
#define ENABLED         1u

/* The guest may put it at any multiple of 4. */
struct __attribute__((packed, aligned(4))) time_info {
    uint32_t version; /* odd while it is being written */
    uint32_t reserved0;
    uint64_t tsc_timestamp;
    uint64_t system_time_ns;
    uint32_t tsc_to_system_mul; /* of 2^-32 ns per tick, after the shift */
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t reserved1[2];
};

struct wall_clock {
    uint32_t version, sec, nsec;
};

_Static_assert(sizeof(struct time_info) == 32, "ABI of the guest");
_Static_assert(sizeof(struct wall_clock) == 12, "ABI of the guest");

uint64_t kvm_wall_msr;

/* 10^9 / hz as mul * 2^-32 * 2^shift with mul in [2^31, 2^32). */
static void scale(uint64_t hz, uint32_t *mul, int8_t *shift)
{
    uint64_t num = 1000000000u, den = hz;
    int8_t s = 0;

    while (num >= den) { /* bring the quotient below 1 ... */
        den <<= 1;
        s++;
    }
    while (num < den / 2u) { /* ... and to at least a half */
        num <<= 1;
        s--;
    }
    for (; den >> 32; den >>= 1) /* one bit of 32 at most */
        num >>= 1;
    *mul = (uint32_t)((num << 32) / den);
    *shift = s;
}

/* Does the same TSC mean the same time on all vCPUs? */
static bool tscs_agree(void)
{
    uint64_t offset = __atomic_load_n(&self()->tsc_offset, __ATOMIC_RELAXED);

    for (unsigned i = 0; i < vcpu_count(); i++)
        if (__atomic_load_n(&vcpu_of(i)->tsc_offset, __ATOMIC_RELAXED) != offset) return false;
    return true;
}

void kvm_clock_update(void)
{
    uint64_t msr = self()->kvm_time_msr;
    struct time_info *t = guest_mem_ptr(&guest_mem, msr & ~(uint64_t)ENABLED, sizeof(*t));
    uint32_t version, mul;
    int8_t shift;

    if (!(msr & ENABLED) || !t) return;
    version = t->version | 1u;
    __atomic_store_n(&t->version, version, __ATOMIC_SEQ_CST);
    scale((uint64_t)start_block()->tsc_khz * 1000u, &mul, &shift);
    t->tsc_to_system_mul = mul;
    t->tsc_shift = shift;
    t->tsc_timestamp = clock_start_tsc() + self()->tsc_offset;
    t->system_time_ns = 0;
    t->flags = tscs_agree() ? FLAG_TSC_STABLE : 0;
    __atomic_store_n(&t->version, version + 1u, __ATOMIC_SEQ_CST);
}

void kvm_tsc_moved(void)
{
    struct vcpu *v = self();

    kvm_clock_update();
    for (unsigned i = 0; i < vcpu_count(); i++)
        if (vcpu_of(i) != v) post(vcpu_of(i), POST_CLOCK);
}

bool kvm_msr_read(uint32_t msr, uint64_t *value)
{
    *value = msr == MSR_KVM_WALL_CLOCK ? __atomic_load_n(&kvm_wall_msr, __ATOMIC_RELAXED)
                                       : self()->kvm_time_msr;
    return true;
}

bool kvm_msr_write(uint32_t msr, uint64_t value)
{
    if (msr == MSR_KVM_WALL_CLOCK) {
        struct wall_clock *w = guest_mem_ptr(&guest_mem, value, sizeof(*w));

        if (!w || (value & 3u)) return false;
        __atomic_store_n(&kvm_wall_msr, value, __ATOMIC_RELAXED);
        w->version = 1;
        w->sec = (uint32_t)platform_wall_clock_s();
        w->nsec = 0;
        __atomic_store_n(&w->version, 2, __ATOMIC_SEQ_CST);
        return true;
    }
    if ((value & ENABLED) && ((value & 2u) || !guest_mem_ptr(&guest_mem, value & ~(uint64_t)ENABLED,
                                                             sizeof(struct time_info))))
        return false;
    self()->kvm_time_msr = value;
    kvm_clock_update();
    return true;
}
