/*
 * The monitor's program: an ELF file of the archive, checked once, loaded into each VM's monitor.
 * May call: archive, capabilities, log.
 */
#ifndef VMM_ROOT_PROGRAM_H
#define VMM_ROOT_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

/** Map and check the file "monitor". Once, at start. */
bool program_open(void);
/** Pages of memory the program takes from BH_MONITOR_BASE on. */
uint64_t program_pages(void);
uint64_t program_entry(void);

/**
 * Copy the program into @frame and map its segments, each with its own rights, through
 * @attachment (of @frame to the monitor's address space).
 * @param window free slot for root's own attachment while it copies
 * @return BH_OK or the kernel's error
 */
uint64_t program_load(uint64_t frame, uint64_t attachment, uint64_t window);

#endif
