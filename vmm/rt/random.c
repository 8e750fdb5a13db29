/* Random bytes; see random.h. */
#include "random.h"

#include "string.h"

static uint32_t rotate(uint32_t x, unsigned bits) { return x << bits | x >> (32u - bits); }

/* RFC 8439, 2.1 */
static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                    uint8_t out[64])
{
    uint32_t s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[16];

    memcpy(s + 4, key, 32);
    s[12] = counter;
    memcpy(s + 13, nonce, 12);
    memcpy(x, s, sizeof(x));
    for (unsigned i = 0; i < 10u; i++) {
        for (unsigned k = 0; k < 4u; k++) quarter_round(&x[k], &x[4u + k], &x[8u + k], &x[12u + k]);
        for (unsigned k = 0; k < 4u; k++)
            quarter_round(&x[k], &x[4u + (k + 1u) % 4u], &x[8u + (k + 2u) % 4u],
                          &x[12u + (k + 3u) % 4u]);
    }
    for (unsigned i = 0; i < 16u; i++) x[i] += s[i];
    memcpy(out, x, sizeof(x)); /* little-endian, as the machine is */
}

void random_init(struct random *r, const uint64_t seed[4]) { memcpy(r->key, seed, 32); }

void random_fill(struct random *r, uint8_t *bytes, uint64_t count)
{
    static const uint32_t nonce[3];
    uint32_t counter = 0, next[8];
    uint8_t block[64];
    uint64_t left = 32;

    /* The first half of the first block is the next key. */
    chacha20_block(r->key, counter++, nonce, block);
    memcpy(next, block, 32);
    while (count) {
        uint64_t n = count < left ? count : left;

        memcpy(bytes, block + sizeof(block) - left, n);
        bytes += n;
        count -= n;
        left -= n;
        if (count && left == 0) {
            chacha20_block(r->key, counter++, nonce, block);
            left = sizeof(block);
        }
    }
    memcpy(r->key, next, 32);
    memset(block, 0, sizeof(block));
}
