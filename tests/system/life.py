"""The life of VMs: bhctl's verbs, order, restarts, deadlines, rights, and what reaches the control channel."""
import json
import re
import signal
import socket
import subprocess
import threading
import time

import run
from case import SWITCH_CONSOLE, ask, bhctl, case, check, start_vms, to_the_end

STAYS = {"log": "com2"}


def vm(words="", **more):
    """A VM with the guest life.c."""
    return {"memory-mib": 4, "kernel": "life.elf", "append": words, "debug-exit": True, **more}


def states(system):
    return {found["name"]: found["state"] for found in ask(system, "list")}


def wait_for(system, name, state, seconds=60):
    for _ in range(seconds * 4):
        if states(system)[name] == state:
            return
        system.step(0.2)
    check(False, f"{name} is {states(system)[name]}, not {state}")


@case(("qemu",), cost=15, limit=200)
@case(("bochs",), cost=60, limit=600, full=True)
def verbs(t):
    """Each verb about a VM's life, its states, its answers, its refusals."""
    vms = {"work": vm(), "deaf": vm("deaf=1", **{"stop-wait-s": 3600}), "later": vm(start="manual")}
    with start_vms(t, vms, system=STAYS, timeout=500) as system:
        check(system.expect('"vm-started", "vm": "deaf"', 100, log=True), "two VMs are started")
        check(states(system) == {"work": "running", "deaf": "running", "later": "created"}, states(system))
        check(ask(system, "start", "work", ok=(1,))["status"] == "runs", "it runs already")
        check(ask(system, "start", "later")["state"] == "running", "started by hand")
        check(ask(system, "pause", "work")["state"] == "paused", "paused")
        check(ask(system, "pause", "work", ok=(1,))["status"] == "paused", "it is paused already")
        check(ask(system, "resume", "work")["state"] == "running", "goes on")
        check(ask(system, "resume", "work", ok=(1,))["status"] == "runs", "it runs already")
        stopped = ask(system, "stop", "work")
        check((stopped["state"], stopped["status"], stopped["reason"]) == ("stopped", 0, "vm work: power-off"), stopped)
        check(ask(system, "stop", "work", ok=(1,))["status"] == "not-running", "it does not run")
        stopped = ask(system, "stop", "deaf", "--timeout=0.3")
        check(stopped["reason"] == "vm deaf: killed: it has not stopped in time", stopped)
        check(ask(system, "restart", "deaf")["state"] == "running", "a stopped one is started")
        check(ask(system, "restart", "deaf", "--timeout=0.1")["state"] == "running", "and one that runs")
        check(ask(system, "kill", "deaf")["reason"] == "vm deaf: killed", "killed")
        check(ask(system, "start", "work")["state"] == "running", "started again")
        ask(system, "pause", "work")
        check(ask(system, "stop", "work")["reason"] == "vm work: power-off", "a paused one is stopped in order")
        check(ask(system, "kill", "nobody", ok=(1,))["status"] == "no-vm", "no such VM")
        events = [(found["event"], found.get("vm")) for found in ask(system, "audit")]
        check(events.count(("vm-started", "deaf")) == 3 and ("vm-killed", "deaf") in events, events)
        check(events.count(("asked", "work")) == 10, events)
        starts = {found["name"]: found["starts"] for found in ask(system, "stats")}
        check(starts == {"work": 2, "deaf": 3, "later": 1}, starts)
        ask(system, "shutdown")
        result = to_the_end(system)
    check(result.status == 0 and "reason=shut down" in result.log, "shut down", result)
    check("taking it back" not in result.log, "all is taken back", result)


@case(("qemu",), cost=10, limit=200)
def answers(t):
    """What bhctl says about the system: protections in the log's words, versions, the manifest, figures."""
    vms = {"sleeps": vm(label="One that sleeps"), "spins": vm("spin=1")}
    with start_vms(t, vms, {"between": ("spins", "sleeps")}, system=STAYS, icount=True, timeout=150) as system:
        check(system.expect('"vm-started", "vm": "spins"', 100, log=True), "the VMs are started")
        check(system.expect("alive", 100), "the one that is shown has measured its TSC, and sleeps")
        said = ask(system, "status")
        log = re.findall(r"protection (on: |OFF:) (.*?)\r?$", system.log(), re.M)
        check([("on: " if row["on"] else "OFF:", row["words"]) for row in said["protections"]] == log, log)
        check({**said["system"], "now_ns": 0, "root_cpu_ns": 0} == {**ask(system, "version"), "now_ns": 0, "root_cpu_ns": 0}, said["system"])
        check([row["name"] for row in said["vms"]] == ["sleeps", "spins"], said["vms"])
        text = bhctl(system, "status")
        check(text.startswith("protection ") and "protection OFF: no IOMMU" in text, text)
        check("protection OFF: no policy VM stands in the network path: wires join VMs directly" in text, text)
        shown = ask(system, "manifest")
        check(shown["vms"]["sleeps"]["label"] == "One that sleeps" and shown["vms"]["spins"]["memory-mib"] == 4, shown)
        with open(t.new_dir() + "/again.dts", "w", encoding="ascii") as f:
            f.write(bhctl(system, "manifest"))
        again = subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", f.name], check=True, capture_output=True).stdout
        with open(system.settings.boot.replace("boot.img", "manifest.dtb"), "rb") as f:
            check(f.read() == again, "its source is the same again")
        before = {row["name"]: row["cpu_ns"] for row in ask(system, "stats")}
        top = ask(system, "top", "--count=3", "--interval=0.7")[-1]
        check(top[0]["cpu_percent"] < 10 and top[1]["cpu_percent"] > 20, top)
        check("[####" in bhctl(system, "top", "--count=1"), "a bar")
        stats = {row["name"]: row for row in ask(system, "stats")}
        grown = {name: row["cpu_ns"] - before[name] for name, row in stats.items()}
        check(grown["spins"] > 10 * grown["sleeps"] and before["sleeps"] > 0, (before, stats))
        check(stats["sleeps"]["exits"]["io"] > 0 and stats["sleeps"]["memory_bytes"] >= 4 << 20, stats)


@case(("qemu",), cost=8, limit=120)
def cpu_set(t):
    """Two VMs that are kept to CPU 1 share it, though CPU 0 has nothing to do."""
    vms = {name: vm("spin=1", **{"cpu-set": [1]}) for name in ("one", "two")}
    with start_vms(t, vms, system=STAYS, timeout=100, host_cpus=2, icount=True) as system:
        check(system.expect('"vm-started", "vm": "two"', 80, log=True), "the VMs are started")
        started = [found["cpu"] for found in ask(system, "audit") if found["event"] == "vm-started"]
        check(started == [1, 1], started)
        used = [row["cpu_percent"] for row in ask(system, "top", "--count=2", "--interval=1")[-1]]
        check(sum(used) < 110 and max(used) < 80, used)
        check("cpu-set = <1>;" in bhctl(system, "manifest"), "the manifest says so")


@case(("qemu",), cost=10, limit=200)
def admission(t):
    """A VM that does not fit is refused, root says by how much, and it starts once another has ended: with that one's
    memory, which is clean."""
    def half(words, **more):
        return vm(words, **{"memory-mib": 90, "cpu": 0, **more})
    # What finds something in its memory crashes, and is not running then.
    vms = {"one": half("fill=1", **{"floor-percent": 40}), "two": half(""), "three": half("clean=1", start="manual"),
           "greedy": vm(start="manual", **{"floor-percent": 60, "cpu": 0})}
    with start_vms(t, vms, system=STAYS, timeout=300, host_mem=256) as system:
        check(system.expect('"vm-started", "vm": "two"', 100, log=True), "two VMs are started")
        check(ask(system, "start", "greedy", ok=(1,))["status"] == "not-started", "refused")
        said = "vm greedy: needs 60 % of CPU 0, 55 % are free: 5 % too many"
        check(next(found for found in ask(system, "list") if found["name"] == "greedy")["reason"] == said, "floors")
        refused = bhctl(system, "start", "three", ok=(1,))
        words = re.search(r"vm three: needs (\d+) MiB of memory, (\d+) MiB are free: (\d+) MiB too many", refused)
        check(words and int(words[1]) - int(words[2]) == int(words[3]) > 0, refused)
        records = [found for found in ask(system, "audit") if found["event"] == "vm-refused"]
        check([found["vm"] for found in records] == ["greedy", "three"] and records[1]["text"] == words[0], records)
        check(system.expect("filled", 60), "one has written to all of its memory")
        ask(system, "kill", "one")
        check(ask(system, "start", "three")["state"] == "running", "with the memory of the one that has ended")
        system.send(2 * SWITCH_CONSOLE)
        check(system.expect("clean", 60), "nothing of the other one's is in it")
        check(ask(system, "start", "greedy")["state"] == "running", "with its floor")
        check(ask(system, "start", "one", ok=(1,))["status"] == "not-started", "and that one has none now")
        ask(system, "kill", "greedy")
        ask(system, "kill", "three")
        check(ask(system, "start", "one")["state"] == "running", "it gets it back")
        freed = [found for found in ask(system, "audit") if found["event"] == "vm-freed"]
        check(all(found["frame_bytes"] == found["frame_bytes_free"] for found in freed), freed)


@case(("qemu",), cost=15, limit=200)
def restarts(t):
    """The manifest's rules for VMs that end by themselves."""
    quick = {"restart-wait-ms": 50}
    vms = {"crashes": vm("crash_ms=20", restart="limited", **quick, **{"restart-count": 2}),
           "resets": vm("reset_ms=20", restart="limited", **quick, **{"restart-count": 1}),
           "off": vm("off_ms=20", restart="limited", **quick),
           "always": vm("off_ms=20", restart="always", **quick),
           "never": vm("crash_ms=20"),
           "hangs": vm("watchdog_ms=300 deaf=1", watchdog=True, restart="limited", **quick, **{"restart-count": 1})}
    with start_vms(t, vms, system=STAYS, timeout=150) as system:
        check(system.expect('"vm-given-up", "vm": "crashes", "rule": "restart", "restarts": 2', 100, log=True), "enough")
        check(system.expect('"vm-given-up", "vm": "resets"', 50, log=True), "enough")
        check(system.expect('"vm-restart", "vm": "always", "in_row": 4, "wait_ms": 400', 50, log=True),
              "the wait has doubled")
        check(system.expect('"vm": "hangs", "kind": "stopped".*"watchdog"', 50, log=True), "the watchdog has bitten")
        check(system.expect('"vm-given-up", "vm": "hangs"', 50, log=True), "enough")
        listed = {row["name"]: (row["state"], row["restarts"]) for row in ask(system, "list")}
        check(listed.pop("always")[1] >= 4, "goes on")
        check(listed == {"crashes": ("crashed", 2), "resets": ("stopped", 1), "off": ("stopped", 0),
                         "never": ("crashed", 0), "hangs": ("crashed", 1)}, listed)
        system.expect('"wait_ms": 1600', 30, log=True)
        check(ask(system, "stop", "always")["state"] == "stopped", "asked to stop, it stays stopped")
        seen = len(re.findall('"vm-started", "vm": "always"', system.log()))
        check(ask(system, "start", "crashes")["state"] in ("running", "crashed", "starting"), "started by hand")
        check(system.expect('(?s)given-up", "vm": "crashes".*given-up", "vm": "crashes"', 60, log=True),
              "its row began anew")
        check(len(re.findall('"vm-started", "vm": "always"', system.log())) == seen, "and it stays stopped")


@case(("qemu",), cost=8, limit=200)
def order(t):
    """VMs are started after those they are after, also by hand, and stopped before them."""
    vms = {"desktop": vm(after=["proxy", "store"]), "proxy": vm(after="store"), "store": vm(),
           "more": vm(start="manual", after="base"), "base": vm(start="manual")}
    with start_vms(t, vms, system=STAYS, timeout=150) as system:
        check(system.expect('"vm-started", "vm": "desktop"', 100, log=True), "the last one is started")
        check(ask(system, "start", "more")["state"] == "running", "started by hand")
        bhctl(system, "shutdown")
        result = to_the_end(system)
    check(re.findall('"vm-started", "vm": "(.*?)"', result.log) == ["store", "proxy", "desktop", "base", "more"],
          "order of starts", result)
    ends = re.findall('"vm-ended", "vm": "(.*?)"', result.log)
    check(ends.index("desktop") < ends.index("proxy") < ends.index("store") and
          ends.index("more") < ends.index("base"), f"order of ends: {ends}", result)


@case(("qemu",), cost=8, limit=200)
def rights(t):
    """The manifest's word counts for bhctl too: a refusal names the rule, and leaves a record."""
    with start_vms(t, {"work": vm()}, system={**STAYS, "host-may": ["watch", "store"]}, timeout=150) as system:
        check(system.expect('"vm-started"', 100, log=True), "the VM is started")
        check(states(system) == {"work": "running"}, "it may watch")
        for verb in ("kill", "stop", "pause", "restart"):
            refused = ask(system, verb, "work", ok=(5,))
            check((refused["status"], refused["rule"]) == ("forbidden", "host-may") and verb in refused["text"], refused)
        check("host-may" in bhctl(system, "shutdown", ok=(5,)), "nor this")
        check(ask(system, "text", "work", ok=(5,))["rule"] == "host-may", "nor look at screens")
        check(ask(system, "save", "work", ok=(1,))["status"] == "no-store", "it might save")
        check(states(system) == {"work": "running"}, "nothing has happened")
        records = [row for row in ask(system, "audit") if row["event"] == "refused"]
        check([row["verb"] for row in records] == ["kill", "stop", "pause", "restart", "shutdown", "screenshot"], records)
        check(all(row["rule"] == "host-may" and row["by"] == "host" for row in records), records)


@case(("qemu",), cost=8, limit=200)
def pause_unnoticed(t):
    """Time stands still with the VM, by each of its clocks."""
    began, stood = time.monotonic(), 0  # the start belongs to it: short beside the time that it stands
    with start_vms(t, {"work": vm(cpus=2)}, timeout=150) as system:
        check(system.expect("alive", 100), "the guest runs")
        for _ in range(3):
            ask(system, "pause", "work")
            paused = time.monotonic()
            before = ask(system, "stats")[0]
            system.step(1)
            check(before["exits"] == ask(system, "stats")[0]["exits"], "it stands still")
            stood += time.monotonic() - paused
            ask(system, "resume", "work")
        ask(system, "stop", "work")
        lived = time.monotonic() - began
        said = system.expect(r"off after (\d+) ms, (\d+) ms", 20)
    tsc_ms, pm_ms = map(int, said.groups())
    print(f"{lived} s, of which it stood {stood}; by its clocks {tsc_ms} and {pm_ms} ms")
    check(abs(tsc_ms - pm_ms) < 100 + tsc_ms / 50, "its clocks agree")
    check(tsc_ms < (lived - stood) * 1000 + 100, "no time has passed while it stood")


@case(("qemu",), cost=8, limit=200)
def stop_patience(t):
    """The host stands still while a VM is stopping: it is not killed before it has had its time."""
    with start_vms(t, {"work": vm("deaf=1 off_ms=1500", **{"stop-wait-s": 1})}, system=STAYS, timeout=150) as system:
        check(system.expect("alive", 100), "the guest runs")

        def stands_still():
            system.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            system.process.send_signal(signal.SIGCONT)
        host = threading.Timer(0.3, stands_still)
        host.start()
        ended = ask(system, "stop", "work")
        host.join()
        print(ended, system.log())
        check('"vm": "work", "kind": "power-off"' in system.log(), "it has ended by itself")


@case(("qemu",), cost=15, limit=300)
def channel(t):
    """Garbage, half requests, a client that stops reading, two at once: the system goes on, and the next is served."""
    with start_vms(t, {"work": vm(), "spins": vm("spin=1")}, system=STAYS, timeout=250) as system:
        check(system.expect('"vm-started", "vm": "spins"', 100, log=True), "the VMs are started")

        def connect():
            client = socket.socket(socket.AF_UNIX)
            client.connect(system.control_path)
            return client
        seed = 1
        for size in (1, 15, 300, 5000):
            with connect() as client:
                junk = bytearray()
                for _ in range(size):
                    seed = seed * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
                    junk.append(seed >> 56)
                client.sendall(junk)
                client.sendall(b"\x42\x68\x02\x01\xff\xff")  # and the beginning of a request
                system.step(0.2)
            check(states(system)["work"] == "running", f"{size} bytes of garbage do no harm")
        with connect() as client:  # asks, and does not take the answers
            for _ in range(3):
                client.sendall(b"\x05")
                system.step(0.3)
            check(system.log().count("PANIC") == 0 and system.outcome is None, "the system goes on")
        check(states(system)["work"] == "running", "the next one is served")
        with subprocess.Popen(["build/bhctl", f"--socket={system.control_path}", "--json", "audit"],
                              stdout=subprocess.PIPE) as slow, \
             subprocess.Popen(["build/bhctl", f"--socket={system.control_path}", "--json", "stats"],
                              stdout=subprocess.PIPE) as other:
            for _ in range(600):
                if slow.poll() is not None and other.poll() is not None:
                    break
                system.step(0.1)
            check(slow.returncode == 0 and other.returncode == 0, "both are served, one after the other")
            check(all("result" in json.loads(p.stdout.read()) for p in (slow, other)), "with their own answers")
        with subprocess.Popen(["build/bhctl", f"--socket={system.control_path}", "top", "--interval=0.01"],
                              stdout=subprocess.PIPE) as stuck:  # nobody reads its pipe
            system.step(3)
            before = re.findall('"seq": (\\d+)', system.log())[-1]
            stuck.kill()
        check(ask(system, "kill", "work")["state"] == "stopped", "verbs work after it")
        check(re.findall('"seq": (\\d+)', system.log())[-1] != before, "and leave records")


@case(("qemu",), cost=40, limit=500)
def linux_stops(t):
    """Debian's kernel hears its power button, and its init switches it off; two vCPUs, paused before; and while
    it boots."""
    work = {"memory-mib": 128, "cpus": 2, "kernel": "vmlinuz-cloud", "initrd": "initrd-virtio.cpio",
            "append": "console=ttyS0 quiet"}
    with start_vms(t, {"work": work}, system=STAYS, timeout=480) as system:
        check(system.expect("poweroff -f", 200), "the shell is there")
        ask(system, "pause", "work")
        check(ask(system, "resume", "work")["state"] == "running", "it goes on")
        stopped = ask(system, "stop", "work", "--timeout=60")
        check(stopped["reason"] == "vm work: power-off", stopped)
        check(system.expect("the power button was pressed", 5), "init has heard it")
        ask(system, "start", "work")
        stopped = ask(system, "stop", "work", "--timeout=200", seconds=230)  # it boots, and does not listen yet
        check(stopped["reason"] == "vm work: power-off", stopped)


def cycles(t, count, names):
    """Started and stopped again and again: the kernel has as much free memory, and root as many
    capabilities, as after the first time."""
    run.ROOT = "build/tests/hostile/root.bin"
    vms = {name: vm("", start="manual") for name in names}
    with start_vms(t, vms, system=STAYS, timeout=count * 60) as system:
        check(system.expect("TSC", 100, log=True), "root is there")
        for n in range(count):
            for name in names:
                ask(system, "start", name)
            for name in names:
                ask(system, "stop" if n % 2 else "kill", name)
        log = system.log()
    said = re.findall(r"after (\S+): broken invariants (\d+), root has (.*)", log)
    check(len(said) == count * len(names), f"{len(said)} ends")
    check({row[1] for row in said} == {"0"}, "no invariant is broken")
    for n in range(len(names)):  # the first round has taken what VMs keep for good
        left = {row[2] for row in said[len(names) + n::len(names)]}
        check(len(left) == 1, f"the same is free each time: {left}")
    freed = re.findall(r'"kernel_bytes": (\d+), "kernel_bytes_free": (\d+), "frame_bytes": (\d+), "frame_bytes_free": (\d+)', log)
    check(len(freed) == len(said) and all(row[0] == row[1] and row[2] == row[3] for row in freed), "each VM's own is free")


case(("qemu",), cost=20, limit=400, name="cycles_few", count=5, names=["a", "b", "c"])(cycles)
case(("qemu",), cost=200, limit=3000, full=True, name="cycles_many", count=100,
     names=[f"vm{n}" for n in range(8)])(cycles)


@case(cost=3)
def usage(t):
    """bhctl's own words: every verb has help with examples, the man page and the completion have every verb."""
    text = t.command("build/bhctl", "--help")
    verbs_there = re.findall(r"^  ([a-z]+) ", text.split("Options:")[0], re.M)
    check(len(verbs_there) >= 19, verbs_there)
    man, completion = t.command("build/bhctl", "--man"), t.command("build/bhctl", "--completion")
    for verb in verbs_there:
        said = t.command("build/bhctl", verb, "--help")
        check("Examples:\n    bhctl " in said and "With --json" in said, said)
        check(f"\\fB{verb}\\fR" in man and f" {verb}" in completion, f"{verb} is in the man page and completed")
        with open("docs/BHCTL.md", encoding="utf-8") as f:
            check(f"`{verb}" in f.read(), f"{verb} is in docs/BHCTL.md")
    t.command("bash", "-c", ". <(build/bhctl --completion); COMP_WORDS=(bhctl sta); COMP_CWORD=1; _bhctl; "
                            '[ "${COMPREPLY[*]}" = "status start stats" ]')
    check("no such verb" in t.command("build/bhctl", "fly", ok=(2,)), "unknown verb")
    check("usage: bhctl stop VM" in t.command("build/bhctl", "stop", ok=(2,)), "argument missing")
    t.command("build/bhctl", "stop", "work", "--timeout=soon", ok=(2,))
    error = json.loads(t.command("build/bhctl", "--socket=/nowhere", "--json", "list", ok=(3,)).splitlines()[0])
    check(error["verb"] == "list" and error["error"]["status"] == "no-system", error)
    said = t.command("build/bhctl", "--json", "list", "--bogus", ok=(2,))
    error, = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    check(error["error"]["status"] == "usage", said)
