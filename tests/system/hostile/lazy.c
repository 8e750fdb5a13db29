/*
 * A monitor whose guest gets its memory at first touch, as one would that pages: with "lazy=1" on a
 * VM's command line, no guest RAM but the lowest 2 MiB is mapped as the VM starts, and nested
 * faults come in the midst of whatever touches the rest. With "lazy=2" it also forgets the event
 * whose delivery such a fault has interrupted, as a kernel would that does not hand it on. May
 * call: the attachment of the VM's memory to its GuestSpace. Never calls: the monitor, but what it
 * stands for.
 */
#include "monitor/monitor.h"
#include "string.h"

bool __wrap_memory_map_ram(void);
bool __real_memory_map_ram(void);
void __wrap_exit_memory(void);
void __real_exit_memory(void);

static const uint64_t large_bytes = 0x200000, all = BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC;

/* What stands on the command line, 0: nothing. */
static char lazy(void)
{
    for (const char *c = start_block()->cmdline; *c != 0; c++)
        if (strncmp(c, "lazy=", 5) == 0) return c[5];
    return 0;
}

static bool map(uint64_t gpa, uint64_t bytes)
{
    return bh_attach_map(BH_MONITOR_SLOT_RAM, gpa, gpa | all, bytes >> 12).err == BH_OK;
}

bool __wrap_memory_map_ram(void)
{
    if (!lazy()) return __real_memory_map_ram();
    return map(0, GUEST_VGA_HOLE) && map(GUEST_LEGACY_END, large_bytes - GUEST_LEGACY_END);
}

void __wrap_exit_memory(void)
{
    uint64_t at = page()->qual & ~(large_bytes - 1u);

    if (!lazy() || at == 0 || at >= start_block()->ram_bytes || !map(at, large_bytes)) {
        __real_exit_memory();
        return;
    }
    if (lazy() == '2') self()->flags &= ~(uint64_t)BH_RUN_INJECT;
}
