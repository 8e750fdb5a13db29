// sources: vmm/monitor/dev/net_wire.c vmm/rt/wire_ring.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c
/*
 * Two ends of a wire with a card at each: frames arrive once, in order, with their offload; what
 * there is no room for waits on either side, without loss; the link follows the peer and goes down
 * when it breaks the rules; nobody is kept busy without end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/dev/net_wire.h"

enum { ENDS = 2 };

struct card {
    struct net_wire wire;
    struct bh_net_count count;
    unsigned number;
    unsigned got;               /* frames */
    uint32_t room;              /* frames that it takes */
    unsigned changes;           /* of the link */
    uint32_t waiting, sent;     /* frames: that room() has to send, of how many there are */
    uint32_t bytes;             /* of the last frame that has come */
    struct net_offload offload; /* of it */
};

static uint8_t box[ENDS][BH_RING_BOX_BYTES(1u)] __attribute__((aligned(4096)));
static struct card card[ENDS];
static unsigned signals[ENDS]; /* to the end */
static uint64_t now;
static uint8_t frame[NET_FRAME_MAX];
static const struct net_offload plain;

static uint64_t now_ns(void *ctx)
{
    (void)ctx;
    return now;
}

static const struct dev_host host = {.now_ns = now_ns};

static void signal_other(void *ctx) { signals[1u - ((struct card *)ctx)->number]++; }

static bool receive(void *dev, const struct net_offload *o, const uint8_t *bytes, uint32_t count)
{
    struct card *c = dev;
    uint32_t n;

    if (c->room == 0) return false;
    memcpy(&n, bytes, sizeof(n));
    assert_int_equal(n, c->got);
    c->room--;
    c->got++;
    c->bytes = count;
    c->offload = *o;
    return true;
}

static bool send_one(struct card *c, const struct net_offload *o, uint32_t bytes)
{
    struct virtq_piece piece[2] = {{frame, 4}, {frame + 4, bytes - 4u}};
    struct virtq_side side = {piece, bytes};

    memcpy(frame, &c->sent, sizeof(c->sent));
    if (!c->wire.port.send(c->wire.port.ctx, o, &side)) {
        assert_int_equal(side.left, bytes); /* whole or not at all */
        return false;
    }
    c->sent++;
    return true;
}

static void room(void *dev)
{
    struct card *c = dev;

    while (c->waiting && send_one(c, &plain, 1500)) c->waiting--;
}

static void changed(void *dev) { ((struct card *)dev)->changes++; }

static void card_init(unsigned i, uint32_t self)
{
    static const uint8_t mac[6] = {2, 'b', 'h', 0, 0, 16};

    memset(&card[i], 0, sizeof(card[i]));
    card[i].number = i;
    card[i].room = UINT32_MAX;
    net_wire_init(&card[i].wire, mac, &card[i].count, box[i], box[1u - i], self, &host,
                  signal_other, &card[i]);
    card[i].wire.port.dev = &card[i];
    card[i].wire.port.receive = receive;
    card[i].wire.port.room = room;
    card[i].wire.port.changed = changed;
}

/* What has been signalled and what is due. */
static bool step(void)
{
    bool any = false;

    for (unsigned i = 0; i < ENDS; i++) {
        if (signals[i]) {
            signals[i] = 0;
            net_wire_signalled(&card[i].wire);
            any = true;
        }
        if (card[i].wire.deadline_ns != NO_DEADLINE_NS) {
            assert_true(card[i].wire.deadline_ns > now);
            now = card[i].wire.deadline_ns;
            net_wire_tick(&card[i].wire, now);
            any = true;
        }
    }
    return any;
}

static void settle(void)
{
    for (unsigned i = 0; step(); i++) assert_true(i < 10000);
}

static int setup(void **state)
{
    (void)state;
    memset(box, 0, sizeof(box));
    memset(signals, 0, sizeof(signals));
    now = 0;
    card_init(0, 5);
    card_init(1, 7);
    net_wire_peer(&card[0].wire, 7);
    net_wire_peer(&card[1].wire, 5);
    settle();
    assert_true(card[0].wire.port.up && card[1].wire.port.up);
    assert_int_equal(card[0].changes, 1);
    return 0;
}

static void test_frames(void **state)
{
    const struct net_offload tso = {1, NET_GSO_TCPV4, 54, 1448, 34, 16};

    (void)state;
    assert_true(send_one(&card[0], &tso, NET_FRAME_MAX));
    assert_int_equal(signals[1], 1);
    assert_int_equal(card[1].got, 0);
    settle();
    assert_int_equal(card[1].got, 1);
    assert_int_equal(card[1].bytes, NET_FRAME_MAX);
    assert_memory_equal(&card[1].offload, &tso, sizeof(tso));
    assert_true(send_one(&card[1], &plain, NET_FRAME_MIN));
    settle();
    assert_int_equal(card[0].got, 1);
    assert_int_equal(card[0].bytes, NET_FRAME_MIN);
    for (unsigned i = 0; i < 100; i++) assert_true(send_one(&card[0], &plain, 60));
    assert_int_equal(signals[1], 1); /* told once */
    settle();
    assert_int_equal(card[1].got, 101);
    assert_int_equal(card[0].count.sent_frames, 101);
    assert_int_equal(card[0].count.sent_bytes, NET_FRAME_MAX + 100 * 60);
    assert_int_equal(card[0].count.received_frames, 1);
    assert_int_equal(card[0].count.received_bytes, NET_FRAME_MIN);
    assert_int_equal(card[0].count.ups, 1);
    assert_int_equal(card[0].count.send_waits + card[1].count.receive_waits, 0);
}

/* Neither end has room: everything waits, and all of it arrives. */
static void test_back_pressure(void **state)
{
    (void)state;
    card[1].room = 0;
    card[0].waiting = 5000;
    room(&card[0]);
    assert_in_range(card[0].waiting, 1, 4999);
    settle();
    assert_int_equal(card[1].got, 0);
    assert_false(send_one(&card[0], &plain, 1500));
    for (unsigned i = 0; i < 10000 && card[0].waiting; i++) {
        card[1].room = 3;
        card[1].wire.port.resume(card[1].wire.port.ctx);
        settle();
    }
    card[1].room = UINT32_MAX;
    card[1].wire.port.resume(card[1].wire.port.ctx);
    settle();
    assert_int_equal(card[1].got, 5000);
    assert_int_equal(card[0].count.sent_frames, 5000);
    assert_int_equal(card[1].count.received_frames, 5000);
    assert_in_range(card[0].count.send_waits, 2, 5000 / 3);
    assert_in_range(card[1].count.receive_waits, 1000, 1 + 5000 / 3);
    assert_int_equal(card[0].count.lost, 0);
    card[1].wire.port.resume(card[1].wire.port.ctx); /* nobody has waited: nothing */
}

static void test_link(void **state)
{
    (void)state;
    card[1].room = 0;
    card[0].waiting = 1000;
    room(&card[0]);
    settle();
    assert_true(card[0].waiting > 0);
    /* the peer's VM ends: root takes its session, then wipes its box; then what waits is lost */
    assert_true(card[0].wire.port.stands(card[0].wire.port.ctx));
    ((struct bh_ring_header *)(void *)box[1])->session = 0;
    assert_false(card[0].wire.port.stands(card[0].wire.port.ctx));
    net_wire_peer(&card[0].wire, 0);
    assert_false(card[0].wire.port.up);
    assert_int_equal(card[0].waiting, 0);
    assert_true(card[0].count.lost > 0);
    assert_int_equal(card[0].changes, 2);
    assert_true(send_one(&card[0], &plain, 60));
    /* and starts again */
    card_init(1, 8);
    net_wire_peer(&card[1].wire, 5);
    settle();
    assert_false(card[1].wire.port.up);
    net_wire_peer(&card[0].wire, 8);
    settle();
    assert_true(card[0].wire.port.up && card[1].wire.port.up);
    assert_int_equal(card[0].changes, 3);
    card[0].sent = 0;
    assert_true(send_one(&card[0], &plain, 60));
    settle();
    assert_int_equal(card[1].got, 1);
    /* anew without having been seen to go: down and up */
    card_init(1, 9);
    net_wire_peer(&card[1].wire, 5);
    net_wire_peer(&card[0].wire, 9);
    settle();
    assert_int_equal(card[0].changes, 5);
    assert_true(card[0].wire.port.up && card[0].count.up);
    assert_int_equal(card[0].count.ups, 3);
    net_wire_restored(&card[0].wire);
    assert_int_equal(card[0].changes, 6);
}

/* A peer that breaks the rules loses the link, until one of the two starts anew. */
static void test_broken(void **state)
{
    struct bh_ring_header *h = (struct bh_ring_header *)box[1];

    (void)state;
    h->queue[0].put = 8;
    net_wire_signalled(&card[0].wire);
    settle();
    assert_false(card[0].wire.port.up);
    assert_int_equal(card[0].changes, 2);
    (void)setup(state);
    h->queue[0].get = 1600;
    assert_true(send_one(&card[0], &plain, 60)); /* lost */
    settle();
    assert_false(card[0].wire.port.up);
    assert_int_equal(card[0].count.lost, 1);
    for (unsigned i = 0; i < 10; i++) net_wire_signalled(&card[0].wire);
    assert_int_equal(card[0].changes, 2);
    net_wire_peer(&card[0].wire, 0);
    net_wire_peer(&card[0].wire, 8);
    card_init(1, 8);
    net_wire_peer(&card[1].wire, 5);
    settle();
    assert_true(card[0].wire.port.up);
}

/* A peer that puts as fast as it is taken: after a ring full the rest is for later. */
static bool refill(void *dev, const struct net_offload *o, const uint8_t *bytes, uint32_t count)
{
    struct card *c = dev;

    (void)o, (void)bytes, (void)count;
    c->got++;
    (void)send_one(&card[0], &plain, 1500);
    return true;
}

static void test_bounded(void **state)
{
    (void)state;
    card[1].wire.port.receive = refill;
    (void)send_one(&card[0], &plain, 1500);
    (void)send_one(&card[0], &plain, 1500);
    net_wire_signalled(&card[1].wire);
    assert_in_range(card[1].got, 100, BH_RING_DATA_BYTES / 1500u + 1u);
    assert_true(card[1].wire.deadline_ns > now && card[1].wire.deadline_ns != NO_DEADLINE_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_frames, setup),
        cmocka_unit_test_setup(test_back_pressure, setup),
        cmocka_unit_test_setup(test_link, setup),
        cmocka_unit_test_setup(test_broken, setup),
        cmocka_unit_test_setup(test_bounded, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
