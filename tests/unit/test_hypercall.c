// sources: vmm/monitor/kvm_eoi.c vmm/monitor/hypercall.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/lapic.c vmm/monitor/dev/bus.c
/*
 * KVM's paravirtual interrupts: which messages a hypercall sends and when it sends none; when an
 * end of interrupt by the word in memory is offered, and what comes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "monitor.h"

#define VCPUS     5u
#define RAM_BYTES 0x10000u
#define WORD_GPA  0x1004u
#define VECTOR    0x51u

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static uint32_t sent; /* a bit for each APIC id */
static unsigned messages, broadcasts, brought;
static struct apic_msg last;

void read_state(uint64_t groups) {}
void exit_brings_state(void) { brought++; }
void insn_skip_slow(uint32_t opcode, unsigned length) {}
void insn_stepped(void) {}

void irq_dispatch(const struct apic_msg *msg, unsigned sender)
{
    assert_int_equal(sender, vcpu_self);
    assert_true(msg->dest < VCPUS && !msg->logical && msg->shorthand == 0 && !msg->level);
    sent |= 1u << msg->dest;
    messages++;
    last = *msg;
}

static uint64_t now(void *ctx) { return 1000; }
static uint64_t tsc(void *ctx) { return 5000; }
static void eoi(void *ctx, uint8_t vector) { broadcasts++; }

static const struct dev_host dev_host = {.now_ns = now};
static const struct lapic_host apic_host = {.tsc = tsc, .eoi = eoi};

static int setup(void **state)
{
    struct bh_vcpu_page *p = (struct bh_vcpu_page *)BH_MONITOR_VCPU;

    memset(ram, 0, sizeof(ram));
    memset(vcpus, 0, sizeof(vcpus));
    memset(p, 0, 4096);
    vcpu_self = 2;
    self()->number = 2;
    self()->page = p;
    p->next_rip = 3;
    p->state.efer = EFER_LMA;
    p->state.seg[BH_CS].attr = CS_LONG;
    guest_mem = (struct guest_mem){ram, RAM_BYTES, NULL};
    ((struct bh_monitor_start *)BH_MONITOR_START)->nvcpus = VCPUS;
    assert_true(lapic_init(&self()->lapic, NULL, &dev_host, &apic_host, 2, false, 1000000000));
    lapic_mmio_write(&self()->lapic, 0xf0, 4, 0x1ff);
    sent = messages = broadcasts = 0;
    return 0;
}

static long call(uint64_t number, uint64_t low, uint64_t high, uint64_t first, uint64_t icr)
{
    struct bh_vcpu_page *p = page();

    sent = messages = 0;
    p->gpr[RAX] = number;
    p->gpr[RBX] = low;
    p->gpr[RCX] = high;
    p->gpr[RDX] = first;
    p->gpr[RSI] = icr;
    exit_hypercall();
    return (long)p->gpr[RAX];
}

static void ipi_bitmap(void **state)
{
    assert_int_equal(call(10, 0x1a, 0, 0, VECTOR), 3);
    assert_int_equal(sent, 0x1a);
    assert_int_equal(last.vector, VECTOR);
    assert_int_equal(last.mode, APIC_FIXED);
    assert_int_equal(call(10, 3, 0, 3, 0x4400), 2); /* NMI: the vector is nobody's business */
    assert_int_equal(sent, 0x18);
    assert_int_equal(last.mode, APIC_NMI);
    assert_int_equal(call(10, ~0ull, ~0ull, 0, VECTOR), VCPUS);
    assert_int_equal(sent, 0x1f);
    assert_int_equal(messages, VCPUS);
    assert_int_equal(call(10, 0, ~0ull, 0, VECTOR), 0);
    assert_int_equal(call(10, ~0ull, ~0ull, VCPUS, VECTOR), 0);
    assert_int_equal(call(10, ~0ull, ~0ull, ~0ull, VECTOR), 0);
    assert_int_equal(messages, 0);
}

/* Outside of 64-bit mode registers have 32 bits. */
static void ipi_32(void **state)
{
    page()->state.seg[BH_CS].attr = CS_32;
    assert_int_equal(call(10, 0xf00000004ull, 0, 0xffffffff00000000ull, VECTOR), 1);
    assert_int_equal(sent, 4);
}

static void ipi_refused(void **state)
{
    static const uint64_t bad[] = {0,       15,      0x151,   0x251,    0x551,
                                   0x608,   0x751,   0x851,   0x1051,   0x8051,
                                   0x40051, 0x80051, 0xc0051, 1u << 16, 1ull << 32};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(call(10, ~0ull, 0, 0, bad[i]), -22);
    page()->state.seg[BH_SS].attr = 3u << 5;
    assert_int_equal(call(10, ~0ull, 0, 0, VECTOR), -1);
    /* What is not there needs no state, which would be a call into the kernel, under its lock. */
    brought = 0;
    assert_int_equal(call(11, ~0ull, 0, 0, VECTOR), -1000);
    assert_int_equal(brought, 0);
    assert_int_equal(messages, 0);
}

/* ---- the word ---- */

static uint32_t *word(void) { return (uint32_t *)(void *)(ram + WORD_GPA); }

static bool in_service(unsigned vector)
{
    return self()->lapic.isr.map[vector / 32] >> vector % 32 & 1;
}

static void interrupt(unsigned vector, bool level)
{
    const struct apic_msg msg = {.vector = (uint8_t)vector, .level = level, .assert = true};

    lapic_accept(&self()->lapic, &msg);
}

static void begin(unsigned vector)
{
    assert_int_equal(lapic_ack(&self()->lapic), vector);
    kvm_eoi_offer();
}

static void word_named(void **state)
{
    uint64_t value;

    assert_false(kvm_eoi_msr_write(MSR_KVM_EOI, WORD_GPA | 3u));
    assert_false(kvm_eoi_msr_write(MSR_KVM_EOI, RAM_BYTES | 1u));
    assert_false(kvm_eoi_msr_write(MSR_KVM_EOI, ~(uint64_t)3u | 1u));
    assert_true(kvm_eoi_msr_write(MSR_KVM_EOI, (RAM_BYTES - 4u) | 1u));
    assert_true(kvm_eoi_msr_read(MSR_KVM_EOI, &value));
    assert_int_equal(value, (RAM_BYTES - 4u) | 1u);
    assert_true(kvm_eoi_msr_write(MSR_KVM_EOI, 0));
}

static void word_taken(void **state)
{
    assert_true(kvm_eoi_msr_write(MSR_KVM_EOI, WORD_GPA | 1u));
    *word() = 0xa0; /* other bits are the guest's */
    interrupt(VECTOR, false);
    begin(VECTOR);
    assert_true(self()->eoi_offered);
    assert_int_equal(*word(), 0xa1);
    *word() &= ~1u;
    kvm_eoi_take();
    assert_false(in_service(VECTOR) || self()->eoi_offered);
    assert_int_equal(*word(), 0xa0);
}

static void word_taken_back(void **state)
{
    assert_true(kvm_eoi_msr_write(MSR_KVM_EOI, WORD_GPA | 1u));
    interrupt(VECTOR, false);
    begin(VECTOR);
    kvm_eoi_take();
    assert_true(in_service(VECTOR));
    assert_int_equal(*word(), 0);
    lapic_eoi(&self()->lapic);
    assert_false(in_service(VECTOR));
}

/* Whoever waits, whatever its priority, waits for an EOI that is seen. */
static void word_not_offered(void **state)
{
    assert_true(kvm_eoi_msr_write(MSR_KVM_EOI, WORD_GPA | 1u));
    interrupt(VECTOR, false);
    interrupt(0x30, false);
    begin(VECTOR);
    assert_false(self()->eoi_offered);
    lapic_eoi(&self()->lapic);
    begin(0x30);
    assert_true(self()->eoi_offered);
    *word() = 0;
    kvm_eoi_take();
    interrupt(VECTOR, true); /* level triggered: the IOAPIC wants to know */
    begin(VECTOR);
    assert_false(self()->eoi_offered);
    lapic_eoi(&self()->lapic);
    assert_int_equal(broadcasts, 1);
    kvm_eoi_offer(); /* nothing in service */
    assert_false(self()->eoi_offered);
    assert_int_equal(*word(), 0);
}

/* A restored VM may say anything: no memory, no offer. */
static void word_nowhere(void **state)
{
    self()->kvm_eoi_msr = (uint64_t)RAM_BYTES << 20 | 1u;
    interrupt(VECTOR, false);
    begin(VECTOR);
    assert_false(self()->eoi_offered);
    self()->eoi_offered = true;
    kvm_eoi_take();
    assert_true(in_service(VECTOR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ipi_bitmap, setup),
        cmocka_unit_test_setup(ipi_32, setup),
        cmocka_unit_test_setup(ipi_refused, setup),
        cmocka_unit_test_setup(word_named, setup),
        cmocka_unit_test_setup(word_taken, setup),
        cmocka_unit_test_setup(word_taken_back, setup),
        cmocka_unit_test_setup(word_not_offered, setup),
        cmocka_unit_test_setup(word_nowhere, setup),
    };
    const uint64_t pages[] = {BH_MONITOR_START, BH_MONITOR_VCPU};

    for (unsigned i = 0; i < 2u; i++)
        if (mmap((void *)pages[i], 4096, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)pages[i])
            return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
