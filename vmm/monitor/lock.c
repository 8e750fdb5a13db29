/*
 * The device lock, when another thread has it. Held for one access to a device: so a short while of
 * looking, then a sleep that lets the holder run, should it be on this CPU. A signal that comes
 * meanwhile is kept. May call: waiting.
 */
#include "monitor.h"

#define SPINS    200u
#define SLEEP_US 20u

uint32_t device_lock_word;
bool device_lock_needed;

void device_lock_wait(void)
{
    struct vcpu *v = self();

    for (unsigned i = 0;; i++) {
        if (!__atomic_load_n(&device_lock_word, __ATOMIC_RELAXED) &&
            !__atomic_exchange_n(&device_lock_word, 1u, __ATOMIC_ACQUIRE))
            return;
        if (i < SPINS) {
            __builtin_ia32_pause();
        } else {
            uint64_t until = rt_tsc() + (uint64_t)start_block()->tsc_khz * SLEEP_US / 1000u;
            struct bh_result r = bh_wait(BH_MONITOR_SLOT_NTFN + v->number, until);

            if (r.err == BH_OK) {
                v->signals |= r.value;
                v->dirty |= DIRTY_SIGNALS;
            }
            i = 0;
        }
    }
}
