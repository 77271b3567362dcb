/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A round trip of every state, for either generation of the interface. Who includes this has declared the library and says
 * how it saves and restores:
 *
 *	save_paused		saves, and takes the bytes of the queues, to be freed
 *	restore_paused		restores, up to where nothing but the resume is left
 */
#ifndef STATES_H
#define STATES_H

#include "check.h"

struct saved {
	struct libsoccr_sk_data data;
	char *in;
	char *out;
	union address local;
	union address remote;
};

static void save_paused(struct libsoccr_sk *sk, struct saved *saved);
static void restore_paused(struct libsoccr_sk *sk, int fd, const struct saved *saved);

/* Who ends the pause. */
enum resume { BY_LIBRARY, BY_CALLER };

static inline struct libsoccr_sk *paused(int fd)
{
	struct libsoccr_sk *sk = libsoccr_pause(fd);

	CHECK(sk != NULL);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), 1);
	return sk;
}

/* The socket stays paused. */
static inline void save_connection(int fd, struct saved *saved)
{
	struct libsoccr_sk *sk = paused(fd);

	save_paused(sk, saved);
	libsoccr_release(sk);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), 1);
}

static inline struct libsoccr_sk *restore_connection(int fd, const struct saved *saved)
{
	struct libsoccr_sk *sk = paused(fd);
	struct saved before = *saved;

	restore_paused(sk, fd, saved);
	CHECK_EQ(memcmp(&before, saved, sizeof(before)), 0);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), saved->data.state != TCP_CLOSE);
	return sk;
}

static inline void forget(struct saved *saved)
{
	free(saved->in);
	free(saved->out);
	memset(saved, 0, sizeof(*saved));
}

static inline int socket_for(const struct saved *saved)
{
	int fd = tcp_socket(saved->local.sa.sa_family);

	set_nonblocking(fd, 1);
	return fd;
}

static inline int peer_has_ended(uint32_t state)
{
	return state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSING || state == TCP_CLOSE;
}

/*
 * Whether both are the same but for the clock, which goes on; and but for the receive window where a FIN of the peer was put
 * back: the kernel acknowledges that, at the next tick, and announces what it has by then, never less than before. Of a
 * connection that is over only what is left to read has a meaning. After a second, as the connection itself counts, the
 * kernel's timers have sent what was never sent, in repair mode as well.
 */
static inline void check_same(const struct saved *is, const struct saved *was)
{
	struct libsoccr_sk_data data = is->data;

	if (data.state == TCP_CLOSE) {
		CHECK_EQ(was->data.state, TCP_CLOSE);
		CHECK_EQ(data.inq_len, was->data.inq_len);
		CHECK_EQ(data.inq_seq, was->data.inq_seq);
		CHECK_EQ(memcmp(is->in, was->in, data.inq_len), 0);
		return;
	}
	CHECK((int32_t)(data.timestamp - was->data.timestamp) >= 0);
	if (data.timestamp - was->data.timestamp >= 1000)
		data.unsq_len = was->data.unsq_len;
	data.timestamp = was->data.timestamp;
	if (data.rcv_wup == data.inq_seq && peer_has_ended(data.state)) {
		CHECK((int32_t)(data.rcv_wup + data.rcv_wnd - was->data.rcv_wup - was->data.rcv_wnd) >= 0);
		data.rcv_wup = was->data.rcv_wup;
		data.rcv_wnd = was->data.rcv_wnd;
	}
#define SAME(field) CHECK_EQ(data.field, was->data.field)
	SAME(state);
	SAME(inq_len);
	SAME(inq_seq);
	SAME(outq_len);
	SAME(outq_seq);
	SAME(unsq_len);
	SAME(opt_mask);
	SAME(mss_clamp);
	SAME(snd_wscale);
	SAME(rcv_wscale);
	SAME(flags);
	SAME(snd_wl1);
	SAME(snd_wnd);
	SAME(max_window);
	SAME(rcv_wnd);
	SAME(rcv_wup);
#undef SAME
	CHECK_EQ(memcmp(&data, &was->data, sizeof(data)), 0);
	CHECK((is->in != NULL) == (data.inq_len != 0));
	CHECK((is->out != NULL) == (data.outq_len != 0));
	CHECK(!data.inq_len || !memcmp(is->in, was->in, data.inq_len));
	CHECK(!data.outq_len || !memcmp(is->out, was->out, data.outq_len));
}

/* Restores, saves once more, and compares. The socket stays paused. */
static inline struct libsoccr_sk *restore_and_compare(int fd, const struct saved *saved)
{
	struct libsoccr_sk *sk = restore_connection(fd, saved);
	struct saved again;

	CHECK_EQ(tcp_state(fd), saved->data.state);
	memset(&again, 0, sizeof(again));
	save_paused(sk, &again);
	check_same(&again, saved);
	forget(&again);
	return sk;
}

/* ---- made from numbers: what no two sockets on one host can be brought to ---- */

/* A connection between an address of this host and one from where nothing comes. */
static inline struct saved made(uint32_t state, const char *local, const char *remote)
{
	/* FIN-WAIT-2, and CLOSE: all that was written is acknowledged. */
	int waits = state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 || state == TCP_CLOSE_WAIT ||
		    state == TCP_LAST_ACK || state == TCP_CLOSING;
	struct saved saved;

	memset(&saved, 0, sizeof(saved));
	saved.local = parsed(local, 40000 + state);
	saved.remote = parsed(remote, 5000);
	saved.data.state = state;
	saved.data.outq_seq = 0xfffff000;
	saved.data.mss_clamp = 1460;
	if (state == TCP_SYN_SENT) {
		saved.data.mss_clamp = saved.local.sa.sa_family == AF_INET ? 536 : 1220;
		return saved;
	}
	/* Sequence numbers wrap around inside the queues. */
	saved.data.inq_len = 3000;
	saved.data.inq_seq = 1000;
	saved.data.outq_len = waits ? 5000 : 0;
	saved.data.outq_seq = 500;
	saved.data.unsq_len = waits ? 2000 : 0;
	saved.data.opt_mask = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	saved.data.snd_wscale = 7;
	saved.data.rcv_wscale = 9;
	saved.data.timestamp = 0xfffffff0; /* CLOCK in tests/programs/main.rs */
	saved.data.flags = SOCCR_FLAGS_WINDOW;
	saved.data.snd_wl1 = 900;
	saved.data.snd_wnd = 40000;
	saved.data.max_window = 65536;
	/* So large that no buffer allows for more: the kernel would say so to the peer at the next peek. */
	saved.data.rcv_wnd = 65000;
	saved.data.rcv_wup = 998;
	saved.in = stream(saved.data.inq_len);
	saved.out = stream(saved.data.outq_len);
	return saved;
}

static inline void round_trip_of_numbers(uint32_t state, const char *local, const char *remote)
{
	struct saved saved = made(state, local, remote);
	int fd = socket_for(&saved);
	struct libsoccr_sk *sk;

	doing = "numbers of state";
	doing_number = state;
	sk = restore_and_compare(fd, &saved);
	/* The last descriptor of a paused socket: silent. */
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);
	forget(&saved);
}

/* ---- with a peer that is alive ---- */

/* Brings a connection into a state, with bytes in both queues where it can have them. Returns how many the peer is to get. */
static inline size_t bring_into(struct ends ends, uint32_t state)
{
	int peer_ends = state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSE;
	int we_end = state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT;
	/* A FIN of ours that is not acknowledged has bytes before it that do not fit into the peer's buffer. */
	size_t unread = 0;

	write_stream(ends.peer, 3000);
	AWAIT(waiting(ends.ours, SIOCINQ) == 3000);
	if (state != TCP_FIN_WAIT2 && state != TCP_CLOSE)
		unread = write_until_full(ends.ours);
	if (peer_ends) {
		CHECK_EQ(shutdown(ends.peer, SHUT_WR), 0);
		AWAIT(tcp_state(ends.ours) == TCP_CLOSE_WAIT);
	}
	if (we_end)
		CHECK_EQ(shutdown(ends.ours, SHUT_WR), 0);
	if (state == TCP_CLOSING)
		CHECK_EQ(shutdown(ends.peer, SHUT_WR), 0);
	AWAIT((uint32_t)tcp_state(ends.ours) == state);
	return unread;
}

static inline void round_trip_of_connection(uint32_t state, int family, enum resume resume)
{
	struct ends ends = connected(family);
	size_t unread = bring_into(ends, state);
	int peer_ended = peer_has_ended(state);
	int we_ended = state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT;
	struct libsoccr_sk *sk;
	struct saved saved;

	doing = "connection in state";
	doing_number = state;
	memset(&saved, 0, sizeof(saved));
	saved.local = name_of(ends.ours, 1);
	saved.remote = name_of(ends.peer, 1);
	lock(ends.peer);
	save_connection(ends.ours, &saved);
	CHECK_EQ(saved.data.state, state);
	CHECK_EQ(saved.data.inq_len, 3000);
	CHECK((saved.data.unsq_len != 0) == (unread != 0));
	CHECK_EQ(close(ends.ours), 0);

	ends.ours = socket_for(&saved);
	sk = restore_and_compare(ends.ours, &saved);
	forget(&saved);
	unlock(ends.peer);
	if (resume == BY_LIBRARY) {
		libsoccr_resume(sk);
	} else {
		set_option(ends.ours, IPPROTO_TCP, TCP_REPAIR, 0);
		/* As late as it can come: the socket is no longer its business. */
		libsoccr_release(sk);
	}
	CHECK_EQ(option(ends.ours, IPPROTO_TCP, TCP_REPAIR), 0);
	CHECK(fcntl(ends.ours, F_GETFL) & O_NONBLOCK);
	set_nonblocking(ends.ours, 0);

	read_stream(ends.peer, unread);
	read_stream(ends.ours, 3000);
	if (peer_ended)
		read_end(ends.ours);
	if (we_ended)
		read_end(ends.peer);
	if (!peer_ended && !we_ended)
		talk(ends);
	if (!we_ended)
		CHECK_EQ(send(ends.ours, "a", 1, MSG_NOSIGNAL), 1);
	if (!peer_ended) {
		char byte = 0;

		CHECK_EQ(send(ends.peer, "b", 1, MSG_NOSIGNAL), 1);
		CHECK_EQ(recv(ends.ours, &byte, 1, 0), 1);
		CHECK_EQ(byte, 'b');
	}
	close_both(ends);
}

/* An attempt to connect whose SYN was lost: its answer comes after the restore. */
static inline void round_trip_of_attempt(int family, enum resume resume)
{
	int listening = listener(family);
	union address to = name_of(listening, 1);
	struct libsoccr_sk *sk;
	struct saved saved;
	struct ends ends;

	doing = "an attempt to connect";
	lock(listening);
	ends.ours = tcp_socket(family);
	set_nonblocking(ends.ours, 1);
	CHECK_EQ(connect(ends.ours, &to.sa, address_length(&to)), -1);
	CHECK_EQ(errno, EINPROGRESS);
	memset(&saved, 0, sizeof(saved));
	saved.local = name_of(ends.ours, 1);
	saved.remote = to;
	save_connection(ends.ours, &saved);
	CHECK_EQ(saved.data.state, TCP_SYN_SENT);
	CHECK_EQ(close(ends.ours), 0);

	ends.ours = socket_for(&saved);
	sk = restore_and_compare(ends.ours, &saved);
	CHECK_EQ(close(ends.ours), 0);
	libsoccr_release(sk);

	/* The SYN leaves with the restore, and is answered at once on this device. */
	unlock(listening);
	ends.ours = socket_for(&saved);
	sk = restore_connection(ends.ours, &saved);
	if (resume == BY_LIBRARY)
		libsoccr_resume(sk);
	else
		set_option(ends.ours, IPPROTO_TCP, TCP_REPAIR, 0);
	ends.peer = accept(listening, NULL, NULL);
	CHECK(ends.peer != -1);
	set_nonblocking(ends.ours, 0);
	talk(ends);
	if (resume == BY_CALLER)
		libsoccr_release(sk);
	forget(&saved);
	close_both(ends);
	CHECK_EQ(close(listening), 0);
}

static const uint32_t states[] = {
	TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_CLOSING,
};

/* Arguments: an address of this host and one from where nothing comes, IPv4; the same of IPv6. */
static inline void round_trips(char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
		round_trip_of_numbers(states[i], argv[1], argv[2]);
		round_trip_of_numbers(states[i], argv[3], argv[4]);
		round_trip_of_connection(states[i], AF_INET, BY_LIBRARY);
		round_trip_of_connection(states[i], AF_INET, BY_CALLER);
		round_trip_of_connection(states[i], AF_INET6, BY_CALLER);
	}
}

static inline void round_trips_of_attempts(char **argv)
{
	round_trip_of_numbers(TCP_SYN_SENT, argv[1], argv[2]);
	round_trip_of_numbers(TCP_SYN_SENT, argv[3], argv[4]);
	round_trip_of_attempt(AF_INET, BY_LIBRARY);
	round_trip_of_attempt(AF_INET, BY_CALLER);
	round_trip_of_attempt(AF_INET6, BY_CALLER);
}

#endif /* STATES_H */
