"""VMs that start from Debian's firmware, unmodified."""
from case import case, check, start_guest, to_the_end


def seabios(t, timeout):
    """SeaBIOS shadows itself, reads fw_cfg, and looks for something to boot, on the serial port."""
    with start_guest(t, firmware="seabios", mem=64, timeout=timeout, icount=True) as system:
        check(system.expect("No bootable device", timeout), "it finds no disk")
        said = system.console.decode("utf-8", "replace")
    for words in ("SeaBIOS (version", "Machine UUID", "Booting from Hard Disk"):
        check(words in said, f"'{words}' is in what it says: {said}")


case(("qemu",), cost=10, limit=200, timeout=150)(seabios)
case(("bochs",), cost=25, limit=400, timeout=350)(seabios)


@case(("qemu",), cost=10, limit=200)
def seabios_log(t):
    """Its log names what it has found; after a minute it starts anew, which ends the VM."""
    system = start_guest(t, firmware="seabios", mem=64, timeout=150, icount=True, firmware_log=True)
    result = to_the_end(system)
    for words in ("Found QEMU fw_cfg", "QEMU fw_cfg DMA interface supported", "Running on QEMU (q35)",
                  "Copying SMBIOS", "Found 1 cpu(s)", "Found 1 serial ports"):
        check(words in result.console, f"'{words}' is in its log", result)
    check(result.status == 0 and "vm guest: reset" in result.log, "it ends by a reset", result)
