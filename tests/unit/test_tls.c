/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tls.h"

#include "base/clock.h"
#include "io/httpd.h"
#include "io/listen.h"
#include "io/tcp.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 20000, /* nothing takes that long; what does has failed */
	DAY_S = 86400,
	SHORT_MS = 150,
	BIG = 1024 * 1024,
};

static char folder[] = "/tmp/test_tls.XXXXXX";
static char message[512];
static struct counters counters;
static long last_serial;

/* ---- Certificates ---- */

struct issued {
	X509 *certificate;
	EVP_PKEY *key;
};

static struct issued ca, other_ca, server;

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* `from`: who signs, NULL: itself, as a root. `names`: "DNS:a,URI:b", NULL: none. */
static struct issued issue(const struct issued *from, const char *name, const char *names,
			   long first_s, long last_s)
{
	struct issued made = { X509_new(), EVP_EC_gen("P-256") };
	X509 *certificate = made.certificate;
	X509_NAME *subject = X509_get_subject_name(certificate);
	const struct issued *signer = from ? from : &made;

	ck_assert(certificate && made.key);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++last_serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), first_s);
	X509_gmtime_adj(X509_getm_notAfter(certificate), last_s);
	X509_set_pubkey(certificate, made.key);
	if (name)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
					   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(signer->certificate));
	add_extension(certificate, NID_basic_constraints, from ? "CA:FALSE" : "critical,CA:TRUE");
	if (names)
		add_extension(certificate, NID_subject_alt_name, names);
	ck_assert_int_gt(X509_sign(certificate, signer->key, EVP_sha256()), 0);
	return made;
}

static void drop(struct issued *issued)
{
	X509_free(issued->certificate);
	EVP_PKEY_free(issued->key);
}

static void write_certificate(const char *path, const struct issued *issued)
{
	FILE *file = fopen(path, "w");

	ck_assert(file && PEM_write_X509(file, issued->certificate));
	fclose(file);
}

static void write_key(const char *path, const struct issued *issued, const char *password)
{
	FILE *file = fopen(path, "w");

	ck_assert(file &&
		  PEM_write_PrivateKey(file, issued->key, password ? EVP_aes_128_cbc() : NULL, NULL,
				       0, NULL, (void *)(uintptr_t)password));
	fclose(file);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert(file && fputs(text, file) >= 0);
	fclose(file);
}

/* ---- The server's files ---- */

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	memset(&counters, 0, sizeof(counters));
	ca = issue(NULL, "ca", NULL, -60, DAY_S);
	other_ca = issue(NULL, "other ca", NULL, -60, DAY_S);
	server = issue(&ca, "server", "DNS:localhost", -60, DAY_S);
	write_certificate("server.crt", &server);
	write_key("server.key", &server, NULL);
	write_certificate("ca.crt", &ca);
}

static void tear_down(void)
{
	static const char *const files[] = { "server.crt", "server.key", "ca.crt", "x" };

	drop(&ca);
	drop(&other_ca);
	drop(&server);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

/* `client_ca` is a path or NULL. */
static struct tls *make(const char *client_ca)
{
	char certificate[] = "server.crt", key[] = "server.key", path[32];
	const struct tls_options options = {
		.certificate = certificate,
		.key = key,
		.client_ca = client_ca ? path : NULL,
	};

	snprintf(path, sizeof(path), "%s", client_ca ? client_ca : "");
	return tls_new(&options, message, sizeof(message));
}

static struct tls *make_good(const char *client_ca)
{
	struct tls *tls = make(client_ca);

	ck_assert_msg(tls != NULL, "%s", message);
	return tls;
}

static void check_bad(const char *client_ca, const char *start)
{
	ck_assert_ptr_null(make(client_ca));
	ck_assert_msg(strncmp(message, start, strlen(start)) == 0, "'%s' is not '%s...'", message,
		      start);
}

START_TEST(files_that_are_wrong_are_named)
{
	struct issued other = issue(&ca, "server", NULL, -60, DAY_S);
	EVP_PKEY *rsa = EVP_RSA_gen(1024);

	check_bad("missing", "missing: No such file or directory");
	write_text("x", "nothing of that kind\n");
	check_bad("x", "x: has no certificates in PEM form");
	write_key("server.key", &other, NULL);
	check_bad(NULL, "server.key: the key is not that of the certificate");
	drop(&other);
	other = (struct issued){ NULL, rsa };
	write_key("server.key", &other, NULL);
	check_bad(NULL, "server.key: the key is not that of the certificate");
	drop(&other);
	write_key("server.key", &server, "secret");
	check_bad(NULL, "server.key: the key is encrypted");
	write_text("server.key", "");
	check_bad(NULL, "server.key: has no private key in PEM form");
	unlink("server.key");
	check_bad(NULL, "server.key: No such file or directory");
	write_text("server.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	check_bad(NULL, "server.crt: has no certificate that can be used");
	unlink("server.crt");
	check_bad(NULL, "server.crt: No such file or directory");
}
END_TEST

START_TEST(certificate_that_is_not_valid_now_is_taken)
{
	static const long dates[][2] = { { -2 * DAY_S, -DAY_S }, { DAY_S, 2 * DAY_S } };

	for (size_t i = 0; i < 2; i++) {
		struct issued odd = issue(&ca, "server", NULL, dates[i][0], dates[i][1]);

		write_certificate("server.crt", &odd);
		write_key("server.key", &odd, NULL);
		tls_free(make_good(NULL));
		drop(&odd);
	}
}
END_TEST

/* ---- A session and its client, on a pair of sockets ---- */

struct pair {
	struct tls_door door;
	struct tls_session *session;
	SSL_CTX *context;
	SSL *client;
	int fds[2];
	unsigned n_asked; /* for the client's certificate */
};

static int on_asked(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	unsigned *n_asked = SSL_get_app_data(ssl);

	(void)certificate, (void)key;
	++*n_asked;
	return 0;
}

static void pair_init(struct pair *pair, struct tls *tls)
{
	*pair = (struct pair){ .door = { tls, TLS_DNS, &counters } };
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fds), 0);
	pair->session = tls_session_new(&pair->door, pair->fds[0]);
	ck_assert_ptr_nonnull(pair->session);
	pair->context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(pair->context, SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_cipher_list(pair->context, "ALL:@SECLEVEL=0");
	SSL_CTX_set_client_cert_cb(pair->context, on_asked);
	pair->client = SSL_new(pair->context);
	SSL_set_fd(pair->client, pair->fds[1]);
	SSL_set_app_data(pair->client, &pair->n_asked);
	SSL_set_connect_state(pair->client);
}

static void pair_fini(struct pair *pair)
{
	tls_session_free(pair->session);
	SSL_free(pair->client);
	SSL_CTX_free(pair->context);
	close(pair->fds[0]);
	close(pair->fds[1]);
	ERR_clear_error();
}

/* Both sides say what they have until neither goes on. Whether the handshake is done on both. */
static bool shake_hands(struct pair *pair)
{
	uint8_t octets[TLS_RECORD];

	for (unsigned i = 0; i < 10; i++) {
		ERR_clear_error();
		SSL_do_handshake(pair->client);
		ck_assert_int_le(tls_session_receive(pair->session, octets, sizeof(octets)), 0);
	}
	return SSL_is_init_finished(pair->client) && tls_session_is_open(pair->session);
}

static long shown_serial(const struct pair *pair)
{
	return ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(pair->client)));
}

START_TEST(only_new_versions)
{
	static const struct {
		int max;
		bool good;
	} cases[] = {
		{ TLS1_VERSION, false },
		{ TLS1_1_VERSION, false },
		{ TLS1_2_VERSION, true },
		{ TLS1_3_VERSION, true },
	};
	struct tls *tls = make_good(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair pair;

		pair_init(&pair, tls);
		SSL_set_min_proto_version(pair.client, TLS1_VERSION);
		SSL_set_max_proto_version(pair.client, cases[i].max);
		ck_assert_int_eq(shake_hands(&pair), cases[i].good);
		if (cases[i].good)
			ck_assert_int_eq(SSL_version(pair.client), cases[i].max);
		pair_fini(&pair);
	}
	ck_assert_uint_eq(atomic_load(&counters.tls_begun), 4);
	ck_assert_uint_eq(atomic_load(&counters.tls_done), 2);
	tls_free(tls);
}
END_TEST

START_TEST(suites_without_forward_secrecy_or_aead_are_refused)
{
	static const char *const suites[] = { "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256",
					      "ECDHE-ECDSA-AES128-GCM-SHA256" };
	struct tls *tls = make_good(NULL);

	for (size_t i = 0; i < 3; i++) {
		struct pair pair;

		pair_init(&pair, tls);
		SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
		ck_assert_int_eq(SSL_set_cipher_list(pair.client, suites[i]), 1);
		ck_assert_int_eq(shake_hands(&pair), i == 2);
		pair_fini(&pair);
	}
	tls_free(tls);
}
END_TEST

START_TEST(no_session_is_resumed)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls *tls = make_good(NULL);

	for (size_t i = 0; i < 2; i++) {
		struct pair pair;

		pair_init(&pair, tls);
		SSL_set_max_proto_version(pair.client, versions[i]);
		ck_assert(shake_hands(&pair));
		ck_assert(!SSL_SESSION_is_resumable(SSL_get0_session(pair.client)));
		pair_fini(&pair);
	}
	tls_free(tls);
}
END_TEST

START_TEST(clients_may_name_the_protocol)
{
	static const struct {
		enum tls_protocol door;
		const char *offered; /* NULL: nothing */
		bool good;
	} cases[] = {
		{ TLS_DNS, NULL, true },        { TLS_DNS, "\3dot", true },
		{ TLS_DNS, "\2h2\3dot", true }, { TLS_DNS, "\10http/1.1", false },
		{ TLS_HTTP, NULL, true },       { TLS_HTTP, "\2h2\10http/1.1", true },
		{ TLS_HTTP, "\2h2", false },    { TLS_HTTP, "\3dot", false },
	};
	struct tls *tls = make_good(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *offered = cases[i].offered;
		const unsigned char *chosen;
		unsigned len;
		struct pair pair;

		pair_init(&pair, tls);
		pair.door.protocol = cases[i].door;
		if (offered)
			SSL_set_alpn_protos(pair.client, (const unsigned char *)offered,
					    (unsigned)strlen(offered));
		ck_assert_msg(shake_hands(&pair) == cases[i].good, "case %zu", i);
		SSL_get0_alpn_selected(pair.client, &chosen, &len);
		ck_assert_uint_eq(len, !offered || !cases[i].good ? 0
				       : cases[i].door == TLS_DNS ? 3
								  : 8);
		pair_fini(&pair);
	}
	tls_free(tls);
}
END_TEST

START_TEST(what_is_no_tls_ends_the_session)
{
	static const char junk[] = "\0\35 this is no TLS but plain DNS";
	struct tls *tls = make_good(NULL);
	uint8_t octets[TLS_RECORD];
	struct pair pair;

	pair_init(&pair, tls);
	ck_assert_int_gt(write(pair.fds[1], junk, sizeof(junk)), 0);
	ck_assert_int_eq(tls_session_receive(pair.session, octets, sizeof(octets)), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	pair_fini(&pair);
	tls_free(tls);
}
END_TEST

/* More than any socket takes, in both directions, from memory that moves. */
START_TEST(octets_go_both_ways)
{
	struct tls *tls = make_good(NULL);
	uint8_t *sent = malloc(BIG), *moved = malloc(BIG), *got = malloc(BIG);
	size_t n_sent = 0, n_got = 0;
	unsigned n_waits = 0;
	struct pair pair;

	ck_assert(sent && moved && got);
	for (size_t i = 0; i < BIG; i++)
		sent[i] = (uint8_t)(i * 7 + i / 4096);
	pair_init(&pair, tls);
	ck_assert(shake_hands(&pair));
	while (n_got < BIG) {
		ssize_t n = n_sent < BIG
				    ? tls_session_send(pair.session, sent + n_sent, BIG - n_sent)
				    : 0;
		size_t len = 0;

		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			ck_assert(tls_session_wants_write(pair.session));
			uint8_t *const old = sent;

			memcpy(moved + n_sent, sent + n_sent, BIG - n_sent);
			memset(sent + n_sent, 0, BIG - n_sent);
			sent = moved;
			moved = old;
			n_waits++;
		} else if (n > 0) {
			n_sent += (size_t)n;
			continue;
		}
		while (SSL_read_ex(pair.client, got + n_got, BIG - n_got, &len) == 1)
			n_got += len;
	}
	ck_assert_uint_gt(n_waits, 1);
	for (size_t i = 0; i < BIG; i++)
		moved[i] = (uint8_t)(i * 7 + i / 4096);
	ck_assert_mem_eq(got, moved, BIG);
	for (size_t i = 0; i < 3 * TLS_RECORD;) {
		size_t len = 0;
		ssize_t n;

		SSL_write_ex(pair.client, got + i, TLS_RECORD, &len);
		ck_assert_uint_eq(len, TLS_RECORD);
		n = tls_session_receive(pair.session, moved, BIG);
		ck_assert_int_eq(n, TLS_RECORD);
		ck_assert_mem_eq(moved, got + i, TLS_RECORD);
		i += TLS_RECORD;
	}
	SSL_shutdown(pair.client);
	ck_assert_int_eq(tls_session_receive(pair.session, moved, BIG), 0);
	pair_fini(&pair);
	free(sent);
	free(moved);
	free(got);
	tls_free(tls);
}
END_TEST

START_TEST(peer_that_just_closes_has_ended)
{
	struct tls *tls = make_good(NULL);
	uint8_t octets[TLS_RECORD];
	struct pair pair;

	pair_init(&pair, tls);
	ck_assert(shake_hands(&pair));
	ck_assert_int_eq(shutdown(pair.fds[1], SHUT_WR), 0);
	ck_assert_int_eq(tls_session_receive(pair.session, octets, sizeof(octets)), 0);
	/* And still gets what it is owed, and the word that nothing follows. */
	ck_assert_int_eq(tls_session_send(pair.session, "abc", 3), 3);
	tls_session_free(pair.session);
	pair.session = NULL;
	ck_assert_int_eq(SSL_read(pair.client, octets, sizeof(octets)), 3);
	ck_assert_int_eq(SSL_read(pair.client, octets, sizeof(octets)), 0);
	ck_assert_int_eq(SSL_get_error(pair.client, 0), SSL_ERROR_ZERO_RETURN);
	pair_fini(&pair);
	tls_free(tls);
}
END_TEST

START_TEST(sessions_keep_what_they_began_with)
{
	struct tls *tls = make_good(NULL), *fresh;
	struct issued newer = issue(&ca, "server", NULL, -60, DAY_S);
	struct pair begun, old, new;
	uint8_t octets[TLS_RECORD];

	pair_init(&old, tls);
	ck_assert(shake_hands(&old));
	pair_init(&begun, tls);
	write_certificate("server.crt", &newer);
	write_key("server.key", &newer, NULL);
	fresh = make_good(NULL);
	tls_swap(tls, fresh);
	tls_free(fresh);
	pair_init(&new, tls);
	ck_assert(shake_hands(&begun) && shake_hands(&new));
	ck_assert_int_eq(shown_serial(&old), last_serial - 1);
	ck_assert_int_eq(shown_serial(&begun), last_serial - 1);
	ck_assert_int_eq(shown_serial(&new), last_serial);
	SSL_write(old.client, "abc", 3);
	ck_assert_int_eq(tls_session_receive(old.session, octets, sizeof(octets)), 3);
	pair_fini(&old);
	pair_fini(&begun);
	pair_fini(&new);
	drop(&newer);
	tls_free(tls);
}
END_TEST

START_TEST(only_http_asks_for_certificates)
{
	static const enum tls_protocol protocols[] = { TLS_DNS, TLS_HTTP };
	struct tls *with = make_good("ca.crt"), *without = make_good(NULL);

	for (size_t i = 0; i < 4; i++) {
		struct pair pair;
		struct tls_session *session;

		pair_init(&pair, i < 2 ? with : without);
		pair.door.protocol = protocols[i % 2];
		session = tls_session_new(&pair.door, pair.fds[0]);
		tls_session_free(pair.session);
		pair.session = session;
		ck_assert(shake_hands(&pair));
		ck_assert_uint_eq(pair.n_asked, i == 1);
		pair_fini(&pair);
	}
	tls_free(with);
	tls_free(without);
}
END_TEST

/* ---- Who the client is, over HTTP ---- */

static char identity[LIMIT_IDENTITY + 8];
static unsigned n_requests;

static void on_request(void *cookie, struct httpd_request *owed, const struct api_request *request)
{
	const struct api_reply reply = {
		.status = 200, .content_type = "text/plain", .body = "hi", .body_len = 2
	};

	(void)cookie;
	n_requests++;
	snprintf(identity, sizeof(identity), "%s", request->identity ? request->identity : "-");
	httpd_reply(owed, &reply);
}

static void on_request_for_much(void *cookie, struct httpd_request *owed,
				const struct api_request *request)
{
	const struct api_reply reply = {
		.status = 200, .content_type = "text/plain", .body = cookie, .body_len = BIG
	};

	(void)request;
	httpd_reply(owed, &reply);
}

struct port {
	struct event_base *base;
	struct httpd *httpd;
	struct sockaddr_in address;
};

static void port_init(struct port *port, struct tls *tls, unsigned request_ms,
		      httpd_on_request handler, void *cookie)
{
	socklen_t len = sizeof(port->address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	port->address = (struct sockaddr_in){ .sin_family = AF_INET,
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&port->address, len), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&port->address, &len), 0);
	port->base = event_base_new();
	port->httpd = httpd_new(port->base, &counters, request_ms, handler, cookie);
	ck_assert(port->base && port->httpd && httpd_accept(port->httpd, fd, tls) == 0);
}

static void port_fini(struct port *port)
{
	httpd_free(port->httpd);
	event_base_free(port->base);
}

static int connect_to(const struct port *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(
		connect(fd, (const struct sockaddr *)&port->address, sizeof(port->address)), 0);
	evutil_make_socket_nonblocking(fd);
	return fd;
}

static bool is_unfinished(int error)
{
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/*
 * One request with a certificate of `issued`, NULL: none. `text` gets what comes, and *len its
 * length. Whether the peer has said that this is all.
 */
static bool ask(struct port *port, const struct issued *issued, char *text, size_t size,
		size_t *len)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int fd = connect_to(port), error = SSL_ERROR_WANT_READ;
	size_t sent = 0;

	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	if (issued) {
		SSL_use_certificate(ssl, issued->certificate);
		SSL_use_PrivateKey(ssl, issued->key);
	}
	*len = 0;
	while (is_unfinished(error)) {
		size_t n = 0;
		int result;

		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		event_base_loop(port->base, EVLOOP_NONBLOCK);
		ERR_clear_error();
		if (sent == 0)
			result = SSL_write_ex(ssl, request, sizeof(request) - 1, &sent);
		else
			result = SSL_read_ex(ssl, text + *len, size - *len, &n);
		*len += n;
		error = result == 1 ? SSL_ERROR_WANT_READ : SSL_get_error(ssl, result);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	ERR_clear_error();
	close(fd);
	return error == SSL_ERROR_ZERO_RETURN;
}

static bool ask_who(struct port *port, const struct issued *issued)
{
	char text[4096];
	size_t len;

	return ask(port, issued, text, sizeof(text), &len);
}

START_TEST(large_replies_come_whole)
{
	struct tls *tls = make_good(NULL);
	char *body = malloc(BIG), *text = malloc(BIG + 4096);
	struct port port;
	size_t len;

	ck_assert(body && text);
	for (size_t i = 0; i < BIG; i++)
		body[i] = (char)('a' + (i * 7 + i / 4096) % 26);
	port_init(&port, tls, PATIENCE_MS, on_request_for_much, body);
	ck_assert(ask(&port, NULL, text, BIG + 4096, &len));
	ck_assert_uint_gt(len, BIG);
	ck_assert_mem_eq(text + len - BIG, body, BIG);
	port_fini(&port);
	free(body);
	free(text);
	tls_free(tls);
}
END_TEST

START_TEST(handshake_over_http_has_a_deadline)
{
	static const uint8_t octets[] = { 0x16, 3, 1, 2, 0, 1 };
	struct tls *tls = make_good(NULL);
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	struct port port;
	char text[16];
	ssize_t n;
	int fd;

	port_init(&port, tls, SHORT_MS, on_request, NULL);
	for (size_t len = 0; len <= sizeof(octets); len += sizeof(octets)) {
		fd = connect_to(&port);
		ck_assert_int_eq(send(fd, octets, len, 0), (ssize_t)len);
		do {
			ck_assert_uint_lt(clock_mono_ms(), end_ms);
			event_base_loop(port.base, EVLOOP_NONBLOCK);
			n = recv(fd, text, sizeof(text), 0);
		} while (n < 0 && errno == EAGAIN);
		ck_assert_int_le(n, 0);
		close(fd);
	}
	port_fini(&port);
	tls_free(tls);
}
END_TEST

START_TEST(identity_is_what_the_certificate_says)
{
	static const struct {
		const char *name, *names, *identity;
	} cases[] = {
		{ "bob", NULL, "bob" },
		{ "bob", "DNS:b.example,DNS:c.example", "b.example" },
		{ "bob", "DNS:b.example,URI:spiffe://x/b", "spiffe://x/b" },
		{ "bob", "IP:10.0.0.1,email:b@example", "bob" },
		{ NULL, "IP:10.0.0.1", "-" },
		{ "b\303\266b", NULL, "-" },
		{ "bob\n", NULL, "-" },
	};
	struct tls *tls = make_good("ca.crt");
	struct port port;

	port_init(&port, tls, PATIENCE_MS, on_request, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct issued client = issue(&ca, cases[i].name, cases[i].names, -60, DAY_S);

		ck_assert(ask_who(&port, &client));
		ck_assert_str_eq(identity, cases[i].identity);
		drop(&client);
	}
	ck_assert(ask_who(&port, NULL));
	ck_assert_str_eq(identity, "-");
	ck_assert_uint_eq(n_requests, sizeof(cases) / sizeof(cases[0]) + 1);
	port_fini(&port);
	tls_free(tls);
}
END_TEST

START_TEST(certificate_that_is_not_good_ends_the_connection)
{
	struct issued clients[] = {
		issue(&other_ca, "bob", NULL, -60, DAY_S),
		issue(NULL, "bob", NULL, -60, DAY_S),
		issue(&ca, "bob", NULL, -2 * DAY_S, -DAY_S),
		issue(&ca, "bob", NULL, DAY_S, 2 * DAY_S),
	};
	struct tls *tls = make_good("ca.crt");
	struct port port;

	n_requests = 0;
	port_init(&port, tls, PATIENCE_MS, on_request, NULL);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		ck_assert(!ask_who(&port, &clients[i]));
		drop(&clients[i]);
	}
	ck_assert_uint_eq(n_requests, 0);
	port_fini(&port);
	tls_free(tls);
}
END_TEST

/* A name in a certificate that nobody has verified is nothing. */
START_TEST(without_client_ca_nobody_is_anybody)
{
	struct issued client = issue(&ca, "bob", NULL, -60, DAY_S);
	struct tls *tls = make_good(NULL);
	struct port port;

	port_init(&port, tls, PATIENCE_MS, on_request, NULL);
	ck_assert(ask_who(&port, &client));
	ck_assert_str_eq(identity, "-");
	port_fini(&port);
	drop(&client);
	tls_free(tls);
}
END_TEST

/* ---- DNS ---- */

/* One worker without a thread: its loop goes round where the test says so. */
struct dns {
	struct catalog *catalog;
	struct answer_identity identity;
	struct worker *worker;
	struct tcp *tcp;
	struct port port; /* the address alone */
};

static void dns_init(struct dns *dns, struct tls *tls)
{
	struct listen_address address;
	const char *reason;
	int fd;

	*dns = (struct dns){ .catalog = catalog_new() };
	ck_assert_ptr_nonnull(dns->catalog);
	catalog_publish(dns->catalog, 1);
	dns->worker = worker_new(dns->catalog, &dns->identity);
	ck_assert(dns->worker && listen_parse("127.0.0.1@0", &address, &reason));
	fd = listen_tcp_shared(&address);
	ck_assert_int_ge(fd, 0);
	memcpy(&dns->port.address, &address.sockaddr, sizeof(dns->port.address));
	dns->tcp = tcp_new(dns->worker, fd, tls);
	ck_assert_ptr_nonnull(dns->tcp);
}

static void dns_fini(struct dns *dns)
{
	tcp_free(dns->tcp);
	worker_free(dns->worker);
	catalog_free(dns->catalog);
}

/* Two queries in one record: frames of "a. A". */
static const uint8_t questions[] = {
	0, 19, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1,
	0, 19, 0, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1,
};

START_TEST(dns_over_tls_is_answered_until_the_peer_has_ended)
{
	struct tls *tls = make_good(NULL);
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int result, error = SSL_ERROR_WANT_READ;
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	size_t sent = 0, len = 0;
	uint8_t text[256];
	struct dns dns;

	dns_init(&dns, tls);
	SSL_set_fd(ssl, connect_to(&dns.port));
	SSL_set_connect_state(ssl);
	while (is_unfinished(error)) {
		size_t n = 0;

		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		event_base_loop(dns.worker->base, EVLOOP_NONBLOCK);
		ERR_clear_error();
		if (sent == 0)
			result = SSL_write_ex(ssl, questions, sizeof(questions), &sent);
		else
			result = SSL_read_ex(ssl, text + len, sizeof(text) - len, &n);
		len += n;
		error = result == 1 ? SSL_ERROR_WANT_READ : SSL_get_error(ssl, result);
		if (len == sizeof(questions) && !SSL_get_shutdown(ssl))
			SSL_shutdown(ssl);
	}
	ck_assert_int_eq(error, SSL_ERROR_ZERO_RETURN);
	/* Without a zone all there is to say of them is REFUSED. */
	ck_assert_uint_eq(len, sizeof(questions));
	for (size_t at = 0; at < len; at += sizeof(questions) / 2) {
		ck_assert_mem_eq(text + at, questions + at, 4);
		ck_assert_uint_eq(text[at + 4], 0x81);
		ck_assert_uint_eq(text[at + 5], 5);
	}
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(context);
	dns_fini(&dns);
	tls_free(tls);
}
END_TEST

START_TEST(plain_dns_on_the_tls_port_ends)
{
	struct tls *tls = make_good(NULL);
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	uint8_t octets[256];
	struct dns dns;
	ssize_t n = 1;
	int fd;

	dns_init(&dns, tls);
	fd = connect_to(&dns.port);
	ck_assert_int_eq(send(fd, questions, sizeof(questions), 0), sizeof(questions));
	/* An alert may come first. */
	while (n > 0 || (n < 0 && errno == EAGAIN)) {
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		event_base_loop(dns.worker->base, EVLOOP_NONBLOCK);
		n = recv(fd, octets, sizeof(octets), 0);
	}
	close(fd);
	dns_fini(&dns);
	tls_free(tls);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls");
	TCase *tcase = tcase_create("tls");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, files_that_are_wrong_are_named);
	tcase_add_test(tcase, certificate_that_is_not_valid_now_is_taken);
	tcase_add_test(tcase, only_new_versions);
	tcase_add_test(tcase, suites_without_forward_secrecy_or_aead_are_refused);
	tcase_add_test(tcase, no_session_is_resumed);
	tcase_add_test(tcase, clients_may_name_the_protocol);
	tcase_add_test(tcase, what_is_no_tls_ends_the_session);
	tcase_add_test(tcase, octets_go_both_ways);
	tcase_add_test(tcase, peer_that_just_closes_has_ended);
	tcase_add_test(tcase, sessions_keep_what_they_began_with);
	tcase_add_test(tcase, only_http_asks_for_certificates);
	tcase_add_test(tcase, large_replies_come_whole);
	tcase_add_test(tcase, handshake_over_http_has_a_deadline);
	tcase_add_test(tcase, identity_is_what_the_certificate_says);
	tcase_add_test(tcase, certificate_that_is_not_good_ends_the_connection);
	tcase_add_test(tcase, without_client_ca_nobody_is_anybody);
	tcase_add_test(tcase, dns_over_tls_is_answered_until_the_peer_has_ended);
	tcase_add_test(tcase, plain_dns_on_the_tls_port_ends);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
