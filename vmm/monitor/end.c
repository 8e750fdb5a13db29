/*
 * The end of the VM: the report to root. May call: system calls.
 */
#include "fmt.h"
#include "monitor.h"
#include "string.h"

void vm_end(enum bh_monitor_end kind, uint32_t status, const char *text)
{
    struct bh_monitor_report *r = (struct bh_monitor_report *)BH_MONITOR_REPORT;

    r->status = status;
    r->exit_reason = vcpu.exit_reason;
    r->qual = page()->qual;
    r->info = page()->info;
    r->rip = page()->rip;
    for (unsigned i = 0; i < BH_NEXITS; i++) {
        r->exits_by_reason[i] = vcpu.exits[i];
        r->exits += vcpu.exits[i];
    }
    r->holes = vcpu.holes + platform_holes();
    (void)fmt_buf(r->text, sizeof(r->text), "%s", text);
    __atomic_store_n(&r->kind, (uint32_t)kind, __ATOMIC_RELEASE);
    (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    for (;;) (void)bh_wait(BH_MONITOR_SLOT_NTFN, BH_FOREVER);
}

void vm_stop(const char *text)
{
    struct bh_monitor_report *r = (struct bh_monitor_report *)BH_MONITOR_REPORT;
    uint8_t bytes[16];

    read_state(BH_STATE_SEG | BH_STATE_CR);
    r->insn_len = (uint32_t)insn_fetch(bytes);
    memcpy(r->insn, bytes, sizeof(r->insn));
    vm_end(BH_END_STOPPED, 0, text);
}
