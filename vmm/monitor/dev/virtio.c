/* What virtio devices have in common; see virtio.h. Sections are those of virtio 1.2. */
#include "virtio.h"
#include "dev_util.h"

#define ISR_QUEUE  1u /* 4.1.4.5 */
#define ISR_CONFIG 2u

#define BUSY_RETRY_NS 1000000u
#define SERVE_BYTES   (16u << 20) /* of buffers at once, or one chain */

/* 2.1: what a driver may set: FAILED, FEATURES_OK, DRIVER_OK, DRIVER, ACKNOWLEDGE */
#define STATUS_DRIVER 0x8fu

/* ---- interrupts ---- */

static void interrupt(struct virtio *v, uint16_t vector, uint8_t isr)
{
    if (pci_msix_enabled(&v->pci)) {
        if (vector != VIRTIO_NO_VECTOR) pci_msix_send(&v->pci, vector);
        return;
    }
    v->isr |= isr;
    pci_intx_set(&v->pci, true);
}

static void config_interrupt(struct virtio *v)
{
    if (v->status & VIRTIO_DRIVER_OK) interrupt(v, v->config_vector, ISR_CONFIG);
}

uint8_t virtio_isr_read(struct virtio *v)
{
    uint8_t isr = v->isr;

    v->isr = 0; /* 4.1.4.5.1: reading it takes the interrupt back */
    pci_intx_set(&v->pci, false);
    return isr;
}

uint16_t virtio_vector(const struct virtio *v, uint64_t value)
{
    return value < v->pci.msix_vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    config_interrupt(v);
}

void virtio_break(struct virtio *v)
{
    if (v->status & VIRTIO_NEEDS_RESET) return;
    v->status |= VIRTIO_NEEDS_RESET;
    config_interrupt(v);
}

/* ---- queues ---- */

bool virtio_live(const struct virtio *v, unsigned queue)
{
    return (v->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK &&
           v->queue[queue].enabled && pci_master(&v->pci);
}

bool virtio_take(struct virtio *v, unsigned queue, struct virtq_chain *c)
{
    enum virtq_result r;

    if (!virtio_live(v, queue)) return false;
    r = virtq_take(&v->queue[queue], v->host->mem, c);
    if (r == VIRTQ_BROKEN) virtio_break(v);
    return r == VIRTQ_CHAIN;
}

void virtio_untake(struct virtio *v, unsigned queue) { v->queue[queue].avail_next--; }

void virtio_put(struct virtio *v, unsigned queue, const struct virtq_chain *c, uint32_t bytes)
{
    virtq_put(&v->queue[queue], v->host->mem, c->head, bytes);
}

void virtio_show(struct virtio *v, unsigned queue)
{
    if (virtq_show(&v->queue[queue], v->host->mem)) interrupt(v, v->vector[queue], ISR_QUEUE);
}

static void later(struct virtio *v, unsigned queue, uint64_t ns)
{
    v->again |= (uint8_t)(1u << queue);
    v->deadline_ns = ns_min(v->deadline_ns, ns_add(v->host->now_ns(v->host->ctx), ns));
}

void virtio_serve(struct virtio *v, unsigned queue,
                  uint32_t (*handle)(void *dev, struct virtq_chain *c))
{
    struct virtq *q = &v->queue[queue];
    unsigned budget = q->size;
    uint64_t left = SERVE_BYTES;

    v->again &= (uint8_t) ~(1u << queue);
    while (virtio_take(v, queue, &v->chain)) {
        uint64_t all = v->chain.out.left + v->chain.in.left;
        uint32_t bytes = handle(v->dev, &v->chain);

        if (v->status & VIRTIO_NEEDS_RESET) break;
        if (bytes == VIRTIO_BUSY || bytes == VIRTIO_BLOCKED) {
            virtio_untake(v, queue);
            if (bytes == VIRTIO_BUSY) later(v, queue, BUSY_RETRY_NS);
            break;
        }
        virtio_put(v, queue, &v->chain, bytes);
        if (--budget == 0 || all >= left) {
            later(v, queue, TIMER_MIN_REARM_NS);
            break;
        }
        left -= all;
        if (q->event_index && !virtq_waiting(q, v->host->mem))
            virtq_want_kick(q, v->host->mem, true);
    }
    virtio_show(v, queue);
}

void virtio_notified(struct virtio *v, unsigned queue)
{
    if (queue < v->kind->queues && virtio_live(v, queue)) v->kind->kick(v->dev, queue);
}

void virtio_tick(struct virtio *v, uint64_t now_ns)
{
    unsigned again = v->again;

    v->again = 0;
    v->deadline_ns = NO_DEADLINE_NS;
    for (unsigned n = 0; n < v->kind->queues; n++)
        if (again >> n & 1u) virtio_notified(v, n);
}

void virtio_queue_reset(struct virtio *v, unsigned n)
{
    v->queue[n] = (struct virtq){.size = v->kind->queue_size};
    v->vector[n] = VIRTIO_NO_VECTOR;
    v->again &= (uint8_t) ~(1u << n);
}

void virtio_queue_enable(struct virtio *v, unsigned n)
{
    struct virtq *q = &v->queue[n];

    if (q->enabled || !(v->status & VIRTIO_FEATURES_OK)) return;
    if (!virtq_placed(q, v->host->mem)) {
        virtio_break(v);
        return;
    }
    q->indirect = virtio_has(v, VIRTIO_F_INDIRECT_DESC);
    q->event_index = virtio_has(v, VIRTIO_F_EVENT_IDX);
    q->avail_next = q->used_next = q->used_shown = 0;
    q->enabled = true;
}

/* ---- status and features ---- */

static void reset(struct virtio *v)
{
    v->accepted = 0;
    v->device_select = v->driver_select = 0;
    v->queue_select = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    v->status = v->isr = 0;
    for (unsigned n = 0; n < v->kind->queues; n++) virtio_queue_reset(v, n);
    v->deadline_ns = NO_DEADLINE_NS;
    pci_intx_set(&v->pci, false);
    if (v->kind->reset) v->kind->reset(v->dev);
}

/* 2.2.1, 3.1.1: what is not offered, or no VERSION_1, does not become FEATURES_OK. */
static bool features_fit(const struct virtio *v)
{
    return (v->accepted & ~v->offered) == 0 && virtio_has(v, VIRTIO_F_VERSION_1);
}

void virtio_status_write(struct virtio *v, uint8_t value)
{
    if (value == 0) {
        reset(v);
        return;
    }
    value &= STATUS_DRIVER;
    if (!(v->status & VIRTIO_FEATURES_OK) && !features_fit(v))
        value &= (uint8_t) ~(VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
    if (!((v->status | value) & VIRTIO_FEATURES_OK)) value &= (uint8_t)~VIRTIO_DRIVER_OK;
    v->status |= value; /* nothing but a reset takes a bit back (2.1.1) */
}

void virtio_feature_write(struct virtio *v, uint32_t value)
{
    unsigned shift = v->driver_select * 32u;

    if (v->driver_select > 1u || (v->status & VIRTIO_FEATURES_OK)) return;
    v->accepted = (v->accepted & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

/* ---- saving ---- */

static bool queue_loaded(const struct virtio *v, unsigned n)
{
    const struct virtq *q = &v->queue[n];

    if (n >= v->kind->queues) return true;
    if (q->size == 0 || q->size > v->kind->queue_size || (q->size & (q->size - 1u)) != 0 ||
        virtio_vector(v, v->vector[n]) != v->vector[n] || q->used_shown != q->used_next)
        return false;
    return !q->enabled || virtq_placed(q, v->host->mem);
}

static bool loaded(void *dev)
{
    struct virtio *v = dev;

    if (virtio_vector(v, v->config_vector) != v->config_vector ||
        ((v->status & VIRTIO_FEATURES_OK) && !features_fit(v)) ||
        ((v->status & VIRTIO_DRIVER_OK) && !(v->status & VIRTIO_FEATURES_OK)))
        return false;
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        if (!queue_loaded(v, n)) return false;
    v->deadline_ns = v->again ? 0 : NO_DEADLINE_NS;
    pci_intx_set(&v->pci, v->isr != 0);
    return true;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct virtio, accepted),      STATE_MEMBER(struct virtio, device_select),
    STATE_MEMBER(struct virtio, driver_select), STATE_MEMBER(struct virtio, queue_select),
    STATE_MEMBER(struct virtio, config_vector), STATE_MEMBER(struct virtio, vector),
    STATE_MEMBER(struct virtio, status),        STATE_MEMBER(struct virtio, isr),
    STATE_MEMBER(struct virtio, generation),    STATE_MEMBER(struct virtio, again),
    STATE_MEMBER(struct virtio, queue),
};

const struct dev_state virtio_state = DEV_STATE("virtio", 1, members, loaded);
