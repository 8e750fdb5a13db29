/*
 * How a fuzz target reads its input: a stream of bytes that never ends (zeroes follow the last
 * one), and checks that end the run with a message. Included once per target.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** libFuzzer's entry; replay.c calls it where there is no libFuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A finding: what does not hold, and where. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *at, *end;
};

static inline bool more(const struct input *in) { return in->at < in->end; }

static inline uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes && in->at < in->end; i++) v |= (uint64_t)*in->at++ << (8u * i);
    return v;
}

/** A value whose first byte says how it is made: small, edge, one bit, or spelled out. */
static inline uint64_t take_value(struct input *in)
{
    uint8_t how = (uint8_t)take(in, 1);

    if (how < 0x80u) return how;
    switch (how & 7u) {
    case 0: return UINT64_MAX - (how >> 3 & 15u);
    case 1: return (uint64_t)1 << (take(in, 1) & 63u);
    case 2: return ((uint64_t)1 << (take(in, 1) & 63u)) - 1u;
    case 3: return take(in, 2);
    case 4: return take(in, 4);
    case 5: return take(in, 2) << (take(in, 1) & 63u);
    default: return take(in, 8);
    }
}

#endif
