#!/usr/bin/python3
"""guest.linux_boot: instructions the host spends for one of a booting Linux, idle left out.

The emulator plugin counts executed instructions (a halted CPU executes none) from the 64-bit entry of
the compressed kernel to the first instruction of the initrd's /init, and of these what ran between
VMRUN and #VMEXIT. The same kernel, initrd and command line booted by the emulator alone is the check
on the guest's side. Writes below build/bench only.
"""
import json
import os
import re
import struct
import subprocess

import trace
import emu
import run

KERNEL = "build/guests/linux/vmlinuz-cloud"
INITRD = "build/guests/linux/initrd.cpio"
INIT_ELF = "build/third-party/debian/busybox/bin/busybox"
# nokaslr: the same work each time.
APPEND = "console=ttyS0 nokaslr bh.test=exitcode=0"
MEM_MIB = 256
REASONS = ("signalled timeout cpuid io rdmsr wrmsr hlt memory window shutdown hypercall cr xsetbv "
           "cache mwait undefined rdpmc nmi_window exception task_switch init invalid unknown "
           "dr").split()


# startup_64 of the compressed kernel, 0x200 into it (Linux boot protocol), where the monitor and the
# emulator's own loader put it.
ENTRY, ENTRY_ALONE = 0x1000200, 0x100200


def init_entry():
    """Bytes at the entry of the program that /init's interpreter is."""
    data = run.read(INIT_ELF)
    entry, phoff = struct.unpack_from("<QQ", data, 24)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    for i in range(phnum):
        kind, _, offset, vaddr, _, filesz = struct.unpack_from("<IIQQQQ", data, phoff + i * phentsize)
        if kind == 1 and vaddr <= entry < vaddr + filesz:
            return data[entry - vaddr + offset:][:16].hex()
    raise SystemExit("bench: busybox has no entry point")


def plugin(out, entry, cpus=1):
    several = ",turns=1" if cpus > 1 else ""
    return f"file={trace.OUT}/trace.so,out={out},start={entry:x},end={init_entry()}{several}"


def count_of(out):
    """(total, guest, exits)"""
    with open(out, encoding="ascii") as f:
        for line in f:
            if line.startswith("count "):
                return tuple(int(word) for word in line.split()[1:])
    raise SystemExit(f"bench: {out}: the boot did not come from the kernel's entry to init")


def under_bulkhead(cpus=1):
    directory = trace.OUT + ("/linux" if cpus == 1 else f"/linux-smp{cpus}")
    os.makedirs(directory, exist_ok=True)
    out = directory + "/count"
    system = run.one_vm(directory, KERNEL, INITRD, APPEND, cpus=cpus, mem=MEM_MIB)
    machine = emu.Emulator(emu.Settings(
        kernel=run.KERNEL, boot=system.boot, emu="qemu", icount=True, mem=system.mem, cpus=cpus,
        directory=directory, timeout=900, qemu_args=trace.RTC + ["-plugin", plugin(out, ENTRY, cpus)]))
    with machine:
        machine.wait()
    log = machine.log()
    exits = re.search(r'"exits_by_reason": \[([0-9, ]+)\]', log)
    started = re.search(r'audit: (\{"event": "vm-started".*\})', log)
    return {
        "count": count_of(out),
        "exits": dict(zip(REASONS, (int(n) for n in exits[1].split(",")))) if exits else {},
        "up_s": up_s(machine.console.decode("utf-8", "replace")),
        "started": json.loads(started[1]) if started else {},
    }


def up_s(console):
    """Seconds on the guest's own clock at the start of its /init, by what that says."""
    said = re.search(r" MiB, up ([0-9.]+) s", console)
    return float(said[1]) if said else None


def alone(kernel=KERNEL, append=APPEND, name="linux-alone"):
    directory = trace.OUT + "/" + name
    os.makedirs(directory, exist_ok=True)
    out = directory + "/count"
    with open(directory + "/emulator.txt", "wb") as said:
        subprocess.run(
            ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
             "-machine", "pc", "-cpu", "EPYC,-svm", "-m", str(MEM_MIB), "-nodefaults", "-nic", "none",
             "-display", "none", "-monitor", "none", "-no-reboot",
             "-serial", f"file:{directory}/console.txt",
             "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", kernel, "-initrd", INITRD,
             "-append", append, *trace.RTC, "-plugin", plugin(out, ENTRY_ALONE)],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=400, check=False)
    with open(directory + "/console.txt", encoding="utf-8", errors="replace") as f:
        return {"count": count_of(out), "up_s": up_s(f.read())}


if __name__ == "__main__":
    trace.claim()
    print(json.dumps({"bulkhead": under_bulkhead(), "alone": alone()}, indent=1))
