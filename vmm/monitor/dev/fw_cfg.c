/*
 * Firmware configuration device; see fw_cfg.h. May call: guest memory, the bus. Never writes an
 * item: all are read-only. Work for one access is bounded by the size of an item.
 */
#include "fw_cfg.h"
#include "dev_util.h"

#include <string.h>

#define PORTS         12u
#define REG_SELECTOR  0u
#define REG_DATA      1u
#define REG_DMA_HIGH  4u
#define REG_DMA_LOW   8u
#define KEY_SIGNATURE 0x0000u
#define KEY_FEATURES  0x0001u
#define KEY_DIRECTORY 0x0019u
#define KEY_FILES     0x0020u
#define KEY_WRITE     0x4000u /* asks to write; nothing is writable */

#define FEATURE_PORTS 1u
#define FEATURE_DMA   2u

#define DMA_ERROR  0x01u
#define DMA_READ   0x02u
#define DMA_SKIP   0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE  0x10u
/* What lies behind an item reads as zeroes; of those so many are written in one transfer. */
#define DMA_ZEROES_MAX 0x100000u

#define DIRECTORY_ENTRY 64u

static void be_put(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> (bytes - 1u - i) * 8u);
}

static uint64_t be_get(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) value = value << 8 | p[i];
    return value;
}

/* The item selected; one without bytes if there is none. */
static struct fw_cfg_item selected(const struct fw_cfg *f)
{
    uint16_t key = f->selector & (uint16_t)~KEY_WRITE;

    if (key == KEY_DIRECTORY)
        return (struct fw_cfg_item){f->directory, 4u + f->files * DIRECTORY_ENTRY, key};
    if (key >= KEY_FILES && key - KEY_FILES < f->files) return f->file[key - KEY_FILES];
    for (unsigned i = 0; i < f->values; i++)
        if (f->value[i].key == key) return f->value[i];
    return (struct fw_cfg_item){NULL, 0, key};
}

static void select(struct fw_cfg *f, uint16_t key)
{
    f->selector = key;
    f->offset = 0;
}

static uint8_t next_byte(struct fw_cfg *f)
{
    struct fw_cfg_item item = selected(f);

    return f->offset < item.size ? item.bytes[f->offset++] : 0;
}

/* @return whether guest memory has got the bytes. */
static bool dma_read(struct fw_cfg *f, uint64_t gpa, uint32_t length)
{
    struct fw_cfg_item item = selected(f);
    uint32_t part = item.size - f->offset;
    uint8_t *to = guest_mem_ptr(f->host->mem, gpa, length);

    if (part > length) part = length;
    if (!to || length - part > DMA_ZEROES_MAX) return false;
    if (part) memcpy(to, item.bytes + f->offset, part);
    memset(to + part, 0, length - part);
    f->offset += part;
    return true;
}

static void dma(struct fw_cfg *f, uint64_t gpa)
{
    uint8_t request[16], result[4];
    uint32_t control, length;
    bool ok = true;

    if (!guest_mem_read(f->host->mem, gpa, request, sizeof(request))) return;
    control = (uint32_t)be_get(request, 4);
    length = (uint32_t)be_get(request + 4, 4);
    if (control & DMA_SELECT) select(f, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        ok = dma_read(f, be_get(request + 8, 8), length);
    } else if (control & DMA_WRITE) {
        ok = false;
    } else if (control & DMA_SKIP) {
        uint32_t left = selected(f).size - f->offset;

        f->offset += length < left ? length : left;
    }
    be_put(result, ok ? 0 : DMA_ERROR, sizeof(result));
    (void)guest_mem_write(f->host->mem, gpa, result, sizeof(result));
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    static const char dma_signature[] = "QEMU CFG";
    struct fw_cfg *f = dev;
    uint64_t value = 0;

    if (offset == REG_DATA && size_bytes == 1u) return next_byte(f);
    if (offset < REG_DMA_HIGH) return dev_ones(size_bytes);
    for (unsigned i = 0; i < size_bytes; i++)
        value |= (uint64_t)(uint8_t)dma_signature[offset - REG_DMA_HIGH + i] << i * 8u;
    return value;
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct fw_cfg *f = dev;

    if (offset == REG_SELECTOR && size_bytes == 2u) {
        select(f, (uint16_t)value);
    } else if (size_bytes == 4u && (offset == REG_DMA_HIGH || offset == REG_DMA_LOW)) {
        uint32_t half = __builtin_bswap32((uint32_t)value); /* both are big-endian */

        if (offset == REG_DMA_HIGH) {
            f->dma_address = half;
        } else {
            uint64_t gpa = (uint64_t)f->dma_address << 32 | half;

            f->dma_address = 0;
            dma(f, gpa);
        }
    }
}

bool fw_cfg_init(struct fw_cfg *f, struct bus *bus, const struct dev_host *host)
{
    static const struct bus_ops ops = {port_read, port_write};
    static const uint8_t features[4] = {FEATURE_PORTS | FEATURE_DMA};

    memset(f, 0, sizeof(*f));
    f->host = host;
    return fw_cfg_add_value(f, KEY_SIGNATURE, "QEMU", 4) &&
           fw_cfg_add_value(f, KEY_FEATURES, features, sizeof(features)) &&
           bus_add(bus, BUS_PIO, FW_CFG_PORT, PORTS, &ops, f, "fw-cfg");
}

bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *bytes, uint32_t size)
{
    uint8_t *entry = f->directory + 4u + f->files * DIRECTORY_ENTRY;
    uint16_t key = (uint16_t)(KEY_FILES + f->files);
    size_t length = strlen(name);

    if (f->files == FW_CFG_FILES_MAX || length >= FW_CFG_NAME_BYTES) return false;
    f->file[f->files++] = (struct fw_cfg_item){bytes, size, key};
    be_put(f->directory, f->files, 4);
    be_put(entry, size, 4);
    be_put(entry + 4, key, 2);
    memcpy(entry + 8, name, length);
    return true;
}

bool fw_cfg_add_item(struct fw_cfg *f, uint16_t key, const void *bytes, uint32_t size)
{
    if (f->values == FW_CFG_KEYS_MAX) return false;
    f->value[f->values++] = (struct fw_cfg_item){bytes, size, key};
    return true;
}

bool fw_cfg_add_value(struct fw_cfg *f, uint16_t key, const void *bytes, uint32_t size)
{
    uint8_t *to;

    if (f->values == FW_CFG_KEYS_MAX || size > FW_CFG_VALUE_BYTES) return false;
    to = f->value_bytes[f->values];
    memcpy(to, bytes, size);
    return fw_cfg_add_item(f, key, to, size);
}

static bool loaded(void *dev)
{
    const struct fw_cfg *f = dev;

    return f->offset <= selected(f).size;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct fw_cfg, selector),
    STATE_MEMBER(struct fw_cfg, offset),
    STATE_MEMBER(struct fw_cfg, dma_address),
};

const struct dev_state fw_cfg_state = DEV_STATE("fw_cfg", 1, members, loaded);
