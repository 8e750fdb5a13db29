/* What both backends check of a guest's state before they store it. Pure. */
#ifndef ARCH_X86_GUEST_STATE_H
#define ARCH_X86_GUEST_STATE_H

#include "cpu.h"
#include "bulkhead/vcpu.h"

static inline bool canonical(uint64_t va) { return (uint64_t)((int64_t)(va << 16) >> 16) == va; }

/** SDM vol. 1, 13.3. */
static inline bool xcr0_ok(uint64_t x)
{
    if ((x & ~host_xcr0) != 0 || (host_xcr0 != 0 && (x & 1u) == 0)) return false;
    return (x & 6u) != 4u && ((x & 0xe0u) == 0 || (x & 0xe6u) == 0xe6u);
}

/** SDM 27.3.1.1; AMD APM vol. 2, 7.8.2 (PAT) and 15.5.1. */
static inline bool msrs_ok(const struct bh_vcpu_state *s)
{
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = s->pat >> i & 0xffu;
        if (type > 7 || type == 2 || type == 3) return false;
    }
    return canonical(s->lstar) && canonical(s->cstar) && canonical(s->kernel_gs_base) &&
           canonical(s->sysenter_esp) && canonical(s->sysenter_eip) && s->sysenter_cs >> 32 == 0 &&
           s->sfmask >> 32 == 0;
}

#endif
