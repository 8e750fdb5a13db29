/*
 * Fact: KVM's paravirtual interrupts do what their description says (Linux
 * Documentation/virt/kvm/x86): one call interrupts each CPU of a bitmap once and says how many; an
 * end of interrupt by the word in memory is as good as one by the register, is offered only where
 * it is, and no interrupt is lost by it. x2apic=1 uses that mode.
 */
#include "smp.h"

enum { VECTOR = 0x51, HIGH = 0x91, ROUNDS = 200 };
enum { HC_SEND_IPI = 10, FEATURE_EOI = 1 << 6, FEATURE_SEND_IPI = 1 << 11, MSR_EOI = 0x4b564d04 };

static volatile uint32_t got[SMP_CPUS_MAX], by_word[SMP_CPUS_MAX], nmis[SMP_CPUS_MAX];
static volatile uint32_t words[SMP_CPUS_MAX][16] __attribute__((aligned(64)));
static volatile uint32_t ready, high_by_word, low_by_word, taken_back, high_sends, in_service;
static unsigned cpus;
static uint64_t bitmap, first, icr;
static long answer;

static long send(uint64_t low, uint64_t high, uint64_t from, uint64_t what)
{
    long rax = HC_SEND_IPI;

    if (cpu_is_amd())
        __asm__ volatile("vmmcall"
                         : "+a"(rax)
                         : "b"(low), "c"(high), "d"(from), "S"(what)
                         : "memory");
    else
        __asm__ volatile("vmcall"
                         : "+a"(rax)
                         : "b"(low), "c"(high), "d"(from), "S"(what)
                         : "memory");
    return rax;
}

static void send_from_user(void) { answer = send(bitmap, 0, first, icr); }

/* As Linux ends an interrupt. @return whether the word was enough */
static bool end(unsigned cpu)
{
    bool offered;

    __asm__ volatile("btrl $0, %0; setc %1" : "+m"(words[cpu][0]), "=q"(offered)::"memory", "cc");
    if (!offered) lapic_eoi();
    return offered;
}

static void on_vector(struct regs *r)
{
    unsigned cpu = smp_self(); /* an exit: what was offered is taken back */

    (void)r;
    smp_add(&got[cpu], 1);
    by_word[cpu] += end(cpu);
}

/* CPU 0 only, without an exit before the end. */
static void on_low_quiet(struct regs *r)
{
    (void)r;
    smp_add(&got[0], 1);
    low_by_word += end(0);
}

static void on_high(struct regs *r)
{
    (void)r;
    if (high_sends) {
        lapic_self_ipi(VECTOR);
        in_service = lapic_read(LAPIC_ISR + HIGH / 32 * 16) >> HIGH % 32 & 1;
        taken_back = !(words[0][0] & 1);
    }
    high_by_word += end(0);
}

static void on_nmi(struct regs *r)
{
    (void)r;
    smp_add(&nmis[smp_self()], 1);
}

static void serve(unsigned cpu)
{
    wrmsr(MSR_EOI, (uint64_t)&words[cpu][0] | 1);
    smp_add(&ready, 1);
    sti();
    for (;;) __asm__ volatile("hlt" ::: "memory");
}

static uint32_t sum(volatile uint32_t *counts)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < cpus; i++) n += counts[i];
    return n;
}

static bool settle(volatile uint32_t *counts, uint32_t n)
{
    for (unsigned i = 0; i < 200 && sum(counts) < n; i++) pit_wait_us(500);
    return sum(counts) == n;
}

static void clear(void)
{
    for (unsigned i = 0; i < SMP_CPUS_MAX; i++) got[i] = nmis[i] = by_word[i] = 0;
}

static void interrupts_on(void)
{
    sti();
    for (unsigned i = 0; i < 100; i++) pause();
    cli();
}

static void calls(void)
{
    long n;
    uint64_t all = (1u << cpus) - 1;

    clear();
    n = send(all & ~1ULL, 0, 0, VECTOR);
    fact("ipi-others", settle(got, cpus - 1) && got[0] == 0 && n == (long)cpus - 1, "%ld, %u", n,
         sum(got));
    clear();
    n = send(1, 0, cpus - 1, VECTOR);
    fact("ipi-first", settle(got, 1) && got[cpus - 1] == 1 && n == 1, "%ld, %u", n, sum(got));
    clear();
    n = send(~0ULL, ~0ULL, 0, ICR_FIXED | VECTOR);
    interrupts_on();
    fact("ipi-all", settle(got, cpus) && got[0] == 1 && n == (long)cpus, "%ld, %u", n, sum(got));
    clear();
    n = send(all & ~1ULL, 0, 0, ICR_NMI);
    fact("ipi-nmi", settle(nmis, cpus - 1) && nmis[0] == 0 && n == (long)cpus - 1, "%ld, %u", n,
         sum(nmis));
    clear();
    n = send(0, 0, 0, VECTOR) | send(~0ULL, ~0ULL, cpus, VECTOR) |
        send(~0ULL, ~0ULL, ~0ULL, VECTOR);
    pit_wait_us(1000);
    fact("ipi-nobody", n == 0 && sum(got) == 0, "%ld, %u", n, sum(got));
    n = send(~0ULL, 0, 0, ICR_LOGICAL | VECTOR);
    n = n < 0 ? send(~0ULL, 0, 0, ICR_OTHERS | VECTOR) : n;
    n = n < 0 ? send(~0ULL, 0, 0, ICR_INIT) : n;
    n = n < 0 ? send(~0ULL, 0, 0, ICR_STARTUP | 8) : n;
    n = n < 0 ? send(~0ULL, 0, 0, 15) : n;
    pit_wait_us(1000);
    fact("ipi-refused", n < 0 && sum(got) == 0, "%ld, %u", n, sum(got));
    bitmap = all;
    icr = VECTOR;
    answer = 0;
    fact("ipi-user", user_fault(send_from_user) == FAULT(VEC_GP, 0) || answer == -1, "%ld", answer);
    pit_wait_us(1000);
    fact("ipi-user-none", sum(got) == 0, "%u", sum(got));
}

static void word_refused(void)
{
    unsigned bad = 0;

    bad += wrmsr_fault(MSR_EOI, (uint64_t)&words[0][0] | 3) != FAULT(VEC_GP, 0);
    bad += wrmsr_fault(MSR_EOI, 0xfed00000ULL | 1) != FAULT(VEC_GP, 0);
    bad += wrmsr_fault(MSR_EOI, 1ULL << 50 | 1) != FAULT(VEC_GP, 0);
    bad += rdmsr(MSR_EOI) != 0;
    fact("eoi-refused", bad == 0, "%u of 4 are wrong", bad);
}

static void word(void)
{
    unsigned missed = 0;

    wrmsr(MSR_EOI, (uint64_t)&words[0][0] | 1);
    trap_set(VECTOR, on_low_quiet);
    clear();
    low_by_word = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        lapic_self_ipi(VECTOR);
        interrupts_on();
        missed += got[0] != i + 1;
    }
    fact("eoi-word", missed == 0 && low_by_word == ROUNDS, "%u missed, %u of %u by the word",
         missed, low_by_word, ROUNDS);
    fact("eoi-done", !(lapic_read(LAPIC_ISR + VECTOR / 32 * 16) >> VECTOR % 32 & 1), "in service");
    /* One waits behind the first: that one is ended by the register, the second by the word. */
    clear();
    low_by_word = high_by_word = high_sends = 0;
    lapic_self_ipi(VECTOR);
    lapic_self_ipi(HIGH);
    interrupts_on();
    fact("eoi-waits", got[0] == 1 && high_by_word == 0 && low_by_word == 1, "%u, %u %u by the word",
         got[0], high_by_word, low_by_word);
    /* What comes while it is offered takes it back. */
    clear();
    low_by_word = high_by_word = 0;
    high_sends = 1;
    lapic_self_ipi(HIGH);
    interrupts_on();
    fact("eoi-taken-back", got[0] == 1 && taken_back && in_service && high_by_word == 0,
         "%u %u %u %u", got[0], taken_back, in_service, high_by_word);
    wrmsr(MSR_EOI, 0);
    clear();
    low_by_word = 0;
    lapic_self_ipi(VECTOR);
    interrupts_on();
    fact("eoi-off", got[0] == 1 && low_by_word == 0, "%u, %u by the word", got[0], low_by_word);
}

void guest_main(void)
{
    struct cpuid kvm = cpuid(0x40000000, 0);
    bool announced =
        kvm.b == 0x4b4d564b && (~cpuid(0x40000001, 0).a & (FEATURE_EOI | FEATURE_SEND_IPI)) == 0;

    pic_init();
    if (cpuid(0x40000100, 0).b != 0x6b6c7542) { /* another hypervisor, or none */
        fact("elsewhere", true, "nothing to show here");
        return;
    }
    fact("announced", announced, "%x %x", kvm.b, cpuid(0x40000001, 0).a);
    if (!announced || !lapic_init(arg_u64("x2apic", 0))) return;
    trap_set(VECTOR, on_vector);
    trap_set(HIGH, on_high);
    trap_set(VEC_NMI, on_nmi);
    word_refused();
    cpus = smp_start(serve);
    fact("cpus", cpus >= 2 && smp_wait(&ready, cpus - 1), "%u", cpus);
    calls();
    word();
}
