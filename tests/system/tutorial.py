"""docs/TUTORIAL.md does what it says: its manifest, the checker's words, and its commands in their order."""
import os
import re
import subprocess

import demo
import run
from case import bhctl, case, check, start_manifest, to_the_end

CHECKER = os.environ.get("BHMANIFEST", "build/policy/bhmanifest")


def blocks(kind):
    """The tutorial's code blocks of a kind."""
    with open("docs/TUTORIAL.md", encoding="utf-8") as f:
        return re.findall(rf"^```{kind}\n(.*?)^```$", f.read(), re.M | re.S)


def manifest(t, text):
    """The tutorial's my.dts, and what is made of it."""
    path = os.path.join(t.new_dir(), "my.dts")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


@case(cost=2)
def checker(t):
    """The mistake and the graph."""
    path = manifest(t, blocks("dts")[0])
    run.compile_manifest(path, path + ".dtb")
    check(t.command(CHECKER, "graph", path + ".dtb") == blocks("graph")[0], "the graph is the tutorial's")
    path = manifest(t, blocks("dts")[0].replace('ends = "alice", "bob"', 'ends = "alice", "bop"'))
    done = subprocess.run(["tests/lib/run.py", f"--manifest={path}", "--dry"], capture_output=True, text=True,
                          check=False)
    said = done.stderr.replace(os.path.dirname(path) + "/", "")
    check((done.returncode, said) == (2, blocks("error")[0]), f"the mistake is found as in the tutorial: {said}")


def squeezed(text):
    """What stays the same from one run to the next."""
    return re.sub(r"\s+", " ", re.sub(r"\d+", "N", text)).strip()


@case(("qemu",), cost=20, limit=400, full=True)
def commands(t):
    """The commands of the second terminal, then Alice's."""
    with start_manifest(t, manifest(t, blocks("dts")[0]), host_cpus=4, timeout=380) as system:
        check(system.expect(r"nothing in here can reach(?s:.*)# ", 200), "Alice's shell is there")
        demo.say(system, "until ping -c 1 -W 1 bob >/dev/null; do sleep 1; done; wget -qO- http://bob/",
                 "\nHello from bob", 150)
        for command in blocks("console")[0].split("$ build/bhctl ")[1:]:
            words, _, wanted = command.partition("\n")
            said = bhctl(system, *words.split())
            check(squeezed(said) == squeezed(wanted), f"bhctl {words}: {said}")
        demo.say(system, "until ping -c 1 -W 1 bob >/dev/null; do sleep 1; done; wget -qO- http://bob/",
                 "\nHello from bob", 150)
        answers = ["bob +running", "bob: stopped, vm bob: power-off", "bob: running",
                   'may: /vms/alice: may lacks "pause"']
        for command, answer in zip(blocks("alice")[0].splitlines(), answers, strict=True):
            demo.say(system, command, answer)
        check('"by": "alice", "from": "guest", "rule": "may"' in bhctl(system, "audit"), "the refusal is recorded")
        bhctl(system, "shutdown")
        check(to_the_end(system).status == 0, "it ends")
