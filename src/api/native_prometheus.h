/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_prometheus: GET /registry/prometheus and /registry/prometheus/{service}, inside of the
 * native dialect (api/native.h): targets for the http_sd_configs of Prometheus.
 *
 * One group for each instance, served or not: who is down is to be seen as down. Prometheus cannot
 * ask for the rest of a list, and takes an error for "as before": so more than
 * LIMIT_LIST_INSTANCES are refused as a whole, and a service that is not there has an empty list,
 * not a 404, with which its targets would stay for ever.
 */
#ifndef ROSTERD_API_NATIVE_PROMETHEUS_H
#define ROSTERD_API_NATIVE_PROMETHEUS_H

#include "api/api.h"

/* The handlers of two routes, see api/api.h: of all services that may be read, and of one. */
void native_prometheus_handle_all(struct api *api, const struct api_request *request,
				  char *const *segments, uint64_t now_ms, struct api_reply *reply);
void native_prometheus_handle_service(struct api *api, const struct api_request *request,
				      char *const *segments, uint64_t now_ms,
				      struct api_reply *reply);

#endif
