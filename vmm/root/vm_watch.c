/* What a VM uses; see vm.h. */
#include "bulkhead/vcpu.h"
#include "caps.h"
#include "service.h"
#include "string.h"
#include "vm_parts.h"

struct count_job {
    uint64_t sc, vcpu;
    uint64_t ticks;
    uint64_t *exits; /* NULL: not wanted; else added to */
};

/* On the vCPU's CPU. */
static uint64_t count(void *arg)
{
    struct count_job *job = arg;

    job->ticks = bh_sc_consumed(job->sc).value;
    for (unsigned i = 0; job->exits && i < BH_MONITOR_EXITS; i++)
        job->exits[i] += bh_vcpu_exits(job->vcpu, i).value;
    return BH_OK;
}

static uint64_t count_all(const struct vm *vm, uint64_t *exits)
{
    uint64_t ticks = 0;

    for (unsigned n = 0; vm_lives(vm) && n < vm->config->cpus; n++) {
        struct count_job job = {vcpu_slot(vm, n, VC_SC), vcpu_slot(vm, n, VC_VCPU), 0, exits};

        if (on_cpu(vcpu_cpu(vm, n), count, &job) == BH_OK) ticks += job.ticks;
    }
    return ticks;
}

uint64_t vm_cpu_ticks(const struct vm *vm) { return count_all(vm, NULL); }

void vm_count_exits(const struct vm *vm, uint64_t exits[BH_MONITOR_EXITS])
{
    memset(exits, 0, BH_MONITOR_EXITS * sizeof(exits[0]));
    (void)count_all(vm, exits);
}
