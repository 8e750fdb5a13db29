/*
 * The console ring between root and one monitor: two byte rings in pages that both have mapped.
 * Either side may be hostile: geometry is constant here and never read from the page, indexes run
 * freely and are masked by the reader, and what lies between two indexes is bounded before use.
 */
#ifndef BULKHEAD_CONSOLE_H
#define BULKHEAD_CONSOLE_H

#include <stdint.h>

#define BH_CONSOLE_MAGIC     0x31434842u /* "BHC1" */
#define BH_CONSOLE_OUT_BYTES 8192u       /* guest to root */
#define BH_CONSOLE_IN_BYTES  2048u       /* root to guest */
#define BH_CONSOLE_PAGES     3u

/** Single producer, single consumer per ring. An index counts bytes modulo 2^32: used bytes =
 *  put - get; a value above the ring's size means a broken peer, and the ring counts as empty (for
 *  the consumer) or full (for the producer). The producer writes data, then put (release). */
struct bh_console {
    uint32_t magic;
    uint32_t reserved0[15];
    uint32_t out_put; /* written by the monitor */
    uint32_t in_get;
    uint32_t reserved1[14];
    uint32_t out_get; /* written by root */
    uint32_t in_put;
    uint32_t reserved2[14];
    uint8_t reserved3[1856];
    uint8_t in[BH_CONSOLE_IN_BYTES];
    uint8_t out[BH_CONSOLE_OUT_BYTES];
};

_Static_assert(__builtin_offsetof(struct bh_console, out_put) == 64, "ABI");
_Static_assert(__builtin_offsetof(struct bh_console, out_get) == 128, "ABI");
_Static_assert(__builtin_offsetof(struct bh_console, in) == 2048, "ABI");
_Static_assert(__builtin_offsetof(struct bh_console, out) == 4096, "ABI");
_Static_assert(sizeof(struct bh_console) == BH_CONSOLE_PAGES * 4096u, "ABI");

#endif
