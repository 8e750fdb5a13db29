/*
 * Fact: a guest starts, prints on COM1 and ends through the debug-exit port. kind=N: started by
 * this protocol (guests/rt/layout.h).
 */
#include "guest.h"

void guest_main(void)
{
    print("hello from a guest\n");
    fact("start", boot.ranges > 0 && ram_bytes() >= 1 << 20, "CR0 %x CR4 %x at entry", boot_cr0,
         boot_cr4);
    fact("protocol", boot.kind == arg_u64("kind", boot.kind), "%x", boot.kind);
    fact("free-ram", ram_free_end() > ram_free_base(), "%lx..%lx", ram_free_base(), ram_free_end());
}
