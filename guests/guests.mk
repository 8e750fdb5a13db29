# Guests: Debian's kernels with our initrd, and the bare-metal micro guests.
# Owns the goals guests, guests-linux, guests-linux-generic, guests-micro, test-guests-reference.
# The network is needed once: Debian's kernel and busybox packages are fetched and unpacked, never
# installed, under build/third-party, which `make clean` leaves alone.

# ---- Linux ---------------------------------------------------------------------------------------
LINUX_OUT := build/guests/linux
LINUX_FETCHED := build/third-party/debian
LINUX_CLOUD := $(LINUX_OUT)/vmlinuz-cloud
LINUX_GENERIC := $(LINUX_OUT)/vmlinuz-generic
LINUX_INITRD := $(LINUX_OUT)/initrd.cpio
# With the cloud kernel's drivers of virtio and of the power button, which are modules.
LINUX_VIRTIO := $(LINUX_OUT)/initrd-virtio.cpio
LINUX_VIRTIO_MODULES := virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci \
    virtio_blk failover net_failover virtio_net virtio_console virtio-rng virtio_balloon button evdev

# The same with bhctl, for VMs with a control channel.
LINUX_BHCTL := $(LINUX_OUT)/initrd-bhctl.cpio

# With the generic kernel's drivers of SATA disks and CDs; the cloud kernel has none.
LINUX_SATA := $(LINUX_OUT)/initrd-sata.cpio
LINUX_SATA_MODULES := scsi_common scsi_mod libata libahci ahci crct10dif_common crc-t10dif crc64 \
    crc64-rocksoft t10-pi sd_mod cdrom sr_mod isofs

ifeq ($(COMPILER),clang)
GUEST_CLANG := -Wno-gnu-statement-expression -Wno-unused-command-line-argument
endif

.PHONY: guests guests-linux guests-linux-generic guests-micro
guests: guests-linux guests-micro
guests-linux: $(LINUX_CLOUD) $(LINUX_INITRD) $(LINUX_VIRTIO) $(LINUX_BHCTL)
guests-linux-generic: $(LINUX_GENERIC) $(LINUX_SATA)

# $(1): short name; $(2): package; $(3): pattern of the real package when $(2) is a metapackage.
define linux_fetch
$(LINUX_FETCHED)/$(1)/PACKAGE:
	$$(call say,FETCH,$(2))
	@mkdir -p $(LINUX_FETCHED)
	$(Q)guests/linux/fetch.sh $(2) $(LINUX_FETCHED)/$(1) $(3)
endef
$(eval $(call linux_fetch,cloud,linux-image-cloud-amd64,'linux-image-*-cloud-amd64'))
$(eval $(call linux_fetch,generic,linux-image-amd64,'linux-image-*-amd64'))
$(eval $(call linux_fetch,busybox,busybox-static))

$(LINUX_OUT)/vmlinuz-%: $(LINUX_FETCHED)/%/PACKAGE
	@mkdir -p $(@D)
	$(Q)cp $(LINUX_FETCHED)/$*/boot/vmlinuz-* $@

$(LINUX_OUT)/bhtest: guests/linux/bhtest.c build/.toolchain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 $(WARNINGS) -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	    -fno-asynchronous-unwind-tables $(GUEST_CLANG) -static -nostdlib -no-pie \
	    -Wl,--build-id=none -Wl,-z,noexecstack -o $@ $<

$(LINUX_INITRD): $(LINUX_OUT)/bhtest $(LINUX_FETCHED)/busybox/PACKAGE \
    $(addprefix guests/linux/,init banner motd newc.py mkinitrd.sh)
	$(call say,INITRD,$@)
	$(Q)guests/linux/mkinitrd.sh guests/linux $(LINUX_FETCHED)/busybox/bin/busybox $< $@

$(LINUX_VIRTIO): $(LINUX_INITRD) $(LINUX_FETCHED)/cloud/PACKAGE guests/linux/mkmodules.sh
	$(call say,INITRD,$@)
	$(Q)guests/linux/mkmodules.sh guests/linux $(LINUX_INITRD) $(LINUX_FETCHED)/cloud $@ \
	    $(LINUX_VIRTIO_MODULES)

$(LINUX_BHCTL): $(LINUX_VIRTIO) $(LINUX_OUT)/bhctl guests/linux/newc.py
	$(call say,INITRD,$@)
	$(Q)echo 'file bin/bhctl $(LINUX_OUT)/bhctl 755' >$@.list
	$(Q)guests/linux/newc.py $@.list $@.tmp
	$(Q)cat $(LINUX_VIRTIO) $@.tmp >$@.tmp2 && rm $@.tmp && mv $@.tmp2 $@

$(LINUX_SATA): $(LINUX_INITRD) $(LINUX_FETCHED)/generic/PACKAGE guests/linux/mkmodules.sh
	$(call say,INITRD,$@)
	$(Q)guests/linux/mkmodules.sh guests/linux $(LINUX_INITRD) $(LINUX_FETCHED)/generic $@ \
	    $(LINUX_SATA_MODULES)

include guests/images.mk

# ---- Micro guests --------------------------------------------------------------------------------
# tests/system/guests/NAME.c and tests/bench/guest_NAME.c -> build/tests/guests/NAME.elf. Nothing in
# the flags depends on the checkout's place, so two builds give the same bytes.
MICRO_OUT := build/tests/guests
MICRO_CFLAGS := -std=gnu11 -O2 $(WARNINGS) -ffreestanding -Iguests/rt -Ivmm/include -mno-red-zone \
    -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
    -fcf-protection=none -fno-strict-aliasing
MICRO_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
    -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096 -Wl,-T,guests/rt/guest.ld
ifeq ($(COMPILER),clang)
MICRO_CFLAGS += $(GUEST_CLANG)
MICRO_LDFLAGS += -fuse-ld=bfd $(GUEST_CLANG)
endif
MICRO_RT := $(patsubst guests/rt/%,$(MICRO_OUT)/rt/%.o,$(sort $(wildcard guests/rt/*.c guests/rt/*.S)))
MICRO_DEPENDS := $(wildcard guests/rt/*.h tests/system/guests/*.h vmm/include/bulkhead/*.h) guests/guests.mk build/.toolchain
MICRO_NAMES := $(sort $(basename $(notdir $(wildcard tests/system/guests/*.c tests/bench/guest_*.c))))
MICRO_ELFS := $(MICRO_NAMES:%=$(MICRO_OUT)/%.elf) $(MICRO_OUT)/hello-pvh.elf $(MICRO_OUT)/hello-mb2.elf
ALL_TARGETS += guests-micro

guests-micro: $(MICRO_ELFS)

$(MICRO_OUT)/rt/%.o: guests/rt/% $(MICRO_DEPENDS)
	$(call say,GUESTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MICRO_CFLAGS) -c -o $@ $<

$(MICRO_OUT)/rt/boot-pvh.o: guests/rt/boot.S $(MICRO_DEPENDS)
	$(call say,GUESTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MICRO_CFLAGS) -DGUEST_NO_MULTIBOOT -c -o $@ $<

$(MICRO_OUT)/rt/boot-mb2.o: guests/rt/boot.S $(MICRO_DEPENDS)
	$(call say,GUESTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MICRO_CFLAGS) -DGUEST_MULTIBOOT2 -c -o $@ $<

$(MICRO_OUT)/%.o: tests/system/guests/%.c $(MICRO_DEPENDS)
	$(call say,GUESTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MICRO_CFLAGS) -DGUEST_NAME='"$*"' -c -o $@ $<

$(MICRO_OUT)/%.o: tests/bench/%.c $(MICRO_DEPENDS)
	$(call say,GUESTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MICRO_CFLAGS) -DGUEST_NAME='"$*"' -c -o $@ $<

# The emulator's loader takes the multiboot header when there is one, the monitor the note: one image
# has the note alone, another the multiboot 2 header.
$(MICRO_OUT)/hello-pvh.elf $(MICRO_OUT)/hello-mb2.elf: $(MICRO_OUT)/hello-%.elf: $(MICRO_OUT)/hello.o $(MICRO_OUT)/rt/boot-%.o \
    $(filter-out %/boot.S.o,$(MICRO_RT)) guests/rt/guest.ld
	$(Q)$(CC) $(MICRO_LDFLAGS) -o $@ $(filter %.o,$^)

$(MICRO_OUT)/%.elf: $(MICRO_OUT)/%.o $(MICRO_RT) guests/rt/guest.ld
	$(Q)$(CC) $(MICRO_LDFLAGS) -o $@ $(filter %.o,$^)

# For VMs of 1 MiB: below the hole.
$(MICRO_OUT)/guest_still.elf: MICRO_LDFLAGS := -Wl,--defsym=GUEST_BASE=0x20000 $(MICRO_LDFLAGS)

.SECONDARY: $(MICRO_NAMES:%=$(MICRO_OUT)/%.o) $(MICRO_RT) $(MICRO_OUT)/rt/boot-pvh.o $(MICRO_OUT)/rt/boot-mb2.o

# The micro guests on the emulator alone: what they claim about a PC holds without us in between,
# apart from the emulator's own gaps, each of which is shown to be there.
.PHONY: test-guests-reference
test-guests-reference: guests-micro
	$(Q)tests/system/guests/reference.py $(ONLY)
