#!/usr/bin/python3
"""wire.tcp, wire.ping: what the host spends on traffic between two Linux VMs that share one CPU.

Both VMs run Debian's cloud kernel with bh.test=flow (guests/linux/init); the client marks the windows
(guests/linux/bhtest.c), the emulator plugin counts in them what runs outside of VMRUN..#VMEXIT, and
the bytes that the monitors' memcpy() stores. The same kernel and initrd serve the peers. Writes below
build/bench only.
"""
import json
import os
import re
import subprocess

import linux_boot
import trace
import emu
import run

OUT = trace.OUT + "/flow"
KERNEL, INITRD = linux_boot.KERNEL, "build/guests/linux/initrd-virtio.cpio"
ROLES = ("client", "server")
MEM_MIB = 128
MIB, PINGS = 8, 500  # of test_flow, without what it does to warm up
WINDOWS = {"wire.tcp": (50, MIB), "wire.ping": (51, PINGS)}


def append(role):
    return f"console=ttyS0 quiet nokaslr bh.test=flow bh.role={role} bh.name={role}"


def plugin(out, stores=""):
    return f"file={trace.OUT}/trace.so,out={out},marks=1{stores}"


def memcpy_of_monitor():
    """Its addresses, for the plugin. Root has other code there and copies nothing meanwhile."""
    for line in subprocess.run(["nm", "-S", run.MONITOR + ".elf"], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        words = line.split()
        if words[-1] == "memcpy":
            return f",stores={words[0]}-{int(words[0], 16) + int(words[1], 16):x}"
    raise SystemExit("bench: the monitor has no memcpy")


def counts_of(out):
    """{row: (host, guest, exits, stored)} of one operation."""
    found = {}
    with open(out, encoding="ascii") as f:
        for line in f:
            if line.startswith("marked "):
                window, total, guest, exits, stored = (int(word) for word in line.split()[1:])
                found[window] = (total - guest, guest, exits, stored)
    if not all(window in found for window, _ in WINDOWS.values()):
        raise SystemExit(f"bench: {out}: the client has not come to its end")
    return {row: tuple(round(n / times, 1) for n in found[window]) for row, (window, times) in WINDOWS.items()}


def frame_bytes(console):
    """Of all frames of wire.tcp, both ways, per MiB of payload."""
    said = re.search(r"flow.pour sent (\d+) KiB in frames of (\d+) bytes", console)
    if not said or int(said[1]) != MIB << 10:
        raise SystemExit("bench: the client does not say what it has sent")
    return int(said[2]) / MIB


def under_bulkhead():
    """Of each row what counts_of() says; frame_bytes()."""
    os.makedirs(OUT, exist_ok=True)
    out, source = OUT + "/count", OUT + "/manifest.dts"
    vms = {role: {"memory-mib": MEM_MIB, "kernel": os.path.basename(KERNEL), "initrd": os.path.basename(INITRD),
                  "append": append(role)} for role in ROLES}
    with open(source, "w", encoding="ascii") as f:
        f.write(run.manifest_source(vms, {"lan": ROLES}))
    system = run.System(OUT, source, {})
    machine = emu.Emulator(emu.Settings(
        kernel=run.KERNEL, boot=system.boot, emu="qemu", icount=True, mem=system.mem, directory=OUT, timeout=900,
        qemu_args=trace.RTC + ["-plugin", plugin(out, memcpy_of_monitor())]))
    with machine:
        machine.wait()
    return counts_of(out), frame_bytes(machine.console.decode("utf-8", "replace"))


if __name__ == "__main__":
    trace.claim()
    print(json.dumps(under_bulkhead(), indent=1))
