# The scheduler's simulation: kernel sources compiled for the host (docs/MODELS.md). Goal sched-sim
# runs a million periods; the case models.scheduler runs fewer.
SIM_OUT := build/tests/sim
SIM_KERNEL := object/sched object/ntfn object/thread object/ipc core/sched_math core/cdt core/cnode \
    core/epoch core/cap core/heap
# Sources whose basic blocks a decision's cost counts.
SIM_COUNTED := object/sched object/ntfn core/sched_math core/heap
SIM_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-dangling-else \
    -fno-strict-aliasing -I$(SIM_OUT)/gen -Ikernel/core -Ikernel/include -Ikernel
SIM_OBJECTS := $(patsubst %,$(SIM_OUT)/obj/%.o,$(SIM_KERNEL))
SIM_HEADERS := $(wildcard kernel/*/*.h kernel/arch/x86/*.h kernel/include/bulkhead/*.h tests/sim/*.h)

# The kernel has handles for 256 contexts a CPU; the cost is looked at with 1,000. Nothing else of
# the heap is changed.
$(SIM_OUT)/gen/core/heap%: kernel/core/heap%
	@mkdir -p $(@D)
	@sed 's/^\(#define HEAP_MAX  *\)256u$$/\11024u/' $< >$@
	@[ $@ != $(SIM_OUT)/gen/core/heap.h ] || grep -q '^#define HEAP_MAX *1024u$$' $@

SIM_GEN := $(SIM_OUT)/gen/core/heap.h $(SIM_OUT)/gen/core/heap.c

$(SIM_OUT)/obj/%.o: kernel/%.c $(SIM_HEADERS) $(SIM_GEN) tests/sim/sim.mk
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(SIM_CFLAGS) $(if $(filter $*,$(SIM_COUNTED)),-fsanitize-coverage=trace-pc) \
	    -include tests/sim/host.h -c -o $@ $(if $(filter core/heap,$*),$(SIM_OUT)/gen/core/heap.c,$<)

$(SIM_OUT)/sched_sim: tests/sim/sched_sim.c $(SIM_OBJECTS) $(SIM_HEADERS) $(SIM_GEN)
	$(call say,HOSTCC,$<)
	$(Q)$(HOSTCC) $(SIM_CFLAGS) -o $@ $< $(SIM_OBJECTS)

.PHONY: sched-sim
sched-sim: $(SIM_OUT)/sched_sim
	@$< 1000000 1
test-programs: $(SIM_OUT)/sched_sim
