/*
 * Starting the other CPUs and sending them interrupts. Source: Intel SDM vol. 3A, 9.4 and 11.6.
 */
#include "smp.h"

enum { STACK_BYTES = 8192, GDT_WORDS = 16 };

struct ap_tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed));

struct ap {
    uint8_t stack[STACK_BYTES], nmi_stack[STACK_BYTES];
    uint64_t gdt[GDT_WORDS];
    struct ap_tss tss;
} __attribute__((aligned(16)));

static struct ap aps[SMP_CPUS_MAX];
static void (*ap_function)(unsigned cpu);
static volatile uint32_t begun;

/* smp_start.S */
extern char ap_begin[], ap_end[];
extern uint64_t ap_stack_top;
void ap_main(void);

unsigned smp_cpus(void)
{
    unsigned n = cpuid(1, 0).b >> 16 & 0xff;

    return n == 0 ? 1 : n < SMP_CPUS_MAX ? n : SMP_CPUS_MAX;
}

unsigned smp_self(void) { return cpuid(1, 0).b >> 24; }

void smp_ipi(uint32_t destination, uint32_t low)
{
    if (lapic_is_x2apic()) {
        wrmsr(0x830, (uint64_t)destination << 32 | low);
        return;
    }
    lapic_write(LAPIC_ICR_HIGH, destination << 24);
    lapic_write(LAPIC_ICR, low);
    while (lapic_read(LAPIC_ICR) & 0x1000) pause();
}

bool smp_wait(volatile uint32_t *word, uint32_t value)
{
    for (unsigned i = 0; i < 100 && *word < value; i++) pit_wait_us(1000);
    return *word >= value;
}

static void tables_init(struct ap *ap)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) desc = {sizeof(ap->gdt) - 1, (uint64_t)ap->gdt},
                              idt_desc = {sizeof(idt) - 1, (uint64_t)idt};
    uint64_t base = (uint64_t)&ap->tss;

    memset(&ap->tss, 0, sizeof(ap->tss));
    ap->tss.iomap = sizeof(ap->tss);
    for (unsigned n = 1; n <= 3; n++) ap->tss.ist[n - 1] = (uint64_t)ap->nmi_stack + STACK_BYTES;
    memcpy(ap->gdt, gdt, SEL_TSS);
    ap->gdt[SEL_TSS / 8] =
        (sizeof(ap->tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    ap->gdt[SEL_TSS / 8 + 1] = base >> 32;
    __asm__ volatile("lgdt %0" ::"m"(desc));
    __asm__ volatile("lidt %0" ::"m"(idt_desc));
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
}

void ap_main(void)
{
    unsigned cpu = smp_self() % SMP_CPUS_MAX;

    tables_init(&aps[cpu]);
    (void)lapic_init(lapic_is_x2apic());
    smp_add(&begun, 1);
    ap_function(cpu);
}

bool smp_start_one(unsigned cpu, void (*fn)(unsigned cpu))
{
    uint32_t before = begun;

    memcpy((void *)(uint64_t)SMP_START_GPA, ap_begin, (size_t)(ap_end - ap_begin));
    ap_function = fn;
    ap_stack_top = (uint64_t)aps[cpu].stack + STACK_BYTES;
    smp_ipi(cpu, ICR_STARTUP | SMP_START_PAGE);
    pit_wait_us(200);
    /* Once more, as the manual wants it; a CPU that runs already takes no notice. */
    if (begun == before) smp_ipi(cpu, ICR_STARTUP | SMP_START_PAGE);
    return smp_wait(&begun, before + 1);
}

unsigned smp_start(void (*fn)(unsigned cpu))
{
    unsigned running = 1;

    for (unsigned cpu = 1; cpu < smp_cpus(); cpu++) {
        smp_ipi(cpu, ICR_INIT);
        pit_wait_us(10000);
        running += smp_start_one(cpu, fn);
    }
    return running;
}
