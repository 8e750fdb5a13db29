// sources: vmm/monitor/dev/*.c vmm/rt/wire_ring.c vmm/monitor/save_file.c vmm/rt/crc32c.c
// sources: vmm/rt/fmt.c
// flags: -I. -Ivmm/monitor/dev -iquote vmm/rt
/*
 * Device models: any sequence of accesses, time, input and interrupt acknowledgements, all devices
 * on one bus. FUZZ_DEVICE=name keeps the accesses to one of them. What must hold: lines change when
 * they are reported to, values fit their size, a tick leaves its device with a deadline in the
 * future, the models' own counters and priorities agree, and a machine that is saved goes on as
 * fresh devices as if it had not been.
 */
#include "input.h"
#include "saved.h"
#include "vmm/monitor/dev/acpi_pm.h"
#include "vmm/monitor/dev/acpi_tables.h"
#include "vmm/monitor/dev/debug_exit.h"
#include "vmm/monitor/dev/watchdog.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/i8042.h"
#include "vmm/monitor/dev/ich9.h"
#include "vmm/monitor/dev/ioapic.h"
#include "vmm/monitor/dev/mch.h"
#include "vmm/monitor/dev/msi.h"
#include "vmm/monitor/dev/pci.h"
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
static struct pci pci;
static struct mch mch;
static struct ich9 ich9;
static uint8_t ram[0x100000];
static const struct guest_mem guest_mem = {ram, sizeof(ram), NULL};
static bool segment_shown[MCH_SEGMENTS];
static struct pci_function card, screen_card;
static uint8_t screen_bytes[8192];
static const struct dev_ram screen = {screen_bytes, sizeof(screen_bytes)};
static uint64_t screen_gpa;
static bool card_pin;
static struct debug_exit debug_exit;
static struct watchdog watchdog;

static uint64_t now;
static bool line[LINES];
static bool tx_blocked;
static bool loading;
static const char *only;
static struct bus_range only_ranges[2][BUS_MAX_RANGES];
static unsigned only_count[2];

static void wire_irq(void *ctx, unsigned n, bool level)
{
    CHECK(n < LINES);
    if (!loading) {
        CHECK(line[n] != level); /* a device reports changes only */
        line[n] = level;
        show(n << 1 | level);
    }
    pic_set_irq(&pic, n, level);
    ioapic_set_irq(&ioapic, n == 0 ? 2u : n, level);
}

static uint64_t wire_now(void *ctx) { return now; }

static uint64_t wire_tsc(void *ctx) { return ns_to_ticks(now, TSC_HZ); }

static void dispatch(unsigned sender, const struct apic_msg *msg)
{
    struct lapic *cpus[CPUS];
    uint32_t targets;

    CHECK(!loading && msg->mode <= 7u && msg->shorthand <= 3u);
    show((uint64_t)msg->dest << 32 | msg->vector << 8 | msg->mode << 4 | msg->logical << 1 |
         msg->level);
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

static bool wire_tx(void *ctx, uint8_t byte)
{
    show(byte);
    return !tx_blocked;
}

static void wire_event(void *ctx)
{
    CHECK(!loading);
    show(__LINE__);
}

static void wire_value(void *ctx, uint32_t value) { show(value); }

static void wire_intx(void *ctx, unsigned devfn, unsigned pin, bool level)
{
    CHECK(devfn == card.devfn && pin == 0 && card_pin != level);
    card_pin = level;
    ich9_intx(&ich9);
}

static void wire_pirq(void *ctx, uint16_t lines)
{
    CHECK((lines & 0x2107u) == 0); /* never timer, keyboard, cascade, clock, coprocessor */
    if (!loading) show(lines);
    pic_set_pci(&pic, lines);
}

static void wire_msi(void *ctx, uint64_t address, uint32_t data)
{
    struct apic_msg msg;

    CHECK(pci_master(&card));
    show(address ^ (uint64_t)data << 32);
    if (msi_decode(address, data, &msg)) wire_deliver(NULL, &msg);
}

/* Nothing is shown twice, and only what is shown is taken away. */
static bool wire_map(void *ctx, const struct dev_ram *shown, uint64_t offset, uint64_t bytes,
                     uint64_t gpa, unsigned access)
{
    if (gpa < MCH_PAM_GPA + MCH_PAM_BYTES && shown != &screen) {
        uint64_t segment = (gpa - MCH_PAM_GPA) / 0x4000u;

        CHECK(gpa >= MCH_PAM_GPA && bytes == 0x4000u && offset + bytes <= shown->size_bytes);
        CHECK(segment_shown[segment] != (access != 0));
        segment_shown[segment] = access != 0;
        return true;
    }
    CHECK(shown == &screen && offset == 0 && bytes == sizeof(screen_bytes) && gpa % 4096u == 0);
    CHECK(access ? screen_gpa == 0 : screen_gpa == gpa);
    screen_gpa = access ? gpa : 0;
    return true;
}

static uint64_t card_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    CHECK(dev == &card);
    return offset & dev_ones(size_bytes);
}

static void card_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    CHECK(dev == &card && (value & ~dev_ones(size_bytes)) == 0);
}

static const struct dev_host host = {
    .irq = wire_irq, .now_ns = wire_now, .mem = &guest_mem, .msi = wire_msi, .map = wire_map};
static const struct lapic_host lapic_hosts[CPUS] = {{&lapics[0], wire_tsc, wire_ipi, wire_eoi},
                                                    {&lapics[1], wire_tsc, wire_ipi, wire_eoi}};

/* The ranges of the device that FUZZ_DEVICE names, or all. */
static void choose_ranges(void)
{
    only = getenv("FUZZ_DEVICE");
    for (unsigned kind = 0; kind < 2u; kind++)
        for (unsigned i = 0; i < bus.count[kind]; i++) {
            const struct bus_range *r = &bus.ranges[kind][i];
            const void *const of[] = {&pic, &pit, &lapics[0], &ioapic,     &uart, &rtc,
                                      &pm,  &pci, &keyboard,  &debug_exit, &mch,  &watchdog};
            static const char *const names[] = {"pic",       "pit",        "lapic",   "ioapic",
                                                "uart16550", "rtc",        "acpi_pm", "pci",
                                                "i8042",     "debug_exit", "mch",     "watchdog"};

            for (unsigned n = 0; n < sizeof(of) / sizeof(of[0]); n++)
                if (r->dev == of[n] && (only == NULL || strcmp(only, names[n]) == 0))
                    only_ranges[kind][only_count[kind]++] = *r;
        }
    if (only_count[0] + only_count[1] == 0) {
        fprintf(stderr, "FUZZ_DEVICE=%s: no such device\n", only);
        exit(2);
    }
}

/* A function with registers in all kinds of BARs, and one with memory. */
static void cards_init(void)
{
    static const struct bus_ops ops = {card_read, card_write};
    static const struct pci_id ids[2] = {
        {.vendor = 0x1af4, .device = 0x1041, .class_code = 0x020000, .pin = 1},
        {.vendor = 0x1234, .device = 0x1111, .class_code = 0x030000}};
    struct pci_bar bar = {.size_bytes = 64, .kind = BUS_PIO, .ops = &ops, .dev = &card};

    CHECK(pci_add(&pci, &card, "card", PCI_DEVFN(1, 0), &ids[0], NULL));
    CHECK(pci_add(&pci, &screen_card, "screen", PCI_DEVFN(2, 0), &ids[1], NULL));
    pci_bar_add(&card, 0, &bar);
    bar.kind = BUS_MMIO;
    pci_bar_add(&card, 1, &bar);
    bar.wide = true;
    bar.size_bytes = 0x8000;
    pci_bar_add(&card, 2, &bar);
    pci_msi_add(&card);
    CHECK(pci_msix_add(&card, 5, PCI_MSIX_MAX));
    pci_bar_add(&screen_card, 0,
                &(struct pci_bar){.size_bytes = 0x4000, .kind = BUS_MMIO, .ram = &screen});
}

/* Fresh devices, at the beginning of their time. */
static void machine_init(void)
{
    memset(&bus, 0, sizeof(bus));
    memset(segment_shown, 0, sizeof(segment_shown));
    screen_gpa = 0;
    now = 0;
    CHECK(lapic_init(&lapics[0], &bus, &host, &lapic_hosts[0], 0, true, TSC_HZ));
    CHECK(lapic_init(&lapics[1], NULL, &host, &lapic_hosts[1], 1, false, TSC_HZ));
    CHECK(ioapic_init(&ioapic, &bus, &host, wire_deliver, NULL));
    CHECK(pic_init(&pic, &bus, &host));
    CHECK(pit_init(&pit, &bus, &host));
    CHECK(rtc_init(&rtc, &bus, &host, 1700000000, 1u << 28, (uint64_t)1 << 32));
    CHECK(uart16550_init(&uart, &bus, &host, 0x3f8, 4, wire_tx, NULL));
    CHECK(i8042_init(&keyboard, &bus, &host, true, wire_event, NULL));
    CHECK(pci_init(&pci, &bus, &host, wire_intx, wire_event, NULL));
    CHECK(mch_init(&mch, &pci, &screen));
    CHECK(acpi_pm_init(&pm, &bus, &host, false, wire_event, NULL));
    CHECK(ich9_init(&ich9, &pci, &pm, wire_pirq, NULL));
    cards_init();
    mch_setup(&mch);
    ich9_setup(&ich9);
    CHECK(watchdog_init(&watchdog, &bus, &host, wire_event, NULL));
    CHECK(debug_exit_init(&debug_exit, &bus, &host, wire_value, NULL));
    lapic_virtual_wire(&lapics[0]);
}

static void reset(void)
{
    memset(ram + MCH_PAM_GPA, 0, MCH_PAM_BYTES);
    memset(line, 0, sizeof(line));
    card_pin = false;
    tx_blocked = false;
    machine_init();
    if (only_count[0] + only_count[1] == 0) choose_ranges();
}

/* ---- saving ---- */

static const struct saved_part parts[] = {
    {&pci_function_state, &mch.f},
    {&pci_function_state, &ich9.f},
    {&pci_function_state, &card},
    {&pci_function_state, &screen_card},
    {&pci_state, &pci},
    {&pit_state, &pit},
    {&rtc_state, &rtc},
    {&uart16550_state, &uart},
    {&i8042_state, &keyboard},
    {&acpi_pm_state, &pm},
    {&ioapic_state, &ioapic},
    {&pic_state, &pic},
    {&ich9_state, &ich9},
    {&watchdog_state, &watchdog},
    {&lapic_state, &lapics[0]},
    {&lapic_state, &lapics[1]},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

/* Of two at one address the one that was there first is decoded, which is not saved: does any stand
 * back? */
static bool contested(void)
{
    for (unsigned n = 0; n < pci.count; n++)
        for (unsigned i = 0; i < PCI_BARS; i++) {
            const struct pci_function *f = pci.function[n];
            const struct pci_bar *b = &f->bar[i];
            uint8_t enable = b->kind == BUS_PIO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;

            if (b->size_bytes && !b->decoded && (f->config[4] & enable) &&
                ((pci_get(f, 0x10u + i * 4u, 4) & ~15u) ||
                 (b->wide && pci_get(f, 0x14u + i * 4u, 4))))
                return true;
        }
    return ((mch.f.config[0x60] & 1u) && pci.ecam_base == 0) ||
           ((ich9.f.config[0xf0] & 1u) && ich9.rcba == 0) ||
           ((ich9.f.config[0x44] & 0x80u) && pm.base == 0);
}

static void save(void)
{
    bool segments[MCH_SEGMENTS];
    uint64_t time = now, gpa = screen_gpa;

    saved.asked = true;
    if (!saved.moving || contested()) return;
    memcpy(segments, segment_shown, sizeof(segments));
    loading = true;
    move_parts(parts, PARTS, machine_init);
    loading = false;
    now = time;
    CHECK(memcmp(segments, segment_shown, sizeof(segments)) == 0 && screen_gpa == gpa);
}

/* ---- what must hold between any two steps ---- */

static bool bit(const uint32_t *v, unsigned n) { return v[n / 32u] >> (n % 32u) & 1u; }

static void check_lapic(struct lapic *l)
{
    int vector = lapic_pending_vector(l);

    CHECK((l->irr.map[0] & 0xffffu) == 0 &&
          (l->isr.map[0] & 0xffffu) == 0); /* SDM 11.5.3: 0-15 are illegal */
    CHECK(lapic_cr8_read(l) == l->tpr >> 4);
    CHECK(vector < 256 && (vector < 0 || bit(l->irr.map, (unsigned)vector)));
    if (vector >= 0) { /* above the task priority and all that is in service */
        CHECK(vector >> 4 > l->tpr >> 4);
        for (unsigned n = (unsigned)vector & 0xf0u; n < 256u; n++) CHECK(!bit(l->isr.map, n));
        for (unsigned n = (unsigned)vector + 1u; n < 256u; n++) CHECK(!bit(l->irr.map, n));
    }
    if (!lapic_enabled(l)) CHECK(vector < 0);
}

/* What is decoded is on the bus where its register says, and nowhere else. */
static void check_bars(void)
{
    unsigned decoded = 0, ranges = 0;

    for (unsigned n = 0; n < pci.count; n++)
        for (unsigned i = 0; i < PCI_BARS; i++) {
            const struct pci_bar *b = &pci.function[n]->bar[i];
            uint32_t low = pci_get(pci.function[n], 0x10u + i * 4u, 4);

            if (!b->decoded) continue;
            decoded++;
            CHECK(b->size_bytes &&
                  ((low ^ (uint32_t)b->base) & ~(uint32_t)(b->size_bytes - 1u)) == 0);
            if (b->ram) CHECK(screen_gpa == b->base);
            for (unsigned k = 0; k < bus.count[b->kind]; k++)
                ranges += bus.ranges[b->kind][k].name == pci.function[n]->name &&
                          bus.ranges[b->kind][k].base == b->base;
        }
    CHECK(decoded == ranges && card.intx_wire == card_pin);
    CHECK((screen_gpa != 0) == screen_card.bar[0].decoded);
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
    check_bars();
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
    if (watchdog.deadline_ns <= now) {
        watchdog_tick(&watchdog, now);
        CHECK(watchdog.deadline_ns > now);
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

    ns = ns_min(ns_min(ns, keyboard.deadline_ns), watchdog.deadline_ns);
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
    show((uint64_t)vector);
    if (vector >= 0) {
        CHECK(!bit(l->irr.map, (unsigned)vector) && bit(l->isr.map, (unsigned)vector));
    } else if (cpu == 0 && pic_intr(&pic) && lapic_extint_enabled(l)) {
        uint8_t v = pic_ack(&pic);

        show(v);
        CHECK((v & 0xf8u) == (pic.chip[0].vector_base & 0xf8u) ||
              (v & 0xf8u) == (pic.chip[1].vector_base & 0xf8u));
    }
}

/* Where it is now: what can be moved keeps its name. */
static struct bus_range range_now(unsigned kind, const struct bus_range *of)
{
    for (unsigned i = 0; i < bus.count[kind]; i++) {
        const struct bus_range *r = &bus.ranges[kind][i];

        if (r->dev == of->dev && r->name == of->name) return *r;
    }
    return (struct bus_range){0};
}

static void access(struct input *in, bool write)
{
    unsigned kind = (unsigned)take(in, 1), n, size;
    struct bus_range r;
    uint64_t offset = take(in, 1), value;

    size = 1u << (kind >> 1 & 3u);
    n = kind >> 3;
    kind = only_count[kind & 1u] != 0 ? kind & 1u : (kind & 1u) ^ 1u;
    r = range_now(kind, &only_ranges[kind][n % only_count[kind]]);
    if (kind == BUS_MMIO)
        offset = offset << 4 | (offset & 1u ? take(in, 1) & 15u : 0); /* registers lie 16 apart */
    else
        offset %= r.size + 1u; /* one beyond its end */
    if (write) {
        bus_write(&bus, (enum bus_kind)kind, r.base + offset, size, take_value(in));
    } else {
        value = bus_read(&bus, (enum bus_kind)kind, r.base + offset, size);
        CHECK((value & ~dev_ones(size)) == 0);
        show(value);
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
    show(value);
}

static void config_write(unsigned devfn, unsigned reg, unsigned size, uint64_t value)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | devfn << 8 | (reg & 0xfcu));
    bus_write(&bus, BUS_PIO, 0xcfcu + (reg & 3u), size, value);
}

/* Configuration space by its ports, what lies behind the BARs, and the functions' own interrupts.
 */
static void pci_step(struct input *in)
{
    const uint8_t devfns[4] = {card.devfn, screen_card.devfn, mch.f.devfn, ich9.f.devfn};
    uint8_t what = (uint8_t)take(in, 1);
    unsigned size = 1u << (what >> 3 & 3u), devfn = devfns[what >> 5 & 3u];
    const struct pci_bar *b;

    switch (what & 7u) {
    case 0:
    case 1:
    case 2: {
        uint8_t reg = (uint8_t)take(in, 1);

        config_write(devfn, reg, size, take_value(in));
        break;
    }
    case 3: /* PCIEXBAR */
        config_write(mch.f.devfn, 0x60, 4, what & 0x40u ? 0xb0000001u : 0);
        break;
    case 4:
        if (pci.ecam_base)
            bus_write(&bus, BUS_MMIO, pci.ecam_base + take(in, 2), size, take_value(in));
        break;
    case 5: pci_msix_send(&card, what >> 4); break;
    case 6:
        pci_msi_send(&card);
        pci_intx_set(&card, (what & 0x40u) != 0);
        break;
    default:
        b = &card.bar[(what >> 5) % PCI_BARS];
        if (b->decoded) bus_write(&bus, b->kind, b->base + take(in, 1), size, take_value(in));
        break;
    }
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
    case 11:
    case 12: pci_step(in); break;
    default: local_apic(in); break;
    }
}

static void step(struct input *in)
{
    uint8_t op = (uint8_t)take(in, 1);

    switch (op & 7u) {
    case 0:
    case 1:
    case 2: access(in, true); break;
    case 3:
    case 4: access(in, false); break;
    case 5:
        if (op & 0x80u)
            to_time(next_deadline());
        else
            to_time(now + ((uint64_t)((op >> 3 & 3u) + 1u) << (take(in, 1) & 61u)));
        break;
    case 6:
        if ((op & 0x70u) == 0x70u) save();
        acknowledge(op >> 7);
        break;
    default: event(in); break;
    }
}

static void run(struct input in)
{
    reset();
    for (unsigned steps = 0; more(&in) && steps < SAVED_STEPS_MAX; steps++) {
        step(&in);
        check_all();
        for (unsigned i = 0; i < CPUS; i++) show((uint64_t)lapic_pending_vector(&lapics[i]));
        show(next_deadline());
        show(pic_intr(&pic));
        show_step(steps);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run_twice(run, (struct input){data, data + size}, parts, PARTS);
    return 0;
}
