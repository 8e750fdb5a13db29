"""Images that people bring: i386 and real-time kernels, each to a sign of life that it could not give by
half.
"""
from case import build, case, check, run_guest

IMAGES = "build/guests/images"


def works(t, goal, kernel, initrd, machine, timeout):
    """A kernel runs a workload to the end, and says what it is."""
    build(t, goal)
    result = run_guest(t, f"{IMAGES}/{kernel}", initrd=initrd, timeout=timeout, icount=True,
                       append=f"console=ttyS0 quiet bh.test=work bh.machine={machine}")
    check("BH-DONE work pass" in result.console, "the guest is not content", result)
    check(result.status == 0, "a power-off ends with 0", result)
    print(result.console)


for name in ("686", "686-pae"):
    case(("qemu",), cost=35, limit=450, timeout=400, name="linux_" + name.replace("-", "_"), goal="guests-i386",
         kernel=f"vmlinuz-{name}", initrd=f"{IMAGES}/initrd-i386.cpio", machine="i686")(works)
case(("qemu",), cost=30, limit=450, timeout=400, name="linux_rt", goal="guests-rt", kernel="vmlinuz-rt",
     initrd="build/guests/linux/initrd.cpio", machine="PREEMPT_RT")(works)
