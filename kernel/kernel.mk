# The kernel image: build/kernel/bulkhead.elf, every .c and .S file of kernel/ and iommu/.
# Linked twice: the second time with a table of its own function names, for backtraces.
# DEFS=-D... adds test-only switches (deliberately broken kernels); they are never set by default.

KERNEL := build/kernel/bulkhead.elf
KERNEL_SOURCES := $(sort $(shell find $(wildcard kernel iommu) -name '*.c' -o -name '*.S'))
KERNEL_LDS := kernel/arch/x86/kernel.lds

KERNEL_CFLAGS = $(FREESTANDING) -mcmodel=kernel -mno-red-zone -fno-jump-tables \
    -Ikernel/include -Ikernel -Iiommu $(KERNEL_RETPOLINE) $(DEFS)
# Indirect branches of ring 0 go through thunks that cannot be steered by a guest's branch history.
ifeq ($(COMPILER),clang)
KERNEL_RETPOLINE := -mretpoline
else
KERNEL_RETPOLINE := -mindirect-branch=thunk-inline -mindirect-branch-register
endif

KERNEL_OBJECTS := $(patsubst %,build/kernel/obj/%.o,$(basename $(KERNEL_SOURCES)))
ifneq ($(words $(KERNEL_OBJECTS)),$(words $(sort $(KERNEL_OBJECTS))))
$(error kernel: a .c and a .S file share a name)
endif

build/kernel/obj/%.o: %.c build/.toolchain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -MMD -MP -c -o $@ $<

build/kernel/obj/%.o: %.S build/.toolchain
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -D__ASSEMBLY__ -MMD -MP -c -o $@ $<

# The linker script may use the preprocessor and the kernel's headers.
build/kernel/kernel.lds: $(KERNEL_LDS) build/.toolchain
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -D__ASSEMBLY__ -E -P -x assembler-with-cpp -MMD -MP -MT $@ -o $@ $<

KERNEL_LINK = $(CC) $(FREESTANDING_LDFLAGS) -mcmodel=kernel -Wl,-T,build/kernel/kernel.lds

# Pass 1: empty table. Only the table's size differs in pass 2, and the linker script places it
# behind all text, so function addresses must come out the same; that is checked, not assumed.
build/kernel/ksyms-empty.S: tests/lib/ksyms.py
	@mkdir -p $(@D)
	$(Q)$(PYTHON) tests/lib/ksyms.py --empty $@

build/kernel/pass1.elf: $(KERNEL_OBJECTS) build/kernel/ksyms-empty.o build/kernel/kernel.lds
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) -o $@ $(KERNEL_OBJECTS) build/kernel/ksyms-empty.o

build/kernel/ksyms.S: build/kernel/pass1.elf tests/lib/ksyms.py
	$(Q)$(NM) -n $< >build/kernel/pass1.nm
	$(Q)$(PYTHON) tests/lib/ksyms.py build/kernel/pass1.nm $@

build/kernel/ksyms%.o: build/kernel/ksyms%.S
	$(Q)$(CC) $(KERNEL_CFLAGS) -c -o $@ $<

build/kernel/ksyms.o: build/kernel/ksyms.S
	$(Q)$(CC) $(KERNEL_CFLAGS) -c -o $@ $<

$(KERNEL): build/kernel/pass1.elf build/kernel/ksyms.o
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) -o $@ $(KERNEL_OBJECTS) build/kernel/ksyms.o
	$(Q)$(NM) -n $@ >build/kernel/bulkhead.nm
	$(Q)$(PYTHON) tests/lib/ksyms.py --same build/kernel/pass1.nm build/kernel/bulkhead.nm

# Without sources there is nothing to link.
ifeq ($(wildcard $(KERNEL_LDS)),)
KERNEL :=
endif
ALL_TARGETS += $(KERNEL)
