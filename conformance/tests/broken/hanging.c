/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Does not return. */
#define OWN_PAUSE
#include "forward.h"

#include <unistd.h>

struct libsoccr_sk *libsoccr_pause(int fd)
{
	for (;;)
		pause();
	return FORWARD(libsoccr_pause)(fd);
}
