#!/usr/bin/python3
"""save, restore: instructions of saving a VM and of restoring it; save.file: what it takes.

A VM of 256 MiB in which guest_save.c has touched 64 MiB. The emulator plugin counts all executed
instructions (a halted CPU executes none): of a save from the monitor's save_vm() on, of a restore from
root's control_restore() on, which takes the VM back, scrubs its memory and makes it anew; each until the
guest's next instruction. Writes below build/bench only.
"""
import contextlib
import json
import os
import re
import subprocess
import sys

import linux_boot
import trace
import case
import emu
import run

OUT = trace.OUT + "/save"
GUEST = "build/tests/guests/guest_save.elf"
MEM_MIB, TOUCHED_MIB = 256, 64
SPIN = "b845004842ebf9"  # the guest's loop
# Of a function that begins the count: an address does not tell root from monitors.
CODE_BYTES = 8
ROWS = {"save": ("build/vmm/monitor.elf", "save_vm"), "restore": ("build/vmm/root.elf", "control_restore")}


def function(elf, name):
    """(address, its first bytes as hex)"""
    symbols = subprocess.run(["nm", elf], capture_output=True, text=True, check=True).stdout
    address = int(re.search(rf"^(\w+) [Tt] {name}$", symbols, re.M)[1], 16)
    sections = subprocess.run(["readelf", "-SW", elf], capture_output=True, text=True, check=True).stdout
    for start, offset, size in re.findall(r"PROGBITS +(\w+) (\w+) (\w+)", sections):
        at = address - int(start, 16)
        if 0 <= at < int(size, 16):
            return address, run.read(elf)[int(offset, 16) + at:][:CODE_BYTES].hex()
    raise SystemExit(f"bench: {elf}: no code of {name}")


def under_bulkhead(row):
    """(total, guest, exits, bytes of the saved VM) of a row."""
    directory = f"{OUT}/{row}"
    os.makedirs(directory, exist_ok=True)
    out, source = directory + "/count", directory + "/manifest.dts"
    if os.path.exists(out):
        os.unlink(out)
    with open(source, "w", encoding="utf-8") as f:
        f.write(run.manifest_source({"work": {
            "memory-mib": MEM_MIB, "save-mib": TOUCHED_MIB + 8, "kernel": os.path.basename(GUEST),
            "append": f"touched={TOUCHED_MIB}"}}))
    system = run.System(directory, source, {})
    address, code = function(*ROWS[row])
    plugin = f"file={trace.OUT}/trace.so,out={out},start={address:x},begin={code},end={SPIN},nested=1"
    machine = emu.Emulator(emu.Settings(
        kernel=run.KERNEL, boot=system.boot, emu="qemu", icount=True, mem=system.mem, directory=directory,
        timeout=300, qemu_args=trace.RTC + ["-plugin", plugin]))
    with machine, contextlib.redirect_stdout(sys.stderr):
        if not machine.expect("BENCH-READY", 120):
            raise SystemExit(f"bench: {row}: the guest did not begin, see {directory}")
        saved = case.ask(machine, "save", "work")
        if row == "restore":
            case.ask(machine, "restore", "work")
            while not any(case.ask(machine, "stats")[0]["exits"].values()):
                machine.step(0.1)  # the guest has not been entered yet
        case.bhctl(machine, "kill", "work")
        machine.wait()
    return *linux_boot.count_of(out), saved["bytes"]


if __name__ == "__main__":
    trace.claim()
    print(json.dumps({row: under_bulkhead(row) for row in ROWS}, indent=1))
