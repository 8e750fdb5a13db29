# Bulkhead's build. `make run` shows the system in an emulator, `make test` proves it; both install
# missing packages first (INSTALL=no skips that). V=1 shows commands. All output goes to build/.
#
# Each part's fragment names its own targets; this file owns the tool chain, the flags that several
# parts share, and the goals a person types. Fragments write under build/ only.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PRECIOUS: %.o
MAKEFLAGS += --no-builtin-rules

# Same bytes whoever builds, wherever and when.
export LC_ALL := C
export SOURCE_DATE_EPOCH := 1700000000
export PYTHONDONTWRITEBYTECODE := 1
SHELL := /bin/bash

PYTHON := /usr/bin/python3

# ---- Packages ------------------------------------------------------------------------------------
# Done while this file is read, because fragments may ask the tools they need.
GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(INSTALL),no)
ifneq ($(filter-out clean help,$(GOALS)),)
ifneq ($(shell sh tests/lib/install.sh >&2 && echo done),done)
$(error packages are missing, see above)
endif
endif
endif
# Recursive calls need not look again.
export INSTALL := no

# ---- Tool chain ----------------------------------------------------------------------------------
ifeq ($(origin CC),default)
CC := gcc
endif
# Debian's clang-14 package has no plain `clang`.
ifeq ($(CC),clang)
override CC := $(if $(shell command -v clang-14),clang-14,clang)
endif
COMPILER := $(if $(findstring clang,$(CC)),clang,gcc)
# `export` would make sub-processes of tests see a half-configured tool chain: only CC is passed on.
export CC
HOSTCC ?= gcc
LD := ld
AR := ar
NM := nm
OBJCOPY := objcopy
DTC ?= dtc

V ?= 0
ifeq ($(V),0)
Q := @
# $(call say,VERB,FILE): the progress line of a recipe. What `make run` says on stdout is the guest's.
say = @printf '  %-7s %s\n' '$(1)' '$(2)'$(if $(filter run,$(GOALS)), >&2)
else
Q :=
say = @:
endif

WARNINGS := -Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
    -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wundef -Wvla \
    -Wno-unused-parameter
REPRODUCIBLE := -ffile-prefix-map=$(CURDIR)=.
# Rings 0 and 3 alike: no libc, no FPU or vector registers, no hidden run-time support.
FREESTANDING := -std=gnu11 -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only -fno-stack-protector \
    -fno-strict-aliasing -fno-common -fno-asynchronous-unwind-tables -fno-unwind-tables \
    -fcf-protection=none -ffunction-sections -fdata-sections -O2 -g $(WARNINGS) $(REPRODUCIBLE)
FREESTANDING_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
    -Wl,-z,max-page-size=4096 -Wl,--gc-sections -Wl,--no-warn-rwx-segments -Wl,--fatal-warnings
ifeq ($(COMPILER),clang)
FREESTANDING += -Wno-gnu-statement-expression -Wno-unused-command-line-argument
# GNU ld for both, so that linker scripts mean the same.
FREESTANDING_LDFLAGS += -fuse-ld=bfd -Wno-unused-command-line-argument
endif

# Unprivileged host-side programs: static, linked at BH_ROOT_BASE.
USER_CFLAGS := $(FREESTANDING) -mno-red-zone -Ikernel/include -Ivmm/include -Ivmm/rt
USER_LDFLAGS := $(FREESTANDING_LDFLAGS) -Wl,-Ttext-segment=0x400000

# $(call if_changed,TEXT): the recipe of a file that holds TEXT and is only written when that changes.
if_changed = mkdir -p $(@D); [ '$(1)' = "$$(cat $@ 2>/dev/null)" ] || printf '%s\n' '$(1)' >$@
CC_VERSION := $(CC) $(shell $(CC) -dumpfullversion -dumpversion 2>/dev/null)
# Objects name this file, so another compiler or other flags rebuild them.
build/.toolchain: FORCE
	@$(call if_changed,$(CC_VERSION) $(USER_CFLAGS))

# ---- Parts ---------------------------------------------------------------------------------------
-include kernel/kernel.mk
-include vmm/vmm.mk
-include policy/policy.mk
-include guests/guests.mk
-include $(sort $(wildcard tests/*.mk tests/*/*.mk))

# Programs in ring 3 whose fragment has no rule of its own: build/vmm/obj/PATH.o from PATH.c or .S.
build/vmm/obj/%.o: %.c build/.toolchain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(USER_CFLAGS_$(*F)) -MMD -MP -c -o $@ $<

build/vmm/obj/%.o: %.S build/.toolchain
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -c -o $@ $<

# Header dependencies of whatever has been compiled before.
-include $(shell find $(KERNEL_OUT) build/vmm build/guests build/tests -type f -name '*.d' \
    -not -path 'build/guests/linux/*' 2>/dev/null)

# ---- Goals ---------------------------------------------------------------------------------------
# Fragments add what `all` builds to ALL_TARGETS.
.PHONY: all clean help FORCE
FORCE:

all: $(ALL_TARGETS)

clean:
	@# Downloads stay: they are pinned by checksum and nothing derives from them unnoticed.
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 -not -name third-party -exec rm -rf {} +

help:
	@echo 'make run                     three Linux VMs in an emulator, on this terminal'
	@echo 'make run GUEST=image [INITRD= APPEND= DISK= DISKBUS= CDROM= NET= SCREEN= CPUS= MEM= EMU=qemu|bochs ICOUNT= TIMEOUT=]   one VM'
	@echo 'make run FIRMWARE=seabios|ovmf [DISK= CDROM= ...]   one VM that boots like a PC'
	@echo 'make run MANIFEST=file.dts   the VMs of a manifest'
	@echo 'make debug                   like run, waits for gdb (prints the command)'
	@echo 'make test | test-full        everything that proves it works (ONLY=text: cases by name, JOBS=)'
	@echo 'make test-unit               the unit tests alone'
	@echo 'make fuzz | coverage         fuzz targets (SECONDS=600); lines that tests and seeds reach'
	@echo 'make models | sched-sim      concurrency models (Spin), simulation of the scheduler'
	@echo 'make prove | prove-mutants   proofs of kernel/core; what they say to seeded mistakes'
	@echo 'make bench | bench-peers     figures beside KVM; measure KVM + QEMU anew'
	@echo 'make iso | pictures          build/bulkhead.iso (BIOS and UEFI); the pictures of README, of real runs'
	@echo 'make loc | check-format      lines of the kernel; layout of the sources'
	@echo 'make clean                   all but downloads; CC=clang V=1 INSTALL=no change how it builds'
