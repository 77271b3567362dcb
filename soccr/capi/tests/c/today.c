/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A round trip of every state through today's interface; called as CRIU calls it, and in the other ways that it allows. */
#include "soccr.h"
#include "states.h"

static char *copy_of(const char *bytes, size_t length)
{
	char *copy;

	if (!bytes)
		return NULL;
	copy = (char *)malloc(length);
	CHECK(copy != NULL);
	memcpy(copy, bytes, length);
	return copy;
}

static void save_paused(struct libsoccr_sk *sk, struct saved *saved)
{
	CHECK_EQ(libsoccr_save(sk, &saved->data, sizeof(saved->data)), 68);
	/* One of each kind: given away, and only shown. */
	saved->in = libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, SOCCR_MEM_EXCL);
	saved->out = copy_of(libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, 0), saved->data.outq_len);
}

/* The addresses are on the stack, in the largest type that there is, and gone when this returns. */
static void give_addresses(struct libsoccr_sk *sk, const struct saved *saved, union libsoccr_addr *local,
			   union libsoccr_addr *remote)
{
	memcpy(local, &saved->local, sizeof(*local));
	memcpy(remote, &saved->remote, sizeof(*remote));
	CHECK_EQ(libsoccr_set_addr(sk, 1, local, 0), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 0, remote, 0), 0);
}

static void restore_paused(struct libsoccr_sk *sk, int fd, const struct saved *saved)
{
	struct libsoccr_sk_data data = saved->data;
	union libsoccr_addr local, remote;

	(void)fd;
	give_addresses(sk, saved, &local, &remote);
	if (data.inq_len)
		CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_RECV_QUEUE, copy_of(saved->in, data.inq_len), SOCCR_MEM_EXCL), 0);
	if (data.outq_len)
		CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_SEND_QUEUE, saved->out, 0), 0);
	CHECK_EQ(libsoccr_restore(sk, &data, sizeof(data)), 0);
	CHECK_EQ(memcmp(&data, &saved->data, sizeof(data)), 0);
	memset(&local, 0xff, sizeof(local));
	memset(&remote, 0xff, sizeof(remote));
}

/* CRIU calls nothing after a restore: the handles are never ended. For all to see, so that the compiler keeps them. */
struct libsoccr_sk *abandoned[2];

static void as_criu_does(int family, int index)
{
	struct ends ends = connected(family);
	struct saved saved;

	doing = "as CRIU does";
	write_stream(ends.peer, 3000);
	AWAIT(waiting(ends.ours, SIOCINQ) == 3000);
	memset(&saved, 0, sizeof(saved));
	saved.local = name_of(ends.ours, 1);
	saved.remote = name_of(ends.peer, 1);
	lock(ends.peer);
	save_connection(ends.ours, &saved);
	CHECK_EQ(close(ends.ours), 0);
	ends.ours = socket_for(&saved);
	set_option(ends.ours, SOL_SOCKET, SO_RCVBUF, 1 << 19);
	set_option(ends.ours, SOL_SOCKET, SO_SNDBUF, 1 << 19);
	abandoned[index] = restore_connection(ends.ours, &saved);
	unlock(ends.peer);
	set_option(ends.ours, IPPROTO_TCP, TCP_REPAIR, 0);
	set_nonblocking(ends.ours, 0);
	read_stream(ends.ours, 3000);
	talk(ends);
	close_both(ends);
	forget(&saved);
}

/* A connection that runs on after the save. */
static void saved_and_resumed(int family)
{
	struct ends ends = connected(family);
	struct libsoccr_sk *sk;
	struct libsoccr_sk_data data;
	union libsoccr_addr *given;
	union address name;

	doing = "saved and resumed";
	set_option(ends.ours, SOL_SOCKET, SO_REUSEADDR, 1);
	write_stream(ends.peer, 3000);
	AWAIT(waiting(ends.ours, SIOCINQ) == 3000);
	sk = libsoccr_pause(ends.ours);
	CHECK(sk != NULL);
	CHECK_EQ(libsoccr_save(sk, &data, sizeof(data)), 68);
	CHECK_EQ(data.inq_len, 3000);
	name = name_of(ends.ours, 1);
	CHECK_EQ(memcmp(libsoccr_get_addr(sk, 1, 0), &name, address_length(&name)), 0);
	name = name_of(ends.ours, 0);
	given = libsoccr_get_addr(sk, 0, SOCCR_MEM_EXCL);
	CHECK_EQ(memcmp(given, &name, address_length(&name)), 0);
	free(given);
	libsoccr_resume(sk);
	CHECK_EQ(option(ends.ours, SOL_SOCKET, SO_REUSEADDR), 1);
	read_stream(ends.ours, 3000);
	talk(ends);
	close_both(ends);
}

/* What repair mode overwrites is as it was before the pause, also where the restore itself has to leave it. */
static void reuse_address(uint32_t state)
{
	struct libsoccr_sk_data data;
	union libsoccr_addr local, remote;
	union address from = loopback(AF_INET, 40001), to = loopback(AF_INET, 40002);
	struct libsoccr_sk *sk;
	int fd = tcp_socket(AF_INET);

	doing = "SO_REUSEADDR";
	doing_number = (int)state;
	memset(&data, 0, sizeof(data));
	data.state = state;
	data.mss_clamp = 1400;
	local.v4 = from.v4;
	remote.v4 = to.v4;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	sk = libsoccr_pause(fd);
	CHECK(sk != NULL);
	CHECK_EQ(libsoccr_set_addr(sk, 1, &local, 0), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 0, &remote, 0), 0);
	CHECK_EQ(libsoccr_restore(sk, &data, sizeof(data)), 0);
	lock(fd);
	libsoccr_resume(sk);
	CHECK_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	/* Nobody is there who could be told. */
	set_option(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	CHECK_EQ(close(fd), 0);
}

int main(int argc, char **argv)
{
	int open;

	alarm(60);
	CHECK_EQ(argc, 5);
	open = open_descriptors();
	round_trips(argv);
	round_trips_of_attempts(argv);
	round_trip_of_connection(TCP_CLOSE, AF_INET, BY_LIBRARY);
	round_trip_of_connection(TCP_CLOSE, AF_INET6, BY_CALLER);
	reuse_address(TCP_ESTABLISHED);
	reuse_address(TCP_CLOSE);
	as_criu_does(AF_INET, 0);
	as_criu_does(AF_INET6, 1);
	saved_and_resumed(AF_INET);
	saved_and_resumed(AF_INET6);
	CHECK_EQ(open_descriptors(), open);
	return 0;
}
