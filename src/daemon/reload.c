/* SPDX-License-Identifier: MIT */
/* The configuration, at the start and again. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "spec/spec.h"

#define FDS_RESERVED  2000
#define FD_BUDGET_MAX 16000

/* As many as the kernel lets us have. Before anything is read: what is not configured follows it.
 */
static uint64_t raise_fd_limit(void)
{
	struct rlimit nofile = {0};
	uint64_t spare;

	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return FD_BUDGET_MAX;
	nofile.rlim_cur = nofile.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
		getrlimit(RLIMIT_NOFILE, &nofile);
	spare = nofile.rlim_cur > 2 * FDS_RESERVED ? nofile.rlim_cur - FDS_RESERVED
						   : nofile.rlim_cur / 2;
	return spare < FD_BUDGET_MAX ? spare : FD_BUDGET_MAX;
}

int load_config(const struct options *opt, struct config *ret)
{
	struct error_list *errs = calloc(1, sizeof(*errs));
	uint64_t spare = raise_fd_limit();
	int r;

	if (!errs)
		return -ENOMEM;
	r = spec_load_file(AT_FDCWD, opt->config_path, ret, errs);
	if (r == -ENOENT && !opt->config_required) {
		config_defaults(ret);
		r = 0;
	}
	for (size_t i = 0; r < 0 && i < errs->nr; i++)
		log_error("%s", errs->items[i].text);
	free(errs);
	if (r == 0 && (!ret->fd_budget || ret->fd_budget > spare))
		ret->fd_budget = (uint32_t)spare;
	return r;
}

/* What detect, decide, probes and the ledger were started with. */
static const struct config_key fixed_keys[] = {
    CONFIG_KEY("tick", tick_ns),
    CONFIG_KEY("mode", guard.mode),
#define X(key, field) CONFIG_KEY("guard." #key, guard.field),
    GUARD_KEYS(X)
#undef X
	CONFIG_KEY("ledger.enabled", ledger.enabled),
    CONFIG_KEY("ledger.budget", ledger.budget_ppm),
    CONFIG_KEY("ledger.max_zones", ledger.max_zones),
#define X(name) CONFIG_KEY("probes." #name, probes.name),
    OPTIONAL_PROBES(X)
#undef X
	CONFIG_KEY("limits.max_zones", max_zones),
    CONFIG_KEY("limits.fd_budget", fd_budget),
};

static void say_what_waits(const struct config *old, const struct config *new)
{
	struct strbuf b = {0};

	for (size_t i = 0; i < ARRAY_SIZE(fixed_keys); i++)
		if (memcmp((const char *)old + fixed_keys[i].offset,
			   (const char *)new + fixed_keys[i].offset, fixed_keys[i].size))
			strbuf_printf(&b, "%s%s", b.len ? ", " : "", fixed_keys[i].name);
	if (b.len)
		log_warn("changed as well, and in force only after a restart: %s", b.data);
	strbuf_done(&b);
}

void reload_config(struct daemon *d)
{
	struct config old = d->cfg, new = {0};

	if (load_config(d->opt, &new) < 0) {
		sd_notifyf(0, "STATUS=%s is wrong: going on with the old configuration",
			   d->opt->config_path);
		events_add(
		    &d->events, clock_real_ns(), EVENT_DAEMON, NULL, 0,
		    "%s is wrong: going on with the old configuration; czctl check says more",
		    d->opt->config_path);
		return;
	}
	d->cfg.rules = new.rules;
	d->cfg.nr_rules = new.nr_rules;
	d->cfg.off_limits = new.off_limits;
	zones_reclassify(d->zones, &d->cfg);
	log_notice("%s read again: classes, goals and off-limits zones are as it says",
		   d->opt->config_path);
	sd_notify(0, "STATUS=");
	say_what_waits(&old, &new);
	config_done(&old);
}
