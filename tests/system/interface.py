"""`make run` as a person or a script sees it: exit status, what is on stdout, keys on a terminal."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import emu
from case import case, check, start_guest, start_vms, to_the_end
from run import manifest_source

MAKE = os.environ.get("MAKE", "make")
GUESTS = "build/tests/guests"
CLEAN = {"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", "INSTALL": "no"}


def make_run(*arguments):
    """Run `make run ...` without a terminal: (status, stdout, stderr)."""
    done = subprocess.run([MAKE, "--no-print-directory", "run", *arguments], capture_output=True,
                          text=True, errors="replace", env=dict(os.environ, **CLEAN),
                          stdin=subprocess.DEVNULL, check=False)
    print(f"$ make run {' '.join(arguments)}\n{done.stdout}\n{done.stderr}\n-> {done.returncode}")
    return done.returncode, done.stdout, done.stderr


@case(("qemu", "bochs"), cost=10, limit=200)
def pasted(t):
    """What is typed at once, and is more than any UART holds, arrives whole."""
    with start_guest(t, f"{GUESTS}/typed.elf", append="typed=200", mem=64, interactive=True, timeout=150) as system:
        check(system.expect("BH-EXPECT typing", 100), "the guest is ready")
        system.send(bytes(ord("a") + i % 26 for i in range(200)))
        result = to_the_end(system)
    check(result.status == 33, "all of it arrived", result)


@case(("qemu",), cost=5)
def late_reader(t):
    """Nobody comes to read the consoles before the system has ended, which in virtual time is soon: nothing is lost."""
    vms = {name: {"memory-mib": 64, "kernel": "event_reinject.elf", "debug-exit": True} for name in ("one", "two")}
    with start_vms(t, vms, icount=True) as system:
        system.process.wait(60)
        result = to_the_end(system)
    check(result.status == 33, "the guests pass", result)
    check(len(re.findall(r"^BH-PASS event_reinject", result.console, re.M)) == 2, "their last words are there", result)


@case(("qemu", "bochs"), cost=10)
def guest_status(t):
    """The guest's debug-exit status is make's; its serial port is stdout."""
    status, out, _ = make_run(f"GUEST={GUESTS}/hello.elf", f"EMU={t.emu}", "MEM=64M", "TIMEOUT=60")
    check(status == 33 and "hello from a guest" in out, "status 33 and the greeting")


@case(("qemu",), cost=12)
def timeout(t):
    status, _, err = make_run(f"GUEST={GUESTS}/spin.elf", "EMU=qemu", "MEM=64M", "TIMEOUT=5")
    check(status == 124 and "timeout" in err, "status 124, and said so")


@case(("qemu",), cost=3)
def emulator_dies(t):
    """A check of the emulator's own that fails is told from an end of the system, with its last words."""
    with start_guest(t, f"{GUESTS}/typed.elf", append="typed=200", mem=64, timeout=50) as system:
        check(system.expect("BH-EXPECT typing", 50), "the guest is ready")
        os.kill(system.process.pid, signal.SIGABRT)
        status = system.wait()
    print(system.reason)
    check(status == emu.NO_END and system.reason.startswith(emu.DIED) and "qemu" in system.reason, system.reason)


@case(("qemu",), cost=10)
def stopped(t):
    """A VM that its monitor stops: status 123, the audit record on stderr."""
    status, _, err = make_run(f"GUEST={GUESTS}/triple_fault.elf", "EMU=qemu", "MEM=64M", "TIMEOUT=30")
    check(status == 123 and re.search(r"^audit: ", err, re.M), "status 123 and an audit line")


@case(("qemu",), cost=10)
def bad_image(t):
    """A file that is no image: refused with a reason, not started."""
    path = os.path.join(t.new_dir(), "noise")
    with open(path, "wb") as f:
        f.write(b"noise " * 10000)
    status, _, err = make_run(f"GUEST={path}", "EMU=qemu", "TIMEOUT=30")
    check(status == 122 and "neither a bzImage nor" in err.splitlines()[-1], f"status 122, and the reason at the end: {err}")


@case(cost=3)
def missing_image(t):
    for name in "GUEST", "INITRD", "MANIFEST", "DISK":
        status, _, err = make_run(f"{name}=/nowhere/it")
        check(status == 2 and f"{name}: /nowhere/it: No such file" in err, "status 2, and the file is named")


@case(cost=5)
def contradictions(t):
    """What would be ignored is refused: one VM and a manifest, a VM's properties without it, a variable that is none."""
    for given, said in (("MANIFEST=guests/demo.dts GUEST=README.md", "MANIFEST: it names all of its VMs"),
                        ("MANIFEST=guests/demo.dts MEM=64M", "MEM: is for the one VM"),
                        ("CPUS=2", "CPUS: is for the one VM"), ("GUST=README.md", "GUST: 'make run' has no such"),
                        ("MANIFEST=docs", "MANIFEST: docs: Is a directory")):
        status, _, err = make_run(*given.split())
        check(status == 2 and said in err, f"{given}: status 2, and why")
    path = os.path.join(t.new_dir(), "my.dtb")
    with open(path, "wb") as f:
        f.write(b"\xd0\x0d\xfe\xed")
    status, _, err = make_run(f"MANIFEST={path}")
    check(status == 2 and "is compiled, wanted is a manifest's source" in err, "status 2, and what is wanted")


@case(("qemu",), cost=3)
def too_large(t):
    """More memory than the emulator gets: its own words."""
    status, _, err = make_run(f"GUEST={GUESTS}/hello.elf", "EMU=qemu", "HOST_MEM=100000G", "TIMEOUT=20")
    check(status == 125 and "the emulator has not started" in err, "status 125, and why")


@case(cost=3)
def wrong_format(t):
    """A disk image that is not raw is named, with what to do."""
    path = os.path.join(t.new_dir(), "disk.qcow2")
    with open(path, "wb") as f:
        f.write(b"QFI\xfb\0\0\0\3" + bytes(504))
    status, _, err = make_run("FIRMWARE=seabios", f"DISK={path}")
    check(status == 2 and f"DISK: {path}: is a qcow2 image" in err and "qemu-img convert" in err, "status 2, and the way")


@case(("qemu",), cost=10)
def not_started(t):
    """A VM that root does not start: status 122, and root's reason. An image without a byte is told before."""
    path = os.path.join(t.new_dir(), "nothing.elf")
    with open(path, "wb"):
        pass
    status, _, err = make_run(f"GUEST={path}", "EMU=qemu", "MEM=64M", "TIMEOUT=30")
    check(status == 2 and f"GUEST: {path}: is empty" in err, "status 2, and the reason")
    manifest = os.path.join(os.path.dirname(path), "nothing.dts")
    with open(manifest, "w", encoding="utf-8") as f:
        f.write(manifest_source({"guest": {"memory-mib": 64, "kernel": "nothing.elf"}}))
    status, _, err = make_run(f"MANIFEST={manifest}", "EMU=qemu", "TIMEOUT=30")
    check(status == 122 and re.search(r"^root: vm guest: nothing\.elf: empty", err, re.M), "status 122, and the reason")


@case(cost=3)
def wrong_manifest(t):
    """Errors name the manifest that was given, not what was made of it."""
    path = os.path.join(t.new_dir(), "wrong.dts")
    with open("guests/demo.dts", encoding="utf-8") as f, open(path, "w", encoding="utf-8") as to:
        to.write(f.read().replace("floor-percent", "flor-percent"))
    status, _, err = make_run(f"MANIFEST={path}")
    check(status == 2 and re.search(re.escape(path) + r":\d+: /vms/desktop: flor-percent", err) and ".dtb" not in err,
          "status 2, and where")


@case(("qemu",), cost=10)
def refused(t):
    """A manifest that root refuses, because the machine is too small: status 121, and the rule."""
    path = os.path.join(t.new_dir(), "large.dts")
    with open(path, "w", encoding="utf-8") as f:
        f.write(manifest_source({"large": {"memory-mib": 512, "kernel": "hello.elf"}}))
    status, _, err = make_run(f"MANIFEST={path}", "EMU=qemu", "HOST_MEM=256M", "TIMEOUT=30")
    check(status == 121 and "[memory-fits-host]" in err and "protection" not in err, "status 121, and the rule")


@case(cost=3)
def wrong_value(t):
    """A value that is none of a variable's: status 2, and the variable as it was given."""
    status, _, err = make_run(f"GUEST={GUESTS}/hello.elf", "MEM=lots")
    check(status == 2 and err.startswith("MEM: 'lots'"), "status 2, and the variable")
    status, _, err = make_run(f"GUEST={GUESTS}/hello.elf", "TIMEOUT=-3")
    check(status == 2 and err.startswith("TIMEOUT: '-3'"), "the same for a time")


@case(("qemu",), cost=12)
def debug(t):
    """`make debug` waits for gdb, with the symbols of kernel, root and monitor."""
    run = subprocess.Popen([MAKE, "--no-print-directory", "debug", f"GUEST={GUESTS}/hello.elf", "MEM=64M",
                            "TIMEOUT=60"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           env=dict(os.environ, **CLEAN))
    script = next((line.split()[-1] for line in run.stderr if "waits for: gdb -x" in line), None)
    check(script, "it says how to start gdb")
    socket = script.replace("gdb.cmd", "gdb.sock")
    while not os.path.exists(socket) and run.poll() is None:
        time.sleep(0.1)
    said = t.command("gdb", "-batch", "-x", script, "-ex", "break boot_main", "-ex", "continue", "-ex", "info symbol $pc",
                     "-ex", "info line supervise", "-ex", "info line exit_cpuid", "-ex", "delete", "-ex", "continue",
                     ok=(0, 1))
    run.wait(60)
    check(re.search(r"^boot_main .*in section", said, re.M), "the kernel has stopped in boot_main")
    check(re.search(r'of "vmm/root/main.c"', said) and re.search(r'of "vmm/monitor/', said),
          "root and monitor have lines")


@case(("qemu", "bochs"), cost=15)
def terminal(t):
    """On a terminal the run is interactive, and Ctrl-A X ends it with 130 and a sane terminal."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen([MAKE, "--no-print-directory", "run", f"GUEST={GUESTS}/spin.elf",
                            f"EMU={t.emu}", "MEM=64M", "TIMEOUT=60"], stdin=theirs, stdout=theirs,
                           stderr=theirs, start_new_session=True, env=dict(os.environ, **CLEAN))
    said, sent, deadline = b"", False, time.monotonic() + 70
    while run.poll() is None and time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            said += os.read(ours, 4096)
        if b"BH-EXPECT spinning" in said and not sent:
            os.write(ours, b"\x01x")
            sent = True
    run.kill()
    print(said.decode("utf-8", "replace"))
    check(sent and run.wait() == 130, f"status 130, not {run.returncode}")
