/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The staged interface of libsoccr: see soccr.h. */
#ifndef SOCCR_STAGED_H
#define SOCCR_STAGED_H

#if defined(SOCCR_H) && !defined(SOCCR_STAGED_API)
#error "soccr.h was included before, for today's interface: one file of a program can use only one of the two"
#endif

#ifndef SOCCR_STAGED_API
#define SOCCR_STAGED_API
#endif
#include "soccr.h"

#endif /* SOCCR_STAGED_H */
