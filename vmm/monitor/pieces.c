/*
 * The RAM of an elastic VM: what its guest has given to the balloon is offered to root by pieces of
 * 2 MiB, and asked for again when the guest takes it back (bulkhead/pieces.h). A piece is a hole
 * for everybody from the moment on that it is meant to be offered, and is offered only when each
 * thread has passed its loop since: until then one may have a pointer into it. Under the device
 * lock. May call: post.c, guest memory, root's notification. Believes nothing of what the guest
 * says.
 */
#include "bulkhead/pieces.h"
#include "monitor.h"
#include "string.h"

#define WORDS (BH_PIECES_MAX / 64u)

_Static_assert(BH_PIECE_NOTE_BYTES * 8u == BH_PIECE_PAGES, "a bit for each page");

/* For each piece a bit for each page that is in the balloon; memory of devices, and saved with it.
 */
static uint64_t *notes;
static uint32_t given;          /* bits that are set there */
static uint64_t absent[WORDS];  /* guest_mem.absent */
static uint64_t leaving[WORDS]; /* absent since before the round of all threads that goes on */
static uint64_t left[WORDS];    /* absent, and all threads have passed: may be offered */
static bool round_due, round_on;
static uint32_t passed; /* threads, in this round */
static bool changed;    /* root is to look */

static struct bh_pieces *shared(void) { return (struct bh_pieces *)BH_MONITOR_PIECES; }

static unsigned piece_count(void) { return (unsigned)(guest_mem.size_bytes / BH_PIECE_BYTES); }

static bool bit(const uint64_t *set, unsigned i) { return (set[i / 64u] >> i % 64u & 1u) != 0; }

static void bit_put(uint64_t *set, unsigned i, bool on)
{
    uint64_t mask = (uint64_t)1 << i % 64u, value = on ? set[i / 64u] | mask : set[i / 64u] & ~mask;

    __atomic_store_n(&set[i / 64u], value, __ATOMIC_RELEASE);
}

/* All of its pages are in the balloon. */
static bool full(unsigned piece)
{
    uint64_t all = ~(uint64_t)0;

    for (unsigned i = 0; i < BH_PIECE_PAGES / 64u; i++) all &= notes[piece * 8u + i];
    return piece != 0 && all == ~(uint64_t)0;
}

static bool state_swap(unsigned piece, enum bh_piece from, enum bh_piece to)
{
    uint8_t expected = (uint8_t)from;

    if (!__atomic_compare_exchange_n(&shared()->state[piece], &expected, (uint8_t)to, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    changed = true;
    return true;
}

static void tell_root(void)
{
    struct bh_pieces *s = shared();

    __atomic_store_n(&s->given_pages, given, __ATOMIC_RELAXED);
    if (!changed) return;
    changed = false;
    __atomic_store_n(&s->changes, s->changes + 1u, __ATOMIC_RELEASE);
    (void)bh_signal(BH_MONITOR_SLOT_ROOT);
}

bool pieces_init(void)
{
    struct dev_ram ram;

    if (!vm_elastic()) return true;
    if (piece_count() > BH_PIECES_MAX ||
        !memory_take(&ram, (uint64_t)piece_count() * BH_PIECE_NOTE_BYTES))
        return false;
    notes = (uint64_t *)(void *)ram.bytes;
    guest_mem.absent = absent;
    return true;
}

/* ---- to root ---- */

static void leave(unsigned piece)
{
    bit_put(absent, piece, true);
    round_due = true;
}

/* Every thread has passed since what is leaving became a hole. */
static void offer(void)
{
    for (unsigned w = 0; w < WORDS; w++) left[w] |= leaving[w] & absent[w];
    for (unsigned i = 1; i < piece_count(); i++)
        if (bit(left, i) && full(i)) (void)state_swap(i, BH_PIECE_USED, BH_PIECE_OFFERED);
}

void pieces_passed(void)
{
    self()->code_page.bytes = NULL;
    if (__atomic_add_fetch(&passed, 1u, __ATOMIC_SEQ_CST) == vcpu_count() - 1u)
        post(vcpu_of(0), POST_TIME);
}

uint64_t pieces_deadline_ns(void)
{
    if (round_on)
        return __atomic_load_n(&passed, __ATOMIC_SEQ_CST) == vcpu_count() - 1u ? 0 : NO_DEADLINE_NS;
    return round_due ? 0 : NO_DEADLINE_NS;
}

void pieces_tick(void)
{
    if (!round_on && round_due) {
        round_due = false;
        round_on = true;
        for (unsigned w = 0; w < WORDS; w++) leaving[w] = absent[w] & ~left[w];
        self()->code_page.bytes = NULL;
        __atomic_store_n(&passed, 0, __ATOMIC_SEQ_CST);
        for (unsigned n = 1; n < vcpu_count(); n++) post(vcpu_of(n), POST_PASS);
    }
    if (round_on && __atomic_load_n(&passed, __ATOMIC_SEQ_CST) == vcpu_count() - 1u) {
        round_on = false;
        offer();
        tell_root();
    }
}

/* ---- and back ---- */

/* The guest needs an absent piece. @return whether it is there */
static bool come(unsigned piece)
{
    bool there = __atomic_load_n(&shared()->state[piece], __ATOMIC_ACQUIRE) == BH_PIECE_USED ||
                 state_swap(piece, BH_PIECE_OFFERED, BH_PIECE_USED);

    if (!there) {
        (void)state_swap(piece, BH_PIECE_GONE, BH_PIECE_WANTED);
        return false;
    }
    bit_put(leaving, piece, false);
    bit_put(left, piece, false);
    bit_put(absent, piece, false);
    return true;
}

static bool come_all(void)
{
    bool some = false;

    for (unsigned i = 1; i < piece_count(); i++)
        if (bit(absent, i) && !full(i)) some = come(i) || some;
    tell_root();
    return some;
}

bool pieces_look(void) { return vm_elastic() && come_all(); }

/* ---- the balloon ---- */

void pieces_given(uint64_t gpa)
{
    uint64_t offset;
    unsigned piece, page;

    if (!vm_elastic() || !guest_mem_offset(&guest_mem, gpa, 4096, &offset)) return;
    piece = (unsigned)(offset / BH_PIECE_BYTES);
    page = (unsigned)(offset / 4096u);
    if (bit(absent, piece) || bit(notes, page)) return;
    bit_put(notes, page, true);
    given++;
    if (full(piece)) leave(piece);
}

bool pieces_taken(uint64_t gpa)
{
    uint64_t offset;
    unsigned piece, page;

    if (!vm_elastic() || !guest_mem_offset(&guest_mem, gpa, 4096, &offset)) return true;
    piece = (unsigned)(offset / BH_PIECE_BYTES);
    page = (unsigned)(offset / 4096u);
    if (bit(notes, page)) {
        bit_put(notes, page, false);
        given--;
    }
    return !bit(absent, piece) || come(piece);
}

void pieces_settle(void)
{
    if (vm_elastic()) tell_root();
}

void pieces_reset(void)
{
    if (!vm_elastic()) return;
    memset(notes, 0, (size_t)piece_count() * BH_PIECE_NOTE_BYTES);
    given = 0;
    (void)come_all();
}

/* Anybody may have written what was loaded. */
void pieces_restored(void)
{
    if (!vm_elastic()) return;
    given = 0;
    for (unsigned i = 0; i < piece_count() * BH_PIECE_PAGES; i++) given += bit(notes, i);
    for (unsigned i = 1; i < piece_count(); i++)
        if (full(i)) leave(i);
    tell_root();
}
