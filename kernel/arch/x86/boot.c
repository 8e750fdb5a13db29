/*
 * From the loader to root: memory, CPU, interrupts, backend, other CPUs, then the first thread with
 * all capabilities. Runs once on the first CPU. What is wrong with the machine or the boot files
 * ends in a sentence on the console.
 */
#include <stddef.h>
#include "acpi.h"
#include "apic.h"
#include "asm.h"
#include "audit.h"
#include "cpu.h"
#include "klog.h"
#include "layout.h"
#include "lock.h"
#include "loader_info.h"
#include "mem.h"
#include "percpu.h"
#include "vcpu_ops.h"
#include "core/cdt.h"
#include "core/cnode.h"
#include "core/epoch.h"
#include "object/invoke.h"
#include "object/entry.h"
#include "object/sched.h"
#include "object/space.h"
#include "object/thread.h"

#define ROOT_SLOTS_LEAST 8192u
#define POOL_SHARE       32u /* 1/32 of RAM */
#define POOL_MIN_BYTES   0x400000ull
#define POOL_MAX_BYTES   0x40000000ull
#define ROOT_IMAGE_PAGES 4096u

extern char image_end[], image_phys_start[];
extern uint64_t boot_tsc;
static struct loader_info loader;

__attribute__((noreturn)) static void boot_stop(const char *why)
{
    klog_to_com1();
    klog("bulkhead: cannot start: %s", why);
    machine_end(71, "cannot start");
}

/* The pool: at the top of the largest range below 4 GiB, 2 MiB aligned. */
static uint64_t pool_place(uint64_t bytes)
{
    uint64_t best = 0, size = 0;

    for (uint32_t i = 0; i < loader.nranges; i++) {
        uint64_t end = loader.ranges[i].end, base = loader.ranges[i].base;

        if (end > 0x100000000ull) end = 0x100000000ull;
        if (base >= end || end - base < bytes + 0x200000 || end - base <= size) continue;
        size = end - base;
        best = (end - bytes) & ~0x1fffffull;
    }
    return best;
}

static uint64_t ram_bytes(void)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < loader.nranges; i++) n += loader.ranges[i].end - loader.ranges[i].base;
    return n;
}

/* Root is given BH_MAX_FUNTYPED ranges: the largest. */
static void ram_drop_small(void)
{
    for (;;) {
        uint32_t used = 0, least = 0;
        uint64_t bytes = ~0ull;

        for (uint32_t i = 0; i < loader.nranges; i++) {
            uint64_t n = loader.ranges[i].end - loader.ranges[i].base;
            used += n != 0;
            if (n == 0 || n >= bytes) continue;
            least = i;
            bytes = n;
        }
        if (used <= BH_MAX_FUNTYPED) return;
        loader.ranges[least].end = loader.ranges[least].base;
    }
}

/* Some pages for root before its untyped memory exists: from the end of a range the identity map
 * reaches. */
static uint64_t ram_take(uint64_t pages)
{
    for (uint32_t i = 0; i < loader.nranges; i++) {
        struct ram_range *r = &loader.ranges[i];

        if (r->end <= 0x100000000ull && r->end - r->base >= pages * 4096) {
            r->end -= pages * 4096;
            zero_bytes((void *)r->end, pages * 4096);
            return r->end;
        }
    }
    boot_stop("no memory for the root task");
}

static void give(uint32_t slot, uint32_t cnode, uint32_t type, uint32_t obj, uint64_t a, uint64_t b)
{
    cnode_commit_new(0, cnode + slot, cap_pack(type, BH_RIGHTS_ALL, obj), 0, a, b);
}

static void map(uint32_t space, uint64_t va, uint64_t phys, uint64_t bytes, uint64_t flags)
{
    struct map_plan p = {.space = space,
                         .vpn = va / 4096,
                         .pfn = phys / 4096,
                         .pages = bytes / 4096,
                         .flags = BH_MAP_READ | flags,
                         .steps = ROOT_IMAGE_PAGES};

    if (bytes == 0) return;
    if (space_decode_map(&p).err != BH_OK || p.todo != p.pages)
        boot_stop("the root task's image is too large");
    space_commit_map(&p);
}

static void seed(uint64_t *out)
{
    bool rdseed = (cpu_prot_on & BH_PROT_RDSEED) != 0;
    bool rdrand = (cpuid(1, 0).c >> 30 & 1u) != 0;

    for (uint32_t i = 0; i < 8; i++) {
        uint64_t v = rdtsc();
        uint8_t ok = 0;
        if (rdseed)
            for (uint32_t n = 0; n < 100 && ok == 0; n++)
                __asm__ volatile("rdseed %0; setc %1" : "=r"(v), "=q"(ok) : : "cc");
        if (ok == 0 && rdrand) __asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=q"(ok) : : "cc");
        out[i] = v ^ (uint64_t)rdtsc() << 17;
        /* Firmware without the fix leaves CPUs whose numbers are all ones, and valid. */
        info_page.entropy_bits += ok != 0 && v + 1 > 1 ? 64 : 1;
    }
}

/* What each CPU needs to start root's thread on it. */
static struct root_cpus {
    uint32_t space, cnode, threads, scs;
    uint64_t entry, stack_top, stack_bytes;
} root;

/* On its own CPU, which then goes on in the scheduler. */
void root_thread_start(void)
{
    uint32_t cpu = percpu()->cpu, sc = root.scs + cpu, thread = root.threads + cpu;
    /* Of 10 ms: half a one is promised, all may be used. */
    struct sc_params share = {tsc_khz / 2, tsc_khz * 10ull, tsc_khz * 10ull, 256};
    struct thread *t = &threads[thread];

    if (cpu >= SAVE_COUNT) return; /* more CPUs than save areas: this one stays idle */
    spin_lock(&kernel_lock);
    invariant(thread_bind(t, root.cnode + BH_SLOT_CNODE, root.space) == BH_OK,
              "root's thread binds");
    spin_unlock(&kernel_lock);
    scs[sc].handle = runq_handle(percpu()->runq->sc_of, sc);
    sc_commit_configure(&scs[sc].time, &share, rdtsc(), 0);
    scs[sc].share = sc_share(share.floor, share.period);
    percpu()->runq->floors += scs[sc].share;
    scs[sc].configured = 1;
    scs[sc].users = 1;
    scs[sc].thread = thread;
    t->home_sc = t->sc = sc;
    t->start_rip = root.entry;
    t->start_rsp = root.stack_top - cpu * root.stack_bytes;
    t->start_arg = BH_ROOT_INFO;
    t->start_arg2 = cpu;
    sched_wake(t);
}

/* @return where its info page lies */
static uint64_t root_start(void)
{
    const struct bh_root_header *h = (const struct bh_root_header *)loader.module;
    uint64_t image, bss, at = BH_ROOT_BASE, info = ram_take(1);
    uint32_t cnode = 0, slots = ROOT_SLOTS_LEAST, space, pages, objects;
    uint32_t slot = BH_SLOT_FUNTYPED;

    if (h->magic != BH_ROOT_MAGIC)
        boot_stop(
            "the boot module does not begin with a root task (made by the build as boot.img)");
    if (((h->text_bytes | h->rodata_bytes | h->data_bytes | h->bss_bytes) & 0xfff) != 0 ||
        h->text_bytes > 0x1000000 || h->rodata_bytes > 0x1000000 || h->data_bytes > 0x1000000 ||
        h->bss_bytes > 0x4000000 ||
        h->text_bytes + h->rodata_bytes + h->data_bytes >= loader.module_bytes ||
        h->entry < BH_ROOT_BASE || h->entry >= BH_ROOT_BASE + h->text_bytes)
        boot_stop("the root task's header is damaged");
    image = h->text_bytes + h->rodata_bytes + h->data_bytes;
    bss = h->bss_bytes == 0 ? 0 : ram_take(h->bss_bytes / 4096);
    pages = 64;
    while (pages * 512ull * 4096 / 2 < loader.module_bytes + 0x4000000) pages *= 2;

    while (slots < CNODE_SLOTS_MAX && slots < pool_pages * 2) slots *= 2;
    cnode = boot_pages(slots / 64) * 64;
    cnode_init(cnode, slots);
    space = boot_pages(pages);
    objects = boot_pages((epoch_cpus + 7) / 8 + (epoch_cpus + 15) / 16);
    root = (struct root_cpus){.space = space,
                              .cnode = cnode,
                              .threads = objects * 8,
                              .scs = (objects + (epoch_cpus + 7) / 8) * 16,
                              .entry = h->entry,
                              .stack_top = h->stack_top,
                              .stack_bytes = h->stack_bytes};

    space_init(space, SPACE_HOST, pages);
    map(space, at, loader.module, h->text_bytes, BH_MAP_EXEC);
    at += h->text_bytes;
    map(space, at, loader.module + h->text_bytes, h->rodata_bytes, 0);
    at += h->rodata_bytes;
    map(space, at, loader.module + h->text_bytes + h->rodata_bytes, h->data_bytes, BH_MAP_WRITE);
    at += h->data_bytes;
    map(space, at, bss, h->bss_bytes, BH_MAP_WRITE);
    map(space, BH_ROOT_INFO, info, 4096, 0);
    map(space, BH_ROOT_AUDIT, image_phys(&audit_ring), 4096, 0);

    give(BH_SLOT_CNODE, cnode, BH_CAP_CNODE, cnode, slots, 0);
    give(BH_SLOT_HOSTSPACE, cnode, BH_CAP_HOSTSPACE, space, pages, 0);
    for (uint32_t i = 0; i < epoch_cpus; i++) {
        uint32_t slot_of = i == 0 ? BH_SLOT_THREAD : BH_SLOT_CPU_THREADS + i;
        give(slot_of, cnode, BH_CAP_THREAD, root.threads + i, 0, 0);
        object_init(cnode + slot_of, i);
        slot_of = i == 0 ? BH_SLOT_SC : BH_SLOT_CPU_SCS + i;
        give(slot_of, cnode, BH_CAP_SC, root.scs + i, 0, 0);
        object_init(cnode + slot_of, i);
    }
    give(BH_SLOT_KERNEL, cnode, BH_CAP_KERNEL, 0, 0, 0);
    give(BH_SLOT_IOPORTS, cnode, BH_CAP_IOPORTS, 0, 0, 65536);
    give(BH_SLOT_IRQ, cnode, BH_CAP_IRQ, 0, IRQ_ALL, 0);
    /* Not root's own image: deleting an attachment clears all that points into its Frame. */
    give(BH_SLOT_BOOT_FRAME, cnode, BH_CAP_FRAME, 0, (loader.module + image) / 4096,
         (loader.module_bytes - image + 4095) / 4096);

    for (uint32_t i = 0; i < loader.nranges && slot < BH_SLOT_FUNTYPED + BH_MAX_FUNTYPED; i++) {
        uint64_t n = (loader.ranges[i].end - loader.ranges[i].base) / 4096;

        if (n == 0) continue;
        give(slot, cnode, BH_CAP_FUNTYPED, 0, loader.ranges[i].base / 4096, n);
        cells[cnode + slot].c = n; /* dirty until scrubbed */
        slot++;
        info_page.funtyped_bytes += n * 4096;
        klog("bulkhead: frames %lx to %lx", loader.ranges[i].base, loader.ranges[i].end);
    }

    give(BH_SLOT_KUNTYPED, cnode, BH_CAP_KUNTYPED, 0, (uint64_t)pool_boot_pages * PAGE_UNITS,
         (uint64_t)(pool_pages - pool_boot_pages) * PAGE_UNITS);
    info_page.kuntyped_bytes = cells[cnode + BH_SLOT_KUNTYPED].b * UNIT_BYTES;
    info_page.funtyped_count = slot - BH_SLOT_FUNTYPED;
    info_page.free_slot = BH_SLOT_FREE;
    info_page.boot_misalign = (loader.module + image) & 0x1fffff;
    info_page.cnode_slots = slots;
    info_page.boot_bytes = (loader.module_bytes - image + 4095) & ~4095ull;
    return info;
}

static void info_fill(void)
{
    struct cpuid_regs l1 = cpuid(1, 0);

    info_page.magic = BH_INFO_MAGIC;
    info_page.abi_version = BH_ABI_VERSION;
    info_page.backend = vcpu_ops == &vmx_ops ? BH_BACKEND_VMX : BH_BACKEND_SVM;
    info_page.ncpus = epoch_cpus;
    info_page.tsc_khz = tsc_khz;
    info_page.prot_on = cpu_prot_on | BH_PROT_NESTED_PAGING;
    info_page.prot_off = cpu_prot_off | BH_PROT_IOMMU | BH_PROT_INTREMAP | BH_PROT_TPM;
    info_page.apic_mode = apic_x2 ? 2 : 1;
    info_page.kernel_entry_tsc = boot_tsc;
    info_page.cpu_family = (l1.a >> 8 & 15) + ((l1.a >> 8 & 15) == 15 ? l1.a >> 20 & 255 : 0);
    info_page.cpu_model = (l1.a >> 4 & 15) | (l1.a >> 12 & 0xf0);
    info_page.cpu_stepping = l1.a & 15;
    for (uint32_t i = 0; i < BH_CMDLINE_BYTES; i++) info_page.cmdline[i] = loader.cmdline[i];
    seed(info_page.entropy);
}

/* What follows this word of the command line, which is all of one or ends in '='; NULL: not there.
 */
static const char *option(const char *word)
{
    for (const char *c = loader.cmdline; *c != 0; c++) {
        uint32_t n = 0;

        if (c != loader.cmdline && c[-1] != ' ') continue;
        while (word[n] != 0 && c[n] == word[n]) n++;
        if (word[n] == 0 && (c[n] == 0 || c[n] == ' ' || c[n - 1] == '=')) return c + n;
    }
    return NULL;
}

static uint64_t option_number(const char *word)
{
    uint64_t n = 0;

    for (const char *c = option(word); c != NULL && *c >= '0' && *c <= '9'; c++)
        n = n * 10 + (uint64_t)(*c - '0');
    return n;
}

void boot_main(uint32_t magic, uint64_t phys)
{
    struct madt_info madt;
    const char *why;
    uint64_t pool_bytes, pool, info;

    klog_init();
    why = loader_read(magic, phys, &loader);
    if (why != NULL) boot_stop(why);
    if (cpuid(0, 0).b == 0x756e6547 && (cpuid(1, 0).c & 0x20u) != 0 && cpuid(0, 0).a < 0xb)
        boot_stop("CPUID ends too early: \"Limit CPUID Maximum\" in the firmware's set-up is on, "
                  "or the CPU too old");
    cpu_detect();
    if (pte_nx != 0) wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    info_page.acpi_root = acpi_madt(loader.rsdp, &madt); /* before any memory is overwritten */

    pool_bytes = (ram_bytes() / POOL_SHARE + 0x1fffff) & ~0x1fffffull;
    if (option("pool=") != NULL) pool_bytes = option_number("pool=") << 20 & ~0x1fffffull;
    if (pool_bytes < POOL_MIN_BYTES) pool_bytes = POOL_MIN_BYTES;
    if (pool_bytes > POOL_MAX_BYTES) pool_bytes = POOL_MAX_BYTES;
    ram_remove(&loader, (uint64_t)image_phys_start, image_phys(image_end));
    while ((pool = pool_place(pool_bytes)) == 0 && pool_bytes > POOL_MIN_BYTES)
        pool_bytes -= 0x200000;
    klog("bulkhead: started by %s, pool %lx to %lx", loader.uefi ? "UEFI" : "BIOS or PVH", pool,
         pool + pool_bytes);
    if (pool == 0) boot_stop("not enough memory for the kernel pool below 4 GiB");
    ram_remove(&loader, pool, pool + pool_bytes);
    ram_drop_small();

    mem_init(pool, (uint32_t)(pool_bytes / 4096));
    cdt_init();
    cnode_init(1, PAGE_UNITS - 1); /* for set_aside() */
    fix_map(FIX_LAPIC, madt.lapic_phys, PTE_PCD | PTE_PWT);
    if (madt.ioapic_phys != 0) fix_map(FIX_IOAPIC, madt.ioapic_phys, PTE_PCD | PTE_PWT);
    apic_init_boot();
    cpu_init(0);
    if (!apic_calibrate()) boot_stop("the PIT does not count, and the CPU does not tell its clock");
    ioapic_init(madt.ioapic_phys);
    why = svm_ops.probe();
    if (why == NULL)
        vcpu_ops = &svm_ops;
    else if ((why = vmx_ops.probe()) == NULL)
        vcpu_ops = &vmx_ops;
    if (vcpu_ops == NULL) boot_stop(cpuid(0, 0).b == 0x756e6547 ? why : svm_ops.probe());
    if (!vcpu_ops->cpu_enable())
        boot_stop("the CPU refuses to turn virtualisation on (disabled by the firmware?)");
    cpus_start(madt.apic_ids, madt.cpus, loader.low_page, option("smt=on") != NULL);
    info_fill();
    info = root_start();
    klog("bulkhead: kernel ABI %u, %s, %u CPU(s), TSC %u kHz, %s, pool %lu KiB, frames %lu MiB",
         BH_ABI_VERSION, vcpu_ops->name, epoch_cpus, tsc_khz, apic_x2 ? "x2APIC" : "xAPIC",
         info_page.kuntyped_bytes / 1024, info_page.funtyped_bytes >> 20);
    percpu()->switch_tsc = info_page.root_entry_tsc = rdtsc();
    for (uint32_t i = 0; i < 512; i++) ((uint64_t *)info)[i] = ((uint64_t *)&info_page)[i];
    /* The seed is root's alone: the kernel's memory is mapped, though out of reach, everywhere. */
    zero_bytes(info_page.entropy, sizeof(info_page.entropy));
    mem_finish();
    cpus_release();
    root_thread_start();
    schedule();
}
