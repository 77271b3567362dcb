/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a caller of today's interface should not do: it is refused, and nothing else happens. */
#include "soccr.h"
#include "check.h"

static struct libsoccr_sk *paused(int fd)
{
	struct libsoccr_sk *sk = libsoccr_pause(fd);

	CHECK(sk != NULL);
	return sk;
}


static void descriptors(void)
{
	int fd = tcp_socket(AF_INET), pipes[2], udp, listening = listener(AF_INET);

	doing = "descriptors";
	CHECK_FAILS_NULL(libsoccr_pause(-1), EBADF);
	CHECK_EQ(close(fd), 0);
	CHECK_FAILS_NULL(libsoccr_pause(fd), EBADF);
	CHECK_EQ(pipe(pipes), 0);
	CHECK_FAILS_NULL(libsoccr_pause(pipes[0]), ENOTSOCK);
	CHECK_EQ(close(pipes[0]), 0);
	CHECK_EQ(close(pipes[1]), 0);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_FAILS_NULL(libsoccr_pause(udp), EOPNOTSUPP);
	CHECK_EQ(close(udp), 0);
	udp = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_FAILS_NULL(libsoccr_pause(udp), EOPNOTSUPP);
	CHECK_EQ(close(udp), 0);
	CHECK_FAILS_NULL(libsoccr_pause(listening), EPERM);
	CHECK_EQ(option(listening, IPPROTO_TCP, TCP_REPAIR), 0);
	CHECK_EQ(close(listening), 0);
}

static void no_handle(void)
{
	struct libsoccr_sk_data data;
	union libsoccr_addr address;
	char byte = 0;

	doing = "no handle";
	memset(&data, 0x55, sizeof(data));
	memset(&address, 0, sizeof(address));
	libsoccr_resume(NULL);
	libsoccr_release(NULL);
	libsoccr_set_log(SOCCR_LOG_DBG, NULL);
	CHECK_FAILS(libsoccr_save(NULL, &data, sizeof(data)), -1, EINVAL);
	CHECK_EQ(data.state, 0x55555555);
	CHECK_FAILS_NULL(libsoccr_get_queue_bytes(NULL, TCP_RECV_QUEUE, 0), EINVAL);
	CHECK_FAILS_NULL(libsoccr_get_addr(NULL, 1, 0), EINVAL);
	CHECK_FAILS(libsoccr_set_queue_bytes(NULL, TCP_RECV_QUEUE, &byte, 0), -1, EINVAL);
	CHECK_FAILS(libsoccr_set_addr(NULL, 1, &address, 0), -1, EINVAL);
	CHECK_FAILS(libsoccr_restore(NULL, &data, sizeof(data)), -1, EINVAL);
}

/* Sizes of a structure that other versions have. */
static void sizes(void)
{
	static const unsigned wrong[] = { 0, 4, 67 }, right[] = { 68, 69, 200 };
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk *sk = paused(ends.ours);
	unsigned char *bytes = (unsigned char *)malloc(208);
	struct libsoccr_sk_data *data = (struct libsoccr_sk_data *)bytes;
	unsigned i, at;

	doing = "sizes";
	CHECK(bytes != NULL);
	CHECK_FAILS(libsoccr_save(sk, NULL, 68), -1, EINVAL);
	for (i = 0; i < 3; i++) {
		doing_number = wrong[i];
		memset(bytes, 0x55, 208);
		CHECK_FAILS(libsoccr_save(sk, data, wrong[i]), -1, EINVAL);
		CHECK_FAILS(libsoccr_restore(sk, data, wrong[i]), -1, EINVAL);
		for (at = 0; at < 208; at++)
			CHECK_EQ(bytes[at], 0x55);
	}
	CHECK_FAILS(libsoccr_restore(sk, NULL, 68), -1, EINVAL);
	for (i = 0; i < 3; i++) {
		doing_number = right[i];
		memset(bytes, 0x55, 208);
		CHECK_EQ(libsoccr_save(sk, data, right[i]), 68);
		CHECK_EQ(data->state, TCP_ESTABLISHED);
		for (at = 68; at < 208; at++)
			CHECK_EQ(bytes[at], at < right[i] ? 0 : 0x55);
	}
	/* Not a byte beyond: for valgrind and the sanitizers. */
	data = (struct libsoccr_sk_data *)malloc(68);
	CHECK(data != NULL);
	CHECK_EQ(libsoccr_save(sk, data, 68), 68);
	free(data);
	free(bytes);
	libsoccr_resume(sk);
	talk(ends);
	close_both(ends);
}

static void queues_and_flags(void)
{
	static const int no_queues[] = { -1, 0, 3, 1000 };
	static const unsigned no_flags[] = { 0x2, 0x3, 0x80000000 };
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk *sk = paused(ends.ours);
	union libsoccr_addr *address = (union libsoccr_addr *)calloc(1, sizeof(*address));
	char *bytes = stream(10);
	unsigned i;

	doing = "queues and flags";
	for (i = 0; i < 4; i++) {
		doing_number = no_queues[i];
		CHECK_FAILS_NULL(libsoccr_get_queue_bytes(sk, no_queues[i], 0), EINVAL);
		CHECK_FAILS(libsoccr_set_queue_bytes(sk, no_queues[i], bytes, 0), -1, EINVAL);
		CHECK_FAILS(libsoccr_set_queue_bytes(sk, no_queues[i], bytes, SOCCR_MEM_EXCL), -1, EINVAL);
	}
	for (i = 0; i < 3; i++) {
		doing_number = no_flags[i];
		CHECK_FAILS_NULL(libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, no_flags[i]), EINVAL);
		CHECK_FAILS_NULL(libsoccr_get_addr(sk, 1, no_flags[i]), EINVAL);
		CHECK_FAILS(libsoccr_set_queue_bytes(sk, TCP_RECV_QUEUE, bytes, no_flags[i]), -1, EINVAL);
		CHECK_FAILS(libsoccr_set_addr(sk, 1, address, no_flags[i]), -1, EINVAL);
	}
	/* Still the caller's. */
	free(bytes);
	free(address);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 0) == NULL);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, SOCCR_MEM_EXCL) == NULL);
	libsoccr_resume(sk);
	talk(ends);
	close_both(ends);
}

static void taken_twice(void)
{
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk_data data;
	union libsoccr_addr *address;
	struct libsoccr_sk *sk;
	char *shown, *taken;

	doing = "taken twice";
	write_stream(ends.peer, 1000);
	AWAIT(waiting(ends.ours, SIOCINQ) == 1000);
	sk = paused(ends.ours);
	CHECK_EQ(libsoccr_save(sk, &data, sizeof(data)), 68);
	shown = libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 0);
	CHECK(shown != NULL && shown == libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 0));
	/* Given back as it was shown, it is what it was. */
	CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_RECV_QUEUE, shown, 0), 0);
	CHECK(shown == libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 0) && shown[999] == byte_at(999));
	taken = libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, SOCCR_MEM_EXCL);
	CHECK(taken == shown && taken[999] == byte_at(999));
	CHECK(libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, SOCCR_MEM_EXCL) == NULL);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 0) == NULL);
	/* A second save has them again, and ends the life of nothing that was given away. */
	CHECK_EQ(libsoccr_save(sk, &data, sizeof(data)), 68);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_RECV_QUEUE, 0)[999] == taken[999]);
	CHECK_EQ(libsoccr_save(sk, &data, sizeof(data)), 68);
	address = libsoccr_get_addr(sk, 1, SOCCR_MEM_EXCL);
	CHECK(address != NULL);
	free(address);
	address = libsoccr_get_addr(sk, 1, SOCCR_MEM_EXCL);
	CHECK(address != NULL);
	free(address);
	CHECK(libsoccr_get_addr(sk, 0, 0) != NULL);
	libsoccr_resume(sk);
	/* It was there until the handle has ended; this is ours. */
	CHECK_EQ(taken[0], byte_at(0));
	free(taken);
	close_both(ends);
}

/* Every order of giving memory, some of it more than once; valgrind and the sanitizers see who frees what. */
static void given_twice(void)
{
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk *sk = paused(ends.ours);
	struct libsoccr_sk_data data;
	union libsoccr_addr address, *exclusive;
	char borrowed[4] = "abc", other[4] = "def", *bytes;

	doing = "given twice";
	memset(&address, 0, sizeof(address));
#define GIVE(bytes, flags) CHECK_EQ(libsoccr_set_queue_bytes(sk, TCP_SEND_QUEUE, bytes, flags), 0)
	GIVE(borrowed, 0);
	GIVE(borrowed, 0);
	GIVE(other, 0);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, 0) == other);
	GIVE(stream(3), SOCCR_MEM_EXCL);
	GIVE(stream(3), SOCCR_MEM_EXCL);
	bytes = stream(3);
	GIVE(bytes, SOCCR_MEM_EXCL);
	GIVE(bytes, SOCCR_MEM_EXCL);
	/* Given away once, it stays the library's. */
	GIVE(bytes, 0);
	GIVE(borrowed, 0);
	bytes = stream(3);
	GIVE(bytes, 0);
	GIVE(bytes, SOCCR_MEM_EXCL);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, SOCCR_MEM_EXCL) == bytes);
	free(bytes);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, 0) == NULL);
	GIVE(NULL, 0);
	GIVE(NULL, SOCCR_MEM_EXCL);
	GIVE(stream(3), SOCCR_MEM_EXCL);
	GIVE(NULL, 0);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, 0) == NULL);
	/* Set, saved, and set after the save. */
	GIVE(stream(3), SOCCR_MEM_EXCL);
	CHECK_EQ(libsoccr_save(sk, &data, sizeof(data)), 68);
	GIVE(borrowed, 0);
	CHECK(libsoccr_get_queue_bytes(sk, TCP_SEND_QUEUE, 0) == borrowed);
	GIVE(stream(3), SOCCR_MEM_EXCL);
#undef GIVE

	CHECK_EQ(libsoccr_set_addr(sk, 1, &address, 0), 0);
	CHECK(libsoccr_get_addr(sk, 1, 0) == &address);
	exclusive = (union libsoccr_addr *)calloc(1, sizeof(*exclusive));
	CHECK_EQ(libsoccr_set_addr(sk, 1, exclusive, SOCCR_MEM_EXCL), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 1, exclusive, SOCCR_MEM_EXCL), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 1, exclusive, 0), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 1, &address, 0), 0);
	exclusive = (union libsoccr_addr *)calloc(1, sizeof(*exclusive));
	CHECK_EQ(libsoccr_set_addr(sk, 0, exclusive, SOCCR_MEM_EXCL), 0);
	CHECK(libsoccr_get_addr(sk, 0, SOCCR_MEM_EXCL) == exclusive);
	free(exclusive);
	exclusive = (union libsoccr_addr *)calloc(1, sizeof(*exclusive));
	CHECK_EQ(libsoccr_set_addr(sk, 0, exclusive, SOCCR_MEM_EXCL), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 0, NULL, 0), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 0, NULL, SOCCR_MEM_EXCL), 0);
	libsoccr_resume(sk);
	talk(ends);
	close_both(ends);
}

static void no_address(void)
{
	int fd = tcp_socket(AF_INET);
	struct libsoccr_sk *sk = paused(fd);

	doing = "no address";
	CHECK_FAILS_NULL(libsoccr_get_addr(sk, 0, 0), ENOTCONN);
	CHECK_FAILS_NULL(libsoccr_get_addr(sk, 0, SOCCR_MEM_EXCL), ENOTCONN);
	libsoccr_resume(sk);
	CHECK_EQ(close(fd), 0);
}

static void resumed_too_late(void)
{
	struct ends ends = connected(AF_INET), others;
	struct libsoccr_sk *sk = paused(ends.ours), *second;
	struct libsoccr_sk_data data;
	int moved;

	doing = "resumed too late";
	CHECK_EQ(close(ends.ours), 0);
	libsoccr_resume(sk);
	CHECK_EQ(close(ends.peer), 0);

	/* The number is another socket's by now, which somebody else has paused. */
	ends = connected(AF_INET);
	others = connected(AF_INET);
	sk = paused(ends.ours);
	second = paused(ends.ours);
	moved = ends.ours;
	set_option(others.ours, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(others.ours, IPPROTO_TCP, TCP_REPAIR, 1);
	CHECK_EQ(dup2(others.ours, moved), moved);
	CHECK_FAILS(libsoccr_save(sk, &data, sizeof(data)), -2, EBADF);
	libsoccr_resume(sk);
	CHECK_EQ(option(others.ours, IPPROTO_TCP, TCP_REPAIR), 1);
	CHECK_EQ(option(others.ours, SOL_SOCKET, SO_REUSEADDR), 2);
	libsoccr_release(second);
	set_option(others.ours, IPPROTO_TCP, TCP_REPAIR, 0);
	talk(others);
	CHECK_EQ(close(moved), 0);
	CHECK_EQ(close(ends.peer), 0);
	close_both(others);
}

/* Refused for what the socket holds: it runs on, and another save pauses it again. */
static void not_to_be_saved(void)
{
	struct ends ends = connected(AF_INET);
	struct libsoccr_sk_data data;
	struct libsoccr_sk *sk;
	char byte = 0;

	doing = "urgent data";
	CHECK_EQ(send(ends.peer, "u", 1, MSG_OOB), 1);
	AWAIT(recv(ends.ours, &byte, 1, MSG_OOB | MSG_PEEK) == 1);
	sk = paused(ends.ours);
	/* Set by the caller meanwhile, it is left as it is: here by a save that fails, below by the resume. */
	set_option(ends.ours, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_FAILS(libsoccr_save(sk, &data, sizeof(data)), -5, EOPNOTSUPP);
	CHECK_EQ(option(ends.ours, IPPROTO_TCP, TCP_REPAIR), 0);
	CHECK_EQ(option(ends.ours, SOL_SOCKET, SO_REUSEADDR), 1);
	set_option(ends.ours, SOL_SOCKET, SO_REUSEADDR, 0);
	CHECK_EQ(recv(ends.ours, &byte, 1, MSG_OOB), 1);
	CHECK_EQ(byte, 'u');
	/* What is behind the mark takes it away. */
	talk(ends);
	CHECK_EQ(libsoccr_save(sk, &data, sizeof(data)), 68);
	CHECK_EQ(option(ends.ours, IPPROTO_TCP, TCP_REPAIR), 1);
	set_option(ends.ours, SOL_SOCKET, SO_REUSEADDR, 1);
	libsoccr_resume(sk);
	CHECK_EQ(option(ends.ours, SOL_SOCKET, SO_REUSEADDR), 1);
	talk(ends);
	close_both(ends);
}

int main(void)
{
	int open;

	alarm(60);
	open = open_descriptors();
	descriptors();
	no_handle();
	sizes();
	queues_and_flags();
	taken_twice();
	given_twice();
	no_address();
	resumed_too_late();
	not_to_be_saved();
	CHECK_EQ(open_descriptors(), open);
	return 0;
}
