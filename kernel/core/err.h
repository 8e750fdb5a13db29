/*
 * The error type of the core: a value of enum bh_err, never to be ignored. Includes nothing but the
 * public list of errors.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdint.h>
#include "bulkhead/error.h"

typedef uint32_t err_t; /* enum bh_err */

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
