/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Without a defect. */
#include "forward.h"
