// sources: vmm/rt/fmt.c
/*
 * Root's admission: each thing that a start takes, one too many and just enough; whose memory is
 * inherited.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "syscall.h"

static uint64_t pool_left, regions[2], kernel_pages, own_pages, store_bytes, slots, wanted_slots;
static uint64_t wanted_pieces, pooled;
static bool has_store;
static unsigned moves;

static struct bh_result fake_left(uint64_t untyped)
{
    uint64_t left = untyped == BH_SLOT_KUNTYPED ? pool_left : regions[untyped - BH_SLOT_FUNTYPED];

    return (struct bh_result){BH_OK, left};
}
static struct bh_result fake_type(uint64_t cnode, uint64_t slot)
{
    return (struct bh_result){BH_OK, cnode == BH_SLOT_CNODE && slot != 0 && has_store};
}
static struct bh_result fake_move(uint64_t cnode, uint64_t slot, uint64_t from)
{
    moves++;
    return (struct bh_result){BH_OK, 0};
}
#define bh_untyped_left fake_left
#define bh_cnode_type   fake_type
#define bh_cnode_move   fake_move

#include "vmm/root/admit.c"

static struct vm all[3];
static struct manifest_vm configs[3];
static unsigned records;

uint64_t slots_left(void) { return slots; }
uint64_t vm_slots(const struct manifest_vm *c) { return wanted_slots; }
uint64_t vm_kernel_pages(const struct manifest_vm *c) { return kernel_pages; }
uint64_t vm_own_pages(const struct manifest_vm *c) { return own_pages; }
uint64_t vm_store_bytes(const struct manifest_vm *c) { return store_bytes; }
unsigned vcpu_cpu(const struct vm *vm, unsigned n) { return vm->config->vcpu_cpu[n]; }
uint64_t vm_pieces(const struct manifest_vm *c) { return wanted_pieces; }
uint64_t pieces_pooled(void) { return pooled; }
uint64_t pieces_in(uint64_t bytes) { return bytes / LARGE_BYTES; }
uint64_t elastic_spare(const struct vm *vm) { return 7; }
void say(const char *format, ...) {}
void audit_begin(const char *event) { records += strcmp(event, "vm-refused") == 0; }
void audit_number(const char *key, uint64_t value) {}
void audit_text(const char *key, const char *value) {}
void audit_end(void) {}

/* Everything just fits: 100 MiB and their alignment in the second region. */
static int begin(void **state)
{
    struct bh_info *info = mmap((void *)BH_ROOT_INFO, 4096, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    assert_ptr_equal(info, (void *)BH_ROOT_INFO);
    info->funtyped_count = 2;
    memset(all, 0, sizeof(all));
    memset(configs, 0, sizeof(configs));
    for (unsigned i = 0; i < 3; i++) {
        all[i].config = &configs[i];
        configs[i].name = "vm";
        configs[i].cpus = 1;
    }
    pool_left = 80u << 10;
    kernel_pages = 20;
    regions[0] = 50 * MIB;
    regions[1] = 102 * MIB;
    own_pages = 100 * MIB / PAGE;
    store_bytes = 0;
    has_store = false;
    slots = wanted_slots = 40;
    wanted_pieces = pooled = 0;
    records = moves = 0;
    admit_init(all, 3);
    return 0;
}

static void refused(const char *why)
{
    assert_false(admit(&all[0]));
    assert_string_equal(all[0].reason, why);
    assert_int_equal(records, 1);
    (void)begin(NULL);
    assert_true(admit(&all[0]));
    assert_int_equal(records, 0);
}

static void each_is_counted(void **state)
{
    slots = 30;
    refused("vm vm: needs 40 capability slots, 30 are free: 10 too many");
    pool_left = 60u << 10;
    refused("vm vm: needs 80 KiB of kernel memory, 60 KiB are free: 20 KiB too many");
    regions[1] = 90 * MIB;
    refused("vm vm: needs 102 MiB of memory, 90 MiB are free: 12 MiB too many");
    store_bytes = 60 * MIB;
    refused("vm vm: needs 62 MiB of memory, 50 MiB are free: 12 MiB too many");
}

/* Beside its own 100 MiB there are 50 and 0. */
static void pieces_come_from_everywhere(void **state)
{
    wanted_pieces = 30;
    pooled = 5;
    assert_true(admit(&all[0]));
    assert_int_equal(admit_lacks_pieces(&all[0]), 0);
    pooled = 2;
    assert_int_equal(admit_lacks_pieces(&all[0]), 3);
    assert_false(admit(&all[0]));
    assert_string_equal(all[0].reason,
                        "vm vm: needs 60 MiB (others could give 14), 54 MiB are free: 6 MiB too "
                        "many");
    assert_int_equal(records, 1);
}

static void floors_of_those_that_run_count(void **state)
{
    configs[0].floor_percent = 30;
    configs[0].cpus = 2; /* both on CPU 0 */
    configs[1].floor_percent = configs[2].floor_percent = 20;
    all[2].state = VM_RUNNING;
    assert_true(admit(&all[0]));
    all[1].state = VM_PAUSED;
    assert_false(admit(&all[0]));
    assert_string_equal(all[0].reason, "vm vm: needs 60 % of CPU 0, 55 % are free: 5 % too many");
    configs[1].vcpu_cpu[0] = 1;
    assert_true(admit(&all[0]));
    configs[1].vcpu_cpu[0] = 0;
    all[1].state = VM_STARTING; /* started by hand: who comes first */
    configs[1].start = MANIFEST_START_MANUAL;
    assert_true(admit(&all[0]));
    configs[1].start = MANIFEST_START_BOOT; /* about to be restarted */
    assert_false(admit(&all[0]));
}

static void what_it_has_is_not_needed_again(void **state)
{
    slots = pool_left = regions[0] = regions[1] = 0;
    all[0].slots = 100;
    all[0].kuntyped_bytes = 1;
    all[0].funtyped_bytes = own_pages * PAGE;
    assert_true(admit(&all[0]));
    store_bytes = MIB;
    assert_false(admit(&all[0]));
    has_store = true;
    assert_true(admit(&all[0]));
}

static void the_smallest_that_suffices_is_inherited(void **state)
{
    regions[1] = 0;
    all[1].funtyped_bytes = 300 * MIB;
    all[2].funtyped_bytes = 100 * MIB;
    all[1].state = all[2].state = VM_STOPPED;
    assert_true(admit(&all[0]) && admit_inherit(&all[0]));
    assert_int_equal(all[0].funtyped_bytes, 100 * MIB);
    assert_int_equal(all[2].funtyped_bytes, 0);
    assert_int_equal(moves, 1);
    all[0].funtyped_bytes = 0;
    all[1].state = VM_STARTING; /* wants it itself */
    assert_false(admit(&all[0]));
    assert_false(admit_inherit(&all[0]));
    all[1].state = VM_RUNNING;
    assert_false(admit(&all[0]));
    all[1].state = VM_CRASHED;
    all[1].has_ended = true; /* its restart is not decided yet */
    assert_false(admit(&all[0]));
    all[1].has_ended = false;
    assert_true(admit(&all[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_is_counted, begin),
        cmocka_unit_test_setup(pieces_come_from_everywhere, begin),
        cmocka_unit_test_setup(floors_of_those_that_run_count, begin),
        cmocka_unit_test_setup(what_it_has_is_not_needed_again, begin),
        cmocka_unit_test_setup(the_smallest_that_suffices_is_inherited, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
