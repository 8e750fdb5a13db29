/* The audit ring that root reads, and the information page. */
#ifndef ARCH_X86_AUDIT_H
#define ARCH_X86_AUDIT_H
#include "bulkhead/info.h"
extern struct bh_info info_page;
extern struct bh_audit_ring audit_ring;
/** Append a record. Any CPU, any context but NMI. */
void audit(uint32_t kind, uint32_t object, uint64_t tag, uint64_t a, uint64_t b, uint64_t c,
           uint64_t d);
#endif
