"""VMs that start from Debian's firmware, unmodified, and what it boots."""
import base64
import os
import re
import struct

import run
from case import ask, bhctl, boot_sector, case, check, host_cpus, run_guest, start_guest, start_manifest, to_the_end

KERNEL = "build/guests/linux/vmlinuz-cloud"
INITRD = "build/guests/linux/initrd.cpio"
TASK_SWITCH = 19  # BH_EXIT_TASK_SWITCH, bulkhead/vcpu.h
DOWN = b"\x1b[B"
SERIAL = """
if [ $grub_platform = pc ]; then
    serial --unit=0 --speed=115200
    terminal_input serial
    terminal_output serial
fi
"""
GRUB = """
set timeout=-1
menuentry 'the first' { echo picked the first; halt; }
menuentry 'the second' { echo picked the second; halt; }
menuentry 'linux' {
    linux /boot/vmlinuz-cloud console=ttyS0 quiet bh.test=boot
    initrd /boot/initrd.cpio
}
menuentry 'tables' {
    linux /boot/vmlinuz-cloud console=ttyS0 quiet bh.test=tables
    initrd /boot/initrd.cpio
}
"""


def seabios(t, timeout):
    """SeaBIOS shadows itself, reads fw_cfg, and looks for something to boot, on the serial port."""
    with start_guest(t, firmware="seabios", mem=64, screen="none", timeout=timeout, icount=True) as system:
        check(system.expect("No bootable device", timeout), "it finds no disk")
        said = system.said()
    for words in ("SeaBIOS (version", "Machine UUID", "Booting from Hard Disk"):
        check(words in said, f"'{words}' is in what it says: {said}")


case(("qemu",), cost=10, limit=200, timeout=150)(seabios)
case(("bochs",), cost=25, limit=400, timeout=350)(seabios)


@case(("qemu",), cost=10, limit=200)
def seabios_log(t):
    """Its log names what it has found; after a minute it starts anew, which ends the VM."""
    system = start_guest(t, firmware="seabios", mem=64, screen="none", timeout=150, icount=True,
                         firmware_log=True)
    result = to_the_end(system)
    for words in ("Found QEMU fw_cfg", "QEMU fw_cfg DMA interface supported", "Running on QEMU (q35)",
                  "Copying SMBIOS", "Found 1 cpu(s)", "Found 1 serial ports"):
        check(words in result.console, f"'{words}' is in its log", result)
    check(result.status == 0 and "vm guest: reset" in result.log, "it ends by a reset", result)


@case(("qemu",), cost=5, limit=200)
@case(("bochs",), cost=20, limit=400, full=True)
def tables_in_rom(t):
    """What the processor, or an instruction that is not carried out, writes to read-only memory is
    dropped, and the guest goes on."""
    disk = boot_sector(t, "rom_tables")
    result = to_the_end(start_guest(t, firmware="seabios", disk=disk, screen="none", mem=64, timeout=350))
    check("YYYO" in result.console, "bits of descriptors, a store; all dropped", result)


@case(("bochs",), cost=15, limit=200)
def task_switch(t):
    """A task switch exits, and no monitor carries it out: the VM is stopped at it, with a record that says so. (In
    QEMU it does not exit, and works.)"""
    disk = boot_sector(t, "task_switch")
    result = to_the_end(start_guest(t, firmware="seabios", disk=disk, screen="none", mem=64, timeout=150))
    end, = result.audit("vm-ended")
    check(end["kind"] == "stopped" and end["exit_reason"] == TASK_SWITCH, "stopped for its reason", result)
    check("T" in result.console and "O" not in result.console.rpartition("T")[2], "before the other task", result)
    check("PANIC" not in result.log and result.status != 0, "with a status", result)
    print(result.text())


def fat_disk(t, files):
    """A disk image of 16 MiB with a FAT file system, without partitions; its path."""
    image = os.path.join(t.new_dir(), "fat.img")
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    t.command("mformat", "-i", image, "-v", "BULKHEAD", "::")
    for name, text in files.items():
        path = os.path.join(os.path.dirname(image), name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        t.command("mcopy", "-i", image, path, f"::{name}")
    return image


def ovmf_shell(t, cpus, timeout):
    """OVMF starts its shell, which reads a file from a disk and powers off."""
    disk = fat_disk(t, {"hello.txt": "words on a FAT disk\r\n"})
    with start_guest(t, firmware="ovmf", screen="none", disk=disk, cpus=cpus,
                     host_cpus=host_cpus(t, cpus), timeout=timeout) as system:
        check(system.expect("Shell> ", timeout), "the shell asks for a command")
        system.send(b"type fs0:\\hello.txt\r")
        check(system.expect("words on a FAT disk", timeout), "it reads the file")
        system.send(b"reset -s\r")
        result = to_the_end(system)
    check(result.status == 0 and "power-off" in result.log, "it powers off", result)


case(("qemu",), cost=60, limit=900, name="ovmf_shell", cpus=1, timeout=850)(ovmf_shell)
case(("qemu",), cost=60, limit=900, full=True, name="ovmf_shell_smp4", cpus=4, timeout=850)(ovmf_shell)
case(("bochs",), cost=300, limit=2400, full=True, name="ovmf_shell", cpus=1, timeout=2300)(ovmf_shell)
case(("bochs",), cost=400, limit=2400, full=True, name="ovmf_shell_smp4", cpus=4, timeout=2300)(ovmf_shell)


def grub_image(t, *files, terminal=SERIAL):
    """A disk that is a CD as well, with the menu above; its path."""
    config = os.path.join(t.new_dir(), "grub.cfg")
    with open(config, "w", encoding="ascii") as f:
        f.write(terminal + GRUB)
    image = os.path.join(os.path.dirname(config), "grub.iso")
    t.command("tests/lib/mkgrub.sh", image, config, *files)
    return image


def choose(system, entry, seconds):
    """Wait for the menu and go down to an entry with the keyboard."""
    check(system.expect("the first", seconds) and system.expect("the second", seconds), "there is a menu")
    system.send(DOWN * entry + b"\r")


def seabios_grub(t, timeout, cpus=1, **medium):
    """SeaBIOS boots GRUB; its menu is worked by keyboard, and powers off by the ACPI tables."""
    image = grub_image(t)
    medium = {name: image if value is True else value for name, value in medium.items()}
    with start_guest(t, firmware="seabios", mem=64, screen="none", timeout=timeout, icount=True,
                     cpus=cpus, host_cpus=host_cpus(t, cpus), **medium) as system:
        choose(system, 1, timeout)
        check(system.expect("picked the second", timeout), "the second entry")
        result = to_the_end(system)
    check(result.status == 0 and "vm guest: power-off" in result.log, "it powers off", result)


case(("qemu",), cost=20, limit=400, timeout=350, name="seabios_grub_cd", cdrom=True)(seabios_grub)
case(("qemu",), cost=20, limit=400, timeout=350, name="seabios_grub_disk", disk=True)(seabios_grub)
case(("qemu",), cost=15, limit=300, timeout=250, full=True, name="seabios_grub_sata", disk=True,
     diskbus="ahci")(seabios_grub)
case(("bochs",), cost=60, limit=600, timeout=500, name="seabios_grub_cd", cdrom=True)(seabios_grub)
case(("qemu", "bochs"), cost=60, limit=600, timeout=500, full=True, name="seabios_grub_smp4", cdrom=True,
     cpus=4)(seabios_grub)


@case(("qemu",), cost=40, limit=500, full=True)
def seabios_linux(t):
    """Linux, booted by GRUB from a CD, is content with what SeaBIOS has left it."""
    with start_guest(t, firmware="seabios", mem=256, screen="none", timeout=450, icount=True,
                     cdrom=grub_image(t, KERNEL, INITRD)) as system:
        choose(system, 2, 200)
        result = to_the_end(system)
    check("BH-DONE boot pass" in result.console, "the guest is not content", result)
    check(result.status == 0, "a power-off ends with 0", result)


def tables_of(t, result):
    """What bh.test=tables printed, as files in a new directory; {name: path}."""
    directory, files = t.new_dir(), {}
    for name, text in re.findall(r"^BH-FILE (\S+)\n(.*?)^BH-END$", result.console, re.M | re.S):
        files[name] = os.path.join(directory, name + ".dat")
        with open(files[name], "wb") as f:
            f.write(base64.b64decode(text))
    check({"DSDT", "FACP", "APIC", "MCFG", "DMI"} <= files.keys(), f"tables found: {sorted(files)}", result)
    return files


def checksummed(data, at, begin, end):
    """data with the byte at `at` such that begin..end sums to 0."""
    data = bytearray(data)
    data[at] = 0
    data[at] = -sum(data[begin:end]) & 0xff
    return bytes(data)


def tables_right(t, result):
    """iasl and dmidecode have nothing to say against the guest's tables."""
    files = tables_of(t, result)
    for name, path in files.items():
        if name in ("DMI", "smbios_entry_point"):
            continue
        said = t.command("iasl", "-d", path)
        check(not re.search("error|warning|invalid", said, re.I), f"{name}: iasl is content")
        if name in ("DSDT", "SSDT"):
            said = t.command("iasl", "-p", path + ".aml", path[:-4] + ".dsl")
            check("0 Errors, 0 Warnings" in said, f"{name}: it compiles again")
    with open(files["smbios_entry_point"], "rb") as f:
        entry = f.read()
    with open(files["DMI"], "rb") as f:
        table = f.read()
    # dmidecode's dump: entry point at 0, which says that the table is at 32.
    if entry.startswith(b"_SM3_"):
        entry = checksummed(entry[:16] + struct.pack("<Q", 32), 5, 0, len(entry))
    else:
        entry = entry[:24] + struct.pack("<I", 32) + entry[28:]
        entry = checksummed(checksummed(entry, 0x15, 0x10, len(entry)), 4, 0, len(entry))
    dump = files["DMI"] + ".dump"
    with open(dump, "wb") as f:
        f.write(entry.ljust(32, b"\0") + table)
    said = t.command("dmidecode", "--from-dump", dump, env={"PATH": os.environ["PATH"] + ":/usr/sbin"})
    check("Product Name: Virtual PC" in said and "Serial Number: guest" in said, "the VM is named")
    check(not re.search("OUT OF SPEC|<BAD|roken|nvalid", said), "dmidecode is content")


@case(("qemu",), cost=20, limit=300)
def tables_without(t):
    """Tables of a VM without firmware."""
    tables_right(t, run_guest(t, KERNEL, initrd=INITRD, timeout=250, icount=True,
                              append="console=ttyS0 quiet bh.test=tables"))


@case(("qemu",), cost=30, limit=500)
def tables_seabios(t):
    """Tables as SeaBIOS has placed them, on four CPUs. (On virtual time, as below: what is printed is long, and with
    fewer CPUs than the emulated machine has, Linux finds itself stuck now and then and says so in between.)"""
    with start_guest(t, firmware="seabios", cpus=4, host_cpus=2, cdrom=grub_image(t, KERNEL, INITRD), icount=True,
                     timeout=450) as system:
        choose(system, 3, 200)
        tables_right(t, to_the_end(system))


@case(("qemu",), cost=90, limit=900, full=True)
def tables_ovmf(t):
    """Tables as OVMF has placed them, on two CPUs."""
    with start_guest(t, firmware="ovmf", screen="none", cpus=2, host_cpus=2, timeout=850, icount=True,
                     cdrom=grub_image(t, KERNEL, INITRD)) as system:
        choose(system, 3, 800)
        tables_right(t, to_the_end(system))


@case(("qemu",), cost=40, limit=500)
def seabios_screen(t):
    """With a VGA, SeaBIOS runs its BIOS; GRUB's menu is on the screen and takes the PS/2 keyboard's keys."""
    def screen():
        return "\n".join(ask(system, "text", "guest"))
    with start_guest(t, firmware="seabios", mem=64, screen="vga", cdrom=grub_image(t, terminal=""),
                     timeout=450) as system:
        check(system.expect("the second", 300), "the menu is on the serial port, too")
        said = screen()
        check("GNU GRUB" in said and "the second" in said, f"the menu is on the screen: {said}")
        bhctl(system, "type", "guest", "<down><enter>")
        result = to_the_end(system)
    check(result.status == 0 and "vm guest: power-off" in result.log, "it powers off", result)


@case(("qemu",), cost=40, limit=500)
def saved(t):
    """A VM that is saved while firmware runs goes on from there: shadow RAM, flash, fw_cfg and all."""
    image = grub_image(t)
    source = os.path.join(os.path.dirname(image), "manifest.dts")
    with open(source, "w", encoding="utf-8") as f:
        f.write(run.manifest_source({"guest": {
            "memory-mib": 64, "firmware": "seabios", "display": "none", "save-mib": 80,
            "on-stop": "end-system", "disks": {"disk": {"image": os.path.basename(image)}}}}))
    with start_manifest(t, source, timeout=450) as system:
        check(system.expect("the second", 300), "there is a menu")
        bhctl(system, "save", "guest", seconds=200)
        system.send(b"c")
        check(system.expect("grub> ", 100), "it has gone on")
        bhctl(system, "restore", "guest", seconds=200)
        system.send(DOWN + b"\r")
        check(system.expect("picked the second", 100), "the menu is back")
        result = to_the_end(system)
    check(result.status == 0 and "vm guest: power-off" in result.log, "it powers off", result)


@case(("qemu",), cost=60, limit=900, full=True)
def ovmf_kernel(t):
    """OVMF starts a kernel of the boot archive by its EFI entry."""
    result = run_guest(t, KERNEL, initrd=INITRD, firmware="ovmf", screen="none", timeout=850,
                       append="console=ttyS0 bh.test=exitcode=21")
    check("efi: EFI v2" in result.console, "Linux has found UEFI", result)
    check(result.status == 43, "(21 << 1) | 1", result)
