/*
 * What a micro guest can use: printing and verdicts, faults and interrupts, the virtual PC's
 * registers, memory found at boot. A guest is one C file that defines guest_main().
 * Everything runs on one CPU in 64-bit mode at CPL 0, with interrupts off and the first 4 GiB
 * mapped one to one, unless the guest changes that.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#ifdef GUEST_NAME
const char guest_name[] = GUEST_NAME;
#else
extern const char guest_name[];
#endif

/** The guest's own code; returning from it ends the guest with the verdict so far. */
void guest_main(void);

/* ---- Output and verdict ------------------------------------------------------------------ */

/* Values written to the debug-exit port; the emulator's exit status is (value << 1) | 1. */
enum { EXIT_PORT = 0xf4, EXIT_PASS = 0x10, EXIT_FAIL = 0x11, EXIT_SKIP = 0x12 };

/** Print to COM1. Knows %s %c %d %u %x %p with l/ll, 0 and a width. */
__attribute__((format(printf, 1, 2))) void print(const char *fmt, ...);

/**
 * Record one fact: prints "FACT name ok|BAD|GAP detail". A fact that is BAD fails the guest, unless
 * the command line lists it in gaps=a,b,c: then it counts as a known gap of the emulator.
 */
__attribute__((format(printf, 3, 4))) void fact(const char *name, bool holds, const char *fmt, ...);

/** End the guest now: prints its last line, writes the debug-exit port. */
__attribute__((noreturn)) void finish(void);

/** End the guest as skipped; the reason names what the platform lacks. */
__attribute__((noreturn)) void skip(const char *why);

/* ---- Boot information ---------------------------------------------------------------------- */

enum { RAM_RANGES = 32 };
struct ram_range {
    uint64_t base;
    uint64_t bytes;
};
struct boot_info {
    uint32_t kind; /* BOOT_MULTIBOOT, BOOT_MULTIBOOT2 or BOOT_PVH */
    uint32_t ranges;
    struct ram_range ram[RAM_RANGES]; /* usable RAM only, as the loader reported it */
    char cmdline[256];
};
extern struct boot_info boot;
extern uint32_t boot_cr0, boot_cr4;
extern char image_start[], image_end[];
extern uint64_t gdt[];
extern uint64_t boot_pml4[512], boot_pdpt[512], boot_pd[2048];

/** Sum of the usable ranges. */
uint64_t ram_bytes(void);
/** First free address of the RAM range that holds this image (behind the image, page aligned). */
uint64_t ram_free_base(void);
/** End of that range, at most 4 GiB. */
uint64_t ram_free_end(void);

/** Value of NAME=number (0x for hex) on the command line, or the default. */
uint64_t arg_u64(const char *name, uint64_t otherwise);

/* ---- Faults and interrupts ------------------------------------------------------------------- */

struct regs {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

#define FAULT(vector, error) ((unsigned)(vector) | (unsigned)(error) << 8)
#define FAULT_NONE           0xffffffffu

enum {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_XM = 19,
};

/** Run fn; FAULT(vector, error code) of the exception it raised, or FAULT_NONE if it returned. */
unsigned expect_fault(void (*fn)(void));
/** The same with fn at CPL 3. */
unsigned user_fault(void (*fn)(void));
/** Registers as they were at the last exception that ended expect_fault() or user_fault(). */
extern struct regs fault_regs;
extern uint64_t fault_cr2;

/** Have fn called for a vector (exceptions included); NULL restores the default. */
void trap_set(unsigned vector, void (*fn)(struct regs *));
/** Deliver a vector on interrupt stack n (1..7), or on the current stack (0). */
void idt_ist(unsigned vector, unsigned n);
/** Set the top of interrupt stack n (1..7); 1 and 2 are in use by NMI and #DF. */
void tss_ist(unsigned n, uint64_t top);
/** The whole IDT, so that a guest can copy or damage it: 256 gates of two words. */
extern uint64_t idt[512];

/* ---- Instructions ------------------------------------------------------------------------------
 */

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
    return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

/** rdmsr/wrmsr that report a fault instead of ending the guest. */
unsigned rdmsr_fault(uint32_t msr, uint64_t *v);
unsigned wrmsr_fault(uint32_t msr, uint64_t v);

#define DEFINE_IO(suffix, type)                                                                    \
    static inline void out##suffix(uint16_t port, type v)                                          \
    {                                                                                              \
        __asm__ volatile("out" #suffix " %0, %1" ::"a"(v), "Nd"(port) : "memory");                 \
    }                                                                                              \
    static inline type in##suffix(uint16_t port)                                                   \
    {                                                                                              \
        type v;                                                                                    \
                                                                                                   \
        __asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory");                \
        return v;                                                                                  \
    }
DEFINE_IO(b, uint8_t)
DEFINE_IO(w, uint16_t)
DEFINE_IO(l, uint32_t)

#define DEFINE_REG(reg)                                                                            \
    static inline uint64_t read_##reg(void)                                                        \
    {                                                                                              \
        uint64_t v;                                                                                \
                                                                                                   \
        __asm__ volatile("mov %%" #reg ", %0" : "=r"(v)::"memory");                                \
        return v;                                                                                  \
    }                                                                                              \
    static inline void write_##reg(uint64_t v)                                                     \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #reg ::"r"(v) : "memory");                                   \
    }
DEFINE_REG(cr0)
DEFINE_REG(cr2)
DEFINE_REG(cr3)
DEFINE_REG(cr4)
DEFINE_REG(cr8)
DEFINE_REG(dr0)
DEFINE_REG(dr1)
DEFINE_REG(dr2)
DEFINE_REG(dr3)
DEFINE_REG(dr6)
DEFINE_REG(dr7)

static inline void sti(void) { __asm__ volatile("sti" ::: "memory"); }

static inline void cli(void) { __asm__ volatile("cli" ::: "memory"); }

static inline void pause(void) { __asm__ volatile("pause" ::: "memory"); }

static inline uint32_t mmio_read32(uint64_t at) { return *(volatile uint32_t *)at; }

static inline void mmio_write32(uint64_t at, uint32_t v) { *(volatile uint32_t *)at = v; }

/** SplitMix64: a word with no visible relation to its neighbours', for patterns. */
static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

/** CPUID vendor is AMD's (or Hygon's): VMMCALL is the hypercall instruction. */
bool cpu_is_amd(void);
/** CPUID 1.ECX[31]. */
bool cpu_has_hypervisor(void);

/* ---- PC devices -------------------------------------------------------------------------------
 */

/** Remap both PICs to vectors 0x20..0x2f with every line masked. */
void pic_init(void);
void pic_unmask(unsigned irq);
void pic_mask_all(void);
void pic_eoi(unsigned irq);

enum { PIT_HZ = 1193182 };
/** Raise IRQ 0 once after the given PIT ticks (mode 0, 1..65535). */
void pit_oneshot(uint16_t ticks);
/** Busy-wait on PIT channel 2 (no interrupt used), 1..54000 us. */
void pit_wait_us(uint32_t us);
/** TSC ticks in a second, measured once against the PIT. */
uint64_t tsc_hz(void);

enum {
    LAPIC_ID = 0x20,
    LAPIC_VERSION = 0x30,
    LAPIC_TPR = 0x80,
    LAPIC_PPR = 0xa0,
    LAPIC_EOI = 0xb0,
    LAPIC_SVR = 0xf0,
    LAPIC_ISR = 0x100,
    LAPIC_IRR = 0x200,
    LAPIC_ESR = 0x280,
    LAPIC_ICR = 0x300,
    LAPIC_ICR_HIGH = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_TIMER_INIT = 0x380,
    LAPIC_TIMER_NOW = 0x390,
    LAPIC_TIMER_DIV = 0x3e0,
};
enum { LAPIC_BASE = 0xfee00000, LAPIC_MASKED = 1 << 16, LAPIC_VECTOR_SPURIOUS = 0xff };
/** Enable the local APIC; uses x2APIC when wanted and announced. False when there is no APIC. */
bool lapic_init(bool want_x2apic);
bool lapic_is_x2apic(void);
uint32_t lapic_read(unsigned reg);
void lapic_write(unsigned reg, uint32_t v);
/** Interrupt this CPU: fixed delivery of a vector, or an NMI. */
void lapic_self_ipi(uint8_t vector);
void lapic_self_nmi(void);
/** One-shot timer: the vector after so many APIC timer ticks (divide by 1). */
void lapic_timer(uint8_t vector, uint32_t ticks);
/** Timer ticks in a second at divide by 1, measured once against the PIT. */
uint64_t lapic_timer_hz(void);
static inline void lapic_eoi(void) { lapic_write(LAPIC_EOI, 0); }

void *memset(void *p, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
