// sources: vmm/monitor/dev/net_wire.c vmm/monitor/dev/net_cut.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c vmm/rt/wire_ring.c
// flags: -I. -Ivmm/monitor/dev -iquote vmm/rt -lpthread
/*
 * An end of a wire whose peer writes anything into its box: from the input, from inside the
 * device's own callbacks and, for one input in four, by a second thread all the time. What must
 * hold: nothing outside the boxes is read and nothing outside the own box written, what arrives is
 * within bounds however it is cut, nobody is kept busy, the link that is down loses what is sent,
 * and the link comes up again with the next start of the peer.
 */
#include "input.h"
#include "race.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/net_cut.h"
#include "vmm/monitor/dev/net_wire.h"

#define BOX BH_RING_BOX_BYTES(1u)

static struct {
    uint8_t before[4096], own[BOX], between[4096], peer[BOX], behind[4096];
} memory __attribute__((aligned(4096)));
static struct net_wire wire;
static struct bh_net_count count;
static struct input *input;
static uint64_t now;
static uint32_t number, signals, arrived;
static uint8_t frame[NET_FRAME_MAX], room;

static struct bh_ring_header *peer(void) { return (struct bh_ring_header *)(void *)memory.peer; }

/* ---- the second thread ---- */

static void race_change(uint64_t r)
{
    uint32_t at = r & 1u ? 128u + (uint32_t)(r >> 8) % 128u : 4096u + (uint32_t)(r >> 8) % 0x4000u;

    __atomic_fetch_xor(&memory.peer[at], (uint8_t)(1u << (r >> 56 & 7u)), __ATOMIC_RELAXED);
}

/* ---- the card ---- */

static void rewrite(void)
{
    uint32_t at = (uint32_t)take(input, 1) * 4u;
    uint32_t *word =
        (uint32_t *)(void *)(memory.peer + (at < 256u ? 128u + at % 128u : 4096u + at));

    __atomic_store_n(word, (uint32_t)take_value(input), __ATOMIC_RELAXED);
}

static bool receive(void *dev, const struct net_offload *o, const uint8_t *bytes, uint32_t count)
{
    static struct net_cut cut;
    static struct net_segment s;
    uint32_t sum = 0;

    CHECK(bytes >= memory.peer + BH_RING_HEADER_BYTES && count >= NET_FRAME_MIN &&
          count <= NET_FRAME_MAX && bytes + count <= memory.peer + BOX);
    if (room == 0) return false;
    room--;
    arrived++;
    rewrite();
    if (!net_offload_fits(o, count)) return true;
    if (o->gso_type != NET_GSO_NONE && net_cut_begin(&cut, o, bytes, count)) {
        for (uint32_t n = 0; n < cut.segments; n++) {
            net_cut_segment(&cut, n, bytes, &s);
            CHECK(s.bytes != 0 && s.at + s.bytes <= count);
            CHECK(cut.header_bytes + s.bytes <= NET_FRAME_PLAIN);
            sum += s.bytes;
        }
        CHECK(sum == count - cut.header_bytes);
    }
    return true;
}

static void nothing(void *dev) {}

static void signal_peer(void *ctx)
{
    signals++;
    rewrite();
}

static uint64_t now_ns(void *ctx) { return now; }

static const struct dev_host host = {.now_ns = now_ns};

/* ---- steps ---- */

static bool send(uint32_t bytes)
{
    struct virtq_piece piece = {frame, bytes};
    struct virtq_side side = {&piece, bytes};
    const struct net_offload plain = {.gso_type = NET_GSO_NONE};
    bool up = wire.port.up, sent = wire.port.send(wire.port.ctx, &plain, &side);

    CHECK(sent || (up && side.left == bytes));
    return sent;
}

/* The peer's VM starts: it does what a good one does, and then again what the input says. */
static void start_peer(void)
{
    memset(&peer()->queue, 0, sizeof(peer()->queue));
    peer()->queue[0].room_event = UINT32_MAX;
    peer()->magic = BH_RING_MAGIC;
    peer()->version = BH_RING_VERSION;
    peer()->queues = 1;
    peer()->session = (uint64_t)++number << 32 | 1u;
    net_wire_peer(&wire, number);
}

static uint32_t position; /* where put_record() goes on */

static void put_record(void)
{
    struct bh_ring_record *r =
        (struct bh_ring_record *)(void *)(memory.peer + BH_RING_HEADER_BYTES +
                                          position % BH_RING_DATA_BYTES);
    uint8_t *data = (uint8_t *)(r + 1);

    r->bytes = (uint32_t)take_value(input);
    r->flags = (uint8_t)take(input, 1);
    r->gso_type = (uint8_t)take(input, 1);
    r->gso_bytes = (uint16_t)take_value(input);
    r->csum_start = (uint16_t)take_value(input);
    r->csum_offset = (uint16_t)take_value(input);
    if ((position & (BH_RING_DATA_BYTES - 1u)) < BH_RING_DATA_BYTES - 64u) {
        data[12] = (uint8_t)take(input, 1);
        data[13] = (uint8_t)take(input, 1);
        data[14] = (uint8_t)take(input, 1);
        data[46] = (uint8_t)take(input, 1);
    }
    position += (uint32_t)take_value(input) * BH_RING_ALIGN;
    __atomic_store_n(&peer()->queue[0].put, position, __ATOMIC_RELEASE);
}

static void step(void)
{
    uint8_t how = (uint8_t)take(input, 1);
    uint32_t before = arrived;

    switch (how & 15u) {
    case 0: rewrite(); break;
    case 1: (void)send(NET_FRAME_MIN + (uint32_t)take(input, 2) % (NET_FRAME_MAX - 13u)); break;
    case 2:
    case 3: put_record(); break;
    case 4: room = (uint8_t)take(input, 1); break;
    case 5:
        for (unsigned i = 0; i < (how >> 4) + 1u && send(60000); i++) continue;
        break;
    case 6: peer()->queue[0].get += (uint32_t)take_value(input) * BH_RING_ALIGN; break;
    case 7: wire.port.resume(wire.port.ctx); break;
    case 8:
        if (wire.deadline_ns != NO_DEADLINE_NS) now = wire.deadline_ns;
        net_wire_tick(&wire, now);
        CHECK(wire.deadline_ns > now);
        break;
    case 9:
        position = 0;
        start_peer();
        break;
    case 10: net_wire_peer(&wire, (uint32_t)take(input, 1)); break;
    case 11: net_wire_restored(&wire); break;
    default: net_wire_signalled(&wire); break;
    }
    CHECK(arrived - before <= BH_RING_DATA_BYTES / 32u + 1u);
}

static void untouched(const uint8_t bytes[4096])
{
    for (unsigned i = 0; i < 4096; i++) CHECK(bytes[i] == 0xa5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t mac[6] = {2, 'b', 'h', 0, 0, 16};
    struct input in = {data, data + size};
    bool race_now;

    input = &in;
    memset(&memory, 0, sizeof(memory));
    memset(memory.before, 0xa5, sizeof(memory.before));
    memset(memory.between, 0xa5, sizeof(memory.between));
    memset(memory.behind, 0xa5, sizeof(memory.behind));
    now = position = 0;
    number = 1000; /* beyond what the steps make up */
    room = 255;
    net_wire_init(&wire, mac, &count, memory.own, memory.peer, 1, &host, signal_peer, NULL);
    wire.port.receive = receive;
    wire.port.room = wire.port.changed = nothing;
    race_now = (take(input, 1) & 3u) == 3u;
    start_peer();
    race_begin(race_now);
    while (more(input)) step();
    race_end();
    untouched(memory.before);
    untouched(memory.between);
    untouched(memory.behind);
    if (!race_now) { /* the next start heals everything */
        in.at = in.end;
        room = 255;
        start_peer();
        CHECK(wire.port.up || wire.ring.broken);
    }
    return 0;
}
