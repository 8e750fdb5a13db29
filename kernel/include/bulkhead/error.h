/*
 * Error codes of every system call. An invocation that fails has changed nothing, with three
 * exceptions. PREEMPTED: it has done a complete part of its work and is to be called again.
 * cnode_revoke with BUSY or CPU: its root is frozen, and before CPU descendants may have been
 * deleted, before BUSY moved out of a CNode. untyped_scrub with BUSY: an epoch may be charged.
 */
#ifndef BULKHEAD_ERROR_H
#define BULKHEAD_ERROR_H

enum bh_err {
    BH_OK = 0,
    BH_ERR_CAP = 1,    /* no capability in the slot, or of another type */
    BH_ERR_RIGHTS = 2, /* the capability lacks a right that the method needs */
    BH_ERR_METHOD = 3, /* the object type has no such method */
    BH_ERR_RANGE = 4,  /* an argument is out of its range or not aligned */
    BH_ERR_SLOT = 5,   /* destination slot is out of the CNode or not empty */
    BH_ERR_MEMORY = 6, /* untyped memory does not suffice */
    BH_ERR_TABLES = 7, /* page tables of the space do not suffice; value = tables missing */
    BH_ERR_BUSY = 8,   /* still referred to, attached, running, bound, or a flush is owed */
    BH_ERR_STATE = 9,  /* the object is not in a state that allows this (dirty, not bound, ...) */
    BH_ERR_CPU = 10,   /* the object lives on another CPU; value = that CPU (receiving: 0) */
    BH_ERR_PREEMPTED = 11,   /* a complete part is done: call again */
    BH_ERR_TIMEOUT = 12,     /* the deadline passed first */
    BH_ERR_MAPPED = 13,      /* something is mapped at that address already; value = pages done */
    BH_ERR_ABORTED = 14,     /* the peer went away */
    BH_ERR_UNSUPPORTED = 15, /* this machine has no such hardware */
    BH_ERR_LIMIT = 16,       /* a designed limit is reached (depth, slots of a space, CPUs) */
};

#endif
