# Zydis for the monitor: decoder only, minimal mode, freestanding. Included by policy/policy.mk.
#
#   build/vmm/libzydis.a   linked into the monitor and into the decoder's unit test

ZYDIS := build/third-party/zydis
ZYDIS_DEFINES := -DZYAN_NO_LIBC -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -DZYDIS_MINIMAL_MODE \
    -DZYDIS_DISABLE_FORMATTER -DZYDIS_DISABLE_ENCODER
ZYDIS_INCLUDES := -isystem $(ZYDIS)/include
ZYDIS_OBJS := $(patsubst %,build/vmm/zydis/%.o,Decoder DecoderData SharedData)

VMM_CFLAGS_decode := $(ZYDIS_INCLUDES) # decode.c has the defines itself

# Debian's source package, pinned by the checksum of its .dsc; `make clean` keeps it.
$(ZYDIS)/.stamp: tests/lib/fetch-source.sh
	$(Q)$< zydis 4.0.0-1 8e7b771381f70bb00d915bba8af9a4bdd716576c3ff09a1dc8b57e77beba67f7
	@touch $@

build/vmm/zydis/%.o: $(ZYDIS)/.stamp build/.toolchain
	$(call say,CC,zydis/$*.c)
	@mkdir -p $(@D)
	@# With its own memset Zydis clears 300 bytes one by one for each instruction; ours is declared in
	@# vmm/rt/string.h, and nothing else of a C library is called.
	$(Q)$(CC) $(filter-out $(WARNINGS),$(USER_CFLAGS)) -w $(filter-out -DZYAN_NO_LIBC,$(ZYDIS_DEFINES)) -DNDEBUG \
	    $(ZYDIS_INCLUDES) -I$(ZYDIS)/src -c -o $@ $(ZYDIS)/src/$*.c

build/vmm/libzydis.a: $(ZYDIS_OBJS)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $^

build/vmm/obj/vmm/monitor/decode.o: $(ZYDIS)/.stamp
build/vmm/monitor.elf: build/vmm/libzydis.a
