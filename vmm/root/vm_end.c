/*
 * How a VM has ended: what its monitor reports, or the fault that the monitor died of; see
 * vm_parts.h. What a monitor says is read once, and is its word only.
 */
#include "bulkhead/vcpu.h"
#include "caps.h"
#include "fmt.h"
#include "log.h"
#include "service.h"
#include "string.h"
#include "vm_parts.h"

static const char *const end_names[BH_END_COUNT] = {
    [BH_END_NONE] = "none",
    [BH_END_POWEROFF] = "power-off",
    [BH_END_RESET] = "reset",
    [BH_END_TRIPLE_FAULT] = "triple-fault",
    [BH_END_DEBUG_EXIT] = "debug-exit",
    [BH_END_STOPPED] = "stopped",
    [BH_END_IMAGE] = "image",
};

static void audit_report(const struct vm *vm, const struct bh_monitor_report *r)
{
    char bytes[2u * sizeof(r->insn) + 1u];
    uint32_t n = r->insn_len < sizeof(r->insn) ? r->insn_len : sizeof(r->insn);

    audit_begin("vm-ended");
    audit_text("vm", vm->config->name);
    audit_text("kind", end_names[r->kind]);
    audit_number("vcpu", r->vcpu);
    if (r->kind == BH_END_DEBUG_EXIT) audit_number("status", r->status);
    if (r->kind == BH_END_STOPPED || r->kind == BH_END_TRIPLE_FAULT) {
        audit_number("exit_reason", r->exit_reason);
        audit_hex("qualification", r->qual);
        audit_hex("info", r->info);
        audit_hex("rip", r->rip);
        bytes[0] = '\0';
        for (uint32_t i = 0; i < n; i++) (void)fmt_buf(bytes + 2u * i, 3, "%02x", r->insn[i]);
        audit_text("bytes", bytes);
    }
    audit_number("cpu_ns", ticks_to_ns(vm_cpu_ticks(vm)));
    audit_number("exits", r->exits);
    audit_numbers("exits_by_reason", r->exits_by_reason, BH_NEXITS);
    audit_number("holes", r->holes);
    if (r->text[0]) audit_text("text", r->text);
    audit_end();
}

/* The status the system would end with, as a process's: 0..255. */
static void end_from_report(struct vm *vm, const struct bh_monitor_report *r)
{
    const char *why = r->text[0] ? r->text : end_names[r->kind], *what = " stopped by its monitor";

    vm->guest_reset = r->kind == BH_END_RESET;
    vm->crashed =
        r->kind != BH_END_POWEROFF && r->kind != BH_END_RESET && r->kind != BH_END_DEBUG_EXIT;
    switch (r->kind) {
    case BH_END_POWEROFF:
    case BH_END_RESET:
        vm->status = 0;
        why = end_names[r->kind]; /* no words that look like root's: "killed" */
        what = "";
        break;
    case BH_END_DEBUG_EXIT:
        vm->status = (int)((r->status << 1 | 1u) & 0xffu);
        why = "debug exit";
        what = "";
        break;
    case BH_END_IMAGE:
        vm->status = STATUS_IMAGE;
        what = " stopped by its monitor: bad image";
        break;
    default: vm->status = STATUS_STOPPED; break;
    }
    (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s%s: %s", vm->config->name, what, why);
    /* It is the monitor's word, and goes to terminals. */
    for (char *c = vm->reason; *c != '\0'; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

/* What a thread can be asked on its own CPU only. */
struct fault {
    uint64_t thread;
    uint64_t status, rip, address;
};

static uint64_t read_fault(void *arg)
{
    struct fault *f = arg;

    f->status = bh_thread_status(f->thread).value;
    f->rip = bh_thread_fault_rip(f->thread).value;
    f->address = bh_thread_fault_addr(f->thread).value;
    return BH_OK;
}

/* A monitor that died of a fault of its own: its VM ends, and nothing else. */
static void end_from_fault(struct vm *vm, const struct fault *f)
{
    audit_begin("monitor-fault");
    audit_text("vm", vm->config->name);
    audit_number("vector", f->status >> 8 & 0xffu);
    audit_hex("error_code", f->status >> 16);
    audit_hex("rip", f->rip);
    audit_hex("address", f->address);
    audit_end();
    vm->crashed = true;
    vm->guest_reset = false;
    vm->status = STATUS_STOPPED;
    (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s stopped by a fault of its monitor",
                  vm->config->name);
}

/* Has one of its threads faulted? */
static bool find_fault(struct vm *vm, struct fault *f)
{
    for (unsigned n = 0; n < vm->config->cpus; n++) {
        f->thread = vcpu_slot(vm, n, VC_THREAD);
        if (on_cpu(vcpu_cpu(vm, n), read_fault, f) == BH_OK &&
            (f->status & 0xffu) == BH_THREAD_FAULTED)
            return true;
    }
    return false;
}

bool vm_has_ended(struct vm *vm, bool faulted)
{
    struct bh_monitor_report report;
    struct fault fault;

    /* The monitor may write while this reads: take one copy, believe only that. */
    memcpy(&report, (const void *)vm->report, sizeof(report));
    __asm__ volatile("" ::: "memory");
    if (report.kind != BH_END_NONE && report.kind < BH_END_COUNT) {
        report.text[sizeof(report.text) - 1u] = '\0';
        audit_report(vm, &report);
        end_from_report(vm, &report);
        return true;
    }
    if (!faulted || !find_fault(vm, &fault)) return false;
    end_from_fault(vm, &fault);
    return true;
}
