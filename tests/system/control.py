"""Control channels of guests: what may be at their other ends, and who may ask for what."""
from case import SWITCH_CONSOLE, ask, case, check, start_vms

STAYS = {"log": "com2"}


def guest(mode, **more):
    """A VM with the guest channel.c."""
    return {"memory-mib": 4, "kernel": "channel.elf", "append": f"mode={mode}", "debug-exit": True,
            "floor-percent": 10, **more}


@case(("qemu",), cost=15, limit=300)
def hostile(t):
    """Garbage, beginnings of requests, and requests whose answers nobody takes: host and orderly guests are served."""
    vms = {"orderly": guest(4, may=["deaf: list"]), "other": guest(4, may=["orderly: list stop"]),
           "garbage": guest(1, may="status"), "begins": guest(2, may="status"),
           "deaf": guest(3, may=["manifest", "orderly: list"])}
    with start_vms(t, vms, system=STAYS, timeout=280) as system:
        check(system.expect('"vm-started", "vm": "deaf"', 100, log=True), "the VMs are started")
        for _ in range(3):
            listed = ask(system, "list")
            check([row["state"] for row in listed] == ["running"] * 5, listed)
            check(ask(system, "pause", "other")["state"] == "paused", "the host is served")
            check(ask(system, "resume", "other")["state"] == "running", "again and again")
        ask(system, "kill", "garbage")
        check(ask(system, "start", "garbage")["state"] == "running", "a channel begins anew with its VM")
        refused = [row for row in ask(system, "audit") if row["event"] == "refused"]
        check({(row["by"], row["verb"], row.get("vm"), row["rule"], row["from"]) for row in refused} >=
              {("orderly", "kill", "other", "may", "guest"), ("orderly", "kill", None, "may", "guest"),
               ("orderly", "audit", None, "may", "guest")}, refused)
        times = [row["us"] for row in refused if row["by"] == "orderly"]
        check((len(times) - 1) / (times[-1] - times[0]) * 1e6 < 21, "a guest fills no log: 20 requests a second")
        for label in ("orderly", "other"):
            said = system.expect(rf"(?s:{label} \(.*)asked (\d+) times, (\d+) wrong", 60)
            check(said and said[2] == "0", f"{label}: {said and said[0]}")
            system.send(SWITCH_CONSOLE)
        check("PANIC" not in system.log() and system.outcome is None, "the system goes on")
