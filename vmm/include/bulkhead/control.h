/*
 * Questions of root to one monitor: one at a time, in pages that both have mapped. Either side may
 * be hostile: geometry is constant here, every word is read once, lengths are bounded by the
 * reader.
 */
#ifndef BULKHEAD_CONTROL_H
#define BULKHEAD_CONTROL_H

#include <stdint.h>

#define BH_CONTROL_ARGS       4u
#define BH_CONTROL_IN_BYTES   2048u /* root to monitor */
#define BH_CONTROL_OUT_BYTES  4096u /* monitor to root */
#define BH_CONTROL_PAGES      2u
#define BH_CONTROL_TEXT_BYTES 160u /* of words for people */

/** What root asks a monitor. Bytes and arguments in, bytes and values out. */
enum bh_control_verb {
    /* in: struct bh_input events. values[0] = how many of them the devices have taken */
    BH_CONTROL_INPUT = 1,
    /* save the VM to its store. values[0] = bytes of the file */
    BH_CONTROL_SAVE = 2,
    /* out: struct bh_screen. values[0] = number of this arrangement of pieces */
    BH_CONTROL_SCREEN = 3,
    /* args: piece, offset in it, room, number of the arrangement. out: its memory from there on,
       packed (rt/rle.h). values[0] = offset of what follows; the piece's end, and there is none */
    BH_CONTROL_SCREEN_READ = 4,
    /* stand still: no vCPU runs and no time passes for the guest, until it is to go on */
    BH_CONTROL_PAUSE = 5,
    BH_CONTROL_RESUME = 6,
    /* args: bytes. Could this VM go on from what is in its store? out, where it could not
       (BH_WIRE_BAD_FILE): why, in words */
    BH_CONTROL_CHECK = 7,
    /* answered when the VM is there: after a restore, when all has been read */
    BH_CONTROL_HERE = 8,
    BH_CONTROL_VERBS
};

/**
 * Root writes verb, args, in_bytes and in, then request = the next number (release), and signals
 * BH_MONITOR_SIGNAL_CONTROL. The monitor answers in status (enum bh_wire_status), values, out_bytes
 * and out, then reply = that number (release), and signals root. Until then root does not ask
 * again; a monitor that never answers loses its VM's control, nothing else.
 */
struct bh_control {
    uint32_t request; /* written by root */
    uint32_t verb;
    uint32_t in_bytes;
    uint32_t reserved0;
    uint64_t args[BH_CONTROL_ARGS];
    uint8_t reserved1[16];
    uint32_t reply; /* written by the monitor */
    uint32_t status;
    uint32_t out_bytes;
    uint32_t stands; /* 1: the VM stands still */
    uint64_t values[BH_CONTROL_ARGS];
    uint8_t reserved3[1936];
    uint8_t in[BH_CONTROL_IN_BYTES];
    uint8_t out[BH_CONTROL_OUT_BYTES];
};

_Static_assert(__builtin_offsetof(struct bh_control, reply) == 64, "ABI");
_Static_assert(__builtin_offsetof(struct bh_control, in) == 2048, "ABI");
_Static_assert(__builtin_offsetof(struct bh_control, out) == 4096, "ABI");
_Static_assert(sizeof(struct bh_control) == BH_CONTROL_PAGES * 4096u, "ABI");

#endif
