/* The shipped invariant checker. */
#ifndef OBJECT_CHECK_H
#define OBJECT_CHECK_H
#include <stdint.h>
/** Walk the derivation tree and every object. Kernel lock held. @return number of broken invariants; each is audited */
uint64_t check_all(void);
#endif
