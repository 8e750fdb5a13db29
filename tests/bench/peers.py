#!/usr/bin/python3
"""make bench-peers: the rows of `make bench` on Linux KVM + QEMU, in the same emulator.

Boots Debian's kernel in QEMU without acceleration (`-cpu EPYC -icount shift=0`, as bench.py does) with an
initrd that holds KVM's modules, Debian's QEMU with its libraries and firmware, the micro guests of
`make bench` and a program for the rows that are no guest's (peers_ops.c). Figures go to
tests/bench/peers.json with date and versions; bench.py reads that file by merge(). Never uses the
build machine's own KVM. Writes tests/bench/peers.json, docs/bench.svg and below build/bench/peers.
"""
import argparse
import collections
import datetime
import json
import os
import re
import subprocess
import sys
import time

import firmware_boot
import linux_boot
import save_restore
import trace
import virtio_io
import wire_flow

HERE = os.path.dirname(os.path.abspath(__file__))

KEPT = "tests/bench/peers.json"
OUT = "build/bench/peers"
FETCHED = "build/third-party/debian"
KERNEL = "build/guests/linux/vmlinuz-generic"  # the peer's host
BUSYBOX = FETCHED + "/busybox/bin/busybox"
QEMU = "/usr/bin/qemu-system-x86_64"
MODULES = ("virt/lib/irqbypass", "arch/x86/kvm/kvm", "drivers/crypto/ccp/ccp",
           "arch/x86/kvm/kvm-amd")
RAM_DISK = "drivers/block/brd"
NETWORK = ("net/llc/llc", "net/802/stp", "net/bridge/bridge", "drivers/net/tun", "drivers/vhost/vhost_iotlb",
           "drivers/vhost/vhost", "drivers/net/tap", "drivers/vhost/vhost_net")
FIRMWARE = ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/multiboot_dma.bin",
            "/usr/share/qemu/multiboot.bin", "/usr/share/qemu/linuxboot_dma.bin",
            "/usr/share/qemu/linuxboot.bin", "/usr/share/qemu/pvh.bin",
            "/usr/share/qemu/kvmvapic.bin")
OPS = "build/bench/peers_ops"
GUESTS = ("guest_exit", "guest_idle", "guest_ipi", "guest_save", "guest_virtio")
RTC = "base=2026-01-01T00:00:0"  # and the attempt: each takes another course
ATTEMPTS = 3
BENCH = re.compile(r"BENCH (\w+) ([0-9.]+) (\d+) (\d+)")
KVM, KVM_QEMU, LINUX = "KVM", "KVM + QEMU", "Linux"
ALL_IN_QEMU = "KVM with all devices in QEMU"

# What guest_exit prints: who answers. With the kernel's interrupt controllers and without.
GUEST_PRINTS = {
    "cpuid": [("exit.cpuid.monitor", KVM)],
    "pio_read": [("exit.pio_read.monitor", KVM_QEMU)],
    "pio_read_absent": [("exit.pio_read.absent", KVM_QEMU)],
    "doorbell": [("exit.doorbell.kernel", KVM_QEMU)],
    "hypercall": [("exit.hypercall.monitor", KVM)],
    "mmio_read_first": [("exit.mmio_read.monitor.first", KVM)],
    "mmio_read_again": [("exit.mmio_read.monitor.again", KVM)],
    "mmio_hole_first": [("exit.mmio_hole.first", KVM_QEMU)],
    "mmio_hole_again": [("exit.mmio_hole.again", KVM_QEMU)],
    "timer_busy": [("timer.guest", KVM)],
    "timer_hlt": [("timer.guest.hlt", KVM)],
}
GUEST_IN_QEMU_PRINTS = {name: [(GUEST_PRINTS[name][0][0], ALL_IN_QEMU)] for name in
                        ("pio_read", "mmio_read_first", "mmio_read_again", "timer_busy", "timer_hlt")}
VIRTIO_PRINTS = {"blk_read4k": "virtio_blk.read4k", "net_pingpong": "virtio_net.pingpong"}
# Sections of peers_init: what is behind the disk.
VIRTIO_DISKS = {"virtio": KVM_QEMU, "virtio-native": "KVM + QEMU, RAM disk by native AIO"}
# Sections of peers_init: who moves frames between the guests and the bridge.
FLOWS = {"flow": KVM_QEMU, "flow-vhost": "KVM + QEMU, vhost-net"}
SAVE_PRINTS = {"save": [("save", KVM_QEMU)], "restore": [("restore", KVM_QEMU + ", its process too")],
               "save_file": [("save.file", KVM_QEMU)]}
# What peers_ops prints.
THREADS_PRINT = {
    "null": [("syscall.null", "Linux, getppid")],
    "signal_eventfd": [("notification.signal", "Linux, eventfd")],
    "signal_futex": [("notification.signal", "Linux, futex")],
    "signal_wait_eventfd": [("notification.signal_wait", "Linux, eventfd")],
    "signal_wait_futex": [("notification.signal_wait", "Linux, futex")],
    "call_futex": [("ipc.call_reply.cross_space", "Linux, futex and shared memory")],
    "call_pipe": [("ipc.call_reply.cross_space", "Linux, two pipes")],
}
VM_PRINTS = {
    "raw_in": [("exit.raw.monitor.in", KVM), ("exit.raw.monitor", "KVM, by IN")],
    "doorbell": [("exit.doorbell.kernel", KVM)],
    "doorbell_set": [("exit.doorbell.kernel.set", KVM)],
    "doorbell_here": [("exit.doorbell.wakes_here", KVM)],
    "host_irq": [("exit.host_irq", "KVM, scheduler's tick")],
}


# ---- The kept figures --------------------------------------------------------------------------------
def kept():
    """The file as it is: {machine, measured: {part: {date, versions}},
    figures: {row: [{who, value, max}, ...]}, linux_boot: {...}}."""
    try:
        with open(KEPT, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {"figures": {}}


def merge(rows):
    """Put the kept figures beside the other peers of bench.py's ROWS: {name: (unit, goal, peers)}."""
    for name, figures in kept()["figures"].items():
        unit, goal, peers = rows[name]
        rows[name] = unit, goal, {**{f["who"]: f["value"] for f in figures}, **peers}


def of_kvm(who):
    """A figure of this file, not of another peer."""
    return who.startswith(("KVM", "Linux", "QEMU"))


def linux_lines():
    """The Linux boot under KVM, in words."""
    b = kept().get("linux_boot", {})
    if "host" not in b:
        return []
    exits = ", ".join(f"{name} {times:,}" for name, times in b["exits_by_reason"].items())
    return [f"KVM: host {b['host']:,}, guest {b['guest']:,}, exits {b['exits']:,}; init after "
            f"{b['up_s']} s of the guest's clock, on the emulator alone {b['alone_up_s']} s",
            f"KVM's exits, by the kernel proper: {exits}"]


def conditions():
    """Where the kept figures come from, for the table."""
    k = kept()
    if not k["figures"]:
        return "KVM: never measured; make bench-peers does"
    dates = sorted({m["date"] for m in k["measured"].values()})
    versions_of = {f"{name} {v}" for m in k["measured"].values() for name, v in m["versions"].items()}
    return (f"KVM: measured {' and '.join(dates)} by make bench-peers on {k['machine']}: " +
            ", ".join(sorted(versions_of)))


# ---- The peer's host ---------------------------------------------------------------------------------
def libraries(program):
    """Shared libraries of a program, the loader included, by the paths it looks for."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def initrd():
    """The peer's host as an initrd; its path."""
    os.makedirs(OUT, exist_ok=True)
    firmware_boot.media()
    virtio_io.media()
    modules = os.path.join(FETCHED, "generic/lib/modules")
    modules = os.path.join(modules, os.listdir(modules)[0], "kernel")
    files = {"init": HERE + "/peers_init", "bin/busybox": BUSYBOX, "bin/qemu-system-x86_64": QEMU}
    files.update({path[1:]: path for path in libraries(QEMU)})
    files.update({f"lib/modules/{os.path.basename(m)}.ko": f"{modules}/{m}.ko" for m in (*MODULES, RAM_DISK, *NETWORK)})
    files.update({"share/" + os.path.basename(path): path for path in FIRMWARE})
    with open(OUT + "/append", "w", encoding="ascii") as f:
        f.write(linux_boot.APPEND + "\n")
    files.update({"guests/vmlinuz": linux_boot.KERNEL, "guests/initrd": linux_boot.INITRD,
                  "guests/append": OUT + "/append", "bin/peers_ops": OPS})
    files.update({"guests/" + os.path.basename(path): path
                  for path in (firmware_boot.CD, firmware_boot.DISK, *firmware_boot.FILES)})
    files |= {"guests/virtio.img": virtio_io.DISK, "guests/initrd-virtio": wire_flow.INITRD}
    for role in wire_flow.ROLES:
        files[f"guests/append-{role}"] = f"{OUT}/append-{role}"
        with open(f"{OUT}/append-{role}", "w", encoding="ascii") as f:
            f.write(wire_flow.append(role) + "\n")
    files.update({f"guests/{g}.elf": f"build/tests/guests/{g}.elf" for g in GUESTS})
    lines = ["char dev/console 600 5 1", "char dev/null 666 1 3"]
    for path, source in files.items():
        lines.append(f"file {path} {os.path.realpath(source)} 755")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout
    lines += [f"link bin/{applet} busybox" for applet in applets.split() if applet != "busybox"]
    folders = {"dev", "proc", "sys", "tmp"}
    for line in lines:
        parts = line.split()[1].split("/")[:-1]
        folders.update("/".join(parts[:i + 1]) for i in range(len(parts)))
    path = OUT + "/initrd.cpio"
    with open(path + ".list", "w", encoding="utf-8") as f:
        f.write("".join(f"dir {d} 755\n" for d in sorted(folders)) + "\n".join(lines) + "\n")
    subprocess.run(["guests/linux/newc.py", path + ".list", path], check=True)
    return path


class StoodStill(Exception):
    """The peer's host did not come to its end, as often as it was started."""


def outer(name, what, count=0, plugin=None, timeout=1000, cpus=1):
    """One boot of the peer's host that does `what`, separated by commas; what it said, by section."""
    directory = f"{OUT}/{name}"
    os.makedirs(directory, exist_ok=True)
    console = directory + "/console.txt"
    # Linux starts no second CPU by the counted clock: one waits awake for the other, and turns are long.
    clock = ["-icount", "shift=0,sleep=off"] if cpus == 1 else []
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", *clock, "-machine", "q35",
               "-cpu", "EPYC", "-m", "1024", "-smp", str(cpus), "-nodefaults", "-nic", "none", "-display", "none", "-monitor", "none", "-no-reboot",
               "-serial", f"file:{console}", "-kernel", KERNEL, "-initrd", initrd(),
               "-append", f"console=ttyS0 quiet nokaslr peers={what} n={count}"]
    if plugin:
        command += ["-plugin", plugin]
    for attempt in range(1, ATTEMPTS + 1):
        started = [*command, "-rtc", f"{RTC}{attempt}"]
        with open(directory + "/command", "w", encoding="utf-8") as f:
            f.write(" ".join(started) + "\n")
        try:
            with open(directory + "/emulator.txt", "wb") as said:
                subprocess.run(started, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                               timeout=timeout, check=True)
            break
        except subprocess.TimeoutExpired:
            # In many runs the guests inside stand still for ever, nobody knows why.
            print(f"bench-peers: {name}: no end after {timeout} s, attempt {attempt} of {ATTEMPTS}", file=sys.stderr)
    else:
        raise StoodStill
    with open(console, encoding="utf-8", errors="replace") as f:
        text = f.read().replace("\r", "")
    sections = dict(re.findall(r"^PEERS begin (\S+)\n(.*?)^PEERS end \1$", text, re.M | re.S))
    sections["where"] = console
    return sections


# ---- Measuring ---------------------------------------------------------------------------------------
class Figures:
    """What is kept, with what was measured by this run in its place: {row: [{who, value, max}, ...]};
    a row's first is the table's column."""

    def __init__(self):
        before = kept()
        self.rows = before["figures"]
        self.linux_boot = before.get("linux_boot", {})
        self.measured = before.get("measured", {})
        self.fresh = set()

    def put(self, row, who, value, most=None):
        value = float(value)
        figure = {"who": who, "value": int(value) if value == int(value) else value}
        if most is not None:
            figure["max"] = int(most)
        if row not in self.fresh:
            self.fresh.add(row)
            self.rows[row] = []
        self.rows[row].append(figure)

    def keep(self, part):
        self.measured[part] = {"date": datetime.date.today().isoformat(), "versions": versions()}
        with open(KEPT, "w", encoding="utf-8") as f:
            json.dump({"machine": "QEMU TCG, -cpu EPYC -icount shift=0,sleep=off",
                       "measured": self.measured, "figures": self.rows,
                       "linux_boot": self.linux_boot}, f, indent=1)
            f.write("\n")


def put_all(figures, said, section, table):
    """Rows that a program prints: {its name: [(row, who), ...]}."""
    found = {name: (mean, most) for name, mean, most, _ in BENCH.findall(said.get(section, ""))}
    for name, rows in table.items():
        if name not in found:
            raise SystemExit(f"bench-peers: {section} gave no figure for {name}, see {said['where']}")
        for row, who in rows:
            figures.put(row, who, *found[name])


def measure_one_cpu(figures, count):
    """The rows that one boot on one CPU can show. Memory first: nothing has been used yet."""
    said = outer("figures", "memory,exits,vm,threads", count)
    put_all(figures, said, "kvm", GUEST_PRINTS)
    put_all(figures, said, "kvm-user", GUEST_IN_QEMU_PRINTS)
    put_all(figures, said, "vm", VM_PRINTS)
    put_all(figures, said, "threads", THREADS_PRINT)
    memory_rows(figures, said)


def measure_linux(figures, _count):
    """The same boot as guest.linux_boot: counted; on the emulator alone for comparison."""
    out = OUT + "/linux.count"
    said = outer("linux", "linux",
                 plugin=linux_boot.plugin(out, linux_boot.ENTRY_ALONE) + ",nested=1")
    total, guest, exits = linux_boot.count_of(out)
    alone = linux_boot.alone()
    figures.put("guest.linux_boot", KVM_QEMU, round((total - guest) / guest, 5))
    figures.linux_boot |= {
        "host": total - guest, "guest": guest, "exits": exits,
        "up_s": linux_boot.up_s(said["linux"]), "alone": alone["count"][0],
        "alone_up_s": alone["up_s"], "total_to_alone": round(total / alone["count"][0], 4)}


def measure_save(figures, _count):
    """The same VM as the rows save and restore, through a file in memory."""
    put_all(figures, outer("save", "save"), "save", SAVE_PRINTS)
    for row in ("save", "restore", "save.file"):
        del figures.rows[row][0]["max"]  # done once
    of_file = figures.rows["save.file"][0]
    of_file["value"] = round(of_file["value"] / (save_restore.TOUCHED_MIB << 20), 5)


def measure_boot(figures, _count):
    """The peer's own kernel from its entry to its init, as a distribution starts it: quiet."""
    for who, kernel in (("Linux, cloud kernel", linux_boot.KERNEL), (LINUX, KERNEL)):
        boot = linux_boot.alone(kernel, linux_boot.APPEND + " quiet", "peers/boot")
        figures.put("boot.kernel_to_root", who, boot["count"][0])


def measure_firmware(figures, _count):
    """The same images as the rows' own."""
    firmware_boot.media()
    for row, (firmware, _, end) in firmware_boot.CASES.items():
        out = f"{OUT}/{firmware}.count"
        outer(firmware, firmware, plugin=firmware_boot.plugin(out, end()))
        total, guest, exits = linux_boot.count_of(out)
        figures.put(row, KVM_QEMU, total)
        print(f"bench-peers: {row}: host {total - guest:,}, guest {guest:,}, exits {exits:,}", file=sys.stderr)


def measure_virtio(figures, count):
    """A disk and a network card of QEMU's, on one CPU."""
    said = outer("virtio", ",".join(VIRTIO_DISKS), count)
    for section, who in VIRTIO_DISKS.items():
        prints = {name: [(row, who)] for name, row in VIRTIO_PRINTS.items() if who == KVM_QEMU or "blk" in name}
        put_all(figures, said, section, prints)


def measure_wire(figures, _count):
    """Two Linux VMs, each with a tap device on one bridge; counted by the same plugin."""
    for section, who in FLOWS.items():
        out = f"{OUT}/{section}.count"
        outer(section, section, plugin=wire_flow.plugin(out), timeout=400)
        for row, (host, guest, exits, _) in wire_flow.counts_of(out).items():
            figures.put(row, who, host)
            print(f"bench-peers: {row}: {who}: host {host:,}, guest {guest:,}, exits {exits:,}", file=sys.stderr)


def measure_ipi(figures, _count):
    """Both CPUs' instructions, by the same plugin."""
    out = OUT + "/ipi.trace"
    outer("ipi", "ipi", plugin=f"file={trace.OUT}/trace.so,out={out},skip=20", cpus=2)
    found = trace.read_trace(out)
    for row, window in trace.IPI_WINDOWS.items():
        figures.put(row, KVM, round(sum(found[window].cost.values()), 2))


# AMD APM vol. 2, appendix C; in the words of the monitor's audit records where it has any.
SVM_EXITS = {**{n: "cr" for n in range(0x20)}, **{n: "dr" for n in range(0x20, 0x40)},
             **{n: "exception" for n in range(0x40, 0x60)}, 0x60: "interrupt", 0x61: "nmi", 0x64: "window", 0x65: "cr", 0x72: "cpuid", 0x77: "pause",
             0x78: "hlt", 0x7b: "io", 0x7c: "msr", 0x7f: "shutdown", 0x81: "hypercall",
             0x89: "cache", 0x8d: "xsetbv", 0x400: "memory"}


def meminfo(text):
    return {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}


def memory_rows(figures, said):
    before, after = meminfo(said["before"]), meminfo(said["after"])

    def grown(*names):
        return 1024 * sum(after[name] - before[name] for name in names)

    # Kernel stacks are vmalloc'ed. What the kernel could give back at once is left out.
    figures.put("memory.kernel_objects", KVM_QEMU, grown("SUnreclaim", "VmallocUsed", "Percpu"))
    figures.put("memory.kernel_objects.tables", KVM_QEMU, grown("PageTables", "SecPageTables"))
    # Resident memory of QEMU, but for the guest's own 256 MiB.
    resident = re.findall(r"^Size: +(\d+) kB.*?^Rss: +(\d+) kB", said["smaps"], re.M | re.S)
    figures.put("memory.monitor", "QEMU", 1024 * sum(int(rss) for size, rss in resident
                                                    if int(size) != 256 * 1024))
    sections = re.findall(r"^ *(\w+)-(\w+) : Kernel (code|rodata|data)$", said["kernel"], re.M)
    modules = re.findall(r"^(kvm|kvm_amd|irqbypass|ccp) (\d+) ", said["kernel"], re.M)
    if len(sections) != 3 or len(modules) != len(MODULES):
        raise SystemExit(f"bench-peers: sizes are not as expected, see {said['where']}")
    figures.put("size.kernel", "Linux with KVM's modules",
                sum(int(end, 16) + 1 - int(start, 16) for start, end, _ in sections) +
                sum(int(size) for _, size in modules))
    reasons = collections.Counter()
    for code, times in re.findall(r"exit_reason: +(\d+) .*hitcount: +(\d+)", said["exits"]):
        reasons[SVM_EXITS.get(int(code), f"code {int(code):#x}")] += int(times)
    figures.linux_boot["exits_by_reason"] = dict(reasons.most_common())


PARTS = {"one-cpu": measure_one_cpu, "linux": measure_linux, "boot": measure_boot,
         "firmware": measure_firmware, "virtio": measure_virtio, "ipi": measure_ipi,
         "save": measure_save, "wire": measure_wire}


def version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True,
                          text=True, check=True).stdout


def versions():
    with (open(FETCHED + "/generic/PACKAGE", encoding="ascii") as generic,
          open(FETCHED + "/cloud/PACKAGE", encoding="ascii") as cloud):
        linux = dict(f.read().split() for f in (generic, cloud))
    return {**linux, "qemu-system-x86": version("qemu-system-x86"),
            "seabios": version("seabios"), "ovmf": version("ovmf")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10000, help="operations of a row")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this, may be repeated")
    args = parser.parse_args()
    trace.claim()
    figures = Figures()
    # Kept after each part, so that one that fails (and ends the run) takes no other with it.
    left = []
    for part in args.part or PARTS:
        began = time.monotonic()
        try:
            PARTS[part](figures, args.count)
        except StoodStill:
            left.append(part)
            continue
        figures.keep(part)
        print(f"bench-peers: {part}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    for row, measured in figures.rows.items():
        for f in measured:
            print(f"{row:32} {f['value']:>14,} {f.get('max', '-'):>10}  {f['who']}")
    import bench  # here, because it reads the file just written
    bench.picture_of_docs()
    for part in left:
        date = figures.measured.get(part, {}).get("date", "no day")
        print(f"bench-peers: {part}: not measured, its host stood still; the figures of {date} stay")
    print(f"bench-peers: kept in {KEPT}, picture in {bench.PICTURE_OF_DOCS}")


if __name__ == "__main__":
    main()
