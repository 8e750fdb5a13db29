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
#   // link: symbol=value    symbols that the linker defines
# A deliberately broken kernel: make FUZZ_OUT=build/broken/fuzz DEFS=-DNAME build/broken/fuzz/bin/invoke

FUZZ_OUT := build/tests/fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CC := $(if $(shell command -v clang-14),clang-14,clang)
FUZZ_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter -fno-strict-aliasing \
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
    -fno-pie -I. -Ikernel/include -Ivmm/include -Ikernel -Iiommu $(DEFS)
FUZZ_BINARIES := $(FUZZ_TARGETS:%=$(FUZZ_OUT)/bin/%)

# The checker judges; what it looks at is no news about the input.
FUZZ_CFLAGS_kernel/object/check := -O2 -fno-sanitize=all

# $(call fuzz_says,KEYWORD,TARGET)
fuzz_says = $(shell sed -n '1,8s|^// $(1):||p' tests/fuzz/fuzz_$(2).c)
define fuzz_rule
$(1)_RESTORED := $$(wildcard $$(call fuzz_says,restored,$(1)))
$(1)_SOURCES := $$(call fuzz_says,sources,$(1))
$(1)_LIBS := $$(filter %.a,$$($(1)_SOURCES))
$(1)_OBJECTS := $$(patsubst %.c,$(FUZZ_OUT)/obj/$(1)/%.o,tests/fuzz/fuzz_$(1).c $$($(1)_RESTORED) \
    $$(wildcard $$(filter %.c,$$($(1)_SOURCES))))
$(1)_FLAGS := $$(call fuzz_says,flags,$(1))

$(FUZZ_OUT)/obj/$(1)/%.o: %.c tests/fuzz/fuzz_$(1).c tests/fuzz/fuzz.mk | $$($(1)_LIBS)
	$$(call say,FUZZCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) $$(FUZZ_CFLAGS) $$(filter-out -l%,$$($(1)_FLAGS)) $$(FUZZ_CFLAGS_$$*) \
	    $$(if $$(filter $$<,$$($(1)_RESTORED)),$$(addprefix -include ,$$(call fuzz_says,forced,$(1)))) \
	    -MMD -MP -c -o $$@ $$<
	$$(Q)$$(if $$(filter $$<,$$($(1)_RESTORED)),$$(OBJCOPY) --rename-section .bss=fuzz_bss \
	    --rename-section .data=fuzz_data $$@)

$(FUZZ_OUT)/bin/$(1): $$($(1)_OBJECTS) $$($(1)_LIBS)
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -no-pie -Wl,-Ttext-segment=0x60000000 -o $$@ $$^ \
	    $$(addprefix -Wl$$(comma)--defsym=,$$(call fuzz_says,link,$(1))) $$(filter -l%,$$($(1)_FLAGS))
endef
comma := ,
ifneq ($(filter fuzz% coverage %/bin/invoke,$(GOALS)),)
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(target))))
endif

SECONDS ?= 600
.PHONY: fuzz fuzz-build fuzz-keep coverage
fuzz-build: $(FUZZ_BINARIES)
fuzz: fuzz-build
	@tests/fuzz/run.py --seconds=$(SECONDS)
fuzz-keep: fuzz-build
	@tests/fuzz/run.py --keep
coverage: build/vmm/libzydis.a
	@tests/fuzz/coverage.py
