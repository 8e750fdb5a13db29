/* The memory of elastic VMs; see pieces.h. */
#include "pieces.h"
#include <stddef.h>
#include "caps.h"
#include "log.h"
#include "patience.h"
#include "vm_parts.h"

#define LARGE_PAGES (LARGE_BYTES / PAGE)
#define MOVES_MAX   8u /* at once: what a turn of root's loop may take */
#define REST        3u /* then so many times as long as that has taken none */
#define NONE        UINT16_MAX

/* Slots of a piece, one behind the other. */
enum { PIECE_UNTYPED, PIECE_FRAME, PIECE_MONITOR, PIECE_GUEST, PIECE_SLOTS };

_Static_assert(LARGE_BYTES == BH_PIECE_BYTES, "one entry of a table");
_Static_assert(PIECES_MAX < NONE, "a number each");

static uint32_t slots[PIECES_MAX];     /* of each piece that there is */
static uint16_t free_list[PIECES_MAX]; /* pieces that nobody has */
static uint32_t made, free_count;
static uint32_t next_slots; /* of a piece to be made; 0: not taken yet */

/* What each elastic VM has at its RAM's 2 MiB number i: at bases[VM] + i; NONE: nothing. */
static uint16_t table[PIECES_MAX];
static uint32_t bases[VMS_MAX];

static struct vm *vms;
static unsigned vm_count;
static uint64_t reserved, moved_tsc, rest_tsc;

static uint16_t *place(const struct vm *vm, uint32_t i) { return &table[bases[vm->number] + i]; }

void pieces_init(struct vm *all, unsigned count)
{
    uint32_t base = 0;

    vms = all;
    vm_count = count;
    for (unsigned i = 0; i < PIECES_MAX; i++) table[i] = NONE;
    for (unsigned i = 0; i < count; i++) {
        bases[i] = base;
        if (vm_elastic(all[i].config)) base += (uint32_t)vm_pieces(all[i].config) + 1u;
    }
}

/* ---- the pool ---- */

uint64_t pieces_pooled(void) { return free_count; }

/* The first one may begin later: each is aligned. */
uint64_t pieces_in(uint64_t bytes)
{
    return bytes + PAGE < LARGE_BYTES ? 0 : (bytes + PAGE) / LARGE_BYTES - 1u;
}

uint64_t pieces_free(void)
{
    uint64_t count = free_count;

    for (unsigned i = 0; i < info()->funtyped_count; i++)
        count += pieces_in(bh_untyped_left(BH_SLOT_FUNTYPED + i).value);
    return count;
}

void pieces_reserve(uint64_t count) { reserved = count; }

uint64_t pieces_moved_tsc(void) { return moved_tsc; }

static bool piece_make(void)
{
    uint64_t err = BH_ERR_MEMORY;

    if (made == PIECES_MAX) return false;
    if (!next_slots) next_slots = (uint32_t)slots_take(PIECE_SLOTS);
    for (unsigned i = 0; next_slots && i < info()->funtyped_count && err; i++)
        err = retype(BH_SLOT_FUNTYPED + i, BH_CAP_FUNTYPED, log2_up(LARGE_PAGES), 0, LARGE_PAGES,
                     next_slots + PIECE_UNTYPED);
    if (err) return false;
    slots[made] = next_slots;
    next_slots = 0;
    free_list[free_count++] = (uint16_t)made++;
    return true;
}

/* ---- with a VM ---- */

/* At the VM's RAM number @i. @return the kernel's error; then some of it may be there. */
static uint64_t piece_map(const struct vm *vm, uint32_t i, uint32_t s)
{
    uint64_t rw = BH_RIGHT_READ | BH_RIGHT_WRITE, offset = i * BH_PIECE_BYTES, err;

    err = retype(s + PIECE_UNTYPED, BH_CAP_FRAME, log2_up(LARGE_PAGES), 0, LARGE_PAGES,
                 s + PIECE_FRAME);
    if (!err) err = attach(s + PIECE_FRAME, vm->slots + VS_HOSTSPACE, rw, s + PIECE_MONITOR);
    if (!err)
        err = map(s + PIECE_MONITOR, BH_MONITOR_RAM + offset, 0, LARGE_PAGES,
                  BH_MAP_READ | BH_MAP_WRITE);
    if (!err)
        err =
            attach(s + PIECE_FRAME, vm->slots + VS_GUESTSPACE, rw | BH_RIGHT_EXEC, s + PIECE_GUEST);
    if (!err)
        err = map(s + PIECE_GUEST, bh_ram_gpa(offset), 0, LARGE_PAGES,
                  BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC);
    return err;
}

/* Nobody reaches them any more, then they are clean. One wait for all of them each time. */
static uint64_t pieces_clean(const uint16_t *pieces, unsigned count)
{
    uint64_t err = BH_OK;

    for (unsigned n = 0; n < count && !err; n++) {
        err = slot_delete(slots[pieces[n]] + PIECE_GUEST);
        if (!err) err = slot_delete(slots[pieces[n]] + PIECE_MONITOR);
    }
    for (unsigned n = 0; n < count && !err; n++) err = slot_delete(slots[pieces[n]] + PIECE_FRAME);
    for (unsigned n = 0; n < count && !err; n++)
        err = scrub(slots[pieces[n]] + PIECE_UNTYPED, LARGE_BYTES);
    for (unsigned n = 0; n < count && !err; n++) free_list[free_count++] = pieces[n];
    if (count) moved_tsc = patient_tsc();
    return err;
}

static uint64_t give(struct vm *vm, uint32_t i)
{
    uint16_t piece;
    uint64_t err;

    if (free_count == 0 && !piece_make()) return BH_ERR_MEMORY;
    piece = free_list[--free_count];
    err = piece_map(vm, i, slots[piece]);
    if (err) {
        (void)pieces_clean(&piece, 1);
        return err;
    }
    *place(vm, i) = piece;
    vm->pieces_have++;
    moved_tsc = patient_tsc();
    return BH_OK;
}

bool pieces_give_all(struct vm *vm)
{
    uint64_t err = BH_OK;

    vm->pieces_seen = 0;
    vm->pieces_left = false;
    for (uint32_t i = 1; i <= vm_pieces(vm->config) && !err; i++) err = give(vm, i);
    return !vm_failed(vm, "guest memory", err);
}

uint64_t pieces_take_all(struct vm *vm)
{
    uint16_t batch[64];
    unsigned count = 0;
    uint64_t err = BH_OK;

    for (uint32_t i = 1; i <= vm_pieces(vm->config) && !err; i++) {
        if (*place(vm, i) != NONE) {
            batch[count++] = *place(vm, i);
            *place(vm, i) = NONE;
        }
        if (count < sizeof(batch) / sizeof(batch[0]) && i < vm_pieces(vm->config)) continue;
        err = pieces_clean(batch, count);
        if (!err) vm->pieces_have -= count;
        count = 0;
    }
    return err;
}

/* ---- while it runs ---- */

static bool state_swap(struct vm *vm, uint32_t i, enum bh_piece from, enum bh_piece to)
{
    uint8_t expected = (uint8_t)from;

    return __atomic_compare_exchange_n(&vm->pieces->state[i], &expected, (uint8_t)to, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* What it wants back it gets if nobody who is about to start needs it. A monitor that maps
 * something of its own in its guest's space where this belongs has it no more. */
static bool give_back(struct vm *vm, uint32_t i)
{
    if (*place(vm, i) == NONE) {
        if (pieces_free() <= reserved) {
            vm->pieces_left = true;
            return false;
        }
        if (give(vm, i)) return false;
    }
    return state_swap(vm, i, BH_PIECE_WANTED, BH_PIECE_USED);
}

static bool has_news(const struct vm *vm)
{
    return vm_lives(vm) && vm->pieces &&
           (vm->pieces_left ||
            __atomic_load_n(&vm->pieces->changes, __ATOMIC_RELAXED) != vm->pieces_seen);
}

/* @return pieces moved, at most @most. */
static unsigned look(struct vm *vm, unsigned most)
{
    uint32_t changes = __atomic_load_n(&vm->pieces->changes, __ATOMIC_ACQUIRE);
    unsigned taken = 0, given = 0;
    uint16_t batch[MOVES_MAX];
    bool stuck = false; /* one could not be given: a try costs as much as a move */

    if (changes == vm->pieces_seen && !vm->pieces_left) return 0;
    vm->pieces_seen = changes;
    vm->pieces_left = false;
    for (uint32_t i = 1; i <= vm_pieces(vm->config); i++) {
        uint8_t state = __atomic_load_n(&vm->pieces->state[i], __ATOMIC_ACQUIRE);
        bool has = *place(vm, i) != NONE;

        if (!(state == BH_PIECE_OFFERED && has) && (state != BH_PIECE_WANTED || stuck)) continue;
        if (taken + given == most) {
            vm->pieces_left = true;
            break;
        }
        if (state == BH_PIECE_WANTED) {
            stuck = !give_back(vm, i);
            given += !stuck;
        } else if (state_swap(vm, i, BH_PIECE_OFFERED, BH_PIECE_GONE)) {
            batch[taken++] = *place(vm, i);
            *place(vm, i) = NONE;
            vm->pieces_have--;
        }
    }
    if (given) vm_signal_pieces(vm);
    (void)vm_failed(vm, "pieces that it offers", pieces_clean(batch, taken));
    return taken + given;
}

/* What moves is cleaned at root's expense: a monitor, or a guest with its balloon, that lets pieces
 * go and come all the time has a quarter of root's time at most. */
bool pieces_poll(void)
{
    static unsigned first; /* whose turn it is */
    unsigned moves = 0;
    uint64_t begin_tsc = rt_tsc();

    if (begin_tsc < rest_tsc) {
        bool news = false;

        for (unsigned n = 0; n < vm_count; n++) news = news || has_news(&vms[n]);
        return news;
    }
    for (unsigned n = 0; n < vm_count && moves < MOVES_MAX; n++) {
        struct vm *vm = &vms[(first + n) % vm_count];

        if (vm_lives(vm) && vm->pieces) moves += look(vm, MOVES_MAX - moves);
    }
    first++;
    rest_tsc = rt_tsc();
    rest_tsc += REST * (rest_tsc - begin_tsc);
    return moves != 0;
}
