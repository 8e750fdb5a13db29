/* Message passing: what other objects need of it. */
#ifndef OBJECT_IPC_H
#define OBJECT_IPC_H
#include "object/objects.h"
/** Wake the caller that waits for @t's reply with BH_ERR_ABORTED; its context goes back. */
void ipc_abort_caller(struct thread *t);
#endif
