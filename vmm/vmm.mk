# Ring 3 of the host side: root (flat image), the monitor (ELF), and the boot module's parts.
# Included by the root Makefile; all outputs under build/vmm.
#
#   build/vmm/root.bin      root's flat image (first bytes: struct bh_root_header)
#   build/vmm/monitor       the monitor, stripped; file "monitor" of the boot archive
#
# A boot module: tests/lib/mkboot.py -o boot.img build/vmm/root.bin manifest.dtb=... \
#     monitor=build/vmm/monitor NAME=FILE for each image that the manifest names.

# System call stubs clobber every register but rsp, rbp included.
VMM_CFLAGS = $(USER_CFLAGS) -fomit-frame-pointer -Ivmm/rt -Ivmm -Ivmm/monitor/dev -Ipolicy/manifest
# The mem* functions must not be turned into calls of themselves.
VMM_CFLAGS_string := -fno-builtin

VMM_RT := $(patsubst %.c,build/vmm/obj/%.o,$(filter-out %_start.c,$(wildcard vmm/rt/*.c)))
VMM_ROOT := $(patsubst %.c,build/vmm/obj/%.o,$(wildcard vmm/root/*.c))
VMM_MONITOR := $(patsubst %.c,build/vmm/obj/%.o,$(wildcard vmm/monitor/*.c vmm/monitor/dev/*.c))

# Sources that bring flags of their own (the decoder's library) name them here.
build/vmm/obj/vmm/%.o: vmm/%.c build/.toolchain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_CFLAGS) $(VMM_CFLAGS_$(*F)) -MMD -MP -c -o $@ $<

build/vmm/obj/vmm/rt/%_start.o: vmm/rt/%_start.S build/.toolchain
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_CFLAGS) -MMD -MP -c -o $@ $<

VMM_LDFLAGS = $(FREESTANDING_LDFLAGS)

build/vmm/root.elf: build/vmm/obj/vmm/rt/root_start.o $(VMM_ROOT) $(VMM_RT) \
    build/policy/libmanifest.a vmm/rt/root.lds
	$(call say,LINK,$@)
	$(Q)$(CC) $(VMM_LDFLAGS) -Wl,-T,vmm/rt/root.lds -o $@ $(filter %.o %.a,$^)

build/vmm/root.bin: build/vmm/root.elf
	$(Q)$(OBJCOPY) -O binary $< $@

build/vmm/monitor.elf: build/vmm/obj/vmm/rt/monitor_start.o $(VMM_MONITOR) $(VMM_RT) \
    $(MONITOR_LIBS) vmm/rt/monitor.lds
	$(call say,LINK,$@)
	$(Q)$(CC) $(VMM_LDFLAGS) -Wl,-T,vmm/rt/monitor.lds -o $@ $(filter %.o %.a,$^)

build/vmm/monitor: build/vmm/monitor.elf
	$(Q)$(OBJCOPY) -S $< $@

.PHONY: vmm
vmm: build/vmm/root.bin build/vmm/monitor
ALL_TARGETS += vmm

# ---- bhctl: a program of the host ----------------------------------------------------------------
# Sanitizers on: it reads what others write.
BHCTL_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wconversion -Wshadow -Wundef \
    -fsanitize=address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE -Ivmm/include -iquote vmm/rt \
    -iquote vmm/display -iquote vmm/monitor -iquote policy/manifest
BHCTL_SOURCES := $(wildcard vmm/control/*.c) vmm/rt/wire.c vmm/rt/crc32c.c vmm/rt/rle.c vmm/rt/terminal.c \
    vmm/rt/fmt.c vmm/monitor/save_file.c policy/manifest/may_words.c $(wildcard vmm/display/*.c)
BHCTL_HEADERS := $(wildcard vmm/control/*.h vmm/display/*.h vmm/monitor/*.h vmm/monitor/dev/state.h vmm/rt/*.h vmm/include/bulkhead/*.h) policy/manifest/manifest.h

build/bhctl: $(BHCTL_SOURCES) $(BHCTL_HEADERS) vmm/vmm.mk
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(BHCTL_CFLAGS) -o $@ $(BHCTL_SOURCES) -lfdt

# The same for guests with a control channel: whatever C library they have.
build/guests/linux/bhctl: $(BHCTL_SOURCES) $(BHCTL_HEADERS) vmm/vmm.mk
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(filter-out -g -O1 -fsanitize% -fno-sanitize%,$(BHCTL_CFLAGS)) -Os -static -s -Wl,--build-id=none -o $@ \
	    $(BHCTL_SOURCES) -lfdt

# Its man page and what bash completes are made from its table of verbs.
build/bhctl.1: build/bhctl
	$(Q)$< --man >$@
build/bhctl.bash: build/bhctl
	$(Q)$< --completion >$@
ALL_TARGETS += build/bhctl build/bhctl.1 build/bhctl.bash
