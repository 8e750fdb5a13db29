// sources: vmm/monitor/dev/guest_mem.c
// flags: -D_GNU_SOURCE -iquote vmm/rt -iquote vmm/monitor -iquote vmm/monitor/dev
/*
 * Memory of devices that the guest sees: what is mapped where, and pages that are lent so that an
 * instruction can write to what is read-only. The kernel is a table of pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "bulkhead/monitor.h"
static struct bh_monitor_start start;
#undef BH_MONITOR_START
#define BH_MONITOR_START ((uint64_t)&start)
#include "vmm/monitor/memory.c"

#define RAM       0x200000u
#define DEVICES   0x200000u
#define ROM_BYTES 0x40000u
#define ROM_GPA   (0x100000000u - ROM_BYTES)
#define ENTRIES   1024u

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
uint32_t device_lock_word;
bool device_lock_needed;
static struct {
    uint64_t gpa, offset, flags; /* flags 0: free */
} entries[ENTRIES];
static uint64_t now;
static bool no_room;
static struct dev_ram rom;

void device_lock_wait(void) {}

uint64_t clock_ns(void) { return now; }

static unsigned find(uint64_t gpa)
{
    unsigned i = 0;

    while (i < ENTRIES && !(entries[i].flags && entries[i].gpa == gpa)) i++;
    return i;
}

struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    uint64_t pages = method == BH_M_attach_map ? a2 : a1;

    assert_int_equal(cap, BH_MONITOR_SLOT_RAM);
    for (uint64_t n = 0; n < pages; n++) {
        unsigned i = find(a0 + n * PAGE_BYTES);

        if (method == BH_M_attach_map) {
            assert_int_equal(i, ENTRIES);
            if (no_room) return (struct bh_result){BH_ERR_TABLES, 1};
            for (i = 0; entries[i].flags; i++) assert_true(i + 1u < ENTRIES);
            entries[i].gpa = a0 + n * PAGE_BYTES;
            entries[i].offset = (a1 & ~(uint64_t)(PAGE_BYTES - 1u)) + n * PAGE_BYTES;
            entries[i].flags = a1 & (PAGE_BYTES - 1u);
        } else if (i < ENTRIES) {
            entries[i].flags = 0;
        }
    }
    return (struct bh_result){BH_OK, 0};
}

static void *seen(uint64_t gpa)
{
    unsigned i = find(gpa & ~(uint64_t)(PAGE_BYTES - 1u));

    return i == ENTRIES ? NULL
                        : (uint8_t *)BH_MONITOR_RAM + entries[i].offset + (gpa & (PAGE_BYTES - 1u));
}

static bool writable(uint64_t gpa)
{
    unsigned i = find(gpa & ~(uint64_t)(PAGE_BYTES - 1u));

    return i < ENTRIES && (entries[i].flags & BH_MAP_WRITE);
}

static int setup(void **state)
{
    memset(entries, 0, sizeof(entries));
    memset(views, 0, sizeof(views));
    memset(vcpus, 0, sizeof(vcpus));
    memset((void *)BH_MONITOR_RAM, 0, RAM + DEVICES);
    start.ram_bytes = RAM;
    start.device_ram_bytes = DEVICES;
    device_ram_used = 0;
    nlent = 0;
    lent_until_ns = NO_DEADLINE_NS;
    no_room = false;
    now = 1000;
    memory_init();
    assert_true(memory_take(&rom, ROM_BYTES));
    for (uint64_t i = 0; i < ROM_BYTES; i++) rom.bytes[i] = (uint8_t)(i >> 12);
    assert_true(memory_map_device(NULL, &rom, 0, ROM_BYTES, ROM_GPA, DEV_MAP_READ | DEV_MAP_EXEC));
    return 0;
}

/* What is written is seen until it is given back, and is nowhere then. */
static void a_page_is_lent(void **state)
{
    const uint64_t gpa = ROM_GPA + 0x3724u;
    uint8_t *p;

    assert_ptr_equal(seen(gpa), rom.bytes + 0x3724);
    assert_false(writable(gpa));
    assert_true(memory_lend(gpa));
    assert_true(writable(gpa));
    assert_false(writable(gpa + PAGE_BYTES));
    assert_true(vcpus[0].dirty & DIRTY_DEVICES);
    assert_int_equal(memory_deadline_ns(), now + LEND_NS);
    p = seen(gpa);
    assert_in_range((uint64_t)p, BH_MONITOR_RAM + GUEST_VGA_HOLE, BH_MONITOR_RAM + GUEST_VGA_END);
    assert_int_equal(*p, 3);
    *p = 0x8b;
    assert_true(memory_lend(gpa + 8u)); /* is lent already */
    assert_int_equal(*(uint8_t *)seen(gpa), 0x8b);
    memory_tick(now + LEND_NS - 1u);
    assert_true(writable(gpa));
    memory_tick(now + LEND_NS);
    assert_int_equal(memory_deadline_ns(), NO_DEADLINE_NS);
    assert_ptr_equal(seen(gpa), rom.bytes + 0x3724);
    assert_false(writable(gpa));
    assert_int_equal(rom.bytes[0x3724], 3);
}

static void what_is_not_lent(void **state)
{
    struct dev_ram frame;

    assert_false(memory_lend(0xfeb00000)); /* nothing */
    assert_true(memory_take(&frame, 0x1000));
    assert_true(
        memory_map_device(NULL, &frame, 0, 0x1000, 0xfd000000, DEV_MAP_READ | DEV_MAP_WRITE));
    assert_false(memory_lend(0xfd000000)); /* is written as it is */
    no_room = true;
    assert_false(memory_lend(ROM_GPA));
    no_room = false;
    guest_mem.size_bytes = GUEST_VGA_HOLE; /* nowhere to put it */
    assert_false(memory_lend(ROM_GPA + 0x1000u));
    assert_false(writable(ROM_GPA + 0x1000u));
    assert_int_equal(memory_deadline_ns(), NO_DEADLINE_NS);
}

/* More pages than there is room for; a device that takes its memory away meanwhile. */
static void all_come_back(void **state)
{
    for (unsigned n = 0; n < ROM_BYTES / PAGE_BYTES; n++) {
        assert_true(memory_lend(ROM_GPA + n * PAGE_BYTES));
        assert_true(writable(ROM_GPA + n * PAGE_BYTES));
        assert_int_equal(*(uint8_t *)seen(ROM_GPA + n * PAGE_BYTES), n);
    }
    assert_true(nlent <= LENT_MAX);
    assert_true(memory_map_device(NULL, &rom, 0, ROM_BYTES, ROM_GPA, 0));
    for (unsigned n = 0; n < ROM_BYTES / PAGE_BYTES; n++)
        assert_null(seen(ROM_GPA + n * PAGE_BYTES));
    assert_int_equal(nlent, 0);
    assert_true(memory_map_device(NULL, &rom, 0, ROM_BYTES, ROM_GPA, DEV_MAP_READ));
    memory_tick(UINT64_MAX);
    for (unsigned n = 0; n < ROM_BYTES / PAGE_BYTES; n++) {
        assert_ptr_equal(seen(ROM_GPA + n * PAGE_BYTES), rom.bytes + n * PAGE_BYTES);
        assert_false(writable(ROM_GPA + n * PAGE_BYTES));
    }
}

/* RAM that is away for now is wanted again at its place: a BAR that the guest has put there would
 * keep it out for good. */
static void no_device_is_where_ram_belongs(void **state)
{
    static const uint64_t no[] = {0, 0x9f000, RAM - PAGE_BYTES, GUEST_LEGACY_END - PAGE_BYTES};
    static const uint64_t away[1] = {~(uint64_t)0};
    struct dev_ram frame;

    assert_true(memory_take(&frame, 2u * PAGE_BYTES));
    guest_mem.absent = away;
    for (unsigned i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(memory_map_device(NULL, &frame, 0, 2u * PAGE_BYTES, no[i], DEV_MAP_READ));
    assert_true(memory_map_device(NULL, &frame, 0, 2u * PAGE_BYTES, RAM, DEV_MAP_READ));
    assert_true(memory_map_device(NULL, &frame, 0, 2u * PAGE_BYTES, GUEST_VGA_HOLE, DEV_MAP_READ));
    assert_true(
        memory_map_device(NULL, &frame, 0, 2u * PAGE_BYTES, GUEST_HIGH_RAM_BASE, DEV_MAP_READ));
    assert_false(memory_map_device(NULL, &frame, 0, 2u * PAGE_BYTES, 0u - 2u * (uint64_t)PAGE_BYTES,
                                   DEV_MAP_READ));
    guest_mem.absent = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_page_is_lent, setup),
        cmocka_unit_test_setup(what_is_not_lent, setup),
        cmocka_unit_test_setup(all_come_back, setup),
        cmocka_unit_test_setup(no_device_is_where_ram_belongs, setup),
    };
    void *at = mmap((void *)BH_MONITOR_RAM, RAM + DEVICES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (at != (void *)BH_MONITOR_RAM) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
