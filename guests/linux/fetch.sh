#!/bin/sh
# Fetch one Debian package and unpack it under OUT, without installing it.
# May call: apt-cache, apt-get download, dpkg-deb. Must never change the system's packages.
# Authenticity is apt's: what it downloads is checked against the signed package lists.
#
# usage: fetch.sh PACKAGE OUT [FOLLOW-PATTERN]
#   FOLLOW-PATTERN: PACKAGE is a metapackage; take its first dependency that matches this
#   shell pattern instead (linux-image-cloud-amd64 -> linux-image-6.1.0-NN-cloud-amd64).
set -eu
package=$1
out=$2
follow=${3:-}

die()
{
    echo "fetch: $*" >&2
    exit 1
}

command -v apt-get >/dev/null ||
    die "apt-get not found: this step needs Debian or a derivative"
if [ -n "$follow" ]; then
    real=
    for dep in $(apt-cache depends --important "$package" 2>/dev/null |
        sed -n 's/^ *Depends: *//p'); do
        # shellcheck disable=SC2254 # the pattern is meant to be one
        case $dep in
        $follow)
            real=$dep
            break
            ;;
        esac
    done
    [ -n "$real" ] || die "no dependency of $package matches $follow; try: apt-get update"
    package=$real
fi

rm -rf "$out.tmp"
mkdir -p "$out.tmp/deb" "$out.tmp/root"
(cd "$out.tmp/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package") ||
    die "cannot download $package; is the network up, and has apt-get update been run?"
for deb in "$out.tmp"/deb/*.deb; do
    dpkg-deb -x "$deb" "$out.tmp/root"
done
echo "$package $(dpkg-deb -f "$out.tmp"/deb/*.deb Version)" >"$out.tmp/root/PACKAGE"
rm -rf "$out"
mv "$out.tmp/root" "$out"
rm -rf "$out.tmp"
