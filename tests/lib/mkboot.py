#!/usr/bin/python3
"""Build the boot module: root's flat image, then a newc cpio archive of everything root loads.

usage: mkboot.py -o OUT ROOT_BIN [NAME=FILE ...]

The archive starts on a page boundary, and so does the contents of every file in it, so that root
can map a file without copying it: the name field is padded with NULs, which newc readers ignore.
The bytes depend on the arguments and the files' contents only. Writes OUT only.
"""
import argparse
import os
import sys

PAGE = 4096
HEADER_BYTES = 110  # newc: 6 bytes magic, 13 fields of 8 hexadecimal digits


def pad(length, to):
    """Zero bytes that bring length up to a multiple of to."""
    return b"\0" * (-length % to)


def entry(offset, ino, mode, name, data):
    """One archive member that starts at offset of the archive; its data starts on a page."""
    raw = name.encode() + b"\0"
    if data:
        raw += pad(offset + HEADER_BYTES + len(raw), PAGE)
    fields = [ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    head += pad(len(head), 4)
    return head + data + pad(len(data), 4)


def archive(files):
    """The cpio archive of [(name, data)] in the given order."""
    out = bytearray()
    for ino, (name, data) in enumerate(files, 1):
        out += entry(len(out), ino, 0o100444, name, data)
    out += entry(len(out), 0, 0, "TRAILER!!!", b"")
    return bytes(out + pad(len(out), PAGE))


def boot_image(root, files):
    """The whole module. root: bytes; files: [(name, data)]."""
    return root + pad(len(root), PAGE) + archive(files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", required=True, metavar="OUT")
    parser.add_argument("root")
    parser.add_argument("files", nargs="*", metavar="NAME=FILE")
    args = parser.parse_args()
    try:
        files, seen = [], set()
        for word in args.files:
            name, separator, path = word.partition("=")
            if not separator or not name or name in seen:
                sys.exit(f"mkboot: '{word}': want NAME=FILE, each name once")
            seen.add(name)
            with open(path, "rb") as f:
                files.append((name, f.read()))
        with open(args.root, "rb") as f:
            root = f.read()
    except OSError as error:
        sys.exit(f"mkboot: {error.filename}: {error.strerror}")
    with open(args.o + ".tmp", "wb") as f:
        f.write(boot_image(root, files))
    os.replace(args.o + ".tmp", args.o)


if __name__ == "__main__":
    main()
