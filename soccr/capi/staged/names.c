/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libsoccr-staged.a: the names of the staged interface that are also those of today's, for object files that were compiled
 * against the old header. Link it before -lsoccr.
 */
#define SOCCR_STAGED_API
#include "soccr.h"

char *staged_get_queue_bytes(struct libsoccr_sk *sk, int queue_id, int steal) __asm__("libsoccr_get_queue_bytes");
int staged_set_queue_bytes(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size, int queue,
			   char *buf) __asm__("libsoccr_set_queue_bytes");

char *staged_get_queue_bytes(struct libsoccr_sk *sk, int queue_id, int steal)
{
	return libsoccr_get_queue_bytes(sk, queue_id, steal);
}

int staged_set_queue_bytes(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size, int queue, char *buf)
{
	return libsoccr_set_queue_bytes(sk, data, data_size, queue, buf);
}
