/*
 * Fact: an interrupt arrives at the first instruction boundary where it may: not in the shadow of
 * STI or MOV SS, not below the task priority, highest vector first, and exactly once.
 */
#include "guest.h"

enum { SEEN_MAX = 64, VECTOR_A = 0x41, VECTOR_B = 0x61, VECTOR_C = 0x81, VECTOR_PIC = 0x20 };

static volatile unsigned seen;
static uint64_t seen_rip[SEEN_MAX];
static uint64_t seen_vector[SEEN_MAX];
static volatile unsigned shadow_hits;
static volatile unsigned ticks;
extern char after_mov_ss[];

static void on_interrupt(struct regs *r)
{
    if (seen < SEEN_MAX) {
        seen_rip[seen] = r->rip;
        seen_vector[seen++] = r->vector;
    }
    if (r->vector == VECTOR_PIC)
        pic_eoi(0);
    else
        lapic_eoi();
}

static void on_tick(struct regs *r)
{
    shadow_hits += r->rip == (uint64_t)after_mov_ss;
    ticks++;
    lapic_eoi();
}

static void pend(uint8_t vector)
{
    lapic_self_ipi(vector);
    while (!(lapic_read(LAPIC_IRR + vector / 32u * 16) >> vector % 32 & 1)) pause();
}

static void shadows(void)
{
    uint64_t at;

    pend(VECTOR_A);
    seen = 0;
    __asm__ volatile("leaq 1f(%%rip), %0; sti; nop; 1: nop; nop; cli" : "=&r"(at)::"memory");
    fact("sti-shadow", seen == 1 && seen_rip[0] == at, "%u at %lx not %lx", seen, seen_rip[0], at);
    pend(VECTOR_A);
    seen = 0;
    __asm__ volatile("sti; cli; nop; nop" ::: "memory");
    fact("sti-cli", seen == 0, "no boundary between STI and CLI");
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
    fact("once", seen == 1, "%u", seen);
    pend(VECTOR_A);
    seen = 0;
    __asm__ volatile("leaq 1f(%%rip), %0; pushfq; orl $0x200, (%%rsp); popfq; 1: nop; nop; cli"
                     : "=&r"(at)::"memory");
    fact("popf", seen == 1 && seen_rip[0] == at, "%u at %lx not %lx", seen, seen_rip[0], at);
    /* STI with IF already set has no shadow; HLT after STI with one pending must not sleep. */
    pend(VECTOR_A);
    seen = 0;
    __asm__ volatile("leaq 1f(%%rip), %0; sti; hlt; 1: cli" : "=&r"(at)::"memory");
    fact("sti-hlt", seen == 1 && seen_rip[0] == at, "%u at %lx not %lx", seen, seen_rip[0], at);
}

static void priorities(void)
{
    uint64_t at;

    pend(VECTOR_A);
    pend(VECTOR_C);
    pend(VECTOR_B);
    seen = 0;
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
    fact("order",
         seen == 3 && seen_vector[0] == VECTOR_C && seen_vector[1] == VECTOR_B &&
             seen_vector[2] == VECTOR_A,
         "%u: %lx %lx %lx", seen, seen_vector[0], seen_vector[1], seen_vector[2]);
    write_cr8(6);
    pend(VECTOR_B);
    pend(VECTOR_C);
    seen = 0;
    __asm__ volatile("sti; nop; nop" ::: "memory");
    fact("tpr-blocks", seen == 1 && seen_vector[0] == VECTOR_C, "%u", seen);
    fact("tpr-reads", lapic_read(LAPIC_TPR) == 0x60 && read_cr8() == 6, "%x",
         lapic_read(LAPIC_TPR));
    seen = 0;
    __asm__ volatile("leaq 1f(%%rip), %0; movq %1, %%cr8; 1: nop; nop; cli"
                     : "=&r"(at)
                     : "r"(0ULL)
                     : "memory");
    fact("tpr-opens", seen == 1 && seen_rip[0] == at, "%u at %lx not %lx", seen, seen_rip[0], at);
}

/* MOV SS and the next instruction are one unit: with a timer firing all the time, no interrupt is
 * ever taken between them. */
static void mov_ss(void)
{
    uint64_t end = rdtsc() + 2 * tsc_hz();
    uint32_t period = (uint32_t)(lapic_timer_hz() / 5000);

    trap_set(VECTOR_B, on_tick);
    lapic_write(LAPIC_TIMER_DIV, 0xb);
    lapic_write(LAPIC_LVT_TIMER, 1 << 17 | VECTOR_B);
    lapic_write(LAPIC_TIMER_INIT, period);
    sti();
    while (ticks < 500 && rdtsc() < end)
        __asm__ volatile("movl %%ss, %%eax; movl $1000, %%ecx; 1: movl %%eax, %%ss\n"
                         ".globl after_mov_ss\nafter_mov_ss: nop; decl %%ecx; jnz 1b" ::
                             : "rax", "rcx", "memory");
    cli();
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED);
    lapic_write(LAPIC_TIMER_INIT, 0);
    fact("mov-ss", ticks >= 50 && shadow_hits == 0, "%u of %u in the shadow", shadow_hits, ticks);
}

void guest_main(void)
{
    static const uint8_t vectors[] = {VECTOR_A, VECTOR_B, VECTOR_C, VECTOR_PIC};

    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    for (unsigned i = 0; i < sizeof(vectors); i++) trap_set(vectors[i], on_interrupt);
    shadows();
    priorities();
    seen = 0;
    lapic_write(LAPIC_LVT_LINT0, 0x700);
    pic_unmask(0);
    pit_oneshot(2000);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    fact("extint", seen == 1 && seen_vector[0] == VECTOR_PIC, "%u: %lx", seen, seen_vector[0]);
    pic_mask_all();
    mov_ss();
}
