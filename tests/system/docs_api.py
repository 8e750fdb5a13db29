"""docs/KERNEL-API.md names every call, method, error, exit and invariant that the headers have."""
import os
import re

from case import CASES, case, check

HEADERS = "kernel/include/bulkhead/"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def missing(page, names, form="`{}`"):
    """Which names the page does not have in that form."""
    return sorted(name for name in names if form.format(name) not in page)


@case(cost=1)
def complete(t):
    """A method or error that is added without its description fails here."""
    page, call = read("docs/KERNEL-API.md"), read(HEADERS + "call.h")
    calls = re.findall(r"^    X\((\d+), (\w+)\)", call, re.M)
    methods = re.findall(r"^    X\(([A-Z]+), (\d+), (\w+),", call, re.M)
    errors = re.findall(r"^    (BH_\w+) = (\d+),", read(HEADERS + "error.h"), re.M)
    exits = re.findall(r"^    BH_EXIT_(\w+) = \d+,", read(HEADERS + "vcpu.h"), re.M)
    flags = re.findall(r"^#define (BH_RUN_\w+)", read(HEADERS + "vcpu.h"), re.M)
    flags.remove("BH_RUN_ALL")
    invariants = re.findall(r"^    INV_(\w+)(?: = 1)?,", read("kernel/object/check.c"), re.M)
    check(len(calls) > 5 and len(methods) > 20 and len(errors) > 10 and len(invariants) > 5 and
          len(exits) > 15, "the headers could not be read")
    lost = missing(page, [f"{number} `{name}`" for number, name in calls], "| {} |")
    lost += missing(page, [f"{number} `{name}`" for _, number, name in methods], "| {} |")
    lost += missing(page, [f"| {number} | `{name}` |" for name, number in errors], "{}")
    lost += [name for name in exits if not re.search(rf"^\| .*\b{name}\b.* \|", page, re.M)]
    lost += missing(page, flags)
    lost += missing(page, [f"| {n} {name} |" for n, name in enumerate(invariants, 1)], "{}")
    check(not lost, "not in docs/KERNEL-API.md: " + ", ".join(lost))


# What the errors column calls by one word.
GROUPS = {"dst": {"CAP", "RIGHTS", "SLOT"}, "own": {"RIGHTS", "CPU"}}


def described_errors(page):
    """{call or method: errors of the last column}; what stands in brackets explains."""
    errors = {}
    for row in re.findall(r"^\| \d+ `\w+` \|.*\|$", page, re.M):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        words = re.findall(r"\b[A-Z]{3,}\b|\bdst\b|\bown\b", re.sub(r"\([^()]*\)", "", cells[-1]))
        errors[cells[0].split("`")[1]] = set() if len(cells) < 4 else {
            error for word in words for error in GROUPS.get(word, {word})}
    return errors


@case(cost=1)
def errors_agree(t):
    """The page's errors are those that the hostile task demands and allows."""
    source = read("tests/system/hostile/possible.c")
    groups = dict(re.findall(r"^#define (\w+) +\(([A-Z| ]+)\)", source, re.M))
    tested = {}
    for name, anywhere, more_cpus in re.findall(r"^    X\((\w+), ([A-Z| ]+), ([A-Z| ]+)\)", source, re.M):
        words = re.findall(r"\w+", re.sub(r"\w+", lambda m: groups.get(m[0], m[0]), f"{anywhere} {more_cpus}"))
        tested[name] = set(words) - {"NONE", "OK"}
    page = described_errors(read("docs/KERNEL-API.md"))
    check(len(tested) > 40 and len(page) > 40, "page or table could not be read")
    wrong = [f"{name}: page {sorted(page.get(name, ()))}, task {sorted(tested.get(name, ()))}"
             for name in sorted(page.keys() | tested) if page.get(name) != tested.get(name)]
    check(not wrong, "docs/KERNEL-API.md and tests/system/hostile/possible.c: " + "; ".join(wrong))


@case(cost=1)
def nothing_stale(t):
    """Methods that the page describes exist."""
    page, call = read("docs/KERNEL-API.md"), read(HEADERS + "call.h")
    described = set(re.findall(r"^\| \d+ `(\w+)` \|", page, re.M))
    known = set(re.findall(r"^    X\((?:[A-Z]+, )?\d+, (\w+)[,)]", call, re.M))
    check(described <= known, "described, but not in call.h: " + ", ".join(sorted(described - known)))


def no_such_tests(text):
    """Names of tests in a text that no test has."""
    known = {name.partition("@")[0] for name in CASES}
    lost = [name for name in re.findall(r"`(\w+\.\w+)(?:@\w+)?`", text) if name not in known]
    return lost + [name for name in re.findall(r"`(test_\w+)`", text)
                   if not os.path.exists(f"tests/unit/{name}.c")]


@case(cost=1)
def tests_named(t):
    """Every test that ARCHITECTURE.md puts next to a promise exists."""
    table = read("docs/ARCHITECTURE.md").split("\n## Promises", 1)[1]
    lost = no_such_tests(table)
    check("`" in table and not lost, "no such test: " + ", ".join(lost))


@case(cost=1)
def lessons(t):
    """Each row of LESSONS.md has four filled cells and a known flaw; tests and functions it names exist."""
    page = read("docs/LESSONS.md")
    rows = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in row] for row in rows if row[0].strip() not in ("flaw", "---")]
    check(len(rows) >= 40, f"{len(rows)} flaws are fewer than 40")
    for row in rows:
        check(len(row) == 4 and all(row), "a cell is missing: " + " | ".join(row))
        check(re.search(r"XSA-\d+|CVE-\d{4}-\d{4,}|seL4 ", row[0]), "no number: " + row[0])
    lost = no_such_tests(page + read("docs/SUPPORT.md"))
    check(not lost, "no such test: " + ", ".join(lost))
    sources = "".join(read(os.path.join(folder, file)) for top in ("kernel", "vmm") for folder, _, files
                      in os.walk(top) for file in files if file.endswith((".c", ".h", ".S")))
    places = {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    lost = sorted(name for name in places if not re.search(rf"\b{name}\b", sources))
    check(len(places) > 40 and not lost, "no such function: " + ", ".join(lost))
