/*
 * NOR flash; see pflash.h. A state machine over the bytes written (StrataFlash J3, table 16
 * "Command bus operations"). Programming clears bits, erasing a block sets them; both take no time.
 * May call: the host's map. Never writes outside its array.
 */
#include "pflash.h"
#include "dev_util.h"

#include <string.h>

enum pflash_mode {
    MODE_ARRAY,
    MODE_STATUS,
    MODE_ID,
    MODE_QUERY,
    MODE_PROGRAM,        /* the next write is data */
    MODE_ERASE,          /* the next write confirms */
    MODE_LOCK,           /* second byte of a lock command */
    MODE_BUFFER_COUNT,   /* buffered write: number of bytes less one comes next */
    MODE_BUFFER_DATA,    /* then so many bytes */
    MODE_BUFFER_CONFIRM, /* then a confirmation */
    MODE_COUNT
};

#define CMD_READ_ARRAY   0xffu
#define CMD_READ_ID      0x90u
#define CMD_READ_QUERY   0x98u
#define CMD_READ_STATUS  0x70u
#define CMD_CLEAR_STATUS 0x50u
#define CMD_PROGRAM      0x40u
#define CMD_PROGRAM_OLD  0x10u
#define CMD_BUFFER       0xe8u
#define CMD_ERASE        0x20u
#define CMD_LOCK         0x60u
#define CMD_CONFIRM      0xd0u

/* OVMF knows flash by a status of zero once it has been cleared (OvmfPkg/QemuFlashFvbServices-
 * RuntimeDxe); a chip would say ready. It says so after the first operation here. */
#define STATUS_CLEARED       0u
#define STATUS_READY         0x80u
#define STATUS_ERASE_ERROR   0x20u
#define STATUS_PROGRAM_ERROR 0x10u /* with the one above: a command sequence that is none */

#define ID_MANUFACTURER 0x89u /* Intel */
#define ID_DEVICE       0x18u

/* The CFI query structure from offset 0x10 on (JESD68.01, 2.4), as far as it does not depend on the
 * size of the array. */
static const uint8_t query[] = {
    'Q',
    'R',
    'Y', /* 0x10 */
    0x01,
    0x00, /* 0x13: Intel's extended command set */
    0x31,
    0x00, /* 0x15: address of the extended query */
    0,
    0,
    0,
    0, /* 0x17: no alternate set */
    0x45,
    0x55, /* 0x1b: Vcc 4.5 to 5.5 V */
    0,
    0, /* 0x1d: no Vpp */
    1,
    1,
    10,
    0, /* 0x1f: typical times, powers of two: byte 2 us, buffer 2 us, block 1 s */
    1,
    1,
    1,
    0, /* 0x23: longest times, powers of two of the typical */
    0, /* 0x27: size of the array, power of two */
    0,
    0, /* 0x28: 8 bits wide */
    5,
    0, /* 0x2a: 32-byte write buffer */
    1, /* 0x2c: one region of blocks of one size */
    0,
    0, /* 0x2d: number of blocks less one */
    PFLASH_BLOCK_BYTES >> 8 & 0xffu,
    PFLASH_BLOCK_BYTES >> 16, /* 0x2f: size in 256 bytes */
    'P',
    'R',
    'I',
    '1',
    '0', /* 0x31: extended query, version 1.0, no optional feature */
    0,
    0,
    0,
    0,
    0,
    0,
    0,
};

static uint8_t *array(const struct pflash *f) { return f->ram->bytes + f->ram_offset; }

static uint8_t query_byte(const struct pflash *f, unsigned at)
{
    uint64_t blocks = f->size_bytes / PFLASH_BLOCK_BYTES - 1u;
    uint8_t power = 0;

    while (((uint64_t)1 << power) < f->size_bytes) power++;
    switch (at) {
    case 0x27: return power;
    case 0x2d: return (uint8_t)blocks;
    case 0x2e: return (uint8_t)(blocks >> 8);
    default: return at >= 0x10u && at - 0x10u < sizeof(query) ? query[at - 0x10u] : 0;
    }
}

static uint8_t id_byte(unsigned at)
{
    return at == 0 ? ID_MANUFACTURER : at == 1u ? ID_DEVICE : 0; /* no block is locked */
}

static void enter(struct pflash *f, enum pflash_mode mode)
{
    bool show = mode == MODE_ARRAY;

    f->mode = (uint8_t)mode;
    if (show == f->mapped) return;
    /* If it cannot be mapped, accesses come here, one by one. */
    if (f->host->map(f->host->ctx, f->ram, f->ram_offset, f->size_bytes, f->base,
                     show ? DEV_MAP_READ | DEV_MAP_EXEC : 0))
        f->mapped = show;
}

static void command(struct pflash *f, uint8_t value)
{
    switch (value) {
    case CMD_READ_ID: enter(f, MODE_ID); break;
    case CMD_READ_QUERY: enter(f, MODE_QUERY); break;
    case CMD_READ_STATUS: enter(f, MODE_STATUS); break;
    case CMD_PROGRAM:
    case CMD_PROGRAM_OLD: enter(f, MODE_PROGRAM); break;
    case CMD_BUFFER:
        f->status |= STATUS_READY; /* the buffer is free */
        enter(f, MODE_BUFFER_COUNT);
        break;
    case CMD_ERASE: enter(f, MODE_ERASE); break;
    case CMD_LOCK: enter(f, MODE_LOCK); break;
    case CMD_CLEAR_STATUS:
        f->status = STATUS_CLEARED;
        enter(f, MODE_ARRAY);
        break;
    default: enter(f, MODE_ARRAY); break; /* CMD_READ_ARRAY, and what is no command */
    }
}

static void done(struct pflash *f, uint8_t errors)
{
    f->status |= STATUS_READY | errors;
    enter(f, MODE_STATUS);
}

static void sequence_error(struct pflash *f) { done(f, STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR); }

static void program(struct pflash *f, uint64_t at, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count && at + i < f->size_bytes; i++) array(f)[at + i] &= bytes[i];
}

static void buffer_data(struct pflash *f, uint64_t offset, const uint8_t *bytes, unsigned count)
{
    if (f->buffer_done == 0) f->buffer_at = (uint32_t)offset;
    for (unsigned i = 0; i < count; i++) {
        uint64_t place = offset + i - f->buffer_at;

        if (offset + i < f->buffer_at || place >= f->buffer_count) {
            sequence_error(f);
            return;
        }
        f->buffer[place] = bytes[i];
        f->buffer_done++;
        if (f->buffer_done == f->buffer_count) {
            enter(f, MODE_BUFFER_CONFIRM);
            return;
        }
    }
}

static void flash_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pflash *f = dev;
    uint8_t bytes[8], low = (uint8_t)value;

    for (unsigned i = 0; i < 8u; i++) bytes[i] = (uint8_t)(value >> i * 8u);
    switch (f->mode) {
    case MODE_PROGRAM:
        program(f, offset, bytes, size_bytes);
        done(f, 0);
        break;
    case MODE_ERASE:
        if (low != CMD_CONFIRM) {
            sequence_error(f);
            break;
        }
        memset(array(f) + (offset & ~(uint64_t)(PFLASH_BLOCK_BYTES - 1u)), 0xff,
               PFLASH_BLOCK_BYTES);
        done(f, 0);
        break;
    case MODE_LOCK: done(f, 0); break; /* no block is ever locked */
    case MODE_BUFFER_COUNT:
        if (low >= PFLASH_BUFFER_BYTES) {
            sequence_error(f);
            break;
        }
        f->buffer_count = (uint8_t)(low + 1u);
        f->buffer_done = 0;
        memset(f->buffer, 0xff, sizeof(f->buffer));
        enter(f, MODE_BUFFER_DATA);
        break;
    case MODE_BUFFER_DATA: buffer_data(f, offset, bytes, size_bytes); break;
    case MODE_BUFFER_CONFIRM:
        if (low != CMD_CONFIRM) {
            sequence_error(f);
            break;
        }
        program(f, f->buffer_at, f->buffer, f->buffer_count);
        done(f, 0);
        break;
    default: command(f, low); break;
    }
}

static uint64_t flash_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct pflash *f = dev;
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes; i++) {
        unsigned at = (unsigned)(offset + i) & 0xffu;
        uint8_t byte = f->status;

        if (f->mode == MODE_ARRAY)
            byte = array(f)[offset + i];
        else if (f->mode == MODE_ID)
            byte = id_byte(at);
        else if (f->mode == MODE_QUERY)
            byte = query_byte(f, at);
        value |= (uint64_t)byte << i * 8u;
    }
    return value;
}

bool pflash_init(struct pflash *f, struct bus *bus, const struct dev_host *host,
                 const struct dev_ram *ram, uint64_t ram_offset, uint64_t base, uint64_t size_bytes)
{
    static const struct bus_ops ops = {flash_read, flash_write};

    if (size_bytes == 0 || size_bytes % PFLASH_BLOCK_BYTES != 0 || ram_offset > ram->size_bytes ||
        size_bytes > ram->size_bytes - ram_offset)
        return false;
    memset(f, 0, sizeof(*f));
    f->host = host;
    f->ram = ram;
    f->ram_offset = ram_offset;
    f->base = base;
    f->size_bytes = size_bytes;
    enter(f, MODE_ARRAY);
    return f->mapped && bus_add(bus, BUS_MMIO, base, size_bytes, &ops, f, "flash");
}

static bool loaded(void *dev)
{
    struct pflash *f = dev;

    if (f->mode >= MODE_COUNT || f->buffer_count > PFLASH_BUFFER_BYTES ||
        f->buffer_done > f->buffer_count || f->buffer_at >= f->size_bytes ||
        (f->mode == MODE_BUFFER_DATA && f->buffer_done == f->buffer_count))
        return false;
    enter(f, (enum pflash_mode)f->mode);
    return true;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct pflash, mode),         STATE_MEMBER(struct pflash, status),
    STATE_MEMBER(struct pflash, buffer_count), STATE_MEMBER(struct pflash, buffer_done),
    STATE_MEMBER(struct pflash, buffer_at),    STATE_MEMBER(struct pflash, buffer),
};

const struct dev_state pflash_state = DEV_STATE("pflash", 1, members, loaded);
