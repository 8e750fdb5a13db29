// sources: vmm/monitor/dev/net_cut.c
/*
 * TCP frames cut into segments: every segment's lengths, sequence number, flags, identification and
 * checksums as RFC 791, 8200 and 9293 have them, by a checksum of the test's own; all data once;
 * what is no TCP frame is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/dev/net_cut.h"

static uint8_t frame[NET_FRAME_MAX];
static struct net_offload offload;
static uint32_t l3, l4, header;

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

static uint32_t be32(const uint8_t *p) { return (uint32_t)be16(p) << 16 | be16(p + 2); }

/* The sum of words, odd or even, folded at each step. */
static unsigned fold(unsigned sum, const uint8_t *p, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        sum += i & 1u ? p[i] : (unsigned)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static void build(bool v4, bool vlan, unsigned tcp_words, uint32_t bytes, uint16_t mss)
{
    for (uint32_t i = 0; i < bytes; i++) frame[i] = (uint8_t)(i * 31u + (i >> 8));
    l3 = vlan ? 18 : 14;
    if (vlan) frame[12] = 0x81, frame[13] = 0;
    frame[l3 - 2] = v4 ? 8 : 0x86, frame[l3 - 1] = v4 ? 0 : 0xdd;
    frame[l3] = v4 ? 0x45 : 0x60;
    frame[v4 ? l3 + 9 : l3 + 6] = 6;
    frame[l3 + 4] = 0xff, frame[l3 + 5] = 0xfe; /* identification: wraps */
    l4 = l3 + (v4 ? 20 : 40);
    header = l4 + tcp_words * 4;
    memset(frame + l4 + 4, 0xff, 4); /* the sequence number as well */
    frame[l4 + 12] = (uint8_t)(tcp_words << 4);
    frame[l4 + 13] = 0x99; /* CWR, ACK, PSH, FIN */
    offload = (struct net_offload){
        1, v4 ? NET_GSO_TCPV4 : NET_GSO_TCPV6, (uint16_t)header, mss, (uint16_t)l4, 16};
}

static void check(bool v4, bool vlan, unsigned tcp_words, uint32_t bytes, uint16_t mss)
{
    struct net_cut c;
    struct net_segment s;
    uint32_t done = 0;

    build(v4, vlan, tcp_words, bytes, mss);
    assert_true(net_cut_begin(&c, &offload, frame, bytes));
    assert_int_equal(c.segments, (bytes - header + mss - 1) / mss);
    for (uint32_t n = 0; n < c.segments; n++) {
        bool last = n + 1 == c.segments;
        uint32_t tcp_bytes;
        unsigned sum;

        net_cut_segment(&c, n, frame, &s);
        tcp_bytes = header - l4 + s.bytes;
        assert_int_equal(c.header_bytes, header);
        assert_int_equal(s.at, header + done);
        assert_in_range(s.bytes, 1, mss);
        assert_true(last || s.bytes == mss);
        assert_memory_equal(s.header, frame, l3);
        if (v4) {
            assert_int_equal(be16(s.header + l3 + 2), 20 + tcp_bytes);
            assert_int_equal(be16(s.header + l3 + 4), (uint16_t)(0xfffe + n));
            assert_int_equal(fold(0, s.header + l3, 20), 0xffff);
            sum = fold(fold(6 + tcp_bytes, s.header + l3 + 12, 8), s.header + l4, header - l4);
        } else {
            assert_int_equal(be16(s.header + l3 + 4), tcp_bytes);
            sum = fold(fold(6 + tcp_bytes, s.header + l3 + 8, 32), s.header + l4, header - l4);
        }
        assert_int_equal(fold(sum, frame + s.at, s.bytes), 0xffff);
        assert_int_equal(be32(s.header + l4 + 4), (uint32_t)(0xffffffff + done));
        assert_int_equal(s.header[l4 + 13], 0x10 | (n ? 0 : 0x80) | (last ? 9 : 0));
        assert_memory_equal(s.header + l4 + 18, frame + l4 + 18, header - l4 - 18);
        done += s.bytes;
    }
    assert_int_equal(header + done, bytes);
}

static void test_segments(void **state)
{
    (void)state;
    for (unsigned v4 = 0; v4 < 2; v4++)
        for (unsigned vlan = 0; vlan < 2; vlan++)
            for (unsigned words = 5; words < 16; words += 5) {
                check(v4, vlan, words, NET_FRAME_MAX, 1400);
                check(v4, vlan, words, 3001, 1399);
                check(v4, vlan, words, 3000, 64);
                check(v4, vlan, words, 14 + 4 + 40 + 60 + 1, 536);
            }
}

static bool begins(uint32_t bytes)
{
    struct net_cut c;

    return net_cut_begin(&c, &offload, frame, bytes);
}

static void test_refused(void **state)
{
    (void)state;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        build(true, false, 5, 3000, 1400);                                                         \
        assert_true(begins(3000));                                                                 \
        change;                                                                                    \
        assert_false(begins(3000));                                                                \
    } while (0)
    REFUSED(offload.gso_bytes = 0);
    REFUSED(offload.gso_bytes = 1465); /* 1519 bytes */
    REFUSED(offload.gso_bytes = 2);    /* too many */
    REFUSED(offload.csum_offset = 6);  /* UDP's */
    REFUSED(offload.csum_start = 33);
    REFUSED(offload.csum_start = 0);
    REFUSED(offload.csum_start = 0xffff);
    REFUSED(offload.gso_type = NET_GSO_TCPV6);
    REFUSED(frame[12] = 0x86);
    REFUSED(frame[l3] = 0x46);
    REFUSED(frame[l4 + 12] = 0x40);
    build(true, false, 15, 200, 1400);
    assert_true(begins(header + 1));
    for (uint32_t bytes = 14; bytes <= header; bytes++) assert_false(begins(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
