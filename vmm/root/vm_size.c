/* What a VM takes; see vm_parts.h. */
#include "caps.h"
#include "program.h"
#include "vm_parts.h"
#include "wires.h"

#define GIB 0x40000000ull
/* Guest page tables for device memory: below 4 GiB, above RAM, and what ends within 2 MiB. */
#define DEVICE_TABLES 8u

/* What a disk needs; 0: it is only read. */
uint64_t vm_disk_bytes(const struct manifest_disk *d)
{
    return d->overlay_bytes ? bh_disk_memory_bytes(d->bytes, d->overlay_bytes) : 0;
}

/* What the VM's devices need beside RAM; see bh_monitor_start. */
uint64_t vm_device_bytes(const struct manifest_vm *config)
{
    uint64_t bytes = images_firmware_bytes(config);

    if (config->display == MANIFEST_DISPLAY_VGA) bytes += BH_MONITOR_VGA_BYTES;
    for (unsigned i = 0; i < config->disk_count; i++) bytes += vm_disk_bytes(&config->disks[i]);
    if (vm_elastic(config))
        bytes += round_up(config->memory_mib * MIB / BH_PIECE_BYTES * BH_PIECE_NOTE_BYTES, PAGE);
    return round_up(bytes, LARGE_BYTES);
}

uint64_t vm_own_ram_bytes(const struct manifest_vm *config)
{
    return vm_elastic(config) ? LARGE_BYTES : config->memory_mib * MIB;
}

uint64_t vm_pieces(const struct manifest_vm *config)
{
    return (config->memory_mib * MIB - vm_own_ram_bytes(config)) / LARGE_BYTES;
}

static uint64_t with_devices(const struct manifest_vm *config, uint64_t ram)
{
    uint64_t devices = vm_device_bytes(config);

    return devices ? round_up(ram, LARGE_BYTES) + devices : ram;
}

/* The Frame of guest RAM and device memory, each from a 2 MiB boundary on. */
uint64_t vm_ram_frame_bytes(const struct manifest_vm *config)
{
    return with_devices(config, vm_own_ram_bytes(config));
}

uint64_t vm_ram_window_bytes(const struct manifest_vm *config)
{
    return with_devices(config, config->memory_mib * MIB);
}

/* Pages of the VM's own untyped. */
uint64_t vm_own_pages(const struct manifest_vm *config)
{
    return vm_ram_frame_bytes(config) / PAGE + program_pages() + vm_shared_pages(config);
}

/* Where the VM may be saved to: a Frame apart, which outlives it. */
uint64_t vm_store_bytes(const struct manifest_vm *config)
{
    return round_up(config->save_mib * MIB, LARGE_BYTES);
}

uint64_t vm_memory_bytes(const struct manifest_vm *config)
{
    uint64_t store = vm_store_bytes(config);

    return vm_own_pages(config) * PAGE + LARGE_BYTES + (store ? store + LARGE_BYTES : 0);
}

struct images vm_find_images(const struct manifest_vm *c)
{
    struct images m;

    /* A large page between RAM and images that nothing reaches. */
    images_place(&m, c, BH_MONITOR_RAM + vm_ram_window_bytes(c) + LARGE_BYTES);
    return m;
}

static uint64_t gibs(uint64_t bytes) { return round_up(bytes, GIB) / GIB; }

/* Behind the images, with a large page between. */
uint64_t vm_store_va(const struct images *m)
{
    return round_up(m->end_va, LARGE_BYTES) + LARGE_BYTES;
}

uint64_t vm_wires_va(const struct images *m, const struct manifest_vm *c)
{
    uint64_t end_va = c->save_mib ? vm_store_va(m) + vm_store_bytes(c) : m->end_va;

    return round_up(end_va, LARGE_BYTES) + LARGE_BYTES;
}

uint64_t vm_hostspace_pages(const struct images *m, const struct manifest_vm *c)
{
    uint64_t wires = wires_window_bytes(c), tables = round_up(wires, LARGE_BYTES) / LARGE_BYTES;
    uint64_t end_va = vm_wires_va(m, c) + wires;
    uint64_t end_of_ram = vm_ram_window_bytes(c) % LARGE_BYTES ? 1u : 0;

    /* Program and shared pages have one table; RAM takes large entries; all lies one behind the
     * other from the first GiB on, whose table is among the kernel's own. */
    return BH_HOSTSPACE_MIN_PAGES + 1u + gibs(end_va) - 1u + end_of_ram + m->tables + tables;
}

uint64_t vm_guestspace_pages(const struct manifest_vm *c)
{
    /* Third level, and second level for each GiB, of which the hole below 4 GiB cuts one in two.
     * Small entries around the hole below 1 MiB and at the end, or everywhere. */
    uint64_t ram = c->memory_mib * MIB;
    uint64_t small = (info()->prot_on & BH_PROT_EXEC_4K) != 0 ? (c->memory_mib + 1u) / 2u
                     : c->memory_mib > 2u                     ? 1u + c->memory_mib % 2u
                                                              : 1u;

    uint64_t devices = vm_device_bytes(c) ? DEVICE_TABLES : 0;

    if ((info()->prot_on & BH_PROT_EXEC_4K) != 0) devices += vm_device_bytes(c) / LARGE_BYTES;

    return BH_GUESTSPACE_MIN_PAGES + 1u + gibs(ram) + (ram > 2u * GIB) + small + devices;
}

uint64_t vm_kernel_pages(const struct manifest_vm *c)
{
    const struct images m = vm_find_images(c);
    uint64_t vcpu_pages = BH_VCPU_BYTES / PAGE;
    /* A vCPU is aligned to its size in the pool, which ends on a 2 MiB boundary: so much is lost
     * before it. Small objects share pages. */
    uint64_t skipped = bh_untyped_left(BH_SLOT_KUNTYPED).value / PAGE % vcpu_pages;
    uint64_t small = BH_MONITOR_SLOTS * BH_CNODE_SLOT_BYTES +
                     c->cpus * (BH_THREAD_BYTES + BH_SC_BYTES + BH_NTFN_BYTES);

    return skipped + c->cpus * vcpu_pages + vm_hostspace_pages(&m, c) + vm_guestspace_pages(c) +
           round_up(small, PAGE) / PAGE;
}

uint64_t vm_slots(const struct manifest_vm *c) { return VS_VCPUS + c->cpus * VC_COUNT; }

/* Page tables among the pages of both spaces: all but two headers and the save areas. */
uint64_t vm_table_pages(uint64_t host_pages, uint64_t guest_pages)
{
    return host_pages - 2u + guest_pages - 1u;
}
