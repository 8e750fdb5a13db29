/* Wall clock; see clock.h. */
#include "clock.h"
#include <stdbool.h>
#include "caps.h"
#include "log.h"

/* MC146818 registers. */
enum {
    SECONDS = 0,
    MINUTES = 2,
    HOURS = 4,
    DAY = 7,
    MONTH = 8,
    YEAR = 9,
    STATUS_A = 10,
    STATUS_B = 11
};
#define A_UPDATING 0x80u
#define B_BINARY   0x04u
#define B_24_HOURS 0x02u

#define READ_MS 100u /* what reading takes at the most */

static uint8_t cmos(unsigned reg)
{
    port_out8(0x70, (uint8_t)reg); /* bit 7 would keep the PC's NMIs out */
    return port_in8(0x71);
}

static unsigned decoded(uint8_t v, bool binary) { return binary ? v : (v >> 4) * 10u + (v & 15u); }

/* Days since 1970-01-01 in the Gregorian calendar. */
static uint64_t days_from_civil(uint64_t y, unsigned m, unsigned d)
{
    uint64_t year = m > 2u ? y : y - 1u;
    uint64_t day_of_year = (153u * (m > 2u ? m - 3u : m + 9u) + 2u) / 5u + d - 1u;

    return year * 365u + year / 4u - year / 100u + year / 400u + day_of_year - 719468u;
}

/* @return 0: what it says is no time, or the host stood still meanwhile. @param tsc when */
static uint64_t read_clock(uint64_t *tsc)
{
    static const uint8_t regs[6] = {SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR};
    unsigned v[6];
    uint8_t b, hours;
    bool binary;
    uint64_t begin_tsc;

    for (unsigned i = 0; i < 10000u && cmos(STATUS_A) & A_UPDATING; i++)
        ;
    begin_tsc = rt_tsc();
    b = cmos(STATUS_B);
    binary = (b & B_BINARY) != 0;
    hours = cmos(HOURS);
    for (unsigned i = 0; i < 6u; i++)
        v[i] = decoded(regs[i] == HOURS ? hours & 0x7fu : cmos(regs[i]), binary);
    *tsc = rt_tsc();
    if (*tsc - begin_tsc > (uint64_t)info()->tsc_khz * READ_MS) return 0;
    if (!(b & B_24_HOURS)) v[2] = v[2] % 12u + (hours & 0x80u ? 12u : 0);
    if (v[0] > 60u || v[1] > 59u || v[2] > 23u || v[3] == 0 || v[3] > 31u || v[4] == 0 ||
        v[4] > 12u || v[5] > 99u)
        return 0;
    return days_from_civil(2000u + v[5], v[4], v[3]) * 86400u + v[2] * 3600u + v[1] * 60u + v[0];
}

/* An update between two registers makes an hour of a second: read until the same comes twice. */
uint64_t wall_clock_s(uint64_t *tsc)
{
    uint64_t last = read_clock(tsc), now;

    for (unsigned i = 0; (now = read_clock(tsc)) - last > 1u && i < 3u; i++) last = now;
    return now;
}
