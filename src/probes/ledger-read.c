/* SPDX-License-Identifier: MIT */
/* Reading the wait ledger: mapped memory, no system call a cell. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "probes/ledger-private.h"
#include "ledger.skel.h"

static const struct {
	enum ledger_slot slot;
	enum cause cause;
} slot_causes[] = {
    {SLOT_UNKNOWN, CAUSE_UNKNOWN},     {SLOT_IDLE, CAUSE_IDLE}, {SLOT_KERNEL, CAUSE_KERNEL},
    {SLOT_HOST, CAUSE_HOST},	       {SLOT_SELF, CAUSE_SELF}, {SLOT_GONE, CAUSE_NEIGHBOUR},
    {SLOT_THROTTLED, CAUSE_THROTTLED},
};

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static uint64_t own_ns(const struct ledger *l, int v, enum ledger_slot slot)
{
	uint64_t sum = load(&l->cells[(size_t)v * l->max_slots + slot]);

	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++)
		sum += load(&l->cpus[cpu].own_ns[slot][v]);
	return sum;
}

static int32_t busiest_cpu(const struct ledger *l, int v)
{
	uint64_t most = 0;
	int32_t best = -1;

	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++) {
		uint64_t ns = load(&l->cpus[cpu].wait_ns[v]);

		if (ns > most) {
			most = ns;
			best = (int32_t)cpu;
		}
	}
	return best;
}

static void cell_fill(struct ledger_cell *cell, const struct ledger_slot_info *info, uint64_t ns)
{
	cell->culprit_id = info->zone_id;
	cell->ns = ns;
	cell->pid = info->pid;
	cell->cpu = info->pid ? info->cpu : -1;
	memcpy(cell->comm, info->comm, sizeof(cell->comm));
	cell->comm[sizeof(cell->comm) - 1] = '\0';
}

static size_t smallest(const struct ledger_cell *cells, size_t nr)
{
	size_t best = 0;

	for (size_t i = 1; i < nr; i++)
		if (cells[i].ns < cells[best].ns)
			best = i;
	return best;
}

static int compare_cells(const void *a, const void *b)
{
	uint64_t x = ((const struct ledger_cell *)a)->ns, y = ((const struct ledger_cell *)b)->ns;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Keeps the `max` largest; returns what no longer fits. */
static uint64_t keep_largest(struct ledger_cell *parts, size_t max, size_t *nr,
			     const struct ledger_cell *cell)
{
	uint64_t out;
	size_t i;

	if (*nr < max) {
		parts[(*nr)++] = *cell;
		return 0;
	}
	i = max ? smallest(parts, max) : 0;
	if (!max || parts[i].ns >= cell->ns)
		return cell->ns;
	out = parts[i].ns;
	parts[i] = *cell;
	return out;
}

int ledger_read(struct ledger *l, uint64_t zone_id, struct ledger_totals *ret,
		struct ledger_cell *parts, size_t max)
{
	struct ledger_totals t = {0};
	uint32_t used = l->skel->data->next_slot;
	int v = ledger_find(l, zone_id);
	const uint64_t *row;

	if (v < 0)
		return v;
	row = l->cells + (size_t)v * l->max_slots;
	for (size_t i = 0; i < ARRAY_SIZE(slot_causes); i++)
		t.cause_ns[slot_causes[i].cause] += own_ns(l, v, slot_causes[i].slot);
	for (uint32_t s = SLOT_FIRST; s < used && s < l->max_slots; s++) {
		uint64_t ns = load(&row[s]), out;
		struct ledger_cell cell;

		if (!ns)
			continue;
		cell_fill(&cell, &l->slots[s], ns);
		out = keep_largest(parts, max, &t.nr_parts, &cell);
		t.cause_ns[CAUSE_NEIGHBOUR] += ns - out;
		t.cause_ns[CAUSE_UNKNOWN] += out;
	}
	qsort(parts, t.nr_parts, sizeof(*parts), compare_cells);
	for (int c = 0; c < CAUSE_NR; c++)
		t.wait_ns += t.cause_ns[c];
	for (unsigned int b = 0; b < LEDGER_BUCKETS; b++)
		t.waits += load(&l->hist[(size_t)v * LEDGER_BUCKETS + b]);
	t.busiest_cpu = busiest_cpu(l, v);
	*ret = t;
	return 0;
}

int ledger_hist(struct ledger *l, uint64_t zone_id, uint64_t counts[LEDGER_BUCKETS])
{
	int v = ledger_find(l, zone_id);

	if (v < 0)
		return v;
	for (unsigned int b = 0; b < LEDGER_BUCKETS; b++)
		counts[b] = load(&l->hist[(size_t)v * LEDGER_BUCKETS + b]);
	return 0;
}

uint64_t ledger_bucket_ns(unsigned int bucket)
{
	unsigned int e = bucket / 8 + 2;

	if (bucket < 16)
		return bucket;
	return ((uint64_t)(8 + bucket % 8 + 1) << (e - 3)) - 1;
}

static void add_run_time(const struct bpf_program *prog, struct ledger_health *h)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	int fd = bpf_program__fd(prog);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
		return;
	h->run_time_ns_total += info.run_time_ns;
	h->run_count_total += info.run_cnt;
}

void ledger_health(struct ledger *l, struct ledger_health *ret)
{
	const uint64_t *c = (const uint64_t *)l->skel->bss->counters;
	struct bpf_program *prog;

	*ret = (struct ledger_health){
	    .events_lost_total = load(&c[COUNTER_EVENTS_LOST]),
	    .storage_failed_total = load(&c[COUNTER_STORAGE_FAILED]),
	    .waiters_overflow_total = load(&c[COUNTER_WAITERS_OVERFLOW]),
	    .slots_overflow_total = load(&c[COUNTER_SLOTS_OVERFLOW]),
	    .missed_switches_total = load(&c[COUNTER_MISSED_SWITCHES]),
	    .clock_backwards_total = load(&c[COUNTER_CLOCK_BACKWARDS]),
	    .stale_waiters_total = load(&c[COUNTER_STALE_WAITERS]),
	    .late_waits_total = load(&c[COUNTER_LATE_WAITS]),
	    .timers_failed_total = load(&c[COUNTER_TIMER_FAILED]),
	    .irq_split = l->irq_split,
	    .steal_split = l->steal_split,
	    .throttle_exact = l->throttle_exact,
	};
	bpf_object__for_each_program(prog, l->skel->obj) add_run_time(prog, ret);
}

int ledger_measure(struct ledger *l, bool on)
{
	if (!on)
		return close_fd(&l->stats_fd);
	if (l->stats_fd >= 0)
		return 0;
	l->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return l->stats_fd < 0 ? -errno : 0;
}
