/*
 * What the parts of a monitor share: one VM, one vCPU, one thread. Each .c file owns what its
 * section below names. May call: rt, device models, loaders, decoder.
 */
#ifndef VMM_MONITOR_MONITOR_H
#define VMM_MONITOR_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bulkhead/console.h"
#include "bulkhead/info.h"
#include "bulkhead/monitor.h"
#include "bulkhead/vcpu.h"
#include "bus.h"
#include "lapic.h"
#include "loader.h"
#include "syscall.h"

#define VEC_DB 1u
#define VEC_UD 6u
#define VEC_GP 13u
#define VEC_PF 14u

/* Error code of a page fault. */
#define PF_PRESENT 1u
#define PF_WRITE   2u
#define PF_USER    4u

#define CR0_PE      0x1u
#define CR0_WP      0x10000u
#define CR0_PG      0x80000000u
#define CR4_PSE     0x10u
#define CR4_PAE     0x20u
#define CR4_OSXSAVE 0x40000u
#define CR4_SMAP    0x200000u
#define EFER_SCE    0x1u
#define EFER_LME    0x100u
#define EFER_LMA    0x400u
#define EFER_NXE    0x800u
#define RFLAGS_TF   0x100u
#define RFLAGS_IF   0x200u
#define RFLAGS_DF   0x400u
#define RFLAGS_AC   0x40000u
#define DR6_BS      0x4000u
#define CS_LONG     0x200u /* bh_segment.attr: L */
#define CS_32       0x400u /* D/B */

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

/** The window of a VGA card that is not there: not mapped, reads all ones. */
#define GUEST_VGA_HOLE 0xa0000u
#define GUEST_VGA_END  0xc0000u

/** What has to be looked at before the guest runs again. */
#define DIRTY_IRQ  1u /* an interrupt may have become deliverable, or still waits */
#define DIRTY_TIME 2u /* a device may have changed its deadline */
#define DIRTY_PIC  4u /* the 8259 may have changed its output; comes with DIRTY_IRQ */
#define DIRTY_RX   8u /* the guest has taken a byte from its serial port */

/** What the vCPU's thread keeps at hand. Single-threaded: no locks. */
struct vcpu {
    uint64_t flags;        /* of the next vcpu_run: BH_RUN_*, BH_STATE_* */
    uint64_t deadline_tsc; /* host TSC of the next device event */
    uint32_t dirty;        /* DIRTY_* */
    uint32_t exit_reason;  /* of the exit being handled */
    uint64_t tsc_offset;   /* guest TSC - host TSC */
    uint64_t tsc_adjust;
    uint32_t wants_mmio; /* exit reasons (bits) that bring BH_GROUP_MMIO state along */
    uint64_t exits[BH_NEXITS];
    uint64_t holes; /* accesses to absent MSRs, CPUID leaves, memory */
};

extern struct vcpu vcpu;
extern struct guest_mem guest_mem;

static inline struct bh_vcpu_page *page(void) { return (struct bh_vcpu_page *)BH_MONITOR_VCPU; }

static inline const struct bh_monitor_start *start_block(void)
{
    return (const struct bh_monitor_start *)BH_MONITOR_START;
}

/* ---- main.c: the event loop ---- */

/** Inject an exception; the instruction is not skipped. @param code error code; -1: none */
void inject_exception(unsigned vector, int64_t code);
/** Bring state groups into the page (BH_STATE_*). */
void read_state(uint64_t groups);

/* ---- end.c ---- */

/** End the VM: tell root, wait for the end. */
__attribute__((noreturn)) void vm_end(enum bh_monitor_end kind, uint32_t status, const char *text);
/** An exit that this monitor does not handle. */
__attribute__((noreturn)) void vm_stop(const char *text);

/* ---- clock.c ---- */

void clock_init(void);
/** Nanoseconds of guest time since the VM's start. */
uint64_t clock_ns(void);
/** Host TSC at which clock_ns() reaches @ns; BH_FOREVER for NO_DEADLINE_NS. */
uint64_t clock_ns_to_tsc(uint64_t ns);

/* ---- memory.c: what the guest sees where ---- */

/** First of all: guest_mem. */
void memory_init(void);
/** Guest RAM at its guest-physical addresses: a hole for VGA, and below 4 GiB. */
bool memory_map_ram(void);
/** Memory for a device, zero, of what root has given for devices; 2 MiB aligned if taken before
 *  anything smaller. @return false: not that much left */
bool memory_take(struct dev_ram *ram, uint64_t bytes);
/** dev_host.map, see bus.h. */
bool memory_map_device(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes,
                       uint64_t gpa, unsigned access);

/* ---- platform.c: devices and their wiring ---- */

bool platform_init(void);
/** Let time pass in every device whose deadline is due; sets vcpu.dirty. */
void platform_tick(void);
/** The earliest deadline of all devices. */
uint64_t platform_deadline_ns(void);
/** Root has signalled: console input, or room for output. */
void platform_signalled(uint64_t bits);
/** Hand typed bytes to the serial port, as many as it takes. */
void platform_console_input(void);
struct lapic *platform_lapic(void);
/** Vector to inject now: acknowledges it. -1: none. */
int platform_ack(void);
/** Would platform_ack() give one? */
bool platform_pending(void);
uint64_t platform_holes(void);
/** UTC seconds since 1970 at clock_ns() == 0. */
int64_t platform_wall_clock_s(void);

/** One access of 1, 2 or 4 bytes. */
uint64_t pio_read(unsigned port, unsigned size_bytes);
void pio_write(unsigned port, unsigned size_bytes, uint64_t value);
/** One access of 1, 2, 4 or 8 bytes. */
uint64_t mmio_read(uint64_t gpa, unsigned size_bytes);
void mmio_write(uint64_t gpa, unsigned size_bytes, uint64_t value);

/* ---- cpuid.c, msr.c ---- */

void cpuid_init(void);
void exit_cpuid(void);
void exit_rdmsr(void);
void exit_wrmsr(void);
/** XCR0 bits that the guest may set. */
uint64_t cpuid_xcr0_mask(void);

/* ---- kvm.c: the paravirtual clock ---- */

#define MSR_KVM_WALL_CLOCK  0x4b564d00u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u

bool kvm_msr_read(uint32_t msr, uint64_t *value);
bool kvm_msr_write(uint32_t msr, uint64_t value);
/** The guest's TSC has been moved: tell the guest. */
void kvm_clock_update(void);

/* ---- walk.c: the guest's page tables ---- */

/** Is the vCPU in 64-bit mode? Needs BH_GROUP_MMIO state. */
static inline bool mode_64(void)
{
    return (page()->state.efer & EFER_LMA) && (page()->state.seg[BH_CS].attr & CS_LONG);
}
/** Guest-linear to guest-physical with the page tables in force. Needs BH_GROUP_MMIO state.
 *  @return false: not mapped, or its tables are not in RAM */
bool walk(uint64_t linear, uint64_t *gpa);
/** The same for a data access of the instruction that has exited, by its privilege (Intel SDM vol.
 *  3A, 4.6.1; pages carry no protection keys). The processor has not checked this address: an exit
 *  for a port or for another operand came first. Needs BH_STATE_SEG and BH_STATE_CR, too.
 *  @param[out] code the #PF's error code when false */
bool walk_allowed(uint64_t linear, bool write, uint64_t *gpa, unsigned *code);
/** Where code was fetched from last, with the table entries that led there. */
struct code_page {
    uint64_t cr3, page;       /* page: linear address >> 12 */
    const uint64_t *entry[4]; /* in guest RAM */
    uint64_t value[4];
    const uint8_t *bytes; /* NULL: nothing is remembered */
};
extern struct code_page code_page;

/**
 * The page that code is fetched from, as long as the walk to it, made before, still holds: same CR3
 * and every table entry on the way unchanged. 64-bit mode only. Needs BH_GROUP_MMIO state.
 * @return its 4096 bytes, NULL: not cached
 */
static inline const uint8_t *code_page_cached(uint64_t linear)
{
    const struct code_page *c = &code_page;
    const struct bh_vcpu_state *s = &page()->state;
    uint64_t changed;

    if (c->page != linear >> 12 || c->cr3 != s->cr3 || !c->bytes || !(s->efer & EFER_LMA) ||
        !(s->seg[BH_CS].attr & CS_LONG))
        return NULL;
    changed = *c->entry[0] ^ c->value[0];
    changed |= *c->entry[1] ^ c->value[1];
    changed |= *c->entry[2] ^ c->value[2];
    changed |= *c->entry[3] ^ c->value[3];
    return changed ? NULL : c->bytes;
}
/** Walk to the page and remember the way. */
void code_page_remember(uint64_t linear);
/** Read or write guest-linear memory, RAM only. @return bytes done; less than @n: the byte after
 *  them is not mapped RAM. */
size_t linear_read(uint64_t linear, void *buf, size_t n);
size_t linear_write(uint64_t linear, const void *buf, size_t n);

/* ---- insn.c: lengths of the instructions that exit ---- */

/** Bytes at RIP, up to 15. Needs BH_GROUP_MMIO state. */
size_t insn_fetch(uint8_t bytes[16]);
/** Is RIP at the HLT of a pair STI; HLT? */
bool insn_between_sti_and_hlt(void);
/** The long way of insn_skip(): prefixes, other modes, first time. */
void insn_skip_slow(uint32_t opcode, unsigned length);
/** The guest steps through its code: #DB after the instruction just skipped. */
void insn_stepped(void);
/** Go on at @rip, the instruction after the one that has exited. */
static inline void insn_go(uint64_t rip)
{
    page()->rip = rip;
    vcpu.flags |= BH_RUN_RIP;
    if (__builtin_expect((page()->rflags & RFLAGS_TF) != 0, 0)) insn_stepped();
}

/**
 * Skip the instruction that has exited.
 * @param opcode its opcode bytes, little-endian, without prefixes
 * @param length of the opcode in bytes, 1..3
 */
static inline void insn_skip(uint32_t opcode, unsigned length)
{
    const struct bh_vcpu_page *p = page();
    const uint8_t *code;
    uint32_t found;

    if (p->next_rip) {
        insn_go(p->next_rip);
        return;
    }
    if ((vcpu.wants_mmio >> vcpu.exit_reason & 1u) && (p->rip & 4095u) <= 4096u - 4u &&
        (code = code_page_cached(p->rip)) != NULL) {
        __builtin_memcpy(&found, code + (p->rip & 4095u), sizeof(found));
        if ((found & ((1u << length * 8u) - 1u)) == opcode) {
            insn_go(p->rip + length);
            return;
        }
    }
    insn_skip_slow(opcode, length);
}

/* ---- io.c, mmio.c, cr.c ---- */

void exit_io(void);
void exit_memory(void);
void exit_cr(void);
void exit_xsetbv(void);

#endif
