/* What io.c, mmio.c and mmio_rare.c share: accesses to devices by instructions, and their operands.
 */
#ifndef VMM_MONITOR_MMIO_H
#define VMM_MONITOR_MMIO_H

#include "decode.h"
#include "monitor.h"

#define STRING_TSC (1u << 21) /* a millisecond or so */

/** Is a string instruction to be interrupted, whatever is left of it? Some ports and registers do a
 *  lot for one element. @param done elements since @begun, a TSC; there is always one */
static inline bool string_expired(unsigned done, uint64_t begun)
{
    return done && rt_tsc() - begun > STRING_TSC;
}

/** Read a device byte by byte: an access that crosses a page would need a second translation. */
uint64_t device_read_bytes(uint64_t gpa, unsigned size_bytes);
/** Read a device at a guest-physical address, across a page's end if need be. */
static inline uint64_t device_read(uint64_t gpa, unsigned size_bytes)
{
    return (gpa & 4095u) + size_bytes <= 4096u ? mmio_read(gpa, size_bytes)
                                               : device_read_bytes(gpa, size_bytes);
}

/** One element of a string instruction, RAM or device. @return false: #PF has been injected, or the
 *  page tables have changed */
bool string_access(uint64_t linear, unsigned size, bool write, uint64_t *value);

/* io.c */
/** #PF of an access that the monitor makes for the guest. */
void page_fault(uint64_t linear, unsigned code);
/** May the instruction access all of this operand, by walk_allowed()? If not, #PF is injected. */
bool operand_ok(uint64_t linear, unsigned size_bytes, bool write);

/**
 * An instruction that the decoder knows the length of only: PUSH r/m, CMOVcc, CLFLUSH and its kind;
 * insn_retry() when it is none.
 * @param gpa what it reads
 * @return whether it is complete; else it is to be executed again, or an exception is to be injected
 */
bool mmio_rare(const uint8_t bytes[16], unsigned length, enum decode_mode mode, uint64_t gpa);

#endif
