// restored: vmm/monitor/*.c
// devices: vmm/monitor/dev/*.c vmm/rt/fmt.c vmm/rt/crc32c.c vmm/rt/r*.c vmm/rt/wire_ring.c
// forced: tests/fuzz/monitor_host.h
// sources: build/vmm/libzydis.a
// flags: -iquote vmm/rt -iquote vmm/monitor -iquote vmm/monitor/dev
// flags: -isystem build/third-party/zydis/include
/*
 * The whole monitor: a guest that exits for any reason with any registers, memory and page tables,
 * against a kernel that checks what the monitor asks for. What must hold: every vcpu_run is one
 * that the kernel takes (known flags, an event that exists, a deadline), every end has a kind and a
 * text, and nothing outside guest RAM and the monitor's own pages is touched.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <sys/mman.h>
#include "monitor_host.h"
#include "monitor.h"
#include "restore.h"
#include "bulkhead/control.h"
#include "bulkhead/pieces.h"

#define RAM_BYTES   0x400000u
#define TABLES_GPA  0x200000u
#define CODE_GPA    0x101000u
#define EXITS       400u
#define WAITS       64u
#define IMAGE_BYTES 64u
#define DISK_BYTES  0x2000u
#define STORE_BYTES 0x40000u
#define PIECE_GPA   0x200000u /* of an elastic VM's one piece; devices' memory is behind it */

void monitor_main(unsigned number);

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];

static struct input *in;
static jmp_buf the_end;
static uint64_t tsc;
static bool page_mapped[RAM_BYTES / 4096u]; /* guest RAM at its guest-physical address */
static unsigned exits, waits;
static uint8_t image[IMAGE_BYTES], disk[DISK_BYTES], store[STORE_BYTES];
static bool mapped;
static bool gone; /* the piece: nobody may touch it */

static struct bh_monitor_report *report(void)
{
    return (struct bh_monitor_report *)BH_MONITOR_REPORT;
}

/* ---- The kernel ---- */

uint64_t rt_tsc(void) { return tsc += 20; }

static void check_event(uint64_t e)
{
    unsigned vector = (unsigned)e & 0xffu;
    uint64_t type = e & BH_EVENT_TYPE_MASK;

    CHECK(e & BH_EVENT_VALID);
    CHECK(type == BH_EVENT_INTR || type == BH_EVENT_NMI || type == BH_EVENT_EXCEPTION ||
          type == BH_EVENT_SOFT);
    if (type == BH_EVENT_NMI) CHECK(vector == 2u);
    if (type == BH_EVENT_EXCEPTION) CHECK(vector < 32u && vector != 2u);
    if (e & BH_EVENT_CODE) CHECK(type == BH_EVENT_EXCEPTION);
}

/* Maps, and takes away, what is RAM at its own address. Not all at once, now and then. */
static struct bh_result ram_invoke(uint64_t method, uint64_t gpa, uint64_t offset, uint64_t pages)
{
    bool here = method == BH_M_attach_map;
    uint64_t todo;

    if (!here) pages = offset;
    CHECK((here || method == BH_M_attach_unmap) && pages > 0 && pages <= BH_MAP_MAX_PAGES);
    CHECK(gpa % 4096u == 0 && (gpa >> 12) + pages <= RAM_BYTES / 4096u);
    if (here) CHECK(gpa == (offset & ~(uint64_t)4095u));
    todo = pages > 100u ? 100u : pages;
    for (uint64_t i = gpa >> 12; i < (gpa >> 12) + todo; i++) {
        CHECK(page_mapped[i] != here);
        page_mapped[i] = here;
    }
    return (struct bh_result){todo < pages ? BH_ERR_PREEMPTED : BH_OK, todo};
}

struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    if (cap == BH_MONITOR_SLOT_RAM) return ram_invoke(method, a0, a1, a2);
    CHECK(cap == BH_MONITOR_SLOT_VCPU + vcpu_self);
    if (method == BH_M_vcpu_read) CHECK((a0 & ~(uint64_t)(BH_STATE_ALL | BH_STATE_FPU)) == 0);
    if (method == BH_M_vcpu_want) CHECK(a0 < BH_NEXITS && a1 <= BH_GROUP_FULL);
    return (struct bh_result){BH_OK, 0};
}

uint64_t bh_signal(uint64_t ntfn)
{
    CHECK(ntfn == BH_MONITOR_SLOT_ROOT);
    return BH_OK;
}

/* A question, also before the last one is answered, with any words. */
static void root_asks(void)
{
    struct bh_control *c = (struct bh_control *)BH_MONITOR_CONTROL;
    uint8_t how = (uint8_t)take(in, 1);

    c->verb = how & 15u;
    c->in_bytes = how & 0x10u ? (uint32_t)take_value(in) : 0;
    c->args[how >> 5 & 3u] = how & 0x20u ? take_value(in) : 0;
    c->request++;
}

/* The guest's balloon has all of the piece or wants some back; root takes and gives, and may write
 * anything. */
static uint64_t piece_moves(uint8_t how)
{
    struct bh_pieces *s = (struct bh_pieces *)BH_MONITOR_PIECES;

    for (uint64_t i = 0; (how & 1u) && i < BH_PIECE_PAGES; i++) pieces_given(PIECE_GPA + i * 4096u);
    if (how & 2u) (void)pieces_taken(PIECE_GPA + (how >> 4) * 4096u);
    pieces_settle();
    if ((how & 4u) && s->state[1] == BH_PIECE_OFFERED) {
        s->state[1] = BH_PIECE_GONE;
        CHECK(!gone && mprotect((void *)(BH_MONITOR_RAM + PIECE_GPA), BH_PIECE_BYTES, 0) == 0);
        gone = true;
    }
    if ((how & 8u) && s->state[1] == BH_PIECE_WANTED) {
        CHECK(gone && mprotect((void *)(BH_MONITOR_RAM + PIECE_GPA), BH_PIECE_BYTES,
                               PROT_READ | PROT_WRITE) == 0);
        gone = false;
        s->state[1] = BH_PIECE_USED;
    }
    if (how & 0x80u) {
        s->target_pages = (uint32_t)take_value(in);
        s->target_number++;
        s->state[how & 1u ? 0 : 2] = how;
    }
    return BH_MONITOR_SIGNAL_PIECES;
}

/* What root does between two looks: take output, type, ask for the end, ask questions. */
static uint64_t root_acts(uint8_t how)
{
    struct bh_console *c = (struct bh_console *)BH_MONITOR_CONSOLE;

    if (how & 1u) c->out_get = c->out_put;
    if (how & 2u) {
        c->in[c->in_put % BH_CONSOLE_IN_BYTES] = how;
        c->in_put += how >> 4;
    }
    if (how == 0xf7u) c->in_put = c->out_get = 0x12345678u; /* a root gone mad */
    if (how >> 2 & BH_MONITOR_SIGNAL_CONTROL) root_asks();
    return (how >> 2 &
            (BH_MONITOR_SIGNAL_CONSOLE | BH_MONITOR_SIGNAL_STOP | BH_MONITOR_SIGNAL_CONTROL)) |
           (vm_elastic() && (how & 0x20u) ? piece_moves((uint8_t)take(in, 1)) : 0);
}

struct bh_result bh_wait(uint64_t ntfn, uint64_t deadline)
{
    uint8_t how;

    CHECK(ntfn == BH_MONITOR_SLOT_NTFN + vcpu_self);
    if (report()->kind != BH_END_NONE || !more(in) || waits++ >= WAITS) longjmp(the_end, 1);
    how = (uint8_t)take(in, 1);
    if (how < 0x80u && deadline != BH_FOREVER) {
        if (tsc < deadline) tsc = deadline;
        return (struct bh_result){BH_ERR_TIMEOUT, 0};
    }
    return (struct bh_result){BH_OK, root_acts(how)};
}

/* ---- The guest ---- */

static void poke(void)
{
    uint64_t gpa = take(in, 3) % (RAM_BYTES - 16u);
    unsigned n = (unsigned)take(in, 1) & 15u;

    for (unsigned i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)take(in, 1);

        if (!gone || gpa + i < PIECE_GPA) ((uint8_t *)BH_MONITOR_RAM)[gpa + i] = byte;
    }
}

/* Real mode, 32-bit with and without paging, 64-bit; anything. */
static void set_mode(uint8_t how)
{
    struct bh_vcpu_state *s = &page()->state;

    s->cr3 = how & 0x40u ? take_value(in) : TABLES_GPA;
    switch (how & 7u) {
    case 0:
        s->cr0 = 0x10;
        s->cr4 = s->efer = 0;
        s->seg[BH_CS].attr = 0x9b;
        break;
    case 1:
        s->cr0 = 0x11;
        s->cr4 = s->efer = 0;
        s->seg[BH_CS].attr = 0x9b | CS_32;
        break;
    case 2:
        s->cr0 = CR0_PG | 0x11;
        s->cr4 = CR4_PSE;
        s->efer = 0;
        s->cr3 = TABLES_GPA + 0x3000;
        break;
    case 3:
        s->cr0 = CR0_PG | 0x11;
        s->cr4 = CR4_PAE;
        s->efer = 0;
        s->cr3 = TABLES_GPA + 0x1000;
        break;
    case 4:
        s->cr0 = take_value(in);
        s->cr4 = take_value(in);
        s->efer = take_value(in);
        break;
    case 5:
        s->seg[take(in, 1) % BH_NSEGS].base = take_value(in);
        s->seg[take(in, 1) % BH_NSEGS].attr = (uint16_t)take(in, 2);
        break;
    default:
        s->cr0 = CR0_PG | 0x11;
        s->cr4 = CR4_PAE;
        s->efer = EFER_LME | EFER_LMA;
        s->seg[BH_CS].attr = 0x9b | CS_LONG;
        break;
    }
}

static uint64_t take_port(void)
{
    static const uint16_t ports[] = {0x20,  0x21,  0xa0,  0xa1,  0x40,  0x42,  0x43,  0x60,
                                     0x61,  0x64,  0x70,  0x71,  0xf4,  0x3f8, 0x3fa, 0x3fd,
                                     0x4d0, 0x600, 0x602, 0x604, 0x608, 0xcf8, 0xcf9, 0xcfc};
    uint8_t how = (uint8_t)take(in, 1);

    return how < 0xe0u ? ports[how % (sizeof(ports) / sizeof(ports[0]))] : take(in, 2);
}

static uint64_t take_msr(void)
{
    static const uint32_t msrs[] = {0x10,
                                    0x1b,
                                    0x3a,
                                    0x3b,
                                    0x8b,
                                    0xfe,
                                    0x174,
                                    0x175,
                                    0x1a0,
                                    0x200,
                                    0x201,
                                    0x20f,
                                    0x250,
                                    0x258,
                                    0x26f,
                                    0x277,
                                    0x2ff,
                                    0x6e0,
                                    0x802,
                                    0x808,
                                    0x80b,
                                    0x80f,
                                    0x830,
                                    0x832,
                                    0x838,
                                    0x83e,
                                    0x83f,
                                    MSR_KVM_WALL_CLOCK,
                                    MSR_KVM_SYSTEM_TIME,
                                    MSR_KVM_EOI,
                                    0xc0000080,
                                    0xc0000081,
                                    0xc0000082,
                                    0xc0000084,
                                    0xc0000100,
                                    0xc0000101,
                                    0xc0000102,
                                    0xc0011029};
    uint8_t how = (uint8_t)take(in, 1);

    return how < 0xe0u ? msrs[how % (sizeof(msrs) / sizeof(msrs[0]))] : take_value(in);
}

static uint64_t take_gpa(void)
{
    uint8_t how = (uint8_t)take(in, 1);

    if (how < 0x60u) return LAPIC_DEFAULT_BASE + ((uint64_t)how << 4) + (how == 0x5fu ? 3u : 0);
    if (how < 0x90u) return 0xfec00000u + (how & 0x1fu);
    if (how < 0xa0u) return GUEST_VGA_HOLE + take(in, 2);
    if (how < 0xb0u) return LAPIC_DEFAULT_BASE - 2u + (how & 3u);
    return take_value(in);
}

/* Bytes at RIP, and perhaps handed over by the hardware. */
static void set_instruction(uint8_t how)
{
    struct bh_vcpu_page *p = page();
    uint8_t *code = (uint8_t *)BH_MONITOR_RAM + CODE_GPA;
    unsigned n = (unsigned)take(in, 1) % 16u;

    p->rip = how & 1u ? CODE_GPA : how & 2u ? CODE_GPA - 4u : take_value(in);
    if (how & 2u) code -= 4;
    for (unsigned i = 0; i < n; i++) code[i] = (uint8_t)take(in, 1);
    p->insn_bytes_len = how & 4u ? n : 0;
    for (unsigned i = 0; i < n; i++) p->insn_bytes[i] = code[i];
}

static void set_opcode(uint64_t bytes, unsigned prefix)
{
    uint8_t *code = (uint8_t *)BH_MONITOR_RAM + CODE_GPA;

    if (prefix) *code++ = (uint8_t)prefix;
    memcpy(code, &bytes, 4);
    page()->rip = CODE_GPA;
}

static void guest_runs(unsigned reason)
{
    static const uint32_t opcodes[BH_NEXITS] = {
        [BH_EXIT_CPUID] = 0xa20f, [BH_EXIT_RDMSR] = 0x320f,       [BH_EXIT_WRMSR] = 0x300f,
        [BH_EXIT_HLT] = 0xf4,     [BH_EXIT_HYPERCALL] = 0xd9010f, [BH_EXIT_XSETBV] = 0xd1010f,
        [BH_EXIT_CACHE] = 0x090f, [BH_EXIT_CR] = 0xc0220f};
    struct bh_vcpu_page *p = page();
    uint8_t how = (uint8_t)take(in, 1), regs = how >> 4;

    p->inject = (how & 7u) == 7u ? BH_EVENT_VALID | (32u + take(in, 1) % 200u) : 0;
    p->rflags = how & 8u ? take_value(in) | 2u : 0x202;
    p->shadow = (how & 6u) == 6u ? take(in, 1) & 3u : 0;
    for (unsigned i = 0; i < regs; i++) {
        unsigned r = (unsigned)take(in, 1);

        p->gpr[r & 15u] = take_value(in);
    }
    p->insn_bytes_len = 0;
    p->rip = CODE_GPA;
    if (opcodes[reason] != 0) set_opcode(opcodes[reason], how & 1u ? (unsigned)take(in, 1) : 0);
    p->next_rip = how & 2u ? p->rip + 2u : 0;
    p->qual = p->info = 0;
    switch (reason) {
    case BH_EXIT_CPUID:
        p->gpr[RAX] = take(in, 1) | (uint64_t)(regs & 3u) << 30;
        p->gpr[RCX] = take(in, 1);
        break;
    case BH_EXIT_IO:
        how = (uint8_t)take(in, 1);
        p->qual = take_port() << 16 | (uint64_t)(0x10u << (how & 3u) % 3u) |
                  (how & 4u ? BH_IO_IN : 0) |
                  ((how & 0x18u) == 0x18u ? BH_IO_STRING | (how & 0x20u ? BH_IO_REP : 0) : 0) |
                  (how & 0x40u   ? BH_IO_A64
                   : how & 0x80u ? BH_IO_A32
                                 : BH_IO_A16) |
                  (uint64_t)(how % 6u) << 10;
        p->next_rip = p->rip + 2u; /* the hardware always says it */
        break;
    case BH_EXIT_RDMSR:
    case BH_EXIT_WRMSR: p->gpr[RCX] = take_msr(); break;
    case BH_EXIT_MEMORY:
        p->qual = take_gpa();
        p->info = how & 1u ? BH_MEM_READ : BH_MEM_WRITE;
        how = (uint8_t)take(in, 1);
        if (how >= 0xf0u) p->info = how & (BH_MEM_FETCH | BH_MEM_WALK | BH_MEM_READ);
        set_instruction(how);
        break;
    case BH_EXIT_CR:
        p->qual = take(in, 2);
        if (!(p->qual & BH_CR_DECODED)) set_instruction((uint8_t)take(in, 1));
        break;
    case BH_EXIT_EXCEPTION:
        p->qual = take(in, 1) & 1u ? 1 : 17; /* what the kernel intercepts */
        p->info = take(in, 2);
        break;
    default: break;
    }
}

struct bh_result bh_vcpu_run(uint64_t deadline, uint64_t flags)
{
    struct bh_vcpu_page *p = page();
    uint8_t how;
    unsigned reason;

    CHECK((flags & ~(uint64_t)BH_RUN_ALL) == 0);
    CHECK(((const struct bh_control *)BH_MONITOR_CONTROL)->stands == 0);
    if (flags & BH_RUN_INJECT) check_event(p->inject);
    CHECK(p->state.tsc_offset == vcpus[0].tsc_offset);
    tsc += 500;
    if (exits++ >= EXITS) longjmp(the_end, 1);
    for (;;) {
        if (!more(in)) longjmp(the_end, 1);
        how = (uint8_t)take(in, 1);
        if (how < 0xc0u) break;
        if (how < 0xd0u)
            poke();
        else if (how < 0xe8u)
            set_mode(how < 0xe0u ? how & 15u : (uint8_t)take(in, 1));
        else if (how < 0xf0u)
            tsc += (uint64_t)1 << (take(in, 1) % 40u);
        else if (how < 0xf8u)
            return (struct bh_result){BH_EXIT_SIGNALLED | BH_EXIT_NOT_ENTERED,
                                      root_acts((uint8_t)take(in, 1))};
        else if (deadline != BH_FOREVER) {
            if (tsc < deadline) tsc = deadline;
            return (struct bh_result){BH_EXIT_TIMEOUT | (how & 1u ? BH_EXIT_NOT_ENTERED : 0), 0};
        }
    }
    reason = how % BH_NEXITS;
    guest_runs(reason);
    if (reason == BH_EXIT_SIGNALLED)
        return (struct bh_result){reason, root_acts((uint8_t)take(in, 1))};
    return (struct bh_result){reason, 0};
}

/* ---- Setting up ---- */

static void *map(uint64_t at, size_t bytes)
{
    void *p = mmap((void *)at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    CHECK(p == (void *)at);
    return p;
}

static void entry(uint64_t gpa, uint64_t value)
{
    memcpy((uint8_t *)BH_MONITOR_RAM + gpa, &value, 8);
}

/* Identity: 4 levels at TABLES_GPA, PAE from the second of them, 32-bit behind. */
static void tables(void)
{
    entry(TABLES_GPA, (TABLES_GPA + 0x1000) | 7u);
    for (uint64_t i = 0; i < 4u; i++)
        entry(TABLES_GPA + 0x1000 + 8u * i, (TABLES_GPA + 0x2000) | 1u);
    entry(TABLES_GPA + 0x2000, 0x83);
    entry(TABLES_GPA + 0x2008, (TABLES_GPA + 0x4000) | 7u);
    for (uint64_t i = 0; i < 512u; i += 3)
        entry(TABLES_GPA + 0x4000 + 8u * i, (0x200000 + i * 4096u) | 7u);
    entry(TABLES_GPA + 0x2010, 0xfec00083); /* the devices */
    entry(TABLES_GPA + 0x2018, 0xfee00083);
    entry(TABLES_GPA + 0x2020, 0x83); /* the VGA window, again */
    entry(TABLES_GPA + 0x3000, 0x83 | (uint64_t)(TABLES_GPA + 0x5007u) << 32);
    entry(TABLES_GPA + 0x5000, 0x1003 | 0x2003ull << 32);
}

/* A CD-ROM drive on either controller, a network, a watchdog, a place to be saved to. */
static void set_up_more(struct bh_monitor_start *st, uint8_t how)
{
    st->flags |= how & (BH_MONITOR_FLAG_LOOPBACK | BH_MONITOR_FLAG_WATCHDOG);
    if (how & 4u) {
        st->flags |= BH_MONITOR_FLAG_ELASTIC;
        st->device_ram_bytes = BH_PIECE_BYTES;
    }
    st->balloon_pages = how & 1u ? 0x100 : 0;
    st->ndisks = how >> 5 & 3u;
    for (unsigned n = 0; n < st->ndisks; n++)
        st->disks[n] = (struct bh_monitor_disk){
            .name = "disk",
            .bytes = DISK_BYTES,
            .image_va = (uint64_t)disk,
            .image_bytes = DISK_BYTES,
            .flags = BH_DISK_READ_ONLY | (n == 0 && how & 2u ? BH_DISK_CDROM : 0) |
                     (n == 0 && how & 4u ? BH_DISK_AHCI : 0),
        };
    st->store_va = (uint64_t)store;
    st->store_bytes = how & 0x80u ? 4096 : STORE_BYTES;
}

static void set_up(struct input *i)
{
    /* A multiboot image that says itself where it lies (multiboot 0.6.96, 3.1.3). */
    static const uint32_t header[8] = {
        0x1badb002, 0x10000, 0u - 0x1badb002u - 0x10000u, 0x100000, 0x100000, 0, 0, 0x100020};
    struct bh_monitor_start *st = (struct bh_monitor_start *)BH_MONITOR_START;
    uint8_t how = (uint8_t)take(i, 1);

    memset((void *)BH_MONITOR_START, 0, 0x1000);
    memset((void *)BH_MONITOR_REPORT, 0, 0x1000);
    memset((void *)BH_MONITOR_CONTROL, 0, sizeof(struct bh_control));
    memset((void *)BH_MONITOR_CONSOLE, 0, sizeof(struct bh_console));
    memset((void *)BH_MONITOR_PIECES, 0, sizeof(struct bh_pieces));
    memset(vcpus, 0, sizeof(vcpus));
    memset((void *)BH_MONITOR_VCPU, 0, 4096);
    CHECK(mprotect((void *)BH_MONITOR_RAM, RAM_BYTES, PROT_READ | PROT_WRITE) == 0);
    gone = false;
    CHECK(madvise((void *)BH_MONITOR_RAM, RAM_BYTES + BH_PIECE_BYTES, MADV_DONTNEED) == 0);
    memcpy(image, header, sizeof(header));
    st->magic = BH_MONITOR_MAGIC;
    st->version = BH_MONITOR_VERSION;
    st->nvcpus = 1;
    st->backend = how & 1u ? BH_BACKEND_SVM : BH_BACKEND_VMX;
    st->tsc_khz = how & 0x20u ? 1000u + (uint32_t)take(i, 3) : 2500000u;
    st->flags = how & 2u ? BH_MONITOR_FLAG_DEBUG_EXIT : 0;
    st->ram_bytes = RAM_BYTES;
    st->kernel_va = (uint64_t)image;
    st->kernel_bytes = how & 4u ? 40 : how & 0x10u ? 7 : IMAGE_BYTES;
    st->wall_clock_s = how & 8u ? 1700000000 : 0;
    st->cpu_model = how >> 6; /* three, and one that there is not */
    if ((how & 0x14u) == 0x14u) set_up_more(st, (uint8_t)take(i, 1));
    memcpy(st->cmdline, "x", 2);
    tables();
    tsc = 1000000;
    exits = waits = 0;
    memset(page_mapped, 0, sizeof(page_mapped));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};

    if (!mapped) {
        (void)map(BH_MONITOR_START, 0x30000);
        (void)map(BH_MONITOR_RAM, RAM_BYTES + BH_PIECE_BYTES);
        mapped = true;
    }
    variables_restore();
    set_up(&input);
    in = &input;
    if (setjmp(the_end) == 0) monitor_main(0);
    CHECK(report()->kind < BH_END_COUNT);
    CHECK(memchr(report()->text, 0, sizeof(report()->text)) != NULL);
    if (report()->kind == BH_END_STOPPED || report()->kind == BH_END_IMAGE)
        CHECK(report()->text[0] != 0);
    for (uint64_t gpa = 0; exits > 0 && gpa < (vm_elastic() ? PIECE_GPA : RAM_BYTES);
         gpa += 4096u) {
        if (gpa >= GUEST_VGA_END && gpa < GUEST_LEGACY_END) continue; /* as the guest likes */
        CHECK(page_mapped[gpa >> 12] == (gpa < GUEST_VGA_HOLE || gpa >= GUEST_VGA_END));
    }
    return 0;
}
