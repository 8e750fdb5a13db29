/*
 * Root with more to do: linked around the shipped root's vm_start(), vm_check(), vm_kill() and
 * system_end(). Words on a VM's command line: "second-cpu=N" gives its monitor a second thread, on
 * CPU N; "again=N" starts the VM N times more after its end. After each end, and in the end, the
 * kernel checks its invariants, and what is free is said. May call: everything in root.
 */
#include <stddef.h>
#include "root/caps.h"
#include "root/log.h"
#include "root/program.h"
#include "root/service.h"
#include "root/status.h"
#include "string.h"
#include "root/vm.h"

bool __real_vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config,
                     uint64_t ntfn);
bool __wrap_vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config,
                     uint64_t ntfn);
void __real_vm_kill(struct vm *vm, const char *why);
void __wrap_vm_kill(struct vm *vm, const char *why);
void __real_vm_check(struct vm *vm, bool faulted);
void __wrap_vm_check(struct vm *vm, bool faulted);
__attribute__((noreturn)) void __real_system_end(int status, const char *reason);
__attribute__((noreturn)) void __wrap_system_end(int status, const char *reason);

static struct {
    uint64_t slots; /* the second thread and its scheduling context */
    uint64_t cpu;
    unsigned starts;
} more[VMS_MAX];
static uint64_t root_ntfn, looks;

static bool argument(const struct vm *vm, const char *name, uint64_t *value)
{
    size_t n = strlen(name);

    for (const char *c = vm->config->append; c != NULL && *c != 0; c++) {
        if (strncmp(c, name, n) != 0 || c[n] != '=') continue;
        *value = 0;
        for (c += n + 1; *c >= '0' && *c <= '9'; c++) *value = *value * 10 + (uint64_t)(*c - '0');
        return true;
    }
    return false;
}

/* On the CPU it is for. The VM's own memory: it goes when the VM goes. */
static uint64_t add_thread(void *arg)
{
    const struct vm *vm = arg;
    uint64_t k = vm->slots + VS_KUNTYPED, t = more[vm->number].slots, sc = t + 1u;
    unsigned cpu = (unsigned)more[vm->number].cpu;
    uint64_t period = (uint64_t)info()->tsc_khz * 10u;
    uint64_t e = retype(k, BH_CAP_THREAD, 0, cpu, 1, t);

    if (e == BH_OK) e = retype(k, BH_CAP_SC, 0, cpu, 1, sc);
    if (e == BH_OK) e = bh_sc_configure(sc, 0, period, period, 100).err;
    if (e == BH_OK) e = bh_thread_bind(t, vm->slots + VS_CNODE, vm->slots + VS_HOSTSPACE).err;
    if (e == BH_OK) e = bh_thread_set_sc(t, sc).err;
    if (e == BH_OK) e = bh_thread_start(t, program_entry(), 0, 1).err;
    return e;
}

bool __wrap_vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config,
                     uint64_t ntfn)
{
    uint64_t e;

    root_ntfn = ntfn;
    if (!__real_vm_start(vm, number, config, ntfn)) return false;
    if (!argument(vm, "second-cpu", &more[number].cpu)) return true;
    if (!more[number].slots) more[number].slots = slots_take(2);
    e = on_cpu((unsigned)more[number].cpu, add_thread, vm);
    say("second thread of %s on CPU %lu: %s", config->name, more[number].cpu, error_name(e));
    return true;
}

static uint64_t capabilities(void)
{
    uint64_t n = 0;

    for (uint64_t slot = 0; slot < info()->cnode_slots; slot++)
        n += bh_cnode_type(BH_SLOT_CNODE, slot).value != 0;
    return n;
}

/* What root has left. */
static void say_free(const char *name)
{
    uint64_t frames = 0;

    for (unsigned i = 0; i < info()->funtyped_count; i++)
        frames += bh_untyped_left(BH_SLOT_FUNTYPED + i).value;
    say("after %s: broken invariants %lu, root has kernel memory %lu frames %lu slots from %lu, "
        "%lu capabilities",
        name, bh_kernel_check(BH_SLOT_KERNEL).value, bh_untyped_left(BH_SLOT_KUNTYPED).value,
        frames, slots_take(0), capabilities());
}

void __wrap_vm_check(struct vm *vm, bool faulted)
{
    enum vm_state before = vm->state;
    uint64_t again = 0;

    looks++;
    __real_vm_check(vm, faulted);
    if (before != VM_RUNNING || vm->state == VM_RUNNING) return;
    say_free(vm->config->name);
    (void)argument(vm, "again", &again);
    if (more[vm->number].starts++ < again)
        (void)__wrap_vm_start(vm, vm->number, vm->config, root_ntfn);
}

void __wrap_vm_kill(struct vm *vm, const char *why)
{
    __real_vm_kill(vm, why);
    say_free(vm->config->name);
}

void __wrap_system_end(int status, const char *reason)
{
    say_free("all");
    say("root has looked %lu times in %lu us; CPU 0 has flushed %lu times", looks,
        (rt_tsc() - info()->root_entry_tsc) * 1000u / info()->tsc_khz,
        bh_kernel_stat(BH_SLOT_KERNEL, BH_STAT_FLUSHES, 0).value);
    for (unsigned cpu = 0; cpu < info()->ncpus; cpu++)
        say("CPU %u was interrupted %lu times", cpu,
            bh_kernel_stat(BH_SLOT_KERNEL, BH_STAT_IRQS, cpu).value);
    __real_system_end(status, reason);
}
