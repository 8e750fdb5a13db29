"""Debian's kernel, unmodified, in one VM and in two, on each CPU backend.

What "boots" means is checked by the initrd inside the guest (guests/linux/init): a clean dmesg, a
right `sleep 1`, a timer that ticks, a workload with a known digest.
"""
from case import SWITCH_CONSOLE, case, check, run_guest, start_vms, to_the_end

KERNEL = "build/guests/linux/vmlinuz-cloud"
INITRD = "build/guests/linux/initrd.cpio"

def boots(t, host_cpus, timeout):
    result = run_guest(t, KERNEL, initrd=INITRD, append="console=ttyS0 quiet bh.test=boot", mem=192,
                       host_cpus=host_cpus, timeout=timeout)
    check("BH-DONE boot pass" in result.console, "the guest is not content", result)
    check(result.status == 0, "a power-off ends with 0", result)
    print(result.console)


for cpus in (1, 2, 4):
    case(("qemu",), cost=40, limit=300, name=f"boot_on_{cpus}", host_cpus=cpus, timeout=240)(boots)
for cpus in (1, 2):
    case(("bochs",), cost=150, limit=700, name=f"boot_on_{cpus}", host_cpus=cpus, timeout=600)(boots)


@case(("qemu", "bochs"), cost=90, limit=600)
def exit_status(t):
    """The guest's own exit status comes out."""
    result = run_guest(t, KERNEL, initrd=INITRD, mem=128, timeout=500,
                       append="console=ttyS0 quiet bh.test=exitcode=21")
    check(result.status == 43, "(21 << 1) | 1", result)


def two(t, test, host_cpus, seconds, timeout):
    vms = {name: {"memory-mib": 192, "kernel": "vmlinuz-cloud", "initrd": "initrd.cpio",
                  "append": f"console=ttyS0 quiet bh.test={test} bh.secs={seconds} bh.seed={seed} "
                            f"bh.name={name}"}
           for seed, name in enumerate(("one", "two"), 1)}
    with start_vms(t, vms, host_cpus=host_cpus, timeout=timeout) as system:
        system.expect("BH-DONE", timeout)
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    done = result.console.count(f"BH-DONE {test} pass")
    check(done == 2, f"{done} of 2 guests are content", result)
    check(result.status == 0, "the system ends when both are off", result)
    print(result.console)


for cpus in (1, 2):
    case(("qemu",), cost=80, limit=500, name=f"two_boot_on_{cpus}", test="boot", host_cpus=cpus,
         seconds=1, timeout=450)(two)
    # Promise 1: patterns over the guest's free memory stay intact while the neighbour does the same.
    case(("qemu",), cost=80, limit=500, name=f"two_patterns_on_{cpus}", test="pattern",
         host_cpus=cpus, seconds=8, timeout=450)(two)
case(("bochs",), cost=300, limit=1200, name="two_boot", test="boot", host_cpus=1, seconds=1,
     timeout=1100)(two)
case(("bochs",), cost=300, limit=1200, full=True, name="two_patterns", test="pattern", host_cpus=2,
     seconds=5, timeout=1100)(two)
