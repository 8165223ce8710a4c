/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * samples: registrations that between them have everything that one can have, as JSON.
 */
#ifndef ROSTERD_TESTS_SAMPLES_H
#define ROSTERD_TESTS_SAMPLES_H

static const char *const samples[] = {
	/* what a usual one has */
	"{\"name\":\"payment\",\"ip\":\"10.0.0.1\",\"port\":8080}",
	"{\"name\":\"payment\",\"id\":\"pay-1\",\"ip\":\"10.1.2.3\",\"port\":8080,\"tags\":[\"eu\","
	"\"v2\"],\"version\":\"2.1.0\",\"region\":\"eu-west\",\"ttl\":10,\"lease\":\"30s\","
	"\"health\":\"/healthz\"}",
	/* addresses, numbers */
	"{\"name\":\"a\",\"ip\":\"2001:db8::1\",\"port\":1,\"protocol\":\"udp\",\"priority\":0,"
	"\"weight\":0}",
	"{\"name\":\"UPPER-case\",\"ipv4\":\"127.0.0.1\",\"ipv6\":\"::1\",\"port\":65535,"
	"\"priority\":65535,\"weight\":65535,\"ttl\":86400,\"lease\":86400}",
	"{\"name\":\"lease\",\"ip\":\"10.0.0.1\",\"port\":9,\"lease\":\"1s1ms\",\"ttl\":1}",
	/* ids */
	"{\"name\":\"ids\",\"id\":\"Payment/7 {x}\\\"\\\\'\",\"ip\":\"10.0.0.1\",\"port\":80}",
	"{\"name\":\"ids\",\"id\":\"\\u00e4\\u20ac\\ud83d\\ude00\\u00a0\\uffff\",\"ip\":\"10.0.0.1\","
	"\"port\":80}",
	"{\"name\":\"ids\",\"id\":\" \",\"ip\":\"10.0.0.1\",\"port\":80}",
	/* ports, tags, metadata */
	"{\"name\":\"lists\",\"ip\":\"10.0.0.1\",\"port\":80,\"ports\":{\"web\":80,\"ADMIN\":9000,"
	"\"a\":1,\"0\":65535},\"tags\":[\"z\",\"a\",\"no label!\",\"\\u00e9\"],\"meta\":{\"z\":\"1\","
	"\"a b\":\"\",\"k\":\"line\\nfeed\\t\\u0001\\u007f = \\\"quoted\\\" \\\\ \\u00fc\\u2028\"},"
	"\"version\":\"1\",\"environment\":\"e\",\"region\":\"r\",\"zone\":\"z\","
	"\"description\":\"d\",\"managed_by\":\"m\",\"deployment_time\":\"t\",\"sidecar\":true}",
	"{\"name\":\"lists\",\"id\":\"short\",\"ip\":\"10.0.0.1\",\"port\":80,\"sidecar\":\"envoy\","
	"\"tags\":[],\"ports\":{},\"meta\":{\"version\":\"in meta\"},\"checks\":[]}",
	/* checks */
	"{\"name\":\"checks\",\"ip\":\"10.0.0.1\",\"port\":80,\"health\":\"/\",\"checks\":["
	"{\"kind\":\"http\"},"
	"{\"kind\":\"http\",\"port\":81,\"method\":\"HEAD\",\"path\":\"/a?b=%20\\\"\","
	"\"status\":\"200-299, 404,500-500\",\"headers\":{\"Host\":\"x\",\"Authorization\":"
	"\"Bearer a: b\",\"X-Empty\":\"\"},\"interval\":\"100ms\",\"timeout\":\"10ms\",\"rise\":1,"
	"\"fall\":100,\"initial\":\"passing\"},"
	"{\"kind\":\"https\",\"server_name\":\"a.example.org\",\"status\":599},"
	"{\"kind\":\"https\",\"tls_skip_verify\":true,\"status\":[100,\"200-201\"]},"
	"{\"kind\":\"tcp\",\"interval\":3600,\"timeout\":3600,\"initial\":\"warning\"},"
	"{\"kind\":\"ttl\",\"ttl\":1},"
	"{\"kind\":\"ttl\",\"ttl\":\"1h1ms\",\"initial\":\"passing\"}]}",
};

enum {
	N_SAMPLES = sizeof(samples) / sizeof(samples[0]),
};

#endif
