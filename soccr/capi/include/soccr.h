/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libsoccr: TCP connection checkpoint and restore for Linux.
 *
 * Two interfaces are declared here, which programs choose between:
 *
 * - today's, which saves and restores by one call each. It is the default;
 * - the staged one, in which the caller binds and connects himself: define SOCCR_STAGED_API before including this
 *   file, or include soccr-staged.h.
 *
 * Link with -lsoccr, whichever is used. The library needs CAP_NET_ADMIN, and CAP_NET_RAW to put a FIN of the peer
 * back.
 *
 * What holds for every call:
 *
 * - It fails with a negative number or NULL, sets errno, and tells the log what it was doing (libsoccr_set_log).
 * - The socket is the caller's. It is never closed here, and no call blocks on it.
 * - Numbers are in host byte order, but for those in a struct sockaddr.
 * - A handle belongs to one thread at a time.
 * - Nobody else may use the socket between pause and resume, and its traffic has to be blocked from before the save
 *   until it is resumed: repair mode keeps no packet out, and a host where the socket is missing answers with a RST.
 *   What it sends has to be blocked, too: of a paced connection the kernel sends at any time, and what left behind a
 *   save is saved as unsent.
 */
#ifndef SOCCR_H
#define SOCCR_H

#include <netinet/in.h>
#include <netinet/tcp.h> /* TCP_RECV_QUEUE, TCP_SEND_QUEUE, TCPI_OPT_* */
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The mark (SO_MARK) of the packets that put a FIN back: a firewall that blocks the connection has to let them in. */
#define SOCCR_MARK 0xC114

/* Levels of the log. Each includes those before it. */
#define SOCCR_LOG_ERR 1 /* what has failed */
#define SOCCR_LOG_DBG 2 /* what is being done, and what is not carried or does not come back */

/*
 * The log of the whole process: fn gets every message up to the level. NULL turns it off, as it is from the
 * beginning. A message is a line, with its newline. fn may be called by any thread that calls the library, and must
 * not call it.
 */
void libsoccr_set_log(unsigned int level, void (*fn)(unsigned int level, const char *fmt, ...));

/* A paused socket. */
struct libsoccr_sk;

/* An address of a socket, of either family. */
union libsoccr_addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/*
 * What is saved of a connection, but for its queues and its addresses: plain numbers, to be kept and given back as
 * they are. The library never changes one that it is given, so that a connection can be restored from it again.
 */
struct libsoccr_sk_data {
	uint32_t state;      /* of the kernel: TCP_ESTABLISHED is 1 */
	uint32_t inq_len;    /* bytes received and not read */
	uint32_t inq_seq;    /* rcv_nxt: the sequence number after them, and after a FIN of the peer */
	uint32_t outq_len;   /* bytes written and not acknowledged */
	uint32_t outq_seq;   /* write_seq: the sequence number after them, and after a FIN of ours */
	uint32_t unsq_len;   /* how many of these bytes, at the end, were never sent */
	uint32_t opt_mask;   /* what was negotiated: TCPI_OPT_* */
	uint32_t mss_clamp;  /* the segment size that the peer takes */
	uint32_t snd_wscale; /* window shifts, where TCPI_OPT_WSCALE is set */
	uint32_t rcv_wscale;
	uint32_t timestamp;  /* the clock (TCP_TIMESTAMP), where TCPI_OPT_TIMESTAMPS is set */

	uint32_t flags;      /* which of the following have a meaning: SOCCR_FLAGS_* */
	uint32_t snd_wl1;    /* SOCCR_FLAGS_WINDOW: as in struct tcp_repair_window */
	uint32_t snd_wnd;
	uint32_t max_window;
	uint32_t rcv_wnd;
	uint32_t rcv_wup;
};

/* The windows are there; not so from a kernel before 4.8. */
#define SOCCR_FLAGS_WINDOW 0x1

/*
 * Pauses a socket: it is in repair mode afterwards, and of what the application has set nothing has changed but
 * SO_REUSEADDR, which resume puts back. One that is paused already stays so. An acknowledgement that is due is sent.
 *
 * NULL: EPERM without CAP_NET_ADMIN in the user namespace of the socket's network namespace, and for a listening
 * socket; EOPNOTSUPP for a socket that is not TCP.
 */
struct libsoccr_sk *libsoccr_pause(int fd);

/*
 * Ends the pause, and the handle: one window probe of an ESTABLISHED connection (none of a restored one
 * with more to be read than the peer knows of room, and nothing to be sent: reading tells it), then what waits to be sent.
 * SO_REUSEADDR is as it was before the pause, or as the caller has set it since. Nothing happens to a descriptor
 * that is no longer the socket that was paused. A socket of which only a part was restored stays paused, so that
 * closing it is silent. NULL does nothing.
 */
void libsoccr_resume(struct libsoccr_sk *sk);

/*
 * Ends the handle alone: the socket stays as it is, that is paused, unless a save has failed. Closing the last
 * descriptor of a paused socket makes the connection vanish without a packet; setsockopt(TCP_REPAIR, 0) resumes it,
 * and sets SO_REUSEADDR to 0. NULL does nothing.
 */
void libsoccr_release(struct libsoccr_sk *sk);

#ifndef SOCCR_STAGED_API

/*
 * Flag of the calls below: the memory changes hands. What the caller takes is his to free(); what he gives was
 * allocated by malloc(), and the library frees it. Without the flag it stays whose it was: what was taken is there
 * until the handle ends, the next save, or something else is given in its place; what was given has to be there,
 * unchanged, until the call that uses it has returned.
 */
#define SOCCR_MEM_EXCL 0x1

/*
 * Saves a paused connection, of any state but LISTEN, SYN_RECV and TIME_WAIT. Both queues are read as well.
 *
 * data_size is the size of *data, which the caller may have compiled against a longer structure: what is beyond is
 * zeroed. The socket is read again until nothing moves between two readings.
 *
 * Returns how many bytes of *data have a meaning: 68. Otherwise: -1 for arguments (EINVAL), -2 for the state and the
 * lengths, -3 for the negotiated options, -4 for the windows, -5 for the receive queue, -6 for the send queue. After
 * -2 to -6 *data is all zeros, the connection runs on, and another save pauses it again. Refused, with EOPNOTSUPP:
 * urgent data that waits, an upper-layer protocol such as TLS, TCP-AO, Accurate ECN.
 */
int libsoccr_save(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size);

/*
 * The bytes of a queue as they were saved, data.inq_len or data.outq_len of them, or as they were given by
 * libsoccr_set_queue_bytes. NULL where there are none, for any other queue and for unknown flags (EINVAL). With
 * SOCCR_MEM_EXCL they can be taken once.
 */
char *libsoccr_get_queue_bytes(struct libsoccr_sk *sk, int queue_id, unsigned flags);

/*
 * The local (self is not 0) or the remote address of the socket, or the one that was given by libsoccr_set_addr.
 * NULL, with ENOTCONN, where it has none. Without SOCCR_MEM_EXCL it is there until the handle ends.
 */
union libsoccr_addr *libsoccr_get_addr(struct libsoccr_sk *sk, int self, unsigned flags);

/*
 * Gives the bytes of a queue for a restore: as many as data.inq_len or data.outq_len will say. A second call takes
 * the place of the first. Memory once given by SOCCR_MEM_EXCL stays the library's, whatever a later call says of it.
 * -1 for any other queue and for unknown flags (EINVAL); the memory is the caller's then.
 */
int libsoccr_set_queue_bytes(struct libsoccr_sk *sk, int queue_id, char *bytes, unsigned flags);

/* Gives the local (self is not 0) or the remote address for a restore, likewise. */
int libsoccr_set_addr(struct libsoccr_sk *sk, int self, union libsoccr_addr *addr, unsigned flags);

/*
 * Restores a connection into a paused, unconnected socket. Both addresses are needed, and the bytes of every queue
 * that is not empty.
 *
 * When it has returned 0, everything is done: what is left is to resume, by libsoccr_resume or by the caller's own
 * setsockopt(TCP_REPAIR, 0), within a second: the kernel's timers run in repair mode, too, and send then what was in
 * flight and what was never sent. A socket whose connection is over (CLOSE) is not paused any more. Nothing has left
 * the host but
 * - in SYN_SENT: the SYN, with its old number, since a resume of the caller's own could not send it;
 * - where a FIN of the peer was put back: its acknowledgement.
 * What was never sent, in a state other than ESTABLISHED, goes out at once after libsoccr_resume, and when the
 * kernel's timer says so (within three seconds) after a resume of the caller's own.
 *
 * The options of the application, its buffer sizes and O_NONBLOCK are as the caller has set them before, and a name
 * that the socket is bound to by SO_BINDTODEVICE gives link-local addresses their link.
 *
 * -1: errno says what has failed, EINVAL that the numbers cannot be those of a connection, EOPNOTSUPP that
 * connections in this state are not restored (LISTEN, SYN_RECV, TIME_WAIT): nothing of them is given to the kernel
 * then. A socket of which something was restored is good for nothing but to be closed, which is silent.
 */
int libsoccr_restore(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size);

#else /* SOCCR_STAGED_API */

/* Two of these names are also those of today's interface, with other arguments: the library has them under others. */
#define SOCCR_STAGED_NAME(name) __asm__("libsoccr_staged_" name)

/*
 * Saves a paused connection, its queues with it: as libsoccr_save of today's interface, with the same numbers when
 * it fails. Returns how many bytes of *data have a meaning.
 */
int libsoccr_get_sk_data(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size);

/*
 * The saved bytes of a queue, data->inq_len or data->outq_len of them; NULL where there are none. If steal is not 0
 * the caller is to free() them, and they can be taken once; otherwise they are there until the handle ends, or the
 * next save.
 */
char *libsoccr_get_queue_bytes(struct libsoccr_sk *sk, int queue_id, int steal) SOCCR_STAGED_NAME("get_queue_bytes");

/*
 * The four steps of a restore into a paused, unconnected socket:
 *
 *	libsoccr_set_sk_data_unbound    before bind() and connect(): sequence numbers
 *	bind(), connect()               by the caller, in repair mode: no packet leaves
 *	libsoccr_set_sk_data_noq        what was negotiated, and the clock of the timestamps
 *	libsoccr_set_queue_bytes        for each queue that is not empty; buf is copied
 *	libsoccr_set_sk_data            all that is left: the queues, FINs, the windows
 *
 * All are given the same numbers. Each returns 0, or -1 with errno: EINVAL for numbers that cannot be those of a
 * connection, and for a step out of order. A socket of which something was restored is good for nothing but to be
 * closed then, which is silent. After the last one nothing is left but to resume; what was said of libsoccr_restore
 * in today's interface holds for it.
 *
 * SYN_SENT: unbound leaves repair mode, since the caller's connect() is to send the SYN, with its old number; it
 * fails with EINPROGRESS on a socket with O_NONBLOCK, and waits for an answer on another one. noq enters it again;
 * between the two the socket is not paused, and an answer makes it a connection whose close is told to the peer.
 * CLOSE, of a connection that is over: refused (EOPNOTSUPP); today's interface restores it.
 */
int libsoccr_set_sk_data_unbound(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size);
int libsoccr_set_sk_data_noq(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size);
int libsoccr_set_queue_bytes(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size, int queue,
			     char *buf) SOCCR_STAGED_NAME("set_queue_bytes");
int libsoccr_set_sk_data(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size);

#endif /* SOCCR_STAGED_API */

#ifdef __cplusplus
}
#endif

#endif /* SOCCR_H */
