/*
 * A network device (virtio 1.2, 5.1) at one end of a net_port: one pair of queues, checksum and TCP
 * segmentation offload passed through, or finished here for a driver without; mergeable receive
 * buffers, no control queue.
 * May call: virtio, its port.
 */
#ifndef VMM_MONITOR_DEV_VIRTIO_NET_H
#define VMM_MONITOR_DEV_VIRTIO_NET_H

#include "net_cut.h"
#include "net_port.h"
#include "virtio.h"

struct virtio_net {
    struct virtio virtio;
    struct net_port *port;
    struct virtq_chain rx; /* sending may be what receives: a chain of its own */
    uint8_t config[8];     /* 5.1.4: address, status */
    uint32_t segment;      /* state: the next one of the frame that is being cut */
};

extern const struct dev_state virtio_net_state;

bool virtio_net_init(struct virtio_net *n, struct pci *pci, const struct dev_host *host,
                     unsigned devfn, struct net_port *port);

#endif
