#!/usr/bin/python3
"""README's pictures, made from real runs: docs/demo.svg (two terminals: make run, and bhctl beside it),
docs/screen.png and docs/screen-graphics.png (the screens of guests, by bhctl screenshot). Called by `make
pictures`; writes those files.
"""
import html
import os
import re
import struct
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import case  # pylint: disable=wrong-import-position
import demo  # pylint: disable=wrong-import-position

# ECMA-48, SGR 30 to 37, on a dark ground.
COLOURS = ["#555753", "#ef5350", "#66bb6a", "#ffca28", "#64b5f6", "#ba68c8", "#4dd0e1", "#eeeeec"]
GROUND, INK, BAR = "#1d1f21", "#d3d7cf", "#34383c"
CELL_W, CELL_H, PAD = 7.3, 15, 10


def cells(data):
    """Lines of (character, colour, bold), as a terminal would show these bytes without scrolling."""
    lines, column, colour, bold = [[]], 0, None, False
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.", data.decode("utf-8", "replace"), re.S):
        if part.startswith("\x1b["):
            for code in part[2:-1].split(";") if part[-1] == "m" else ():
                code = int(code or 0)
                if code == 0:
                    colour, bold = None, False
                elif code == 1:
                    bold = True
                elif 30 <= code <= 37:
                    colour = COLOURS[code - 30]
        elif part == "\n":
            lines.append([])
            column = 0
        elif part == "\r":
            column = 0
        elif part == "\b":
            column = max(0, column - 1)
        elif part >= " ":
            line = lines[-1]
            line.extend([(" ", None, False)] * (column + 1 - len(line)))
            line[column] = (part, colour, bold)
            column += 1
    return lines


def svg_line(line, x, y):
    """One line of text, a tspan for each run of the same look."""
    runs = []
    for char, colour, bold in line:
        if runs and runs[-1][1:] == (colour, bold):
            runs[-1] = (runs[-1][0] + char, colour, bold)
        else:
            runs.append((char, colour, bold))
    spans = "".join(f'<tspan fill="{colour or INK}"{" font-weight=" + chr(34) + "bold" + chr(34) if bold else ""}>'
                    f"{html.escape(text)}</tspan>" for text, colour, bold in runs)
    return f'<text x="{x}" y="{y}" xml:space="preserve">{spans}</text>'


def svg(panes):
    """[(title, bytes)] as one picture, a window each."""
    width = PAD * 4 + CELL_W * max(len(line) for _, data in panes for line in cells(data))
    out, y = [], PAD
    for title, data in panes:
        lines = cells(data.strip(b"\r\n"))
        height = (len(lines) + 2.5) * CELL_H
        for tall, colour in ((height, GROUND), (CELL_H * 1.4, BAR)):
            out.append(f'<rect x="{PAD}" y="{y}" width="{width - 2 * PAD:.0f}" height="{tall}" rx="6" fill="{colour}"/>')
        out.append(f'<text x="{2 * PAD}" y="{y + CELL_H}" fill="{INK}">{html.escape(title)}</text>')
        out += [svg_line(line, 2 * PAD, y + (n + 2.6) * CELL_H) for n, line in enumerate(lines) if line]
        y += height + PAD
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {y:.0f}" '
                      'font-family="monospace" font-size="12">', *out, "</svg>", ""])


def bhctl(system, *words):
    """A command and what it says, as on a terminal."""
    return f"$ build/bhctl {' '.join(words)}\n{case.bhctl(system, *words)}\n".encode()


def two_terminals(t):
    """The demonstration, with somebody at its first console and somebody with bhctl."""
    with case.start_manifest(t, "guests/demo.dts", host_cpus=4, timeout=600) as system:
        case.check(system.expect(r"nothing in here can reach(?s:.*)# ", 400), "the first shell is there")
        demo.say(system, "until ping -c 1 -W 1 server >/dev/null; do sleep 1; done", r"sleep 1; done\s+/ # ", 200)
        begin = system.console.rindex(b"/ # ")
        for command, answer in (("wget -qO- http://server/", "Hello from server.*\n"),
                                ("ping -c 1 browser", "unreachable"), ("bhctl pause browser", "browser: paused\r"),
                                ("bhctl list", "server +running.*\n"), ("bhctl resume browser", "browser: running\r"),
                                ("bhctl kill server", "lacks.*\n")):
            demo.say(system, command, answer)
            demo.wait_for(system, len(system.console) - 6, "# ", 2)
        shell = system.console[begin:]
        beside = bhctl(system, "top", "--count=1") + bhctl(system, "status")
        case.bhctl(system, "shutdown")
        case.to_the_end(system)
    greeting = bytes(system.console[:system.console.index(b"\n", system.console.index(b"1 CPU,")) + 1])
    return [("make run", greeting + b"\r\n" + bytes(shell)), ("a second terminal", beside)]


def packed(path):
    """The same picture as small as a palette makes it."""
    with open(path, "rb") as f:
        data = f.read()
    width, height = struct.unpack_from(">II", data, 16)
    at, lines = 8, b""
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        if data[at + 4:at + 8] == b"IDAT":
            lines += data[at + 8:at + 8 + size]
        at += 12 + size
    raw, stride = zlib.decompress(lines), width * 3 + 1
    pixels = [raw[y * stride + 1:(y + 1) * stride] for y in range(height)]
    palette = sorted({row[x:x + 3] for row in pixels for x in range(0, width * 3, 3)})
    index = {colour: bytes([n]) for n, colour in enumerate(palette)}
    body = b"".join(b"\0" + b"".join(index[row[x:x + 3]] for x in range(0, width * 3, 3)) for row in pixels)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return (data[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)) +
            chunk(b"PLTE", b"".join(palette)) + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b""))


def screen(t, path):
    """Debian's kernel with its shell on the virtual screen, typed at by bhctl."""
    with case.start_guest(t, "build/guests/linux/vmlinuz-cloud", initrd="build/guests/linux/initrd.cpio", mem=192,
                          append="console=ttyS0 console=tty0 quiet bulkhead.label=desktop", screen="vga",
                          timeout=600) as system:
        deadline = time.monotonic() + 400
        while "power" not in case.bhctl(system, "text", "guest", ok=(0, 1, 3, 4)) and time.monotonic() < deadline:
            system.step(1)
        case.bhctl(system, "type", "guest", "cat /proc/interrupts | head -n 6<enter>")
        deadline = time.monotonic() + 60
        while "CPU0" not in case.bhctl(system, "text", "guest") and time.monotonic() < deadline:
            system.step(1)
        case.bhctl(system, "screenshot", "guest", path)


def graphics(t, path):
    """OVMF's setup, on a linear frame buffer."""
    with case.start_guest(t, firmware="ovmf", screen="vga", host_cpus=2, timeout=600) as system:
        system.expect("Shell> ", 500)
        system.send(b"exit\r")
        system.expect("Move Highlight", 90)
        system.step(2)
        case.bhctl(system, "screenshot", "guest", path)


def main():
    t = case.Context("pictures", "qemu")
    with open("docs/demo.svg", "w", encoding="utf-8") as f:
        f.write(svg(two_terminals(t)))
    for draw, picture in (screen, "docs/screen.png"), (graphics, "docs/screen-graphics.png"):
        path = os.path.join(t.dir, "screen.png")
        draw(t, path)
        with open(picture, "wb") as f:
            f.write(packed(path))
    subprocess.run(["ls", "-l", "docs/demo.svg", "docs/screen.png", "docs/screen-graphics.png"], check=True)


if __name__ == "__main__":
    main()
