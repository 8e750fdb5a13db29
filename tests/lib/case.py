"""What a system test is written with. A file tests/system/*.py registers functions:

    from case import case, check, run_guest, run_vms, start_guest

    @case(emulators=("qemu", "bochs"), cost=40)
    def linux_boots(t):
        result = run_guest(t, "build/guests/linux/vmlinuz-cloud", initrd=..., append="console=ttyS0")
        check(result.status == 0, "poweroff ends with 0", result)

A case named f runs once per emulator, as `file.f@qemu`; without emulators once, as `file.f`.
Failing is any exception. The only way to skip is t.skip(GAP, ...) with a gap of gaps.py, whose
probe must show the emulator's gap right now; a case skipped in every emulator counts as failed.
Cases run from the root of the checkout, each in a process of its own; t.dir is theirs alone.
"""
import json
import fcntl
import os
import re
import subprocess
import sys
import time

import emu
import run

CASES = {}


class Case:
    """One function as it is registered; see case()."""

    def __init__(self, function, name, emulators, cost, limit, full, alone, parameters):
        self.function, self.name, self.emulators = function, name, emulators
        self.cost, self.limit, self.full, self.alone, self.parameters = cost, limit, full, alone, parameters


def case(emulators=(), cost=10, limit=None, full=False, alone=False, name=None, **parameters):
    """Register a test.

    emulators: in which it runs. cost: seconds it takes, roughly; the costly start first. limit:
    seconds after which it counts as hanging (default 6 * cost + 60, without emulators, beside those of
    others, twice that). full: only in `make test-full`. alone: without another emulator beside it, since its own CPUs
    want all of the host's at the same time, and some would be left alone for minutes.
    name: instead of the function's. Other parameters are passed to the function by name.
    """
    def register(function):
        file = os.path.splitext(os.path.basename(function.__code__.co_filename))[0]
        full_name = f"{file}.{name or function.__name__}"
        for emulator in emulators or (None,):
            key = full_name + (f"@{emulator}" if emulator else "")
            if key in CASES:
                raise ValueError(f"two tests are called {key}")
            CASES[key] = Case(function, key, emulator, cost, limit or (6 * cost + 60) * (1 if emulator else 2), full, alone,
                              parameters)
        return function
    return register


class Failed(Exception):
    """A check did not hold."""


class Skipped(Exception):
    """The emulator's gap was demonstrated."""


def check(holds, what, result=None):
    """Fail with the text unless holds; result's output is shown."""
    if holds:
        return
    if result is not None:
        print(result.text())
    raise Failed(what)


# What root says between the VMs' own output, in the middle of a line if need be.
NOTE = re.compile(r"\n?--- .*? ---\n")
SWITCH_CONSOLE = b"\x1d"  # Ctrl-]: the next VM's console; what it has said so far is shown


class Result:
    """How a run ended: status (see emu.py), reason, console without root's notes, log as text."""

    def __init__(self, emulator):
        self.status = emulator.finish()
        self.reason = emulator.reason
        self.console = NOTE.sub("", emulator.said().replace("\r", ""))
        self.log = emulator.log()

    def audit(self, event):
        """The audit records of an event, as dictionaries."""
        records = (json.loads(line.partition("audit: ")[2]) for line in self.log.splitlines()
                   if line.partition("audit: ")[2].startswith("{"))
        return [record for record in records if record.get("event") == event]

    def ends(self):
        """{VM: status it wrote to its debug-exit port, or the kind of its end}."""
        return {end["vm"]: end.get("status", end["kind"]) for end in self.audit("vm-ended")}

    def text(self):
        """For a person who reads the failure."""
        return (f"--- console ---\n{self.console[-6000:]}\n--- log ---\n{self.log[-6000:]}\n"
                f"--- status {self.status}: {self.reason}")


class Context:
    """What a case is given: the emulator's name, a directory, and skip()."""

    def __init__(self, name, emulator):
        self.name, self.emu = name, emulator
        self.dir = os.path.join("build/test", name)
        os.makedirs(self.dir, exist_ok=True)
        self.runs = 0

    def new_dir(self):
        """A directory for one more run of this test."""
        self.runs += 1
        path = os.path.join(self.dir, str(self.runs))
        os.makedirs(path, exist_ok=True)
        return path

    def skip(self, gap):
        """Skip, once the gap's probe has shown that it is there."""
        if not gap.shown(self):
            raise Failed(f"gap '{gap.name}' was not demonstrated: the test must run here")
        raise Skipped(gap.name)

    def command(self, *words, env=None, cwd=None, ok=(0,)):
        """Run a program; its output goes to the test's log and is returned as text."""
        print("$", " ".join(words), flush=True)
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", env=dict(os.environ, **(env or {})), cwd=cwd,
                              stdin=subprocess.DEVNULL, check=False)
        sys.stdout.write(done.stdout)
        if done.returncode not in ok:
            raise Failed(f"{' '.join(words)}: exit status {done.returncode}")
        return done.stdout


def build(t, *targets):
    """Make what only some tests need; other cases may want it at the same time."""
    os.makedirs("build", exist_ok=True)
    with open("build/on-demand.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        t.command(os.environ.get("MAKE", "make"), "--no-print-directory", *targets,
                  env={"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", "INSTALL": "no"})


def broken_kernel(t, switch):
    """Build a kernel with a test-only switch -D<switch>; its path, for kernel=."""
    out = f"build/broken/{switch.lower()}"
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the same case in the other emulator may want it too
        t.command(os.environ.get("MAKE", "make"), "--no-print-directory", "kernel", f"KERNEL_OUT={out}",
                  f"DEFS=-D{switch}",
                  env={"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", "INSTALL": "no"})
    return f"{out}/bulkhead.elf"


def start_system(t, system, host_cpus=1, host_mem=None, timeout=120, kernel=run.KERNEL, **settings):
    """An emu.Emulator, started. For scripted sessions; use it in a with statement."""
    chosen = emu.Settings(kernel=kernel, boot=system.boot, emu=t.emu or "qemu", cpus=host_cpus,
                          mem=host_mem or system.mem, timeout=timeout,
                          directory=os.path.dirname(system.boot), **settings)
    return emu.Emulator(chosen).start()


def start_manifest(t, source, images=None, **settings):
    """Start the system with a manifest file; images: {name: path} of those that are not ours."""
    return start_system(t, run.System(t.new_dir(), source, images or {}), **settings)


def beside_cpu_0(t, vms, settings):
    """Properties that put each VM elsewhere, on a machine with a CPU more. QEMU loses CPU 0's state, rarely, when VMs
    run there and on others at the same time (docs/EMULATORS.md), which they do unless instructions are counted."""
    cpus = settings.get("host_cpus", 1)
    if t.emu == "bochs" or cpus == 1 or settings.get("icount"):
        return {}
    allowed = {name: vm.get("cpu-set") or ([vm["cpu"]] if "cpu" in vm else range(cpus)) for name, vm in vms.items()}
    if not any(0 in numbers for numbers in allowed.values()):
        return {}
    settings["host_cpus"] = cpus + 1
    return {name: {"cpu": vm["cpu"] + 1} if "cpu" in vm else {"cpu-set": [n + 1 for n in allowed[name]]}
            for name, vm in vms.items()}


def start_guest(t, guest=None, cpus=1, **arguments):
    """Start the system with one VM, as `make run GUEST=` or `FIRMWARE=` does: run.VM_OPTIONS, and start_system()'s."""
    vm = {name: arguments.pop(name) for name in run.VM_OPTIONS if name in arguments}
    arguments.setdefault("host_cpus", cpus)
    placed = beside_cpu_0(t, {"guest": {}}, arguments).get("guest")
    system = run.one_vm(t.new_dir(), guest, cpus=cpus, placed=placed, **vm)
    return start_system(t, system, **arguments)


def start_vms(t, vms, wires=None, system=None, **settings):
    """Start the system with {name: {property: value}} and {name: (VM, VM)}, see run.manifest_source()."""
    source = os.path.join(t.new_dir(), "manifest.dts")
    placed = beside_cpu_0(t, vms, settings)
    # Properties come before nodes.
    vms = {name: {**placed.get(name, {}), **vm, **placed.get(name, {})} for name, vm in vms.items()}
    with open(source, "w", encoding="utf-8") as f:
        f.write(run.manifest_source(vms, wires, system))
    return start_manifest(t, source, **settings)


def host_cpus(t, cpus):
    """The machine's CPUs for as many virtual ones: Bochs has two."""
    return min(cpus, 2) if t.emu == "bochs" else cpus


def boot_sector(t, name):
    """A disk that begins with the boot sector of tests/system/guests/NAME.S."""
    built, disk = os.path.join(t.dir, "sector.o"), os.path.join(t.dir, "disk.img")
    subprocess.run(["gcc", "-m32", "-c", "-o", built, f"tests/system/guests/{name}.S"], check=True)
    subprocess.run(["ld", "-melf_i386", "-Ttext=0x7c00", "--oformat=binary", "-o", disk, built], check=True)
    os.truncate(disk, 1 << 20)
    return disk


def to_the_end(emulator):
    """Wait for the end of a started system; a Result."""
    try:
        emulator.wait()
    finally:
        result = Result(emulator)
    return result


def bhctl(emulator, *words, ok=(0,), seconds=120):
    """Run bhctl against a started system, which goes on meanwhile; what it said on stdout."""
    print("$ bhctl", " ".join(words), flush=True)
    command = ["build/bhctl", f"--socket={emulator.control_path}", *words]
    deadline = time.monotonic() + seconds
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, preexec_fn=emu.die_with_parent) as process:
        while process.poll() is None and time.monotonic() < deadline:
            emulator.step(0.05)
        if process.poll() is None:
            process.kill()
        out, err = process.communicate()
    if process.returncode not in ok:
        raise Failed(f"bhctl {' '.join(words)}: exit status {process.returncode}: {out}{err}")
    return out + err if process.returncode else out


def ask(emulator, *words, ok=(0,), seconds=120):
    """What bhctl --json answers: the result, or the error."""
    text = bhctl(emulator, "--json", *words, ok=ok, seconds=seconds)
    answer = json.JSONDecoder().raw_decode(text)[0]
    return answer["result"] if "result" in answer else answer["error"]


def run_guest(t, guest=None, **arguments):
    """start_guest() to the end."""
    return to_the_end(start_guest(t, guest, **arguments))


def run_manifest(t, source, **arguments):
    """start_manifest() to the end."""
    return to_the_end(start_manifest(t, source, **arguments))


def run_vms(t, vms, **settings):
    """start_vms() to the end."""
    return to_the_end(start_vms(t, vms, **settings))
