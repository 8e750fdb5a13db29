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

static bool too_many(struct virtio_balloon *b, const struct virtq_chain *c)
{
    if (c->out.left <= PAGES_MAX * sizeof(uint32_t)) return false;
    virtio_break(&b->virtio);
    return true;
}

static void settle(struct virtio_balloon *b)
{
    if (b->pages->settle) b->pages->settle(b->ctx);
}

static uint32_t inflate(void *dev, struct virtq_chain *c)
{
    struct virtio_balloon *b = dev;
    bool kept = virtio_has(&b->virtio, F_MUST_TELL_HOST);
    uint32_t page;

    if (too_many(b, c)) return 0;
    while (virtq_copy_out(&c->out, &page, sizeof(page)) == sizeof(page)) {
        uint64_t gpa = (uint64_t)page << 12;

        if (guest_mem_ptr(b->virtio.host->mem, gpa, 4096)) b->pages->discard(b->ctx, gpa, kept);
    }
    settle(b);
    return 0;
}

/* A chain of which a page is not there is left where it is, and read anew. */
static uint32_t deflate(void *dev, struct virtq_chain *c)
{
    struct virtio_balloon *b = dev;
    bool there = true;
    uint32_t page;

    if (!b->pages->take || too_many(b, c)) return 0;
    while (virtq_copy_out(&c->out, &page, sizeof(page)) == sizeof(page))
        there = b->pages->take(b->ctx, (uint64_t)page << 12) && there;
    settle(b);
    return there ? 0 : VIRTIO_BLOCKED;
}

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
    if (b->pages->told) b->pages->told(b->ctx);
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

void virtio_balloon_come(struct virtio_balloon *b) { virtio_notified(&b->virtio, DEFLATE); }

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
    if (b->pages->reset) b->pages->reset(b->ctx);
}

static void config_write(void *dev, unsigned offset, unsigned size_bytes, uint64_t value)
{
    struct virtio_balloon *b = dev;

    if (offset == ACTUAL && size_bytes == 4u) b->config.actual = (uint32_t)value;
}

bool virtio_balloon_init(struct virtio_balloon *b, struct pci *pci, const struct dev_host *host,
                         unsigned devfn, const struct balloon_pages *pages, void *ctx)
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

    *b = (struct virtio_balloon){.pages = pages, .ctx = ctx};
    return virtio_init(&b->virtio, pci, host, devfn, &kind,
                       VIRTIO_BIT(F_MUST_TELL_HOST) | VIRTIO_BIT(F_STATS_VQ),
                       (const uint8_t *)&b->config, b);
}

static const struct state_member members[] = {
    STATE_MEMBER(struct virtio_balloon, config),
    STATE_MEMBER(struct virtio_balloon, stats),
};

const struct dev_state virtio_balloon_state = DEV_STATE("virtio-balloon", 1, members, NULL);
