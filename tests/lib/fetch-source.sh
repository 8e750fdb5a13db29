#!/bin/sh
# Fetch the source package of a Debian package into build/third-party/NAME, checked by its SHA-256.
# usage: fetch-source.sh NAME VERSION SHA256-OF-DSC
#   The .dsc lists checksums of the other files, so one checksum pins all of them.
# May call: apt-get (with a sources list of its own; the system's stays as it is), dpkg-source.
# Does nothing when that version is there already. Writes below build/third-party only.
set -eu
export LC_ALL=C
umask 022
name=$1 version=$2 sha256=$3
out=build/third-party
stamp=$out/$name/.stamp

[ "$(cat "$stamp" 2>/dev/null)" != "$version $sha256" ] || exit 0
die() {
    echo "third-party: $name $version: $*" >&2
    exit 1
}
command -v apt-get >/dev/null || die "needs apt-get of Debian 12, or its unpacked source in $out/$name"

work=$PWD/$out/.$name
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
trap 'rm -rf "$work"' EXIT

# The mirror the system uses for its packages, else Debian's own.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' \
    'Component: main' 2>/dev/null | head -n 1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} bookworm main" >"$work/sources.list"
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}
echo "  FETCH   $name $version"
apt update || die "the list of source packages could not be fetched; is the network up?"
(cd "$work" && apt source --download-only "$name=$version") || die "could not be downloaded"
dsc=$(find "$work" -maxdepth 1 -name '*.dsc')
[ -n "$dsc" ] || die "no .dsc file among what was downloaded"
found=$(sha256sum "$dsc" | cut -d' ' -f1)
[ "$found" = "$sha256" ] || die "checksum of $(basename "$dsc") is $found, expected $sha256"
rm -rf "${out:?}/$name"
(cd "$work" && dpkg-source -x "$(basename "$dsc")" unpacked >unpack.log 2>&1) || die "does not unpack"
mv "$work/unpacked" "$out/$name"
echo "$version $sha256" >"$stamp"
