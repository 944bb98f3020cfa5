/* SPDX-License-Identifier: MIT */
/*
 * What the kernel did to a zone's memory: reclaim, refaults, faults, OOM kills, swap, and its
 * limits. memory.stat is dear (some 7 us), so it is read every tick for protected zones only, every
 * slow_every ticks for best-effort ones (every tick while the host is short of memory) and those
 * above protected ones, and now and then for others (every slow_every ticks while it is short).
 * Limits of protected zones are read every tick: a stall must not be laid at others' door because
 * its own limit has not been seen yet.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/text.h"
#include "probes/internal.h"

#define NORMAL_ROUNDS 6 /* slow rounds between two looks at other zones, and at limits */

struct reclaim {
	unsigned int next; /* of parts, in the zone being read */
	bool limits;	   /* to be read too, this time */
};

static int read_stat(struct probes *p, struct probe_zone *z)
{
	struct cgroup_mem_stat s;
	char buf[8192];
	ssize_t n = kept_read(p, z, CGF_MEM_STAT, buf, sizeof(buf));
	int r =
	    n < 0 ? (int)n : cgroup_mem_stat_parse(cgroup_file_v2(p->fs, CGF_MEM_STAT), buf, &s);

	if (r < 0)
		return r;
	z->row.memory_span_ns = probe_span(p, &z->stat_ns);
	row_set_known(&z->row, ZM_MEM_ANON_BYTES, s.anon_bytes);
	row_set_known(&z->row, ZM_MEM_FILE_BYTES, s.file_bytes);
	row_set_known(&z->row, ZM_MEM_SWAP_BYTES, s.swap_bytes);
	row_set_known(&z->row, ZM_MEM_FAULTS, s.faults);
	row_set_known(&z->row, ZM_MEM_MAJOR_FAULTS, s.major_faults);
	row_set_known(&z->row, ZM_MEM_REFAULT_PAGES, s.refault_pages);
	row_set_known(&z->row, ZM_MEM_SCANNED_PAGES, s.scanned_pages);
	row_set_known(&z->row, ZM_MEM_RECLAIMED_PAGES, s.reclaimed_pages);
	return 0;
}

static int read_events(struct probes *p, struct probe_zone *z)
{
	struct cgroup_mem_events e;
	char buf[512];
	ssize_t n = kept_read(p, z, CGF_MEM_EVENTS, buf, sizeof(buf));
	int r = n < 0 ? (int)n : cgroup_mem_events_parse(buf, &e);

	if (r < 0)
		return r;
	row_set_known(&z->row, ZM_MEM_HIGH_EVENTS, e.high);
	row_set_known(&z->row, ZM_MEM_MAX_EVENTS, e.max);
	row_set_known(&z->row, ZM_MEM_OOM_KILLS, e.oom_kills);
	return 0;
}

static int read_number(struct probes *p, struct probe_zone *z, enum cgroup_file f,
		       enum zone_metric m)
{
	uint64_t value;
	char buf[64];
	ssize_t n;
	int r;

	if (!cgroup_file_exists(p->fs, f))
		return 0;
	n = kept_read(p, z, f, buf, sizeof(buf));
	r = n < 0 ? (int)n : text_u64(buf, &value);
	if (r == 0)
		row_set(&z->row, m, value);
	return r;
}

static int read_failed(struct probes *p, struct probe_zone *z)
{
	return read_number(p, z, CGF_MEM_FAILED, ZM_MEM_MAX_EVENTS);
}

static int read_swap(struct probes *p, struct probe_zone *z)
{
	return read_number(p, z, CGF_MEM_SWAP, ZM_MEM_SWAP_BYTES);
}

static int read_limit(struct probes *p, struct probe_zone *z, enum cgroup_file f,
		      enum zone_metric m)
{
	uint64_t bytes;
	char buf[64];
	ssize_t n = kept_read(p, z, f, buf, sizeof(buf));
	int r = n < 0 ? (int)n : cgroup_mem_limit_parse(cgroup_file_v2(p->fs, f), buf, &bytes);

	if (r < 0)
		return r;
	z->row.valid &= ~METRIC_BIT(m);
	row_set_known(&z->row, m, bytes);
	return 0;
}

static int read_max(struct probes *p, struct probe_zone *z)
{
	return read_limit(p, z, CGF_MEM_MAX, ZM_MEM_LIMIT_BYTES);
}

static int read_high(struct probes *p, struct probe_zone *z)
{
	return read_limit(p, z, CGF_MEM_HIGH, ZM_MEM_HIGH_BYTES);
}

/* In this order; limits last, and less often. */
static int (*const parts[])(struct probes *p, struct probe_zone *z) = {
    read_stat, read_events, read_failed, read_swap, read_max, read_high,
};
#define PARTS	     (sizeof(parts) / sizeof(parts[0]))
#define PARTS_COUNTS 4

static int reclaim_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (!cgroup_file_exists(p->fs, CGF_MEM_STAT)) {
		snprintf(why, size, "the memory controller is not mounted");
		return -EOPNOTSUPP;
	}
	*ret_state = calloc(1, sizeof(struct reclaim));
	return *ret_state ? 0 : -ENOMEM;
}

static uint32_t counts_every(const struct probes *p, const struct probe_zone *z)
{
	bool squeezed = probe_stalled(p, p->squeezed_tick);

	if (z->interest == PROBE_PROTECTED)
		return 1;
	if (z->interest == PROBE_NORMAL && !z->protected_below)
		return p->slow_every * (squeezed ? 1 : NORMAL_ROUNDS);
	return squeezed ? 1 : p->slow_every;
}

static int reclaim_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct reclaim *s = state;
	bool known = z->row.valid & METRIC_BIT(ZM_MEM_FAULTS);
	int r;

	if (!z->parent || (s->next == 0 && known && !probe_turn(p, z, counts_every(p, z))))
		return 0;
	if (s->next == 0)
		s->limits = !known || z->interest != PROBE_BE || probe_turn(p, z, p->slow_every);
	r = parts[s->next](p, z);
	if (r == -ENOENT && s->next > 0)
		r = 0; /* no swap accounting, no soft limit */
	if (r == 0 && ++s->next < (s->limits ? PARTS : PARTS_COUNTS))
		return 1;
	s->next = 0;
	return r;
}

static void reclaim_begin(void *state, struct probes *p)
{
	((struct reclaim *)state)->next = 0;
}

static void reclaim_forget(void *state, const struct probe_zone *z)
{
	((struct reclaim *)state)->next = 0; /* a zone read half will be read again */
}

const struct probe probe_reclaim = {
    .name = "reclaim",
    .summary = "reclaim, refaults, faults, OOM kills, swap and limits of a zone's memory",
    .needs = "memory controller",
    .when = WHEN_ACTIVE,
    .metrics = METRIC_BIT(ZM_MEM_ANON_BYTES) | METRIC_BIT(ZM_MEM_FILE_BYTES) |
	       METRIC_BIT(ZM_MEM_SWAP_BYTES) | METRIC_BIT(ZM_MEM_LIMIT_BYTES) |
	       METRIC_BIT(ZM_MEM_HIGH_BYTES) | METRIC_BIT(ZM_MEM_FAULTS) |
	       METRIC_BIT(ZM_MEM_MAJOR_FAULTS) | METRIC_BIT(ZM_MEM_REFAULT_PAGES) |
	       METRIC_BIT(ZM_MEM_SCANNED_PAGES) | METRIC_BIT(ZM_MEM_RECLAIMED_PAGES) |
	       METRIC_BIT(ZM_MEM_HIGH_EVENTS) | METRIC_BIT(ZM_MEM_MAX_EVENTS) |
	       METRIC_BIT(ZM_MEM_OOM_KILLS),
    .open = reclaim_open,
    .close = free,
    .read = reclaim_read,
    .begin = reclaim_begin,
    .forget = reclaim_forget,
};
