/* The PCI transport of virtio devices; see virtio.h. Sections are those of virtio 1.2. */
#include "virtio.h"
#include "dev_util.h"

#include <string.h>

#define VENDOR           0x1af4u /* 4.1.2 */
#define DEVICE_FIRST     0x1040u
#define SUBSYSTEM_MODERN 0x40u /* 4.1.2.1 */
#define REVISION_MODERN  1u
#define CAP_VENDOR       0x09u /* PCI 3.0, appendix H */
#define CAP_BYTES        16u
#define CAP_NOTIFY_BYTES 20u
#define CAP_WINDOW_BYTES 20u
#define WINDOW_BAR       4u /* in the capability, 4.1.4 */
#define WINDOW_OFFSET    8u
#define WINDOW_LENGTH    12u
#define WINDOW_DATA      16u

enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI }; /* 4.1.4 */

/* BARs, and the places in the memory one. Notifications are ports: a kernel doorbell matches those.
 * One port address each, so that no value needs to be looked at. */
enum { BAR_NOTIFY = 0, BAR_MSIX = 1, BAR_MEMORY = 2 };
#define MEMORY_BYTES 4096u
#define PLACE_BYTES  256u
#define PLACE_COMMON 0u
#define PLACE_ISR    1u
#define PLACE_DEVICE 2u
#define COMMON_BYTES 0x3cu
#define NOTIFY_STEP  2u
#define NOTIFY_BYTES (NOTIFY_STEP * VIRTIO_QUEUES_MAX)
/* 4.1.4.3: offsets in the common configuration */
enum {
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_VECTOR = 0x10,
    NUM_QUEUES = 0x12,
    DEVICE_STATUS = 0x14,
    CONFIG_GENERATION = 0x15,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    QUEUE_NOTIFY_DATA = 0x38,
    QUEUE_RESET = 0x3a,
};

/* ---- common configuration ---- */

static struct virtq *selected(struct virtio *v)
{
    return v->queue_select < v->kind->queues ? &v->queue[v->queue_select] : NULL;
}

/* The register at @offset, and its size. Of a queue that is not there all reads zero. */
static uint64_t common_register(struct virtio *v, unsigned offset, unsigned *size_bytes)
{
    const struct virtq *q = selected(v);

    *size_bytes = offset < CONFIG_VECTOR ? 4u : offset >= QUEUE_DESC && offset < 0x38u ? 8u : 2u;
    switch (offset & ~(*size_bytes - 1u)) {
    case DEVICE_FEATURE_SELECT: return v->device_select;
    case DEVICE_FEATURE:
        return v->device_select > 1u ? 0 : v->offered >> (v->device_select * 32u) & UINT32_MAX;
    case DRIVER_FEATURE_SELECT: return v->driver_select;
    case DRIVER_FEATURE:
        return v->driver_select > 1u ? 0 : v->accepted >> (v->driver_select * 32u) & UINT32_MAX;
    case CONFIG_VECTOR: return v->config_vector;
    case NUM_QUEUES: return v->kind->queues;
    case DEVICE_STATUS: return v->status | (unsigned)v->generation << 8;
    case QUEUE_SELECT: return v->queue_select;
    case QUEUE_SIZE: return q ? q->size : 0;
    case QUEUE_VECTOR: return q ? v->vector[v->queue_select] : VIRTIO_NO_VECTOR;
    case QUEUE_ENABLE: return q ? q->enabled : 0;
    case QUEUE_NOTIFY_OFF: return q ? v->queue_select : 0;
    case QUEUE_DESC: return q ? q->desc : 0;
    case QUEUE_DRIVER: return q ? q->avail : 0;
    case QUEUE_DEVICE: return q ? q->used : 0;
    default: return 0; /* QUEUE_NOTIFY_DATA is not offered, a QUEUE_RESET is over at once */
    }
}

static uint64_t common_read(struct virtio *v, unsigned offset, unsigned size_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes && offset + i < COMMON_BYTES; i++) {
        unsigned size;
        uint64_t reg = common_register(v, offset + i, &size);

        value |= (reg >> ((offset + i) % size * 8u) & 0xffu) << (i * 8u);
    }
    return value;
}

/* A half, or all, of an address; nothing while the queue is in use (4.1.4.3.2). */
static void address_write(struct virtq *q, uint64_t *address, unsigned offset, unsigned size_bytes,
                          uint64_t value)
{
    unsigned shift = offset % 8u * 8u;
    uint64_t mask = dev_ones(size_bytes) << shift;

    if (q->enabled || size_bytes < 4u) return;
    *address = (*address & ~mask) | (value << shift & mask);
}

static void queue_write(struct virtio *v, struct virtq *q, unsigned offset, unsigned size_bytes,
                        uint64_t value)
{
    switch (offset) {
    case QUEUE_SIZE:
        if (!q->enabled && value && value <= v->kind->queue_size && (value & (value - 1u)) == 0)
            q->size = (uint16_t)value;
        break;
    case QUEUE_VECTOR: v->vector[v->queue_select] = virtio_vector(v, value); break;
    case QUEUE_ENABLE:
        if (value == 1u) virtio_queue_enable(v, v->queue_select);
        break;
    case QUEUE_RESET:
        if (value == 1u && virtio_has(v, VIRTIO_F_RING_RESET))
            virtio_queue_reset(v, v->queue_select);
        break;
    case QUEUE_DESC:
    case QUEUE_DESC + 4: address_write(q, &q->desc, offset, size_bytes, value); break;
    case QUEUE_DRIVER:
    case QUEUE_DRIVER + 4: address_write(q, &q->avail, offset, size_bytes, value); break;
    case QUEUE_DEVICE:
    case QUEUE_DEVICE + 4: address_write(q, &q->used, offset, size_bytes, value); break;
    default: break;
    }
}

/* Drivers use the width of the register (4.1.3.1); other widths change nothing. */
static void common_write(struct virtio *v, unsigned offset, unsigned size_bytes, uint64_t value)
{
    unsigned width = offset < CONFIG_VECTOR                                         ? 4u
                     : offset == DEVICE_STATUS                                      ? 1u
                     : offset >= QUEUE_DESC && offset < (unsigned)QUEUE_NOTIFY_DATA ? size_bytes
                                                                                    : 2u;
    struct virtq *q = selected(v);

    if (size_bytes != width) return;
    switch (offset) {
    case DEVICE_FEATURE_SELECT: v->device_select = (uint32_t)value; break;
    case DRIVER_FEATURE_SELECT: v->driver_select = (uint32_t)value; break;
    case DRIVER_FEATURE: virtio_feature_write(v, (uint32_t)value); break;
    case CONFIG_VECTOR: v->config_vector = virtio_vector(v, value); break;
    case DEVICE_STATUS: virtio_status_write(v, (uint8_t)value); break;
    case QUEUE_SELECT: v->queue_select = (uint16_t)value; break;
    default:
        if (q) queue_write(v, q, offset, size_bytes, value);
        break;
    }
}

/* ---- the BARs ---- */

static uint64_t memory_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    struct virtio *v = dev;
    unsigned at = (unsigned)offset % PLACE_BYTES;
    uint64_t value = 0;

    switch ((unsigned)offset / PLACE_BYTES) {
    case PLACE_COMMON: return common_read(v, at, size_bytes);
    case PLACE_ISR: return at == 0 ? virtio_isr_read(v) : 0;
    case PLACE_DEVICE:
        if (at + size_bytes <= v->kind->config_size) memcpy(&value, v->config + at, size_bytes);
        return value;
    default: return 0;
    }
}

static void memory_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct virtio *v = dev;
    unsigned at = (unsigned)offset % PLACE_BYTES, place = (unsigned)offset / PLACE_BYTES;

    if (place == PLACE_COMMON)
        common_write(v, at, size_bytes, value);
    else if (place == PLACE_DEVICE && v->kind->config_write &&
             at + size_bytes <= v->kind->config_size)
        v->kind->config_write(v->dev, at, size_bytes, value);
}

static uint64_t notify_read(void *dev, uint64_t offset, unsigned size_bytes) { return 0; }

static void notify_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    const struct virtio *v = dev;
    unsigned queue = (unsigned)offset / NOTIFY_STEP;

    /* What is left for later comes by itself: notifications do not make it more at once. */
    if (!(v->again >> queue & 1u)) virtio_notified(dev, queue);
}

/* ---- the way through configuration space (4.1.4.9) ---- */

static const struct bus_ops memory_ops = {memory_read, memory_write};
static const struct bus_ops notify_ops = {notify_read, notify_write};

/* What the window shows now. @return NULL: nothing */
static const struct bus_ops *window(const struct virtio *v, uint64_t *offset, unsigned *size_bytes)
{
    uint32_t at, length;
    uint8_t bar = v->pci.config[v->window + WINDOW_BAR];

    memcpy(&at, v->pci.config + v->window + WINDOW_OFFSET, sizeof(at));
    memcpy(&length, v->pci.config + v->window + WINDOW_LENGTH, sizeof(length));
    if ((length != 1u && length != 2u && length != 4u) || at % length) return NULL;
    *offset = at;
    *size_bytes = length;
    if (bar == BAR_MEMORY && at < MEMORY_BYTES) return &memory_ops;
    return bar == BAR_NOTIFY && at < NOTIFY_BYTES ? &notify_ops : NULL;
}

static bool in_window_data(const struct virtio *v, unsigned offset, unsigned size_bytes)
{
    unsigned data = v->window + WINDOW_DATA;

    return offset < data + 4u && offset + size_bytes > data;
}

static void config_reading(void *dev, unsigned offset, unsigned size_bytes)
{
    struct virtio *v = dev;
    const struct bus_ops *ops;
    uint64_t at;
    unsigned size;
    uint32_t value;

    if (!in_window_data(v, offset, size_bytes) || !(ops = window(v, &at, &size))) return;
    value = (uint32_t)ops->read(v, at, size);
    memcpy(v->pci.config + v->window + WINDOW_DATA, &value, sizeof(value));
}

static void config_written(void *dev, unsigned offset, unsigned size_bytes)
{
    struct virtio *v = dev;
    const struct bus_ops *ops;
    uint64_t at;
    unsigned size;
    uint32_t value;

    if (!in_window_data(v, offset, size_bytes) || !(ops = window(v, &at, &size))) return;
    memcpy(&value, v->pci.config + v->window + WINDOW_DATA, sizeof(value));
    ops->write(v, at, size, value & dev_ones(size));
}

/* ---- setup ---- */

static unsigned capability(struct virtio *v, unsigned type, unsigned bytes, unsigned bar,
                           unsigned offset, unsigned length)
{
    unsigned at = pci_capability(&v->pci, CAP_VENDOR, bytes);
    uint32_t words[2] = {offset, length};

    if (at == 0) return 0;
    v->pci.config[at + 2u] = (uint8_t)bytes;
    v->pci.config[at + 3u] = (uint8_t)type;
    v->pci.config[at + 4u] = (uint8_t)bar;
    memcpy(v->pci.config + at + 8u, words, sizeof(words));
    return at;
}

static bool capabilities_add(struct virtio *v)
{
    unsigned notify;

    if (!pci_msix_add(&v->pci, BAR_MSIX, v->kind->queues + 1u) ||
        !capability(v, CFG_COMMON, CAP_BYTES, BAR_MEMORY, PLACE_COMMON * PLACE_BYTES,
                    COMMON_BYTES) ||
        !capability(v, CFG_ISR, CAP_BYTES, BAR_MEMORY, PLACE_ISR * PLACE_BYTES, 1) ||
        (v->kind->config_size && !capability(v, CFG_DEVICE, CAP_BYTES, BAR_MEMORY,
                                             PLACE_DEVICE * PLACE_BYTES, v->kind->config_size)))
        return false;
    notify =
        capability(v, CFG_NOTIFY, CAP_NOTIFY_BYTES, BAR_NOTIFY, 0, v->kind->queues * NOTIFY_STEP);
    v->window = (uint8_t)capability(v, CFG_PCI, CAP_WINDOW_BYTES, 0, 0, 0);
    if (!notify || !v->window) return false;
    v->pci.config[notify + CAP_BYTES] = NOTIFY_STEP;
    v->pci.writable[v->window + WINDOW_BAR] = 0xff;
    memset(v->pci.writable + v->window + WINDOW_OFFSET, 0xff, 12);
    v->pci.written = config_written;
    v->pci.reading = config_reading;
    return true;
}

bool virtio_init(struct virtio *v, struct pci *pci, const struct dev_host *host, unsigned devfn,
                 const struct virtio_kind *kind, uint64_t features, const void *config, void *dev)
{
    const struct pci_id id = {
        .vendor = VENDOR,
        .device = (uint16_t)(DEVICE_FIRST + kind->type),
        .subsystem_vendor = VENDOR,
        .subsystem = (uint16_t)(SUBSYSTEM_MODERN + kind->type),
        .class_code = kind->class_code,
        .revision = REVISION_MODERN,
        .pin = 1,
    };
    const struct pci_bar notify = {
        .size_bytes = NOTIFY_BYTES, .kind = BUS_PIO, .ops = &notify_ops, .dev = v};
    const struct pci_bar memory = {
        .size_bytes = MEMORY_BYTES, .kind = BUS_MMIO, .ops = &memory_ops, .dev = v};

    memset(v, 0, sizeof(*v));
    v->kind = kind;
    v->dev = dev;
    v->config = config;
    v->host = host;
    v->offered = features | VIRTIO_F_RINGS;
    if (kind->queues > VIRTIO_QUEUES_MAX || kind->queue_size > VIRTQ_SIZE_MAX ||
        kind->config_size > PLACE_BYTES || !pci_add(pci, &v->pci, kind->name, devfn, &id, v))
        return false;
    pci_bar_add(&v->pci, BAR_NOTIFY, &notify);
    pci_bar_add(&v->pci, BAR_MEMORY, &memory);
    if (!capabilities_add(v)) return false;
    virtio_status_write(v, 0);
    return true;
}
