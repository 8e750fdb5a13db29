"""Debian's kernel, unmodified, in one VM and in two, on each CPU backend.

What "boots" means is checked by the initrd inside the guest (guests/linux/init): a clean dmesg, a
right `sleep 1`, a timer that ticks, a workload with a known digest.
"""
import re

from case import SWITCH_CONSOLE, case, check, run_guest, start_vms, to_the_end

KERNEL = "build/guests/linux/vmlinuz-cloud"
INITRD = "build/guests/linux/initrd.cpio"
# The machine's TSC where its time is virtual: QEMU's instructions are a nanosecond each, of Bochs' there are so many.
TSC_KHZ = {"qemu": 1000000, "bochs": 90000}


def on_time(t, result, guests=1):
    """The guests' seconds are the machine's, the first time they are measured; and they have powered off."""
    khz = int(re.search(r"TSC (\d+) kHz", result.log)[1])
    check(abs(khz - TSC_KHZ[t.emu]) * 1000 < TSC_KHZ[t.emu], f"the kernel's {khz} kHz are the machine's", result)
    tries = re.findall(r"BH-PASS boot\.sleep .*, try (\d)", result.console)
    check(tries == ["1"] * guests, f"each second is one: {tries}", result)
    check(list(result.ends().values()) == ["power-off"] * guests, f"all have powered off: {result.ends()}", result)


def boots(t, host_cpus, timeout, cpus=1, mem=192):
    # Virtual time (Bochs has no other): a clock in the guest is right or wrong, however busy we are.
    result = run_guest(t, KERNEL, initrd=INITRD, append="console=ttyS0 quiet bh.test=boot", mem=mem,
                       cpus=cpus, host_cpus=host_cpus, timeout=timeout, icount=True)
    check("BH-DONE boot pass" in result.console, "the guest is not content", result)
    check(f"BH-PASS boot.cpus {cpus} of" in result.console, "not all CPUs are there", result)
    check(result.status == 0, "a power-off ends with 0", result)
    on_time(t, result)
    print(result.console)


for cpus in (1, 2, 4):
    case(("qemu",), cost=25, limit=400, name=f"boot_on_{cpus}", host_cpus=cpus, timeout=350)(boots)
case(("qemu",), cost=40, limit=400, full=True, name="boot_above_4g", mem=5120, host_cpus=1, timeout=350)(boots)
case(("bochs",), cost=120, limit=900, name="boot_on_1", host_cpus=1, timeout=850)(boots)
# Several vCPUs: with a CPU each, and with fewer.
for cpus, host_cpus in ((2, 2), (4, 4), (4, 2), (8, 4)):
    case(("qemu",), cost=40, limit=600, full=(cpus, host_cpus) != (4, 4), name=f"smp{cpus}_on_{host_cpus}", cpus=cpus,
         host_cpus=host_cpus, timeout=550)(boots)
for cpus in (2, 4):
    case(("bochs",), cost=240, limit=1500, full=True, name=f"smp{cpus}_on_2", cpus=cpus, host_cpus=2, timeout=1450)(boots)
case(("bochs",), cost=160, limit=1200, full=True, name="boot_on_2", host_cpus=2, timeout=1100)(boots)


@case(("qemu",), cost=20, limit=300)
def exit_status(t):
    """The guest's own exit status comes out."""
    result = run_guest(t, KERNEL, initrd=INITRD, mem=128, timeout=250,
                       append="console=ttyS0 quiet bh.test=exitcode=21")
    check(result.status == 43, "(21 << 1) | 1", result)


def two(t, test, host_cpus, seconds, timeout, icount=True):
    vms = {name: {"memory-mib": 192, "kernel": "vmlinuz-cloud", "initrd": "initrd.cpio",
                  "append": f"console=ttyS0 quiet bh.test={test} bh.secs={seconds} bh.seed={seed} "
                            f"bh.name={name}"}
           for seed, name in enumerate(("one", "two"), 1)}
    with start_vms(t, vms, host_cpus=host_cpus, timeout=timeout, icount=icount) as system:
        system.expect(r"BH-DONE \w+ \w+\r?\n", timeout)  # its whole line, before the other's come
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    done = result.console.count(f"BH-DONE {test} pass")
    check(done == 2, f"{done} of 2 guests are content", result)
    check(result.status == 0, "the system ends when both are off", result)
    if test == "boot":
        on_time(t, result, guests=2)
    print(result.console)


for cpus in (1, 2, 4):
    case(("qemu",), cost=50, limit=600, full=cpus != 2, name=f"two_boot_on_{cpus}", test="boot",
         host_cpus=cpus, seconds=1, timeout=550)(two)
# Promise 1: patterns over the guest's free memory stay intact while the neighbour does the same. The
# CPUs really run at the same time here, which they do not on virtual time.
for cpus in (1, 2):
    case(("qemu",), cost=50, limit=500, full=cpus == 1, name=f"two_patterns_on_{cpus}", test="pattern",
         host_cpus=cpus, seconds=8, timeout=450, icount=False)(two)
for cpus in (1, 2):
    case(("bochs",), cost=240, limit=1500, full=cpus == 1, name=f"two_boot_on_{cpus}", test="boot", host_cpus=cpus,
         seconds=1, timeout=1450)(two)
case(("bochs",), cost=300, limit=1500, full=True, name="two_patterns_on_2", test="pattern", host_cpus=2,
     seconds=5, timeout=1450)(two)
