/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct probe_tls {
	SSL_CTX *context; /* NULL: nobody needed it yet */
};

struct probe_tls_session {
	SSL *ssl;
};

/* ---- What all share ---- */

struct probe_tls *probe_tls_new(void)
{
	return calloc(1, sizeof(struct probe_tls));
}

void probe_tls_free(struct probe_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

static SSL_CTX *new_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context)
		return NULL;
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_default_verify_paths(context) != 1) {
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	/* One record a call: a peer that sends others than data for ever is cut off by the timer.
	 */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	return context;
}

/* ---- Sessions ---- */

static int expect_address(SSL *ssl, const struct sockaddr_storage *peer)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
	X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);

	if (peer->ss_family == AF_INET)
		return X509_VERIFY_PARAM_set1_ip(parameters, (const unsigned char *)&in->sin_addr,
						 sizeof(in->sin_addr));
	return X509_VERIFY_PARAM_set1_ip(parameters, (const unsigned char *)&in6->sin6_addr,
					 sizeof(in6->sin6_addr));
}

static int expect_peer(SSL *ssl, const struct probe_target *target)
{
	char *name = target->spec->server_name; /* the macro below casts const away */

	if (name && SSL_set_tlsext_host_name(ssl, name) != 1)
		return 0;
	if (target->spec->tls_skip_verify) {
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		return 1;
	}
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	return name ? SSL_set1_host(ssl, name) : expect_address(ssl, &target->sockaddr);
}

struct probe_tls_session *probe_tls_session_new(struct probe_tls *tls, int fd,
						const struct probe_target *target)
{
	struct probe_tls_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	ERR_clear_error();
	if (!tls->context)
		tls->context = new_context();
	if (tls->context)
		session->ssl = SSL_new(tls->context);
	if (!session->ssl || SSL_set_fd(session->ssl, fd) != 1 ||
	    expect_peer(session->ssl, target) != 1) {
		probe_tls_session_free(session);
		return NULL;
	}
	SSL_set_connect_state(session->ssl);
	return session;
}

void probe_tls_session_free(struct probe_tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	free(session);
}

/* ---- Input and output ---- */

/* What OpenSSL says went wrong, for people. */
static void explain(const SSL *ssl, int system_error, char *output, size_t output_size)
{
	long verdict = SSL_get_verify_result(ssl);
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;

	if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		snprintf(output, output_size, "certificate refused: %s",
			 X509_verify_cert_error_string(verdict));
	else if (reason)
		snprintf(output, output_size, "TLS: %s", reason);
	else if (system_error)
		probe_run_explain(system_error, output, output_size);
	else
		snprintf(output, output_size, "TLS: closed by the target");
}

/* What became of a call that returned `result`. */
static enum probe_step conclude(const struct probe_tls_session *session, int result, char *output,
				size_t output_size)
{
	int system_error = errno;

	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return PROBE_AGAIN_READ;
	case SSL_ERROR_WANT_WRITE:
		return PROBE_AGAIN_WRITE;
	default:
		explain(session->ssl, system_error, output, output_size);
		ERR_clear_error();
		return PROBE_END;
	}
}

enum probe_step probe_tls_shake_hands(struct probe_tls_session *session, char *output,
				      size_t output_size)
{
	int result;

	errno = 0;
	result = SSL_do_handshake(session->ssl);
	return result == 1 ? PROBE_NEXT : conclude(session, result, output, output_size);
}

enum probe_step probe_tls_send(struct probe_tls_session *session, const char *data, size_t len,
			       char *output, size_t output_size)
{
	size_t written;
	int result;

	errno = 0;
	result = SSL_write_ex(session->ssl, data, len, &written);
	return result == 1 ? PROBE_NEXT : conclude(session, result, output, output_size);
}

enum probe_step probe_tls_receive(struct probe_tls_session *session, char *data, size_t size,
				  size_t *len, char *output, size_t output_size)
{
	int result;

	errno = 0;
	*len = 0;
	result = SSL_read_ex(session->ssl, data, size, len);
	if (result == 1 || SSL_get_error(session->ssl, result) == SSL_ERROR_ZERO_RETURN)
		return PROBE_NEXT;
	return conclude(session, result, output, output_size);
}
