/*
 * Fact: an event whose delivery first touches a page (a nested page fault in mid-delivery where
 * memory is mapped on demand, a guest page fault in any case) arrives once and complete.
 */
#include "guest.h"

enum { STACKS = 60, VECTOR_IPI = 0x51, VECTOR_SOFT = 0x91, KINDS = 5 };

static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint64_t idt_copy[1024] __attribute__((aligned(4096)));
static volatile unsigned hits;
static volatile uint64_t frame_at;
static volatile unsigned page_faults;
static volatile uint64_t page_fault_at;

static void on_event(struct regs *r)
{
    hits++;
    frame_at = (uint64_t)r;
    if (r->vector == VEC_UD) r->rip += 2;
    if (r->vector == VECTOR_IPI) lapic_eoi();
}

static void on_page_fault(struct regs *r)
{
    (void)r;
    page_faults++;
    page_fault_at = read_cr2();
    pt[1] = ((uint64_t)idt_copy + 4096) | 3;
}

static void raise_event(unsigned kind)
{
    switch (kind) {
    case 0: __asm__ volatile("ud2" ::: "memory"); break;
    case 1: __asm__ volatile("int3" ::: "memory"); break;
    case 2: __asm__ volatile("int $0x91" ::: "memory"); break;
    case 3:
        lapic_self_ipi(VECTOR_IPI);
        /* Once is enough, but where a host's interrupt comes first: in Bochs an SVM guest entered
         * with IF set gets its interrupt only when IF has changed. */
        for (unsigned i = 0; i < 3 && !hits; i++)
            __asm__ volatile("sti; nop; nop; nop; cli" ::: "memory");
        break;
    default:
        lapic_self_nmi();
        for (unsigned i = 0; i < 1000 && !hits; i++) pause();
    }
}

/* Each event gets a stack in a page that nobody has touched. */
static void fresh_stacks(void)
{
    static const uint8_t vectors[KINDS] = {VEC_UD, VEC_BP, VECTOR_SOFT, VECTOR_IPI, VEC_NMI};
    uint64_t base = (ram_free_base() + 0xffff) & ~0xffffULL;
    uint64_t stride = (ram_free_end() - base) / (STACKS + 1) & ~0xfffULL;
    unsigned wrong[KINDS] = {0};

    for (unsigned k = 0; k < KINDS; k++) {
        trap_set(vectors[k], on_event);
        idt_ist(vectors[k], 3);
    }
    for (unsigned i = 0; i < STACKS; i++) {
        uint64_t top = base + (i + 1) * stride;

        hits = 0;
        frame_at = 0;
        tss_ist(3, top);
        raise_event(i % KINDS);
        wrong[i % KINDS] += hits != 1 || frame_at >= top || frame_at < top - 4096;
    }
    fact("stack-exception", wrong[0] == 0, "%u wrong", wrong[0]);
    fact("stack-int3", wrong[1] == 0, "%u wrong", wrong[1]);
    fact("stack-int-n", wrong[2] == 0, "%u wrong", wrong[2]);
    fact("stack-interrupt", wrong[3] == 0, "%u wrong", wrong[3]);
    fact("stack-nmi", wrong[4] == 0, "%u wrong", wrong[4]);
}

/* The upper half of the IDT lies on a page that is not there: INT n faults, and is tried again. */
static void idt_page_absent(void)
{
    const uint64_t window = 1ULL << 39;
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) old, at = {sizeof(idt) - 1, window + 2048};

    memcpy((uint8_t *)idt_copy + 2048, idt, sizeof(idt));
    boot_pml4[1] = (uint64_t)pdpt | 3;
    pdpt[0] = (uint64_t)pd | 3;
    pd[0] = (uint64_t)pt | 3;
    pt[0] = (uint64_t)idt_copy | 3;
    trap_set(VEC_PF, on_page_fault);
    __asm__ volatile("sidt %0" : "=m"(old));
    hits = 0;
    __asm__ volatile("lidt %0; int $0x91; lidt %1" ::"m"(at), "m"(old) : "memory");
    fact("idt-page", hits == 1 && page_faults == 1 && page_fault_at == window + 2048 + 0x91 * 16,
         "%u events, %u page faults, last %lx", hits, page_faults, page_fault_at);
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    fresh_stacks();
    idt_page_absent();
}
