"""The micro guests, tests/system/guests/*.c: each shows one fact about the virtual PC.

A guest ends through the debug-exit port, so the run's exit status is its verdict (guests/rt/guest.h).
Time is virtual (instructions are counted), so facts about time hold on a busy machine too.
"""
import os
import re

import gaps
from case import CASES, broken_kernel, case, check, run_guest, run_vms

PASS, FAIL, SKIP = 33, 35, 37  # (value << 1) | 1 of EXIT_PASS, EXIT_FAIL, EXIT_SKIP
SOURCES = "tests/system/guests"
# Guests that cannot report for themselves, with what they expect; their command lines.
ENDS_ABRUPTLY = {"triple_fault": r"triple", "smp_triple_fault": r"triple"}
APPEND = {"spin": "spin_ms=500"}
# What reference.py alone runs, and what never ends (isolation.py).
PROBES = ["probe_svm", "endless_db", "life", "talk", "channel", "storm", "clock_long"]


# Several vCPUs: (vCPUs, CPUs of the host).
SMP = {"qemu": (4, 4), "bochs": (2, 2)}
# As many vCPUs as a VM may have, on half as many CPUs.
MOST = (8, 4)
X2APIC = ["smp_start", "smp_ipi", "smp_storm", "smp_level", "smp_paravirt"]

# Each exit reason (bulkhead/vcpu.h): guests that cause it, by the counts of their audit record, in each
# emulator that they run in unless one is named.
CAUSES = {
    "SIGNALLED": ("smp_ipi", "smp_level"), "TIMEOUT": ("int_window", "step_timer"),
    "CPUID": ("insn_cpuid", "cpuid_walk"), "IO": ("pio_sizes", "io_string"), "RDMSR": ("msr_walk",),
    "WRMSR": ("msr_walk",), "HLT": ("hlt_timer", "int_window", "nmi"), "MEMORY": ("mmio", "mmio_rare"),
    "WINDOW": ("int_window", "event_reinject"), "SHUTDOWN": ("triple_fault", "smp_triple_fault"),
    "HYPERCALL": ("unknown_hypercall", "smp_paravirt"), "CR": ("cr_corners",), "XSETBV": ("insn_cpuid@bochs",),
    "CACHE": ("insn_cpuid",), "MWAIT": ("insn_cpuid",), "UNDEFINED": ("insn_cpuid",), "RDPMC": ("insn_cpuid",),
    "NMI_WINDOW": ("nmi@bochs", "smp_storm@qemu"),
}
# The others, and why no guest does: what shows them instead.
UNCAUSED = {
    "EXCEPTION": "the kernel intercepts #DB and #AC alone, and hands them on itself: isolation.endless_exceptions",
    "TASK_SWITCH": "64-bit guests cannot (#GP, micro.excp_all); a 32-bit one that does: firmware.task_switch",
    "INIT": "the vCPU's INIT and SIPI never reach the processor, they are the monitor's: micro.smp_start",
    "INVALID": "takes a hostile monitor: monitors.entry_fails",
    "UNKNOWN": "takes a kernel without the reason's row: monitors.unknown_exit",
    "DR": "reserved",
}


def exit_reasons():
    """Their names, by number."""
    with open("kernel/include/bulkhead/vcpu.h", encoding="utf-8") as f:
        return re.findall(r"^    BH_EXIT_(\w+) = \d+,", f.read(), re.M)


def causes_its_exits(t, guest, result):
    """A guest of CAUSES has caused what stands there."""
    ends = result.audit("vm-ended")
    check(len(ends) == 1, "the VM has ended", result)
    counts = dict(zip(exit_reasons(), ends[0]["exits_by_reason"]))
    lost = [reason for reason, guests in CAUSES.items()
            if {guest, f"{guest}@{t.emu}"} & set(guests) and not counts[reason]]
    check(not lost, "no such exit: " + ", ".join(lost), result)


@case(cost=1)
def exits_caused(t):
    """Each exit reason is caused by a guest, or has a reason why not."""
    with open("kernel/include/bulkhead/vcpu.h", encoding="utf-8") as f:
        numbers = re.findall(r"^    BH_EXIT_\w+ = (\d+),", f.read(), re.M)
    check([int(n) for n in numbers] == list(range(len(numbers))) and len(numbers) > 15, "the header can be read")
    check(sorted([*CAUSES, *UNCAUSED]) == sorted(exit_reasons()), "each reason stands in one of the tables")
    for guest in {guest for guests in CAUSES.values() for guest in guests}:
        name, _, emulator = guest.partition("@")
        for where in (emulator,) if emulator else ("qemu", "bochs"):
            check(f"micro.{name}@{where}" in CASES, f"{name} runs in {where}")
    named = re.findall(r"\w+\.\w+", " ".join(UNCAUSED.values()))
    known = {name.partition("@")[0] for name in CASES}
    check(len(named) > 3 and set(named) <= known, f"a test of {named} is none")


def micro(t, guest, words="", cpus=(1, 1), **settings):
    if (guest, t.emu) in gaps.GUESTS:
        t.skip(gaps.GUESTS[guest, t.emu])
    known = gaps.FACTS.get((guest, t.emu), [])
    append = " ".join(filter(None, [APPEND.get(guest), words, known and "gaps=" + ",".join(known)]))
    result = run_guest(t, f"build/tests/guests/{guest}.elf", append=append, mem=64, timeout=240,
                       icount=True, cpus=cpus[0], host_cpus=cpus[1], **settings)
    check("taking it back" not in result.log, "not all of the VM's memory comes back", result)
    if t.name == f"micro.{guest}@{t.emu}":  # other CPUs or words: other exits, maybe
        causes_its_exits(t, guest, result)
    if guest in ENDS_ABRUPTLY:
        check("BH-EXPECT" in result.console, "the guest has not reached its point", result)
        check(result.status not in (PASS, FAIL, SKIP, 124, 125), "the VM did not end as it should", result)
        check(ENDS_ABRUPTLY[guest] in result.log.lower(), "no audit record of why", result)
        return
    check(result.status != SKIP, "the guest skips, and no gap of this emulator is known for it", result)
    check(result.status == PASS, "the guest's verdict", result)
    print(result.console)


@case(("qemu",), cost=5, limit=150)
def pci_functions(t):
    """The facts of pci.c on a bus with virtio and SATA functions."""
    for bus in "virtio", "ahci":
        image = os.path.join(t.dir, f"{bus}.img")
        with open(image, "wb") as f:
            f.truncate(1 << 20)
        result = run_guest(t, "build/tests/guests/pci.elf", mem=64, timeout=60, icount=True, disk=image,
                           diskbus=bus)
        check(result.status == PASS, "the guest's verdict", result)
        check("FACT bars ok 0 registers" not in result.console, "the functions have BARs", result)
        print(result.console)


@case(("qemu",), cost=10, limit=200)
def large(t):
    """More memory than a GiB, and an image of more than 256 MiB."""
    image = os.path.join(t.dir, "disk.img")
    with open(image, "wb") as f:
        f.truncate(260 << 20)
    result = run_guest(t, "build/tests/guests/hello.elf", mem=1100, timeout=150, disk=image)
    check(result.status == PASS, "the guest's verdict", result)


@case(("qemu",), cost=15, limit=200)
def rsb_fill(t):
    """The emulated CPU has no return predictor to overwrite after an exit; the code that does it runs."""
    result = run_guest(t, "build/tests/guests/hello.elf", mem=64, timeout=100,
                       kernel=broken_kernel(t, "RSB_FILL_ALWAYS"))
    check(result.status == 33, "the guest passes", result)


# Parts in a million by which the kernel's measure of the TSC may be wrong (docs/CAVEATS.md).
TSC_PPM = 50


@case(("qemu",), cost=15, limit=300, full=True)
def clock_long(t):
    """Ten minutes of a guest's clock are ten minutes of root's, to a millisecond. Nobody waits for them: the
    machine's clock counts instructions, and time in which there are none passes at once."""
    us, ticks, seconds = [], [], (1, 601)
    for n in seconds:
        result = run_guest(t, "build/tests/guests/clock_long.elf", append=f"secs={n}", mem=64, timeout=280, icount=True)
        check(result.status == PASS, "the guest's verdict", result)
        print(result.console)
        us.append(result.audit("vm-ended")[0]["us"] - result.audit("vm-started")[0]["us"])
        # The machine's TSC has one tick per nanosecond.
        ticks.append(int(re.search(r"^CLOCK.* TSC (\d+)", result.console, re.M)[1]))
    want = (seconds[1] - seconds[0]) * 10**9
    for whose, took, off in (("root's clock", (us[1] - us[0]) * 1000, 10**6),
                             ("the machine", ticks[1] - ticks[0], want * TSC_PPM // 10**6)):
        print(f"600 s of the guest's clock are {took} ns of {whose}")
        check(abs(took - want) < off, f"the guest's clock goes as that of {whose}", result)


@case(full=True, cost=40, limit=400)
def reference(t):
    """What the guests claim holds in QEMU alone, but for the gaps we know; those are still there."""
    t.command("tests/system/guests/reference.py")


def smp(t, guest, words="", cpus=None):
    micro(t, guest, words, cpus or SMP[t.emu])


def at_once(t, guest):
    """The machine's CPUs run at the same time, which they do not where instructions are counted."""
    vms = {"guest": {"memory-mib": 64, "kernel": f"{guest}.elf", "debug-exit": True, "cpus": 3, "cpu-set": [1, 2, 3]}}
    result = run_vms(t, vms, host_cpus=4, timeout=200)
    check(result.ends() == {"guest": PASS >> 1}, f"it passes: {result.ends()}", result)


for name in "smp_storm", "smp_level":
    case(("qemu",), cost=15, limit=270, full=True, alone=True, name=name + "_at_once", guest=name)(at_once)
for file in sorted(os.listdir(SOURCES)):
    if file.startswith("smp_") and file.endswith(".c"):
        case(("qemu", "bochs"), cost=12, limit=270, name=file[:-2], guest=file[:-2])(smp)
        if file[:-2] in X2APIC:
            for emulator in "qemu", "bochs":  # whose backend makes no difference here
                case((emulator,), cost=12, limit=270, full=emulator == "bochs", name=file[:-2] + "_x2apic",
                     guest=file[:-2], words="x2apic=1")(smp)
    elif file.endswith(".c") and file[:-2] not in PROBES:
        case(("qemu", "bochs"), cost=8, limit=270, name=file[:-2], guest=file[:-2])(micro)
for guest in "smp_ipi", "smp_storm":
    for words in "", "x2apic=1":
        case(("qemu",), cost=12, limit=270, full=guest + words != "smp_ipi", guest=guest, words=words, cpus=MOST,
             name=guest + ("_x2apic" if words else "") + "_8_on_4")(smp)
# A turn may take a slice of the CPU here.
for guest, words in ("smp_start", ""), ("smp_tsc", "rounds=20"), ("smp_paravirt", ""), ("smp_barrier", ""):
    case(("qemu",), cost=15, limit=270, full=True, name=guest + "_8_on_4", guest=guest, words=words, cpus=MOST)(smp)
case(("bochs",), cost=20, limit=270, name="smp_barrier_4_on_2", guest="smp_barrier", cpus=(4, 2))(smp)
case(("qemu",), cost=15, limit=270, name="smp_barrier_slow_4_on_2", guest="smp_barrier",  # not Bochs: docs/EMULATORS.md
     words="rounds=30 inside=15000000", cpus=(4, 2))(smp)
# SVM again, on a CPU that saves the next RIP, which QEMU's does not.
for guest in ("insn_cpuid", "int_window", "event_reinject"):
    case(("bochs",), cost=8, limit=270, name=f"next_rip_{guest}", guest=guest, cpu="ryzen")(micro)


@case(("qemu", "bochs"), cost=3, limit=120)
def multiboot1(t):
    """The same guest by the protocol that is not detected, as it has the note of another."""
    vms = {"guest": {"memory-mib": 64, "kernel": "hello.elf", "append": "kind=1", "protocol": "multiboot",
                     "debug-exit": True}}
    result = run_vms(t, vms, timeout=100)
    check(result.ends() == {"guest": PASS >> 1}, f"it passes: {result.ends()}", result)


@case(("qemu",), cost=3, limit=120)
def no_debug_exit(t):
    """A VM whose manifest does not ask for the debug-exit port has none: its guest goes on, and powers off."""
    result = run_vms(t, {"guest": {"memory-mib": 64, "kernel": "hello.elf"}}, timeout=100)
    check(result.ends() == {"guest": "power-off"}, f"the write to 0xf4 ends nothing: {result.ends()}", result)


# Three more boot protocols for it.
case(("qemu",), cost=2, limit=120, name="hello-pvh", guest="hello-pvh")(micro)
case(("qemu", "bochs"), cost=3, limit=120, name="hello-mb2", guest="hello-mb2")(micro)
