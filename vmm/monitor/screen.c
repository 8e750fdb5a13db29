/*
 * The VM's screen, if the manifest gives it one: memory for it, and what is shown, for root.
 * May call: the VGA model, rle.h.
 */
#include "monitor.h"
#include "bulkhead/screen.h"
#include "rle.h"
#include "vga.h"

#define SCREEN_DEVFN PCI_DEVFN(1, 0)

static struct vga vga;
static struct dev_ram ram;
static bool present;

_Static_assert(VGA_MEMORY_BYTES(VGA_FRAME_BYTES) == BH_MONITOR_VGA_BYTES, "root gives so much");

bool screen_memory(void)
{
    return !(start_block()->flags & BH_MONITOR_FLAG_VGA) || memory_take(&ram, BH_MONITOR_VGA_BYTES);
}

bool screen_init(struct bus *bus, const struct dev_host *host, struct pci *pci)
{
    if (!(start_block()->flags & BH_MONITOR_FLAG_VGA)) return true;
    present = vga_init(&vga, bus, host, pci, SCREEN_DEVFN, &ram);
    return present;
}

bool screen_saved(const struct dev_state **state, void **dev)
{
    *state = &vga_state;
    *dev = &vga;
    return present;
}

bool screen_describe(struct bh_screen *s)
{
    if (!present) return false;
    device_lock();
    vga_screen(&vga, s);
    device_unlock();
    return true;
}

size_t screen_pack(uint32_t address, uint32_t bytes, unsigned unit, uint8_t *out, size_t room,
                   size_t *taken)
{
    const uint8_t *memory = present ? vga_screen_memory(&vga, address, bytes) : NULL;

    return memory ? rle_pack(out, room, memory, bytes, unit, taken) : 0;
}
