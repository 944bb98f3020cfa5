/* SPDX-License-Identifier: MIT */
#include "ledger-mix.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "bpf/audit.h"
#include "ledger-load.h"

#define MIX_CPU (mix_env.nr_cpus - 1)

static void set_quota(const char *name, int percent)
{
	char text[64];

	if (mix_env.v1) {
		mix_group_write(name, "cpu.cfs_period_us", "100000");
		snprintf(text, sizeof(text), "%d", percent ? percent * 1000 : -1);
		mix_group_write(name, "cpu.cfs_quota_us", text);
		return;
	}
	snprintf(text, sizeof(text), percent ? "%d 100000" : "max 100000", percent * 1000);
	mix_group_write(name, "cpu.max", text);
}

static void set_shares(const char *name, int shares)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", shares ? shares : mix_env.v1 ? 1024 : 100);
	mix_group_write(name, mix_env.v1 ? "cpu.shares" : "cpu.weight", text);
}

/* Time throttled of the group's own queues; UINT64_MAX where the kernel does not tell. */
static uint64_t throttled_local_ns(const char *name)
{
	char path[256], text[512];
	const char *field = mix_env.v1 ? "throttled_time " : "throttled_usec ";
	char *at;

	snprintf(path, sizeof(path), "%s/%s/cpu.stat.local", mix_env.base, name);
	if (read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0 || !(at = strstr(text, field)))
		return UINT64_MAX;
	return strtoull(at + strlen(field), NULL, 10) * (mix_env.v1 ? 1 : 1000);
}

/* ---- the mixes ---- */

static const char *const group_names[GROUP_NR] = {"victim", "victim-2", "hog-a", "hog-b"};

/* Two of the victim's tasks change their zone, waiting or not. */
static void move_tasks(void *arg, uint64_t elapsed_ns)
{
	unsigned int n = (unsigned int)(elapsed_ns / NS_PER_MS);

	mix_join(mix_env.children[n % 2], group_names[n / 2 % 2 ? GROUP_VICTIM : GROUP_VICTIM_2]);
}

static void cpu_set_online(bool online)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", mix_env.nr_cpus - 1);
	(void)!write_file_at(AT_FDCWD, path, online ? "1" : "0");
}

static void hotplug(void *arg, uint64_t elapsed_ns)
{
	unsigned int n = (unsigned int)(elapsed_ns / NS_PER_MS);

	if (n % 300 == 100)
		cpu_set_online(false);
	if (n % 300 == 200)
		cpu_set_online(true);
}

#define M (1u << 20)
const struct mix mixes[] = {
    {.name = "sine+hog",
     .seconds = 3,
     .max_records = M,
     .victim = "sine",
     .nr_victims = 1,
     .nr_hogs = 1},
    {.name = "4waiters+hog",
     .seconds = 3,
     .max_records = M,
     .victim = "burst",
     .nr_victims = 4,
     .nr_hogs = 1},
    {.name = "two-hogs",
     .seconds = 3,
     .max_records = M,
     .victim = "spin",
     .nr_victims = 1,
     .nr_hogs = 2,
     .hog_shares = {717, 307}},
    {.name = "switch",
     .seconds = 1,
     .max_records = 12 * M,
     .program = "stress-ng",
     .victim = "switch",
     .nr_victims = 1,
     .nr_hogs = 1},
    {.name = "messaging",
     .seconds = 2,
     .max_records = 12 * M,
     .program = "perf",
     .victim = "messaging",
     .nr_victims = 1,
     .nr_hogs = 1},
    {.name = "throttled",
     .seconds = 3,
     .max_records = M,
     .quota_percent = 30,
     .victim = "spin",
     .nr_victims = 1},
    {.name = "throttled+hog",
     .seconds = 3,
     .max_records = M,
     .quota_percent = 10,
     .victim = "spin",
     .nr_victims = 1,
     .nr_hogs = 1},
    {.name = "moves",
     .seconds = 3,
     .max_records = M,
     .two_victims = true,
     .victim = "burst",
     .nr_victims = 4,
     .nr_hogs = 1,
     .disturb = move_tasks},
    {.name = "hotplug",
     .seconds = 3,
     .max_records = 2 * M,
     .victim = "sleeper",
     .nr_victims = 6,
     .nr_hogs = 2,
     .disturb = hotplug},
};
const size_t nr_mixes = ARRAY_SIZE(mixes);

const struct mix *mix_find(const char *name)
{
	for (size_t i = 0; i < nr_mixes; i++)
		if (!strcmp(mixes[i].name, name))
			return &mixes[i];
	return NULL;
}

static bool program_installed(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/usr/bin/%s", name);
	return !access(path, X_OK);
}

static int mix_prepare(const struct mix *m)
{
	bool migrates = !strcmp(m->name, "hotplug");
	int cpu = m->program || migrates ? -1 : MIX_CPU;

	for (int g = 0; g < GROUP_NR; g++)
		if (!mix_group_id(group_names[g]))
			return -ENOENT;
	set_quota(group_names[GROUP_VICTIM], m->quota_percent);
	for (int i = 0; i < 2; i++)
		set_shares(group_names[GROUP_HOG_A + i], m->hog_shares[i]);
	for (int i = 0; i < m->nr_victims; i++)
		if (mix_spawn(group_names[GROUP_VICTIM], m->victim, cpu) < 0)
			return -EAGAIN;
	for (int i = 0; i < m->nr_hogs; i++)
		if (mix_spawn(group_names[GROUP_HOG_A + i], "spin", migrates ? -1 : MIX_CPU) < 0)
			return -EAGAIN;
	mix_children_settle();
	return 0;
}

static void mix_play(const struct mix *m, int seconds)
{
	uint64_t start = clock_mono_ns(), now;

	mix_go();
	while ((now = clock_mono_ns()) < start + (uint64_t)seconds * NS_PER_SEC) {
		if (m->disturb)
			m->disturb(&mix_env, now - start);
		mix_sleep_ns(m->disturb ? NS_PER_MS : 10 * NS_PER_MS);
	}
	if (m->disturb == hotplug)
		cpu_set_online(true);
	mix_kill_all();
}

static uint32_t error_ppm(uint64_t a, uint64_t b, uint64_t of)
{
	uint64_t d = a > b ? a - b : b - a;

	return of ? (uint32_t)(d * 1000000 / of) : d ? UINT32_MAX : 0;
}

/* The ledger's totals of all victims, with what they did to one another as their own. */
struct seen {
	struct audit_share shares[AUDIT_SHARES_MAX];
	size_t nr;
	uint64_t total_ns;
};

static void seen_add(struct seen *s, uint32_t zone, uint64_t ns)
{
	size_t i;

	for (i = 0; i < s->nr && s->shares[i].zone != zone; i++)
		;
	if (i == s->nr && s->nr < AUDIT_SHARES_MAX)
		s->shares[s->nr++].zone = zone;
	if (i < s->nr)
		s->shares[i].ns += ns;
	s->total_ns += ns;
}

static uint64_t seen_ns(const struct seen *s, uint32_t zone)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->shares[i].zone == zone)
			return s->shares[i].ns;
	return 0;
}

static int ledger_collect(struct ledger *l, const uint64_t *victims, size_t nr,
			  struct mix_result *res, struct seen *seen)
{
	struct ledger_cell cells[AUDIT_SHARES_MAX];
	struct ledger_totals t;

	for (size_t v = 0; v < nr; v++) {
		int r = ledger_read(l, victims[v], &t, cells, AUDIT_SHARES_MAX);

		if (r)
			return r;
		res->ledger_ns += t.wait_ns;
		res->waits += t.waits;
		for (int c = 0; c < CAUSE_NR; c++)
			res->cause_ns[c] += t.cause_ns[c];
		seen_add(seen, AUDIT_ZONE_OWN, t.cause_ns[CAUSE_SELF]);
		seen_add(seen, AUDIT_ZONE_IDLE, t.cause_ns[CAUSE_IDLE]);
		seen_add(seen, AUDIT_ZONE_KERNEL, t.cause_ns[CAUSE_KERNEL]);
		seen_add(seen, AUDIT_ZONE_HOST, t.cause_ns[CAUSE_HOST]);
		for (size_t i = 0; i < t.nr_parts; i++) {
			bool own =
			    cells[i].culprit_id == victims[0] || cells[i].culprit_id == victims[1];

			seen_add(seen, own ? AUDIT_ZONE_OWN : (uint32_t)cells[i].culprit_id,
				 cells[i].ns);
		}
	}
	return 0;
}

/* Shares of all that is not the quota, ledger against replay: the worst relative difference of
 * those with 5 % or more. */
static int compare_shares(struct audit *a, const struct seen *seen, bool quota,
			  struct mix_result *res)
{
	struct audit_share shares[AUDIT_SHARES_MAX];
	int nr = audit_replay(a, shares, &res->replay_waits, &res->uncounted_ns);

	if (nr < 0)
		return nr;
	if (quota) /* the replay knows nothing of quotas */
		return 0;
	for (int i = 0; i < nr; i++)
		res->replay_ns += shares[i].ns;
	for (int i = 0; i < nr && seen->total_ns; i++) {
		double by_replay = (double)shares[i].ns / (double)res->replay_ns;
		double by_ledger = (double)seen_ns(seen, shares[i].zone) / (double)seen->total_ns;
		uint32_t ppm = (uint32_t)(fabs(by_ledger - by_replay) / by_replay * 1e6);

		if (by_replay >= 0.05 && ppm > res->share_error_ppm)
			res->share_error_ppm = ppm;
	}
	res->has_shares = true;
	return 0;
}

static uint32_t leaked(struct ledger *l, const uint64_t *victims, size_t nr)
{
	struct ledger_totals a, b;
	uint32_t n = 0;

	/* Nobody is left to wait: totals that still grow belong to waiters never taken out. */
	for (size_t v = 0; v < nr; v++) {
		if (ledger_read(l, victims[v], &a, NULL, 0))
			continue;
		mix_sleep_ns(100 * NS_PER_MS);
		n += !ledger_read(l, victims[v], &b, NULL, 0) && b.wait_ns != a.wait_ns;
	}
	return n;
}

static int mix_measure(const struct mix *m, int seconds, struct ledger *l, struct audit *a,
		       struct mix_result *res, struct error *reterr)
{
	uint64_t victims[2] = {mix_group_id("victim"), mix_group_id("victim-2")}, throttled, before;
	size_t nr = m->two_victims ? 2 : 1;
	struct seen seen = {0};
	int r = 0;

	for (size_t v = 0; v < nr && !r; v++)
		r = ledger_protect(l, victims[v], 300000);
	if (r)
		return error_errno(reterr, r, "protect");
	r = audit_start(a, victims, nr);
	if (r)
		return error_errno(reterr, r, "audit");
	before = throttled_local_ns("victim");
	mix_play(m, seconds);
	throttled = throttled_local_ns("victim");
	audit_stop(a);
	res->leaked_waiters = leaked(l, victims, nr);
	r = audit_run_delay(a, &res->run_delay_ns);
	if (!r)
		r = ledger_collect(l, victims, nr, res, &seen);
	if (!r)
		r = compare_shares(a, &seen, m->quota_percent, res);
	if (r)
		return error_errno(reterr, r, "audit of %s", m->name);
	ledger_health(l, &res->health);
	res->sum_error_ppm =
	    error_ppm(res->ledger_ns, res->run_delay_ns + res->uncounted_ns, res->run_delay_ns);
	res->has_throttled = m->quota_percent && before != UINT64_MAX && throttled != UINT64_MAX;
	if (res->has_throttled)
		res->throttled_error_ppm = error_ppm(res->cause_ns[CAUSE_THROTTLED],
						     throttled - before, res->run_delay_ns);
	for (int i = 0; i < 2; i++) {
		uint64_t ns = seen_ns(&seen, (uint32_t)mix_group_id(group_names[GROUP_HOG_A + i]));

		if (res->cause_ns[CAUSE_NEIGHBOUR])
			res->hog_share_ppm[i] =
			    (uint32_t)(ns * 1000000 / res->cause_ns[CAUSE_NEIGHBOUR]);
	}
	return 0;
}

/* At most a tenth of the memory: small guests are slow, too. */
static uint32_t log_size(const struct mix *m)
{
	uint64_t fit = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 10 /
		       sizeof(struct audit_record);

	return fit < m->max_records ? (uint32_t)fit : m->max_records;
}

int mix_run(const struct mix *m, int seconds, struct mix_result *ret, struct error *reterr)
{
	struct ledger_options o = {.max_zones = 1024};
	struct mix_result res = {0};
	struct ledger *l = NULL;
	struct audit *a = NULL;
	int r;

	if (m->program && !program_installed(m->program))
		return error_set(reterr, -ENOENT, "%s is not installed", m->program);
	r = ledger_open(&o, &l, reterr);
	if (!r)
		r = audit_open(log_size(m), &a, reterr);
	if (!r)
		r = mix_prepare(m);
	if (!r)
		r = mix_measure(m, seconds ? seconds : m->seconds, l, a, &res, reterr);
	mix_kill_all();
	audit_close(a);
	ledger_close(l);
	if (!r)
		*ret = res;
	return r;
}
