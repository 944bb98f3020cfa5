/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "decide/controller.h"

const char *const res_names[RES_NR] = {"cores", "ways", "frequency", "memory", "disk", "bandwidth"};
const struct controller *const controllers[] = {
    &controller_parties,
    &controller_parties_code,
    &controller_heracles,
    &controller_clite,
    &controller_clite_jobs,
    &controller_libra,
    NULL,
};

const struct controller *controller_find(const char *name)
{
	for (size_t i = 0; controllers[i]; i++)
		if (!strcmp(controllers[i]->name, name))
			return controllers[i];
	return NULL;
}

bool res_is_shared(enum res r)
{
	return r != RES_FREQ && r != RES_BW;
}

double ctl_slack(const struct ctl_app *app)
{
	const double nothing_to_do = 0.1;

	if (!app->target_ns || !app->latency_ns)
		return nothing_to_do;
	return ((double)app->target_ns - (double)app->latency_ns) / (double)app->target_ns;
}

int ctl_idle(const struct ctl_view *v, const struct ctl_plan *p, enum res r)
{
	int idle = v->host.total[r];

	for (size_t i = 0; i < v->nr; i++)
		if (p->alloc[i].owner == i)
			idle -= p->alloc[i].units[r];
	return idle;
}

/* The k-th of n equal parts; the first ones are larger where it does not come out even. */
static uint16_t part(size_t total, size_t n, size_t k)
{
	return (uint16_t)(total / n + (k < total % n));
}

void ctl_equal_share(const struct ctl_view *v, struct ctl_plan *p)
{
	size_t users = 0, user = 0;

	for (size_t i = 0; i < v->nr; i++)
		users += v->apps[i].uses_disk;
	for (size_t i = 0; i < v->nr; i++) {
		struct ctl_alloc *a = &p->alloc[i];

		a->owner = (uint8_t)i;
		a->cap_ppm = 0;
		for (enum res r = 0; r < RES_NR; r++)
			a->units[r] =
			    res_is_shared(r) ? part(v->host.total[r], v->nr, i) : v->host.total[r];
		a->units[RES_DISK] =
		    v->apps[i].uses_disk ? part(v->host.total[RES_DISK], users, user++) : 0;
		if (v->host.total[RES_FREQ])
			a->units[RES_FREQ] = v->host.start_freq;
	}
}
