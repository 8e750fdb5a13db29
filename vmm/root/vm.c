/* The life of a VM; see vm.h. */
#include "vm.h"
#include "admit.h"
#include "caps.h"
#include "console.h"
#include "elastic.h"
#include "fmt.h"
#include "log.h"
#include "program.h"
#include "vm_parts.h"
#include "wires.h"

bool vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config, uint64_t ntfn)
{
    vm->number = number;
    vm->config = config;
    vm->ntfn = ntfn;
    vm->status = 0;
    vm->starts++;
    vm->has_ended = vm->made = false;
    vm->started_tsc = rt_tsc();
    if (!admit(vm)) {
        vm->state = VM_CRASHED;
        vm->status = STATUS_IMAGE;
        return false;
    }
    if (!vm_make(vm)) {
        if (vm->kuntyped_bytes) vm_take_back(vm);
        vm->state = VM_CRASHED;
        vm->status = STATUS_IMAGE;
        (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s could not be made", config->name);
        audit_begin("vm-not-started");
        audit_text("vm", config->name);
        audit_text("text", vm->reason);
        audit_end();
        return false;
    }
    vm->state = VM_RUNNING;
    vm->made = true;
    wires_up(vm);
    elastic_started(vm);
    audit_begin("vm-started");
    audit_text("vm", config->name);
    audit_number("cpu", vcpu_cpu(vm, 0));
    audit_number("vcpus", config->cpus);
    audit_number("memory_mib", config->memory_mib);
    audit_number("kernel_bytes",
                 vm->kuntyped_bytes - bh_untyped_left(vm->slots + VS_KUNTYPED).value);
    audit_number("table_bytes", vm->table_bytes);
    audit_number("monitor_bytes", (program_pages() + vm_shared_pages(config)) * PAGE);
    audit_number("host_tables_left", bh_hostspace_tables_left(vm->slots + VS_HOSTSPACE).value);
    audit_number("guest_tables_left", bh_guestspace_tables_left(vm->slots + VS_GUESTSPACE).value);
    audit_end();
    return true;
}

bool vm_restore(struct vm *vm)
{
    bool ok;

    vm_kill(vm, "it is restored");
    vm->restore = true;
    ok = vm_start(vm, vm->number, vm->config, vm->ntfn);
    vm->restore = false;
    return ok;
}

void vm_check(struct vm *vm, bool faulted)
{
    if (!vm_lives(vm) || !vm_has_ended(vm, faulted)) return;
    console_vm_ends(vm);
    vm->state = vm->crashed ? VM_CRASHED : VM_STOPPED;
    vm->has_ended = true;
    vm_take_back(vm);
}

void vm_kill(struct vm *vm, const char *why)
{
    if (!vm_lives(vm)) return;
    audit_begin("vm-killed");
    audit_text("vm", vm->config->name);
    audit_text("why", why);
    audit_end();
    (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s: %s", vm->config->name, why);
    vm->status = 0;
    console_vm_ends(vm);
    vm->state = VM_STOPPED;
    vm->has_ended = true;
    vm->guest_reset = false;
    vm_take_back(vm);
}

void vm_signal_console(const struct vm *vm)
{
    if (vm_lives(vm)) (void)bh_signal(vm->slots + VS_SIGNAL);
}

void vm_signal_control(const struct vm *vm)
{
    if (vm_lives(vm)) (void)bh_signal(vm->slots + VS_SIGNAL_CONTROL);
}

void vm_signal_stop(const struct vm *vm)
{
    if (vm_lives(vm)) (void)bh_signal(vm->slots + VS_SIGNAL_STOP);
}

void vm_signal_pieces(const struct vm *vm)
{
    if (vm_lives(vm)) (void)bh_signal(vm->slots + VS_SIGNAL_PIECES);
}

bool vm_stands(const struct vm *vm)
{
    return vm_lives(vm) && __atomic_load_n(&vm->control->stands, __ATOMIC_RELAXED) == 1u;
}

void vm_signal_link(const struct vm *vm)
{
    if (vm_lives(vm)) (void)bh_signal(vm->slots + VS_SIGNAL_LINK);
}
