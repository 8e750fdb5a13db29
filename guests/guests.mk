# Guests: Debian's kernels with our initrd, and the bare-metal micro guests.
# Included by the root Makefile; all outputs under build/. Needs the network once, for Debian's
# kernel and busybox packages (fetched and unpacked, never installed).

GUEST_CC ?= $(CC)
LINUX_OUT := build/guests/linux
LINUX_CLOUD := $(LINUX_OUT)/vmlinuz-cloud
LINUX_GENERIC := $(LINUX_OUT)/vmlinuz-generic
LINUX_INITRD := $(LINUX_OUT)/initrd.cpio

.PHONY: guests guests-linux guests-linux-generic
guests: guests-linux
guests-linux: $(LINUX_CLOUD) $(LINUX_INITRD)
guests-linux-generic: $(LINUX_GENERIC)

$(LINUX_OUT)/cloud/PACKAGE:
	@mkdir -p $(LINUX_OUT)
	guests/linux/fetch.sh linux-image-cloud-amd64 $(LINUX_OUT)/cloud 'linux-image-*-cloud-amd64'

$(LINUX_OUT)/generic/PACKAGE:
	@mkdir -p $(LINUX_OUT)
	guests/linux/fetch.sh linux-image-amd64 $(LINUX_OUT)/generic 'linux-image-*-amd64'

$(LINUX_OUT)/busybox/PACKAGE:
	@mkdir -p $(LINUX_OUT)
	guests/linux/fetch.sh busybox-static $(LINUX_OUT)/busybox

$(LINUX_OUT)/vmlinuz-%: $(LINUX_OUT)/%/PACKAGE
	cp $(LINUX_OUT)/$*/boot/vmlinuz-* $@

$(LINUX_OUT)/bhtest: guests/linux/bhtest.c
	@mkdir -p $(@D)
	$(GUEST_CC) -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -ffreestanding -fno-pic \
	    -fno-stack-protector -fno-asynchronous-unwind-tables -static -nostdlib -no-pie \
	    -Wl,--build-id=none -Wl,-z,noexecstack -o $@ $<

$(LINUX_INITRD): $(LINUX_OUT)/bhtest $(LINUX_OUT)/busybox/PACKAGE \
    $(addprefix guests/linux/,init banner motd newc.py mkinitrd.sh)
	guests/linux/mkinitrd.sh guests/linux $(LINUX_OUT)/busybox/bin/busybox $< $@
