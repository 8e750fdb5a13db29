/*
 * Frames of bulkhead/wire.h: taking them off a line byte by byte, and making them. Same source in
 * root and in bhctl. Calls nothing but crc32c(). Never believes a length it has not bounded.
 */
#ifndef VMM_RT_WIRE_H
#define VMM_RT_WIRE_H

#include <stdbool.h>
#include "bulkhead/wire.h"

#define WIRE_FRAME_BYTES (sizeof(struct bh_wire_header) + BH_WIRE_PAYLOAD_BYTES + BH_WIRE_CRC_BYTES)

/** A frame that is on its way, or has just come. */
struct wire_frame {
    union {
        struct bh_wire_header header;
        uint8_t bytes[WIRE_FRAME_BYTES];
    };
    uint32_t used;
    bool whole; /* the next byte begins another one */
};

enum wire_event {
    WIRE_MORE,   /* the frame is not whole yet, or the line is between frames */
    WIRE_FRAME,  /* header and payload are there and checked */
    WIRE_DAMAGED /* the header is there, the rest is not what it was; or a header makes no sense */
};

enum wire_event wire_take(struct wire_frame *f, uint8_t byte);

static inline uint8_t *wire_payload(struct wire_frame *f)
{
    return f->bytes + sizeof(struct bh_wire_header);
}

/** Complete a frame whose payload of header.bytes (bounded) is in place. @return bytes to send */
uint32_t wire_seal(struct wire_frame *f, enum bh_wire_kind kind);

#endif
