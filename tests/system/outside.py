"""What the machine itself shows of the kernel, asked through QEMU's monitor (QMP): page tables and control
registers as they are, not as the kernel says; and what a board may do to it at any moment, NMI and machine check."""
import json
import os
import re
import socket
import subprocess

import run
from case import case, check, start_vms

KERNEL_BASE = 0xffffffff80000000
POOL = 0xffffffffc0000000  # docs/ARCHITECTURE.md, the kernel's addresses
PANICKED = 70
LEAF = re.compile(r"^([0-9a-f]{16}): ([0-9a-f]{16}) ([X-])[G-][P-][D-][A-][C-][T-]([U-])([W-])", re.M)


class Machine:
    """QEMU's monitor, at its socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        json.loads(self.lines.readline())
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer or "error" in answer:  # events come in between
                check("return" in answer, f"QEMU takes {command}: {answer}")
                return answer["return"]

    def tell(self, command):
        """What QEMU may end by, before it answers."""
        self.socket.sendall(json.dumps({"execute": command}).encode())

    def say(self, line):
        """A line of the monitor for people; what it answers."""
        return self("human-monitor-command", **{"command-line": line}).replace("\r", "")


def symbols(*names):
    """Addresses in the kernel."""
    out = subprocess.run(["nm", run.KERNEL], check=True, capture_output=True, text=True).stdout
    return [int(re.search(rf"^([0-9a-f]+) \w {name}$", out, re.M)[1], 16) for name in names]


def register(text, name):
    return int(re.search(rf"\b{name}=\s*([0-9a-f]+)", text)[1], 16)


def start(t, vms, **settings):
    """The system, once all VMs run, and its machine."""
    path = os.path.join(t.dir, "qmp")
    if os.path.exists(path):
        os.unlink(path)
    system = start_vms(t, vms, cpu="EPYC,+umip", timeout=200, qemu_args=("-qmp", f"unix:{path},server=on,wait=off"),
                       **settings)
    for name in vms:
        check(system.expect(rf'"vm-started", "vm": "{name}"', 100, log=True), f"{name} runs")
    return system, Machine(path)


def in_kernel(system, machine):
    """Stop the machine while its CPU waits in the kernel; the registers."""
    for _ in range(500):
        system.step(0.05)
        machine("stop")
        text = machine.say("info registers")
        if register(text, "RIP") >= KERNEL_BASE and "HLT=1" in text:
            return text
        machine("cont")
    check(False, "the CPU is idle at some time")
    return ""


def vm(guest, **more):
    return {"memory-mib": 16, "kernel": f"{guest}.elf", "debug-exit": True, **more}


@case(("qemu",), cost=10, limit=250)
def kernel_map(t):
    """Nothing is both writable and executable, the kernel's code and constants are read-only, and the pages of save
    areas and guest state are mapped nowhere; the CPU is told to keep to it."""
    system, machine = start(t, {"one": vm("life"), "two": vm("life")})
    with system:
        registers = in_kernel(system, machine)
        found = [(int(va, 16), nx == "X", user == "U", write == "W")
                 for va, _, nx, user, write in LEAF.findall(machine.say("info tlb"))]
    kernel = [leaf for leaf in found if leaf[0] >= KERNEL_BASE]
    names = "text_start", "text_end", "rodata_end", "data_end", "image_end"
    text, text_end, constants_end, data_end, end = symbols(*names)
    print(registers, f"{len(found)} mappings, {len(kernel)} of them the kernel's")
    check(len(kernel) > 1000, "the kernel's mappings can be read")
    check([va for va, nx, _, write in found if write and not nx] == [], "what is writable is not executable")
    check([va for va, _, user, _ in kernel if user] == [], "what is the kernel's is not the user's")
    code = {va for va, nx, _, _ in kernel if not nx}
    check(code == set(range(text, text_end, 4096)), "only the kernel's code is executable")
    check({va for va, _, _, write in kernel if write and text <= va < end} == set(range(constants_end, data_end, 4096)),
          "of its image, only the kernel's data can be written")
    pool = sorted(va for va, _, _, _ in kernel if va >= POOL)
    holes = (pool[-1] - pool[0]) // 4096 + 1 - len(pool)
    # One page of save areas for root and for each monitor; three pages for each vCPU.
    check(holes == 1 + 2 * (1 + 3), f"{holes} pages of the pool are taken out")
    for name, bits in (("CR0", 0x80010000), ("CR4", 1 << 20 | 1 << 21 | 1 << 11), ("EFER", 1 << 11)):
        check(register(registers, name) & bits == bits, f"{name} has WP and PG; SMEP, SMAP and UMIP; NXE")


@case(("qemu",), cost=10, limit=250)
def nmi(t):
    """NMIs at any moment are counted, and change nothing."""
    # The VM's two seconds are of virtual time: they last until it has had its turns, however busy this machine is.
    system, machine = start(t, {"works": {**vm("ram_pattern", append="secs=2 seed=1"), "on-stop": "end-system"}}, icount=True)
    count = symbols("audit_ring")[0] - KERNEL_BASE + 8  # bulkhead/info.h: reserved[0]
    seen = sent = 0
    with system:
        while seen < 100 and sent < 5000:
            machine("inject-nmi")
            sent += 1
            system.step(0.005)
            seen = int(machine.say(f"xp /1gx {count:#x}").split()[-1], 16)
        check(system.wait() == 33, "the VM ends as it should")
        log = system.log()
    print(log, f"{seen} of {sent} NMIs were seen")
    check("PANIC" not in log and '"vm": "works", "kind": "debug-exit", "vcpu": 0, "status": 16,' in log, "the VM passes")
    check(100 <= seen <= sent, "the kernel has seen them")  # one at a time is held pending


@case(("qemu",), cost=10, limit=250)
def machine_check(t):
    """A machine check stops the machine, and says where it was."""
    system, machine = start(t, {"one": vm("life")})
    with system:
        in_kernel(system, machine)
        machine.say("mce 0 1 0xb200000000000000 0x4 0x0 0x0")  # VAL, UC, EN, PCC; MCIP
        machine.tell("cont")
        status = system.wait()
        log = system.log().replace("\r", "")
    print(log[-4000:])
    check(status == PANICKED and re.search(r"broken invariant: no #MC in the kernel", log), "it is named")
    check(re.search(r"^  [0-9a-f]{16} \S+\+0x[0-9a-f]+$", log, re.M), "with the way there")
