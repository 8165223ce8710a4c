/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec_consul: a service definition of Consul as a registration. Pure.
 *
 * Each field becomes one of ours, and the same rules hold for it as over HTTP; errors name Consul's
 * field as it is spelled there: "check.http". Names are understood in both of Consul's spellings,
 * tls_skip_verify and TLSSkipVerify. What we cannot do is refused by its name; what means nothing
 * here is ignored; null is as if the field were not there. The tables stand in the .c file and in
 * rosterd.conf(5).
 *
 * Where Consul and we have different defaults, Consul's hold: weight 1, a check's timeout 10 s but
 * no longer than its interval, and every result of a check counts at once. But for these:
 *
 *   address    must be there: Consul takes its agent's, and here is no agent beside the instance
 *   id         without one, ours is the address and the port; Consul's is the name, which has to be
 *              unique on one node alone
 *   http, tcp  must be of the instance's own address, not of localhost: checks run from here
 *   weights    "warning" is ignored: an instance that warns is served like one that passes
 */
#ifndef ROSTERD_MODEL_CODEC_CONSUL_H
#define ROSTERD_MODEL_CODEC_CONSUL_H

#include "model/codec_error.h"
#include "model/record.h"

struct json_t;

/* NULL with the reason. The caller owns it. */
struct registration *codec_consul(struct json_t *json, struct codec_error *error);

#endif
