/* CRC-32C, the Castagnoli polynomial (RFC 3720, B.4). Calls nothing. */
#ifndef VMM_RT_CRC32C_H
#define VMM_RT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** @param crc 0, or the result for the bytes before these */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
