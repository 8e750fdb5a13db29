/*
 * C half of the start: reads what the loader reported, sets up TSS and IDT, runs the guest, and
 * sorts traps: a guest's handler, an expected fault, or the end with a register dump.
 * Sources: multiboot 0.6.96, 3.3; multiboot2 2.0, 3.6; Xen public/arch-x86/hvm/start_info.h; Intel
 * SDM vol. 3A, 6.14.
 */
#include "guest.h"

enum { MB_INFO_MEMORY = 1, MB_INFO_CMDLINE = 4, MB_INFO_MMAP = 64, E820_RAM = 1 };
enum { MB2_END = 0, MB2_CMDLINE = 1, MB2_MMAP = 6 };
enum { PVH_MAGIC = 0x336ec578 };

struct multiboot_info {
    uint32_t flags, mem_lower_kib, mem_upper_kib, boot_device, cmdline;
    uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct multiboot_mmap {
    uint32_t size;
    uint64_t base, bytes;
    uint32_t type;
} __attribute__((packed));
struct multiboot2_tag {
    uint32_t type, size;
};
struct multiboot2_mmap {
    uint64_t base, bytes;
    uint32_t type, reserved;
};
struct pvh_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};
struct pvh_memmap {
    uint64_t base, bytes;
    uint32_t type, reserved;
};
_Static_assert(sizeof(struct pvh_info) == 56, "hvm_start_info");

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

struct boot_info boot;
uint64_t idt[512] __attribute__((aligned(4096)));
struct regs fault_regs;
uint64_t fault_cr2;
static struct tss tss;
static void (*handlers[256])(struct regs *);

extern char trap_stubs[], fault_resume[], ring0_stack_top[], ist_stack_top[];
extern uint64_t fault_frame;
void guest_start(uint32_t kind, const void *info);
void trap_dispatch(struct regs *r);

void *memset(void *p, int c, size_t n)
{
    void *d = p;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return p;
}

void *memcpy(void *d, const void *s, size_t n)
{
    void *to = d;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(s), "+c"(n)::"memory");
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a;
    const uint8_t *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

static void ram_add(uint64_t base, uint64_t bytes)
{
    if (boot.ranges < RAM_RANGES && bytes)
        boot.ram[boot.ranges++] = (struct ram_range){base, bytes};
}

static void cmdline_copy(uint64_t from)
{
    const char *s = (const char *)from;

    for (size_t i = 0; from && i + 1 < sizeof(boot.cmdline) && s[i]; i++) boot.cmdline[i] = s[i];
}

static void read_multiboot(const struct multiboot_info *mb)
{
    if (mb->flags & MB_INFO_CMDLINE) cmdline_copy(mb->cmdline);
    if (!(mb->flags & MB_INFO_MMAP)) {
        ram_add(0, (uint64_t)mb->mem_lower_kib << 10);
        ram_add(0x100000, (uint64_t)mb->mem_upper_kib << 10);
        return;
    }
    for (uint32_t at = 0; at + sizeof(struct multiboot_mmap) <= mb->mmap_length;) {
        const struct multiboot_mmap *m = (const void *)(uint64_t)(mb->mmap_addr + at);

        if (m->type == E820_RAM) ram_add(m->base, m->bytes);
        at += m->size + 4;
    }
}

static void read_multiboot2(uint64_t info)
{
    const uint32_t total = *(const uint32_t *)info;
    const struct multiboot2_tag *t;
    uint32_t at;

    for (at = 8; at + 8 <= total; at += (t->size + 7) & ~7u) {
        t = (const void *)(info + at);
        if (t->type == MB2_END || t->size < 8) break;
        if (t->type == MB2_CMDLINE) cmdline_copy(info + at + 8);
        for (uint32_t i = 16; t->type == MB2_MMAP && i + 24 <= t->size; i += 24) {
            const struct multiboot2_mmap *m = (const void *)(info + at + i);

            if (m->type == E820_RAM) ram_add(m->base, m->bytes);
        }
    }
    /* The end tag is the last thing; if not, nothing of this is to be believed. */
    if (at + 8 != total) boot.ranges = 0;
}

static void read_pvh(const struct pvh_info *pvh)
{
    const struct pvh_memmap *m = (const void *)pvh->memmap;

    if (pvh->magic != PVH_MAGIC) return;
    cmdline_copy(pvh->cmdline);
    for (uint32_t i = 0; pvh->version >= 1 && i < pvh->memmap_entries; i++)
        if (m[i].type == E820_RAM) ram_add(m[i].base, m[i].bytes);
}

uint64_t ram_bytes(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < boot.ranges; i++) sum += boot.ram[i].bytes;
    return sum;
}

uint64_t ram_free_base(void) { return (uint64_t)image_end; }

uint64_t ram_free_end(void)
{
    uint64_t here = (uint64_t)image_start;

    for (uint32_t i = 0; i < boot.ranges; i++) {
        uint64_t end = boot.ram[i].base + boot.ram[i].bytes;

        if (here >= boot.ram[i].base && here < end)
            return end > 1ULL << 32 ? 1ULL << 32 : end & ~4095ULL;
    }
    return ram_free_base();
}

/* A 64-bit interrupt gate: two words of the IDT. */
static void idt_gate(unsigned vector, uint64_t to, unsigned dpl)
{
    idt[2 * vector] = (to & 0xffff) | SEL_CODE << 16 | (uint64_t)(0x8e00 | dpl << 13) << 32 |
                      (to >> 16 & 0xffff) << 48;
    idt[2 * vector + 1] = to >> 32;
}

void idt_ist(unsigned vector, unsigned n)
{
    idt[2 * vector] = (idt[2 * vector] & ~(7ULL << 32)) | (uint64_t)n << 32;
}

void tss_ist(unsigned n, uint64_t top) { tss.ist[n - 1] = top; }

void trap_set(unsigned vector, void (*fn)(struct regs *)) { handlers[vector] = fn; }

static void tables_init(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) desc = {sizeof(idt) - 1, (uint64_t)idt};
    uint64_t base = (uint64_t)&tss;

    for (unsigned v = 0; v < 256; v++)
        idt_gate(v, (uint64_t)trap_stubs + v * STUB_BYTES,
                 v == VEC_BP || v == VEC_OF || v == VECTOR_USER_DONE ? 3 : 0);
    tss.rsp[0] = (uint64_t)ring0_stack_top;
    tss.iomap = sizeof(tss);
    for (unsigned n = 1; n <= 3; n++) tss_ist(n, (uint64_t)ist_stack_top - (n - 1) * IST_BYTES);
    gdt[SEL_TSS / 8] =
        (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    gdt[SEL_TSS / 8 + 1] = base >> 32;
    idt_ist(VEC_NMI, 1);
    idt_ist(VEC_DF, 2);
    __asm__ volatile("lidt %0" ::"m"(desc));
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
}

void trap_dispatch(struct regs *r)
{
    if (handlers[r->vector]) {
        handlers[r->vector](r);
        return;
    }
    if (fault_frame) {
        fault_regs = *r;
        fault_cr2 = read_cr2();
        r->rax = r->vector == VECTOR_USER_DONE ? FAULT_NONE : FAULT(r->vector, r->error);
        r->rip = (uint64_t)fault_resume;
        r->rsp = fault_frame;
        r->cs = SEL_CODE;
        r->ss = SEL_DATA;
        r->rflags = 2;
        return;
    }
    print("trap %lu error %lx rip %lx rsp %lx rflags %lx cr2 %lx\n", r->vector, r->error, r->rip,
          r->rsp, r->rflags, read_cr2());
    print("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx\n", r->rax, r->rbx, r->rcx, r->rdx,
          r->rsi, r->rdi);
    fact("unexpected-trap", false, "vector %lu", r->vector);
    finish();
}

void guest_start(uint32_t kind, const void *info)
{
    boot.kind = kind;
    if (kind == BOOT_MULTIBOOT)
        read_multiboot(info);
    else if (kind == BOOT_MULTIBOOT2)
        read_multiboot2((uint64_t)info);
    else
        read_pvh(info);
    tables_init();
    outb(0x3fb, 0x80);
    outb(0x3f8, 1);
    outb(0x3f9, 0);
    outb(0x3fb, 3);
    outb(0x3fa, 7);
    outb(0x3fc, 3);
    print("guest %s: %s, %lu KiB in %u ranges, \"%s\"\n", guest_name,
          kind == BOOT_PVH          ? "PVH"
          : kind == BOOT_MULTIBOOT2 ? "multiboot2"
                                    : "multiboot",
          ram_bytes() >> 10, boot.ranges, boot.cmdline);
    guest_main();
    finish();
}

/* The register and value of the access under test; expect_fault() takes no arguments. */
static uint32_t probe_msr;
static uint64_t probe_value;

static void probe_rdmsr(void) { probe_value = rdmsr(probe_msr); }

static void probe_wrmsr(void) { wrmsr(probe_msr, probe_value); }

unsigned rdmsr_fault(uint32_t msr, uint64_t *v)
{
    unsigned f;

    probe_msr = msr;
    f = expect_fault(probe_rdmsr);
    if (f == FAULT_NONE) *v = probe_value;
    return f;
}

unsigned wrmsr_fault(uint32_t msr, uint64_t v)
{
    probe_msr = msr;
    probe_value = v;
    return expect_fault(probe_wrmsr);
}

bool cpu_is_amd(void)
{
    struct cpuid r = cpuid(0, 0);

    return r.b == 0x68747541 /* "Auth" */ || r.b == 0x6f677948 /* "Hygo" */;
}

bool cpu_has_hypervisor(void) { return cpuid(1, 0).c >> 31; }
