/*
 * Capability words: what the invocation path does not need inline, and the lemmas that packing and
 * unpacking are inverse. Calls only cap.h; touches no memory.
 */
#include "cap.h"

/*@
  lemma pack_roundtrip: \forall integer t, r, f, o;
      0 <= t < CAP_NTYPE && 0 <= r < CAP_NRIGHTS && 0 <= f < 2 && 0 <= o < CAP_NOBJ ==>
      c_type(c_pack(t, r, f, o)) == t && c_rights(c_pack(t, r, f, o)) == r &&
      c_frozen(c_pack(t, r, f, o)) == f && c_obj(c_pack(t, r, f, o)) == o;
*/

uint64_t cap_freeze(uint64_t w)
{
    return cap_pack(cap_type(w), cap_rights(w), cap_obj(w)) + CAP_FROZEN_UNIT;
}

uint64_t cap_thaw(uint64_t w) { return cap_pack(cap_type(w), cap_rights(w), cap_obj(w)); }
