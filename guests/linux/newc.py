#!/usr/bin/python3
"""Write a newc cpio archive (the kernel's initramfs format) from a list.

The bytes depend on the list and the files' contents only: inode numbers are
counted, owner is root, times are zero. Format: Linux, Documentation/driver-api/
early-userspace/buffer-format.rst. May read the files named; writes OUT only.

usage: newc.py LIST OUT
LIST: one entry per line, '#' comments:
  dir PATH MODE | file PATH SOURCE MODE | link PATH TARGET | char PATH MODE MAJOR MINOR
"""
import stat
import sys


def header(ino, mode, size, name, major=0, minor=0):
    """One newc header, name and padding; data follows."""
    nlink = 2 if stat.S_ISDIR(mode) else 1
    raw = name.encode() + b"\0"
    fields = [ino, mode, 0, 0, nlink, 0, size, 0, 0, major, minor, len(raw), 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
    return head + b"\0" * (-len(head) % 4)


def entry(ino, words):
    """One entry of the list as bytes."""
    kind, path = words[0], words[1].lstrip("/")
    if kind == "dir":
        return header(ino, stat.S_IFDIR | int(words[2], 8), 0, path)
    if kind == "char":
        mode = stat.S_IFCHR | int(words[2], 8)
        return header(ino, mode, 0, path, int(words[3]), int(words[4]))
    if kind == "link":
        data, mode = words[2].encode(), stat.S_IFLNK | 0o777
    elif kind == "file":
        with open(words[2], "rb") as f:
            data = f.read()
        mode = stat.S_IFREG | int(words[3], 8)
    else:
        raise ValueError(f"unknown kind {kind}")
    return header(ino, mode, len(data), path) + data + b"\0" * (-len(data) % 4)


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        lines = [line.split() for line in f if line.strip() and line[0] != "#"]
    out = b"".join(entry(i + 1, words) for i, words in enumerate(lines))
    out += header(0, 0, 0, "TRAILER!!!")
    out += b"\0" * (-len(out) % 512)
    with open(sys.argv[2], "wb") as f:
        f.write(out)


main()
