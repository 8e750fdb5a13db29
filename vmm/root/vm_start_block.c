/* What a VM's monitor is told; see vm_parts.h. Every word of it comes from the manifest. */
#include "caps.h"
#include "clock.h"
#include "fmt.h"
#include "seeds.h"
#include "vm_parts.h"
#include "wires.h"

static void fill_disks(struct bh_monitor_start *st, const struct manifest_vm *c,
                       const struct images *m)
{
    st->ndisks = c->disk_count;
    for (unsigned i = 0; i < c->disk_count; i++) {
        const struct manifest_disk *d = &c->disks[i];
        const struct image *image = &m->image[IMAGE_DISK + i];

        st->disks[i] = (struct bh_monitor_disk){
            .bytes = d->bytes,
            .image_va = image->va,
            .image_bytes = image_bytes(image),
            .memory_bytes = vm_disk_bytes(d),
            .flags = (d->read_only ? BH_DISK_READ_ONLY : 0) | (d->cdrom ? BH_DISK_CDROM : 0) |
                     (d->bus == MANIFEST_BUS_AHCI ? BH_DISK_AHCI : 0),
        };
        (void)fmt_buf(st->disks[i].name, sizeof(st->disks[i].name), "%s", d->name);
    }
}

void vm_fill_start(struct vm *vm, const struct images *m)
{
    const struct manifest_vm *c = vm->config;
    struct bh_monitor_start *st = vm->start;

    st->magic = BH_MONITOR_MAGIC;
    st->version = BH_MONITOR_VERSION;
    st->vm = vm->number;
    (void)fmt_buf(st->name, sizeof(st->name), "%s", c->name);
    st->nvcpus = c->cpus;
    st->backend = info()->backend;
    st->tsc_khz = info()->tsc_khz;
    st->flags = (c->debug_exit ? BH_MONITOR_FLAG_DEBUG_EXIT : 0) |
                (c->display == MANIFEST_DISPLAY_VGA ? BH_MONITOR_FLAG_VGA : 0) |
                (c->firmware_log ? BH_MONITOR_FLAG_FIRMWARE_LOG : 0) |
                (c->watchdog ? BH_MONITOR_FLAG_WATCHDOG : 0) |
                (vm_has_channel(c) ? BH_MONITOR_FLAG_CHANNEL : 0) |
                (vm_elastic(c) ? BH_MONITOR_FLAG_ELASTIC : 0) |
                (c->network == MANIFEST_NETWORK_LOOPBACK ? BH_MONITOR_FLAG_LOOPBACK : 0);
    st->balloon_pages = c->balloon_mib * (uint32_t)(MIB / PAGE);
    st->protocol = c->protocol;
    st->cpu_model = c->cpu_model;
    st->ram_bytes = c->memory_mib * MIB;
    st->device_ram_bytes = vm_device_bytes(c);
    st->kernel_va = m->image[IMAGE_KERNEL].va;
    st->kernel_bytes = image_bytes(&m->image[IMAGE_KERNEL]);
    st->initrd_va = m->image[IMAGE_INITRD].va;
    st->initrd_bytes = image_bytes(&m->image[IMAGE_INITRD]);
    st->screen_rom_va = m->image[IMAGE_SCREEN_ROM].va;
    st->screen_rom_bytes = image_bytes(&m->image[IMAGE_SCREEN_ROM]);
    st->firmware_va = m->image[IMAGE_FIRMWARE].va;
    st->firmware_bytes = image_bytes(&m->image[IMAGE_FIRMWARE]);
    st->variables_va = m->image[IMAGE_VARIABLES].va;
    st->variables_bytes = image_bytes(&m->image[IMAGE_VARIABLES]);
    fill_disks(st, c, m);
    wires_fill_start(vm, vm_wires_va(m, c));
    if (c->save_mib) {
        st->store_va = vm_store_va(m);
        st->store_bytes = c->save_mib * MIB;
    }
    if (vm->restore) {
        st->restore_va = st->store_va;
        st->restore_bytes = vm->saved_bytes;
    }
    st->wall_clock_s = wall_clock_s(&st->wall_clock_tsc);
    seed_vm(st->seed);
    (void)fmt_buf(st->cmdline, sizeof(st->cmdline), "%s", c->append ? c->append : "");
}
