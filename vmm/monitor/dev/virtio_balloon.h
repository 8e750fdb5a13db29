/*
 * A memory balloon (virtio 1.2, 5.5): the guest gives pages back and takes them again; it tells how
 * it is off. What is given back is handed to a callback. May call: virtio, its callback.
 */
#ifndef VMM_MONITOR_DEV_VIRTIO_BALLOON_H
#define VMM_MONITOR_DEV_VIRTIO_BALLOON_H

#include "virtio.h"

#define BALLOON_STATS 10u /* 5.5.6.4: tags 0..9 */

struct virtio_balloon {
    struct virtio virtio;
    /** The guest does not need what is in [gpa, + 4096) any more. */
    void (*discard)(void *ctx, uint64_t gpa);
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
                         unsigned devfn, void (*discard)(void *ctx, uint64_t gpa), void *ctx);

/** Ask the guest to give so many pages of 4 KiB in all. */
void virtio_balloon_ask(struct virtio_balloon *b, uint32_t pages);

/** Ask it to tell again how it is off. */
void virtio_balloon_ask_stats(struct virtio_balloon *b);

#endif
