"""What the emulators lack: the only place where a test may find a reason to be skipped.

A gap has a probe that demonstrates it in the emulator at hand, by running something small there.
"""
import subprocess

GAPS = {}


class Gap:
    """One thing an emulator lacks. probe(t) returns whether it is really missing."""

    def __init__(self, name, emulator, text, probe):
        self.name, self.emulator, self.text, self.probe = name, emulator, text, probe
        GAPS[name] = self

    def shown(self, t):
        """Run the probe, in the emulator it is about only."""
        return t.emu == self.emulator and bool(self.probe(t))


def reference(guest):
    """A probe: the guest misbehaves as qemu.gaps says in QEMU alone, without Bulkhead."""
    def probe(_):
        done = subprocess.run(["tests/system/guests/reference.py", guest], check=False)
        return done.returncode == 0
    return probe


# Facts of micro guests that the emulated CPU gets wrong by itself: (guest, emulator) -> facts. The
# guest counts them as gaps and goes on; one that holds after all fails nothing here, but does fail
# reference.py (an `svm` gap: in the guest probe_svm).
FACTS = {}
# Micro guests that cannot give a verdict there: (guest, emulator) -> Gap.
GUESTS = {}


def read_guest_gaps(path, emulator):
    """Fill FACTS and GUESTS from a list of what the emulator alone gets wrong."""
    with open(path, encoding="utf-8") as f:
        lines = [line.split(None, 3) for line in f if line.strip() and line[0] != "#"]
    for scope, guest, fact, text in lines:
        if scope == "board":
            continue  # our monitor is the board: it must do better
        if fact == "*":
            GUESTS[guest, emulator] = Gap(f"{emulator}-{guest}", emulator, text.strip(), reference(guest))
        else:
            FACTS.setdefault((guest, emulator), []).append(fact)


read_guest_gaps("tests/system/guests/qemu.gaps", "qemu")
