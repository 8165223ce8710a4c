/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/health.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *const status_names[] = {
	[STATUS_PASSING] = "passing",
	[STATUS_WARNING] = "warning",
	[STATUS_CRITICAL] = "critical",
};

void health_init(struct health *health, enum status initial)
{
	*health = (struct health){ .status = initial };
}

/* How many contradicting results in a row it takes. */
static uint16_t results_needed(const struct health *health, uint16_t rise, uint16_t fall)
{
	if (!health->has_run)
		return 1;
	return health->status == STATUS_CRITICAL ? rise : fall;
}

/*
 * state                     good result            bad result
 * ------------------------  ---------------------  ---------------------
 * no result yet (initial)   passing, run = 0       critical, run = 0
 * passing, run < fall - 1   passing, run = 0       passing, run + 1
 * passing, run = fall - 1   passing, run = 0       critical, run = 0
 * critical, run < rise - 1  critical, run + 1      critical, run = 0
 * critical, run = rise - 1  passing, run = 0       critical, run = 0
 *
 * A check is in `warning` only before its first result, as its initial status.
 */
bool health_step(struct health *health, uint16_t rise, uint16_t fall, bool passed)
{
	enum status result = passed ? STATUS_PASSING : STATUS_CRITICAL;
	uint16_t needed = results_needed(health, rise, fall);

	assert(rise > 0 && fall > 0);
	health->has_run = true;
	if (result == health->status) {
		health->run = 0;
		return false;
	}
	if (++health->run < needed)
		return false;
	health->status = result;
	health->run = 0;
	return true;
}

uint16_t health_results_to_change(const struct health *health, uint16_t rise, uint16_t fall)
{
	uint16_t needed = results_needed(health, rise, fall);

	return needed > health->run ? (uint16_t)(needed - health->run) : 1;
}

enum status health_worst(enum status a, enum status b)
{
	return a > b ? a : b;
}

const char *health_status_name(enum status status)
{
	return status_names[status];
}

bool health_status_parse(const char *text, enum status *status)
{
	static const struct {
		const char *name;
		enum status status;
	} names[] = {
		{ "passing", STATUS_PASSING },    { "warning", STATUS_WARNING },
		{ "critical", STATUS_CRITICAL },  { "healthy", STATUS_PASSING },
		{ "unhealthy", STATUS_CRITICAL },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i].name) == 0) {
			*status = names[i].status;
			return true;
		}
	}
	return false;
}
