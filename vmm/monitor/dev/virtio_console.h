/*
 * A console (virtio 1.2, 5.3): port 0 and no other, with emergency write. Output goes to a
 * callback, input comes in through virtio_console_input(). May call: virtio, its callback.
 */
#ifndef VMM_MONITOR_DEV_VIRTIO_CONSOLE_H
#define VMM_MONITOR_DEV_VIRTIO_CONSOLE_H

#include "virtio.h"

struct virtio_console {
    struct virtio virtio;
    /** Takes as many of @count bytes as there is room for. */
    unsigned (*output)(void *ctx, const uint8_t *bytes, unsigned count);
    void *ctx;
    uint8_t config[12]; /* 5.3.4 */

    /* state */
    uint64_t sent;  /* bytes of the chain that is next to be sent: it did not fit whole */
    uint8_t spoken; /* the guest has sent something; whoever types may ask, and take it back */
};

extern const struct dev_state virtio_console_state;

bool virtio_console_init(struct virtio_console *c, struct pci *pci, const struct dev_host *host,
                         unsigned devfn,
                         unsigned (*output)(void *ctx, const uint8_t *bytes, unsigned count),
                         void *ctx);

/** Bytes are typed. @return how many the guest has taken */
unsigned virtio_console_input(struct virtio_console *c, const uint8_t *bytes, unsigned count);

/** There is room for output again. */
void virtio_console_room(struct virtio_console *c);

#endif
