/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Restores through today's interface that cannot be: refused, silent, and without a change of what the caller has. */
#include "soccr.h"
#include "check.h"

static struct libsoccr_sk *paused(int fd)
{
	struct libsoccr_sk *sk = libsoccr_pause(fd);

	CHECK(sk != NULL);
	return sk;
}

struct image {
	struct libsoccr_sk_data data;
	union libsoccr_addr local;
	union libsoccr_addr remote;
	char in[100];
	char out[100];
	int without;
};

enum { IN = 1, OUT = 2, LOCAL = 4, REMOTE = 8 };

static const char *here, *nowhere;

/* A connection that can be restored. */
static struct image image(void)
{
	union address address;
	struct image it;

	memset(&it, 0, sizeof(it));
	address = parsed(here, 41000);
	memcpy(&it.local, &address, sizeof(it.local));
	address = parsed(nowhere, 5000);
	memcpy(&it.remote, &address, sizeof(it.remote));
	it.data.state = TCP_ESTABLISHED;
	it.data.inq_len = sizeof(it.in);
	it.data.inq_seq = 1000;
	it.data.outq_len = sizeof(it.out);
	it.data.outq_seq = 500;
	it.data.unsq_len = 50;
	it.data.opt_mask = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	it.data.mss_clamp = 1460;
	it.data.snd_wscale = 7;
	it.data.rcv_wscale = 9;
	it.data.timestamp = 0xfffffff0; /* CLOCK in tests/programs/main.rs */
	it.data.flags = SOCCR_FLAGS_WINDOW;
	it.data.snd_wl1 = 900;
	it.data.snd_wnd = 40000;
	it.data.max_window = 65536;
	it.data.rcv_wnd = 65000;
	it.data.rcv_wup = 1000;
	return it;
}

static int restore(struct libsoccr_sk *sk, struct image *it, unsigned size)
{
	if (!(it->without & LOCAL))
		CHECK_EQ(libsoccr_set_addr(sk, 1, &it->local, 0), 0);
	if (!(it->without & REMOTE))
		CHECK_EQ(libsoccr_set_addr(sk, 0, &it->remote, 0), 0);
	if (!(it->without & IN))
		CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_RECV_QUEUE, it->in, 0), 0);
	if (!(it->without & OUT))
		CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_SEND_QUEUE, it->out, 0), 0);
	return libsoccr_restore(sk, &it->data, size);
}

/* Refused before the kernel is given anything; the same socket is good for a restore afterwards. */
static void refused(const char *what, struct image it, int number)
{
	struct image before = it, good = image();
	int fd = tcp_socket(AF_INET);
	struct libsoccr_sk *sk = paused(fd);
	union address local;

	doing = what;
	CHECK_FAILS(restore(sk, &it, sizeof(it.data)), -1, number);
	CHECK_EQ(memcmp(&it, &before, sizeof(it)), 0);
	CHECK_EQ(tcp_state(fd), TCP_CLOSE);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), 1);
	local = name_of(fd, 1);
	CHECK_EQ(local.v4.sin_port, 0);
	CHECK_EQ(restore(sk, &good, sizeof(good.data)), 0);
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);
}

static void hostile(void)
{
	static const uint32_t no_states[] = { 0, 13, 255, 256 + 1, 0xffffffff };
	/* Of TCP, but of no socket that can be restored: SYN_RECV, TIME_WAIT, LISTEN, NEW_SYN_RECV. */
	static const uint32_t other_states[] = { 3, 6, 10, 12 };
	static const uint32_t no_lengths[] = { 0x7fffffff + 1u, 0xffffffff };
	struct image it;
	unsigned i;

#define REFUSED(change)                       \
	do {                                  \
		it = image();                 \
		change;                       \
		refused(#change, it, EINVAL); \
	} while (0)
	for (i = 0; i < sizeof(no_states) / sizeof(*no_states); i++) {
		doing_number = no_states[i];
		REFUSED(it.data.state = no_states[i]);
	}
	for (i = 0; i < sizeof(other_states) / sizeof(*other_states); i++) {
		it = image();
		it.data.state = other_states[i];
		refused("a state without a socket", it, EOPNOTSUPP);
	}
	for (i = 0; i < 2; i++) {
		doing_number = no_lengths[i];
		REFUSED(it.data.inq_len = no_lengths[i]);
		REFUSED(it.data.outq_len = no_lengths[i]);
		REFUSED(it.data.unsq_len = no_lengths[i]);
		REFUSED(it.data.inq_len = no_lengths[i]; it.without = IN);
		REFUSED(it.data.outq_len = no_lengths[i]; it.without = OUT);
		REFUSED(it.data.max_window = no_lengths[i]);
		REFUSED(it.data.rcv_wnd = no_lengths[i]);
	}
	doing_number = 0;
	REFUSED(it.data.unsq_len = it.data.outq_len + 1);
	REFUSED(it.without = IN);
	REFUSED(it.without = OUT);
	REFUSED(it.without = LOCAL);
	REFUSED(it.without = REMOTE);
	REFUSED(it.data.snd_wscale = 15);
	REFUSED(it.data.rcv_wscale = 15);
	REFUSED(it.data.snd_wscale = 256 + 7);
	REFUSED(it.data.rcv_wscale = 0xffffffff);
	REFUSED(it.data.mss_clamp = 0);
	REFUSED(it.data.mss_clamp = 65536 + 1460);
	REFUSED(it.data.max_window = it.data.snd_wnd - 1);
	REFUSED(it.data.rcv_wup = it.data.inq_seq + 1);
	REFUSED(it.data.snd_wl1 = it.data.inq_seq + 0x7fffffff);
	REFUSED(it.data.snd_wl1 = it.data.inq_seq - 0x7fffffff);
	REFUSED(it.local.sa.sa_family = AF_UNIX);
	REFUSED(it.remote.sa.sa_family = AF_UNSPEC);
	REFUSED(it.remote.v6.sin6_family = AF_INET6);
	REFUSED(it.local.v4.sin_port = 0);
	REFUSED(it.remote.v4.sin_port = 0);
	REFUSED(it.local.v4.sin_addr.s_addr = 0);
	REFUSED(it.remote.v4.sin_addr.s_addr = 0);
#undef REFUSED
}

static void restored_twice(void)
{
	struct image it = image(), before = it;
	int fd = tcp_socket(AF_INET);
	struct libsoccr_sk *sk = paused(fd);

	doing = "restored twice";
	CHECK_EQ(restore(sk, &it, sizeof(it.data)), 0);
	CHECK_EQ(tcp_state(fd), TCP_ESTABLISHED);
	CHECK_FAILS(restore(sk, &it, sizeof(it.data)), -1, EINVAL);
	CHECK_EQ(memcmp(&it, &before, sizeof(it)), 0);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), 1);
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);

	/* The same image, into another socket. */
	fd = tcp_socket(AF_INET);
	sk = paused(fd);
	CHECK_EQ(restore(sk, &it, sizeof(it.data)), 0);
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);
}

static void restored_into_a_connection(void)
{
	struct image it = image(), before = it;
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk *sk = paused(ends.ours);

	doing = "restored into a connection";
	CHECK_FAILS(restore(sk, &it, sizeof(it.data)), -1, EINVAL);
	CHECK_EQ(memcmp(&it, &before, sizeof(it)), 0);
	libsoccr_resume(sk);
	talk(ends);
	close_both(ends);
}

/* What only the kernel can refuse: an address that is not here. */
static void restored_elsewhere(void)
{
	struct image it = image(), before;
	int fd = tcp_socket(AF_INET);
	struct libsoccr_sk *sk = paused(fd);

	doing = "restored elsewhere";
	it.local.v4.sin_addr.s_addr = it.remote.v4.sin_addr.s_addr;
	before = it;
	CHECK_FAILS(restore(sk, &it, sizeof(it.data)), -1, EADDRNOTAVAIL);
	CHECK_EQ(memcmp(&it, &before, sizeof(it)), 0);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), 1);
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);
}

/* Data of a longer version, and memory that the library is to free, whatever becomes of the restore. */
static void restored_from_memory(void)
{
	struct image it = image();
	char longer[200];
	int good;

	doing = "restored from memory";
	memset(longer, 0xff, sizeof(longer));
	for (good = 0; good < 2; good++) {
		int fd = tcp_socket(AF_INET);
		struct libsoccr_sk *sk = paused(fd);
		union libsoccr_addr *local = (union libsoccr_addr *)malloc(sizeof(*local));
		union libsoccr_addr *remote = (union libsoccr_addr *)malloc(sizeof(*remote));

		it.data.unsq_len = good ? 0 : 0xffff;
		memcpy(longer, &it.data, sizeof(it.data));
		memcpy(local, &it.local, sizeof(*local));
		memcpy(remote, &it.remote, sizeof(*remote));
		CHECK_EQ(libsoccr_set_addr(sk, 1, local, SOCCR_MEM_EXCL), 0);
		CHECK_EQ(libsoccr_set_addr(sk, 0, remote, SOCCR_MEM_EXCL), 0);
		CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_RECV_QUEUE, stream(100), SOCCR_MEM_EXCL), 0);
		CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_SEND_QUEUE, stream(100), SOCCR_MEM_EXCL), 0);
		CHECK_EQ(libsoccr_restore(sk, (struct libsoccr_sk_data *)longer, sizeof(longer)), good - 1);
		libsoccr_release(sk);
		CHECK_EQ(close(fd), 0);
	}
}

int main(int argc, char **argv)
{
	int open;

	alarm(60);
	CHECK_EQ(argc, 5);
	here = argv[1];
	nowhere = argv[2];
	open = open_descriptors();
	hostile();
	restored_twice();
	restored_into_a_connection();
	restored_elsewhere();
	restored_from_memory();
	CHECK_EQ(open_descriptors(), open);
	return 0;
}
