#!/usr/bin/python3
"""Run the micro guests on QEMU alone, without Bulkhead: the reference for what they claim.

Every fact must hold there, except those that qemu.gaps names; and every fact named there must fail,
so a gap that a newer emulator has closed shows up. Reads build/tests/guests, writes nothing.

The clock counts instructions, so that a busy machine changes nothing.

usage: reference.py [TEXT]     TEXT: only guests with that in their name; none is a mistake
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..", "..")
PASS = 33
QEMU = ["qemu-system-x86_64", "-machine", "q35", "-cpu", "EPYC", "-m", "64",
        "-nodefaults", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
        "-nic", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
ICOUNT = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
APPEND = {"spin": "spin_ms=100"}
# The guest's end is not its own verdict: the status that says it worked.
ENDS = {"triple_fault": 0, "smp_triple_fault": 0}
# Shows nothing by itself, or never ends, or speaks to what only our monitor has.
NOT_ALONE = ["endless_db", "life", "talk", "channel", "storm", "clock_long"]


def read_gaps():
    """(guest) -> set of facts."""
    gaps = {}
    with open(os.path.join(HERE, "qemu.gaps"), encoding="utf-8") as f:
        for line in f:
            if line.strip() and line[0] != "#":
                scope, guest, fact = line.split()[:3]
                if scope != "svm":  # seen below a hypervisor only; probe_svm stands for it here
                    gaps.setdefault(guest, set()).add(fact)
    return gaps


def run(guest, timeout):
    """Exit status (None after the timeout) and output."""
    cpus = ["-smp", "4"] if guest.startswith("smp_") else []
    command = QEMU + ICOUNT + cpus + ["-kernel", os.path.join(TOP, "build/tests/guests", guest + ".elf"),
                      "-append", APPEND.get(guest, "")]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=timeout, check=False)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as e:
        return None, (e.stdout or b"").decode(errors="replace")


def judge(guest, gaps):
    """An explanation of what is wrong, or None."""
    lost = "*" in gaps
    for seconds in (5, 20, 80) if lost else (90,):  # on a busy machine it comes late to where it is lost
        status, text = run(guest, seconds)
        tries = re.search(r"^TRY ", text, re.M)
        if tries:
            break
    bad = set(re.findall(r"^FACT (\S+) BAD", text, re.M))
    if lost:
        if not tries:
            return f"the guest has not come to what it tries\n{text}"
        return None if "BH-PASS" not in text and "BH-FAIL" not in text else "the guest is not lost"
    if guest in ENDS:
        return None if status == ENDS[guest] else f"status {status}\n{text}"
    if bad - gaps:
        return f"facts do not hold: {' '.join(sorted(bad - gaps))}\n{text}"
    if gaps - bad:
        return f"gaps are closed: {' '.join(sorted(gaps - bad))}"
    if not bad and status != PASS:
        return f"status {status}\n{text}"
    return None


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    gaps = read_gaps()
    sources = [i[:-2] for i in os.listdir(HERE) if i.endswith(".c")] + ["hello-pvh"]
    guests = sorted(i for i in sources if only in i and i not in NOT_ALONE)
    if not guests:
        sys.exit(f"no guest has '{only}' in its name")
    failed = 0
    for guest in guests:
        wrong = judge(guest, gaps.get(guest, set()))
        failed += wrong is not None
        print(f"{'FAIL' if wrong else 'ok  '} {guest} {wrong or ''}".rstrip(), flush=True)
    print(f"{len(guests) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
