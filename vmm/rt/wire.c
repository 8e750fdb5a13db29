/* Frames on a line; see wire.h. */
#include "wire.h"
#include "crc32c.h"
#include "string.h"

#define HEADER_BYTES ((uint32_t)sizeof(struct bh_wire_header))

static bool header_sane(const struct bh_wire_header *h)
{
    return h->kind >= BH_WIRE_REQUEST && h->kind <= BH_WIRE_END &&
           h->bytes <= BH_WIRE_PAYLOAD_BYTES;
}

enum wire_event wire_take(struct wire_frame *f, uint8_t byte)
{
    uint32_t total, crc;

    if (f->whole) {
        f->whole = false;
        f->used = 0;
    }
    f->bytes[f->used++] = byte;
    /* Between frames everything is skipped that does not begin like one. */
    if (f->used == 1u && byte != (BH_WIRE_MAGIC & 0xffu)) f->used = 0;
    if (f->used == 2u && byte != BH_WIRE_MAGIC >> 8) {
        f->used = byte == (BH_WIRE_MAGIC & 0xffu) ? 1u : 0;
        f->bytes[0] = byte;
    }
    if (f->used < HEADER_BYTES) return WIRE_MORE;
    if (!header_sane(&f->header)) {
        f->used = 0;
        return WIRE_DAMAGED;
    }
    total = HEADER_BYTES + f->header.bytes + BH_WIRE_CRC_BYTES;
    if (f->used < total) return WIRE_MORE;
    f->whole = true;
    memcpy(&crc, f->bytes + total - BH_WIRE_CRC_BYTES, sizeof(crc));
    return crc == crc32c(0, f->bytes, total - BH_WIRE_CRC_BYTES) ? WIRE_FRAME : WIRE_DAMAGED;
}

uint32_t wire_seal(struct wire_frame *f, enum bh_wire_kind kind)
{
    uint32_t end, crc;

    if (f->header.bytes > BH_WIRE_PAYLOAD_BYTES) f->header.bytes = BH_WIRE_PAYLOAD_BYTES;
    f->header.magic = BH_WIRE_MAGIC;
    f->header.version = BH_WIRE_VERSION;
    f->header.kind = (uint8_t)kind;
    end = HEADER_BYTES + f->header.bytes;
    crc = crc32c(0, f->bytes, end);
    memcpy(f->bytes + end, &crc, sizeof(crc));
    return end + BH_WIRE_CRC_BYTES;
}
