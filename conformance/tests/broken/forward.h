/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Today's interface of libsoccr, every call of it forwarded to the library FORWARD_TO. A file that includes this has one
 * function of its own, for which it defines OWN_ and the name of it.
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "soccr.h"

static void *forward(const char *name)
{
	static void *library;

	if (!library)
		library = dlopen(FORWARD_TO, RTLD_NOW | RTLD_LOCAL);
	return library ? dlsym(library, name) : NULL;
}

/* The function of this name in the other library, as this one is declared. */
#define FORWARD(name) ((__typeof__(&name))forward(#name))

void libsoccr_set_log(unsigned int level, void (*fn)(unsigned int level, const char *fmt, ...))
{
	FORWARD(libsoccr_set_log)(level, fn);
}

#ifndef OWN_PAUSE
struct libsoccr_sk *libsoccr_pause(int fd)
{
	return FORWARD(libsoccr_pause)(fd);
}
#endif

void libsoccr_resume(struct libsoccr_sk *sk)
{
	FORWARD(libsoccr_resume)(sk);
}

void libsoccr_release(struct libsoccr_sk *sk)
{
	FORWARD(libsoccr_release)(sk);
}

int libsoccr_save(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size)
{
	return FORWARD(libsoccr_save)(sk, data, data_size);
}

#ifndef OWN_GET_QUEUE_BYTES
char *libsoccr_get_queue_bytes(struct libsoccr_sk *sk, int queue_id, unsigned flags)
{
	return FORWARD(libsoccr_get_queue_bytes)(sk, queue_id, flags);
}
#endif

#ifndef OWN_SET_QUEUE_BYTES
int libsoccr_set_queue_bytes(struct libsoccr_sk *sk, int queue_id, char *bytes, unsigned flags)
{
	return FORWARD(libsoccr_set_queue_bytes)(sk, queue_id, bytes, flags);
}
#endif

int libsoccr_set_addr(struct libsoccr_sk *sk, int self, union libsoccr_addr *addr, unsigned flags)
{
	return FORWARD(libsoccr_set_addr)(sk, self, addr, flags);
}

#ifndef OWN_RESTORE
int libsoccr_restore(struct libsoccr_sk *sk, struct libsoccr_sk_data *data, unsigned data_size)
{
	return FORWARD(libsoccr_restore)(sk, data, data_size);
}
#endif
