# The kernel image: build/kernel/bulkhead.elf, every .c and .S file of kernel/ and iommu/.
# Linked twice: the second time with a table of its own function names, for backtraces.
# DEFS=-DNAME... adds test-only switches (deliberately broken kernels), built into a directory of their own,
# from the kernel's objects as they are and, made anew, those whose source has the switch in it:
#   make kernel && make kernel KERNEL_OUT=build/broken/NAME DEFS=-DNAME

KERNEL_OUT ?= build/kernel
KERNEL := $(KERNEL_OUT)/bulkhead.elf
KERNEL_SOURCES := $(sort $(shell find $(wildcard kernel iommu) -name '*.c' -o -name '*.S'))
KERNEL_LDS := kernel/arch/x86/kernel.lds

KERNEL_CFLAGS = $(FREESTANDING) -mcmodel=kernel -mno-red-zone -fno-jump-tables \
    -Ikernel/include -Ikernel -Iiommu $(KERNEL_RETPOLINE) $(DEFS)
# Indirect branches of ring 0 go through thunks that cannot be steered by a guest's branch history.
ifeq ($(COMPILER),clang)
KERNEL_RETPOLINE := -mretpoline
else
KERNEL_RETPOLINE := -mindirect-branch=thunk-inline -mindirect-branch-register
# Low physical addresses are ordinary memory to a kernel (gcc 12 takes them for null dereferences).
KERNEL_CFLAGS += --param=min-pagesize=0
endif

# Objects name this file, so another compiler or other flags rebuild them.
$(KERNEL_OUT)/.flags: FORCE
	@$(call if_changed,$(CC_VERSION) $(KERNEL_CFLAGS))

KERNEL_OWN := $(KERNEL_SOURCES)
ifneq ($(filter -D%,$(DEFS)),)
KERNEL_OWN := $(shell grep -lw $(patsubst -D%,-e %,$(filter -D%,$(DEFS))) $(KERNEL_SOURCES))
endif
KERNEL_OBJECTS := $(KERNEL_OWN:%=$(KERNEL_OUT)/obj/%.o) \
    $(patsubst %,build/kernel/obj/%.o,$(filter-out $(KERNEL_OWN),$(KERNEL_SOURCES)))

$(KERNEL_OUT)/obj/%.c.o: %.c $(KERNEL_OUT)/.flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -MMD -MP -c -o $@ $<

$(KERNEL_OUT)/obj/%.S.o: %.S $(KERNEL_OUT)/.flags
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -D__ASSEMBLY__ -MMD -MP -c -o $@ $<

# The linker script may use the preprocessor and the kernel's headers.
$(KERNEL_OUT)/kernel.lds: $(KERNEL_LDS) $(KERNEL_OUT)/.flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -D__ASSEMBLY__ -E -P -x assembler-with-cpp -MMD -MP -MT $@ -o $@ $<

KERNEL_LINK = $(CC) $(FREESTANDING_LDFLAGS) -mcmodel=kernel -Wl,-T,$(KERNEL_OUT)/kernel.lds

# Pass 1: empty table. Only the table's size differs in pass 2, and the linker script places it
# behind all text, so function addresses must come out the same; that is checked, not assumed.
$(KERNEL_OUT)/ksyms-empty.S: tests/lib/ksyms.py
	@mkdir -p $(@D)
	$(Q)$(PYTHON) tests/lib/ksyms.py --empty $@

$(KERNEL_OUT)/pass1.elf: $(KERNEL_OBJECTS) $(KERNEL_OUT)/ksyms-empty.o $(KERNEL_OUT)/kernel.lds
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) -o $@ $(KERNEL_OBJECTS) $(KERNEL_OUT)/ksyms-empty.o

$(KERNEL_OUT)/ksyms.S: $(KERNEL_OUT)/pass1.elf tests/lib/ksyms.py
	$(Q)$(NM) -n $< >$(KERNEL_OUT)/pass1.nm
	$(Q)$(PYTHON) tests/lib/ksyms.py $(KERNEL_OUT)/pass1.nm $@

$(KERNEL_OUT)/ksyms%.o: $(KERNEL_OUT)/ksyms%.S
	$(Q)$(CC) $(KERNEL_CFLAGS) -c -o $@ $<

$(KERNEL_OUT)/ksyms.o: $(KERNEL_OUT)/ksyms.S
	$(Q)$(CC) $(KERNEL_CFLAGS) -c -o $@ $<

$(KERNEL): $(KERNEL_OUT)/pass1.elf $(KERNEL_OUT)/ksyms.o
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) -o $@ $(KERNEL_OBJECTS) $(KERNEL_OUT)/ksyms.o
	$(Q)$(NM) -n $@ >$(KERNEL_OUT)/bulkhead.nm
	$(Q)$(PYTHON) tests/lib/ksyms.py --same $(KERNEL_OUT)/pass1.nm $(KERNEL_OUT)/bulkhead.nm

# Without sources there is nothing to link.
ifeq ($(wildcard $(KERNEL_LDS)),)
KERNEL :=
endif
ALL_TARGETS += $(KERNEL)
.PHONY: kernel
kernel: $(KERNEL)
