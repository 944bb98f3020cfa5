/* SPDX-License-Identifier: MIT */
/*
 * The ledger as czd uses it: fast events go through decide and actuate at once; what it costs is
 * measured now and then, and above its budget it is detached, with the reason said.
 */
#include "daemon/daemon.h"

#include <string.h>
#include "base/clock.h"
#include "base/log.h"

#define COST_EVERY	60 /* ticks between measurements, each one tick long */
#define COST_EVERY_OVER 10 /* after one above the budget */
#define COST_OVER_MAX	3  /* in a row: not a burst but how it is here */
#define REST_NS		(10ull * 60 * 1000000000) /* off for so long after it cost too much */

static void on_fast_event(const struct fast_event *e, void *arg)
{
	struct daemon *d = arg;

	d->self.fast_events_total++;
	if (publish_index_of(d, e->culprit_id) == NO_ZONE) {
		struct slice s = pipeline_slice(d);

		/* Too new to be known: take the tree in first. */
		zones_catch_up(d->zones, clock_mono_ns(), &s);
		pipeline_take_in(d);
	}
	if (publish_fresh(d) < 0)
		return; /* events go on as long as the harm does */
	decide_fast(d->decide, &d->snap, e, &d->plan);
	enforce_plan(d, &d->plan);
	recorder_fast(d, e);
}

void watch_ledger_events(struct daemon *d)
{
	uint64_t before = d->self.fast_applied_total;

	ledger_drain(d->ledger, on_fast_event, d);
	if (d->self.fast_applied_total != before)
		enforce_announce(d);
}

void watch_ledger_arm(struct daemon *d)
{
	uint64_t now_ns = clock_mono_ns();

	for (size_t i = 0; i < d->victims.nr; i++) {
		struct victim *vi = d->victims.items[i];

		victim_arm(vi, d->ledger,
			   decide_mode(d->decide, vi->zone_id, now_ns, NULL) == MODE_ENFORCE);
	}
}

static int on_ledger_fd(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	watch_ledger_events(arg);
	return 0;
}

void watch_ledger_open(struct daemon *d)
{
	struct ledger_options o = {.max_zones = d->cfg.ledger.max_zones};
	struct error e = {0};
	int r;

	if (d->ledger)
		return;
	if (d->opt->no_bpf || !d->cfg.ledger.enabled || d->kernel.captured) {
		watch_ledger_close(d, d->opt->no_bpf ? "switched off by --no-bpf"
						     : "switched off in the configuration");
		return;
	}
	r = ledger_open(&o, &d->ledger, &e);
	if (r == 0)
		r = sd_event_add_io(d->loop, &d->ledger_source, ledger_event_fd(d->ledger), EPOLLIN,
				    on_ledger_fd, d);
	if (r < 0) {
		watch_ledger_close(d, e.code ? e.msg : strerror(-r));
		return;
	}
	sd_event_source_set_priority(d->ledger_source, SD_EVENT_PRIORITY_IMPORTANT);
	d->ledger_why_off[0] = 0;
	victims_rebind(&d->victims, d->ledger);
	if (probes_switch(d->probes, "run_delay", false, "the wait ledger measures it") < 0)
		log_debug("run_delay probe could not be switched off");
}

void watch_ledger_close(struct daemon *d, const char *why)
{
	snprintf(d->ledger_why_off, sizeof(d->ledger_why_off), "%s", why);
	log_notice(
	    "wait ledger is off: %s. Waiting is estimated from run delay; nobody can be named.",
	    why);
	events_add(&d->events, clock_real_ns(), EVENT_LEDGER, NULL, 0, "wait ledger is off: %s",
		   why);
	d->ledger_source = sd_event_source_disable_unref(d->ledger_source);
	ledger_close(d->ledger);
	d->ledger = NULL;
	victims_rebind(&d->victims, NULL);
	if (probes_switch(d->probes, "run_delay", true, "") < 0)
		log_warn("run delay cannot be read either: waiting is not known on this host");
}

static void cost_begin(struct daemon *d)
{
	struct ledger_health h;

	ledger_health(d->ledger, &h);
	d->cost.before_ns = h.run_time_ns_total;
	d->cost.measuring = ledger_measure(d->ledger, true) == 0;
}

/* The cost over the last tick, ppm of all CPUs. */
static uint64_t cost_end(struct daemon *d)
{
	uint64_t all_ns = d->snap.window_ns * cpuset_count(&d->snap.cpus.online);
	struct ledger_health h;

	d->cost.measuring = false;
	ledger_health(d->ledger, &h);
	if (ledger_measure(d->ledger, false) < 0)
		log_debug("BPF statistics could not be switched off");
	return all_ns ? (h.run_time_ns_total - d->cost.before_ns) * 1000000 / all_ns : 0;
}

static void cost_judge(struct daemon *d)
{
	uint64_t ppm = cost_end(d);
	bool over = ppm > d->cfg.ledger.budget_ppm;
	char why[128];

	d->cost.ppm = ppm;
	d->cost.known = true;
	d->cost.over = over ? d->cost.over + 1 : 0;
	d->cost.next_tick = d->self.ticks_total + (over ? COST_EVERY_OVER : COST_EVERY);
	if (d->cost.over < COST_OVER_MAX)
		return;
	snprintf(why, sizeof(why),
		 "it costs %.2f %% of the CPUs, its budget is %.2f %%; tried again in 10 minutes",
		 (double)ppm / 1e4, (double)d->cfg.ledger.budget_ppm / 1e4);
	watch_ledger_close(d, why);
	d->cost =
	    (struct ledger_cost){.ppm = ppm, .known = true, .retry_ns = d->snap.now_ns + REST_NS};
}

void watch_ledger_cost(struct daemon *d)
{
	if (!d->ledger && d->cost.retry_ns && d->snap.now_ns >= d->cost.retry_ns) {
		d->cost = (struct ledger_cost){.next_tick = d->self.ticks_total + COST_EVERY_OVER};
		watch_ledger_open(d);
	} else if (d->ledger && d->cost.measuring) {
		cost_judge(d);
	} else if (d->ledger && d->self.ticks_total >= d->cost.next_tick) {
		cost_begin(d);
	}
}
