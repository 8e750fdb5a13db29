// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/pic.c vmm/monitor/dev/pit.c vmm/monitor/dev/rtc.c
// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/ioapic.c vmm/monitor/dev/uart16550.c
// sources: vmm/monitor/dev/acpi_pm.c vmm/monitor/dev/i8042.c vmm/monitor/dev/ps2_keyboard.c
// sources: vmm/monitor/dev/ps2_mouse.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/debug_exit.c vmm/monitor/dev/mch.c vmm/monitor/dev/ich9.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/msi.c vmm/monitor/dev/watchdog.c
/*
 * The board: what an access to a device changes at the processor, and what is as it was after a
 * restore. The devices are the real ones, but for those that have memory behind them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/monitor.h"
static struct bh_monitor_start start;
#undef BH_MONITOR_START
#define BH_MONITOR_START ((uint64_t)&start)
#include "vmm/monitor/platform.c"

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
uint32_t device_lock_word;
bool device_lock_needed;

void device_lock_wait(void) { fail(); }
uint64_t clock_ns(void) { return 1000; }
uint64_t clock_start_tsc(void) { return 0; }
void post(struct vcpu *to, uint32_t bits) {}
void irq_init(void) {}
void vm_end(enum bh_monitor_end kind, uint32_t status, const char *text)
{
    mock_assert(0, text, __FILE__, __LINE__);
    __builtin_unreachable();
}

void irq_dispatch(const struct apic_msg *msg, unsigned sender)
{
    lapic_accept(&vcpus[0].lapic, msg);
}

/* What is not there. */
bool ring_put(struct bh_console *c, uint8_t byte) { return true; }
void ring_take(struct bh_console *c, unsigned (*take)(const uint8_t *bytes, unsigned count)) {}
bool channel_init(struct bus *b, const struct dev_host *h) { return true; }
bool channel_is(const void *dev) { return false; }
void channel_input(void) {}
void channel_output_room(void) {}
uint64_t channel_deadline_ns(void) { return NO_DEADLINE_NS; }
void channel_tick(uint64_t now_ns) {}
bool channel_saved(const struct dev_state **state, void **dev) { return false; }
bool screen_memory(void) { return true; }
bool screen_init(struct bus *b, const struct dev_host *h, struct pci *p) { return true; }
bool screen_saved(const struct dev_state **state, void **dev) { return false; }
bool disks_init(void) { return true; }
bool disks_saved(unsigned n, const struct dev_state **state, void **dev) { return false; }
bool sata_init(struct pci *p, const struct dev_host *h) { return true; }
uint64_t sata_deadline_ns(void) { return NO_DEADLINE_NS; }
void sata_tick(uint64_t now_ns) {}
bool sata_saved(const struct dev_state **state, void **dev) { return false; }
bool virtio_devices_init(struct pci *p, const struct dev_host *h) { return true; }
uint64_t virtio_devices_deadline_ns(void) { return NO_DEADLINE_NS; }
void virtio_devices_tick(uint64_t now_ns) {}
bool virtio_devices_saved(unsigned n, const struct dev_state **state, void **dev) { return false; }
void virtio_balloon_look(void) {}
void virtio_balloon_restored(void) {}
void virtio_console_other(void) {}
int virtio_console_typed(const uint8_t *bytes, unsigned count) { return -1; }
void virtio_console_output_room(void) {}
void wires_look(uint64_t bits) {}
void wires_restored(void) {}
void control_asked(void) {}
uint64_t memory_deadline_ns(void) { return NO_DEADLINE_NS; }
void memory_tick(uint64_t now_ns) {}
bool memory_map_device(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes,
                       uint64_t gpa, unsigned access)
{
    return true;
}
const struct dev_ram *firmware_rom(void) { return NULL; }
bool firmware_init(struct bus *b, const struct dev_host *h, bool (*out)(void *ctx, uint8_t byte))
{
    return true;
}
void firmware_cmos(struct rtc *r) {}
bool firmware_saved(unsigned *n, const struct dev_state **state, void **dev) { return false; }

#define LINE 5u /* of a device that is not there */

static uint8_t ram[0x100000] __attribute__((aligned(4096)));
static struct bh_vcpu_page registers;

static int setup(void **state)
{
    memset(vcpus, 0, sizeof(vcpus));
    memset(&bus, 0, sizeof(bus));
    lint_level = false;
    start.nvcpus = 1;
    start.tsc_khz = 2000000;
    guest_mem = (struct guest_mem){ram, sizeof(ram), NULL};
    assert_true(platform_init());
    vcpus[0].page = &registers;
    /* 8259s as on a PC: vectors 0x20 and 0x28, all inputs open. */
    for (unsigned port = 0x20; port <= 0xa0; port += 0x80) {
        pio_write(port, 1, 0x11);
        pio_write(port + 1u, 1, port == 0x20 ? 0x20 : 0x28);
        pio_write(port + 1u, 1, port == 0x20 ? 4 : 2);
        pio_write(port + 1u, 1, 1);
        pio_write(port + 1u, 1, 0);
    }
    assert_false(platform_pending());
    return 0;
}

static void by_the_8259(void **state)
{
    wire_irq(NULL, LINE, true);
    assert_true(platform_pending());
    assert_int_equal(platform_ack(), 0x20 + LINE);
    assert_false(platform_pending());
}

/* 8259A data sheet, "Poll command": the next read is the acknowledge. */
static void a_poll_takes_the_request_back(void **state)
{
    wire_irq(NULL, LINE, true);
    assert_true(platform_pending());
    pio_write(0x20, 1, 0x0c);
    assert_true(platform_pending());
    assert_int_equal(pio_read(0x20, 1), 0x80 | LINE);
    assert_false(platform_pending());
}

/* Saved between the device's edge and the moment at which the local APIC sees it; LINT0 is no
 * ExtINT. */
static void an_edge_at_lint0_is_not_lost_in_a_file(void **state)
{
    struct lapic *l = &vcpus[0].lapic;

    lapic_mmio_write(l, 0x350, 4, 0x31);
    wire_irq(NULL, LINE, true);
    vcpus[0].dirty = 0; /* that something has to be looked at is not in the file */
    platform_restored();
    assert_true(platform_pending());
    assert_int_equal(platform_ack(), 0x31);
    platform_restored(); /* the level is no other edge */
    assert_false(platform_pending());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(by_the_8259, setup),
        cmocka_unit_test_setup(a_poll_takes_the_request_back, setup),
        cmocka_unit_test_setup(an_edge_at_lint0_is_not_lost_in_a_file, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
