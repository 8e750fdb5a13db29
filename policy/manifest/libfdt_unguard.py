#!/usr/bin/python3
"""
Make Debian's libfdt objects usable where there is no thread-local storage.

The package's libfdt.a is compiled with a stack guard that is read from %fs:0x28. Programs in ring 3
here have no %fs, and their own code is built without a guard. Each access to the guard becomes the
same operation on a constant; length and flags stay the same, so nothing else moves.

    movq %fs:0x28, reg   64 48 8b /r   ->   movq $GUARD, reg   48 c7 /0   + two-byte nop
    subq %fs:0x28, reg   64 48 2b /r   ->   subq $GUARD, reg   48 81 /5   + two-byte nop

Usage: libfdt_unguard.py IN.o OUT.o. Fails when an access of another form is left.
"""
import re
import sys

GUARD = b"\x7e\x5a\x0b\x1d"
FORMS = {0x8B: (0xC7, 0), 0x2B: (0x81, 5), 0x33: (0x81, 6), 0x3B: (0x81, 7)}
ACCESS = re.compile(rb"\x64([\x48\x4c])(.)([\x04\x0c\x14\x1c\x24\x2c\x34\x3c])\x25\x28\x00\x00\x00", re.S)


def constant(match):
    rex, opcode, modrm = (match.group(i)[0] for i in (1, 2, 3))
    if opcode not in FORMS:
        sys.exit("libfdt_unguard: unknown guard access " + match.group(0).hex())
    new_opcode, extension = FORMS[opcode]
    # The register moves from ModRM.reg to ModRM.rm, its top bit from REX.R to REX.B.
    new_rex = 0x49 if rex == 0x4C else 0x48
    new_modrm = 0xC0 | extension << 3 | modrm >> 3
    return bytes([new_rex, new_opcode, new_modrm]) + GUARD + b"\x66\x90"


with open(sys.argv[1], "rb") as f:
    code = f.read()
code, count = ACCESS.subn(constant, code)
if b"\x25\x28\x00\x00\x00" in code:
    sys.exit("libfdt_unguard: " + sys.argv[1] + ": a guard access was not recognised")
with open(sys.argv[2], "wb") as f:
    f.write(code)
