/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frees what was only shown to it. */
#define OWN_SET_QUEUE_BYTES
#include "forward.h"

int libsoccr_set_queue_bytes(struct libsoccr_sk *sk, int queue_id, char *bytes, unsigned flags)
{
	return FORWARD(libsoccr_set_queue_bytes)(sk, queue_id, bytes, flags | SOCCR_MEM_EXCL);
}
