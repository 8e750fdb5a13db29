/* TCP segmentation; see net_cut.h. */
#include "net_cut.h"

#include <string.h>

#define ETHERTYPE_VLAN 0x8100u /* IEEE 802.1Q */
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define IPV4_BYTES     20u
#define IPV6_BYTES     40u
#define TCP_BYTES      20u
#define PROTOCOL_TCP   6u

/* RFC 9293, 3.1 */
#define TCP_SEQUENCE 4u
#define TCP_OFFSET   12u
#define TCP_FLAGS    13u
#define TCP_CHECKSUM 16u
#define TCP_FIN      0x01u
#define TCP_PSH      0x08u
#define TCP_CWR      0x80u /* RFC 3168, 6.1.2: of the first segment only */

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

uint32_t net_sum(uint32_t sum, const uint8_t *from, const uint8_t *to)
{
    for (; to - from >= 2; from += 2) sum += get16(from);
    if (from != to) sum += (uint32_t)from[0] << 8;
    return sum;
}

uint16_t net_sum_end(uint32_t sum)
{
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)~sum;
}

bool net_cut_begin(struct net_cut *c, const struct net_offload *o, const uint8_t *frame,
                   uint32_t bytes)
{
    uint32_t copied = bytes < NET_CUT_HEADER_BYTES ? bytes : NET_CUT_HEADER_BYTES;
    uint32_t type, ip;

    if (o->gso_bytes == 0 || o->csum_offset != TCP_CHECKSUM || o->csum_start + TCP_BYTES > copied ||
        copied < NET_HEADER_BYTES + 4u + IPV4_BYTES)
        return false;
    memcpy(c->header, frame, copied);
    type = get16(c->header + 12);
    c->network = NET_HEADER_BYTES;
    if (type == ETHERTYPE_VLAN) {
        type = get16(c->header + 16);
        c->network += 4u;
    }
    c->transport = o->csum_start;
    c->v4 = o->gso_type == NET_GSO_TCPV4;
    ip = c->v4 ? IPV4_BYTES : IPV6_BYTES;
    if (type != (c->v4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6) || c->transport < c->network + ip ||
        (c->v4 && c->network + (c->header[c->network] & 15u) * 4u != c->transport))
        return false;
    c->header_bytes = c->transport + (uint32_t)(c->header[c->transport + TCP_OFFSET] >> 4) * 4u;
    if (c->header_bytes < c->transport + TCP_BYTES || c->header_bytes >= bytes ||
        c->header_bytes > copied)
        return false;
    c->data_bytes = bytes - c->header_bytes;
    c->segment_bytes = o->gso_bytes;
    c->segments = (c->data_bytes + c->segment_bytes - 1u) / c->segment_bytes;
    return c->header_bytes + c->segment_bytes <= NET_FRAME_PLAIN &&
           c->segments <= NET_CUT_SEGMENTS_MAX;
}

/* RFC 791, 3.1; each datagram has an identification of its own. */
static void ipv4(const struct net_cut *c, uint32_t n, uint8_t *ip, uint32_t bytes)
{
    put16(ip + 2, bytes);
    put16(ip + 4, get16(ip + 4) + n);
    put16(ip + 10, 0);
    put16(ip + 10, net_sum_end(net_sum(0, ip, ip + (c->transport - c->network))));
}

/* What of IP's header counts for TCP's checksum (RFC 9293, 3.1; RFC 8200, 8.1). */
static uint32_t pseudo(const struct net_cut *c, const uint8_t *ip, uint32_t tcp_bytes)
{
    uint32_t sum = PROTOCOL_TCP + tcp_bytes;

    return c->v4 ? net_sum(sum, ip + 12, ip + 20) : net_sum(sum, ip + 8, ip + 40);
}

void net_cut_segment(const struct net_cut *c, uint32_t n, const uint8_t *frame,
                     struct net_segment *s)
{
    uint8_t *ip = s->header + c->network, *tcp = s->header + c->transport;
    uint32_t done = n * c->segment_bytes, tcp_bytes, sum;
    bool last = n + 1u == c->segments;

    s->at = c->header_bytes + done;
    s->bytes = last ? c->data_bytes - done : c->segment_bytes;
    memcpy(s->header, c->header, c->header_bytes);
    tcp_bytes = c->header_bytes - c->transport + s->bytes;
    if (c->v4)
        ipv4(c, n, ip, c->transport - c->network + tcp_bytes);
    else
        put16(ip + 4, c->transport - c->network - IPV6_BYTES + tcp_bytes);
    put32(tcp + TCP_SEQUENCE, get32(tcp + TCP_SEQUENCE) + done);
    if (!last) tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (n) tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    put16(tcp + TCP_CHECKSUM, 0);
    /* TCP's header is a number of whole words: the data begins at one. */
    sum = net_sum(pseudo(c, ip, tcp_bytes), tcp, s->header + c->header_bytes);
    put16(tcp + TCP_CHECKSUM, net_sum_end(net_sum(sum, frame + s->at, frame + s->at + s->bytes)));
}
