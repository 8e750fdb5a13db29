"""Debian's kernel with its own virtio drivers, unmodified, on our devices.

What works is checked inside the guest (guests/linux/init, bh.test=virtio or resets).
"""
import hashlib
import os

from case import case, check, run_vms

BALLOON_MIB = 16
DISK_BYTES = 5000192  # whole sectors, no whole blocks


def disk(t):
    """An image of bytes that repeat nowhere; its path and digest."""
    data = hashlib.shake_256(b"a disk").digest(DISK_BYTES)
    path = os.path.join(t.dir, "disk.img")
    with open(path, "wb") as f:
        f.write(data)
    return path, hashlib.sha256(data).hexdigest()


def devices(t, timeout, extra="", test="virtio"):
    path, digest = disk(t)
    append = f"console=ttyS0 quiet bh.test={test} bh.digest={digest} bh.balloon={BALLOON_MIB * 256} {extra}"
    guest = {"memory-mib": 192, "kernel": "vmlinuz-cloud", "initrd": "initrd-virtio.cpio", "append": append,
             "network": "loopback", "balloon-mib": BALLOON_MIB, "disks": {"disk": {"image": "disk.img"}}}
    result = run_vms(t, {"guest": guest}, timeout=timeout, icount=True, images={"disk.img": path})
    check(f"BH-DONE {test} pass" in result.console, "the guest is not content", result)
    check("BH-HVC hello" in result.console, "the second console", result)
    check(result.status == 0, "a power-off ends with 0", result)
    with open(path, "rb") as f:
        check(hashlib.sha256(f.read()).hexdigest() == digest, "the image is as it was", result)
    print(result.console)


case(("qemu",), cost=30, limit=400, timeout=350)(devices)
# Interrupt pins instead of messages, through the I/O APIC and through the 8259s.
case(("qemu",), cost=30, limit=400, name="pins", timeout=350, extra="pci=nomsi")(devices)
case(("qemu",), cost=30, limit=400, full=True, name="pins_8259", timeout=350,
     extra="pci=nomsi noapic")(devices)
# Resets of each device at whatever moment, while disk and network are in use.
case(("qemu",), cost=120, limit=900, full=True, name="resets", timeout=850, test="resets", extra="bh.rounds=20")(devices)
case(("bochs",), cost=150, limit=900, full=True, timeout=850)(devices)
