"""The build's own tools."""
import os
import subprocess
import sys
import tempfile
import time

import mkboot
import runner
from case import case, check


@case(cost=1)
def boot_module_layout(t):
    """Root sits at the start; the contents of each archived file start on a page; all is readable."""
    files = [("a", b"1"), ("name-of-some-length.dtb", bytes(range(256)) * 40), ("empty", b""),
             ("b", b"x" * 4096)]
    image = mkboot.boot_image(b"R" * 5000, files)
    check(image == mkboot.boot_image(b"R" * 5000, files), "same inputs, same bytes")
    check(image[:5000] == b"R" * 5000 and len(image) % 4096 == 0, "root first, whole pages")
    at, found = 8192, []
    while True:
        check(image[at:at + 6] == b"070701", f"newc magic at {at}")
        fields = [int(image[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = image[at + 110:at + 110 + fields[11]]
        data_at = (at + 110 + fields[11] + 3) // 4 * 4
        name = name[:name.index(b"\0")].decode()
        if name == "TRAILER!!!":
            break
        check(not fields[6] or data_at % 4096 == 0, f"{name} starts at {data_at}")
        found.append((name, image[data_at:data_at + fields[6]]))
        at = (data_at + fields[6] + 3) // 4 * 4
    check(found == files, "what went in comes out")


@case(cost=1)
def symbol_table(t):
    """The backtrace table is sorted, leaves data and low addresses out, and a move is noticed."""
    names = [t.dir + "/one.nm", t.dir + "/two.nm"]
    for path, address in zip(names, ("ffffffff80001010", "ffffffff80001020")):
        with open(path, "w", encoding="ascii") as f:
            f.write("0000000000100000 T low\nffffffff80001000 T first\n"
                    f"{address} t second\nffffffff80002000 D data\n                 U none\n")
    t.command("tests/lib/ksyms.py", names[0], t.dir + "/out.S")
    with open(t.dir + "/out.S", encoding="ascii") as f:
        text = f.read()
    check(".long 2\n" in text and "0x1000, 0x1010" in text and '"first", "second"' in text, text)
    t.command("tests/lib/ksyms.py", "--same", names[0], names[0])
    t.command("tests/lib/ksyms.py", "--same", names[0], names[1], ok=(1,))


@case(cost=3)
def hang_runs_again(t):
    """A test that missed its hang limit, with an emulator or without, is run once more, alone; a wrong result is not,
    nor is a unit test."""
    fresh = tempfile.mkdtemp(dir=t.dir)

    def at_first(what, mark):
        if os.path.exists(f"{fresh}/{mark}"):
            return 0
        with open(f"{fresh}/{mark}", "w", encoding="ascii"):
            what()
        return 1

    jobs = [runner.Job(name, run, 1, 1) for name, run in
            ((t.name + "/late", lambda: at_first(lambda: time.sleep(60), "late")),
             (t.name + "/late@qemu", lambda: at_first(lambda: time.sleep(60), "emulated")),
             (t.name + "/wrong", lambda: at_first(lambda: None, "wrong")),
             ("unit.late", lambda: at_first(lambda: time.sleep(60), "unit")))]
    for job in jobs:
        job.start()
        while not job.poll():
            time.sleep(0.05)
    check([job.verdict for job in jobs] == ["FAIL"] * 4, "at first all fail")
    runner.run_again(jobs)
    check([job.verdict for job in jobs] == ["PASS", "PASS", "FAIL", "FAIL"], "those that were late pass")
    check(all(job.detail == "at the second try" for job in jobs[:2]), "and are named in the summary")


@case(cost=1)
def summary_is_readable(t):
    """A test that fails with a whole screen of a guest gets a line in the summary that fits into a screen."""
    def last_line(words):
        job = runner.Job(t.name + "/wordy", lambda: print("before\n" + words, end="") or 1, 1, 1)
        job.start()
        while not job.poll():
            time.sleep(0.05)
        return job.last_line()

    check(last_line("failed: no prompt\x1b") == "failed: no prompt?", "a short one is whole, without what a terminal would obey")
    check(last_line("") == "before" and last_line("x" * 300) == "x" * 300, "one that just fits is not cut")
    long = last_line("failed: wanted 'login:'" + "\\x1b[7m" * 300 + "last seen: 'panic'")
    check(long.startswith("failed: wanted 'login:'") and "last seen: 'panic' [all of it: " in long and len(long) < 500,
          f"a long one is cut in the middle: {long}")


@case(cost=1)
def idle_share_of_a_slow_host(_):
    """What asking costs a system whose emulator gets little of its host is not taken for its idle work."""
    sys.path.insert(0, "tests/bench")
    import resources  # pylint: disable=import-outside-toplevel

    class Machine:
        """0.2 percent of a CPU when at rest; as slow as its host: a second in one of the host's; 25 M for a question."""
        now_ns, root_ns, vm_ns = 0, 0, 0

        def __init__(self):
            self.emulator = self

        def step(self, seconds):
            self.now_ns += int(seconds * 10 ** 9)
            self.vm_ns += int(seconds * 2 * 10 ** 6)

        def figures(self):
            self.root_ns += 25 * 10 ** 6
            return {"v0": {"now_ns": self.now_ns, "cpu_ns": self.vm_ns}, "": {"cpu_ns": self.root_ns}}

    share = resources.idle_share(Machine(), 60)
    check(0.2 <= share < 0.25, f"idle: {share}")


@case(cost=2)
def measurements_take_turns(t):
    """Two that would write to the same files: the second one says so, and waits for the first one's end."""
    command = ["python3", "-c", "import sys; sys.path.insert(0, 'tests/bench'); import trace; trace.OUT = sys.argv[1]; "
               "trace.claim(); print('mine', flush=True); sys.stdin.read()", t.dir]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:
        check(first.stdout.readline() == "mine\n", "the first one goes on at once")
        with subprocess.Popen(command, **pipes) as second:
            check("this one waits" in second.stderr.readline(), "the second one says that it waits")
            first.communicate()
            check(second.communicate()[0] == "mine\n", "and goes on when the first one has ended")
