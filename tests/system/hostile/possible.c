/*
 * Which errors each method and each call can give: read off kernel/object and kernel/core, and the
 * same as the errors column of docs/KERNEL-API.md (tests/system/docs_api.py compares them). The
 * hostile task fails when a pair occurs that is not here, and when one that is here does not occur.
 * A method of bulkhead/call.h without a row does not compile. Calls nothing.
 *
 * Linear types keep all rights from retype or derive on, so their own methods never give RIGHTS;
 * ATTACH alone is cut. METHOD belongs to invoke itself.
 */
#include "ring3.h"

#define OK        (1u << BH_OK)
#define CAP       (1u << BH_ERR_CAP)
#define RIGHTS    (1u << BH_ERR_RIGHTS)
#define METHOD    (1u << BH_ERR_METHOD)
#define RANGE     (1u << BH_ERR_RANGE)
#define SLOT      (1u << BH_ERR_SLOT)
#define MEMORY    (1u << BH_ERR_MEMORY)
#define TABLES    (1u << BH_ERR_TABLES)
#define BUSY      (1u << BH_ERR_BUSY)
#define STATE     (1u << BH_ERR_STATE)
#define CPU       (1u << BH_ERR_CPU)
#define PREEMPTED (1u << BH_ERR_PREEMPTED)
#define TIMEOUT   (1u << BH_ERR_TIMEOUT)
#define MAPPED    (1u << BH_ERR_MAPPED)
#define ABORTED   (1u << BH_ERR_ABORTED)
#define LIMIT     (1u << BH_ERR_LIMIT)
#define DST       (CAP | RIGHTS | SLOT) /* of a destination */
#define NONE      0u

/* Name, errors on any machine, errors that take a second CPU (a flush owed is paid on the way out
 * of the kernel when there is but one). */
/* clang-format off */
#define METHODS(X)                                                                                 \
    X(untyped_retype, DST | RANGE | STATE | LIMIT | MEMORY, NONE)                                  \
    X(untyped_scrub, BUSY | PREEMPTED, NONE)                                                       \
    X(untyped_left, NONE, NONE)                                                                    \
    X(frame_carve, DST | STATE | LIMIT | RANGE, BUSY)                                              \
    X(frame_attach, DST | RANGE | STATE | LIMIT, BUSY)                                             \
    X(frame_size, NONE, NONE)                                                                      \
    X(attach_map, RANGE | RIGHTS | STATE | MAPPED | TABLES | PREEMPTED, NONE)                      \
    X(attach_unmap, RANGE | PREEMPTED, NONE)                                                       \
    X(ioports_in, RANGE, NONE)                                                                     \
    X(ioports_out, RANGE, NONE)                                                                    \
    X(ioports_derive, RANGE | DST | STATE | LIMIT, NONE)                                           \
    X(cnode_copy, RIGHTS | SLOT | CAP | RANGE | STATE | LIMIT, NONE)                               \
    X(cnode_mint, RIGHTS | SLOT | CAP | RANGE | STATE | LIMIT, NONE)                               \
    X(cnode_move, RIGHTS | SLOT | CAP | STATE | BUSY, NONE)                                        \
    X(cnode_delete, RIGHTS | SLOT | CAP | BUSY | PREEMPTED, CPU)                                   \
    X(cnode_revoke, RIGHTS | SLOT | CAP | BUSY | PREEMPTED, CPU)                                   \
    X(cnode_type, SLOT, NONE)                                                                      \
    X(thread_bind, RIGHTS | CAP | STATE | LIMIT, CPU)                                              \
    X(thread_set_sc, RIGHTS | CAP | BUSY | STATE, CPU)                                             \
    X(thread_set_fault_ntfn, RIGHTS | CAP | STATE, CPU)                                            \
    X(thread_start, RIGHTS | RANGE | STATE, CPU)                                                   \
    X(thread_stop, RIGHTS, CPU)                                                                    \
    X(thread_status, RIGHTS, CPU)                                                                  \
    X(thread_fault_rip, RIGHTS, CPU)                                                               \
    X(thread_fault_addr, RIGHTS, CPU)                                                              \
    X(sc_configure, RIGHTS | RANGE | LIMIT | BUSY, CPU)                                            \
    X(sc_consumed, RIGHTS, CPU)                                                                    \
    X(hostspace_tables_left, NONE, NONE)                                                           \
    X(guestspace_tables_left, NONE, NONE)                                                          \
    X(vcpu_bind, RIGHTS | CAP | STATE | BUSY | RANGE | MAPPED | TABLES, CPU)                       \
    X(vcpu_doorbell, RIGHTS | RANGE | CAP, CPU)                                                    \
    X(vcpu_want, RIGHTS | RANGE, CPU)                                                              \
    X(vcpu_read, RIGHTS | RANGE | STATE, CPU)                                                      \
    X(vcpu_exits, RIGHTS | RANGE, CPU)                                                             \
    X(vcpu_unbind, RIGHTS | STATE, CPU)                                                            \
    X(irq_derive, RANGE | BUSY | DST | STATE, NONE)                                                \
    X(irq_bind, CAP | RIGHTS | RANGE | STATE, NONE)                                                \
    X(irq_unmask, STATE, NONE)                                                                     \
    X(kernel_putc, RIGHTS, NONE)                                                                   \
    X(kernel_check, RIGHTS, NONE)                                                                  \
    X(kernel_audit_consumed, RIGHTS, NONE)                                                         \
    X(kernel_stat, RIGHTS | RANGE, NONE)

/* The same for the calls; invoke: what it gives before any method is reached. */
#define CALLS(X)                                                                                   \
    X(version, OK, NONE)                                                                           \
    X(invoke, CAP | METHOD, NONE)                                                                  \
    X(call, OK | CAP | RIGHTS | TIMEOUT | ABORTED, CPU)                                            \
    X(reply_wait, OK | CAP | RIGHTS | TIMEOUT, CPU)                                                \
    X(send, OK | CAP | RIGHTS | TIMEOUT, CPU)                                                      \
    X(receive, OK | CAP | RIGHTS | STATE | TIMEOUT, CPU)                                           \
    X(signal, OK | CAP | RIGHTS, NONE)                                                             \
    X(wait, OK | CAP | RIGHTS | BUSY | TIMEOUT, CPU)                                               \
    X(poll, OK | CAP | RIGHTS, CPU)                                                                \
    X(yield, OK, NONE)                                                                             \
    X(vcpu_run, OK | STATE | RANGE | ABORTED, NONE)
/* clang-format on */

struct errors {
    uint32_t any, several_cpus;
};

enum {
#define ROW(name, any, several_cpus) ROW_##name,
    METHODS(ROW) CALLS(ROW)
#undef ROW
        ROWS
};

static const struct errors rows[ROWS] = {
#define ROW(name, any, several_cpus) [ROW_##name] = {(any) | OK, (several_cpus)},
    METHODS(ROW)
#undef ROW
#define ROW(name, any, several_cpus) [ROW_##name] = {(any), (several_cpus)},
        CALLS(ROW)
#undef ROW
};

uint32_t hostile_possible(uint32_t method, uint32_t ncpus)
{
    static const uint8_t row[HOSTILE_METHODS] = {
#define ROW_OF(type, n, name, a, b, c, d) [HOSTILE_##name] = ROW_##name,
        BH_INVOCATIONS(ROW_OF)
#undef ROW_OF
    };
    const struct errors *e = &rows[row[method]];

    return e->any | (ncpus > 1 ? e->several_cpus : 0);
}

uint32_t hostile_call_possible(uint32_t call, uint32_t ncpus)
{
    static const uint8_t row[BH_NCALLS] = {
#define ROW_OF(n, name) [n] = ROW_##name,
        BH_CALLS(ROW_OF)
#undef ROW_OF
    };

    /* A number that is no call. */
    if (call >= BH_NCALLS) return METHOD;
    return rows[row[call]].any | (ncpus > 1 ? rows[row[call]].several_cpus : 0);
}
