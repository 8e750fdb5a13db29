/* Kernel address space: the pool, fixed pages, the per-CPU window, boot-time allocation. */
#ifndef ARCH_X86_MEM_H
#define ARCH_X86_MEM_H

#include <stdbool.h>
#include <stdint.h>

#define PTE_P   1ull
#define PTE_W   2ull
#define PTE_U   4ull
#define PTE_PWT 8ull
#define PTE_PCD 16ull
#define PTE_A   32ull
#define PTE_D   64ull
#define PTE_PS  128ull

extern uint64_t pool_pfn;
extern uint32_t pool_pages;        /* all of it */
extern uint32_t pool_boot_pages;   /* first pages used at boot */
extern uint64_t pte_nx;            /* NX bit where the CPU has it, else 0 */
extern uint64_t kernel_pdpt_entry; /* top-level entry that every HostSpace shares */
extern uint64_t kernel_cr3;        /* tables without a user half */

static inline uint64_t page_phys(uint32_t page) { return (pool_pfn + page) * 4096; }
static inline void *page_ptr(uint32_t page)
{
    return (void *)(0xffffffffc0000000ul + (uint64_t)page * 4096);
}
/** Physical address of something in the kernel image. */
uint64_t image_phys(const void *p);

/** Build the tables and switch to them (the low identity map stays until mem_finish). */
void mem_init(uint64_t pool_phys, uint32_t pages);
void mem_finish(void);
/** @n zeroed pages of the pool; boot only, panics when out. */
uint32_t boot_pages(uint32_t n);
void fix_map(uint32_t slot, uint64_t phys, uint64_t flags);
void stack_map(uint32_t cpu, uint32_t slot, uint32_t page);
/** Map physical page into this CPU's window; it is empty whenever the kernel lock is free. */
void *window_map(uint64_t pfn);
void window_unmap(void);
/** Entries of the kernel half that map anything but image, fixed pages, stacks and pool: 0. */
uint32_t mem_strays(void);
/** Take a pool page out of the global map, or put it back. */
void pool_hide(uint32_t page);
void pool_show(uint32_t page);

static inline void zero_bytes(void *p, uint64_t bytes)
{
    uint64_t n = bytes / 8;
    __asm__ volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(0ull) : "memory");
}

#endif
