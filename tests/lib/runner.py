#!/usr/bin/python3
"""Run tests: unit test programs given as arguments, and the cases of tests/system/*.py.

One line per test, output of each in build/test/NAME.log, shown when it fails. At the end a line for
each that failed, and a summary as the last line. Exit status 0 only if nothing failed. A test that
hangs is killed with all it started.
usage: runner.py [--full] [--no-system] [--jobs=N] [--only=TEXT] [--list] UNIT_TEST...
"""
import argparse
import importlib
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, "tests/system")

import case  # noqa: E402
import emu  # noqa: E402

OUT = "build/test"
UNIT_LIMIT_S = 120
# Of what needs no emulator: it takes what the emulators leave.
NICE = 5
SKIP_STATUS = 77
TAIL_LINES = 40
# Of a failure's last line in the summary: its beginning says what was wanted, its end what was last seen.
SUMMARY_BEGIN, SUMMARY_END = 200, 100
RETRIES = 3
# A unit test must not depend on the terminal, and sanitizers must end it at the first finding.
UNIT_ENV = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "CMOCKA_MESSAGE_OUTPUT": "STDOUT",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def yield_to_emulators():
    """In a session of its own: what Linux shares out fairly is groups of sessions, where there are such groups."""
    os.nice(NICE)
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as f:
            f.write(str(NICE))
    except OSError:
        pass


class Job:
    """One test as a process."""

    def __init__(self, name, run, cost, limit, alone=False):
        self.name, self.run, self.cost, self.limit, self.alone = name, run, cost, limit, alone
        self.emulated = "@" in name
        self.pid = None
        self.log = os.path.join(OUT, name + ".log")
        self.verdict, self.detail, self.seconds = None, "", 0.0

    def start(self):
        self.started_at = time.monotonic()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.child()

    def child(self):
        """In a session of its own, all output to the log; the exit status tells the verdict."""
        status = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), 1)
            os.dup2(1, 2)
            if not self.emulated:
                yield_to_emulators()
            status = self.run()
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        finally:
            sys.stdout.flush()
            os._exit(status)

    def kill(self):
        """The process and all it started that is still in its session's group."""
        try:
            os.killpg(self.pid, signal.SIGTERM)
            time.sleep(0.3)
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)

    def poll(self):
        """Whether it has ended; sets verdict."""
        self.seconds = time.monotonic() - self.started_at
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        status = os.waitstatus_to_exitcode(status) if ended else None
        if status is None:
            if self.seconds <= self.limit:
                return False
            self.kill()
            self.verdict, self.detail = "FAIL", f"hangs: killed after {self.limit} s"
        elif status == 0:
            self.verdict = "PASS"
        elif status == SKIP_STATUS:
            self.verdict, self.detail = "SKIP", self.last_line()
        else:
            self.verdict, self.detail = "FAIL", f"exit status {status}"
        return True

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()[-TAIL_LINES:]

    def excused(self):
        """Whether it failed for want of time and nothing else, a hang limit of ours or the emulator's, or since a
        check in the emulator itself failed."""
        with open(self.log, "rb") as f:
            log = f.read()
        # A unit test takes a second: one that misses its limit does hang.
        return not self.name.startswith("unit.") and b"PANIC" not in log and (
            self.detail.startswith("hangs") or b"--- status 124" in log or
            emu.LATE.encode() in log or emu.DIED.encode() in log)

    def last_line(self):
        """For the summary; one that quotes a whole screen of a guest is cut in the middle."""
        line = printable((self.tail() or [""])[-1])
        if len(line) <= SUMMARY_BEGIN + SUMMARY_END:
            return line
        return f"{line[:SUMMARY_BEGIN]} [...] {line[-SUMMARY_END:]} [all of it: {self.log}]"


def load_cases():
    """Import every file of cases; its functions register themselves."""
    for file in sorted(os.listdir("tests/system")):
        if file.endswith(".py"):
            importlib.import_module(file[:-3])
    return case.CASES


def run_case(one):
    """In the child: run it; the exit status."""
    try:
        one.function(case.Context(one.name, one.emulators), **one.parameters)
    except case.Skipped as skipped:
        print(skipped)
        return SKIP_STATUS
    except case.Failed as failed:
        print("failed:", failed)
        return 1
    return 0


def collect(args):
    """All jobs to run, the costly first."""
    def unit(path):
        return lambda: os.execve(path, [path], dict(os.environ, **UNIT_ENV))

    jobs = [Job("unit." + os.path.basename(path), unit(path), 1, UNIT_LIMIT_S) for path in args.unit]
    if not args.no_system:
        for name, one in load_cases().items():
            if args.full or not one.full:
                jobs.append(Job(name, lambda one=one: run_case(one), one.cost, one.limit, one.alone))
    jobs = [job for job in jobs if args.only in job.name]
    return sorted(jobs, key=lambda job: -job.cost)


def startable(waiting, running, lanes):
    """The next to start, or None. Emulators wait for their guests' clocks now and then, so with more than one
    lane a test without one runs beside them. What wants no other emulator beside it comes when there is none: at
    the beginning or at the end."""
    def width(job):
        return lanes if job.alone else 1

    emulated = sum(width(job) for job in running if job.emulated)
    others = sum(not job.emulated for job in running)
    due = sum(job.emulated for job in waiting)
    room = max(lanes > 1, lanes - emulated - due)
    for job in waiting:
        if emulated + width(job) <= lanes if job.emulated else others < room:
            return job
    return None


def skipped_everywhere(jobs):
    """Tests skipped in every emulator they are for: nobody has seen them work."""
    verdicts = {}
    for job in jobs:
        verdicts.setdefault(job.name.partition("@")[0], []).append(job)
    return [job for group in verdicts.values() if all(j.verdict == "SKIP" for j in group)
            for job in group]


def printable(line):
    return "".join(c if c.isprintable() else "?" for c in line)


def show(job, progress=""):
    detail = f"  ({job.detail})" if job.detail else ""
    print(f"{progress}{job.verdict} {job.name} {job.seconds:.1f} s{detail}", flush=True)
    if job.verdict == "FAIL":
        for line in job.tail():
            print("    " + printable(line))
        print(f"    [all of it: {job.log}]", flush=True)


def run_again(done):
    """A machine that does other things at the same time can make a test miss a hang limit. Up to
    RETRIES tests that failed by it, and only by it (or by the emulator's own death), are run once more, alone; one
    that passes then is named in the summary. A wrong result is never tried again."""
    failed = [job for job in done if job.verdict == "FAIL" and job.excused()]
    if len(failed) > RETRIES:
        return
    for job in failed:
        again = Job(job.name, job.run, job.cost, job.limit)
        os.replace(job.log, job.log + ".first")
        again.start()
        while not again.poll():
            time.sleep(0.05)
        show(again, "[again] ")
        if again.verdict == "PASS":
            job.verdict, job.detail = "PASS", "at the second try"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--no-system", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("unit", nargs="*")
    args = parser.parse_args()
    os.makedirs(OUT, exist_ok=True)
    waiting = collect(args)
    if args.list:
        print("\n".join(job.name for job in waiting))
        return
    if not waiting:
        sys.exit(f"runner: no test has '{args.only}' in its name")

    def stop(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, stop)
    running, done, total, begun = [], [], len(waiting), time.monotonic()
    try:
        while waiting or running:
            while (job := startable(waiting, running, args.jobs)) is not None:
                waiting.remove(job)
                job.start()
                running.append(job)
            time.sleep(0.05)
            for job in [job for job in running if job.poll()]:
                running.remove(job)
                done.append(job)
                minutes, seconds = divmod(int(time.monotonic() - begun), 60)
                show(job, f"[{len(done)}/{total} {minutes}:{seconds:02}] ")
    finally:
        for job in running:
            job.kill()
    run_again(done)
    if not args.only:
        for job in skipped_everywhere(done):
            job.verdict, job.detail = "FAIL", "skipped in every emulator"
            show(job)
    for job in done:
        if job.detail == "at the second try":
            print(f"UNSTABLE {job.name}: failed, then passed alone; first log: {job.log}.first")
        if job.verdict == "FAIL":
            print(f"FAILED {job.name} ({job.detail}): {job.last_line()}")
    counts = {verdict: sum(job.verdict == verdict for job in done)
              for verdict in ("PASS", "FAIL", "SKIP")}
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    sys.exit(1 if counts["FAIL"] else 0)


if __name__ == "__main__":
    main()
