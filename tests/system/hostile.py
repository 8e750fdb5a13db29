"""A hostile task in ring 3: random invocations and calls while the kernel checks its invariants.

tests/system/hostile/ring3.c is started in root's place, so that nothing stands between it and the
kernel. What it must not achieve: a panic, a hang, a broken invariant, an error that the description
does not allow.
"""
import os
import re

import emu
import mkboot
from case import Result, broken_kernel, case, check

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


# Kernels that are wrong in one place: what must find it. (Isolation: the first two let a domain
# reach memory that is not, or no longer, its own.)
BROKEN = {
    "BREAK_FLUSH_DEBT": r"a page that was unmapped is still read",
    "BREAK_MAP_RANGE": r"of a Frame of 4 mapped",
    "BREAK_TABLE_COUNT": r"5 tables out of 4",
    "BREAK_DETACH": r"broken: invariant",
    "BREAK_ATTACH_USERS": r"broken: invariant",
    "BREAK_COPY_RIGHTS": r"broken: invariant",
    "BREAK_WATERMARK": r"broken: invariant|broken invariant:",
    "BREAK_NTFN_USERS": r"broken: invariant",
    "BREAK_SAVE_SLOT": r"broken: invariant",
    "BREAK_SC_RETURN": r"broken: invariant|broken invariant:",
    "BREAK_WAITER": r"broken: invariant",
    "BREAK_QUEUE": r"broken: invariant",
}


def finds(t, switch, said):
    """The task does not pass, for this reason: a broken invariant, found by checker or panic."""
    result = ring3(t, 200000, 1, kernel=broken_kernel(t, switch), timeout=200)
    check(result.status != 0, f"the task passes on a kernel with {switch}", result)
    check(re.search(said, result.log), f"{switch} is found for its own reason", result)
    print(result.log[-1500:])


for _switch, _said in BROKEN.items():
    case(("qemu",), cost=20, limit=400, name=_switch.lower(), switch=_switch, said=_said)(finds)
