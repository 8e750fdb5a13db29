#!/usr/bin/python3
"""make bench: measures every figure of the project's goals, prints the table, keeps the ratchet.

Rows go to build/bench.json as {name, value, max, unit, emulator, backend, limit, peers, ...}, a picture
to build/bench.svg. Fails (status 1) when a row is more than 5 % worse than tests/bench/committed.json, when an
exit takes a lock it should not, or when a figure cannot be measured; a missed goal is printed and
does not fail. --commit rewrites committed.json. How each row is measured: docs/BENCH.md.
"""
import argparse
import json
import re
import subprocess
import sys
import time

import firmware_boot
import linux_boot
import peers
import resources
import trace
import run
import save_restore
import virtio_io
import wire_flow

RESULT = "build/bench.json"
PICTURE = "build/bench.svg"
PICTURE_OF_DOCS = "docs/bench.svg"  # as of the committed figures
COMMITTED = "tests/bench/committed.json"
WORSE = 1.05

NOVA, GENODE, SEL4, XEN = "NOVA 24.35", "Genode's NOVA r10", "seL4", "Xen"
EXIT_PEERS = {NOVA: 495, GENODE: 809}
CPUID_PEERS = {XEN: 2493}
PIO_PEERS = {XEN + " + QEMU": 43230, XEN + " in the hypervisor": 1120}

# name: (unit, goal or None, peers {who: value}). Lower is better but for HIGHER. KVM's are added below.
ROWS = {
    "exit.raw.monitor": ("instructions", 330, EXIT_PEERS),
    "exit.raw.monitor.in": ("instructions", None, {NOVA: 500, GENODE: 813}),
    "exit.raw.monitor.hypercall": ("instructions", None, {NOVA: 459, GENODE: 789}),
    "exit.cpuid.monitor": ("instructions", 650, CPUID_PEERS),
    "exit.pio_read.monitor": ("instructions", 480, PIO_PEERS),
    "exit.pio_read.absent": ("instructions", None, {}),
    "exit.hypercall.monitor": ("instructions", None, {XEN: 2612}),
    "exit.doorbell.kernel": ("instructions", 250, {}),
    "exit.doorbell.kernel.set": ("instructions", None, {}),
    "exit.doorbell.wakes_elsewhere": ("instructions", 500, {}),
    "exit.doorbell.wakes_here": ("instructions", None, {}),
    "exit.mmio_read.monitor.first": ("instructions", 1700, {}),
    "exit.mmio_read.monitor.again": ("instructions", 850, {}),
    "exit.mmio_hole.first": ("instructions", None, {}),
    "exit.mmio_hole.again": ("instructions", None, {}),
    "exit.host_irq": ("instructions", None, {}),
    "timer.guest": ("instructions", None, {}),
    "timer.guest.hlt": ("instructions", None, {}),
    "ipi.x2apic": ("instructions", None, {}),
    "ipi.x2apic.halted": ("instructions", None, {}),
    "virtio_blk.read4k": ("instructions", None, {}),
    "virtio_net.pingpong": ("instructions", None, {}),
    "wire.tcp": ("host instructions per MiB", None, {}),
    "wire.tcp.copies": ("bytes copied per byte", 2, {}),
    "wire.ping": ("host instructions", None, {}),
    "unmap.shootdown": ("instructions", None, {}),
    "syscall.null": ("instructions", 56, {NOVA: 56, GENODE: 97, SEL4: 246}),
    "ipc.call_reply.cross_space": ("instructions", 280, {NOVA: 282, GENODE: 582, SEL4: 478,
                                                         SEL4 + " SMP": 704}),
    "notification.signal": ("instructions", 140, {NOVA: 150, GENODE: 155, SEL4: 373}),
    "notification.signal_wait": ("instructions", 1000, {NOVA: 3999, GENODE: 2449, SEL4: 2012}),
    "boot.kernel_to_root": ("instructions", 10_000_000, {NOVA: 15_200_000, GENODE: 39_000_000,
                                                         SEL4: 201_000_000}),
    "guest.linux_boot": ("host per guest instruction", 0.05, {}),
    "guest.linux_boot_smp4": ("host per guest instruction", 0.06, {}),
    "firmware.seabios_to_grub": ("instructions", None, {}),
    "firmware.ovmf_to_shell": ("instructions", None, {}),
    "save": ("instructions", None, {}),
    "save.file": ("bytes for a touched byte", 1.02, {}),
    "restore": ("instructions", None, {}),
    "micro.density": ("VMs", 400, {}),
    "micro.density.start": ("instructions", 1_000_000, {}),
    "density": ("VMs", 12, {}),
    "density.idle": ("percent of a CPU", 0.5, {}),
    "share.error": ("points of a percent", 1, {}),
    "latency.floor": ("ns", 10_000_000, {}),
    "vm.start_stop": ("instructions", None, {}),
    "vm.start_stop.scrub": ("bytes per instruction", 8, {}),
    "memory.kernel_objects": ("bytes", 64 * 1024, {}),
    "memory.kernel_objects.tables": ("bytes", 48 * 1024, {}),
    "memory.monitor": ("bytes", 2 * 1024 * 1024, {}),
    "size.kernel": ("bytes", 96 * 1024, {NOVA: 89 * 1024, GENODE: 178 * 1024, SEL4: 110 * 1024}),
}
# How the emulator's input falls into a run moves these: they are held to their goals instead.
UNSTEADY = {"share.error", "latency.floor", "density.idle", "micro.density.start"}
HIGHER = {"micro.density", "density", "vm.start_stop.scrub"}
peers.merge(ROWS)
# Goals that are a share of what KVM + QEMU takes, the least of its figures.
OF_KVM = {"virtio_blk.read4k": 0.5, "virtio_net.pingpong": 0.5, "wire.tcp": 0.5, "wire.ping": 0.5, "ipi.x2apic": 1, "ipi.x2apic.halted": 1,
          "firmware.seabios_to_grub": 1, "firmware.ovmf_to_shell": 1}
for row_name, share in OF_KVM.items():
    least = [v for who, v in ROWS[row_name][2].items() if peers.of_kvm(who)]
    if least:
        ROWS[row_name] = ROWS[row_name][0], share * min(least), ROWS[row_name][2]
# Goals that are a share of the VM's own Linux boot.
OF_LINUX_BOOT = {"restore": 0.2}
# The same rows on VMX, reported only: Bochs ticks, one an instruction.
VMX_PEERS = {"exit.raw.monitor": {NOVA: 606}, "exit.raw.monitor.in": {NOVA: 603},
             "exit.raw.monitor.hypercall": {NOVA: 569}}
# Names that the measuring programs print, by row.
ROOT_PRINTS = {
    "boot": "boot.kernel_to_root", "null": "syscall.null", "signal": "notification.signal",
    "call": "ipc.call_reply.cross_space", "signal_wait": "notification.signal_wait",
    "raw_cpuid": "exit.raw.monitor", "raw_in": "exit.raw.monitor.in",
    "raw_hypercall": "exit.raw.monitor.hypercall", "doorbell": "exit.doorbell.kernel",
    "doorbell_set": "exit.doorbell.kernel.set", "doorbell_here": "exit.doorbell.wakes_here",
    "doorbell_afar": "exit.doorbell.wakes_elsewhere", "host_irq": "exit.host_irq",
}
GUEST_PRINTS = {
    "cpuid": "exit.cpuid.monitor", "pio_read": "exit.pio_read.monitor",
    "pio_read_absent": "exit.pio_read.absent", "hypercall": "exit.hypercall.monitor",
    "mmio_read_first": "exit.mmio_read.monitor.first",
    "mmio_read_again": "exit.mmio_read.monitor.again", "mmio_hole_first": "exit.mmio_hole.first",
    "mmio_hole_again": "exit.mmio_hole.again", "timer_busy": "timer.guest",
    "timer_hlt": "timer.guest.hlt",
}
VIRTIO_PRINTS = {"blk_read4k": "virtio_blk.read4k", "net_pingpong": "virtio_net.pingpong"}
BENCH = re.compile(r"BENCH (\w+) ([0-9.]+) (\d+) (\d+)")
# Rows that are the instructions of so many CPUs, added up.
ALL_CPUS = {"unmap.shootdown": 4, "ipi.x2apic": 2, "ipi.x2apic.halted": 2}
# Functions that may hold a locked instruction on an exit's way: a doorbell sets bits that another CPU
# may be setting too; on VMX the monitor asks the kernel for CR4 when the leaf that is drawn is 1.
LOCKED_ALLOWED = re.compile(r"exit\.doorbell\.\S+(?: on VMX)?: ntfn_|exit\.cpuid\.monitor on VMX: sys_invoke$")


class Table:
    """The rows measured so far."""

    def __init__(self, emulator, backend):
        self.emulator, self.backend = emulator, backend
        self.rows = {}

    def put(self, name, value, most=None, operations=None, **more):
        unit, limit, peers = ROWS[name]
        if self.backend == "VMX":
            unit, limit, peers = "ticks", None, VMX_PEERS.get(name, {})
        value = float(value)
        row = {"name": name, "value": int(value) if value == int(value) else value}
        if most is not None:
            row["max"] = int(most)
        if operations:
            row["operations"] = int(operations)
        row.update(unit=unit, emulator=self.emulator, backend=self.backend, limit=limit, peers=peers)
        row.update(more)
        self.rows[name] = row

    def read(self, text, prints):
        # Root's own line about a VM that ends may land inside of the guest's last lines.
        text = re.sub(r"\r?\n--- .* ---\r?\n", "", text)
        for name, mean, most, n in BENCH.findall(text):
            if name in prints:
                single = n == "1"
                self.put(prints[name], mean, None if single else most, None if single else n)


def measure_root(table, count):
    for cpus in (1, 2):
        machine = trace.start("root", f"root-{cpus}", cmdline=f"n={count}", cpus=cpus)
        keep = dict(table.rows)
        table.read(machine.log(), ROOT_PRINTS)
        if cpus > 1:  # the time to start the CPUs is the emulator's
            table.rows.update({n: r for n, r in keep.items() if n == "boot.kernel_to_root"})


def measure_guest(table, count):
    machine = trace.start("guest", "guest", append=f"n={count}")
    table.read(machine.console.decode("utf-8", "replace"), GUEST_PRINTS)


def measure_vmx(table):
    """The exit rows in Bochs; fewer operations, since it is slower."""
    machine = trace.start("root", "root-vmx", cmdline="n=1000", emulator="bochs")
    if ", VMX" not in machine.log():
        raise SystemExit("bench: no VMX in Bochs")
    table.read(machine.log(), ROOT_PRINTS)
    machine = trace.start("guest", "guest-vmx", append="n=500", emulator="bochs", timeout=400)
    table.read(machine.console.decode("utf-8", "replace"), GUEST_PRINTS)
    table.rows = {n: r for n, r in table.rows.items() if n.startswith(("exit.", "timer."))}
    wrong = []
    for kind, windows in (("root", trace.ROOT_WINDOWS), ("guest", trace.GUEST_WINDOWS)):
        # An interrupt's window is mostly guest, and longer than the debugger can write.
        windows = {n: w for n, w in windows.items() if n in table.rows and n != "exit.host_irq"}
        traces, symbols = trace.traces_bochs(kind, windows.values()), trace.symbols_of(kind)
        for name, window in windows.items():
            table.rows[name]["expensive"] = traces[window].expensive()
            wrong += locks(name + " on VMX", traces[window], symbols)
    return wrong


def locks(name, found, symbols):
    """An exit holds no locked instruction but where it is allowed."""
    bad = [f for f in found.locked_at(symbols) if not LOCKED_ALLOWED.match(f"{name}: {f}")]
    return [f"{name}: locked instructions in {', '.join(bad)}"] if bad else []


def measure_traces(table, count):
    """Cost of one iteration by function and by kind; the functions that lock on an exit's way."""
    wrong = []
    parts = [("root", trace.traces("root"), trace.ROOT_WINDOWS),
             ("root", trace.traces("root", cpus=2, count=count), trace.ROOT_2_WINDOWS),
             ("root", trace.traces("root", cpus=4, count=200), trace.ROOT_4_WINDOWS),
             ("ipi", trace.traces("ipi", cpus=2), trace.IPI_WINDOWS),
             ("guest", trace.traces("guest"), trace.GUEST_WINDOWS)]
    for kind, traces, windows in parts:
        symbols = trace.symbols_of(kind)
        for name, window in windows.items():
            if window not in traces:
                wrong.append(f"{name}: not traced, so nobody has looked for locks")
                continue
            found = traces[window]
            if name in ALL_CPUS:
                cpus = ALL_CPUS[name]
                by_cpu = [round(found.cost.get(c, 0), 2) for c in range(cpus)]
                table.put(name, round(sum(by_cpu), 2), operations=found.times, cpus=cpus, by_cpu=by_cpu)
            row = table.rows.get(name)
            if row is None:
                wrong.append(f"{name}: traced, not measured")
                continue
            if name == "exit.doorbell.wakes_elsewhere":
                # Two sides: CPU 0 was timed; CPU 1 from the kick to the thread. What CPU 0 does after
                # the pair, while it waits, is neither.
                pairs = [k for k, i in enumerate(found.insns) if i[0] == 0 and i[2] == b"\x0f\x31"]
                found.insns = [i for k, i in enumerate(found.insns) if i[0] == 1 or k <= pairs[1]]
                woken = round(found.cost[1], 2)
                row["by_cpu"] = [row["value"], woken]
                row["value"] = round(row["value"] + woken, 2)
            row["expensive"] = found.expensive()
            top = sorted(((f, times) for f, times in found.by_function(symbols).items()
                          if f[0] != "guest"), key=lambda x: -x[1])[:6]
            row["spent_on"] = {n: times for (_, n), times in top}
            if name.startswith("exit."):
                wrong += locks(name, found, symbols)
    return wrong


def measure_linux(table):
    ours, alone = linux_boot.under_bulkhead(), linux_boot.alone()
    total, guest, exits = ours["count"]
    table.put("guest.linux_boot", round((total - guest) / guest, 5), host=total - guest, guest=guest,
              exits=exits, exits_by_reason={k: v for k, v in ours["exits"].items() if v},
              up_s=ours["up_s"], alone=alone["count"][0], total_to_alone=round(total / alone["count"][0], 4))
    total, guest, exits = linux_boot.under_bulkhead(cpus=4)["count"]
    table.put("guest.linux_boot_smp4", round((total - guest) / guest, 5), host=total - guest, guest=guest,
              exits=exits)
    started = ours["started"]
    # What root took from its kernel memory for the VM, page tables that stay empty included.
    table.put("memory.kernel_objects", started["kernel_bytes"] - started["table_bytes"])
    table.put("memory.kernel_objects.tables", started["table_bytes"], audit=started)
    table.put("memory.monitor", started["monitor_bytes"])


def measure_virtio(table, count):
    table.read(virtio_io.under_bulkhead(count), VIRTIO_PRINTS)


def measure_save(table):
    for row in save_restore.ROWS:
        total, guest, exits, file_bytes = save_restore.under_bulkhead(row)
        table.put(row, total, host=total - guest, guest=guest, exits=exits)
    table.put("save.file", round(file_bytes / (save_restore.TOUCHED_MIB << 20), 5), bytes=file_bytes)


def goals_of_linux(table):
    """Goals that are a share of all instructions of the VM's Linux boot, host's and guest's."""
    boot = table.rows["guest.linux_boot"]
    for name, share in OF_LINUX_BOOT.items():
        table.rows[name]["limit"] = round(share * (boot["host"] + boot["guest"]))


def measure_wire(table):
    rows, frame_bytes = wire_flow.under_bulkhead()
    for row, (host, guest, exits, stored) in rows.items():
        table.put(row, host, guest=guest, exits=exits)
        if row == "wire.tcp":
            table.put("wire.tcp.copies", round(stored / frame_bytes, 2))


def measure_firmware(table):
    firmware_boot.media()
    for row in firmware_boot.CASES:
        total, guest, exits = firmware_boot.under_bulkhead(row)
        table.put(row, total, host=total - guest, guest=guest, exits=exits)


def measure_resources(table):
    """What VMs get of a machine: the rows that do not take long."""
    shares = resources.share_error()
    table.put("share.error", round(max(abs(got - due) for due, got in shares.values()), 3),
              notes=[f"{vm}: due {due} %, got {got} %" for vm, (due, got) in shares.items()])
    cost = resources.start_stop()
    table.put("vm.start_stop", cost["start"] + cost["stop"],
              notes=[f"start {cost['start']:,}, stop and all memory clean {cost['stop']:,}"])
    table.put("vm.start_stop.scrub", round(cost["scrub"], 2))


def measure_density(table, linux):
    """As many as there is room for, and one among many."""
    count, starts = resources.micro_density()
    table.put("micro.density", count)
    table.put("micro.density.start", round(sum(starts) / len(starts)), max(starts), len(starts))
    said = resources.latency_floor()
    (_, mean, most, n), = BENCH.findall(said)
    table.put("latency.floor", most, operations=n,
              notes=[f"mean {mean}"] + [f"up to {us} us: {times}" for us, times in
                                        re.findall(r"up to (\d+) us: (\d+)", said)])
    if not linux:
        return
    table.put("density", resources.linux_density(13, 1024)[0])
    table.put("density.idle", round(resources.linux_density(16, 2048, idle_s=60)[1], 3))


def measure_size(table):
    """Sections that are loaded from the file, but for the names that backtraces use."""
    lines = subprocess.run(["readelf", "-SW", trace.KERNEL], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    sizes = {}
    for line in lines:
        m = re.match(r"\s*\[ *\d+\] (\S+)\s+(\S+)\s+\S+ \S+ (\S+) \S+\s+(\S*A\S*)\s", line)
        if m and m[2] != "NOBITS" and m[1] != ".ksyms":
            sizes[m[1]] = int(m[3], 16)
    table.put("size.kernel", sum(sizes.values()), sections=sizes)


def number(value):
    if value is None:
        return "-"
    if value >= 100_000:
        return f"{value:,.0f}"
    return f"{value:,.5g}" if value < 1 else f"{value:,.2f}".rstrip("0").rstrip(".")


def met(row):
    """Is the goal reached?"""
    better = row["name"] in HIGHER
    return row["value"] >= row["limit"] if better else row["value"] <= row["limit"]


def show(rows, committed):
    print(f"{'row':32} {'value':>12} {'max':>8} {'goal':>11} {'':6} {'committed':>11} {'KVM':>13}  "
          "other peers")
    for name, row in rows.items():
        verdict = "" if row["limit"] is None else "met" if met(row) else "MISSED"
        beside = dict(row["peers"])
        kvm = next((beside.pop(who) for who in row["peers"] if peers.of_kvm(who)), None)
        beside = ", ".join(f"{who} {number(v)}" for who, v in beside.items())
        print(f"{name:32} {number(row['value']):>12} {number(row.get('max')):>8} "
              f"{number(row['limit']):>11} {verdict:6} {number(committed.get(name)):>11} "
              f"{number(kvm):>13}  {beside}")
        if row.get("expensive"):
            print("    one holds: " + ", ".join(f"{n} {c}" for n, c in row["expensive"].items()))
        if verdict == "MISSED" and row.get("spent_on"):
            print("    spent on: " + ", ".join(f"{n} {c}" for n, c in row["spent_on"].items()))
        if "exits_by_reason" in row:
            print("    exits: " + ", ".join(f"{n} {c:,}" for n, c in row["exits_by_reason"].items()))
            print(f"    host {row['host']:,}, guest {row['guest']:,}; the same boot on the emulator "
                  f"alone {row['alone']:,}")
            print(f"    init after {row['up_s']} s of the guest's clock")
            for line in peers.linux_lines():
                print("    " + line)
        if "audit" in row:
            print("    " + ", ".join(f"{k} {v}" for k, v in row["audit"].items()))
        if "notes" in row:
            print("    " + "; ".join(row["notes"]))
        if "by_cpu" in row:
            print("    by CPU: " + ", ".join(str(n) for n in row["by_cpu"]))


def ratchet(rows, committed):
    """Rows that have become worse than the committed figures allow, in words."""
    worse = []
    for name, was in committed.items():
        if name not in rows:
            worse.append(f"{name}: committed as {number(was)}, not measured")
        elif name in UNSTEADY:
            if not met(rows[name]):
                worse.append(f"{name}: {number(rows[name]['value'])}, beyond its goal")
        elif (rows[name]["value"] < was / WORSE if name in HIGHER else rows[name]["value"] > was * WORSE):
            worse.append(f"{name}: {number(rows[name]['value'])}, committed {number(was)}")
    return worse


def picture(rows, path):
    """Bars of the exit and IPC rows beside their peers, as SVG."""
    chosen = ["exit.raw.monitor", "exit.raw.monitor.in", "exit.cpuid.monitor",
              "exit.pio_read.monitor", "exit.mmio_read.monitor.again", "exit.mmio_hole.again",
              "exit.doorbell.kernel", "timer.guest", "ipi.x2apic", "virtio_blk.read4k",
              "virtio_net.pingpong", "wire.tcp", "wire.ping", "syscall.null", "ipc.call_reply.cross_space",
              "notification.signal", "notification.signal_wait", "boot.kernel_to_root",
              "guest.linux_boot", "firmware.seabios_to_grub", "firmware.ovmf_to_shell", "memory.monitor", "size.kernel"]
    out, y = [], 24
    for name in chosen:
        if name not in rows:
            continue
        bars = [("Bulkhead", rows[name]["value"])] + list(rows[name]["peers"].items())
        most = max(v for _, v in bars)
        unit = ROWS[name][0]
        title = name if unit == "instructions" else f"{name} ({unit})"
        out.append(f'<text x="8" y="{y}" font-weight="bold">{title}</text>')
        y += 8
        for who, value in bars:
            width = max(1, round(420 * value / most))
            colour = "#1f6f8b" if who == "Bulkhead" else "#c8913a" if peers.of_kvm(who) else "#b8c4cc"
            who = who.replace("&", "&amp;")
            out.append(f'<text x="205" y="{y + 11}" text-anchor="end">{who}</text>'
                       f'<rect x="213" y="{y}" width="{width}" height="13" fill="{colour}"/>'
                       f'<text x="{219 + width}" y="{y + 11}">{number(value)}</text>')
            y += 17
        y += 22
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="740" height="{y}" '
                'font-family="sans-serif" font-size="12">\n'
                f'<rect width="740" height="{y}" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")


def picture_of_docs():
    """The picture in docs/ anew, of the committed figures and what is kept of the peers."""
    with open(COMMITTED, encoding="utf-8") as f:
        committed = json.load(f)
    picture({name: {"value": value, "peers": ROWS[name][2]} for name, value in committed.items()},
            PICTURE_OF_DOCS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commit", action="store_true", help="make these the committed figures")
    parser.add_argument("-n", type=int, default=10000, help="operations of a row")
    parser.add_argument("--no-vmx", action="store_true", help="leave the rows on VMX out")
    parser.add_argument("--no-linux", action="store_true", help="leave the Linux boot out")
    parser.add_argument("--no-wire", action="store_true", help="leave out what two Linux VMs say to each other")
    parser.add_argument("--no-firmware", action="store_true", help="leave out what starts from firmware")
    parser.add_argument("--no-density", action="store_true", help="leave out many VMs in one machine")
    args = parser.parse_args()
    trace.claim()
    try:
        with open(COMMITTED, encoding="utf-8") as f:
            committed = json.load(f)
    except FileNotFoundError:
        committed = {}
    table = Table("QEMU EPYC -icount shift=0", "SVM")
    steps = [("kernel", lambda: measure_root(table, args.n)),
             ("guest", lambda: measure_guest(table, args.n)),
             ("virtio", lambda: measure_virtio(table, args.n)),
             ("save", lambda: measure_save(table)),
             ("traces", lambda: measure_traces(table, args.n)),
             ("resources", lambda: measure_resources(table)),
             ("size", lambda: measure_size(table))]
    if not args.no_linux:
        steps.append(("Linux boot", lambda: measure_linux(table)))
    if not args.no_wire:
        steps.append(("wire", lambda: measure_wire(table)))
    if not args.no_firmware:
        steps.append(("firmware", lambda: measure_firmware(table)))
    if not args.no_density:
        steps.append(("density", lambda: measure_density(table, not args.no_linux)))
    vmx = Table("Bochs corei7_skylake_x", "VMX")
    if not args.no_vmx:
        steps.append(("VMX", lambda: measure_vmx(vmx)))
    if not args.no_linux:
        steps.append(("goals", lambda: goals_of_linux(table)))
    problems = []
    for name, step in steps:
        began = time.monotonic()
        problems += step() or []
        print(f"bench: {name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    rows = {name: table.rows[name] for name in ROWS if name in table.rows}
    with open(RESULT, "w", encoding="utf-8") as f:
        json.dump([*rows.values(), *vmx.rows.values()], f, indent=1)
        f.write("\n")
    picture(rows, PICTURE)
    show(rows, committed)
    print(peers.conditions())
    if vmx.rows:
        print("\nThe exit rows on VMX, in Bochs ticks (reported, no goal):")
        show({name: vmx.rows[name] for name in ROWS if name in vmx.rows}, {})
    left_out = [*(["guest", "memory"] if args.no_linux else []), *(["wire"] if args.no_wire else []),
                *(["firmware"] if args.no_firmware else []),
                *(["density"] if args.no_density or args.no_linux else []),
                *(["micro", "latency"] if args.no_density else [])]
    missing = [name for name in ROWS if name not in rows and name.split(".")[0] not in left_out]
    problems += [f"{name}: could not be measured" for name in missing]
    if args.commit:
        with open(COMMITTED, "w", encoding="utf-8") as f:
            json.dump({name: row["value"] for name, row in rows.items()}, f, indent=1)
            f.write("\n")
        picture(rows, PICTURE_OF_DOCS)
        print(f"bench: {COMMITTED} rewritten; say in the commit why a figure became worse")
    else:
        committed = {n: v for n, v in committed.items() if n.split(".")[0] not in left_out}
        problems += ratchet(rows, committed)
    for problem in problems:
        print(f"bench: WORSE OR WRONG: {problem}")
    missed = sum(1 for r in rows.values() if r["limit"] is not None and not met(r))
    goals = sum(1 for r in rows.values() if r["limit"] is not None)
    print(f"bench: {goals - missed} of {goals} goals met, {missed} missed; rows in {RESULT}, "
          f"picture in {PICTURE}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
