"""Memory that moves between VMs: the idle one gives, who starts or is in need gets it, and it comes back."""
import hashlib
import re

from case import SWITCH_CONSOLE, ask, bhctl, case, check, run_vms, start_vms

STAYS = {"log": "com2"}
PROMPT = r"/ # "


def linux(mib, least, **more):
    return {"memory-mib": mib, "balloon-min-mib": least, "kernel": "vmlinuz-cloud", "initrd": "initrd-virtio.cpio",
            "append": "console=ttyS0 quiet", **more}


def shell(system, command, wanted, seconds=60):
    """Type a command at the guest in front; the match of what it says, which the echo does not have."""
    system.send(command.encode() + b"\n")
    match = system.expect(wanted, seconds)
    check(match, f"{command}: {wanted}")
    return match


def digest(system, path):
    """SHA-256 of a file in the guest in front, whose line has not been said before."""
    digest.count = getattr(digest, "count", 0) + 1
    shell(system, f"echo sum{digest.count}: $(sha256sum <{path})", rf"sum{digest.count}: [0-9a-f]{{64}}")
    return re.findall(rf"sum{digest.count}: ([0-9a-f]{{64}})", system.console.decode())[-1]


def has_mib(system, name):
    return next(vm["memory_has_mib"] for vm in ask(system, "list") if vm["name"] == name)


def front(system):
    """The next VM's console is the one that one types at."""
    system.send(SWITCH_CONSOLE)


def fill(system, name, first_mib, until_mib):
    """The guest in front fills its memory, by and by, until it has been given so much."""
    for turn in range(12):
        shell(system, f"dd if=/dev/zero of=/tmp/fill{turn} bs=1M count={8 if turn else first_mib} 2>/dev/null; "
                      f"sleep 2; echo fil''led{turn}", rf"filled{turn}\r")
        if has_mib(system, name) >= until_mib:
            return
    check(False, f"{name} has {has_mib(system, name)} MiB")


def freed(system):
    """All that ended VMs had is free again, each time."""
    rows = re.findall(r'"vm-freed".*"frame_bytes": (\d+), "frame_bytes_free": (\d+), "pieces": (\d+), "pieces_free": (\d+)',
                      system.log())
    check(rows and all(row[0] == row[1] and row[2] == row[3] for row in rows), f"all is free again: {rows}")
    return rows


def begin(system):
    """VM a with its shell and a file of noise, and at rest; the file's digest."""
    check(system.expect(PROMPT, 100), "a is up")
    shell(system, "mount -o remount,size=100% /tmp; dd if=/dev/urandom of=/tmp/noise bs=1M count=4 2>/dev/null; echo no''ise",
          "noise\r")
    return digest(system, "/tmp/noise")


def moves(t, cpus):
    """What is free is not enough for b: a is asked for what it leaves idle, b starts, fills what it has got with
    patterns and ends. a's memory is as it was; it comes into need and gets all of it back. All is free in the end."""
    pattern = {"memory-mib": 96, "balloon-min-mib": 94, "kernel": "ram_pattern.elf", "append": "secs=1",
               "debug-exit": True, "start": "manual"}
    with start_vms(t, {"a": linux(128, 64, cpus=cpus), "b": pattern}, system=STAYS, host_mem=256, icount=True,
                   host_cpus=cpus, timeout=490) as system:
        noise = begin(system)
        check(has_mib(system, "a") == 128, "a has all")
        bhctl(system, "start", "b", seconds=60)
        check(system.expect(r'"vm-freed", "vm": "b"', 60, log=True), "b has ended")
        less = has_mib(system, "a")
        check(64 <= less < 128 and f"{less}/128 MiB" in bhctl(system, "list"), f"a has {less} MiB")
        check(system.log().count('"vm-shrinks"') == 1 and '"vm-awaits-memory"' in system.log(), "on record")
        check('"vm-ended", "vm": "b", "kind": "debug-exit", "vcpu": 0, "status": 16' in system.log(), "b has found its patterns")
        check(digest(system, "/tmp/noise") == noise, "a's memory is as it was")
        fill(system, "a", 36, 128)
        check('"vm-grows"' in system.log(), "on record")
        check(digest(system, "/tmp/noise") == noise, "and still is")
        bhctl(system, "kill", "a")
        check(sum(int(row[2]) for row in freed(system)) == 63 + 47, "each has ended with all its pieces")


case(("qemu",), cost=20, limit=300, name="moves", cpus=1)(moves)
case(("qemu",), cost=40, limit=500, full=True, name="moves_smp", cpus=2)(moves)


@case(("qemu", "bochs"), cost=8, limit=200)
def pieces(t):
    """RAM in pieces is RAM: a guest's patterns in it are right."""
    vm = {"memory-mib": 24, "balloon-min-mib": 2, "kernel": "ram_pattern.elf", "append": "secs=1", "debug-exit": True}
    result = run_vms(t, {"work": vm}, timeout=190)
    check(result.ends() == {"work": 16}, "patterns", result)
    check(result.audit("vm-freed")[0]["pieces_free"] == 11, "and all are free again", result)


@case(("qemu",), cost=40, limit=500, full=True)
def two_linux(t):
    """The same with two Linux VMs, of which one is killed; then the driver of a's balloon goes."""
    vms = {"a": linux(200, 80), "b": linux(160, 64, start="manual")}
    with start_vms(t, vms, system=STAYS, host_mem=384, icount=True, timeout=390) as system:
        noise = begin(system)
        check(has_mib(system, "a") == 200, "a has all")
        bhctl(system, "start", "b", seconds=60)
        less = has_mib(system, "a")
        check(80 <= less < 200, f"a has {less} MiB")
        check(f"{less}/200 MiB" in bhctl(system, "list"), "and bhctl says so")
        check(system.log().count('"vm-shrinks"') == 1 and '"vm-awaits-memory"' in system.log(), "on record")
        front(system)
        check(system.expect(r"(?s)--- \[\w+\] b \(.*/ # ", 100), "b is up")
        shell(system, "dd if=/dev/zero of=/tmp/zero bs=1M count=16 2>/dev/null; echo ze''ro", "zero\r")
        check(digest(system, "/tmp/zero") == hashlib.sha256(bytes(16 << 20)).hexdigest(), "b works")
        bhctl(system, "kill", "b")
        front(system)
        check(digest(system, "/tmp/noise") == noise, "a's memory is as it was")
        check(has_mib(system, "a") < 200, "a has not all")
        shell(system, "rmmod virtio_balloon; echo go''ne", "gone\r")
        check(has_mib(system, "a") == 200, "a has all")
        check(digest(system, "/tmp/noise") == noise, "and still is")
        bhctl(system, "kill", "a")
        check(sum(int(row[2]) for row in freed(system)) == 99 + 79, "each has ended with all its pieces")


@case(("qemu",), cost=50, limit=500, full=True)
def saved(t):
    """A VM that others have memory of is saved, and goes on with all its memory, of which it gives again what
    its guest does without."""
    vms = {"a": linux(200, 80, **{"save-mib": 120}), "b": linux(160, 64, start="manual")}
    with start_vms(t, vms, system=STAYS, host_mem=512, icount=True, timeout=490) as system:
        noise = begin(system)
        bhctl(system, "start", "b", seconds=60)
        less = has_mib(system, "a")
        check(less < 200, f"a has {less} MiB")
        said = bhctl(system, "restore", "a", ok=(1,))
        check("use bhctl save first" in said, said)
        bhctl(system, "save", "a", seconds=100)
        check("the log says why" in bhctl(system, "restore", "a", ok=(1,)), "b has some of it")
        check(digest(system, "/tmp/noise") == noise, "a goes on")
        bhctl(system, "kill", "b")
        bhctl(system, "restore", "a", seconds=100)
        for _ in range(20):
            shell(system, f"sleep 1; echo aw''ake{_}", rf"awake{_}\r")
            if has_mib(system, "a") == less:
                break
        check(has_mib(system, "a") == less, f"a has {has_mib(system, 'a')} MiB")
        check(digest(system, "/tmp/noise") == noise, "a's memory is as it was")
        fill(system, "a", 70, 200)
        check(digest(system, "/tmp/noise") == noise, "and still is")
        bhctl(system, "kill", "a")
        freed(system)


def refused(t, least, others):
    """What others can never give is not waited for; what they could and do not, for a while: a's guest has no
    driver for its balloon."""
    a = {"memory-mib": 200, "balloon-min-mib": least, "kernel": "count.elf", "append": "n=100000"}
    with start_vms(t, {"a": a, "b": linux(160, 64, start="manual")}, system=STAYS, host_mem=384, timeout=140) as system:
        check(system.expect("COUNT 1", 60), "a runs")
        said = bhctl(system, "start", "b", ok=(1,), seconds=70)
        check(re.search(rf"needs 158 MiB \(others could give {others}\), \d+ MiB are free: \d+ MiB too many", said), said)
        check(("vm-awaits-memory" in system.log()) == (least == 64), "it has waited")


case(("qemu",), cost=5, limit=200, name="refused", least=198, others=2)(refused)
case(("qemu",), cost=30, limit=200, full=True, name="waited_in_vain", least=64, others=136)(refused)
