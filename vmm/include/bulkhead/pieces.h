/*
 * What root and the monitor of an elastic VM agree on: its guest RAM behind the first 2 MiB is made
 * of pieces that come and go. Either side may be hostile: root keeps its own account of who has
 * what, and takes the words here for hints. The kernel knows nothing of this file.
 */
#ifndef BULKHEAD_PIECES_H
#define BULKHEAD_PIECES_H

#include <stdint.h>

#define BH_PIECE_BYTES  0x200000ull
#define BH_PIECE_PAGES  512u
#define BH_PIECES_MAX   4096u /* of one VM: 8 GiB */
#define BH_PIECES_PAGES 2u    /* of struct bh_pieces */

/** Where guest RAM lies in guest-physical space: up to here, and what is beyond from there on. */
#define BH_GUEST_LOW_RAM_END 0xB0000000ull
#define BH_GUEST_HIGH_RAM    0x100000000ull
#define BH_PIECE_NOTE_BYTES  64u /* of device memory, for each piece: a bit for each page */

/** Guest-physical address of RAM at @offset. */
static inline uint64_t bh_ram_gpa(uint64_t offset)
{
    return offset < BH_GUEST_LOW_RAM_END ? offset
                                         : offset - BH_GUEST_LOW_RAM_END + BH_GUEST_HIGH_RAM;
}

/** Of one piece; each step is a compare-and-swap. */
enum bh_piece {
    BH_PIECE_USED = 0,
    BH_PIECE_OFFERED = 1, /* by the monitor: the guest does without it, nobody looks at it */
    BH_PIECE_GONE = 2,    /* by root, from OFFERED: then it takes it */
    BH_PIECE_WANTED = 3,  /* by the monitor, from GONE; root puts one there, clean, makes it USED
                             and signals BH_MONITOR_SIGNAL_PIECES */
};

struct bh_pieces {
    /** Written by root, then BH_MONITOR_SIGNAL_PIECES: so many pages of 4 KiB are to be in the
     *  guest's balloon. Another number with each request. */
    uint32_t target_pages;
    uint32_t target_number;
    uint8_t reserved0[56];
    /** Written by the monitor: counts what it has changed below, before it signals root. */
    uint32_t changes;
    uint32_t told;                                     /* how often the guest has told how it is */
    uint32_t asked_pages;                              /* that the guest is asked for now */
    uint32_t given_pages;                              /* that are in its balloon */
    uint64_t available_bytes, free_bytes, total_bytes; /* as the guest told last; all ones: never */
    uint8_t reserved1[3992];
    /** enum bh_piece of RAM at n * 2 MiB; the first is always USED. */
    uint8_t state[BH_PIECES_MAX];
};

_Static_assert(sizeof(struct bh_pieces) == BH_PIECES_PAGES * 4096u, "ABI");
_Static_assert(__builtin_offsetof(struct bh_pieces, changes) == 64, "ABI");
_Static_assert(__builtin_offsetof(struct bh_pieces, state) == 4096, "ABI");

#endif
