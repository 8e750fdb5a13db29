/* Root's random numbers; see seeds.h. */
#include "seeds.h"
#include <stdbool.h>
#include "caps.h"
#include "random.h"

static struct random generator;

static void key_from(uint64_t seed[4], const uint64_t *also)
{
    for (unsigned i = 0; i < 4u; i++) seed[i] ^= also[i];
    random_init(&generator, seed);
}

/* The kernel's 512 bits, one half after the other; each time the clock, for machines that have
 * nothing better. */
static void draw(uint8_t *bytes, uint64_t count)
{
    static bool begun;
    uint64_t seed[4] = {0}, now[4] = {rt_tsc()};

    if (!begun) {
        key_from(seed, info()->entropy);
        random_fill(&generator, (uint8_t *)seed, sizeof(seed));
        key_from(seed, info()->entropy + 4);
        begun = true;
    }
    random_fill(&generator, (uint8_t *)seed, sizeof(seed));
    key_from(seed, now);
    random_fill(&generator, bytes, count);
}

void seed_vm(uint64_t seed[4]) { draw((uint8_t *)seed, 4u * sizeof(seed[0])); }

void seed_word(char word[SEED_WORD_CHARS + 1u])
{
    static const char set[32] = "abcdefghijkmnpqrstuvwxyz23456789"; /* no l, o, 0, 1 */
    uint8_t bytes[SEED_WORD_CHARS];

    draw(bytes, sizeof(bytes));
    for (unsigned i = 0; i < SEED_WORD_CHARS; i++) word[i] = set[bytes[i] % sizeof(set)];
    word[SEED_WORD_CHARS] = '\0';
}
