/* SPDX-License-Identifier: MIT */
/*
 * The way through: zones -> probes -> history -> detect -> decide -> actuate -> outcome.
 *
 * The slow tick reads all zones in slices with pauses between, so that the fast path
 * and the host's work are never behind it for longer; then it publishes a snapshot, looks for harm,
 * decides and acts. The fast path takes one ledger event through decide and actuate at once, on the
 * latest snapshot.
 */
#include "daemon/daemon.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/keeper.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"

#define SLICE_NS	      250000ull
#define SLICE_NOBODY_NS	      500000ull /* nobody is protected: there is no fast path */
#define SLICE_PAUSE_USEC      1000
#define BASELINE_STEP	      2 /* zones noted or verified between two looks at the clock */
#define STALL_OVER_NS	      5000000000ull /* without a stall: the next is a new one */
#define EARLY_PART	      4		    /* of a tick must have passed before one begins early */
#define CPUS_EVERY	      10	    /* ticks between looks at which CPUs are online */
#define FAST_THRESHOLD_MIN_NS 100000ull

static bool slice_is_over(void *arg)
{
	const struct daemon *d = arg;

	return clock_mono_ns() >= d->slice_end_ns;
}

struct slice pipeline_slice(struct daemon *d)
{
	d->slice_end_ns = clock_mono_ns() + (d->victims.nr ? SLICE_NS : SLICE_NOBODY_NS);
	return (struct slice){.over = slice_is_over, .arg = d};
}

void pipeline_slice_soon(struct daemon *d)
{
	d->slice_due_ns = clock_mono_ns() + SLICE_PAUSE_USEC * 1000ull;
	sd_event_source_set_time(d->slice_timer, d->slice_due_ns / 1000);
	sd_event_source_set_enabled(d->slice_timer, SD_EVENT_ONESHOT);
}

/* Zones come and go */

static uint64_t fast_threshold(const struct daemon *d, const struct slo *slo)
{
	uint64_t ns = d->cfg.guard.fast_threshold_ns, goal = slo->wait_p99_ns / 2;

	if (goal && goal < ns)
		ns = goal;
	return ns < FAST_THRESHOLD_MIN_NS ? FAST_THRESHOLD_MIN_NS : ns;
}

/* The next layout tells of it anew; `told_seq` is ours, as `index` is. */
static void zone_has_changed(struct daemon *d, const struct zone *z)
{
	((struct zone *)z)->told_seq = d->tree_seq + 1;
	d->tree_dirty = true;
}

static void sync_class(struct daemon *d, const struct zone *z)
{
	bool protect = z->class == CLASS_LC && z->class_is_own;
	int r = 0;

	probes_zone_interest(d->probes, z->id,
			     protect		    ? PROBE_PROTECTED
			     : z->class == CLASS_BE ? PROBE_BE
						    : PROBE_NORMAL);
	if (protect) {
		r = victims_add(&d->victims, d->ledger, z->id, fast_threshold(d, &z->slo));
		watch_ledger_arm(d);
	} else {
		victims_remove(&d->victims, d->ledger, z->id);
	}
	if (r < 0)
		log_warn("zone %s is not protected: %s", z->name,
			 r == -ENOSPC ? "64 zones are already" : strerror(-r));
	zone_has_changed(d, z);
}

static void on_zone_add(const struct zone *z, void *arg)
{
	struct daemon *d = arg;
	int r = probes_zone_add(d->probes, z->id, z->parent ? z->parent->id : 0, z->path);

	if (r < 0)
		log_debug("zone %s is not measured: %s", z->name, strerror(-r));
	((struct zone *)z)->row = probes_row(d->probes, z->id);
	if (d->nr_new == d->cap_new) {
		size_t cap = d->cap_new ? d->cap_new * 2 : 64;
		uint64_t *grown = realloc(d->new_ids, cap * sizeof(*grown));

		if (!grown)
			return;
		d->new_ids = grown;
		d->cap_new = cap;
	}
	d->new_ids[d->nr_new++] = z->id;
	sync_class(d, z);
}

static void on_zone_remove(const struct zone *z, void *arg)
{
	struct daemon *d = arg;
	struct gone_zone *gone = &d->gone[d->next_gone++ % GONE_KEPT];

	gone->id = z->id;
	gone->tree_seq = d->tree_seq + 1;
	gone->class = z->class;
	str_copy(gone->name, sizeof(gone->name), z->name);
	victims_remove(&d->victims, d->ledger, z->id);
	if (d->ledger)
		ledger_forget(d->ledger, z->id);
	probes_zone_remove(d->probes, z->id);
	if (d->decide)
		decide_zone_gone(d->decide, z->id);
	recorder_gone(d, z->id, z->name);
	enforce_zone_gone(d, z->id);
	if (d->baseline)
		baseline_forget(d->baseline, z->id);
	d->tree_dirty = true;
}

static void on_zone_rename(const struct zone *z, const char *old_path, void *arg)
{
	struct daemon *d = arg;

	probes_zone_rename(d->probes, z->id, z->path);
	if (d->baseline && baseline_note(d->baseline, z->id, z->path) < 0)
		log_debug("zone %s: new path not noted", z->name);
	zone_has_changed(d, z);
}

static void on_zone_class(const struct zone *z, void *arg)
{
	sync_class(arg, z);
}

/* What a zone that a user created says of its groups; `protect` on one of them goes first. */
static void take_in_applied(struct daemon *d, const struct zone *z, bool wanted_otherwise)
{
	enum zone_class class;
	enum zone_kind kind = z->kind;
	struct slo slo;
	bool classed = zones_mgr_class(d->zones_mgr, z->path, &class, &slo, &kind);

	zones_set_kind(d->zones, z->id, kind);
	if (classed && !wanted_otherwise && zones_set_class(d->zones, z->id, class, &slo) < 0)
		log_debug("zone %s vanished", z->path);
}

/* New zones: note their knobs as found, and give them the class that the user asked for. */
void pipeline_take_in(struct daemon *d)
{
	for (size_t i = 0; i < d->nr_new; i++) {
		const struct zone *z = zones_by_id(d->zones, d->new_ids[i]);
		const struct desired_zone *want = z ? desired_get(&d->desired, z->path) : NULL;

		if (z && d->baseline && !zones_mgr_is_foreign(d->zones_mgr, z->path) &&
		    baseline_note(d->baseline, z->id, z->path) < 0)
			log_debug("zone %s: knobs will not be noted", z->name);
		if (want && zones_set_class(d->zones, z->id, want->class, &want->slo) < 0)
			log_debug("zone %s vanished", want->path);
		if (z)
			take_in_applied(d, z, want != NULL);
	}
	d->nr_new = 0;
}

/* Findings */

static void note_closed(struct daemon *d, const struct finding *f)
{
	if (d->nr_closed == FINDINGS_KEPT) {
		memmove(d->closed, d->closed + 1, (FINDINGS_KEPT - 1) * sizeof(d->closed[0]));
		d->nr_closed--;
	}
	d->closed[d->nr_closed++] = *f;
}

/* The seqs open before this run; news is what was not. */
struct open_seqs {
	size_t nr;
	uint64_t seq[FINDINGS_MAX];
};

static bool was_open(const struct open_seqs *before, uint64_t seq)
{
	for (size_t i = 0; i < before->nr; i++) {
		if (before->seq[i] == seq)
			return true;
	}
	return false;
}

static void announce_findings(struct daemon *d, const struct open_seqs *before)
{
	uint64_t real_ns = clock_real_ns();

	for (size_t i = 0; i < d->findings.nr; i++) {
		const struct finding *f = &d->findings.items[i];
		char words[FINDING_WORDS_MAX];
		if (f->open && !was_open(before, f->seq))
			events_add(&d->events, real_ns, EVENT_FINDING, f->victim_name, f->seq,
				   "%s: %s", finding_words(f, false, words, sizeof(words)), f->why);
		if (!f->open) {
			events_add(&d->events, real_ns, EVENT_FINDING, f->victim_name, f->seq,
				   "%s is well again", f->victim_name);
			note_closed(d, f);
		}
	}
}

/* The detectors know only names of zones that they saw run before. */
static void name_the_gone(struct daemon *d)
{
	for (size_t i = 0; i < d->findings.nr; i++) {
		struct finding *f = &d->findings.items[i];

		for (size_t c = 0; c < f->nr_culprits; c++) {
			const struct gone_zone *g = shape_gone(d, f->culprits[c].zone_id);

			if (g)
				str_copy(f->culprits[c].name, sizeof(f->culprits[c].name), g->name);
		}
	}
}

static void look_and_decide(struct daemon *d)
{
	struct open_seqs before = {0};

	for (size_t i = 0; i < d->findings.nr; i++) {
		if (d->findings.items[i].open)
			before.seq[before.nr++] = d->findings.items[i].seq;
	}
	detect_run(d->detect, &d->snap, &d->findings);
	name_the_gone(d);
	announce_findings(d, &before);
	enforce_look(d);
	decide_tick(d->decide, &d->snap, &d->findings, &d->plan);
	enforce_plan(d, &d->plan);
	watch_ledger_arm(d); /* a trial may have ended */
	enforce_announce(d);
	recorder_tick(d);
}

/* Ticks */

/* CPUs go offline and come back; a CPU set must not name one that is gone. */
static void refresh_cpus(struct daemon *d)
{
	struct topology now;

	if (topology_read(&d->kernel, &now) < 0)
		return;
	topology_done(&d->topo);
	d->topo = now;
	d->snap.cpus = (struct cpu_topology){
	    .online = now.online, .nr_cpus = now.nr_cpus, .core_of = now.core_of};
}

static void housekeeping(struct daemon *d)
{
	struct error e = {0};
	uint64_t cpu_ns = clock_thread_cpu_ns();

	if (d->snap.window_ns)
		d->self.cpu_ppm = (cpu_ns - d->self.cpu_ns_at_tick) * 1000000 / d->snap.window_ns;
	d->self.cpu_ns_at_tick = cpu_ns;
	d->self.ticks_total++;
	enforce_strays(d);
	made_reap(d);
	zones_mgr_tick(d->zones_mgr);
	daemon_keep_priority(d);
	watch_ledger_cost(d);
	if (d->ledger)
		ledger_age(d->ledger);
	if (d->self.ticks_total % CPUS_EVERY == 0)
		refresh_cpus(d);
	if ((!d->server || d->feed_fd < 0) && daemon_listen(d, &e) == 0)
		log_notice("listening in %s now", d->opt->run_dir);
	if (d->actuator && !actuator_can_apply(d->actuator, NULL) &&
	    actuator_retry(d->actuator, NULL) == 0)
		log_notice("the journal can be written again: enforcing is possible");
	turn_look(d);
}

static void step_tick(struct daemon *d)
{
	struct slice s = pipeline_slice(d);

	if (zones_process(d->zones, clock_mono_ns(), &s)) {
		pipeline_slice_soon(d);
		return;
	}
	pipeline_take_in(d);
	if (probes_tick_step(d->probes, &s)) {
		pipeline_slice_soon(d);
		return;
	}
	d->tick_running = false;
	if (publish_all(d) == 0)
		look_and_decide(d);
	housekeeping(d);
	pipeline_zones(d);
}

void pipeline_tick(struct daemon *d)
{
	if (d->tick_running) {
		d->self.late_ticks_total++;
		return;
	}
	d->tick_running = true;
	probes_tick_begin(d->probes, clock_mono_ns());
	step_tick(d);
}

/* Between ticks: follow the tree, and note the knobs of new zones as found. */
void pipeline_zones(struct daemon *d)
{
	struct slice s = pipeline_slice(d);
	bool more = zones_process(d->zones, clock_mono_ns(), &s);

	pipeline_take_in(d);
	while (!more && d->baseline && !d->tick_running) {
		int left = baseline_step(d->baseline, d->actuator, BASELINE_STEP);

		if (left <= 0)
			break;
		more = slice_over(&s);
	}
	while (!more && !d->tick_running && verify_step(d, BASELINE_STEP))
		more = slice_over(&s);
	if (more)
		pipeline_slice_soon(d);
}

static int on_slice(sd_event_source *src, uint64_t usec, void *arg)
{
	struct daemon *d = arg;
	uint64_t now_ns = clock_mono_ns();

	if (now_ns > d->slice_due_ns && now_ns - d->slice_due_ns > d->self.loop_delay_max_ns)
		d->self.loop_delay_max_ns = now_ns - d->slice_due_ns;
	if (d->tick_running)
		step_tick(d);
	else
		pipeline_zones(d);
	return 0;
}

static int on_tick(sd_event_source *src, uint64_t usec, void *arg)
{
	struct daemon *d = arg;
	uint64_t now_usec = clock_mono_ns() / 1000, next_usec = usec + d->cfg.tick_ns / 1000;

	/* Ticks missed while the machine or czd stood still are not made up for. */
	if (next_usec < now_usec)
		next_usec = now_usec + d->cfg.tick_ns / 1000;
	sd_event_source_set_time(src, next_usec);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	keeper_beat(d->opt->beat_fd, d->cfg.tick_ns);
	pipeline_tick(d);
	return 0;
}

/* Tasks begin to stall: what the next tick would see is looked at now, if anybody is protected. A
 * stall that goes on is the ticks' affair, and windows that are too short show nothing. */
static int on_stall(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct daemon *d = arg;
	uint64_t now_ns = clock_mono_ns();
	bool goes_on = d->stalled_ns && now_ns - d->stalled_ns < STALL_OVER_NS;

	d->stalled_ns = now_ns;
	if (goes_on || !d->victims.nr || d->tick_running ||
	    now_ns - d->snap.now_ns < d->cfg.tick_ns / EARLY_PART)
		return 0;
	d->self.early_ticks_total++;
	return on_tick(d->tick_timer, now_ns / 1000, d);
}

static int on_inotify(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	pipeline_zones(arg);
	return 0;
}

/* Those that cost others, where they are asked for. */
static void switch_probes(struct daemon *d)
{
	const struct {
		const char *name;
		bool on;
	} asked[] = {
#define X(name) {#name, d->cfg.probes.name},
	    OPTIONAL_PROBES(X)
#undef X
	};

	bool may = !d->opt->no_bpf && !d->kernel.captured;

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		if (asked[i].on && probes_switch(d->probes, asked[i].name, may,
						 "--no-bpf, or a captured machine") < 0)
			log_warn("probe %s cannot be switched on: see czctl probes", asked[i].name);
}

int pipeline_init(struct daemon *d, struct error *reterr)
{
	struct zones_events ev = {.on_add = on_zone_add,
				  .on_remove = on_zone_remove,
				  .on_rename = on_zone_rename,
				  .on_class = on_zone_class,
				  .arg = d};
	struct probes_options po = {.fd_budget = d->cfg.fd_budget};
	uint64_t now_ns = clock_mono_ns();
	int r;

	r = victims_init(&d->victims);
	if (r == 0)
		r = probes_new(&d->kernel, &d->fs, &po, &d->probes);
	if (r == 0)
		r = detect_new(&d->cfg, &d->detect);
	if (r == 0)
		r = decide_new(&d->cfg, d->actuator ? actuator_last_seq(d->actuator) + 1 : 1,
			       &d->decide);
	if (r < 0)
		return error_errno(reterr, r, "start the pipeline");
	switch_probes(d);
	refresh_cpus(d);
	r = zones_new(&d->kernel, &d->fs, &d->cfg, &ev, &d->zones, reterr);
	if (r < 0)
		return r;
	watch_ledger_open(d);
	while (zones_process(d->zones, now_ns, NULL))
		;
	pipeline_take_in(d);
	r = publish_fresh(d);
	if (r == 0)
		r = sd_event_add_time(d->loop, &d->tick_timer, CLOCK_MONOTONIC, now_ns / 1000, 1,
				      on_tick, d);
	if (r >= 0)
		r = sd_event_add_time(d->loop, &d->slice_timer, CLOCK_MONOTONIC, UINT64_MAX, 1,
				      on_slice, d);
	if (r >= 0 && zones_fd(d->zones) >= 0)
		r = sd_event_add_io(d->loop, NULL, zones_fd(d->zones), EPOLLIN, on_inotify, d);
	if (r >= 0 && probes_wake_fd(d->probes) >= 0)
		r = sd_event_add_io(d->loop, NULL, probes_wake_fd(d->probes), EPOLLIN, on_stall, d);
	return r < 0 ? error_errno(reterr, r, "start the loop") : 0;
}

void pipeline_done(struct daemon *d)
{
	sd_event_source_disable_unref(d->ledger_source);
	sd_event_source_disable_unref(d->tick_timer);
	sd_event_source_disable_unref(d->slice_timer);
	victims_done(&d->victims);
	ledger_close(d->ledger);
	d->ledger = NULL;
	zones_free(d->zones);
	probes_free(d->probes);
	detect_free(d->detect);
	decide_free(d->decide);
	free(d->views[0]);
	free(d->views[1]);
	free(d->disk_uses);
	free(d->new_ids);
}
