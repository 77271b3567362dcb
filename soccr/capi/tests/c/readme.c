/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The example of README.md: a connection with something unread moves into another socket. */
#include "check.h"
#include "soccr.h"

/* The new descriptor. */
static int moved(int fd)
{
#include "readme-example.h"
	return fd;
}

int main(void)
{
	struct ends ends = connected(AF_INET);
	int open = open_descriptors();

	write_stream(ends.peer, 1000);
	ends.ours = moved(ends.ours);
	CHECK(ends.ours != -1);
	read_stream(ends.ours, 1000);
	talk(ends);
	CHECK_EQ(open_descriptors(), open);
	close_both(ends);
	return 0;
}
