/*
 * Kernel page tables: image with W^X, fixed pages, stacks with guards, the pool page by page (so
 * that save areas can be taken out of the global map). May call: klog/panic. Nothing here maps
 * client memory except the per-CPU window.
 */
#include "mem.h"
#include "asm.h"
#include "core/ptab.h"
#include "klog.h"
#include "layout.h"
#include "percpu.h"

#define PAGE_TABLE __attribute__((aligned(4096), section(".bss.page")))

static uint64_t kernel_pml4[512] PAGE_TABLE;
static uint64_t kernel_pdpt[512] PAGE_TABLE;
static uint64_t image_pd[512] PAGE_TABLE;
static uint64_t image_pt[512] PAGE_TABLE;
static uint64_t fix_pt[512] PAGE_TABLE;
static uint64_t stack_pt[STACK_PT_COUNT][512] PAGE_TABLE;
static uint64_t pool_pd[512] PAGE_TABLE;

extern char image_phys_start[], text_start[], text_end[], rodata_end[], data_end[], image_end[];
extern uint64_t boot_pml4[512];

uint64_t pool_pfn, pte_nx, kernel_pdpt_entry, kernel_cr3;
uint32_t pool_pages, pool_boot_pages;
static uint32_t pool_pt_first;

uint64_t image_phys(const void *p) { return (uint64_t)p - KERNEL_BASE; }

uint32_t boot_pages(uint32_t n)
{
    uint32_t first = pool_boot_pages;

    invariant(n <= pool_pages - first, "the kernel pool suffices to boot (%u pages)", pool_pages);
    pool_boot_pages += n;
    return first;
}

static void map_image(const char *from, const char *to, uint64_t flags)
{
    for (uint64_t va = (uint64_t)from; va < (uint64_t)to; va += 4096)
        image_pt[va / 4096 % 512] = image_phys((void *)va) | flags | PTE_P | PTE_A | PTE_D;
}

/* Pool tables lie at the start of the pool itself; written through the boot identity map. */
void mem_init(uint64_t pool_phys, uint32_t pages)
{
    uint32_t pts = (pages + 511) / 512;
    uint64_t *pt = (uint64_t *)(pool_phys + 4096);

    pool_pfn = pool_phys / 4096;
    pool_pages = pages;
    zero_bytes((void *)pool_phys, (uint64_t)pages * 4096);
    pool_pt_first = 1; /* page 0: cell 0 is the sentinel of the derivation tree */
    pool_boot_pages = 1 + pts;
    for (uint32_t i = 0; i < pages; i++)
        pt[i] = (pool_phys + (uint64_t)i * 4096) | PTE_P | PTE_W | PTE_A | PTE_D | pte_nx;
    for (uint32_t i = 0; i < pts; i++)
        pool_pd[i] = (pool_phys + 4096 + (uint64_t)i * 4096) | PTE_P | PTE_W;

    map_image(text_start, text_end, 0);
    map_image(text_end, rodata_end, pte_nx);
    map_image(rodata_end, data_end, PTE_W | pte_nx);
    map_image(data_end, image_end, pte_nx);
    image_pd[KERNEL_BASE / 0x200000 % 512 + 1] = image_phys(image_pt) | PTE_P | PTE_W;
    image_pd[FIX_BASE / 0x200000 % 512] = image_phys(fix_pt) | PTE_P | PTE_W;
    for (uint32_t i = 0; i < STACK_PT_COUNT; i++)
        image_pd[STACK_BASE / 0x200000 % 512 + i] = image_phys(stack_pt[i]) | PTE_P | PTE_W;
    kernel_pdpt[510] = image_phys(image_pd) | PTE_P | PTE_W;
    kernel_pdpt[511] = image_phys(pool_pd) | PTE_P | PTE_W;
    kernel_pdpt_entry = image_phys(kernel_pdpt) | PTE_P | PTE_W;
    kernel_pml4[511] = kernel_pdpt_entry;
    kernel_pml4[0] = boot_pml4[0];
    kernel_cr3 = image_phys(kernel_pml4);
    write_cr3(kernel_cr3);
}

void mem_finish(void)
{
    boot_pml4[0] = 0; /* through the identity map, for the last time */
    kernel_pml4[0] = 0;
    write_cr3(read_cr3());
}

void fix_map(uint32_t slot, uint64_t phys, uint64_t flags)
{
    fix_pt[slot] = (phys & ~0xfffull) | flags | PTE_P | PTE_W | PTE_A | PTE_D | pte_nx;
    invlpg(FIX_BASE + slot * 4096ul);
}

void stack_map(uint32_t cpu, uint32_t slot, uint32_t page)
{
    uint32_t i = cpu * STACK_CPU_PAGES + slot;

    stack_pt[i / 512][i % 512] = page_phys(page) | PTE_P | PTE_W | PTE_A | PTE_D | pte_nx;
}

void *window_map(uint64_t pfn)
{
    uint32_t slot = FIX_WINDOW + percpu()->cpu;

    fix_map(slot, pfn * 4096, 0);
    return (void *)(FIX_BASE + slot * 4096ul);
}

void window_unmap(void)
{
    uint32_t slot = FIX_WINDOW + percpu()->cpu;

    fix_pt[slot] = 0;
    invlpg(FIX_BASE + slot * 4096ul);
}

uint32_t mem_strays(void)
{
    uint64_t image_first = (uint64_t)image_phys_start / 4096;
    uint32_t n = 0;

    for (uint32_t i = 0; i < 512; i++) {
        n += kernel_pdpt[i] != 0 && i < 510;
        n += fix_pt[i] != 0 && i > FIX_IOAPIC;
        n += image_pt[i] != 0 &&
             ptab_entry_pfn(image_pt[i]) - image_first > image_phys(image_end) / 4096 - image_first;
        for (uint32_t t = 0; t < STACK_PT_COUNT; t++)
            n += stack_pt[t][i] != 0 && ptab_entry_pfn(stack_pt[t][i]) - pool_pfn >= pool_pages;
    }
    for (uint32_t page = 0; page < pool_pages; page++) {
        uint64_t e = tables[pool_pt_first + page / 512][page % 512];
        n += e != 0 && ptab_entry_pfn(e) != pool_pfn + page;
    }
    return n;
}

void pool_hide(uint32_t page)
{
    tables[pool_pt_first + page / 512][page % 512] = 0;
    invlpg((uint64_t)page_ptr(page));
}

void pool_show(uint32_t page)
{
    tables[pool_pt_first + page / 512][page % 512] =
        page_phys(page) | PTE_P | PTE_W | PTE_A | PTE_D | pte_nx;
}
