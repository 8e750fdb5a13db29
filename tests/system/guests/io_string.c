/*
 * Fact: INS and OUTS with REP, backwards, with zero counts, across pages and into a page that is
 * not there leave memory and RCX, RSI, RDI as on a PC.
 */
#include "guest.h"

enum { ABSENT = 0x1e0, COM1 = 0x3f8, COM_SCRATCH = 0x3ff };

static uint8_t buf[8192] __attribute__((aligned(4096)));
static uint64_t ins_rdi, ins_rcx;
/* A page with 4 KiB mapping of its own, above the identity map. */
static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static const uint64_t window = 1ULL << 39;

static void insb(uint16_t port, void *to, uint64_t n)
{
    ins_rdi = (uint64_t)to;
    ins_rcx = n;
    __asm__ volatile("rep insb" : "+D"(ins_rdi), "+c"(ins_rcx) : "d"(port) : "memory");
}

static unsigned count_byte(uint8_t v, size_t from, size_t n)
{
    unsigned hits = 0;

    for (size_t i = from; i < from + n; i++) hits += buf[i] == v;
    return hits;
}

static void ins_into_hole(void) { insb(ABSENT, (void *)(window + 4096 - 16), 64); }

void guest_main(void)
{
    static const char text[] = "rep outsb speaking\r\n";
    const void *rsi = text;
    uint64_t rcx = sizeof(text) - 1;
    unsigned f;

    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(COM1) : "memory");
    fact("outsb", rcx == 0 && rsi == text + sizeof(text) - 1, "RCX %lu", rcx);
    insb(ABSENT, buf + 4000, 200);
    fact("insb",
         count_byte(0xff, 4000, 200) == 200 && count_byte(0xff, 0, 8192) == 200 && ins_rcx == 0 &&
             ins_rdi == (uint64_t)buf + 4200,
         "across a page");
    insb(ABSENT, buf, 0);
    fact("zero", count_byte(0xff, 0, 8) == 0 && ins_rdi == (uint64_t)buf, "count 0");
    memset(buf, 0, sizeof(buf));
    __asm__ volatile("std; rep insw; cld"
                     : "=D"(ins_rdi), "=c"(ins_rcx)
                     : "d"(ABSENT), "0"(buf + 100), "1"(10ULL)
                     : "memory");
    fact("backwards",
         count_byte(0xff, 82, 20) == 20 && count_byte(0xff, 0, 8192) == 20 &&
             ins_rdi == (uint64_t)buf + 80,
         "INSW with DF");
    memset(buf, 0, sizeof(buf));
    __asm__ volatile("insl" : "=D"(ins_rdi) : "d"(ABSENT), "0"(buf + 1) : "memory");
    fact("insl", count_byte(0xff, 1, 4) == 4 && count_byte(0xff, 0, 64) == 4, "once, unaligned");
    /* The UART's scratch register gives back what was written: both directions agree. */
    for (unsigned i = 0; i < 16; i++) buf[i] = (uint8_t)(0xa0 + i);
    rsi = buf;
    rcx = 16;
    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(COM_SCRATCH) : "memory");
    insb(COM_SCRATCH, buf + 32, 4);
    fact("scratch", count_byte(0xaf, 32, 4) == 4, "last byte out is what comes in");
    boot_pml4[1] = (uint64_t)pdpt | 7;
    pdpt[0] = (uint64_t)pd | 7;
    pd[0] = (uint64_t)pt | 7;
    pt[0] = (uint64_t)buf | 7;
    memset(buf, 0, sizeof(buf));
    f = expect_fault(ins_into_hole);
    fact("fault-inside", f == FAULT(VEC_PF, 2) && fault_cr2 == window + 4096, "fault %x cr2 %lx", f,
         fault_cr2);
    fact("fault-state",
         fault_regs.rcx == 48 && fault_regs.rdi == window + 4096 &&
             count_byte(0xff, 4080, 16) == 16,
         "RCX %lu RDI %lx", fault_regs.rcx, fault_regs.rdi);
}
