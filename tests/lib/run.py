#!/usr/bin/python3
"""Start the system with a manifest, or with one VM made from an image on the spot.

What `make run` and the system tests call. Compiles and checks the manifest, collects the images it
names, builds the boot module, and hands over to emu.py, whose exit status it passes on; 2 means the
run could not be started. Writes into the run's directory only.
"""
import argparse
import os
import re
import subprocess
import sys

import emu
import mkboot

# What the build leaves for us, seen from the root of the checkout.
KERNEL = "build/kernel/bulkhead.elf"
ROOT = os.environ.get("ROOT_BIN", "build/vmm/root.bin")
MONITOR = os.environ.get("MONITOR", "build/vmm/monitor")
CHECKER = os.environ.get("BHMANIFEST", "build/policy/bhmanifest")
# Where images are looked for, after the manifest's own folder.
IMAGE_FOLDERS = ["build/guests/linux", "build/guests", "build/tests/guests"]
# Firmware as Debian has it: packages seabios and ovmf.
FIRMWARE_FOLDERS = ["/usr/share/seabios", "/usr/share/OVMF"]
# Memory of the machine beyond that of the VMs: kernel pool, root, monitors, the boot module.
HOST_MEM_EXTRA = 384


class Unusable(Exception):
    """The run cannot be started; the text says why and what to do."""


def mebibytes(text):
    """256, 256M or 1G as a number of MiB."""
    match = re.fullmatch(r"(\d+)([mMgG]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}': want a size like 256M or 1G")
    return int(match[1]) * (1024 if match[2] in ("g", "G") else 1)


def seconds(text):
    """A time above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}': want a number of seconds above 0")
    return value


def manifest_source(vms, wires=None, system=None):
    """Device tree source of a system with these VMs: {name: {property: value}}, docs/MANIFEST.md.

    A value is a text, texts in a tuple, a number, numbers in a list, True for a switch, or a dictionary for a node;
    None leaves the property out. wires: {name: (VM, VM)} or {name: {property: value}}; system: the node of that name.
    """
    if system is None:
        system = {"log": "com2", "end-when-idle": True}

    def lines_of(name, value, indent):
        if value in (None, ""):
            return []
        if isinstance(value, dict):
            inner = [line for item in value.items() for line in lines_of(*item, indent + "    ")]
            return [f"{indent}{name} {{", *inner, f"{indent}}};"]
        if value is True:
            return [f"{indent}{name};"]
        if isinstance(value, int):
            return [f"{indent}{name} = <{value}>;"]
        if isinstance(value, list) and isinstance(value[0], int):
            return [f"{indent}{name} = <{' '.join(str(number) for number in value)}>;"]
        texts = [value] if isinstance(value, str) else value
        quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]
        return [f"{indent}{name} = {', '.join(quoted)};"]
    lines = ["/dts-v1/;", "/ {", '    compatible = "bulkhead,manifest-v1";', *lines_of("vms", vms, "    ")]
    if wires:
        lines += lines_of("wires", {name: wire if isinstance(wire, dict) else {"ends": wire}
                                    for name, wire in wires.items()}, "    ")
    return "\n".join(lines + [*lines_of("system", system, "    "), "};", ""])


def compile_manifest(source, blob):
    """dtc; its messages name file, line and column."""
    done = subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", blob, source],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(done.stderr.strip() or f"dtc could not compile {source}")


def checker(*args):
    """Run the manifest checker; its output."""
    done = subprocess.run([CHECKER, *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(done.stderr.strip())
    return done.stdout


def find_image(name, folders):
    """The file an image name stands for."""
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise Unusable(f"image '{name}': not found in {', '.join(folders)}; 'make guests' builds ours")


def read(path):
    """A file's bytes, or the reason in plain words."""
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as error:
        hint = "; run 'make'" if path.startswith("build/") else ""
        raise Unusable(f"{path}: {error.strerror}{hint}") from None


# Disk images that are files with a structure of their own, by their first bytes.
FORMATS = {b"QFI\xfb": "qcow2", b"KDMV": "vmdk", b"conectix": "vpc", b"vhdxfile": "vhdx", b"<<< Oracle": "vdi"}


def begin_of(path):
    """The first bytes of a file that somebody has named."""
    try:
        with open(path, "rb") as f:
            return f.read(16)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None


def file(path):
    """The path of a file that can be read and has something in it."""
    if not begin_of(path):
        raise argparse.ArgumentTypeError(f"{path}: is empty")
    return path


def manifest(path):
    """The path of a manifest's source."""
    begin = begin_of(path)
    if not begin or begin.startswith(b"\xd0\x0d\xfe\xed"):  # Devicetree Specification 0.3, 5.2: of a compiled one
        raise argparse.ArgumentTypeError(f"{path}: is {'compiled' if begin else 'empty'}, wanted is a manifest's source "
                                         "(.dts), see docs/MANIFEST.md")
    return path


def raw_image(path):
    """The path of an image that has a disk's bytes and nothing else; none stays none."""
    if not path:
        return path
    begin = begin_of(path)
    for magic, name in FORMATS.items():
        if begin.startswith(magic):
            raise argparse.ArgumentTypeError(f"{path}: is a {name} image, wanted is a raw one: "
                                             f"qemu-img convert -f {name} -O raw {path} {path}.img")
    return path


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the name that one gives to make: MEM, not --mem."""

    def error(self, message):
        named = re.sub(r"^argument --([a-z-]+):", lambda m: m[1].upper().replace("-", "_") + ":", message)
        self.exit(2, named + "\n")


class System:
    """A boot module with what is in it, ready for emu.Settings."""

    def __init__(self, directory, source, images, name=None):
        """source: .dts file; images: {name: path} that take precedence over look-up."""
        blob = os.path.join(directory, "manifest.dtb")
        compile_manifest(source, blob)
        folders = [os.path.dirname(source) or "."] + IMAGE_FOLDERS + FIRMWARE_FOLDERS
        shown = ["--name", name] if name else ["--source", source]
        files, paths = [], []
        for image in dict.fromkeys(checker("images", blob, *shown).split()):
            path = images.get(image) or find_image(image, folders)
            if os.path.isfile(path) and os.path.getsize(path) >= 1 << 32:
                raise Unusable(f"{path}: has 4 GiB or more, which the boot module has no room for")
            files.append((image, read(path)))
            paths.append(f"{image}={path}")
        checker("check", blob, *shown, *(["--image-files"] + paths if paths else []))
        files = [("manifest.dtb", read(blob)), ("monitor", read(MONITOR))] + files
        self.boot = os.path.join(directory, "boot.img")
        with open(self.boot, "wb") as f:
            f.write(mkboot.boot_image(read(ROOT), files))
        # Only an estimate of what the machine needs; root checks against what it really has.
        with open(source, encoding="utf-8") as f:
            sizes_mib = re.findall(r"(?:memory|save|size|overlay)-mib\s*=\s*<\s*(\w+)\s*>", f.read())
        self.mem = sum(int(size, 0) for size in sizes_mib) + HOST_MEM_EXTRA
        self.mem += 3 * os.path.getsize(self.boot) // (1024 * 1024)
        self.mem = (self.mem + 127) // 128 * 128
        # The emulators' RAM has a hole from 2 or 3 GiB to 4 GiB, and a VM's lies in one piece.
        self.mem += 2048 if self.mem > 1536 else 0


# Of one_vm(), by the names that `make run` has for them.
VM_OPTIONS = ("initrd", "append", "cpus", "mem", "disk", "diskbus", "cdrom", "net", "screen", "firmware",
              "firmware_log")


def one_vm(directory, guest=None, initrd=None, append="", cpus=1, mem=256, disk=None,
           diskbus=None, cdrom=None, net=None, screen=None, firmware=None, firmware_log=False, placed=None):
    """The System of the shortcut form; placed: properties that say on which CPUs the VM is."""
    images = {}

    def image(path, fallback):
        # Names inside the archive are plain; the file's own name where it qualifies.
        name = os.path.basename(path)
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,62}", name) or name in images:
            name = fallback
        images[name] = path
        return name
    kernel_name = image(guest, "guest-kernel") if guest else None
    initrd_name = image(initrd, "guest-initrd") if initrd else None
    disks = {}
    if disk:
        disks["disk"] = {"image": image(disk, "guest-disk"), "bus": diskbus}
    if cdrom:
        disks["cdrom"] = {"image": image(cdrom, "guest-cdrom"), "bus": "ahci", "cdrom": True}
    source = os.path.join(directory, "manifest.dts")
    with open(source, "w", encoding="utf-8") as f:
        f.write(manifest_source({"guest": {
            "memory-mib": mem, "cpus": cpus, "kernel": kernel_name, "initrd": initrd_name,
            "append": append, "firmware": firmware, "firmware-log": firmware_log or None, "network": net,
            "display": screen, "debug-exit": True, "on-stop": "end-system", **(placed or {}), "disks": disks or None}}))
    return System(directory, source, images, name=f"make run {'GUEST' if guest else 'FIRMWARE'}=...")


def write_gdb_script(directory):
    """Commands for gdb that load all symbols and connect to the waiting emulator."""
    path = os.path.join(directory, "gdb.cmd")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"file {KERNEL}\n")
        for program in (os.path.splitext(ROOT)[0] + ".elf", MONITOR + ".elf", MONITOR):
            if os.path.exists(program):
                f.write(f"add-symbol-file {program}\n")
                if program.startswith(MONITOR):
                    break
        f.write(f"target remote {os.path.join(directory, 'gdb.sock')}\n")
    print(f"emu: the machine waits for: gdb -x {path}", file=sys.stderr)


def machine_cpus(args):
    """One for each vCPU, and one for root: QEMU loses CPU 0's state, rarely, when VMs run there and on others at the
    same time (docs/EMULATORS.md). For a manifest four: enough for three vCPUs. Bochs has two."""
    if args.emu == "bochs":
        return min(args.cpus, 2) if args.guest or args.firmware else 2
    if args.guest or args.firmware:
        return args.cpus + (args.cpus > 1 and not args.icount)
    return 4


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=manifest, default="guests/demo.dts")
    parser.add_argument("--guest", type=file, help="one VM from this image instead of a manifest")
    parser.add_argument("--initrd", type=file)
    parser.add_argument("--append", default="")
    parser.add_argument("--firmware", choices=["seabios", "ovmf"], help="starts instead of an image")
    parser.add_argument("--firmware-log", action="store_true", help="port 0x402 is on the console")
    parser.add_argument("--disk", type=raw_image, help="the VM's disk: an image, which is not written to")
    parser.add_argument("--diskbus", choices=["virtio", "ahci"], help="default: virtio")
    parser.add_argument("--cdrom", type=raw_image, help="an ISO image in the VM's CD-ROM drive")
    parser.add_argument("--net", choices=["none", "loopback"], help="what the VM's network card is on")
    parser.add_argument("--cpus", type=int, default=1, help="of the VM")
    parser.add_argument("--mem", type=mebibytes, default=256, help="of the VM: 256M, 1G")
    parser.add_argument("--screen", choices=["none", "vga"], help="of the VM")
    parser.add_argument("--host-cpus", type=int, help="of the machine")
    parser.add_argument("--host-mem", type=mebibytes, help="of the machine")
    parser.add_argument("--emu", default="auto", choices=["auto", "qemu", "bochs"])
    parser.add_argument("--cpu-model")
    parser.add_argument("--cmdline", default="", help="the kernel's")
    parser.add_argument("--icount", type=int, default=0, choices=[0, 1])
    parser.add_argument("--timeout", type=seconds)
    parser.add_argument("--log", action="store_true", help="show the system log on stderr")
    parser.add_argument("--debug", action="store_true", help="wait for gdb (QEMU)")
    parser.add_argument("--dry", action="store_true", help="build the boot module and stop")
    parser.add_argument("--dir", help="default: a new build/run/N")
    # Empty values are what make passes for variables nobody set.
    given = [a for a in sys.argv[1:] if not re.fullmatch(r"--[a-z-]+=", a)]
    args = parser.parse_args(given)
    names = {re.match(r"--([a-z-]+)", a)[1].replace("-", "_") for a in given if a.startswith("--")}
    if (args.guest or args.firmware) and "manifest" in names:
        parser.error("argument --manifest: it names all of its VMs; leave out GUEST and FIRMWARE, or MANIFEST")
    for name in VM_OPTIONS if not (args.guest or args.firmware) else ():
        if name in names:
            parser.error(f"argument --{name.replace('_', '-')}: is for the one VM of GUEST=image or FIRMWARE=...; "
                         "the VMs of a manifest have what stands there")

    directory = args.dir or emu.new_run_directory()
    os.makedirs(directory, exist_ok=True)
    try:
        if args.guest or args.firmware:
            vm = {name: getattr(args, name) for name in VM_OPTIONS}
            system = one_vm(directory, args.guest, **vm)
        else:
            system = System(directory, args.manifest, {})
    except Unusable as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    if args.dry:
        print(system.boot)
        return
    interactive = sys.stdin.isatty()
    if interactive:
        print("Ctrl-A X ends the run. In a second terminal: build/bhctl top, build/bhctl status, build/bhctl --help",
              file=sys.stderr)
    settings = emu.Settings(
        kernel=KERNEL, boot=system.boot, emu="qemu" if args.debug else args.emu,
        cpus=args.host_cpus or machine_cpus(args), mem=args.host_mem or system.mem,
        cpu=args.cpu_model, icount=bool(args.icount), timeout=args.timeout, cmdline=args.cmdline,
        interactive=interactive, directory=directory, gdb=args.debug, log_to_stderr=args.log)
    if args.debug:
        write_gdb_script(directory)
    sys.exit(emu.run(settings))


if __name__ == "__main__":
    main()
