"""Saving and restoring VMs through bhctl, and starting them anew, at any moment."""
import os
import random
import re
import time

import sata
import virtio
from case import ask, bhctl, build, case, check, start_vms, to_the_end
from images import Picture

PASS = 0x10  # what a content guest writes to its debug-exit port, guests/rt/guest.h
LINUX = {"memory-mib": 128, "kernel": "vmlinuz-cloud", "initrd": "initrd.cpio"}


def linux(t, test, save_mib=None, cpus=1, **settings):
    vm = dict(LINUX, append=f"console=ttyS0 {test}", cpus=cpus, **{"save-mib": save_mib})
    return start_vms(t, {"work": vm}, **settings)


@case(("qemu",), cost=60, limit=600)
def linux_goes_on(t):
    """Linux, saved in the middle of its test, then thrown away near its end and restored: it goes
    through the rest again without noticing; clocks and digests are right. It is held in both places,
    or it could be past them when the request arrives."""
    with linux(t, "bh.test=boot bh.hold", save_mib=140, icount=True, timeout=550) as system:
        check(system.expect("BH-PASS boot.sleep", 300), "Linux is up")
        saved = ask(system, "save", "work", seconds=300)
        check(64 << 20 < saved["bytes"] < 140 << 20, saved)
        system.send(b"\r")
        check(system.expect("BH-PASS boot.loc(?s:.*)BH-HOLD", 300), "goes on after it was saved")
        thrown_away = len(system.said())
        bhctl(system, "restore", "work", seconds=300)
        system.send(b"\r")
        check(system.expect("BH-PASS boot.loc(?s:.*)BH-HOLD", 300, since=thrown_away), "goes on from what was saved")
        system.send(b"\r")
        result = to_the_end(system)
    check(result.status == 0 and "BH-DONE boot pass" in result.console, "content", result)
    check("BH-FAIL" not in result.console, "nothing noticed", result)


RESTORES = 6


@case(("qemu",), cost=60, limit=600, full=True)
def channel(t):
    """A guest that asks root all the time, by its control channel, saved and restored: a question in the middle of
    which it was saved is lost, and it is told so; all others are answered."""
    vm = dict(LINUX, initrd="initrd-bhctl.cpio", append="console=ttyS0 quiet", may=("work: watch",), **{"save-mib": 140})
    chance = random.Random(1)

    def answered(more):
        for _ in range(more):
            check(system.expect(r"ask \d+\.\r", 150, since=len(system.said())), "it asks, and is answered")

    with start_vms(t, {"work": vm}, icount=True, timeout=550) as system:
        check(system.expect("/ # ", 200), "a shell")
        system.send(b"i=0; while i=$((i+1)); do bhctl list >/tmp/l 2>&1 && echo ask $i. || cat /tmp/l; done\r")
        for _ in range(RESTORES):
            answered(2)
            system.step(chance.random() / 20)
            ask(system, "save", "work", seconds=100)
            bhctl(system, "restore", "work", seconds=100)
        answered(3)
        errors = re.findall(rb"bhctl: [^\r\n]*", system.console)
        print(system.console[-1500:].decode("utf-8", "replace"))
    check(len(errors) <= RESTORES and set(errors) <= {b"bhctl: no answer within 30 s"}, errors)


@case(("qemu",), cost=20, limit=300)
def refused(t):
    """What cannot be saved or restored, in words."""
    with linux(t, "", save_mib=1, timeout=250) as system:
        check(system.expect("Run /init", 200), "Linux boots")
        check("use bhctl save first" in bhctl(system, "restore", "work", ok=(1,)), "nothing saved")
        check("more save-mib" in bhctl(system, "save", "work", ok=(1,)), "too small a store")
        check("use bhctl save first" in bhctl(system, "restore", "work", ok=(1,)), "still nothing")
    with linux(t, "", timeout=250) as system:
        check(system.expect("Run /init", 200), "Linux boots")
        check("give it save-mib" in bhctl(system, "save", "work", ok=(1,)), "no store")


COUNT = {"kernel": "count.elf", "append": "n=100000", "memory-mib": 16, "save-mib": 4}


@case(("bochs",), cost=30, limit=600)
def goes_on(t):
    """Saved, gone on with, taken back: what has been counted since is counted again, and nothing left out."""
    with start_vms(t, {"work": COUNT}, icount=True, timeout=550) as system:
        check(system.expect(r"COUNT 5\b", 300), "the guest counts")
        bhctl(system, "save", "work", seconds=300)
        check(system.expect(r"COUNT \d+\r\n", 100), "goes on after it was saved")
        system.step(1)
        bhctl(system, "pause", "work")
        bhctl(system, "restore", "work", seconds=300)
        check(system.expect(rf"COUNT {len(counted(system)) + 3}\b", 300), "goes on from what was saved")
        ends = re.findall('"event": "vm-killed", "vm": "work", "why": "([^"]*)"', system.log())
        check(ends == ["it is restored"], "its end has a record", ends)
    said = counted(system)
    back = next(i for i, n in enumerate(said) if n != i + 1)
    check(5 <= said[back] <= back and said[back:] == list(range(said[back], said[back] + len(said) - back)), said)


def counted(system):
    return [int(n) for n in re.findall(rb"COUNT (\d+)\r", system.console)]


def damaged(path, name, change):
    """A copy of a file with something done to it."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    change(data)
    with open(f"{path}.{name}", "wb") as f:
        f.write(data)
    return f"{path}.{name}"


def flip(data):
    data[len(data) // 2] ^= 1


@case(("qemu",), cost=20, limit=300)
def file(t):
    """Out of the machine into a file, and into another machine from there: the guest goes on where it was.
    A file that is damaged, cut off, or of another VM is refused in words, and the VM that runs goes on."""
    path = t.dir + "/count.vm"
    images = {name: os.path.join(t.new_dir(), name) for name in ("old.img", "new.img")}
    for name, image in images.items():
        with open(image, "wb") as f:
            f.write(name.encode().ljust(8192, b"."))

    def made(image="old.img", **more):
        return {**COUNT, **more, "disks": {"disk": {"image": image}}}
    with start_vms(t, {"work": made()}, images=images, icount=True, timeout=290) as system:
        check(system.expect(r"COUNT 5\b", 60), "the guest counts")
        bhctl(system, "pause", "work")
        saved = ask(system, "save", "work", path)
        last = counted(system)[-1]  # of whole lines: it may stand in the middle of the next
    check(os.path.getsize(path) == saved["bytes"], "all of it", saved)
    check(os.stat(path).st_mode & 0o77 == 0, "for its owner only: it holds all that the guest knows")
    differ = {"wide": (made(start="manual", cpus=2), "CPU model"),
              "large": (made(start="manual", **{"memory-mib": 18}), "size of memory"),
              "swapped": (made("new.img", start="manual"), "other images on its disks")}
    vms = {"other": made(**{"cpu-model": "x86-64-v2"}), "work": made(start="manual"),
           **{name: vm for name, (vm, _) in differ.items()}}
    with start_vms(t, vms, images=images, icount=True, timeout=290) as system:
        check(system.expect(r"COUNT 2\b", 60), "another guest counts")
        bhctl(system, "pause", "other")
        for name, change, words in (("cut", lambda d: d.pop(), "cut off"), ("flipped", flip, "damaged"),
                                    ("text", lambda d: d.__setitem__(slice(0, 8), b"no magic"), "not a saved VM")):
            check(words in bhctl(system, "restore", "work", damaged(path, name, change), ok=(1,)), name)
        said = bhctl(system, "restore", "other", path, ok=(1,), seconds=250)
        check("saved on CPU model" in said, f"another model: {said}")
        for name, (_, words) in differ.items():
            said = bhctl(system, "restore", name, path, ok=(1,), seconds=250)
            check(words in said, f"{name}: {said}")
        bhctl(system, "restore", "work", path, seconds=250)
        states = {vm["name"]: vm["state"] for vm in ask(system, "list")}
        check((states["other"], states["work"]) == ("paused", "running"), "the one that was refused is as it was", states)
        bhctl(system, "kill", "other")
        system.send(b"\x1d")
        check(system.expect(rf"COUNT {last + 4}\r", 60), "goes on")
        check(f"COUNT {last + 2}\r" in system.said(), f"goes on from {last}")


def run_for(system, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        system.step(0.02)


def any_moment(t, vm, images, points, seed, timeout, begins=r"\.digest"):
    """Saved while it works with its devices, gone on with, taken back to that moment: at random points, one
    after another. Its digests come out as if nothing had happened."""
    rng = random.Random(seed)
    with start_vms(t, {"work": vm}, images=images, icount=True, timeout=timeout) as system:
        check(system.expect(begins, 300), "the guest has begun")
        for point in range(points):
            for verb in ("save", "restore"):
                run_for(system, rng.uniform(0, 0.7))
                check(b"BH-DONE" not in system.console, f"the guest ended before point {point}: more rounds")
                bhctl(system, verb, "work", seconds=300)
        result = to_the_end(system)
    check(result.status == 0 and "pass" in result.console.rpartition("BH-DONE")[2], "content", result)
    check("BH-FAIL" not in result.console, "nothing noticed", result)


@case(("qemu",), cost=30, limit=400)
@case(("bochs",), cost=60, limit=900, full=True)
def registers(t):
    """x87, SSE and AVX registers that hold patterns, with a VM saved and taken back between two looks at them."""
    rng = random.Random(3)
    vm = {"kernel": "fpu_state.elf", "append": "seed=3 exits=200000", "memory-mib": 16, "save-mib": 4, "debug-exit": True}
    with start_vms(t, {"work": vm}, icount=True, timeout=850) as system:
        check(system.expect("FACT start-mxcsr", 100), "the guest has begun")
        for _ in range(6):
            for verb in ("save", "restore"):
                run_for(system, rng.uniform(0, 0.5))
                bhctl(system, verb, "work", seconds=300)
        check("FACT kept-fxsave" not in system.said(), "in the middle of its work")
        result = to_the_end(system)
    check(result.ends() == {"work": PASS}, f"it passes: {result.ends()}", result)


@case(("qemu",), cost=60, limit=600, full=True)
def screen(t):
    """memtest86+ with its text screen and keyboard, saved and taken back: the screen is there, and keys are taken."""
    build(t, "guests-memtest")
    rng = random.Random(4)
    vm = {"kernel": "memtest.bin", "memory-mib": 8, "save-mib": 28, "display": "vga"}
    with start_vms(t, {"guest": vm}, images={"memtest.bin": "build/guests/images/memtest86+x64.bin"},
                   timeout=550) as system:
        picture = Picture(system)
        picture.wait("Status: Testing", 200)
        for _ in range(5):
            for verb in ("save", "restore"):
                run_for(system, rng.uniform(0, 1))
                bhctl(system, verb, "guest", seconds=300)
            picture.wait("Test selection", 100, "<f1>")
            for verb in ("save", "restore"):
                bhctl(system, verb, "guest", seconds=300)
            picture.wait("(?s)Memtest86.*Test selection", 100)
            picture.wait("Status: Testing", 100, "<f10>")
    check(not re.search(r"Errors: +[1-9]", picture.said), f"memory is sound: {picture.said}")


def reset_any_moment(t, vm, images, points, timeout):
    """Taken away and started anew at random points between its first instruction and its work with its devices:
    the next start finds each of them as after power-on, and comes through."""
    rng = random.Random(points)
    with start_vms(t, {"work": vm}, images=images, icount=True, timeout=timeout, system={"log": "com2"}) as system:
        check(system.expect(r'"vm-started"', 100, log=True), "it is started")
        for point in range(points):
            begun = len(system.said())
            if point % 2:
                check(system.expect("BH-PASS", 300, since=begun), "it works")
            run_for(system, rng.uniform(0, 3))
            bhctl(system, "kill", "work", ok=(0, 1))  # it may have come through already
            bhctl(system, "start", "work")
        check(system.expect(r"BH-DONE \w+ pass", 300, since=len(system.said())), "comes through in the end")
    print(system.said())
    check("BH-FAIL" not in system.said(), "nothing noticed")


def virtio_vm(t, rounds, **more):
    """A VM that works with virtio devices, and the images of its disks."""
    path, digest = virtio.disk(t)
    append = f"console=ttyS0 quiet bh.test=virtio bh.digest={digest} bh.balloon=1024 bh.rounds={rounds}"
    return {"memory-mib": 96, "kernel": "vmlinuz-cloud", "initrd": "initrd-virtio.cpio", "network": "loopback",
            "balloon-mib": 4, "append": append, **more, "disks": {"disk": {"image": "disk.img"}}}, {"disk.img": path}


def virtio_any_moment(t, points, rounds, timeout, cpus=1):
    vm, images = virtio_vm(t, rounds, cpus=cpus, **{"save-mib": 120})
    any_moment(t, vm, images, points, seed=cpus, timeout=timeout)


def virtio_resets(t, points, timeout):
    vm, images = virtio_vm(t, rounds=1, cpus=2)
    reset_any_moment(t, vm, images, points, timeout)


def idle_any_moment(t, points, rounds, timeout, cpus=1):
    """While it waits for its timer."""
    vm = dict(LINUX, cpus=cpus, append=f"console=ttyS0 quiet bh.test=boot bh.rounds={rounds}", **{"save-mib": 140})
    any_moment(t, vm, {}, points, seed=cpus + 8, timeout=timeout, begins=r"boot\.sleep")


def sata_vm(t, rounds, **more):
    """A VM that works with a SATA disk and a CD-ROM drive, and their images."""
    build(t, "guests-linux-generic")
    disk, cdrom = sata.images(t)
    append = (f"console=ttyS0 quiet bh.test=sata bh.digest={sata.digest(disk)} bh.cdrom={sata.digest(cdrom)} "
              f"bh.rounds={rounds}")
    return {"memory-mib": 192, "kernel": "vmlinuz-generic", "initrd": "initrd-sata.cpio", "append": append, **more,
            "disks": {"disk": {"image": "disk.img", "bus": "ahci"},
                      "cd": {"image": "cd.iso", "bus": "ahci", "cdrom": True}}}, {"disk.img": disk, "cd.iso": cdrom}


def sata_any_moment(t, points, rounds, timeout):
    vm, images = sata_vm(t, rounds, **{"save-mib": 220})
    any_moment(t, vm, images, points, seed=7, timeout=timeout)


def sata_resets(t, points, timeout):
    """With a screen, and the keyboard and mouse that its driver looks for."""
    vm, images = sata_vm(t, rounds=1, display="vga")
    reset_any_moment(t, vm, images, points, timeout)


case(("qemu",), cost=60, limit=600, name="virtio_any_moment", points=5, rounds=15, timeout=550)(virtio_any_moment)
case(("qemu",), cost=400, limit=3000, full=True, name="virtio_50_moments", points=50, rounds=50,
     timeout=2900)(virtio_any_moment)
case(("qemu",), cost=400, limit=3000, full=True, name="virtio_50_moments_smp", points=50, rounds=50, cpus=2,
     timeout=2900)(virtio_any_moment)
case(("qemu",), cost=400, limit=3000, full=True, name="sata_50_moments", points=50, rounds=50,
     timeout=2900)(sata_any_moment)
case(("qemu",), cost=400, limit=3000, full=True, name="idle_50_moments", points=50, rounds=300,
     timeout=2900)(idle_any_moment)
case(("qemu",), cost=150, limit=1800, full=True, name="virtio_resets", points=20, timeout=1700)(virtio_resets)
case(("qemu",), cost=150, limit=1800, full=True, name="sata_resets", points=20, timeout=1700)(sata_resets)
