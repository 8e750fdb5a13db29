"""The build itself: layout of the sources, both compilers, same bytes everywhere, size, proofs."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from case import build, case, check

# What must not depend on who builds where.
PRODUCTS = ["build/kernel/bulkhead.elf", "build/vmm/root.bin", "build/vmm/monitor",
            "build/bulkhead.iso"]
MAKE = os.environ.get("MAKE", "make")
# As if typed, not called by the make that runs the tests.
CLEAN = {"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", "INSTALL": "no"}


def copy_tree(t, name):
    """A copy of the sources (not of what was built) that shares the downloads."""
    tree = os.path.abspath(os.path.join(t.dir, name))
    shutil.rmtree(tree, ignore_errors=True)
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True).stdout.split(b"\0")
    for file in filter(None, files):
        path = os.fsdecode(file)
        if os.path.isfile(path):
            target = os.path.join(tree, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(path, target)  # with its time: the downloads are not to look old
    os.makedirs(os.path.join(tree, "build"))
    os.symlink(os.path.abspath("build/third-party"), os.path.join(tree, "build/third-party"))
    return tree


def make(t, tree, *arguments, env=None):
    """make in another tree, as if typed there."""
    t.command(MAKE, "-C", tree, *arguments, env=dict(CLEAN, **(env or {})))


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


@case(cost=5)
def check_format(t):
    t.command("tests/lib/check-format.sh")


@case(cost=5)
def loc(t):
    t.command("tests/lib/loc.sh")


@case(cost=60, limit=900)
def clang(t):
    """Everything builds without a warning with the other compiler."""
    make(t, copy_tree(t, "tree"), "CC=clang", "all", "guests")


@case(cost=45, limit=900)
def reproducible(t):
    """A build that differs in path, locale, time zone, umask, user and -j gives the same bytes as this one."""
    build(t, "all", "iso")
    outside = tempfile.mkdtemp(prefix="another-")  # where another user gets in
    try:
        other = copy_tree(t, os.path.join(outside, "and-longer/path"))
        os.unlink(os.path.join(other, "build/third-party"))
        for name in "mbedtls", "zydis":
            shutil.copytree(f"build/third-party/{name}", os.path.join(other, "build/third-party", name), symlinks=True)
        as_nobody = []
        if os.geteuid() == 0:
            as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            t.command("chown", "-R", "nobody:nogroup", outside)
        t.command(*as_nobody, "sh", "-c", f"umask 077; exec {MAKE} -C {other} -j3 all iso",
                  env=dict(CLEAN, LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8", TZ="Asia/Tokyo", HOME="/nonexistent",
                           USER="nobody"))
        different = [path for path in PRODUCTS if digest(path) != digest(os.path.join(other, path))]
    finally:
        shutil.rmtree(outside, ignore_errors=True)
    check(not different, "differs between two builds: " + ", ".join(different))


@case(cost=200, limit=2400)
def proofs(t):
    """What docs/ASSURANCE.md says is proven, is."""
    t.command(MAKE, "--no-print-directory", "prove", env=CLEAN)


@case(cost=30, limit=900)
def proofs_notice(t):
    """A mistake in the core, a function without a contract or a contradictory one fails, whatever verdicts are kept."""
    tree = copy_tree(t, "proofs-notice")
    path = os.path.join(tree, "kernel/core/epoch.c")
    with open(path, encoding="utf-8") as f:
        good = f.read()
    for old, new, said in (
            ("epoch_now = epoch_now + 1u", "epoch_now = epoch_now + 2u",
             "not proven: typed_epoch_charge_ensures_value"),
            ("if (epoch_cpu[i] < epoch)", "if (epoch_cpu[i] > epoch)", "typed_epoch_passed_"),
            ("epoch_now = epoch_now + 1u", "epoch_now = 0xffffffffu + 1u", "assert unsigned_overflow"),
            ("uint64_t epoch_charge(void)",
             "uint32_t other(void)\n{\n    return 1;\n}\n\nuint64_t epoch_charge(void)",
             "other has no contract")):
        check(old in good, old + " is no longer in epoch.c")
        with open(path, "w", encoding="utf-8") as f:
            f.write(good.replace(old, new))
        done = subprocess.run(["tests/proofs/prove.py", "--timeout=5", "epoch.c"], cwd=tree,
                              check=False, capture_output=True, text=True)
        check(done.returncode == 1 and said in done.stderr,
              "%s: not noticed: %s" % (new, done.stdout + done.stderr))
    with open(path, "w", encoding="utf-8") as f:
        f.write(good)
    t.command("tests/proofs/prove.py", "epoch.c", cwd=tree)
    header = os.path.join(tree, "kernel/core/epoch.h")
    with open(header, encoding="utf-8") as f:
        good = f.read()
    with open(header, "w", encoding="utf-8") as f:
        f.write(good.replace("requires clock:", "requires never: epoch_now < 3 && epoch_now > 5; requires clock:"))
    said = t.command("tests/proofs/prove.py", "--smoke", "--timeout=5", "epoch.c", cwd=tree, ok=(1,))
    check("not proven: typed_epoch_charge_wp_smoke" in said, "a contradiction is named: " + said)
    shutil.rmtree(tree, ignore_errors=True)


# What the fuzz target `invoke` leaves to AddressSanitizer and to the kernel's own checker.
NOT_CHECKED = re.compile(r"(core_ok|tree_ok|pt_ok|\\(valid|valid_read|separated)\([^()]*\))(&&|$)")


def read_all(*patterns):
    text = ""
    for path in sorted(p for pattern in patterns for p in glob.glob(pattern)):
        with open(path, encoding="utf-8") as f:
            text += f.read()
    return text


def contracts():
    """{function of kernel/core: {(name of a clause, what it requires)}}, without white space."""
    text = read_all("kernel/core/*.h")
    found = {}
    for m in re.finditer(r"/\*@((?:(?!\*/).)*?\bassigns\b.*?)\*/\s*[\w\s*]*?(\w+)\(", text, re.S):
        words = re.split(r"\b(requires|assigns|ensures)\b|ENSURES_CORE", m[1])
        clauses = found.setdefault(m[2], set())
        for keyword, clause in zip(words[1::2], words[2::2]):
            name, what = re.fullmatch(r"(?:(\w+):)?(.*?);?", "".join(clause.split())).groups()
            while NOT_CHECKED.match(what):
                what = NOT_CHECKED.sub("", what, count=1)
            if keyword == "requires" and what:
                clauses.add((name or "", what))
    return found


def checked_clauses():
    """The same of the wrappers in tests/fuzz/requires*."""
    text = read_all("tests/fuzz/requires*.[ch]")
    found = {}
    for m in re.finditer(r"^[a-z][^\n;]*?[ *]__wrap_(\w+)\([^;]*?\)\n\{(.*?)^\}", text, re.M | re.S):
        clauses = found.setdefault(m[1], set())
        for as_text, name, what in re.findall(r"REQUIRE(_AS)?\((\w*),(.*?)\);\n", m[2], re.S):
            if as_text:
                what = re.match(r'(?:\s*"[^"]*")+', what)[0].replace('"', "").replace("\\\\", "\\")
            clauses.add((name, "".join(what.split())))
    return found


@case(cost=1)
def requires(t):
    """Each requires of kernel/core is checked by the fuzz target `invoke` at each call of the glue, word for word."""
    asked, checked = contracts(), checked_clauses()
    glue = re.sub(r"/\*.*?\*/", "", read_all("kernel/object/*.[ch]", "kernel/arch/x86/*.[ch]"), flags=re.S)
    called = {name for name, clauses in asked.items() if clauses and re.search(rf"\b{name}\(", glue)}
    clauses = sum(len(asked[name]) for name in called)
    print(f"{len(called)} functions, {clauses} clauses")
    check(len(called) >= 40 and clauses >= 70, "contracts are no longer found")
    for name in sorted(called | {n for n in checked if n in asked}):
        for clause in asked[name] ^ checked.get(name, set()):
            side = "the contract" if clause in asked[name] else "tests/fuzz/requires*"
            check(False, f"{name}: only in {side}: {clause[0]}: {clause[1]}")


# The provers get what the emulators leave: they may end only after those have.
PROOFS_LIMIT_S = 7200


@case(full=True, cost=400, limit=PROOFS_LIMIT_S)
def proofs_fresh(t):
    """The provers find every proof again, without the kept verdicts."""
    t.command(MAKE, "--no-print-directory", "prove-fresh", env=CLEAN)


@case(full=True, cost=300, limit=PROOFS_LIMIT_S)
def proofs_smoke(t):
    """No contract contradicts itself, and no proven code is dead."""
    t.command(MAKE, "--no-print-directory", "prove-smoke", env=CLEAN)


@case(full=True, cost=600, limit=PROOFS_LIMIT_S)
def proofs_mutants(t):
    """Small mistakes in each proven function: a unit test fails or a goal is lost."""
    t.command(MAKE, "--no-print-directory", "prove-mutants", env=CLEAN)


def bench(t, *arguments):
    t.command(MAKE, "--no-print-directory", "bench", *arguments, env=CLEAN)


@case(cost=60, limit=2400)
def ratchet(t):
    """No figure is more than 5 % worse than the committed one."""
    bench(t, "VMX=no", "FIRMWARE=no", "WIRE=no", "DENSITY=no")


@case(full=True, cost=200, limit=2400)
def ratchet_vmx(t):
    """The same with the rows on VMX, of firmware, of wires and of many VMs."""
    bench(t)
