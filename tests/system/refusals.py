"""What cannot work is refused with words that say what and why: machines without virtualisation,
damaged boot modules, manifests and images that root finds wrong. None of it hangs or panics."""
import hashlib
import os
import re
import signal
import struct
import subprocess
import time

import emu
import mkboot
import run
from case import Result, ask, case, check, run_guest, run_vms, start_vms

HELLO = "build/tests/guests/hello.elf"
LINUX = "build/guests/linux/vmlinuz-cloud"
CANNOT_START, IMAGE = 71, 122
BIG = (4 << 20) + 4097  # bytes: more than root maps at a time


def read(path):
    with open(path, "rb") as f:
        return f.read()


def boot(t, image, mem=512, **settings):
    """Start the kernel with these bytes as its boot module (None: without one), to the end."""
    directory = t.new_dir()
    path = None
    if image is not None:
        path = os.path.join(directory, "boot.img")
        with open(path, "wb") as f:
            f.write(image)
    emulator = emu.Emulator(emu.Settings(boot=path, kernel=run.KERNEL, emu=t.emu or "qemu", mem=mem,
                                         timeout=100, directory=directory, **settings)).start()
    try:
        emulator.wait()
    finally:
        result = Result(emulator)
    return result


def module(t, manifest, images):
    """A boot module that the build's own checker has not seen: {name: bytes} beside the manifest."""
    blob = os.path.join(t.new_dir(), "manifest.dtb")
    subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-o", blob, "-"], check=True,
                   input=manifest.encode())
    files = [("manifest.dtb", read(blob)), ("monitor", read(run.MONITOR)), *images.items()]
    return mkboot.boot_image(read(run.ROOT), files)


def refused(result, status, *words):
    check(result.status == status, f"status {status}", result)
    for word in words:
        check(re.search(word, result.log), f"the log says '{word}'", result)
    check("PANIC" not in result.log, "no panic", result)


# ---- The machine -----------------------------------------------------------------------------------
MACHINES = {
    "no_svm": ("qemu", "EPYC,-svm", "neither VT-x nor AMD-V"),
    "no_nested_paging": ("qemu", "EPYC,-npt", "no nested paging"),
    "no_vmx": ("bochs", "p4_prescott_celeron_336", "no VT-x|neither VT-x nor AMD-V"),
}
for _name, (_emulator, _cpu, _words) in MACHINES.items():
    def cpu(t, model, words):
        """A CPU that cannot run VMs: the kernel says so and stops."""
        refused(run_guest(t, HELLO, mem=64, cpu=model, timeout=100), CANNOT_START,
                "cannot start: .*(" + words + ")", "end status=71")
    case((_emulator,), cost=8, limit=200, name=_name, model=_cpu, words=_words)(cpu)


@case(("qemu",), cost=8, limit=200)
def no_pit(t):
    """Nothing to measure clocks against: the kernel does not wait for it for ever."""
    refused(run_guest(t, HELLO, mem=64, timeout=150, qemu_args=("-machine", "pit=off")), CANNOT_START,
            "cannot start: the PIT does not count", "end status=71")


@case(("qemu",), cost=10, limit=600)
def held_up(t):
    """The machine below stands still again and again, longer than the PIT's count lasts: the kernel
    still finds out how fast its clock is (it said 38 GHz on a busy machine once)."""
    def clock(pauses):
        with start_vms(t, {"one": {"memory-mib": 64, "kernel": "hello.elf"}}, timeout=250) as system:
            while pauses > 0 and system.process.poll() is None:
                system.process.send_signal(signal.SIGSTOP)
                time.sleep(0.07)
                system.process.send_signal(signal.SIGCONT)
                time.sleep(0.003)
                pauses -= "started by" in system.log()
            said = system.expect(r"TSC (\d+) kHz", 60, log=True)
            check(said, f"the kernel says its clock: {system.log()}")
            return int(said[1])

    right, measured = clock(0), clock(20)
    check(abs(measured - right) < right / 50, f"{measured} kHz, while it is {right} kHz")


# ---- What protects, in words (promise 9) ------------------------------------------------------------
PROTECTIONS = {"smep": "no SMEP", "smap": "no SMAP", "umip": "no UMIP"}


@case(("qemu",), cost=8, limit=200)
def protections(t):
    """Each protection that the CPU lacks is named as off, each that it has as on."""
    results = [run_guest(t, HELLO, mem=64, timeout=100, cpu="EPYC" + flags)
               for flags in (",+umip", "".join(",-" + flag for flag in PROTECTIONS))]
    both = [result.log for result in results]
    for flag, words in PROTECTIONS.items():
        on, off = (re.findall(rf"protection (on: |OFF:).*{flag}", log, re.I) for log in both)
        check(on == ["on: "] and off == ["OFF:"] and words in both[1], f"{flag}: {on} then {off}")
    for log in both:
        for words in ("no IBPB", "no IOMMU", "no interrupt remapping", "no TPM"):
            check(re.search("protection OFF: " + words, log), f"the log says '{words}'")
    for result in results:
        said = re.findall("protection OFF: ([^\r\n]*)", result.log)
        audited = [record["text"] for record in result.audit("protection-off")]
        check(said == audited, f"each that is off is in the audit records: {said}, {audited}", result)


@case(("qemu",), cost=8, limit=200)
def siblings_parked(t):
    """The second thread of a core does not run, unless the command line says so; the log says which."""
    for cmdline, cpus, words in (("", 2, "on:  hyperthread siblings are parked"),
                                 ("smt=on", 4, "OFF: hyperthread siblings run")):
        result = run_guest(t, HELLO, mem=64, timeout=100, host_cpus=4, icount=True, cmdline=cmdline,
                           qemu_args=("-smp", "4,sockets=1,cores=2,threads=2"))
        check(f", {cpus} CPU(s)," in result.log, f"'{cmdline}': {cpus} CPUs run", result)
        check("protection " + words in result.log, f"'{cmdline}': {words}", result)
    vms = {"work": {"memory-mib": 4, "kernel": "life.elf", "cpus": 2}}
    with start_vms(t, vms, system={"log": "com2"}, host_cpus=4, icount=True,
                   qemu_args=("-smp", "4,sockets=1,cores=2,threads=2")) as system:
        check(system.expect('"vm-started"', 60, log=True), "the VM is started")
        said = ask(system, "status")
        check({"on": True, "words": "hyperthread siblings are parked"} in said["protections"], said)
        check(said["system"]["cpus"] == 2, "VMs are on one thread of each core")


@case(("qemu",), cost=15, limit=300)
def many_cpus(t):
    """More CPUs than the kernel takes, and than root does: VMs run on the last that there is a thread for."""
    vms = {"last": {"memory-mib": 64, "kernel": "hello.elf", "cpu": 15, "debug-exit": True}}
    result = run_vms(t, vms, host_cpus=70, host_mem=2048, timeout=250)
    check(", 64 CPU(s)," in result.log and result.ends() == {"last": 16}, "64 run, and a VM on CPU 15", result)


# ---- The boot module -------------------------------------------------------------------------------
def header(offset, value):
    """Root's image with one word of its header (struct bh_root_header) replaced."""
    image = bytearray(read(run.ROOT))
    image[offset:offset + 8] = struct.pack("<Q", value)
    return bytes(image + b"\0" * (-len(image) % 4096))


MODULES = {
    "no_module": (lambda: None, "no boot module: give the boot archive"),
    "noise": (lambda: b"noise " * 4096, "does not begin with a root task"),
    "bad_magic": (lambda: header(0, 0x1234), "does not begin with a root task"),
    "bad_entry": (lambda: header(8, 1 << 47), "header is damaged"),
    "huge_text": (lambda: header(16, (1 << 64) - 4096), "header is damaged"),
    "odd_text": (lambda: header(16, 4097), "header is damaged"),
    "huge_bss": (lambda: header(40, 1 << 46), "header is damaged|too large|no memory"),
    "short": (lambda: read(run.ROOT)[:4096], "header is damaged"),
}


@case(("qemu",), cost=20, limit=400)
def boot_modules(t):
    """No module, and damaged ones: the kernel names what is wrong."""
    for name, (image, words) in MODULES.items():
        print("----", name, flush=True)
        refused(boot(t, image()), CANNOT_START, "cannot start: .*(" + words + ")")


def vm(properties='memory-mib = <64>; kernel = "hello.elf";', more=""):
    return ('/dts-v1/;\n/ { compatible = "bulkhead,manifest-v1"; vms { one { ' + properties + " }; " + more +
            ' }; system { log = "com2"; end-when-idle; }; };\n')


@case(("qemu",), cost=12, limit=300)
def archives(t):
    """Root says what is wrong with the archive."""
    good = module(t, vm(), {"hello.elf": read(HELLO)})
    at = (os.path.getsize(run.ROOT) + 4095) // 4096 * 4096
    check(good[at:at + 6] == b"070701", "the archive begins where we think")
    cut = good[:at] + good[at:].replace(b"070701", b"070709")
    for name, image, words in (
            ("no archive", good[:at] + bytes(4096), "boot module: no archive in it|malformed member at offset"),
            ("malformed", cut, "boot archive: malformed member at offset|boot module: no archive"),
            ("cut off", good[:at + 4096], "boot archive: malformed member at offset \\d+"),
            ("no manifest", mkboot.boot_image(read(run.ROOT), [("monitor", read(run.MONITOR))]),
             "no manifest.dtb in the boot archive"),
            ("no monitor", mkboot.boot_image(read(run.ROOT), [
                ("manifest.dtb", read(os.path.join(t.dir, "1/manifest.dtb"))),
                ("hello.elf", read(HELLO))]), "monitor"),
            ("monitor is noise", mkboot.boot_image(read(run.ROOT), [
                ("manifest.dtb", read(os.path.join(t.dir, "1/manifest.dtb"))),
                ("monitor", b"noise " * 5000), ("hello.elf", read(HELLO))]), "monitor")):
        print("----", name, flush=True)
        result = boot(t, image)
        check(0 < result.status < 128 and result.status not in (70, 124, 125), "ends by itself", result)
        check(re.search(words, result.log), f"the log says '{words}'", result)


# ---- Manifests that only root sees -----------------------------------------------------------------
MANIFESTS = {
    "unknown property": (vm('memory-mib = <64>; kernel = "hello.elf"; flavour = "red";'),
                         r"manifest\.dtb: /vms/one: flavour: .*\[property-known\]"),
    "missing file": (vm('memory-mib = <64>; kernel = "nowhere.elf";'),
                     r"manifest\.dtb: /vms/one: kernel: .*nowhere\.elf.*\[image-present\]"),
    "initrd larger than memory": (
        vm('memory-mib = <2>; kernel = "hello.elf"; initrd = "big";'),
        r"manifest\.dtb: /vms/one: .*\[images-fit-memory\]"),
    "more memory than the host has": (vm('memory-mib = <4096>; kernel = "hello.elf";'),
                                      r"manifest\.dtb: /vms/?.*: .*\[memory-fits-host\]"),
    "memory taken twice": (
        vm('memory-mib = <300>; kernel = "hello.elf";',
           'two { memory-mib = <300>; kernel = "hello.elf"; };'),
        r"manifest\.dtb: /vms/?.*: .*\[memory-fits-host\]"),
    "a CPU the host lacks": (vm('memory-mib = <64>; kernel = "hello.elf"; cpu = <7>;'),
                             r"manifest\.dtb: /vms/one: cpu: .*\[cpu-exists\]"),
    "an image that is another": (
        vm('memory-mib = <64>; kernel = "hello.elf"; initrd = "big";',
           '}; images { big = "' + hashlib.sha256(b"y" * BIG).hexdigest() + '";'),
        rf"manifest\.dtb: /images: big: .*{hashlib.sha256(b'x' * BIG).hexdigest()}.*/vms/one .*\[image-digest\]"),
    "property without a value": (vm('memory-mib; kernel = "hello.elf";'),
                                 r"manifest\.dtb: /vms/one: memory-mib: .*\[property-type\]"),
    "a wire past the policy VM": (
        vm(more='two { memory-mib = <64>; kernel = "hello.elf"; }; three { memory-mib = <64>; kernel = "hello.elf"; };'
                ' }; wires { past { ends = "one", "two"; };') + '/ { system { policy-vm = "three"; }; };\n',
        r"manifest\.dtb: /wires/past: ends: it joins .one. to .two. .*\[wire-through-policy\]"),
}


@case(("qemu",), cost=15, limit=300)
def manifests(t):
    """File, node, property and reason, from root itself; the host's checker is not asked."""
    for name, (source, words) in MANIFESTS.items():
        print("----", name, flush=True)
        result = boot(t, module(t, source, {"hello.elf": read(HELLO), "big": b"x" * BIG}))
        check(0 < result.status < 128 and result.status not in (70, 124, 125), "ends by itself", result)
        check(re.search(words, result.log), f"the log says '{words}'", result)
        check("the manifest is refused" not in result.log or result.audit("manifest-refused"), "a record of it", result)


# ---- Images ----------------------------------------------------------------------------------------
@case(("qemu",), cost=15, limit=300)
def images(t):
    """Images that end early or lie about themselves: that VM is refused, with the reason."""
    bzimage, elf = read(LINUX), read(HELLO)
    for name, image, words in (
            ("cut in the header", bzimage[:600], "."),
            ("cut in the set-up code", bzimage[:4096], "ends inside the setup code"),
            ("cut in the middle", bzimage[:len(bzimage) // 2], "cut short"),
            ("program headers cut off", elf[:70], "."),
            ("segments cut off", elf[:len(elf) // 4], "."),
            ("noise", b"noise " * 1000, "neither a bzImage nor")):
        print("----", name, flush=True)
        path = os.path.join(t.new_dir(), "image")
        with open(path, "wb") as f:
            f.write(image)
        result = run_guest(t, path, mem=128, timeout=60)
        check(result.status == IMAGE, f"status {IMAGE}", result)
        told = [end.get("text", "") for end in result.audit("vm-ended")]
        check(told and re.search(words, told[0]), f"the audit record says '{words}': {told}", result)
