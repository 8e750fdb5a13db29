/*
 * What root and a monitor agree on: fixed addresses and capability slots of a monitor, the start
 * block that root fills (read-only for the monitor), and the report with which a monitor ends its
 * VM. The kernel knows nothing of this file.
 */
#ifndef BULKHEAD_MONITOR_H
#define BULKHEAD_MONITOR_H

#include <stdint.h>
#include "bulkhead/net_count.h"

#define BH_MONITOR_MAGIC     0x314e4f4d484221ull /* "!BHMON1" */
#define BH_MONITOR_VERSION   5u
#define BH_MONITOR_MAX_VCPUS 8u
#define BH_MONITOR_EXITS     32u /* reasons that are counted: enum bh_exit, and the kernel's own */

/** User addresses in a monitor's HostSpace. Program and shared pages lie in the same 2 MiB, RAM
 *  follows, and the guest's kernel and initrd, read-only, behind RAM: so few page tables. */
#define BH_MONITOR_BASE          0x400000ul /* the monitor's ELF image is linked here */
#define BH_MONITOR_PROGRAM_BYTES 0x1c0000ul /* it ends here at the latest */
#define BH_MONITOR_START         0x5c0000ul /* struct bh_monitor_start, read-only */
#define BH_MONITOR_REPORT        0x5c8000ul /* struct bh_monitor_report, read-write */
#define BH_MONITOR_CONTROL       0x5cc000ul /* struct bh_control, read-write */
#define BH_MONITOR_CONSOLE       0x5d0000ul /* struct bh_console, read-write */
#define BH_MONITOR_CHANNEL       0x5d4000ul /* the same for the guest's control channel, if any */
#define BH_MONITOR_PIECES        0x5d8000ul /* struct bh_pieces, read-write, if it is elastic */
#define BH_MONITOR_VCPU          0x5e0000ul /* struct bh_vcpu_page of vCPU n at + n * 4096 */
#define BH_MONITOR_RAM           0x800000ul /* guest RAM, linear, read-write */

/** Slots of a monitor's CNode. It holds nothing else. */
enum bh_monitor_slot {
    BH_MONITOR_SLOT_ROOT = 2,  /* root's notification, badged with the VM's bit: WRITE */
    BH_MONITOR_SLOT_RAM = 3,   /* Attachment of the guest's RAM to its GuestSpace */
    BH_MONITOR_SLOT_WIRE = 4,  /* the peer's notification for wire n at + n: WRITE; or nothing */
    BH_MONITOR_SLOT_VCPU = 8,  /* VCpu n at + n: bound to thread n, GuestSpace and notification */
    BH_MONITOR_SLOT_NTFN = 16, /* Notification of vCPU n's thread at + n: READ */
    BH_MONITOR_SLOT_KICK = 24, /* the same, badged with BH_MONITOR_SIGNAL_KICK: WRITE */
    BH_MONITOR_SLOTS = 32
};

/** Bits that arrive at BH_MONITOR_SLOT_NTFN; root and wires signal vCPU 0's thread only. */
#define BH_MONITOR_SIGNAL_CONSOLE 1u  /* input has come, or room for output */
#define BH_MONITOR_SIGNAL_STOP    2u  /* root asks for a clean end (ACPI power button) */
#define BH_MONITOR_SIGNAL_KICK    4u  /* another thread of this monitor has something to say */
#define BH_MONITOR_SIGNAL_CONTROL 16u /* root asks something, see bulkhead/control.h */

#define BH_MONITOR_SIGNAL_LINK    32u           /* bh_monitor_wire.peer has changed */
#define BH_MONITOR_SIGNAL_PIECES  64u           /* see bulkhead/pieces.h */
#define BH_MONITOR_SIGNAL_WIRE(n) (256u << (n)) /* the peer at wire n has something to say */

#define BH_MONITOR_FLAG_DEBUG_EXIT   1u  /* port 0xf4 ends the VM with a status */
#define BH_MONITOR_FLAG_VGA          2u  /* screen, keyboard and mouse */
#define BH_MONITOR_FLAG_FIRMWARE_LOG 4u  /* port 0x402 is on the console */
#define BH_MONITOR_FLAG_LOOPBACK     8u  /* a network with a reflector on it */
#define BH_MONITOR_FLAG_WATCHDOG     16u /* a watchdog timer */
#define BH_MONITOR_FLAG_CHANNEL      32u /* a control channel: COM2 */
#define BH_MONITOR_FLAG_ELASTIC      64u /* RAM in pieces: bulkhead/pieces.h */
/** Device memory of the screen: frame buffer, planes, linear view. */
#define BH_MONITOR_VGA_BYTES 0x1050000u

enum bh_monitor_protocol {
    BH_MONITOR_DETECT = 0,
    BH_MONITOR_LINUX = 1,
    BH_MONITOR_PVH = 2,
    BH_MONITOR_MULTIBOOT = 3,
    BH_MONITOR_MULTIBOOT2 = 4
};

/** Virtual CPU models. */
enum bh_monitor_cpu { BH_MONITOR_CPU_HOST = 0, BH_MONITOR_CPU_V2 = 1, BH_MONITOR_CPU_V3 = 2 };

#define BH_MONITOR_CMDLINE_BYTES 2048u

/** A disk in memory: the image, read-only, under what is written, in device memory. */
#define BH_MONITOR_DISKS  4u
#define BH_DISK_READ_ONLY 1u
#define BH_DISK_CDROM     2u /* read-only, sectors of 2048 bytes */
#define BH_DISK_AHCI      4u /* on the SATA controller; else virtio */

struct bh_monitor_disk {
    char name[24]; /* NUL-terminated */
    uint64_t bytes;
    uint64_t image_va, image_bytes; /* 0: none */
    uint64_t memory_bytes;          /* of its own, bh_disk_memory_bytes(); 0: none */
    uint32_t flags;                 /* BH_DISK_* */
    uint32_t reserved0;
};

/** Memory of a disk: an index of four bytes a block of 4 KiB, then @overlay_bytes of blocks. */
static inline uint64_t bh_disk_memory_bytes(uint64_t disk_bytes, uint64_t overlay_bytes)
{
    return (((disk_bytes + 4095u) / 4096u * 4u + 4095u) / 4096u + overlay_bytes / 4096u) * 4096u;
}

/** Ends of wires that a VM has at most. */
#define BH_MONITOR_WIRES 4u

/** An end of a wire; see bulkhead/wire_ring.h. */
struct bh_monitor_wire {
    uint64_t own_va;  /* its box, read-write */
    uint64_t peer_va; /* the peer's, read-only */
    uint32_t self;    /* its number, not 0; another one with each start of this VM */
    uint32_t peer;    /* the peer's; 0: it does not run. Root changes it */
    uint8_t mac[6];
    uint16_t reserved;
};

struct bh_monitor_start {
    uint64_t magic;
    uint32_t version;
    uint32_t vm; /* number, for messages */
    char name[32];
    uint32_t nvcpus;
    uint32_t backend; /* enum bh_backend */
    uint32_t tsc_khz;
    uint32_t flags;
    uint32_t protocol;  /* enum bh_monitor_protocol */
    uint32_t cpu_model; /* enum bh_monitor_cpu */
    uint64_t ram_bytes; /* a multiple of 2 MiB, at BH_MONITOR_RAM */
    /** Behind RAM, from the next multiple of 2 MiB on, in the same Frame: memory of devices (frame
     *  buffer, firmware, disk overlays). A multiple of 2 MiB; 0: none. Of an elastic VM's RAM only
     *  the first 2 MiB are in that Frame, and the devices' memory is right behind them there. */
    uint64_t device_ram_bytes;
    uint64_t kernel_va, kernel_bytes;
    uint64_t initrd_va, initrd_bytes; /* 0: none */
    /** Firmware instead of a kernel: code, which ends at 4 GiB, and flash below it. Device memory
     * has room for both, first of all. */
    uint64_t firmware_va, firmware_bytes;     /* 0: none */
    uint64_t screen_rom_va, screen_rom_bytes; /* the screen's BIOS, for SeaBIOS; 0: none */
    uint64_t variables_va, variables_bytes;   /* 0: none */
    uint64_t wall_clock_s; /* seconds since 1970 at wall_clock_tsc; 0: not known */
    uint64_t wall_clock_tsc;
    uint64_t seed[4]; /* for what the guest is given as entropy */
    uint32_t ndisks;
    uint32_t balloon_pages; /* of 4 KiB, that the guest is asked to give back */
    struct bh_monitor_disk disks[BH_MONITOR_DISKS];
    uint32_t nwires;
    uint32_t reserved1;
    struct bh_monitor_wire wires[BH_MONITOR_WIRES];
    uint64_t store_va, store_bytes;     /* where the VM may be saved to; 0: nowhere */
    uint64_t restore_va, restore_bytes; /* the saved VM that this one goes on from; 0: none */
    char cmdline[BH_MONITOR_CMDLINE_BYTES];
};

enum bh_monitor_end {
    BH_END_NONE = 0,
    BH_END_POWEROFF = 1,
    BH_END_RESET = 2,
    BH_END_TRIPLE_FAULT = 3,
    BH_END_DEBUG_EXIT = 4, /* status = value written */
    BH_END_STOPPED = 5,    /* by the monitor: unknown exit and the like */
    BH_END_IMAGE = 6,      /* the images cannot be booted: text says why */
    BH_END_COUNT
};

/** Written by the monitor, then SLOT_ROOT is signalled; root reads it once. `kind` is written last.
 */
struct bh_monitor_report {
    uint32_t kind; /* enum bh_monitor_end */
    uint32_t status;
    uint32_t vcpu;
    uint32_t exit_reason; /* enum bh_exit */
    uint64_t qual, info, rip;
    uint32_t insn_len;
    uint32_t reserved0;
    uint8_t insn[16];
    uint64_t exits; /* guest exits handled so far */
    uint64_t holes; /* accesses to absent MSRs, ports, memory, CPUID leaves */
    uint64_t exits_by_reason[BH_MONITOR_EXITS];  /* index: enum bh_exit */
    struct bh_net_count wires[BH_MONITOR_WIRES]; /* at any time, not at the end only */
    char text[160]; /* NUL-terminated; root prints printable ASCII of it only */
};

_Static_assert(sizeof(struct bh_monitor_start) <= 4096, "ABI: one page");
_Static_assert(sizeof(struct bh_monitor_report) <= 4096, "ABI: one page");

#endif
