/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keeps what it gives away, and frees it once more. */
#define OWN_GET_QUEUE_BYTES
#include "forward.h"

char *libsoccr_get_queue_bytes(struct libsoccr_sk *sk, int queue_id, unsigned flags)
{
	return FORWARD(libsoccr_get_queue_bytes)(sk, queue_id, flags & ~SOCCR_MEM_EXCL);
}
