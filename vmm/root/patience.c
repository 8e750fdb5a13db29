/* Root's patience; see patience.h. */
#include "patience.h"
#include "caps.h"

#define GAP_MS 200u

uint64_t patient_tsc(void)
{
    static uint64_t last, lost;
    uint64_t now = rt_tsc();

    if (last != 0 && now - last >= (uint64_t)info()->tsc_khz * GAP_MS) lost += now - last;
    last = now;
    return now - lost;
}
