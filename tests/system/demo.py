"""What `make run` shows: three VMs on wires, who reaches whom, and bhctl beside them."""
import os
import pty
import re
import subprocess
import time

from case import SWITCH_CONSOLE, ask, bhctl, case, check, start_manifest, to_the_end


def wait_for(system, seen, pattern, seconds=60):
    """Wait until the console has said something behind its first `seen` bytes; the match, or None."""
    deadline = time.monotonic() + seconds
    while True:
        found = re.search(pattern, system.console[seen:].decode("utf-8", "replace"))
        if found or time.monotonic() > deadline:
            return found
        system.step(0.1)


def console(system, label):
    """Go on until the console of this label is shown."""
    for _ in range(3):
        seen = len(system.console)
        system.send(SWITCH_CONSOLE)
        found = wait_for(system, seen, r"--- (.*) \(\d of \d\).*switches")
        if found and label in found[1]:
            check(wait_for(system, seen, r"(?m)^/ # ", 100), f"{label} has a shell")
            return
    check(False, f"no console of {label}")


def say(system, command, answer, seconds=60):
    """Type a command on the console that is shown, and wait for its answer."""
    seen = len(system.console)
    system.send(command.encode() + b"\n")
    found = wait_for(system, seen, answer, seconds)
    check(found, f"{command}: no {answer} in {system.console[seen:]}")


def attached(system, vm):
    """bhctl's console of a VM on a terminal: what it shows there, typed a command and the key that leaves it."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    shown = b""
    with subprocess.Popen(["build/bhctl", f"--socket={system.control_path}", "console", vm],
                          stdin=theirs, stdout=theirs, stderr=theirs) as process:
        for keys, wanted in ((b"", b"leaves it"), (b"echo $((6 * 7)) is $(hostname)\n", b"42 is " + vm.encode()),
                             (b"\x1c", b"the VM goes on")):
            os.write(ours, keys)
            deadline = time.monotonic() + 30
            while wanted not in shown and time.monotonic() < deadline:
                system.step(0.1)
                try:
                    shown += os.read(ours, 65536)
                except BlockingIOError:
                    pass
            check(wanted in shown, f"no {wanted} in {shown}")
            check(ask(system, "list")[0]["state"] == "running", "another bhctl is served meanwhile")
        check(process.wait(20) == 0, "it ends when it is left")
    os.close(theirs)
    os.close(ours)
    return shown.decode("utf-8", "replace")


@case(("qemu",), cost=20, limit=300)
def three(t):
    """The VMs reach each other as the manifest says; bhctl looks at them, and all stop by their buttons."""
    with start_manifest(t, "guests/demo.dts", host_cpus=4, timeout=280) as system:
        check(system.expect(r"--- \[\w{4}\] 1 \S*Desktop\S*, 128 MiB, wired to \S*Server", 100), "who is there")
        check(system.expect(r"Whom the manifest joins by no wire(?s:.*)# ", 200), "the first shell is there")
        say(system, "ping -c 1 browser", "unreachable")
        say(system, "until wget -qO- http://server/ 2>/dev/null; do sleep 1; done",
            "\nHello from server", 100)
        console(system, "Browser")
        say(system, "ping -c 2 server", " 0% packet loss")
        say(system, "ping -c 1 desktop", "unreachable")
        console(system, "Desktop")
        say(system, "clear; bhctl pause browser; bhctl list", r"browser +paused(?s:.*)server +running")
        say(system, "bhctl resume browser", "browser: running")
        say(system, "bhctl kill server; echo status $?", r'may: /vms/desktop: may lacks "kill"(?s:.*)status 5')
        said = [(row["event"], row["verb"], row["vm"], row["by"]) for row in ask(system, "audit") if "verb" in row]
        check(said == [("asked", "pause", "browser", "desktop"), ("asked", "resume", "browser", "desktop"),
                       ("refused", "kill", "server", "desktop")], said)
        check("You are root" in attached(system, "browser"), "what was said before is shown")
        top = ask(system, "top", "--count=1", "--interval=0.2")[0]
        check([row["state"] for row in top] == ["running"] * 3, top)
        bhctl(system, "shutdown")
        result = to_the_end(system)
    check(result.status == 0 and result.console.count("the power button was pressed") == 3, "all heard their button", result)
