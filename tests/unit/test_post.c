// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/bus.c
// flags: -lpthread
/*
 * Interrupts between a VM's threads: what is posted arrives, with its trigger mode, and whoever
 * posts first since the target has looked tells it, nobody else; INIT and start-up messages in
 * their order; the same with real threads, where nothing may get lost.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define bh_signal syscall_bh_signal
#include "vmm/rt/syscall.h"
#undef bh_signal
uint64_t bh_signal(uint64_t ntfn);

#include "bulkhead/monitor.h"
static struct bh_monitor_start start = {.nvcpus = 4};
#undef BH_MONITOR_START
#define BH_MONITOR_START ((uint64_t)&start)
#include "vmm/monitor/post.c"

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];

enum { CPUS = 4 };

static unsigned kicks[CPUS], lints, clocks, pauses;
static sem_t told[CPUS];

uint64_t bh_signal(uint64_t ntfn)
{
    unsigned n = (unsigned)(ntfn - BH_MONITOR_SLOT_KICK);

    if (n >= CPUS) return BH_ERR_CAP;
    (void)__atomic_fetch_add(&kicks[n], 1, __ATOMIC_SEQ_CST);
    (void)sem_post(&told[n]);
    return BH_OK;
}

void platform_lint(void) { lints++; }

void kvm_clock_update(void) { clocks++; }

void pieces_passed(void) {}
void save_pause(void) { pauses++; }

void vm_wait_for_the_end(void)
{
    mock_assert(0, "not here", __FILE__, __LINE__);
    __builtin_unreachable();
}

static uint64_t now_ns(void *ctx) { return 1000; }

static uint64_t tsc(void *ctx) { return 1000; }

static void ipi(void *ctx, const struct apic_msg *msg) { irq_dispatch(msg, vcpu_self); }

static const struct dev_host host = {.now_ns = now_ns};
static const struct lapic_host lhost = {NULL, tsc, ipi, NULL};

static int setup(void **state)
{
    memset(vcpus, 0, sizeof(vcpus));
    memset(kicks, 0, sizeof(kicks));
    lints = clocks = pauses = 0;
    irq_init();
    for (unsigned i = 0; i < CPUS; i++) {
        vcpus[i].number = i;
        (void)sem_init(&told[i], 0, 0);
        assert_true(lapic_init(&vcpus[i].lapic, NULL, &host, &lhost, i, i == 0, 1000000000));
        lapic_mmio_write(&vcpus[i].lapic, 0xf0, 4, 0x1ff);
    }
    vcpu_self = 0;
    return 0;
}

static void send(uint32_t dest, enum apic_mode mode, uint8_t vector, bool level)
{
    const struct apic_msg msg = {
        .dest = dest, .vector = vector, .mode = (uint8_t)mode, .level = level, .assert = true};

    irq_dispatch(&msg, BH_MONITOR_MAX_VCPUS);
}

static int ack(void)
{
    int vector = lapic_ack(&vcpus[vcpu_self].lapic);

    if (vector >= 0) lapic_mmio_write(&vcpus[vcpu_self].lapic, 0xb0, 4, 0);
    return vector;
}

/* Every vector to another vCPU and to itself. */
static void vectors(void **state)
{
    for (unsigned v = 16; v < 256; v++) send(2, APIC_FIXED, (uint8_t)v, false);
    assert_int_equal(kicks[2], 1);
    assert_int_equal(kicks[0] + kicks[1] + kicks[3], 0);
    vcpu_self = 2;
    assert_int_equal(ack(), -1); /* not before it looks */
    post_take();
    assert_int_equal(vcpus[2].post.pending, 0);
    for (int v = 255; v >= 16; v--) assert_int_equal(ack(), v);
    assert_int_equal(ack(), -1);
    send(2, APIC_FIXED, 0x44, false); /* its own: no kick */
    assert_int_equal(kicks[2], 1);
    assert_int_equal(ack(), 0x44);
    vcpu_self = 1;
    send(2, APIC_FIXED, 0x45, false);
    assert_int_equal(kicks[2], 2);
}

static uint32_t tmr(unsigned vector)
{
    return (uint32_t)lapic_mmio_read(&vcpus[vcpu_self].lapic, 0x180u + vector / 32u * 16u, 4) >>
               vector % 32u &
           1u;
}

static void trigger_modes(void **state)
{
    static const bool modes[] = {true, false, false, true, true, false};

    for (unsigned i = 0; i < sizeof(modes); i++) {
        vcpu_self = 0;
        send(3, APIC_FIXED, 0x77, modes[i]);
        vcpu_self = 3;
        post_take();
        assert_int_equal(lapic_ack(&vcpus[3].lapic), 0x77);
        assert_int_equal(tmr(0x77), modes[i]);
        lapic_mmio_write(&vcpus[3].lapic, 0xb0, 4, 0);
    }
}

static void events(void **state)
{
    send(1, APIC_NMI, 0, false);
    post(&vcpus[1], POST_LINT0);
    post(&vcpus[1], POST_TIME | POST_CLOCK);
    send(1, APIC_SMI, 0, false);
    assert_int_equal(kicks[1], 1);
    vcpu_self = 1;
    post_take();
    assert_true(vcpus[1].lapic.nmi_pending);
    assert_false(vcpus[1].lapic.smi_pending);
    assert_int_equal(lints, 1);
    assert_int_equal(clocks, 1);
    assert_int_equal(vcpus[1].dirty & (DIRTY_IRQ | DIRTY_TIME | DIRTY_DEVICES),
                     DIRTY_IRQ | DIRTY_TIME | DIRTY_DEVICES);
}

/* Intel SDM vol. 3A, 9.4: a start-up message counts only for a processor that waits for one. */
static void start_up(void **state)
{
    struct lapic *l = &vcpus[1].lapic;

    send(1, APIC_STARTUP, 0x12, false); /* it runs */
    vcpu_self = 1;
    post_take();
    assert_false(l->sipi_pending);
    vcpu_self = 0;
    send(1, APIC_INIT, 0, false);
    send(1, APIC_STARTUP, 0x34, false);
    vcpu_self = 1;
    post_take();
    assert_true(l->init_pending && l->sipi_pending);
    assert_int_equal(l->sipi_vector, 0x34);
    lapic_reset(l);
    l->sipi_pending = false;
    vcpus[1].idle = IDLE_STARTUP;
    vcpu_self = 0;
    send(1, APIC_STARTUP, 0x56, false);
    send(1, APIC_INIT, 0, false); /* takes it back */
    vcpu_self = 1;
    post_take();
    assert_true(l->init_pending);
    assert_false(l->sipi_pending);
    lapic_reset(l);
    vcpu_self = 0;
    send(1, APIC_STARTUP, 0x78, false);
    vcpu_self = 1;
    post_take();
    assert_true(l->sipi_pending && !l->init_pending);
    assert_int_equal(l->sipi_vector, 0x78);
}

/* Three threads, each with vectors of its own, send to the fourth and wait until it has taken one
 * before the next: if one got lost or nobody were told, they would wait for ever. */
enum { ROUNDS = 20000, OWN = 64 };
static unsigned taken[256];
static bool stop;

static void *sender(void *arg)
{
    unsigned self_number = (unsigned)(uintptr_t)arg;

    vcpu_self = self_number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned vector = 32u + (self_number - 1u) * OWN + i % OWN;
        unsigned before = __atomic_load_n(&taken[vector], __ATOMIC_SEQ_CST);

        send(0, APIC_FIXED, (uint8_t)vector, i % 3u == 0);
        if (i % 7u == 0) send(0, APIC_NMI, 0, false);
        while (__atomic_load_n(&taken[vector], __ATOMIC_SEQ_CST) == before) (void)sched_yield();
    }
    return NULL;
}

static void *target(void *arg)
{
    vcpu_self = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        int vector;

        (void)sem_wait(&told[0]);
        post_take();
        while ((vector = ack()) >= 0) (void)__atomic_fetch_add(&taken[vector], 1, __ATOMIC_SEQ_CST);
        /* Others read it when they look for targets. */
        lapic_cr8_write(&vcpus[0].lapic, 0);
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t t[CPUS];
    unsigned sum = 0;

    stop = false;
    memset(taken, 0, sizeof(taken));
    (void)pthread_create(&t[0], NULL, target, NULL);
    for (uintptr_t i = 1; i < CPUS; i++) (void)pthread_create(&t[i], NULL, sender, (void *)i);
    for (unsigned i = 1; i < CPUS; i++) (void)pthread_join(t[i], NULL);
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    (void)sem_post(&told[0]);
    (void)pthread_join(t[0], NULL);
    for (unsigned i = 0; i < 256; i++) sum += taken[i];
    assert_int_equal(sum, (CPUS - 1u) * ROUNDS);
    assert_int_equal(vcpus[0].post.pending & 0xffu, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(vectors, setup), cmocka_unit_test_setup(trigger_modes, setup),
        cmocka_unit_test_setup(events, setup),  cmocka_unit_test_setup(start_up, setup),
        cmocka_unit_test_setup(threads, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
