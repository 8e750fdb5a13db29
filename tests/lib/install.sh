#!/bin/sh
# Installs the Debian packages of packages.txt that are missing; says nothing when none is.
# May call: dpkg-query, apt-get (through sudo when not root). Never changes sources lists or other packages.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

here=$(dirname "$0")
wanted=$(sed -e 's/#.*//' "$here/packages.txt" | tr -s ' \t\n' ' ')

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    echo "bulkhead: this machine has no apt-get, so nothing was installed." >&2
    echo "bulkhead: install what these Debian 12 packages hold, then run 'make INSTALL=no ...':" >&2
    printf '%s\n' "$wanted" | fold -s -w 76 | sed 's/^ */    /' >&2
    exit 1
fi

missing=''
installed=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' 2>/dev/null) "
for package in $wanted; do
    case $installed in
    *" installed=$package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=''
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "bulkhead: packages are missing and there is no sudo; as root, run:" >&2
        echo "    apt-get update && apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

echo "bulkhead: installing$missing"
# Package databases are locked while somebody else installs: wait for them instead of failing.
lock='-o DPkg::Lock::Timeout=600'
# A list that cannot be refreshed is not fatal: the packages may be known and reachable already.
$as_root apt-get $lock -qq update || echo "bulkhead: apt-get update failed, trying anyway" >&2
# shellcheck disable=SC2086
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get $lock -qq -y \
    -o Dpkg::Use-Pty=0 install --no-install-recommends $missing >/dev/null; then
    echo "bulkhead: could not install:$missing" >&2
    echo "bulkhead: see the messages of apt-get above; 'make INSTALL=no ...' skips this step" >&2
    exit 1
fi
