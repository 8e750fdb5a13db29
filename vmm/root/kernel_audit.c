/* The kernel's audit ring; see kernel_audit.h. */
#include "kernel_audit.h"
#include <stddef.h>
#include "caps.h"
#include "log.h"
#include "string.h"

static uint64_t seen, lost;
static uint64_t counts[VMS_MAX + 1u]; /* the last: of nobody's */

/* What a record says: bulkhead/info.h. */
static const struct {
    const char *name, *field[4];
} kinds[] = {
    [BH_AUDIT_NONE] = {"none", {"a", "b", "c", "d"}},
    [BH_AUDIT_THREAD_FAULT] = {"thread-fault", {"vector", "error_code", "rip", "address"}},
    [BH_AUDIT_VCPU_INVALID] = {"vcpu-invalid", {"reason", "qualification", "rip", NULL}},
    [BH_AUDIT_VCPU_UNKNOWN] = {"vcpu-unknown", {"reason", "qualification", "rip", NULL}},
    [BH_AUDIT_CHECK] = {"check", {"invariant", "capability", "value", NULL}},
};

/* The kernel may write meanwhile: the record is whole if its number is the same before and after.
 */
static bool record_read(uint64_t n, struct bh_audit_record *r)
{
    const struct bh_audit_ring *ring = (const struct bh_audit_ring *)BH_ROOT_AUDIT;
    const struct bh_audit_record *from = &ring->records[n % BH_AUDIT_RECORDS];

    if (__atomic_load_n(&from->sequence, __ATOMIC_ACQUIRE) != n + 1u) return false;
    memcpy(r, from, sizeof(*r));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&from->sequence, __ATOMIC_RELAXED) == n + 1u;
}

static void record_log(const struct bh_audit_record *r, const struct vm *vm, uint64_t count)
{
    const uint64_t values[4] = {r->a, r->b, r->c, r->d};
    unsigned kind = r->kind < sizeof(kinds) / sizeof(kinds[0]) ? r->kind : BH_AUDIT_NONE;

    audit_begin("kernel");
    audit_text("kind", kinds[kind].name);
    if (vm) audit_text("vm", vm->config->name);
    audit_number("object", r->object);
    for (unsigned i = 0; i < 4u; i++)
        if (kinds[kind].field[i]) audit_hex(kinds[kind].field[i], values[i]);
    audit_number("count", count);
    if (lost) audit_number("lost", lost);
    audit_end();
}

void kernel_audit_poll(const struct vm *vms, unsigned count)
{
    const struct bh_audit_ring *ring = (const struct bh_audit_ring *)BH_ROOT_AUDIT;
    uint64_t written = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);

    if (written - seen > BH_AUDIT_RECORDS) {
        lost += written - seen - BH_AUDIT_RECORDS;
        seen = written - BH_AUDIT_RECORDS;
    }
    for (; seen < written; seen++) {
        struct bh_audit_record r;
        unsigned n = 0;

        if (!record_read(seen, &r)) {
            lost++;
            continue;
        }
        while (n < count && r.tag != vm_fault_badge(n)) n++;
        if (n == count) n = VMS_MAX;
        counts[n]++;
        if ((counts[n] & (counts[n] - 1u)) == 0)
            record_log(&r, n < count ? &vms[n] : NULL, counts[n]);
    }
}
