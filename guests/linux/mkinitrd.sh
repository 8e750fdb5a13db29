#!/bin/sh
# Assemble the test and demo initrd. Called by make; calls newc.py, sha256sum and the two programs
# that go in. Writes OUT and OUT.list, OUT.d/ only.
#
# usage: mkinitrd.sh SRCDIR BUSYBOX BHTEST|- OUT
#   -: without it, for kernels that cannot run it; then bh.test=work is the only test
set -eu
src=$1
busybox=$2
bhtest=$3
out=$4
bytes=2097152
work=$out.d

export LC_ALL=C
rm -rf "$work"
mkdir -p "$work"
seq 200000 | sha256sum | cut -c1-64 >"$work/seq.sha256"
if [ "$bhtest" != - ]; then
    echo "$bytes" >"$work/stream.bytes"
    "$bhtest" stream "$bytes" | sha256sum | cut -c1-64 >"$work/stream.sha256"
fi
{
    for d in bin dev etc proc root sys tmp; do
        echo "dir $d 755"
    done
    echo "char dev/console 600 5 1"
    echo "char dev/null 666 1 3"
    echo "file init $src/init 755"
    echo "file etc/banner $src/banner 644"
    echo "file etc/motd $src/motd 644"
    echo "file etc/seq.sha256 $work/seq.sha256 644"
    if [ "$bhtest" != - ]; then
        echo "file etc/stream.bytes $work/stream.bytes 644"
        echo "file etc/stream.sha256 $work/stream.sha256 644"
        echo "file bin/bhtest $bhtest 755"
    fi
    echo "file bin/busybox $busybox 755"
    # A busybox that runs here may have to say for another what it can do.
    "${BUSYBOX_HERE:-$busybox}" --list | sort | grep -v '^busybox$' | sed 's|.*|link bin/& busybox|'
} >"$out.list"
"$src/newc.py" "$out.list" "$out.tmp"
mv "$out.tmp" "$out"
