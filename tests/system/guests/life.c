/*
 * A guest that lives as its command line says: sleeps until its power button is pressed, then
 * switches itself off (ACPI 6.3, 4.8.3.1.1 and 4.8.3.2); deaf=1: does not listen. spin=1: without
 * sleeping. crash_ms, reset_ms, off_ms: what becomes of it after so long. fill=1: writes to all of
 * its memory; clean=1: crashes when something is in it.
 */
#include "guest.h"

enum {
    PM1_STATUS = 0x600,
    PM1_ENABLE = 0x602,
    PM1_CONTROL = 0x604,
    PM1_TIMER = 0x608,
    WATCHDOG = 0x6c0
};
enum { POWER_BUTTON = 0x100, SLP_EN = 0x2000, S5 = 7 << 10 };
enum { SCI_IRQ = 9, CASCADE_IRQ = 2, VECTOR_SCI = 0x20 + SCI_IRQ };

static volatile bool pressed;

static void on_sci(struct regs *r)
{
    (void)r;
    pressed = (inw(PM1_STATUS) & POWER_BUTTON) != 0;
    outw(PM1_STATUS, POWER_BUTTON);
    pic_eoi(SCI_IRQ);
}

static uint64_t began;
static uint32_t began_pm;

/* How long it has lived by two clocks: TSC, and ACPI timer (3.579545 MHz). */
static void power_off(void)
{
    uint64_t ms = (rdtsc() - began) * 1000 / tsc_hz();
    uint64_t pm_ms = (uint64_t)(inl(PM1_TIMER) - began_pm) * 1000 / 3579545;

    print("off after %lu ms, %lu ms\n", ms, pm_ms);
    outw(PM1_CONTROL, S5 | SLP_EN);
}

/* An IDT without entries: the first exception is the third. */
static void crash(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

static void after_ms(const char *name, void (*then)(void))
{
    uint64_t ms = arg_u64(name, 0), end = rdtsc() + tsc_hz() / 1000 * ms;

    if (!ms) return;
    while (rdtsc() < end) pause();
    then();
}

/* The memory behind the image. */
static void use_memory(void)
{
    uint64_t *end = (uint64_t *)ram_free_end(), found = 0;
    bool fill = arg_u64("fill", 0) != 0;

    for (uint64_t *p = (uint64_t *)ram_free_base(); p < end; p++) {
        found |= *p;
        if (fill) *p = mix64((uint64_t)p);
    }
    if (found) crash();
    print(fill ? "filled\n" : "clean\n");
}

static void reset(void) { outb(0xcf9, 6); }

void guest_main(void)
{
    (void)tsc_hz(); /* is measured now */
    began = rdtsc();
    began_pm = inl(PM1_TIMER);
    print("alive\n");
    pic_init();
    trap_set(VECTOR_SCI, on_sci);
    outw(PM1_ENABLE, POWER_BUTTON);
    if (arg_u64("watchdog_ms", 0)) { /* of 100 ms each, and never reset */
        outl(WATCHDOG + 4, (uint32_t)arg_u64("watchdog_ms", 0) / 100);
        outl(WATCHDOG, 1);
    }
    if (arg_u64("fill", 0) || arg_u64("clean", 0)) use_memory();
    after_ms("crash_ms", crash);
    after_ms("reset_ms", reset);
    after_ms("off_ms", power_off);
    if (!arg_u64("deaf", 0)) {
        pic_unmask(CASCADE_IRQ);
        pic_unmask(SCI_IRQ);
    }
    while (!pressed)
        if (arg_u64("spin", 0))
            __asm__ volatile("sti; pause; cli" ::: "memory");
        else
            __asm__ volatile("sti; hlt; cli" ::: "memory");
    power_off();
}
