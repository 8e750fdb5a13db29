/*
 * Run-length compression of pictures, by units of 1 to 4 bytes (a pixel): a byte t below 128 and
 * t + 1 units as they are; from 128 to 254 and one unit that stands t - 126 times; 255, a 16-bit
 * count and a unit. What is packed may change meanwhile. Calls nothing.
 */
#ifndef VMM_RT_RLE_H
#define VMM_RT_RLE_H

#include <stddef.h>
#include <stdint.h>

/**
 * Pack as much as fits.
 * @param room   bytes at @out, at least 8
 * @param unit   1..4; a rest of @bytes smaller than it is filled up with zeros
 * @param[out] taken bytes of @in that are in it now
 * @return bytes written
 */
size_t rle_pack(uint8_t *out, size_t room, const uint8_t *in, size_t bytes, unsigned unit,
                size_t *taken);

/** @return bytes written to @out, at most @room (what is beyond is dropped); SIZE_MAX: not packed
 *  like this */
size_t rle_unpack(uint8_t *out, size_t room, const uint8_t *in, size_t bytes, unsigned unit);

#endif
