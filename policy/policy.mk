# Policy: the manifest checker as a host tool and as an archive for root; blobs from .dts files.
# Included by the root Makefile; all outputs under build/policy.
#
#   build/policy/bhmanifest      host tool (sanitizers on: it reads files people write)
#   build/policy/libmanifest.a   freestanding, for root: manifest_load() and the libfdt it needs
#   build/policy/%.dtb           from %.dts anywhere in the tree

HOSTCC ?= gcc
DTC ?= dtc
MANIFEST_OUT := build/policy
MANIFEST_NAMES := digests manifest may may_words order report rules wires
# Of the host tool only.
MANIFEST_TOOL := bhmanifest explain graph source
MANIFEST_SRCS := $(MANIFEST_NAMES:%=policy/manifest/%.c)
MANIFEST_HDRS := $(wildcard policy/manifest/*.h)
MANIFEST_HOST_FLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wconversion -Wshadow -Wundef \
    -fsanitize=address,undefined -fno-sanitize-recover=all
# Members of Debian's libfdt.a that reading needs, made independent of thread-local storage.
LIBFDT_MEMBERS := fdt fdt_ro fdt_check
LIBFDT_ARCHIVE = $(shell $(HOSTCC) -print-file-name=libfdt.a)

include policy/mbedtls.mk

.PHONY: policy test-manifest
policy: $(MANIFEST_OUT)/bhmanifest $(MANIFEST_OUT)/libmanifest.a
ALL_TARGETS += policy

$(MANIFEST_OUT)/bhmanifest: $(MANIFEST_TOOL:%=policy/manifest/%.c) $(MANIFEST_SRCS) $(MANIFEST_HDRS) $(MBEDTLS_HOST_OBJS)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(MANIFEST_HOST_FLAGS) $(MBEDTLS_FLAGS) -o $@ $(filter %.c %.o,$^) -lfdt

$(MANIFEST_OUT)/libfdt/%.o: policy/manifest/libfdt_unguard.py
	@mkdir -p $(@D)
	$(Q)cd $(@D) && $(AR) p $(LIBFDT_ARCHIVE) $*.o >$*.guarded.o
	$(Q)/usr/bin/python3 $< $(@D)/$*.guarded.o $@

$(MANIFEST_OUT)/obj/%.o: policy/manifest/%.c $(MANIFEST_HDRS) build/.toolchain
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -c -o $@ $<

$(MANIFEST_OUT)/libmanifest.a: $(MANIFEST_NAMES:%=$(MANIFEST_OUT)/obj/%.o) \
    $(MANIFEST_OUT)/obj/support.o $(LIBFDT_MEMBERS:%=$(MANIFEST_OUT)/libfdt/%.o) $(MBEDTLS_OBJS)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $^

# dtc's advice on bus nodes and unit addresses is about hardware, which a manifest is not.
$(MANIFEST_OUT)/%.dtb: %.dts
	@mkdir -p $(@D)
	$(Q)$(DTC) -q -I dts -O dtb -o $@ $<

# Every rule with its failing and its passing example; the demonstration.
test-manifest: $(MANIFEST_OUT)/bhmanifest $(MANIFEST_OUT)/guests/demo.dtb
	tests/system/manifest/check.sh $< $(DTC) $(MANIFEST_OUT)/examples
	$< check $(MANIFEST_OUT)/guests/demo.dtb --name guests/demo.dts --cpus 1

# The decoder's library. Order does not matter: it only adds prerequisites and flags.
include vmm/monitor/zydis.mk
