/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the test programs share: checks that end the program, and sockets. Nothing of the library. */
#ifndef CHECK_H
#define CHECK_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(condition) check(!!(condition), #condition, __FILE__, __LINE__)
#define CHECK_EQ(left, right) check_eq((long long)(left), (long long)(right), #left " == " #right, __FILE__, __LINE__)
/* A call that has to fail: what it returns, and errno, which holds something else before. */
#define CHECK_FAILS(call, returns, number)         \
	do {                                       \
		errno = EXDEV;                     \
		CHECK_EQ(call, returns);           \
		CHECK_EQ(errno, number);           \
	} while (0)
#define CHECK_FAILS_NULL(call, number)             \
	do {                                       \
		errno = EXDEV;                     \
		CHECK((call) == NULL);             \
		CHECK_EQ(errno, number);           \
	} while (0)

/* What is being tried, for the message of a check. */
static const char *doing = "";
static int doing_number;

static inline void check(int good, const char *text, const char *file, int line)
{
	if (good)
		return;
	fprintf(stderr, "%s:%d: not so: %s (%s %d; errno: %s)\n", file, line, text, doing, doing_number, strerror(errno));
	exit(1);
}

static inline void check_eq(long long left, long long right, const char *text, const char *file, int line)
{
	if (left == right)
		return;
	fprintf(stderr, "%s:%d: not so: %s: %lld and %lld (%s %d; errno: %s)\n", file, line, text, left, right, doing,
		doing_number, strerror(errno));
	exit(1);
}

/* How many descriptors are open, of those that a small program has. */
static inline int open_descriptors(void)
{
	int fd, open = 0;

	for (fd = 0; fd < 256; fd++)
		open += fcntl(fd, F_GETFD) != -1;
	return open;
}

/* Waits for something that happens at once; the program's end is the bound. */
#define AWAIT(condition)               \
	do {                           \
		while (!(condition))   \
			sched_yield(); \
	} while (0)

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline socklen_t address_length(const union address *address)
{
	return address->sa.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

static inline union address parsed(const char *text, int port)
{
	union address address;

	memset(&address, 0, sizeof(address));
	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(port);
	} else {
		CHECK_EQ(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(port);
	}
	return address;
}

static inline union address loopback(int family, int port)
{
	return parsed(family == AF_INET ? "127.0.0.1" : "::1", port);
}

static inline union address name_of(int fd, int self)
{
	union address address;
	socklen_t length = sizeof(address);

	memset(&address, 0, sizeof(address));
	CHECK_EQ(self ? getsockname(fd, &address.sa, &length) : getpeername(fd, &address.sa, &length), 0);
	return address;
}

static inline int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t length = sizeof(value);

	CHECK_EQ(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

static inline void set_option(int fd, int level, int name, int value)
{
	CHECK_EQ(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static inline int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0, sizeof(info));
	CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info.tcpi_state;
}

static inline int waiting(int fd, int request)
{
	int bytes = 0;

	CHECK_EQ(ioctl(fd, request, &bytes), 0);
	return bytes;
}

static inline void set_nonblocking(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	CHECK(flags != -1);
	CHECK_EQ(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 0);
}

static inline int tcp_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd != -1);
	return fd;
}

static inline int listener(int family)
{
	union address any = loopback(family, 0);
	int fd = tcp_socket(family);

	/* Its connections are full soon, and have room for whole segments when they are read. */
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 16384);
	set_option(fd, IPPROTO_TCP, TCP_MAXSEG, 1400);
	CHECK_EQ(bind(fd, &any.sa, address_length(&any)), 0);
	CHECK_EQ(listen(fd, 8), 0);
	return fd;
}

/* Both ends of a connection over the loopback device. */
struct ends {
	int ours;
	int peer;
};

static inline struct ends connected(int family)
{
	int listening = listener(family);
	union address to = name_of(listening, 1);
	struct ends ends;

	ends.ours = tcp_socket(family);
	set_option(ends.ours, SOL_SOCKET, SO_SNDBUF, 32768);
	CHECK_EQ(connect(ends.ours, &to.sa, address_length(&to)), 0);
	ends.peer = accept(listening, NULL, NULL);
	CHECK(ends.peer != -1);
	CHECK_EQ(close(listening), 0);
	return ends;
}

static inline void close_both(struct ends ends)
{
	CHECK_EQ(close(ends.ours), 0);
	CHECK_EQ(close(ends.peer), 0);
}

/* Nothing that comes in reaches the socket: the lock of a host with one connection. */
static inline void lock(int fd)
{
	struct sock_filter nothing = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog program;

	program.len = 1;
	program.filter = &nothing;
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

static inline void unlock(int fd)
{
	set_option(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

/* The byte at a place of a stream. */
static inline char byte_at(size_t place)
{
	return (char)(place * 7 + place / 251);
}

static inline char *stream(size_t length)
{
	char *bytes = (char *)malloc(length ? length : 1);
	size_t i;

	CHECK(bytes != NULL);
	for (i = 0; i < length; i++)
		bytes[i] = byte_at(i);
	return bytes;
}

static inline void write_stream(int fd, size_t length)
{
	char *bytes = stream(length);

	CHECK_EQ(send(fd, bytes, length, MSG_NOSIGNAL), length);
	free(bytes);
}

/* Writes until no more fits: the peer's buffer is full then, nothing is on its way, and the rest was never sent. */
static inline size_t write_until_full(int fd)
{
	size_t length = 1 << 20, written = 0;
	char *bytes = stream(length);
	ssize_t sent;

	while ((sent = send(fd, bytes + written, length - written, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		written += sent;
	CHECK_EQ(sent, -1);
	CHECK_EQ(errno, EAGAIN);
	free(bytes);
	AWAIT(waiting(fd, SIOCOUTQ) == waiting(fd, SIOCOUTQNSD));
	return written;
}

static inline void read_stream(int fd, size_t length)
{
	char *bytes = (char *)malloc(length + 1);
	size_t i;

	CHECK(bytes != NULL);
	CHECK_EQ(length ? recv(fd, bytes, length, MSG_WAITALL) : 0, length);
	for (i = 0; i < length; i++)
		if (bytes[i] != byte_at(i))
			CHECK_EQ(i, -1);
	free(bytes);
}

static inline void read_end(int fd)
{
	char byte;

	CHECK_EQ(recv(fd, &byte, 1, 0), 0);
}

/* Each says something to the other. */
static inline void talk(struct ends ends)
{
	char byte = 0;

	CHECK_EQ(send(ends.ours, "a", 1, MSG_NOSIGNAL), 1);
	CHECK_EQ(recv(ends.peer, &byte, 1, 0), 1);
	CHECK_EQ(byte, 'a');
	CHECK_EQ(send(ends.peer, "b", 1, MSG_NOSIGNAL), 1);
	CHECK_EQ(recv(ends.ours, &byte, 1, 0), 1);
	CHECK_EQ(byte, 'b');
}

#endif /* CHECK_H */
