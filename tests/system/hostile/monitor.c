/*
 * A monitor that has been taken over: linked in front of the shipped one's main function. A VM
 * whose command line has "attack=<name>" gets it; all others get the real monitor. Whatever it
 * does, its VM ends or stands still, and the others go on. May call: system calls, with anything it
 * holds. Never calls: the monitor.
 */
#include <stdbool.h>
#include <stddef.h>
#include "syscall.h"
#include "string.h"
#include "bulkhead/console.h"
#include "bulkhead/monitor.h"
#include "bulkhead/vcpu.h"

void __wrap_monitor_main(unsigned number);
void __real_monitor_main(unsigned number);

static uint64_t state = 0x243f6a8885a308d3ull;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

/* Often something that is nearly right. */
static uint64_t word(void)
{
    static const uint64_t values[] = {0,
                                      1,
                                      0x60000010,
                                      0x80000011,
                                      0x80050033,
                                      0x20,
                                      0x6f8,
                                      0xd01,
                                      0x500,
                                      0x7fffffffffffull,
                                      0x800000000000ull,
                                      0xffff800000000000ull,
                                      0x80000b0e,
                                      0x80000202,
                                      0x800004ff,
                                      0x80000320,
                                      ~0ull};
    uint64_t r = next_random();

    return r % 3 == 0 ? next_random() : values[r / 3 % (sizeof(values) / sizeof(values[0]))];
}

static const struct bh_monitor_start *start(void)
{
    return (const struct bh_monitor_start *)BH_MONITOR_START;
}

static struct bh_vcpu_page *page(void) { return (struct bh_vcpu_page *)BH_MONITOR_VCPU; }

__attribute__((noreturn)) static void die(void)
{
    for (;;) __asm__ volatile("ud2");
}

/* Random and nearly valid state into the vCPU, then into the guest. */
static void bad_state(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t *p = (uint64_t *)page();

        for (unsigned n = 0; n < 1 + i % 40; n++) p[next_random() % 160] = word();
        /* Legal on hardware, but QEMU 7.2 does not restore the host's CR0 after an exit from it. */
        if ((page()->state.cr4 & 0x20u) == 0) page()->state.efer &= ~0x100ul;
        (void)bh_vcpu_run(rt_tsc() + next_random() % 50000, word() & BH_RUN_ALL);
        (void)bh_vcpu_read(BH_MONITOR_SLOT_VCPU, BH_STATE_ALL);
        for (unsigned n = 0; n < 4; n++)
            (void)bh_vcpu_want(BH_MONITOR_SLOT_VCPU, next_random() % 26, next_random() % 4);
    }
    die();
}

/* The guest's memory somewhere else, nowhere, and while it runs. */
static void bad_mappings(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t va = word() & ~0xfffull, pages = 1 + next_random() % 2000;

        switch (next_random() % 3) {
        case 0: (void)bh_attach_map(BH_MONITOR_SLOT_RAM, va, word() | BH_MAP_READ, pages); break;
        case 1: (void)bh_attach_unmap(BH_MONITOR_SLOT_RAM, va, pages); break;
        default:
            (void)bh_attach_unmap(BH_MONITOR_SLOT_RAM,
                                  next_random() % start()->ram_bytes & ~0x1fffffull, 512);
            (void)bh_vcpu_run(rt_tsc() + 20000, 0);
            break;
        }
    }
    die();
}

/* Random invocations of everything in reach, own capabilities deleted in the end. */
static void bad_calls(void)
{
    for (unsigned i = 0; i < 50000; i++)
        (void)bh_invoke(next_random() % 40, next_random() % 9, word(), word(), word(), word());
    for (unsigned i = 0; i < 20000; i++)
        (void)bh_syscall(next_random() % 11, next_random() % 40, rt_tsc() + 1000, word(), word(),
                         word(), rt_tsc() + 1000);
    die();
}

/* Each system call with a stack pointer and return address that cannot be used. */
static void bad_stacks(void)
{
    const char *c = start()->cmdline;
    uint64_t call = 0;

    for (; *c != 0; c++) { /* "call=N" */
        if (strncmp(c, "call=", 5) == 0)
            for (c += 5; *c >= '0' && *c <= '9'; c++) call = call * 10 + (uint64_t)(*c - '0');
        if (*c == 0) break;
    }

    __asm__ volatile("mov %0, %%rax\n"
                     "mov $0xffff800000000000, %%rsp\n"
                     "xor %%edi, %%edi\n"
                     "xor %%esi, %%esi\n"
                     "xor %%r9d, %%r9d\n"
                     "syscall\n"
                     "push %%rax\n"
                     "ud2\n"
                     :
                     : "r"(call)
                     : "memory");
    die();
}

/* What root reads of us: console and report, changing all the time. */
static void bad_pages(void)
{
    volatile uint32_t *console = (volatile uint32_t *)BH_MONITOR_CONSOLE;
    volatile uint64_t *report = (volatile uint64_t *)BH_MONITOR_REPORT;

    for (unsigned i = 0; i < 200000; i++) {
        console[next_random() % 64] = (uint32_t)word();
        report[next_random() % 40] = word() << 8 * (next_random() % 8);
        if (i % 64 == 0) (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    }
    die();
}

/* Root is told something all the time, and time is used up. */
static void flood(void)
{
    for (;;) (void)bh_signal(BH_MONITOR_SLOT_ROOT);
}

static void flags_and_segments(void)
{
    /* AC, NT, DF, ID set, data segments loaded, then traps of every kind that ring 3 can raise. */
    __asm__ volatile("mov $0x1b, %eax\n"
                     "mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n"
                     "pushq $0x244ed6\n popfq\n");
    for (volatile uint64_t i = 0; i < 20000000; i++)
        ;
    (void)bh_vcpu_run(rt_tsc() + 100000, 0);
    __asm__ volatile("pushq $0x244fd6\n popfq\n mov %ss, %eax\n mov %eax, %ss\n syscall\n");
    die();
}

static const struct {
    const char *name;
    void (*run)(void);
} attacks[] = {
    {"bad_state", bad_state},
    {"bad_mappings", bad_mappings},
    {"bad_calls", bad_calls},
    {"bad_stacks", bad_stacks},
    {"bad_pages", bad_pages},
    {"flood", flood},
    {"flags_and_segments", flags_and_segments},
};

void __wrap_monitor_main(unsigned number)
{
    const char *c = start()->cmdline;

    for (; *c != 0; c++) {
        if (strncmp(c, "attack=", 7) != 0) continue;
        for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
            if (strncmp(c + 7, attacks[i].name, strlen(attacks[i].name)) == 0) attacks[i].run();
        }
        die();
    }
    __real_monitor_main(number);
}
