/*
 * KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst, cpuid.rst): a page in the
 * guest's RAM that turns its TSC into nanoseconds. The scale never changes, so it is written when
 * the guest asks for it and when the guest moves its TSC. Interface facts only.
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

static uint64_t time_msr, wall_msr;

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

void kvm_clock_update(void)
{
    struct time_info *t = guest_mem_ptr(&guest_mem, time_msr & ~(uint64_t)ENABLED, sizeof(*t));
    uint32_t version, mul;
    int8_t shift;

    if (!(time_msr & ENABLED) || !t) return;
    version = t->version | 1u;
    __atomic_store_n(&t->version, version, __ATOMIC_SEQ_CST);
    scale((uint64_t)start_block()->tsc_khz * 1000u, &mul, &shift);
    t->tsc_to_system_mul = mul;
    t->tsc_shift = shift;
    t->tsc_timestamp = rt_tsc() + vcpu.tsc_offset;
    t->system_time_ns = clock_ns();
    t->flags = FLAG_TSC_STABLE;
    __atomic_store_n(&t->version, version + 1u, __ATOMIC_SEQ_CST);
}

bool kvm_msr_read(uint32_t msr, uint64_t *value)
{
    *value = msr == MSR_KVM_WALL_CLOCK ? wall_msr : time_msr;
    return true;
}

bool kvm_msr_write(uint32_t msr, uint64_t value)
{
    if (msr == MSR_KVM_WALL_CLOCK) {
        struct wall_clock *w = guest_mem_ptr(&guest_mem, value, sizeof(*w));

        if (!w || (value & 3u)) return false;
        wall_msr = value;
        w->version = 1;
        w->sec = (uint32_t)platform_wall_clock_s();
        w->nsec = 0;
        __atomic_store_n(&w->version, 2, __ATOMIC_SEQ_CST);
        return true;
    }
    if ((value & ENABLED) && ((value & 2u) || !guest_mem_ptr(&guest_mem, value & ~(uint64_t)ENABLED,
                                                             sizeof(struct time_info))))
        return false;
    time_msr = value;
    kvm_clock_update();
    return true;
}
