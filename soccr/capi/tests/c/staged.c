/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A round trip of every state through the staged interface. staged-old.c compiles it against the old header. */
#ifndef OLD_HEADER
#include "soccr-staged.h"
#endif
#include "states.h"

static void save_paused(struct libsoccr_sk *sk, struct saved *saved)
{
	char *shown;

	CHECK_EQ(libsoccr_get_sk_data(sk, &saved->data, sizeof(saved->data)), 68);
	shown = libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 0);
	CHECK((shown != NULL) == (saved->data.inq_len != 0));
	saved->in = libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 1);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 1) == NULL);
	saved->out = libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, 1);
}

static void restore_paused(struct libsoccr_sk *sk, int fd, const struct saved *saved)
{
	struct libsoccr_sk_data data = saved->data;
	int attempt = data.state == TCP_SYN_SENT;

	CHECK_EQ(libsoccr_set_sk_data_unbound(sk, &data, sizeof(data)), 0);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), !attempt);
	CHECK_EQ(bind(fd, &saved->local.sa, address_length(&saved->local)), 0);
	CHECK_EQ(connect(fd, &saved->remote.sa, address_length(&saved->remote)), attempt ? -1 : 0);
	CHECK(!attempt || errno == EINPROGRESS);
	CHECK_EQ(libsoccr_set_sk_data_noq(sk, &data, sizeof(data)), 0);
	if (data.inq_len)
		CHECK_EQ(libsoccr_set_queue_bytes(sk, &data, sizeof(data), TCP_RECV_QUEUE, saved->in), 0);
	if (data.outq_len)
		CHECK_EQ(libsoccr_set_queue_bytes(sk, &data, sizeof(data), TCP_SEND_QUEUE, saved->out), 0);
	CHECK_EQ(libsoccr_set_sk_data(sk, &data, sizeof(data)), 0);
	CHECK_EQ(memcmp(&data, &saved->data, sizeof(data)), 0);
}

static void over_is_refused(void)
{
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk *sk;
	struct saved saved;
	int fd;

	doing = "a connection that is over";
	bring_into(ends, TCP_CLOSE);
	save_connection(ends.ours, &saved);
	CHECK_EQ(saved.data.state, TCP_CLOSE);
	fd = tcp_socket(AF_INET);
	sk = paused(fd);
	CHECK_FAILS(libsoccr_set_sk_data_unbound(sk, &saved.data, sizeof(saved.data)), -1, EOPNOTSUPP);
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);
	forget(&saved);
	close_both(ends);
}

int main(int argc, char **argv)
{
	int open;

	alarm(60);
	CHECK_EQ(argc, 5);
	open = open_descriptors();
	round_trips(argv);
	round_trips_of_attempts(argv);
	over_is_refused();
	CHECK_EQ(open_descriptors(), open);
	return 0;
}
