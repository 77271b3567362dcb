/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Changes what the caller has given. */
#define OWN_RESTORE
#include "forward.h"

int libsoccr_restore(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size)
{
	int result = FORWARD(libsoccr_restore)(sk, data, data_size);

	data->inq_seq -= data->inq_len;
	return result;
}
