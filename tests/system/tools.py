"""The build's own tools."""
import sys

import mkboot
from case import case, check

sys.path.insert(1, "tests/proofs")
import prove  # noqa: E402


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


@case(cost=1)
def proof_rounds(t):
    """A goal that a round's seconds were too few for is tried with more of them, by --smoke, too; what is proven is not
    tried again, and what stays open is said to be."""
    tried = []

    def frama_c(name, log, cache, seconds, smoke=False):
        tried.append((seconds, smoke))
        return f"Proved goals:    {7 if int(seconds) < needs else 8} / 8\n"
    prove.frama_c, kept = frama_c, prove.frama_c
    for smoke in (False, True):
        for needs, rounds in ((0, 1), (int(prove.ROUNDS[1]), 2), (1000, len(prove.ROUNDS))):
            tried.clear()
            report = prove.prove("cap.c", t.dir, prove.ROUNDS, smoke)
            check(tried == [(s, smoke) for s in prove.ROUNDS[:rounds]], f"{rounds} rounds: {tried}")
            check(prove.counts(report) == (7 if needs == 1000 else 8, 8), f"the last round counts: {report}")
    prove.frama_c = kept
