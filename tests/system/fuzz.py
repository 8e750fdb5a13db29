"""Fuzz targets: every seed, and a few seconds of looking further."""
import os

from case import case

SECONDS_EACH = 2


@case(cost=60, limit=900)
def seeds(t):
    """All targets over their seeds; longer runs are `make fuzz`."""
    t.command(os.environ.get("MAKE", "make"), "--no-print-directory", "fuzz-build",
              env={"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", "INSTALL": "no"})
    t.command("tests/fuzz/run.py", f"--each={SECONDS_EACH}")
