// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/bus.c
/* Local APIC against SDM vol. 3A chapter 11: priorities, EOI, timer modes, x2APIC rules, IPIs. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/lapic.h"

#define BASE   LAPIC_DEFAULT_BASE
#define TSC_HZ 2500000000ull
#define CPUS   4u

static struct lapic apic[CPUS];
static struct lapic *const all[CPUS] = {&apic[0], &apic[1], &apic[2], &apic[3]};
static struct lapic *const l = &apic[0];
static uint64_t tsc_offset;
static struct apic_msg sent;
static unsigned ipis, eois;
static uint8_t eoi_vector;

static uint64_t tsc(void *ctx)
{
    (void)ctx;
    return now / 2u * 5u + (now & 1u) * 2u + tsc_offset; /* 2.5 GHz */
}

static void dispatch(unsigned sender, const struct apic_msg *msg)
{
    uint32_t targets = lapic_targets(all, CPUS, sender, msg);

    for (unsigned i = 0; i < CPUS; i++)
        if (targets >> i & 1u) lapic_accept(all[i], msg);
}

static void ipi(void *ctx, const struct apic_msg *msg)
{
    (void)ctx;
    sent = *msg;
    ipis++;
    dispatch(0, msg);
}

static void eoi(void *ctx, uint8_t vector)
{
    (void)ctx;
    eoi_vector = vector;
    eois++;
}

static const struct lapic_host lhost = {NULL, tsc, ipi, eoi};

static void wr(unsigned offset, uint32_t value)
{
    bus_write(&bus, BUS_MMIO, BASE + offset, 4, value);
}

static uint32_t rd(unsigned offset) { return (uint32_t)bus_read(&bus, BUS_MMIO, BASE + offset, 4); }

static void msr_ok(uint32_t msr, uint64_t value) { assert_true(lapic_msr_write(l, msr, value)); }

static uint64_t msr(uint32_t number)
{
    uint64_t value = 0;

    assert_true(lapic_msr_read(l, number, &value));
    return value;
}

static void setup(bool x2apic)
{
    fixture_reset();
    ipis = eois = 0;
    tsc_offset = 0;
    for (unsigned i = 0; i < CPUS; i++) {
        assert_true(lapic_init(&apic[i], i == 0 ? &bus : NULL, &host, &lhost, i, i == 0, TSC_HZ));
        if (x2apic) {
            assert_true(lapic_msr_write(&apic[i], 0x1b, BASE | 0xc00));
            assert_true(lapic_msr_write(&apic[i], 0x80f, 0x1ff));
        } else {
            lapic_mmio_write(&apic[i], 0xf0, 4, 0x1ff);
        }
    }
}

static struct apic_msg fixed(uint8_t vector, bool level)
{
    return (struct apic_msg){.vector = vector, .level = level, .assert = true};
}

static void raise(uint8_t vector, bool level)
{
    struct apic_msg msg = fixed(vector, level);

    lapic_accept(l, &msg);
}

static void test_reset(void **state)
{
    (void)state;
    fixture_reset();
    assert_false(lapic_init(l, NULL, &host, &lhost, 0, true, 0));
    assert_true(lapic_init(l, &bus, &host, &lhost, 3, true, TSC_HZ));
    assert_int_equal(rd(0x20), 3u << 24);
    assert_int_equal(rd(0x30), 0x00050014);
    assert_int_equal(rd(0x80), 0);
    assert_int_equal(rd(0xd0), 0);
    assert_int_equal(rd(0xe0), 0xffffffff);
    assert_int_equal(rd(0xf0), 0xff);
    for (unsigned lvt = 0x320; lvt <= 0x370; lvt += 0x10) {
        assert_int_equal(rd(lvt), 0x10000);
        wr(lvt, 0); /* software-disabled: the mask stays */
        assert_int_equal(rd(lvt), 0x10000);
    }
    assert_true(msr(0x1b) == (BASE | 0x900));
    raise(0x50, false);
    assert_int_equal(lapic_pending_vector(l), -1);
    assert_false(lapic_extint_enabled(l));
    lapic_virtual_wire(l);
    assert_true(lapic_extint_enabled(l));
    lapic_set_lint(l, 1, true);
    assert_true(l->nmi_pending);
    wr(0xf0, 0xff); /* disabling masks all entries */
    assert_int_equal(rd(0x350), 0x10700);
}

static void test_every_register(void **state)
{
    static const struct {
        unsigned offset;
        uint32_t ones; /* what reads back after writing ones, software-enabled */
    } regs[] = {
        {0x20, 0},           {0x30, 0x00050014},  {0x80, 0xff},        {0x90, 0},
        {0xa0, 0xff},        {0xb0, 0},           {0xc0, 0},           {0xd0, 0xff000000},
        {0xe0, 0xffffffff},  {0xf0, 0x1ff},       {0x310, 0xff000000}, {0x330, 0x000107ff},
        {0x340, 0x000107ff}, {0x350, 0x0001a7ff}, {0x360, 0x0001a7ff}, {0x370, 0x000100ff},
        {0x3e0, 0x0b},
    };

    (void)state;
    setup(false);
    wr(0x80, 0xff);
    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
        wr(regs[i].offset, 0xffffffff);
        assert_int_equal(rd(regs[i].offset), regs[i].ones);
    }
    for (unsigned offset = 0x100; offset < 0x280; offset += 0x10) {
        wr(offset, 0xffffffff); /* ISR, TMR, IRR are read-only */
        assert_int_equal(rd(offset), 0);
    }
    wr(0x280, 0);
    wr(0x280, 0);
    assert_int_equal(rd(0x280), 0);
    for (unsigned offset = 0; offset < 0x1000; offset += 0x10) {
        bool known = (offset >= 0x80 && offset < 0x290) || offset == 0x20 || offset == 0x30 ||
                     (offset >= 0x300 && offset < 0x3a0) || offset == 0x3e0;

        (void)rd(offset);
        wr(0x280, 0);
        assert_int_equal(rd(0x280), known ? 0 : 0x80); /* illegal register address */
    }
    assert_int_equal(bus_read(&bus, BUS_MMIO, BASE + 0x31, 1), 0x00);
    assert_int_equal(bus_read(&bus, BUS_MMIO, BASE + 0x32, 2), 0x05);
    assert_int_equal(bus_read(&bus, BUS_MMIO, BASE + 0x38, 4), 0);
}

static void test_priority(void **state)
{
    (void)state;
    setup(false);
    raise(0x41, false);
    raise(0x4f, false);
    raise(0xff, false);
    raise(0x10, false);
    assert_int_equal(rd(0x220), 0x8002);
    assert_int_equal(lapic_ack(l), 0xff);
    assert_int_equal(rd(0xa0), 0xf0);
    assert_int_equal(lapic_ack(l), -1); /* in service: only a higher class */
    wr(0xb0, 0);
    assert_int_equal(lapic_ack(l), 0x4f);
    assert_int_equal(lapic_pending_vector(l), -1); /* same class */
    raise(0x50, false);
    assert_int_equal(lapic_ack(l), 0x50);
    assert_int_equal(rd(0x120), 0x18000);
    wr(0xb0, 0);
    assert_int_equal(rd(0xa0), 0x40);
    wr(0xb0, 0);
    assert_int_equal(lapic_ack(l), 0x41);
    wr(0xb0, 0);
    wr(0x80, 0x1f);
    assert_int_equal(rd(0xa0), 0x1f);
    assert_int_equal(lapic_pending_vector(l), -1);
    lapic_cr8_write(l, 0);
    assert_int_equal(rd(0x80), 0);
    assert_int_equal(lapic_ack(l), 0x10);
    lapic_cr8_write(l, 0xff);
    assert_int_equal(rd(0x80), 0xf0);
    assert_int_equal(lapic_cr8_read(l), 15);
    wr(0xb0, 0);
    wr(0xb0, 0); /* one EOI too many */
    wr(0x280, 0);
    raise(0x0f, false);
    wr(0x280, 0);
    assert_int_equal(rd(0x280), 0x40); /* illegal vector received */
}

static void test_eoi_broadcast(void **state)
{
    (void)state;
    setup(false);
    raise(0x60, true);
    assert_int_equal(rd(0x1b0), 1);
    lapic_ack(l);
    wr(0xb0, 0);
    assert_int_equal(eois, 1);
    assert_int_equal(eoi_vector, 0x60);
    raise(0x60, false); /* the same vector, edge this time */
    assert_int_equal(rd(0x1b0), 0);
    lapic_ack(l);
    wr(0xb0, 0);
    assert_int_equal(eois, 1);
}

static void test_timer_one_shot(void **state)
{
    static const uint8_t code[8] = {0x0b, 0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a};

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t divider = 1ull << i;

        setup(false);
        now = 12345;
        wr(0x3e0, code[i]);
        wr(0x320, 0x40);
        wr(0x380, 1000);
        assert_true(l->deadline_ns == 12345 + 1000 * divider);
        now = 12345 + 300 * divider;
        assert_int_equal(rd(0x390), 700);
        now = l->deadline_ns - 1;
        lapic_tick(l, now);
        assert_int_equal(lapic_pending_vector(l), -1);
        assert_int_equal(rd(0x390), 1);
        now++;
        lapic_tick(l, now);
        assert_int_equal(lapic_ack(l), 0x40);
        assert_int_equal(rd(0x390), 0);
        assert_int_equal(rd(0x380), 1000);
        assert_true(l->deadline_ns == NO_DEADLINE_NS);
    }
    wr(0x320, 0x10040);
    wr(0x380, 10);
    now += 20;
    lapic_tick(l, now);
    wr(0xb0, 0);
    assert_int_equal(lapic_pending_vector(l), -1); /* masked */
    wr(0x320, 0x40);
    wr(0x380, 10);
    wr(0x380, 0); /* stops it */
    assert_true(l->deadline_ns == NO_DEADLINE_NS);
    wr(0x380, 1000);
    now += 128 * 100;
    wr(0x3e0, 0x0b); /* a new divider goes on from the count reached */
    assert_int_equal(rd(0x390), 900);
    assert_true(l->deadline_ns == now + 900);
}

static void test_timer_periodic(void **state)
{
    (void)state;
    setup(false);
    wr(0x3e0, 0x0b);
    wr(0x320, 0x20040);
    wr(0x380, 1000000);
    for (unsigned i = 1; i < 50; i++) {
        now = l->deadline_ns;
        assert_true(now == i * 1000000ull);
        lapic_tick(l, now);
        assert_int_equal(lapic_ack(l), 0x40);
        wr(0xb0, 0);
    }
    now = 1000ull * 3600 * NS_PER_S + 400; /* a long pause: one interrupt, phase kept */
    lapic_tick(l, now);
    assert_int_equal(lapic_ack(l), 0x40);
    wr(0xb0, 0);
    assert_int_equal(lapic_ack(l), -1);
    assert_true(l->deadline_ns == now - 400 + 1000000);
    assert_int_equal(rd(0x390), 1000000 - 400);
    wr(0x380, 1); /* as fast as can be: no call-back storm */
    for (unsigned i = 0; i < 10; i++) {
        now++;
        lapic_tick(l, now);
        assert_true(l->deadline_ns >= now + TIMER_MIN_REARM_NS);
    }
}

static void test_timer_deadline(void **state)
{
    (void)state;
    setup(true);
    msr_ok(0x6e0, 1000); /* not in that mode: ignored */
    assert_int_equal(msr(0x6e0), 0);
    msr_ok(0x832, 0x40040);
    now = 1000;
    msr_ok(0x6e0, 5001);
    assert_int_equal(msr(0x6e0), 5001);
    assert_true(l->tsc_deadline == 5001);
    assert_true(l->deadline_ns == 2001); /* rounded up: 2500 + 2501 ticks */
    msr_ok(0x838, 77);                   /* initial count is ignored in this mode */
    assert_int_equal(msr(0x838), 0);
    assert_int_equal(msr(0x839), 0);
    now = 2000;
    lapic_tick(l, now);
    assert_int_equal(lapic_pending_vector(l), -1);
    now = 2001;
    lapic_tick(l, now);
    assert_int_equal(lapic_ack(l), 0x40);
    msr_ok(0x80b, 0);
    assert_int_equal(msr(0x6e0), 0);
    msr_ok(0x6e0, 1); /* in the past: at once */
    assert_int_equal(lapic_ack(l), 0x40);
    msr_ok(0x80b, 0);
    msr_ok(0x6e0, UINT64_MAX);
    assert_true(l->deadline_ns > 1ull << 60);
    msr_ok(0x6e0, 0);
    assert_true(l->deadline_ns == NO_DEADLINE_NS);
    msr_ok(0x6e0, 1ull << 40);
    msr_ok(0x832, 0x40); /* leaving the mode disarms */
    assert_int_equal(msr(0x6e0), 0);
    assert_true(l->deadline_ns == NO_DEADLINE_NS);
    assert_true(lapic_msr_write(l, 0x832, 0x60040)); /* reserved mode: one-shot */
}

static void test_mode_switch(void **state)
{
    static const uint64_t mode[4] = {0, 0x400, 0x800, 0xc00};
    static const uint8_t legal[4][4] = {
        /* to: off, invalid, xAPIC, x2APIC */
        {1, 0, 1, 0},
        {0, 0, 0, 0},
        {1, 0, 1, 1},
        {1, 0, 0, 1},
    };

    (void)state;
    for (unsigned from = 0; from < 4; from++) {
        for (unsigned to = 0; to < 4 && from != 1; to++) {
            setup(from == 3);
            if (from == 0) msr_ok(0x1b, BASE);
            assert_true(lapic_msr_write(l, 0x1b, BASE | mode[to]) == (legal[from][to] != 0));
            assert_true(msr(0x1b) == (BASE | 0x100 | mode[legal[from][to] ? to : from]));
        }
    }
    setup(false);
    assert_false(lapic_msr_write(l, 0x1b, 0xfee01000 | 0x800)); /* the page does not move */
    assert_false(lapic_msr_write(l, 0x1b, BASE | 0x801));
    assert_false(lapic_msr_write(l, 0x1b, BASE | 0x800 | 1ull << 52));
    setup(true);
    assert_int_equal(rd(0x20), 0xffffffff); /* no page in x2APIC mode */
    wr(0xf0, 0);
    assert_int_equal(msr(0x80f), 0x1ff);
    msr_ok(0x1b, BASE);
    assert_false(lapic_enabled(l));
    assert_true(lapic_extint_enabled(l)); /* off: INTR goes straight to the CPU */
    assert_int_equal(rd(0x20), 0xffffffff);
    msr_ok(0x1b, BASE | 0x800);
    assert_int_equal(rd(0xf0), 0xff); /* state was lost */
}

static void test_x2apic_msrs(void **state)
{
    (void)state;
    setup(true);
    for (uint32_t n = 0x800; n <= 0x8ff; n++) {
        bool readable = n == 0x802 || n == 0x803 || n == 0x808 || n == 0x80a || n == 0x80d ||
                        n == 0x80f || (n >= 0x810 && n <= 0x828) || n == 0x830 ||
                        (n >= 0x832 && n <= 0x839) || n == 0x83e;
        bool writable = n == 0x808 || n == 0x80b || n == 0x80f || n == 0x828 || n == 0x830 ||
                        (n >= 0x832 && n <= 0x838) || n == 0x83e || n == 0x83f;
        uint64_t value;

        assert_true(lapic_msr_mine(n));
        assert_true(lapic_msr_read(l, n, &value) == readable);
        assert_true(lapic_msr_write(l, n, 0) == writable);
        /* Reserved bits raise #GP everywhere; in the ICR they are below bit 32. */
        assert_false(lapic_msr_write(l, n, n == 0x830 ? 0x00300000 : 1ull << 32));
    }
    assert_false(lapic_msr_mine(0x7ff) || lapic_msr_mine(0x900) || lapic_msr_mine(0x10));
    assert_false(lapic_msr_write(l, 0x80b, 1));
    assert_false(lapic_msr_write(l, 0x828, 1));
    assert_false(lapic_msr_write(l, 0x808, 0x100));
    assert_int_equal(msr(0x802), 0);
    assert_true(lapic_init(l, NULL, &host, &lhost, 0x12345, false, TSC_HZ));
    uint64_t value;
    assert_false(lapic_msr_read(l, 0x802, &value)); /* xAPIC mode: no MSRs */
    assert_false(lapic_msr_write(l, 0x80b, 0));
    msr_ok(0x1b, BASE | 0xc00);
    assert_int_equal(msr(0x802), 0x12345);
    assert_int_equal(msr(0x80d), 0x1234u << 16 | 1u << 5);
}

static void test_ipi_xapic(void **state)
{
    (void)state;
    setup(false);
    wr(0x310, 2u << 24);
    wr(0x300, 0x00004055);
    assert_int_equal(sent.dest, 2);
    assert_int_equal(rd(0x300), 0x4055); /* delivered: status idle */
    assert_int_equal(lapic_ack(&apic[2]), 0x55);
    assert_int_equal(lapic_pending_vector(&apic[1]), -1);
    wr(0x300, 0x000c4056); /* all but self */
    assert_int_equal(lapic_pending_vector(&apic[0]), -1);
    assert_int_equal(lapic_ack(&apic[1]), 0x56);
    assert_int_equal(lapic_ack(&apic[3]), 0x56);
    wr(0x300, 0x00084057); /* all */
    assert_int_equal(lapic_ack(&apic[0]), 0x57);
    ipis = 0;
    wr(0x300, 0x00044068); /* self */
    assert_int_equal(ipis, 0);
    assert_int_equal(lapic_ack(&apic[0]), 0x68);
    wr(0x310, 0xffu << 24);
    wr(0x300, 0x00004469); /* NMI to everyone */
    assert_true(apic[0].nmi_pending && apic[3].nmi_pending);
    wr(0x310, 1u << 24);
    wr(0x300, 0x0000c500);
    assert_true(apic[1].init_pending);
    apic[1].init_pending = false;
    wr(0x300, 0x00008500); /* INIT level de-assert */
    assert_false(apic[1].init_pending);
    wr(0x300, 0x0000469a);
    assert_true(apic[1].sipi_pending);
    assert_int_equal(apic[1].sipi_vector, 0x9a);
    lapic_reset(&apic[1]);
    assert_true(apic[1].sipi_pending); /* came after the INIT */
    wr(0x280, 0);
    wr(0x300, 0x0000400f);
    wr(0x280, 0);
    assert_int_equal(rd(0x280), 0x20); /* illegal vector sent */
}

static void test_ipi_logical(void **state)
{
    (void)state;
    setup(false);
    for (unsigned i = 0; i < CPUS; i++)
        lapic_mmio_write(&apic[i], 0xd0, 4, 1u << (24 + i)); /* flat */
    wr(0x310, 0x0au << 24);
    wr(0x300, 0x00004861);
    assert_int_equal(lapic_ack(&apic[1]), 0x61);
    assert_int_equal(lapic_ack(&apic[3]), 0x61);
    assert_int_equal(lapic_ack(&apic[0]), -1);
    /* Lowest priority: one of them, that whose task priority is the lowest. */
    lapic_mmio_write(&apic[1], 0x80, 4, 0x20);
    lapic_mmio_write(&apic[3], 0x80, 4, 0x10);
    wr(0x310, 0x0eu << 24);
    wr(0x300, 0x00004962);
    assert_int_equal(lapic_ack(&apic[2]), 0x62);
    assert_int_equal(lapic_ack(&apic[1]), -1);
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_mmio_write(&apic[i], 0xe0, 4, 0x0fffffff); /* cluster */
        lapic_mmio_write(&apic[i], 0xd0, 4, ((i / 2) << 4 | 1u << (i % 2)) << 24);
    }
    wr(0x310, 0x12u << 24);
    wr(0x300, 0x00004873);
    assert_int_equal(lapic_ack(&apic[3]), 0x73);
    assert_int_equal(lapic_ack(&apic[1]), -1);
    setup(true);
    msr_ok(0x830, 0x0000000c00004874ull); /* cluster 0, members 2 and 3 */
    assert_int_equal(lapic_ack(&apic[2]), 0x74);
    assert_int_equal(lapic_ack(&apic[3]), 0x74);
    assert_int_equal(lapic_ack(&apic[1]), -1);
    msr_ok(0x830, 0xffffffff00004085ull);
    assert_int_equal(lapic_ack(&apic[1]), 0x85);
    msr_ok(0x830, 0x0000000100004086ull);
    assert_true(msr(0x830) == 0x0000000100004086ull);
    msr_ok(0x83f, 0x97);
    assert_int_equal(lapic_ack(&apic[0]), 0x97);
    msr_ok(0x83f, 0x05);
    msr_ok(0x828, 0);
    assert_int_equal(msr(0x828), 0x20);
    /* An IOAPIC's eight-bit broadcast reaches x2APICs, too. */
    struct apic_msg msg = {.dest = 0xff, .vector = 0xa0, .assert = true};
    dispatch(CPUS, &msg);
    assert_int_equal(lapic_ack(&apic[3]), 0xa0);
}

static void test_lint_and_errors(void **state)
{
    (void)state;
    setup(false);
    wr(0x350, 0x31); /* LINT0 fixed, edge */
    lapic_set_lint(l, 0, true);
    lapic_set_lint(l, 0, true);
    assert_int_equal(lapic_ack(l), 0x31);
    assert_int_equal(lapic_ack(l), -1);
    lapic_set_lint(l, 0, false);
    lapic_set_lint(l, 2, true);
    wr(0x350, 0x700);
    assert_true(lapic_extint_enabled(l));
    lapic_set_lint(l, 0, true);
    assert_int_equal(lapic_pending_vector(l), -1);
    wr(0x360, 0x500);
    lapic_set_lint(l, 1, true);
    assert_true(l->init_pending);
    wr(0xb0, 0);
    wr(0x370, 0xfe);
    (void)rd(0x3f0);
    assert_int_equal(lapic_ack(l), 0xfe); /* the error interrupt */
    (void)rd(0x3f0);
    assert_int_equal(lapic_ack(l), -1); /* once until ESR is written */
    wr(0x370, 0x02);                    /* an illegal vector in the error entry itself */
    raise(1, false);
    wr(0x280, 0);
    assert_int_equal(rd(0x280), 0xc0);
}

static void test_single(void **state)
{
    static const struct lapic_host alone = {NULL, tsc, NULL, NULL};

    (void)state;
    fixture_reset();
    lapic_init(l, &bus, &host, &alone, 0, true, TSC_HZ);
    wr(0xf0, 0x1ff);
    wr(0x300, 0x4041);
    assert_int_equal(lapic_ack(l), 0x41);
    raise(0x50, true);
    lapic_ack(l);
    wr(0xb0, 0);
    wr(0x300, 0xc4042); /* all but self: nobody */
    wr(0xb0, 0);
    assert_int_equal(lapic_ack(l), -1);
}

static void tick(uint64_t t)
{
    uint64_t value;
    struct apic_msg msg = {
        .dest = (uint32_t)random_value(),
        .vector = (uint8_t)random_next(),
        .mode = random_next() & 7u,
        .shorthand = random_next() & 3u,
        .logical = (random_next() & 1u) != 0,
        .level = (random_next() & 1u) != 0,
        .assert = true,
        .wide = (random_next() & 1u) != 0,
    };

    for (unsigned i = 0; i < CPUS; i++) {
        uint32_t n = (uint32_t)(0x800 + random_next() % 0x40u);
        struct lapic *a = &apic[i];

        if ((random_next() & 31u) == 0) n = random_next() & 1u ? 0x1b : 0x6e0;
        if (n == 0x1b)
            (void)lapic_msr_write(a, n, BASE | (random_next() & 0xc00u));
        else
            (void)lapic_msr_write(a, n, random_value() & (random_next() & 1u ? 0xffu : UINT64_MAX));
        (void)lapic_msr_read(a, n, &value);
        lapic_mmio_write(a, random_next() & 0xfffu, 4, random_value());
        (void)lapic_mmio_read(a, random_next() & 0xfffu, 1u << (random_next() & 3u));
        lapic_tick(a, t);
        (void)lapic_ack(a);
    }
    dispatch((unsigned)(random_next() % (CPUS + 1u)), &msg);
}

static void test_hammer(void **state)
{
    (void)state;
    setup(false);
    hammer(200000, tick);
    setup(true);
    hammer(200000, tick);
}

/* A saved VM may say that the timer counts from 0: it is over at once, not due for ever. */
static void test_loaded_timer(void **state)
{
    (void)state;
    setup(false);
    l->timer_running = true;
    l->initial_count = 0;
    l->deadline_ns = 0;
    assert_true(lapic_state.loaded(l));
    lapic_tick(l, now);
    assert_int_equal(l->deadline_ns, NO_DEADLINE_NS);
    wr(0x380, 1000);
    assert_true(lapic_state.loaded(l));
    lapic_tick(l, now);
    assert_int_equal(l->deadline_ns, now + 2000); /* divided by 2 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset),          cmocka_unit_test(test_every_register),
        cmocka_unit_test(test_priority),       cmocka_unit_test(test_eoi_broadcast),
        cmocka_unit_test(test_timer_one_shot), cmocka_unit_test(test_timer_periodic),
        cmocka_unit_test(test_timer_deadline), cmocka_unit_test(test_mode_switch),
        cmocka_unit_test(test_x2apic_msrs),    cmocka_unit_test(test_ipi_xapic),
        cmocka_unit_test(test_ipi_logical),    cmocka_unit_test(test_lint_and_errors),
        cmocka_unit_test(test_loaded_timer),   cmocka_unit_test(test_single),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
