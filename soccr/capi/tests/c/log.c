/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The log goes to a function like printf, a line at a time, and says what has failed and why. */
#include <linux/capability.h>
#include <sys/syscall.h>

#include "soccr.h"
#include "check.h"

static char lines[16][1024];
static unsigned levels[16];
static int count;

static void listen_to(unsigned level, const char *format, ...)
{
	va_list arguments;
	int length;

	CHECK(count < 16);
	va_start(arguments, format);
	length = vsnprintf(lines[count], sizeof(lines[count]), format, arguments);
	va_end(arguments);
	CHECK(length > 1 && length < (int)sizeof(lines[count]));
	/* Whole lines. */
	CHECK_EQ(strchr(lines[count], '\n') - lines[count], length - 1);
	levels[count++] = level;
	/* What a function like this one leaves behind is not what the caller is told. */
	errno = EXDEV;
}

/* The last line is an error that has all of this in it; it was the only one. */
static void check_said(const char *function, const char *what, int number)
{
	const char *line = lines[count - 1];

	CHECK(count > 0);
	CHECK_EQ(levels[count - 1], SOCCR_LOG_ERR);
	if (!strstr(line, function) || !strstr(line, what) || (number && !strstr(line, strerror(number)))) {
		fprintf(stderr, "said: %s", line);
		CHECK(0);
	}
	count = 0;
}

static int counted(unsigned level)
{
	int i, found = 0;

	for (i = 0; i < count; i++)
		found += levels[i] == level;
	return found;
}

/* The capability that repair mode takes: off, and on again. */
static void set_net_admin(int on)
{
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct sets[2];

	memset(&header, 0, sizeof(header));
	memset(sets, 0, sizeof(sets));
	header.version = _LINUX_CAPABILITY_VERSION_3;
	CHECK_EQ(syscall(SYS_capget, &header, sets), 0);
	if (on)
		sets[0].effective |= 1u << CAP_NET_ADMIN;
	else
		sets[0].effective &= ~(1u << CAP_NET_ADMIN);
	CHECK_EQ(syscall(SYS_capset, &header, sets), 0);
}

static void errors(const char *nowhere)
{
	union address address = parsed(nowhere, 5000);
	union libsoccr_addr local, remote;
	struct libsoccr_sk_data data;
	struct libsoccr_sk *sk;
	int fd = tcp_socket(AF_INET);

	doing = "errors";
	memset(&data, 0, sizeof(data));
	CHECK_FAILS_NULL(libsoccr_pause(-1), EBADF);
	check_said("libsoccr_pause", "-1", EBADF);

	set_net_admin(0);
	CHECK_FAILS_NULL(libsoccr_pause(fd), EPERM);
	check_said("libsoccr_pause", "TCP_REPAIR", EPERM);
	set_net_admin(1);

	sk = libsoccr_pause(fd);
	CHECK(sk != NULL);
	count = 0;
	CHECK_FAILS(libsoccr_save(NULL, &data, sizeof(data)), -1, EINVAL);
	check_said("libsoccr_save", "NULL", 0);
	CHECK_FAILS(libsoccr_save(sk, &data, 67), -1, EINVAL);
	check_said("libsoccr_save", "67", 0);
	CHECK_FAILS_NULL(libsoccr_get_queue_bytes(sk, 7, 0), EINVAL);
	check_said("libsoccr_get_queue_bytes", "7", 0);
	CHECK_FAILS_NULL(libsoccr_get_addr(sk, 0, 0), ENOTCONN);
	check_said("libsoccr_get_addr", "SO_PEERNAME", ENOTCONN);

	memcpy(&local, &address, sizeof(local));
	memcpy(&remote, &address, sizeof(remote));
	CHECK_EQ(libsoccr_set_addr(sk, 1, &local, 0), 0);
	CHECK_EQ(libsoccr_set_addr(sk, 0, &remote, 0), 0);
	data.state = TCP_ESTABLISHED;
	CHECK_FAILS(libsoccr_restore(sk, &data, sizeof(data)), -1, EINVAL);
	check_said("libsoccr_restore", "mss_clamp", 0);
	data.mss_clamp = 1460;
	CHECK_FAILS(libsoccr_restore(sk, &data, sizeof(data)), -1, EADDRNOTAVAIL);
	check_said("libsoccr_restore", "bind", EADDRNOTAVAIL);
	libsoccr_release(sk);
	CHECK_EQ(close(fd), 0);
}

/* What goes well is only told to those who want to know everything. */
static void pause_and_resume(unsigned level, void (*fn)(unsigned, const char *, ...))
{
	int fd = tcp_socket(AF_INET);
	struct libsoccr_sk *sk;

	doing = "levels";
	doing_number = level;
	count = 0;
	libsoccr_set_log(level, fn);
	sk = libsoccr_pause(fd);
	CHECK(sk != NULL);
	libsoccr_resume(sk);
	CHECK_FAILS_NULL(libsoccr_pause(-1), EBADF);
	CHECK_EQ(close(fd), 0);
}

int main(int argc, char **argv)
{
	alarm(60);
	CHECK_EQ(argc, 5);
	/* Off from the beginning. */
	CHECK_FAILS_NULL(libsoccr_pause(-1), EBADF);
	CHECK_EQ(count, 0);

	libsoccr_set_log(SOCCR_LOG_ERR, listen_to);
	errors(argv[2]);
	libsoccr_set_log(SOCCR_LOG_DBG, listen_to);
	errors(argv[2]);

	pause_and_resume(SOCCR_LOG_ERR, listen_to);
	CHECK_EQ(count, 1);
	CHECK_EQ(levels[0], SOCCR_LOG_ERR);
	pause_and_resume(SOCCR_LOG_DBG, listen_to);
	CHECK_EQ(counted(SOCCR_LOG_ERR), 1);
	CHECK_EQ(counted(SOCCR_LOG_DBG), count - 1);
	CHECK(count >= 3);
	pause_and_resume(0, listen_to);
	CHECK_EQ(count, 0);
	pause_and_resume(SOCCR_LOG_DBG, NULL);
	CHECK_EQ(count, 0);
	return 0;
}
