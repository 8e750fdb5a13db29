/*
 * The virtual PC: its devices, the wires between them, and the way from an address to a device.
 * May call: device models, the console ring. Ports are looked up by one table of bytes.
 */
#include "monitor.h"
#include "acpi_pm.h"
#include "acpi_tables.h"
#include "debug_exit.h"
#include "dev_util.h"
#include "i8042.h"
#include "ioapic.h"
#include "pci_stub.h"
#include "pic.h"
#include "pit.h"
#include "rtc.h"
#include "string.h"
#include "uart16550.h"

#define COM1_PORT           0x3f8u
#define COM1_IRQ            4u
#define ACPI_TABLES_GPA     0xf0000u
#define PIT_CONTROL_PORT    0x61u
#define LAPIC_CURRENT_COUNT 0x390u

static struct bus bus;
static struct pic pic;
static struct pit pit;
static struct rtc rtc;
static struct uart16550 uart;
static struct i8042 keyboard;
static struct pci_stub pci;
static struct acpi_pm pm;
static struct debug_exit debug_exit;
static struct lapic lapic;
static struct ioapic ioapic;
static bool lint_level;
static int64_t wall_s;

/* DIRTY_* that an access to a port range causes; interrupt lines report themselves. Those in
 * read_first are caused by reads of the first port only. */
static uint8_t read_dirty[BUS_MAX_RANGES + 1u], read_first[BUS_MAX_RANGES + 1u];
static uint8_t write_dirty[BUS_MAX_RANGES + 1u];

/* ---- wires ---- */

static void wire_irq(void *ctx, unsigned line, bool level)
{
    if (line < 16u) pic_set_irq(&pic, line, level);
    ioapic_set_irq(&ioapic, line == 0 ? 2u : line, level); /* MADT: ISA line 0 is GSI 2 */
    vcpu.dirty |= DIRTY_IRQ | DIRTY_PIC;
}

static uint64_t wire_now(void *ctx) { return clock_ns(); }

static uint64_t wire_tsc(void *ctx) { return rt_tsc() + vcpu.tsc_offset; }

static void wire_eoi(void *ctx, uint8_t vector) { ioapic_eoi(&ioapic, vector); }

static void wire_deliver(void *ctx, const struct apic_msg *msg)
{
    struct lapic *cpus[1] = {&lapic};

    lapic_dispatch(cpus, 1, 1, msg);
    vcpu.dirty |= DIRTY_IRQ;
}

static const struct dev_host host = {
    .irq = wire_irq,
    .now_ns = wire_now,
    .mem = &guest_mem,
    .map = memory_map_device,
};
static const struct lapic_host lapic_host = {NULL, wire_tsc, NULL, wire_eoi};

static void wire_reset(void *ctx) { vm_end(BH_END_RESET, 0, ""); }

static void wire_power_off(void *ctx) { vm_end(BH_END_POWEROFF, 0, ""); }

static void wire_debug_exit(void *ctx, uint32_t value) { vm_end(BH_END_DEBUG_EXIT, value, ""); }

/* ---- console ---- */

static struct bh_console *console(void) { return (struct bh_console *)BH_MONITOR_CONSOLE; }

static bool wire_tx(void *ctx, uint8_t byte)
{
    struct bh_console *c = console();
    uint32_t put = c->out_put;
    uint32_t used = put - __atomic_load_n(&c->out_get, __ATOMIC_ACQUIRE);

    if (used >= BH_CONSOLE_OUT_BYTES) {
        (void)bh_signal(BH_MONITOR_SLOT_ROOT);
        return false;
    }
    c->out[put % BH_CONSOLE_OUT_BYTES] = byte;
    __atomic_store_n(&c->out_put, put + 1u, __ATOMIC_RELEASE);
    /* Root looks by itself every few milliseconds. */
    if (used == BH_CONSOLE_OUT_BYTES / 2u) (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    return true;
}

void platform_console_input(void)
{
    struct bh_console *c = console();
    uint32_t get = c->in_get;
    uint32_t used = __atomic_load_n(&c->in_put, __ATOMIC_ACQUIRE) - get;

    if (used == 0 || used > BH_CONSOLE_IN_BYTES) return;
    for (unsigned room = uart16550_rx_room(&uart); room && used; room--, used--)
        uart16550_rx(&uart, c->in[get++ % BH_CONSOLE_IN_BYTES]);
    __atomic_store_n(&c->in_get, get, __ATOMIC_RELEASE);
    vcpu.dirty |= DIRTY_TIME;
}

void platform_signalled(uint64_t bits)
{
    if (bits & BH_MONITOR_SIGNAL_CONSOLE) {
        platform_console_input();
        uart16550_tx_ready(&uart);
    }
    if (bits & BH_MONITOR_SIGNAL_STOP) acpi_pm_power_button(&pm);
    vcpu.dirty |= DIRTY_TIME | DIRTY_IRQ;
}

/* ---- addresses ---- */

uint64_t pio_read(unsigned port, unsigned size_bytes)
{
    unsigned n = bus.port[port & 0xffffu];
    uint64_t offset;

    if (n) {
        const struct bus_range *r = &bus.ranges[BUS_PIO][n - 1u];

        offset = port - r->base;
        if (offset + size_bytes <= r->size && r->ops->read) {
            vcpu.dirty |= read_dirty[n];
            if (offset == 0) vcpu.dirty |= read_first[n];
            return r->ops->read(r->dev, offset, size_bytes);
        }
    }
    bus.holes[BUS_PIO]++;
    return ~(uint64_t)0;
}

void pio_write(unsigned port, unsigned size_bytes, uint64_t value)
{
    unsigned n = bus.port[port & 0xffffu];
    uint64_t offset;

    if (n) {
        const struct bus_range *r = &bus.ranges[BUS_PIO][n - 1u];

        offset = port - r->base;
        if (offset + size_bytes <= r->size && r->ops->write) {
            vcpu.dirty |= write_dirty[n];
            r->ops->write(r->dev, offset, size_bytes, value);
            return;
        }
    }
    bus.holes[BUS_PIO]++;
}

/* Reads of the APICs change nothing but for the timer's count: an expiry may be found then. */
uint64_t mmio_read(uint64_t gpa, unsigned size_bytes)
{
    uint64_t offset = gpa - LAPIC_DEFAULT_BASE;

    if (offset < LAPIC_MMIO_BYTES) {
        if (offset >> 4 == LAPIC_CURRENT_COUNT >> 4) vcpu.dirty |= DIRTY_IRQ | DIRTY_TIME;
        return lapic_mmio_read(&lapic, offset, size_bytes);
    }
    return bus_read(&bus, BUS_MMIO, gpa, size_bytes);
}

void mmio_write(uint64_t gpa, unsigned size_bytes, uint64_t value)
{
    uint64_t offset = gpa - LAPIC_DEFAULT_BASE;

    vcpu.dirty |= DIRTY_IRQ | DIRTY_TIME;
    if (offset < LAPIC_MMIO_BYTES)
        lapic_mmio_write(&lapic, offset, size_bytes, value);
    else
        bus_write(&bus, BUS_MMIO, gpa, size_bytes, value);
}

uint64_t platform_holes(void) { return bus.holes[BUS_PIO] + bus.holes[BUS_MMIO]; }

/* ---- time and interrupts ---- */

uint64_t platform_deadline_ns(void)
{
    uint64_t ns = ns_min(pit.deadline_ns, lapic.deadline_ns);

    ns = ns_min(ns, uart.deadline_ns);
    ns = ns_min(ns, rtc.deadline_ns);
    return ns_min(ns, pm.deadline_ns);
}

void platform_tick(void)
{
    uint64_t now = clock_ns();

    if (lapic.deadline_ns <= now) lapic_tick(&lapic, now);
    if (pit.deadline_ns <= now) pit_tick(&pit, now);
    if (uart.deadline_ns <= now) uart16550_tick(&uart, now);
    if (rtc.deadline_ns <= now) rtc_tick(&rtc, now);
    if (pm.deadline_ns <= now) acpi_pm_tick(&pm, now);
    platform_console_input();
    vcpu.dirty |= DIRTY_IRQ | DIRTY_TIME;
}

int64_t platform_wall_clock_s(void) { return wall_s; }

struct lapic *platform_lapic(void) { return &lapic; }

/* The 8259's output is LINT0, which may be programmed to something else than ExtINT. */
static void lint_update(void)
{
    bool level;

    if (!(vcpu.dirty & DIRTY_PIC)) return;
    vcpu.dirty &= ~DIRTY_PIC;
    level = pic_intr(&pic);
    if (level != lint_level) {
        lint_level = level;
        lapic_set_lint(&lapic, 0, level);
    }
}

static bool extint_pending(void) { return lint_level && lapic_extint_enabled(&lapic); }

bool platform_pending(void)
{
    lint_update();
    return lapic_pending_vector(&lapic) >= 0 || extint_pending();
}

int platform_ack(void)
{
    int vector = lapic_pending_vector(&lapic) >= 0 ? lapic_ack(&lapic) : -1;

    if (vector >= 0) return vector;
    if (!extint_pending()) return -1;
    vcpu.dirty |= DIRTY_PIC;
    return pic_ack(&pic);
}

/* ---- setup ---- */

static void ports_mark(void)
{
    for (unsigned i = 0; i < bus.count[BUS_PIO]; i++) {
        const struct bus_range *r = &bus.ranges[BUS_PIO][i];

        if (r->dev == &pic) {
            /* Of the reads only a poll changes anything (8259A data sheet, "poll command"). */
            read_first[i + 1u] = DIRTY_IRQ | DIRTY_PIC;
            write_dirty[i + 1u] = DIRTY_IRQ | DIRTY_PIC;
        } else if (r->dev == &uart) {
            read_first[i + 1u] = DIRTY_TIME | DIRTY_RX;
            write_dirty[i + 1u] = DIRTY_TIME;
        } else if (r->dev == &pit || r->dev == &rtc || r->dev == &pm) {
            /* Port 0x61 has a range of its own and only shows outputs. */
            read_dirty[i + 1u] = r->base == PIT_CONTROL_PORT ? 0 : DIRTY_TIME;
            write_dirty[i + 1u] = DIRTY_TIME;
        }
    }
}

static bool acpi_init(void)
{
    void *tables = guest_mem_ptr(&guest_mem, ACPI_TABLES_GPA, ACPI_TABLES_MAX_BYTES);

    return tables && acpi_tables_build(tables, ACPI_TABLES_MAX_BYTES, ACPI_TABLES_GPA,
                                       start_block()->nvcpus) != 0;
}

bool platform_init(void)
{
    const struct bh_monitor_start *st = start_block();
    bool ok;

    memory_init();
    if (st->wall_clock_s)
        wall_s = (int64_t)(st->wall_clock_s +
                           (rt_tsc() - st->wall_clock_tsc) / ((uint64_t)st->tsc_khz * 1000u));
    ok = lapic_init(&lapic, &bus, &host, &lapic_host, 0, true, (uint64_t)st->tsc_khz * 1000u) &&
         ioapic_init(&ioapic, &bus, &host, wire_deliver, NULL) && pic_init(&pic, &bus, &host) &&
         pit_init(&pit, &bus, &host) &&
         rtc_init(&rtc, &bus, &host, wall_s, guest_mem_low_end(&guest_mem),
                  guest_mem_high_bytes(&guest_mem)) &&
         uart16550_init(&uart, &bus, &host, COM1_PORT, COM1_IRQ, wire_tx, NULL) &&
         i8042_init(&keyboard, &bus, &host, false, wire_reset, NULL) &&
         pci_stub_init(&pci, &bus, &host, wire_reset, NULL) &&
         acpi_pm_init(&pm, &bus, &host, false, wire_power_off, NULL) &&
         (!(st->flags & BH_MONITOR_FLAG_DEBUG_EXIT) ||
          debug_exit_init(&debug_exit, &bus, &host, wire_debug_exit, NULL));
    lapic_virtual_wire(&lapic);
    ports_mark();
    return ok && acpi_init();
}
