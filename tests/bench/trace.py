#!/usr/bin/python3
"""What one iteration of a measured operation executes: instructions by function, and expensive ones.

Runs a measuring program with the emulator plugin build/bench/trace.so, which records the instructions
between the long NOPs that stand around each operation. As a program (`make bench-trace ROW=name`):
prints the histogram of a row, or with LIST=1 every instruction. As a module: traces(kind) gives
{window: Trace}. Writes below build/bench only.
"""
import argparse
import bisect
import collections
import fcntl
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import emu  # noqa: E402  (the path above)
import mkboot  # noqa: E402
import run  # noqa: E402

OUT = "build/bench"
KERNEL = run.KERNEL
ROOT_BENCH = OUT + "/root_bench"
GUEST = "build/tests/guests/guest_exit.elf"
GUEST_IPI = "build/tests/guests/guest_ipi.elf"
HOST_BASE = 0xFFFFFFFF80000000

# Windows of tests/bench/bench.h and guest_exit.c, by the row they belong to.
ROOT_WINDOWS = {
    "syscall.null": 21, "ipc.call_reply.cross_space": 22, "notification.signal": 23,
    "notification.signal_wait": 24, "exit.raw.monitor": 26, "exit.raw.monitor.in": 27,
    "exit.raw.monitor.hypercall": 28, "exit.doorbell.kernel": 29, "exit.doorbell.kernel.set": 30,
    "exit.doorbell.wakes_here": 32, "exit.host_irq": 34,
}
ROOT_2_WINDOWS = {"exit.doorbell.wakes_elsewhere": 31}  # on two CPUs
ROOT_4_WINDOWS = {"unmap.shootdown": 33}  # on four
IPI_WINDOWS = {"ipi.x2apic": 40, "ipi.x2apic.halted": 41}  # a VM with two vCPUs, on two
GUEST_WINDOWS = {
    "exit.cpuid.monitor": 1, "exit.pio_read.monitor": 2, "exit.pio_read.absent": 3,
    "exit.hypercall.monitor": 5, "exit.mmio_read.monitor.first": 6, "exit.mmio_read.monitor.again": 7,
    "exit.mmio_hole.first": 8, "exit.mmio_hole.again": 9,
}
# The same date in every run. (Its clock in virtual time makes the emulator crawl.)
RTC = ["-rtc", "base=2026-01-01T00:00:00"]


def two_byte(op):
    return lambda code, modrm: code[:2] == bytes([0x0F, op])


def group_ae(*regs):
    return lambda code, modrm: (code[:2] == b"\x0f\xae" and len(code) > 2 and code[2] < 0xC0
                                and (code[2] >> 3 & 7) in regs)


def exact(*three):
    return lambda code, modrm: code[:3] == bytes(three)


# Instructions that cost far more than one on hardware. Order: first match wins.
EXPENSIVE = [
    ("MOV CR3", lambda c, m: c[:2] == b"\x0f\x22" and len(c) > 2 and (c[2] >> 3 & 7) == 3),
    ("MOV CR0/CR4", lambda c, m: c[:2] == b"\x0f\x22"),
    ("CLTS", two_byte(0x06)),
    ("WRMSR", two_byte(0x30)),
    ("RDMSR", two_byte(0x32)),
    ("VMREAD", two_byte(0x78)),
    ("VMWRITE", two_byte(0x79)),
    ("VMRUN", exact(0x0F, 0x01, 0xD8)),
    ("VMLOAD", exact(0x0F, 0x01, 0xDA)),
    ("VMSAVE", exact(0x0F, 0x01, 0xDB)),
    ("STGI/CLGI", lambda c, m: c[:3] in (b"\x0f\x01\xdc", b"\x0f\x01\xdd")),
    ("VMLAUNCH/VMRESUME", lambda c, m: c[:3] in (b"\x0f\x01\xc2", b"\x0f\x01\xc3")),
    ("XSETBV", exact(0x0F, 0x01, 0xD1)),
    ("TLB flush", lambda c, m: c[:3] == b"\x0f\x01\xdf" or c[:3] in (
        b"\x0f\x38\x80", b"\x0f\x38\x81", b"\x0f\x38\x82") or
        (c[:2] == b"\x0f\x01" and len(c) > 2 and c[2] < 0xC0 and (c[2] >> 3 & 7) == 7)),
    ("XSAVE/FXSAVE", group_ae(0, 4, 6)),
    ("XRSTOR/FXRSTOR", group_ae(1, 5)),
    ("port I/O", lambda c, m: c[0] in (0xE4, 0xE5, 0xE6, 0xE7, 0xEC, 0xED, 0xEE, 0xEF)),
    ("SYSCALL", two_byte(0x05)),
    ("IRET", lambda c, m: c[:1] == b"\xcf"),
]
PREFIXES = (0x66, 0x67, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, 0xF0)


def expensive(code):
    """Names of what makes an instruction expensive (64-bit code)."""
    i, locked = 0, False
    while i < len(code) and (code[i] in PREFIXES or 0x40 <= code[i] <= 0x4F):
        locked |= code[i] == 0xF0
        i += 1
    body = code[i:]
    if body[:1] in (b"\x86", b"\x87") and len(body) > 1 and body[1] < 0xC0:
        locked = True  # XCHG with memory
    names = ["locked"] if locked else []
    for name, match in EXPENSIVE:
        if body and match(body, None):
            names.append(name)
            break
    return names


class Symbols:
    """Addresses to function names."""

    def __init__(self, *elfs):
        table = []
        for path in elfs:
            for line in subprocess.run(["nm", "-n", path], capture_output=True, text=True,
                                       check=True).stdout.splitlines():
                words = line.split()
                if (len(words) == 3 and words[1] in "tTwW" and not words[2].startswith(".")
                        and words[2] != "text_start"):  # an alias of the first function
                    table.append((int(words[0], 16), words[2]))
        table.sort()
        self.addresses = [a for a, _ in table]
        self.names = [n for _, n in table]

    def name(self, address):
        i = bisect.bisect_right(self.addresses, address) - 1
        return self.names[i] if i >= 0 else hex(address)


class Trace:
    """The instructions of one iteration."""

    def __init__(self):
        self.insns = []  # (cpu, address, bytes)
        self.cost = {}  # cpu: instructions, mean of all iterations but the first
        self.times = 0

    def where(self, address):
        if address >= HOST_BASE:
            return "kernel"
        return "user" if 0x400000 <= address < 0x2000000 else "guest"

    def by_function(self, symbols):
        """Counter of (where, function), in order of first execution."""
        counts = collections.OrderedDict()
        for _, address, _ in self.insns:
            where = self.where(address)
            key = (where, symbols.name(address) if where != "guest" else "(guest)")
            counts[key] = counts.get(key, 0) + 1
        return counts

    def expensive(self):
        """{name: times}, host side only."""
        counts = collections.Counter()
        for _, address, code in self.insns:
            if self.where(address) != "guest":
                counts.update(expensive(code))
        return dict(sorted(counts.items()))

    def locked_at(self, symbols):
        """Functions that hold a locked instruction."""
        return sorted({symbols.name(address) for _, address, code in self.insns
                       if self.where(address) != "guest" and "locked" in expensive(code)})


def read_trace(path):
    traces = collections.defaultdict(Trace)
    with open(path, encoding="ascii") as f:
        for line in f:
            words = line.split()
            if words[0] == "insn":
                traces[int(words[1])].insns.append(
                    (int(words[2]), int(words[3], 16), bytes.fromhex(words[4])))
            elif words[0] == "cost":
                trace, times = traces[int(words[1])], int(words[4])
                trace.cost[int(words[2])], trace.times = int(words[3]) / times, times
    return traces


def boot_of(kind, directory, append):
    """(boot module, MiB of memory) of a measuring program."""
    if kind == "root":
        path = os.path.join(directory, "boot.img")
        with open(path, "wb") as f:
            f.write(mkboot.boot_image(run.read(ROOT_BENCH + ".bin"), []))
        return path, 512
    if kind == "ipi":
        system = run.one_vm(directory, GUEST_IPI, cpus=2, mem=64)
    else:
        system = two_vms(directory, append)
    return system.boot, system.mem


def two_vms(directory, append):
    """The measured guest, and beside it a second VM that is ready to run at any time."""
    source = os.path.join(directory, "manifest.dts")
    vms = {
        "measured": {"memory-mib": 64, "kernel": "guest_exit.elf", "append": append,
                     "debug-exit": True, "on-stop": "end-system", "floor-percent": 90},
        "spins": {"memory-mib": 64, "kernel": "guest_spin.elf"},
    }
    images = {"guest_exit.elf": GUEST}
    with open(source, "w", encoding="utf-8") as f:
        f.write(run.manifest_source(vms))
    return run.System(directory, source, images, name="benchmark")


def start(kind, name, append="", cmdline="", cpus=1, emulator="qemu", plugin=None, timeout=180):
    """One run of a measuring program to its end; the Emulator."""
    directory = os.path.join(OUT, name)
    os.makedirs(directory, exist_ok=True)
    boot, mem = boot_of(kind, directory, append)
    args = (RTC if emulator == "qemu" else []) + (["-plugin", plugin] if plugin else [])
    settings = emu.Settings(kernel=KERNEL, boot=boot, emu=emulator, icount=True, cpus=cpus, mem=mem,
                            cmdline=cmdline, directory=directory, timeout=timeout, qemu_args=args)
    machine = emu.Emulator(settings)
    with machine:
        status = machine.wait()
    if status not in (0, 33):
        sys.exit(f"bench: the run in {directory} ended with status {status}: {machine.reason}")
    return machine


def trace_path(kind, cpus):
    return f"{OUT}/{kind}-{cpus}.trace"


def traces(kind, cpus=1, count=30):
    """Traces of all windows of a measuring program: {window: Trace}."""
    out = trace_path(kind, cpus)
    plugin = f"file={OUT}/trace.so,out={out},skip=20"
    if kind == "root":
        start(kind, f"trace-root-{cpus}", cmdline=f"n={count}", cpus=cpus, plugin=plugin)
    else:
        start(kind, f"trace-{kind}", append="n=30", cpus=cpus, plugin=plugin)
    return read_trace(out)


BOCHS_LINE = re.compile(r"\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]+) .*; ([0-9a-f]+)\s*$")
BOCHS_SKIP = 5  # iterations of a window before the one that is kept


def mark_of(code):
    """Number of the window that an instruction opens; None: it is no mark."""
    if len(code) >= 7 and code[-7:-5] == b"\x0f\x1f" and code[-2:] == b"\x48\x42":
        return code[-4] | code[-3] << 8
    return None


def read_bochs(lines, found, state):
    """Add what Bochs' debugger has written to {window: Trace}; state goes on in the next call."""
    for line in lines:
        m = BOCHS_LINE.match(line)
        if not m:
            continue
        code = bytes.fromhex(m[2])
        mark = mark_of(code)
        if mark is None:
            if state["trace"]:
                state["trace"].insns.append((0, int(m[1], 16), code))
            continue
        if mark == 0xFFFF:
            if state["trace"]:
                found[state["window"]] = state["trace"]
            state["trace"] = None
            continue
        state["seen"][mark] += 1
        state["window"] = mark
        state["trace"] = Trace() if state["seen"][mark] == BOCHS_SKIP else None


def address_of(elf, name):
    for line in subprocess.run(["nm", elf], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        if line.split()[-1] == name:
            return int(line.split()[0], 16)
    sys.exit(f"bench: {elf}: no symbol {name}")


def traces_bochs(kind, wanted, timeout=300):
    """{window: Trace} of those windows, on VMX: Bochs' debugger writes every instruction."""
    directory = os.path.join(OUT, f"trace-{kind}-vmx")
    os.makedirs(directory, exist_ok=True)
    boot, mem = boot_of(kind, directory, "n=1 trace=1")
    root = ROOT_BENCH + ".elf" if kind == "root" else run.ROOT.replace(".bin", ".elf")
    start_at = [address_of(root, "root_main")]
    start_at.append(address_of(root, "op_empty") if kind == "root" else
                    address_of(GUEST, "measure_cpuid_and_ports"))
    machine = emu.Emulator(emu.Settings(
        kernel=KERNEL, boot=boot, emu="bochs", icount=True, mem=mem, cmdline="n=1 trace=1",
        directory=directory, timeout=timeout, bochs_trace=start_at))
    path = os.path.join(directory, "trace")
    if os.path.exists(path):
        os.remove(path)
    found, state = {}, {"trace": None, "window": None, "seen": collections.Counter()}
    rest, offset, last = "", 0, time.monotonic()
    with machine:
        while not set(wanted) <= set(found):
            if time.monotonic() > last + timeout:
                sys.exit(f"bench: {directory}: not all was reached on VMX")
            for _ in range(1000):  # lets the debugger's output go on
                machine.step(0)
            if not os.path.exists(path):
                continue
            with open(path, encoding="ascii", errors="replace") as f:
                f.seek(offset)
                rest += f.read()
                offset = f.tell()
            lines = rest.split("\n")
            rest = lines.pop()
            read_bochs(lines, found, state)
    os.remove(path)
    return found


def symbols_of(kind):
    program = ROOT_BENCH + ".elf" if kind == "root" else run.MONITOR + ".elf"
    return Symbols(KERNEL, program)


def claim():
    """Wait until no other measurement writes below build/bench; then none does until this process ends."""
    os.makedirs(OUT, exist_ok=True)
    held = os.open(OUT, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"bench: another measurement writes to {OUT}: this one waits until it has ended", file=sys.stderr, flush=True)
        fcntl.flock(held, fcntl.LOCK_EX)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rows = [*ROOT_WINDOWS, *ROOT_2_WINDOWS, *ROOT_4_WINDOWS, *GUEST_WINDOWS, *IPI_WINDOWS]
    parser.add_argument("row", help=", ".join(rows))
    parser.add_argument("--list", action="store_true", help="every instruction, with its function")
    parser.add_argument("--again", action="store_true", help="use the last run's trace")
    args = parser.parse_args()
    claim()
    cpus = 1
    if args.row in ROOT_WINDOWS:
        kind, window = "root", ROOT_WINDOWS[args.row]
    elif args.row in ROOT_2_WINDOWS:
        kind, window, cpus = "root", ROOT_2_WINDOWS[args.row], 2
    elif args.row in ROOT_4_WINDOWS:
        kind, window, cpus = "root", ROOT_4_WINDOWS[args.row], 4
    elif args.row in GUEST_WINDOWS:
        kind, window = "guest", GUEST_WINDOWS[args.row]
    elif args.row in IPI_WINDOWS:
        kind, window, cpus = "ipi", IPI_WINDOWS[args.row], 2
    else:
        sys.exit(f"bench-trace: unknown row '{args.row}'; there are: " + ", ".join(rows))
    found = read_trace(trace_path(kind, cpus)) if args.again else traces(kind, cpus)
    if window not in found:
        sys.exit(f"bench-trace: the run did not reach {args.row}")
    trace, symbols = found[window], symbols_of(kind)
    if args.list:
        for cpu, address, code in trace.insns:
            where = trace.where(address)
            print(f"{cpu} {where:6} {address:16x} {code.hex():30} "
                  f"{symbols.name(address) if where != 'guest' else ''} "
                  f"{' '.join(expensive(code)) if where != 'guest' else ''}")
        return
    by_cpu = collections.Counter(cpu for cpu, _, _ in trace.insns)
    print(f"{args.row}: {len(trace.insns)} instructions in one iteration (with the RDTSC pair)" +
          ("; by CPU " + ", ".join(f"{c}: {n}" for c, n in sorted(by_cpu.items())) if cpus > 1 else ""))
    for (where, name), count in sorted(trace.by_function(symbols).items(), key=lambda x: -x[1]):
        print(f"{count:7}  {where:6}  {name}")
    print("expensive:", ", ".join(f"{n} x {c}" for n, c in trace.expensive().items()) or "none")
    if re.search("^exit", args.row):
        print("locked in:", ", ".join(trace.locked_at(symbols)) or "nothing")


if __name__ == "__main__":
    main()
