/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Switches repair mode off before the caller resumes: a window probe leaves the host too early. */
#define OWN_PAUSE
#define OWN_RESTORE
#include "forward.h"

static int paused = -1;

struct libsoccr_sk *libsoccr_pause(int fd)
{
	paused = fd;
	return FORWARD(libsoccr_pause)(fd);
}

int libsoccr_restore(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size)
{
	int off = 0, on = 1;
	int result = FORWARD(libsoccr_restore)(sk, data, data_size);

	if (result == 0 && (setsockopt(paused, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) ||
			    setsockopt(paused, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on))))
		return -1;
	return result;
}
