#!/bin/bash
# Build a BIOS-bootable CD image: GRUB, the kernel by multiboot2, the boot module.
# usage: mkiso.sh OUT.iso KERNEL BOOT_IMG [KERNEL COMMAND LINE]
# Same inputs, same bytes. Writes OUT.iso and a temporary directory next to it only.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1700000000}" TZ=UTC
umask 022

out=$1 kernel=$2 boot=$3 cmdline=${4:-}
tree=$out.tree
rm -rf "$tree"
mkdir -p "$tree/boot/grub"
trap 'rm -rf "$tree"' EXIT

cp "$kernel" "$tree/boot/bulkhead.elf"
cp "$boot" "$tree/boot/boot.img"
cat >"$tree/boot/grub/grub.cfg" <<EOF
set timeout=0
set default=0
menuentry 'Bulkhead' {
    multiboot2 /boot/bulkhead.elf $cmdline
    module2 /boot/boot.img
    boot
}
EOF
# grub-mkrescue puts its own files into a random directory; xorriso's dates and ids are fixed so
# that the image depends on the inputs alone. GRUB finds the medium by that id.
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
stamp=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)00
if ! grub-mkrescue -d /usr/lib/grub/i386-pc --compress=no --fonts= --locales= --themes= \
    --install-modules='normal iso9660 biosdisk multiboot2 test echo' \
    -o "$out" "$tree" -- -volume_date uuid "$stamp" \
    -volume_date all_file_dates "=$SOURCE_DATE_EPOCH" >"$out.log" 2>&1; then
    cat "$out.log" >&2
    exit 1
fi
rm -f "$out.log"
