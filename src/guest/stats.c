/* SPDX-License-Identifier: MIT */
#include "guest/stats.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "guest/cgroup-v2.h"
#include "guest/control.h"
#include "guest/policy.h"
#include "guest/task.h"
#include "kernel/cgroup.h"
#include "kernel/procfs.h"
#include "probes/ledger.h"

#define PARTS_MAX    16
#define LEDGER_ZONES 256

struct waits { /* of an app, since it is protected, and what is new since the last tick */
	bool known;
	struct ledger_totals totals;
	struct ledger_cell cells[PARTS_MAX];
	uint64_t counts[LEDGER_BUCKETS];
	uint64_t p99_ns;
	uint64_t be_ns, be_new_ns; /* waited while be apps ran */
};

struct stats {
	struct ledger *ledger; /* NULL: not yet, or this kernel has none */
	enum { LEDGER_UNASKED, LEDGER_LOADING, LEDGER_DONE } ledger_state;
	struct source ledger_source;
	struct ledger *loaded; /* the thread's result, and why there is none */
	struct error loaded_error;
	struct waits waits[ZONE_APPS_MAX];
	uint64_t at_ns, harm_ppm, messages_dropped_total;
	uint64_t load_ns, load_cpu_ns; /* stats_lc_load: time and CPU time at its last call */
};

int stats_init(struct guest *g)
{
	g->stats = calloc(1, sizeof(*g->stats));
	if (!g->stats)
		return -ENOMEM;
	g->stats->at_ns = g->loop.now_ns;
	return 0;
}

/* ---- the ledger: loaded when the first app needs it ---- */

/* The one thread besides the loop: the kernel takes up to seconds to verify the ledger, where it is
 * emulated. It touches nothing but these two until it says that it is done. */
static void *load_ledger(void *arg)
{
	struct stats *s = arg;
	struct ledger_options o = {.max_zones = LEDGER_ZONES};
	uint64_t one = 1;

	task_leave_real_time(false);
	if (ledger_open(&o, &s->loaded, &s->loaded_error) < 0)
		s->loaded = NULL;
	if (write(s->ledger_source.fd, &one, sizeof(one)) < 0)
		s->loaded = NULL; /* an eventfd of ours takes a 1 */
	return NULL;
}

static void on_ledger(void *arg, uint32_t events)
{
	struct guest *g = arg;
	struct stats *s = g->stats;
	int fd = s->ledger_source.fd;

	loop_del(&g->loop, &s->ledger_source);
	close(fd);
	s->ledger_state = LEDGER_DONE;
	s->ledger = s->loaded;
	if (!s->ledger)
		guest_notice(g, "guest", "no wait ledger: %s", s->loaded_error.msg);
	apps_each(g, a)
	{
		stats_class_changed(a);
	}
}

static void want_ledger(struct guest *g)
{
	struct stats *s = g->stats;
	pthread_t thread;
	int fd, r;

	if (s->ledger_state != LEDGER_UNASKED)
		return;
	s->ledger_state = LEDGER_DONE;
	fd = eventfd(0, EFD_CLOEXEC);
	r = fd < 0 ? -errno : loop_add(&g->loop, &s->ledger_source, fd, EPOLLIN, on_ledger, g);
	if (r == 0) {
		r = -pthread_create(&thread, NULL, load_ledger, s);
		if (r == 0) {
			pthread_detach(thread);
			s->ledger_state = LEDGER_LOADING;
			return;
		}
		loop_del(&g->loop, &s->ledger_source);
	}
	close_fd(&fd);
	guest_notice(g, "guest", "no wait ledger: %s", strerror(-r));
}

void stats_message_dropped(struct guest *g)
{
	g->stats->messages_dropped_total++;
}

void stats_class_changed(struct app *a)
{
	struct ledger *l = a->guest->stats->ledger;
	bool wanted = a->spec.class == CLASS_LC;
	int r;

	if (wanted && !l)
		want_ledger(a->guest);
	if (!l || wanted == a->is_protected)
		return;
	memset(&a->guest->stats->waits[a->slot], 0, sizeof(struct waits));
	if (!wanted)
		ledger_unprotect(l, a->cgroup_id);
	r = wanted ? ledger_protect(l, a->cgroup_id, 0) : 0;
	if (r < 0)
		guest_notice(a->guest, "app", "app %s is not in the wait ledger: %s", a->spec.name,
			     strerror(-r));
	a->is_protected = wanted && r == 0;
}

void stats_forget(struct app *a)
{
	struct ledger *l = a->guest->stats->ledger;

	if (l && a->is_protected)
		ledger_unprotect(l, a->cgroup_id);
	if (l)
		ledger_forget(l, a->cgroup_id);
}

/* ---- readings ---- */

static uint64_t app_cpu_ns(const struct app *a)
{
	char text[4096];
	struct cgroup_cpu_stat st;

	if (read_file_at(a->cgroup_fd, "cpu.stat", text, sizeof(text)) < 0 ||
	    cgroup_cpu_stat_parse(true, text, &st) < 0)
		return 0;
	return st.usage_ns;
}

bool stats_lc_load(struct guest *g, uint32_t *ret_ppm)
{
	struct stats *s = g->stats;
	uint64_t cpu_ns = 0, then_ns = s->load_ns, before_ns = s->load_cpu_ns;

	apps_each(g, a)
	{
		if (a->spec.class == CLASS_LC)
			cpu_ns += app_cpu_ns(a);
	}
	s->load_ns = g->loop.now_ns;
	s->load_cpu_ns = cpu_ns;
	/* Less than before: an app is gone, its time with it. */
	if (!then_ns || cpu_ns < before_ns || s->load_ns - then_ns < 1000000)
		return false;
	*ret_ppm = (uint32_t)((cpu_ns - before_ns) * 1000 / ((s->load_ns - then_ns) / 1000));
	return true;
}

static struct app *app_of_cgroup(struct guest *g, uint64_t id)
{
	apps_each(g, a)
	{
		if (a->cgroup_id == id)
			return a;
	}
	return NULL;
}

static uint64_t p99(uint64_t counts[LEDGER_BUCKETS], uint64_t before[LEDGER_BUCKETS])
{
	uint64_t total = 0, seen = 0;

	for (unsigned int i = 0; i < LEDGER_BUCKETS; i++)
		total += counts[i] - before[i];
	for (unsigned int i = 0; i < LEDGER_BUCKETS; i++) {
		seen += counts[i] - before[i];
		if (seen && seen * 100 >= total * 99)
			return ledger_bucket_ns(i);
	}
	return 0;
}

static void read_waits(struct app *a, struct waits *w)
{
	struct guest *g = a->guest;
	uint64_t counts[LEDGER_BUCKETS], be_ns = 0;
	size_t n;

	w->be_new_ns = 0;
	w->known = a->is_protected && ledger_read(g->stats->ledger, a->cgroup_id, &w->totals,
						  w->cells, PARTS_MAX) == 0;
	if (!w->known)
		return;
	n = w->totals.nr_parts < PARTS_MAX ? w->totals.nr_parts : PARTS_MAX;
	for (size_t i = 0; i < n; i++) {
		const struct app *by = app_of_cgroup(g, w->cells[i].culprit_id);

		if (by && by->spec.class == CLASS_BE)
			be_ns += w->cells[i].ns;
	}
	w->be_new_ns = be_ns > w->be_ns ? be_ns - w->be_ns : 0;
	w->be_ns = be_ns;
	if (ledger_hist(g->stats->ledger, a->cgroup_id, counts) == 0) {
		w->p99_ns = p99(counts, w->counts);
		memcpy(w->counts, counts, sizeof(counts));
	}
}

/* ---- as JSON ---- */

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *parts_json(struct guest *g, const struct waits *w)
{
	json_t *parts = json_array();
	size_t n = w->totals.nr_parts < PARTS_MAX ? w->totals.nr_parts : PARTS_MAX;

	for (size_t i = 0; i < n; i++) {
		const struct app *by = app_of_cgroup(g, w->cells[i].culprit_id);
		json_t *part =
		    json_pack("{s:s, s:o}", "cause", "neighbour", "ns", number(w->cells[i].ns));

		if (by)
			json_object_set_new(part, "app", json_string(by->spec.name));
		json_array_append_new(parts, part);
	}
	for (int cause = 0; cause < CAUSE_NR; cause++)
		if (cause != CAUSE_NEIGHBOUR && w->totals.cause_ns[cause] &&
		    json_array_size(parts) < PARTS_MAX)
			json_array_append_new(parts,
					      json_pack("{s:s, s:o}", "cause", cause_name(cause),
							"ns", number(w->totals.cause_ns[cause])));
	return parts;
}

static json_t *app_json(struct app *a)
{
	const struct waits *w = &a->guest->stats->waits[a->slot];
	uint64_t memory_bytes = 0, oom_kills;
	json_t *j;
	int r = read_u64_at(a->cgroup_fd, "memory.current", &memory_bytes);

	j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:o}", "name", a->spec.name,
		      "class", zone_class_name(a->spec.class), "state", app_state_name(a), "pid",
		      (int)a->pid, "exit", a->exit, "restarts", number(a->restarts), "cpu_ns",
		      number(app_cpu_ns(a)), "memory_bytes", number(r < 0 ? 0 : memory_bytes),
		      "log_lost_bytes", number(a->log.lost_total));
	oom_kills = app_cgroup_oom(a->cgroup_fd).oom_kills;
	if (oom_kills != UINT64_MAX)
		json_object_set_new(j, "oom_kills_total", number(oom_kills));
	if (a->oom)
		json_object_set_new(j, "oom", json_string(a->oom));
	if (a->health_known)
		json_object_set_new(j, "healthy", json_boolean(a->healthy));
	if (w->known) {
		json_object_set_new(j, "wait_ns", number(w->totals.wait_ns));
		json_object_set_new(j, "waits", number(w->totals.waits));
		json_object_set_new(j, "wait_p99_ns", number(w->p99_ns));
		json_object_set_new(j, "parts", parts_json(a->guest, w));
	}
	return j;
}

static json_t *psi_json(void)
{
	static const char *const names[] = {"cpu", "memory", "io"};
	json_t *j = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[32], text[512];
		struct psi_line line;

		snprintf(path, sizeof(path), "/proc/pressure/%s", names[i]);
		if (read_file_at(AT_FDCWD, path, text, sizeof(text)) >= 0 &&
		    psi_parse(text, &line) == 0)
			json_object_set_new(j, names[i],
					    json_pack("{s:o, s:o}", "some_ns", number(line.some_ns),
						      "full_ns", number(line.full_ns)));
	}
	return j;
}

static json_t *memory_json(void)
{
	char text[8192];
	uint64_t total = 0, available = 0, kib;
	json_t *j = json_object();
	const char *p;

	if (read_file_at(AT_FDCWD, "/proc/meminfo", text, sizeof(text)) < 0 ||
	    proc_meminfo_parse(text, &total, &available) < 0)
		return j;
	json_object_set_new(j, "total_bytes", number(total));
	json_object_set_new(j, "available_bytes", number(available));
	p = strstr(text, "MemFree:");
	if (p && scan_u64(&(const char *){p + 8}, text + strlen(text), &kib) == 0)
		json_object_set_new(j, "free_bytes", number(kib * 1024));
	return j;
}

json_t *stats_json(struct guest *g)
{
	struct stats *s = g->stats;
	json_t *apps = json_array();

	apps_each(g, a)
	{
		json_array_append_new(apps, app_json(a));
	}
	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:b, s:o, s:o, s:o}", "at_ns",
			 number(s->at_ns), "memory", memory_json(), "psi", psi_json(), "policy",
			 policy_name(g), "policy_wanted", policy_wanted(g), "policy_why",
			 json_string(policy_why(g)) ?: json_string("?"), "ledger",
			 s->ledger != NULL, "be_ran_while_lc_waited_ppm", number(s->harm_ppm),
			 "messages_dropped_total", number(s->messages_dropped_total), "apps", apps);
}

void stats_tick(struct guest *g)
{
	struct stats *s = g->stats;
	uint64_t wall_ns = g->loop.now_ns - s->at_ns, harm_ns = 0;

	s->at_ns = g->loop.now_ns;
	apps_each(g, a)
	{
		read_waits(a, &s->waits[a->slot]);
		harm_ns += s->waits[a->slot].be_new_ns;
	}
	s->harm_ppm = wall_ns / 1000 ? harm_ns * 1000 / (wall_ns / 1000) : 0;
	policy_harm(g, s->harm_ppm);
	if (channel_up(g->ports[CHANNEL_CONTROL].channel))
		control_event(g, "stats", stats_json(g));
}
