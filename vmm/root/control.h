/*
 * The control channel: requests of bhctl on COM3, carried out one at a time while the supervising
 * loop goes on. May call: the serial port, verbs (control_verbs.c). Never waits.
 */
#ifndef VMM_ROOT_CONTROL_H
#define VMM_ROOT_CONTROL_H

#include <stdbool.h>
#include "bulkhead/wire.h"
#include "vm.h"

/** @param vms array of @count VMs that live on */
void control_init(struct vm *vms, unsigned count);
/** Take what has come, go on with the request, send. @return true: call again soon */
bool control_poll(void);

/* ---- what a verb is made of ---- */

/** A request while it is carried out. */
struct control_call {
    struct vm *vms; /* all of them */
    unsigned vm_count;
    struct vm *vm; /* the one that is meant, if the verb is of one */
    const uint8_t *in;
    uint32_t in_bytes;
    /* The verb's own, zero at first. */
    uint32_t step;
    uint64_t at, deadline_tsc, pause_tsc;
    uint64_t words[8];
    /* Of this call: what goes out as a part, at most BH_WIRE_PAYLOAD_BYTES. */
    uint8_t *out;
    uint32_t out_bytes;
};

#define CONTROL_GO_ON (-1) /* call me again: with this part out, or when something has happened */

struct control_verb {
    uint16_t number; /* enum bh_wire_verb */
    bool of_vm;
    bool of_ended; /* of a VM that does not run, too */
    /** Called until it returns an enum bh_wire_status. Bounded work per call. */
    int (*run)(struct control_call *c);
};

/** Verbs with a file of their own. */
int control_screenshot(struct control_call *c);

/** All verbs, ended by number 0. */
extern const struct control_verb control_verbs[];

#endif
