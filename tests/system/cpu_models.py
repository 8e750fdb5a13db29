"""Named virtual CPU models: the guest sees their features and no others; what the processor lacks is named."""
from case import case, check, run_vms

LINUX = {"memory-mib": 128, "kernel": "vmlinuz-cloud", "initrd": "initrd.cpio"}


def guest(model, **more):
    return {"memory-mib": 64, "kernel": "cpuid_walk.elf", "debug-exit": True, "cpu-model": model, **more}


@case(("qemu",), cost=10, limit=240)
def named(t):
    """CPUID is consistent, and holds the model's words."""
    for model in "host", "x86-64-v2", "x86-64-v3":
        result = run_vms(t, {"guest": guest(model, **{"on-stop": "end-system"})}, timeout=100, icount=True)
        check(result.status == 33, f"cpuid_walk as {model}", result)


@case(("qemu",), cost=40, limit=400)
def linux(t):
    """Linux sees an x86-64-v2 without AVX."""
    vm = dict(LINUX, append="console=ttyS0 bh.test=boot", **{"cpu-model": "x86-64-v2"})
    result = run_vms(t, {"guest": vm}, timeout=350, icount=True)
    check("BH-DONE boot pass" in result.console, "content", result)
    check("Bulkhead x86-64-v2" in result.console, "the model's name is the processor's", result)


@case(("qemu",), cost=5, limit=120)
def lacking(t):
    """A model that the processor cannot give starts no VM, in words."""
    result = run_vms(t, {"guest": guest("x86-64-v3")}, timeout=100, icount=True, cpu="EPYC,-avx2,-bmi2")
    check("cpu-model x86-64-v3: this processor lacks avx2 bmi2" in result.log, "what it lacks", result)
    check(result.status == 122, "the status of what cannot be started", result)
