"""Screen and input of the virtual PC, through bhctl: what a guest shows, and what it is typed."""
import os
import re
import struct
import time
import zlib

from case import ask, bhctl, boot_sector, case, check, start_guest, to_the_end

KERNEL = "build/guests/linux/vmlinuz-cloud"
INITRD = "build/guests/linux/initrd.cpio"


def linux(t, **settings):
    """Debian's kernel with its shell on the screen; what it writes to ttyS0 is the console."""
    return start_guest(t, KERNEL, initrd=INITRD, append="console=ttyS0 console=tty0", mem=192,
                       screen="vga", **settings)


def type_line(system, text):
    ask(system, "--delay=1", "type", "guest", text + "<enter>", seconds=400)


def png_pixels(path):
    """Width, height and the RGB bytes of a PNG as bhctl writes it, by an independent reader."""
    with open(path, "rb") as f:
        data = f.read()
    check(data[:8] == b"\x89PNG\r\n\x1a\n", "PNG signature")
    at, chunks = 8, {}
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        check(zlib.crc32(kind + body) == struct.unpack_from(">I", data, at + 8 + size)[0], "CRC")
        chunks[kind] = body
        at += 12 + size
    width, height, bits, kind = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    check((bits, kind) == (8, 2), "true colour")
    lines = zlib.decompress(chunks[b"IDAT"])
    check(len(lines) == height * (width * 3 + 1), "as many bytes as pixels")
    stride = width * 3 + 1
    check(not any(lines[::stride]), "no filters")
    return width, height, b"".join(lines[y * stride + 1:(y + 1) * stride] for y in range(height))


def read_back(path, lines):
    """A text screen's picture against its text: the same character looks the same everywhere,
    another one looks different."""
    width, height, rgb = png_pixels(path)
    check((width, height) == (720, 400), f"{width} x {height}")
    looks = {}
    for row, line in enumerate(lines):
        for column, code in enumerate(line.ljust(80)):
            cell = b"".join(rgb[((row * 16 + y) * width + column * 9) * 3:][:27] for y in range(13))
            check(looks.setdefault(code, cell) == cell, f"'{code}' in line {row}, column {column}")
    check(len(set(looks.values())) == len(looks), "different characters look different")
    check(len(looks) > 20, "there is something on the screen")


@case(("qemu",), cost=30, limit=400)
@case(("bochs",), cost=130, limit=1000, full=True)
def text(t):
    """What Linux' own VGA driver writes is on the screen: as text, and as a picture."""
    picture = os.path.join(t.dir, "screen.png")
    with linux(t, timeout=900) as system:
        check(system.expect("Run /init", 700), "Linux boots")
        type_line(system, "clear; seq -s ' ' 1 60; cat /etc/motd; echo done >/dev/ttyS0")
        check(system.expect("^done", 300), "the shell has run it")
        lines = ask(system, "text", "guest")
        print("\n".join(lines))
        wanted = " ".join(str(n) for n in range(1, 61))
        check(len(lines) == 25 and "".join(line.ljust(80) for line in lines).find(wanted) >= 0,
              "the numbers are on the screen")
        shot = ask(system, "screenshot", "guest", picture)
        check(shot == {"width": 720, "height": 400, "text": True}, shot)
        read_back(picture, lines)
        check("no such VM" in bhctl(system, "screenshot", "nobody", picture, ok=(1,)), "unknown VM")
        check("No such file" in bhctl(system, "screenshot", "guest", "/nowhere/x.png", ok=(1,)),
              "a file that cannot be written")


@case(("qemu",), cost=30, limit=400)
def keyboard(t):
    """Keys reach a shell on tty0 through Linux' own driver; what cannot be done is said."""
    with linux(t, timeout=350) as system:
        check(system.expect("Run /init", 300), "Linux boots")
        listed = ask(system, "list")
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


@case(("bochs",), cost=120, limit=900, full=True, name="keyboard")
def keyboard_slow(t):
    """The same line through a UART without flow control."""
    with linux(t, timeout=850) as system:
        check(system.expect("Run /init", 700), "Linux boots")
        type_line(system, "poweroff -f")
        result = to_the_end(system)
    check(result.status == 0, "power-off, typed", result)


def shown(system, pattern, seconds):
    """Wait until the text on the screen matches; the match, or None. Nobody may
    answer yet, and a screen that shows a picture has no text."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and system.outcome is None:
        found = re.search(pattern, bhctl(system, "text", "guest", ok=(0, 1, 3, 4)), re.M)
        if found:
            return found
        system.step(0.5)
    return None


@case(("qemu",), cost=15, limit=300)
def seabios(t):
    """SeaBIOS brings its own font and writes through its BIOS for this adapter."""
    picture = os.path.join(t.dir, "screen.png")
    with start_guest(t, firmware="seabios", mem=64, timeout=250) as system:
        check(shown(system, "No bootable device", 200), "SeaBIOS ends its search")
        lines = ask(system, "text", "guest")
        check(lines[0].startswith("SeaBIOS (version"), lines[0])
        bhctl(system, "screenshot", "guest", picture)
        read_back(picture, lines)


@case(("qemu",), cost=40, limit=500, full=True)
def graphics(t):
    """OVMF draws on a linear frame buffer: its shell in one mode, its setup in another."""
    picture = os.path.join(t.dir, "screen.png")

    def colours(size):
        shot = ask(system, "screenshot", "guest", picture)
        check((shot["width"], shot["height"], shot["text"]) == (*size, False), shot)
        width, height, rgb = png_pixels(picture)
        check((width, height) == size, f"{width} x {height}")
        return {rgb[i:i + 3] for i in range(0, len(rgb), 3)}

    with start_guest(t, firmware="ovmf", screen="vga", host_cpus=2, timeout=450) as system:
        check(system.expect("Shell> ", 400), "the shell asks for a command")
        check(len(colours((1280, 800))) >= 4, "black, grey, white, yellow")
        system.send(b"exit\r")
        check(system.expect("Boot Maintenance Manager", 100), "the setup")
        check(system.expect("Move Highlight", 100), "all of it")
        system.step(1)
        found = colours((640, 480))
        check(b"\x98\x98\x98" in found and b"\x00\x00\x98" in found, f"grey and blue: {sorted(found)}")


@case(("qemu",), cost=5, limit=200)
def frame_buffer(t):
    """Where SeaBIOS has put the frame buffer there is memory, from one end to the other, and
    wherever else it is put."""
    disk = boot_sector(t, "frame_buffer")
    result = to_the_end(start_guest(t, firmware="seabios", disk=disk, screen="vga", mem=64, timeout=150))
    check("YYYYYYYYYY" in result.console, "all of it is memory", result)


@case(("qemu",), cost=15, limit=300)
def no_screen(t):
    """A VM without a screen has no keyboard, and bhctl says so."""
    with start_guest(t, KERNEL, initrd=INITRD, append="console=ttyS0", mem=192, timeout=250) as system:
        check(system.expect("Run /init", 200), "Linux boots")
        check('display = "vga"' in bhctl(system, "type", "guest", "x", ok=(1,)), "what to do")
        check('display = "vga"' in bhctl(system, "text", "guest", ok=(1,)), "what to do")
