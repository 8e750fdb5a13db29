/*
 * The end of the VM: the report to root. May call: system calls.
 */
#include "fmt.h"
#include "monitor.h"
#include "string.h"

static bool ended;

void vm_wait_for_the_end(void)
{
    for (;;) (void)bh_wait(BH_MONITOR_SLOT_NTFN + self()->number, BH_FOREVER);
}

struct bh_monitor_report *report_page(void)
{
    return (struct bh_monitor_report *)BH_MONITOR_REPORT;
}

/* Of several vCPUs that end the VM at the same time the first reports it. */
static void first_only(void)
{
    if (__atomic_exchange_n(&ended, true, __ATOMIC_SEQ_CST)) vm_wait_for_the_end();
}

static __attribute__((noreturn)) void report_end(enum bh_monitor_end kind, uint32_t status,
                                                 const char *text)
{
    struct bh_monitor_report *r = report_page();
    const struct vcpu *v = self();

    r->status = status;
    r->vcpu = v->number;
    r->exit_reason = v->exit_reason;
    r->qual = v->page->qual;
    r->info = v->page->info;
    r->rip = v->page->rip;
    r->holes = platform_holes();
    /* The others' counts may be going on; they stop when they see what is posted. */
    for (unsigned n = 0; n < vcpu_count(); n++) {
        struct vcpu *other = vcpu_of(n);

        for (unsigned i = 0; i < BH_NEXITS; i++) {
            r->exits_by_reason[i] += other->exits[i];
            r->exits += other->exits[i];
        }
        r->holes += other->holes;
        if (other != v) post(other, POST_END);
    }
    (void)fmt_buf(r->text, sizeof(r->text), "%s", text);
    __atomic_store_n(&r->kind, (uint32_t)kind, __ATOMIC_RELEASE);
    (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    vm_wait_for_the_end();
}

void vm_end(enum bh_monitor_end kind, uint32_t status, const char *text)
{
    first_only();
    report_end(kind, status, text);
}

void vm_stop(const char *text)
{
    struct bh_monitor_report *r = report_page();
    uint8_t bytes[16];
    size_t n;

    /* Before the VM counts as ended: this may wait for the device lock, which a vCPU that ends the
     * VM in a device's name keeps for good. */
    read_state(BH_STATE_SEG | BH_STATE_CR);
    n = insn_fetch(bytes);
    first_only();
    r->insn_len = (uint32_t)n;
    memcpy(r->insn, bytes, sizeof(r->insn));
    report_end(BH_END_STOPPED, 0, text);
}
