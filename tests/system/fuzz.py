"""Fuzz targets: every seed and a few seconds of looking further; what they find in a broken kernel."""
import os

from case import case, check

SECONDS_EACH = 1
# Test-only switches of the kernel whose faults the target `invoke` sees.
FAULTS = ["BREAK_WATERMARK", "BREAK_NTFN_USERS", "BREAK_QUEUE", "BREAK_SC_RETURN", "BREAK_WAITER",
          "BREAK_SAVE_SLOT", "BREAK_COPY_RIGHTS", "BREAK_QUEUED_TWICE", "BREAK_DETACH",
          "BREAK_ATTACH_USERS", "BREAK_TABLE_COUNT", "BREAK_FLUSH_DEBT"]
FAULT_RUNS = 60000
# Checks whose errors glue must heed: what core then requires does not hold. (frame_decode_detach
# says no more than the checks before it.)
DECODES = ["cnode_decode_copy", "cnode_decode_mint", "cnode_decode_move", "cnode_decode_delete", "frame_decode_carve",
           "frame_decode_attach", "frame_decode_delete", "untyped_decode_retype", "untyped_decode_scrub",
           "sc_decode_configure"]
# Parts of a flush, without which a CPU still reaches what is used anew: that of a host, that of a guest, the charge,
# the wait.
FLUSHES = ["write_cr3", "flush_all", "epoch_charge", "epoch_passed"]


def make(t, *goals):
    t.command(os.environ.get("MAKE", "make"), "--no-print-directory", *goals,
              env={"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", "INSTALL": "no"})


def targets(t, *which):
    """Their seeds, and some seconds more; a finding is told by the summary."""
    said = t.command("tests/fuzz/run.py", f"--each={SECONDS_EACH}", *which, ok=(0, 1))
    check(" 0 finding(s)" in said, said.rpartition("execs, ")[2].rstrip())


@case(cost=60, limit=900)
def seeds(t):
    """All targets over their seeds; longer runs are `make fuzz`. A kernel deaf to a decode_*, or without one of the parts
    of a flush, is found by the seeds."""
    make(t, "-j2", "fuzz-build")
    targets(t)
    faults = [("FUZZ_DEAF_TO", decode, "does not hold") for decode in DECODES]
    faults += [("FUZZ_LEAVES_OUT", part, "has not flushed since it was unmapped") for part in FLUSHES]
    for how, function, finding in faults:
        said = t.command("build/tests/fuzz/bin/invoke", "-runs=0", f"-artifact_prefix={t.dir}/", "build/tests/fuzz/seeds/invoke",
                         env={"ASAN_OPTIONS": "detect_leaks=0", how: function}, ok=(0, 77))
        check(finding in said, f"a kernel with {how}={function} is not found")


@case(cost=400, limit=2400, full=True)
def seeded_faults(t):
    """A kernel with one line left out is found out by the target for invocations."""
    make(t, "fuzz-build")
    targets(t, "--only=invoke")  # no fault, no finding
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
