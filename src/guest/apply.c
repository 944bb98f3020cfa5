/* SPDX-License-Identifier: MIT */
#include "guest/apply.h"

#include <unistd.h>
#include "base/cleanup.h"
#include "guest/apps.h"
#include "guest/policy.h"
#include "spec/zone-spec-io.h"

static int read_spec(const struct guest *g, const json_t *req, struct zone_spec *ret,
		     struct error *reterr)
{
	struct error_list errs = {0};
	json_t *apps = json_object_get(req, "apps"), *sched = json_object_get(req, "sched");
	long cpus = sysconf(_SC_NPROCESSORS_CONF); /* what the apps' cpusets are checked against */
	json_t *spec =
	    json_pack("{s:s, s:s, s:{s:s}, s:s, s:{s:I}, s:O*, s:O*}", "apiVersion", "cz/v1",
		      "kind", "Zone", "metadata", "name", g->boot.name, "runtime", "vm", "resource",
		      "vcpus", (json_int_t)(cpus > 0 ? cpus : 1), "apps", apps, "scheduler", sched);
	int r = spec ? zone_spec_from_json("apply", spec, ret, &errs) : -ENOMEM;

	json_decref(spec);
	if (r < 0)
		error_set(reterr, r, "%s", errs.nr ? errs.items[0].text : "out of memory");

	return r;
}

int apply_request(struct guest *g, const json_t *req, struct error *reterr)
{
	_cleanup_(zone_spec_done) struct zone_spec spec = {0};
	int r = read_spec(g, req, &spec, reterr);

	if (r < 0)
		return r;
	if (json_is_true(json_object_get(req, "again")))
		policy_apply_again(g, &spec.sched, json_object_get(req, "set"));
	else if (json_object_get(req, "sched"))
		policy_apply(g, &spec.sched);
	apps_apply(g, &spec);
	return 0;
}
