#!/bin/sh
# Every rule of the manifest checker has a failing and a passing example here; run the host tool on
# all of them. Arguments: the tool, dtc, a directory for the blobs.
set -u
tool=$1 dtc=$2 out=$3
here=$(dirname "$0")
mkdir -p "$out"
passed=0 failed=0

fail() {
    echo "FAIL manifest/$1: $2"
    failed=$((failed + 1))
}

blob() { # NAME: leaves the path of the blob in $dtb
    dtb=$here/$1.dtb
    if [ ! -e "$dtb" ]; then
        dtb=$out/$1.dtb
        # Forced, because some mistakes are ones that dtc itself would refuse.
        "$dtc" -q -f -I dts -O dtb -o "$dtb" "$here/$1.dts" 2>"$out/$1.dtc" || return 1
        args=$(sed -n 's/^ \* arguments: \(.*\) \*\/$/\1/p' "$here/$1.dts")
    fi
}

for rule in $("$tool" rules | cut -d' ' -f1); do
    args=
    if ! blob "$rule.fail"; then
        fail "$rule" "no failing example that dtc compiles"
    elif text=$("$tool" check "$dtb" --name "$rule.dts" $args 2>&1); then
        fail "$rule" "the failing example passes"
    elif ! echo "$text" | grep -q "^$rule\.dts: .*; .* \[$rule\]$"; then
        fail "$rule" "another error than the rule's: $text"
    elif echo "$text" | grep '\]$' | grep -qv "\[$rule\]$"; then
        fail "$rule" "more than the rule's error: $text"
    elif [ -e "$here/$rule.fail.dts" ] &&
        ! "$tool" check "$dtb" --source "$here/$rule.fail.dts" $args 2>&1 | grep -q "\.dts:[1-9][0-9]*: "; then
        fail "$rule" "no line"
    else
        passed=$((passed + 1))
    fi
    args=
    if ! blob "$rule.pass"; then
        fail "$rule" "no passing example that dtc compiles"
    elif ! text=$("$tool" check "$dtb" --name "$rule.dts" $args 2>&1); then
        fail "$rule" "the passing example fails: $text"
    else
        passed=$((passed + 1))
    fi
done
echo "manifest: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
