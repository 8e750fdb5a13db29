"""Wrong input is refused with words that say what and where, on the build machine and by root."""
import os

import run
from case import case, check

CHECKER = os.environ.get("BHMANIFEST", "build/policy/bhmanifest")


@case(cost=5)
def rules(t):
    """Every rule has an example that breaks only it, and one that keeps it."""
    t.command("tests/system/manifest/check.sh", CHECKER, "dtc", t.new_dir())


@case(cost=2)
def missing_image(t):
    source = os.path.join(t.new_dir(), "missing.dts")
    with open("guests/demo.dts", encoding="utf-8") as f:
        text = f.read()
    with open(source, "w", encoding="utf-8") as f:
        f.write(text.replace("initrd-bhctl.cpio", "nowhere.cpio"))
    said = t.command("tests/lib/run.py", f"--manifest={source}", "--dry", ok=(2,))
    check("nowhere.cpio" in said and "not found" in said, "names the image: " + said)
    with open(os.path.join(os.path.dirname(source), "nowhere.cpio"), "wb") as f:
        f.truncate(5 << 30)
    said = t.command("tests/lib/run.py", f"--manifest={source}", "--dry", ok=(2,))
    check("nowhere.cpio" in said and "4 GiB" in said, "too large an image: " + said)
    os.unlink(os.path.join(os.path.dirname(source), "nowhere.cpio"))


@case(cost=2)
def syntax_error(t):
    source = os.path.join(t.new_dir(), "wrong.dts")
    with open(source, "w", encoding="utf-8") as f:
        f.write("/dts-v1/;\n/ {\n    vms {\n")
    said = t.command("tests/lib/run.py", f"--manifest={source}", "--dry", ok=(2,))
    check("wrong.dts:" in said, "names file and line: " + said)
    said = t.command(CHECKER, "check", source, ok=(1,))
    check("compile the .dts file" in said and said.count("\n") == 2, "a source is not a blob: " + said)
    check("usage: bhmanifest check" in t.command(CHECKER, "--help"), "help is no mistake")


@case(cost=2)
def views(t):
    """What a manifest means, in sentences and as a graph; an error with its line; a rule by its name."""
    source, blob = os.path.join(t.new_dir(), "net.dts"), os.path.join(t.dir, "net.dtb")
    vm = {"memory-mib": 64, "kernel": "k"}
    text = run.manifest_source({"desktop": dict(vm, after="policy", display="vga"), "policy": dict(vm, restart="always", may=("audit", "shutdown")),
                                "server": dict(vm, start="manual", disks={"root": {"image": "a.img"}}), "alone": vm},
                               {"inside": ("desktop", "policy"), "outside": ("policy", "server")},
                               {"host-may": ["watch", "screen"]})
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    run.compile_manifest(source, blob)
    drawn = t.command(CHECKER, "graph", blob, "--cpus", "4").splitlines()
    for line in ("COM1 <-> desktop: console", "bhctl -> desktop: watch, screen", "bhctl -> alone: watch",
                 "server -> a.img: root, only read", "desktop <-> policy: inside", "policy <-> server: outside", "policy -> the system: audit, shutdown",
                 "desktop reaches policy, server (through others)", "policy reaches desktop, server",
                 "alone reaches no other VM"):
        check(line in drawn, line)
    check(not any("shared" in line for line in drawn), "each VM has a CPU")
    check("CPU 0 is shared, in turns, by desktop policy server alone" in t.command(CHECKER, "graph", blob, "--cpus", "1"),
          "all on one")
    dot = t.command(CHECKER, "graph", blob, "--dot")
    check('"desktop" -> "policy" [label="inside", dir=both];' in dot and dot.count("{") == dot.count("}"), dot)
    many = run.manifest_source({f"v{i}": vm for i in range(70)}, {"w": ("v0", "v69")})
    with open(source, "w", encoding="utf-8") as f:
        f.write(many)
    run.compile_manifest(source, blob)
    drawn = t.command(CHECKER, "graph", blob, "--cpus", "64").splitlines()
    for line in ("v0 reaches v69", "v69 reaches v0", "v5 reaches no other VM", "CPU 58 is shared, in turns, by v5 v69"):
        check(line in drawn, line)
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    run.compile_manifest(source, blob)
    said = t.command(CHECKER, "explain", blob, "--vm", "desktop")
    check("started at boot after policy" in said and "on the wire inside to policy" in said and "server" not in said, said)
    check("started again" in t.command(CHECKER, "explain", blob), "all of it")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text.rstrip()[:-2] + 'images { a.img = "' + 64 * "5" + '"; };\n};\n')
    run.compile_manifest(source, blob)
    check("a.img is used only if it has the SHA-256 5555" in t.command(CHECKER, "explain", blob), "digests")
    check("no such VM" in t.command(CHECKER, "explain", blob, "--vm", "nobody", ok=(1,)), "no such VM")
    check("floors on one CPU" in t.command(CHECKER, "rule", "floor-sum"), "a rule")
    check("no such rule" in t.command(CHECKER, "rule", "nothing", ok=(2,)), "no rule")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text.replace('after = "policy"', 'after = "police"'))
    run.compile_manifest(source, blob)
    line = text[:text.index("after = ")].count("\n") + 1
    said = t.command(CHECKER, "check", blob, "--source", source, ok=(1,))
    check(f"{source}:{line}: /vms/desktop: after: " in said and "[after-known]" in said, said)


@case(cost=2)
def policy_path(t):
    """Promise 7: each wire ends at the policy VM or is drawn around it, and who reaches whom so is said."""
    source, blob = os.path.join(t.new_dir(), "path.dts"), os.path.join(t.dir, "path.dtb")
    vm = {"memory-mib": 64, "kernel": "k"}
    names = ("a", "b", "c", "policy", "net")
    legal = {"up": ("a", "policy"), "down": ("policy", "net"), "third": ("c", "policy")}
    off = "no policy VM stands in the network path: wires join VMs directly"

    def compiled(wires, policy):
        with open(source, "w", encoding="utf-8") as f:
            f.write(run.manifest_source({name: vm for name in names}, wires, {"policy-vm": policy}))
        run.compile_manifest(source, blob)

    def around(*ends):
        return {"ends": ends, "around-policy": True}
    compiled(legal, None)
    check(f"Protection OFF: {off}." in t.command(CHECKER, "explain", blob).splitlines(), "no policy VM")
    check(t.command(CHECKER, "graph", blob).splitlines()[-1] == f"protection OFF: {off}", "no policy VM")
    check(f'label="protection OFF: {off}";' in t.command(CHECKER, "graph", blob, "--dot"), "no policy VM")
    check(off in t.command(CHECKER, "explain", blob, "--vm", "a"), "of a VM with a wire")
    check("rotection" not in t.command(CHECKER, "explain", blob, "--vm", "b"), "b has none")
    compiled(None, None)
    check("rotection" not in t.command(CHECKER, "explain", blob) + t.command(CHECKER, "graph", blob), "no wire, no path")

    compiled(legal, "policy")
    said = t.command(CHECKER, "explain", blob)
    check("The policy VM is policy." in said and "Protection on: every wire ends at the policy VM." in said, said)
    check("round the policy VM" not in said + t.command(CHECKER, "graph", blob), "nothing goes around it")
    check("ends when idle" not in said and "policy VM policy" in t.command(CHECKER, "show", blob), "shown")

    compiled({**legal, "past": ("b", "net")}, "policy")
    said = t.command(CHECKER, "check", blob, "--source", source, ok=(1,))
    check(said.splitlines()[0].endswith(
        ': /wires/past: ends: it joins "b" to "net" around the policy VM; make "policy" one of its ends, or add '
        "around-policy if that is meant [wire-through-policy]"), said)

    compiled({**legal, "past": around("b", "net"), "far": around("a", "b")}, "policy")
    drawn = t.command(CHECKER, "graph", blob).splitlines()
    for line in ("b <-> net: past, around the policy VM", "a <-> policy: up", "protection OFF: wires go around the policy VM"):
        check(line in drawn, line)
    dot = t.command(CHECKER, "graph", blob, "--dot")
    check('"b" -> "net" [label="past, around the policy VM", dir=both, color=red];' in dot, dot)
    said = t.command(CHECKER, "explain", blob)
    for line in ("Around the policy VM it reaches b, net.", "Around the policy VM it reaches a, net.",
                 "Around the policy VM it reaches a, b."):
        check(said.count(line) == 1, said)
    check(said.count("it reaches") == 3 and "on the wire past to net around the policy VM," in said, said)
    compiled({"past": around("b", "net")}, None)
    check("there is no policy VM; name one in /system, or remove this [around-policy-used]" in
          t.command(CHECKER, "check", blob, ok=(1,)), "around what?")
