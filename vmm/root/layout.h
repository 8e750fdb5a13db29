/* Root's own address space beyond its image: one constant per use. */
#ifndef VMM_ROOT_LAYOUT_H
#define VMM_ROOT_LAYOUT_H

#define ROOT_WINDOW   0x1000000ul /* sliding window of the boot module */
#define ROOT_LOAD     0x1200000ul /* a monitor's memory while it is loaded */
#define ROOT_MANIFEST 0x1400000ul /* manifest.dtb, at most 1 MiB */
#define ROOT_STORE    0x1500000ul /* a piece of a VM's store while it is copied */
#define ROOT_MONITOR  0x1600000ul /* the monitor's ELF file, at most 2 MiB */
#define ROOT_SHARED   0x1800000ul /* pages shared with monitor n at + n * ROOT_SHARED_BYTES */

#define ROOT_SHARED_BYTES  0x10000ul
#define ROOT_LOAD_BYTES    0x200000ul
#define ROOT_MONITOR_BYTES 0x200000ul

#endif
