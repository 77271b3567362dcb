/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a caller of the staged interface should not do: it is refused, and nothing leaves. */
#include "soccr-staged.h"
#include "check.h"

static union address here, nowhere;
static char in[100], out[100];

static struct libsoccr_sk *paused(int fd)
{
	struct libsoccr_sk *sk = libsoccr_pause(fd);

	CHECK(sk != NULL);
	return sk;
}

static struct libsoccr_sk_data numbers(void)
{
	struct libsoccr_sk_data data;

	memset(&data, 0, sizeof(data));
	data.state = TCP_ESTABLISHED;
	data.inq_len = sizeof(in);
	data.inq_seq = 1000;
	data.outq_len = sizeof(out);
	data.outq_seq = 500;
	data.unsq_len = 50;
	data.opt_mask = TCPI_OPT_TIMESTAMPS;
	data.timestamp = 0xfffffff0; /* CLOCK in tests/programs/main.rs */
	data.mss_clamp = 1460;
	data.flags = SOCCR_FLAGS_WINDOW;
	data.snd_wl1 = 900;
	data.snd_wnd = 4000;
	data.max_window = 6000;
	data.rcv_wnd = 60000;
	data.rcv_wup = 1000;
	return data;
}

static void no_handle_and_sizes(void)
{
	static const unsigned wrong[] = { 0, 4, 67 }, right[] = { 68, 69, 200 };
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk *sk = paused(ends.ours);
	struct libsoccr_sk_data data = numbers();
	unsigned char bytes[208];
	unsigned i, at;
	char byte = 0;

	doing = "no handle, and sizes";
	CHECK_FAILS(libsoccr_get_sk_data(NULL, &data, sizeof(data)), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_sk_data_unbound(NULL, &data, sizeof(data)), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_sk_data_noq(NULL, &data, sizeof(data)), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_queue_bytes(NULL, &data, sizeof(data), TCP_RECV_QUEUE, &byte), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_sk_data(NULL, &data, sizeof(data)), -1, EINVAL);
	CHECK_FAILS_NULL(libsoccr_get_queue_bytes(NULL, TCP_RECV_QUEUE, 0), EINVAL);
	CHECK_FAILS(libsoccr_get_sk_data(sk, NULL, 68), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_sk_data_unbound(sk, NULL, 68), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_sk_data_noq(sk, NULL, 68), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_queue_bytes(sk, NULL, 68, TCP_RECV_QUEUE, &byte), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_sk_data(sk, NULL, 68), -1, EINVAL);
	for (i = 0; i < 3; i++) {
		doing_number = wrong[i];
		CHECK_FAILS(libsoccr_get_sk_data(sk, &data, wrong[i]), -1, EINVAL);
		CHECK_FAILS(libsoccr_set_sk_data_unbound(sk, &data, wrong[i]), -1, EINVAL);
		CHECK_FAILS(libsoccr_set_sk_data_noq(sk, &data, wrong[i]), -1, EINVAL);
		CHECK_FAILS(libsoccr_set_queue_bytes(sk, &data, wrong[i], TCP_RECV_QUEUE, &byte), -1, EINVAL);
		CHECK_FAILS(libsoccr_set_sk_data(sk, &data, wrong[i]), -1, EINVAL);
	}
	for (i = 0; i < 3; i++) {
		doing_number = right[i];
		memset(bytes, 0x55, sizeof(bytes));
		CHECK_EQ(libsoccr_get_sk_data(sk, (struct libsoccr_sk_data *)bytes, right[i]), 68);
		for (at = 68; at < sizeof(bytes); at++)
			CHECK_EQ(bytes[at], at < right[i] ? 0 : 0x55);
	}
	CHECK_FAILS_NULL(libsoccr_get_queue_bytes(sk, 0, 0), EINVAL);
	CHECK_FAILS_NULL(libsoccr_get_queue_bytes(sk, 3, 1), EINVAL);
	libsoccr_resume(sk);
	talk(ends);
	close_both(ends);
}

/* The steps by letters: unbound, bind and connect, noq, the queues, and the rest. Upper case has to be refused. */
static void steps(const char *letters)
{
	struct libsoccr_sk_data data = numbers(), before = data;
	int fd = tcp_socket(AF_INET);
	struct libsoccr_sk *sk = paused(fd);

	doing = letters;
#define STEP(letter, call)                       \
	if (*letters == letter)                  \
		CHECK_EQ(call, 0);               \
	if (*letters == letter - 'a' + 'A')      \
		CHECK_FAILS(call, -1, EINVAL)
	for (doing_number = 0; *letters; letters++, doing_number++) {
		STEP('u', libsoccr_set_sk_data_unbound(sk, &data, sizeof(data)));
		STEP('b', bind(fd, &here.sa, address_length(&here)));
		STEP('c', connect(fd, &nowhere.sa, address_length(&nowhere)));
		STEP('n', libsoccr_set_sk_data_noq(sk, &data, sizeof(data)));
		STEP('i', libsoccr_set_queue_bytes(sk, &data, sizeof(data), TCP_RECV_QUEUE, in));
		STEP('o', libsoccr_set_queue_bytes(sk, &data, sizeof(data), TCP_SEND_QUEUE, out));
		STEP('x', libsoccr_set_queue_bytes(sk, &data, sizeof(data), TCP_SEND_QUEUE, NULL));
		STEP('y', libsoccr_set_queue_bytes(sk, &data, sizeof(data), 0, out));
		STEP('a', libsoccr_set_sk_data(sk, &data, sizeof(data)));
	}
#undef STEP
	CHECK_EQ(memcmp(&data, &before, sizeof(data)), 0);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_REPAIR), 1);
	/* Half a connection is not resumed, and all of one not here. */
	if (tcp_state(fd) == TCP_ESTABLISHED && !strchr(doing, 'a'))
		libsoccr_resume(sk);
	else
		libsoccr_release(sk);
	CHECK(tcp_state(fd) == TCP_CLOSE || option(fd, IPPROTO_TCP, TCP_REPAIR) == 1);
	CHECK_EQ(close(fd), 0);
}

static void hostile(void)
{
	struct libsoccr_sk_data data, before;
	struct libsoccr_sk *sk;
	int fd = tcp_socket(AF_INET);

	sk = paused(fd);
#define REFUSED(change)                                                                       \
	do {                                                                                  \
		data = numbers();                                                             \
		change;                                                                       \
		before = data;                                                                \
		doing = #change;                                                              \
		CHECK_FAILS(libsoccr_set_sk_data_unbound(sk, &data, sizeof(data)), -1, EINVAL); \
		CHECK_EQ(memcmp(&data, &before, sizeof(data)), 0);                            \
		CHECK_EQ(tcp_state(fd), TCP_CLOSE);                                           \
	} while (0)
	REFUSED(data.state = 0);
	REFUSED(data.state = 0xffffffff);
	REFUSED(data.inq_len = 0x80000000);
	REFUSED(data.outq_len = 0x80000000);
	REFUSED(data.outq_len = 0xffffffff);
	REFUSED(data.unsq_len = data.outq_len + 1);
	REFUSED(data.unsq_len = 0xffffffff);
	REFUSED(data.mss_clamp = 0);
	REFUSED(data.mss_clamp = 65536 + 1460);
	REFUSED(data.opt_mask = TCPI_OPT_WSCALE; data.snd_wscale = 15);
	REFUSED(data.opt_mask = TCPI_OPT_WSCALE; data.rcv_wscale = 15);
	REFUSED(data.max_window = data.snd_wnd - 1);
	REFUSED(data.rcv_wup = data.inq_seq + 1);
	REFUSED(data.snd_wl1 = data.inq_seq + 0x7fffffff);
#undef REFUSED
	/* Nothing was set, so that it is good for a restore. */
	data = numbers();
	CHECK_EQ(libsoccr_set_sk_data_unbound(sk, &data, sizeof(data)), 0);
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);
}

int main(int argc, char **argv)
{
	int open;

	alarm(60);
	CHECK_EQ(argc, 5);
	here = parsed(argv[1], 41000);
	nowhere = parsed(argv[2], 5000);
	open = open_descriptors();
	no_handle_and_sizes();
	steps("ubcnioa");
	steps("NIOA");
	steps("ubcIOA");
	steps("ubcnXYioa");
	steps("uU");
	steps("ubcnNU");
	/* Twice is once: the last bytes count. */
	steps("ubcniioa");
	steps("ubcnioaAN");
	/* Bytes are missing. */
	steps("ubcnA");
	steps("ubcniA");
	hostile();
	CHECK_EQ(open_descriptors(), open);
	return 0;
}
