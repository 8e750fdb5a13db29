/*
 * Control channels: requests of bhctl, on COM3 and from guests whose VMs the manifest gives a
 * channel of their own. Of each channel one request at a time is carried out while the supervising
 * loop goes on. May call: line.h, verbs (control_verbs.c). Never waits; a client that is slow,
 * silent or talks nonsense keeps no other from being served.
 */
#ifndef VMM_ROOT_CONTROL_H
#define VMM_ROOT_CONTROL_H

#include <stdbool.h>
#include "bulkhead/wire.h"
#include "rights.h"
#include "vm.h"

/** What verbs are about; lives on. */
struct control_system {
    struct vm *vms;
    unsigned vm_count;
    const void *blob; /* the manifest */
    uint64_t blob_bytes;
    uint32_t host_may; /* bhctl on COM3: enum manifest_may */
};

void control_init(const struct control_system *system);
/** Take what has come, go on with the request, send. @return true: call again soon */
bool control_poll(void);
/** The system ends: send what is to be said; bounded time. */
void control_end(void);

/* ---- what a verb is made of ---- */

/** A request while it is carried out. */
struct control_call {
    const struct control_system *system;
    const struct subject *who; /* asks */
    struct vm *vm;             /* the one that is meant, if the verb is of one */
    const uint8_t *in;
    uint32_t in_bytes;
    /* The verb's own, zero at first. */
    uint32_t step;
    uint64_t at, deadline_tsc, pause_tsc, wait_tsc;
    uint64_t words[8];
    /* Of this call: what goes out as a part, at most BH_WIRE_PAYLOAD_BYTES. */
    uint8_t *out;
    uint32_t out_bytes;
};

#define CONTROL_GO_ON (-1) /* call me again: with this part out, or when something has happened */

struct control_verb {
    uint16_t number;  /* enum bh_wire_verb */
    const char *name; /* in records */
    uint32_t right;   /* enum manifest_may */
    enum {
        OF_SYSTEM,
        OF_VM,
        OF_LIVING_VM,
        OF_SEVERAL, /* those one may ask about */
        OF_FILE     /* of a VM's file: only the host's line; records are the verb's own */
    } whose;
    /** Called until it returns an enum bh_wire_status. Bounded work per call. */
    int (*run)(struct control_call *c);
};

/** The VM's monitor is at work for another client: what run() returns then. */
int ask_wait(struct control_call *c);

/** Verbs with files of their own. */
int control_list(struct control_call *c);
int control_protections(struct control_call *c);
int control_stats(struct control_call *c);
int control_audit(struct control_call *c);
int control_manifest(struct control_call *c);
int control_system(struct control_call *c);
int control_start(struct control_call *c);
int control_stop(struct control_call *c);
int control_kill(struct control_call *c);
int control_restart(struct control_call *c);
int control_pause(struct control_call *c);
int control_resume(struct control_call *c);
int control_shutdown(struct control_call *c);
int control_screenshot(struct control_call *c);
int control_console(struct control_call *c);
int control_save(struct control_call *c);
int control_restore(struct control_call *c);
int control_store_read(struct control_call *c);
int control_store_write(struct control_call *c);

/** A VM as it is now becomes this call's part: to who may not list it no more than what becomes of
 *  it. */
void control_put_vm(struct control_call *c, const struct vm *vm);

/** The end of a call whose VM is not started: why goes to who may list it. @return BH_WIRE_NOT_STARTED */
int control_not_started(struct control_call *c);

/** All verbs, ended by number 0. */
extern const struct control_verb control_verbs[];

#endif
