/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Restores another segment size than the peer has offered. */
#define OWN_RESTORE
#include "forward.h"

int libsoccr_restore(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size)
{
	struct libsoccr_sk_data other = *data;

	other.mss_clamp = 536;
	return FORWARD(libsoccr_restore)(sk, &other, data_size);
}
