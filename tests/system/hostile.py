"""A hostile task in ring 3: random invocations and calls while the kernel checks its invariants.

tests/system/hostile/ring3.c is started in root's place, so that nothing stands between it and the
kernel. What it must not achieve: a panic, a hang, a broken invariant, an error that its list
(tests/system/hostile/possible.c) does not allow.
"""
import os
import re

import emu
import mkboot
import run
from case import Result, broken_kernel, case, check, start_vms

RING3 = "build/tests/hostile/ring3.bin"


def ring3(t, count, host_cpus, seed=1, kernel="build/kernel/bulkhead.elf", timeout=500, more="", icount=False):
    """Run the task to its end; a Result."""
    directory = t.new_dir()
    boot = os.path.join(directory, "boot.img")
    with open(RING3, "rb") as f, open(boot, "wb") as out:
        out.write(mkboot.boot_image(f.read(), [("seed", str(seed).encode())]))
    settings = emu.Settings(
        kernel=kernel, boot=boot, emu=t.emu, cpus=host_cpus, mem=256, timeout=timeout, directory=directory,
        icount=icount, cmdline=f"hostile.seed={seed} hostile.count={count} {more}")
    emulator = emu.Emulator(settings).start()
    try:
        emulator.wait()
    finally:
        result = Result(emulator)
    return result


def fuzz(t, count, host_cpus, seed=1):
    """Every possible (method, error) pair happens and no other; 30 % of the invocations succeed."""
    result = ring3(t, count, host_cpus, seed, timeout=2900 if count > 1000000 else 1100)
    why = re.search(r"hostile: FAIL\s*(.*)", result.log)
    check(result.status == 0 and "hostile: pass" in result.log, f"the kernel holds: {why[1] if why else 'no end'}", result)
    print(result.log[-9000:])


for _cpus in (1, 4):
    case(("qemu",), cost=60 * _cpus, limit=1200, full=_cpus == 1, alone=_cpus > 2, name=f"ring3_on_{_cpus}",
         count=500000, host_cpus=_cpus)(fuzz)
    case(("qemu",), cost=900, limit=3000, full=True, alone=_cpus > 2, name=f"ring3_long_on_{_cpus}",
         count=10000000, host_cpus=_cpus, seed=2)(fuzz)


# Kernels that are wrong in one place. First: found by the attack that it lets succeed (isolation: the
# first two let a domain reach memory that is not, or no longer, its own).
LETS_ATTACK = {
    "BREAK_FLUSH_DEBT": r"a page that was unmapped is still read",
    "BREAK_MAP_RANGE": r"of a Frame of 4 mapped",
    "BREAK_TABLE_COUNT": r"5 tables out of 4",
}
# Found by the checker while random invocations run, without attacks: the numbers of the invariants
# (docs/KERNEL-API.md). Where the kernel may trip over the damage before, its panic for a broken invariant
# counts too.
PANIC = r"PANIC on CPU \d+: broken invariant"
BREAKS_INVARIANT = {
    "BREAK_MAP_RANGE": "10",
    "BREAK_TABLE_COUNT": "10",
    "BREAK_DETACH": "10",
    "BREAK_ATTACH_USERS": "9",
    "BREAK_COPY_RIGHTS": "4",
    "BREAK_WATERMARK": "5|6",
    "BREAK_NTFN_USERS": "9",
    "BREAK_SAVE_SLOT": "11",
    "BREAK_SC_RETURN": "11|12",
    "BREAK_WAITER": "15",
    "BREAK_WINDOW": "10",
    "BREAK_QUEUE": "14",
}
MAY_PANIC = ("BREAK_SC_RETURN", "BREAK_QUEUE")


def finds(t, switch, said, attacks):
    """The task does not pass, for this reason. Counted instructions: a run is the same every time, where a timer's tick
    at another moment could have the kernel trip over the damage, or run in a circle in it, before it is looked for;
    hence also the many checks."""
    result = ring3(t, 200000, 1, kernel=broken_kernel(t, switch), timeout=900, icount=True,
                   more=f"hostile.attacks={attacks} hostile.pairs=0 hostile.alone=0 hostile.checks=50")
    check(result.status != 0, f"the task passes on a kernel with {switch}", result)
    check(re.search(said, result.log), f"{switch} is found for its own reason", result)
    print(result.log[-1500:])


for _switch, _said in LETS_ATTACK.items():
    _name = ("attack_" if _switch in BREAKS_INVARIANT else "") + _switch.lower()
    case(("qemu",), cost=15, limit=1000, name=_name, switch=_switch, said=_said, attacks=1)(finds)
for _switch, _numbers in BREAKS_INVARIANT.items():
    _said = rf"broken: invariant ({_numbers}), " + (f"|{PANIC}" if _switch in MAY_PANIC else "")
    case(("qemu",), cost=20, limit=1000, name=_switch.lower(), switch=_switch, said=_said, attacks=0)(finds)


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
    seconds = 120 if t.emu == "qemu" else 500
    with start_vms(t, vms, host_cpus=host_cpus, timeout=2 * seconds) as system:
        ended = system.expect(r'"vm-ended", "vm": "good", "kind": "(.*?)".*?"status": (\d+),', seconds, log=True)
        dead = [attack == "flood" or system.expect(rf'"(monitor-fault|vm-ended)", "vm": "evil{i}"', seconds, log=True)
                for i, attack in enumerate(attacks)]
        log = system.log()
    print(log)
    check(ended and ended[1] == "debug-exit" and ended[2] == "16", "the VM of the good monitor passes")
    check(all(dead), "the attack has come to its end, and the VM with it")
    check("PANIC" not in log, "the kernel goes on")


for _i in range(0, len(ATTACKS), 3):
    for _emulator in ("qemu", "bochs") if _i < 6 else ("qemu",):  # on any CPU, ring 3 has the same stacks
        case((_emulator,), cost=15, limit=300 if _emulator == "qemu" else 1100, name=f"monitors_{_i // 3}",
             attacks=ATTACKS[_i:_i + 3], host_cpus=1)(monitors)
