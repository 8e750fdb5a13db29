#!/usr/bin/python3
"""Lines of the kernel's core and of the monitor that unit tests and fuzz seeds reach (gcov).

Builds every unit test and every fuzz target once more, with gcc's counters instead of sanitizers (a source
once for all that compile it alike: their counts add up), runs the tests and the seeds, and prints a table per file. Exit status 1 when one of the two parts
is below LEAST_PERCENT.
usage: coverage.py [--missed=FILE]     FILE: print its lines that were not reached
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run  # noqa: E402
import seeds  # noqa: E402

OUT = "build/coverage"
LEAST_PERCENT = 90.0
# What the exit status depends on, then what is shown beside it.
PARTS = [("kernel/core", True), ("vmm/monitor", True), ("kernel/object", False),
         ("kernel/arch/x86", False), ("policy/manifest", False)]
CFLAGS = ("-std=gnu11 -O0 -g --coverage -fprofile-update=atomic -fno-strict-aliasing -fno-pie -w "
          "-ffunction-sections -I. "
          "-Ikernel/include -Ivmm/include -Ikernel -Iiommu").split()
# What a unit test may include: tests/tests.mk says.
CFLAGS += os.environ["UNIT_INCLUDES"].split()
JOBS = 2


class Program:
    """One test program: its sources and flags, as its first lines say."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.out = f"{OUT}/{self.name}"
        self.fuzz = self.name.startswith("fuzz_")
        with open(path, encoding="utf-8") as f:
            head = f.read().splitlines()[:12]
        says = {}
        for line in head:
            match = re.match(r"// (\w+): ?(.*)", line)
            if match:
                says.setdefault(match[1], []).extend(shlex.split(match[2]))
        self.restored = [f for p in says.get("restored", []) for f in sorted(glob.glob(p))]
        self.sources = [f for p in says.get("sources", []) + says.get("devices", []) for f in sorted(glob.glob(p)) or [p]]
        self.forced = [w for f in says.get("forced", []) for w in ("-include", f)]
        flags = says.get("flags", [])
        self.libs = [f for f in flags if f.startswith(("-l", "-L"))]
        self.flags = [f for f in flags if f not in self.libs]
        self.link_words = [f"-Wl,--defsym={s}" for s in says.get("link", [])]
        for wrapped in [f for p in says.get("wrapped", []) for f in sorted(glob.glob(p))]:
            with open(wrapped, encoding="utf-8") as f:
                self.link_words += [f"-Wl,--wrap={name}"
                                    for name in re.findall(r"^[a-z].*\b__wrap_(\w+)\(", f.read(), re.M)]

    def objects(self):
        """[(source, flags, object)]; objects that are built alike are the same file."""
        compiled = [self.path] + self.restored + [s for s in self.sources if s.endswith((".c", ".S"))]
        if self.fuzz:
            compiled.append("tests/fuzz/replay.c")
        found = []
        for source in compiled:
            flags = self.flags + (self.forced if source in self.restored else [])
            place = zlib.crc32(" ".join(flags).encode())
            found.append((source, flags, f"{OUT}/{place:x}/{source}.o"))
        return found

    def link(self):
        os.makedirs(self.out, exist_ok=True)
        objects = [to for _, _, to in self.objects()] + [s for s in self.sources if s.endswith((".a", ".o"))]
        # functions of a test's header that it does not use refer to what it is not linked with
        subprocess.run(["gcc", "--coverage", "-no-pie", "-Wl,--gc-sections,-Ttext-segment=0x60000000", "-o",
                        f"{self.out}/program"] + objects + self.link_words + self.libs +
                       ([] if self.fuzz else ["-lcmocka"]), check=True)

    def run(self):
        inputs = [[]]
        envs = [{}]
        if self.fuzz:
            name = self.name[len("fuzz_"):]
            seeds.unpack(name, f"{self.out}/seeds")
            files = sorted(glob.glob(f"{self.out}/seeds/*"))
            inputs = [files[i:i + 500] for i in range(0, len(files), 500)]
            envs = [t.env for t in run.targets() if t.seeds == name]
        for env in envs:
            for words in inputs:
                with open(f"{self.out}/log", "wb") as log:
                    status = subprocess.run([f"{self.out}/program"] + words, stdout=log, stderr=log,
                                            check=False, env=dict(os.environ, **env)).returncode
                if status:
                    raise SystemExit(f"{self.name}: exit status {status}, see {self.out}/log")


def compile_one(job):
    to, (source, flags) = job
    os.makedirs(os.path.dirname(to), exist_ok=True)
    subprocess.run(["gcc"] + CFLAGS + flags + ["-c", "-o", to, source], check=True)


def link_and_run(program):
    program.link()
    program.run()


def lines():
    """{(file, line): count}"""
    counters = glob.glob(f"{OUT}/**/*.gcda", recursive=True)
    done = subprocess.run(["gcov", "--json-format", "--stdout"] + counters, capture_output=True,
                          text=True, check=True)
    found = {}
    for text in done.stdout.splitlines():
        for file in json.loads(text)["files"]:
            path = os.path.relpath(file["file"])
            for line in file["lines"]:
                key = path, line["line_number"]
                found[key] = max(found.get(key, 0), line["count"])
    return found


def measure(programs):
    """Build, run, and read the counters of everything."""
    shutil.rmtree(OUT, ignore_errors=True)
    objects = {to: (source, flags) for p in programs for source, flags, to in p.objects()}
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(compile_one, objects.items()))
        list(pool.map(link_and_run, programs))
    return lines()


def part_of(path):
    return next((part for part, _ in PARTS if path.startswith(part + "/")), None)


def missed_ranges(numbers):
    """12-15, 20"""
    ranges = []
    for n in sorted(numbers):
        if ranges and ranges[-1][1] == n - 1:
            ranges[-1][1] = n
        else:
            ranges.append([n, n])
    return ", ".join(f"{a}-{b}" if a != b else str(a) for a, b in ranges)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--missed", help="print this file's lines that were not reached")
    args = parser.parse_args()
    programs = [Program(p) for p in sorted(glob.glob("tests/fuzz/fuzz_*.c")) +
                sorted(glob.glob("tests/unit/test_*.c"))]
    total = measure(programs)
    files = {}
    for (path, line), count in total.items():
        if part_of(path):
            files.setdefault(path, {})[line] = count
    if args.missed:
        with open(args.missed, encoding="utf-8") as f:
            text = f.read().splitlines()
        for line, count in sorted(files[args.missed].items()):
            if count == 0:
                print(f"{line:5} {text[line - 1]}")
        return
    low = False
    print(f"{'file':<40} {'lines':>6} {'reached':>8} {'%':>6}  not reached")
    for part, counts in PARTS:
        sums = [0, 0]
        for path in sorted(p for p in files if part_of(p) == part):
            lines = files[path]
            reached = sum(1 for c in lines.values() if c)
            sums = [sums[0] + len(lines), sums[1] + reached]
            gap = missed_ranges(n for n, c in lines.items() if not c)
            print(f"{path:<40} {len(lines):>6} {reached:>8} {100 * reached / len(lines):>6.1f}  "
                  f"{gap if len(gap) < 60 else gap[:57] + '...'}")
        percent = 100 * sums[1] / max(sums[0], 1)
        print(f"{part + ', all':<40} {sums[0]:>6} {sums[1]:>8} {percent:>6.1f}\n")
        low = low or (counts and percent < LEAST_PERCENT)
    if low:
        print(f"below {LEAST_PERCENT:.0f} %")
    sys.exit(1 if low else 0)


if __name__ == "__main__":
    main()
