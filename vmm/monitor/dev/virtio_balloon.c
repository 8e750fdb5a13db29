/* Memory balloon; see virtio_balloon.h. Sections are those of virtio 1.2. */
#include "virtio_balloon.h"

#include <string.h>

/* 5.5.3 */
#define F_MUST_TELL_HOST 0u
#define F_STATS_VQ       1u

enum { INFLATE = 0, DEFLATE = 1, STATS = 2 };

#define ACTUAL     4u    /* offset in the configuration space, 5.5.4 */
#define PAGES_MAX  1024u /* of one chain: what it may take of the monitor's time */
#define STAT_BYTES 10u   /* 5.5.6.3: tag and value, packed */

static uint32_t inflate(void *dev, struct virtq_chain *c)
{
    struct virtio_balloon *b = dev;
    uint32_t page;

    if (c->out.left > PAGES_MAX * sizeof(page)) {
        virtio_break(&b->virtio);
        return 0;
    }
    while (virtq_copy_out(&c->out, &page, sizeof(page)) == sizeof(page)) {
        uint64_t gpa = (uint64_t)page << 12;

        if (guest_mem_ptr(b->virtio.host->mem, gpa, 4096)) b->discard(b->ctx, gpa);
    }
    return 0;
}

/* Pages are there whenever the guest touches them. */
static uint32_t deflate(void *dev, struct virtq_chain *c) { return 0; }

/* What the guest tells it leaves in a buffer, which it is given back when it is to tell again. */
static void stats_read(struct virtio_balloon *b)
{
    struct virtio *v = &b->virtio;
    uint8_t stat[STAT_BYTES];

    if (!virtio_take(v, STATS, &v->chain)) return;
    for (unsigned i = 0; i < 2u * BALLOON_STATS; i++) {
        uint16_t tag;

        if (virtq_copy_out(&v->chain.out, stat, STAT_BYTES) < STAT_BYTES) break;
        memcpy(&tag, stat, sizeof(tag));
        if (tag < BALLOON_STATS) memcpy(&b->stats[tag], stat + 2, sizeof(b->stats[tag]));
    }
    virtio_untake(v, STATS);
}

static void kick(void *dev, unsigned queue)
{
    struct virtio_balloon *b = dev;

    if (queue == STATS)
        stats_read(b);
    else
        virtio_serve(&b->virtio, queue, queue == INFLATE ? inflate : deflate);
}

void virtio_balloon_ask(struct virtio_balloon *b, uint32_t pages)
{
    b->config.num_pages = pages;
    virtio_config_changed(&b->virtio);
}

void virtio_balloon_ask_stats(struct virtio_balloon *b)
{
    struct virtio *v = &b->virtio;

    if (!virtio_has(v, F_STATS_VQ) || !virtio_take(v, STATS, &v->chain)) return;
    virtio_put(v, STATS, &v->chain, 0);
    if (v->queue[STATS].event_index) virtq_want_kick(&v->queue[STATS], v->host->mem, true);
    virtio_show(v, STATS);
}

static void reset(void *dev)
{
    struct virtio_balloon *b = dev;

    b->config.actual = 0;
    for (unsigned i = 0; i < BALLOON_STATS; i++) b->stats[i] = UINT64_MAX;
}

static void config_write(void *dev, unsigned offset, unsigned size_bytes, uint64_t value)
{
    struct virtio_balloon *b = dev;

    if (offset == ACTUAL && size_bytes == 4u) b->config.actual = (uint32_t)value;
}

bool virtio_balloon_init(struct virtio_balloon *b, struct pci *pci, const struct dev_host *host,
                         unsigned devfn, void (*discard)(void *ctx, uint64_t gpa), void *ctx)
{
    static const struct virtio_kind kind = {
        .name = "virtio-balloon",
        .type = 5,
        .class_code = 0x00ff00,
        .queues = 3,
        .queue_size = 64,
        .config_size = 8,
        .kick = kick,
        .reset = reset,
        .config_write = config_write,
    };

    *b = (struct virtio_balloon){.discard = discard, .ctx = ctx};
    return virtio_init(&b->virtio, pci, host, devfn, &kind,
                       VIRTIO_BIT(F_MUST_TELL_HOST) | VIRTIO_BIT(F_STATS_VQ),
                       (const uint8_t *)&b->config, b);
}

static const struct state_member members[] = {
    STATE_MEMBER(struct virtio_balloon, config),
    STATE_MEMBER(struct virtio_balloon, stats),
};

const struct dev_state virtio_balloon_state = DEV_STATE("virtio-balloon", 1, members, NULL);
