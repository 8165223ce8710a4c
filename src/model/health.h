/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * health: the state machine of one check, and the status of an instance from its checks.
 *
 * Pure: results go in, a status comes out. A check leaves its status only after `rise` good or
 * `fall` bad results in a row; the first result after registration counts at once. The state table
 * stands above health_step() in health.c.
 */
#ifndef ROSTERD_MODEL_HEALTH_H
#define ROSTERD_MODEL_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of badness: the worst of several is the greatest. Passing and warning are served. */
enum status {
	STATUS_PASSING,
	STATUS_WARNING,
	STATUS_CRITICAL,
	STATUSES,
};

struct health {
	enum status status;
	uint16_t run; /* results in a row that contradict `status` */
	bool has_run; /* whether there was a result yet */
};

/* Before the first result. */
void health_init(struct health *health, enum status initial);

/* Takes one result; true when `status` changed. `rise` and `fall` are at least 1. */
bool health_step(struct health *health, uint16_t rise, uint16_t fall, bool passed);

/* How many results in a row can change `status` at the soonest: 1 before the first result. */
uint16_t health_results_to_change(const struct health *health, uint16_t rise, uint16_t fall);

enum status health_worst(enum status a, enum status b);

/* "passing", "warning", "critical". */
const char *health_status_name(enum status status);

/* Understands the names above, "healthy" and "unhealthy". false: none of them. */
bool health_status_parse(const char *text, enum status *status);

#endif
