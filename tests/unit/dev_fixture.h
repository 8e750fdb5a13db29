/*
 * What every device model test needs: a bus, a clock the test sets, interrupt lines it can look at,
 * and a loop of random accesses. Included once per test program.
 */
#ifndef TESTS_UNIT_DEV_FIXTURE_H
#define TESTS_UNIT_DEV_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/dev/bus.h"

#define LINES 24u

static struct bus bus;
static uint64_t now;
static bool line[LINES];
static unsigned rises[LINES];

static void fixture_irq(void *ctx, unsigned n, bool level)
{
    (void)ctx;
    assert_true(n < LINES);
    assert_true(line[n] != level); /* a device reports changes only */
    rises[n] += level ? 1u : 0u;
    line[n] = level;
}

static uint64_t fixture_now(void *ctx)
{
    (void)ctx;
    return now;
}

static const struct dev_host host = {.irq = fixture_irq, .now_ns = fixture_now};

static void fixture_reset(void)
{
    memset(&bus, 0, sizeof(bus));
    memset(line, 0, sizeof(line));
    memset(rises, 0, sizeof(rises));
    now = 0;
}

__attribute__((unused)) static uint8_t in8(uint16_t port)
{
    return (uint8_t)bus_read(&bus, BUS_PIO, port, 1);
}

__attribute__((unused)) static void out8(uint16_t port, unsigned value)
{
    bus_write(&bus, BUS_PIO, port, 1, value);
}

/* A fixed sequence: a failure repeats (xorshift64). */
static uint64_t random_state = 0x9e3779b97f4a7c15ull;

__attribute__((unused)) static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Values at the edges as often as in between. */
__attribute__((unused)) static uint64_t random_value(void)
{
    uint64_t r = random_next();

    switch (r & 7u) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return 1ull << (r >> 8 & 63u);
    case 3: return r >> 32 & 0xffu;
    default: return random_next();
    }
}

/* Any access a guest can make to anything on the bus, with time moving in steps small and huge. */
__attribute__((unused)) static void hammer(unsigned rounds, void (*tick)(uint64_t now_ns))
{
    for (unsigned i = 0; i < rounds; i++) {
        unsigned kind = random_next() & 1u;
        uint64_t r = random_next();
        const struct bus_range *range;
        unsigned size = 1u << (r & 3u);
        uint64_t addr;

        if (bus.count[kind] == 0) kind ^= 1u;
        range = &bus.ranges[kind][(r >> 8) % bus.count[kind]];
        addr = range->base + (r >> 20) % (range->size + 2u) - ((r >> 50 & 7u) == 0 ? 1u : 0u);
        if (range->size > 0x400u && (r >> 60 & 3u) != 0) /* the registers are at the start */
            addr = range->base + ((r >> 20) % 0x400u & ~15ull);
        if (r & 0x10u)
            bus_write(&bus, (enum bus_kind)kind, addr, size, random_value());
        else
            (void)bus_read(&bus, (enum bus_kind)kind, addr, size);
        if ((r >> 40 & 7u) == 0) now += random_next() >> (24u + (r >> 44 & 31u));
        if (tick != NULL && (r >> 52 & 3u) == 0) tick(now);
    }
}

#endif
