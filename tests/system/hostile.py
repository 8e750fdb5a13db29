"""A hostile task in ring 3: random invocations and calls while the kernel checks its invariants.

tests/system/hostile/ring3.c is started in root's place, so that nothing stands between it and the
kernel. What it must not achieve: a panic, a hang, a broken invariant, an error that the description
does not allow.
"""
import os
import re

import emu
import mkboot
import run
from case import Result, broken_kernel, case, check, start_vms

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
    result = ring3(t, count, host_cpus, seed, timeout=2900 if count > 1000000 else 500)
    check(result.status == 0 and "hostile: pass" in result.log, "the kernel holds", result)
    print(result.log[-8000:])


for _cpus in (1, 4):
    case(("qemu",), cost=60, limit=600, name=f"ring3_on_{_cpus}", count=500000, host_cpus=_cpus,
         full=_cpus > 1)(fuzz)
    case(("qemu",), cost=600, limit=3000, full=True, name=f"ring3_long_on_{_cpus}", count=10000000,
         host_cpus=_cpus, seed=2)(fuzz)


# Kernels that are wrong in one place: what must find it. (Isolation: the first two let a domain
# reach memory that is not, or no longer, its own.)
BROKEN = {
    "BREAK_FLUSH_DEBT": r"a page that was unmapped is still read",
    "BREAK_MAP_RANGE": r"of a Frame of 4 mapped",
    "BREAK_TABLE_COUNT": r"5 tables out of 4",
    "BREAK_DETACH": r"broken: invariant|broken invariant|cannot be emptied",
    "BREAK_ATTACH_USERS": r"broken: invariant|broken invariant|cannot be emptied",
    "BREAK_COPY_RIGHTS": r"broken: invariant|broken invariant|cannot be emptied",
    "BREAK_WATERMARK": r"broken: invariant|broken invariant:",
    "BREAK_NTFN_USERS": r"broken: invariant|broken invariant|cannot be emptied",
    "BREAK_SAVE_SLOT": r"broken: invariant|broken invariant|cannot be emptied",
    "BREAK_SC_RETURN": r"broken: invariant|broken invariant:",
    "BREAK_WAITER": r"broken: invariant|broken invariant|cannot be emptied",
    "BREAK_WINDOW": r"broken: invariant|broken invariant",
    "BREAK_QUEUE": r"broken: invariant|broken invariant|cannot be emptied",
}


def finds(t, switch, said):
    """The task does not pass, for this reason: a broken invariant, found by checker or panic."""
    more = "" if "of a Frame" in said or "still read" in said or "out of" in said else "hostile.attacks=0"
    result = ring3(t, 200000, 1, kernel=broken_kernel(t, switch), timeout=200, more=more)
    check(result.status != 0, f"the task passes on a kernel with {switch}", result)
    check(re.search(said, result.log), f"{switch} is found for its own reason", result)
    print(result.log[-1500:])


for _switch, _said in BROKEN.items():
    case(("qemu",), cost=20, limit=400, name=_switch.lower(), switch=_switch, said=_said)(finds)


# Monitors that have been taken over (tests/system/hostile/monitor.c), beside one that has not.
ATTACKS = ["bad_state", "bad_mappings", "bad_calls", "bad_pages", "flood", "flags_and_segments"]
ATTACKS += [f"bad_stacks call={n}" for n in range(12)]


def vm(guest, append):
    return {"memory-mib": 64, "kernel": f"{guest}.elf", "append": append, "debug-exit": True}


def monitors(t, attacks, host_cpus):
    """Their VMs end, or stand still for ever; the one beside them passes, and nothing panics."""
    run.MONITOR = "build/tests/hostile/monitor"
    vms = {f"evil{i}": vm("hello", f"attack={attack}") for i, attack in enumerate(attacks)}
    vms["good"] = vm("ram_pattern", "secs=1 seed=1")
    with start_vms(t, vms, host_cpus=host_cpus, timeout=250) as system:
        ended = system.expect(r'"vm-ended", "vm": "good", "kind": "(.*?)".*?"status": (\d+)', 120, log=True)
        dead = [attack == "flood" or system.expect(rf'"(monitor-fault|vm-ended)", "vm": "evil{i}"', 120, log=True)
                for i, attack in enumerate(attacks)]
        log = system.log()
    print(log)
    check(ended and ended[1] == "debug-exit" and ended[2] == "16", "the VM of the good monitor passes")
    check(all(dead), "the attack has come to its end, and the VM with it")
    check("PANIC" not in log, "the kernel goes on")


for _i in range(0, len(ATTACKS), 3):
    case(("qemu",), cost=15, limit=300, name=f"monitors_{_i // 3}", attacks=ATTACKS[_i:_i + 3],
         host_cpus=1)(monitors)
