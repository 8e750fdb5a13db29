"""Images that people bring: i386 and real-time kernels, Debian's installer, memtest86+, each to a sign of
life that it could not give by half.
"""
import hashlib
import os
import re
import time

from case import bhctl, build, case, check, run_guest, start_guest, to_the_end

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


class Screen:
    """What a started system says on its serial port."""

    def __init__(self, system):
        self.system = system

    def wait(self, pattern, seconds, keys=b""):
        """Type keys, then wait for the pattern behind all that had been said before."""
        seen = len(self.text())
        self.system.send(keys)
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text()[seen:]):
            alive = self.system.outcome is None and time.monotonic() < end
            check(alive, f"'{pattern}' was not seen in {seconds} s, after {keys}; the screen's last words: "
                         f"{self.text()[-1500:]!r}")
            self.system.step(0.2)

    def text(self):
        return self.system.console.decode("utf-8", "replace")


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


@case(("qemu",), cost=60, limit=600)
def memtest(t):
    """One pass over all memory on both CPUs, without the test that waits five minutes: taken out in the menu."""
    build(t, "guests-memtest")
    with start_guest(t, f"{IMAGES}/memtest86+x64.bin", mem=8, cpus=2, host_cpus=2, screen="vga",
                     timeout=550) as system:
        screen = Picture(system)
        screen.wait("Status: Testing", 150)
        screen.wait("Test selection", 60, "<f1>")
        screen.wait("Remove one test", 60, "<f1>")
        screen.wait("Enter test #", 60, "<f2>")
        screen.wait(r"\*\.\*{8}\.", 60, "10<enter>")
        screen.wait("Skip current test", 60, "<f10>")
        screen.wait("Pass: +1", 400, "<f10>")
        said = screen.said
    check(re.search(r"2 Threads +SMP: 2T \(PAR\)", said), f"both CPUs test: {said}")
    check(not re.search(r"Errors: +[1-9]", said), f"memory is sound: {said}")


@case(("qemu",), cost=120, limit=1000, full=True)
def installer(t):
    """Menus on the serial port, moved through by keys; a shell from the menu finds the disk and reads it."""
    build(t, "guests-installer")
    path = os.path.join(t.dir, "disk.img")
    data = hashlib.shake_256(b"to be installed on").digest(2 << 20)
    with open(path, "wb") as f:
        f.write(data)
    with start_guest(t, f"{IMAGES}/installer-linux", initrd=f"{IMAGES}/installer-initrd.gz", mem=800,
                     append="console=ttyS0,115200 quiet priority=low", disk=path, diskbus="ahci",
                     timeout=950) as system:
        screen = Screen(system)
        screen.wait("(?s)Debian installer main menu.*Choose language.*Abort the installation", 600)
        screen.wait("Execute a shell", 60, b"E")
        screen.wait("(?s)Interactive shell.*<Continue>", 60, b"\r")
        screen.wait("built-in shell[^#]*~ # ", 60, b"\r")
        screen.wait("/dev/sda", 60, b"list-devices disk\r")
        screen.wait(hashlib.sha256(data).hexdigest(), 60, b"sha256sum /dev/sda\r")


@case(("qemu",), cost=300, limit=1800, full=True)
def debian(t):
    """A disk as people have it: SeaBIOS, GRUB, Debian with systemd to its login; a file is written and read
    back from the disk, and the machine powers off."""
    build(t, "guests-debian")
    with start_guest(t, firmware="seabios", disk=f"{IMAGES}/debian.img", mem=512, screen="none", cpus=2,
                     host_cpus=2, timeout=1500) as system:
        screen = Screen(system)
        screen.wait("debian login: ", 1000)
        screen.wait("Password: ", 60, b"root\r")
        screen.wait("root@debian:~# ", 200, b"bulkhead\r")
        screen.wait("(?s)running.*# ", 300, b"systemctl is-system-running --wait\r")
        screen.wait("# ", 60, b"seq 100000 | tee numbers | sha256sum; sync\r")
        screen.wait("# ", 60, b"echo 3 >/proc/sys/vm/drop_caches\r")
        digest = hashlib.sha256("".join(f"{n}\n" for n in range(1, 100001)).encode()).hexdigest()
        screen.wait(digest, 60, b"sha256sum numbers\r")
        screen.wait("Power down", 300, b"systemctl poweroff\r")
        result = to_the_end(system)
    check(result.status == 0, "a power-off ends with 0", result)
