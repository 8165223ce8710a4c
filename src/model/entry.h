/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entry: compiled answers, ready to copy: what model/build.h lays out, model/catalog.h finds and
 * model/answer.h puts into replies. Const once published, but for `stable_until_ms`, `handout` and
 * what the writer keeps for itself.
 *
 * Most names stand for one instance and are seldom asked for. They have no sets but the data that
 * sets are made of (struct single, model/single.h), which takes a fifth of the memory.
 */
#ifndef ROSTERD_MODEL_ENTRY_H
#define ROSTERD_MODEL_ENTRY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Where each resource record of a set starts: owner as a compression pointer to the question's
 * name, so it is right for every query of that name (RFC 1035 4.1.4).
 */
enum {
	RR_OWNER_QUESTION = 0xc00c,
	RR_TTL_AT = 6, /* octets from the record's start to its TTL */
	RR_RDLENGTH_AT = 10,
	RR_RDATA_AT = 12,
	RR_SRV_TARGET_AT = 18,
	RR_A_LEN = 16, /* a whole record */
	RR_AAAA_LEN = 28,
};

/* A column of the table that draws a record by weight in constant time (Walker 1977, Vose 1991). */
struct alias {
	uint32_t keep;   /* the column's own record is taken if a draw of 32 bits is below this */
	uint32_t other;  /* else this one */
	uint32_t weight; /* of the column's own record */
};

/*
 * One RRset, ready to copy: `count` records in wire form, `len` octets, one after the other.
 *  1. Records have the TTL `ttl_s` in them.
 *  2. stride > 0: every record has that size.
 *  3. The first `n_rotate` records may be rotated, beginning with a drawn one; the rest stay last.
 *  4. limit > 0 implies stride > 0 and n_rotate == count.
 */
struct rrset {
	uint16_t type;   /* host order */
	uint16_t stride; /* octets of each record; 0: they differ */
	uint32_t ttl_s;
	uint32_t count;
	uint32_t len;
	uint32_t n_rotate;
	uint32_t limit; /* draw so many; 0: all */
	uint32_t
		alias_off; /* octets from the set to its struct alias[n_rotate]; 0: equal weights */
	/*
	 * SRV: octets from the set to what belongs to its targets: for each record, in order, an
	 * octet with the number of additional records, and these, with a placeholder for the
	 * pointer to the target. 0: a static set, which has none. NS of a delegation: octets from
	 * the set to its glue, with whole owner names.
	 */
	uint32_t add_off;
	uint32_t add_count, add_len; /* additional records, and their octets */
	uint8_t records[];
};

/* Flags of an entry. */
enum {
	/* set by whoever makes the entry */
	ENTRY_STATIC = 1,     /* from a zone file */
	ENTRY_DELEGATION = 2, /* a zone cut: its NS set is a referral */
	ENTRY_CNAME = 4,      /* its only set is a CNAME */
	ENTRY_UNSERVED = 8,   /* registered, but no instance is served */
	ENTRY_OPEN = 64,      /* too few instances are healthy: all are in it */
	ENTRY_STALE = 128,    /* no instance is healthy: the last healthy ones are in it */
	/* set by the catalog */
	ENTRY_EMPTY = 16,          /* an empty non-terminal, kept by the names below it */
	ENTRY_WILDCARD_CHILD = 32, /* "*" exists directly below */
	/* set by whoever makes the entry: what model/single.h makes is not laid out */
	ENTRY_SINGLE = 256,   /* one instance: a struct single in place of sets */
	ENTRY_TEXTLESS = 512, /* several without metadata: no TXT set, but one empty string */
};

struct entry_set {
	uint16_t type;
	uint32_t off; /* octets from the entry to the struct rrset; multiple of 8 */
};

/* What the records of one instance have in them; A or AAAA or both, SRV, TXT. */
struct single {
	uint32_t ttl_s;
	uint8_t srv[6];   /* priority, weight, port as in the SRV record; its target is this name */
	uint16_t txt_len; /* octets of the TXT record's data; 0: one empty string */
	uint8_t has_v4, has_v6;
	uint8_t data[]; /* the IPv4 address, the IPv6 address, the TXT record's data */
};

/*
 * All answers of one name. One allocation: this header, the name, and what stands at `sets_off`:
 *
 *   n_sets > 0     the table of sets, the sets
 *   only_type      an alias: a pointer to the entry that has the sets
 *   ENTRY_SINGLE   a struct single
 *   none of these  nothing: an empty non-terminal, or a name that has no record now
 *
 * The sets of an alias (`_payment._tcp` beside `payment`) stand in another entry. The rule
 * that keeps readers safe: within a batch, which is everything between two calls of
 * catalog_publish(), whoever replaces an entry replaces or withdraws its aliases too. What a batch
 * replaces is retired together, at its end, so no reader can hold an alias whose source is gone.
 */
struct entry {
	_Atomic uint64_t stable_until_ms; /* answers' TTL ends there at the latest */
	_Atomic uint32_t handout;         /* when it was last answered, model/handout.h */
	uint32_t n_children;              /* writer only: names directly below */
	_Atomic uint16_t flags;
	uint16_t sets_off; /* octets from the entry to what stands behind its name; divides by 4 */
	uint8_t only_type; /* the one type an alias shows; 0: no alias */
	uint8_t n_sets;
	uint8_t name_len; /* octets of the name, without the apex and without a root label */
	uint8_t name[];
};

/* The flags; the catalog may be setting its own at the same time. */
static inline unsigned entry_flags(const struct entry *entry)
{
	return atomic_load_explicit(&entry->flags, memory_order_relaxed);
}

static inline const struct entry_set *entry_sets(const struct entry *entry)
{
	return (const struct entry_set *)(const void *)((const uint8_t *)entry + entry->sets_off);
}

static inline const struct rrset *entry_rrset(const struct entry *entry, unsigned i)
{
	return (const struct rrset *)(const void *)((const uint8_t *)entry +
						    entry_sets(entry)[i].off);
}

/* Whose sets an entry shows: its own, unless it is an alias. */
static inline const struct entry *entry_from(const struct entry *entry)
{
	const struct entry *from;

	if (!entry->only_type)
		return entry;
	memcpy(&from, (const uint8_t *)entry + entry->sets_off, sizeof(from));
	return from;
}

/* The data of an ENTRY_SINGLE. */
static inline const struct single *entry_single(const struct entry *entry)
{
	return (const struct single *)(const void *)((const uint8_t *)entry + entry->sets_off);
}

/* The set of this type in an entry that is no alias, or NULL. */
static inline const struct rrset *entry_find_own(const struct entry *entry, uint16_t type)
{
	for (unsigned i = 0; i < entry->n_sets; i++)
		if (entry_sets(entry)[i].type == type)
			return entry_rrset(entry, i);
	return NULL;
}

/* The set of this type, or NULL. */
static inline const struct rrset *entry_find(const struct entry *entry, uint16_t type)
{
	if (entry->only_type && entry->only_type != type)
		return NULL;
	return entry_find_own(entry_from(entry), type);
}

#endif
