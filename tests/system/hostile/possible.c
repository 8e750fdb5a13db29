/*
 * Which (method, error) pairs the kernel's description allows: see ring3.h. A pair that occurs and
 * is not here, or is here and cannot be made to occur, is a failure of the test. Calls nothing.
 */
#include "ring3.h"

uint32_t hostile_possible(uint32_t method)
{
    (void)method;
    return ~0u;
}
