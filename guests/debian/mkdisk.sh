#!/bin/bash
# A disk with Debian as people install it: MBR, GRUB, one ext4 partition, systemd, a login on the
# serial port (root, password "bulkhead"). Needs the network to Debian's packages.
# usage: mkdisk.sh OUT.img; writes OUT.img and files next to it only.
set -eu
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
out=$(realpath -m "$1")
part=$out.part
grub=/usr/lib/grub/i386-pc
mib=700
trap 'rm -rf "$part" "$out".{core,hook,new,tree}' EXIT

mode=root
[ "$(id -u)" = 0 ] || mode=unshare
# The hooks see the whole tree, with its owners, as $1.
cat >"$out.hook" <<'END'
set -eu
root=$1 part=$2 mib=$3 tree=$4
echo root:bulkhead | chroot "$root" chpasswd
echo debian >"$root/etc/hostname"
echo "LABEL=root / ext4 defaults 0 1" >"$root/etc/fstab"
mkdir -p "$root/boot/grub"
cd "$root/boot"
cat >grub/grub.cfg <<EOF
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=1
menuentry Debian {
    linux /boot/$(echo vmlinuz-*) root=LABEL=root ro console=ttyS0
    initrd /boot/$(echo initrd.img-*)
}
EOF
truncate -s "${mib}M" "$part"
cp -ax "$root" "$tree" # without what is mounted there
mke2fs -q -t ext4 -L root -d "$tree" "$part"
rm -rf "$tree"
END
mmdebstrap --quiet --mode=$mode --variant=minbase --aptopt='APT::Install-Recommends "false"' \
    --include=systemd-sysv,linux-image-cloud-amd64,initramfs-tools,udev,kmod,login,passwd,iproute2 \
    --customize-hook="sh '$out.hook' \"\$1\" '$part' $mib '$out.tree'" bookworm /dev/null

grub-mkimage -O i386-pc -d $grub -p '(hd0,msdos1)/boot/grub' -o "$out.core" \
    biosdisk part_msdos ext2 normal configfile echo linux serial terminal
truncate -s $((mib + 2))M "$out.new"
dd if=$grub/boot.img of="$out.new" bs=440 count=1 conv=notrunc status=none
dd if="$out.core" of="$out.new" bs=512 seek=1 conv=notrunc status=none
echo '2048,,83,*' | sfdisk -q "$out.new"
dd if="$part" of="$out.new" bs=1M seek=1 conv=notrunc,sparse status=none
mv "$out.new" "$out"
