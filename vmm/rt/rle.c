/* Run-length compression; see rle.h. */
#include "rle.h"
#include "string.h"

#define LITERALS_MAX 128u
#define RUN_SHORT    128u /* token of a run of two */
#define RUN_LONG     255u
#define RUN_LONGEST  65535u

static uint32_t unit_at(const uint8_t *in, size_t bytes, size_t n, unsigned unit)
{
    uint32_t value = 0;
    size_t at = n * unit;

    memcpy(&value, in + at, bytes - at < unit ? bytes - at : unit);
    return value;
}

/* How often the unit at @n stands there. */
static size_t run_length(const uint8_t *in, size_t bytes, size_t n, size_t units, unsigned unit)
{
    uint32_t value = unit_at(in, bytes, n, unit);
    size_t length = 1;

    while (length < RUN_LONGEST && n + length < units &&
           unit_at(in, bytes, n + length, unit) == value)
        length++;
    return length;
}

size_t rle_pack(uint8_t *out, size_t room, const uint8_t *in, size_t bytes, unsigned unit,
                size_t *taken)
{
    size_t units = (bytes + unit - 1u) / unit, n = 0, at = 0;
    size_t literals = SIZE_MAX; /* where the token of the units as they are stands; none */

    while (n < units && room - at >= 3u + unit) {
        size_t run = run_length(in, bytes, n, units, unit);
        uint32_t value = unit_at(in, bytes, n, unit);

        if (run >= 2u) {
            literals = SIZE_MAX;
            if (run < RUN_LONG - RUN_SHORT + 2u) {
                out[at++] = (uint8_t)(RUN_SHORT + run - 2u);
            } else {
                out[at++] = RUN_LONG;
                out[at++] = (uint8_t)run;
                out[at++] = (uint8_t)(run >> 8);
            }
            n += run;
        } else {
            if (literals == SIZE_MAX || out[literals] == LITERALS_MAX - 1u) {
                literals = at++;
                out[literals] = 0;
            } else {
                out[literals]++;
            }
            n++;
        }
        memcpy(out + at, &value, unit);
        at += unit;
    }
    *taken = n * unit < bytes ? n * unit : bytes;
    return at;
}

size_t rle_unpack(uint8_t *out, size_t room, const uint8_t *in, size_t bytes, unsigned unit)
{
    size_t at = 0, to = 0;

    while (at < bytes) {
        size_t token = in[at++], units = 1, copies = 1;

        if (token < RUN_SHORT) {
            units = token + 1u;
        } else if (token < RUN_LONG) {
            copies = token - RUN_SHORT + 2u;
        } else {
            if (bytes - at < 2u) return SIZE_MAX;
            copies = in[at] | (size_t)in[at + 1u] << 8;
            at += 2;
        }
        if (bytes - at < units * unit) return SIZE_MAX;
        for (size_t i = 0; i < copies && to < room; i++) {
            size_t n = units * unit < room - to ? units * unit : room - to;

            memcpy(out + to, in + at, n);
            to += n;
        }
        at += units * unit;
    }
    return to;
}
