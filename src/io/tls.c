/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tls.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of TLS 1.2; those of 1.3 are all good. */
#define SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"

/*
 * A new session takes a reference to the context, which needs the lock: between reading the pointer
 * and that, tls_swap() might free it. Nothing else is done under it.
 */
struct tls {
	pthread_mutex_t lock;
	SSL_CTX *context;
};

struct tls_session {
	SSL *ssl;
	bool is_broken; /* nothing may be said any more */
	bool wants_write;
};

/* ---- Files ---- */

/* Where what goes wrong is said. */
struct loader {
	SSL_CTX *context;
	char *message;
	size_t message_size;
};

static int fail(struct loader *loader, const char *path, const char *reason)
{
	snprintf(loader->message, loader->message_size, "%s: %s", path, reason);
	ERR_clear_error();
	return -1;
}

/* With what OpenSSL says beside our own words. */
static int fail_openssl(struct loader *loader, const char *path, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	char text[256];

	snprintf(text, sizeof(text), "%s (%s)", what, reason ? reason : "out of memory");
	return fail(loader, path, text);
}

static BIO *open_file(struct loader *loader, const char *path)
{
	BIO *file;

	ERR_clear_error();
	errno = 0;
	file = BIO_new_file(path, "r");
	if (!file)
		fail(loader, path, strerror(errno ? errno : ENOMEM));
	return file;
}

/* Nobody is there to be asked for a password. */
static int refuse_password(char *password, int size, int writes, void *cookie)
{
	bool *was_asked = cookie;

	(void)password, (void)size, (void)writes;
	*was_asked = true;
	return -1;
}

static void warn_of_dates(const char *path, const X509 *certificate)
{
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		log_event(LOG_WARNING, "certificate-expired", "file", path, NULL);
	if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
		log_event(LOG_WARNING, "certificate-not-yet-valid", "file", path, NULL);
}

/* The certificate, and the chain behind it in the file. */
static int load_certificate(struct loader *loader, const char *path)
{
	BIO *file = open_file(loader, path);

	if (!file)
		return -1;
	BIO_free(file);
	if (SSL_CTX_use_certificate_chain_file(loader->context, path) != 1)
		return fail_openssl(loader, path, "has no certificate that can be used");
	warn_of_dates(path, SSL_CTX_get0_certificate(loader->context));
	return 0;
}

static int load_key(struct loader *loader, const char *path)
{
	X509 *certificate = SSL_CTX_get0_certificate(loader->context);
	BIO *file = open_file(loader, path);
	bool was_asked = false;
	EVP_PKEY *key;
	int result = -1;

	if (!file)
		return -1;
	key = PEM_read_bio_PrivateKey(file, NULL, refuse_password, &was_asked);
	if (was_asked)
		fail(loader, path, "the key is encrypted: a server has nobody to ask");
	else if (!key)
		fail_openssl(loader, path, "has no private key in PEM form");
	else if (X509_check_private_key(certificate, key) != 1)
		fail(loader, path, "the key is not that of the certificate");
	else if (SSL_CTX_use_PrivateKey(loader->context, key) != 1)
		fail_openssl(loader, path, "the key cannot be used");
	else
		result = 0;
	EVP_PKEY_free(key);
	BIO_free(file);
	return result;
}

static int load_client_ca(struct loader *loader, const char *path)
{
	BIO *file = open_file(loader, path);
	STACK_OF(X509_NAME) * names;

	if (!file)
		return -1;
	BIO_free(file);
	names = SSL_load_client_CA_file(path);
	if (!names || SSL_CTX_load_verify_file(loader->context, path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return fail_openssl(loader, path, "has no certificates in PEM form");
	}
	SSL_CTX_set_client_CA_list(loader->context, names);
	SSL_CTX_set_verify(loader->context, SSL_VERIFY_PEER, NULL);
	return 0;
}

/* ---- Contexts ---- */

static const struct tls_door *door_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *cookie)
{
	static const char *const names[] = {
		[TLS_HTTP] = "\10http/1.1\10http/1.0", [TLS_DNS] = "\3dot"
	};
	const char *name = names[door_of(ssl)->protocol];
	unsigned char *chosen;

	(void)cookie;
	if (SSL_select_next_proto(&chosen, out_len, (const unsigned char *)name,
				  (unsigned)strlen(name), in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * Of TLS 1.3 we have nothing to say behind the client's last word. A client that leaves Nagle's
 * algorithm on keeps its query until that is acknowledged: now, not 40 ms later.
 */
static void on_progress(const SSL *ssl, int where, int value)
{
	const int yes = 1;

	(void)value;
	if (!(where & SSL_CB_HANDSHAKE_DONE))
		return;
	counters_add(&door_of(ssl)->counters->tls_done, 1);
	setsockopt(SSL_get_fd(ssl), IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof(yes));
}

static SSL_CTX *new_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context)
		return NULL;
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(context, SUITES) != 1 ||
	    SSL_CTX_set_num_tickets(context, 0) != 1) {
		SSL_CTX_free(context);
		return NULL;
	}
	/*
	 * DNS and HTTP say themselves how long their messages are: who closes without a word of TLS
	 * has said no less, and gets the replies.
	 */
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
					     SSL_OP_PRIORITIZE_CHACHA |
					     SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	/* One record a call, as tls_session_receive() says: no peer can keep the thread. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	SSL_CTX_set_info_callback(context, on_progress);
	return context;
}

struct tls *tls_new(const struct tls_options *options, char *message, size_t message_size)
{
	struct loader loader = { .message = message, .message_size = message_size };
	struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		goto no_memory;
	pthread_mutex_init(&tls->lock, NULL);
	loader.context = tls->context = new_context();
	if (!tls->context)
		goto no_memory;
	if (load_certificate(&loader, options->certificate) || load_key(&loader, options->key) ||
	    (options->client_ca && load_client_ca(&loader, options->client_ca))) {
		tls_free(tls);
		return NULL;
	}
	return tls;

no_memory:
	snprintf(message, message_size, "TLS: out of memory");
	tls_free(tls);
	return NULL;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	pthread_mutex_destroy(&tls->lock);
	free(tls);
}

void tls_swap(struct tls *tls, struct tls *fresh)
{
	SSL_CTX *context;

	pthread_mutex_lock(&tls->lock);
	context = tls->context;
	tls->context = fresh->context;
	pthread_mutex_unlock(&tls->lock);
	fresh->context = context;
}

/* ---- Sessions ---- */

/* A reference to what the files say now. */
static SSL_CTX *acquire_context(struct tls *tls)
{
	SSL_CTX *context;

	pthread_mutex_lock(&tls->lock);
	context = tls->context;
	SSL_CTX_up_ref(context);
	pthread_mutex_unlock(&tls->lock);
	return context;
}

static SSL *new_ssl(const struct tls_door *door)
{
	SSL_CTX *context;
	SSL *ssl;

	ERR_clear_error();
	context = acquire_context(door->tls);
	ssl = SSL_new(context);
	SSL_CTX_free(context);
	if (!ssl)
		return NULL;
	/* Whoever asks DNS is asked for nothing. */
	if (door->protocol == TLS_DNS)
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	/* The macro casts const away; it is read only. */
	SSL_set_ex_data(ssl, 0, (void *)(uintptr_t)door);
	counters_add(&door->counters->tls_begun, 1);
	return ssl;
}

struct tls_session *tls_session_new(const struct tls_door *door, int fd)
{
	struct tls_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->ssl = new_ssl(door);
	if (!session->ssl || SSL_set_fd(session->ssl, fd) != 1) {
		SSL_free(session->ssl);
		free(session);
		return NULL;
	}
	/* What tls_session_send() promises; bufferevents have their own way. */
	SSL_set_mode(session->ssl,
		     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_accept_state(session->ssl);
	return session;
}

static void say_end(SSL *ssl)
{
	if (SSL_is_init_finished(ssl))
		SSL_shutdown(ssl);
	ERR_clear_error();
}

void tls_session_free(struct tls_session *session)
{
	if (!session)
		return;
	if (!session->is_broken)
		say_end(session->ssl);
	SSL_free(session->ssl);
	free(session);
}

/* What became of a call that did not succeed, as recv() and send() would tell it. */
static ssize_t conclude(struct tls_session *session, int error)
{
	session->wants_write = error == SSL_ERROR_WANT_WRITE;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	session->is_broken = true;
	ERR_clear_error();
	errno = ECONNRESET;
	return -1;
}

ssize_t tls_session_receive(struct tls_session *session, void *octets, size_t size)
{
	size_t len;
	int result, error;

	assert(size >= TLS_RECORD);
	ERR_clear_error();
	result = SSL_read_ex(session->ssl, octets, size, &len);
	if (result == 1)
		return (ssize_t)len;
	error = SSL_get_error(session->ssl, result);
	return error == SSL_ERROR_ZERO_RETURN ? 0 : conclude(session, error);
}

ssize_t tls_session_send(struct tls_session *session, const void *octets, size_t len)
{
	size_t written;
	int result;

	ERR_clear_error();
	result = SSL_write_ex(session->ssl, octets, len, &written);
	if (result == 1)
		return (ssize_t)written;
	/*
	 * Where the peer has said its end, OpenSSL calls a socket that is broken by that name, too:
	 * for who sends it is an error all the same, and never 0 octets to try again.
	 */
	return conclude(session, SSL_get_error(session->ssl, result));
}

bool tls_session_wants_write(const struct tls_session *session)
{
	return session->wants_write;
}

bool tls_session_is_open(const struct tls_session *session)
{
	return SSL_is_init_finished(session->ssl);
}

/* ---- libevent ---- */

struct bufferevent *tls_bufferevent_new(const struct tls_door *door, struct event_base *base)
{
	SSL *ssl = new_ssl(door);
	struct bufferevent *bufferevent;

	if (!ssl)
		return NULL;
	bufferevent = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
						     BEV_OPT_CLOSE_ON_FREE);
	if (!bufferevent)
		SSL_free(ssl);
	return bufferevent;
}

void tls_bufferevent_end(struct bufferevent *bufferevent)
{
	say_end(bufferevent_openssl_get_ssl(bufferevent));
}

/* Text of a certificate, which could say anything: a NUL within, or what fakes another. */
static bool copy_name(const ASN1_STRING *from, char *name, size_t size)
{
	const unsigned char *octets = ASN1_STRING_get0_data(from);
	int len = ASN1_STRING_length(from);

	if (len <= 0 || (size_t)len >= size)
		return false;
	for (int i = 0; i < len; i++)
		if (octets[i] < ' ' || octets[i] > '~')
			return false;
	memcpy(name, octets, (size_t)len);
	name[len] = '\0';
	return true;
}

/* The first alternative name of that type; NULL: there is none. */
static const ASN1_STRING *find_name(const GENERAL_NAMES *names, int type)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		int found;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &found);

		if (found == type)
			return value;
	}
	return NULL;
}

static const ASN1_STRING *find_common_name(const X509 *certificate)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
}

/* Whether who signs clients' certificates now has signed this one: as the handshake asked it. */
static bool is_signed(SSL_CTX *context, const SSL *ssl, X509 *certificate)
{
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	bool ok = check &&
		  X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context), certificate,
				      SSL_get_peer_cert_chain(ssl)) == 1 &&
		  X509_STORE_CTX_set_default(check, "ssl_client") == 1 &&
		  X509_verify_cert(check) == 1;

	X509_STORE_CTX_free(check);
	return ok;
}

/* A connection may live longer than the trust in what it began with: the files were read again. */
static bool is_still_trusted(const SSL *ssl, X509 *certificate)
{
	SSL_CTX *context;
	bool ok;

	if (SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	context = acquire_context(door_of(ssl)->tls);
	ok = context == SSL_get_SSL_CTX(ssl) || is_signed(context, ssl, certificate);
	SSL_CTX_free(context);
	return ok;
}

bool tls_bufferevent_identity(struct bufferevent *bufferevent, char *identity, size_t size)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bufferevent);
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	const ASN1_STRING *name;
	GENERAL_NAMES *names;
	bool ok;

	if (!certificate || !is_still_trusted(ssl, certificate)) {
		ERR_clear_error();
		return false;
	}
	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	name = find_name(names, GEN_URI);
	if (!name)
		name = find_name(names, GEN_DNS);
	if (!name)
		name = find_common_name(certificate);
	ok = name && copy_name(name, identity, size);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return ok;
}
