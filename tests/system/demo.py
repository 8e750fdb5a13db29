"""What `make run` shows: three VMs on wires, who reaches whom, and bhctl beside them."""
import re

from case import SWITCH_CONSOLE, ask, bhctl, case, check, start_manifest, to_the_end

PROMPT = r"# $"


def console(system, label):
    """Go on until the console of this label is shown, with its shell."""
    for _ in range(3):
        seen = len(system.console)
        system.send(SWITCH_CONSOLE)
        for _ in range(100):
            system.step(0.1)
            text = system.console[seen:].decode("utf-8", "replace")
            if "switches to the next console" in text:
                break
        if re.search(rf"--- \S*{label}\S* \(", text):
            return
    check(False, f"no console of {label}")


def say(system, command, answer, seconds=60):
    """Type a command on the console that is shown; what it answers."""
    seen = len(system.console)
    system.send(command.encode() + b"\n")
    for _ in range(seconds * 10):
        system.step(0.1)
        found = re.search(answer, system.console[seen:].decode("utf-8", "replace"))
        if found:
            return found
    check(False, f"{command}: no {answer} in {system.console[seen:]}")
    return None


@case(("qemu",), cost=20, limit=300)
def three(t):
    """The VMs reach each other as the manifest says; bhctl looks at them, and all stop by their buttons."""
    with start_manifest(t, "guests/demo.dts", host_cpus=2, timeout=280) as system:
        check(system.expect(r"--- 1 \S*Desktop\S*, 128 MiB, wired to \S*Server", 100), "who is there")
        check(system.expect(r"Whom the manifest joins by no wire(?s:.*)# ", 200), "the first shell is there")
        say(system, "ping -c 1 browser", "unreachable")
        say(system, "until ping -c 1 -W 1 server >/dev/null; do sleep 1; done; wget -qO- http://server/",
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
        top = ask(system, "top", "--count=1", "--interval=0.2")[0]
        check([row["state"] for row in top] == ["running"] * 3, top)
        bhctl(system, "shutdown")
        result = to_the_end(system)
    check(result.status == 0 and result.console.count("the power button was pressed") == 3, "all heard their button", result)
