"""Saving and restoring VMs through bhctl."""
import json

from case import bhctl, case, check, start_vms, to_the_end

LINUX = {"memory-mib": 128, "kernel": "vmlinuz-cloud", "initrd": "initrd.cpio"}


def linux(t, test, save_mib=None, cpus=1, **settings):
    vm = dict(LINUX, append=f"console=ttyS0 {test}", cpus=cpus, **{"save-mib": save_mib})
    return start_vms(t, {"work": vm}, **settings)


@case(("qemu",), cost=60, limit=600)
def linux_goes_on(t):
    """Linux, saved in the middle of its test, then thrown away near its end and restored: it goes
    through the rest again without noticing; clocks and digests are right."""
    with linux(t, "bh.test=boot", save_mib=140, icount=True, timeout=550) as system:
        check(system.expect("BH-PASS boot.sleep", 300), "Linux is up")
        saved = json.loads(bhctl(system, "--json", "save", "work", seconds=300))
        check(64 << 20 < saved["bytes"] < 140 << 20, saved)
        check(system.expect("BH-PASS boot.workload", 300), "goes on after it was saved")
        bhctl(system, "restore", "work", seconds=300)
        check(system.expect("BH-PASS boot.workload", 300), "goes on from what was saved")
        result = to_the_end(system)
    check(result.status == 0 and "BH-DONE boot pass" in result.console, "content", result)
    check("BH-FAIL" not in result.console, "nothing noticed", result)


@case(("qemu",), cost=20, limit=300)
def refused(t):
    """What cannot be saved or restored, in words."""
    with linux(t, "", save_mib=1, timeout=250) as system:
        check(system.expect("Run /init", 200), "Linux boots")
        check("use bhctl save first" in bhctl(system, "restore", "work", ok=(1,)), "nothing saved")
        check("more save-mib" in bhctl(system, "save", "work", ok=(1,)), "too small a store")
        check("use bhctl save first" in bhctl(system, "restore", "work", ok=(1,)), "still nothing")
    with linux(t, "", timeout=250) as system:
        check(system.expect("Run /init", 200), "Linux boots")
        check("give it save-mib" in bhctl(system, "save", "work", ok=(1,)), "no store")
