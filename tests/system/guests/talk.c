/*
 * Talks at each of its network cards to another guest of this kind: frames of all lengths, as fast
 * as the wire takes them. What arrives must be what the other one has sent, in order, without gaps,
 * until its power button is pressed or ms=N are over; then it says what has come. loose=MASK: the
 * cards at which gaps are no fault, as their peers end and begin anew. least=N: so many frames
 * arrive at each.
 */
#include "virtio.h"

enum { CARDS = 4, BUFFER = 2048, FRAME_MAX = 1518, TYPE = 0xb588, F_STATUS = 1 << 16 };
enum { PM1_STATUS = 0x600, PM1_CONTROL = 0x604, POWER_BUTTON = 0x100 };
enum { TIMER_VECTOR = 0x51, POLL_ROUNDS = 16 };

struct frame {
    uint8_t to[6], from[6];
    uint16_t type, bytes;
    uint64_t run, number;
    uint64_t words[(FRAME_MAX - 32) / 8];
};

_Static_assert(sizeof(struct frame) <= FRAME_MAX && __builtin_offsetof(struct frame, run) == 16,
               "");

static struct card {
    struct device device;
    struct queue rx, tx;
    uint8_t in[RING][BUFFER], out[RING][BUFFER];
    uint64_t sent, received, runs, gaps, back, bad, links;
    uint64_t run, next; /* of the peer: what comes next */
    uint32_t in_flight;
    bool up;
} cards[CARDS] __attribute__((aligned(4096)));
static unsigned ncards;
static uint64_t run;

static void on_interrupt(struct regs *r)
{
    (void)r;
    lapic_eoi();
}

static void card_begin(struct card *c)
{
    device_begin(&c->device, F_STATUS);
    queue_begin(&c->device, &c->rx, 0, true);
    queue_begin(&c->device, &c->tx, 1, false);
    put8(c->device.common + STATUS, 15);
    for (uint16_t i = 0; i < RING; i++) {
        describe(&c->rx, i, c->in[i], BUFFER, DESC_WRITE);
        make_available(&c->rx, i);
    }
    notify(&c->rx, 0);
}

/* ---- sending ---- */

static void make_frame(struct card *c, uint8_t *buffer, uint32_t *bytes)
{
    struct frame *f = (struct frame *)(buffer + NET_HEADER);
    uint64_t number = ++c->sent;
    unsigned words = (unsigned)(mix64(number) % (sizeof(f->words) / 8 + 1));

    memset(buffer, 0, NET_HEADER);
    memset(f->to, 0xff, sizeof(f->to));
    f->type = TYPE;
    f->bytes = (uint16_t)(32 + 8 * words);
    f->run = run;
    f->number = number;
    for (unsigned i = 0; i < words; i++) f->words[i] = mix64(run ^ number << 16 ^ i);
    *bytes = NET_HEADER + f->bytes;
}

static bool send(struct card *c)
{
    bool any = false;

    while (c->tx.seen != c->tx.used.index) {
        c->tx.seen++;
        c->in_flight--;
    }
    for (; c->in_flight < RING; c->in_flight++, any = true) {
        unsigned i = (unsigned)(c->sent % RING);
        uint32_t bytes;

        make_frame(c, c->out[i], &bytes);
        describe(&c->tx, i, c->out[i], bytes, 0);
        make_available(&c->tx, (uint16_t)i);
    }
    if (any) notify(&c->tx, 1);
    return any;
}

/* ---- receiving ---- */

static void check(struct card *c, const uint8_t *buffer, uint32_t bytes)
{
    const struct frame *f = (const struct frame *)(buffer + NET_HEADER);

    c->received++;
    if (bytes < NET_HEADER + 32 || f->type != TYPE || (uint32_t)f->bytes + NET_HEADER != bytes) {
        c->bad++;
        return;
    }
    for (unsigned i = 0; i < (f->bytes - 32u) / 8; i++)
        if (f->words[i] != mix64(f->run ^ f->number << 16 ^ i)) {
            c->bad++;
            return;
        }
    if (f->run != c->run) {
        c->run = f->run;
        c->runs++;
    } else {
        c->gaps += f->number > c->next;
        c->back += f->number < c->next;
    }
    c->next = f->number + 1;
}

static bool receive(struct card *c)
{
    bool any = false;

    for (; c->rx.seen != c->rx.used.index; c->rx.seen++, any = true) {
        unsigned at = c->rx.used.ring[c->rx.seen % RING].id % RING;

        check(c, c->in[at], c->rx.used.ring[c->rx.seen % RING].bytes);
        make_available(&c->rx, (uint16_t)at);
    }
    if (any) notify(&c->rx, 0);
    return any;
}

/* ---- */

static bool pressed(void) { return (inw(PM1_STATUS) & POWER_BUTTON) != 0; }

static void look_at_links(void)
{
    for (unsigned n = 0; n < ncards; n++) {
        bool up = get16(cards[n].device.config + 6) & 1;

        if (up != cards[n].up) cards[n].links++;
        cards[n].up = up;
    }
}

static bool exchange(void)
{
    bool any = false;

    for (unsigned n = 0; n < ncards; n++) {
        any |= send(&cards[n]);
        any |= receive(&cards[n]);
    }
    return any;
}

static void result(void)
{
    uint64_t loose = arg_u64("loose", 0), least = arg_u64("least", 1);

    for (unsigned n = 0; n < ncards; n++) {
        struct card *c = &cards[n];
        bool order = (loose >> n & 1) || (c->gaps == 0 && c->back == 0 && c->runs <= 1);

        fact("whole", c->bad == 0, "card %u: %lu of %lu are not what was sent", n, c->bad,
             c->received);
        fact("order", order, "card %u: %lu peers, %lu gaps, %lu times back", n, c->runs, c->gaps,
             c->back);
        fact("received", c->received >= least,
             "card %u: sent %lu, received %lu; link changed %lu times", n, c->sent, c->received,
             c->links);
    }
}

void guest_main(void)
{
    uint64_t ms = arg_u64("ms", 0), end = rdtsc() + tsc_hz() / 1000 * ms;
    unsigned round = 0;

    run = mix64(rdtsc());
    pic_init();
    if (!lapic_init(true)) skip("no local APIC");
    trap_set(VIRTIO_VECTOR, on_interrupt);
    trap_set(TIMER_VECTOR, on_interrupt);
    for (struct device d = {0}; ncards < CARDS && find(&d, ID_NET); d.bdf++)
        cards[ncards++].device = d;
    if (!ncards) skip("no network card");
    for (unsigned n = 0; n < ncards; n++) card_begin(&cards[n]);
    print("talks\n");
    while (!(round++ % POLL_ROUNDS == 0 && (pressed() || (ms && rdtsc() > end)))) {
        if (round % POLL_ROUNDS == 1) look_at_links();
        cli();
        if (!exchange()) { /* for a while: what has been sent is not told of */
            lapic_timer(TIMER_VECTOR, (uint32_t)(lapic_timer_hz() / 1000));
            __asm__ volatile("sti; hlt" ::: "memory");
        }
        sti();
    }
    cli();
    result();
}
