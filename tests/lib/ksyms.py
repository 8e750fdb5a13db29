#!/usr/bin/python3
"""Turn `nm -n` output of the kernel into the symbol table its backtraces use.

usage: ksyms.py NM OUT.S        table of NM's functions
       ksyms.py --empty OUT.S   table without entries (first link)
       ksyms.py --same NM NM    fail unless both have the same functions at the same places

The table, section .ksyms, read-only:
  ksym_count     u32
  ksym_addr      u32[count], ascending: low 32 bits of the address minus those of KERNEL_BASE
  ksym_name_off  u32[count], offset of the NUL-terminated name in ksym_names
  ksym_names     bytes
Only functions linked at KERNEL_BASE or above are in it. Reads its arguments, writes OUT.S only.
"""
import sys

KERNEL_BASE = 0xFFFFFFFF80000000


def functions(path):
    """[(address, name)] of the text symbols, by address; local labels and aliases left out."""
    found = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            words = line.split()
            if len(words) != 3 or words[1] not in "tTwW" or words[2].startswith("."):
                continue
            address = int(words[0], 16)
            if address >= KERNEL_BASE:
                # Of several names for one address the first by alphabet, whatever nm's order is.
                found[address] = min(words[2], found.get(address, words[2]))
    return sorted(found.items())


def words_of(values):
    """.long lines, many values each: few lines, since generated lines count as kernel lines."""
    lines = []
    for i in range(0, len(values), 128):
        lines.append("    .long " + ", ".join(hex(v) for v in values[i:i + 128]))
    return lines


def assembly(symbols):
    """The table as assembler text."""
    offsets, names = [], ""
    for _, name in symbols:
        offsets.append(len(names))
        names += name + "\0"
    strings = []
    for i in range(0, len(symbols), 128):
        strings.append("    .asciz " + ", ".join(f'"{n}"' for _, n in symbols[i:i + 128]))
    out = ["/* Names of the kernel's functions for backtraces; generated, see tests/lib/ksyms.py. */",
           '    .section .ksyms, "a", @progbits', "    .balign 8"]
    for label, body in (("ksym_count", [f"    .long {len(symbols)}"]),
                        ("ksym_addr", words_of([a - KERNEL_BASE for a, _ in symbols])),
                        ("ksym_name_off", words_of(offsets)),
                        ("ksym_names", strings + ["    .byte 0"])):
        out += [f"    .globl {label}", f"{label}:"] + body
    out.append('    .section .note.GNU-stack, "", @progbits')
    return "\n".join(out) + "\n"


def main():
    args = sys.argv[1:]
    if args[0] == "--same":
        if functions(args[1]) != functions(args[2]):
            sys.exit("ksyms: functions moved between the two links; .ksyms must lie behind all text")
        return
    symbols = [] if args[0] == "--empty" else functions(args[0])
    with open(args[1], "w", encoding="ascii") as f:
        f.write(assembly(symbols))


main()
