"""Debian's generic kernel with its own AHCI driver, unmodified, on our SATA controller.

What works is checked inside the guest (guests/linux/init, bh.test=sata).
"""
import hashlib
import os

from case import build, case, check, run_guest

KERNEL = "build/guests/linux/vmlinuz-generic"
INITRD = "build/guests/linux/initrd-sata.cpio"
DISK_BYTES = 5000192  # whole sectors, no whole blocks


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def images(t):
    """A disk of bytes that repeat nowhere and a CD with one file; their paths."""
    disk, cdrom, text = (os.path.join(t.dir, name) for name in ("disk.img", "cd.iso", "readme.txt"))
    with open(disk, "wb") as f:
        f.write(hashlib.shake_256(b"a disk").digest(DISK_BYTES))
    with open(text, "wb") as f:
        f.write(hashlib.shake_256(b"a CD").digest(700001))
    t.command("xorriso", "-as", "mkisofs", "-quiet", "-o", cdrom, text)
    return disk, cdrom


def drives(t, timeout):
    build(t, "guests-linux-generic")
    disk, cdrom = images(t)
    before = digest(disk), digest(cdrom)
    result = run_guest(t, KERNEL, initrd=INITRD, mem=256, disk=disk, diskbus="ahci", cdrom=cdrom,
                       timeout=timeout, icount=True,
                       append=f"console=ttyS0 quiet bh.test=sata bh.digest={before[0]} bh.cdrom={before[1]}")
    check("BH-DONE sata pass" in result.console, "the guest is not content", result)
    check(result.status == 0, "a power-off ends with 0", result)
    check((digest(disk), digest(cdrom)) == before, "the images are as they were", result)
    print(result.console)


case(("qemu",), cost=40, limit=500, timeout=450)(drives)
case(("bochs",), cost=200, limit=1200, full=True, timeout=1150)(drives)
