/*
 * An entropy device (virtio 1.2, 5.4): fills what it is given from a callback. Holds no state of
 * its own. May call: virtio, its callback.
 */
#ifndef VMM_MONITOR_DEV_VIRTIO_RNG_H
#define VMM_MONITOR_DEV_VIRTIO_RNG_H

#include "virtio.h"

struct virtio_rng {
    struct virtio virtio;
    void (*fill)(void *ctx, uint8_t *bytes, uint64_t count);
    void *ctx;
};

bool virtio_rng_init(struct virtio_rng *r, struct pci *pci, const struct dev_host *host,
                     unsigned devfn, void (*fill)(void *ctx, uint8_t *bytes, uint64_t count),
                     void *ctx);

#endif
