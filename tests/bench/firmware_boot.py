#!/usr/bin/python3
"""firmware.seabios_to_grub, firmware.ovmf_to_shell: instructions from reset to what firmware starts.

The emulator plugin counts executed instructions, host's and guest's together (a halted CPU executes
none), from the guest's first one. SeaBIOS: until GRUB, from a CD, has loaded a micro guest and that
begins. OVMF: until it starts the program that stands where a shell would, EFI/BOOT/BOOTX64.EFI on a FAT
disk (its own shell counts down five seconds, awake, before it does anything). The same images serve
the peers. Writes below build/bench only.
"""
import json
import os
import struct
import subprocess

import linux_boot
import trace
import emu
import run

MEM_MIB = 256
RESET = 0xfffffff0
OUT = trace.OUT + "/firmware"
GUEST = "build/tests/guests/hello.elf"
CD, DISK = OUT + "/grub.iso", OUT + "/shell.img"
FILES = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")
GRUB_CFG = "set timeout=0\nmenuentry guest { multiboot /boot/hello.elf; boot; }\n"
MARK = OUT + "/mark.efi"


def media():
    """Make the images; nothing in them changes from run to run."""
    os.makedirs(OUT, exist_ok=True)
    with open(OUT + "/grub.cfg", "w", encoding="ascii") as f:
        f.write(GRUB_CFG)
    subprocess.run(["tests/lib/mkgrub.sh", CD, OUT + "/grub.cfg", GUEST], check=True)
    with open(OUT + "/mark.cfg", "w", encoding="ascii") as f:
        f.write("halt\n")
    subprocess.run(["grub-mkimage", "-O", "x86_64-efi", "-p", "/", "-c", OUT + "/mark.cfg", "-o", MARK, "halt"],
                   check=True)
    with open(DISK, "wb") as f:
        f.truncate(16 << 20)
    subprocess.run(["mformat", "-i", DISK, "-N", "42554c4b", "::"], check=True)
    subprocess.run(["mmd", "-i", DISK, "::EFI", "::EFI/BOOT"], check=True)
    subprocess.run(["mcopy", "-i", DISK, MARK, "::EFI/BOOT/BOOTX64.EFI"], check=True)


def entry_of_guest():
    """Bytes at the multiboot entry (guests/rt/boot.S): a move and a jump."""
    data = run.read(GUEST)
    at = data.index(struct.pack("<II", 0x1badb002, 0x10003))
    header, load, _, _, entry = struct.unpack_from("<5I", data, at + 12)
    code = data[at - (header - load) + entry - load:][:7]
    if code[0] != 0xbf or code[5] != 0xeb:
        raise SystemExit("bench: the micro guest's entry is not as expected")
    return code.hex()


def entry_of_mark():
    """Bytes at the entry of the EFI program (PE: AddressOfEntryPoint; sections by their addresses)."""
    data = run.read(MARK)
    pe = struct.unpack_from("<I", data, 0x3c)[0]
    sections, optional = struct.unpack_from("<H12xH", data, pe + 6)
    entry = struct.unpack_from("<I", data, pe + 24 + 16)[0]
    for i in range(sections):
        size, address, raw_size, raw = struct.unpack_from("<4I", data, pe + 24 + optional + 40 * i + 8)
        if address <= entry < address + max(size, raw_size):
            return data[raw + entry - address:][:14].hex()
    raise SystemExit("bench: the EFI program has no entry point")


CASES = {
    "firmware.seabios_to_grub": ("seabios", {"cdrom": CD}, entry_of_guest),
    "firmware.ovmf_to_shell": ("ovmf", {"disk": DISK}, entry_of_mark),
}


def plugin(out, end):
    return f"file={trace.OUT}/trace.so,out={out},start={RESET:x},end={end},nested=1"


def under_bulkhead(row):
    """(total, guest, exits) of a row."""
    firmware, medium, end = CASES[row]
    directory = f"{OUT}/{firmware}"
    os.makedirs(directory, exist_ok=True)
    out = directory + "/count"
    if os.path.exists(out):
        os.unlink(out)
    system = run.one_vm(directory, firmware=firmware, mem=MEM_MIB, **medium)
    machine = emu.Emulator(emu.Settings(
        kernel=run.KERNEL, boot=system.boot, emu="qemu", icount=True, mem=system.mem, directory=directory,
        timeout=3000, qemu_args=trace.RTC + ["-plugin", plugin(out, end())]))
    with machine:
        machine.wait()  # the micro guest and the EFI program end the VM
    return linux_boot.count_of(out)


if __name__ == "__main__":
    trace.claim()
    media()
    print(json.dumps({row: under_bulkhead(row) for row in CASES}, indent=1))
