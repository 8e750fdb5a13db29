/*
 * What one vCPU's thread has to say to another: interrupts and the like are posted, and the owner
 * takes them over when it looks. A thread that has been told and has not looked is not told again.
 * No lock; any thread. May call: the local APIC model, signals.
 */
#include "monitor.h"

void post(struct vcpu *to, uint32_t bits)
{
    if (__atomic_fetch_or(&to->post.pending, bits, __ATOMIC_SEQ_CST) == 0)
        (void)bh_signal(BH_MONITOR_SLOT_KICK + to->number);
}

static void post_vector(struct vcpu *to, uint8_t vector, bool level)
{
    unsigned word = vector / 32u;
    uint32_t bit = 1u << vector % 32u;

    if (level)
        (void)__atomic_fetch_or(&to->post.level[word], bit, __ATOMIC_RELAXED);
    else if (__atomic_load_n(&to->post.level[word], __ATOMIC_RELAXED) & bit)
        (void)__atomic_fetch_and(&to->post.level[word], ~bit, __ATOMIC_RELAXED);
    (void)__atomic_fetch_or(&to->post.irr[word], bit, __ATOMIC_RELEASE);
    post(to, 1u << word);
}

/* Start-up counts only between an INIT and the start: one that has not been looked at yet is undone
 * by the INIT. */
static void post_init(struct vcpu *to)
{
    (void)__atomic_fetch_and(&to->post.pending, ~POST_SIPI, __ATOMIC_SEQ_CST);
    post(to, POST_INIT);
}

static void deliver(struct vcpu *to, const struct apic_msg *msg)
{
    struct vcpu *v = self();

    if (to == v) {
        lapic_accept(&v->lapic, msg);
        v->dirty |= DIRTY_IRQ;
        return;
    }
    switch (msg->mode) {
    case APIC_FIXED:
    case APIC_LOWEST: post_vector(to, msg->vector, msg->level); break;
    case APIC_NMI: post(to, POST_NMI); break;
    case APIC_INIT:
        if (msg->assert) post_init(to);
        break;
    case APIC_STARTUP:
        __atomic_store_n(&to->post.sipi_vector, msg->vector, __ATOMIC_RELEASE);
        post(to, POST_SIPI);
        break;
    default: break; /* SMI: there is no SMM */
    }
}

static struct lapic *apics[BH_MONITOR_MAX_VCPUS];

void irq_init(void)
{
    for (unsigned i = 0; i < BH_MONITOR_MAX_VCPUS; i++) apics[i] = &vcpu_of(i)->lapic;
}

void irq_dispatch(const struct apic_msg *msg, unsigned sender)
{
    uint32_t targets = lapic_targets(apics, vcpu_count(), sender, msg);

    for (; targets; targets &= targets - 1u)
        deliver(vcpu_of((unsigned)__builtin_ctz(targets)), msg);
}

static void take_vectors(struct vcpu *v, unsigned word)
{
    uint32_t vectors = __atomic_exchange_n(&v->post.irr[word], 0, __ATOMIC_ACQUIRE);
    uint32_t level = __atomic_load_n(&v->post.level[word], __ATOMIC_RELAXED);

    for (; vectors; vectors &= vectors - 1u) {
        unsigned bit = (unsigned)__builtin_ctz(vectors);
        const struct apic_msg msg = {
            .vector = (uint8_t)(word * 32u + bit),
            .mode = APIC_FIXED,
            .level = (level >> bit & 1u) != 0,
            .assert = true,
        };

        lapic_accept(&v->lapic, &msg);
    }
}

#define POST_APIC (0xffu | POST_NMI | POST_INIT | POST_SIPI)

static void take_apic(struct vcpu *v, uint32_t p)
{
    for (uint32_t words = p & 0xffu; words; words &= words - 1u)
        take_vectors(v, (unsigned)__builtin_ctz(words));
    if (p & POST_NMI) v->lapic.nmi_pending = true;
    if (p & POST_INIT) {
        v->lapic.init_pending = true;
        v->lapic.sipi_pending = false;
    }
    if ((p & POST_SIPI) && (v->idle == IDLE_STARTUP || v->lapic.init_pending)) {
        v->lapic.sipi_pending = true;
        v->lapic.sipi_vector = (uint8_t)__atomic_load_n(&v->post.sipi_vector, __ATOMIC_ACQUIRE);
    }
}

void post_take_for(struct vcpu *v)
{
    take_apic(v, __atomic_fetch_and(&v->post.pending, ~POST_APIC, __ATOMIC_SEQ_CST));
}

void post_take(void)
{
    struct vcpu *v = self();
    uint32_t p = __atomic_exchange_n(&v->post.pending, 0, __ATOMIC_SEQ_CST);

    if (p & POST_END) vm_wait_for_the_end();
    take_apic(v, p);
    if (p & POST_LINT0) platform_lint();
    if (p & POST_CLOCK) kvm_clock_update();
    v->dirty |= DIRTY_IRQ;
    if (p & POST_TIME) v->dirty |= DIRTY_TIME | DIRTY_DEVICES;
    if (p & POST_PASS) pieces_passed();
    if (p & POST_PAUSE) save_pause();
}
