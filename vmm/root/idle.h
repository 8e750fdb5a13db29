/*
 * Who is asked for memory, and who gets it: numbers in, numbers out. May call: nothing. All counts
 * are of pieces, and what a VM says about itself may be any number.
 *
 * A VM that is about to start and lacks pieces comes first: those that leave the most idle are
 * asked, but for a reserve of an eighth of what they have. A VM with less than an eighth available
 * gets an eighth of its size more, of what is free or of those that leave more than a quarter idle:
 * who has given is not in need for that. Nobody is asked to keep less than its minimum, and when
 * nobody is in need nobody is asked for anything.
 */
#ifndef VMM_ROOT_IDLE_H
#define VMM_ROOT_IDLE_H

#include <stdbool.h>
#include <stdint.h>

struct idle_vm {
    bool takes_part;    /* it runs, and has told how it is since it was asked last */
    bool stuck;         /* it does not do as it was asked */
    uint32_t min, max;  /* that it keeps at least and has at most */
    uint32_t has;       /* that are with it */
    uint32_t keeps;     /* that its balloon leaves it */
    uint32_t available; /* that its guest could do without, as it says */
    uint32_t target;    /* that it is asked to keep; changed by idle_policy() */
};

/** @param free pieces that nobody has
 *  @param wanted pieces that a VM takes which is about to start; 0: none is */
void idle_policy(struct idle_vm *vms, unsigned count, uint32_t free, uint32_t wanted);

#endif
