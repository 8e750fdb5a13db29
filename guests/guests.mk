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

# Micro guests: tests/system/guests/NAME.c -> build/tests/guests/NAME.elf, and the benchmark guests.
# The flags do not depend on the checkout's place, so two builds give the same bytes.
MICRO_OUT := build/tests/guests
MICRO_CFLAGS := -std=gnu11 -O2 -g0 -Wall -Wextra -Werror -Wconversion -ffreestanding -nostdinc \
    -isystem $(shell $(CC) -print-file-name=include) -Iguests/rt -mno-red-zone \
    -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
    -fno-tree-loop-distribute-patterns -fcf-protection=none -fno-strict-aliasing
MICRO_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
    -Wl,-z,max-page-size=4096 -Wl,-T,guests/rt/guest.ld
MICRO_RT := $(patsubst guests/rt/%,$(MICRO_OUT)/rt/%.o,$(wildcard guests/rt/*.c guests/rt/*.S))
MICRO_HEADERS := $(wildcard guests/rt/*.h)
MICRO_NAMES := $(basename $(notdir $(wildcard tests/system/guests/*.c tests/bench/guest_*.c)))
MICRO_ELFS := $(MICRO_NAMES:%=$(MICRO_OUT)/%.elf)

.PHONY: guests-micro
guests: guests-micro
guests-micro: $(MICRO_ELFS) $(MICRO_OUT)/hello-pvh.elf

$(MICRO_OUT)/rt/%.c.o: guests/rt/%.c $(MICRO_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(MICRO_CFLAGS) -c -o $@ $<

$(MICRO_OUT)/rt/%.S.o: guests/rt/%.S $(MICRO_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(MICRO_CFLAGS) -c -o $@ $<

$(MICRO_OUT)/rt/boot-pvh.o: guests/rt/boot.S $(MICRO_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(MICRO_CFLAGS) -DGUEST_NO_MULTIBOOT -c -o $@ $<

$(MICRO_OUT)/%.o: tests/system/guests/%.c $(MICRO_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(MICRO_CFLAGS) -DGUEST_NAME='"$*"' -c -o $@ $<

$(MICRO_OUT)/%.o: tests/bench/%.c $(MICRO_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(MICRO_CFLAGS) -DGUEST_NAME='"$*"' -c -o $@ $<

$(MICRO_OUT)/hello-pvh.elf: $(MICRO_OUT)/hello.o $(MICRO_OUT)/rt/boot-pvh.o \
    $(filter-out %/boot.S.o,$(MICRO_RT)) guests/rt/guest.ld
	$(CC) $(MICRO_LDFLAGS) -o $@ $(filter %.o,$^)

$(MICRO_OUT)/%.elf: $(MICRO_OUT)/%.o $(MICRO_RT) guests/rt/guest.ld
	$(CC) $(MICRO_LDFLAGS) -o $@ $(filter %.o,$^)

.SECONDARY: $(MICRO_NAMES:%=$(MICRO_OUT)/%.o)
