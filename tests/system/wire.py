"""Wires between VMs: two unmodified Linux guests talk to each other (guests/linux/init, bh.test=wire)."""
import os
import re

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
        print(bhctl(system, "stats"), bhctl(system, "top", "--count=1"))
        system.expect("BH-DONE", timeout)
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


ROUNDS = 8


@case(("qemu",), cost=120, limit=900)
def hostile_peer(t):
    """A monitor that sends what nobody should and rewrites its box, started many times, at one wire of a VM:
    the VM goes on, its other wire too; the peer's box cannot be written; memory comes back."""
    run.MONITOR, run.ROOT = "build/tests/hostile/monitor", "build/tests/hostile/root.bin"
    client = guest("client", **{"append": guest("client")["append"] + " bh.card=eth1"})
    vms = {"client": client, "server": guest("server"),
           "evil": {"memory-mib": 32, "kernel": "hello.elf", "append": f"attack=wire ms=250 again={ROUNDS}"}}
    with start_vms(t, vms, {"bad": ("client", "evil"), "good": ("client", "server")}, host_cpus=2,
                   timeout=850) as system:
        system.expect("BH-DONE", 800)
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    print(result.console)
    check(result.console.count("BH-DONE wire pass") == 2, "both guests are content", result)
    faults = result.audit("monitor-fault")
    check(len(faults) == ROUNDS + 1 and {(f["vm"], f["vector"]) for f in faults} == {("evil", 14)},
          "the peer's box is read-only", result)
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


@case(("qemu",), cost=90, limit=900)
def ipxe(t):
    """Debian's iPXE gets an address from a Linux VM, a script and a micro guest by HTTP, and starts that."""
    script = os.path.join(t.new_dir(), "boot.ipxe")
    with open(script, "w", encoding="ascii") as f:
        f.write(SCRIPT)
    initrd = served(t, {"boot.ipxe": script, "hello.elf": "build/tests/guests/hello.elf"})
    vms = {"client": {"memory-mib": 64, "firmware": "seabios", "display": "none", "debug-exit": True,
                      "disks": {"cd": {"image": "ipxe.iso", "bus": "ahci", "cdrom": True}}},
           "server": {"memory-mib": 128, "kernel": "vmlinuz-cloud", "initrd": "initrd-srv.cpio",
                      "append": "console=ttyS0 quiet bh.test=pxe bh.name=server"}}
    # Not on virtual time: iPXE takes its randomness from clocks that disagree, and waits until they do.
    with start_vms(t, vms, {"lan": ("client", "server")}, host_cpus=2, timeout=850,
                   images={"ipxe.iso": IPXE, "initrd-srv.cpio": initrd}) as system:
        check(system.expect("Press Ctrl-B", 400), "iPXE has started")
        system.send(b"\x02")
        check(system.expect("iPXE>", 100), "it has a command line")
        for tried in range(1, 20):  # the server may not be there yet
            system.send(b"dhcp net0\r")
            system.expect(r"(?s)(iPXE>.*?){%d}" % (tried + 1), 120)
            if re.search(rb"Configuring[^\n]*\. ok", system.console):
                break
        system.send(b"chain ${filename}\r")
        system.expect("BH-IPXE", 200)
        system.expect("PASS", 100)
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    print(result.console)
    check("BH-IPXE 10.0.0.1" in result.console and "from 10.0.0.2" in result.console, "it has an address", result)
    check("PASS" in result.console, "the micro guest that it has fetched runs", result)
    check("BH-DONE pxe pass" in result.console, "the server is content", result)
