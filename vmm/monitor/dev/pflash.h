/*
 * Parallel NOR flash, 8 bits wide, with Intel's command set (Intel StrataFlash J3 data sheet;
 * JEDEC JESD68 for the CFI query): where UEFI firmware keeps its variables. While the array is what
 * is read, the guest sees the memory itself; any command takes the mapping away until the array is
 * selected again.
 */
#ifndef VMM_MONITOR_DEV_PFLASH_H
#define VMM_MONITOR_DEV_PFLASH_H

#include "bus.h"
#include "state.h"

#define PFLASH_BLOCK_BYTES  4096u /* what an erase clears */
#define PFLASH_BUFFER_BYTES 32u   /* of one buffered write */

struct pflash {
    const struct dev_host *host;
    const struct dev_ram *ram; /* the array is [ram_offset, + size_bytes) of it */
    uint64_t ram_offset, base, size_bytes;
    bool mapped;

    uint8_t mode; /* enum pflash_mode */
    uint8_t status;
    uint8_t buffer_count, buffer_done; /* bytes of a buffered write: announced; written */
    uint32_t buffer_at;                /* offset of its first byte */
    uint8_t buffer[PFLASH_BUFFER_BYTES];
};

extern const struct dev_state pflash_state;

/** Register [base, + size_bytes), a multiple of PFLASH_BLOCK_BYTES, and show the array there. */
bool pflash_init(struct pflash *f, struct bus *bus, const struct dev_host *host,
                 const struct dev_ram *ram, uint64_t ram_offset, uint64_t base,
                 uint64_t size_bytes);

#endif
