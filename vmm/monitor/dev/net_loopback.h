/*
 * A network with one reflector on it: a frame to the reflector's own address comes back with the
 * addresses exchanged, everything else is lost. For tests. Calls its port's device.
 */
#ifndef VMM_MONITOR_DEV_NET_LOOPBACK_H
#define VMM_MONITOR_DEV_NET_LOOPBACK_H

#include "net_port.h"

struct net_loopback {
    struct net_port port;
    uint8_t mac[6]; /* the device's with the last bit of the last byte inverted */
    struct bh_net_count count;
    uint8_t frame[NET_FRAME_MAX];
};

/** @param mac the device's address */
void net_loopback_init(struct net_loopback *l, const uint8_t mac[6]);

#endif
