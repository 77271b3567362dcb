/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The layout that programs are compiled against. The same numbers are in tests/interface/layout.rs. */
#include <stddef.h>

#include "soccr.h"

#ifdef __cplusplus
#define _Static_assert static_assert
#endif

#define AT(type, field, offset, length)                                                        \
	_Static_assert(offsetof(type, field) == (offset), #type "." #field " is at " #offset); \
	_Static_assert(sizeof(((type *)0)->field) == (length), #type "." #field " has " #length " bytes")

_Static_assert(sizeof(struct libsoccr_sk_data) == 68, "17 numbers of 32 bits");
AT(struct libsoccr_sk_data, state, 0, 4);
AT(struct libsoccr_sk_data, inq_len, 4, 4);
AT(struct libsoccr_sk_data, inq_seq, 8, 4);
AT(struct libsoccr_sk_data, outq_len, 12, 4);
AT(struct libsoccr_sk_data, outq_seq, 16, 4);
AT(struct libsoccr_sk_data, unsq_len, 20, 4);
AT(struct libsoccr_sk_data, opt_mask, 24, 4);
AT(struct libsoccr_sk_data, mss_clamp, 28, 4);
AT(struct libsoccr_sk_data, snd_wscale, 32, 4);
AT(struct libsoccr_sk_data, rcv_wscale, 36, 4);
AT(struct libsoccr_sk_data, timestamp, 40, 4);
AT(struct libsoccr_sk_data, flags, 44, 4);
AT(struct libsoccr_sk_data, snd_wl1, 48, 4);
AT(struct libsoccr_sk_data, snd_wnd, 52, 4);
AT(struct libsoccr_sk_data, max_window, 56, 4);
AT(struct libsoccr_sk_data, rcv_wnd, 60, 4);
AT(struct libsoccr_sk_data, rcv_wup, 64, 4);

_Static_assert(sizeof(union libsoccr_addr) == 28, "the longest of them");
AT(union libsoccr_addr, sa, 0, 16);
AT(union libsoccr_addr, v4, 0, 16);
AT(union libsoccr_addr, v6, 0, 28);

_Static_assert(SOCCR_FLAGS_WINDOW == 1, "SOCCR_FLAGS_WINDOW");
_Static_assert(SOCCR_LOG_ERR == 1, "SOCCR_LOG_ERR");
_Static_assert(SOCCR_LOG_DBG == 2, "SOCCR_LOG_DBG");
_Static_assert(SOCCR_MARK == 0xC114, "SOCCR_MARK");
#ifndef SOCCR_STAGED_API
_Static_assert(SOCCR_MEM_EXCL == 1, "SOCCR_MEM_EXCL");
#endif
_Static_assert(TCP_RECV_QUEUE == 1 && TCP_SEND_QUEUE == 2, "the numbers of the queues");
