/*
 * The virtual PC: its devices, the wires between them, and the way from an address to a device.
 * Everything here that is not a vCPU's own local APIC is guarded by the device lock: devices and
 * the wires they pull run with it held. vCPU 0's thread lets time pass in the devices, has the
 * 8259's output at its LINT0 and serves the console. May call: device models, post.c, the console
 * ring. Ports are looked up by one table of bytes.
 */
#include "bulkhead/wire.h"
#include "monitor.h"
#include "acpi_pm.h"
#include "debug_exit.h"
#include "watchdog.h"
#include "dev_util.h"
#include "i8042.h"
#include "ich9.h"
#include "ioapic.h"
#include "mch.h"
#include "msi.h"
#include "pci.h"
#include "pic.h"
#include "pit.h"
#include "rtc.h"
#include "string.h"
#include "uart16550.h"

#define COM1_PORT           0x3f8u
#define COM1_IRQ            4u
#define PIT_CONTROL_PORT    0x61u
#define LAPIC_CURRENT_COUNT 0x390u
#define PIC_ELCR_PORT       0x4d0u
#define PCI_ELCR_HIGH       0x0cu /* lines 10 and 11 are level triggered */

static struct bus bus;
static struct pic pic;
static struct pit pit;
static struct rtc rtc;
static struct uart16550 uart;
static struct i8042 keyboard;
static struct pci pci;
static struct mch mch;
static struct ich9 ich9;
static struct acpi_pm pm;
static struct debug_exit debug_exit;
static struct watchdog watchdog; /* without one in the manifest it stays idle */
static struct ioapic ioapic;
static bool lint_level;                               /* read without the lock as well */
static uint64_t devices_deadline_ns = NO_DEADLINE_NS; /* what vCPU 0 waits for; it alone writes */
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
    self()->dirty |= DIRTY_IRQ | DIRTY_PIC;
}

static void wire_pirq(void *ctx, uint16_t lines)
{
    pic_set_pci(&pic, lines);
    self()->dirty |= DIRTY_IRQ | DIRTY_PIC;
}

static void wire_intx(void *ctx, unsigned devfn, unsigned pin, bool level) { ich9_intx(&ich9); }

static uint64_t wire_now(void *ctx) { return clock_ns(); }

static void wire_deliver(void *ctx, const struct apic_msg *msg)
{
    irq_dispatch(msg, BH_MONITOR_MAX_VCPUS);
}

/* The local APIC's: without the lock. */
static uint64_t wire_tsc(void *ctx) { return rt_tsc() + self()->tsc_offset; }

static void wire_ipi(void *ctx, const struct apic_msg *msg) { irq_dispatch(msg, self()->number); }

static void wire_eoi(void *ctx, uint8_t vector)
{
    device_lock();
    ioapic_eoi(&ioapic, vector);
    device_unlock();
}

static void wire_msi(void *ctx, uint64_t address, uint32_t data)
{
    struct apic_msg msg;

    if (msi_decode(address, data, &msg)) wire_deliver(NULL, &msg);
}

static const struct dev_host host = {
    .irq = wire_irq,
    .now_ns = wire_now,
    .mem = &guest_mem,
    .map = memory_map_device,
    .msi = wire_msi,
};
static const struct lapic_host lapic_host = {NULL, wire_tsc, wire_ipi, wire_eoi};

static void wire_reset(void *ctx) { vm_end(BH_END_RESET, 0, ""); }

static void wire_power_off(void *ctx) { vm_end(BH_END_POWEROFF, 0, ""); }

static void wire_bite(void *ctx) { vm_end(BH_END_STOPPED, 0, "watchdog"); }

static void wire_debug_exit(void *ctx, uint32_t value) { vm_end(BH_END_DEBUG_EXIT, value, ""); }

/* ---- console ---- */

static struct bh_console *console(void) { return (struct bh_console *)BH_MONITOR_CONSOLE; }

static bool console_put(uint8_t byte) { return ring_put(console(), byte); }

unsigned console_output(void *ctx, const uint8_t *bytes, unsigned count)
{
    unsigned done = 0;

    while (done < count && console_put(bytes[done])) done++;
    return done;
}

static bool wire_tx(void *ctx, uint8_t byte)
{
    virtio_console_other();
    return console_put(byte);
}

/* What is typed goes to the console that the guest has written to last. @return bytes taken */
static unsigned type(const uint8_t *bytes, unsigned count)
{
    int typed = virtio_console_typed(bytes, count);
    unsigned done = 0;

    if (typed >= 0) return (unsigned)typed;
    for (unsigned room = uart16550_rx_room(&uart); done < room && done < count; done++)
        uart16550_rx(&uart, bytes[done]);
    return done;
}

static void console_input(void)
{
    ring_take(console(), type);
    channel_input();
    self()->dirty |= DIRTY_DEVICES;
}

void platform_console_input(void)
{
    device_lock();
    console_input();
    device_unlock();
}

void platform_signalled(uint64_t bits)
{
    device_lock();
    if (bits & BH_MONITOR_SIGNAL_CONSOLE) {
        console_input();
        uart16550_tx_ready(&uart);
        channel_output_room();
        virtio_console_output_room();
    }
    if (bits & BH_MONITOR_SIGNAL_STOP) acpi_pm_power_button(&pm);
    if (bits & BH_MONITOR_SIGNAL_PIECES) virtio_balloon_look();
    wires_look(bits);
    device_unlock();
    if (bits & BH_MONITOR_SIGNAL_CONTROL) control_asked();
    self()->dirty |= DIRTY_DEVICES | DIRTY_IRQ;
}

bool platform_input(const struct bh_input *event)
{
    bool taken = true;

    device_lock();
    if (event->kind == BH_INPUT_KEY)
        taken = i8042_key(&keyboard, event->code, event->down != 0);
    else if (event->kind == BH_INPUT_MOUSE)
        i8042_move(&keyboard, event->dx, event->dy, event->wheel, event->buttons);
    device_unlock();
    return taken;
}

/* ---- addresses ---- */

static uint64_t port_read(unsigned port, unsigned size_bytes)
{
    unsigned n = bus.port[port & 0xffffu];
    uint64_t offset;

    if (n) {
        const struct bus_range *r = &bus.ranges[BUS_PIO][n - 1u];

        offset = port - r->base;
        if (offset + size_bytes <= r->size && r->ops->read) {
            self()->dirty |= read_dirty[n];
            if (offset == 0) self()->dirty |= read_first[n];
            return r->ops->read(r->dev, offset, size_bytes);
        }
    }
    bus.holes[BUS_PIO]++;
    return ~(uint64_t)0;
}

uint64_t pio_read(unsigned port, unsigned size_bytes)
{
    uint64_t value;

    device_lock();
    value = port_read(port, size_bytes);
    device_unlock();
    return value;
}

static void port_write(unsigned port, unsigned size_bytes, uint64_t value)
{
    unsigned n = bus.port[port & 0xffffu];
    uint64_t offset;

    if (n) {
        const struct bus_range *r = &bus.ranges[BUS_PIO][n - 1u];

        offset = port - r->base;
        if (offset + size_bytes <= r->size && r->ops->write) {
            self()->dirty |= write_dirty[n];
            r->ops->write(r->dev, offset, size_bytes, value);
            return;
        }
    }
    bus.holes[BUS_PIO]++;
}

void pio_write(unsigned port, unsigned size_bytes, uint64_t value)
{
    device_lock();
    port_write(port, size_bytes, value);
    device_unlock();
}

/* A vCPU's own local APIC is in front of the bus. Reads of the APICs change nothing but for the
 * timer's count: an expiry may be found then. */
uint64_t mmio_read(uint64_t gpa, unsigned size_bytes)
{
    uint64_t offset = gpa - LAPIC_DEFAULT_BASE, value;

    if (offset < LAPIC_MMIO_BYTES) {
        struct vcpu *v = self();

        if (offset >> 4 == LAPIC_CURRENT_COUNT >> 4) v->dirty |= DIRTY_IRQ | DIRTY_TIME;
        return lapic_mmio_read(&v->lapic, offset, size_bytes);
    }
    device_lock();
    value = bus_read(&bus, BUS_MMIO, gpa, size_bytes);
    device_unlock();
    return value;
}

void mmio_write(uint64_t gpa, unsigned size_bytes, uint64_t value)
{
    uint64_t offset = gpa - LAPIC_DEFAULT_BASE;
    struct vcpu *v = self();

    if (offset < LAPIC_MMIO_BYTES) {
        v->dirty |= DIRTY_IRQ | DIRTY_TIME;
        lapic_mmio_write(&v->lapic, offset, size_bytes, value);
        return;
    }
    v->dirty |= DIRTY_IRQ | DIRTY_DEVICES;
    device_lock();
    bus_write(&bus, BUS_MMIO, gpa, size_bytes, value);
    device_unlock();
}

uint64_t platform_holes(void) { return bus.holes[BUS_PIO] + bus.holes[BUS_MMIO]; }

/* ---- time and interrupts ---- */

static uint64_t devices_next_ns(void)
{
    uint64_t ns = ns_min(pit.deadline_ns, uart.deadline_ns);

    ns = ns_min(ns, rtc.deadline_ns);
    ns = ns_min(ns, keyboard.deadline_ns);
    ns = ns_min(ns, virtio_devices_deadline_ns());
    ns = ns_min(ns, sata_deadline_ns());
    ns = ns_min(ns, watchdog.deadline_ns);
    ns = ns_min(ns, channel_deadline_ns());
    ns = ns_min(ns, memory_deadline_ns());
    return ns_min(ns, pm.deadline_ns);
}

uint64_t platform_deadline_ns(void)
{
    struct vcpu *v = self();

    if (v->dirty & DIRTY_DEVICES) {
        device_lock();
        if (v->number == 0)
            devices_deadline_ns = devices_next_ns();
        else if (devices_next_ns() < devices_deadline_ns)
            post(vcpu_of(0), POST_TIME);
        device_unlock();
    }
    v->dirty &= ~(DIRTY_TIME | DIRTY_DEVICES);
    return v->number == 0 ? ns_min(v->lapic.deadline_ns, devices_deadline_ns)
                          : v->lapic.deadline_ns;
}

static void devices_tick(uint64_t now)
{
    device_lock();
    if (pit.deadline_ns <= now) pit_tick(&pit, now);
    if (uart.deadline_ns <= now) uart16550_tick(&uart, now);
    if (rtc.deadline_ns <= now) rtc_tick(&rtc, now);
    if (keyboard.deadline_ns <= now) i8042_tick(&keyboard, now);
    if (pm.deadline_ns <= now) acpi_pm_tick(&pm, now);
    if (watchdog.deadline_ns <= now) watchdog_tick(&watchdog, now);
    channel_tick(now);
    memory_tick(now);
    virtio_devices_tick(now);
    sata_tick(now);
    console_input();
    device_unlock();
    self()->dirty |= DIRTY_DEVICES;
}

void platform_tick(void)
{
    struct vcpu *v = self();
    uint64_t now = clock_ns();

    if (v->lapic.deadline_ns <= now) lapic_tick(&v->lapic, now);
    if (v->number == 0) devices_tick(now);
    v->dirty |= DIRTY_IRQ | DIRTY_TIME;
}

int64_t platform_wall_clock_s(void) { return wall_s; }

void platform_lint(void)
{
    lapic_set_lint(&self()->lapic, 0, __atomic_load_n(&lint_level, __ATOMIC_ACQUIRE));
}

/* The 8259's output is vCPU 0's LINT0, which may be programmed to something else than ExtINT. */
static void lint_update(struct vcpu *v)
{
    bool changed;

    if (!(v->dirty & DIRTY_PIC)) return;
    v->dirty &= ~DIRTY_PIC;
    device_lock();
    changed = pic_intr(&pic) != lint_level;
    if (changed) __atomic_store_n(&lint_level, !lint_level, __ATOMIC_RELEASE);
    device_unlock();
    if (!changed) return;
    if (v->number == 0)
        platform_lint();
    else
        post(vcpu_of(0), POST_LINT0);
}

static bool extint_pending(const struct vcpu *v)
{
    return v->number == 0 && __atomic_load_n(&lint_level, __ATOMIC_ACQUIRE) &&
           lapic_extint_enabled(&v->lapic);
}

bool platform_pending(void)
{
    struct vcpu *v = self();

    lint_update(v);
    return lapic_pending_vector(&v->lapic) >= 0 || extint_pending(v);
}

int platform_ack(void)
{
    struct vcpu *v = self();
    int vector = lapic_ack(&v->lapic);

    if (vector >= 0 || !extint_pending(v)) return vector;
    v->dirty |= DIRTY_PIC;
    device_lock();
    vector = pic_ack(&pic);
    device_unlock();
    return vector;
}

/* ---- setup ---- */

static void ports_mark(struct bus *b)
{
    for (unsigned i = 0; i < b->count[BUS_PIO]; i++) {
        const struct bus_range *r = &b->ranges[BUS_PIO][i];

        read_first[i + 1u] = read_dirty[i + 1u] = write_dirty[i + 1u] = 0;
        if (r->dev == &pic) {
            /* Of the reads only a poll changes anything (8259A data sheet, "poll command"). */
            read_first[i + 1u] = DIRTY_IRQ | DIRTY_PIC;
            write_dirty[i + 1u] = DIRTY_IRQ | DIRTY_PIC;
        } else if (r->dev == &uart || channel_is(r->dev)) {
            read_first[i + 1u] = DIRTY_DEVICES | DIRTY_RX;
            write_dirty[i + 1u] = DIRTY_DEVICES;
        } else if (r->dev == &keyboard) { /* its deadline is when a key that is held repeats */
            write_dirty[i + 1u] = DIRTY_DEVICES;
        } else if (r->dev == &pit || r->dev == &rtc || r->dev == &pm) {
            /* Port 0x61 has a range of its own and only shows outputs. */
            read_dirty[i + 1u] = r->base == PIT_CONTROL_PORT ? 0 : DIRTY_DEVICES;
            write_dirty[i + 1u] = DIRTY_DEVICES;
        } else { /* BARs: a notification may leave something for later */
            write_dirty[i + 1u] = DIRTY_DEVICES;
        }
    }
}

/* All TSCs are the same: 0 now. The other threads wait for their start-up message meanwhile. */
static bool cpus_init(void)
{
    const struct bh_monitor_start *st = start_block();
    uint64_t tsc_offset = 0u - rt_tsc();
    bool ok = true;

    irq_init();
    for (unsigned i = 0; i < st->nvcpus; i++) {
        struct vcpu *v = vcpu_of(i);

        v->number = i;
        v->page = (struct bh_vcpu_page *)(BH_MONITOR_VCPU + i * 4096ul);
        v->mtrr_default = 0xc06; /* write-back, fixed ranges on: as firmware would leave it */
        v->tsc_offset = tsc_offset;
        ok = lapic_init(&v->lapic, NULL, &host, &lapic_host, i, i == 0,
                        (uint64_t)st->tsc_khz * 1000u) &&
             ok;
    }
    lapic_virtual_wire(&vcpu_of(0)->lapic);
    device_lock_needed = st->nvcpus > 1u;
    return ok;
}

/* As firmware leaves it, with all functions in their slots. */
static bool chipset_setup(void)
{
    mch_setup(&mch);
    ich9_setup(&ich9);
    i8042_setup(&keyboard);
    bus_write(&bus, BUS_PIO, PIC_ELCR_PORT + 1u, 1, PCI_ELCR_HIGH);
    return pci_assign(&pci, MCH_WINDOW_BASE, MCH_WINDOW_END);
}

static bool chipset_init(void)
{
    /* No BAR where interrupt messages go and each vCPU sees its local APIC. */
    static const struct bus_ops nothing = {NULL, NULL};

    if (!bus_add(&bus, BUS_MMIO, MSI_BASE, MSI_BYTES, &nothing, NULL, "msi") ||
        !pci_init(&pci, &bus, &host, wire_intx, wire_reset, NULL) ||
        !mch_init(&mch, &pci, firmware_rom()) ||
        !acpi_pm_init(&pm, &bus, &host, firmware_rom() == NULL, wire_power_off, NULL) ||
        !ich9_init(&ich9, &pci, &pm, wire_pirq, NULL))
        return false;
    return screen_init(&bus, &host, &pci) && disks_init() && virtio_devices_init(&pci, &host) &&
           sata_init(&pci, &host) && (firmware_rom() || chipset_setup());
}

bool platform_init(void)
{
    const struct bh_monitor_start *st = start_block();
    bool ok;

    watchdog.deadline_ns = NO_DEADLINE_NS;
    if (st->wall_clock_s)
        wall_s = (int64_t)(st->wall_clock_s + (clock_start_tsc() - st->wall_clock_tsc) /
                                                  ((uint64_t)st->tsc_khz * 1000u));
    ok = screen_memory() && firmware_init(&bus, &host, wire_tx) && cpus_init() &&
         ioapic_init(&ioapic, &bus, &host, wire_deliver, NULL) && pic_init(&pic, &bus, &host) &&
         pit_init(&pit, &bus, &host) &&
         rtc_init(&rtc, &bus, &host, wall_s, guest_mem_low_end(&guest_mem),
                  guest_mem_high_bytes(&guest_mem)) &&
         uart16550_init(&uart, &bus, &host, COM1_PORT, COM1_IRQ, wire_tx, NULL) &&
         channel_init(&bus, &host) &&
         i8042_init(&keyboard, &bus, &host, (st->flags & BH_MONITOR_FLAG_VGA) != 0, wire_reset,
                    NULL) &&
         chipset_init() &&
         (!(st->flags & BH_MONITOR_FLAG_DEBUG_EXIT) ||
          debug_exit_init(&debug_exit, &bus, &host, wire_debug_exit, NULL)) &&
         (!(st->flags & BH_MONITOR_FLAG_WATCHDOG) ||
          watchdog_init(&watchdog, &bus, &host, wire_bite, NULL));
    firmware_cmos(&rtc);
    ports_mark(&bus);
    bus.ports_changed = ports_mark;
    return ok;
}

/* ---- saved state ---- */

bool platform_saved(unsigned n, const struct dev_state **state, void **dev, uint32_t *instance)
{
    static const struct {
        const struct dev_state *state;
        void *dev;
    } chipset[] = {
        {&pci_state, &pci},        {&pit_state, &pit},        {&rtc_state, &rtc},
        {&uart16550_state, &uart}, {&i8042_state, &keyboard}, {&acpi_pm_state, &pm},
        {&ioapic_state, &ioapic},  {&pic_state, &pic},        {&ich9_state, &ich9},
    };
    const unsigned count = sizeof(chipset) / sizeof(chipset[0]);

    *instance = n;
    if (n < pci.count) {
        *state = &pci_function_state;
        *dev = pci.function[n];
        return true;
    }
    n -= pci.count;
    if (n < count) {
        *state = chipset[n].state;
        *dev = chipset[n].dev;
        return true;
    }
    n -= count;
    if (disks_saved(n, state, dev)) return true;
    n -= start_block()->ndisks;
    if (sata_saved(state, dev) && n-- == 0) return true;
    if (screen_saved(state, dev) && n-- == 0) return true;
    if ((start_block()->flags & BH_MONITOR_FLAG_WATCHDOG) && n-- == 0) {
        *state = &watchdog_state;
        *dev = &watchdog;
        return true;
    }
    if (channel_saved(state, dev) && n-- == 0) return true;
    if (firmware_saved(&n, state, dev)) return true;
    return virtio_devices_saved(n, state, dev);
}

void platform_restored(void)
{
    device_lock();
    wires_restored();
    virtio_balloon_restored();
    device_unlock();
    lint_level = pic_intr(&pic);
    platform_lint(); /* an edge that the local APIC had not seen yet */
    self()->dirty |= DIRTY_DEVICES;
}
