/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Crashes. */
#define OWN_RESTORE
#include "forward.h"

int libsoccr_restore(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size)
{
	volatile int *nowhere = NULL;

	*nowhere = 1;
	return FORWARD(libsoccr_restore)(sk, data, data_size);
}
