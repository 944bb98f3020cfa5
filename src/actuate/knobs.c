/* SPDX-License-Identifier: MIT */
/*
 * The knobs. Three dependencies between files shape the plans:
 * - cpu.idle 1 takes the weight away (v1 reads 3, v2 reads 0) and cpu.idle 0 resets it to default;
 *   while idle the weight can't be written at all. So idle carries the weight along.
 * - a quota below the burst is EINVAL: the burst goes first, and comes back last.
 * - on v1 period and quota are two files, and the kernel compares their ratio with that of the
 *   parent and the children on every write. Passing through "no quota" is always accepted.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "actuate/knob-lines.h"
#include "actuate/knobs.h"
#include "actuate/net-pace.h"
#include "actuate/original.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"

#define WEIGHT_MAX    10000
#define SHARES_MIN    2
#define PERIOD_MIN_US 1000
#define PERIOD_MAX_US 1000000
#define QUOTA_MIN_US  1000
#define NO_QUOTA      "-1"

struct knob_file_desc {
	const char *label;
	enum knob knob;
	enum cgroup_controller ctl;
	const char *v1, *v2;
};
#define X(id, label, knob, ctl, v1, v2) [KF_##id] = {label, knob, ctl, v1, v2},
static const struct knob_file_desc files[KF_NR] = {KNOB_FILES(X)};
#undef X

enum cgroup_controller knob_file_controller(enum knob_file f)
{
	return files[f].ctl;
}

enum knob knob_file_knob(enum knob_file f)
{
	return files[f].knob;
}

const char *knob_file_name(enum knob_file f, bool v2)
{
	return v2 ? files[f].v2 : files[f].v1;
}

const char *knob_file_label(enum knob_file f)
{
	return files[f].label;
}

int knob_file_by_label(const char *label, enum knob_file *ret)
{
	for (enum knob_file f = 0; f < KF_NR; f++)
		if (!strcmp(files[f].label, label)) {
			*ret = f;
			return 0;
		}
	return -EINVAL;
}

const char *knob_file_reset_text(enum knob_file f, bool v2)
{
	if (f != KF_WEIGHT)
		return "";
	return v2 ? "100" : "1024";
}

/* A removed cgroup has no files at all; one that merely lacks the knob has its cgroup.procs. */
static int absent(int dirfd)
{
	return faccessat(dirfd, "cgroup.procs", F_OK, 0) ? -ENOENT : -EOPNOTSUPP;
}

static int file_errno(int dirfd, int err)
{
	if (err == -ENOENT)
		return absent(dirfd);
	return err == -ENODEV ? -ENOENT : err; /* removed between open and access */
}

static bool is_lines(enum knob_file f)
{
	return f == KF_IO_MAX || f == KF_IO_READ || f == KF_IO_WRITE;
}

int knob_file_read(int dirfd, enum knob_file f, bool v2, char *buf, size_t size)
{
	const char *name = knob_file_name(f, v2);
	ssize_t n;

	if (!name)
		return -EOPNOTSUPP;
	/* v1's freezer.state also shows a frozen parent, and is FREEZING for a while: not our knob.
	 */
	if (f == KF_FREEZE && !v2)
		name = "freezer.self_freezing";
	if (is_lines(f))
		return file_errno(dirfd, lines_read(dirfd, name, buf, size));
	if (f == KF_NET)
		return file_errno(dirfd, net_pace_read(dirfd, buf, size));
	if (f == KF_LLC || f == KF_MEMBW)
		return cache_read(dirfd, f, buf, size);
	if (f == KF_OOM_PAUSE)
		return file_errno(dirfd, oom_pause_read(dirfd, name, buf, size));
	n = read_file_at(dirfd, name, buf, size);
	if (n < 0)
		return file_errno(dirfd, (int)n);
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int knob_file_write(int dirfd, enum knob_file f, bool v2, const char *text)
{
	const char *name = knob_file_name(f, v2);

	if (!name)
		return -EOPNOTSUPP;
	if (f == KF_FREEZE && !v2)
		text = strcmp(text, "1") ? "THAWED" : "FROZEN";
	if (is_lines(f))
		return file_errno(dirfd, lines_write(dirfd, name, v2, text));
	if (f == KF_NET)
		return net_pace_write(dirfd, text);
	if (f == KF_LLC || f == KF_MEMBW)
		return cache_write(dirfd, f, v2, text);
	if (f == KF_MEM_HIGH || f == KF_MEM_LIMIT)
		return file_errno(dirfd, memory_limit_write(dirfd, name, v2, text));
	return file_errno(dirfd, write_file_at(dirfd, name, *text ? text : "\n"));
}

static bool enabled(int dirfd, const char *controller)
{
	char list[512], *word, *rest = list;

	if (read_file_at(dirfd, "cgroup.controllers", list, sizeof(list)) < 0)
		return true; /* not known to be off */
	while ((word = strsep(&rest, " \n")))
		if (!strcmp(word, controller))
			return true;
	return false;
}

int knob_explain_missing(const struct knob_target *t, enum knob_file f, struct error *reterr)
{
	const char *name = knob_file_name(f, t->v2);
	static const char *const controllers[CG_NR] = {
	    [CG_CPU] = "cpu", [CG_CPUSET] = "cpuset", [CG_MEMORY] = "memory", [CG_IO] = "io"};
	const char *controller = controllers[files[f].ctl];

	if (!t->v2 || !controller || enabled(t->dirfd, controller))
		return error_set(reterr, -EOPNOTSUPP, "this kernel has no %s",
				 name ? name : files[f].label);
	error_set(reterr, -EOPNOTSUPP,
		  "%s has no %s: its parent does not enable the %s controller for its children",
		  t->path, name, controller);
	error_hint(reterr, "whoever owns the parent must write +%s to its cgroup.subtree_control",
		   controller);
	return -EOPNOTSUPP;
}

static int read_file(const struct knob_target *t, enum knob_file f, char *buf, size_t size,
		     struct error *reterr)
{
	int r = knob_file_read(t->dirfd, f, t->v2, buf, size);

	if (r == -EOPNOTSUPP)
		return knob_explain_missing(t, f, reterr);
	if (r < 0)
		return error_errno(reterr, r, "read %s of %s", knob_file_name(f, t->v2), t->path);
	return 0;
}

static int add(struct entry *e, const struct knob_target *t, enum knob_file f, const char *old,
	       const char *new)
{
	return entry_add(e, f, t->id, t->path, old, new);
}

int knob_pin_if_held(const struct knob_target *t, enum knob_file f, struct entry *e)
{
	char text[KNOB_TEXT_MAX];
	int r;

	if (!knob_file_name(f, t->v2) || !actuator_original(t->act, f, t->id))
		return 0;
	r = knob_file_read(t->dirfd, f, t->v2, text, sizeof(text));
	return r < 0 ? r : entry_pin(e, f, t->id, t->path, text);
}

/* Files that hold the canonical text as it is: cpu.idle, freeze, burst. */
static int get_file(const struct knob_target *t, enum knob_file f, char *buf, size_t size)
{
	return knob_file_read(t->dirfd, f, t->v2, buf, size);
}

static int plan_file(const struct knob_target *t, enum knob_file f, const char *to, struct entry *e,
		     struct error *reterr)
{
	int r = read_file(t, f, e->from, sizeof(e->from), reterr);

	return r < 0 ? r : add(e, t, f, e->from, to);
}

static bool bit_valid(const char *to)
{
	return !strcmp(to, "0") || !strcmp(to, "1");
}

/* cpu.idle */
static int idle_get(const struct knob_target *t, char *buf, size_t size)
{
	return get_file(t, KF_IDLE, buf, size);
}

static int idle_plan(const struct knob_target *t, const char *to, struct entry *e,
		     struct error *reterr)
{
	char weight[KNOB_TEXT_MAX];
	int r = read_file(t, KF_IDLE, e->from, sizeof(e->from), reterr);

	if (r < 0 || !strcmp(e->from, to))
		return r;
	if (!strcmp(to, "1")) {
		r = read_file(t, KF_WEIGHT, weight, sizeof(weight), reterr);
		if (r >= 0)
			r = add(e, t, KF_WEIGHT, weight, NULL);
	}
	return r < 0 ? r : add(e, t, KF_IDLE, e->from, to);
}

/* cpu.weight */
static bool weight_valid(const char *to)
{
	uint32_t w;

	return parse_u32(to, &w) >= 0 && w >= 1 && w <= WEIGHT_MAX;
}

static int weight_get(const struct knob_target *t, char *buf, size_t size)
{
	char native[KNOB_TEXT_MAX];
	uint64_t v;
	int r = knob_file_read(t->dirfd, KF_WEIGHT, t->v2, native, sizeof(native));

	if (r < 0)
		return r;
	r = parse_u64(native, &v);
	if (r < 0)
		return r;
	if (!t->v2)
		v = (v * 100 + 512) / 1024;
	v = v < 1 ? 1 : v > WEIGHT_MAX ? WEIGHT_MAX : v;
	return str_printf(buf, size, "%llu", (unsigned long long)v);
}

static int weight_plan(const struct knob_target *t, const char *to, struct entry *e,
		       struct error *reterr)
{
	char idle[KNOB_TEXT_MAX], old[KNOB_TEXT_MAX], new[KNOB_TEXT_MAX];
	uint64_t w;
	int r = read_file(t, KF_WEIGHT, old, sizeof(old), reterr);

	if (r >= 0)
		r = weight_get(t, e->from, sizeof(e->from));
	if (r >= 0)
		r = parse_u64(to, &w);
	if (r < 0)
		return r;
	if (knob_file_read(t->dirfd, KF_IDLE, t->v2, idle, sizeof(idle)) >= 0 && !strcmp(idle, "1"))
		return error_set(reterr, -EINVAL,
				 "%s is in the idle class (cpu.idle 1), where it has no weight",
				 t->path);
	if (!strcmp(e->from, to))
		return 0;
	if (!t->v2) {
		w = (w * 1024 + 50) / 100;
		w = w < SHARES_MIN ? SHARES_MIN : w;
	}
	snprintf(new, sizeof(new), "%llu", (unsigned long long)w);
	return add(e, t, KF_WEIGHT, old, new);
}

/* cpu.max: "max" or "QUOTA_US PERIOD_US" */
struct bandwidth {
	bool limited;
	uint64_t quota_us, period_us;
};

static int bandwidth_parse(const char *s, struct bandwidth *ret)
{
	char quota[32], period[32] = "";
	struct bandwidth b = {.limited = true};

	/* Scan widths guard the buffers; parse_u64 refuses signs and trailing text. */
	if (sscanf(s, "%31s %31s", quota, period) < 1)
		return -EINVAL;
	b.limited = strcmp(quota, "max") && strcmp(quota, NO_QUOTA);
	if (b.limited && (parse_u64(quota, &b.quota_us) < 0 || !period[0]))
		return -EINVAL;
	if (period[0] && parse_u64(period, &b.period_us) < 0)
		return -EINVAL;
	*ret = b;
	return 0;
}

static bool max_valid(const char *to)
{
	struct bandwidth b;

	if (!strcmp(to, "max"))
		return true;
	return bandwidth_parse(to, &b) >= 0 && b.limited && b.quota_us >= QUOTA_MIN_US &&
	       b.period_us >= PERIOD_MIN_US && b.period_us <= PERIOD_MAX_US;
}

static int bandwidth_read(const struct knob_target *t, struct bandwidth *ret, struct error *reterr)
{
	char text[KNOB_TEXT_MAX], period[32];
	int r;

	if (t->v2) {
		r = read_file(t, KF_MAX, text, sizeof(text), reterr);
		return r < 0 ? r : bandwidth_parse(text, ret);
	}
	r = read_file(t, KF_QUOTA, text, 32, reterr);
	if (r >= 0)
		r = read_file(t, KF_PERIOD, period, sizeof(period), reterr);
	if (r < 0)
		return r;
	snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", period);
	return bandwidth_parse(text, ret);
}

static int bandwidth_format(const struct bandwidth *b, char *buf, size_t size)
{
	if (!b->limited)
		return str_printf(buf, size, "max");
	return str_printf(buf, size, "%llu %llu", (unsigned long long)b->quota_us,
			  (unsigned long long)b->period_us);
}

static int max_get(const struct knob_target *t, char *buf, size_t size)
{
	struct bandwidth b;
	int r = bandwidth_read(t, &b, NULL);

	return r < 0 ? r : bandwidth_format(&b, buf, size);
}

static void quota_text(const struct bandwidth *b, bool v2, char buf[64])
{
	unsigned long long quota = b->quota_us, period = b->period_us;

	if (v2 && b->limited)
		snprintf(buf, 64, "%llu %llu", quota, period);
	else if (v2)
		snprintf(buf, 64, "max %llu", period);
	else if (b->limited)
		snprintf(buf, 64, "%llu", quota);
	else
		snprintf(buf, 64, NO_QUOTA);
}

static int add_bandwidth_v1(const struct knob_target *t, const struct bandwidth *old,
			    const struct bandwidth *new, struct entry *e)
{
	char before[64], after[64], p0[32], p1[32];
	int r = 0;

	quota_text(old, false, before);
	quota_text(new, false, after);
	if (old->period_us == new->period_us)
		return add(e, t, KF_QUOTA, before, after);
	snprintf(p0, sizeof(p0), "%llu", (unsigned long long)old->period_us);
	snprintf(p1, sizeof(p1), "%llu", (unsigned long long)new->period_us);
	r = add(e, t, KF_QUOTA, before, NO_QUOTA);
	if (r >= 0)
		r = add(e, t, KF_PERIOD, p0, p1);
	return r < 0 ? r : add(e, t, KF_QUOTA, NO_QUOTA, after);
}

/* The burst may not exceed the quota; where it need not change, an older action may yet change it.
 */
static int make_room_for_burst(const struct knob_target *t, const struct bandwidth *new,
			       struct entry *e)
{
	char burst[KNOB_TEXT_MAX], room[32];
	uint64_t burst_us;
	int r = knob_file_read(t->dirfd, KF_BURST, t->v2, burst, sizeof(burst));

	if (r == -EOPNOTSUPP)
		return 0;
	if (r >= 0)
		r = parse_u64(burst, &burst_us);
	if (r < 0)
		return r;
	if (!new->limited || burst_us <= new->quota_us)
		return knob_pin_if_held(t, KF_BURST, e);
	snprintf(room, sizeof(room), "%llu", (unsigned long long)new->quota_us);
	return add(e, t, KF_BURST, burst, room);
}

static int max_plan(const struct knob_target *t, const char *to, struct entry *e,
		    struct error *reterr)
{
	char before[64], after[64];
	struct bandwidth old, new;
	int r = bandwidth_read(t, &old, reterr);

	if (r >= 0)
		r = bandwidth_parse(to, &new);
	if (r >= 0)
		r = bandwidth_format(&old, e->from, sizeof(e->from));
	if (r < 0 || !strcmp(e->from, to))
		return r;
	if (!new.limited)
		new.period_us = old.period_us;
	r = make_room_for_burst(t, &new, e);
	if (r < 0)
		return r;
	if (!t->v2)
		return add_bandwidth_v1(t, &old, &new, e);
	quota_text(&old, true, before);
	quota_text(&new, true, after);
	return add(e, t, KF_MAX, before, after);
}

/* cpu.burst */
static bool burst_valid(const char *to)
{
	uint64_t us;

	return parse_u64(to, &us) >= 0;
}

static int burst_get(const struct knob_target *t, char *buf, size_t size)
{
	return get_file(t, KF_BURST, buf, size);
}

static int burst_plan(const struct knob_target *t, const char *to, struct entry *e,
		      struct error *reterr)
{
	struct bandwidth b;
	uint64_t us;
	int r = bandwidth_read(t, &b, reterr);

	if (r >= 0)
		r = parse_u64(to, &us);
	if (r < 0)
		return r;
	if (b.limited && us > b.quota_us)
		return error_set(reterr, -EINVAL,
				 "a burst of %llu us is above the quota of %s, %llu us",
				 (unsigned long long)us, t->path, (unsigned long long)b.quota_us);
	for (enum knob_file f = KF_QUOTA; f <= KF_MAX && r >= 0; f++)
		r = knob_pin_if_held(t, f, e);
	return r < 0 ? r : plan_file(t, KF_BURST, to, e, reterr);
}

/* freeze */
static int freeze_get(const struct knob_target *t, char *buf, size_t size)
{
	return get_file(t, KF_FREEZE, buf, size);
}

static int freeze_plan(const struct knob_target *t, const char *to, struct entry *e,
		       struct error *reterr)
{
	return plan_file(t, KF_FREEZE, to, e, reterr);
}

const struct knob_desc knob_descs[KNOB_NR] = {
    [KNOB_CPU_IDLE] = {CG_CPU, idle_get, idle_plan, NULL, bit_valid, "0 or 1"},
    [KNOB_CPU_WEIGHT] = {CG_CPU, weight_get, weight_plan, NULL, weight_valid, "1 to 10000"},
    [KNOB_CPUSET] = {CG_CPUSET, cpuset_get, cpuset_plan, cpuset_check, cpuset_valid,
		     "a list of CPUs"},
    [KNOB_CPU_MAX] = {CG_CPU, max_get, max_plan, NULL, max_valid,
		      "\"max\" or \"QUOTA_US PERIOD_US\" (at least 1000, 1000 to 1000000)"},
    [KNOB_CPU_BURST] = {CG_CPU, burst_get, burst_plan, NULL, burst_valid, "microseconds"},
    [KNOB_MEMORY_HIGH] = {CG_MEMORY, memory_high_get, memory_high_plan, NULL, limit_valid, "bytes"},
    [KNOB_IO_MAX] = {CG_IO, io_max_get, io_max_plan, NULL, limit_valid, "bytes a second"},
    [KNOB_NET_MAX] = {CG_UNIFIED, net_max_get, net_max_plan, NULL, net_max_valid,
		      "\"BYTES INTERFACE\" (at least 1024 a second)"},
    [KNOB_LLC] = {CG_CPU, llc_get, llc_plan, NULL, cache_valid, "\"max\" or a number of ways"},
    [KNOB_MEMBW] = {CG_CPU, membw_get, membw_plan, NULL, cache_valid, "\"max\" or percent"},
    [KNOB_FREEZE] = {CG_FREEZER, freeze_get, freeze_plan, NULL, bit_valid, "0 or 1"},
};
