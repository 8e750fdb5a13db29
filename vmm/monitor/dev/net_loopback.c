/* The test reflector; see net_loopback.h. */
#include "net_loopback.h"

#include <string.h>

static bool send(void *ctx, const struct net_offload *o, struct virtq_side *frame)
{
    struct net_loopback *l = ctx;
    uint32_t bytes = (uint32_t)virtq_copy_out(frame, l->frame, sizeof(l->frame));

    if (bytes < NET_HEADER_BYTES || memcmp(l->frame, l->mac, 6) != 0) {
        l->count.lost++;
        return true;
    }
    memcpy(l->frame, l->frame + 6, 6);
    memcpy(l->frame + 6, l->mac, 6);
    if (!l->port.receive(l->port.dev, o, l->frame, bytes)) l->count.lost++;
    return true;
}

void net_loopback_init(struct net_loopback *l, const uint8_t mac[6])
{
    memset(l, 0, sizeof(*l));
    memcpy(l->mac, mac, 6);
    l->mac[5] ^= 1u;
    memcpy(l->port.mac, mac, 6);
    l->port.ctx = l;
    l->port.up = true;
    l->port.count = &l->count;
    l->port.send = send;
}
