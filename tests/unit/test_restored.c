// sources: vmm/monitor/dev/acpi_pm.c vmm/monitor/dev/pit.c vmm/monitor/dev/pic.c
// sources: vmm/monitor/dev/rtc.c vmm/monitor/dev/uart16550.c vmm/monitor/dev/i8042.c
// sources: vmm/monitor/dev/ps2_keyboard.c vmm/monitor/dev/ps2_mouse.c vmm/monitor/dev/ioapic.c
// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/watchdog.c vmm/monitor/dev/bus.c
// sources: vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c vmm/monitor/dev/mch.c
// sources: vmm/monitor/dev/ich9.c vmm/monitor/dev/virtio_blk.c vmm/monitor/dev/disk.c
// sources: vmm/monitor/dev/virtio.c vmm/monitor/dev/virtio_pci.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/virtio_net.c vmm/monitor/dev/net_cut.c
// sources: vmm/monitor/dev/virtio_console.c vmm/monitor/dev/virtio_balloon.c
// sources: vmm/monitor/save_file.c vmm/rt/crc32c.c vmm/rt/fmt.c
/*
 * Saved states that somebody has made up, with CRCs that are right: each device refuses them, or
 * goes on with them through accesses and time of any kind without a fault, an address outside of
 * guest memory, or undefined behaviour (sanitizers). What a guest can do to itself is no matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acpi_pm.h"
#include "dev_util.h"
#include "i8042.h"
#include "ich9.h"
#include "ioapic.h"
#include "lapic.h"
#include "mch.h"
#include "pic.h"
#include "pit.h"
#include "rtc.h"
#include "save_file.h"
#include "uart16550.h"
#include "virtio_balloon.h"
#include "virtio_blk.h"
#include "virtio_console.h"
#include "virtio_net.h"
#include "watchdog.h"

#define RAM_BYTES  0x100000u
#define DISK_BYTES 0x40000u
#define TSC_HZ     2000000000u
#define PORT_UART  0x3f8u

static struct bus bus;
static struct pic pic;
static struct pit pit;
static struct rtc rtc;
static struct uart16550 uart;
static struct i8042 keyboard;
static struct acpi_pm pm;
static struct ioapic ioapic;
static struct lapic lapic;
static struct watchdog watchdog;
static struct pci pci;
static struct mch mch;
static struct ich9 ich9;
static struct virtio_blk blk;
static struct virtio_net net;
static struct virtio_console con;
static struct virtio_balloon balloon;
static struct net_port port;
static struct disk disk;
static uint8_t image[DISK_BYTES], overlay[2u * DISK_BYTES];
static uint8_t *ram; /* with nothing behind it */
static struct guest_mem mem;
static uint64_t now;

static uint64_t random_next(void)
{
    static uint64_t x = 88172645463325252ull;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* ---- the machine ---- */

static void wire_irq(void *ctx, unsigned line, bool level)
{
    assert_true(line < 24u);
    if (line < 16u) pic_set_irq(&pic, line, level);
    ioapic_set_irq(&ioapic, line, level);
}

static uint64_t wire_now(void *ctx) { return now; }
static uint64_t wire_tsc(void *ctx) { return now * 2u; }
static void wire_msi(void *ctx, uint64_t address, uint32_t data) {}
static bool wire_map(void *ctx, const struct dev_ram *m, uint64_t offset, uint64_t bytes,
                     uint64_t gpa, unsigned access)
{
    assert_true(offset <= m->size_bytes && bytes <= m->size_bytes - offset);
    return true;
}

static struct dev_host host = {
    .irq = wire_irq, .now_ns = wire_now, .mem = &mem, .msi = wire_msi, .map = wire_map};

static void wire_deliver(void *ctx, const struct apic_msg *msg)
{
    struct lapic *cpus[] = {&lapic};

    if (lapic_targets(cpus, 1, 1, msg)) lapic_accept(&lapic, msg);
}

static void wire_ipi(void *ctx, const struct apic_msg *msg) { wire_deliver(NULL, msg); }
static void wire_eoi(void *ctx, uint8_t vector) { ioapic_eoi(&ioapic, vector); }
static const struct lapic_host lapic_host = {NULL, wire_tsc, wire_ipi, wire_eoi};

static void wire_intx(void *ctx, unsigned devfn, unsigned pin, bool level) { ich9_intx(&ich9); }
static void wire_pirq(void *ctx, uint16_t lines) { pic_set_pci(&pic, lines); }
static void event(void *ctx) {}
static bool wire_tx(void *ctx, uint8_t byte) { return random_next() % 4u != 0; }
static unsigned wire_output(void *ctx, const uint8_t *bytes, unsigned count)
{
    assert_true(bytes >= ram && bytes + count <= ram + RAM_BYTES);
    return count ? (unsigned)(random_next() % (count + 1u)) : 0;
}

static bool net_send(void *ctx, const struct net_offload *o, struct virtq_side *frame)
{
    static uint8_t to[NET_FRAME_MAX];

    (void)virtq_copy_out(frame, to, sizeof(to));
    return random_next() % 4u != 0;
}

static void page_given(void *ctx, uint64_t gpa, bool kept)
{
    memset(guest_mem_ptr(&mem, gpa, 4096), 0, 4096);
}

static const struct balloon_pages page_calls = {.discard = page_given};

static void machine(void)
{
    const struct bh_monitor_disk config = {.name = "disk",
                                           .bytes = DISK_BYTES,
                                           .image_va = (uintptr_t)image,
                                           .image_bytes = DISK_BYTES,
                                           .memory_bytes =
                                               bh_disk_memory_bytes(DISK_BYTES, DISK_BYTES)};

    memset(&bus, 0, sizeof(bus));
    memset(&port, 0, sizeof(port));
    memset(ram, 0, RAM_BYTES);
    now = random_next() % 3u ? random_next() % NS_PER_S : 0;
    port.send = net_send;
    port.up = true;
    assert_true(pic_init(&pic, &bus, &host) && pit_init(&pit, &bus, &host) &&
                rtc_init(&rtc, &bus, &host, 1000000000, RAM_BYTES, 0) &&
                uart16550_init(&uart, &bus, &host, PORT_UART, 4, wire_tx, NULL) &&
                i8042_init(&keyboard, &bus, &host, true, event, NULL) &&
                ioapic_init(&ioapic, &bus, &host, wire_deliver, NULL) &&
                lapic_init(&lapic, &bus, &host, &lapic_host, 0, true, TSC_HZ) &&
                watchdog_init(&watchdog, &bus, &host, event, NULL));
    assert_true(pci_init(&pci, &bus, &host, wire_intx, event, NULL) && mch_init(&mch, &pci, NULL) &&
                acpi_pm_init(&pm, &bus, &host, true, event, NULL) &&
                ich9_init(&ich9, &pci, &pm, wire_pirq, NULL));
    assert_true(disk_init(&disk, &config, overlay) &&
                virtio_blk_init(&blk, &pci, &host, PCI_DEVFN(4, 0), &disk) &&
                virtio_net_init(&net, &pci, &host, PCI_DEVFN(5, 0), &port) &&
                virtio_console_init(&con, &pci, &host, PCI_DEVFN(6, 0), wire_output, NULL) &&
                virtio_balloon_init(&balloon, &pci, &host, PCI_DEVFN(7, 0), &page_calls, NULL));
    mch_setup(&mch);
    ich9_setup(&ich9);
    i8042_setup(&keyboard);
    assert_true(pci_assign(&pci, 0xc0000000u, 0xf0000000u));
}

static const struct {
    const struct dev_state *state;
    void *dev;
    size_t bytes;
} devices[] = {
    {&pci_function_state, &mch.f, sizeof(mch.f)},
    {&pci_function_state, &ich9.f, sizeof(ich9.f)},
    {&pci_function_state, &blk.virtio.pci, sizeof(blk.virtio.pci)},
    {&pci_function_state, &net.virtio.pci, sizeof(net.virtio.pci)},
    {&pci_state, &pci, sizeof(pci)},
    {&pit_state, &pit, sizeof(pit)},
    {&rtc_state, &rtc, sizeof(rtc)},
    {&uart16550_state, &uart, sizeof(uart)},
    {&i8042_state, &keyboard, sizeof(keyboard)},
    {&acpi_pm_state, &pm, sizeof(pm)},
    {&ioapic_state, &ioapic, sizeof(ioapic)},
    {&pic_state, &pic, sizeof(pic)},
    {&ich9_state, &ich9, sizeof(ich9)},
    {&disk_state, &disk, sizeof(disk)},
    {&watchdog_state, &watchdog, sizeof(watchdog)},
    {&virtio_state, &blk.virtio, sizeof(blk.virtio)},
    {&virtio_state, &net.virtio, sizeof(net.virtio)},
    {&virtio_net_state, &net, sizeof(net)},
    {&virtio_state, &con.virtio, sizeof(con.virtio)},
    {&virtio_console_state, &con, sizeof(con)},
    {&virtio_state, &balloon.virtio, sizeof(balloon.virtio)},
    {&virtio_balloon_state, &balloon, sizeof(balloon)},
    {&lapic_state, &lapic, sizeof(lapic)},
};
#define DEVICES (sizeof(devices) / sizeof(devices[0]))

/* ---- made-up states ---- */

static uint64_t edge(void)
{
    static const uint64_t edges[] = {0,          1,         2,          0x7f,
                                     0x80,       0xff,      0xffff,     INT32_MAX,
                                     UINT32_MAX, INT64_MAX, 1ull << 63, UINT64_MAX};

    return random_next() % 2u ? random_next() : edges[random_next() % 12u];
}

/* A device's section of a file, with some members changed. @return accepted */
static bool load_changed(unsigned n, unsigned changes)
{
    static uint8_t file[65536];
    const struct save_header header = {.nvcpus = 1};
    struct save_header read;
    const struct dev_state *s = devices[n].state;
    uint8_t *copy = malloc(devices[n].bytes);
    struct save_file f;
    bool ok;

    memcpy(copy, devices[n].dev, devices[n].bytes);
    for (unsigned i = 0; i < changes; i++) {
        const struct state_member *m = &s->members[random_next() % s->count];
        uint64_t value = edge(), at = m->bytes > 8u ? random_next() % m->bytes : 0;
        uint64_t left = m->bytes - at, most = left < 8u ? left : 8u;

        memcpy(copy + m->offset + at, &value,
               random_next() % 2u ? most : 1u + random_next() % most);
    }
    save_begin(&f, file, sizeof(file));
    save_state(&f, s, copy, n);
    assert_int_not_equal(save_end(&f, &header), 0);
    free(copy);
    assert_true(save_open(&f, file, sizeof(file), &header, &read));
    ok = save_load_state(&f, s, devices[n].dev, n);
    assert_true(ok || f.error);
    return ok;
}

/* ---- a guest that does anything ---- */

static void access_one(void)
{
    unsigned kind = (unsigned)(random_next() % 2u), size = 1u << random_next() % (kind ? 4u : 3u);
    const struct bus_range *r;

    if (bus.count[kind] == 0) return;
    r = &bus.ranges[kind][random_next() % bus.count[kind]];
    if (r->size == 0) return;
    if (random_next() % 2u)
        (void)bus_read(&bus, kind, r->base + random_next() % r->size, size);
    else
        bus_write(&bus, kind, r->base + random_next() % r->size, size, edge());
}

static void tick(void)
{
    uint64_t step = random_next() % 2u ? random_next() % 1000000u : random_next() >> 20;

    now = ns_add(now, step);
    pit_tick(&pit, now);
    rtc_tick(&rtc, now);
    uart16550_tick(&uart, now);
    i8042_tick(&keyboard, now);
    acpi_pm_tick(&pm, now);
    watchdog_tick(&watchdog, now);
    lapic_tick(&lapic, now);
    virtio_tick(&blk.virtio, now);
    virtio_tick(&net.virtio, now);
    virtio_tick(&con.virtio, now);
    virtio_tick(&balloon.virtio, now);
    uart16550_rx(&uart, 'x');
    uart16550_tx_ready(&uart);
    (void)i8042_key(&keyboard, (uint8_t)random_next(), true);
    i8042_move(&keyboard, (int32_t)random_next(), 1, 1, 1);
    acpi_pm_power_button(&pm);
    virtio_console_room(&con);
    (void)virtio_console_input(&con, (const uint8_t *)"typed", 5);
    if (pic_intr(&pic)) (void)pic_ack(&pic);
    (void)lapic_ack(&lapic);
}

static void test_made_up(void **state)
{
    unsigned accepted = 0, refused = 0;

    (void)state;
    for (unsigned round = 0; round < 4000u; round++) {
        unsigned n = round % DEVICES;

        machine();
        for (unsigned i = 0; i < RAM_BYTES / 64u; i++)
            ram[random_next() % RAM_BYTES] = (uint8_t)random_next();
        if (!load_changed(n, 1u + (unsigned)(random_next() % 6u))) {
            refused++; /* such a VM does not run */
            continue;
        }
        accepted++;
        for (unsigned i = 0; i < 60u; i++) {
            access_one();
            if (i % 8u == 0) tick();
        }
    }
    assert_true(accepted > 500u && refused > 500u);
}

/* As it was: everything is accepted, again and again. */
static void test_true(void **state)
{
    (void)state;
    machine();
    for (unsigned round = 0; round < 50u; round++) {
        for (unsigned n = 0; n < DEVICES; n++) assert_true(load_changed(n, 0));
        for (unsigned i = 0; i < 200u; i++) access_one();
        tick();
    }
}

/* Each switch of each table: neither on nor off is refused. */
static void test_switches(void **state)
{
    unsigned switches = 0;

    (void)state;
    for (unsigned n = 0; n < DEVICES; n++)
        for (unsigned i = 0; i < devices[n].state->count; i++) {
            const struct state_member *m = &devices[n].state->members[i];

            if (!m->switches) continue;
            machine();
            ((uint8_t *)devices[n].dev)[m->offset + m->bytes - 1u] = 2;
            assert_false(load_changed(n, 0));
            switches++;
        }
    assert_true(switches >= 15u);
}

/* An APIC's id is its vCPU's number, whoever saved it. */
static void test_identity(void **state)
{
    (void)state;
    for (unsigned i = 0; i < lapic_state.count; i++)
        assert_int_not_equal(lapic_state.members[i].offset, offsetof(struct lapic, id));
}

static int setup(void **state)
{
    (void)state;
    ram = malloc(RAM_BYTES);
    mem = (struct guest_mem){ram, RAM_BYTES, NULL};
    return ram == NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_made_up),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
