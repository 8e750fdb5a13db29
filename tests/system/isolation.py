"""Promises 1 and 6: a VM's memory, registers and time are its own, whatever its neighbour does."""
import re

import run
from case import ask, broken_kernel, case, check, run_vms, start_vms

EXIT_PASS, EXIT_FAIL = 0x10, 0x11  # what a guest writes to its debug-exit port, guests/rt/guest.h


def vm(guest, append="", **more):
    """A micro guest as a VM of a manifest."""
    return {"memory-mib": 64, "kernel": f"{guest}.elf", "append": append, "debug-exit": True, **more}


def stats(system):
    return {vm["name"]: vm for vm in ask(system, "stats")}


def both_pass(t, guests, host_cpus):
    """Two VMs {guest: command line}, named after their guests, both say PASS."""
    vms = {f"vm{i}": vm(guest, append) for i, (guest, append) in enumerate(guests)}
    result = run_vms(t, vms, host_cpus=host_cpus, timeout=350)
    check(result.ends() == dict.fromkeys(vms, EXIT_PASS), f"both pass, not {result.ends()}", result)


PAIRS = {
    # The neighbour writes all of its guest-physical space and beyond.
    "attacked": (("ram_pattern", "secs=3 seed=1"), ("ram_attack", "secs=2")),
    "patterns": (("ram_pattern", "secs=3 seed=1"), ("ram_pattern", "secs=3 seed=2")),
    "fpu": (("fpu_state", "seed=1"), ("fpu_state", "seed=2")),
}
for name, guests in PAIRS.items():
    for emulator, cpus in ("qemu", 1), ("qemu", 2), ("bochs", 2), ("bochs", 1):
        case((emulator,), cost=30, limit=420, full=(emulator, cpus) == ("bochs", 1),
             name=f"{name}_on_{cpus}", guests=guests, host_cpus=cpus)(both_pass)


@case(("qemu",), cost=10, limit=300)
def broken_ownership(t):
    """A monitor maps its guest more than it has. That is refused, and the neighbour's patterns stay; on a kernel
    without this one check they do not: what is tested here would be seen."""
    run.MONITOR = "build/tests/hostile/monitor"
    vms = {"evil": vm("ram_attack", "attack=reach_beyond secs=1"), "good": vm("ram_pattern", "secs=2 seed=1")}
    result = run_vms(t, vms, timeout=100)
    check(result.ends() == dict.fromkeys(vms, EXIT_PASS), f"both pass, not {result.ends()}", result)
    vms["evil"]["append"] = "attack=reach_beyond secs=1000"
    vms["good"]["on-stop"] = "end-system"
    result = run_vms(t, vms, timeout=250, kernel=broken_kernel(t, "BREAK_MAP_RANGE"))
    # What is written over may be a pattern, or the guest's code (triple fault), or its monitor's memory.
    lost = [end for end in result.audit("vm-ended") + result.audit("monitor-fault") if end["vm"] == "good" and
            (end["event"] == "monitor-fault" or end.get("status") == EXIT_FAIL or end["kind"] == "triple-fault")]
    check(lost and "PANIC" not in result.log, "a kernel without the check loses the neighbour's patterns", result)
    print(result.text())


@case(("qemu", "bochs"), cost=15, limit=200)
def spinning_neighbour(t):
    """A VM that spins for ever with interrupts off leaves the other its time, on the same CPU."""
    with start_vms(t, {"spinner": vm("spin"), "worker": vm("hello")}, timeout=120) as system:
        note = r"(?:\r?\n?--- [^\n]* ---\r?\n)?"  # root's, that the other has ended: it comes anywhere
        check(system.expect(note.join("BH-EXPECT spinning"), 60), "the spinner started")
        check(system.expect(r'"vm-ended", "vm": "worker".*"status": 16,', 60, log=True),
              "the worker finished")


@case(("qemu",), cost=15, limit=200)
def weights(t):
    """What no floor has taken is shared by weight: three parts to one, over a second."""
    vms = {name: vm("spin", weight=weight, cpu=1) for name, weight in (("heavy", 300), ("light", 100))}
    with start_vms(t, vms, host_cpus=2, icount=True, timeout=150) as system:
        check(system.expect(r'"vm-started", "vm": "light"', 60, log=True), "both run")
        first = last = stats(system)
        while last["heavy"]["now_ns"] - first["heavy"]["now_ns"] < 10**9:
            last = stats(system)
    got = {name: 100 * (last[name]["cpu_ns"] - first[name]["cpu_ns"]) / (last[name]["now_ns"] - first[name]["now_ns"])
           for name in vms}
    print(f"percent of the CPU: {got}")
    check(abs(got["heavy"] - 75) < 1 and abs(got["light"] - 25) < 1, got)


@case(("qemu",), cost=15, limit=200)
def root_keeps_its_share(t):
    """Floors that take all that a manifest may promise: root still serves the other VM, and ends it."""
    greedy = dict(vm("spin"), **{"floor-percent": 95})
    with start_vms(t, {"spinner": greedy, "worker": vm("hello")}, timeout=120) as system:
        check(system.expect(r'"vm-ended", "vm": "worker".*"status": 16,', 100, log=True),
              "the worker finished")


@case(("bochs",), cost=25, limit=240)
def endless_exceptions(t):
    """A VM whose CPU does nothing but deliver #DB leaves the other its time, on the same CPU. (QEMU
    itself ends with a failed assertion when an interrupt's stack has a breakpoint.)"""
    with start_vms(t, {"looper": vm("endless_db"), "worker": vm("spin", "spin_ms=500")}, timeout=180) as system:
        check(system.expect(r"BH-EXPECT endless", 60), "the looper started")
        check(system.expect(r'"vm-ended", "vm": "worker".*"status": 16,', 120, log=True),
              "the worker finished")
        check("BH-RETURNED" not in system.said(), "the loop is none")


@case(("qemu", "bochs"), cost=15, limit=200)
def stopped_neighbour(t):
    """A VM that is stopped for its own fault ends alone."""
    result = run_vms(t, {"faulty": vm("triple_fault"), "worker": vm("ram_pattern", "secs=2")},
                     timeout=150)
    check(result.ends().get("worker") == EXIT_PASS, "the other went on", result)
    check(result.ends().get("faulty") != EXIT_PASS, "the faulty one was stopped", result)


@case(("qemu", "bochs"), cost=25, limit=240)
def two_spinners(t):
    """Guests that only ever leave by host interrupts do not pile up in the kernel (stack)."""
    with start_vms(t, {"spinner1": vm("spin"), "spinner2": vm("spin"),
                       "worker": vm("ram_pattern", "secs=4")}, timeout=200) as system:
        check(system.expect(r'"vm-ended", "vm": "worker".*"status": 16,', 200, log=True),
              "the worker finished")


STORMS = ("ports", "memory", "doorbell", "ipi", "cpuid", "hypercall", "console", "timer", "pit", "kicks", "rings",
          "requests", "ahci", "modes", "vga", "keyboard", "clock", "channels", "serial", "ioapic", "bars", "watchdog",
          "fw_cfg", "flash", "msr", "strings")
DISKS = {"one": {"size-mib": 1}, "two": {"size-mib": 1, "bus": "ahci"}}


def storm(t, windows, ms):
    """A hostile VM with two vCPUs storms each device, virtio's notify ports, IPIs, APIC timer, PIT and root's console
    on the CPU of a neighbour: that has its floor of it in every window of a period."""
    vms = {"neighbour": vm("share", f"floor=50 windows={windows}", **{"floor-percent": 50, "on-stop": "end-system"}),
           "hostile": vm("storm", f"rounds=0 ms={ms}", cpus=2, network="loopback", display="vga",
                         watchdog=True, **{"balloon-mib": 8, "disks": DISKS})}
    result = run_vms(t, vms, icount=True, timeout=280)
    for line in re.findall(r"^(?:STORM|FACT floor).*", result.console.replace("\r", ""), re.M):
        print(line)
    found = dict(re.findall(r"^STORM (\w+) (\d+)", result.console.replace("\r", ""), re.M))
    check(result.ends().get("neighbour") == EXIT_PASS, "the neighbour has its floor", result)
    check("DEVICES 5 of virtio, 1 of AHCI" in result.console, "the hostile VM has the devices", result)
    check(tuple(found) == STORMS and all(int(n) > 0 for n in found.values()), f"all storms: {found}", result)


case(("qemu",), cost=15, limit=300, windows=40, ms=3)(storm)
case(("qemu",), cost=60, limit=900, full=True, name="storm_long", windows=200, ms=20)(storm)
