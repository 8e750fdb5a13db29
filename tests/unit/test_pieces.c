// sources: vmm/monitor/dev/guest_mem.c
// flags: -D_GNU_SOURCE -iquote vmm/rt -iquote vmm/monitor -iquote vmm/monitor/dev
/*
 * RAM that comes and goes, with a root that takes and gives as the test says: when a piece is
 * offered, that nobody has a pointer into it then, how it comes back, and guests that say anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define bh_signal syscall_bh_signal
#include "vmm/rt/syscall.h"
#undef bh_signal
uint64_t bh_signal(uint64_t ntfn);

#include "bulkhead/monitor.h"
#include "bulkhead/pieces.h"
static struct bh_monitor_start start;
static struct bh_pieces page_of_both;
#undef BH_MONITOR_START
#define BH_MONITOR_START ((uint64_t)&start)
#undef BH_MONITOR_PIECES
#define BH_MONITOR_PIECES ((uint64_t)&page_of_both)
#include "vmm/monitor/pieces.c"

enum { PIECES = 8, CPUS = 3 };

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
static uint64_t memory[PIECES * 8];
static unsigned told; /* root has been, so often */
static uint32_t posted[CPUS];

uint64_t bh_signal(uint64_t ntfn)
{
    assert_int_equal(ntfn, BH_MONITOR_SLOT_ROOT);
    told++;
    return BH_OK;
}

void post(struct vcpu *to, uint32_t bits) { posted[to - vcpus] |= bits; }

bool memory_take(struct dev_ram *ram, uint64_t bytes)
{
    assert_int_equal(bytes, sizeof(memory));
    *ram = (struct dev_ram){(uint8_t *)memory, bytes};
    return true;
}

static int begin(unsigned cpus)
{
    memset(&page_of_both, 0, sizeof(page_of_both));
    memset(memory, 0, sizeof(memory));
    memset(absent, 0, sizeof(absent));
    memset(leaving, 0, sizeof(leaving));
    memset(left, 0, sizeof(left));
    memset(posted, 0, sizeof(posted));
    memset(vcpus, 0, sizeof(vcpus));
    given = told = passed = 0;
    round_due = round_on = changed = false;
    vcpu_self = 0;
    start.nvcpus = cpus;
    start.flags = BH_MONITOR_FLAG_ELASTIC;
    guest_mem = (struct guest_mem){(uint8_t *)0x10000000, PIECES * BH_PIECE_BYTES, NULL};
    assert_true(pieces_init());
    return 0;
}

static int one_cpu(void **state) { return begin(1); }
static int more_cpus(void **state) { return begin(CPUS); }

static void give(unsigned piece, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) pieces_given(piece * BH_PIECE_BYTES + i * 4096u);
    pieces_settle();
}

static bool there(unsigned piece)
{
    return guest_mem_ptr(&guest_mem, piece * BH_PIECE_BYTES + 4096u, 8) != NULL;
}

static bool take(unsigned piece, unsigned page)
{
    bool ok = pieces_taken(piece * BH_PIECE_BYTES + page * 4096u);

    pieces_settle();
    return ok;
}

static unsigned state_of(unsigned piece) { return page_of_both.state[piece]; }

static void whole_pieces_are_offered(void **state)
{
    give(3, 0, 511);
    give(3, 0, 511); /* the same again is nothing */
    assert_int_equal(page_of_both.given_pages, 511);
    assert_true(there(3));
    assert_true(pieces_deadline_ns() == NO_DEADLINE_NS);
    vcpus[0].code_page.bytes = (const uint8_t *)memory;
    give(3, 511, 512);
    assert_false(there(3)); /* from now on nobody gets there */
    assert_int_equal(state_of(3), BH_PIECE_USED);
    assert_int_equal(told, 0);
    assert_true(pieces_deadline_ns() == 0);
    pieces_tick();
    assert_null(vcpus[0].code_page.bytes);
    assert_int_equal(state_of(3), BH_PIECE_OFFERED);
    assert_int_equal(told, 1);
    assert_int_equal(page_of_both.changes, 1);
    assert_true(pieces_deadline_ns() == NO_DEADLINE_NS);
    give(3, 0, 512); /* not there: nothing */
    assert_int_equal(page_of_both.given_pages, 512);
    give(0, 0, 512); /* the first stays */
    pieces_tick();
    assert_true(there(0));
    assert_int_equal(state_of(0), BH_PIECE_USED);
    pieces_given(PIECES * BH_PIECE_BYTES); /* no RAM */
    pieces_given(~(uint64_t)0 << 12);
    assert_true(pieces_taken(PIECES * BH_PIECE_BYTES));
    assert_int_equal(page_of_both.given_pages, 1024);
}

static void taken_back_before_root_has_it(void **state)
{
    give(2, 0, 512);
    assert_true(take(2, 7)); /* not offered yet */
    assert_true(there(2));
    pieces_tick();
    assert_int_equal(state_of(2), BH_PIECE_USED);
    give(2, 7, 8);
    pieces_tick();
    assert_int_equal(state_of(2), BH_PIECE_OFFERED);
    assert_true(take(2, 9));
    assert_true(there(2));
    assert_int_equal(state_of(2), BH_PIECE_USED);
    assert_int_equal(page_of_both.given_pages, 511);
}

static void gone_and_come(void **state)
{
    give(2, 0, 512);
    give(5, 0, 512);
    pieces_tick();
    page_of_both.state[2] = page_of_both.state[5] = BH_PIECE_GONE;
    told = 0;
    assert_false(take(2, 0));
    assert_int_equal(state_of(2), BH_PIECE_WANTED);
    assert_int_equal(told, 1);
    assert_false(take(2, 0));
    assert_int_equal(told, 1); /* it has been told */
    assert_false(pieces_look());
    assert_false(there(2));
    page_of_both.state[2] = BH_PIECE_USED;
    assert_true(pieces_look());
    assert_true(there(2) && take(2, 0));
    assert_false(there(5));
    assert_int_equal(state_of(5), BH_PIECE_GONE);
    give(2, 0, 1); /* once more, from the beginning */
    assert_false(there(2));
    pieces_tick();
    assert_int_equal(state_of(2), BH_PIECE_OFFERED);
}

/* Another thread may be about to use a pointer that it has got before. */
static void every_thread_passes_first(void **state)
{
    give(1, 0, 512);
    pieces_tick();
    assert_int_equal(posted[1], POST_PASS);
    assert_int_equal(posted[2], POST_PASS);
    assert_int_equal(state_of(1), BH_PIECE_USED);
    assert_true(pieces_deadline_ns() == NO_DEADLINE_NS);
    vcpu_self = 1;
    vcpus[1].code_page.bytes = (const uint8_t *)memory;
    pieces_passed();
    assert_null(vcpus[1].code_page.bytes);
    assert_int_equal(posted[0], 0);
    vcpu_self = 0;
    pieces_tick(); /* for another reason */
    assert_int_equal(state_of(1), BH_PIECE_USED);
    give(4, 0, 512);         /* after vCPU 1 has passed: not in this round */
    assert_true(take(1, 3)); /* and this one was there meanwhile, and is full again */
    give(1, 3, 4);
    vcpu_self = 2;
    pieces_passed();
    assert_int_equal(posted[0], POST_TIME);
    vcpu_self = 0;
    assert_true(pieces_deadline_ns() == 0);
    posted[1] = posted[2] = 0;
    pieces_tick();
    assert_int_equal(state_of(1), BH_PIECE_USED);
    assert_int_equal(state_of(4), BH_PIECE_USED);
    assert_true(pieces_deadline_ns() == 0);
    pieces_tick();
    assert_int_equal(posted[1] & posted[2], POST_PASS);
    pieces_passed();
    pieces_passed();
    pieces_tick();
    assert_int_equal(state_of(1), BH_PIECE_OFFERED);
    assert_int_equal(state_of(4), BH_PIECE_OFFERED);
}

static void reset_wants_all_back(void **state)
{
    for (unsigned i = 1; i < 5; i++) give(i, 0, 512);
    pieces_tick();
    page_of_both.state[2] = page_of_both.state[3] = BH_PIECE_GONE;
    pieces_reset();
    assert_int_equal(page_of_both.given_pages, 0);
    assert_true(there(1) && there(4));
    assert_int_equal(state_of(2), BH_PIECE_WANTED);
    assert_int_equal(state_of(3), BH_PIECE_WANTED);
    page_of_both.state[2] = page_of_both.state[3] = BH_PIECE_USED;
    assert_true(pieces_look());
    for (unsigned i = 0; i < PIECES; i++) assert_true(there(i));
}

/* Whole again after a restore: what is all in the balloon is offered anew. */
static void restored(void **state)
{
    for (unsigned i = 0; i < 16; i++) memory[i] = ~(uint64_t)0;
    memory[3 * 8] = 5;
    pieces_restored();
    assert_int_equal(page_of_both.given_pages, 512 + 512 + 2);
    assert_false(there(1));
    assert_true(there(0) && there(3));
    pieces_tick();
    assert_int_equal(state_of(1), BH_PIECE_OFFERED);
}

/* Whatever the guest says and root does: what is given counts once, and a hole is a piece that is
 * in the balloon or not back yet. */
static void anything(void **state)
{
    srand(3);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned piece = (unsigned)rand() % (PIECES + 2u), from = (unsigned)rand() % 512u, bits = 0;

        switch (rand() % 6) {
        case 0:
        case 1: give(piece, rand() % 2 ? 0 : from, rand() % 2 ? 512 : from + 9u); break;
        case 2: (void)take(piece, from); break;
        case 3: pieces_tick(); break;
        case 4:
            for (unsigned i = 0; i < PIECES; i++) {
                if (state_of(i) == BH_PIECE_OFFERED && rand() % 2)
                    page_of_both.state[i] = BH_PIECE_GONE;
                else if (state_of(i) == BH_PIECE_WANTED && rand() % 2)
                    page_of_both.state[i] = BH_PIECE_USED;
            }
            (void)pieces_look();
            break;
        default:
            if (rand() % 50 == 0) pieces_reset();
        }
        for (unsigned i = 0; i < PIECES * 512u; i++) bits += bit(notes, i);
        assert_int_equal(bits, given);
        for (unsigned i = 0; i < PIECES; i++)
            assert_true(there(i) ? state_of(i) == BH_PIECE_USED
                                 : full(i) || state_of(i) == BH_PIECE_WANTED);
    }
}

static void others_are_left_alone(void **state)
{
    start.flags = 0;
    guest_mem.absent = NULL;
    assert_true(pieces_init());
    assert_null(guest_mem.absent);
    give(2, 0, 512);
    assert_true(take(2, 0));
    pieces_reset();
    pieces_restored();
    assert_true(pieces_deadline_ns() == NO_DEADLINE_NS);
    assert_false(pieces_look());
    assert_int_equal(told + page_of_both.given_pages, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(whole_pieces_are_offered, one_cpu),
        cmocka_unit_test_setup(taken_back_before_root_has_it, one_cpu),
        cmocka_unit_test_setup(gone_and_come, one_cpu),
        cmocka_unit_test_setup(every_thread_passes_first, more_cpus),
        cmocka_unit_test_setup(reset_wants_all_back, one_cpu),
        cmocka_unit_test_setup(restored, one_cpu),
        cmocka_unit_test_setup(anything, one_cpu),
        cmocka_unit_test_setup(others_are_left_alone, one_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
