// sources: vmm/monitor/dev/virtio.c vmm/monitor/dev/virtio_pci.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/virtio_net.c
// sources: vmm/monitor/dev/net_loopback.c vmm/monitor/dev/net_cut.c
/* virtio network device from virtio 1.2, 5.1, with a port that the test holds, and with the
 * reflector. */
#include "dev_fixture.h"
#include "virtio_fixture.h"
#include "vmm/monitor/dev/net_loopback.h"
#include "vmm/monitor/dev/virtio_net.h"

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_GUEST_TSO4 (1ull << 7)
#define F_HOST_TSO4  (1ull << 11)
#define F_MRG        (1ull << 15)
enum { RX = 0, TX = 1 };

static struct virtio_net net;
static struct net_port port;
static struct net_loopback loop;
static struct bh_net_count count;
static struct net_offload sent_offload;
static uint8_t sent[NET_FRAME_MAX + 1];
static uint64_t sent_bytes;
static unsigned sends, resumes;
static bool full;
static uint8_t frame[NET_FRAME_MAX + 1];
static const struct net_offload plain;

static bool port_send(void *ctx, const struct net_offload *o, struct virtq_side *f)
{
    assert_ptr_equal(ctx, &port);
    if (full) return false;
    sends++;
    sent_offload = *o;
    sent_bytes = virtq_copy_out(f, sent, sizeof(sent));
    return true;
}

static void port_resume(void *ctx)
{
    assert_ptr_equal(ctx, &port);
    resumes++;
}

static void setup(uint64_t features)
{
    vf_begin();
    sends = resumes = 0;
    full = false;
    count = (struct bh_net_count){0};
    port = (struct net_port){.ctx = &port,
                             .count = &count,
                             .mac = {2, 3, 4, 5, 6, 7},
                             .up = true,
                             .send = port_send,
                             .resume = port_resume};
    assert_true(virtio_net_init(&net, &bus0, &vf_host, PCI_DEVFN(4, 0), &port));
    vf_attach();
    vf_up(F_V1 | features, 2);
    for (unsigned i = 0; i < sizeof(frame); i++) frame[i] = (uint8_t)(i * 7 + i / 256);
}

static void test_config(void **state)
{
    static const uint8_t want[8] = {2, 3, 4, 5, 6, 7, 1, 0};

    (void)state;
    setup(0);
    assert_int_equal(cf_read(2, 2), 0x1041);
    for (unsigned i = 0; i < 8; i++) assert_int_equal(mr(device + i, 1), want[i]);
    assert_int_equal(offered() & 0xffffff, F_CSUM | F_GUEST_CSUM | 1u << 5 | F_GUEST_TSO4 |
                                               1u << 8 | F_HOST_TSO4 | 1u << 12 | F_MRG | 1u << 16);
    port.up = false;
    port.changed(port.dev);
    assert_int_equal(mr(device + 6, 2), 0);
    assert_int_equal(mr(isr, 1), 2);
    assert_int_equal(mr(common + 0x15, 1), 1);
}

/* Header with @o, then @bytes of a frame, in one buffer. */
static int64_t transmit(struct net_offload o, uint32_t bytes)
{
    memcpy(ram + DATA_GPA, &o, sizeof(o));
    memset(ram + DATA_GPA + 10, 0, 2);
    memcpy(ram + DATA_GPA + 12, frame, bytes);
    return vf_exchange(TX, DATA_GPA, 12 + bytes, 0, 0);
}

static void test_send(void **state)
{
    const struct net_offload csum = {.flags = 1, .csum_start = 34, .csum_offset = 16};
    struct net_offload tso = {1, NET_GSO_TCPV4, 54, 1448, 34, 16}, bad;

    (void)state;
    setup(F_CSUM | F_HOST_TSO4);
    assert_int_equal(transmit(plain, 60), 0);
    assert_int_equal(sent_bytes, 60);
    assert_memory_equal(sent, frame, 60);
    assert_int_equal(transmit(plain, 1518), 0);
    assert_int_equal(transmit(csum, 1514), 0);
    assert_memory_equal(&sent_offload, &csum, sizeof(csum));
    assert_int_equal(transmit(tso, 65549), 0);
    assert_int_equal(sent_bytes, 65549);
    assert_memory_equal(&sent_offload, &tso, sizeof(tso));
    assert_int_equal(sends, 4);
    /* what does not fit is dropped; the buffer comes back all the same */
    assert_int_equal(transmit(plain, 13), 0);
    assert_int_equal(transmit(plain, 1519), 0);
    assert_int_equal(transmit(tso, 65550), 0);
    bad = csum;
    bad.csum_offset = 25; /* its two bytes end behind the frame */
    assert_int_equal(transmit(bad, 60), 0);
    bad.csum_start = bad.csum_offset = 0xffff;
    assert_int_equal(transmit(bad, 60), 0);
    bad = tso;
    bad.gso_bytes = 0;
    assert_int_equal(transmit(bad, 3000), 0);
    bad = tso;
    bad.flags = 0;
    assert_int_equal(transmit(bad, 3000), 0);
    bad = tso;
    bad.gso_type = NET_GSO_TCPV6; /* not negotiated */
    assert_int_equal(transmit(bad, 3000), 0);
    bad.gso_type = 3; /* UDP fragmentation is not offered */
    assert_int_equal(transmit(bad, 3000), 0);
    assert_int_equal(vf_exchange(TX, DATA_GPA, 11, 0, 0), 0);
    assert_int_equal(sends, 4);
    assert_int_equal(count.refused, 10);
    setup(0); /* no checksums: the flag means nothing */
    assert_int_equal(transmit(csum, 60), 0);
    assert_int_equal(sends, 1);
    assert_int_equal(sent_offload.flags, 0);
}

static void test_send_blocked(void **state)
{
    (void)state;
    setup(0);
    full = true;
    assert_int_equal(transmit(plain, 60), -1);
    vf_kick(TX);
    assert_int_equal(used_idx(TX), 0);
    full = false;
    port.room(port.dev);
    assert_int_equal(used_idx(TX), 1);
    assert_int_equal(sends, 1);
    full = true;
    assert_int_equal(transmit(plain, 60), -1);
    set_status(0);
    full = false;
    port.room(port.dev); /* after a reset: nothing */
    assert_int_equal(sends, 1);
}

static void rx_buffer(unsigned i, uint64_t gpa, uint32_t bytes)
{
    vf_desc(RX, i, gpa, bytes, WRITE, 0);
    vf_offer(RX, QSIZE, i);
}

/* As root takes what an ended VM has sent: while it is copied. */
static bool port_stands(void *ctx)
{
    assert_ptr_equal(ctx, &port);
    return false;
}

static void test_receive(void **state)
{
    (void)state;
    setup(0);
    assert_false(port.receive(port.dev, &plain, frame, 60)); /* no buffer yet */
    assert_int_equal(get16(used_gpa(RX)), 0);                /* it wants to be told of one */
    rx_buffer(0, DATA_GPA, 1530);
    vf_kick(RX);
    assert_int_equal(resumes, 1);
    assert_int_equal(get16(used_gpa(RX)), 1);
    assert_true(port.receive(port.dev, &plain, frame, 1518));
    assert_int_equal(used_idx(RX), 1);
    assert_int_equal(used_len(RX, 0), 1530);
    assert_int_equal(get16(DATA_GPA + 10), 1); /* 5.1.6.4.1: one buffer */
    assert_memory_equal(ram + DATA_GPA + 12, frame, 1518);
    assert_int_equal(mr(isr, 1), 1);
    /* too small without mergeable buffers: lost, and the buffer stays */
    rx_buffer(1, DATA_GPA, 100);
    assert_true(port.receive(port.dev, &plain, frame, 89));
    assert_int_equal(count.dropped, 1);
    assert_int_equal(used_idx(RX), 1);
    assert_true(port.receive(port.dev, &plain, frame, 88));
    assert_int_equal(used_idx(RX), 2);
    /* what does not stand when it has been copied is lost, the buffer stays */
    rx_buffer(2, DATA_GPA, 1530);
    port.stands = port_stands;
    assert_true(port.receive(port.dev, &plain, frame, 60));
    assert_int_equal(count.dropped, 2);
    assert_int_equal(used_idx(RX), 2);
    port.stands = NULL;
    /* what nobody may send */
    rx_buffer(2, DATA_GPA, 1530);
    assert_true(port.receive(port.dev, &plain, frame, 1519));
    assert_true(port.receive(port.dev, &plain, frame, 13));
    assert_true(port.receive(port.dev, &(struct net_offload){.gso_type = 77}, frame, 60));
    assert_int_equal(used_idx(RX), 2);
    /* a buffer that cannot be written */
    vf_desc(RX, 2, DATA_GPA, 1530, 0, 0);
    assert_true(port.receive(port.dev, &plain, frame, 60));
    assert_int_equal(status(), 0x4f);
    assert_true(port.receive(port.dev, &plain, frame, 60));
    set_status(0);
    assert_true(port.receive(port.dev, &plain, frame, 60));
}

static void test_merged(void **state)
{
    static const uint32_t sizes[] = {100, 7, 1, 200, 3000};
    struct net_offload tso = {1, NET_GSO_TCPV4, 54, 1448, 34, 16};
    uint8_t got[4000];
    unsigned at = 0;

    (void)state;
    setup(F_MRG | F_GUEST_CSUM | F_GUEST_TSO4 | F_EVENT);
    for (unsigned i = 0; i < 4; i++) rx_buffer(i, DATA_GPA + i * 0x1000, sizes[i]);
    assert_false(port.receive(port.dev, &tso, frame, 2000)); /* not enough of them */
    assert_int_equal(used_idx(RX), 0);
    assert_int_equal(net.virtio.queue[RX].avail_next, 0);
    assert_int_equal(get16(used_gpa(RX) + 4 + 8 * QSIZE), 0);
    rx_buffer(4, DATA_GPA + 4 * 0x1000, sizes[4]);
    assert_true(port.receive(port.dev, &tso, frame, 2000));
    assert_int_equal(used_idx(RX), 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(used_id(RX, i), i);
        memcpy(got + at, ram + DATA_GPA + i * 0x1000, used_len(RX, i));
        at += used_len(RX, i);
        if (i < 4) assert_int_equal(used_len(RX, i), sizes[i]);
    }
    assert_int_equal(at, 2012);
    assert_memory_equal(got, &tso, 10);
    assert_int_equal(got[10], 5);
    assert_memory_equal(got + 12, frame, 2000);
    /* all used at once: the driver that sees one sees the others */
    rx_buffer(0, DATA_GPA, 5); /* the header does not fit: 5.1.6.3.1 */
    rx_buffer(1, DATA_GPA, 6);
    rx_buffer(2, DATA_GPA + 0x1000, 1000);
    assert_true(port.receive(port.dev, &plain, frame, 60));
}

/* How long the headers are is the sender's word: not longer than the frame. */
static void test_header_hint(void **state)
{
    struct net_offload tso = {1, NET_GSO_TCPV4, 0xffff, 1448, 34, 16};

    (void)state;
    setup(F_MRG | F_GUEST_CSUM | F_GUEST_TSO4);
    rx_buffer(0, DATA_GPA, 3000);
    assert_true(port.receive(port.dev, &tso, frame, 2000));
    assert_int_equal(get16(DATA_GPA + 2), 2000);
    assert_int_equal(get16(DATA_GPA + 4), 1448);
}

/* A guest that takes no unfinished checksums is given finished ones (RFC 1071). */
static void test_finished(void **state)
{
    struct net_offload o = {.flags = 1, .csum_start = 34, .csum_offset = 6};
    uint32_t sum = 0;

    (void)state;
    for (unsigned bytes = 60; bytes < 62; bytes++) {
        setup(0);
        rx_buffer(0, DATA_GPA, 1530);
        assert_true(port.receive(port.dev, &o, frame, bytes));
        assert_int_equal(ram[DATA_GPA], 0);
        assert_memory_equal(ram + DATA_GPA + 12, frame, 40);
        assert_memory_equal(ram + DATA_GPA + 12 + 42, frame + 42, bytes - 42);
        /* what was in the field, and the sum that is there now, cancel out */
        sum = (uint32_t)(frame[40] << 8 | frame[41]);
        memcpy(frame, ram + DATA_GPA + 12, bytes);
        frame[bytes] = 0;
        for (unsigned i = 34; i < bytes; i += 2) sum += (uint32_t)(frame[i] << 8 | frame[i + 1]);
        while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
        assert_int_equal(sum, 0xffff);
    }
    setup(0); /* and no segments to be cut */
    rx_buffer(0, DATA_GPA, 1530);
    o = (struct net_offload){1, NET_GSO_TCPV4, 54, 100, 34, 16};
    assert_true(port.receive(port.dev, &o, frame, 300));
    assert_int_equal(used_idx(RX), 0);
    assert_int_equal(count.dropped, 1);
}

/* A TCP frame for a guest that does not take it whole comes in segments, as buffers come; a save
 * in between does not begin it anew. */
static void test_cut(void **state)
{
    struct net_offload tso = {1, NET_GSO_TCPV4, 54, 1000, 34, 16};
    static const uint8_t ip[] = {8, 0, 0x45};
    const struct state_member *m = virtio_net_state.members;
    uint8_t saved[sizeof(net)];

    (void)state;
    setup(0);
    memcpy(frame + 12, ip, sizeof(ip));
    frame[46] = 5 << 4;
    rx_buffer(0, DATA_GPA, 1530);
    rx_buffer(1, DATA_GPA + 0x1000, 1530);
    assert_false(port.receive(port.dev, &tso, frame, 54 + 2500));
    assert_int_equal(used_idx(RX), 2);
    assert_int_equal(used_len(RX, 0), 12 + 54 + 1000);
    assert_int_equal(ram[DATA_GPA], 0);
    assert_int_equal(ram[DATA_GPA + 1], 0);
    assert_memory_equal(ram + DATA_GPA + 12 + 54, frame + 54, 1000);
    assert_memory_equal(ram + DATA_GPA + 0x1000 + 12 + 54, frame + 1054, 1000);
    assert_int_equal(get16(used_gpa(RX)), 0); /* it wants to be told of buffers */
    memcpy(saved, &net, sizeof(net));
    net.segment = 0;
    for (uint32_t i = 0; i < virtio_net_state.count; i++)
        memcpy((uint8_t *)&net + m[i].offset, saved + m[i].offset, m[i].bytes);
    rx_buffer(2, DATA_GPA, 1530);
    assert_true(port.receive(port.dev, &tso, frame, 54 + 2500));
    assert_int_equal(used_idx(RX), 3);
    assert_int_equal(used_len(RX, 2), 12 + 54 + 500);
    assert_memory_equal(ram + DATA_GPA + 12 + 54, frame + 2054, 500);
    assert_int_equal(count.dropped, 0);
    rx_buffer(3, DATA_GPA, 1530); /* the next frame begins at its beginning */
    assert_true(port.receive(port.dev, &tso, frame, 54 + 700));
    assert_memory_equal(ram + DATA_GPA + 12 + 54, frame + 54, 700);
}

static void test_reflector(void **state)
{
    static const uint8_t mac[6] = {2, 'b', 'h', 0, 0, 4};

    (void)state;
    vf_begin();
    net_loopback_init(&loop, mac);
    assert_true(virtio_net_init(&net, &bus0, &vf_host, PCI_DEVFN(4, 0), &loop.port));
    vf_attach();
    vf_up(F_V1, 2);
    for (unsigned i = 0; i < 60; i++) frame[i] = (uint8_t)i;
    memcpy(frame, mac, 6);
    frame[5] ^= 1;
    memcpy(frame + 6, mac, 6);
    rx_buffer(3, DATA_GPA + 0x2000, 1530);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(transmit(plain, 60), 0);
        assert_int_equal(used_idx(TX), i + 1);
        assert_int_equal(used_idx(RX), i + 1);
        assert_int_equal(used_id(RX, i), 3);
        assert_int_equal(used_len(RX, i), 72);
        assert_memory_equal(ram + DATA_GPA + 0x200c, mac, 6);
        assert_memory_equal(ram + DATA_GPA + 0x2012, frame, 6);
        assert_memory_equal(ram + DATA_GPA + 0x2018, frame + 12, 48);
        vf_offer(RX, QSIZE, 3);
    }
    frame[0] = 0xff;
    assert_int_equal(transmit(plain, 60), 0);
    assert_int_equal(used_idx(RX), 3);
    assert_int_equal(loop.count.lost, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),       cmocka_unit_test(test_send),
        cmocka_unit_test(test_send_blocked), cmocka_unit_test(test_receive),
        cmocka_unit_test(test_merged),       cmocka_unit_test(test_header_hint),
        cmocka_unit_test(test_finished),     cmocka_unit_test(test_reflector),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
