#!/usr/bin/python3
"""Seeds of the fuzz targets: what can be generated is (manifests by dtc, images, firmware tables);
the rest is packed in tests/fuzz/seeds/NAME.txt, one input a line in base64.

Called by run.py and coverage.py.
"""
import base64
import glob
import os
import re
import shutil
import struct
import subprocess

PACKED = "tests/fuzz/seeds"


def manifests():
    """The examples of every rule, as blobs, behind the three bytes that say what to check against."""
    files = sorted(glob.glob("tests/system/manifest/*.dts")) + ["guests/demo.dts"]
    for file in files:
        done = subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", file],
                              capture_output=True, check=False)
        if done.stdout:
            yield os.path.basename(file), b"\x02\xff\x00" + done.stdout
            if len(done.stdout) < 600:
                yield os.path.basename(file) + ".env", b"\x41\x20\x03" + done.stdout


def bzimage(version=0x20c, setup_sectors=1, magic=b"HdrS", relocatable=1, xloadflags=1):
    """The least that looks like a Linux image (Documentation/arch/x86/boot.rst)."""
    head = bytearray(512 * (setup_sectors + 1))
    head[0x1f1] = setup_sectors
    struct.pack_into("<I", head, 0x1f4, 0x20)  # syssize
    struct.pack_into("<H", head, 0x1fe, 0xaa55)
    head[0x200:0x202] = b"\xeb\x66"
    head[0x202:0x206] = magic
    struct.pack_into("<H", head, 0x206, version)
    head[0x211] = 1  # LOADED_HIGH
    struct.pack_into("<I", head, 0x214, 0x100000)
    struct.pack_into("<I", head, 0x22c, 0x7fffffff)  # initrd_addr_max
    struct.pack_into("<I", head, 0x230, 0x200000)  # kernel_alignment
    head[0x234] = relocatable
    head[0x235] = 21
    struct.pack_into("<H", head, 0x236, xloadflags)
    struct.pack_into("<I", head, 0x238, 255)  # cmdline_size
    struct.pack_into("<Q", head, 0x258, 0x1000000)  # pref_address
    struct.pack_into("<I", head, 0x260, 0x10000)  # init_size
    return bytes(head) + b"\x90" * 0x240


def elf(wide, note=True, gpa=0x100000, memory=0x80, multiboot=False):
    """An ELF image with one segment, and perhaps a PHYS32_ENTRY note or a multiboot header."""
    header, each = (64, 56) if wide else (52, 32)
    notes = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", (gpa + 4) & 0xffffffff) if note else b""
    code = b"\xf4" * 16
    if multiboot:
        code = struct.pack("<III", 0x1badb002, 3, -(0x1badb002 + 3) & 0xffffffff) + code
    count = 2 if note else 1
    at = header + count * each
    at += -at % 4
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    if wide:
        head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, gpa, header, 0, 0, header, each, count,
                                   0, 0, 0)
        load = struct.pack("<IIQQQQQQ", 1, 5, at, gpa, gpa, len(code), memory, 4)
        extra = struct.pack("<IIQQQQQQ", 4, 4, at + len(code), 0, 0, len(notes), len(notes), 4)
    else:
        head = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, gpa, header, 0, 0, header, each, count,
                                   0, 0, 0)
        load = struct.pack("<IIIIIIII", 1, at, gpa, gpa, len(code), memory, 5, 4)
        extra = struct.pack("<IIIIIIII", 4, at + len(code), 0, 0, len(notes), len(notes), 4, 4)
    body = head + load + (extra if note else b"")
    return body + bytes(at - len(body)) + code + notes


def multiboot_flat():
    flags = 0x10003
    return struct.pack("<8I", 0x1badb002, flags, -(0x1badb002 + flags) & 0xffffffff, 0x100000,
                       0x100000, 0, 0x101000, 0x100020) + b"\xf4" * 32


def multiboot2(*tags):
    """A multiboot2 header (2.0, 3.1): a tag is type, flags, and 32-bit words."""
    body = b""
    for kind, flags, *words in tags + ((0, 0),):
        tag = struct.pack(f"<HHI{len(words)}I", kind, flags, 8 + 4 * len(words), *words)
        body += tag + bytes(-len(tag) % 8)
    size = 16 + len(body)
    return struct.pack("<4I", 0xe85250d6, 0, size, -(0xe85250d6 + size) & 0xffffffff) + body


def multiboot2_flat(*tags):
    return multiboot2((2, 0, 0x100000, 0x100000, 0, 0x101000), (3, 0, 0x100090), *tags) + b"\xf4" * 96


def multiboot2_elf(wide, *tags):
    """The header is behind an image that has no note."""
    image = elf(wide, note=False)
    return image + bytes(-len(image) % 8) + multiboot2(*tags)


def images():
    """Behind the four bytes that say RAM, protocol, initrd and command line."""
    plain, small, initrd = b"\0\0\0\0", b"\x90\x0c\x10\x03", b"\0\x1c\x40\0"
    kinds = {"bzimage": bzimage(), "bzimage.old": bzimage(version=0x20a),
             "bzimage.fixed": bzimage(relocatable=0), "bzimage.32": bzimage(xloadflags=0),
             "bzimage.bad": bzimage(magic=b"Hdr?"), "pvh64": elf(True), "pvh32": elf(False),
             "pvh.low": elf(True, gpa=0x8000), "pvh.hole": elf(True, gpa=0x9f000, memory=0x2000),
             "pvh.high": elf(True, gpa=0xfffffffffffff000), "pvh.none": elf(True, note=False),
             "multiboot.elf": elf(False, multiboot=True), "multiboot.elf64": elf(True, note=False,
                                                                               multiboot=True),
             "multiboot.flat": multiboot_flat(), "multiboot2.flat": multiboot2_flat(),
             "multiboot2.elf": multiboot2_elf(False, (1, 0, 1, 3, 4, 6, 14, 15), (6, 0), (7, 1)),
             "multiboot2.elf64": multiboot2_elf(True, (3, 0, 0x100004), (4, 0, 3), (5, 1, 0, 0, 32)),
             "multiboot2.high": multiboot2_elf(True, (10, 0, 0x100000, 0xffffffff, 0x1000, 2)),
             "multiboot2.low": multiboot2_flat((10, 0, 0, 0xffffffff, 0x10000, 1)),
             "multiboot2.refused": multiboot2_flat((1, 0, 9), (12, 0)), "text": b"not an image at all" * 8}
    for name, image in kinds.items():
        for how, prefix in (("", plain), (".small", small), (".initrd", initrd)):
            yield name + how, prefix + image


def piece(place, data, sums=0):
    return bytes([place]) + struct.pack("<HB", len(data), sums) + data


def address(place):
    """Where boot_tables puts a piece whose place is this byte."""
    return 0x100000 + place * 0x20000


def firmware():
    """Multiboot2 and PVH information, and ACPI tables: places and pieces as fuzz_boot_tables reads them."""
    def tag(kind, data):
        data = struct.pack("<II", kind, 8 + len(data)) + data
        return data + bytes(-len(data) % 8)

    memory_map = struct.pack("<II", 24, 0) + struct.pack("<QQII", 0, 0x9fc00, 1, 0) + struct.pack(
        "<QQII", 0x100000, 0x7f00000, 1, 0)
    tags = (tag(1, b"a command line\0") + tag(3, struct.pack("<II", 0x800000, 0x900000) + b"boot\0") +
            tag(6, memory_map) + tag(14, b"RSD PTR " + bytes(12)) + tag(0, b""))
    info = struct.pack("<II", 8 + len(tags), 0) + tags
    # EFI_MEMORY_DESCRIPTOR (UEFI 2.9, 7.2): type, address, pages, attributes.
    efi = struct.pack("<II", 48, 1) + b"".join(
        struct.pack("<IIQQQQ8x", kind, 0, base, 0, pages, 15) for kind, base, pages in
        ((7, 0x1000, 0x9e), (7, 0x100000, 0x700), (5, 0x800000, 16), (2, 0x810000, 0x6000)))
    more = (tag(3, struct.pack("<II", 0x900000, 0xa00000) + b"boot\0") + tag(17, efi) +
            tag(6, memory_map) + tag(15, b"RSD PTR " + bytes(28)) + tag(0, b""))
    yield "multiboot2.efi", b"\x03\x01" + piece(1, struct.pack("<II", 8 + len(more), 0) + more)
    yield "multiboot2", b"\x03\x01" + piece(1, info)
    yield "multiboot2.no-end", b"\x03\x01" + piece(1, info[:-8])
    start = struct.pack("<IIIIQQQQII", 0x336ec578, 1, 0, 1, address(3), address(4), 0, address(5), 2, 0)
    maps = struct.pack("<QQII", 0, 0x9fc00, 1, 0) + struct.pack("<QQII", 0x100000, 0x7f00000, 1, 0)
    yield "pvh", (b"\x01\x02" + piece(2, start) + piece(3, struct.pack("<QQQQ", 0x800000, 0x100000, 0, 0)) +
                  piece(4, b"text\0") + piece(5, maps))

    def table(signature, body):
        return signature + struct.pack("<IBB", 36 + len(body), 1, 0) + bytes(26) + body

    entries = (struct.pack("<BBBBI", 0, 8, 0, 0, 1) + struct.pack("<BBBBI", 0, 8, 1, 1, 1) +
               struct.pack("<BBBBII", 1, 12, 2, 0, 0xfec00000, 0) +
               struct.pack("<BBHIII", 9, 16, 0, 2, 1, 0) + struct.pack("<BBHQ", 5, 12, 0, 0xfee00000))
    madt = table(b"APIC", struct.pack("<II", 0xfee00000, 1) + entries)
    for name, revision in (("rsdt", 0), ("xsdt", 2)):
        rsdp = (b"RSD PTR " + b"\0OEMOEM" + bytes([revision]) + struct.pack("<I", address(2)) +
                struct.pack("<IQB3x", 36, address(3), 0))
        yield "acpi." + name, (b"\x02\x01" + piece(1, rsdp, 1) +
                               piece(2, table(b"RSDT", struct.pack("<I", address(4))), 2) +
                               piece(3, table(b"XSDT", struct.pack("<Q", address(4))), 2) +
                               piece(4, madt, 2))
        yield "acpi.scan." + name, (b"\x00\x01" + piece(0x41, rsdp, 1) +
                                    piece(2, table(b"RSDT", struct.pack("<I", address(4))), 2) +
                                    piece(3, table(b"XSDT", struct.pack("<Q", address(4))), 2) +
                                    piece(4, madt, 2))


REAL, FLAT, PAGED, PAE, LONG = 0xd0, 0xd1, 0xd2, 0xd3, 0xd6  # set_mode() in fuzz_monitor.c
EXIT_MEMORY = 7
BH_CONTROL_SAVE = 2
RSP, RSI, RDI, RCX = 4, 6, 7, 1


def device_access(code, register=0x02, gpr=None, write=False):
    """An exit of the monitor's guest: an instruction that accesses a register of the local APIC."""
    gpr = gpr or {}
    regs = b"".join(bytes([n, 0x84]) + struct.pack("<I", value) for n, value in gpr.items())
    return (bytes([EXIT_MEMORY, len(gpr) << 4 | (0 if write else 1)]) + regs +
            bytes([register, 5, len(code)]) + code)


def exits():
    """Instructions on device memory in each mode, also those that hardly any driver uses."""
    stack, unmapped = {RSP: 0x108000}, {RSP: 0x70000000}
    ram = {RSI: 0xfee00020, RDI: 0x108000, RCX: 3}
    codes = [(b"\xff\x33", stack), (b"\xff\x33", unmapped), (b"\x66\xff\x33", stack),
             (b"\xff\x73\x04", stack)]
    codes += [(bytes([0x0f, 0x40 + cc, 0x03]), {}) for cc in range(16)]
    codes += [(b"\x66\x0f\x44\x03", {}), (b"\x0f\x45\x23", {}), (b"\x0f\x0d\x03", {})]
    codes += [(prefix + op, gpr) for prefix in (b"", b"\xf3", b"\x67\x66")
              for op in (b"\xa4", b"\xa5", b"\xaa", b"\xab", b"\xac", b"\xad")
              for gpr in (ram, {RSI: 0x108000, RDI: 0xfee00080, RCX: 2}, {RSI: 0xfee00020, RCX: 0},
                          {RSI: 0xfee00020, RDI: 0x70000000, RCX: 1})]
    codes += [(b"\xa5", {RSI: 0xfee00020, RDI: 0x108ffe}), (b"\xa5", {RSI: 0x108ffe, RDI: 0xfee00080}),
              (b"\xf3\xaa", {RDI: 0x108000, RCX: 2000}), (b"\x0f\x04", {})]
    for mode in (REAL, FLAT, PAGED, PAE, LONG):
        wide = [(b"\x48" + code, gpr) for code, gpr in codes[:24]] if mode == LONG else []
        for i, (code, gpr) in enumerate(codes + wide):
            yield f"device.{mode:x}.{i}", bytes([0, mode]) + device_access(code, 0x02, gpr)
    # Interrupt command: an NMI for the CPU itself, once while one is blocked.
    nmi = device_access(b"\xc7\x03" + struct.pack("<I", 0x400), 0x30, write=True)
    yield "nmi", bytes([0, FLAT]) + nmi + nmi + bytes([17, 0, 17, 0])
    yield "nmi.blocked", (bytes([0, FLAT]) + bytes([EXIT_MEMORY, 6, 2, 0x30, 5, 6]) + b"\xc7\x03" +
                          struct.pack("<I", 0x400) + bytes([17, 0, 2, 0, 0, 17, 0]))


    # An elastic VM's piece: given, taken by root, code and devices in the hole, asked back, there again.
    def piece(how):
        return bytes([0xf0, 0x20, how])
    tick, inside = bytes([0xf8, 17, 0]), {RSI: 0x200ffe, RDI: 0x208000, RCX: 3}
    for mode in (FLAT, PAGED, PAE, LONG):
        hole = bytes([mode]) + b"".join(device_access(code, 0x02, inside) for code in (b"\xa5", b"\xf3\xa4", b"\xab"))
        yield f"piece.{mode:x}", (bytes([0x14, 0x0c]) + hole + piece(1) + tick + hole + piece(4) + hole +
                                  bytes([0xf0, 0x42, BH_CONTROL_SAVE]) + hole + piece(2) + hole + piece(8) + hole +
                                  piece(1) + tick + piece(2) + piece(0x85) + bytes(4) + hole)


    # Serial port's line through the I/O APIC, level triggered, and its end; a TSC deadline.
    ioapic, enable = (0x60, 0x70), store(0x0f, 0x1ff)
    yield "ioapic", (bytes([0, FLAT]) + enable + store(ioapic[0], 0x18) + store(ioapic[1], 0x8041) +
                     port_write(0x3fc, 8) + port_write(0x3f9, 2) + bytes([17, 0]) + store(0x0b, 0) +
                     port_write(0x3f9, 0) + store(0x0b, 0))
    yield "deadline", (bytes([0, FLAT]) + enable + store(0x32, 0x40041) +
                       bytes([5, 0x20, 0, 0x84]) + struct.pack("<I", 0x7fffffff) + bytes([2, 0, 17]) +
                       bytes([0xf8, 0xf9, 17, 0]))


def store(register, value):
    """MOV of 32 bits to a register of the local or I/O APIC (the byte that take_gpa() reads)."""
    return device_access(b"\xc7\x03" + struct.pack("<I", value), register, write=True)


def port_write(port, value):
    return bytes([3, 0x10, 0, value, 0, 0xe0]) + struct.pack("<H", port)


# Steps of fuzz_virtio.c: what a driver does, in the order it does it.
VIRTIO = {"blk": 0, "net": 1, "console": 2, "rng": 3, "balloon": 4}
NEXT, WRITE, INDIRECT = 1, 2, 4
REQUEST = 0xc0  # where the target puts a request, in the bytes that name addresses


def step(device, queue, op, *fields):
    return bytes([VIRTIO[device] << 5 | queue << 3 | op, *fields])


def number(value):
    """As take_value() reads it."""
    return bytes([value]) if value < 0x80 else b"\x83" + struct.pack("<H", value)


def descriptor(device, queue, at, where, length, flags=0, following=0):
    return step(device, queue, 1, at, where) + number(length) + bytes([flags, following])


def available(device, queue, what, sector=0, head=0):
    return step(device, queue, 2, what) + number(sector) + bytes([head])


def started(device, how=7, features=b"\x80"):
    return step(device, 0, 0, how) + features


def saved(device):
    return step(device, 0, 6, 0x87)


def messages(device):
    """MSI-X on, its three vectors unmasked, queues and configuration changes on them."""
    table = b"".join(step(device, 0, 4, 0x1e, 16 * i + 12) + number(0) for i in range(3))
    queues = b"".join(step(device, 0, 4, 0x11, 0x16) + number(q) + step(device, 0, 4, 0x11, 0x1a) + number(q)
                      for q in range(2))
    return step(device, 0, 5, 5, 0x42) + number(0x8000) + table + queues + step(device, 0, 4, 0x11, 0x10) + number(2)


def drivers():
    """Every device at work, each request once, with and without messages, events and tables."""
    for race in (0, 3):
        for how in (6, 7):
            head = bytes([race])
            blk = started("blk", how) + descriptor("blk", 0, 0, REQUEST, 16, NEXT, 1)
            read = descriptor("blk", 0, 1, 0, 1024, NEXT | WRITE, 2)
            write = descriptor("blk", 0, 1, 0, 1024, NEXT, 2)
            status = descriptor("blk", 0, 2, 0x40, 1, WRITE)
            ranges = descriptor("blk", 0, 1, REQUEST, 16, NEXT, 2)
            name = f"{race}{how}"
            yield f"read{name}", head + blk + messages("blk") + read + status + available("blk", 0, 0, 3)
            yield f"id{name}", head + blk + read + status + available("blk", 0, 8)
            yield f"write{name}", (head + blk + write + status + available("blk", 0, 1, 8) +
                                   available("blk", 0, 1, 60) + available("blk", 0, 4))
            yield f"ranges{name}", (head + blk + ranges + status + available("blk", 0, 11, 16) +
                                    available("blk", 0, 13, 16))
            yield f"table{name}", (head + started("blk", how) + descriptor("blk", 0, 0, 0, 48, INDIRECT) +
                                   descriptor("blk", 0, 0x80, REQUEST, 16, NEXT, 1) +
                                   descriptor("blk", 0, 0x81, 0x60, 512, NEXT | WRITE, 2) +
                                   descriptor("blk", 0, 0x82, 0x40, 1, WRITE) + available("blk", 0, 0))
            net = started("net", how) + messages("net")
            frame = descriptor("net", 1, 0, REQUEST, 80)
            yield f"net{name}", (head + net + descriptor("net", 0, 0, 0, 2000, WRITE) + frame +
                                 available("net", 0, 0) + available("net", 1, 0x10) * 2)
            small = b"".join(descriptor("net", 0, i, 0x20 * i, 30, WRITE) + available("net", 0, 0, 0, i)
                             for i in range(4))
            yield f"merged{name}", head + net + small + frame + available("net", 1, 0x10)
            # More segments than buffers, then another frame.
            packet = (struct.pack("<BBHHHHH6s6sH", 1, 1, 54, 100, 34, 16, 0, b"\2bh\0\0\5", b"", 8) + b"\x45" +
                      bytes(31) + b"\x50\0")
            poked = b"".join(step("net", 0, 7) + struct.pack("<H2s", 0x5000 + at, packet[at:at + 2])
                             for at in range(0, len(packet), 2) if any(packet[at:at + 2]))
            sent = step("net", 1, 1, 0, 0xf0) + number(0x6000) + number(366) + bytes(2) + available("net", 1, 0)
            buffer = descriptor("net", 0, 0, 0, 2000, WRITE) + available("net", 0, 0)
            yield f"segments{name}", (head + started("net", how, number(0x801)) + poked + buffer + sent +
                                      saved("net") + buffer * 4 + sent)
            yield f"console{name}", (head + started("console", how) + descriptor("console", 0, 0, 0, 20, WRITE) +
                                     available("console", 0, 0) + step("console", 0, 6, 0x98) +
                                     descriptor("console", 1, 0, 0x80, 100) + available("console", 1, 0) +
                                     bytes([30, 0, 0, 0]) + step("console", 0, 6, 2, 200) + bytes(3))
            yield f"rng{name}", (head + started("rng", how) + descriptor("rng", 0, 0, 0, 900, WRITE) +
                                 available("rng", 0, 0))
            yield f"balloon{name}", (head + started("balloon", how) + descriptor("balloon", 0, 0, REQUEST, 16) +
                                     available("balloon", 0, 5, 7) + bytes(12) +
                                     descriptor("balloon", 2, 0, REQUEST, 16) + available("balloon", 2, 0) +
                                     step("balloon", 0, 6, 4) + step("balloon", 0, 6, 3))


def machines():
    """A watchdog that is late, saved, and late again."""
    def watchdog(register, value):
        return bytes([0, 0x64, register, value])

    yield "late", watchdog(4, 1) + watchdog(0, 1) + bytes([5, 28, 0x76, 5, 29])


def invocations():
    """A function that makes one step of the target `invoke`: METHOD(slot, arguments...)."""
    with open("kernel/include/bulkhead/call.h", encoding="utf-8") as f:
        methods = re.findall(r"^    X\((\w+), \d+, (\w+), (\w+), (\w+), (\w+), (\w+)\)", f.read(), re.M)
    number = {m[1]: i for i, m in enumerate(methods)}

    def value(v):
        return b"\xf8\x86" + struct.pack("<Q", v)

    def invoke(method, slot, *arguments):
        taken = [a for a in methods[number[method]][2:] if not a.startswith("_")]
        assert len(arguments) == len(taken), (method, taken)
        return bytes([0x40, number[method]]) + b"".join(value(v) for v in (slot, *arguments))
    return invoke


# What the target starts with, by slot; those from FREE on are empty.
OWN_CNODE, DIRTY_FRAMES, ENDPOINT, HOST, GUEST, FRAMES, ATTACHED, UNTYPED, FREE = 1, 17, 168, 174, 176, 179, 181, 184, 200
CAP_FRAME, CAP_CNODE, CAP_GUESTSPACE = 3, 6, 12


def lives():
    """Kernel memory and Frames through their whole life: made, used, given up, cleaned, made again."""
    invoke = invocations()
    # The other CPU takes its kick and flushes as it leaves the kernel, this one as it does.
    some = invoke("untyped_left", UNTYPED)
    flushed = b"\xe0" + some + b"\xe0" + some[1:] + some

    def clean(untyped, calls=1):  # two epochs, then as many calls as it takes
        return (invoke("untyped_scrub", untyped) + flushed) * 2 + invoke("untyped_scrub", untyped) * calls

    def retype(cap_type, bits, count):
        return invoke("untyped_retype", UNTYPED, cap_type | bits << 8, count, OWN_CNODE, FREE)

    cnodes = (retype(CAP_CNODE, 4, 2) + invoke("cnode_copy", FREE, 3, ENDPOINT, 15) +
              invoke("cnode_mint", OWN_CNODE, FREE + 2, ENDPOINT, 15, 7) +
              invoke("cnode_move", FREE + 1, 2, FREE + 2) +
              invoke("cnode_delete", OWN_CNODE, FREE) + invoke("cnode_delete", OWN_CNODE, FREE + 1))
    space = (retype(CAP_GUESTSPACE, 0, 2) + invoke("frame_attach", FRAMES, FREE, 7, OWN_CNODE, FREE + 1) +
             invoke("attach_map", FREE + 1, 0x1000, 1, 1) + invoke("cnode_delete", OWN_CNODE, FREE + 1) +
             invoke("cnode_delete", OWN_CNODE, FREE))
    yield "life_cells", b"\0" + cnodes + clean(UNTYPED) + cnodes + clean(UNTYPED) + space + clean(UNTYPED) + cnodes
    yield "life_revoked", b"\0" + retype(CAP_CNODE, 4, 2) + invoke("cnode_revoke", OWN_CNODE, UNTYPED) * 3 + clean(UNTYPED) + space
    carved = b"".join(invoke("frame_carve", FRAMES, at, 2, OWN_CNODE, FREE + at) for at in (0, 4))
    gone = b"".join(invoke("cnode_delete", OWN_CNODE, FREE + at) for at in (0, 4))
    yield "life_frames", (b"\0" + invoke("attach_map", ATTACHED, 0x40000000, 3, 2) +
                          invoke("cnode_delete", OWN_CNODE, ATTACHED) + flushed + carved + gone + carved +
                          invoke("cnode_revoke", OWN_CNODE, FRAMES) +
                          invoke("frame_attach", FRAMES, GUEST, 7, OWN_CNODE, FREE) +
                          invoke("attach_map", FREE, 0x5000, 3, 4) + invoke("attach_unmap", FREE, 0x5000, 2) +
                          invoke("cnode_delete", OWN_CNODE, FREE) + flushed +
                          invoke("cnode_delete", OWN_CNODE, FRAMES))
    # unmapped in a guest, then in a host, and asked for before and after all have flushed
    mapped = invoke("attach_map", FREE, 0x40000000, 3, 4)
    again = invoke("frame_attach", FRAMES, HOST, 7, OWN_CNODE, FREE + 1)
    gone = b"".join(invoke("cnode_delete", OWN_CNODE, slot) for slot in (FREE + 1, FREE, ATTACHED, FRAMES))
    for name, space in ("guest", GUEST), ("host", HOST):
        yield f"life_unmapped_{name}", (b"\0" + invoke("frame_attach", FRAMES, space, 7, OWN_CNODE, FREE) + mapped +
                                        invoke("attach_unmap", FREE, 0x40000000, 4) + again + flushed + again + mapped +
                                        gone + flushed + gone)
    # one table for the first (the path to it is there), two for each of the others, until none is left
    places = [0x40000000 + 0x200000 * 2] + [0x40000000 * i for i in range(1, 10)]
    yield "life_tables", b"\0" + b"".join(invoke("attach_map", ATTACHED, place, 3, 1) for place in places)
    yield "life_pages", (b"\0" + clean(DIRTY_FRAMES, calls=2) +
                         invoke("untyped_retype", DIRTY_FRAMES, CAP_FRAME | 2 << 8, 8, OWN_CNODE, FREE))


GENERATORS = {"devices": machines, "virtio": drivers, "invoke": lives, "monitor": exits, "manifest": manifests, "loader": images, "boot_tables": firmware}


def generate(name):
    """(file name, bytes) of each generated seed of a target."""
    return list(GENERATORS[name]()) if name in GENERATORS else []


def packed(name):
    path = f"{PACKED}/{name}.txt"
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as f:
        return [base64.b64decode(line) for line in f if line.strip()]


def pack(name, inputs):
    """Renew the packed seeds of a target: shortest first."""
    os.makedirs(PACKED, exist_ok=True)
    with open(f"{PACKED}/{name}.txt", "w", encoding="ascii") as f:
        for data in sorted(inputs, key=lambda d: (len(d), d)):
            f.write(base64.b64encode(data).decode() + "\n")


def unpack(name, directory):
    """Write all seeds of a target as files of a fresh directory."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for file, data in generate(name) + [(f"packed-{i:04}", d) for i, d in enumerate(packed(name))]:
        with open(os.path.join(directory, file), "wb") as f:
            f.write(data)
