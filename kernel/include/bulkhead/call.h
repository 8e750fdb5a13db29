/*
 * System calls and invocations: the one description of the ABI. The kernel's dispatch tables, the
 * user stubs (vmm/rt) and the table in docs/KERNEL-API.md all come from the lists below.
 *
 * Registers (SYSCALL; AMD APM vol. 2, 6.1.1; Intel SDM vol. 2B "SYSCALL"):
 *   in:  rax = call number, rdi, rsi, rdx, r10, r8, r9 = arguments 0..5
 *   out: rax = bh_err (or exit reason), rdx = value; IPC words as told at the call.
 *   Every call may clobber ALL registers except rsp (rbx, rbp, r12-r15 included): what a caller
 *   wants to keep it saves, so that the kernel never saves what nobody needs. RFLAGS comes back
 * 0x202. Threads own no x87/SSE/AVX state: such an instruction faults (CR0.TS is set in ring 3).
 * User half: addresses 2 MiB to 512 GiB - 4 KiB; the first 2 MiB belong to the kernel.
 */
#ifndef BULKHEAD_CALL_H
#define BULKHEAD_CALL_H

#define BH_ABI_VERSION 1u
#define BH_FOREVER     (~0ull) /* deadline: none. Deadlines are absolute host TSC values. */

/*
 * Calls.   X(number, name)
 *   version()                                 -> value = BH_ABI_VERSION; the null call
 *   invoke(cap, method, a0, a1, a2, a3)       -> err, value
 *   call(ep, w0, w1, w2, w3, deadline)        -> err; reply words in rsi, rdx, r10, r8
 *   reply_wait(ep, w0, w1, w2, w3, deadline)  -> err; rdi = badge of the next caller, words as
 * above send(ep, w0, w1, w2, w3, deadline)        -> err receive(ep, deadline) -> err; rdi = badge,
 * words as above signal(ntfn)                              -> err; ORs the capability's badge into
 * the word wait(ntfn, deadline)                      -> err; value = bits taken poll(ntfn) -> err;
 * value = bits taken (0: none) yield()                                   -> err vcpu_run(deadline,
 * flags)                 -> rax = bh_exit or -bh_err; see vcpu.h
 */
#define BH_CALLS(X)                                                                                \
    X(0, version)                                                                                  \
    X(1, invoke)                                                                                   \
    X(2, call)                                                                                     \
    X(3, reply_wait)                                                                               \
    X(4, send)                                                                                     \
    X(5, receive)                                                                                  \
    X(6, signal)                                                                                   \
    X(7, wait)                                                                                     \
    X(8, poll)                                                                                     \
    X(9, yield)                                                                                    \
    X(10, vcpu_run)

enum bh_call {
#define BH_CALL_ENUM(n, name) BH_SYS_##name = (n),
    BH_CALLS(BH_CALL_ENUM)
#undef BH_CALL_ENUM
        BH_NCALLS = 11
};

/*
 * Invocations.   X(type, method number, name, a0, a1, a2, a3)     unused arguments are called _N.
 * cap is argument 0 of invoke. "slot" arguments that name a capability are indexes into the
 * invoking thread's own CNode; "dst" arguments are (dst_cnode capability, slot in it).
 */
#define BH_INVOCATIONS(X)                                                                          \
    /* Untyped (both kinds). desc = type | size_bits << 8 | cpu << 16 (see BH_DESC); size means    \
       CNode: log2 slots; else 0. count objects go to slots dst_slot, dst_slot+1, ... For Frame    \
       and FrameUntyped from a FrameUntyped: one object of `count` pages with desc.size_bits =     \
       log2 of its alignment in pages. KernelUntyped, HostSpace, GuestSpace from KernelUntyped:    \
       one object of `count` pages. */                                                             \
    X(UNTYPED, 0, untyped_retype, desc, count, dst_cnode, dst_slot)                                \
    /* Clean what deleted children left dirty; PREEMPTED until done. Needs: no children, epochs.   \
     */                                                                                            \
    X(UNTYPED, 1, untyped_scrub, _0, _1, _2, _3)                                                   \
    /* value = bytes left above the watermark */                                                   \
    X(UNTYPED, 2, untyped_left, _0, _1, _2, _3)                                                    \
    /* Take the extent of `pages` at `offset_pages` out as a child Frame; none attached. */        \
    X(FRAME, 0, frame_carve, offset_pages, pages, dst_cnode, dst_slot)                             \
    /* Derive the authority to map this Frame into a space. rights_mask: BH_RIGHT_READ|WRITE|EXEC  \
     */                                                                                            \
    X(FRAME, 1, frame_attach, space, rights_mask, dst_cnode, dst_slot)                             \
    /* value = pages << 12 (bytes) */                                                              \
    X(FRAME, 2, frame_size, _0, _1, _2, _3)                                                        \
    /* Map `pages` (<= BH_MAP_MAX_PAGES; more: PREEMPTED, value = pages done) from the Frame's     \
       offset at va / guest-physical address; off_flags = offset in pages << 12 | bh_map_flags.    \
       2 MiB and 1 GiB entries are used where alignment allows. */                                 \
    X(ATTACH, 0, attach_map, va, off_flags, pages, _3)                                             \
    /* Clear the entries in [va, va + pages) that point into the Frame. */                         \
    X(ATTACH, 1, attach_unmap, va, pages, _2, _3)                                                  \
    X(IOPORTS, 0, ioports_in, port, width_bytes, _2, _3)                                           \
    X(IOPORTS, 1, ioports_out, port, width_bytes, data, _3)                                        \
    X(IOPORTS, 2, ioports_derive, first, count, dst_cnode, dst_slot)                               \
    /* CNode: the capability invoked is the destination (copy, mint, move). rights_badge: see      \
       BH_MINT. src_slot indexes the invoker's own CNode for copy/mint/move. */                    \
    X(CNODE, 0, cnode_copy, dst_slot, src_slot, rights, _3)                                        \
    X(CNODE, 1, cnode_mint, dst_slot, src_slot, rights, badge)                                     \
    X(CNODE, 2, cnode_move, dst_slot, src_slot, _2, _3)                                            \
    X(CNODE, 3, cnode_delete, at_slot, _1, _2, _3)                                                 \
    X(CNODE, 4, cnode_revoke, at_slot, _1, _2, _3)                                                 \
    /* value = type | rights << 8 (0: empty slot) */                                               \
    X(CNODE, 5, cnode_type, at_slot, _1, _2, _3)                                                   \
    /* Thread: fixed to the CPU it was retyped for. */                                             \
    X(THREAD, 0, thread_bind, cnode, hostspace, _2, _3)                                            \
    X(THREAD, 1, thread_set_sc, sc, _1, _2, _3)                                                    \
    /* Signalled when the thread faults; the thread is then stopped. */                            \
    X(THREAD, 2, thread_set_fault_ntfn, ntfn, _1, _2, _3)                                          \
    X(THREAD, 3, thread_start, rip, rsp, arg, _3)                                                  \
    X(THREAD, 4, thread_stop, _0, _1, _2, _3)                                                      \
    /* value = bh_thread_state | fault vector << 8 | error code << 16 */                           \
    X(THREAD, 5, thread_status, _0, _1, _2, _3)                                                    \
    X(THREAD, 6, thread_fault_rip, _0, _1, _2, _3)                                                 \
    X(THREAD, 7, thread_fault_addr, _0, _1, _2, _3)                                                \
    /* SchedContext: floor, ceiling in TSC ticks of a period in TSC ticks; weight 1..65536. */     \
    X(SC, 0, sc_configure, floor, ceiling, period, weight)                                         \
    /* value = TSC ticks consumed since creation */                                                \
    X(SC, 1, sc_consumed, _0, _1, _2, _3)                                                          \
    X(HOSTSPACE, 0, hostspace_tables_left, _0, _1, _2, _3)                                         \
    X(GUESTSPACE, 0, guestspace_tables_left, _0, _1, _2, _3)                                       \
    /* VCpu: bind to the thread that runs it, its guest space, the notification that interrupts    \
       it, and map its page at page_va in the thread's HostSpace. */                               \
    X(VCPU, 0, vcpu_bind, thread, guestspace, ntfn, page_va)                                       \
    /* index 0..BH_DOORBELLS-1; match = port | width_bytes << 16 | use_value << 24 | value << 32;  \
       the notification (WRITE, GRANT) is signalled with the capability's badge. 0 removes it. */  \
    X(VCPU, 1, vcpu_doorbell, index, match, ntfn, _3)                                              \
    /* For exit reason `reason` transfer group bh_exit_group. */                                   \
    X(VCPU, 2, vcpu_want, reason, group, _2, _3)                                                   \
    /* Copy state groups (bh_state_group mask) into the page now. Own stopped vCPU only. */        \
    X(VCPU, 3, vcpu_read, groups, _1, _2, _3)                                                      \
    X(VCPU, 4, vcpu_exits, reason, _1, _2, _3)                                                     \
    /* Unbind from the thread (stopped), e.g. to bind it on another CPU. */                        \
    X(VCPU, 5, vcpu_unbind, _0, _1, _2, _3)                                                        \
    X(IRQ, 0, irq_derive, line, dst_cnode, dst_slot, _3)                                           \
    X(IRQ, 1, irq_bind, ntfn, _1, _2, _3)                                                          \
    X(IRQ, 2, irq_unmask, _0, _1, _2, _3)                                                          \
    /* Kernel control (root). */                                                                   \
    X(KERNEL, 0, kernel_putc, byte, _1, _2, _3)                                                    \
    /* Walk all objects; value = number of broken invariants, first one is logged. */              \
    X(KERNEL, 1, kernel_check, _0, _1, _2, _3)                                                     \
    X(KERNEL, 2, kernel_audit_consumed, count, _1, _2, _3)                                         \
    /* Which statistic: bh_stat; cpu index. */                                                     \
    X(KERNEL, 3, kernel_stat, which, cpu, _2, _3)

/* One enumerator per method: BH_M_untyped_retype = 0, ... */
enum bh_method {
#define BH_METHOD_ENUM(type, n, name, a, b, c, d) BH_M_##name = (n),
    BH_INVOCATIONS(BH_METHOD_ENUM)
#undef BH_METHOD_ENUM
        BH_METHODS_MAX = 8 /* methods of any type, at most */
};

#define BH_DESC(type, size_bits, cpu)                                                              \
    ((unsigned long)(type) | (unsigned long)(size_bits) << 8 | (unsigned long)(cpu) << 16)

/** Flags of attach_map, in the low 12 bits of off_flags. */
#define BH_MAP_READ      1u
#define BH_MAP_WRITE     2u
#define BH_MAP_EXEC      4u
#define BH_MAP_UC        8u     /* uncacheable; else write-back */
#define BH_MAP_MAX_PAGES 65536u /* 4 KiB pages per call; large entries make one step */

enum bh_thread_state {
    BH_THREAD_STOPPED = 0,
    BH_THREAD_READY = 1, /* running or waiting for CPU time */
    BH_THREAD_BLOCKED = 2,
    BH_THREAD_FAULTED = 3,
    BH_THREAD_NO_SC = 4, /* ready, but it has no scheduling context */
};

enum bh_stat {
    BH_STAT_IDLE_TICKS = 0,
    BH_STAT_IRQS = 1,
    BH_STAT_IPIS = 2,
    BH_STAT_SWITCHES = 3,
    BH_STAT_FLUSHES = 4
};

#endif
