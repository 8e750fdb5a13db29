"""The scheduler on a simulated CPU, and the models of the kernel's algorithms (docs/MODELS.md)."""
from case import case

SIM = "build/tests/sim/sched_sim"


@case(cost=8)
def scheduler(t):
    """Floors, ceilings, shares, waits and the cost of a decision, for 60,000 periods."""
    t.command(SIM, "60000", "2")


@case(cost=60, full=True)
def scheduler_long(t):
    """The same for a million periods."""
    t.command(SIM, "1000000", "1")
