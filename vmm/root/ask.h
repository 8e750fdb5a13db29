/*
 * Root's questions to a monitor (bulkhead/control.h): ask, and look for the answer later.
 * May call: the VM's control pages, its notification. Never waits; believes nothing it reads.
 */
#ifndef VMM_ROOT_ASK_H
#define VMM_ROOT_ASK_H

#include <stdbool.h>
#include "bulkhead/control.h"
#include "bulkhead/wire.h"
#include "vm.h"

/** Is the monitor of this living VM not at work for anybody, also for one who is gone? Who asks
 *  nonetheless takes the other's answer away, and changes the question under the monitor's eyes. */
bool ask_free(const struct vm *vm);

/** @param asker whoever will ask for the answer; NULL: nobody
 *  @param in bytes for the monitor, at most BH_CONTROL_IN_BYTES (more are cut off) */
void ask(struct vm *vm, const void *asker, enum bh_control_verb verb,
         const uint64_t args[BH_CONTROL_ARGS], const void *in, uint32_t in_bytes);

/** The asker is gone: another may ask once the monitor has answered, or had its time. */
void ask_forget(struct vm *vm, const void *asker);

struct ask_answer {
    uint32_t status; /* enum bh_wire_status */
    uint64_t values[BH_CONTROL_ARGS];
    uint32_t out_bytes;
};

/**
 * The answer to the last question. A monitor that takes longer than a second has none.
 * @param out       where its bytes go
 * @param out_room  room there; more are cut off
 * @return false: not there yet
 */
bool ask_answered(struct vm *vm, const void *asker, struct ask_answer *answer, void *out,
                  uint32_t out_room);

#endif
