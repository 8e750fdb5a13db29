/*
 * MC146818 real-time clock and CMOS memory. Motorola MC146818A data sheet, "Registers"; CMOS bytes
 * beyond the clock as PC firmware defines them. While running, time bytes are computed from the
 * host clock on each read; while stopped (SET, or the divider held in reset) they are plain memory,
 * so that a guest may write day, month and year in any order. May call: host interrupt line and
 * clock.
 */
#include "rtc.h"
#include "dev_util.h"

#include <string.h>

enum {
    R_SEC,
    R_SEC_ALARM,
    R_MIN,
    R_MIN_ALARM,
    R_HOUR,
    R_HOUR_ALARM,
    R_WEEKDAY,
    R_DAY,
    R_MONTH,
    R_YEAR,
    R_A,
    R_B,
    R_C,
    R_D,
    R_EQUIPMENT = 0x14,
    R_BASE_KB = 0x15,
    R_EXT_KB = 0x17,
    R_CHECKSUM = 0x2e,
    R_EXT_KB_POST = 0x30,
    R_CENTURY = 0x32,
    R_ABOVE_16M = 0x34, /* units of 64 KiB */
    R_ABOVE_4G = 0x5b,  /* units of 64 KiB, three bytes */
};

#define A_UIP     0x80u
#define A_DIVIDER 0x70u
#define A_RESET   0x60u /* divider 11x: held in reset */
#define B_SET     0x80u
#define B_PIE     0x40u
#define B_AIE     0x20u
#define B_UIE     0x10u
#define B_BINARY  0x04u
#define B_24H     0x02u
#define C_IRQF    0x80u
#define C_EVENTS  0x70u /* PF, AF, UF at the positions of PIE, AIE, UIE */
#define D_VRT     0x80u

#define HOUR_PM      0x80u
#define ALARM_ANY    0xc0u
#define UIP_AHEAD_NS 244000u /* UIP rises this long before the bytes change */
#define HZ_32K       32768u
#define DAY_S        86400
#define RTC_IRQ      8u
#define TIME_MAX_S   1000000000000 /* what the guest can set, and centuries that the clock runs */

struct civil {
    unsigned year, month, day, weekday, hour, minute, second; /* month, day, weekday from 1 */
};

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March here, so that the
 * leap day is the last. @year 0..9999, @month 1..12, @day 1..31 (may run into the next month). */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2u ? 1 : 0);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = ((int64_t)(month > 2u ? month - 3u : month + 9u) * 153 + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static struct civil civil_from_s(int64_t s)
{
    int64_t days = (s >= 0 ? s : s - (DAY_S - 1)) / DAY_S;
    unsigned tod = (unsigned)(s - days * DAY_S);
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (unsigned)((5 * doy + 2) / 153);
    unsigned month = mp < 10u ? mp + 3u : mp - 9u;
    int64_t year = yoe + era * 400 + (month <= 2u ? 1 : 0);

    return (struct civil){
        .year = (unsigned)(((year % 10000) + 10000) % 10000),
        .month = month,
        .day = (unsigned)(doy - ((int64_t)mp * 153 + 2) / 5) + 1u,
        .weekday = (unsigned)(((days + 4) % 7 + 7) % 7) + 1u, /* 1970-01-01 was a Thursday */
        .hour = tod / 3600u,
        .minute = tod / 60u % 60u,
        .second = tod % 60u,
    };
}

static uint64_t host_now(const struct rtc *r) { return r->host->now_ns(r->host->ctx); }

static int64_t clock_s(const struct rtc *r, uint64_t now)
{
    return r->base_s + (int64_t)(ns_add(now, r->phase_ns) / NS_PER_S);
}

static uint8_t encode(const struct rtc *r, unsigned v)
{
    return (uint8_t)(r->cmos[R_B] & B_BINARY ? v : v / 10u % 10u << 4 | v % 10u);
}

static unsigned decode(const struct rtc *r, uint8_t v)
{
    return r->cmos[R_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15u);
}

static uint8_t encode_hour(const struct rtc *r, unsigned hour)
{
    unsigned h12 = hour % 12u == 0 ? 12u : hour % 12u;

    if (r->cmos[R_B] & B_24H) return encode(r, hour);
    return (uint8_t)(encode(r, h12) | (hour >= 12u ? HOUR_PM : 0u));
}

static unsigned decode_hour(const struct rtc *r, uint8_t v)
{
    unsigned hour;

    if (r->cmos[R_B] & B_24H) return decode(r, v);
    hour = decode(r, v & (uint8_t)~HOUR_PM) % 12u;
    return v & HOUR_PM ? hour + 12u : hour;
}

static void time_to_bytes(const struct rtc *r, int64_t s, uint8_t *b)
{
    struct civil c = civil_from_s(s);

    b[R_SEC] = encode(r, c.second);
    b[R_MIN] = encode(r, c.minute);
    b[R_HOUR] = encode_hour(r, c.hour);
    b[R_WEEKDAY] = encode(r, c.weekday);
    b[R_DAY] = encode(r, c.day);
    b[R_MONTH] = encode(r, c.month);
    b[R_YEAR] = encode(r, c.year % 100u);
    b[R_CENTURY] = encode(r, c.year / 100u);
}

/* Whatever the guest has left in the bytes, brought into range. */
static int64_t time_from_bytes(const struct rtc *r)
{
    const uint8_t *b = r->cmos;
    unsigned year = decode(r, b[R_CENTURY]) % 100u * 100u + decode(r, b[R_YEAR]) % 100u;
    unsigned month = decode(r, b[R_MONTH]);
    unsigned day = decode(r, b[R_DAY]);

    month = month < 1u ? 1u : month > 12u ? 12u : month;
    day = day < 1u ? 1u : day > 31u ? 31u : day;
    return days_from_civil(year, month, day) * DAY_S + decode_hour(r, b[R_HOUR]) % 24u * 3600u +
           decode(r, b[R_MIN]) % 60u * 60u + decode(r, b[R_SEC]) % 60u;
}

static bool alarm_hit(unsigned alarm, unsigned value)
{
    return alarm == UINT32_MAX || alarm == value;
}

/* First second at or after @from that matches the alarm bytes, INT64_MAX if none ever does. */
static int64_t alarm_next(const struct rtc *r, int64_t from)
{
    const uint8_t *b = r->cmos;
    unsigned as = b[R_SEC_ALARM] >= ALARM_ANY ? UINT32_MAX : decode(r, b[R_SEC_ALARM]);
    unsigned am = b[R_MIN_ALARM] >= ALARM_ANY ? UINT32_MAX : decode(r, b[R_MIN_ALARM]);
    unsigned ah = b[R_HOUR_ALARM] >= ALARM_ANY ? UINT32_MAX : decode_hour(r, b[R_HOUR_ALARM]);
    int64_t midnight = (from >= 0 ? from : from - (DAY_S - 1)) / DAY_S * DAY_S;
    unsigned tod = (unsigned)(from - midnight);

    for (int day = 0; day < 2; day++, midnight += DAY_S, tod = 0) {
        for (unsigned minute = tod / 60u; minute < 1440u; minute++) {
            unsigned first = minute == tod / 60u ? tod % 60u : 0u;
            unsigned second = as == UINT32_MAX ? first : as;

            if (alarm_hit(ah, minute / 60u) && alarm_hit(am, minute % 60u) && second >= first &&
                second < 60u)
                return midnight + (int64_t)minute * 60 + second;
        }
    }
    return INT64_MAX;
}

/* 32768 Hz ticks per periodic event, 0 for none (MC146818A table 5, 32.768 kHz time base). */
static uint64_t period_32k(const struct rtc *r)
{
    unsigned rate = r->cmos[R_A] & 15u;

    if (rate == 0) return 0;
    return rate <= 2u ? 64ull << rate : 1ull << (rate - 1u);
}

static void irq_update(struct rtc *r)
{
    bool level = (r->cmos[R_C] & r->cmos[R_B] & C_EVENTS) != 0;

    r->cmos[R_C] = (uint8_t)((r->cmos[R_C] & C_EVENTS) | (level ? C_IRQF : 0u));
    if (level != r->irq_level) {
        r->irq_level = level;
        r->host->irq(r->host->ctx, RTC_IRQ, level);
    }
}

/* Set the flags of everything that has happened up to @now. */
static void sync(struct rtc *r, uint64_t now)
{
    uint64_t t32k = ns_to_ticks(now, HZ_32K);
    uint64_t period = period_32k(r);

    if (period != 0 && (r->cmos[R_A] & A_RESET) != A_RESET && t32k / period > r->seen_32k / period)
        r->cmos[R_C] |= B_PIE;
    r->seen_32k = t32k;
    if (!r->stopped) {
        int64_t s = clock_s(r, now);

        if (s > r->seen_s) {
            r->cmos[R_C] |= B_UIE;
            if (!(r->cmos[R_C] & B_AIE) && alarm_next(r, r->seen_s + 1) <= s) r->cmos[R_C] |= B_AIE;
        }
        r->seen_s = s;
    }
    irq_update(r);
}

static uint64_t second_to_ns(const struct rtc *r, int64_t s)
{
    uint64_t ahead = (uint64_t)(s - r->base_s);

    if (s <= r->base_s) return 0;
    if (ahead > UINT64_MAX / NS_PER_S) return NO_DEADLINE_NS;
    return ahead * NS_PER_S - r->phase_ns;
}

/* The next moment at which an enabled event would raise the line. */
static void deadline_update(struct rtc *r)
{
    uint8_t enabled = r->cmos[R_B] & C_EVENTS;
    uint64_t period = period_32k(r);

    r->deadline_ns = NO_DEADLINE_NS;
    if (r->irq_level) /* nothing more to say before register C is read */
        return;
    if ((enabled & B_PIE) && period != 0 && (r->cmos[R_A] & A_RESET) != A_RESET)
        r->deadline_ns = ticks_to_ns((r->seen_32k / period + 1u) * period, HZ_32K);
    if (r->stopped) return;
    if (enabled & B_UIE) r->deadline_ns = ns_min(r->deadline_ns, second_to_ns(r, r->seen_s + 1));
    if (enabled & B_AIE) {
        int64_t s = alarm_next(r, r->seen_s + 1);

        if (s != INT64_MAX) r->deadline_ns = ns_min(r->deadline_ns, second_to_ns(r, s));
    }
}

static bool stop_wanted(const struct rtc *r)
{
    return (r->cmos[R_B] & B_SET) != 0 || (r->cmos[R_A] & A_RESET) == A_RESET;
}

static void clock_stop(struct rtc *r, uint64_t now)
{
    time_to_bytes(r, clock_s(r, now), r->cmos);
    r->stopped = true;
}

static void clock_start(struct rtc *r, uint64_t now)
{
    r->base_s = time_from_bytes(r) - (int64_t)(ns_add(now, r->phase_ns) / NS_PER_S);
    r->seen_s = clock_s(r, now);
    r->stopped = false;
}

static bool is_time_byte(unsigned index)
{
    return index == R_SEC || index == R_MIN || index == R_HOUR ||
           (index >= R_WEEKDAY && index <= R_YEAR) || index == R_CENTURY;
}

static uint8_t data_read(struct rtc *r, uint64_t now)
{
    uint8_t bytes[RTC_CMOS_BYTES];
    unsigned index = r->index % RTC_CMOS_BYTES;
    uint8_t value = r->cmos[index];

    if (is_time_byte(index) && !r->stopped) {
        time_to_bytes(r, clock_s(r, now), bytes);
        return bytes[index];
    }
    switch (index) {
    case R_A:
        if (!r->stopped && ns_add(now, r->phase_ns) % NS_PER_S >= NS_PER_S - UIP_AHEAD_NS)
            value |= A_UIP;
        break;
    case R_C:
        r->cmos[R_C] = 0;
        irq_update(r);
        break;
    default: break;
    }
    return value;
}

static void control_write(struct rtc *r, unsigned index, uint8_t value, uint64_t now)
{
    bool divider_was_reset = (r->cmos[R_A] & A_RESET) == A_RESET;
    uint8_t old_b = r->cmos[R_B];

    if (index == R_A)
        r->cmos[R_A] = value & (uint8_t)~A_UIP;
    else
        r->cmos[R_B] = value & B_SET ? value & (uint8_t)~B_UIE : value;
    if (!r->stopped && stop_wanted(r)) {
        uint8_t new_b = r->cmos[R_B];

        r->cmos[R_B] = old_b; /* the bytes keep the format they were counted in */
        clock_stop(r, now);
        r->cmos[R_B] = new_b;
        return;
    }
    /* The first update comes half a second after the divider is released. */
    if (divider_was_reset && (r->cmos[R_A] & A_RESET) != A_RESET)
        r->phase_ns = (NS_PER_S + NS_PER_S / 2u - now % NS_PER_S) % NS_PER_S;
    if (r->stopped && !stop_wanted(r)) clock_start(r, now);
}

static void data_write(struct rtc *r, uint8_t value, uint64_t now)
{
    unsigned index = r->index % RTC_CMOS_BYTES;

    if (index == R_A || index == R_B) {
        control_write(r, index, value, now);
    } else if (index == R_C || index == R_D) {
        return;
    } else if (is_time_byte(index) && !r->stopped) {
        clock_stop(r, now);
        r->cmos[index] = value;
        clock_start(r, now);
    } else {
        r->cmos[index] = value;
    }
    irq_update(r);
}

static uint8_t reg_read(void *dev, unsigned reg)
{
    struct rtc *r = dev;
    uint64_t now = host_now(r);
    uint8_t value = 0xff; /* the index port is write-only */

    sync(r, now);
    if (reg == 1u) value = data_read(r, now);
    deadline_update(r);
    return value;
}

static void reg_write(void *dev, unsigned reg, uint8_t value)
{
    struct rtc *r = dev;
    uint64_t now = host_now(r);

    if (reg == 0) {
        r->index = value & 0x7fu; /* bit 7 masks NMI on a PC; nothing here raises one */
        return;
    }
    sync(r, now);
    data_write(r, value, now);
    deadline_update(r);
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(reg_read, dev, offset, size_bytes);
}

static void rtc_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(reg_write, dev, offset, size_bytes, value);
}

static void cmos_fill(struct rtc *r, uint64_t below, uint64_t above)
{
    uint64_t ext_kb = below > 0x100000u ? (below - 0x100000u) >> 10 : 0;
    uint64_t units = below > 0x1000000u ? (below - 0x1000000u) >> 16 : 0;
    unsigned sum = 0;

    ext_kb = ext_kb > 0xffffu ? 0xffffu : ext_kb;
    units = units > 0xffffu ? 0xffffu : units;
    above >>= 16;
    above = above > 0xffffffu ? 0xffffffu : above;
    r->cmos[R_EQUIPMENT] = 0x02; /* a mathematics coprocessor, no floppy drive */
    r->cmos[R_BASE_KB] = 640 & 0xff;
    r->cmos[R_BASE_KB + 1] = 640 >> 8;
    r->cmos[R_EXT_KB] = r->cmos[R_EXT_KB_POST] = (uint8_t)ext_kb;
    r->cmos[R_EXT_KB + 1] = r->cmos[R_EXT_KB_POST + 1] = (uint8_t)(ext_kb >> 8);
    r->cmos[R_ABOVE_16M] = (uint8_t)units;
    r->cmos[R_ABOVE_16M + 1] = (uint8_t)(units >> 8);
    r->cmos[R_ABOVE_4G] = (uint8_t)above;
    r->cmos[R_ABOVE_4G + 1] = (uint8_t)(above >> 8);
    r->cmos[R_ABOVE_4G + 2] = (uint8_t)(above >> 16);
    for (unsigned i = 0x10; i < R_CHECKSUM; i++) /* IBM AT: bytes 0x10..0x2d, big-endian */
        sum += r->cmos[i];
    r->cmos[R_CHECKSUM] = (uint8_t)(sum >> 8);
    r->cmos[R_CHECKSUM + 1] = (uint8_t)sum;
}

static bool loaded(void *dev)
{
    const struct rtc *r = dev;

    return r->phase_ns < NS_PER_S && r->index < RTC_CMOS_BYTES && r->base_s >= -TIME_MAX_S &&
           r->base_s <= TIME_MAX_S && r->seen_s >= -TIME_MAX_S && r->seen_s <= TIME_MAX_S;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct rtc, deadline_ns), STATE_MEMBER(struct rtc, base_s),
    STATE_MEMBER(struct rtc, phase_ns),    STATE_MEMBER(struct rtc, seen_s),
    STATE_MEMBER(struct rtc, seen_32k),    STATE_MEMBER(struct rtc, cmos),
    STATE_MEMBER(struct rtc, index),       STATE_MEMBER(struct rtc, stopped),
    STATE_MEMBER(struct rtc, irq_level),
};

const struct dev_state rtc_state = DEV_STATE("rtc", 1, members, loaded);

bool rtc_init(struct rtc *r, struct bus *bus, const struct dev_host *host, int64_t wall_s,
              uint64_t ram_below_4g, uint64_t ram_above_4g)
{
    static const struct bus_ops ops = {rtc_read, rtc_write};
    const int64_t latest_s = 253402300799; /* 9999-12-31 23:59:59 */
    uint64_t now;

    memset(r, 0, sizeof(*r));
    r->host = host;
    r->cmos[R_A] = 0x26; /* 32768 Hz time base, 1024 Hz rate: the PC/AT's default */
    r->cmos[R_B] = B_24H;
    r->cmos[R_D] = D_VRT;
    cmos_fill(r, ram_below_4g, ram_above_4g);
    wall_s = wall_s < 0 ? 0 : wall_s > latest_s ? latest_s : wall_s;
    now = host_now(r);
    r->base_s = wall_s;
    r->seen_s = clock_s(r, now);
    r->seen_32k = ns_to_ticks(now, HZ_32K);
    r->deadline_ns = NO_DEADLINE_NS;
    return bus_add(bus, BUS_PIO, 0x70, 2, &ops, r, "rtc");
}

void rtc_cmos_set(struct rtc *r, unsigned index, uint8_t value)
{
    if (index > R_CHECKSUM + 1u && index < RTC_CMOS_BYTES) r->cmos[index] = value;
}

void rtc_tick(struct rtc *r, uint64_t now_ns)
{
    sync(r, now_ns);
    deadline_update(r);
}
