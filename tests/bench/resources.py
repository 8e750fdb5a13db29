#!/usr/bin/python3
"""Rows about many VMs in one machine: density, micro.density, share.error, latency.floor, vm.start_stop.

What the system itself says is read: audit records, bhctl's figures, a guest's lines. One ns of its clock is
one instruction (or 8 ns where a row says so): CPUs that wait execute none, and their time passes.
Writes below build/bench only.
"""
import json
import os
import re
import subprocess
import sys
import time

import trace
import emu
import run

BHCTL = "build/bhctl"
LINUX, INITRD = "vmlinuz-cloud", "initrd.cpio"


class Machine:
    """A started system of these VMs."""

    def __init__(self, name, vms, mem, cpus=1, shift=0, cmdline="", timeout=900):
        self.directory = f"{trace.OUT}/{name}"
        os.makedirs(self.directory, exist_ok=True)
        source = self.directory + "/manifest.dts"
        with open(source, "w", encoding="utf-8") as f:
            f.write(run.manifest_source(vms, system={"log": "com2"}))
        system = run.System(self.directory, source, {})
        self.emulator = emu.Emulator(emu.Settings(
            kernel=run.KERNEL, boot=system.boot, emu="qemu", icount=True, icount_shift=shift, mem=mem, cpus=cpus, cmdline=cmdline,
            directory=self.directory, timeout=timeout, qemu_args=trace.RTC))

    def __enter__(self):
        self.emulator.start()
        return self

    def __exit__(self, *_):
        self.emulator.finish()

    def bhctl(self, *words):
        """What bhctl --json answers, while the system goes on."""
        with subprocess.Popen([BHCTL, f"--socket={self.emulator.control_path}", "--json", *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL) as process:
            while process.poll() is None:
                self.emulator.step(0.02)
            text = process.communicate()[0]
        answer = json.JSONDecoder().raw_decode(text)[0]
        if "result" not in answer:
            raise SystemExit(f"bench: bhctl {' '.join(words)}: {text}")
        return answer["result"]

    def stats(self):
        """{VM: its figures}"""
        return {vm["name"]: vm for vm in self.bhctl("stats")}

    def figures(self):
        """Those of the VMs, and root's; what asking for them costs is in them."""
        return self.stats() | {"": {"cpu_ns": self.bhctl("version")["root_cpu_ns"]}}

    def until(self, what, seconds=600):
        """Wait until what(self) is true of the log."""
        deadline = time.monotonic() + seconds
        while not what(self.emulator.log()):
            self.emulator.step(0.2)
            if self.emulator.outcome is not None or time.monotonic() > deadline:
                raise SystemExit(f"bench: {self.directory}: did not get so far")

    def audit(self, event):
        """The records of an event."""
        found = re.findall(r"^audit: (\{.*\})\r?$", self.emulator.log(), re.M)
        return [record for record in map(json.loads, found) if record["event"] == event]


def micro_density():
    """(VMs of 1 MiB that run, [instructions of a start, as four in a row take them])"""
    most = 512
    vms = {f"v{i}": {"memory-mib": 1, "kernel": "guest_still.elf", "console": "none", "cpu": 1 + i % 2}
           for i in range(most)}
    with Machine("micro", vms, mem=1024, cpus=3, cmdline="pool=48") as machine:
        machine.until(lambda log: f"vm v{most - 1}:" in log or f'"vm": "v{most - 1}"' in log)
        started = machine.audit("vm-started")
        for record in started[:2] + started[-2:]:  # their monitors answer
            machine.bhctl("pause", record["vm"])
    # The clock goes on while any CPU works: what passes between two records is all that all CPUs execute,
    # monitors and guests of the ones before included; four, as CPUs run in turn, and one's work falls into
    # the next one's time.
    return len(started), [(b["us"] - a["us"]) * 250 for a, b in zip(started, started[4:])]


# What the manifest of share.error says: floor, ceiling; the leftover goes by weight, 100 each.
SHARES = {"half": (50, 100, 55), "third": (30, 100, 35), "tenth": (10, 10, 10)}


def share_error(seconds=10):
    """{VM: (percent it is due, percent it got)}"""
    vms = {name: {"memory-mib": 16, "kernel": "guest_spin.elf", "cpu": 1, "floor-percent": floor,
                  "ceiling-percent": ceiling} for name, (floor, ceiling, _) in SHARES.items()}
    with Machine("share", vms, mem=256, cpus=2) as machine:
        machine.until(lambda log: log.count('"vm-started"') == len(vms))
        first = last = machine.stats()
        while last["half"]["now_ns"] - first["half"]["now_ns"] < seconds * 10 ** 9:
            last = machine.stats()
    return {name: (due, round(100 * (last[name]["cpu_ns"] - first[name]["cpu_ns"]) /
                              (last[name]["now_ns"] - first[name]["now_ns"]), 3))
            for name, (_, _, due) in SHARES.items()}


def latency_floor(count=100):
    """What the guest with a floor prints, beside seven that storm: an instruction takes 8 ns."""
    vms = {f"storm{i}": {"memory-mib": 16, "kernel": "guest_storm.elf", "append": f"kind={i}", "cpu": 0,
                         "console": "none"} for i in range(7)}
    vms["wakes"] = {"memory-mib": 16, "kernel": "guest_wake.elf", "append": f"n={count}", "cpu": 0,
                    "floor-percent": 20, "debug-exit": True, "on-stop": "end-system", "after":
                    tuple(vms)}
    with Machine("latency", vms, mem=512, shift=3, timeout=600) as machine:
        machine.emulator.wait()
        return machine.emulator.console.decode("utf-8", "replace")


def start_stop():
    """(instructions from bhctl's request to the guest's end, those until its memory is clean, bytes of it, scrub's)"""
    vms = {"cold": {"memory-mib": 256, "kernel": "guest_still.elf", "append": "end=1", "debug-exit": True,
                    "start": "manual"},
           "other": {"memory-mib": 2, "kernel": "guest_still.elf"}}
    with Machine("start", vms, mem=640) as machine:
        machine.until(lambda log: '"vm-started"' in log)
        machine.bhctl("start", "cold")
        machine.until(lambda log: '"vm-freed"' in log)
        asked, started = machine.audit("asked")[-1], machine.audit("vm-started")[-1]
        ended, freed = machine.audit("vm-ended")[-1], machine.audit("vm-freed")[-1]
    return {"start": (started["us"] - asked["us"]) * 1000 + ended["cpu_ns"],
            "stop": (freed["us"] - ended["us"]) * 1000,
            "scrub": freed["frame_bytes"] / freed["scrub_ns"]}


UP_LIMIT_S = 120


def linux_density(most, mem, idle_s=0):
    """(VMs of 72 MiB with Debian's cloud kernel that are up, percent of the CPU that all of them and their host
    take for idle_s seconds, or None)"""
    vms = {f"v{i}": {"memory-mib": 72, "kernel": LINUX, "initrd": INITRD, "append":
                     # Without nokaslr one in a dozen puts itself where its initrd leaves it too little in one piece. Tracing
                     # files take 9 MiB and the lockdown leaves them out: else Linux, with 3 MiB left when it comes to
                     # its init, now and then raises its reserves by 4 MiB (watermark boost) and panics.
                     "console=ttyS0 quiet cryptomgr.notests nokaslr lockdown=confidentiality panic=-1"} for i in range(most)}
    with Machine(f"linux-{mem}", vms, mem=mem, timeout=3000) as machine:
        machine.until(lambda log: f"vm v{most - 1}:" in log or f'"vm": "v{most - 1}"' in log)
        started = len(machine.audit("vm-started"))
        rest, last = 0, machine.figures()
        while rest < 3:  # up: for some seconds they have taken little
            before, last = last, machine.figures()
            rest = rest + 1 if busy(before, last) < 5 else 0
            if last["v0"]["now_ns"] > UP_LIMIT_S * 10 ** 9:
                raise SystemExit(f"bench: {machine.directory}: not all of {most} VMs have come to rest")
        running = sum(1 for s in last.values() if s.get("state") == "running")
        idle = idle_share(machine, idle_s) if idle_s else None
    return min(started, running), idle


def idle_share(machine, seconds):
    """Percent of a CPU that a system at rest takes, in at least so many seconds in which nobody asks it: a question
    costs root up to 30 M instructions while the emulator gets little of its host."""
    before = last = machine.figures()
    pause_s = 1.0
    while last["v0"]["now_ns"] - before["v0"]["now_ns"] < seconds * 10 ** 9:
        before = last
        machine.emulator.step(pause_s)
        pause_s *= 2
        last = machine.figures()
    return busy(before, last)


def busy(before, last):
    """Percent of the time between that root and all VMs' threads have had."""
    passed = last["v0"]["now_ns"] - before["v0"]["now_ns"]
    return 100 * sum(last[n]["cpu_ns"] - before[n]["cpu_ns"] for n in last) / passed


if __name__ == "__main__":
    trace.claim()
    for part in sys.argv[1:]:
        print(part, globals()[part]())
