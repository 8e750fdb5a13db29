#!/bin/bash
# Build a CD image that boots by BIOS and by UEFI, from a CD or written to a USB stick: GRUB, the
# kernel by multiboot2, the boot module.
# usage: mkiso.sh OUT.iso KERNEL BOOT_IMG [KERNEL COMMAND LINE]
# EFI_FIRST=module: GRUB runs this command of its before ours on UEFI (tests look at the firmware so).
# Same inputs, same bytes: every piece of GRUB is put together here, because grub-mkrescue adds what
# else the machine has installed. Writes OUT.iso and a temporary directory next to it only.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1700000000}" TZ=UTC
umask 022

out=$1 kernel=$2 boot=$3 cmdline=${4:-}
grub=/usr/lib/grub
tree=$out.tree
rm -rf "$tree"
mkdir -p "$tree/iso/boot/grub"
trap 'rm -rf "$tree"' EXIT

# quietly COMMAND...: its output only when it fails.
quietly() {
    "$@" >"$tree/log" 2>&1 || { cat "$tree/log" >&2; exit 1; }
}

cp "$kernel" "$tree/iso/boot/bulkhead.elf"
cp "$boot" "$tree/iso/boot/boot.img"
cat >"$tree/iso/boot/grub/grub.cfg" <<END
set timeout=0
set default=0
menuentry 'Bulkhead' {
    if [ "\$grub_platform" = efi ]; then ${EFI_FIRST:-true}; fi
    multiboot2 /boot/bulkhead.elf $cmdline
    module2 /boot/boot.img
    boot
}
END

# Each GRUB is one file with all its modules. It finds the medium by a file that only we have.
cat >"$tree/start.cfg" <<'END'
search --set=root --file /boot/bulkhead.elf
set prefix=($root)/boot/grub
END
modules='normal iso9660 search search_fs_file multiboot2 test echo'

quietly grub-mkimage -O i386-pc -d $grub/i386-pc -p /boot/grub -c "$tree/start.cfg" \
    -o "$tree/core.img" biosdisk $modules
cat $grub/i386-pc/cdboot.img "$tree/core.img" >"$tree/iso/boot/grub/bios.img"

# UEFI starts /EFI/BOOT/BOOTX64.EFI of a FAT file system (UEFI 2.10, 3.5.1.1; 13.3).
quietly grub-mkimage -O x86_64-efi -d $grub/x86_64-efi -p /boot/grub -c "$tree/start.cfg" \
    -o "$tree/bootx64.efi" part_gpt part_msdos fat ${EFI_FIRST:-} $modules
kib=$(($(stat -c %s "$tree/bootx64.efi") / 1024 + 64))
touch -d "@$SOURCE_DATE_EPOCH" "$tree/bootx64.efi"
efi=$tree/iso/boot/grub/efi.img
truncate -s $(((kib + 31) / 32 * 32))K "$efi"
quietly mformat -i "$efi" -N 42554c4b -h 1 -s 1 -t $(((kib + 31) / 32 * 64)) ::
quietly mmd -i "$efi" ::/EFI ::/EFI/BOOT
quietly mcopy -m -i "$efi" "$tree/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI

find "$tree/iso" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
stamp=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)00
quietly xorriso -as mkisofs -r -V BULKHEAD \
    -b boot/grub/bios.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
    --grub2-mbr $grub/i386-pc/boot_hybrid.img --protective-msdos-label \
    -eltorito-alt-boot -e boot/grub/efi.img -no-emul-boot -efi-boot-part --efi-boot-image \
    -o "$out" "$tree/iso" -- -volume_date uuid "$stamp" \
    -volume_date all_file_dates "=$SOURCE_DATE_EPOCH"
