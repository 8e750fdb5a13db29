/*
 * Fact: where software carries out an access for an instruction that has exited, it has no more
 * rights than the instruction: INS and OUTS of ring 3, MOVS from device memory and PUSH of it
 * neither write the kernel's pages nor read them, nor write what is read-only; across pages, bytes
 * go where each page is mapped.
 */
#include "guest.h"

enum { ABSENT = 0x1e0, CR0_WP = 1 << 16, KERNEL = 3, READ_ONLY = 5, USER = 7 };

/* Four pages of our own above the identity map, and device memory. */
static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint8_t frame[4][4096] __attribute__((aligned(4096)));
static uint8_t *const window = (uint8_t *)(1ULL << 39);
static void *const hole = (void *)0xfe000000;

static void *target;
static unsigned how;
enum { INSB, OUTSB, INSD, MOVSB_FROM, MOVSB_TO, PUSH_HOLE };

static void act(void)
{
    const void *source = how == MOVSB_TO ? target : hole;
    void *to = how == MOVSB_TO ? hole : target;

    switch (how) {
    case INSB: __asm__ volatile("insb" : "+D"(to) : "d"(ABSENT) : "memory"); break;
    case INSD: __asm__ volatile("insl" : "+D"(to) : "d"(ABSENT) : "memory"); break;
    case OUTSB: __asm__ volatile("outsb" : "+S"(to) : "d"(ABSENT) : "memory"); break;
    case PUSH_HOLE:
        __asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; pushq (%1); mov %%rbx, %%rsp"
                         :
                         : "r"(target), "r"(hole)
                         : "rbx", "memory");
        break;
    default: __asm__ volatile("movsb" : "+D"(to), "+S"(source) : : "memory"); break;
    }
}

/* A task state segment that opens all ports below 0x400 to ring 3. */
static struct {
    uint8_t fixed[104];
    uint8_t closed[129];
} tss;

static void open_ports(void)
{
    uint64_t base = gdt[SEL_TSS / 8] >> 16 & 0xffffff, at = (uint64_t)&tss;
    uint16_t bitmap = sizeof(tss.fixed);

    base |= gdt[SEL_TSS / 8] >> 56 << 24;
    memcpy(tss.fixed, (const void *)base, sizeof(tss.fixed));
    memcpy(tss.fixed + 102, &bitmap, 2);
    tss.closed[128] = 0xff;
    gdt[SEL_TSS / 8] =
        (sizeof(tss) - 1) | (at & 0xffffff) << 16 | 0x89ULL << 40 | (at >> 24 & 0xff) << 56;
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
}

static unsigned attempt(unsigned what, void *at, bool user)
{
    how = what;
    target = at;
    memset(frame, 0x55, sizeof(frame));
    return user ? user_fault(act) : expect_fault(act);
}

static bool untouched(void)
{
    for (unsigned i = 0; i < sizeof(frame); i++)
        if (frame[i / 4096][i % 4096] != 0x55) return false;
    return true;
}

static void check(const char *name, unsigned what, void *at, bool user, unsigned expected)
{
    unsigned f = attempt(what, at, user);

    fact(name, f == FAULT(VEC_PF, expected) && untouched(), "fault %x, cr2 %lx", f, fault_cr2);
}

void guest_main(void)
{
    unsigned f;

    boot_pml4[1] = (uint64_t)pdpt | USER;
    pdpt[0] = (uint64_t)pd | USER;
    pd[0] = (uint64_t)pt | USER;
    pt[0] = (uint64_t)frame[0] | KERNEL;
    pt[1] = (uint64_t)frame[1] | READ_ONLY;
    pt[2] = (uint64_t)frame[3] | USER; /* not in the order of memory */
    pt[3] = (uint64_t)frame[2] | USER;
    write_cr0(read_cr0() | CR0_WP);
    open_ports();

    check("ins-kernel", INSB, window, true, 7);
    check("outs-kernel", OUTSB, window, true, 5);
    check("ins-read-only", INSB, window + 4096, true, 7);
    check("ins-half", INSD, window + 2 * 4096 - 2, true, 7);
    check("ins-wp", INSB, window + 4096, false, 3);
    check("movs-kernel", MOVSB_FROM, window, true, 7);
    check("movs-from-kernel", MOVSB_TO, window, true, 5);
    check("movs-read-only", MOVSB_FROM, window + 4096, true, 7);
    check("push-kernel", PUSH_HOLE, window + 64, true, 7);
    f = attempt(INSB, window + 2 * 4096, true);
    fact("ins-user", f == FAULT_NONE && frame[3][0] == 0xff && frame[3][1] == 0x55, "fault %x", f);
    f = attempt(INSD, window + 3 * 4096 - 2, true);
    fact("ins-across",
         f == FAULT_NONE && frame[3][4095] == 0xff && frame[2][1] == 0xff && frame[3][4093] == 0x55,
         "fault %x", f);
}
