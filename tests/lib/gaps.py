"""What the emulators lack: the only place where a test may find a reason to be skipped.

A gap has a probe that demonstrates it in the emulator at hand, by running something small there.
"""
import emu

GAPS = {}


class Gap:
    """One thing an emulator lacks. probe(t) returns whether it is really missing."""

    def __init__(self, name, emulator, text, probe):
        self.name, self.emulator, self.text, self.probe = name, emulator, text, probe
        GAPS[name] = self

    def shown(self, t):
        """Run the probe, in the emulator it is about only."""
        return t.emu == self.emulator and bool(self.probe(t))


def qemu_says(*arguments):
    """A probe: whether QEMU's own words about this machine contain the last argument."""
    *options, words = arguments

    def probe(t):
        settings = emu.Settings(kernel="/dev/null", emu="qemu", directory=t.new_dir(), timeout=20,
                                qemu_args=options)
        emulator = emu.Emulator(settings).start()
        emulator.wait()
        return words in emulator.words()
    return probe


NO_VMX_IN_QEMU = Gap("qemu-no-vmx", "qemu", "TCG does not emulate VMX",
                     qemu_says("-cpu", "Skylake-Client,+vmx", "CPUID.01H:ECX.vmx [bit 5]"))
NO_NEXT_RIP_IN_QEMU = Gap("qemu-no-next-rip", "qemu", "TCG's SVM saves no next RIP",
                          qemu_says("-cpu", "EPYC,+nrip-save", "CPUID.8000000AH:EDX.nrip-save"))

# Facts of micro guests that an emulator gets wrong by itself: (guest, emulator) -> names of facts.
# They are counted as gaps by the guest, which goes on; a fact that works again fails nothing.
FACTS = {}

# Micro guests that skip as a whole: (guest, emulator) -> the Gap they stand for.
GUESTS = {}
