/*
 * Random bytes from a seed: ChaCha20 (RFC 8439) whose key is replaced with each use, so that what
 * was given out before cannot be found from what is in memory now. Calls memcpy and memset only. Is
 * never saved: a VM that goes on twice must not draw the same bytes twice.
 */
#ifndef VMM_RT_RANDOM_H
#define VMM_RT_RANDOM_H

#include <stdint.h>

struct random {
    uint32_t key[8];
};

void random_init(struct random *r, const uint64_t seed[4]);
void random_fill(struct random *r, uint8_t *bytes, uint64_t count);

/** RFC 8439, 2.3. */
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                    uint8_t out[64]);

#endif
