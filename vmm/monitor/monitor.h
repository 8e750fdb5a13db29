/*
 * What the parts of a monitor share: one VM, one thread per vCPU. What a thread has to itself is in
 * its struct vcpu; everything else is constant after the start, guarded by the device lock, or
 * atomic. Each .c file owns what its section below names. May call: rt, device models, loaders,
 * decoder.
 */
#ifndef VMM_MONITOR_MONITOR_H
#define VMM_MONITOR_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bulkhead/console.h"
#include "bulkhead/control.h"
#include "bulkhead/info.h"
#include "bulkhead/monitor.h"
#include "bulkhead/vcpu.h"
#include "bus.h"
#include "decode.h"
#include "lapic.h"
#include "state.h"
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
/** Up to here the MCH decides what is RAM (its PAM registers). */
#define GUEST_LEGACY_END 0x100000u

/** What has to be looked at before the guest runs again. */
#define DIRTY_IRQ     1u  /* an interrupt may have become deliverable, or still waits */
#define DIRTY_TIME    2u  /* the local APIC may have changed its deadline */
#define DIRTY_PIC     4u  /* the 8259 may have changed its output; comes with DIRTY_IRQ */
#define DIRTY_RX      8u  /* the guest has taken a byte from its serial port */
#define DIRTY_DEVICES 16u /* a device of the platform may have changed its deadline */
#define DIRTY_SIGNALS 32u /* vcpu.signals is not 0 */

/** Where code was fetched from last, with the table entries that led there. */
struct code_page {
    uint64_t cr3, page;       /* page: linear address >> 12 */
    const uint64_t *entry[4]; /* in guest RAM */
    uint64_t value[4];
    const uint8_t *bytes; /* NULL: nothing is remembered */
};

/** Written by any thread, taken by the owner: what is posted to a vCPU (post.c). */
struct post {
    uint32_t pending;  /* POST_*; the owner has been told of what is set here */
    uint32_t irr[8];   /* vectors */
    uint32_t level[8]; /* trigger mode of the vector posted last */
    uint32_t sipi_vector;
} __attribute__((aligned(64)));

/** What a vCPU that does not run waits for. */
#define IDLE_NOT     0u
#define IDLE_HLT     1u /* an interrupt */
#define IDLE_STARTUP 2u /* a start-up message */

#define MTRR_VARIABLE 16u
#define MTRR_FIXED    11u

/**
 * What a vCPU's thread keeps at hand: the only one that touches it, but for `post` and for what the
 * local APIC shows to others (lapic.h). It lies at the lowest address of the thread's stack.
 */
struct vcpu {
    struct bh_vcpu_page *page;
    uint64_t flags;        /* of the next vcpu_run: BH_RUN_*, BH_STATE_* */
    uint64_t deadline_tsc; /* host TSC of the next device event */
    uint32_t dirty;        /* DIRTY_* */
    uint32_t exit_reason;  /* of the exit being handled */
    uint32_t number;
    uint32_t wants_mmio; /* exit reasons (bits) that bring BH_GROUP_MMIO state along */
    uint64_t tsc_offset; /* guest TSC - host TSC */
    uint64_t tsc_adjust;
    uint64_t signals; /* bits taken from the notification that nobody has acted on yet */
    uint32_t idle;    /* IDLE_* */
    struct code_page code_page;
    struct lapic lapic;
    uint64_t kvm_time_msr, kvm_eoi_msr;
    bool eoi_offered; /* kvm_eoi_take() is to look when the vCPU comes back */
    uint64_t mtrr_variable[MTRR_VARIABLE], mtrr_fixed[MTRR_FIXED], mtrr_default;
    uint64_t retry_rip, retry_exit; /* insn_retry(): of the last one, RIP and exits of its kind */
    uint32_t retries;
    uint64_t exits[BH_NEXITS];
    uint64_t holes; /* accesses to absent MSRs, CPUID leaves, memory */
    struct post post;
    struct decode_cache decode;
};

#define STACK_BYTES 32768u /* as in vmm/rt/monitor_start.S */
_Static_assert(sizeof(struct vcpu) < STACK_BYTES / 2u, "the other half is the stack");

#if __STDC_HOSTED__
/* Host tests: a thread says which vCPU it is. */
extern _Thread_local uint32_t vcpu_self;
extern struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];

static inline struct vcpu *vcpu_of(unsigned n) { return &vcpus[n]; }
static inline struct vcpu *self(void) { return &vcpus[vcpu_self]; }
#else
extern uint8_t monitor_stacks[BH_MONITOR_MAX_VCPUS][STACK_BYTES];

static inline struct vcpu *vcpu_of(unsigned n) { return (struct vcpu *)(void *)monitor_stacks[n]; }

/** The vCPU of this thread: stacks are aligned to their size. */
static inline struct vcpu *self(void)
{
    uint64_t v;

    __asm__("mov %%rsp, %0; and %1, %0" : "=r"(v) : "i"(-(long)STACK_BYTES) : "cc");
    return (struct vcpu *)v;
}

#endif

extern struct guest_mem guest_mem;

static inline struct bh_vcpu_page *page(void) { return self()->page; }

static inline const struct bh_monitor_start *start_block(void)
{
    return (const struct bh_monitor_start *)BH_MONITOR_START;
}

/** Does its RAM come and go in pieces? */
static inline bool vm_elastic(void)
{
    return (start_block()->flags & BH_MONITOR_FLAG_ELASTIC) != 0;
}

/** 1..BH_MONITOR_MAX_VCPUS: checked once, by vm_init(). */
static inline unsigned vcpu_count(void) { return start_block()->nvcpus; }

/* ---- main.c: the event loop ---- */

/** Inject an exception; the instruction is not skipped. @param code error code; -1: none */
void inject_exception(unsigned vector, int64_t code);
/** Bring state groups into the page (BH_STATE_*). */
void read_state(uint64_t groups);

/** Wait for a signal or @deadline (host TSC); acts on what has come. */
void wait_event(uint64_t deadline);
/** The vCPU is halted: wait for what it takes. */
void wait_halted(void);

/* ---- lock.c: the device lock ---- */

extern uint32_t device_lock_word;
/** More than one thread: without others nothing needs the lock. */
extern bool device_lock_needed;

void device_lock_wait(void);

/** Guards devices, bus and 8259's wire. Not recursive, held for one access, never while waiting. */
static inline void device_lock(void)
{
    if (device_lock_needed && __atomic_exchange_n(&device_lock_word, 1u, __ATOMIC_ACQUIRE))
        device_lock_wait();
}

static inline void device_unlock(void)
{
    if (device_lock_needed) __atomic_store_n(&device_lock_word, 0u, __ATOMIC_RELEASE);
}

/* ---- post.c: interrupts between the threads ---- */

/* Bits 0..7: words of post.irr. */
#define POST_NMI   0x100u
#define POST_INIT  0x200u
#define POST_SIPI  0x400u
#define POST_LINT0 0x800u   /* to vCPU 0: platform_lint() */
#define POST_TIME  0x1000u  /* to vCPU 0: a device has a deadline before the one it waits for */
#define POST_CLOCK 0x2000u  /* the paravirtual clock's page has to be written anew */
#define POST_END   0x4000u  /* the VM has ended */
#define POST_PAUSE 0x8000u  /* stand still: save.c */
#define POST_PASS  0x10000u /* say that it has passed here: pieces.c */

/** Tell @to, unless it has been told and has not looked since. */
void post(struct vcpu *to, uint32_t bits);
/** Take over what has been posted to this thread. */
void post_take(void);
/** Take over for the thread of @v, which stands still, what changes its local APIC. */
void post_take_for(struct vcpu *v);
/** Deliver a message to the local APICs it is for. @param sender number of the vCPU whose APIC sends
 *  it, BH_MONITOR_MAX_VCPUS: no APIC */
void irq_dispatch(const struct apic_msg *msg, unsigned sender);
/** Once, before the first message. */
void irq_init(void);

/* ---- reset.c: INIT and start-up ---- */

struct boot_state;
/** State of vCPU 0 as the loader wants it. */
void state_boot(const struct boot_state *b);
/** Of any other: waits until it is started. */
void state_start_others(void);
/** A vCPU after INIT: wait for the start-up message, take the state it stands for. */
void wait_for_startup(void);
/** An INIT has come: state after INIT, then wait until another vCPU starts this one. */
void cpu_init(void);

/* ---- end.c ---- */

/** End the VM: tell root, wait for the end. */
struct bh_monitor_report *report_page(void);
__attribute__((noreturn)) void vm_end(enum bh_monitor_end kind, uint32_t status, const char *text);
/** Another thread has ended the VM. */
__attribute__((noreturn)) void vm_wait_for_the_end(void);
/** An exit that this monitor does not handle. */
__attribute__((noreturn)) void vm_stop(const char *text);

/* ---- clock.c ---- */

void clock_init(void);
/** Nanoseconds of guest time since the VM's start. */
uint64_t clock_ns(void);
/** The same at host TSC @tsc, not before the start. */
uint64_t clock_ns_at(uint64_t tsc);
/** Host TSC at which that was 0. */
uint64_t clock_start_tsc(void);
/** Host TSC at which clock_ns() reaches @ns; BH_FOREVER for NO_DEADLINE_NS. */
uint64_t clock_ns_to_tsc(uint64_t ns);
/** Go on from @ns at host TSC @tsc. */
void clock_set(uint64_t ns, uint64_t tsc);

/* ---- save.c: saving and restoring the VM ---- */

/** Let all vCPUs stand still, write the VM to its store, go on. vCPU 0's thread.
 *  @return bytes of the file; 0: the store is too small */
uint64_t save_vm(void);
/** Could this VM go on from the first @bytes of its store? @return 0: it could; else the length of
 *  the words for why not, with their NUL */
uint32_t save_refuses(uint64_t bytes, char text[BH_CONTROL_TEXT_BYTES]);
/** Root has asked that the VM stand still, or go on. On vCPU 0's thread. */
void pause_begin(void);
void pause_end(void);
bool paused(void);
/** After an answer: while the VM stands still, answer questions and nothing else. */
void pause_stand(void);
/** POST_PAUSE: this vCPU stands still until the VM goes on. */
void save_pause(void);
/** Is the VM to start from a saved one? */
static inline bool restore_wanted(void) { return start_block()->restore_bytes != 0; }
/** Instead of loading images: memory, devices, vCPU 0. Ends the VM when the file is refused. */
void restore_vm(void);
/** Any other vCPU: waits for restore_vm(), then takes its own state. */
void restore_vcpu(void);

/* ---- memory.c: what the guest sees where ---- */

/** First of all: guest_mem. */
void memory_init(void);
/** Guest RAM at its guest-physical addresses, but for a hole below 4 GiB and what the MCH sees to:
 *  VGA's window and the 256 KiB after it. */
bool memory_map_ram(void);
/** What the guest itself sees at [gpa, + bytes), RAM or memory of a device. Not under the device
 *  lock. @return NULL: accesses to it exit */
void *memory_seen(uint64_t gpa, uint64_t bytes, bool write);
/** An instruction that is not carried out writes to memory of a device that is read-only there, or
 *  the processor does: let it, and drop what it has written. Takes the device lock.
 *  @return true: have it executed again; false: there is no such memory */
bool memory_lend(uint64_t gpa);
/** When what is lent comes back; with the device lock held. */
uint64_t memory_deadline_ns(void);
void memory_tick(uint64_t now_ns);
/** Memory for a device, zero, of what root has given for devices; 2 MiB aligned if taken before
 *  anything smaller. @return false: not that much left */
bool memory_take(struct dev_ram *ram, uint64_t bytes);
/** dev_host.map, see bus.h. */
bool memory_map_device(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes,
                       uint64_t gpa, unsigned access);

/* ---- pieces.c: RAM that comes and goes; with the device lock held. Nothing, when the VM is not
 * elastic ---- */

/** After everybody else has taken memory. */
bool pieces_init(void);
/** The page is in the balloon, or the guest takes it back. @return false: not there yet */
void pieces_given(uint64_t gpa);
bool pieces_taken(uint64_t gpa);
/** After a row of these: root is told. */
void pieces_settle(void);
/** Nothing is in the balloon any more. */
void pieces_reset(void);
/** Root has signalled. @return whether something has come */
bool pieces_look(void);
/** Devices and their memory have been loaded. */
void pieces_restored(void);
/** On vCPU 0's thread, with nothing of the guest's at hand. */
uint64_t pieces_deadline_ns(void);
void pieces_tick(void);
/** POST_PASS; without the lock. */
void pieces_passed(void);

/* ---- platform.c: devices and their wiring ---- */

/** Sets up every vCPU's local APIC and TSC, too. */
bool platform_init(void);
/** Let time pass in every device of this thread whose deadline is due; sets vcpu.dirty. */
void platform_tick(void);
/** The earliest deadline that this thread has to see to: its local APIC's and, on vCPU 0, those of
 *  all devices. Tells vCPU 0 when another has brought one forward. */
uint64_t platform_deadline_ns(void);
/** A byte for root. @return false: no room now */
bool ring_put(struct bh_console *c, uint8_t byte);
/** Hand what root has sent to @take, which says how much of it it has taken. */
void ring_take(struct bh_console *c, unsigned (*take)(const uint8_t *bytes, unsigned count));

/** The guest's control channel; with the device lock held. */
bool channel_init(struct bus *bus, const struct dev_host *host);
/** Is this the device of a port range? */
bool channel_is(const void *dev);
void channel_input(void);
void channel_output_room(void);
uint64_t channel_deadline_ns(void);
void channel_tick(uint64_t now_ns);
/** As platform_saved(): its state, if there is one. */
bool channel_saved(const struct dev_state **state, void **dev);

/** Bytes for root's console. @return how many there was room for */
unsigned console_output(void *ctx, const uint8_t *bytes, unsigned count);
/** Root has signalled: console input, or room for output, or a question; or a wire's peer has. */
void platform_signalled(uint64_t bits);
struct bh_input;
/** A key or the mouse. @return false: no room in the device now */
bool platform_input(const struct bh_input *event);
/** Hand typed bytes to the serial port, as many as it takes. */
void platform_console_input(void);
/** LINT0 of vCPU 0 has changed. */
void platform_lint(void);
/** Vector to inject now: acknowledges it. -1: none. */
int platform_ack(void);
/** Would platform_ack() give one? */
bool platform_pending(void);
uint64_t platform_holes(void);
/** UTC seconds since 1970 at clock_ns() == 0. */
int64_t platform_wall_clock_s(void);
/** Device @n of those whose state is saved, in the order they are loaded: what wires lead to comes
 *  last. @param[out] instance which of its kind @return false: there are no more */
bool platform_saved(unsigned n, const struct dev_state **state, void **dev, uint32_t *instance);
/** Their state has been loaded: what the platform derives from it. */
void platform_restored(void);

/** One access of 1, 2 or 4 bytes. */
uint64_t pio_read(unsigned port, unsigned size_bytes);
void pio_write(unsigned port, unsigned size_bytes, uint64_t value);
/** One access of 1, 2, 4 or 8 bytes. */
uint64_t mmio_read(uint64_t gpa, unsigned size_bytes);
void mmio_write(uint64_t gpa, unsigned size_bytes, uint64_t value);

/* ---- screen.c: the VGA, if there is one; under the device lock what is of devices ---- */

struct bh_screen;
struct pci;
struct dev_state;
/** Its memory, before all other device memory is taken: the frame buffer is shown to the guest by
 *  large entries, wherever the guest puts it, and there are not tables for small ones. */
bool screen_memory(void);
bool screen_init(struct bus *bus, const struct dev_host *host, struct pci *pci);
/** Its state table. @return false: there is no screen */
bool screen_saved(const struct dev_state **state, void **dev);
/** What is on the screen; takes the device lock. @return false: there is none */
bool screen_describe(struct bh_screen *s);
/** Memory of the screen, packed; see rle_pack(). @return bytes written, 0: no such memory */
size_t screen_pack(uint32_t address, uint32_t bytes, unsigned unit, uint8_t *out, size_t room,
                   size_t *taken);

/* ---- control.c ---- */

/** Root has asked something: answer it. */
void control_asked(void);

/* ---- disks.c: what root has given as disks ---- */

bool disks_init(void);
/** The next disk from number *@n on that is on a bus (BH_DISK_AHCI or 0); *@n: the one behind it.
 *  @return NULL: no more */
struct disk *disk_next(unsigned *n, uint32_t bus);
/** As platform_saved(), of the disks. */
bool disks_saved(unsigned n, const struct dev_state **state, void **dev);

/* ---- virtio_devices.c; with the device lock held ---- */

struct pci;
bool virtio_devices_init(struct pci *pci, const struct dev_host *host);
uint64_t virtio_devices_deadline_ns(void);
void virtio_devices_tick(uint64_t now_ns);
/** Signalled: BH_MONITOR_SIGNAL_PIECES. */
void virtio_balloon_look(void);
/** The devices' state and memory have been loaded. */
void virtio_balloon_restored(void);
/** The guest has written to its serial port: what is typed goes there now. */
void virtio_console_other(void);
/** Hand typed bytes to the virtio console, if that is where the guest has written last.
 *  @return bytes taken; -1: they are the serial port's */
int virtio_console_typed(const uint8_t *bytes, unsigned count);
/** There is room for output. */
void virtio_console_output_room(void);
/** As platform_saved(), of these devices. */
bool virtio_devices_saved(unsigned n, const struct dev_state **state, void **dev);

/* ---- wires.c; with the device lock held ---- */

struct net_port;
/** End @n of the VM's wires. @return NULL: there is none */
struct net_port *wires_port(unsigned n, const struct dev_host *host);
/** Signalled: BH_MONITOR_SIGNAL_LINK, BH_MONITOR_SIGNAL_WIRE. */
void wires_look(uint64_t bits);
/** The devices' state has been loaded. */
void wires_restored(void);
uint64_t wires_deadline_ns(void);
void wires_tick(uint64_t now_ns);

/* ---- sata.c; with the device lock held ---- */

bool sata_init(struct pci *pci, const struct dev_host *host);
uint64_t sata_deadline_ns(void);
void sata_tick(uint64_t now_ns);
/** What of it is saved. @return false: there is none */
bool sata_saved(const struct dev_state **state, void **dev);

/* ---- firmware.c: what a VM without a kernel starts from ---- */

struct rtc;
/** Where the firmware lies and what it is told. No firmware: nothing.
 *  @return false: cannot be set up */
bool firmware_init(struct bus *bus, const struct dev_host *host,
                   bool (*log)(void *ctx, uint8_t byte));
/** What firmware looks for in the CMOS. */
void firmware_cmos(struct rtc *rtc);
/** The state it starts in. @return false: there is none, an image is to be loaded */
bool firmware_state(struct boot_state *state);
/** Its devices that a saved VM holds. @return false: *@n is that many beyond them now */
bool firmware_saved(unsigned *n, const struct dev_state **state, void **dev);
/** Its ROM. @return NULL: there is none, an image is to be loaded */
const struct dev_ram *firmware_rom(void);

/* ---- cpuid.c, msr.c ---- */

/** @param[out] text when false: why the VM's CPU model cannot be given */
bool cpuid_init(char *text, size_t bytes);
/** Bits of a guest-physical address. */
unsigned cpuid_address_bits(void);
void exit_cpuid(void);
void exit_rdmsr(void);
void exit_wrmsr(void);
/** XCR0 bits that the guest may set. */
uint64_t cpuid_xcr0_mask(void);
/** Family, model and stepping: what EDX holds after INIT. */
uint32_t cpuid_signature(void);
/** What this virtual CPU is, for saved VMs: all that its CPUID says, in 32 characters. */
void cpuid_model(char model[32]);
/** Leaf 1, EDX; and whether the vendor is Intel. */
uint32_t cpuid_features(void);
bool cpuid_intel(void);

/* ---- kvm.c: the paravirtual clock ---- */

#define MSR_KVM_WALL_CLOCK  0x4b564d00u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u

/** The VM's one MSR of these. */
extern uint64_t kvm_wall_msr;

bool kvm_msr_read(uint32_t msr, uint64_t *value);
bool kvm_msr_write(uint32_t msr, uint64_t value);
/** Write this vCPU's page anew. */
void kvm_clock_update(void);
/** The guest has moved this vCPU's TSC: tell all vCPUs. */
void kvm_tsc_moved(void);

/* ---- kvm_eoi.c: the paravirtual end of interrupt ---- */

#define MSR_KVM_EOI 0x4b564d04u

bool kvm_eoi_msr_read(uint32_t msr, uint64_t *value);
bool kvm_eoi_msr_write(uint32_t msr, uint64_t value);
/** An interrupt is about to be injected: offer the guest to end it by its word, if that will do. */
void kvm_eoi_offer(void);
/** After an offer, before anything looks at the local APIC: has the guest taken it? It ends here.
 */
void kvm_eoi_take(void);

/* ---- hypercall.c ---- */

void exit_hypercall(void);

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
/**
 * The page that code is fetched from, as long as the walk to it, made before, still holds: same CR3
 * and every table entry on the way unchanged. 64-bit mode only. Needs BH_GROUP_MMIO state.
 * @return its 4096 bytes, NULL: not cached
 */
static inline const uint8_t *code_page_cached(uint64_t linear)
{
    const struct code_page *c = &self()->code_page;
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
/**
 * The instruction in memory is not what has exited: another vCPU has changed code or page tables
 * meanwhile, so have this one executed anew. When that happens again and again at one place, it is
 * something else, and the VM ends.
 */
void insn_retry(const char *text);
/** Is RIP at the HLT of a pair STI; HLT? */
bool insn_between_sti_and_hlt(void);
/** Segments, control registers and flags, now and with each exit of this kind to come. */
void exit_brings_state(void);
/** The long way of insn_skip(): prefixes, other modes, first time. */
void insn_skip_slow(uint32_t opcode, unsigned length);
/** The guest steps through its code: #DB after the instruction just skipped. */
void insn_stepped(void);
/** Go on at @rip, the instruction after the one that has exited. */
static inline void insn_go(uint64_t rip)
{
    struct vcpu *v = self();
    struct bh_vcpu_page *p = v->page;

    p->rip = rip;
    v->flags |= BH_RUN_RIP;
    if (__builtin_expect((p->rflags & RFLAGS_TF) != 0, 0)) insn_stepped();
}

/**
 * Skip the instruction that has exited.
 * @param opcode its opcode bytes, little-endian, without prefixes
 * @param length of the opcode in bytes, 1..3
 */
__attribute__((always_inline)) static inline void insn_skip(uint32_t opcode, unsigned length)
{
    const struct vcpu *v = self();
    const struct bh_vcpu_page *p = page();
    const uint8_t *code;
    uint32_t found;

    if (p->next_rip) {
        insn_go(p->next_rip);
        return;
    }
    if ((v->wants_mmio >> v->exit_reason & 1u) && (p->rip & 4095u) <= 4096u - 4u &&
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
