"""Images that people bring: i386 and real-time kernels, Debian's installer, memtest86+, each to a sign of
life that it could not give by half. `make test` has each of them once; `make test-full` on both backends, with one
virtual CPU and with four, but where that takes Bochs longer than all the rest (docs/SUPPORT.md).
"""
import hashlib
import os
import re
import time

from case import bhctl, build, case, check, host_cpus, run_guest, start_guest, to_the_end

IMAGES = "build/guests/images"


def works(t, goal, kernel, initrd, machine, timeout, cpus=1):
    """A kernel runs a workload to the end, and says what it is."""
    build(t, goal)
    result = run_guest(t, f"build/guests/{kernel}", initrd=initrd, timeout=timeout, icount=True, cpus=cpus,
                       host_cpus=host_cpus(t, cpus),
                       append=f"console=ttyS0 quiet bh.test=work bh.machine={machine}")
    check("BH-DONE work pass" in result.console, "the guest is not content", result)
    check(result.status == 0, "a power-off ends with 0", result)
    print(result.console)


case(("qemu",), cost=60, limit=900, timeout=850, full=True, name="linux_generic_smp4", cpus=4, machine="x86_64",
     goal="guests-linux-generic", kernel="linux/vmlinuz-generic", initrd="build/guests/linux/initrd.cpio")(works)
for _name, _settings in {
        "linux_686": {"goal": "guests-i386", "kernel": "images/vmlinuz-686", "machine": "i686",
                      "initrd": f"{IMAGES}/initrd-i386.cpio"},
        "linux_686_pae": {"goal": "guests-i386", "kernel": "images/vmlinuz-686-pae", "machine": "i686",
                          "initrd": f"{IMAGES}/initrd-i386.cpio"},
        "linux_rt": {"goal": "guests-rt", "kernel": "images/vmlinuz-rt", "machine": "PREEMPT_RT",
                     "initrd": "build/guests/linux/initrd.cpio"}}.items():
    case(("qemu",), cost=35, limit=450, timeout=400, name=_name, **_settings)(works)
    case(("qemu",), cost=60, limit=900, timeout=850, full=True, name=_name + "_smp4", cpus=4, **_settings)(works)
    case(("bochs",), cost=300, limit=1800, timeout=1700, full=True, name=_name, **_settings)(works)
    case(("bochs",), cost=400, limit=2400, timeout=2300, full=True, name=_name + "_smp4", cpus=4, **_settings)(works)


def painted(said):
    """What a terminal shows of it, as far as a pattern cares: no colours, and a blank where the cursor was moved.
    GNU screen paints the blanks of a line or moves over them, as it comes."""
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", " ", re.sub(r"\x1b\[[0-9;]*m", "", said))


@case(cost=1)
def prompt_painted(_):
    """A prompt is seen as it is typed, and as GNU screen paints it anew: over the blank behind it the cursor moves."""
    for said in ("(ash)\r\n\r\n\x1b[1m~\x1b[m # ", "(ash)\x1b[12C \r\n\x1b[23;80H \r\n~ #\x1b[76C \x1b[H"):
        check(re.search(r"\(ash\)[^#]*~ # ", painted(said)), f"a prompt: {said!r}")
    check(painted("~ #\x1b[7") == "~ #\x1b[7", "a sequence that is not all there yet is waited for")


class Screen:
    """What a started system says on its serial port."""

    def __init__(self, system):
        self.system = system

    def wait(self, pattern, seconds, keys=b""):
        """Type keys, then wait for the pattern behind all that had been said before."""
        seen = len(self.system.said())
        self.system.send(keys)
        end = time.monotonic() + seconds
        while not re.search(pattern, painted(self.system.said()[seen:])):
            alive = self.system.outcome is None and time.monotonic() < end
            check(alive, f"'{pattern}' was not seen in {seconds} s, after {keys}; the screen's last words: "
                         f"{self.system.said()[-1500:]!r}")
            self.system.step(0.2)


class Picture:
    """What a started system shows on its VGA text screen; typed on with its PS/2 keyboard."""

    def __init__(self, system):
        self.system, self.said = system, ""

    def wait(self, pattern, seconds, keys=""):
        """Type keys, then look until the pattern is on the screen."""
        if keys:
            bhctl(self.system, "type", "guest", keys)
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.system.outcome is None:
            self.said = bhctl(self.system, "text", "guest", ok=(0, 1, 3, 4))
            if re.search(pattern, self.said):
                print(self.said, flush=True)
                return
            self.system.step(0.5)
        check(False, f"'{pattern}' was not seen in {seconds} s, after {keys}; the screen: {self.said}")


def memtest(t, cpus, timeout):
    """One pass over all memory on all CPUs; in QEMU without the test that waits, which is taken out in the menu. In
    Bochs on a CPU for each: on two it may stand still (docs/EMULATORS.md)."""
    build(t, "guests-memtest")
    with start_guest(t, f"{IMAGES}/memtest86+x64.bin", mem=8, cpus=cpus, screen="vga",
                     host_cpus=cpus, timeout=timeout) as system:
        screen = Picture(system)
        screen.wait("Status: Testing", timeout)
        if t.emu == "qemu":  # in Bochs a key takes longer than that test
            screen.wait("Test selection", timeout, "<f1>")
            screen.wait("Remove one test", timeout, "<f1>")
            screen.wait("Enter test #", timeout, "<f2>")
            screen.wait(r"\*\.\*{8}\.", timeout, "10<enter>")
            screen.wait("Skip current test", timeout, "<f10>")
            screen.wait("Status: Testing", timeout, "<f10>")
        screen.wait("Pass: +1", timeout)
        said = screen.said
    check(cpus == 1 or re.search(rf"{cpus} Threads +SMP: {cpus}T \(PAR\)", said), f"all CPUs test: {said}")
    check(not re.search(r"Errors: +[1-9]", said), f"memory is sound: {said}")


case(("qemu",), cost=60, limit=600, name="memtest", cpus=2, timeout=500)(memtest)
case(("qemu",), cost=90, limit=900, full=True, name="memtest_smp4", cpus=4, timeout=800)(memtest)
case(("bochs",), cost=300, limit=2400, full=True, name="memtest", cpus=1, timeout=2300)(memtest)
case(("bochs",), cost=500, limit=4000, full=True, name="memtest_smp4", cpus=4, timeout=3900)(memtest)


def installer(t, cpus, timeout):
    """Menus on the serial port, moved through by keys; a shell from the menu finds the disk and reads it."""
    build(t, "guests-installer")
    path = os.path.join(t.dir, "disk.img")
    data = hashlib.shake_256(b"to be installed on").digest(2 << 20)
    with open(path, "wb") as f:
        f.write(data)
    with start_guest(t, f"{IMAGES}/installer-linux", initrd=f"{IMAGES}/installer-initrd.gz", mem=800,
                     append="console=ttyS0,115200 quiet priority=low", disk=path, diskbus="ahci",
                     cpus=cpus, host_cpus=host_cpus(t, cpus), timeout=timeout) as system:
        screen = Screen(system)
        screen.wait("(?s)Debian installer main menu.*Choose language.*Abort the installation", timeout)
        screen.wait("Execute a shell", timeout, b"E")
        screen.wait("(?s)Interactive shell.*<Continue>", timeout, b"\r")
        screen.wait("built-in shell[^#]*~ # ", timeout, b"\r")
        screen.wait("/dev/sda", timeout, b"list-devices disk\r")
        screen.wait(hashlib.sha256(data).hexdigest(), timeout, b"sha256sum /dev/sda\r")


case(("qemu",), cost=120, limit=1000, name="installer", cpus=1, timeout=950)(installer)
case(("qemu",), cost=120, limit=1000, full=True, name="installer_smp4", cpus=4, timeout=950)(installer)
case(("bochs",), cost=1200, limit=5400, full=True, name="installer", cpus=1, timeout=5300)(installer)


def debian(t, cpus, timeout):
    """A disk as people have it: SeaBIOS, GRUB, Debian with systemd to its login; a file is written and read
    back from the disk, and the machine powers off. In counted time: systemd gives up a device after 90 s, which
    four CPUs of a busy host need."""
    build(t, "guests-debian")
    with start_guest(t, firmware="seabios", disk=f"{IMAGES}/debian.img", mem=512, screen="none", icount=True,
                     icount_waits=True, cpus=cpus, host_cpus=host_cpus(t, cpus), timeout=timeout) as system:
        screen = Screen(system)
        screen.wait("debian login: ", timeout)
        screen.wait("Password: ", timeout, b"root\r")
        screen.wait("root@debian:~# ", timeout, b"bulkhead\r")
        screen.wait(r"(?s)\rrunning\r.*# ", timeout, b"systemctl is-system-running --wait\r")
        screen.wait("# ", timeout, b"seq 100000 | tee numbers | sha256sum; sync\r")
        screen.wait("# ", timeout, b"echo 3 >/proc/sys/vm/drop_caches\r")
        digest = hashlib.sha256("".join(f"{n}\n" for n in range(1, 100001)).encode()).hexdigest()
        screen.wait(digest, timeout, b"sha256sum numbers\r")
        screen.wait("Power down", timeout, b"systemctl poweroff\r")
        result = to_the_end(system)
    check(result.status == 0, "a power-off ends with 0", result)


case(("qemu",), cost=300, limit=1800, name="debian", cpus=1, timeout=1700)(debian)
case(("qemu",), cost=300, limit=1800, full=True, name="debian_smp4", cpus=4, timeout=1700)(debian)


XEN = """serial --unit=0 --speed=115200
terminal_output serial
multiboot /boot/xen placeholder com1=115200,8n1 console=com1 dom0_mem=300M {words}
module /boot/vmlinuz-generic placeholder console=hvc0 quiet bh.test=work
module /boot/initrd.cpio
boot
"""


# QEMU takes what an IRET in ring 3 reads from its stack for the kernel's reads (docs/EMULATORS.md): no SMAP.
@case(("qemu",), cost=100, limit=900, full=True, words="smap=0")
@case(("bochs",), cost=200, limit=1800, full=True, words="")
def xen(t, words):
    """Another hypervisor, started by GRUB, with Debian as its first domain: that does its work, and powers off."""
    build(t, "guests-xen")
    config, image = os.path.join(t.dir, "grub.cfg"), os.path.join(t.dir, "xen.iso")
    with open(config, "w", encoding="ascii") as f:
        f.write(XEN.format(words=words))
    t.command("tests/lib/mkgrub.sh", image, config, f"{IMAGES}/xen", "build/guests/linux/vmlinuz-generic",
              "build/guests/linux/initrd.cpio")
    result = run_guest(t, firmware="seabios", cdrom=image, mem=640, screen="none", icount=True, timeout=1700)
    for verdict in ("machine", "cpus", "stream", "dmesg"):  # its time and its timer are Xen's
        check(f"BH-PASS work.{verdict}" in result.console, f"its first domain is content: {verdict}", result)
    check("Entering ACPI S5" in result.console and result.status == 0, "it powers off", result)
