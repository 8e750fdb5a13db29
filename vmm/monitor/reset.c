/*
 * How a vCPU begins: the state the loader wants on vCPU 0; INIT, and the wait for the start-up
 * message that follows it (Intel SDM vol. 3A, 9.4.4 and table 10-1). May call: the local APIC
 * model, post.c.
 */
#include "monitor.h"
#include "string.h"

#define CR0_CACHE 0x60000000u /* CD and NW */
#define CR0_ET    0x10u
#define DR6_INIT  0xffff0ff0u
#define DR7_INIT  0x400u
#define PAT_RESET 0x0007040600070406ull

static struct bh_segment segment(const struct boot_segment *s)
{
    return (struct bh_segment){
        .selector = s->selector,
        .attr = (uint16_t)((s->attributes & 0xffu) | (s->attributes >> 4 & 0xf00u)),
        .limit = s->limit_bytes,
        .base = s->base,
    };
}

void state_boot(const struct boot_state *b)
{
    struct bh_vcpu_page *p = page();
    struct bh_vcpu_state *s = &p->state;

    memset(p->gpr, 0, sizeof(p->gpr));
    p->gpr[RAX] = b->rax;
    p->gpr[RBX] = b->rbx;
    p->gpr[RDX] = b->rdx;
    p->gpr[RSI] = b->rsi;
    p->gpr[RSP] = b->rsp;
    p->rip = b->rip;
    p->rflags = 2;
    p->shadow = 0;
    memset(s, 0, sizeof(*s));
    s->seg[BH_CS] = segment(&b->cs);
    for (unsigned i = BH_SS; i <= BH_GS; i++) s->seg[i] = segment(&b->data);
    s->seg[BH_ES] = segment(&b->data);
    s->seg[BH_TR] = segment(&b->tr);
    s->seg[BH_LDTR] = segment(&b->ldtr);
    if (!(b->ldtr.attributes & 0x80u)) s->seg[BH_LDTR].attr = 0x1000; /* unusable */
    s->seg[BH_GDTR] = (struct bh_segment){0, 0, b->gdt_limit, b->gdt_base};
    s->seg[BH_IDTR] = (struct bh_segment){0, 0, b->idt_limit, 0};
    s->cr0 = b->cr0;
    s->cr3 = b->cr3;
    s->cr4 = b->cr4;
    s->efer = b->efer;
    s->xcr0 = 1;
    s->dr6 = DR6_INIT;
    s->dr7 = DR7_INIT;
    s->pat = PAT_RESET;
    s->tsc_offset = self()->tsc_offset;
    self()->flags = BH_STATE_ALL | BH_RUN_RIP | BH_RUN_SHADOW;
}

/* What start-up message @vector makes of the state after INIT. What is not named here INIT leaves
 * alone: the FPU, the PAT, the TSC and other MSRs, XCR0, the caches' switch in CR0. */
static void state_startup(uint8_t vector)
{
    static const struct bh_segment data = {0, 0x93, 0xffff, 0};
    struct vcpu *v = self();
    struct bh_vcpu_page *p = v->page;
    struct bh_vcpu_state *s = &p->state;

    memset(p->gpr, 0, sizeof(p->gpr));
    p->gpr[RDX] = cpuid_signature();
    p->rip = 0;
    p->rflags = 2;
    p->shadow = 0;
    p->inject = 0;
    for (unsigned i = BH_ES; i <= BH_GS; i++) s->seg[i] = data;
    s->seg[BH_CS] = (struct bh_segment){(uint16_t)(vector << 8), 0x9b, 0xffff, vector * 0x1000u};
    s->seg[BH_LDTR] = (struct bh_segment){0, 0x82, 0xffff, 0};
    s->seg[BH_TR] = (struct bh_segment){0, 0x8b, 0xffff, 0};
    s->seg[BH_GDTR] = s->seg[BH_IDTR] = (struct bh_segment){0, 0, 0xffff, 0};
    s->cr0 = (s->cr0 & CR0_CACHE) | CR0_ET;
    s->cr2 = s->cr3 = s->cr4 = s->efer = 0;
    s->dr[0] = s->dr[1] = s->dr[2] = s->dr[3] = 0;
    s->dr6 = DR6_INIT;
    s->dr7 = DR7_INIT;
    v->flags = BH_STATE_ALL | BH_RUN_RIP | BH_RUN_SHADOW;
}

/* Everything but a start-up message has to wait; a further INIT takes back what does. */
void wait_for_startup(void)
{
    struct vcpu *v = self();

    v->idle = IDLE_STARTUP;
    v->flags |= BH_STATE_ALL;             /* the page holds what INIT has left */
    v->kvm_time_msr = v->kvm_eoi_msr = 0; /* what named their places may be no more */
    for (;;) {
        if (v->lapic.init_pending) lapic_reset(&v->lapic);
        if (v->lapic.sipi_pending) break;
        wait_event(BH_FOREVER);
    }
    v->idle = IDLE_NOT;
    v->lapic.sipi_pending = false;
    state_startup(v->lapic.sipi_vector);
}

void state_start_others(void)
{
    struct bh_vcpu_state *s = &page()->state;

    memset(s, 0, sizeof(*s));
    s->xcr0 = 1;
    s->pat = PAT_RESET;
    wait_for_startup();
    s->tsc_offset = self()->tsc_offset; /* not before vCPU 0 has set it */
}

void cpu_init(void)
{
    struct vcpu *v = self();

    /* At its reset vector there is nothing when no firmware is. */
    if (v->number == 0) vm_end(BH_END_RESET, 0, "");
    read_state(BH_STATE_ALL);
    wait_for_startup();
    v->dirty |= DIRTY_TIME | DIRTY_IRQ;
}
