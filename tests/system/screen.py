"""Screen and input of the virtual PC, through bhctl: what a guest shows, and what it is typed."""
import json

from case import bhctl, case, check, start_guest, to_the_end

KERNEL = "build/guests/linux/vmlinuz-cloud"
INITRD = "build/guests/linux/initrd.cpio"


def linux(t, **settings):
    """Debian's kernel with its shell on the screen; what it writes to ttyS0 is the console."""
    return start_guest(t, KERNEL, initrd=INITRD, append="console=ttyS0 console=tty0", mem=192,
                       screen="vga", **settings)


def type_line(system, text):
    bhctl(system, "--delay=1", "type", "guest", text + "<enter>")


@case(("qemu",), cost=30, limit=400)
def keyboard(t):
    """Keys reach a shell on tty0 through Linux' own driver; what cannot be done is said."""
    with linux(t, timeout=350) as system:
        check(system.expect("Run /init", 300), "Linux boots")
        listed = json.loads(bhctl(system, "--json", "list"))
        check([(vm["name"], vm["state"]) for vm in listed] == [("guest", "running")], listed)
        check("no such VM" in bhctl(system, "type", "nobody", "x", ok=(1,)), "unknown VM")
        check("no key" in bhctl(system, "type", "guest", "<nokey>", ok=(2,)), "unknown key")
        # The shell's first prompt is on a screen that nobody reads: typed ahead, it takes both.
        type_line(system, 'echo "Typed: {A-z} ~!@#$%^&*()_+" >/dev/ttyS0')
        check(system.expect(r"^Typed: \{A-z\} ~!@#\$%\^&\*\(\)_\+", 120), "typed line comes back")
        type_line(system, "dmesg | grep -c -i -e 'i8042.*fail' -e 'i8042.*error' -e 'atkbd.*unknown' "
                          ">/dev/ttyS0")
        check(system.expect(r"^0\r?$", 60), "no complaint of the keyboard's driver")
        type_line(system, "poweroff -f")
        result = to_the_end(system)
    check(result.status == 0, "power-off, typed", result)


@case(("bochs",), cost=120, limit=900, name="keyboard")
def keyboard_slow(t):
    """The same line through a UART without flow control."""
    with linux(t, timeout=850) as system:
        check(system.expect("Run /init", 700), "Linux boots")
        type_line(system, "poweroff -f")
        result = to_the_end(system)
    check(result.status == 0, "power-off, typed", result)


@case(("qemu",), cost=15, limit=300)
def no_screen(t):
    """A VM without a screen has no keyboard, and bhctl says so."""
    with start_guest(t, KERNEL, initrd=INITRD, append="console=ttyS0", mem=192, timeout=250) as system:
        check(system.expect("Run /init", 200), "Linux boots")
        check('display = "vga"' in bhctl(system, "type", "guest", "x", ok=(1,)), "what to do")
