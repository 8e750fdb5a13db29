# Hostile programs for ring 3, started in root's place: build/tests/hostile/NAME.bin.

build/vmm/obj/tests/system/hostile/%.o: tests/system/hostile/%.c build/.toolchain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_CFLAGS) -MMD -MP -c -o $@ $<

build/tests/hostile/ring3.elf: build/vmm/obj/vmm/rt/root_start.o \
    $(patsubst %,build/vmm/obj/tests/system/hostile/%.o,ring3 possible attacks sequences) \
    $(VMM_RT) vmm/rt/root.lds
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_LDFLAGS) -Wl,-T,vmm/rt/root.lds -o $@ $(filter %.o,$^)

build/tests/hostile/%.bin: build/tests/hostile/%.elf
	$(Q)$(OBJCOPY) -O binary $< $@

# The shipped root, with more to do around four of its functions.
build/tests/hostile/root.elf: build/vmm/obj/vmm/rt/root_start.o $(VMM_ROOT) $(VMM_RT) \
    build/vmm/obj/tests/system/hostile/root.o build/policy/libmanifest.a vmm/rt/root.lds
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_LDFLAGS) -Wl,--wrap=vm_start,--wrap=vm_check,--wrap=vm_kill,--wrap=system_end \
	    -Wl,-T,vmm/rt/root.lds -o $@ $(filter %.o %.a,$^)

# The shipped monitor with another main function in front of its own, and memory at first touch.
build/tests/hostile/monitor.elf: build/vmm/obj/vmm/rt/monitor_start.o $(VMM_MONITOR) $(VMM_RT) \
    $(patsubst %,build/vmm/obj/tests/system/hostile/%.o,monitor lazy) build/vmm/libzydis.a vmm/rt/monitor.lds
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_LDFLAGS) -Wl,--wrap=monitor_main,--wrap=boot_load,--wrap=memory_map_ram,--wrap=exit_memory \
	    -Wl,-T,vmm/rt/monitor.lds -o $@ $(filter %.o %.a,$^)

build/tests/hostile/monitor: build/tests/hostile/monitor.elf
	$(Q)$(OBJCOPY) -S $< $@

# The shipped monitor that faults where it is told to.
FAULTY := $(patsubst build/vmm/obj/%,build/tests/faulty/%,$(VMM_MONITOR) $(VMM_RT))
build/tests/faulty/%.o: %.c build/.toolchain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_CFLAGS) $(VMM_CFLAGS_$(*F)) -finstrument-functions -MMD -MP -c -o $@ $<

build/tests/faulty/monitor.elf: build/vmm/obj/vmm/rt/monitor_start.o $(FAULTY) \
    build/vmm/obj/tests/system/hostile/faulty.o build/vmm/libzydis.a vmm/rt/monitor.lds
	$(call say,LINK,$@)
	$(Q)$(CC) $(VMM_LDFLAGS) -Wl,-T,vmm/rt/monitor.lds -o $@ $(filter %.o %.a,$^)

build/tests/faulty/monitor: build/tests/faulty/monitor.elf
	$(Q)$(OBJCOPY) -S $< $@

.PHONY: hostile
hostile: build/tests/hostile/ring3.bin build/tests/hostile/root.bin build/tests/hostile/monitor \
    build/tests/faulty/monitor
test-programs: hostile
