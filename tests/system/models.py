"""Models of the kernel's algorithms, and its scheduler on a simulated CPU (docs/MODELS.md)."""
from case import case, check

SIM = "build/tests/sim/sched_sim"
CHECK = "tests/models/check.py"


@case(cost=15, limit=400)
def quick(t):
    """Two of the models with all their knock-outs."""
    said = t.command(CHECK, "--jobs=1", "frame", "revoke")
    check("2 of 2 hold, 19 of 19 knock-outs fail" in said, "what was checked")


@case(cost=90, limit=1500, full=True)
def everything(t):
    """All models, all knock-outs."""
    t.command(CHECK, "--jobs=1")


@case(cost=60, limit=900, full=True)
def core_states(t):
    """Every state of five or six capabilities, and every operation in each."""
    t.command("build/tests/unit/test_core_states", "5")


@case(cost=8)
def scheduler(t):
    """Floors, ceilings, shares, waits and the cost of a decision, for 60,000 periods."""
    t.command(SIM, "60000", "2")


@case(cost=60, full=True)
def scheduler_long(t):
    """The same for a million periods."""
    t.command(SIM, "1000000", "1")
