/*
 * Benchmark guest: an interrupt from one CPU to another, x2APIC. What is counted by the emulator's
 * plugin (tests/bench/trace.c) is what both CPUs execute from the ICR's write to the handler's
 * first instruction. Time between CPUs says nothing, since the emulator runs them in turn.
 */
#include "../../guests/rt/smp.h"

enum { COUNT = 200, VECTOR = 0x60, SETTLE = 3000, RUNNING = 40, HALTED = 41 };

volatile uint32_t ipi_got; /* the handler's */
static volatile uint32_t halting, ready;

void ipi_handler(void);
/* Not through the guest's own dispatcher: the window closes at the handler's first instruction. */
__asm__(".text\n"
        ".globl ipi_handler\n"
        "ipi_handler:\n"
        "  nopl 0x4248ffff(%rax)\n"
        "  push %rax\n"
        "  push %rcx\n"
        "  push %rdx\n"
        "  lock incl ipi_got(%rip)\n"
        "  mov $0x80b, %ecx\n"
        "  xor %eax, %eax\n"
        "  xor %edx, %edx\n"
        "  wrmsr\n"
        "  pop %rdx\n"
        "  pop %rcx\n"
        "  pop %rax\n"
        "  iretq\n");

static void gate(unsigned vector, void (*fn)(void))
{
    uint64_t to = (uint64_t)fn;

    idt[2 * vector] = (to & 0xffff) | SEL_CODE << 16 | 0x8e00ULL << 32 | (to >> 16 & 0xffff) << 48;
    idt[2 * vector + 1] = to >> 32;
}

static void serve(unsigned cpu)
{
    (void)cpu;
    ready = 1;
    sti();
    for (;;) {
        while (!halting) pause();
        __asm__ volatile("hlt" ::: "memory");
    }
}

#define WINDOW(id) __asm__ volatile("nopl %c0(%%rax)" ::"i"(0x42480000 + (id)))
#define MEASURE(id)                                                                                \
    for (unsigned i_ = 0; i_ < COUNT; i_++) {                                                      \
        uint32_t before_ = ipi_got;                                                                \
        for (unsigned n_ = 0; n_ < SETTLE; n_++) pause();                                          \
        WINDOW(id);                                                                                \
        wrmsr(0x830, 1ULL << 32 | ICR_FIXED | VECTOR);                                             \
        while (ipi_got == before_) pause();                                                        \
    }

void guest_main(void)
{
    pic_init();
    if (!lapic_init(true) || !lapic_is_x2apic() || smp_cpus() < 2) skip("no x2APIC, or one CPU");
    gate(VECTOR, ipi_handler);
    smp_ipi(1, ICR_INIT); /* firmware may have left it in HLT */
    pit_wait_us(10000);
    if (!smp_start_one(1, serve) || !smp_wait(&ready, 1)) skip("CPU 1 does not start");
    MEASURE(RUNNING);
    halting = 1;
    smp_ipi(1, ICR_FIXED | VECTOR);
    (void)smp_wait(&ipi_got, COUNT + 1);
    MEASURE(HALTED);
    fact("arrived", ipi_got == 2 * COUNT + 1, "%u of %u", ipi_got, 2 * COUNT + 1);
}
