/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rr: the numbers of the protocol (IANA "Domain Name System (DNS) Parameters").
 */
#ifndef ROSTERD_DNS_RR_H
#define ROSTERD_DNS_RR_H

enum rr_type {
	RR_A = 1,
	RR_NS = 2,
	RR_CNAME = 5,
	RR_SOA = 6,
	RR_PTR = 12,
	RR_MX = 15,
	RR_TXT = 16,
	RR_AAAA = 28,
	RR_SRV = 33,
	RR_NAPTR = 35,
	RR_DNAME = 39,
	RR_OPT = 41,
	RR_DS = 43,
	RR_DNSKEY = 48,
	RR_SVCB = 64,
	RR_HTTPS = 65,
	RR_IXFR = 251,
	RR_AXFR = 252,
	RR_ANY = 255,
	RR_URI = 256,
	RR_CAA = 257,
};

/* EDNS options. */
enum edns_option {
	EDNS_NSID = 3,       /* RFC 5001 */
	EDNS_COOKIE = 10,    /* RFC 7873 */
	EDNS_KEEPALIVE = 11, /* RFC 7828 */
	EDNS_PADDING = 12,   /* RFC 7830 */
	EDNS_ERROR = 15,     /* RFC 8914 */
};

/* Extended DNS Errors (RFC 8914 4). */
enum ede {
	EDE_OTHER = 0,
	EDE_STALE_ANSWER = 3,
	EDE_NOT_READY = 14,
	EDE_PROHIBITED = 18,
	EDE_NOT_AUTHORITATIVE = 20,
	EDE_NONE = 0xffff, /* of our own: no such option */
};

enum rr_class {
	CLASS_IN = 1,
	CLASS_CH = 3,
};

enum opcode {
	OPCODE_QUERY = 0,
	OPCODE_NOTIFY = 4,
	OPCODE_UPDATE = 5,
};

enum rcode {
	RCODE_NOERROR = 0,
	RCODE_FORMERR = 1,
	RCODE_SERVFAIL = 2,
	RCODE_NXDOMAIN = 3,
	RCODE_NOTIMP = 4,
	RCODE_REFUSED = 5,
	RCODE_BADVERS = 16, /* RFC 6891: upper bits in the OPT record */
};

#endif
