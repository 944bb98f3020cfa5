/* SPDX-License-Identifier: MIT */
/* The verbs of the socket, one table (api.c); handlers by what they do. */
#pragma once
#include <jansson.h>
#include "daemon/daemon.h"

struct api_call {
	struct daemon *d;
	const struct peer *peer;
	const json_t *args;
};
/* As server_handler: data, or NULL with reterr filled. */
typedef json_t *(*api_fn)(const struct api_call *c, struct error *reterr);

/* Arguments: absent gives the default; of the wrong type is -EINVAL with a sentence. */
must_check int arg_bool(const struct api_call *c, const char *name, bool *ret,
			struct error *reterr);
must_check int arg_u64(const struct api_call *c, const char *name, uint64_t *ret,
		       struct error *reterr);
must_check int arg_text(const struct api_call *c, const char *name, const char **ret,
			struct error *reterr);
/* The zone named by `zone`: its view in the current snapshot. NULL: reterr says why. */
const struct zone_view *arg_zone(const struct api_call *c, struct error *reterr);
/* The zone that was created as `name`. NULL: reterr says why. */
struct applied *arg_applied(const struct api_call *c, struct error *reterr);

json_t *api_self(const struct daemon *d); /* what czd costs, and how it fares */

json_t *api_version(const struct api_call *c, struct error *reterr);
json_t *api_snapshot(const struct api_call *c, struct error *reterr);
json_t *api_list(const struct api_call *c, struct error *reterr);
json_t *api_top(const struct api_call *c, struct error *reterr);
json_t *api_inspect(const struct api_call *c, struct error *reterr);
json_t *api_why(const struct api_call *c, struct error *reterr);
json_t *api_findings(const struct api_call *c, struct error *reterr);
json_t *api_actions(const struct api_call *c, struct error *reterr);
json_t *api_events(const struct api_call *c, struct error *reterr);
json_t *api_record(const struct api_call *c, struct error *reterr);
json_t *api_probes(const struct api_call *c, struct error *reterr);
json_t *api_doctor(const struct api_call *c, struct error *reterr);
json_t *api_verify(const struct api_call *c, struct error *reterr);
json_t *api_protect(const struct api_call *c, struct error *reterr);
json_t *api_unprotect(const struct api_call *c, struct error *reterr);
json_t *api_run(const struct api_call *c, struct error *reterr);
json_t *api_try(const struct api_call *c, struct error *reterr);
json_t *api_mode(const struct api_call *c, struct error *reterr);
json_t *api_approve(const struct api_call *c, struct error *reterr);
json_t *api_zone_list(const struct api_call *c, struct error *reterr);
json_t *api_zone_show(const struct api_call *c, struct error *reterr);
json_t *api_zone_diff(const struct api_call *c, struct error *reterr);
json_t *api_zone_log(const struct api_call *c, struct error *reterr);
json_t *api_zone_create(const struct api_call *c, struct error *reterr);
json_t *api_zone_start(const struct api_call *c, struct error *reterr);
json_t *api_zone_stop(const struct api_call *c, struct error *reterr);
json_t *api_zone_join(const struct api_call *c, struct error *reterr);
json_t *api_zone_remove(const struct api_call *c, struct error *reterr);
json_t *api_zone_update(const struct api_call *c, struct error *reterr);
json_t *api_zone_apply(const struct api_call *c, struct error *reterr);
json_t *api_zone_app(const struct api_call *c, struct error *reterr);
json_t *api_zone_sched(const struct api_call *c, struct error *reterr);
json_t *api_undo(const struct api_call *c, struct error *reterr);
