//- basis
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SUBJECT, PEER, BOTH };
enum { ALL = 0x7fffffff };  /* bytes to read: those that are there */
enum { PATIENCE = 20000 }; /* ms: above the sum of the first few retransmission timeouts */
static const char *const name[] = {"subject", "peer"};
static int fd[2];                /* the sockets */
static int control;              /* a socket for what is asked of the link */
static uint64_t sent[2], got[2]; /* bytes that each end has written, and has read of the other's */
static int ended[2];             /* which ends have ended their streams */
static int lossy[2];             /* whose segments are lost */
static int number;               /* of the step */
static const char *doing = "the opening";

static void fail(const char *format, ...)
{
	va_list values;

	fprintf(stderr, "step %d, %s: ", number, doing);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fprintf(stderr, "\n");
	exit(1);
}

/* A system call that must not fail; returns what it has returned. */
#define MUST(call) must(call, #call)
static int must(int result, const char *call)
{
	if (result < 0)
		fail("%s: %s", call, strerror(errno));
	return result;
}

static int get(int sock, int level, int option)
{
	int value = 0;
	socklen_t size = sizeof(value);

	MUST(getsockopt(sock, level, option, &value, &size));
	return value;
}

#define set(sock, level, option, value) must(set_int(sock, level, option, value), "set " #option)
static int set_int(int sock, int level, int option, int value)
{
	return setsockopt(sock, level, option, &value, sizeof(value));
}

static int queued(int sock, unsigned long which)
{
	int bytes = 0;

	MUST(ioctl(sock, which, &bytes));
	return bytes;
}

/* A network of our own, of which the loopback link is all. */
static void link_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	MUST(unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET));
	control = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(ioctl(control, SIOCSIFFLAGS, &lo));
}

static void mtu(int bytes)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_mtu = bytes};

	MUST(ioctl(control, SIOCSIFMTU, &lo));
}

static void sysctl(const char *path, const char *value)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(value, file) < 0 || fclose(file))
		fail("%s: %s", path, strerror(errno));
}
//- offload

#include <linux/ethtool.h>

/* Every segment is a packet of its own. */
static void offload_off(void)
{
	static const int commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO};

	for (int i = 0; i < 2; i++) {
		struct ethtool_value off = {.cmd = commands[i]};
		struct ifreq lo = {.ifr_name = "lo", .ifr_data = (void *)&off};

		MUST(ioctl(control, SIOCETHTOOL, &lo));
	}
}
//- family

#define LOOPBACK6 "::1"
static const int family[] = {AF_INET, AF_INET};
//- sockets

static int tcp_socket(int end)
{
	int sock = MUST(socket(family[end], SOCK_STREAM, 0));

//- on every socket
//- sockets end
	return sock;
}
//- address

static const uint16_t port[] = {20001, 20002};

/* The address of this host, as the socket of an end has it. */
static struct sockaddr_storage address(int end, uint16_t number)
{
	struct sockaddr_storage address = {.ss_family = family[end]};
	struct sockaddr_in *v4 = (void *)&address;
	struct sockaddr_in6 *v6 = (void *)&address;

	if (family[end] == AF_INET) {
		v4->sin_port = htons(number);
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		v6->sin6_port = htons(number);
		inet_pton(AF_INET6, LOOPBACK6, &v6->sin6_addr);
	}
	return address;
}
//- talk

/* Byte `at` of the stream of an end: counters, so that every shift, gap and swap shows. */
static unsigned char byte_of(int end, uint64_t at)
{
	return ((at / 4) ^ (end ? 0xa5a5a5a5 : 0)) >> (24 - at % 4 * 8);
}

static void fill(int end, uint64_t at, unsigned char *bytes, int count)
{
	for (int i = 0; i < count; i++)
		bytes[i] = byte_of(end, at + i);
}

static void check(int end, uint64_t at, const unsigned char *bytes, int count, const char *where)
{
	for (int i = 0; i < count; i++)
		if (bytes[i] != byte_of(end, at + i))
			fail("%s: byte %llu of the stream of the %s is %02x, not %02x", where,
			     (unsigned long long)(at + i), name[end], bytes[i], byte_of(end, at + i));
}

/* Writes so many bytes, or as many as the socket takes at once. */
static void writes(int end, int count)
{
	unsigned char bytes[65536];

	while (count > 0) {
		int part = count < (int)sizeof(bytes) ? count : (int)sizeof(bytes);

		fill(end, sent[end], bytes, part);
		part = send(fd[end], bytes, part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (part < 0 && errno == EAGAIN)
			return;
		sent[end] += must(part, "send");
		count -= part;
	}
}

/* Reads so many bytes, or as many as there are; returns whether the stream has ended. */
static int reads(int end, int count)
{
	unsigned char bytes[65536];

	while (count > 0) {
		int part = count < (int)sizeof(bytes) ? count : (int)sizeof(bytes);

		part = recv(fd[end], bytes, part, MSG_DONTWAIT);
		if (part == 0)
			return 1;
		if (part < 0 && errno == EAGAIN)
			return 0;
		check(!end, got[end], bytes, must(part, "recv"), "what is read");
		got[end] += part;
		count -= part;
	}
	return 0;
}

static void ends(int end)
{
	MUST(shutdown(fd[end], SHUT_WR));
	ended[end] = 1;
}
//- urges

/* Sends a byte as urgent data, which stays where it stands in the stream (SO_OOBINLINE). */
static void urges(int end)
{
	unsigned char byte = byte_of(end, sent[end]);
	int count = send(fd[end], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_OOB);

	if (count < 0 && errno == EAGAIN)
		return;
	sent[end] += must(count, "send");
}
//- deaf

/* A filter that drops everything: what arrives at a socket is lost, also the RST for another that is not there. */
static void deafen(int sock)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &drop};

	MUST(setsockopt(sock, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}
//- hear

static void hear(int sock)
{
	if (set_int(sock, SOL_SOCKET, SO_DETACH_FILTER, 0) < 0 && errno != ENOENT)
		fail("SO_DETACH_FILTER: %s", strerror(errno));
}
//- lose

/* All that an end sends is lost, from here on. */
static void lose(int end)
{
	lossy[end] = 1;
	deafen(fd[!end]);
}
//- clear

static void clear(void)
{
	for (int end = SUBJECT; end <= PEER; end++) {
		lossy[end] = 0;
		hear(fd[end]);
	}
}
//- carried

/* What the application has set, but for the sizes of the buffers. */
static const struct {
	int level, option;
} carried[] = {
//- names
	{IPPROTO_TCP, TCP_NODELAY},
//- carried end
	{0, 0},
};
//- saved

#ifndef TCPI_OPT_USEC_TS /* kernel 6.7 */
#define TCPI_OPT_USEC_TS 64
#endif

/* What a connection is made of. */
struct saved {
	uint32_t write_seq, rcv_nxt; /* the ends of the two queues */
	int inq, outq, unsent;       /* their lengths, bytes, and how many at the end were never sent */
	unsigned char *in, *out;     /* their bytes */
	int mss;                     /* the largest segment that the other end takes */
	int options;                 /* TCPI_OPT_* */
	int snd_wscale, rcv_wscale;
	uint32_t timestamp; /* our clock */
	struct tcp_repair_window window;
	int sndbuf, rcvbuf, locks;
//- carried
	int has_set, set[8]; /* what the application has set, if that was looked at */
//- saved end
};
//- save

static unsigned char *peek(int sock, int count)
{
	unsigned char *bytes = malloc(count + 1);

	if (count && MUST(recv(sock, bytes, count, MSG_PEEK | MSG_DONTWAIT)) != count)
		fail("a queue of %d bytes shows fewer", count);
	return bytes;
}

/* Saves a connection, and leaves it in repair mode: a close sends nothing then. */
static void save(int end, struct saved *it)
{
	int sock = fd[end];
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	it->sndbuf = get(sock, SOL_SOCKET, SO_SNDBUF);
	it->rcvbuf = get(sock, SOL_SOCKET, SO_RCVBUF);
	it->locks = get(sock, SOL_SOCKET, SO_BUF_LOCK);
//- carried and saved
	it->has_set = 1;
	for (int i = 0; carried[i].level; i++)
		it->set[i] = get(sock, carried[i].level, carried[i].option);
//- save end

	set(sock, IPPROTO_TCP, TCP_QUICKACK, 1); /* what is due is sent now, not in the middle */
	set(sock, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
	MUST(getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &size));
	it->options = info.tcpi_options;
	it->snd_wscale = info.tcpi_snd_wscale;
	it->rcv_wscale = info.tcpi_rcv_wscale;
	it->mss = get(sock, IPPROTO_TCP, TCP_MAXSEG); /* in repair mode: as the other end has announced it */
	it->inq = queued(sock, SIOCINQ);
	it->outq = queued(sock, SIOCOUTQ);
	it->unsent = queued(sock, SIOCOUTQNSD);
	if (ended[end]) { /* the FIN, which is last, counts as a byte */
		it->outq -= it->outq > 0;
		it->unsent -= it->unsent > 0;
	}
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	it->write_seq = get(sock, IPPROTO_TCP, TCP_QUEUE_SEQ);
	it->out = peek(sock, it->outq);
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
	it->rcv_nxt = get(sock, IPPROTO_TCP, TCP_QUEUE_SEQ);
	it->in = peek(sock, it->inq);
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	size = sizeof(it->window);
	MUST(getsockopt(sock, IPPROTO_TCP, TCP_REPAIR_WINDOW, &it->window, &size));
	it->timestamp = get(sock, IPPROTO_TCP, TCP_TIMESTAMP); /* last: the other end must never see an older one */

	check(!end, got[end], it->in, it->inq, "the saved receive queue");
	check(end, sent[end] - it->outq, it->out, it->outq, "the saved send queue");
}
//- checkpoint

/* Saves and lets run on. */
static void checkpoint(int who)
{
	struct saved it;

	for (int end = SUBJECT; end <= PEER; end++) {
		if (who != BOTH && who != end)
			continue;
		deafen(fd[end]); /* repair mode does not keep packets out */
		save(end, &it);
		if (!lossy[!end])
			hear(fd[end]);
		set(fd[end], IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
		free(it.in);
		free(it.out);
	}
}
//- build

/* A size that the kernel tells, of which it is given half; without privileges only as far as the sysctls go. */
static void resize(int sock, int option, int force, int bytes, int at_least)
{
	if (bytes && set_int(sock, SOL_SOCKET, force, (bytes + 1) / 2) < 0 && at_least)
		set(sock, SOL_SOCKET, option, (bytes + 1) / 2);
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

static void put(int sock, const unsigned char *bytes, int count)
{
	while (count > 0) {
		int part = MUST(send(sock, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));

		bytes += part;
		count -= part;
	}
}

static void set_window(int sock, const struct tcp_repair_window *window)
{
	MUST(setsockopt(sock, IPPROTO_TCP, TCP_REPAIR_WINDOW, window, sizeof(*window)));
}

/* Builds a connection, up to the point where it is in repair mode, hears nothing, and only the resume is missing. */
static void build(int end, const struct saved *it)
{
	int sock = fd[end] = tcp_socket(end);
	struct sockaddr_storage local = address(end, port[end]), remote = address(end, port[!end]);
	struct tcp_repair_opt options[] = {
		{2 /* MSS */, it->mss},
		{3 /* window scale: without it the kernel chooses one */, it->snd_wscale | it->rcv_wscale << 16},
		{it->options & TCPI_OPT_SACK ? 4 : 1 /* else none */, 0},
		{it->options & TCPI_OPT_TIMESTAMPS ? 8 : 1, 0},
	};
	struct tcp_repair_window window = it->window;
	int sent_bytes = it->outq - it->unsent;

	deafen(sock);
	set(sock, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
	/* Room for the queues, with the overhead of as many segments. */
	resize(sock, SO_SNDBUF, SO_SNDBUFFORCE, max(it->sndbuf, 2 * (it->outq + it->outq / it->mss * 2304)), 1);
	resize(sock, SO_RCVBUF, SO_RCVBUFFORCE, max(it->rcvbuf, 2 * it->inq), 1);
	set(sock, SOL_SOCKET, SO_BUF_LOCK, 0);

	/* Where the queues start: only an unconnected socket takes it. */
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	set(sock, IPPROTO_TCP, TCP_QUEUE_SEQ, it->write_seq - it->outq);
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
	set(sock, IPPROTO_TCP, TCP_QUEUE_SEQ, it->rcv_nxt - it->inq);
	MUST(bind(sock, (void *)&local, sizeof(local)));
	MUST(connect(sock, (void *)&remote, sizeof(remote))); /* no SYN: ESTABLISHED at once */

	MUST(setsockopt(sock, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, sizeof(options)));
	MUST(setsockopt(sock, SOL_IP, IP_OPTIONS, NULL, 0)); /* makes the kernel compute its segments from the MSS */
	if (it->options & TCPI_OPT_TIMESTAMPS) /* bit 0 chooses microseconds; never behind */
		set(sock, IPPROTO_TCP, TCP_TIMESTAMP, (it->timestamp | 1) + !(it->options & TCPI_OPT_USEC_TS));
//- carried and built
	for (int i = 0; it->has_set && carried[i].level; i++)
		if (get(sock, carried[i].level, carried[i].option) != it->set[i])
			set(sock, carried[i].level, carried[i].option, it->set[i]);
//- build end

	/* With a queue selected, what is written goes there, and counts as received, or as sent. */
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
	put(sock, it->in, it->inq);
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	put(sock, it->out, sent_bytes);
	set(sock, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);

	/* What was never sent is written outside of repair mode, against a closed window. */
	if (it->unsent) {
		window.snd_wnd = 0;
		set_window(sock, &window);
		set(sock, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
		put(sock, it->out + sent_bytes, it->unsent);
		set(sock, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
		window.snd_wnd = it->window.snd_wnd;
	}
	/* The kernel refuses a window that was retracted below the last segment. */
	if ((int32_t)(window.snd_wl1 - it->rcv_nxt - window.rcv_wnd) > 0)
		window.rcv_wnd = window.snd_wl1 - window.rcv_wup;
	set_window(sock, &window);

	if (queued(sock, SIOCINQ) != it->inq || queued(sock, SIOCOUTQ) != it->outq)
		fail("the queues of the restored %s are not as long as they were", name[end]);
}

static void resume(int end, const struct saved *it)
{
	resize(fd[end], SO_SNDBUF, SO_SNDBUFFORCE, it->sndbuf, it->locks & 1);
	resize(fd[end], SO_RCVBUF, SO_RCVBUFFORCE, it->rcvbuf, it->locks & 2);
	set(fd[end], SOL_SOCKET, SO_BUF_LOCK, it->locks);
	set(fd[end], IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF); /* sends a window probe */
}

/* Both ends hear again, unless what they would hear is lost. */
static void unlock(void)
{
	for (int end = SUBJECT; end <= PEER; end++)
		if (!lossy[!end])
			hear(fd[end]);
}
//- restore

/* Saves, closes the sockets, and restores. Both ends are deaf meanwhile: nothing is torn, and no RST is heard. */
static void restore(int who)
{
	struct saved saved[2];

	deafen(fd[SUBJECT]);
	deafen(fd[PEER]);
	for (int end = SUBJECT; end <= PEER; end++)
		if (who == BOTH || who == end) {
			save(end, &saved[end]);
			MUST(close(fd[end]));
		}
	for (int end = SUBJECT; end <= PEER; end++)
		if (who == BOTH || who == end)
			build(end, &saved[end]);
	unlock();
	for (int end = SUBJECT; end <= PEER; end++)
		if (who == BOTH || who == end) {
			resume(end, &saved[end]);
			free(saved[end].in);
			free(saved[end].out);
		}
}
//- handshake

static void handshake(void)
{
	struct sockaddr_storage near = address(SUBJECT, port[SUBJECT]);
	struct sockaddr_storage from_near = address(SUBJECT, port[PEER]), far = address(PEER, port[PEER]);
	int listener = tcp_socket(PEER);

	fd[SUBJECT] = tcp_socket(SUBJECT);
//- before the handshake
//- handshake end
	MUST(bind(listener, (void *)&far, sizeof(far)));
	MUST(listen(listener, 1));
	MUST(bind(fd[SUBJECT], (void *)&near, sizeof(near)));
	MUST(connect(fd[SUBJECT], (void *)&from_near, sizeof(from_near)));
	fd[PEER] = MUST(accept(listener, NULL, NULL));
	MUST(close(listener));
}
//- settle

/* Whether nothing of an end is on its way: all is acknowledged, or the window of the other end is closed. */
static int at_rest(int end)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	/* Otherwise the last segment is acknowledged by a timer. */
	set(fd[!end], IPPROTO_TCP, TCP_QUICKACK, 1);
	MUST(getsockopt(fd[end], IPPROTO_TCP, TCP_INFO, &info, &size));
	return !queued(fd[end], SIOCOUTQ) || !info.tcpi_snd_wnd || info.tcpi_state == 7 /* CLOSE */;
}

/* Waits until nothing moves any more; then no byte may be lost or made up. */
static void settle(void)
{
	for (int ms = 0; !lossy[SUBJECT] && !lossy[PEER] && !(at_rest(SUBJECT) && at_rest(PEER)); ms++) {
		if (ms == PATIENCE)
			fail("no rest: %d bytes of the subject and %d of the peer are not acknowledged",
			     queued(fd[SUBJECT], SIOCOUTQ), queued(fd[PEER], SIOCOUTQ));
		poll(NULL, 0, 1);
	}
	for (int end = SUBJECT; end <= PEER && !(ended[SUBJECT] && ended[PEER]); end++) {
		uint64_t acked = sent[end] + ended[end] - queued(fd[end], SIOCOUTQ);
		uint64_t came = got[!end] + queued(fd[!end], SIOCINQ);

		if (acked > came + ended[end] || came > sent[end])
			fail("the %s: %llu bytes written, %llu acknowledged, %llu received", name[end],
			     (unsigned long long)sent[end], (unsigned long long)acked, (unsigned long long)came);
	}
}

#define STEP(call)               \
	do {                     \
		number++;        \
		doing = #call;   \
		call;            \
		settle();        \
	} while (0)

/* Everything arrives, more is exchanged, and both streams end. */
static void drain(void)
{
	while (got[PEER] < sent[SUBJECT] || got[SUBJECT] < sent[PEER]) {
		struct pollfd waiting[2];

		for (int end = SUBJECT; end <= PEER; end++)
			waiting[end] = (struct pollfd){got[end] < sent[!end] ? fd[end] : -1, POLLIN, 0};
		if (!MUST(poll(waiting, 2, PATIENCE)))
			fail("stalled: the subject lacks %llu bytes, the peer %llu",
			     (unsigned long long)(sent[PEER] - got[SUBJECT]),
			     (unsigned long long)(sent[SUBJECT] - got[PEER]));
		for (int end = SUBJECT; end <= PEER; end++)
			if (waiting[end].revents && reads(end, 65536) && got[end] < sent[!end])
				fail("the stream of the %s ends after %llu of %llu bytes", name[!end],
				     (unsigned long long)got[end], (unsigned long long)sent[!end]);
	}
}

static void finish(void)
{
	drain();
	for (int end = SUBJECT; end <= PEER; end++)
		for (int round = 0; round < 10 && !ended[end]; round++, drain())
			writes(end, 1000);
	settle();
	for (int end = SUBJECT; end <= PEER; end++) {
		struct pollfd waiting = {fd[!end], POLLIN, 0};

		if (!ended[end])
			ends(end);
		if (!MUST(poll(&waiting, 1, PATIENCE)) || !reads(!end, 1))
			fail("the stream of the %s does not end", name[end]);
	}
	for (int end = SUBJECT; end <= PEER; end++)
		if (get(fd[end], SOL_SOCKET, SO_ERROR))
			fail("an error waits at the %s", name[end]);
}
