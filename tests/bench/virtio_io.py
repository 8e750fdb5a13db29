#!/usr/bin/python3
"""virtio_blk.read4k, virtio_net.pingpong: what guest_virtio.c measures, and the disk that it reads.

The same guest and disk image serve the peers. Writes below build/bench only.
"""
import os
import struct

import trace
import emu
import run

OUT = trace.OUT + "/virtio"
GUEST = "build/tests/guests/guest_virtio.elf"
DISK = OUT + "/virtio.img"
DISK_MIB, SECTOR = 8, 512
MASK = (1 << 64) - 1


def mix64(x):
    """As in guests/rt/guest.h."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def media():
    """Make the disk; nothing in it changes from run to run."""
    os.makedirs(OUT, exist_ok=True)
    with open(DISK, "wb") as f:
        for sector in range(DISK_MIB * 1024 * 1024 // SECTOR):
            f.write(struct.pack("<Q", mix64(sector)) * (SECTOR // 8))


def under_bulkhead(count):
    """What the guest prints."""
    media()
    system = run.one_vm(OUT, GUEST, append=f"n={count}", mem=64, disk=DISK, net="loopback")
    machine = emu.Emulator(emu.Settings(kernel=run.KERNEL, boot=system.boot, emu="qemu", icount=True,
                                        mem=system.mem, directory=OUT, timeout=180, qemu_args=trace.RTC))
    with machine:
        machine.wait()
    return machine.console.decode("utf-8", "replace")


if __name__ == "__main__":
    trace.claim()
    print(under_bulkhead(1000))
