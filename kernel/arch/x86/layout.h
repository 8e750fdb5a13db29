/*
 * Where things are in the address space; constants shared by C and assembly.
 *   lower half   0 .. 2 MiB: private slot of the domain (kernel only); 2 MiB .. 512 GiB: user
 *   KERNEL_BASE  kernel image (2 MiB), then fixed pages, kernel stacks
 *   POOL_BASE    kernel pool, up to 1 GiB
 */
#ifndef ARCH_X86_LAYOUT_H
#define ARCH_X86_LAYOUT_H

#define KERNEL_BASE 0xffffffff80000000
#define POOL_BASE   0xffffffffc0000000
/* Fixed pages: one page table at KERNEL_BASE + 1 GiB - 8 MiB. Slots: */
#define FIX_BASE   0xffffffffbf800000
#define FIX_LAPIC  0
#define FIX_IOAPIC 1
#define FIX_WINDOW 64 /* + CPU: the page it scrubs or copies */
/* Kernel stacks: 16 pages a CPU, two page tables (128 KiB * 64 = 8 MiB would be four: 8 pages
 * used). */
#define STACK_BASE      0xffffffffbfa00000
#define STACK_CPU_PAGES 16
#define STACK_PT_COUNT  2

/* Private slot of a HostSpace (virtual addresses under its CR3). */
#define PRIV_SAVE        0x1000 /* save areas: 16 of 256 bytes */
#define SAVE_BYTES       256
#define SAVE_COUNT       16
#define PRIV_VCPU        0x10000
#define PRIV_VCPU_STRIDE 0x4000
#define PRIV_VCPU_COUNT  16
#define USER_START       0x200000
#define USER_END         0x7ffffff000 /* 512 GiB - 4 KiB: RIP after SYSCALL stays canonical */

/* Save area: hardware's frame at the top, pushed registers below (struct frame). */
#define SAVE_RIP (-40)
#define SAVE_RSP (-16)

/* percpu.h */
#define PC_KSTACK  8
#define PC_CURRENT 24
#define PC_SAVE    32
#define PC_HAZARD  40

#define VEC_IRQ_BASE 0x30
#define VEC_TIMER    0xf0
#define VEC_KICK     0xf1
#define VEC_SPURIOUS 0xff

#endif
