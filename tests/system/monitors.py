"""Monitors that have been taken over, with two threads and at their end (tests/system/hostile/).

Root is the shipped one with more around it (hostile/root.c): it gives a monitor a second thread,
starts VMs again, and after each end has the kernel check its invariants and says what is free.
"""
import re

import run
from micro import exit_reasons
from case import broken_kernel, case, check, run_vms, start_vms, to_the_end

GOOD, STOPPED = 16, 123
INVALID, UNKNOWN = 21, 22  # enum bh_exit
# The hardware's words for "no such state": VMX exit reason 33 with the entry-failure bit; SVM -1.
REFUSED = {"qemu": ("0xffffffff", "0xffffffffffffffff"), "bochs": ("0x80000021",)}
HLT = {"qemu": "0x78", "bochs": "0xc"}  # exit code of HLT: AMD APM vol. 2, C; Intel SDM vol. 3D, C


def vm(guest, append="", **more):
    return {"memory-mib": 64, "kernel": f"{guest}.elf", "append": append, "debug-exit": True, **more}


def start_hostile(t, vms, **settings):
    run.MONITOR, run.ROOT = "build/tests/hostile/monitor", "build/tests/hostile/root.bin"
    return start_vms(t, vms, **settings)


def ended(system, name, seconds):
    """The audit record of a VM's end, as text."""
    match = system.expect(rf'"(?:vm-ended|monitor-fault)", "vm": "{name}".*\}}', seconds, log=True)
    check(match, f"{name} has ended")
    return match[0]


def sound(log):
    """No panic; the kernel has checked its invariants at each end, and they held."""
    checked = re.findall(r"broken invariants (\d+)", log)
    check("PANIC" not in log, "the kernel goes on")
    check(checked and set(checked) == {"0"}, f"no invariant is broken: {checked}")
    check("taking it back" not in log, "all is taken back")


def raced(t, attack, second_cpu, kernel=run.KERNEL, seconds=150, runs=200):
    """A thread of a monitor works against the one that is in vcpu_run; the log."""
    ms, secs = (3000, 4) if t.emu == "qemu" else (400, 1)
    wanted = f"runs={runs} failed={int(attack == 'page_rewritten')}"
    vms = {"evil": vm("hello", f"attack={attack} ms={ms} second-cpu={second_cpu} {wanted}", cpu=1),
           "good": vm("ram_pattern", f"secs={secs} seed=1", cpu=1)}
    with start_hostile(t, vms, host_cpus=2, timeout=seconds + 50, kernel=kernel) as system:
        evil = system.expect(r'"vm-ended", "vm": "evil".*"text": "(\d+) runs, (\d+) refused, (\d+) failed, '
                             r'(\d+) leaked, (\d+) writes"', seconds, log=True)
        good = evil and system.expect(r'"vm-ended", "vm": "good", "kind": "(.*?)".*?"status": (\d+),', 200,
                                      log=True)
        _ = good and system.wait()
        return system.log(), evil, good


def second_thread(t, attack, second_cpu):
    """Its VM ends in the middle of it; the one beside it keeps its patterns; nothing breaks."""
    log, evil, good = raced(t, attack, second_cpu, seconds=150 if t.emu == "qemu" else 400)
    print(log)
    check(evil, "the hostile monitor has said how it went")
    check("second thread of evil on CPU " + str(second_cpu) + ": no error" in log, "it has a second thread")
    check(good and good[1] == "debug-exit" and int(good[2]) == GOOD, "the VM beside it passes")
    sound(log)
    runs, refused, failed, leaked, writes = map(int, evil.groups())
    check(runs > 200 and writes > 1000, f"both threads have worked: {runs} runs, {writes} writes")
    check(leaked == 0, "nothing of the kernel's is in the page after a failed entry")
    check(attack != "page_rewritten" or (refused > 0 and failed > 0),
          "wrong values have reached the kernel, and the CPU")


for _attack in ("page_rewritten", "unmapped_in_use"):
    case(("qemu",), cost=20, limit=300, name=f"{_attack}_from_afar", attack=_attack, second_cpu=0)(second_thread)
    case(("qemu",), cost=20, limit=300, name=f"{_attack}_by_turns", attack=_attack, second_cpu=1)(second_thread)
    case(("bochs",), cost=90, limit=900, full=True, name=f"{_attack}_on_vmx", attack=_attack,
         second_cpu=0)(second_thread)


@case(("qemu",), cost=40, limit=400)
def break_page_twice(t):
    """A kernel that reads one word of the page again after its check does not stand this."""
    log, _, good = raced(t, "xcr0_rewritten", 0, kernel=broken_kernel(t, "BREAK_PAGE_TWICE"), runs=10 ** 12)
    print(log[-4000:])
    check(not good and re.search(r"broken invariant: no #GP in the kernel", log), "the kernel falls")


@case(("qemu", "bochs"), cost=15, limit=200)
def descriptors(t):
    """Behind a VM exit, ring 3 finds no segment descriptors but the kernel's few."""
    run.MONITOR = "build/tests/hostile/monitor"
    vms = {"evil": vm("hello", "attack=descriptors"), "good": vm("hello")}
    result = run_vms(t, vms, timeout=150)
    told = [end["text"] for end in result.audit("vm-ended") if end["vm"] == "evil"]
    check(told == ["0 more descriptors"], f"no more descriptors: {told}", result)


@case(("qemu",), cost=15, limit=200)
def poll_storm(t):
    """A monitor's thread signals and empties the notification of one on another CPU, over and over."""
    vms = {"evil": {**vm("hello", "attack=poll_storm ms=500 second-cpu=0", cpu=1), "ceiling-percent": 5},
           "good": vm("spin", "spin_ms=800", cpu=1)}
    with start_hostile(t, vms, host_cpus=2, timeout=150) as system:
        system.wait()
        log = system.log()
    print(log)
    sound(log)
    irqs = int(re.search(r"CPU 1 was interrupted (\d+) times", log)[1])
    check(irqs < 3000, f"CPU 1 is left in peace: {irqs} interrupts")


@case(("qemu", "bochs"), cost=10, limit=200)
def forbidden(t):
    """What a monitor's own instructions may not do: use the FPU, whose registers are the guests' (#NM); find the
    kernel's tables, where the CPU has UMIP (#GP), which Bochs' has not."""
    run.MONITOR = "build/tests/hostile/monitor"
    expected = {"fpu": 7, "tables": 13} if t.emu == "qemu" else {"fpu": 7}
    vms = {name: vm("hello", f"attack={name}") for name in expected}
    result = run_vms(t, {"good": vm("fpu_state", "seed=1"), **vms}, timeout=150,
                     cpu="EPYC,+umip" if t.emu == "qemu" else None)
    faults = {fault["vm"]: fault["vector"] for fault in result.audit("monitor-fault")}
    check(faults == expected and result.ends().get("good") == GOOD, f"each faults: {faults}", result)


@case(("qemu",), cost=10, limit=200)
def store(t):
    """A monitor that nobody has asked to save cannot write to the store."""
    run.MONITOR = "build/tests/hostile/monitor"
    result = run_vms(t, {"evil": {**vm("hello", "attack=store"), "save-mib": 4}, "good": vm("hello")}, timeout=150)
    faults = [(fault["vm"], fault["vector"]) for fault in result.audit("monitor-fault")]
    check(faults == [("evil", 14)], "it is read-only", result)


@case(("qemu",), cost=15, limit=200)
def doorbells(t):
    """A monitor that puts the notification of its wire's peer in use would keep the peer from being taken back: it
    is refused, and the peer starts again and again."""
    peer = {**vm("life", "reset_ms=200"), "restart": "limited", "restart-count": 3, "restart-wait-ms": 0}
    vms = {"evil": vm("hello", "attack=doorbells ms=3000"), "peer": peer}
    with start_hostile(t, vms, wires={"lan": ("evil", "peer")}, host_cpus=2, timeout=150) as system:
        result = to_the_end(system)
    sound(result.log)
    told = re.search(r'"text": "(\d+) refused, (\d+) taken"', result.log)
    check(told and int(told[1]) > 1000 and int(told[2]) == 0, "no doorbell at what it may only signal", result)
    freed = [record for record in result.audit("vm-freed") if record["vm"] == "peer"]
    check(len(freed) == 4, "the peer starts again", result)
    check(all(record["kernel_bytes"] == record["kernel_bytes_free"] for record in freed), "all of it comes back", result)


def storm(t, kind, host_cpus, ms, most):
    """A monitor unmaps, or signals root, without end: who has nothing to do with it is left in peace."""
    vms = {"evil": vm("hello", f"attack={kind}_storm ms={ms}", cpu=host_cpus - 1), "good": vm("spin", f"spin_ms={ms + 300}", cpu=0)}
    # On virtual time what happens can be counted, however busy this machine is.
    with start_hostile(t, vms, host_cpus=host_cpus, icount=True, timeout=150) as system:
        system.wait()
        log = system.log()
    print(log)
    times = re.search(r'"text": "(\d+) times"', log)
    check(times and int(times[1]) > 1000, "there was a storm")
    said = re.search(r"root has looked (\d+) times in (\d+) us; CPU 0 has flushed (\d+) times", log)
    check(said and most(*map(int, said.groups())), "it was felt elsewhere")
    check(f'"vm": "good", "kind": "debug-exit", "vcpu": 0, "status": {GOOD},' in log, "the VM beside it passes")
    sound(log)


case(("qemu",), cost=15, limit=200, name="unmap_storm", kind="unmap", host_cpus=2, ms=200,
     most=lambda looks, us, flushes: flushes <= 100)(storm)
case(("qemu",), cost=15, limit=200, name="signal_storm", kind="signal", host_cpus=1, ms=300,
     most=lambda looks, us, flushes: looks <= us // 300 + 20)(storm)


@case(("qemu",), cost=25, limit=400)
def ends_in_calls(t):
    """VMs whose monitors are inside each of the system calls when root takes them back."""
    for first in (0, 6):
        vms = {f"evil{n}": vm("hello", f"attack=end_in_call call={n}") for n in range(first, min(first + 6, 11))}
        vms["good"] = vm("ram_pattern", "secs=1 seed=1")
        with start_hostile(t, vms, timeout=150) as system:
            records = {name: ended(system, name, 100) for name in vms}
            system.wait()
            log = system.log()
        print(log)
        check(all("ends in a call" in records[name] for name in vms if name != "good"), "each has said so")
        check(f'"status": {GOOD},' in records["good"], "the VM of the good monitor passes")
        sound(log)


# ---- Nested faults in the midst of deliveries ------------------------------------------------------
STACKS = 60  # of tests/system/guests/event_reinject.c: in 128 MiB each in 2 MiB of its own


@case(("qemu", "bochs"), cost=20, limit=250)
def event_reinject_lazy(t):
    """Events whose delivery is the first to touch a stack, where memory is mapped at first touch: each arrives once.
    Where the event is forgotten at that exit, interrupts and NMIs do not: what is tested here would be seen."""
    run.MONITOR = "build/tests/hostile/monitor"
    vms = {name: {**vm("event_reinject", f"lazy={lazy}"), "memory-mib": 128}
           for name, lazy in (("keeps", 1), ("forgets", 2))}
    result = run_vms(t, vms, icount=True, timeout=200)
    print(result.console)
    faults = {end["vm"]: dict(zip(exit_reasons(), end["exits_by_reason"]))["MEMORY"] for end in result.audit("vm-ended")}
    check(min(faults.values()) >= STACKS, f"each stack is touched first by a delivery: {faults} faults", result)
    check(result.ends().get("keeps") == GOOD, "each event arrives once", result)
    check(result.ends().get("forgets") == GOOD + 1, "an event that is forgotten is missed", result)
    wrong = set(re.findall(r"FACT (\S+) BAD", result.console))
    check(wrong == {"stack-interrupt", "stack-nmi"}, f"those that the CPU does not raise again: {wrong}", result)


# ---- What ends a VM leaves a record ----------------------------------------------------------------
def recorded(result, reason, qualifications, name="evil"):
    """The audit record of a VM that its monitor has stopped; the other one has passed."""
    told = [end for end in result.audit("vm-ended") if end["vm"] == name]
    check(len(told) == 1 and told[0]["kind"] == "stopped", "the VM was stopped", result)
    check(told[0]["exit_reason"] == reason and told[0]["qualification"] in qualifications and
          told[0]["vcpu"] == 0, "reason and qualification are the hardware's", result)
    kind = {INVALID: "vcpu-invalid", UNKNOWN: "vcpu-unknown"}[reason]
    check([(one["kind"], one["vm"], one["reason"], one["rip"]) for one in result.audit("kernel")] ==
          [(kind, name, told[0]["qualification"], told[0]["rip"])], "the kernel has recorded the same", result)
    check(result.ends().get("good") == GOOD, "the VM beside it passes", result)
    check("PANIC" not in result.log, "the kernel goes on", result)
    return told[0]


@case(("qemu", "bochs"), cost=15, limit=200)
def entry_fails(t):
    """A vCPU that the CPU refuses to enter: that VM is stopped, with a record of why and where."""
    run.MONITOR = "build/tests/hostile/monitor"
    result = run_vms(t, {"evil": vm("hello", "entry=bad"), "good": vm("hello")}, timeout=150)
    told = recorded(result, INVALID, REFUSED[t.emu])
    check(0x100000 <= int(told["rip"], 16) < 0x4000000 and len(told["bytes"]) >= 16, "where it was, and its code", result)


@case(("qemu", "bochs"), cost=15, limit=200)
def concealed(t):
    """A monitor that says nothing of a thousand refused entries: the kernel does, and not a thousand times."""
    run.MONITOR = "build/tests/hostile/monitor"
    result = run_vms(t, {"evil": vm("hello", "attack=conceal"), "good": vm("hello")}, timeout=150)
    check(result.ends() == {"evil": "power-off", "good": GOOD}, "both have ended", result)
    told = result.audit("kernel")
    check(1 <= len(told) <= 10 and {(one["kind"], one["vm"]) for one in told} == {("vcpu-invalid", "evil")} and
          told[0]["rip"] == "0x1234", "the kernel's records, once per doubling", result)


@case(("qemu", "bochs"), cost=25, limit=300)
def unknown_exit(t):
    """An exit reason that the kernel does not know (HLT, in a kernel without that row)."""
    vms = {"evil": vm("hlt_timer"), "good": vm("hello")}
    result = run_vms(t, vms, timeout=200, kernel=broken_kernel(t, "BREAK_HLT_EXIT"))
    told = recorded(result, UNKNOWN, (HLT[t.emu],))
    check(0x100000 <= int(told["rip"], 16) < 0x4000000 and told["bytes"].startswith("f4"), "the HLT, by its bytes", result)


# ---- Memory comes back whole -----------------------------------------------------------------------
ROUNDS = 12
FREE = re.compile(r"after (\S+): broken invariants (\d+), root has kernel memory (\d+) frames (\d+) slots from (\d+)")


@case(("qemu",), cost=25, limit=300)
def memory_comes_back(t):
    """VMs that end in four ways, many times over: each time all that they were made of is free."""
    vms = {"dies": vm("hello", f"attack=die again={ROUNDS}"),
           "ends": vm("hello", f"again={ROUNDS}"),
           "stopped": vm("triple_fault", f"again={ROUNDS}"),
           "races": vm("hello", f"attack=page_rewritten ms=10 second-cpu=0 again={ROUNDS}", cpu=1)}
    run.MONITOR, run.ROOT = "build/tests/hostile/monitor", "build/tests/hostile/root.bin"
    result = run_vms(t, vms, host_cpus=2, timeout=250)
    sound(result.log)
    freed = result.audit("vm-freed")
    for name in vms:
        mine = [one for one in freed if one["vm"] == name]
        check(len(mine) == ROUNDS + 1, f"{name} has ended {ROUNDS + 1} times: {len(mine)}", result)
        check(all(one["kernel_bytes_free"] == one["kernel_bytes"] > 0 and
                  one["frame_bytes_free"] == one["frame_bytes"] > 0 for one in mine), f"all of {name} is free", result)
        check(len({(one["kernel_bytes"], one["frame_bytes"]) for one in mine}) == 1, "it is the same memory", result)
    said = FREE.findall(result.log)
    check(len(said) > 4 * ROUNDS, "root has said what is free", result)
    check(len({one[2:] for one in said}) == 1, "root has the same memory and slots left each time", result)
    print(result.log)
