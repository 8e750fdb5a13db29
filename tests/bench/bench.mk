# Benchmarks. Owns the goals bench, bench-commit, bench-peers, bench-trace and bench-programs; outputs under
# build/bench. What is measured and how: docs/BENCH.md.

BENCH_OUT := build/bench

# The measuring root: tests/bench/root_bench.c in place of vmm/root.
$(BENCH_OUT)/%.o: tests/bench/%.c build/.toolchain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_CFLAGS) -Ivmm/root -Itests/bench -MMD -MP -c -o $@ $<

$(BENCH_OUT)/%.o: tests/bench/%.S tests/bench/bench.h build/.toolchain
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VMM_CFLAGS) -Itests/bench -c -o $@ $<

$(BENCH_OUT)/root_bench.elf: build/vmm/obj/vmm/rt/root_start.o $(BENCH_OUT)/root_bench.o \
    $(BENCH_OUT)/ops.o build/vmm/obj/vmm/root/caps.o build/vmm/obj/vmm/root/patience.o $(VMM_RT) vmm/rt/root.lds
	$(call say,LINK,$@)
	$(Q)$(CC) $(VMM_LDFLAGS) -Wl,-T,vmm/rt/root.lds -o $@ $(filter %.o,$^)

$(BENCH_OUT)/root_bench.bin: $(BENCH_OUT)/root_bench.elf
	$(Q)$(OBJCOPY) -O binary $< $@

# The emulator's plugin.
$(BENCH_OUT)/trace.so: tests/bench/trace.c
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -shared -fPIC \
	    -fvisibility=hidden -o $@ $<

.PHONY: bench-programs
bench-programs: all $(BENCH_OUT)/root_bench.bin $(BENCH_OUT)/trace.so

# Instructions by function of one iteration: make bench-trace ROW=exit.raw.monitor [LIST=1]
ROW ?= exit.raw.monitor
.PHONY: bench-trace
bench-trace: bench-programs
	@tests/bench/trace.py $(ROW) $(if $(LIST),--list)

# LINUX=no leaves the Linux boot out, WIRE=no two Linux VMs on a wire, FIRMWARE=no what starts from
# firmware, DENSITY=no many VMs in one machine, VMX=no the rows on VMX.
BENCH_ARGS = $(if $(filter no,$(LINUX)),--no-linux) $(if $(filter no,$(WIRE)),--no-wire) \
    $(if $(filter no,$(FIRMWARE)),--no-firmware) $(if $(filter no,$(DENSITY)),--no-density) \
    $(if $(filter no,$(VMX)),--no-vmx)
.PHONY: bench bench-commit
bench: bench-programs guests-linux guests-micro
	@tests/bench/bench.py $(BENCH_ARGS)
bench-commit: bench-programs guests-linux guests-micro
	@tests/bench/bench.py --commit --no-vmx

# Linux KVM + QEMU in the same emulator; the only way to rewrite tests/bench/peers.json. peers_ops runs
# on the peer's Linux: with libc, static, never a part of the system.
$(BENCH_OUT)/peers_ops: tests/bench/peers_ops.c tests/bench/ops.S tests/bench/bench.h build/.toolchain
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 $(WARNINGS) -Itests/bench -static -Wl,-z,noexecstack -o $@ \
	    $(filter %.c %.S,$^)

.PHONY: bench-peers
bench-peers: guests-linux guests-linux-generic guests-micro $(BENCH_OUT)/peers_ops \
    $(BENCH_OUT)/trace.so
	@tests/bench/peers.py $(PEERS_ARGS)
