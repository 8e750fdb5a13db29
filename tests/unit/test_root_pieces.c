// flags: -D_GNU_SOURCE
/*
 * Root's account of pieces, with a kernel that knows the state of each and monitors that write what
 * they like: a piece is with one VM or free, and clean when it comes to somebody; nobody gets more
 * than is his, and nobody loses what he has not offered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

/* Time is what cleaning takes. */
static uint64_t now_tsc, scrub_tsc;
#define rt_tsc real_rt_tsc
#include "syscall.h"
#undef rt_tsc
#define rt_tsc() now_tsc

static uint64_t room; /* bytes of the one region */

static struct bh_result fake_left(uint64_t untyped) { return (struct bh_result){BH_OK, room}; }
#define bh_untyped_left fake_left

#include "vmm/root/pieces.c"

/* The host has stood still for a while. */
uint64_t patient_tsc(void) { return now_tsc + 7; }

enum { VMS = 3, PIECES = 30, SLOTS = 4096 };

static struct vm all[VMS];
static struct manifest_vm configs[VMS];
static struct bh_pieces shared_pages[VMS];
static uint8_t kinds[SLOTS]; /* what is in each slot: enum bh_cap_type; 0: nothing */
static bool dirty[SLOTS];    /* of the untyped in a slot */
static uint64_t slot_count, calls_left;
static unsigned signalled, scrubbed;
static bool never_maps; /* something of the monitor's own is there */

uint64_t vm_pieces(const struct manifest_vm *c) { return c->memory_mib / 2u - 1u; }
bool vm_failed(const struct vm *vm, const char *what, uint64_t err) { return err != BH_OK; }
void vm_signal_pieces(const struct vm *vm) { signalled++; }

uint64_t slots_take(uint64_t count)
{
    uint64_t first = slot_count;

    slot_count += count;
    assert_true(slot_count < SLOTS);
    return first;
}

/* Any call may fail, after so many. */
static bool fails(void) { return calls_left != 0 && --calls_left == 0; }

uint64_t retype(uint64_t untyped, unsigned type, unsigned size_bits, unsigned cpu, uint64_t count,
                uint64_t slot)
{
    assert_int_equal(kinds[slot], 0);
    assert_int_equal(count, LARGE_PAGES);
    assert_int_equal(size_bits, 9);
    if (type == BH_CAP_FUNTYPED) {
        if (room < LARGE_BYTES) return BH_ERR_MEMORY;
        room -= LARGE_BYTES;
    } else {
        if (fails()) return BH_ERR_TABLES;
        assert_int_equal(kinds[untyped], BH_CAP_FUNTYPED);
        assert_false(dirty[untyped]);
        dirty[untyped] = true;
    }
    kinds[slot] = (uint8_t)type;
    return BH_OK;
}

uint64_t attach(uint64_t frame, uint64_t space, uint64_t rights, uint64_t slot)
{
    assert_int_equal(kinds[frame], BH_CAP_FRAME);
    assert_int_equal(kinds[slot], 0);
    if (fails()) return BH_ERR_LIMIT;
    kinds[slot] = BH_CAP_ATTACH;
    return BH_OK;
}

uint64_t map(uint64_t attachment, uint64_t va, uint64_t offset, uint64_t pages, uint64_t flags)
{
    assert_int_equal(kinds[attachment], BH_CAP_ATTACH);
    assert_int_equal(va % LARGE_BYTES, 0);
    return fails() || never_maps ? BH_ERR_MAPPED : BH_OK;
}

uint64_t slot_delete(uint64_t slot)
{
    if (kinds[slot] == BH_CAP_FRAME) /* nothing leads to it any more */
        assert_true(kinds[slot + 1] == 0 && kinds[slot + 2] == 0);
    kinds[slot] = 0;
    return BH_OK;
}

uint64_t scrub(uint64_t untyped, uint64_t enough)
{
    assert_int_equal(kinds[untyped], BH_CAP_FUNTYPED);
    assert_int_equal(kinds[untyped + 1], 0);
    dirty[untyped] = false;
    scrubbed++;
    now_tsc += scrub_tsc;
    return BH_OK;
}

static int begin(void **state)
{
    struct bh_info *i = mmap((void *)BH_ROOT_INFO, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    assert_ptr_equal(i, (void *)BH_ROOT_INFO);
    i->funtyped_count = 1;
    memset(all, 0, sizeof(all));
    memset(kinds, 0, sizeof(kinds));
    memset(dirty, 0, sizeof(dirty));
    memset(shared_pages, 0, sizeof(shared_pages));
    slot_count = 1;
    calls_left = made = free_count = next_slots = 0;
    reserved = 0;
    room = (PIECES + 1u) * LARGE_BYTES;
    for (unsigned n = 0; n < VMS; n++) {
        configs[n] = (struct manifest_vm){.memory_mib = 22, .balloon_min_mib = 8};
        all[n] = (struct vm){.number = n, .config = &configs[n], .state = VM_RUNNING};
        all[n].pieces = &shared_pages[n];
    }
    pieces_init(all, VMS);
    return 0;
}

/* Each piece that there is: where its table says, or free. */
static void account(void)
{
    bool seen[PIECES + 1] = {false};
    unsigned with[VMS] = {0}, found = 0;

    for (unsigned n = 0; n < VMS; n++)
        for (uint32_t i = 0; i <= vm_pieces(&configs[n]); i++) {
            uint16_t p = *place(&all[n], i);

            if (p == NONE) continue;
            assert_true(i != 0 && p < made && !seen[p]);
            seen[p] = true;
            found++;
            with[n]++;
            for (unsigned s = 0; s < PIECE_SLOTS; s++) assert_int_not_equal(kinds[slots[p] + s], 0);
        }
    for (unsigned n = 0; n < VMS; n++) assert_int_equal(with[n], all[n].pieces_have);
    for (unsigned f = 0; f < free_count; f++) {
        assert_false(seen[free_list[f]]);
        seen[free_list[f]] = true;
        assert_false(dirty[slots[free_list[f]]]);
        for (unsigned s = 1; s < PIECE_SLOTS; s++)
            assert_int_equal(kinds[slots[free_list[f]] + s], 0);
    }
    assert_int_equal(found + free_count, made);
}

static void there_and_back(void **state)
{
    assert_int_equal(pieces_free(), PIECES);
    for (unsigned n = 0; n < VMS; n++) assert_true(pieces_give_all(&all[n]));
    assert_int_equal(pieces_free(), 0);
    account();
    for (unsigned i = 1; i <= 10; i++) shared_pages[1].state[i] = BH_PIECE_OFFERED;
    assert_false(pieces_poll()); /* it has not said that there is something */
    shared_pages[1].changes++;
    assert_true(pieces_poll());
    assert_int_equal(all[1].pieces_have, 2); /* eight at a time */
    assert_true(pieces_poll());
    assert_int_equal(all[1].pieces_have, 0);
    assert_false(pieces_poll());
    assert_int_equal(pieces_free(), 10);
    account();
    shared_pages[1].state[3] = BH_PIECE_WANTED;
    shared_pages[1].changes++;
    pieces_reserve(10); /* somebody is about to start */
    assert_false(pieces_poll());
    assert_int_equal(shared_pages[1].state[3], BH_PIECE_WANTED);
    pieces_reserve(9);
    assert_true(pieces_poll()); /* without being told again */
    assert_int_equal(shared_pages[1].state[3], BH_PIECE_USED);
    assert_int_equal(signalled, 1);
    account();
    for (unsigned n = 0; n < VMS; n++) assert_int_equal(pieces_take_all(&all[n]), BH_OK);
    assert_int_equal(pieces_free(), PIECES);
    account();
}

static void what_is_not_there_is_not_given(void **state)
{
    room = 25 * LARGE_BYTES;
    assert_true(pieces_give_all(&all[0]) && pieces_give_all(&all[1]));
    assert_false(pieces_give_all(&all[2]));
    assert_int_equal(all[2].pieces_have, 5);
    assert_int_equal(pieces_take_all(&all[2]), BH_OK);
    assert_int_equal(pieces_free(), 5);
    account();
    /* Whatever fails, what was there before is there again. */
    for (unsigned n = 1; n <= 5; n++) {
        assert_int_equal(pieces_take_all(&all[1]), BH_OK);
        calls_left = n;
        assert_false(pieces_give_all(&all[1]));
        account();
        assert_int_equal(all[1].pieces_have, 0);
        assert_true(pieces_give_all(&all[1]));
    }
}

/* A monitor that wants back what it makes impossible to give: at once no more is tried than moved.
 */
static void what_cannot_be_given_costs_little(void **state)
{
    assert_true(pieces_give_all(&all[0]));
    for (unsigned i = 1; i <= 10; i++) shared_pages[0].state[i] = BH_PIECE_OFFERED;
    shared_pages[0].changes++;
    while (pieces_poll())
        ;
    assert_int_equal(all[0].pieces_have, 0);
    for (unsigned i = 1; i <= 10; i++) shared_pages[0].state[i] = BH_PIECE_WANTED;
    shared_pages[0].changes++;
    never_maps = true;
    scrubbed = 0;
    (void)pieces_poll();
    assert_in_range(scrubbed, 1, MOVES_MAX);
    assert_int_equal(all[0].pieces_have, 0);
    account();
    never_maps = false;
    shared_pages[0].changes++;
    while (pieces_poll())
        ;
    assert_int_equal(all[0].pieces_have, 10);
    account();
}

/* Pieces that go and come all the time: most of root's time is for others. */
static void churn_costs_little(void **state)
{
    uint64_t spent = 0;

    assert_true(pieces_give_all(&all[0]));
    assert_int_equal(pieces_moved_tsc(), patient_tsc());
    scrub_tsc = 1000;
    for (unsigned turn = 0; turn < 5000u; turn++) {
        uint64_t begin_tsc = now_tsc;

        for (unsigned i = 1; i <= 10; i++)
            shared_pages[0].state[i] =
                *place(&all[0], i) == NONE ? BH_PIECE_WANTED : BH_PIECE_OFFERED;
        shared_pages[0].changes++;
        (void)pieces_poll();
        spent += now_tsc - begin_tsc;
        now_tsc += 300;
    }
    account();
    assert_in_range(spent, 1, now_tsc / 4u + 8u * scrub_tsc);
    scrub_tsc = 0;
    now_tsc = 1u << 30;
}

static void monitors_write_what_they_like(void **state)
{
    srand(4);
    for (unsigned n = 0; n < VMS; n++) assert_true(pieces_give_all(&all[n]));
    for (unsigned round = 0; round < 5000; round++) {
        for (unsigned n = 0; n < 2; n++) { /* the third offers nothing */
            for (unsigned k = 0; k < 4; k++)
                shared_pages[n].state[(unsigned)rand() % BH_PIECES_MAX % (rand() % 2 ? 16 : 4096)] =
                    (uint8_t)(rand() % 6);
            shared_pages[n].changes = (uint32_t)rand();
        }
        if (rand() % 5 == 0) calls_left = 1 + (unsigned)rand() % 9;
        pieces_reserve((unsigned)rand() % 12);
        (void)pieces_poll();
        calls_left = 0;
        account();
        assert_int_equal(all[2].pieces_have, 10);
    }
    for (unsigned n = 0; n < VMS; n++) assert_int_equal(pieces_take_all(&all[n]), BH_OK);
    account();
    assert_int_equal(pieces_free(), PIECES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(there_and_back, begin),
        cmocka_unit_test_setup(what_is_not_there_is_not_given, begin),
        cmocka_unit_test_setup(what_cannot_be_given_costs_little, begin),
        cmocka_unit_test_setup(churn_costs_little, begin),
        cmocka_unit_test_setup(monitors_write_what_they_like, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
