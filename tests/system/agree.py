"""The host's checker and root say the same of each manifest: both take it or both refuse it, and then by
the same rules in the same words. Root is the real one in an emulator, up to its verdict."""
import glob
import os
import re
import struct
import subprocess
import tempfile

import emu
import mkboot
import run
from case import case, check

EXAMPLES = "tests/system/manifest"
# What root says once it has read the manifest, and when it cannot go on.
ACCEPTED = r"^root: consoles: "
REFUSED = r"^bulkhead: end status=121 reason=the manifest is refused\r?$"
LINE = re.compile(r"^(?:root: )?(manifest\.dtb: .* \[[a-z-]+\])\r?$", re.M)
MEM, CPUS, KERNEL = 1024, 1, {"vmlinuz": bytes(1000)}
SIDE_BY_SIDE, LIMIT_S = 4, 100


def compiled(path, blob):
    """The bytes of an example: as it is, or from source, mistakes included."""
    if path.endswith(".dts"):
        subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-o", blob, path], check=True,
                       stderr=subprocess.DEVNULL)
        path = blob
    with open(path, "rb") as f:
        return f.read()


def examples(directory):
    """{name: (blob, {image: bytes}, CPUs)} of all examples; with arguments that stand in them."""
    found = {}
    for path in sorted(glob.glob(f"{EXAMPLES}/*.dt[bs]")):
        with open(path, encoding="latin-1") as f:
            words = re.search(r"^ \* arguments: (.*) \*/$", f.read(), re.M)
        words = words[1].split() if words else []
        images = {name: bytes(int(size)) for name, _, size in (w.partition("=") for w in words) if size} or KERNEL
        if "--image-dir" in words:
            images = {os.path.basename(image): run.read(image)
                      for image in glob.glob(words[words.index("--image-dir") + 1] + "/*")}
        cpus = int(words[words.index("--cpus") + 1]) if "--cpus" in words else CPUS
        blob = compiled(path, os.path.join(directory, "example.dtb"))
        found[os.path.basename(path)] = blob, images, cpus
    return found


def damaged(blob):
    """{name: (blob, ...)}: one that is right, damaged in its header, its structure, its texts, its length."""
    words = dict(zip(("magic", "totalsize", "struct", "strings", "reserved", "version", "compatible", "cpu",
                      "strings-size", "struct-size"), range(0, 40, 4)))
    structure, strings = struct.unpack_from(">II", blob, 8)

    def put(at, value):
        return blob[:at] + struct.pack(">I", value & 0xffffffff) + blob[at + 4:]
    made = {"empty": b"", "one-byte": blob[:1], "header-only": blob[:40], "cut": blob[:len(blob) // 2],
            "last-byte-gone": blob[:-1], "longer": blob + b"more", "too-large": blob + bytes(1 << 20),
            "magic": b"\0" + blob[1:], "totalsize-more": put(words["totalsize"], len(blob) + 1),
            "totalsize-less": put(words["totalsize"], 41), "version-16": put(words["version"], 16),
            "version-99": put(words["version"], 99), "compatible-99": put(words["compatible"], 99),
            "no-begin": put(structure, 4), "unknown-token": put(structure + 8, 7),
            "length-beyond-end": put(structure + 12, 0x7fffffff), "name-beyond-end": put(structure + 16, 1 << 20),
            "ends-early": put(structure + 8, 9), "text-not-ascii": blob.replace(b"manifest-v1", b"mani\xff\x1bst-v1"),
            "node-not-ascii": blob.replace(b"desktop\0", b"des\x1btop\0"),
            "text-unended": blob.replace(b"vmlinuz\0", b"vmlinuzz")}
    for name in ("struct", "strings", "reserved", "strings-size", "struct-size"):
        made[name + "-beyond-end"] = put(words[name], len(blob) + 8)
        made[name + "-huge"] = put(words[name], 0xfffffff8)
    for at in range(structure, strings, (strings - structure) // 5 | 1):
        made[f"byte-{at}"] = blob[:at] + bytes([blob[at] ^ 0x41]) + blob[at + 1:]
    return {"damaged-" + name: (data, KERNEL, CPUS) for name, data in made.items()}


def everything(t):
    """Examples and damaged blobs."""
    found = examples(t.new_dir())
    return {**found, **damaged(found["wire-name.pass.dts"][0])}


def started(directory, blob, images, cpus):
    """The system with this manifest in an emulator."""
    os.makedirs(directory, exist_ok=True)
    files = [("manifest.dtb", blob), ("monitor", run.read(run.MONITOR))]
    files += images.items()
    path = os.path.join(directory, "boot.img")
    with open(path, "wb") as f:
        f.write(mkboot.boot_image(run.read(run.ROOT), files))
    return emu.Emulator(emu.Settings(boot=path, kernel=run.KERNEL, cpus=cpus, mem=MEM, timeout=LIMIT_S,
                                     directory=directory)).start()


def root_says(t, manifests):
    """Each (name, log up to root's verdict), of several emulators side by side: they wait for clocks mostly."""
    waiting, running = list(manifests.items()), {}
    try:
        while waiting or running:
            while waiting and len(running) < SIDE_BY_SIDE:
                name, (blob, images, cpus) = waiting.pop(0)
                running[name] = started(os.path.join(t.dir, name), blob, images, cpus)
            for name, system in list(running.items()):
                system.step(0.01)
                if system.outcome is not None or re.search(f"{ACCEPTED}|{REFUSED}", system.log(), re.M):
                    running.pop(name).finish()
                    os.unlink(system.settings.boot)
                    yield name, system.log()
    finally:
        for system in running.values():
            system.finish()


def tool_says(directory, blob, images, cpus, memory_mib):
    """Whether the host's checker takes it, and its words."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        for name, data in images.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)
        path = os.path.join(directory, "manifest.dtb")
        with open(path, "wb") as f:
            f.write(blob)
        command = [run.CHECKER, "check", path, "--name", "manifest.dtb", "--cpus", str(cpus),
                   "--memory-mib", memory_mib, "--image-dir", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    check(done.returncode in (0, 1), done.stderr)
    return done.returncode == 0, LINE.findall(done.stderr)


def agree(t, manifests):
    """Both on each; how often each verdict was given, and by which rules."""
    verdicts, rules = {True: 0, False: 0}, set()
    for name, log in root_says(t, manifests):
        blob, images, cpus = manifests[name]
        accepted = bool(re.search(ACCEPTED, log, re.M))
        check(accepted or re.search(REFUSED, log, re.M), f"{name}: root judges it: {log}")
        root = accepted, LINE.findall(log)
        memory_mib = re.search(r"for VMs (\d+) MiB", log)[1]
        tool = tool_says(os.path.join(t.dir, name), blob, images, cpus, memory_mib)
        print(name, *root, flush=True)
        check(root == tool, f"{name}: root {root}, host tool {tool}")
        check(accepted != bool(root[1]), f"{name}: a refusal names a rule, what is taken breaks none: {root}")
        verdicts[accepted] += 1
        rules |= {line[line.rindex("[") + 1:-1] for line in root[1]}
    return verdicts, rules


@case(("qemu",), cost=20)
def some(t):
    """Every seventh of the examples, and of the damaged blobs."""
    agree(t, dict(list(everything(t).items())[::7]))


@case(("qemu",), cost=60, limit=1500, full=True)
def all(t):  # pylint: disable=redefined-builtin
    """Every example of every rule, and every damaged blob."""
    verdicts, rules = agree(t, everything(t))
    print(verdicts, flush=True)
    known = {line.split()[0] for line in run.checker("rules").splitlines()}
    check(rules == known, f"every rule has refused something, but {known - rules}")
