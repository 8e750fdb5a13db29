/*
 * A virtio 1.x device on the PCI bus (virtio 1.2, chapters 2, 3 and 4.1; no legacy interface): the
 * registers, feature negotiation, reset, interrupts and notifications that all kinds of devices
 * have in common. A kind of device supplies its configuration space and its queues' meaning, and
 * sees chains of buffers only. May call: the PCI bus, virtqueues, the host's clock and memory.
 *
 * A driver that breaks a rule of the rings ends its device, until it resets it, and nothing else.
 */
#ifndef VMM_MONITOR_DEV_VIRTIO_PCI_H
#define VMM_MONITOR_DEV_VIRTIO_PCI_H

#include "pci.h"
#include "state.h"
#include "virtqueue.h"

#define VIRTIO_QUEUES_MAX 4u
#define VIRTIO_NO_VECTOR  0xffffu

/* Device status, 2.1 */
#define VIRTIO_DRIVER_OK   4u
#define VIRTIO_FEATURES_OK 8u
#define VIRTIO_NEEDS_RESET 64u

/** What a kind of device is. */
struct virtio_kind {
    const char *name;
    uint16_t type;        /* chapter 5 */
    uint32_t class_code;  /* of the PCI function */
    uint8_t queues;       /* at most VIRTIO_QUEUES_MAX */
    uint16_t queue_size;  /* of each at most; a power of two up to VIRTQ_SIZE_MAX */
    uint16_t config_size; /* bytes */
    /** The driver has made chains available. Only while the device is live. */
    void (*kick)(void *dev, unsigned queue);
    /** Forget all that a driver has done. May be NULL. */
    void (*reset)(void *dev);
    /** A write inside the configuration space; NULL: there is nothing to write. */
    void (*config_write)(void *dev, unsigned offset, unsigned size_bytes, uint64_t value);
};

struct virtio {
    /* wiring */
    const struct virtio_kind *kind;
    void *dev;
    const uint8_t *config; /* kind->config_size bytes, always as they are to be read */
    const struct dev_host *host;
    struct pci_function pci;
    uint8_t window; /* where the capability is that shows registers in configuration space */
    uint64_t offered;
    struct virtq_chain chain; /* the one that virtio_serve() is at */

    /* state; that of the PCI function is the bus's business */
    uint64_t deadline_ns; /* when virtio_tick() is due */
    uint64_t accepted;    /* features that the driver has written */
    uint32_t device_select, driver_select;
    uint16_t queue_select, config_vector, vector[VIRTIO_QUEUES_MAX];
    uint8_t status, isr, generation;
    uint8_t again; /* queues with chains that were left for later: bits */
    struct virtq queue[VIRTIO_QUEUES_MAX];
};

extern const struct dev_state virtio_state;

/** The device as a function of the PCI bus (virtio_pci.c). @param features of the kind, beside those
 *  of the rings @param config see struct virtio */
bool virtio_init(struct virtio *v, struct pci *pci, const struct dev_host *host, unsigned devfn,
                 const struct virtio_kind *kind, uint64_t features, const void *config, void *dev);

/** Go on with what was left for later. */
void virtio_tick(struct virtio *v, uint64_t now_ns);

/** Has the driver taken up this feature (bit number)? */
static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
    return (v->accepted >> feature & 1u) != 0;
}

/** Is the device to work on this queue now? */
bool virtio_live(const struct virtio *v, unsigned queue);

/** Take the next chain of a live queue. */
bool virtio_take(struct virtio *v, unsigned queue, struct virtq_chain *c);
/** Leave it where it was: it is the next to be taken. */
void virtio_untake(struct virtio *v, unsigned queue);
/** Give it back, and show what was given back; send an interrupt if the driver wants one. */
void virtio_put(struct virtio *v, unsigned queue, const struct virtq_chain *c, uint32_t bytes);
void virtio_show(struct virtio *v, unsigned queue);

/** A chain that cannot be handled now: it is left, and the queue is served again a millisecond
 *  later, or when the device says so (virtio_notified). */
#define VIRTIO_BUSY UINT32_MAX
/** The same, but only when the device says so. */
#define VIRTIO_BLOCKED (UINT32_MAX - 1u)

/**
 * Take every chain that is available, have it handled, give it back; as many at once as the queue
 * has entries, and until their buffers are 16 MiB, the rest later. @handle returns the bytes it has written to the chain's front,
 * VIRTIO_BUSY or VIRTIO_BLOCKED.
 */
void virtio_serve(struct virtio *v, unsigned queue,
                  uint32_t (*handle)(void *dev, struct virtq_chain *c));

/** The configuration space has changed by itself (2.5.1). */
void virtio_config_changed(struct virtio *v);

/** The driver has broken a rule: the device needs a reset (2.1.2). */
void virtio_break(struct virtio *v);

/* ---- for the transport ---- */

/** Features of the rings that are offered with every device. */
#define VIRTIO_F_INDIRECT_DESC 28u
#define VIRTIO_F_EVENT_IDX     29u
#define VIRTIO_F_VERSION_1     32u
#define VIRTIO_F_RING_RESET    40u
#define VIRTIO_BIT(n)          ((uint64_t)1 << (n))
#define VIRTIO_F_RINGS                                                                             \
    (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |                         \
     VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET))

/** The driver writes the device status; 0 resets the device. */
void virtio_status_write(struct virtio *v, uint8_t value);
/** The driver writes 32 of its features, as driver_select says. */
void virtio_feature_write(struct virtio *v, uint32_t value);
/** The driver notifies. @queue: any number */
void virtio_notified(struct virtio *v, unsigned queue);
/** @queue: one that there is */
void virtio_queue_enable(struct virtio *v, unsigned queue);
void virtio_queue_reset(struct virtio *v, unsigned queue);
/** @return the interrupt status; reading it clears it */
uint8_t virtio_isr_read(struct virtio *v);
/** A vector as it reads back: what there is not is VIRTIO_NO_VECTOR. */
uint16_t virtio_vector(const struct virtio *v, uint64_t value);

#endif
