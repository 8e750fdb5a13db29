/*
 * Hypercalls: KVM's calling convention (Linux Documentation/virt/kvm/x86/hypercalls.rst), with
 * exactly the calls that CPUID 0x40000001 announces. Arguments in RBX, RCX, RDX, RSI, of 32 bits
 * outside of 64-bit mode; the answer in RAX, negative for an error. Interface facts only.
 * May call: irq_dispatch().
 */
#include "monitor.h"

#define HC_SEND_IPI 10u

/* Linux's numbers of errors. */
#define E_PERM  (-1l)
#define E_INVAL (-22l)
#define E_NOSYS (-1000l)

#define ICR_VECTOR  0xffu
#define ICR_MODE(v) ((v) >> 8 & 7u)
#define ICR_ASSERT  0x4000u
/* Besides those, a fixed interrupt or NMI has none: no logical destination, no level, no
 * shorthand. */
#define ICR_ALLOWED (ICR_VECTOR | 7u << 8 | ICR_ASSERT)

/* Interrupt the processors of a bitmap, bit 0 being APIC id @first. @return how many */
static long send_ipi(const uint64_t bitmap[2], unsigned bits, uint64_t first, uint64_t icr)
{
    struct apic_msg msg = {
        .vector = (uint8_t)(icr & ICR_VECTOR),
        .mode = (uint8_t)ICR_MODE(icr),
        .assert = true,
        .wide = true,
    };
    long sent = 0;

    if ((icr & ~(uint64_t)ICR_ALLOWED) || (msg.mode != APIC_FIXED && msg.mode != APIC_NMI) ||
        (msg.mode == APIC_FIXED && msg.vector < 16u))
        return E_INVAL;
    /* An APIC's id is its vCPU's number. */
    for (uint64_t id = first; id < vcpu_count() && id - first < 2u * bits; id++) {
        unsigned bit = (unsigned)(id - first);

        if (!(bitmap[bit / bits] >> bit % bits & 1u)) continue;
        msg.dest = (uint32_t)id;
        irq_dispatch(&msg, self()->number);
        sent++;
    }
    return sent;
}

void exit_hypercall(void)
{
    struct bh_vcpu_page *p = page();
    long answer = E_NOSYS;

    if ((uint32_t)p->gpr[RAX] == HC_SEND_IPI) {
        uint64_t mask, bitmap[2];

        exit_brings_state();
        mask = mode_64() ? UINT64_MAX : UINT32_MAX;
        bitmap[0] = p->gpr[RBX] & mask;
        bitmap[1] = p->gpr[RCX] & mask;
        if (p->state.seg[BH_SS].attr >> 5 & 3u) /* privilege level */
            answer = E_PERM;
        else
            answer =
                send_ipi(bitmap, mode_64() ? 64u : 32u, p->gpr[RDX] & mask, p->gpr[RSI] & mask);
    }
    p->gpr[RAX] = (uint64_t)answer;
    insn_skip(start_block()->backend == BH_BACKEND_SVM ? 0xd9010f : 0xc1010f, 3);
}
