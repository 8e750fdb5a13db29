"""Wires between VMs: two unmodified Linux guests talk to each other (guests/linux/init, bh.test=wire)."""
from case import SWITCH_CONSOLE, case, check, start_vms, to_the_end


def guest(role, **more):
    return {"memory-mib": 128, "kernel": "vmlinuz-cloud", "initrd": "initrd-virtio.cpio",
            "append": f"console=ttyS0 quiet bh.test=wire bh.role={role} bh.name={role}", **more}


def two_guests(t, host_cpus, timeout):
    """Ping both ways, a TCP transfer with its digest, and the link goes down with the other VM."""
    vms = {"client": guest("client"), "server": guest("server")}
    with start_vms(t, vms, {"lan": ("client", "server")}, host_cpus=host_cpus, timeout=timeout,
                   icount=True) as system:
        system.expect("BH-DONE", timeout)
        system.send(SWITCH_CONSOLE)
        result = to_the_end(system)
    print(result.console)
    check(result.console.count("BH-DONE wire pass") == 2, "both guests are content", result)
    check(result.status == 0, "the system ends when both are off", result)


for cpus in (1, 2):
    case(("qemu",), cost=60, limit=600, name=f"two_guests_on_{cpus}", host_cpus=cpus, timeout=550)(two_guests)
