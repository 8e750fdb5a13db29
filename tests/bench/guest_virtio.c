/*
 * Benchmark guest: a virtio disk and a virtio network card. One operation is what a program that
 * waits for it sees: buffers made available, the notification, HLT until the interrupt has come,
 * the answer taken off the used ring. Prints "BENCH name mean max n" as guest_exit.c does. Command
 * line: n=COUNT (10000). The disk holds mix64(sector number) at the start of each sector.
 */
#include "virtio.h"

enum { WARM_UP = 16, BLOCK = 4096, SECTOR = 512 };
enum { FRAME = 64, NET_BUFFER = 2048 };
static struct queue disk_queue, rx, tx;
static uint8_t block[BLOCK] __attribute__((aligned(4096)));
static uint8_t frames[RING][NET_BUFFER] __attribute__((aligned(4096)));
static uint8_t sent[NET_HEADER + FRAME] __attribute__((aligned(64)));
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} request;
static volatile uint8_t status;
static volatile uint32_t interrupts;
static uint64_t count, overhead, random_state;

static uint64_t draw(void) { return random_state = mix64(random_state); }

static void on_interrupt(struct regs *r)
{
    (void)r;
    interrupts++;
    lapic_eoi();
}

/* As an idle loop does: HLT with the interrupt that ends it let in by the same step. */
static void await(struct queue *q)
{
    while (q->used.index == q->seen || !interrupts) {
        cli();
        if (interrupts) {
            sti();
            continue;
        }
        __asm__ volatile("sti; hlt" ::: "memory");
    }
    q->seen++;
}

/* ---- measuring ---- */

struct sum {
    uint64_t total, max;
};

static void sum_add(struct sum *s, uint64_t ticks)
{
    ticks = ticks > overhead ? ticks - overhead : 0;
    s->total += ticks;
    if (ticks > s->max) s->max = ticks;
}

static void report(const char *name, const struct sum *s)
{
    uint64_t hundredths = s->total * 100 / count;

    print("BENCH %s %lu.%02lu %lu %lu\n", name, hundredths / 100, hundredths % 100, s->max, count);
}

static void disk(void)
{
    struct device d = {0};
    struct sum sum = {0, 0};
    uint64_t blocks, bad = 0;

    if (!find(&d, ID_BLK)) skip("no disk");
    device_begin(&d, 0);
    queue_begin(&d, &disk_queue, 0, true);
    put8(d.common + STATUS, 15);
    blocks = *(volatile uint64_t *)d.config / (BLOCK / SECTOR);
    describe(&disk_queue, 0, &request, sizeof(request), DESC_NEXT);
    describe(&disk_queue, 1, block, BLOCK, DESC_NEXT | DESC_WRITE);
    describe(&disk_queue, 2, &status, 1, DESC_WRITE);
    for (uint64_t i = 0; i < count + WARM_UP; i++) {
        uint64_t t;

        request.sector = draw() % blocks * (BLOCK / SECTOR);
        status = 0xff;
        interrupts = 0;
        t = rdtsc();
        make_available(&disk_queue, 0);
        notify(&disk_queue, 0);
        await(&disk_queue);
        t = rdtsc() - t;
        if (i >= WARM_UP) sum_add(&sum, t);
        for (unsigned s = 0; s < BLOCK / SECTOR; s++)
            bad += *(uint64_t *)(block + s * SECTOR) != mix64(request.sector + s);
        bad += status;
    }
    report("blk_read4k", &sum);
    fact("disk", bad == 0, "%lu sectors are not as they should be", bad);
    put8(d.common + STATUS, 0);
}

static void network(void)
{
    struct device d = {0};
    struct sum sum = {0, 0};
    uint64_t bad = 0;
    uint8_t *frame = sent + NET_HEADER;

    if (!find(&d, ID_NET)) skip("no network card");
    device_begin(&d, 0);
    queue_begin(&d, &rx, 0, true);
    queue_begin(&d, &tx, 1, false);
    put8(d.common + STATUS, 15);
    for (uint16_t i = 0; i < RING; i++) {
        describe(&rx, i, frames[i], NET_BUFFER, DESC_WRITE);
        make_available(&rx, i);
    }
    notify(&rx, 0);
    /* To the reflector, whose address is this card's but for a bit; type: local experiment. */
    for (unsigned i = 0; i < 6; i++) frame[i] = frame[6 + i] = *(volatile uint8_t *)(d.config + i);
    frame[5] ^= 1;
    frame[12] = 0x88;
    frame[13] = 0xb5;
    describe(&tx, 0, sent, sizeof(sent), 0);
    for (uint64_t i = 0; i < count + WARM_UP; i++) {
        uint64_t t, word = draw();
        uint32_t at;

        memcpy(frame + 16, &word, sizeof(word));
        interrupts = 0;
        t = rdtsc();
        make_available(&tx, 0);
        notify(&tx, 1);
        await(&rx);
        at = rx.used.ring[(uint16_t)(rx.seen - 1) % RING].id % RING;
        bad += memcmp(frames[at] + NET_HEADER + 16, &word, sizeof(word)) != 0;
        make_available(&rx, (uint16_t)at);
        notify(&rx, 0);
        t = rdtsc() - t;
        if (i >= WARM_UP) sum_add(&sum, t);
    }
    report("net_pingpong", &sum);
    fact("network", bad == 0, "%lu frames came back changed", bad);
    put8(d.common + STATUS, 0);
}

void guest_main(void)
{
    count = arg_u64("n", 10000);
    random_state = rdtsc();
    pic_init();
    if (!lapic_init(true)) skip("no local APIC");
    trap_set(VIRTIO_VECTOR, on_interrupt);
    overhead = ~0ULL;
    for (int i = 0; i < 1000; i++) {
        uint64_t t = rdtsc();

        t = rdtsc() - t;
        if (t < overhead) overhead = t;
    }
    sti();
    disk();
    network();
}
