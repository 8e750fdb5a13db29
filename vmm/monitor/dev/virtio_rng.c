/* Entropy device; see virtio_rng.h. */
#include "virtio_rng.h"

/* What one chain is given at most: it need not be filled (virtio 1.2, 5.4.6.1). */
#define CHAIN_BYTES 4096u

static uint32_t handle(void *dev, struct virtq_chain *c)
{
    struct virtio_rng *r = dev;
    uint64_t done = 0, n;
    uint8_t *at;

    for (; (at = virtq_piece_next(&c->in, CHAIN_BYTES - done, &n)) != NULL; done += n)
        r->fill(r->ctx, at, n);
    return (uint32_t)done;
}

static void kick(void *dev, unsigned queue)
{
    struct virtio_rng *r = dev;

    virtio_serve(&r->virtio, queue, handle);
}

bool virtio_rng_init(struct virtio_rng *r, struct pci *pci, const struct dev_host *host,
                     unsigned devfn, void (*fill)(void *ctx, uint8_t *bytes, uint64_t count),
                     void *ctx)
{
    static const struct virtio_kind kind = {
        .name = "virtio-rng",
        .type = 4,
        .class_code = 0x00ff00,
        .queues = 1,
        .queue_size = 16,
        .kick = kick,
    };

    r->fill = fill;
    r->ctx = ctx;
    return virtio_init(&r->virtio, pci, host, devfn, &kind, 0, NULL, r);
}
