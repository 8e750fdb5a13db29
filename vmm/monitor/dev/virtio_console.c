/* Console; see virtio_console.h. Sections are those of virtio 1.2. */
#include "virtio_console.h"

#define F_EMERG_WRITE 2u /* 5.3.3 */
#define EMERG_WR      8u /* in the configuration space, 5.3.4 */

enum { RX = 0, TX = 1 };

/* What was sent before is passed over; a driver that changes a chain meanwhile changes what it
 * says, nothing else. */
static uint32_t transmit(void *dev, struct virtq_chain *chain)
{
    struct virtio_console *c = dev;
    uint64_t pass = c->sent, n;
    const uint8_t *at;

    c->spoken = 1;
    while (pass && virtq_piece_next(&chain->out, pass, &n) != NULL) pass -= n;
    while ((at = virtq_piece_next(&chain->out, UINT32_MAX, &n)) != NULL) {
        unsigned done = c->output(c->ctx, at, (unsigned)n);

        c->sent += done;
        if (done < n) return VIRTIO_BUSY;
    }
    c->sent = 0;
    return 0;
}

static void kick(void *dev, unsigned queue)
{
    struct virtio_console *c = dev;

    if (queue == TX) virtio_serve(&c->virtio, TX, transmit);
    /* Buffers for input are looked at when there is some. */
}

void virtio_console_room(struct virtio_console *c) { virtio_notified(&c->virtio, TX); }

unsigned virtio_console_input(struct virtio_console *c, const uint8_t *bytes, unsigned count)
{
    struct virtio *v = &c->virtio;
    unsigned done = 0;

    while (done < count && virtio_take(v, RX, &v->chain)) {
        uint64_t n = virtq_copy_in(&v->chain.in, bytes + done, count - done);

        if (n == 0) {
            virtio_break(v); /* a buffer that cannot be written */
            break;
        }
        virtio_put(v, RX, &v->chain, (uint32_t)n);
        done += (unsigned)n;
    }
    virtio_show(v, RX);
    return done;
}

static void reset(void *dev)
{
    struct virtio_console *c = dev;

    c->sent = 0;
    c->spoken = 0;
}

static void config_write(void *dev, unsigned offset, unsigned size_bytes, uint64_t value)
{
    struct virtio_console *c = dev;
    uint8_t byte = (uint8_t)value;

    if (offset == EMERG_WR) (void)c->output(c->ctx, &byte, 1);
}

bool virtio_console_init(struct virtio_console *c, struct pci *pci, const struct dev_host *host,
                         unsigned devfn,
                         unsigned (*output)(void *ctx, const uint8_t *bytes, unsigned count),
                         void *ctx)
{
    static const struct virtio_kind kind = {
        .name = "virtio-console",
        .type = 3,
        .class_code = 0x078000, /* simple communication controller */
        .queues = 2,
        .queue_size = 64,
        .config_size = 12,
        .kick = kick,
        .reset = reset,
        .config_write = config_write,
    };

    *c = (struct virtio_console){.output = output, .ctx = ctx};
    return virtio_init(&c->virtio, pci, host, devfn, &kind, VIRTIO_BIT(F_EMERG_WRITE), c->config,
                       c);
}

static const struct state_member members[] = {
    STATE_MEMBER(struct virtio_console, sent),
    STATE_MEMBER(struct virtio_console, spoken),
};

const struct dev_state virtio_console_state = DEV_STATE("virtio-console", 1, members, NULL);
