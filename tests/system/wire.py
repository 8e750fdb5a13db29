"""Wires between VMs: two unmodified Linux guests talk to each other (guests/linux/init, bh.test=wire)."""
import collections
import os
import re
import subprocess

import run
from case import SWITCH_CONSOLE, ask, bhctl, case, check, start_vms, to_the_end

IPXE = "/usr/lib/ipxe/ipxe.iso"  # package ipxe
SCRIPT = """#!ipxe
echo BH-IPXE ${net0/ip} from ${next-server}
kernel http://${next-server}/hello.elf
boot
"""


def guest(role, **more):
    return {"memory-mib": 128, "kernel": "vmlinuz-cloud", "initrd": "initrd-virtio.cpio",
            "append": f"console=ttyS0 quiet bh.test=wire bh.role={role} bh.name={role}", **more}


def two_guests(t, host_cpus, timeout):
    """Ping both ways, a TCP transfer with its digest, and the link goes down with the other VM."""
    vms = {"client": guest("client"), "server": guest("server")}
    with start_vms(t, vms, {"lan": ("client", "server")}, host_cpus=host_cpus, timeout=timeout,
                   icount=True) as system:
        system.expect("BH-PASS wire.send", timeout)
        vms = {row["name"]: row["wires"] for row in ask(system, "stats")}
        print(bhctl(system, "stats"), bhctl(system, "top", "--count=1", "--interval=0.05"))
        system.expect(r"BH-DONE \w+ \w+\r?\n", timeout)
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    print(result.console)
    (client,), (server,) = vms["client"], vms["server"]
    check((client["name"], client["peer"], server["peer"]) == ("lan", "server", "client"), vms)
    check(client["up"] and server["up"] and client["ups"] == server["ups"] == 1, vms)
    check(client["sent_bytes"] >= 2097152 and client["sent_frames"] > 60, vms)
    check(server["received_bytes"] >= 2097152 and server["received_frames"] > 60, vms)
    check(client["refused"] == server["refused"] == 0, vms)
    check(result.console.count("BH-DONE wire pass") == 2, "both guests are content", result)
    check(result.status == 0, "the system ends when both are off", result)


for cpus in (1, 2):
    case(("qemu",), cost=60, limit=600, full=cpus == 1, name=f"two_guests_on_{cpus}", host_cpus=cpus, timeout=550)(two_guests)


# ---- Small guests that talk as fast as they can (guests/talk.c) -----------------------------------------

PASSED = 33  # EXIT_PASS of guests/rt/guest.h, as the emulator's status


def talker(words="", **more):
    return {"memory-mib": 8, "kernel": "talk.elf", "append": words, "debug-exit": True, **more}


def wires_of(system, vm):
    """{wire: its figures}"""
    return {wire["name"]: wire for row in ask(system, "stats") if row["name"] == vm for wire in row["wires"]}


def until_more(system, vm, wire, frames=200, seconds=60):
    """So many frames more have come to a VM."""
    before = wires_of(system, vm)[wire]["received_frames"]
    for _ in range(seconds * 5):
        if wires_of(system, vm)[wire]["received_frames"] >= before + frames:
            return
        system.step(0.2)
    check(False, f"nothing comes to {vm} by {wire} any more: {wires_of(system, vm)[wire]}")


@case(("qemu",), cost=8, limit=120)
@case(("bochs",), cost=20, limit=600, full=True)
def talks(t):
    """All that is sent arrives, whole and in order, while both ends send as much as the wire takes."""
    vms = {"a": talker("least=200 ms=400"), "b": talker("least=200 ms=600")}
    with start_vms(t, vms, {"lan": ("a", "b")}, icount=t.emu == "qemu", timeout=500) as system:
        result = to_the_end(system)
    print(result.console)
    check(result.ends() == {"a": PASSED >> 1, "b": PASSED >> 1}, result.ends(), result)


@case(("qemu",), cost=12, limit=200)
def saved(t):
    """A VM that talks is saved, and later taken back to that moment: its wire goes down and up, and on; other
    wires of its peer notice nothing."""
    vms = {"a": talker("loose=1", **{"save-mib": 12}), "b": talker("loose=1"), "c": talker()}
    wires = {"moved": ("a", "b"), "still": ("b", "c")}
    with start_vms(t, vms, wires, system={"log": "com2"}, timeout=180) as system:
        check(system.expect('"vm-started", "vm": "c"', 100, log=True), "all are started")
        until_more(system, "b", "moved")
        ask(system, "save", "a")
        until_more(system, "b", "moved")
        check(wires_of(system, "b")["moved"]["ups"] == 1, "to be saved is nothing that a peer sees")
        for ups in (2, 3):
            ask(system, "restore", "a")
            until_more(system, "b", "moved")
            until_more(system, "a", "moved")
            check(wires_of(system, "b")["moved"]["ups"] == ups, wires_of(system, "b"))
        until_more(system, "c", "still")
        check(wires_of(system, "b")["still"]["ups"] == 1, "the other wire has stayed up")
        bhctl(system, "shutdown")
        result = to_the_end(system)
    check(result.ends() == {name: PASSED >> 1 for name in "abc"}, result.ends(), result)


def functions(addresses):
    """Names of the monitor's functions at these addresses."""
    names = {}
    for line in subprocess.run(["nm", "build/tests/faulty/monitor.elf"], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        names[int(line.split()[0], 16)] = line.split()[2]
    return collections.Counter(names.get(address, hex(address)) for address in addresses)


@case(cost=60, limit=2400, full=True)
def records_10m(t):
    """10^7 records between two threads, and 10^7 taken from a peer that rewrites its box all the time."""
    t.command("build/tests/unit/test_wire_ring", env={"WIRE_RECORDS": "10000000"})


def faults(t, rounds):
    """A monitor faults at any place while its VM talks, again and again: the VM is started anew by its rule; the
    peer's wire goes down and up, its other wire does neither; all memory and capabilities come back."""
    run.MONITOR, run.ROOT = "build/tests/faulty/monitor", "build/tests/hostile/root.bin"
    in_row = 4
    vms = {"a": talker("fault_calls=50000", restart="limited", **{"restart-count": in_row, "restart-wait-ms": 1}),
           "b": talker("loose=1"), "c": talker()}
    with start_vms(t, vms, {"bad": ("a", "b"), "good": ("b", "c")}, system={"log": "com2"},
                   timeout=rounds * 100 + 100) as system:
        for n in range(rounds):
            said = len(system.log())
            if n > 0:
                check(ask(system, "start", "a")["state"] == "running", "started by hand")
            check(system.expect('"vm-given-up", "vm": "a"', 200, log=True, since=said if n else 0), "enough in a row")
        until_more(system, "b", "good")
        found = wires_of(system, "b")
        bhctl(system, "shutdown")
        result = to_the_end(system)
    times = rounds * (in_row + 1)
    faults_of = result.audit("monitor-fault")
    names = functions(int(fault["address"], 16) for fault in faults_of)
    print(names, found)
    check(len(faults_of) == times and {fault["vm"] for fault in faults_of} == {"a"}, f"{len(faults_of)} faults", result)
    check(len(names) > min(times // 4, 20) and not any(name.startswith("0x") for name in names), names)
    check(len(result.audit("vm-restart")) == rounds * in_row, "its rule has started it anew", result)
    check(found["good"]["ups"] == 1 and found["good"]["up"], found)
    check(times // 2 <= found["bad"]["ups"] <= times and not found["bad"]["up"], found)
    said = re.findall(r"after a: broken invariants (\d+), root has (.*)", result.log)
    check(len(said) == times and {row[0] for row in said} == {"0"}, "no invariant is broken", result)
    check(len({row[1] for row in said[1:]}) == 1, "the same is free each time", result)
    check(all(freed["kernel_bytes"] == freed["kernel_bytes_free"] and freed["frame_bytes"] == freed["frame_bytes_free"]
              for freed in result.audit("vm-freed")), "each VM's own is free", result)
    check({name: end for name, end in result.ends().items() if name != "a"} == {"b": PASSED >> 1, "c": PASSED >> 1},
          "the others are content", result)


case(("qemu",), cost=15, limit=300, name="faults_few", rounds=1)(faults)
case(("qemu",), cost=500, limit=5000, full=True, name="faults_many", rounds=40)(faults)


ROUNDS = 8


@case(("qemu",), cost=120, limit=900, alone=True)
def hostile_peer(t):
    """A monitor that sends what nobody should and rewrites its box, started many times, at one wire of a VM:
    the VM goes on, its other wire too; the peer's box cannot be written; memory comes back."""
    run.MONITOR, run.ROOT = "build/tests/hostile/monitor", "build/tests/hostile/root.bin"
    client = guest("client", **{"append": guest("client")["append"] + " bh.card=eth1"})
    vms = {"client": client, "server": guest("server"),
           "evil": {"memory-mib": 32, "kernel": "hello.elf", "append": f"attack=wire ms=250 again={ROUNDS}"}}
    with start_vms(t, vms, {"bad": ("client", "evil"), "good": ("client", "server")}, host_cpus=2,
                   timeout=850) as system:
        system.expect(r"BH-DONE \w+ \w+\r?\n", 800)
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    print(result.console)
    check(result.console.count("BH-DONE wire pass") == 2, "both guests are content", result)
    faults = result.audit("monitor-fault")
    check(len(faults) == ROUNDS + 1 and {(f["vm"], f["vector"]) for f in faults} == {("evil", 14)},
          "the peer's box is read-only", result)
    check("box is not clean" not in result.log, "what it has sent before is gone", result)
    check(result.log.count("broken invariants 0,") >= ROUNDS + 3 and "PANIC" not in result.log,
          "no invariant is broken", result)
    freed = [f for f in result.audit("vm-freed") if f["vm"] == "evil"]
    check(all(f["kernel_bytes"] == f["kernel_bytes_free"] and f["frame_bytes"] == f["frame_bytes_free"] for f in freed),
          "all memory comes back", result)


def served(t, files):
    """An initrd that has these files, {name: path}, in /srv; its path."""
    directory = t.new_dir()
    listed, out = os.path.join(directory, "list"), os.path.join(directory, "initrd-srv.cpio")
    with open(listed, "w", encoding="ascii") as f:
        f.write("dir srv 755\n" + "".join(f"file srv/{name} {path} 644\n" for name, path in files.items()))
    t.command("guests/linux/newc.py", listed, out)
    with open(out, "rb") as added, open("build/guests/linux/initrd-virtio.cpio", "rb") as initrd:
        data = initrd.read() + added.read()
    with open(out, "wb") as f:
        f.write(data)
    return out


def ipxe(t, cpus, timeout):
    """Debian's iPXE gets an address from a Linux VM, a script and a micro guest by HTTP, and starts that."""
    script = os.path.join(t.new_dir(), "boot.ipxe")
    with open(script, "w", encoding="ascii") as f:
        f.write(SCRIPT)
    initrd = served(t, {"boot.ipxe": script, "hello.elf": "build/tests/guests/hello.elf"})
    vms = {"client": {"memory-mib": 64, "cpus": cpus, "firmware": "seabios", "display": "none", "debug-exit": True,
                      "disks": {"cd": {"image": "ipxe.iso", "bus": "ahci", "cdrom": True}}},
           "server": {"memory-mib": 128, "kernel": "vmlinuz-cloud", "initrd": "initrd-srv.cpio",
                      "append": "console=ttyS0 quiet bh.test=pxe bh.name=server"}}
    # Not on virtual time: iPXE takes its randomness from clocks that disagree, and waits until they do.
    with start_vms(t, vms, {"lan": ("client", "server")}, host_cpus=2, timeout=timeout,
                   images={"ipxe.iso": IPXE, "initrd-srv.cpio": initrd}) as system:
        check(system.expect("Press Ctrl-B", timeout), "iPXE has started")
        system.send(b"\x02")
        check(system.expect("iPXE>", timeout), "it has a command line")
        for tried in range(1, 20):  # the server may not be there yet
            system.send(b"dhcp net0\r")
            system.expect(r"(?s)(iPXE>.*?){%d}" % (tried + 1), timeout)
            if re.search(rb"Configuring[^\n]*\. ok", system.console):
                break
        # SeaBIOS' keyboard buffer holds 15 keys, and is filled from the serial port at its 18 ticks a second.
        system.send(b"chain ${")
        check(system.expect(r"chain \$\{", timeout), "it echoes")
        system.send(b"filename}\r")
        system.expect("BH-IPXE", timeout)
        system.expect("PASS", timeout)
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    print(result.console)
    check("BH-IPXE 10.0.0.1" in result.console and "from 10.0.0.2" in result.console, "it has an address", result)
    check("PASS" in result.console, "the micro guest that it has fetched runs", result)
    check("BH-DONE pxe pass" in result.console, "the server is content", result)


case(("qemu",), cost=90, limit=300, name="ipxe", cpus=1, timeout=250)(ipxe)
case(("qemu",), cost=90, limit=900, full=True, name="ipxe_smp4", cpus=4, timeout=850)(ipxe)
case(("bochs",), cost=400, limit=3000, full=True, name="ipxe", cpus=1, timeout=2900)(ipxe)
case(("bochs",), cost=400, limit=3000, full=True, name="ipxe_smp4", cpus=4, timeout=2900)(ipxe)
