#!/bin/bash
# A disk that is a CD as well, with GRUB for BIOS and for UEFI, for VMs that start from firmware.
# usage: mkgrub.sh OUT.iso GRUB.CFG [FILE...]: the files lie in /boot. Writes OUT.iso and a temporary
# directory next to it only.
set -eu
export LC_ALL=C
out=$1 config=$2
shift 2
grub=/usr/lib/grub
tree=$out.tree
rm -rf "$tree"
mkdir -p "$tree/iso/boot/grub"
trap 'rm -rf "$tree"' EXIT

quietly() {
    "$@" >"$tree/log" 2>&1 || { cat "$tree/log" >&2; exit 1; }
}

cp "$config" "$tree/iso/boot/grub/grub.cfg"
for file in "$@"; do cp "$file" "$tree/iso/boot/"; done
cat >"$tree/start.cfg" <<'END'
search --set=root --file /boot/grub/grub.cfg
set prefix=($root)/boot/grub
END
modules='boot normal configfile iso9660 part_msdos search search_fs_file test echo linux multiboot halt'
quietly grub-mkimage -O i386-pc -d $grub/i386-pc -p /boot/grub -c "$tree/start.cfg" \
    -o "$tree/core.img" biosdisk serial terminal $modules
cat $grub/i386-pc/cdboot.img "$tree/core.img" >"$tree/iso/boot/grub/bios.img"
quietly grub-mkimage -O x86_64-efi -d $grub/x86_64-efi -p /boot/grub -c "$tree/start.cfg" \
    -o "$tree/bootx64.efi" part_gpt fat serial terminal $modules
efi=$tree/iso/boot/grub/efi.img
truncate -s $((($(stat -c %s "$tree/bootx64.efi") / 32768 + 3) * 32))K "$efi"
quietly mformat -i "$efi" -h 1 -s 1 -t $(($(stat -c %s "$efi") / 512)) ::
quietly mmd -i "$efi" ::/EFI ::/EFI/BOOT
quietly mcopy -i "$efi" "$tree/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
quietly xorriso -as mkisofs -r -V GRUB \
    -b boot/grub/bios.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
    --grub2-mbr $grub/i386-pc/boot_hybrid.img --protective-msdos-label \
    -eltorito-alt-boot -e boot/grub/efi.img -no-emul-boot -efi-boot-part --efi-boot-image \
    -o "$out" "$tree/iso"
