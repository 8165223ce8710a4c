/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api: what a dialect gets and gives: a request in, a reply out, no HTTP library in sight. The
 * dialects (api/native.h) are tables of routes; tests call them without a socket.
 *
 * Control thread only. A reply that reports a change may be sent only after the change is visible
 * in DNS: whoever calls api_handle() publishes before it sends (app/control.c).
 */
#ifndef ROSTERD_API_API_H
#define ROSTERD_API_API_H

#include "model/answer_counts.h"
#include "api/access.h"
#include "api/guard.h"
#include "model/registry.h"

enum api_method {
	API_GET,
	API_POST,
	API_PUT,
	API_DELETE,
	API_HEAD, /* answered as GET; the transport leaves the body out */
	API_OTHER,
};

struct api_write;
struct catalog;
struct compile;
struct json_t;

struct api_request {
	enum api_method method;
	const char *path;  /* as sent, percent-encoded; starts with '/', no query */
	const char *query; /* undecoded, without '?'; NULL: none */
	const char *body;
	size_t body_len;
	const char *authorization;      /* a header value; NULL: none */
	const struct access_entry *who; /* who that is, as api_handle() found; NULL: nobody known */
	const struct address *caller;   /* the peer's address */
	const struct address *local;    /* ours, that it has connected to */
	const char *host, *origin;      /* header values; NULL: none */
	/*
	 * Who the client is, proven by its certificate (tls_bufferevent_identity() says how); NULL:
	 * nobody has proven anything.
	 */
	const char *identity;
	const char *last_event_id; /* of a reader of events that comes again; NULL: none */
	const char *if_none_match; /* a header value: what the client has already; NULL: nothing */
};

struct api_header {
	const char *name, *value;
};

/* How a request waits for changes, which is the business of api/watch.h. */
enum api_wait {
	API_WAIT_NONE,
	API_WAIT_STREAM, /* for each */
	API_WAIT_POLL,   /* for the first */
};

struct api_watch {
	enum api_wait wait;
	char service[LIMIT_LABEL + 1]; /* empty: all of them */
	bool has_since;                /* else from now on */
	uint64_t since;                /* revision */
	uint32_t wait_ms;              /* API_WAIT_POLL: for so long */
};

/* A zone that is served, whose records are to be sent as a master file. */
struct api_zone {
	uint8_t origin[LIMIT_NAME]; /* wire form, lower case */
	size_t len;                 /* 0: none */
};

struct api_reply {
	int status;               /* HTTP status code; 304: the transport leaves the body out */
	const char *content_type; /* static */
	const char *body;         /* NULL: empty */
	size_t body_len;
	char *owned;    /* what `body` is in, from malloc; NULL: it is static */
	char allow[64]; /* for 405: the methods of that path; else empty */
	/* Beside those that every reply has: static, ending with one without a name; NULL: none. */
	const struct api_header *headers;
	const char *etag; /* static, in its quotes; NULL: none */
	/* Where it waits for changes there is no reply yet, but for its status, 200. */
	struct api_watch watch;
	struct api_zone zone; /* likewise: whose records it is to be made of */
	/*
	 * Nor where it changes what is kept on disk: the caller sees to that, then calls
	 * native_write_finish() and native_write_free() (api/native_write.h). Else NULL.
	 */
	struct api_write *write;
};

/* How many segments in braces a route may have. */
enum {
	API_SEGMENTS = 4,
};

/* What the threads have counted, all together. */
struct api_metrics {
	struct counters counters;
	struct answer_counts answers;
	struct histogram rounds; /* of the control loop: how long each took */
	struct {
		uint64_t commit_us, octets, copy_errors;
	} store;
	struct {
		size_t n_good, n_bad;
		bool is_dir_good;
	} files; /* of services */
};

enum {
	API_REASON = 512,
	API_FIXED = 32, /* more than there are */
};

/* What became of reading the configuration again. */
struct api_reload {
	char reason[API_REASON];      /* why it was not taken */
	const char *fixed[API_FIXED]; /* keys that differ, and take a restart; static */
	size_t n_fixed;
};

/* The newest server that this one has started to be replaced by. */
struct api_successor {
	long pid;       /* 0: there was none */
	bool has_ended; /* and this one goes on */
	char reason[API_REASON];
};

/* What is to be known of the server as a whole. */
struct api_server {
	double uptime_s;
	struct api_successor successor;
};

/* What requests act on. Borrowed. */
struct api {
	struct registry *registry;
	const struct compile *compile;
	const struct events *events; /* what became of `registry` */
	const struct catalog *catalog;
	struct counters *counters; /* the control thread's */
	/* Whether the server is ready to answer right now. */
	bool (*is_ready)(void *cookie);
	/* Why changes are refused right now; NULL: they are not. */
	const char *(*trouble)(void *cookie);
	/*
	 * Whether a write that this change has to stay behind is still on its way to the disk. Not
	 * for heartbeats. NULL: none ever is.
	 */
	bool (*is_behind)(void *cookie, const struct change *change);
	/* Makes queries see every change, now. false: there was no memory; it is tried again. */
	bool (*publish)(void *cookie);
	/*
	 * Answers a DNS query of `len` octets as over TCP, in place: the room is that of a TCP
	 * message. Counts nothing, and is no hand-out (model/handout.h).
	 */
	size_t (*ask)(void *cookie, uint8_t *message, size_t len);
	/* Adds up what every thread has counted; `metrics` is all zero. */
	void (*read_metrics)(void *cookie, struct api_metrics *metrics);
	/* How many requests wait for changes. */
	size_t (*count_watchers)(void *cookie);
	/*
	 * Reads configuration and zone files again. 200, or the status of an error with its reason:
	 * nothing has changed. The entry that `who` of a request points to is gone afterwards.
	 */
	int (*reload)(void *cookie, struct api_reload *result);
	/* Starts a server in this one's place: its process id; -1 with the reason why it cannot. */
	long (*replace)(void *cookie, char *reason, size_t size);
	void (*describe)(void *cookie, struct api_server *server);
	void *cookie;
	/*
	 * Registrations may not have the server connect to a loopback address: what listens there
	 * may trust this host, and whoever registers may be another.
	 */
	bool refuses_loopback_checks;
	/* Who may ask at all; NULL: nobody is asked. */
	const struct guard *guard;
	const struct access *access; /* who may do what; NULL: anybody anything */
	/* `registry` is not whole yet: only routes of the server itself are served. */
	bool is_loading;
};

/* A parameter of a query: what became of looking for it. */
enum api_query {
	API_QUERY_FOUND,
	API_QUERY_ABSENT,
	API_QUERY_BROKEN, /* its percent-encoding is, or it is too long */
};

/*
 * Decodes the first parameter `key` of a request's query into `text`. Names of parameters are plain
 * text; `query` may be NULL.
 */
enum api_query api_query_get(const char *query, const char *key, char *text, size_t size);

/* The same of a label: in lower case, or empty where there is none. false: it is no label. */
bool api_query_label(const char *query, const char *key, char label[LIMIT_LABEL + 1]);

/* What a route is about, and so who may take it. */
enum api_scope {
	API_OPEN,  /* the server itself: anybody may */
	API_KNOWN, /* the server itself: who is known may, whatever its rights */
	API_WHOLE, /* the server itself: who has the right for all services */
	/* Services: not before the registry is loaded. */
	API_SERVICE, /* the one that is the path's first segment: who has the right for it */
	/*
	 * Others, said in the body or the query, or any: who has the right for some service; the
	 * handler then looks at each by api_may() or access_allows().
	 */
	API_SOME,
};

/*
 * One route. A segment of `path` in braces matches any one segment: /registry/services/{service}.
 * A route for GET also takes HEAD.
 */
struct api_route {
	enum api_method method;
	const char *path;
	/*
	 * `segments`: the segments that matched braces, percent-decoded, in order; not empty, at
	 * most API_SEGMENTS. Fills `reply`, which is empty.
	 */
	void (*handle)(struct api *api, const struct api_request *request, char *const *segments,
		       uint64_t now_ms, struct api_reply *reply);
	enum access_right right;
	enum api_scope scope;
	/* What it does, for the manual and the OpenAPI description: "remove an instance". */
	const char *summary;
};

/*
 * Whether the request has a right for a service (NULL: for all of them); else replies 403. For
 * handlers of API_SOME.
 */
bool api_may(struct api *api, const struct api_request *request, enum access_right right,
	     const char *service, struct api_reply *reply);

/* What such a reply says. */
enum {
	API_DENIED_TEXT = 160
};
void api_print_denied(char text[API_DENIED_TEXT], enum access_right right, const char *service);

/* Logs that a request, or a part of it, was denied. */
void api_log_denied(const struct api_request *request, const char *reason);

/*
 * Answers one request by the routes of a dialect: 401 and 403 for who may not, 404 for a path that
 * none has, 405 for a method that its path lacks, 413 for a body of over LIMIT_HTTP_SINGLE that is
 * no array. Always fills `reply`: what went wrong is a reply too. The caller frees it with
 * api_reply_fini().
 */
void api_handle(struct api *api, const struct api_route *routes, size_t n_routes,
		const struct api_request *request, uint64_t now_ms, struct api_reply *reply);

/* Makes a reply of a new JSON value, which is freed; NULL (out of memory) becomes a 503. */
void api_reply_json(struct api_reply *reply, int status, struct json_t *json);

/* The same of an object that was put together, if it is whole; else there was no memory for it. */
void api_reply_if(struct api_reply *reply, int status, struct json_t *json, bool is_whole);

/* The newest revision of the registry; NULL when out of memory. */
struct json_t *api_revision_json(const struct api *api);

/* A string of text that may have been cut within a character; NULL when out of memory. */
struct json_t *api_text_json(const char *text);

/* {"code","message","field"} as a new JSON value, NULL when out of memory; `field` may be NULL. */
struct json_t *api_error_json(int status, const char *field, const char *message);

/*
 * Makes the error reply {"error":{"code","message","field"}}; `field` may be NULL. Also for what
 * the transport itself refuses (413).
 */
void api_reply_error(struct api_reply *reply, int status, const char *field, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

void api_reply_fini(struct api_reply *reply);

#endif
