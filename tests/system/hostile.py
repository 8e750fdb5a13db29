"""A hostile task in ring 3: random invocations and calls while the kernel checks its invariants.

tests/system/hostile/ring3.c is started in root's place, so that nothing stands between it and the
kernel. What it must not achieve: a panic, a hang, a broken invariant, an error that the description
does not allow.
"""
import os

import emu
import mkboot
from case import Result, case, check

RING3 = "build/tests/hostile/ring3.bin"


def ring3(t, count, host_cpus, seed=1, kernel="build/kernel/bulkhead.elf", timeout=500, more=""):
    """Run the task to its end; a Result."""
    directory = t.new_dir()
    boot = os.path.join(directory, "boot.img")
    with open(RING3, "rb") as f, open(boot, "wb") as out:
        out.write(mkboot.boot_image(f.read(), [("seed", str(seed).encode())]))
    settings = emu.Settings(
        kernel=kernel, boot=boot, emu=t.emu, cpus=host_cpus, mem=256, timeout=timeout, directory=directory,
        cmdline=f"hostile.seed={seed} hostile.count={count} {more}")
    emulator = emu.Emulator(settings).start()
    try:
        emulator.wait()
    finally:
        result = Result(emulator)
    return result


def fuzz(t, count, host_cpus, seed=1):
    result = ring3(t, count, host_cpus, seed)
    check(result.status == 0 and "hostile: pass" in result.log, "the kernel holds", result)
    print(result.log[-8000:])


case(("qemu",), cost=60, limit=600, name="ring3", count=500000, host_cpus=1)(fuzz)
