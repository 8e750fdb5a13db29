#!/bin/sh
# Fetch one Debian package and unpack it under OUT, without installing it.
# May call: apt-cache, apt-get download, dpkg-deb. Must never change the system's packages.
# Authenticity is apt's: what it downloads is checked against the signed package lists.
#
# usage: fetch.sh PACKAGE[:ARCHITECTURE] OUT [FOLLOW-PATTERN]
#   ARCHITECTURE: not the machine's own; its package lists are kept beside OUT, the system's stay as
#   they are.
#   FOLLOW-PATTERN: PACKAGE is a metapackage; take its first dependency that matches this
#   shell pattern instead (linux-image-cloud-amd64 -> linux-image-6.1.0-NN-cloud-amd64).
set -eu
package=$1
out=$2
follow=${3:-}

log=
die()
{
    [ -z "$log" ] || cat "$log" >&2
    echo "fetch: $*" >&2
    exit 1
}

command -v apt-get >/dev/null ||
    die "apt-get not found: this step needs Debian or a derivative"

# The same sources as the system's, for another architecture and with nothing installed.
foreign_lists()
{
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    lists=$PWD/$(dirname "$out")/lists-$1
    mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
    : >"$lists/status"
    apt-get indextargets --format "deb [arch=$1 signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
        'Created-By: Packages' 'Origin: Debian' | sort -u >"$lists/sources.list"
    cat >"$lists/apt.conf" <<END
APT::Architecture "$1";
APT::Architectures { "$1"; };
Acquire::Languages "none";
Dir::Etc::sourcelist "$lists/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$lists/lists";
Dir::State::status "$lists/status";
Dir::Cache "$lists/cache";
END
    export APT_CONFIG="$lists/apt.conf"
    # A mirror that lacks part of its lists for a moment may still have what we want.
    log=$lists/update.log
    apt-get -qq -o APT::Sandbox::User=root update >"$log" 2>&1 || true
}
case $package in
*:*)
    foreign_lists "${package#*:}"
    package=${package%:*}
    ;;
esac
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
