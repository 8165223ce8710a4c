/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf.h"

#include "dns/name.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_conf.XXXXXX";
static struct conf conf;
static struct conf_flags flags;
static char message[512];

/* Each test runs in a folder of its own. */
static void set_up(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void tear_down(void)
{
	conf_fini(&conf);
	unlink("etc/zones/a.example.zone");
	unlink("etc/zones/service.local.zone");
	unlink("etc/rosterd.conf");
	unlink("rosterd.conf");
	rmdir("etc/zones");
	rmdir("etc");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void write_file(const char *path, const char *content, size_t len)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(content, 1, len, file), len);
	fclose(file);
}

static int load(const char *content)
{
	conf_fini(&conf);
	write_file("rosterd.conf", content, strlen(content));
	flags = (struct conf_flags){ .file = "rosterd.conf" };
	return conf_load(&conf, &flags, message, sizeof(message));
}

static void check_good(const char *content)
{
	ck_assert_msg(load(content) == 0, "%s: %s", content, message);
}

static void check_bad(const char *content, const char *reason)
{
	char expected[512];

	ck_assert_msg(load(content) < 0, "%s", content);
	snprintf(expected, sizeof(expected), "rosterd.conf:%s", reason);
	ck_assert_str_eq(message, expected);
	ck_assert(!conf.dns && !conf.http && !conf.zones && !conf.data);
}

/* Parses a command line of up to eight words, cut at blanks. */
static bool parse_flags(const char *line)
{
	static char words[256];
	char *argv[10] = { NULL };
	int argc = 1;

	argv[0] = words;
	snprintf(words, sizeof(words), "rosterd %s", line);
	strtok(words, " ");
	while ((argv[argc] = strtok(NULL, " ")))
		argc++;
	strcpy(message, "");
	return conf_flags_parse(&flags, argc, argv, message, sizeof(message));
}

static void check_usage(const char *line, const char *expected)
{
	ck_assert_msg(!parse_flags(line), "%s", line);
	ck_assert_str_eq(message, expected);
}

static void check_defaults(void)
{
	uint8_t origin[NAME_MAX_LEN];

	ck_assert_uint_eq(conf.n_dns, 1);
	ck_assert_str_eq(conf.dns[0].text, "127.0.0.1@8600");
	ck_assert_uint_eq(conf.n_http, 1);
	ck_assert_str_eq(conf.http[0].text, "127.0.0.1@8500");
	ck_assert_str_eq(conf.data, "./rosterd-data");
	ck_assert_uint_eq(conf.ttl_s, 5);
	ck_assert_uint_ge(conf.workers, 1);
	ck_assert_uint_le(conf.workers, LIMIT_WORKERS);
	ck_assert_uint_eq(conf.n_zones, 1);
	ck_assert_str_eq(conf.zones[0].domain, "service.local");
	ck_assert_uint_eq(conf.zones[0].origin_len, name_parse("service.local", origin));
	ck_assert_mem_eq(conf.zones[0].origin, origin, conf.zones[0].origin_len);
}

START_TEST(nothing_said_is_the_defaults)
{
	flags = (struct conf_flags){ 0 };
	ck_assert_msg(conf_load(&conf, &flags, message, sizeof(message)) == 0, "%s", message);
	check_defaults();
}
END_TEST

START_TEST(empty_files_are_the_defaults)
{
	static const char *const empty[] = { "",      "\n",          "# remark\n",
					     "---\n", "server:\n",   "server:\nzone:\n",
					     "{}\n",  "server: {}\n" };

	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		check_good(empty[i]);
		check_defaults();
		ck_assert_ptr_null(conf.zones[0].file);
	}
	conf_fini(&conf);
	flags = (struct conf_flags){ .file = "/dev/null" };
	ck_assert_int_eq(conf_load(&conf, &flags, message, sizeof(message)), 0);
	check_defaults();
}
END_TEST

START_TEST(every_key)
{
	check_good("server:\n"
		   "    dns: [127.0.0.1@5300, \"::1@5300\"]\n"
		   "    http: 127.0.0.1@0\n"
		   "    workers: 3\n"
		   "    data: /var/lib/rosterd\n"
		   "    ttl: 1m30s\n"
		   "    zone-dir: /etc/zones\n"
		   "    services-dir: /etc/services.d\n"
		   "zone:\n"
		   "  - domain: Service.Internal.\n"
		   "    file: x.zone\n"
		   "  - domain: eu.example\n"
		   "    file: /abs/y.zone\n"
		   "    filter: {tag: eu}\n"
		   "  - domain: us.example\n"
		   "    filter: {meta: {key: region, value: us}}\n");
	ck_assert_uint_eq(conf.n_dns, 2);
	ck_assert_str_eq(conf.dns[1].text, "::1@5300");
	ck_assert_uint_eq(conf.n_http, 1);
	ck_assert_str_eq(conf.http[0].text, "127.0.0.1@0");
	ck_assert_uint_eq(conf.workers, 3);
	ck_assert_str_eq(conf.data, "/var/lib/rosterd");
	ck_assert_str_eq(conf.services_dir, "/etc/services.d");
	ck_assert_uint_eq(conf.ttl_s, 90);
	ck_assert_uint_eq(conf.n_zones, 3);
	ck_assert_str_eq(conf.zones[0].domain, "service.internal");
	ck_assert_str_eq(conf.zones[0].file, "/etc/zones/x.zone");
	ck_assert(!conf.zones[0].file_is_default);
	ck_assert_ptr_null(conf.zones[0].filter.tag);
	ck_assert_ptr_null(conf.zones[0].filter.meta_key);
	ck_assert_str_eq(conf.zones[1].file, "/abs/y.zone");
	ck_assert_str_eq(conf.zones[1].filter.tag, "eu");
	ck_assert_ptr_null(conf.zones[2].file);
	ck_assert_str_eq(conf.zones[2].filter.meta_key, "region");
	ck_assert_str_eq(conf.zones[2].filter.meta_value, "us");
}
END_TEST

START_TEST(ttl_is_a_duration_or_seconds)
{
	check_good("server: {ttl: 7}\n");
	ck_assert_uint_eq(conf.ttl_s, 7);
	check_good("server: {ttl: 24h}\n");
	ck_assert_uint_eq(conf.ttl_s, 86400);
	check_bad("server: {ttl: 0}\n",
		  "1:15: '0' is no duration from 1s to 86400s in whole seconds");
	check_bad("server: {ttl: 86401}\n",
		  "1:15: '86401' is no duration from 1s to 86400s in whole seconds");
	check_bad("server: {ttl: 1.5s}\n",
		  "1:15: '1.5s' is no duration from 1s to 86400s in whole seconds");
	check_bad("server: {ttl: 999999999999h}\n",
		  "1:15: '999999999999h' is no duration from 1s to 86400s in whole seconds");
}
END_TEST

START_TEST(unknown_key_names_the_nearest)
{
	check_bad("server:\n  wokers: 2\n", "2:3: unknown key 'wokers', did you mean 'workers'?");
	check_bad("servre: {}\n", "1:1: unknown key 'servre', did you mean 'server'?");
	check_bad("zone:\n- domian: a\n", "2:3: unknown key 'domian', did you mean 'domain'?");
	check_bad("zone:\n- domain: a\n  filter: {tags: x}\n",
		  "3:12: unknown key 'tags', did you mean 'tag'?");
	check_bad(
		"server: {listen: x}\n",
		"1:10: unknown key 'listen' (known: dns, http, https, dns-tls, tls, workers, data, ttl, zone-dir, identity, version, check-loopback, rate-limit, http-names, http-origins, user, sandbox, services-dir)");
}
END_TEST

START_TEST(loopback_checks)
{
	static const struct {
		const char *text;
		enum conf_loopback choice;
	} cases[] = {
		{ "server: {ttl: 1}\n", CONF_LOOPBACK_BY_HTTP },
		{ "server: {check-loopback: true}\n", CONF_LOOPBACK_YES },
		{ "server: {check-loopback: false}\n", CONF_LOOPBACK_NO },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(load(cases[i].text), 0);
		ck_assert_int_eq(conf.check_loopback, cases[i].choice);
		conf_fini(&conf);
	}
	check_bad("server: {check-loopback: yes}\n", "1:26: 'yes' is neither true nor false");
}
END_TEST

START_TEST(rate_limit)
{
	ck_assert_int_eq(load("server: {ttl: 1}\n"), 0);
	ck_assert_uint_eq(conf.rate_limit.rate, 200);
	ck_assert_uint_eq(conf.rate_limit.slip, 2);
	ck_assert_uint_eq(conf.rate_limit.n_allow, udp_limit_n_private);
	conf_fini(&conf);
	ck_assert_int_eq(
		load("server: {rate-limit: {rate: 7, slip: 0, allow: [10.0.0.0/8, \"::1\"]}}\n"),
		0);
	ck_assert_uint_eq(conf.rate_limit.rate, 7);
	ck_assert_uint_eq(conf.rate_limit.slip, 0);
	ck_assert_uint_eq(conf.rate_limit.n_allow, 2);
	ck_assert_uint_eq(conf.rate_limit.allow[0].bits, 8);
	ck_assert_uint_eq(conf.rate_limit.allow[1].len, 16);
	conf_fini(&conf);
	ck_assert_int_eq(load("server: {rate-limit: {allow: none}}\n"), 0);
	ck_assert_uint_eq(conf.rate_limit.n_allow, 0);
	conf_fini(&conf);
	check_bad("server: {rate-limit: {rate: -1}}\n",
		  "1:29: '-1' is no number from 0 to 1000000");
	check_bad("server: {rate-limit: {slip: 1001}}\n",
		  "1:29: '1001' is no number from 0 to 1000");
	check_bad("server: {rate-limit: {allow: [10.0.0.1/8]}}\n",
		  "1:31: '10.0.0.1/8' has bits set behind the network's");
	check_bad("server: {rate-limit: {allow: 10.0.0.0/33}}\n",
		  "1:30: '10.0.0.0/33' is no network: an address, and perhaps '/' and its bits");
	check_bad("server: {rate-limit: {rat: 1}}\n",
		  "1:23: unknown key 'rat', did you mean 'rate'?");
}
END_TEST

START_TEST(what_it_says_of_itself)
{
	check_good("server: {identity: ns1.example, version: \"1 2\"}\n");
	ck_assert_str_eq(conf.identity, "ns1.example");
	ck_assert_str_eq(conf.version, "1 2");
	check_bad("server: {identity: [a]}\n", "1:20: expected one value, not a list");
	check_bad("server: {version: \"a\\tb\"}\n",
		  "1:19: 'a\tb' has characters that are not printable ASCII");
	check_bad(
		"server: {identity: "
		"a123456789b123456789c123456789d123456789e123456789f123456789abcd}\n",
		"1:20: 'a123456789b123456789c123456789d123456789e123456789f123456789abcd' is longer than 63 characters");
}
END_TEST

START_TEST(who_may_ask)
{
	ck_assert_int_eq(load("server: {http-names: [a.example, 192.0.2.1, \"::2\"],"
			      " http-origins: https://b.example}\n"),
			 0);
	ck_assert_uint_eq(conf.guard.n_names, 3);
	ck_assert_str_eq(conf.guard.names[2], "::2");
	ck_assert_uint_eq(conf.guard.n_origins, 1);
	ck_assert_str_eq(conf.guard.origins[0], "https://b.example");
	conf_fini(&conf);
	check_bad("server: {http-names: http://a}\n",
		  "1:22: 'http://a' is no host name, and no address");
	check_bad("server: {http-names: \"\"}\n", "1:22: '' is no host name, and no address");
	check_bad("server: {http-origins: [b.example]}\n",
		  "1:25: 'b.example' is no origin, such as https://ops.example.net");
	check_bad("server: {http-origins: [https://b.example/]}\n",
		  "1:25: 'https://b.example/' is no origin, such as https://ops.example.net");
}
END_TEST

START_TEST(who_runs_and_how_closed)
{
	ck_assert_int_eq(load("server: {ttl: 1}\n"), 0);
	ck_assert_ptr_null(conf.user);
	ck_assert(conf.sandbox);
	conf_fini(&conf);
	ck_assert_int_eq(load("server: {user: \"rosterd:dns\", sandbox: false}\n"), 0);
	ck_assert_str_eq(conf.user, "rosterd:dns");
	ck_assert(!conf.sandbox);
	conf_fini(&conf);
	check_bad("server: {sandbox: off}\n", "1:19: 'off' is neither true nor false");
	check_bad("server: {user: [a]}\n", "1:16: expected one value, not a list");
}
END_TEST

START_TEST(tls_doors)
{
	check_good("server:\n"
		   "  https: [127.0.0.1@1, \"::1@1\"]\n"
		   "  dns-tls: 127.0.0.1@853\n"
		   "  tls: {certificate: a.crt, key: /b.key, client-ca: c.crt}\n");
	ck_assert_uint_eq(conf.n_https, 2);
	ck_assert_str_eq(conf.https[1].text, "::1@1");
	ck_assert_uint_eq(conf.n_dns_tls, 1);
	ck_assert_str_eq(conf.dns_tls[0].text, "127.0.0.1@853");
	ck_assert_str_eq(conf.tls.certificate, "a.crt");
	ck_assert_str_eq(conf.tls.key, "/b.key");
	ck_assert_str_eq(conf.tls.client_ca, "c.crt");
	/* Who says https has not asked for a plain one beside it; DNS is another matter. */
	ck_assert_uint_eq(conf.n_http, 0);
	ck_assert_uint_eq(conf.n_dns, 1);
	check_good("server: {tls: {certificate: a, key: b}}\n");
	ck_assert_ptr_null(conf.tls.client_ca);
	ck_assert_uint_eq(conf.n_http, 1);
	check_good("server:\n  https: 127.0.0.1@0\n  http: 127.0.0.1@0\n"
		   "  tls: {certificate: a, key: b}\n");
	ck_assert_uint_eq(conf.n_http, 1);
	check_bad("server: {tls: {certificate: a}}\n",
		  "1:15: tls needs both 'certificate' and 'key'");
	check_bad("server: {tls: {key: a, client-ca: b}}\n",
		  "1:15: tls needs both 'certificate' and 'key'");
	check_bad("server: {tls: {certificat: a}}\n",
		  "1:16: unknown key 'certificat', did you mean 'certificate'?");
	check_bad("server: {https: 127.0.0.1@1}\n",
		  "1:17: https needs a certificate: tls: {certificate: FILE, key: FILE}");
	check_bad("server: {dns-tls: 127.0.0.1@1}\n",
		  "1:19: dns-tls needs a certificate: tls: {certificate: FILE, key: FILE}");
	check_bad("server:\n  dns-tls: 127.0.0.1@8600\n  tls: {certificate: a, key: b}\n",
		  "2:12: '127.0.0.1@8600' is in dns too");
	check_bad("server:\n  http: 127.0.0.1@1\n  https: 127.0.0.1@01\n"
		  "  tls: {certificate: a, key: b}\n",
		  "3:10: '127.0.0.1@01' is in http too");
}
END_TEST

#define SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* "abc" */

START_TEST(who_may_do_what)
{
	const struct access_entry *entry;

	check_good("server: {http: 0.0.0.0@8500}\n"
		   "access:\n"
		   "  - name: ci\n"
		   "    token-sha256: " SHA256 "\n"
		   "    register: [payment, cart-*]\n"
		   "    read: \"*\"\n"
		   "  - name: scraper\n"
		   "    identity: spiffe://example.net/prometheus\n");
	ck_assert_uint_eq(conf.access.n, 2);
	entry = &conf.access.entries[0];
	ck_assert_str_eq(entry->name, "ci");
	ck_assert(entry->has_token && !entry->identity);
	ck_assert_uint_eq(entry->token[0], 0xba);
	ck_assert_uint_eq(entry->n_grants, 3);
	ck_assert(access_allows(entry, ACCESS_REGISTER, "cart-2"));
	ck_assert(!access_allows(entry, ACCESS_ADMIN, "cart-2"));
	ck_assert(access_allows(entry, ACCESS_READ, NULL));
	entry = &conf.access.entries[1];
	ck_assert(!entry->has_token);
	ck_assert_str_eq(entry->identity, "spiffe://example.net/prometheus");
	ck_assert_uint_eq(entry->n_grants, 0);
}
END_TEST

START_TEST(entries_that_may_mean_something_else_are_refused)
{
	check_bad("access:\n", "1:8: expected a list of entries: '- name: NAME'");
	check_bad("access: []\n", "1:9: the list is empty");
	check_bad("access: {name: a}\n", "1:9: expected a list of entries: '- name: NAME'");
	check_bad("access:\n- name: a\n",
		  "2:3: an entry needs either 'token-sha256' or 'identity'");
	check_bad("access:\n- {name: a, identity: b, token-sha256: " SHA256 "}\n",
		  "2:3: an entry needs either 'token-sha256' or 'identity'");
	check_bad("access:\n- identity: b\n", "2:3: the entry has no 'name'");
	check_bad("access:\n- {name: a, identity: \"\"}\n", "2:23: the name is empty");
	check_bad("access:\n- {name: [a]}\n", "2:10: expected one value, not a list");
	check_bad("access:\n- {name: a, token-sha256: {}}\n",
		  "2:27: expected one value, not a mapping");
	check_bad("access:\n- {name: a, identity: b, read: [{}]}\n",
		  "2:33: expected one value, not a mapping");
	check_bad("access:\n- {name: a, token: x}\n",
		  "2:13: unknown key 'token' (known: name, token-sha256, identity, read, "
		  "register, admin)");
	check_bad("access:\n- {name: a, identity: b}\n- {name: a, identity: c}\n",
		  "3:3: the name 'a' is there twice");
	check_bad("access:\n- {name: a, identity: c}\n- {name: b, identity: c}\n",
		  "3:3: 'a' and 'b' have the same token or identity");
	check_bad("access:\n- {name: a, token-sha256: " SHA256
		  "}\n- {name: b, token-sha256: " SHA256 "}\n",
		  "3:3: 'a' and 'b' have the same token or identity");
	check_bad("access:\n- {name: a, identity: b, read: Pay}\n",
		  "2:32: 'Pay' is no service in lower case, no 'PREFIX*', and not '*'");
	check_bad("access:\n- {name: a, identity: b, admin: [x, \"*x\"]}\n",
		  "2:37: '*x' is no service in lower case, no 'PREFIX*', and not '*'");
	check_bad("access:\n- {name: a, identity: b, read: []}\n", "2:32: the list is empty");
	check_bad("access:\n- {name: a, identity: b, read: *}\n",
		  "2:33: a text that begins with * takes quotes: \"*\"");
}
END_TEST

/* It may be the token itself that stands there. */
START_TEST(what_is_no_digest_is_not_told_on)
{
	check_bad("access:\n- {name: a, token-sha256: correct-horse}\n",
		  "2:27: no SHA-256 of a token: 64 hexadecimal digits, such as "
		  "'printf %s TOKEN | sha256sum' prints");
}
END_TEST

static void check_open(const char *content, const char *where)
{
	char expected[512];

	ck_assert_msg(load(content) < 0, "%s", content);
	snprintf(
		expected, sizeof(expected),
		"rosterd.conf:%s can be reached from other hosts, so requests must say who they are: "
		"give \"access\" entries for tokens or certificates (rosterd.conf(5)), or listen "
		"on a loopback address",
		where);
	ck_assert_str_eq(message, expected);
}

START_TEST(other_hosts_are_asked_who_they_are)
{
	static const char *const open[] = { "0.0.0.0@1", "\"::@1\"", "192.0.2.1@1",
					    "[127.0.0.1@1, 10.0.0.1@1]" };
	static const char *const closed[] = { "127.0.0.1@1", "127.9.9.9@1", "\"::1@1\"" };
	char text[200];

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		snprintf(text, sizeof(text), "server: {http: %s}\n", open[i]);
		ck_assert_msg(load(text) < 0, "%s", open[i]);
		ck_assert_msg(strstr(message, "can be reached from other hosts"), "%s", message);
		snprintf(text, sizeof(text),
			 "server: {http: %s}\naccess: [{name: a, identity: b}]\n", open[i]);
		check_good(text);
	}
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		snprintf(text, sizeof(text), "server: {http: %s}\n", closed[i]);
		check_good(text);
	}
	check_open("server: {http: [127.0.0.1@1, 0.0.0.0@8500]}\n", "1:16: HTTP at 0.0.0.0@8500");
	check_open("server: {https: \"::@1\", tls: {certificate: a, key: b, client-ca: c}}\n",
		   "1:17: HTTP at ::@1");
	/* A flag does not get around it. */
	check_good("server: {http: 127.0.0.1@1}\n");
	conf_fini(&conf);
	flags = (struct conf_flags){ .http = "0.0.0.0@1" };
	ck_assert_int_eq(conf_load(&conf, &flags, message, sizeof(message)), -1);
	ck_assert_msg(strncmp(message, "HTTP at 0.0.0.0@1 can", 21) == 0, "%s", message);
	write_file("rosterd.conf", "server: {http: \"::1@1\"}\n", 24);
	flags.file = "rosterd.conf";
	ck_assert_int_eq(conf_load(&conf, &flags, message, sizeof(message)), -1);
	ck_assert_msg(strncmp(message, "HTTP at 0.0.0.0@1 can", 21) == 0, "%s", message);
}
END_TEST

START_TEST(repeated_things_are_refused)
{
	check_bad("server:\n  ttl: 1\n  ttl: 1\n", "3:3: key 'ttl' is there twice");
	check_bad("zone: \nserver:\nzone:\n", "3:1: key 'zone' is there twice");
	check_bad("zone:\n- domain: a.b\n- domain: A.b.\n", "3:11: 'A.b.' is there twice");
	check_bad("server: {dns: [127.0.0.1@1, 127.0.0.1@1]}\n",
		  "1:29: '127.0.0.1@1' is there twice");
}
END_TEST

START_TEST(wrong_types_and_ranges)
{
	check_bad("server: 3\n", "1:9: expected 'key: value' pairs");
	check_bad("[server]\n", "1:1: expected 'key: value' pairs");
	check_bad("zone: a\n", "1:7: expected a list of zones: '- domain: NAME'");
	check_bad("zone: [a]\n", "1:8: expected 'key: value' pairs");
	check_bad("zone: []\n", "1:7: the list is empty");
	check_bad("server: {dns: []}\n", "1:15: the list is empty");
	check_bad("server: {dns: {a: b}}\n", "1:15: expected one value, not a mapping");
	check_bad("server: {workers: [1]}\n", "1:19: expected one value, not a list");
	check_bad("server: {workers: 0}\n", "1:19: '0' is no number from 1 to 256");
	check_bad("server: {workers: 257}\n", "1:19: '257' is no number from 1 to 256");
	check_bad("server: {workers: -1}\n", "1:19: '-1' is no number from 1 to 256");
	check_bad("server: {workers: 4294967297}\n",
		  "1:19: '4294967297' is no number from 1 to 256");
	check_bad("server: {workers: 2.0}\n", "1:19: '2.0' is no number from 1 to 256");
	check_bad("server:\n  data:\n", "2:8: the value is missing");
	check_bad("server: {data: ~}\n", "1:16: the value is missing");
	check_bad("server: {data: ''}\n", "1:16: the path is empty");
	check_bad("server: {data: \"a\\0b\"}\n", "1:16: the value has a NUL octet");
	check_bad("server: {dns: localhost}\n",
		  "1:15: 'localhost' has no port: write ADDRESS@PORT");
	check_bad("? [a]\n: b\n", "1:3: expected one value, not a list");
}
END_TEST

START_TEST(zones_must_be_servable)
{
	check_bad("zone:\n- file: x\n", "2:3: the zone has no 'domain'");
	check_bad("zone:\n- domain: .\n", "2:11: '.' is the root zone, which cannot be served");
	check_bad("zone:\n- domain: a..b\n", "2:11: 'a..b' is no domain name");
	check_bad("zone:\n- domain: ../x\n", "2:11: '../x' is no domain name");
	check_bad("zone:\n- domain: a/b\n", "2:11: 'a/b' is no domain name");
	check_bad("zone:\n- domain: a\n  filter: {}\n",
		  "3:11: filter needs either 'tag' or 'meta'");
	check_bad("zone:\n- domain: a\n  filter: {tag: x, meta: {key: a, value: b}}\n",
		  "3:11: filter needs either 'tag' or 'meta'");
	check_bad("zone:\n- domain: a\n  filter: {meta: {key: a}}\n",
		  "3:18: meta needs both 'key' and 'value'");
}
END_TEST

/* A list of `n` entries made by a format with their number. */
static char *make_list(const char *head, const char *before, const char *after, unsigned n)
{
	static char made[4096];
	size_t len = (size_t)snprintf(made, sizeof(made), "%s", head);

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(made + len, sizeof(made) - len, "%s%u%s", before, i + 1,
					after);
	return made;
}

START_TEST(lists_are_bounded)
{
	check_good(make_list("zone:\n", "- domain: a", "\n", LIMIT_ZONES));
	ck_assert_uint_eq(conf.n_zones, LIMIT_ZONES);
	check_bad(make_list("zone:\n", "- domain: a", "\n", LIMIT_ZONES + 1),
		  "2:1: more than 64 zones");
	check_good(make_list("server:\n dns:\n", " - 127.0.0.1@", "\n", LIMIT_ADDRESSES));
	ck_assert_uint_eq(conf.n_dns, LIMIT_ADDRESSES);
	check_bad(make_list("server:\n dns:\n", " - 127.0.0.1@", "\n", LIMIT_ADDRESSES + 1),
		  "19:4: '127.0.0.1@17' is one address too many");
	check_good(make_list("server:\n http-names:\n", " - a", "\n", LIMIT_HTTP_NAMES));
	ck_assert_uint_eq(conf.guard.n_names, LIMIT_HTTP_NAMES);
	check_bad(make_list("server:\n http-names:\n", " - a", "\n", LIMIT_HTTP_NAMES + 1),
		  "67:4: 'a65' is one too many");
	check_good(make_list("server:\n rate-limit:\n  allow:\n", "  - 10.0.0.", "\n",
			     LIMIT_RATE_ALLOW));
	ck_assert_uint_eq(conf.rate_limit.n_allow, LIMIT_RATE_ALLOW);
	check_bad(make_list("server:\n rate-limit:\n  allow:\n", "  - 10.0.0.", "\n",
			    LIMIT_RATE_ALLOW + 1),
		  "68:5: '10.0.0.65' is one network too many");
}
END_TEST

/* Of every key, whichever reads it. */
START_TEST(values_of_no_kind_that_a_key_takes_are_refused)
{
	static const char *const keys[] = {
		"dns",      "http",     "workers",        "data",
		"ttl",      "zone-dir", "http-names",     "http-origins",
		"identity", "version",  "check-loopback", "services-dir"
	};
	char text[100];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(text, sizeof(text), "server: {%s: {a: b}}\n", keys[i]);
		ck_assert_msg(load(text) < 0, "%s", text);
		ck_assert_msg(strstr(message, ": expected one value, not a mapping"), "%s: %s",
			      keys[i], message);
		conf_fini(&conf);
	}
	check_bad("server: {rate-limit: {rate: [1]}}\n", "1:29: expected one value, not a list");
	check_bad("server: {rate-limit: {slip: [1]}}\n", "1:29: expected one value, not a list");
	check_bad("zone:\n- domain: [a]\n", "2:11: expected one value, not a list");
	check_bad("zone:\n- {domain: a, file: [a]}\n", "2:21: expected one value, not a list");
	check_bad("zone:\n- {domain: a, filter: {tag: [a]}}\n",
		  "2:29: expected one value, not a list");
	check_bad("zone:\n- {domain: a, filter: {tag: \"\"}}\n",
		  "2:29: '' is no tag: 1 to 63 octets");
	check_bad("zone:\n- {domain: a, filter: {meta: {key: [a], value: b}}}\n",
		  "2:36: expected one value, not a list");
	check_bad("zone:\n- {domain: a, filter: {meta: {key: \"\", value: b}}}\n",
		  "2:30: the key is empty");
}
END_TEST

START_TEST(yaml_beyond_our_need_is_refused)
{
	check_bad("server: &a\n  ttl: 1\n", "1:9: anchors are not allowed");
	check_bad("server: {ttl: &a 1}\n", "1:15: anchors are not allowed");
	check_bad("zone: *a\n", "1:7: aliases are not allowed");
	check_bad("server: {ttl: !!int 1}\n", "1:15: tags are not allowed");
	check_bad("server: !x {ttl: 1}\n", "1:9: tags are not allowed");
	check_bad("server:\n---\nzone:\n", "2:1: a second document");
	check_bad("server:\n\tttl: 1\n", "2:1: found character that cannot start any token");
	check_bad("server: {ttl: 1\n", "2:1: did not find expected ',' or '}'");
	check_bad("server:\n  data: \xff\n", "2:9: invalid leading UTF-8 octet");
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
	flags = (struct conf_flags){ .file = "nonexistent.conf" };
	ck_assert_int_eq(conf_load(&conf, &flags, message, sizeof(message)), -1);
	ck_assert_str_eq(message, "nonexistent.conf: No such file or directory");
	flags.file = "/";
	ck_assert_int_eq(conf_load(&conf, &flags, message, sizeof(message)), -1);
	ck_assert_str_eq(message, "/: is a directory");
	conf_fini(&conf);
	conf_fini(NULL);
}
END_TEST

START_TEST(paths_are_relative_to_the_file)
{
	static const char content[] = "server: {data: d}\n"
				      "zone:\n- domain: a.example\n- domain: b.example\n"
				      "- domain: c.example\n  file: c\n";

	ck_assert_int_eq(mkdir("etc", 0700), 0);
	ck_assert_int_eq(mkdir("etc/zones", 0700), 0);
	write_file("etc/zones/a.example.zone", "", 0);
	write_file("etc/rosterd.conf", content, strlen(content));
	flags = (struct conf_flags){ .file = "etc/rosterd.conf" };
	ck_assert_msg(conf_load(&conf, &flags, message, sizeof(message)) == 0, "%s", message);
	ck_assert_str_eq(conf.data, "etc/d");
	ck_assert_str_eq(conf.zones[0].file, "etc/zones/a.example.zone");
	ck_assert(conf.zones[0].file_is_default);
	ck_assert_ptr_null(conf.zones[1].file);
	ck_assert(!conf.zones[1].file_is_default);
	ck_assert_str_eq(conf.zones[2].file, "etc/zones/c");
	ck_assert(!conf.zones[2].file_is_default);
}
END_TEST

START_TEST(flags_win_over_the_file)
{
	ck_assert_int_eq(mkdir("etc", 0700), 0);
	ck_assert_int_eq(mkdir("etc/zones", 0700), 0);
	write_file("etc/zones/service.local.zone", "", 0);
	write_file("etc/rosterd.conf", "", 0);
	check_good("server: {dns: 127.0.0.1@1, http: [127.0.0.1@2, 127.0.0.1@3], workers: 2,\n"
		   " data: d, ttl: 9, zone-dir: etc/zones}\n"
		   "zone: [{domain: a, filter: {tag: x}}, {domain: b}]\n");
	conf_fini(&conf);
	ck_assert(parse_flags("-c rosterd.conf --zone service.local --dns=::1@4 "
			      "--http=127.0.0.1@5 --data=e --workers=1"));
	ck_assert_msg(conf_load(&conf, &flags, message, sizeof(message)) == 0, "%s", message);
	ck_assert_uint_eq(conf.n_dns, 1);
	ck_assert_str_eq(conf.dns[0].text, "::1@4");
	ck_assert_uint_eq(conf.n_http, 1);
	ck_assert_str_eq(conf.http[0].text, "127.0.0.1@5");
	ck_assert_str_eq(conf.data, "e");
	ck_assert_uint_eq(conf.workers, 1);
	ck_assert_uint_eq(conf.ttl_s, 9);
	ck_assert_uint_eq(conf.n_zones, 1);
	ck_assert_str_eq(conf.zones[0].domain, "service.local");
	ck_assert_str_eq(conf.zones[0].file, "etc/zones/service.local.zone");
	ck_assert_ptr_null(conf.zones[0].filter.tag);
}
END_TEST

START_TEST(flags_are_understood)
{
	ck_assert(parse_flags(""));
	ck_assert(!flags.file && !flags.zone && !flags.http && !flags.data && !flags.workers);
	ck_assert(!flags.n_dns && !flags.check_only && !flags.version && !flags.help);
	ck_assert(parse_flags("-c f --dns 127.0.0.1@1 --dns=::1@2 --check-config"));
	ck_assert_str_eq(flags.file, "f");
	ck_assert_uint_eq(flags.n_dns, 2);
	ck_assert_str_eq(flags.dns[0], "127.0.0.1@1");
	ck_assert_str_eq(flags.dns[1], "::1@2");
	ck_assert(flags.check_only);
	ck_assert(parse_flags("--export -"));
	ck_assert_str_eq(flags.export_to, "-");
	ck_assert(parse_flags("-h") && flags.help);
	ck_assert(parse_flags("--help") && flags.help);
	ck_assert(parse_flags("--version") && flags.version);
}
END_TEST

START_TEST(bad_usage)
{
	check_usage("--wrkers 3", "unknown flag '--wrkers', did you mean '--workers'?");
	check_usage("--wrkers=3", "unknown flag '--wrkers', did you mean '--workers'?");
	check_usage("-v", "unknown flag '-v' (known: -c, --zone, --dns, --http, --data, "
			  "--workers, --replace, --check-config, --export, --import, --version, "
			  "--help)");
	check_usage("x", "unexpected argument 'x'");
	check_usage("--dns", "--dns needs a value: ADDR@PORT");
	check_usage("--export", "--export needs a value: FILE");
	check_usage("--export a --import -", "--import: '-' cannot go with --export");
	check_usage("--data --version", "--data needs a value: DIR");
	check_usage("--data=", "--data needs a value: DIR");
	check_usage("-c", "-c needs a value: FILE");
	check_usage("--version=1", "--version takes no value");
	check_usage("--zone a --zone b", "--zone is given twice");
	check_usage("--dns 127.0.0.1", "--dns: '127.0.0.1' has no port: write ADDRESS@PORT");
	check_usage("--dns ::1@1 --dns ::1@1", "--dns: '::1@1' is there twice");
	check_usage("--http x@1", "--http: 'x@1' has no numeric IPv4 or IPv6 address");
	check_usage("--workers 0", "--workers: '0' is no number from 1 to 256");
	check_usage("--zone .", "--zone: '.' is the root zone, which cannot be served");
}
END_TEST

START_TEST(too_many_dns_flags)
{
	char *argv[LIMIT_ADDRESSES + 2], values[LIMIT_ADDRESSES + 2][24];

	for (int i = 0; i < LIMIT_ADDRESSES + 2; i++) {
		snprintf(values[i], sizeof(values[i]), "--dns=127.0.0.1@%d", i);
		argv[i] = values[i];
	}
	ck_assert(conf_flags_parse(&flags, LIMIT_ADDRESSES + 1, argv, message, sizeof(message)));
	ck_assert(!conf_flags_parse(&flags, LIMIT_ADDRESSES + 2, argv, message, sizeof(message)));
	ck_assert_str_eq(message, "--dns is given more than 16 times");
}
END_TEST

START_TEST(help_lists_every_flag)
{
	static const char *const names[] = { "-c FILE",          "--zone NAME",  "--dns ADDR@PORT",
					     "--http ADDR@PORT", "--data DIR",   "--workers N",
					     "--check-config",   "--version",    "-h, --help",
					     "--export FILE",    "--import FILE" };
	char text[2048], small[40];

	conf_flags_help(text, sizeof(text));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(strstr(text, names[i]), "%s", names[i]);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	conf_flags_help(small, sizeof(small));
	ck_assert_uint_eq(strlen(small), sizeof(small) - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf");
	TCase *tcase = tcase_create("conf");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, nothing_said_is_the_defaults);
	tcase_add_test(tcase, empty_files_are_the_defaults);
	tcase_add_test(tcase, every_key);
	tcase_add_test(tcase, ttl_is_a_duration_or_seconds);
	tcase_add_test(tcase, unknown_key_names_the_nearest);
	tcase_add_test(tcase, loopback_checks);
	tcase_add_test(tcase, rate_limit);
	tcase_add_test(tcase, what_it_says_of_itself);
	tcase_add_test(tcase, who_may_ask);
	tcase_add_test(tcase, who_runs_and_how_closed);
	tcase_add_test(tcase, tls_doors);
	tcase_add_test(tcase, who_may_do_what);
	tcase_add_test(tcase, entries_that_may_mean_something_else_are_refused);
	tcase_add_test(tcase, what_is_no_digest_is_not_told_on);
	tcase_add_test(tcase, other_hosts_are_asked_who_they_are);
	tcase_add_test(tcase, repeated_things_are_refused);
	tcase_add_test(tcase, wrong_types_and_ranges);
	tcase_add_test(tcase, zones_must_be_servable);
	tcase_add_test(tcase, lists_are_bounded);
	tcase_add_test(tcase, values_of_no_kind_that_a_key_takes_are_refused);
	tcase_add_test(tcase, yaml_beyond_our_need_is_refused);
	tcase_add_test(tcase, files_that_cannot_be_read);
	tcase_add_test(tcase, paths_are_relative_to_the_file);
	tcase_add_test(tcase, flags_win_over_the_file);
	tcase_add_test(tcase, flags_are_understood);
	tcase_add_test(tcase, bad_usage);
	tcase_add_test(tcase, too_many_dns_flags);
	tcase_add_test(tcase, help_lists_every_flag);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
