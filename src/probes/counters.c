/* SPDX-License-Identifier: MIT */
/*
 * Hardware counters per zone: one set a CPU, read by BPF where one zone gives way to another
 * (src/bpf/counters.bpf.c). Before each tick the CPUs on which the same zone runs on and on are
 * read too, by an interrupt to each; idle ones are left alone.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "kernel/procfs.h"
#include "probes/pmc.h"
#include "probes/zone-sums.h"

#include "counters.skel.h"

#define FLUSHES_A_TICK 64

/* What was read of a zone, and of its row what the quotients were made of last. */
struct counted {
	struct pmc_sums last;
	uint64_t told[PMC_NR];
	uint64_t enabled_ns, running_ns; /* since then, of it and of those below it */
};

struct counters {
	struct counters_bpf *skel;
	int flush_fd;
	uint32_t nr_cpus, next_cpu, present;
	int *leaders; /* [CPU][group]: fds that keep the counters; -1 */
	unsigned int nr_possible;
	struct pmc_sums *values; /* [nr_possible] */
	struct hash zones;	 /* id -> struct counted */
	uint64_t missed;
	unsigned long long lost_seen;
};

static const enum zone_metric metrics[PMC_NR] = {
    [PMC_REF_CYCLES] = ZM_REF_CYCLES, [PMC_INSTRUCTIONS] = ZM_INSTRUCTIONS,
    [PMC_CYCLES] = ZM_CYCLES,	      [PMC_LLC_REFERENCES] = ZM_LLC_REFERENCES,
    [PMC_LLC_MISSES] = ZM_LLC_MISSES,
};

static void counters_close(void *state)
{
	struct counters *s = state;

	if (!s)
		return;
	counters_bpf__destroy(s->skel);
	for (size_t i = 0; s->leaders && i < (size_t)s->nr_cpus * PMC_GROUPS; i++)
		close_fd(&s->leaders[i]);
	hash_for_each(&s->zones, e)
		free(e->value);
	hash_done(&s->zones);
	free(s->leaders);
	free(s->values);
	free(s);
}
DEFINE_CLEANUP(void *, counters_close)

static int refused(int err, char *why, size_t size)
{
	if (err == -ENOMEM)
		return err;
	if (err == -EACCES || err == -EPERM)
		snprintf(why, size, "counting is not allowed: it needs CAP_PERFMON, or root");
	else if (err == -EMFILE || err == -ENFILE)
		snprintf(why, size, "there are not enough file descriptors for the counters");
	else
		snprintf(why, size, "no hardware counters: the CPU, or the hypervisor, gives none");
	return -EOPNOTSUPP;
}

static int load(struct counters *s, char *why, size_t size)
{
	int r;

	s->skel = counters_bpf__open();
	if (!s->skel)
		return bpf_refused(-errno, why, size);
	s->skel->rodata->present = s->present;
	for (uint32_t g = 0; g < PMC_GROUPS; g++)
		s->skel->rodata->leaders[g] = pmc_leader(s->present, g);
	r = bpf_map__set_max_entries(s->skel->maps.events, s->nr_cpus * PMC_NR);
	if (r == 0)
		r = counters_bpf__load(s->skel);
	return r < 0 ? bpf_refused(r, why, size) : 0;
}

/* The map keeps the counters, so only those that lead a group stay open here. */
static int hand_over(struct counters *s, uint32_t cpu, int fd[PMC_NR])
{
	int r = 0;

	for (uint32_t e = 0; e < PMC_NR && r == 0; e++) {
		uint32_t key = cpu * PMC_NR + e;

		if (fd[e] >= 0)
			r = bpf_map_update_elem(bpf_map__fd(s->skel->maps.events), &key, &fd[e],
						BPF_ANY);
	}
	for (uint32_t g = 0; g < PMC_GROUPS; g++) {
		uint32_t leader = pmc_leader(s->present, g);

		if (leader < PMC_NR)
			s->leaders[cpu * PMC_GROUPS + g] = TAKE_FD(fd[leader]);
	}
	return r;
}

/* Which counters there are is what the first CPU has that is online. */
static int open_cpu(struct counters *s, const struct pmc_event *events, uint32_t cpu, char *why,
		    size_t size)
{
	int fd[PMC_NR], r;
	uint32_t present;

	r = pmc_open_cpu(events, cpu, fd, &present);
	if (r == -ENODEV || (r == -EOPNOTSUPP && s->present))
		return 0;
	if (r < 0)
		return refused(r, why, size);
	if (!s->present) {
		s->present = present;
		r = load(s, why, size);
	}
	if (r == 0) {
		r = hand_over(s, cpu, fd);
		r = r < 0 ? bpf_refused(r, why, size) : 0;
	}
	pmc_close(fd);
	return r;
}

/* Opened is not counted: others may hold all counters, or the hypervisor may count nothing. */
static bool any_runs(const struct counters *s)
{
	for (size_t i = 0; i < (size_t)s->nr_cpus * PMC_GROUPS; i++) {
		struct pmc_reading r;

		if (s->leaders[i] >= 0 && pmc_read(s->leaders[i], &r) == 0 && r.running_ns)
			return true;
	}
	return false;
}

static int attach(struct counters *s, char *why, size_t size)
{
	if (!s->skel)
		return refused(-ENODEV, why, size);
	if (!any_runs(s)) {
		snprintf(why, size, "the counters are all in use by others, or count nothing");
		return -EOPNOTSUPP;
	}
	s->flush_fd = bpf_program__fd(s->skel->progs.flush);
	s->skel->links.on_switch = bpf_program__attach(s->skel->progs.on_switch);
	return s->skel->links.on_switch ? 0 : bpf_refused(-errno, why, size);
}

static int make_room(struct counters *s, const struct probes *p)
{
	int nr_possible = libbpf_num_possible_cpus();
	struct topology t;
	int r = topology_read(p->k, &t);

	if (r < 0 || nr_possible < 1)
		return r < 0 ? r : -EOPNOTSUPP;
	s->nr_cpus = t.nr_cpus < PMC_CPUS_MAX ? t.nr_cpus : PMC_CPUS_MAX;
	topology_done(&t);
	s->nr_possible = (unsigned int)nr_possible;
	s->values = calloc(s->nr_possible, sizeof(*s->values));
	s->leaders = malloc(sizeof(*s->leaders) * s->nr_cpus * PMC_GROUPS);
	if (!s->values || !s->leaders)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)s->nr_cpus * PMC_GROUPS; i++)
		s->leaders[i] = -1;
	return 0;
}

static int open_all(struct counters *s, const struct probes *p, char *why, size_t size)
{
	const struct pmc_event *events = p->software_counters ? pmc_software : pmc_hardware;
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	int r = 0;

	for (uint32_t cpu = 0; cpu < s->nr_cpus && r == 0; cpu++)
		r = open_cpu(s, events, cpu, why, size);
	if (r == 0)
		r = attach(s, why, size);
	libbpf_set_print(print);
	return r;
}

static int counters_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	static const char *const hooks[] = {"sched_switch"};
	_cleanup_(counters_closep) void *state = NULL;
	struct counters *s;
	int r = bpf_hooks_check(hooks, ARRAY_SIZE(hooks), why, size);

	if (r < 0)
		return r;
	state = s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = make_room(s, p);
	if (r == 0)
		r = open_all(s, p, why, size);
	else if (r != -ENOMEM)
		snprintf(why, size, "the CPUs are not known");
	if (r < 0)
		return r;
	*ret_state = TAKE_PTR(state);
	return 0;
}

/* In turn, where there are many. */
static void counters_begin(void *state, struct probes *p)
{
	struct counters *s = state;
	uint32_t left = FLUSHES_A_TICK;

	for (uint32_t i = 0; i < s->nr_cpus && left; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, o, .flags = BPF_F_TEST_RUN_ON_CPU,
			    .cpu = s->next_cpu);

		if (*(volatile unsigned long long *)&s->skel->bss->cpus[s->next_cpu].zone) {
			(void)bpf_prog_test_run_opts(s->flush_fd, &o);
			left--;
		}
		s->next_cpu = (s->next_cpu + 1) % s->nr_cpus;
	}
}

/* A row may be older than this: forget() is also called where a zone is read in another way from
 * now on. */
static struct counted *counted_of(struct counters *s, const struct probe_zone *z)
{
	struct counted *c = hash_get(&s->zones, z->id);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c || hash_put(&s->zones, z->id, c) < 0) {
		free(c);
		return NULL;
	}
	for (uint32_t e = 0; e < PMC_NR; e++)
		if (z->row.valid & METRIC_BIT(metrics[e]))
			c->told[e] = z->row.value[metrics[e]];
	return c;
}

static void add_up(struct counters *s, struct probe_zone *z, const uint64_t more[PMC_NR],
		   uint64_t enabled_ns, uint64_t running_ns, uint32_t of)
{
	for (struct probe_zone *up = z; up; up = up->parent) {
		struct counted *c = counted_of(s, up);

		for (uint32_t e = 0; e < PMC_NR; e++)
			if (of & (1u << e))
				row_add(&up->row, metrics[e], more[e]);
		if (!c)
			continue;
		c->enabled_ns += enabled_ns;
		c->running_ns += running_ns;
	}
}

static void add_own(struct counters *s, struct probe_zone *z, struct counted *c)
{
	struct pmc_sums now = {0};

	for (unsigned int cpu = 0; cpu < s->nr_possible; cpu++)
		for (uint32_t f = 0; f < PMC_FIELDS; f++)
			now.v[f] += s->values[cpu].v[f];
	for (uint32_t g = 0; g < PMC_GROUPS; g++) {
		uint32_t of =
		    g == PMC_GROUP_CORE ? (1u << PMC_FIRST_OF_LLC) - 1 : ~0u << PMC_FIRST_OF_LLC;
		uint64_t more[PMC_NR], enabled_ns, running_ns;

		if (pmc_grown(&now, &c->last, g, more, &enabled_ns, &running_ns))
			add_up(s, z, more, enabled_ns, running_ns, of & s->present);
	}
}

static void row_quotient(struct zone_row *row, enum zone_metric m, uint64_t ppm)
{
	if (ppm != UINT64_MAX)
		row_set(row, m, ppm);
	else
		row_unset(row, m);
}

/* Of what came since the last time; for a zone with others in it, that of theirs as of their last
 * reading. */
static void quotients(const struct counters *s, struct probe_zone *z, struct counted *c)
{
	uint64_t grown[PMC_NR] = {0};
	struct pmc_rates rates;

	for (uint32_t e = 0; e < PMC_NR; e++) {
		if (!(s->present & (1u << e)))
			continue;
		row_add(&z->row, metrics[e], 0);
		grown[e] = z->row.value[metrics[e]] - c->told[e];
		c->told[e] = z->row.value[metrics[e]];
	}
	pmc_rates(grown, s->present, &rates);
	row_quotient(&z->row, ZM_CPI_PPM, rates.cpi_ppm);
	row_quotient(&z->row, ZM_IPC_PPM, rates.ipc_ppm);
	row_quotient(&z->row, ZM_LLC_MPKI_PPM, rates.mpki_ppm);
	row_quotient(&z->row, ZM_LLC_MISS_PPM, rates.miss_ppm);
	row_quotient(&z->row, ZM_COUNTED_PPM,
		     c->enabled_ns
			 ? (uint64_t)((unsigned __int128)c->running_ns * 1000000 / c->enabled_ns)
			 : UINT64_MAX);
	c->enabled_ns = c->running_ns = 0;
}

static int counters_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct counters *s = state;
	struct counted *c = counted_of(s, z);
	int r = bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.sums), &z->id, s->values);

	if (!c || (r < 0 && r != -ENOENT))
		return c ? r : -ENOMEM;
	if (r == 0)
		add_own(s, z, c);
	quotients(s, z, c);
	return 0;
}

/* What could not be counted is said, never guessed. */
static void counters_end(void *state, struct probes *p)
{
	struct counters *s = state;
	uint64_t missed = bpf_missed(s->skel->obj);

	if (missed != s->missed || s->skel->bss->lost != s->lost_seen)
		p->stats.errors_total++;
	s->missed = missed;
	s->lost_seen = s->skel->bss->lost;
}

static void counters_forget(void *state, const struct probe_zone *z)
{
	struct counters *s = state;

	free(hash_remove(&s->zones, z->id));
	(void)bpf_map_delete_elem(bpf_map__fd(s->skel->maps.sums), &z->id);
}

const struct probe probe_counters = {
    .name = "counters",
    .summary = "cycles, instructions and cache misses of a zone, and CPI by them",
    .needs = "hardware counters (PMU), BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics = METRIC_BIT(ZM_REF_CYCLES) | METRIC_BIT(ZM_INSTRUCTIONS) | METRIC_BIT(ZM_CYCLES) |
	       METRIC_BIT(ZM_LLC_REFERENCES) | METRIC_BIT(ZM_LLC_MISSES) | METRIC_BIT(ZM_CPI_PPM) |
	       METRIC_BIT(ZM_IPC_PPM) | METRIC_BIT(ZM_LLC_MPKI_PPM) | METRIC_BIT(ZM_LLC_MISS_PPM) |
	       METRIC_BIT(ZM_COUNTED_PPM),
    .open = counters_open,
    .close = counters_close,
    .begin = counters_begin,
    .read = counters_read,
    .end = counters_end,
    .forget = counters_forget,
};
