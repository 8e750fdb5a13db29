/* Notifications: a word of bits, one waiter or one vCPU on the home CPU; signalled from anywhere.
 */
#ifndef OBJECT_NTFN_H
#define OBJECT_NTFN_H

#include "object/objects.h"

/** OR @bits in and wake or interrupt whoever listens. Any CPU, no lock, at most one locked operation when
 *  bits were pending already. */
void ntfn_signal(uint32_t n, uint64_t bits);
/** Home CPU: notifications that other CPUs signalled (the kick interrupt). */
void ntfn_signals_from_afar(void);

#endif
