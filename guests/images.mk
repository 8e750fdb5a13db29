# Other images that show the virtual PC at work: Debian's i386 and real-time kernels, Debian's
# installer, memtest86+, Xen. Fetched like the Linux guests (guests.mk), never installed, unmodified.
# Owns the goals guests-images, guests-i386, guests-rt, guests-installer, guests-memtest, guests-debian, guests-xen.
IMAGES_OUT := build/guests/images

.PHONY: guests-images guests-i386 guests-rt guests-installer guests-memtest guests-debian guests-xen
guests-images: guests-i386 guests-rt guests-installer guests-memtest guests-debian guests-xen
guests-i386: $(addprefix $(IMAGES_OUT)/,vmlinuz-686 vmlinuz-686-pae initrd-i386.cpio)
guests-rt: $(IMAGES_OUT)/vmlinuz-rt $(LINUX_INITRD)
guests-installer: $(addprefix $(IMAGES_OUT)/,installer-linux installer-initrd.gz)
guests-memtest: $(IMAGES_OUT)/memtest86+x64.bin
guests-debian: $(IMAGES_OUT)/debian.img
guests-xen: $(IMAGES_OUT)/xen $(LINUX_OUT)/vmlinuz-generic $(LINUX_INITRD)

$(eval $(call linux_fetch,686,linux-image-686:i386,'linux-image-*-686'))
$(eval $(call linux_fetch,686-pae,linux-image-686-pae:i386,'linux-image-*-686-pae'))
$(eval $(call linux_fetch,busybox-i386,busybox-static:i386))
$(eval $(call linux_fetch,rt,linux-image-rt-amd64,'linux-image-*-rt-amd64'))
$(eval $(call linux_fetch,installer,debian-installer-12-netboot-amd64))
$(eval $(call linux_fetch,memtest,memtest86+))
$(eval $(call linux_fetch,xen,xen-hypervisor-4.17-amd64))

$(IMAGES_OUT)/vmlinuz-%: $(LINUX_FETCHED)/%/PACKAGE
	@mkdir -p $(@D)
	$(Q)cp $(LINUX_FETCHED)/$*/boot/vmlinuz-* $@

$(IMAGES_OUT)/initrd-i386.cpio: $(LINUX_FETCHED)/busybox/PACKAGE $(LINUX_FETCHED)/busybox-i386/PACKAGE \
    $(addprefix guests/linux/,init banner motd newc.py mkinitrd.sh)
	$(call say,INITRD,$@)
	@mkdir -p $(@D)
	$(Q)BUSYBOX_HERE=$(LINUX_FETCHED)/busybox/bin/busybox \
	    guests/linux/mkinitrd.sh guests/linux $(LINUX_FETCHED)/busybox-i386/bin/busybox - $@

# The installer's kernel is older than the one in use: drivers come from the package of its own.
INSTALLER_TEXT := $(LINUX_FETCHED)/installer/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
$(IMAGES_OUT)/installer-linux: $(LINUX_FETCHED)/installer/PACKAGE
	@mkdir -p $(@D)
	$(Q)cp $(INSTALLER_TEXT)/linux $@

$(LINUX_FETCHED)/installer-kernel/PACKAGE: $(LINUX_FETCHED)/installer/PACKAGE
	$(call say,FETCH,linux-image of the installer)
	$(Q)guests/linux/fetch.sh \
	    "linux-image-$$(grep -ao '6\.[0-9.]*-[0-9]*-amd64' $(INSTALLER_TEXT)/linux | head -n1)" $(@D)

$(IMAGES_OUT)/installer-initrd.gz: $(LINUX_FETCHED)/installer-kernel/PACKAGE \
    $(addprefix guests/linux/,installer-drivers mkmodules.sh newc.py)
	$(call say,INITRD,$@)
	@mkdir -p $(@D)
	$(Q)ALSO="file lib/debian-installer-startup.d/S11drivers guests/linux/installer-drivers 644" \
	    guests/linux/mkmodules.sh guests/linux $(INSTALLER_TEXT)/initrd.gz $(LINUX_FETCHED)/installer-kernel $@ \
	    $(LINUX_SATA_MODULES) virtio_blk

$(IMAGES_OUT)/memtest86+%: $(LINUX_FETCHED)/memtest/PACKAGE
	@mkdir -p $(@D)
	$(Q)cp $(LINUX_FETCHED)/memtest/boot/memtest86+$* $@

$(IMAGES_OUT)/xen: $(LINUX_FETCHED)/xen/PACKAGE
	@mkdir -p $(@D)
	$(Q)zcat $(LINUX_FETCHED)/xen/boot/xen-*.gz >$@

# Minutes, and the network.
$(IMAGES_OUT)/debian.img: guests/debian/mkdisk.sh
	$(call say,DISK,$@)
	@mkdir -p $(@D)
	$(Q)$< $@
