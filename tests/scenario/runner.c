/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runner: plays scenarios: the product in a dozen lines, on a virtual clock, without sockets.
 *
 *     runner FILE.scn...      "ok FILE" or "FILE:LINE: what is wrong" for each; exit status 0 or 1
 *
 * A line is a command; '#' begins a comment line. Names are relative to the first zone unless they
 * end in a dot; "@" is its apex. What happens:
 *
 *     ZONE domain [FILE path | TAG tag | META key=value]    path: beside the scenario
 *     DROP domain
 *     REGISTER {json}
 *     HEARTBEAT {json}
 *     DEREGISTER service id
 *     POLICY service {json}
 *     ADMIN service/id auto|up|down|drain
 *     PROBE service/id index PASS|FAIL         the result of that check
 *     ADVANCE 15s                              the clock, deadline by deadline
 *     RESTART                                  another process, with what the store has
 *     QUERY name type [TCP] [EDNS=n] [CH] [TIMES=n]
 *
 * What must have come of it, after the line it is about:
 *
 *     EXPECT 409                  a write's HTTP status; a write without this line must succeed
 *     SAFE service/id from to     a drained instance is safe to stop after so many seconds
 *     MESSAGE text                is part of a refused write's message
 *     EXPECT NOERROR|NXDOMAIN|...  the rcode; also NODATA, REFERRAL, TC, NOTC, AA, NOAA
 *     ANSWER owner type data...   this record; all such lines together are the whole section
 *     AUTHORITY ...               the same for the other sections
 *     ADDITIONAL ...
 *     IN-ORDER                    the ANSWER lines from here on are in the order of the reply
 *     COUNT n [ADDITIONAL]        records in the answer (or that section)
 *     TTL n                       of every answer record, or of the SOA of a negative answer
 *     EDE n [text]                the reply's extended error (RFC 8914), its text begins so; or
 * none SHARE from to data...       of TIMES replies, the share whose first record has this data
 *     MEMBER from to data...      of TIMES replies, the share that has such a record at all
 */
#include "../lib/world.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LIMIT_S = 60, /* for one scenario, which takes milliseconds */
	TALLY = 64,   /* different rdata that SHARE and MEMBER can tell apart */
	NEGATIVE_TTL_S = 5,
};

/* How often some data came in the replies to one QUERY. */
struct tally {
	char *text;
	unsigned first, member;
};

enum last {
	LAST_NONE,
	LAST_WRITE,
	LAST_QUERY,
};

/* The three sections and which of their records an expectation has named. */
struct section {
	ldns_rr_list *records; /* the reply's */
	bool *named;
	size_t n_named;
	bool is_listed;
};

struct play {
	const char *path;
	unsigned line;
	bool failed;
	struct world world;

	enum last last; /* what expectations are about */
	unsigned last_line;

	int status; /* of the write */
	bool status_expected;
	char message[WORLD_MESSAGE_TEXT];

	ldns_pkt *reply; /* to the query */
	struct section answer, authority, additional;
	bool in_order;
	unsigned times;
	size_t n_tallies;
	struct tally tallies[TALLY];
};

/* Where the play is, for what ends it from outside: an assert, or the time limit. */
static char location[PATH_MAX + 80];

static void on_end(int signal_number)
{
	const ssize_t written = write(STDERR_FILENO, location, strlen(location));

	(void)written;
	if (signal_number == SIGALRM)
		_exit(1);
}

static void fail(struct play *play, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct play *play, unsigned line, const char *format, ...)
{
	va_list args;

	if (play->failed)
		return;
	play->failed = true;
	printf("%s:%u: ", play->path, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* ---- Words ---- */

/* The next word of *rest, which moves behind it; NULL at the end. */
static char *next_word(char **rest)
{
	char *word;

	do {
		word = strsep(rest, " \t");
	} while (word && *word == '\0');
	return word;
}

/* What is left, without blanks around it. */
static char *trim(char *text)
{
	size_t len;

	if (!text)
		return NULL;
	text += strspn(text, " \t");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	return text;
}

static char *need_word(struct play *play, char **rest, const char *what)
{
	char *const word = next_word(rest);

	if (!word)
		fail(play, play->line, "%s is missing", what);
	return word;
}

static bool parse_number(const char *text, unsigned long *number)
{
	char *end;

	*number = strtoul(text, &end, 10);
	return end != text && *end == '\0';
}

/* ---- The end of a write or query: what was not expected ---- */

static void section_fini(struct section *section)
{
	free(section->named);
	memset(section, 0, sizeof(*section));
}

static void check_all_named(struct play *play, const struct section *section, const char *name)
{
	if (!section->is_listed || section->n_named == ldns_rr_list_rr_count(section->records))
		return;
	for (size_t i = 0; i < ldns_rr_list_rr_count(section->records); i++) {
		if (section->named[i])
			continue;
		char *const text =
			world_record_text(&play->world, ldns_rr_list_rr(section->records, i));
		fail(play, play->last_line, "the %s section also has: %s", name, text);
		free(text);
	}
}

static void close_last(struct play *play)
{
	if (play->last == LAST_WRITE && !play->status_expected && play->status >= 300)
		fail(play, play->last_line, "refused: %d %s", play->status, play->message);
	if (play->last == LAST_QUERY) {
		check_all_named(play, &play->answer, "answer");
		check_all_named(play, &play->authority, "authority");
		check_all_named(play, &play->additional, "additional");
		section_fini(&play->answer);
		section_fini(&play->authority);
		section_fini(&play->additional);
		ldns_pkt_free(play->reply);
		play->reply = NULL;
		for (size_t i = 0; i < play->n_tallies; i++)
			free(play->tallies[i].text);
		play->n_tallies = 0;
	}
	play->last = LAST_NONE;
}

/* ---- What happens ---- */

static void begin_write(struct play *play)
{
	close_last(play);
	play->last = LAST_WRITE;
	play->last_line = play->line;
	play->status_expected = false;
	play->message[0] = '\0';
}

static void on_zone(struct play *play, char *rest)
{
	struct world_zone zone = { 0 };
	char file[PATH_MAX], folder[PATH_MAX], message[WORLD_MESSAGE_TEXT] = "";
	char *const domain = need_word(play, &rest, "the domain");
	char *const option = next_word(&rest);
	char *const value = option ? need_word(play, &rest, "the option's value") : NULL;

	begin_write(play);
	if (!domain || (option && !value))
		return;
	zone.origin = domain;
	if (option && strcmp(option, "FILE") == 0) {
		snprintf(folder, sizeof(folder), "%s", play->path);
		const int len = snprintf(file, sizeof(file), "%s/%s", dirname(folder), value);
		assert(len > 0 && (size_t)len < sizeof(file));
		zone.file = file;
	} else if (option && strcmp(option, "TAG") == 0) {
		zone.tag = value;
	} else if (option && strcmp(option, "META") == 0) {
		zone.meta_value = value;
		zone.meta_key = strsep(&zone.meta_value, "=");
	} else if (option) {
		fail(play, play->line, "ZONE has no option %s", option);
		return;
	}
	play->status =
		world_add_zone(&play->world, &zone, message, sizeof(message)) == 0 ? 200 : 400;
	snprintf(play->message, sizeof(play->message), "%s", message);
}

static void on_drop(struct play *play, char *rest)
{
	char *const domain = need_word(play, &rest, "the domain");

	close_last(play);
	if (domain)
		world_drop_zone(&play->world, domain);
}

static void on_register(struct play *play, char *rest)
{
	begin_write(play);
	play->status = world_register(&play->world, rest ? rest : "", play->message);
}

static void on_heartbeat(struct play *play, char *rest)
{
	begin_write(play);
	play->status = world_heartbeat(&play->world, rest ? rest : "", play->message);
}

static void on_deregister(struct play *play, char *rest)
{
	char *const service = need_word(play, &rest, "the service");
	char *const id = need_word(play, &rest, "the id");

	begin_write(play);
	if (service && id)
		play->status = world_deregister(&play->world, service, id, play->message);
}

static void on_policy(struct play *play, char *rest)
{
	char *const service = need_word(play, &rest, "the service");

	begin_write(play);
	if (service)
		play->status = world_policy(&play->world, service, rest ? rest : "", play->message);
}

static void on_admin(struct play *play, char *rest)
{
	char *id = need_word(play, &rest, "service/id");
	char *const state = need_word(play, &rest, "the state");
	char json[80];

	begin_write(play);
	if (!id || !state)
		return;
	const char *const service = strsep(&id, "/");
	snprintf(json, sizeof(json), "{\"state\":\"%.40s\"}", state);
	play->status = world_admin(&play->world, service, id ? id : "", json, play->message);
}

static void on_probe(struct play *play, char *rest)
{
	char *id = need_word(play, &rest, "service/id");
	char *const index = need_word(play, &rest, "the check's index");
	char *const result = need_word(play, &rest, "PASS or FAIL");
	unsigned long at;

	begin_write(play);
	if (!id || !index || !result)
		return;
	const char *const service = strsep(&id, "/");
	const bool passed = strcmp(result, "PASS") == 0;
	if (!id || !parse_number(index, &at) || (!passed && strcmp(result, "FAIL") != 0)) {
		fail(play, play->line, "PROBE service/id index PASS|FAIL");
		return;
	}
	play->status = world_probe(&play->world, service, id, at, passed, play->message);
}

static void on_advance(struct play *play, char *rest)
{
	char *const text = need_word(play, &rest, "the duration");
	uint64_t ms;

	close_last(play);
	if (!text)
		return;
	if (record_duration_parse(text, &ms))
		world_advance(&play->world, ms);
	else
		fail(play, play->line, "%s is no duration", text);
}

static void on_restart(struct play *play, char *rest)
{
	close_last(play);
	if (rest)
		fail(play, play->line, "RESTART takes no words");
	else
		world_restart(&play->world);
}

static bool parse_question(struct play *play, char *rest, struct world_question *question)
{
	char *const name = need_word(play, &rest, "the name");
	char *const type = need_word(play, &rest, "the type");
	unsigned long number;

	if (!name || !type)
		return false;
	question->name = name;
	question->type = ldns_get_rr_type_by_name(type);
	play->times = 1;
	for (const char *word; (word = next_word(&rest));) {
		if (strcmp(word, "TCP") == 0) {
			question->transport = ANSWER_TCP;
		} else if (strcmp(word, "CH") == 0) {
			question->class = LDNS_RR_CLASS_CH;
		} else if (strncmp(word, "EDNS=", 5) == 0 && parse_number(word + 5, &number)) {
			question->edns = (uint16_t)number;
		} else if (strncmp(word, "TIMES=", 6) == 0 && parse_number(word + 6, &number)) {
			play->times = (unsigned)number;
		} else {
			fail(play, play->line, "QUERY has no option %s", word);
			return false;
		}
	}
	return true;
}

/* The text of a record's data alone. */
static char *data_text(const struct play *play, const ldns_rr *rr)
{
	char *const text = world_record_text(&play->world, rr);
	char *const type = strchr(text, ' ') + 1;
	const char *const data = strchr(type, ' ') + 1;

	memmove(text, data, strlen(data) + 1);
	return text;
}

static struct tally *find_tally(struct play *play, const char *text)
{
	for (size_t i = 0; i < play->n_tallies; i++)
		if (strcmp(play->tallies[i].text, text) == 0)
			return &play->tallies[i];
	assert(play->n_tallies < TALLY);
	struct tally *const tally = &play->tallies[play->n_tallies++];
	*tally = (struct tally){ .text = strdup(text) };
	assert(tally->text);
	return tally;
}

static void count_reply(struct play *play, const ldns_pkt *reply)
{
	const ldns_rr_list *const records = ldns_pkt_answer(reply);

	for (size_t i = 0; i < ldns_rr_list_rr_count(records); i++) {
		char *const text = data_text(play, ldns_rr_list_rr(records, i));
		struct tally *const tally = find_tally(play, text);
		tally->member++;
		if (i == 0)
			tally->first++;
		free(text);
	}
}

static void section_init(struct section *section, ldns_rr_list *records)
{
	*section = (struct section){ .records = records };
	section->named = calloc(ldns_rr_list_rr_count(records) + 1, sizeof(section->named[0]));
	assert(section->named);
}

static void on_query(struct play *play, char *rest)
{
	static uint8_t message[WORLD_MESSAGE];
	struct world_question question = { 0 };
	size_t len;

	close_last(play);
	if (!parse_question(play, rest, &question))
		return;
	for (unsigned i = 0; i < play->times; i++) {
		ldns_pkt_free(play->reply);
		play->reply = world_ask(&play->world, &question, message, &len);
		if (play->times > 1)
			count_reply(play, play->reply);
	}
	section_init(&play->answer, ldns_pkt_answer(play->reply));
	section_init(&play->authority, ldns_pkt_authority(play->reply));
	section_init(&play->additional, ldns_pkt_additional(play->reply));
	play->in_order = false;
	play->last = LAST_QUERY;
	play->last_line = play->line;
}

/* ---- What is expected ---- */

static bool has_query(struct play *play)
{
	if (play->last != LAST_QUERY)
		fail(play, play->line, "no QUERY comes before");
	return play->last == LAST_QUERY;
}

static void expect_status(struct play *play, int status)
{
	play->status_expected = true;
	if (play->last != LAST_WRITE)
		fail(play, play->line, "no write comes before");
	else if (play->status != status)
		fail(play, play->line, "expected %d, got %d %s", status, play->status,
		     play->message);
}

/* The authority section is the zone's SOA, with the TTL of negative answers. */
static bool has_negative_soa(const ldns_pkt *reply)
{
	const ldns_rr_list *const authority = ldns_pkt_authority(reply);

	if (ldns_rr_list_rr_count(authority) != 1)
		return false;
	const ldns_rr *const soa = ldns_rr_list_rr(authority, 0);
	return ldns_rr_get_type(soa) == LDNS_RR_TYPE_SOA && ldns_rr_ttl(soa) <= NEGATIVE_TTL_S;
}

static bool is_nodata(const ldns_pkt *reply)
{
	return ldns_pkt_get_rcode(reply) == LDNS_RCODE_NOERROR && ldns_pkt_ancount(reply) == 0 &&
	       ldns_pkt_aa(reply) && has_negative_soa(reply);
}

static bool is_referral(const ldns_pkt *reply)
{
	const ldns_rr_list *const authority = ldns_pkt_authority(reply);

	return ldns_pkt_get_rcode(reply) == LDNS_RCODE_NOERROR && ldns_pkt_ancount(reply) == 0 &&
	       !ldns_pkt_aa(reply) && ldns_rr_list_rr_count(authority) > 0 &&
	       ldns_rr_get_type(ldns_rr_list_rr(authority, 0)) == LDNS_RR_TYPE_NS;
}

static bool is_rcode(const ldns_pkt *reply, const char *word, bool *known)
{
	const ldns_lookup_table *const rcode = ldns_lookup_by_name(ldns_rcodes, word);

	*known = rcode != NULL;
	if (!rcode || ldns_pkt_get_rcode(reply) != (ldns_pkt_rcode)rcode->id)
		return false;
	return rcode->id != LDNS_RCODE_NXDOMAIN || has_negative_soa(reply);
}

static bool meets(const struct play *play, const char *word, bool *known)
{
	const ldns_pkt *const reply = play->reply;

	*known = true;
	if (strcmp(word, "NODATA") == 0)
		return is_nodata(reply);
	if (strcmp(word, "REFERRAL") == 0)
		return is_referral(reply);
	if (strcmp(word, "TC") == 0)
		return ldns_pkt_tc(reply);
	if (strcmp(word, "NOTC") == 0)
		return !ldns_pkt_tc(reply);
	if (strcmp(word, "AA") == 0)
		return ldns_pkt_aa(reply);
	if (strcmp(word, "NOAA") == 0)
		return !ldns_pkt_aa(reply);
	return is_rcode(reply, word, known);
}

static void report_reply(struct play *play, const char *expected)
{
	char *const rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(play->reply));

	fail(play, play->line,
	     "expected %s, got %s%s%s with %u answer, %u authority, %u additional", expected, rcode,
	     ldns_pkt_aa(play->reply) ? " AA" : "", ldns_pkt_tc(play->reply) ? " TC" : "",
	     ldns_pkt_ancount(play->reply), ldns_pkt_nscount(play->reply),
	     ldns_pkt_arcount(play->reply));
	free(rcode);
}

static void on_expect(struct play *play, char *rest)
{
	unsigned long status;
	bool known;

	for (const char *word; (word = next_word(&rest));) {
		if (parse_number(word, &status)) {
			expect_status(play, (int)status);
			continue;
		}
		if (!has_query(play))
			return;
		if (!meets(play, word, &known)) {
			if (known)
				report_reply(play, word);
			else
				fail(play, play->line, "EXPECT knows no %s", word);
		}
	}
}

static void on_message(struct play *play, char *rest)
{
	if (play->last != LAST_WRITE)
		fail(play, play->line, "no write comes before");
	else if (!rest || !strstr(play->message, rest))
		fail(play, play->line, "the message is: %s", play->message);
}

static void on_safe(struct play *play, char *rest)
{
	char *id = need_word(play, &rest, "service/id");
	char *const low = need_word(play, &rest, "the lower bound");
	char *const high = need_word(play, &rest, "the upper bound");

	if (!id || !low || !high)
		return;
	const char *const service = strsep(&id, "/");
	const double s = (double)world_safe_after_ms(&play->world, service, id) / 1000;
	if (s < strtod(low, NULL) || s > strtod(high, NULL))
		fail(play, play->line, "expected %s..%s seconds, got %.3f", low, high, s);
}

static bool names_record(const struct play *play, const ldns_rr *rr, const char *text)
{
	char *const found = world_record_text(&play->world, rr);
	const bool is_equal = strcmp(found, text) == 0;

	free(found);
	return is_equal;
}

static void expect_record(struct play *play, struct section *section, char *text, bool in_order)
{
	if (!has_query(play) || !text)
		return;
	section->is_listed = true;
	world_shorten(&play->world, text);
	const size_t n = ldns_rr_list_rr_count(section->records);
	const size_t begin = in_order ? section->n_named : 0;
	const size_t end = in_order && begin < n ? begin + 1 : n;
	for (size_t i = begin; i < end; i++) {
		if (section->named[i] ||
		    !names_record(play, ldns_rr_list_rr(section->records, i), text))
			continue;
		section->named[i] = true;
		section->n_named++;
		return;
	}
	fail(play, play->line, "not %s the reply: %s", in_order ? "next in" : "in", text);
}

static void on_answer(struct play *play, char *rest)
{
	expect_record(play, &play->answer, rest, play->in_order);
}

static void on_authority(struct play *play, char *rest)
{
	expect_record(play, &play->authority, rest, false);
}

static void on_additional(struct play *play, char *rest)
{
	expect_record(play, &play->additional, rest, false);
}

static void on_in_order(struct play *play, char *rest)
{
	(void)rest;
	if (has_query(play))
		play->in_order = true;
}

static void on_count(struct play *play, char *rest)
{
	char *const word = need_word(play, &rest, "the number");
	const char *const section = next_word(&rest);
	unsigned long count;

	if (!word || !has_query(play))
		return;
	const unsigned found =
		section ? ldns_pkt_arcount(play->reply) : ldns_pkt_ancount(play->reply);
	if (!parse_number(word, &count) || (section && strcmp(section, "ADDITIONAL") != 0))
		fail(play, play->line, "COUNT n [ADDITIONAL]");
	else if (found != count)
		fail(play, play->line, "expected %lu records, got %u", count, found);
}

static void on_ttl(struct play *play, char *rest)
{
	char *const word = need_word(play, &rest, "the number");
	unsigned long ttl_s;

	if (!word || !has_query(play))
		return;
	const ldns_rr_list *const records = ldns_pkt_ancount(play->reply) > 0
						    ? ldns_pkt_answer(play->reply)
						    : ldns_pkt_authority(play->reply);
	if (!parse_number(word, &ttl_s) || ldns_rr_list_rr_count(records) == 0) {
		fail(play, play->line, "TTL needs a number and a reply that has records");
		return;
	}
	for (size_t i = 0; i < ldns_rr_list_rr_count(records); i++)
		if (ldns_rr_ttl(ldns_rr_list_rr(records, i)) != ttl_s)
			fail(play, play->line, "expected TTL %lu, got %u", ttl_s,
			     ldns_rr_ttl(ldns_rr_list_rr(records, i)));
}

/* The data of an EDNS option, its length in *len; NULL: the reply has none. */
static const uint8_t *find_option(const ldns_pkt *reply, unsigned code, size_t *len)
{
	const ldns_rdf *const options = ldns_pkt_edns_data(reply);
	const uint8_t *at = options ? ldns_rdf_data(options) : NULL;

	for (size_t left = options ? ldns_rdf_size(options) : 0; left >= 4;) {
		*len = ldns_read_uint16(at + 2);
		assert(*len <= left - 4);
		if (ldns_read_uint16(at) == code)
			return at + 4;
		at += 4 + *len;
		left -= 4 + *len;
	}
	return NULL;
}

static void on_ede(struct play *play, char *rest)
{
	char *const word = need_word(play, &rest, "the number");
	const char *const text = rest ? trim(rest) : "";
	const uint8_t *error;
	unsigned long number;
	size_t len;

	if (!word || !has_query(play))
		return;
	error = find_option(play->reply, EDNS_ERROR, &len);
	if (strcmp(word, "none") == 0) {
		if (error)
			fail(play, play->line, "there is an extended error %u",
			     ldns_read_uint16(error));
		return;
	}
	if (!error)
		fail(play, play->line, "there is no extended error");
	else if (!parse_number(word, &number) || ldns_read_uint16(error) != number ||
		 len - 2 < strlen(text) || memcmp(error + 2, text, strlen(text)) != 0)
		fail(play, play->line, "the extended error is %u %.*s", ldns_read_uint16(error),
		     (int)(len - 2), (const char *)error + 2);
}

static void expect_rate(struct play *play, char *rest, bool first)
{
	char *const low = need_word(play, &rest, "the lower bound");
	char *const high = need_word(play, &rest, "the upper bound");
	char *const text = trim(rest);

	if (!low || !high || !text || !has_query(play))
		return;
	world_shorten(&play->world, text);
	const struct tally *const tally = find_tally(play, text);
	const double rate = (double)(first ? tally->first : tally->member) / play->times;
	if (rate < strtod(low, NULL) || rate > strtod(high, NULL))
		fail(play, play->line, "expected %s..%s of %u replies, got %.4f", low, high,
		     play->times, rate);
}

static void on_share(struct play *play, char *rest)
{
	expect_rate(play, rest, true);
}

static void on_member(struct play *play, char *rest)
{
	expect_rate(play, rest, false);
}

static const struct command {
	const char *word;
	void (*run)(struct play *play, char *rest);
} commands[] = {
	{ "ZONE", on_zone },
	{ "DROP", on_drop },
	{ "REGISTER", on_register },
	{ "HEARTBEAT", on_heartbeat },
	{ "DEREGISTER", on_deregister },
	{ "POLICY", on_policy },
	{ "ADMIN", on_admin },
	{ "PROBE", on_probe },
	{ "ADVANCE", on_advance },
	{ "RESTART", on_restart },
	{ "QUERY", on_query },
	{ "EXPECT", on_expect },
	{ "MESSAGE", on_message },
	{ "SAFE", on_safe },
	{ "ANSWER", on_answer },
	{ "AUTHORITY", on_authority },
	{ "ADDITIONAL", on_additional },
	{ "IN-ORDER", on_in_order },
	{ "COUNT", on_count },
	{ "TTL", on_ttl },
	{ "EDE", on_ede },
	{ "SHARE", on_share },
	{ "MEMBER", on_member },
};

static void play_line(struct play *play, char *text)
{
	char *rest = trim(text);

	if (*rest == '\0' || *rest == '#')
		return;
	const char *const word = strsep(&rest, " \t");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word, commands[i].word) != 0)
			continue;
		commands[i].run(play, trim(rest));
		return;
	}
	fail(play, play->line, "no command %s", word);
}

static bool play_file(const char *path)
{
	struct play play = { .path = path };
	FILE *const file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!file) {
		printf("%s: %s\n", path, strerror(errno));
		return false;
	}
	world_init(&play.world, 1);
	while (!play.failed && getline(&text, &size, file) >= 0) {
		play.line++;
		snprintf(location, sizeof(location),
			 "%s:%u: ended here: out of time, or the assertion above\n", path,
			 play.line);
		play_line(&play, text);
	}
	close_last(&play);
	world_fini(&play.world);
	free(text);
	fclose(file);
	if (!play.failed)
		printf("ok %s\n", path);
	return !play.failed;
}

int main(int argc, char **argv)
{
	bool all_passed = argc > 1;

	signal(SIGABRT, on_end);
	signal(SIGALRM, on_end);
	for (int i = 1; i < argc; i++) {
		alarm(LIMIT_S);
		all_passed &= play_file(argv[i]);
	}
	return all_passed ? 0 : 1;
}
