# Running, testing and measuring. Owns the goals run, debug, iso, test, test-full, loc, check-format,
# and bench and prove as far as their own fragments do not.

EMU ?= auto
ROOT_BIN ?= build/vmm/root.bin
MONITOR ?= build/vmm/monitor
BHMANIFEST ?= build/policy/bhmanifest
export ROOT_BIN MONITOR BHMANIFEST

# ---- Running -------------------------------------------------------------------------------------
.PHONY: run run-now debug iso pictures
# README's, of real runs.
pictures: all guests-linux
	@tests/lib/pictures.py
# $(call quoted,TEXT): for the shell, whatever quotes the text has.
quoted = '$(subst ','\'',$(1))'
RUN_ARGS = --emu='$(EMU)' --manifest='$(MANIFEST)' --guest='$(GUEST)' --initrd='$(INITRD)' \
    --append=$(call quoted,$(APPEND)) --disk='$(DISK)' --diskbus='$(DISKBUS)' --cdrom='$(CDROM)' \
    --net='$(NET)' --firmware='$(FIRMWARE)' \
    --cpus='$(CPUS)' --mem='$(MEM)' --screen='$(SCREEN)' --host-cpus='$(HOST_CPUS)' \
    --host-mem='$(HOST_MEM)' --icount='$(ICOUNT)' --timeout='$(TIMEOUT)' --cmdline=$(call quoted,$(CMDLINE)) \
    --cpu-model='$(CPU_MODEL)' $(if $(LOG),--log)
# Our own images are built when they are what runs.
RUN_IMAGES = $(if $(GUEST)$(FIRMWARE),$(filter build/%,$(GUEST) $(INITRD) $(DISK) $(CDROM)),$(if $(filter guests/%,$(or $(MANIFEST),guests/demo.dts)),guests-linux))

# make reports any failed recipe as 2; a run's exit status is the guest's, so it is kept in a file
# and make ends with it through a loaded function (tests/lib/make_exit.c).
ifneq ($(filter run,$(GOALS)),)
RUN_KNOWS := APPEND CC CDROM CMDLINE CPUS CPU_MODEL DISK DISKBUS EMU FIRMWARE GUEST HOST_CPUS HOST_MEM ICOUNT \
    INITRD INSTALL LOG MANIFEST MEM NET SCREEN TIMEOUT V
RUN_GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(filter-out $(RUN_KNOWS),$(RUN_GIVEN)),$(error $(name): 'make run' has no such variable; it has \
    $(RUN_KNOWS)))
-load build/make_exit.so(make_exit_gmk_setup)
endif
# Whole or not there: another `make run` may load it meanwhile.
build/make_exit.so: tests/lib/make_exit.c
	@mkdir -p build
	$(Q)$(HOSTCC) -shared -fPIC -O1 -Wall -Wextra -Werror -o $@.$$$$ $< && mv $@.$$$$ $@

RUN_STATUS := build/run.status.$(shell echo $$PPID)
run: run-now
	@$(exit $(shell cat $(RUN_STATUS); rm -f $(RUN_STATUS)))

run-now: all $(RUN_IMAGES) build/make_exit.so
	@mkdir -p build
	@tests/lib/run.py $(RUN_ARGS); echo $$? >$(RUN_STATUS)

debug: all $(RUN_IMAGES)
	@tests/lib/run.py $(RUN_ARGS) --debug

iso: build/bulkhead.iso
build/bulkhead.iso: all $(RUN_IMAGES)
	$(call say,ISO,$@)
	$(Q)tests/lib/run.py $(RUN_ARGS) --dry --dir=build/iso >/dev/null
	$(Q)tests/lib/mkiso.sh $@ $(KERNEL) build/iso/boot.img $(CMDLINE)

# ---- Unit tests ----------------------------------------------------------------------------------
# tests/unit/test_X.c says in its first lines what it is linked with:
#   // sources: kernel/core/x.c kernel/core/y.c     (.c or .a; built when make knows how)
#   // flags: -Wno-conversion -lfdt                 (optional; for the test itself and what it includes)
# A source is compiled once for all tests. Linked out of the way of a monitor's fixed addresses
# (bulkhead/monitor.h), which some of them map.
UNIT_INCLUDES := -D_GNU_SOURCE -I. -Ikernel/include -Ivmm/include -Ikernel -Iiommu \
    $(addprefix -iquote ,vmm/rt vmm/monitor vmm/monitor/dev vmm/root vmm/display policy/manifest) \
    -isystem build/third-party/zydis/include
UNIT_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wconversion -Wshadow -Wno-unused-parameter \
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -fno-pie -MMD -MP \
    $(UNIT_INCLUDES)
UNIT_LDFLAGS := -no-pie -Wl,-Ttext-segment=0x10000000
UNIT_TESTS := $(patsubst tests/unit/%.c,build/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_OBJECTS := build/tests/unit/objects

# $(call unit_says,KEYWORD,FILE)
unit_says = $(shell sed -n '1,12s|^// $(1):||p' $(2))
define unit_rule
$(1)_SOURCES := $$(call unit_says,sources,tests/unit/$(1).c)
build/tests/unit/$(1): tests/unit/$(1).c $$(patsubst %.c,$(UNIT_OBJECTS)/%.o,$$($(1)_SOURCES)) tests/tests.mk
	$$(call say,HOSTCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(HOSTCC) $$(UNIT_CFLAGS) $$(filter-out -l%,$$(call unit_says,flags,$$<)) -MT $$@ -MF $$@.d $$(UNIT_LDFLAGS) \
	    -o $$@ $$< $$(filter %.o %.a,$$^) $$(filter -l%,$$(call unit_says,flags,$$<)) -lcmocka
$$(patsubst %.c,$(UNIT_OBJECTS)/%.o,$$(filter %.c,$$($(1)_SOURCES))): | $$(filter %.a,$$($(1)_SOURCES))
endef
$(UNIT_OBJECTS)/%.o: %.c tests/tests.mk
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(UNIT_CFLAGS) -c -o $@ $<
ifneq ($(filter-out clean help run debug loc,$(GOALS)),)
$(foreach test,$(notdir $(UNIT_TESTS)),$(eval $(call unit_rule,$(test))))
-include $(UNIT_TESTS:%=%.d) $(shell find $(UNIT_OBJECTS) -name '*.d' 2>/dev/null)
endif

.PHONY: test test-full test-unit test-programs check-format loc
test-programs: all guests $(UNIT_TESTS)

# ONLY=text runs the tests with that text in their name; JOBS at a time.
JOBS ?= 2
RUNNER := tests/lib/runner.py --jobs=$(JOBS) --only='$(ONLY)'
test: test-programs
	@$(RUNNER) $(UNIT_TESTS)
test-full: test-programs
	@$(RUNNER) --full $(UNIT_TESTS)
test-unit: $(UNIT_TESTS)
	@$(RUNNER) --no-system $(UNIT_TESTS)

# ---- Checks of the text --------------------------------------------------------------------------
check-format:
	@tests/lib/check-format.sh

loc:
	@tests/lib/loc.sh
