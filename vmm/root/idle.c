/* Who is asked for memory, and who gets it; see idle.h. */
#include "idle.h"
#include <stddef.h>

#define PRESSURE 8u /* less than one of so many parts available: in need */
#define STEP     8u /* parts of its size that a VM gets at once */
#define START    8u /* parts that are left to who gives to a VM that starts, ... */
#define CALM     4u /* ... and to who gives to one in need */

static uint32_t above(uint32_t a, uint32_t b) { return a > b ? a - b : 0; }
static uint32_t less(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* That it is about to give. */
static uint32_t coming(const struct idle_vm *v)
{
    return v->stuck ? 0 : above(v->keeps, v->target);
}

/* That it has been promised. */
static uint32_t promised(const struct idle_vm *v) { return above(v->target, v->has); }

static bool in_need(const struct idle_vm *v)
{
    return v->takes_part && v->available < v->keeps / PRESSURE;
}

/* That it can be asked for, leaving one of @parts of what it keeps idle. */
static uint32_t spare(const struct idle_vm *v, uint32_t parts)
{
    uint32_t reserve = v->keeps / parts + coming(v);

    if (!v->takes_part || v->stuck || v->target > v->keeps) return 0;
    return less(above(v->available, reserve), above(v->target, v->min));
}

/* That it gets at once: what would be left of its size for a last small step comes along. */
static uint32_t step_of(const struct idle_vm *v)
{
    uint32_t step = v->max / STEP + 1u, left = above(v->max, v->target);

    return left < step + step / 2u ? left : step;
}

/* Ask for @pieces, those first that leave the most idle. */
static void ask_for(struct idle_vm *vms, unsigned count, uint32_t pieces, uint32_t parts)
{
    while (pieces) {
        struct idle_vm *most = NULL;
        uint32_t n;

        for (unsigned i = 0; i < count; i++)
            if (spare(&vms[i], parts) && (!most || spare(&vms[i], parts) > spare(most, parts)))
                most = &vms[i];
        if (!most) return;
        n = less(pieces, spare(most, parts));
        most->target -= n;
        pieces -= n;
    }
}

void idle_policy(struct idle_vm *vms, unsigned count, uint32_t free, uint32_t wanted)
{
    uint32_t come = 0, owed = wanted;

    for (unsigned i = 0; i < count; i++) {
        struct idle_vm *v = &vms[i];

        if (in_need(v) && v->target < v->keeps) v->target = less(v->keeps, v->max);
        come += coming(v);
        owed += promised(v);
    }
    if (owed > free) {
        ask_for(vms, count, above(owed - free, come), START);
        return; /* nothing is left for others */
    }
    free -= owed;
    for (unsigned i = 0; i < count; i++) {
        struct idle_vm *v = &vms[i];
        uint32_t step = step_of(v), n;

        if (!in_need(v) || v->target > v->keeps || step == 0) continue;
        n = less(step, free);
        v->target += n;
        free -= n;
        if (n < step && come < step - n) ask_for(vms, count, step - n - come, CALM);
        come = above(come, step - n);
    }
}
