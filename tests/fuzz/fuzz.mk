# Fuzzing with libFuzzer (clang), and the coverage that unit tests and seeds reach (gcc, gcov).
#
#   make fuzz SECONDS=600   all targets, two at a time, within that time; a table; 1 on a finding
#   make fuzz-keep          what new runs have found worth keeping goes into tests/fuzz/seeds
#   make coverage           lines of kernel/core and vmm/monitor, per file
#
# tests/fuzz/fuzz_X.c says in its first lines what it is built from:
#   // sources: a.c b.a      // flags: -I... -l...
#   // restored: c.c         like sources, but their variables are put back before each input
#   // forced: d.h           included before everything else in those
#   // devices: e.c          like restored, with nothing forced: compiled as for the target `devices`
#   // link: symbol=value    symbols that the linker defines
#   // wrapped: f*.c         calls of X from other files go to the __wrap_X that these define
# A deliberately broken kernel: make FUZZ_OUT=build/broken/fuzz DEFS=-DNAME build/broken/fuzz/bin/invoke

FUZZ_OUT := build/tests/fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CC := $(if $(shell command -v clang-14),clang-14,clang)
FUZZ_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter -fno-strict-aliasing \
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
    -fno-pie -I. -Ikernel/include -Ivmm/include -Ikernel -Iiommu $(DEFS)
FUZZ_BINARIES := $(FUZZ_TARGETS:%=$(FUZZ_OUT)/bin/%)

# Variables of what is restored go where restore.h finds them.
FUZZ_GATHER = $(OBJCOPY) --rename-section .bss=fuzz_bss --rename-section .data=fuzz_data

# The checkers judge; what they look at is no news about the input.
FUZZ_CFLAGS_kernel/object/check := -O2 -fno-sanitize=all
$(foreach part,requires requires_flush requires_sched requires_tables,\
    $(eval FUZZ_CFLAGS_tests/fuzz/$(part) := $(FUZZ_CFLAGS_kernel/object/check)))

# Assembly is text there (kernel_host.h), with the variables that it alone names.
FUZZ_CFLAGS_kernel/object/memory := -Wno-unused-variable

# $(call fuzz_says,KEYWORD,TARGET)
fuzz_says = $(shell sed -n '1,8s|^// $(1):||p' tests/fuzz/fuzz_$(2).c)
# $(call fuzz_wraps,TARGET)    flags of the linker
fuzz_wraps = $(shell sed -n 's|^[a-z].*[ *]__wrap_\([a-z0-9_]*\).*|-Wl,--wrap=\1|p' $(call fuzz_says,wrapped,$(1)) /dev/null)
# Sources are compiled once for all targets that have the same flags: $(1)_SHARED names their place.
# What is restored is compiled for its target.
define fuzz_rule
$(1)_RESTORED := $$(wildcard $$(call fuzz_says,restored,$(1)))
$(1)_DEVICES := $$(patsubst %.c,$(FUZZ_OUT)/obj/$(1)/%.o,$$(wildcard $$(call fuzz_says,devices,$(1))))
$(1)_SOURCES := $$(call fuzz_says,sources,$(1))
$(1)_LIBS := $$(filter %.a,$$($(1)_SOURCES))
$(1)_FLAGS := $$(call fuzz_says,flags,$(1))
$(1)_SHARED := $$(word 1,$$(shell echo '$$(filter-out -l%,$$($(1)_FLAGS))' | cksum))
$$($(1)_SHARED)_FLAGS := $$(filter-out -l%,$$($(1)_FLAGS))
$$($(1)_SHARED)_LIBS := $$($(1)_LIBS)
FUZZ_SHARED += $$($(1)_SHARED)

$(FUZZ_OUT)/obj/$(1)/%.o: %.c tests/fuzz/fuzz_$(1).c tests/fuzz/fuzz.mk | $$($(1)_LIBS)
	$$(call say,FUZZCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) $$(FUZZ_CFLAGS) $$(filter-out -l%,$$($(1)_FLAGS)) $$(FUZZ_CFLAGS_$$*) \
	    $$(addprefix -include ,$$(call fuzz_says,forced,$(1))) -MMD -MP -c -o $$@ $$<
	$$(Q)$$(FUZZ_GATHER) $$@

$$($(1)_DEVICES): $(FUZZ_OUT)/obj/$(1)/%.o: $(FUZZ_OUT)/obj/$$(devices_SHARED)/%.o
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_GATHER) $$< $$@

$(FUZZ_OUT)/bin/$(1): $$($(1)_DEVICES) $$(patsubst %.c,$(FUZZ_OUT)/obj/$(1)/%.o,$$($(1)_RESTORED)) \
    $$(patsubst %.c,$(FUZZ_OUT)/obj/$$($(1)_SHARED)/%.o,tests/fuzz/fuzz_$(1).c \
        $$(wildcard $$(filter %.c,$$($(1)_SOURCES)))) $$($(1)_LIBS)
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -no-pie -Wl,-Ttext-segment=0x60000000 -o $$@ $$^ \
	    $$(addprefix -Wl$$(comma)--defsym=,$$(call fuzz_says,link,$(1))) $$(call fuzz_wraps,$(1)) \
	    $$(filter -l%,$$($(1)_FLAGS))
endef
define fuzz_shared_rule
$(FUZZ_OUT)/obj/$(1)/%.o: %.c tests/fuzz/fuzz.mk | $$($(1)_LIBS)
	$$(call say,FUZZCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) $$(FUZZ_CFLAGS) $$($(1)_FLAGS) $$(FUZZ_CFLAGS_$$*) -MMD -MP -c -o $$@ $$<
endef
comma := ,
# `devices` first: others name its place.
FUZZ_TARGETS := devices $(filter-out devices,$(FUZZ_TARGETS))
ifneq ($(filter fuzz% coverage %/bin/invoke,$(GOALS)),)
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(target))))
$(foreach shared,$(sort $(FUZZ_SHARED)),$(eval $(call fuzz_shared_rule,$(shared))))
endif

SECONDS ?= 600
.PHONY: fuzz fuzz-build fuzz-keep coverage
fuzz-build: $(FUZZ_BINARIES)
fuzz: fuzz-build
	@tests/fuzz/run.py --seconds=$(SECONDS)
	@$(MAKE) --no-print-directory coverage
fuzz-keep: fuzz-build
	@tests/fuzz/run.py --keep
coverage: build/vmm/libzydis.a
	@UNIT_INCLUDES='$(UNIT_INCLUDES)' tests/fuzz/coverage.py
