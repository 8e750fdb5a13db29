/*
 * MC146818 real-time clock with 128 bytes of CMOS at ports 0x70/0x71, interrupt line 8.
 * Time of day is computed from the host's clock; nothing advances by itself.
 */
#ifndef VMM_MONITOR_DEV_RTC_H
#define VMM_MONITOR_DEV_RTC_H

#include "bus.h"
#include "state.h"

#define RTC_CMOS_BYTES 128u

struct rtc {
    const struct dev_host *host;

    uint64_t deadline_ns;
    int64_t base_s;               /* time of day = base_s + (now + phase) / 1 s, while running */
    uint64_t phase_ns;            /* < 1 s */
    int64_t seen_s;               /* update and alarm flags are accounted up to this second */
    uint64_t seen_32k;            /* periodic flag is accounted up to this 32768 Hz tick */
    uint8_t cmos[RTC_CMOS_BYTES]; /* time bytes are valid only while stopped */
    uint8_t index;
    bool stopped, irq_level;
};

extern const struct dev_state rtc_state;

/**
 * Set the clock, fill in the memory size bytes, register the ports.
 * @param wall_s       UTC seconds since 1970 at the host clock's 0
 * @param ram_below_4g bytes of RAM below 4 GiB; @param ram_above_4g bytes above
 */
bool rtc_init(struct rtc *r, struct bus *bus, const struct dev_host *host, int64_t wall_s,
              uint64_t ram_below_4g, uint64_t ram_above_4g);

/** Set a CMOS byte that is not part of the clock. */
void rtc_cmos_set(struct rtc *r, unsigned index, uint8_t value);

/** Account for everything up to @now_ns: any number of missed events set each flag once. */
void rtc_tick(struct rtc *r, uint64_t now_ns);

#endif
