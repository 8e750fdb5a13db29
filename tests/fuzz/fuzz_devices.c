// sources: vmm/monitor/dev/*.c
// flags: -I.
/*
 * Device models: any sequence of accesses, time, input and interrupt acknowledgements, all devices
 * on one bus. FUZZ_DEVICE=name keeps the accesses to one of them. What must hold: lines change when
 * they are reported to, values fit their size, a tick leaves its device with a deadline in the
 * future, and the models' own counters and priorities agree.
 */
#include "input.h"
#include "vmm/monitor/dev/acpi_pm.h"
#include "vmm/monitor/dev/acpi_tables.h"
#include "vmm/monitor/dev/debug_exit.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/i8042.h"
#include "vmm/monitor/dev/ioapic.h"
#include "vmm/monitor/dev/pci_stub.h"
#include "vmm/monitor/dev/pic.h"
#include "vmm/monitor/dev/pit.h"
#include "vmm/monitor/dev/rtc.h"
#include "vmm/monitor/dev/uart16550.h"

#define LINES  24u
#define TSC_HZ 2000000000u
#define CPUS   2u
/* A VM that has run for 146 years. */
#define TIME_MAX_NS ((uint64_t)1 << 62)

static struct bus bus;
static struct pic pic;
static struct pit pit;
static struct lapic lapics[CPUS];
static struct ioapic ioapic;
static struct uart16550 uart;
static struct rtc rtc;
static struct acpi_pm pm;
static struct i8042 keyboard;
static struct pci_stub pci;
static struct debug_exit debug_exit;

static uint64_t now;
static bool line[LINES];
static bool tx_blocked;
static const char *only;
static unsigned only_ranges[2][BUS_MAX_RANGES], only_count[2];

static void wire_irq(void *ctx, unsigned n, bool level)
{
    CHECK(n < LINES);
    CHECK(line[n] != level); /* a device reports changes only */
    line[n] = level;
    pic_set_irq(&pic, n, level);
    ioapic_set_irq(&ioapic, n == 0 ? 2u : n, level);
}

static uint64_t wire_now(void *ctx) { return now; }

static uint64_t wire_tsc(void *ctx) { return ns_to_ticks(now, TSC_HZ); }

static void dispatch(unsigned sender, const struct apic_msg *msg)
{
    struct lapic *cpus[CPUS];
    uint32_t targets;

    CHECK(msg->mode <= 7u && msg->shorthand <= 3u);
    for (unsigned i = 0; i < CPUS; i++) cpus[i] = &lapics[i];
    targets = lapic_targets(cpus, CPUS, sender, msg);
    CHECK(targets >> CPUS == 0);
    for (unsigned i = 0; i < CPUS; i++)
        if (targets >> i & 1u) lapic_accept(&lapics[i], msg);
}

static void wire_deliver(void *ctx, const struct apic_msg *msg) { dispatch(CPUS, msg); }

static void wire_ipi(void *ctx, const struct apic_msg *msg)
{
    dispatch((unsigned)((struct lapic *)ctx - lapics), msg);
}

static void wire_eoi(void *ctx, uint8_t vector) { ioapic_eoi(&ioapic, vector); }

static bool wire_tx(void *ctx, uint8_t byte) { return !tx_blocked; }

static void wire_event(void *ctx) {}

static void wire_value(void *ctx, uint32_t value) {}

static const struct dev_host host = {.irq = wire_irq, .now_ns = wire_now};
static const struct lapic_host lapic_hosts[CPUS] = {{&lapics[0], wire_tsc, wire_ipi, wire_eoi},
                                                    {&lapics[1], wire_tsc, wire_ipi, wire_eoi}};

/* The ranges of the device that FUZZ_DEVICE names, or all. */
static void choose_ranges(void)
{
    only = getenv("FUZZ_DEVICE");
    for (unsigned kind = 0; kind < 2u; kind++)
        for (unsigned i = 0; i < bus.count[kind]; i++) {
            const struct bus_range *r = &bus.ranges[kind][i];
            const void *const of[] = {&pic, &pit, &lapics[0], &ioapic,   &uart,
                                      &rtc, &pm,  &pci,       &keyboard, &debug_exit};
            static const char *const names[] = {"pic",       "pit",       "lapic",   "ioapic",
                                                "uart16550", "rtc",       "acpi_pm", "pci_stub",
                                                "i8042",     "debug_exit"};

            for (unsigned n = 0; n < sizeof(of) / sizeof(of[0]); n++)
                if (r->dev == of[n] && (only == NULL || strcmp(only, names[n]) == 0))
                    only_ranges[kind][only_count[kind]++] = i;
        }
    if (only_count[0] + only_count[1] == 0) {
        fprintf(stderr, "FUZZ_DEVICE=%s: no such device\n", only);
        exit(2);
    }
}

static void reset(void)
{
    memset(&bus, 0, sizeof(bus));
    memset(line, 0, sizeof(line));
    now = 0;
    tx_blocked = false;
    CHECK(lapic_init(&lapics[0], &bus, &host, &lapic_hosts[0], 0, true, TSC_HZ));
    CHECK(lapic_init(&lapics[1], NULL, &host, &lapic_hosts[1], 1, false, TSC_HZ));
    CHECK(ioapic_init(&ioapic, &bus, &host, wire_deliver, NULL));
    CHECK(pic_init(&pic, &bus, &host));
    CHECK(pit_init(&pit, &bus, &host));
    CHECK(rtc_init(&rtc, &bus, &host, 1700000000, 1u << 28, (uint64_t)1 << 32));
    CHECK(uart16550_init(&uart, &bus, &host, 0x3f8, 4, wire_tx, NULL));
    CHECK(i8042_init(&keyboard, &bus, &host, true, wire_event, NULL));
    CHECK(pci_stub_init(&pci, &bus, &host, wire_event, NULL));
    CHECK(acpi_pm_init(&pm, &bus, &host, false, wire_event, NULL));
    CHECK(debug_exit_init(&debug_exit, &bus, &host, wire_value, NULL));
    lapic_virtual_wire(&lapics[0]);
    if (only_count[0] + only_count[1] == 0) choose_ranges();
}

/* ---- what must hold between any two steps ---- */

static bool bit(const uint32_t *v, unsigned n) { return v[n / 32u] >> (n % 32u) & 1u; }

static void check_lapic(struct lapic *l)
{
    int vector = lapic_pending_vector(l);

    CHECK((l->irr[0] & 0xffffu) == 0 &&
          (l->isr[0] & 0xffffu) == 0); /* SDM 11.5.3: 0-15 are illegal */
    CHECK(lapic_cr8_read(l) == l->tpr >> 4);
    CHECK(vector < 256 && (vector < 0 || bit(l->irr, (unsigned)vector)));
    if (vector >= 0) { /* above the task priority and all that is in service */
        CHECK(vector >> 4 > l->tpr >> 4);
        for (unsigned n = (unsigned)vector & 0xf0u; n < 256u; n++) CHECK(!bit(l->isr, n));
        for (unsigned n = (unsigned)vector + 1u; n < 256u; n++) CHECK(!bit(l->irr, n));
    }
    if (!lapic_enabled(l)) CHECK(vector < 0);
}

static void check_all(void)
{
    for (unsigned i = 0; i < CPUS; i++) check_lapic(&lapics[i]);
    CHECK(uart.rx_count <= UART16550_FIFO_BYTES && uart.tx_count <= UART16550_FIFO_BYTES);
    CHECK(uart.rx_head < UART16550_FIFO_BYTES && uart.tx_head < UART16550_FIFO_BYTES);
    CHECK(uart16550_rx_room(&uart) <= UART16550_FIFO_BYTES - uart.rx_count);
    CHECK(uart.irq_level == line[4]);
    for (unsigned i = 0; i < 3u; i++)
        CHECK(pit.ch[i].mode <= 5u && pit.ch[i].count <= 65536u &&
              (!pit.ch[i].loaded || pit.ch[i].count >= 1u));
    CHECK(pit.irq_level == line[0] && rtc.irq_level == line[8] && pm.sci_level == line[9]);
    CHECK(rtc.index < RTC_CMOS_BYTES && rtc.phase_ns < NS_PER_S);
    CHECK(keyboard.irq_level[0] == line[1] && keyboard.irq_level[1] == line[12]);
    CHECK(ps2_keyboard_valid(&keyboard.keyboard) && ps2_mouse_valid(&keyboard.mouse));
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        if (!(ioapic.rte[i] & 0x8000u))
            CHECK(!(ioapic.rte[i] & 0x4000u)); /* remote IRR: level only */
    for (unsigned i = 0; i < 2u; i++) CHECK(pic.chip[i].lowest < 8u && pic.chip[i].icw_next <= 4u);
}

/* ---- steps ---- */

static void tick(void)
{
    /* As the monitor does: a device is called when its deadline has passed, and asks for a later
     * one; otherwise the VM would never run again. */
    for (unsigned i = 0; i < CPUS; i++)
        if (lapics[i].deadline_ns <= now) {
            lapic_tick(&lapics[i], now);
            CHECK(lapics[i].deadline_ns > now);
        }
    if (pit.deadline_ns <= now) {
        pit_tick(&pit, now);
        CHECK(pit.deadline_ns > now);
    }
    if (uart.deadline_ns <= now) {
        uart16550_tick(&uart, now);
        CHECK(uart.deadline_ns > now);
    }
    if (rtc.deadline_ns <= now) {
        rtc_tick(&rtc, now);
        CHECK(rtc.deadline_ns > now);
    }
    if (keyboard.deadline_ns <= now) {
        i8042_tick(&keyboard, now);
        CHECK(keyboard.deadline_ns > now);
    }
    if (pm.deadline_ns <= now) {
        acpi_pm_tick(&pm, now);
        CHECK(pm.deadline_ns > now);
    }
}

static uint64_t next_deadline(void)
{
    uint64_t ns =
        ns_min(ns_min(pit.deadline_ns, rtc.deadline_ns), ns_min(uart.deadline_ns, pm.deadline_ns));

    ns = ns_min(ns, keyboard.deadline_ns);
    for (unsigned i = 0; i < CPUS; i++) ns = ns_min(ns, lapics[i].deadline_ns);
    return ns;
}

static void to_time(uint64_t ns)
{
    if (ns > now && ns < TIME_MAX_NS) now = ns;
    tick();
}

static void acknowledge(unsigned cpu)
{
    struct lapic *l = &lapics[cpu];
    int vector = lapic_pending_vector(l);

    CHECK(lapic_ack(l) == vector);
    if (vector >= 0) {
        CHECK(!bit(l->irr, (unsigned)vector) && bit(l->isr, (unsigned)vector));
    } else if (cpu == 0 && pic_intr(&pic) && lapic_extint_enabled(l)) {
        uint8_t v = pic_ack(&pic);

        CHECK((v & 0xf8u) == (pic.chip[0].vector_base & 0xf8u) ||
              (v & 0xf8u) == (pic.chip[1].vector_base & 0xf8u));
    }
}

static void access(struct input *in, bool write)
{
    unsigned kind = (unsigned)take(in, 1), n, size;
    const struct bus_range *r;
    uint64_t offset = take(in, 1), value;

    size = 1u << (kind >> 1 & 3u);
    n = kind >> 3;
    kind = only_count[kind & 1u] != 0 ? kind & 1u : (kind & 1u) ^ 1u;
    r = &bus.ranges[kind][only_ranges[kind][n % only_count[kind]]];
    if (kind == BUS_MMIO)
        offset = offset << 4 | (offset & 1u ? take(in, 1) & 15u : 0); /* registers lie 16 apart */
    else
        offset %= r->size + 1u; /* one beyond its end */
    if (write) {
        bus_write(&bus, (enum bus_kind)kind, r->base + offset, size, take_value(in));
    } else {
        value = bus_read(&bus, (enum bus_kind)kind, r->base + offset, size);
        CHECK((value & ~dev_ones(size)) == 0);
    }
}

/* Registers of the local APICs by MSR, on either CPU; the second one's page. */
static void local_apic(struct input *in)
{
    struct lapic *l = &lapics[take(in, 1) & 1u];
    uint8_t how = (uint8_t)take(in, 1);
    uint64_t value = 0;
    uint32_t msr = how >= 0xf0u   ? MSR_IA32_APIC_BASE
                   : how >= 0xe0u ? MSR_IA32_TSC_DEADLINE
                                  : MSR_X2APIC_FIRST + (how & 0x7fu);

    CHECK(lapic_msr_mine(msr));
    if ((how & 0x80u) == 0)
        (void)lapic_msr_read(l, msr, &value);
    else if (msr >= MSR_X2APIC_FIRST && (how & 0x40u))
        lapic_mmio_write(l, (msr - MSR_X2APIC_FIRST) << 4, 4, take(in, 4));
    else
        (void)lapic_msr_write(l, msr, take_value(in));
}

static void event(struct input *in)
{
    uint8_t what = (uint8_t)take(in, 1);
    struct lapic *l = &lapics[what >> 7];

    switch (what & 15u) {
    case 0: uart16550_rx(&uart, (uint8_t)take(in, 1)); break;
    case 1: acpi_pm_power_button(&pm); break;
    case 2: tx_blocked = !tx_blocked; break;
    case 3: uart16550_tx_ready(&uart); break;
    case 4: l->nmi_pending = l->smi_pending = l->init_pending = l->sipi_pending = false; break;
    case 5: lapic_set_lint(l, what >> 4 & 1u, (what & 0x20u) != 0); break;
    case 6: lapic_cr8_write(l, (uint8_t)take(in, 1) & 15u); break;
    case 7: lapic_set_lint(&lapics[0], 0, pic_intr(&pic)); break;
    case 8:
        if (l->init_pending) lapic_reset(l);
        break;
    case 9: (void)i8042_key(&keyboard, (uint8_t)take(in, 1), (what & 0x10u) != 0); break;
    case 10: {
        int32_t dx = (int32_t)take(in, 4), dy = (int8_t)take(in, 1), dz = (int8_t)take(in, 1);

        i8042_move(&keyboard, dx, dy, dz, (uint8_t)take(in, 1));
        break;
    }
    default: local_apic(in); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    reset();
    for (unsigned steps = 0; more(&in) && steps < 2000u; steps++) {
        uint8_t op = (uint8_t)take(&in, 1);

        switch (op & 7u) {
        case 0:
        case 1:
        case 2: access(&in, true); break;
        case 3:
        case 4: access(&in, false); break;
        case 5:
            if (op & 0x80u)
                to_time(next_deadline());
            else
                to_time(now + ((uint64_t)((op >> 3 & 3u) + 1u) << (take(&in, 1) & 61u)));
            break;
        case 6: acknowledge(op >> 7); break;
        default: event(&in); break;
        }
        check_all();
    }
    return 0;
}
