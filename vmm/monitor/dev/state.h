/*
 * What of a device is saved with a VM: a table of the members of its structure that the guest, or
 * time, has changed. Pointers, callbacks and what derives from other members are not in it. The
 * file format is the monitor's business (save.c); a device only names its members and checks what
 * comes back. Calls nothing.
 */
#ifndef VMM_MONITOR_DEV_STATE_H
#define VMM_MONITOR_DEV_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state_member {
    const char *name;
    uint32_t offset, bytes;
    bool switches; /* one or more bool: what comes back must be 0 or 1 (C11, 6.2.6.1) */
};

/* Switches inside of structures are uint8_t, of which any value will do. */
#define STATE_MEMBER(type, member)                                                                   \
    {                                                                                                \
        .name = #member, .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member),   \
        .switches = _Generic(((type *)0)->member, bool: true, bool *: true, default: false) \
    }

/** Times are absolute guest nanoseconds (dev_host.now_ns), which go on after a restore where they
 *  stopped: they need no care. */
struct dev_state {
    const char *name;
    uint32_t version; /* of the table: changes whenever a member does */
    uint32_t count;
    const struct state_member *members;
    /** All members have been loaded: check them as input that anybody may have written, derive the
     *  rest, put lines at their levels. @return false: refused. May be NULL: any value will do. */
    bool (*loaded)(void *dev);
};

#define DEV_STATE(type_, version_, members_, loaded_)                                              \
    {                                                                                              \
        .name = type_, .version = (version_), .count = sizeof(members_) / sizeof((members_)[0]),   \
        .members = (members_), .loaded = (loaded_)                                                 \
    }

#endif
