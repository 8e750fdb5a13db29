#!/bin/sh
# Append kernel modules to an initrd, in the order they are to be loaded; init loads them all.
# Called by make; calls newc.py. Writes OUT and OUT.list only.
#
# usage: mkmodules.sh SRCDIR INITRD KERNEL-PACKAGE OUT MODULE...
#   environment: ALSO: lines for newc.py
set -eu
src=$1
initrd=$2
package=$3
out=$4
shift 4
n=10

{
    echo "dir lib 755"
    echo "dir lib/modules 755"
    for module; do
        file=$(find "$package/lib/modules" -name "$module.ko")
        [ -n "$file" ] || {
            echo "mkmodules: $package has no $module.ko" >&2
            exit 1
        }
        echo "file lib/modules/$n-$module.ko $file 644"
        n=$((n + 1))
    done
    printf '%s\n' "${ALSO:-}"
} >"$out.list"
"$src/newc.py" "$out.list" "$out.tmp"
cat "$initrd" "$out.tmp" >"$out.tmp2"
rm "$out.tmp"
mv "$out.tmp2" "$out"
