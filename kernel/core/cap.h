/*
 * Capability words: type, rights, frozen bit and object index in one 64-bit word. Pure arithmetic:
 * calls nothing, touches no memory. Written with / and % by constants, which provers understand and
 * compilers turn into shifts and masks.
 *
 *   w0 = type + 32 * rights + 512 * frozen + 65536 * obj     (5, 4, 1 and 32 bits)
 */
#ifndef CORE_CAP_H
#define CORE_CAP_H

#include <stdint.h>
#include "bulkhead/cap.h"

#define CAP_RIGHTS_UNIT 32u
#define CAP_FROZEN_UNIT 512u
#define CAP_OBJ_UNIT    65536u
#define CAP_NTYPE       32u
#define CAP_NRIGHTS     16u
#define CAP_NOBJ        0x100000000u
#define CAP_WORDS       0x1000000000000u /* every capability word is below this */

/*@
  logic integer c_type(integer w)   = w % CAP_NTYPE;
  logic integer c_rights(integer w) = (w / CAP_RIGHTS_UNIT) % CAP_NRIGHTS;
  logic integer c_frozen(integer w) = (w / CAP_FROZEN_UNIT) % 2;
  logic integer c_obj(integer w)    = (w / CAP_OBJ_UNIT) % CAP_NOBJ;
  logic integer c_grant(integer w)  = c_rights(w) / 8;
  logic integer c_pack(integer t, integer r, integer f, integer o) =
      t + CAP_RIGHTS_UNIT * r + CAP_FROZEN_UNIT * f + CAP_OBJ_UNIT * o;
  predicate subset(integer a, integer b) =
      a % 2 <= b % 2 && (a / 2) % 2 <= (b / 2) % 2 &&
      (a / 4) % 2 <= (b / 4) % 2 && (a / 8) % 2 <= (b / 8) % 2;
*/

/** Type of a capability word (enum bh_cap_type). */
/*@ assigns \nothing;
    ensures value: \result == c_type(w);
    ensures range: \result < CAP_NTYPE; */
static inline uint32_t cap_type(uint64_t w) { return (uint32_t)(w % CAP_NTYPE); }

/** Rights of a capability word (BH_RIGHT_*). */
/*@ assigns \nothing;
    ensures value: \result == c_rights(w);
    ensures range: \result < CAP_NRIGHTS; */
static inline uint32_t cap_rights(uint64_t w)
{
    return (uint32_t)(w / CAP_RIGHTS_UNIT % CAP_NRIGHTS);
}

/** 1 while the capability is under revocation (nothing new is derived from it), else 0. */
/*@ assigns \nothing;
    ensures value: \result == c_frozen(w);
    ensures range: \result < 2; */
static inline uint32_t cap_frozen(uint64_t w) { return (uint32_t)(w / CAP_FROZEN_UNIT % 2u); }

/** Index of the object in the typed array of its type. */
/*@ assigns \nothing;
    ensures value: \result == c_obj(w); */
static inline uint32_t cap_obj(uint64_t w) { return (uint32_t)(w / CAP_OBJ_UNIT % CAP_NOBJ); }

/** 1 if the capability carries BH_RIGHT_GRANT, else 0. */
/*@ assigns \nothing;
    ensures value: \result == c_grant(w);
    ensures range: \result < 2; */
static inline uint32_t cap_grant(uint64_t w) { return cap_rights(w) / BH_RIGHT_GRANT; }

/** Build a capability word; not frozen. @type < 32, @rights <= BH_RIGHTS_ALL. */
/*@ requires type < CAP_NTYPE && rights < CAP_NRIGHTS;
    assigns \nothing;
    ensures value:  \result == c_pack(type, rights, 0, obj);
    ensures fields: c_type(\result) == type && c_rights(\result) == rights &&
                    c_frozen(\result) == 0 && c_obj(\result) == obj;
    ensures range:  \result < CAP_WORDS; */
static inline uint64_t cap_pack(uint32_t type, uint32_t rights, uint32_t obj)
{
    return type + (uint64_t)rights * CAP_RIGHTS_UNIT + (uint64_t)obj * CAP_OBJ_UNIT;
}

/** The greatest set of rights that is contained in both. Both <= BH_RIGHTS_ALL. */
/*@ requires a < CAP_NRIGHTS && b < CAP_NRIGHTS;
    assigns \nothing;
    ensures range: \result < CAP_NRIGHTS;
    ensures less: subset(\result, a) && subset(\result, b);
    ensures greatest: \forall integer c; 0 <= c < CAP_NRIGHTS && subset(c, a) && subset(c, b) ==>
                      subset(c, \result); */
static inline uint32_t rights_meet(uint32_t a, uint32_t b)
{
    uint32_t r = 0;

    if (a % 2u == 1u && b % 2u == 1u) r = r + 1u;
    if (a / 2u % 2u == 1u && b / 2u % 2u == 1u) r = r + 2u;
    if (a / 4u % 2u == 1u && b / 4u % 2u == 1u) r = r + 4u;
    if (a / 8u % 2u == 1u && b / 8u % 2u == 1u) r = r + 8u;
    return r;
}

/** The word with its frozen bit set. */
/*@ requires w < CAP_WORDS;
    assigns \nothing;
    ensures value: \result == c_pack(c_type(w), c_rights(w), 1, c_obj(w));
    ensures set: c_frozen(\result) == 1;
    ensures rest: c_type(\result) == c_type(w) && c_rights(\result) == c_rights(w) &&
                  c_obj(\result) == c_obj(w);
    ensures range: \result < CAP_WORDS; */
uint64_t cap_freeze(uint64_t w);
/** The word with its frozen bit clear. */
/*@ requires w < CAP_WORDS;
    assigns \nothing;
    ensures value: \result == c_pack(c_type(w), c_rights(w), 0, c_obj(w));
    ensures set: c_frozen(\result) == 0;
    ensures rest: c_type(\result) == c_type(w) && c_rights(\result) == c_rights(w) &&
                  c_obj(\result) == c_obj(w);
    ensures range: \result < CAP_WORDS; */
uint64_t cap_thaw(uint64_t w);

#endif
