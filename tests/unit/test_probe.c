/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 20000, /* of a test; far more than anything takes */
	TIMEOUT_MS = 100,    /* of a target that lets it pass; the others have all patience */
	INTERVAL_MS = 200,
};

/* ---- Targets: a listening socket and a thread that serves it ---- */

struct target {
	int fd;
	uint16_t port;
	const char *reply; /* sent at once; NULL: never */
	bool is_slow;      /* the reply goes on, octet by octet, for ever */
	bool is_endless;   /* the same, as fast as it can */
	bool hangs_up;     /* closes instead of a reply */
	bool speaks_first; /* replies to no request */
	SSL_CTX *tls;      /* NULL: none */
	pthread_t thread;
	atomic_bool is_over;
	atomic_uint n_served;
	char request[4096]; /* the newest */
	char sni[64];
};

static void read_request(struct target *target, int fd)
{
	size_t len = 0;

	while (len < sizeof(target->request) - 1) {
		ssize_t n = recv(fd, target->request + len, sizeof(target->request) - 1 - len, 0);

		if (n <= 0)
			return;
		len += (size_t)n;
		target->request[len] = '\0';
		if (strstr(target->request, "\r\n\r\n"))
			return;
	}
}

/* Waits until the peer has closed, sending more where that is wanted. */
static void serve_on(struct target *target, int fd)
{
	static const char more[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct pollfd peer = { .fd = fd, .events = POLLIN };
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	char octet;

	while (!target->is_over && clock_mono_ms() < end_ms) {
		if (poll(&peer, 1, target->is_endless ? 0 : 10) > 0 && recv(fd, &octet, 1, 0) <= 0)
			return;
		if (target->is_slow)
			send(fd, more, 1, MSG_NOSIGNAL);
		if (target->is_endless &&
		    send(fd, more, sizeof(more) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			return;
	}
}

/* One request and reply over TLS, or what a client that refuses us leaves of it. */
static void serve_tls(struct target *target, int fd)
{
	SSL *ssl = SSL_new(target->tls);
	const char *name;
	int n;

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) != 1)
		goto out;
	name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	snprintf(target->sni, sizeof(target->sni), "%s", name ? name : "");
	n = SSL_read(ssl, target->request, sizeof(target->request) - 1);
	target->request[n > 0 ? n : 0] = '\0';
	if (n > 0 && target->reply)
		SSL_write(ssl, target->reply, (int)strlen(target->reply));
	if (!target->hangs_up)
		serve_on(target, fd);
out:
	SSL_free(ssl);
}

static void *serve(void *cookie)
{
	struct target *target = cookie;
	struct pollfd ready = { .fd = target->fd, .events = POLLIN };

	while (!target->is_over) {
		int fd = poll(&ready, 1, 10) > 0 ? accept4(target->fd, NULL, NULL, SOCK_CLOEXEC)
						 : -1;

		if (fd < 0)
			continue;
		if (target->tls) {
			serve_tls(target, fd);
			close(fd);
			continue;
		}
		if (!target->speaks_first)
			read_request(target, fd);
		atomic_fetch_add(&target->n_served, 1);
		if (target->reply)
			send(fd, target->reply, strlen(target->reply), MSG_NOSIGNAL);
		if (!target->hangs_up)
			serve_on(target, fd);
		close(fd);
	}
	return NULL;
}

/* A socket that listens on a free port of the loopback. */
static int open_listener(uint16_t *port, int family)
{
	struct sockaddr_storage any = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *in = (struct sockaddr_in *)&any;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&any;
	socklen_t len = family == AF_INET ? sizeof(*in) : sizeof(*in6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (family == AF_INET)
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		in6->sin6_addr = in6addr_loopback;
	if (bind(fd, (struct sockaddr *)&any, len) != 0) {
		close(fd);
		return -1;
	}
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	*port = ntohs(family == AF_INET ? in->sin_port : in6->sin6_port);
	return fd;
}

static void target_start(struct target *target)
{
	if (!target->fd)
		target->fd = open_listener(&target->port, AF_INET);
	ck_assert_int_ge(target->fd, 0);
	ck_assert_int_eq(pthread_create(&target->thread, NULL, serve, target), 0);
}

static void target_stop(struct target *target)
{
	target->is_over = true;
	pthread_join(target->thread, NULL);
	close(target->fd);
}

/* ---- The prober ---- */

static struct queue *results;
static struct probe *probe;

/* A check with all that it points to. */
struct subject {
	struct registration registration;
	struct instance instance;
	struct check_spec spec;
	struct check check;
	char path[64];
};

static void subject_init(struct subject *subject, enum check_kind kind, uint16_t port)
{
	static uint64_t check_id;
	const char *reason;

	*subject = (struct subject){
		.path = "/health?x=1",
		.spec = { .kind = kind,
			  .port = port,
			  .path = kind == CHECK_TCP ? NULL : subject->path,
			  .interval_ms = INTERVAL_MS,
			  .timeout_ms = PATIENCE_MS },
		.instance = { .registration = &subject->registration },
		.check = { .check_id = ++check_id,
			   .instance = &subject->instance,
			   .spec = &subject->spec },
	};
	ck_assert(record_address_parse("127.0.0.1", &subject->registration.address, &reason));
}

static void set_up(void)
{
	results = queue_new();
	ck_assert_ptr_nonnull(results);
	probe = probe_new(results, 0);
	ck_assert_ptr_nonnull(probe);
}

static void drop_results(void)
{
	struct queue_node *node = queue_take(results);

	while (node) {
		struct queue_node *next = node->next;

		free(node);
		node = next;
	}
}

static void tear_down(void)
{
	probe_free(probe);
	drop_results();
	queue_free(results);
}

/* The next result; later ones that came with it are dropped. NULL: none came in time. */
static struct probe_result *wait_for_result(int patience_ms)
{
	struct pollfd ready = { .fd = queue_fd(results), .events = POLLIN };
	struct queue_node *node, *next;

	if (poll(&ready, 1, patience_ms) <= 0)
		return NULL;
	node = queue_take(results);
	ck_assert_ptr_nonnull(node);
	for (next = node->next; next; next = node->next) {
		node->next = next->next;
		free(next);
	}
	return (struct probe_result *)node;
}

/* The first result of a check; the check is stopped. The caller frees. */
static struct probe_result *run_check(struct subject *subject)
{
	uint64_t before_ms = clock_mono_ms();
	struct probe_result *result;

	probe_start_check(probe, &subject->check);
	result = wait_for_result(PATIENCE_MS);
	/* One that was stopped before may have run again until then. */
	while (result && result->check_id != subject->check.check_id) {
		free(result);
		result = wait_for_result(PATIENCE_MS);
	}
	ck_assert_ptr_nonnull(result);
	ck_assert_uint_ge(result->start_ms, before_ms);
	ck_assert_uint_le(result->start_ms + result->latency_ms, clock_mono_ms());
	probe_stop_check(probe, subject->check.check_id);
	return result;
}

static void expect_result(struct subject *subject, bool passed, const char *output)
{
	struct probe_result *result = run_check(subject);

	ck_assert_str_eq(result->output, output);
	ck_assert(result->passed == passed);
	free(result);
}

static void expect_http(struct target *target, bool passed, const char *output)
{
	struct subject subject;

	target_start(target);
	subject_init(&subject, CHECK_HTTP, target->port);
	expect_result(&subject, passed, output);
	target_stop(target);
}

static void expect_timeout(struct target *target, enum check_kind kind)
{
	struct subject subject;

	target_start(target);
	subject_init(&subject, kind, target->port);
	subject.spec.timeout_ms = TIMEOUT_MS;
	expect_result(&subject, false, "timeout after 100 ms");
	target_stop(target);
}

/* ---- HTTP ---- */

static const struct {
	const char *reply;
	bool passed;
	const char *output;
} replies[] = {
	{ "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", true, "200 OK" },
	{ "HTTP/1.0 204 \r\n\r\n", true, "204" },
	{ "HTTP/1.1 299\n", true, "299" },
	{ "HTTP/1.1 200 \x1b[31mred\x7f\xc3\xbc\r\n", true, "200 ?[31mred???" },
	{ "HTTP/1.1 503 Service Unavailable\r\n\r\n", false, "503 Service Unavailable" },
	{ "HTTP/1.1 301 Moved\r\nLocation: /ok\r\n\r\n", false, "301 Moved" },
	{ "HTTP/1.1 199 Odd\r\n", false, "199 Odd" },
	{ "HTTP/1.2 200 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1  200 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1 20 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1 2000 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1 2OO OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1\r\n", false, "not HTTP" },
	{ "\r\n", false, "not HTTP" },
	{ "SSH-2.0-OpenSSH", false, "not HTTP" },
	{ "HTTX", false, "not HTTP" },
};

START_TEST(judges_status_lines)
{
	struct target target = { .reply = replies[_i].reply };

	expect_http(&target, replies[_i].passed, replies[_i].output);
}
END_TEST

START_TEST(asks_as_told)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	char host[64];

	expect_http(&target, true, "200 OK");
	snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", target.port);
	ck_assert_ptr_eq(strstr(target.request, "GET /health?x=1 HTTP/1.1\r\n"), target.request);
	ck_assert_ptr_nonnull(strstr(target.request, host));
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nUser-Agent: rosterd\r\n"));
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nConnection: close\r\n"));
	ck_assert_uint_eq(target.n_served, 1);
}
END_TEST

START_TEST(a_target_that_closes)
{
	struct target target = { .hangs_up = true },
		      half = { .reply = "HTTP/1.1 20", .hangs_up = true };

	expect_http(&target, false, "closed without a reply");
	expect_http(&half, false, "not HTTP");
}
END_TEST

/* Where this process had to wait for the machine, a run may take longer: once more then. */
START_TEST(a_target_that_hangs)
{
	struct target target = { .reply = NULL };
	struct subject subject;
	uint32_t latency_ms = UINT32_MAX;

	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	subject.spec.timeout_ms = TIMEOUT_MS;
	probe_start_check(probe, &subject.check);
	for (unsigned tries = 0; tries < 50 && latency_ms > TIMEOUT_MS + 100; tries++) {
		struct probe_result *result = wait_for_result(PATIENCE_MS);

		ck_assert_ptr_nonnull(result);
		ck_assert_str_eq(result->output, "timeout after 100 ms");
		ck_assert(!result->passed);
		ck_assert_uint_ge(result->latency_ms, TIMEOUT_MS - 10);
		latency_ms = result->latency_ms;
		free(result);
	}
	ck_assert_uint_le(latency_ms, TIMEOUT_MS + 100);
	target_stop(&target);
}
END_TEST

START_TEST(a_target_that_trickles)
{
	struct target target = { .reply = "HTTP/1.1 200 ", .is_slow = true };

	expect_timeout(&target, CHECK_HTTP);
}
END_TEST

START_TEST(a_target_that_never_ends_its_line)
{
	struct target target = { .reply = "HTTP/1.1 200 ", .is_endless = true };

	expect_http(&target, false, "not HTTP");
}
END_TEST

/*
 * Not one octet more than 4 KiB is read: whoever wanted another would wait for it until the
 * timeout, and a line that is one octet longer would be as good as the one that just fits.
 */
START_TEST(reads_4_kib_and_no_more)
{
	static const char start[] = "HTTP/1.1 200 ";
	static char fits[LIMIT_CHECK_READ + 1], longer[LIMIT_CHECK_READ + 2],
		endless[LIMIT_CHECK_READ + 1];
	struct target targets[] = { { .reply = fits }, { .reply = longer }, { .reply = endless } };
	struct subject subject;

	memset(fits, 'a', sizeof(fits) - 1);
	memset(longer, 'a', sizeof(longer) - 1);
	memset(endless, 'a', sizeof(endless) - 1);
	for (size_t i = 0; i < 3; i++)
		memcpy((char *[]){ fits, longer, endless }[i], start, sizeof(start) - 1);
	fits[LIMIT_CHECK_READ - 1] = '\n';
	longer[LIMIT_CHECK_READ] = '\n';
	for (size_t i = 0; i < 3; i++) {
		struct probe_result *result;

		target_start(&targets[i]);
		subject_init(&subject, CHECK_HTTP, targets[i].port);
		subject.spec.interval_ms = subject.spec.timeout_ms = PATIENCE_MS / 2;
		result = run_check(&subject);
		ck_assert(result->passed == (i == 0));
		if (i > 0)
			ck_assert_str_eq(result->output, "not HTTP");
		free(result);
		target_stop(&targets[i]);
	}
}
END_TEST

START_TEST(ipv6)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	struct subject subject;
	const char *reason;

	target.fd = open_listener(&target.port, AF_INET6);
	if (target.fd < 0)
		return; /* a host without it */
	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	subject.registration.address = (struct address){ .has_v4 = false };
	ck_assert(record_address_parse("::1", &subject.registration.address, &reason));
	expect_result(&subject, true, "200 OK");
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nHost: [::1]:"));
	target_stop(&target);
}
END_TEST

static char host_header[] = "hOsT: payment.internal\r\nX-Token: a b\r\n";

START_TEST(asks_with_method_and_headers)
{
	struct target target = { .reply = "HTTP/1.1 404 Not Found\r\n" };
	struct subject subject;

	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	subject.spec.method = (char[]){ "POST" };
	subject.spec.expected = (char[]){ "204,400-404" };
	subject.spec.headers = host_header;
	expect_result(&subject, true, "404 Not Found");
	ck_assert_ptr_eq(strstr(target.request, "POST /health?x=1 HTTP/1.1\r\n"), target.request);
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nhOsT: payment.internal\r\n"));
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nX-Token: a b\r\n"));
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nContent-Length: 0\r\n"));
	ck_assert_ptr_null(strstr(target.request, "\r\nHost: "));
	target_stop(&target);
}
END_TEST

START_TEST(a_status_that_is_not_expected)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	struct subject subject;

	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	subject.spec.expected = (char[]){ "204" };
	expect_result(&subject, false, "200 OK");
	target_stop(&target);
}
END_TEST

/* ---- HTTPS: a certificate of our own, for 127.0.0.1 and payment.internal ---- */

static char certificate_path[] = "/tmp/test_probe.XXXXXX";

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
							"IP:127.0.0.1,DNS:payment.internal");

	ck_assert_ptr_nonnull(extension);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1,
				   0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	ck_assert_int_ne(X509_sign(certificate, key, EVP_sha256()), 0);
	return certificate;
}

/* A server with a new certificate; it is what the prober trusts, if that is wanted. */
static SSL_CTX *make_tls(bool is_trusted)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make_certificate(key);
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	FILE *file = fdopen(mkstemp(certificate_path), "w");

	ck_assert_int_eq(SSL_CTX_use_certificate(context, certificate), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, key), 1);
	ck_assert_ptr_nonnull(file);
	if (is_trusted)
		ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
	fclose(file);
	/* What OpenSSL takes for the system's store. */
	setenv("SSL_CERT_FILE", certificate_path, 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}

static void tls_start(struct target *target, struct subject *subject, bool is_trusted)
{
	target->tls = make_tls(is_trusted);
	target_start(target);
	subject_init(subject, CHECK_HTTPS, target->port);
	subject->spec.interval_ms = subject->spec.timeout_ms = 5000; /* signing takes time */
}

static void tls_stop(struct target *target)
{
	target_stop(target);
	SSL_CTX_free(target->tls);
	unlink(certificate_path);
}

START_TEST(https_passes)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	struct subject subject;

	tls_start(&target, &subject, true);
	expect_result(&subject, true, "200 OK");
	ck_assert_str_eq(target.sni, "");
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nHost: 127.0.0.1:"));
	tls_stop(&target);
}
END_TEST

START_TEST(https_by_server_name)
{
	struct target target = { .reply = "HTTP/1.1 503 Busy\r\n" };
	struct subject subject;

	tls_start(&target, &subject, true);
	subject.spec.server_name = (char[]){ "payment.internal" };
	expect_result(&subject, false, "503 Busy");
	ck_assert_str_eq(target.sni, "payment.internal");
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nHost: payment.internal:"));
	tls_stop(&target);
}
END_TEST

START_TEST(https_for_another_name)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	struct subject subject;

	tls_start(&target, &subject, true);
	subject.spec.server_name = (char[]){ "other.internal" };
	expect_result(&subject, false, "certificate refused: hostname mismatch");
	tls_stop(&target);
}
END_TEST

START_TEST(https_verifies_unless_told)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	struct subject subject;

	tls_start(&target, &subject, false);
	expect_result(&subject, false, "certificate refused: self-signed certificate");
	subject.check.check_id++;
	subject.spec.tls_skip_verify = true;
	expect_result(&subject, true, "200 OK");
	tls_stop(&target);
}
END_TEST

START_TEST(https_to_what_speaks_no_tls)
{
	struct target mute = { .reply = NULL }, plain = { .speaks_first = true };
	struct subject subject;

	expect_timeout(&mute, CHECK_HTTPS);
	plain.reply = "HTTP/1.1 400 Bad Request\r\n\r\n";
	target_start(&plain);
	subject_init(&subject, CHECK_HTTPS, plain.port);
	expect_result(&subject, false, "TLS: wrong version number");
	target_stop(&plain);
}
END_TEST

START_TEST(https_old_versions_are_refused)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	struct subject subject;
	struct probe_result *result;

	tls_start(&target, &subject, true);
	SSL_CTX_set_security_level(target.tls, 0);
	ck_assert_int_eq(SSL_CTX_set_min_proto_version(target.tls, TLS1_1_VERSION), 1);
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(target.tls, TLS1_1_VERSION), 1);
	result = run_check(&subject);
	ck_assert(!result->passed);
	ck_assert_ptr_eq(strstr(result->output, "TLS: "), result->output);
	free(result);
	tls_stop(&target);
}
END_TEST

/* ---- TCP, and both ---- */

START_TEST(tcp_passes_on_a_connection)
{
	struct subject subject;
	uint16_t port;
	int fd = open_listener(&port, AF_INET);

	subject_init(&subject, CHECK_TCP, port);
	expect_result(&subject, true, "connected");
	close(fd);
}
END_TEST

START_TEST(nobody_listens)
{
	struct subject tcp, http;
	uint16_t port;

	close(open_listener(&port, AF_INET));
	subject_init(&tcp, CHECK_TCP, port);
	expect_result(&tcp, false, "connection refused");
	subject_init(&http, CHECK_HTTP, port);
	expect_result(&http, false, "connection refused");
}
END_TEST

START_TEST(runs_again_every_interval)
{
	struct subject subject;
	uint64_t last_ms = 0;
	uint16_t port;
	int fd = open_listener(&port, AF_INET);

	subject_init(&subject, CHECK_TCP, port);
	probe_start_check(probe, &subject.check);
	for (size_t i = 0; i < 4; i++) {
		struct probe_result *result = wait_for_result(PATIENCE_MS);

		ck_assert_ptr_nonnull(result);
		if (last_ms)
			ck_assert_uint_ge(result->start_ms - last_ms, INTERVAL_MS * 8 / 10);
		last_ms = result->start_ms;
		free(result);
	}
	close(fd);
}
END_TEST

START_TEST(many_new_checks_all_run)
{
	enum {
		MANY = 200,
	};
	static struct subject subjects[MANY];
	size_t n_seen = 0, n_results = 0;
	bool seen[MANY] = { false };
	uint16_t port;

	close(open_listener(&port, AF_INET));
	for (size_t i = 0; i < MANY; i++) {
		subject_init(&subjects[i], CHECK_TCP, port);
		probe_start_check(probe, &subjects[i].check);
	}
	while (n_seen < MANY) {
		struct pollfd ready = { .fd = queue_fd(results), .events = POLLIN };
		struct queue_node *node;

		ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
		node = queue_take(results);
		while (node) {
			struct probe_result *result = (struct probe_result *)node;
			uint64_t i = result->check_id - subjects[0].check.check_id;

			node = node->next;
			ck_assert_uint_lt(i, MANY);
			n_seen += !seen[i];
			seen[i] = true;
			n_results++;
			free(result);
		}
		ck_assert_uint_lt(n_results, 100 * MANY);
	}
}
END_TEST

enum {
	SPREAD_CHECKS = 1000,
	SPREAD_INTERVAL_MS = 1000,
	TENTHS = 10,
};

/* Starts so many checks at once, and counts the first runs of each tenth of their interval. */
static void count_first_runs(uint16_t port, size_t counts[TENTHS])
{
	static struct subject subjects[SPREAD_CHECKS];
	static uint64_t starts_ms[SPREAD_CHECKS];
	uint64_t first_ms = UINT64_MAX, end_ms = clock_mono_ms() + PATIENCE_MS;
	size_t n_seen = 0;

	memset(starts_ms, 0, sizeof(starts_ms));
	memset(counts, 0, TENTHS * sizeof(*counts));
	for (size_t i = 0; i < SPREAD_CHECKS; i++) {
		subject_init(&subjects[i], CHECK_TCP, port);
		subjects[i].spec.interval_ms = SPREAD_INTERVAL_MS;
		probe_start_check(probe, &subjects[i].check);
	}
	while (n_seen < SPREAD_CHECKS) {
		struct pollfd ready = { .fd = queue_fd(results), .events = POLLIN };
		struct queue_node *node;

		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		poll(&ready, 1, 100);
		node = queue_take(results);
		while (node) {
			struct probe_result *result = (struct probe_result *)node;
			uint64_t i = result->check_id - subjects[0].check.check_id;

			node = node->next;
			ck_assert_uint_lt(i, SPREAD_CHECKS);
			n_seen += !starts_ms[i];
			if (!starts_ms[i])
				starts_ms[i] = result->start_ms;
			if (result->start_ms < first_ms)
				first_ms = result->start_ms;
			free(result);
		}
	}
	for (size_t i = 0; i < SPREAD_CHECKS; i++) {
		uint64_t tenth = (starts_ms[i] - first_ms) * TENTHS / SPREAD_INTERVAL_MS;

		counts[tenth < TENTHS ? tenth : TENTHS - 1]++;
	}
}

/* Where this process had to wait for the machine, a tenth has the runs of others: once more then.
 */
START_TEST(first_runs_are_spread_over_the_interval)
{
	size_t counts[TENTHS], least = 0;
	uint16_t port;

	close(open_listener(&port, AF_INET));
	for (unsigned tries = 0; tries < 20 && least < SPREAD_CHECKS / TENTHS / 3; tries++) {
		probe_free(probe);
		drop_results();
		probe = probe_new(results, 0);
		ck_assert_ptr_nonnull(probe);
		count_first_runs(port, counts);
		least = counts[0];
		for (size_t i = 1; i < TENTHS; i++)
			least = counts[i] < least ? counts[i] : least;
	}
	ck_assert_uint_ge(least, SPREAD_CHECKS / TENTHS / 3);
}
END_TEST

/* Waits for the next result of one check; others are dropped. */
static struct probe_result *wait_for_check(uint64_t check_id)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	for (;;) {
		struct pollfd ready = { .fd = queue_fd(results), .events = POLLIN };
		struct probe_result *found = NULL;
		struct queue_node *node;

		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		poll(&ready, 1, 100);
		node = queue_take(results);
		while (node) {
			struct probe_result *result = (struct probe_result *)node;

			node = node->next;
			if (result->check_id == check_id && !found)
				found = result;
			else
				free(result);
		}
		if (found)
			return found;
	}
}

/* More targets that hang than places to run: they would take 2 s to hang one after the other. */
START_TEST(targets_that_hang_delay_nobody_else)
{
	enum {
		HANGING = 50,
		PLACES = 8,
		SLOW_MS = 300,
		PERIOD_MS = 400,
		LONG = 2 * PERIOD_MS,
	};
	static struct subject hanging[HANGING];
	struct subject good;
	unsigned n_short = 0, n_long = 0;
	uint64_t last_ms = 0;
	uint16_t port;
	int fd = open_listener(&port, AF_INET);

	probe_free(probe);
	probe = probe_new(results, PLACES);
	ck_assert_ptr_nonnull(probe);
	for (size_t i = 0; i < HANGING; i++) {
		subject_init(&hanging[i], CHECK_HTTP, port);
		hanging[i].spec.interval_ms = PERIOD_MS;
		hanging[i].spec.timeout_ms = SLOW_MS;
		probe_start_check(probe, &hanging[i].check);
	}
	close(open_listener(&port, AF_INET));
	subject_init(&good, CHECK_TCP, port);
	good.spec.interval_ms = PERIOD_MS;
	probe_start_check(probe, &good.check);
	while (n_short < 4) {
		struct probe_result *result = wait_for_check(good.check.check_id);

		if (last_ms && result->start_ms - last_ms <= LONG)
			n_short++;
		else if (last_ms)
			n_long++;
		ck_assert_uint_le(n_long, 4); /* a busy machine may be to blame for some */
		last_ms = result->start_ms;
		free(result);
	}
	/* Those that hang get their turn all the same. */
	free(wait_for_check(hanging[HANGING - 1].check.check_id));
	free(wait_for_check(hanging[0].check.check_id));
	ck_assert_uint_ge(atomic_load(&probe_counters(probe)->limit_check_runs), HANGING - PLACES);
	close(fd);
}
END_TEST

/* ---- Stopping ---- */

START_TEST(a_stopped_check_says_nothing_more)
{
	struct target target = { .reply = NULL };
	struct subject stopped, other;
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	uint16_t port;

	target_start(&target);
	subject_init(&stopped, CHECK_HTTP, target.port);
	stopped.spec.timeout_ms = TIMEOUT_MS;
	probe_start_check(probe, &stopped.check);
	while (target.n_served == 0) {
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		drop_results();
	}
	probe_stop_check(probe, stopped.check.check_id);
	probe_stop_check(probe, stopped.check.check_id + 1000);
	close(open_listener(&port, AF_INET));
	subject_init(&other, CHECK_TCP, port);
	probe_start_check(probe, &other.check);
	/* When this one has run, that one is stopped, in the middle of a run unless this process
	 * had to wait for the machine. Then longer than its timeout. */
	free(wait_for_check(other.check.check_id));
	for (size_t i = 0; i < 3; i++) {
		struct probe_result *result = wait_for_result(PATIENCE_MS);

		ck_assert_ptr_nonnull(result);
		ck_assert_uint_eq(result->check_id, other.check.check_id);
		free(result);
	}
	target_stop(&target);
}
END_TEST

START_TEST(ends_in_the_middle_of_a_run)
{
	struct target target = { .reply = NULL };
	struct subject subject;
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	probe_start_check(probe, &subject.check);
	while (target.n_served == 0)
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
	probe_free(probe);
	probe = NULL;
	target_stop(&target);
}
END_TEST

/* A verdict of the kernel's, before anything is sent. */
START_TEST(an_address_that_cannot_be_reached)
{
	static const uint8_t broadcast[] = { 255, 255, 255, 255 };
	struct subject subject;
	struct probe_result *result;

	subject_init(&subject, CHECK_HTTP, 80);
	memcpy(subject.registration.address.v4, broadcast, sizeof(broadcast));
	probe_start_check(probe, &subject.check);
	result = wait_for_result(PATIENCE_MS);
	ck_assert_ptr_nonnull(result);
	ck_assert(!result->passed);
	ck_assert_ptr_null(strstr(result->output, "timeout"));
	free(result);
}
END_TEST

/* The octets that it has sent before do not count. */
START_TEST(a_target_that_resets)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct pollfd ready = { .events = POLLIN };
	struct probe_result *result;
	struct subject subject;
	char request[4096];
	uint16_t port;

	ready.fd = open_listener(&port, AF_INET);
	subject_init(&subject, CHECK_HTTP, port);
	subject.spec.timeout_ms = subject.spec.interval_ms = PATIENCE_MS;
	probe_start_check(probe, &subject.check);
	ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
	const int fd = accept(ready.fd, NULL, NULL);
	ck_assert_int_gt(recv(fd, request, sizeof(request), 0), 0);
	ck_assert_int_eq(send(fd, "HTTP/1.1 2", 10, MSG_NOSIGNAL), 10);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	result = wait_for_result(PATIENCE_MS);
	ck_assert_ptr_nonnull(result);
	ck_assert(!result->passed);
	ck_assert_str_eq(result->output, "connection reset by peer");
	free(result);
	close(ready.fd);
}
END_TEST

START_TEST(a_lack_of_descriptors_is_no_verdict)
{
	static const enum check_kind kinds[] = { CHECK_TCP, CHECK_HTTP };
	struct subject subject;
	struct rlimit files, none;
	struct probe_result *result;
	uint16_t port;
	int fd = open_listener(&port, AF_INET);

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = 1; /* poll() wants one */
	subject_init(&subject, kinds[_i], port);
	subject.spec.timeout_ms = TIMEOUT_MS;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	probe_start_check(probe, &subject.check);
	result = wait_for_result(2 * INTERVAL_MS);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_ptr_null(result);
	result = wait_for_result(PATIENCE_MS);
	ck_assert_ptr_nonnull(result);
	ck_assert(result->passed == (kinds[_i] == CHECK_TCP)); /* nobody there says a word */
	free(result);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tcase = tcase_create("probe");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, judges_status_lines, 0,
			    (int)(sizeof(replies) / sizeof(replies[0])));
	tcase_add_test(tcase, asks_as_told);
	tcase_add_test(tcase, a_target_that_closes);
	tcase_add_test(tcase, a_target_that_hangs);
	tcase_add_test(tcase, a_target_that_trickles);
	tcase_add_test(tcase, a_target_that_never_ends_its_line);
	tcase_add_test(tcase, reads_4_kib_and_no_more);
	tcase_add_test(tcase, ipv6);
	tcase_add_test(tcase, asks_with_method_and_headers);
	tcase_add_test(tcase, a_status_that_is_not_expected);
	tcase_add_test(tcase, https_passes);
	tcase_add_test(tcase, https_by_server_name);
	tcase_add_test(tcase, https_for_another_name);
	tcase_add_test(tcase, https_verifies_unless_told);
	tcase_add_test(tcase, https_to_what_speaks_no_tls);
	tcase_add_test(tcase, https_old_versions_are_refused);
	tcase_add_test(tcase, targets_that_hang_delay_nobody_else);
	tcase_add_test(tcase, tcp_passes_on_a_connection);
	tcase_add_test(tcase, nobody_listens);
	tcase_add_test(tcase, runs_again_every_interval);
	tcase_add_test(tcase, many_new_checks_all_run);
	tcase_add_test(tcase, first_runs_are_spread_over_the_interval);
	tcase_add_test(tcase, a_stopped_check_says_nothing_more);
	tcase_add_test(tcase, ends_in_the_middle_of_a_run);
	tcase_add_test(tcase, an_address_that_cannot_be_reached);
	tcase_add_test(tcase, a_target_that_resets);
	tcase_add_loop_test(tcase, a_lack_of_descriptors_is_no_verdict, 0, 2);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
