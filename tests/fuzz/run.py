#!/usr/bin/python3
"""Run the fuzz targets, two at a time, and print a table; exit status 1 on a finding.

Each target starts from its seeds (tests/fuzz/seeds, and what seeds.py generates) and from what
earlier runs have kept in build/. A finding is an input that crashes a target, breaks one of its
checks, or takes longer than TIMEOUT_S (with --each, HANG_S); it is left in build/tests/fuzz/findings.
usage: run.py --seconds=N | --each=N | --keep [--only=TEXT] [--jobs=N]
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import seeds  # noqa: E402

OUT = "build/tests/fuzz"
TIMEOUT_S = 10
# Beside the other tests on a busy machine, only what hangs.
HANG_S = 60
PROGRESS_S = 15
# Loading seeds and stopping take their time, too.
MARGIN_S = 8
LATE_S = 600
SEED = 1
DEVICES = ["acpi_pm", "debug_exit", "i8042", "ioapic", "lapic", "mch", "pci", "pic", "pit", "rtc",
           "uart16550", "watchdog"]


class Target:
    """A program, its share of the time, the longest input, and what it is told by environment."""

    def __init__(self, name, weight, longest, program=None, **env):
        self.name, self.weight, self.longest, self.env = name, weight, longest, env
        self.seeds = program or name
        self.program = f"{OUT}/bin/{self.seeds}"
        self.corpus = f"{OUT}/corpus/{name}"
        self.log = f"{OUT}/{name}.log"
        self.process = None
        self.execs = self.edges = self.edges_all = self.findings = 0
        self.seconds = 0
        self.what = ""

    def start(self, keep):
        """keep: new inputs go to the corpus of later runs; else they are dropped, and each run looks the same way."""
        corpus = self.corpus if keep else f"{OUT}/dropped/{self.name}"
        if not keep:
            shutil.rmtree(corpus, ignore_errors=True)
        os.makedirs(corpus, exist_ok=True)
        os.makedirs(f"{OUT}/findings", exist_ok=True)
        command = [self.program, f"-max_total_time={self.seconds}", f"-timeout={TIMEOUT_S if keep else HANG_S}",
                   f"-max_len={self.longest}", "-len_control=20", "-print_final_stats=1",
                   "-rss_limit_mb=2048", f"-artifact_prefix={OUT}/findings/{self.name}-",
                   f"-seed={0 if keep else SEED}", corpus, f"{OUT}/seeds/{self.seeds}"]
        # Nothing under test allocates, and leak detection cannot run under every tracer.
        env = dict(os.environ, **self.env, ASAN_OPTIONS="detect_leaks=0")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env,
                                            stdin=subprocess.DEVNULL)
        self.deadline = time.monotonic() + self.seconds + LATE_S

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def look(self):
        """Read the figures off the log."""
        text = self.text()
        last = re.findall(r"^#(\d+)\s.*?cov: (\d+)", text, re.M)
        if last:
            self.execs, self.edges = int(last[-1][0]), int(last[-1][1])
        final = re.search(r"^stat::number_of_executed_units:\s*(\d+)", text, re.M)
        if final:
            self.execs = int(final[1])
        loaded = re.search(r"Loaded \d+ PC tables \((\d+) PCs\)", text)
        if loaded:
            self.edges_all = int(loaded[1])

    def poll(self):
        """Whether it has ended."""
        status = self.process.poll()
        if status is None:
            if time.monotonic() < self.deadline:
                return False
            self.process.kill()
            status = self.process.wait()
            self.what = f"not at its end {LATE_S} s after its time"
        self.look()
        if status != 0:
            self.findings = 1
            self.what = self.what or f"exit status {status}"
        return True

    def show_finding(self):
        lines = self.text().splitlines()
        first = next((i for i, line in enumerate(lines)
                      if re.search(r"does not hold|runtime error|ERROR:|panic:|ALARM", line)), 0)
        if first:
            self.what = lines[first]
        print(f"--- {self.name}: finding, see {self.log}")
        for line in lines[first:first + 20] + lines[-2:]:
            print("    " + "".join(c if c.isprintable() else "?" for c in line))


def targets():
    return [Target("invoke", 5, 1500), Target("monitor", 4, 1500), Target("manifest", 2, 4096),
            Target("loader", 2, 4096), Target("boot_tables", 1, 2048), Target("decode", 1, 600),
            Target("devices", 2, 1500), Target("virtio", 2, 1500), Target("wire", 1, 1500), Target("ahci", 1, 1500),
            Target("control", 1, 1500),
            Target("firmware", 1, 1000), Target("vga", 1, 1500)] + [
                Target(f"devices.{name}", 0.5, 800, "devices", FUZZ_DEVICE=name)
                for name in DEVICES]


def share_time(chosen, seconds, jobs):
    """Give each target its part, so that the lanes end together. @return the lanes"""
    lanes = [[] for _ in range(jobs)]
    for target in sorted(chosen, key=lambda t: -t.weight):
        min(lanes, key=lambda lane: sum(t.weight for t in lane)).append(target)
    for lane in lanes:
        total = sum(t.weight for t in lane)
        for target in lane:
            target.seconds = max(1, int((seconds - MARGIN_S) * target.weight / total - 1))
    return [lane for lane in lanes if lane]


def run(lanes, keep):
    started = shown = time.monotonic()
    running = {}
    try:
        while lanes or running:
            for lane in list(lanes):
                if id(lane) not in running:
                    if lane:
                        running[id(lane)] = lane.pop(0)
                        running[id(lane)].start(keep)
                    else:
                        lanes.remove(lane)
            for key, target in list(running.items()):
                if target.poll():
                    del running[key]
                    if target.findings:
                        target.show_finding()
            if time.monotonic() - shown >= PROGRESS_S:
                shown = time.monotonic()
                for target in running.values():
                    target.look()
                print(f"[{shown - started:4.0f} s] " + ", ".join(
                    f"{t.name}: {t.execs} runs, {t.edges} edges" for t in running.values()),
                    flush=True)
            time.sleep(0.1)
    finally:
        for target in running.values():
            target.process.kill()


def table(done):
    print(f"{'target':<22} {'execs':>10} {'edges':>6} {'of':>6} {'findings':>9}")
    for t in done:
        print(f"{t.name:<22} {t.execs:>10} {t.edges:>6} {t.edges_all:>6} {t.findings:>9}")
    found = sum(t.findings for t in done)
    print(f"{len(done)} targets, {sum(t.execs for t in done)} execs, {found} finding(s)"
          + "".join(f"; {t.name}: {t.what}" for t in done if t.findings))
    return found


def keep(done):
    """Reduce seeds and kept inputs to those that matter, as the packed seeds."""
    for name in dict.fromkeys(t.seeds for t in done):
        merged = f"{OUT}/merged/{name}"
        shutil.rmtree(merged, ignore_errors=True)
        os.makedirs(merged)
        os.makedirs(f"{OUT}/findings", exist_ok=True)
        corpora = [t.corpus for t in done if t.seeds == name and os.path.isdir(t.corpus)]
        longest = next(t.longest for t in done if t.seeds == name)
        subprocess.run([f"{OUT}/bin/{name}", "-merge=1", "-use_counters=0",
                        f"-max_len={longest}", f"-artifact_prefix={OUT}/findings/{name}-", merged, f"{OUT}/seeds/{name}"] + corpora,
                       check=True, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        generated = {data for _, data in seeds.generate(name)}
        inputs = set()
        for file in os.listdir(merged):
            with open(os.path.join(merged, file), "rb") as f:
                inputs.add(f.read())
        seeds.pack(name, inputs - generated)
        print(f"{name}: {len(inputs - generated)} inputs, {sum(map(len, inputs))} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, help="for all targets together")
    parser.add_argument("--each", type=int, help="for each target, from the seeds only")
    parser.add_argument("--keep", action="store_true", help="renew the packed seeds")
    parser.add_argument("--only", default="", help="targets with this text in their name")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    chosen = [t for t in targets() if args.only in t.name]
    for name in dict.fromkeys(t.seeds for t in chosen):
        seeds.unpack(name, f"{OUT}/seeds/{name}")
    if args.keep:
        keep(chosen)
        return
    if args.each:
        for target in chosen:
            target.seconds = args.each
        lanes = [chosen[i::args.jobs] for i in range(args.jobs)]
    else:
        lanes = share_time(chosen, args.seconds or 600, args.jobs)
    run(lanes, keep=not args.each)
    sys.exit(1 if table(chosen) else 0)


if __name__ == "__main__":
    main()
