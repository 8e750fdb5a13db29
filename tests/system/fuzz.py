"""Fuzz targets: every seed and a few seconds of looking further; what they find in a broken kernel."""
import os

from case import case, check

SECONDS_EACH = 1
# Test-only switches of the kernel whose faults the target `invoke` sees.
FAULTS = ["BREAK_WATERMARK", "BREAK_NTFN_USERS", "BREAK_QUEUE", "BREAK_SC_RETURN", "BREAK_WAITER",
          "BREAK_SAVE_SLOT", "BREAK_COPY_RIGHTS", "BREAK_QUEUED_TWICE", "BREAK_DETACH",
          "BREAK_ATTACH_USERS"]
FAULT_RUNS = 60000


def make(t, *goals):
    t.command(os.environ.get("MAKE", "make"), "--no-print-directory", *goals,
              env={"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", "INSTALL": "no"})


@case(cost=60, limit=900)
def seeds(t):
    """All targets over their seeds; longer runs are `make fuzz`."""
    make(t, "-j2", "fuzz-build")
    t.command("tests/fuzz/run.py", f"--each={SECONDS_EACH}")


@case(cost=400, limit=2400, full=True)
def seeded_faults(t):
    """A kernel with one line left out is found out by the target for invocations."""
    make(t, "fuzz-build")
    t.command("tests/fuzz/run.py", "--each=1", "--only=invoke")  # the seeds; no fault, no finding
    for fault in FAULTS:
        out = f"build/broken/fuzz_{fault.lower()}"
        make(t, f"FUZZ_OUT={out}", f"DEFS=-D{fault}", f"{out}/bin/invoke")
        said = t.command(f"{out}/bin/invoke", "-seed=1", f"-runs={FAULT_RUNS}", "-max_len=1500",
                         f"-artifact_prefix={out}/", "build/tests/fuzz/seeds/invoke",
                         env={"ASAN_OPTIONS": "detect_leaks=0"}, ok=(0, 77))
        check("does not hold" in said or "panic: " in said, f"{fault} is not found")


@case(cost=150, limit=1800, full=True)
def coverage(t):
    """Unit tests and seeds reach 90 % of the lines of core and monitor."""
    make(t, "coverage")
