/*
 * Local APIC (Intel SDM vol. 3A, chapter 11): xAPIC through a page of registers, x2APIC through
 * MSRs, timer, inter-processor interrupts by callback. One struct per vCPU, touched by its thread
 * only; lapic_targets() alone looks at other threads' (see there). Calls the host's clock and the
 * callbacks in struct lapic_host only.
 */
#ifndef VMM_MONITOR_DEV_LAPIC_H
#define VMM_MONITOR_DEV_LAPIC_H

#include "bus.h"
#include "state.h"

#define LAPIC_DEFAULT_BASE 0xfee00000ull
#define LAPIC_MMIO_BYTES   0x1000u
#define LAPIC_TIMER_HZ     1000000000u /* timer input clock before the divider */

#define MSR_IA32_APIC_BASE    0x1bu
#define MSR_IA32_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_FIRST      0x800u
#define MSR_X2APIC_EOI        0x80bu
#define MSR_X2APIC_ICR        0x830u
#define MSR_X2APIC_LAST       0x8ffu

#define APIC_BASE_BSP    0x100ull
#define APIC_BASE_X2APIC 0x400ull
#define APIC_BASE_ENABLE 0x800ull

/** Delivery modes, as encoded in ICR, LVT and IOAPIC entries (11.5.1, 11.6.1). */
enum apic_mode {
    APIC_FIXED = 0,
    APIC_LOWEST = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_STARTUP = 6,
    APIC_EXTINT = 7,
};

/** An interrupt message on its way to one or more local APICs. */
struct apic_msg {
    uint32_t dest; /* APIC id or logical destination */
    uint8_t vector;
    uint8_t mode;      /* enum apic_mode */
    uint8_t shorthand; /* 0 none, 1 self, 2 all, 3 all but self (ICR only) */
    bool logical;      /* dest is a logical destination */
    bool level;        /* level triggered: needs an EOI broadcast */
    bool assert;       /* false: INIT level de-assert, which does nothing today */
    bool wide; /* dest is 32 bits (sent in x2APIC mode): broadcast is 0xffffffff, not 0xff */
};

/** What a local APIC needs from the monitor; any pointer may be NULL but @tsc. */
struct lapic_host {
    void *ctx;
    /** The guest's time-stamp counter now. */
    uint64_t (*tsc)(void *ctx);
    /** The guest wrote ICR with a destination that may include others: see lapic_targets(). */
    void (*ipi)(void *ctx, const struct apic_msg *msg);
    /** EOI of a level-triggered vector: see ioapic_eoi(). */
    void (*eoi)(void *ctx, uint8_t vector);
};

/** A map of vectors with a bit for each word that is not 0; or may be 0, after a restore. */
struct lapic_vectors {
    uint32_t map[8], words;
};

struct lapic {
    const struct dev_host *host;
    const struct lapic_host *lhost;
    uint64_t tsc_hz;

    uint64_t deadline_ns;
    uint64_t tsc_deadline;   /* exact; 0 = not armed (TSC-deadline mode only) */
    uint64_t base_msr;       /* (*) read by other threads: changed by whole atomic stores */
    uint64_t timer_start_ns; /* count was at initial_count then (one-shot, periodic) */
    uint64_t icr;
    uint32_t id, ldr, dfr, svr, lvt[6], divide, initial_count; /* (*) id, ldr, dfr, svr */
    uint32_t esr, esr_pending;
    struct lapic_vectors irr, isr;
    uint32_t tmr[8];
    uint8_t tpr; /* (*) */
    bool timer_running;
    bool lint_level[2];
    /* Events for the vCPU; the monitor clears each when it has acted on it. */
    bool nmi_pending, smi_pending, init_pending, sipi_pending;
    uint8_t sipi_vector;
};

extern const struct dev_state lapic_state;

/**
 * Reset state: xAPIC enabled globally, software-disabled, BSP if @bsp.
 * @param bus    registers the page at LAPIC_DEFAULT_BASE; NULL with several vCPUs: the monitor then
 *               sends each vCPU's accesses to lapic_mmio_read/write of its own APIC
 * @param id     APIC id, also x2APIC id
 * @param tsc_hz frequency of lhost->tsc, 1..18e9
 */
bool lapic_init(struct lapic *l, struct bus *bus, const struct dev_host *host,
                const struct lapic_host *lhost, uint32_t id, bool bsp, uint64_t tsc_hz);

/** INIT: everything but the id, mode and BSP flag returns to the power-up state (11.4.7.3). */
void lapic_reset(struct lapic *l);

/**
 * What PC firmware leaves behind on the boot CPU (MultiProcessor Specification 1.4, 3.6.2.2): APIC
 * enabled, LINT0 ExtINT, LINT1 NMI. For boots without firmware, once after lapic_init().
 */
void lapic_virtual_wire(struct lapic *l);

void lapic_tick(struct lapic *l, uint64_t now_ns);

/** xAPIC page. @param offset 0..0xfff. In x2APIC mode or globally disabled nothing answers. */
uint64_t lapic_mmio_read(struct lapic *l, uint64_t offset, unsigned size_bytes);
void lapic_mmio_write(struct lapic *l, uint64_t offset, unsigned size_bytes, uint64_t value);

/** True if @msr is the local APIC's: 0x1b, 0x6e0, 0x800..0x8ff. */
bool lapic_msr_mine(uint32_t msr);

/** RDMSR, WRMSR. @return false: the instruction raises #GP(0). */
bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value);
bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value);

/** CR8: the upper four bits of the task priority. */
uint8_t lapic_cr8_read(const struct lapic *l);
void lapic_cr8_write(struct lapic *l, uint8_t cr8);

/** True while IA32_APIC_BASE enables the APIC (CPUID.1:EDX.APIC follows it). */
bool lapic_enabled(const struct lapic *l);
bool lapic_x2apic(const struct lapic *l);

/** False: no vector waits, whatever its priority. */
static inline bool lapic_requested(const struct lapic *l) { return l->irr.words != 0; }

/** Vector of the interrupt to inject now (above the processor priority), -1 if none. */
int lapic_pending_vector(const struct lapic *l);

/** Acknowledge: the pending vector moves from IRR to ISR. @return it, -1 if none. */
int lapic_ack(struct lapic *l);

/** End of interrupt, as a write of the register makes it. */
void lapic_eoi(struct lapic *l);

/** True if an EOI now would end an edge-triggered interrupt, and nothing waits for that. */
bool lapic_eoi_is_quiet(const struct lapic *l);

/** True if the 8259's INTR reaches the CPU: APIC off, or LINT0 unmasked in ExtINT mode. */
bool lapic_extint_enabled(const struct lapic *l);

/** LINT0 (the 8259's INTR) or LINT1 (NMI) changes level. ExtINT is polled, not latched here. */
void lapic_set_lint(struct lapic *l, unsigned pin, bool level);

/** True if this APIC is a destination of @msg (shorthands aside). */
bool lapic_matches(const struct lapic *l, const struct apic_msg *msg);

/** Take a message that is for this APIC. */
void lapic_accept(struct lapic *l, const struct apic_msg *msg);

/**
 * Which of a VM's APICs a message is for, shorthands and arbitration of the lowest priority
 * included.
 * @param count  1..32
 * @param sender index of the sending APIC in @cpus, or any other number if it comes from an IOAPIC or
 *               a device
 * @return a bit for each that is to lapic_accept() it
 * Context: any thread. What the guest changes in an APIC at the same time counts as before or
 * after, as on the bus between processors.
 */
uint32_t lapic_targets(struct lapic *const *cpus, unsigned count, unsigned sender,
                       const struct apic_msg *msg);

#endif
