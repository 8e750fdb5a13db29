/*
 * Panic: the only way out of a broken invariant. Prints what, registers, a symbolised backtrace, on
 * the log and COM1, stops the other CPUs, halts. May call: klog, the symbol table that the build
 * appends.
 */
#include <stddef.h>
#include "klog.h"
#include "asm.h"
#include "apic.h"
#include "layout.h"
#include "percpu.h"
#include "trap.h"

/* Sorted by address; made by the build in its second link. */
extern const uint32_t ksym_count __attribute__((weak));
extern const uint32_t ksym_addr[] __attribute__((weak));
extern const uint32_t ksym_name_off[] __attribute__((weak));
extern const char ksym_names[] __attribute__((weak));
extern const char text_start[], text_end[];

/* @param behind 1 for a return address: the call before it may be its function's last instruction */
static void print_symbol(uint64_t rip, uint32_t behind)
{
    uint32_t off = (uint32_t)(rip - KERNEL_BASE) - behind, lo = 0, hi;

    if (&ksym_count == NULL || ksym_count == 0 || rip < (uint64_t)text_start ||
        rip >= (uint64_t)text_end) {
        klog("  %lx", rip);
        return;
    }
    hi = ksym_count;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ksym_addr[mid] <= off)
            lo = mid;
        else
            hi = mid;
    }
    klog("  %lx %s+0x%x", rip, &ksym_names[ksym_name_off[lo]], off - ksym_addr[lo] + behind);
}

/* No frame pointers: print what on the stack points behind a call in kernel text, newest first. */
static void backtrace(uint64_t rip, uint64_t rsp)
{
    uint64_t end = (rsp | 4095) + 1;

    klog("backtrace (stack scan):");
    print_symbol(rip, 0);
    for (unsigned n = 0; rsp % 8 == 0 && rsp < end && n < 24; rsp += 8) {
        uint64_t v = *(const uint64_t *)rsp;
        if (v >= (uint64_t)text_start + 5 && v < (uint64_t)text_end &&
            (*(const uint8_t *)(v - 5) == 0xe8 || *(const uint8_t *)(v - 2) == 0xff)) {
            print_symbol(v, 1);
            n++;
        }
    }
}

uint32_t panic_stops;

__attribute__((noreturn)) static void stop(void)
{
    if (__atomic_exchange_n(&panic_stops, 1, __ATOMIC_SEQ_CST) == 0) {
        apic_to_others(TO_OTHERS_NMI);
        machine_end(70, "kernel panic");
    }
    for (;;) __asm__ volatile("cli; hlt");
}

static uint32_t told; /* the broken invariant has been named: what follows is registers */

void panic(const char *fmt, ...)
{
    va_list ap;

    klog_to_com1();
    klog("PANIC on CPU %u: broken invariant:", percpu()->cpu);
    va_start(ap, fmt);
    vklog(fmt, ap);
    va_end(ap);
    klog(" ");
    told = 1;
    __asm__ volatile("ud2"); /* the registers, through trap_kernel() */
    __builtin_unreachable();
}

void panic_frame(const char *what, const struct frame *f)
{
    klog_to_com1();
    if (told == 0)
        klog("PANIC on CPU %u: broken invariant: no %s in the kernel (error %lx, cr2 %lx)",
             percpu()->cpu, what, f->error, read_cr2());
    klog("rip %016lx cs %lx rflags %lx rsp %016lx ss %lx cr3 %lx", f->rip, f->cs, f->rflags, f->rsp,
         f->ss, read_cr3());
    klog("rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
    klog("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", f->rsi, f->rdi, f->rbp, f->r8);
    klog("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->r9, f->r10, f->r11, f->r12);
    klog("r13 %016lx r14 %016lx r15 %016lx", f->r13, f->r14, f->r15);
    backtrace(f->rip, f->rsp);
    stop();
}
