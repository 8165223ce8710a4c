/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe_tls: the client side of TLS for https checks (OpenSSL), on a socket that does not block.
 * TLS 1.2 or newer. The target's certificate must be good by the system's store and be for the
 * check's server name (which is sent as SNI), or without one for its address, unless the check says
 * to take any. No sessions are resumed: each run verifies anew. Prober thread only.
 *
 * A call does what the socket allows without waiting, one TLS record at most, so that no target can
 * keep the thread: after PROBE_AGAIN_READ or PROBE_AGAIN_WRITE the same call comes again once the
 * socket is readable or writable.
 */
#ifndef ROSTERD_IO_PROBE_TLS_H
#define ROSTERD_IO_PROBE_TLS_H

#include "io/probe_run.h"

struct probe_tls_session;

/* What all runs share, the system's store of certificates above all; read by the first https run.
 */
struct probe_tls *probe_tls_new(void);
void probe_tls_free(struct probe_tls *tls);

/* A session on a connected socket, which stays the caller's. NULL when out of memory. */
struct probe_tls_session *probe_tls_session_new(struct probe_tls *tls, int fd,
						const struct probe_target *target);
/* Ends it without a word to the peer; NULL is fine. */
void probe_tls_session_free(struct probe_tls_session *session);

/* Each of these is PROBE_NEXT when done. PROBE_END: it failed, and `output` says why. */
enum probe_step probe_tls_shake_hands(struct probe_tls_session *session, char *output,
				      size_t output_size);
/* Sends all of it. */
enum probe_step probe_tls_send(struct probe_tls_session *session, const char *data, size_t len,
			       char *output, size_t output_size);
/* Up to `size` octets; *len = 0: the peer has closed. */
enum probe_step probe_tls_receive(struct probe_tls_session *session, char *data, size_t size,
				  size_t *len, char *output, size_t output_size);

#endif
