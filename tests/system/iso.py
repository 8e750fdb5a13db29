"""The iso on a machine: by BIOS and by UEFI (OVMF), from a CD and from a USB stick.

Bochs, which has BIOS only, boots all its tests from such an iso.
"""
import os
import re

import emu
import run
from case import case, check, to_the_end
from micro import PASS

LINUX = {"guest": "build/guests/linux/vmlinuz-cloud", "initrd": "build/guests/linux/initrd.cpio",
         "append": "console=ttyS0 quiet bh.test=exitcode=21", "mem": 192}
HELLO = {"guest": "build/tests/guests/hello.elf", "mem": 64}
# GRUB's names for the kinds of UEFI memory that are free after ExitBootServices (UEFI 2.10, 7.2).
FREE = {"ldr-code", "ldr-data", "BS-code", "BS-data", "conv-mem"}


def boot(t, vm, uefi, host_mem=None, **settings):
    """Make an iso with one VM, boot it, and wait for the end."""
    directory = t.new_dir()
    system = run.one_vm(directory, **vm)
    iso = os.path.join(directory, "boot.iso")
    t.command("tests/lib/mkiso.sh", iso, run.KERNEL, system.boot,
              env={"EFI_FIRST": "lsefimmap"} if uefi else None)
    result = to_the_end(emu.Emulator(emu.Settings(
        iso=iso, emu="qemu", uefi=uefi, cpus=2, mem=host_mem or system.mem, directory=directory,
        **settings)).start())
    check(f"started by {'UEFI' if uefi else 'BIOS'}" in result.log, "the firmware is not the one meant", result)
    check(" 2 CPU(s)" in result.log, "the other CPU has not started", result)
    return result


def firmware_memory(console):
    """[(start, end)] of what UEFI keeps, as GRUB's lsefimmap shows it; end is the first byte after."""
    lines = re.findall(r"^([\w-]+) +([0-9a-f]{16})-([0-9a-f]{16}) +[0-9a-f]+ +\d+\w+ (.*)$", console, re.M)
    check(len(lines) > 20, "GRUB shows no UEFI memory map")
    runtime = [line for line in lines if "RT" in line[3].split() and line[0] not in ("MMIO", "MMIO-port")]
    check(runtime, "this firmware has no runtime memory: the test shows nothing")
    return [(int(start, 16), int(end, 16) + 1) for kind, start, end, attributes in lines
            if kind not in FREE or "RT" in attributes.split()]


def kept_apart(result):
    """Neither frames nor pool lie in memory that the firmware keeps."""
    ours = [(int(start, 16), int(end, 16)) for start, end in
            re.findall(r"(?:frames|pool) ([0-9a-f]+) to ([0-9a-f]+)", result.log)]
    check(len(ours) > 2, "the log does not say which memory is in use", result)
    for start, end in ours:
        for kept, kept_end in firmware_memory(result.console):
            check(end <= kept or kept_end <= start,
                  f"{start:x}-{end:x} is in use, {kept:x}-{kept_end:x} is the firmware's", result)


@case(("qemu",), cost=20, limit=300)
def uefi(t):
    """UEFI starts the iso, its memory stays its own, and a VM runs to its end."""
    result = boot(t, HELLO, uefi=True, timeout=250)
    check(result.status == PASS, "the guest's verdict", result)
    kept_apart(result)


@case(("qemu",), cost=40, limit=500)
def uefi_linux(t):
    """Linux boots in a VM on a machine that was started by UEFI, and its own exit status comes out."""
    result = boot(t, LINUX, uefi=True, timeout=450)
    check(result.status == 43, "(21 << 1) | 1", result)


@case(("qemu",), cost=25, limit=400)
def uefi_large(t):
    """More than 4 GiB: memory above is used, and what was loaded is still found."""
    result = boot(t, HELLO, uefi=True, timeout=350, host_mem=6144)
    check(result.status == PASS, "the guest's verdict", result)
    kept_apart(result)
    check(re.search(r"frames 100000000 to ", result.log), "no memory above 4 GiB", result)


@case(("qemu",), cost=20, limit=300)
def uefi_stick(t):
    """The same iso on a USB stick."""
    result = boot(t, HELLO, uefi=True, stick=True, timeout=250)
    check(result.status == PASS, "the guest's verdict", result)


@case(("qemu",), cost=8, limit=200)
def bios(t):
    result = boot(t, HELLO, uefi=False, timeout=150)
    check(result.status == PASS, "the guest's verdict", result)


@case(("qemu",), cost=8, limit=200)
def bios_stick(t):
    result = boot(t, HELLO, uefi=False, stick=True, timeout=150)
    check(result.status == PASS, "the guest's verdict", result)
