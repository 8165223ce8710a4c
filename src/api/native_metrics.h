/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_metrics: GET /metrics, in the Prometheus text format.
 *
 * No label has anything that a client said: types and codes are from fixed tables, zones are the
 * configured ones. Counters stand in base/counters.h, everything else in a table in the .c file;
 * rosterd(8) lists both.
 */
#ifndef ROSTERD_API_NATIVE_METRICS_H
#define ROSTERD_API_NATIVE_METRICS_H

#include "api/api.h"

/* A metric, for the manual. */
struct native_metric {
	const char *name, *type, *help;
};

/* The metric at this place of the table; false: there are no more. */
bool native_metrics_get(size_t i, struct native_metric *metric);

/* The call; for the table of routes. */
void native_metrics_handle(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply);

#endif
