/*
 * A memory balloon (virtio 1.2, 5.5): the guest gives pages back and takes them again; it tells how
 * it is off. What becomes of them is for callbacks to say. May call: virtio, its callbacks.
 */
#ifndef VMM_MONITOR_DEV_VIRTIO_BALLOON_H
#define VMM_MONITOR_DEV_VIRTIO_BALLOON_H

#include "virtio.h"

#define BALLOON_STATS          10u /* 5.5.6.4: tags 0..9 */
#define BALLOON_STAT_FREE      4u  /* bytes, as the next two */
#define BALLOON_STAT_TOTAL     5u
#define BALLOON_STAT_AVAILABLE 6u

/** Who has the pages. All but discard may be NULL. */
struct balloon_pages {
    /** The guest does not need what is in [gpa, + 4096) any more. @kept: nor will it touch that
     *  before it has taken it back (5.5.3, VIRTIO_BALLOON_F_MUST_TELL_HOST). Only what is RAM. */
    void (*discard)(void *ctx, uint64_t gpa, bool kept);
    /** It takes the page back; any address. @return false: not there yet, the same is said again
     *  after virtio_balloon_come() */
    bool (*take)(void *ctx, uint64_t gpa);
    /** After a row of either. */
    void (*settle)(void *ctx);
    /** Nothing is in the balloon any more. */
    void (*reset)(void *ctx);
    /** stats are new. */
    void (*told)(void *ctx);
};

struct virtio_balloon {
    struct virtio virtio;
    const struct balloon_pages *pages;
    void *ctx;

    /* state */
    struct {
        uint32_t num_pages; /* what the guest is asked for */
        uint32_t actual;    /* what it says that it has given */
    } config;
    uint64_t stats[BALLOON_STATS]; /* as told last; UINT64_MAX: never */
};

extern const struct dev_state virtio_balloon_state;

bool virtio_balloon_init(struct virtio_balloon *b, struct pci *pci, const struct dev_host *host,
                         unsigned devfn, const struct balloon_pages *pages, void *ctx);

/** Ask the guest to give so many pages of 4 KiB in all. */
void virtio_balloon_ask(struct virtio_balloon *b, uint32_t pages);

/** Pages that were not there may be now. */
void virtio_balloon_come(struct virtio_balloon *b);

/** Ask it to tell again how it is off. */
void virtio_balloon_ask_stats(struct virtio_balloon *b);

#endif
