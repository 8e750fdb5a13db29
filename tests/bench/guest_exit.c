/*
 * Benchmark guest: what each kind of exit costs, by RDTSC pairs around single operations.
 * Prints "BENCH name mean max n" in TSC ticks (one tick is one instruction under QEMU's
 * -icount shift=0), the cost of an empty pair already taken off. What cannot be measured here is
 * printed as "BENCH name none why".
 *
 * Command line: n=COUNT (10000)  doorbell=PORT [doorbell_bytes=1|2|4] [doorbell_value=V]
 *               testdev=1 (the doorbell is that of QEMU's pci-testdev)
 *               hypercall=NUMBER (put into RAX)  hole=ADDRESS (an unbacked one)
 * CPUID leaf and port are drawn at run time, so nobody can prepare for one of them.
 */
#include "guest.h"

enum {
    STUBS = 10000,
    STUB_BYTES_MMIO = 8,
    WARM_UP = 16,
    VECTOR_TIMER = 0x40,
    REST_OPERATIONS = 2000
};

static uint64_t count;
static uint64_t overhead;
static uint64_t random_state;
static uint8_t stubs[STUBS][STUB_BYTES_MMIO] __attribute__((aligned(4096)));
static volatile uint64_t timer_tsc;
static uint64_t hypercall_nr;

struct sum {
    uint64_t total, max;
};

static uint64_t draw(void) { return random_state = mix64(random_state); }

static void sum_add(struct sum *s, uint64_t ticks)
{
    ticks = ticks > overhead ? ticks - overhead : 0;
    s->total += ticks;
    if (ticks > s->max) s->max = ticks;
}

/* Where every instruction is written down: nothing is said about rows, and nothing waits. */
static bool tracing;
static bool has_apic;

static void report(const char *name, const struct sum *s, uint64_t n)
{
    uint64_t hundredths = s->total * 100 / n;

    if (tracing) return;
    print("BENCH %s %lu.%02lu %lu %lu\n", name, hundredths / 100, hundredths % 100, s->max, n);
}

/* A window for tests/bench/trace.c, which shows what one operation executes; outside of the pair.
 */
#define WINDOW(id) __asm__ volatile("nopl %c0(%%rax)" ::"i"(0x42480000 + (id)))
enum { CLOSE = 0xffff };

static void on_timer(struct regs *r)
{
    (void)r;
    timer_tsc = rdtsc();
    lapic_eoi();
}

/*
 * The VM beside this one is always ready to run. Who has slept for two periods has all of the floor
 * that the manifest gives it: REST_OPERATIONS take less, so the other VM comes in between only
 * here.
 */
static void rest(void)
{
    if (tracing || !has_apic) return;
    lapic_timer(VECTOR_TIMER, (uint32_t)(lapic_timer_hz() / 50u));
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* `prepare` runs outside the pair, once for each operation; the first WARM_UP are not counted. */
#define MEASURE(id, name, prepare, operation)                                                      \
    do {                                                                                           \
        struct sum sum_ = {0, 0};                                                                  \
        for (uint64_t i_ = 0; i_ < count + WARM_UP; i_++) {                                        \
            uint64_t t_;                                                                           \
            if (i_ % REST_OPERATIONS == 0) rest();                                                 \
            prepare;                                                                               \
            WINDOW(id);                                                                            \
            t_ = rdtsc();                                                                          \
            operation;                                                                             \
            t_ = rdtsc() - t_;                                                                     \
            WINDOW(CLOSE);                                                                         \
            if (i_ >= WARM_UP) sum_add(&sum_, t_);                                                 \
        }                                                                                          \
        report(name, &sum_, count);                                                                \
    } while (0)

static void measure_overhead(void)
{
    uint64_t least = ~0ULL;

    for (int i = 0; i < 1000; i++) {
        uint64_t t = rdtsc();

        t = rdtsc() - t;
        if (t < least) least = t;
    }
    overhead = least;
    if (!tracing) print("BENCH overhead %lu.00 %lu 1000\n", least, least);
}

/*
 * The port of QEMU's pci-testdev that is bound to an eventfd nobody waits for; 0: no such device.
 * QEMU, docs/specs/pci-testdev: the byte at 0 of the I/O BAR selects a test (1: any value), the
 * word at 4 is then the offset to write to.
 */
static uint16_t testdev_doorbell(void)
{
    for (uint32_t dev = 0; dev < 32; dev++) {
        uint16_t bar;

        outl(0xcf8, 0x80000000 | dev << 11);
        if (inl(0xcfc) != 0x00051b36) continue;
        outl(0xcf8, 0x80000000 | dev << 11 | 0x14);
        bar = (uint16_t)(inl(0xcfc) & ~3u);
        outb(bar, 1);
        return (uint16_t)(bar + inl((uint16_t)(bar + 4)));
    }
    return 0;
}

__attribute__((noinline)) static void measure_cpuid_and_ports(void)
{
    static const uint32_t leaves[] = {0, 1, 2, 4, 7, 0x80000000, 0x80000001, 0x80000008};
    static const uint16_t ports[] = {0x61, 0x21, 0xa1, 0x3fb, 0x3fd, 0x64};
    uint32_t leaf;
    uint16_t port;
    uint64_t doorbell = arg_u64("doorbell", 0);
    uint64_t bytes = arg_u64("doorbell_bytes", 2);
    uint32_t value = (uint32_t)arg_u64("doorbell_value", 0);

    if (arg_u64("testdev", 0)) {
        doorbell = testdev_doorbell();
        bytes = 1;
    }
    MEASURE(1, "cpuid", leaf = leaves[draw() % 8], (void)cpuid(leaf, 0));
    MEASURE(2, "pio_read", port = ports[draw() % 6], (void)inb(port));
    MEASURE(3, "pio_read_absent", port = (uint16_t)(0x1e0 + draw() % 8), (void)inb(port));
    if (!doorbell && tracing)
        return;
    else if (!doorbell)
        print("BENCH doorbell none doorbell= not given\n");
    else if (bytes == 1)
        MEASURE(4, "doorbell", (void)0, outb((uint16_t)doorbell, (uint8_t)value));
    else if (bytes == 2)
        MEASURE(4, "doorbell", (void)0, outw((uint16_t)doorbell, (uint16_t)value));
    else
        MEASURE(4, "doorbell", (void)0, outl((uint16_t)doorbell, value));
}

/*
 * "First": no two instructions have the same bytes, so none has been decoded before: each stub is
 * MOV EAX, [RBX + disp32]; RET with a displacement of its own.
 */
static void stubs_build(void)
{
    for (uint32_t i = 0; i < STUBS; i++) {
        uint32_t disp = 0x100000 + i * 64;
        uint8_t *s = stubs[i];

        s[0] = 0x8b;
        s[1] = 0x83;
        memcpy(s + 2, &disp, 4);
        s[6] = 0xc3;
    }
}

static inline void stub_call(const uint8_t *stub, uint64_t base)
{
    __asm__ volatile("call *%0" ::"r"(stub), "b"(base) : "rax", "memory");
}

/* `first` leaves out the CALL and RET around the stub, as `again` has none. */
static inline __attribute__((always_inline)) void measure_mmio(int id, uint64_t at,
                                                               const char *first, const char *again)
{
    uint64_t counted = count;
    uint64_t pair = overhead;
    uint64_t call = rdtsc();
    uint32_t i = 0;
    uint64_t base;

    __asm__ volatile("call 1f; jmp 2f; 1: ret; 2:");
    call = rdtsc() - call;
    stubs_build();
    if (count > STUBS - WARM_UP) count = STUBS - WARM_UP;
    overhead = call;
    MEASURE(id, first, (base = at - (0x100000 + (uint64_t)i * 64), i++),
            stub_call(stubs[i - 1], base));
    overhead = pair;
    count = counted;
    MEASURE(id + 1, again, (void)0, (void)mmio_read32(at));
}

static void hypercall(void)
{
    uint64_t rax = hypercall_nr;

    if (cpu_is_amd())
        __asm__ volatile("vmmcall" : "+a"(rax)::"rbx", "rcx", "rdx", "rsi", "memory");
    else
        __asm__ volatile("vmcall" : "+a"(rax)::"rbx", "rcx", "rdx", "rsi", "memory");
}

static void measure_hypercall(void)
{
    bool amd = cpu_is_amd();
    uint64_t rax;

    hypercall_nr = arg_u64("hypercall", 0x7fffffff);
    if (expect_fault(hypercall) != FAULT_NONE) {
        print("BENCH hypercall none it raises an exception here\n");
        return;
    }
    if (amd)
        MEASURE(5, "hypercall", rax = hypercall_nr,
                __asm__ volatile("vmmcall"
                                 : "+a"(rax)::"rbx", "rcx", "rdx", "rsi", "memory"));
    else
        MEASURE(5, "hypercall", rax = hypercall_nr,
                __asm__ volatile("vmcall"
                                 : "+a"(rax)::"rbx", "rcx", "rdx", "rsi", "memory"));
}

/* TSC ticks for one APIC timer tick, as a 32.32 fixed-point number; *period: about 200 us of them.
 */
static uint64_t timer_ratio(uint32_t *period)
{
    uint64_t t;
    uint32_t from, to;

    lapic_write(LAPIC_TIMER_DIV, 0xb);
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INIT, 0xffffffff);
    from = lapic_read(LAPIC_TIMER_NOW);
    t = rdtsc();
    pit_wait_us(20000);
    to = lapic_read(LAPIC_TIMER_NOW);
    t = rdtsc() - t;
    lapic_write(LAPIC_TIMER_INIT, 0);
    *period = (from - to) / 100;
    return (t << 24) / (from - to) << 8;
}

static void measure_timer(void)
{
    uint32_t ticks;
    uint64_t ratio = timer_ratio(&ticks);
    uint64_t n = count / 20 + 1;
    struct sum sleeping = {0, 0};
    struct sum busy = {0, 0};

    for (uint64_t i = 0; i < 2 * n; i++) {
        uint64_t due;

        timer_tsc = 0;
        lapic_timer(VECTOR_TIMER, ticks);
        due = rdtsc() + (ticks * (ratio >> 8) >> 24);
        if (i % 2)
            while (!timer_tsc) __asm__ volatile("sti; hlt; cli" ::: "memory");
        else
            for (sti(); !timer_tsc;)
                ;
        cli();
        sum_add(i % 2 ? &sleeping : &busy, timer_tsc > due ? timer_tsc - due : 0);
    }
    report("timer_busy", &busy, n);
    report("timer_hlt", &sleeping, n);
}

void guest_main(void)
{
    count = arg_u64("n", 10000);
    tracing = arg_u64("trace", 0) != 0;
    random_state = rdtsc();
    pic_init();
    trap_set(VECTOR_TIMER, on_timer);
    has_apic = lapic_init(false);
    pit_wait_us(30000); /* the second VM has started by then */
    measure_overhead();
    measure_cpuid_and_ports();
    measure_hypercall();
    if (has_apic) {
        measure_mmio(6, LAPIC_BASE + LAPIC_VERSION, "mmio_read_first", "mmio_read_again");
        if (!tracing) measure_timer();
    }
    measure_mmio(8, arg_u64("hole", 0xfed80000), "mmio_hole_first", "mmio_hole_again");
    fact("measured", count > 0, "%lu operations each", count);
}
