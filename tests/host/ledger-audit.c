/* SPDX-License-Identifier: MIT */
#include "ledger-audit.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "bpf/audit.h"
#include "audit.skel.h"

struct audit {
	struct audit_bpf *skel;
	struct audit_record *records;
	uint32_t max_records;
	uint64_t base_ns;
};

DEFINE_CLEANUP(struct audit *, audit_close)

/* One stretch of a CPU in which tasks of one zone ran. */
struct stretch {
	uint64_t start_ns, end_ns;
	uint32_t zone;
	double irq, steal; /* fractions of it */
};
struct timeline {
	struct stretch *list;
	size_t nr, cap;
	size_t since_switch; /* stretches after the last switch record begin here */
};
struct waiter {
	uint64_t since_ns;
	uint32_t cpu;
	bool asleep; /* by run_delay */
};
struct replay {
	struct timeline *cpus;
	uint32_t nr_cpus;
	struct audit_share *shares;
	size_t nr_shares;
	uint64_t waits, uncounted_ns;
	const struct audit *audit;
};

int audit_open(uint32_t max_records, struct audit **ret, struct error *reterr)
{
	_cleanup_(audit_closep) struct audit *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->max_records = max_records;
	a->skel = audit_bpf__open();
	if (!a->skel)
		return error_errno(reterr, -errno, "open the audit's BPF object");
	a->skel->rodata->max_records = max_records;
	r = bpf_map__set_max_entries(a->skel->maps.records, max_records);
	if (!r)
		r = audit_bpf__load(a->skel);
	if (!r)
		r = audit_bpf__attach(a->skel);
	if (r)
		return error_errno(reterr, r, "load the audit's BPF programs");
	a->records = mmap(NULL, sizeof(*a->records) * max_records, PROT_READ | PROT_WRITE,
			  MAP_SHARED, bpf_map__fd(a->skel->maps.records), 0);
	if (a->records == MAP_FAILED) {
		a->records = NULL;
		return error_errno(reterr, -errno, "map the audit's log");
	}
	*ret = TAKE_PTR(a);
	return 0;
}

void audit_close(struct audit *a)
{
	if (!a)
		return;
	if (a->records)
		munmap(a->records, sizeof(*a->records) * a->max_records);
	audit_bpf__destroy(a->skel);
	free(a);
}

static bool is_watched(const struct audit *a, uint32_t zone)
{
	for (int i = 0; i < AUDIT_ZONES_MAX; i++)
		if (a->skel->bss->watched[i] == zone)
			return true;
	return false;
}

/* Returns how many watched tasks there are. */
static int live_run_delay(struct audit *a, uint64_t *ret_ns)
{
	int nr = 0;
	_cleanup_close_ int link = -1, fd = -1;
	struct audit_task task;
	uint64_t sum = 0;
	ssize_t n;

	link =
	    bpf_link_create(bpf_program__fd(a->skel->progs.audit_tasks), 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return link;
	fd = bpf_iter_create(link);
	if (fd < 0)
		return fd;
	for (; (n = read(fd, &task, sizeof(task))) == (ssize_t)sizeof(task); nr++)
		sum += task.run_delay_ns;
	if (n)
		return n < 0 ? -errno : -EIO;
	*ret_ns = sum;
	return nr;
}

static size_t nr_records(const struct audit *a)
{
	uint64_t nr = a->skel->bss->nr_records;

	return nr < a->max_records ? nr : a->max_records;
}

int audit_start(struct audit *a, const uint64_t *zones, size_t nr)
{
	int r;

	if (nr > AUDIT_ZONES_MAX)
		return -EINVAL;
	a->skel->bss->enabled = 0;
	for (size_t i = 0; i < AUDIT_ZONES_MAX; i++)
		a->skel->bss->watched[i] = i < nr ? (uint32_t)zones[i] : 0;
	memset(a->records, 0, sizeof(*a->records) * nr_records(a));
	a->skel->bss->nr_records = 0;
	a->skel->bss->nr_lost = 0;
	a->skel->bss->enabled = 1;
	r = live_run_delay(a, &a->base_ns);
	return r < 0 ? r : 0;
}

void audit_stop(struct audit *a)
{
	struct timespec ms = {.tv_nsec = 1000000};
	uint64_t unused;

	for (int i = 0; i < 10000 && live_run_delay(a, &unused) > 0; i++)
		nanosleep(&ms, NULL);
	a->skel->bss->enabled = 0;
}

static unsigned int kind_of(const struct audit_record *r)
{
	return r->kind_flags & 255;
}

static unsigned int flags_of(const struct audit_record *r)
{
	return r->kind_flags >> 8;
}

int audit_run_delay(struct audit *a, uint64_t *ret_ns)
{
	uint64_t sum;
	int r = live_run_delay(a, &sum);

	if (r < 0)
		return r;
	if (a->skel->bss->nr_lost)
		return -EOVERFLOW;
	for (size_t i = 0; i < nr_records(a); i++)
		if (kind_of(&a->records[i]) == AUDIT_DEAD)
			sum += a->records[i].ns;
	*ret_ns = sum - a->base_ns;
	return 0;
}

static int timeline_add(struct timeline *t, const struct stretch *s)
{
	if (t->nr == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 1024;
		struct stretch *list = realloc(t->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		t->list = list;
		t->cap = cap;
	}
	t->list[t->nr++] = *s;
	return 0;
}

static uint32_t runner_zone(const struct audit *a, const struct audit_record *r)
{
	bool seen = kind_of(r) == AUDIT_SWITCH;
	uint32_t zone = seen ? r->zone_b : r->zone_a;

	if (seen && !r->b)
		return AUDIT_ZONE_IDLE;
	if (flags_of(r) & AUDIT_NEXT_KERNEL)
		return AUDIT_ZONE_KERNEL;
	return is_watched(a, zone) ? AUDIT_ZONE_OWN : zone;
}

/* First pass: who ran when, by CPU. */
static double fraction(uint64_t part, uint64_t of)
{
	return part < of ? (double)part / (double)of : part ? 1 : 0;
}

/* A switch ends what ran since the last one (two stretches if an arrival was unseen). */
static void stretches_end(struct timeline *t, const struct audit_record *r)
{
	uint64_t len;

	if (!t->nr)
		return;
	t->list[t->nr - 1].end_ns = r->ns;
	if (kind_of(r) != AUDIT_SWITCH)
		return;
	len = r->ns - t->list[t->since_switch].start_ns;
	for (size_t i = t->since_switch; i < t->nr; i++) {
		t->list[i].irq = fraction(r->irq_ns, len);
		t->list[i].steal = fraction(r->steal_ns, len);
	}
	t->since_switch = t->nr;
}

static int timelines(struct replay *rep)
{
	const struct audit *a = rep->audit;

	for (size_t i = 0; i < nr_records(a); i++) {
		const struct audit_record *r = &a->records[i];
		struct stretch s = {.start_ns = r->ns, .end_ns = UINT64_MAX};
		struct timeline *t;

		if ((kind_of(r) != AUDIT_SWITCH && kind_of(r) != AUDIT_UNSEEN) ||
		    r->cpu >= rep->nr_cpus)
			continue;
		t = &rep->cpus[r->cpu];
		if (t->nr && r->ns < t->list[t->nr - 1].start_ns)
			continue; /* arrived before the last one seen: the kernel did not note it */
		stretches_end(t, r);
		s.zone = runner_zone(a, r);
		if (timeline_add(t, &s))
			return -ENOMEM;
	}
	return 0;
}

static void share_add(struct replay *rep, uint32_t zone, uint64_t ns)
{
	size_t i;

	for (i = 0; i < rep->nr_shares && rep->shares[i].zone != zone; i++)
		;
	if (i == rep->nr_shares) {
		if (i == AUDIT_SHARES_MAX)
			return;
		rep->shares[rep->nr_shares++] = (struct audit_share){.zone = zone};
	}
	rep->shares[i].ns += ns;
}

/* The last stretch that starts at or before ns. */
static size_t stretch_at(const struct timeline *t, uint64_t ns)
{
	size_t low = 0, high = t->nr;

	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (t->list[mid].start_ns <= ns)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static void wait_account(struct replay *rep, const struct waiter *w, uint64_t to_ns)
{
	uint32_t cpu = w->cpu;
	uint64_t from_ns = w->since_ns;
	const struct timeline *t = cpu < rep->nr_cpus ? &rep->cpus[cpu] : NULL;

	if (!t || !t->nr || from_ns >= to_ns)
		return;
	if (w->asleep)
		rep->uncounted_ns += to_ns - from_ns;
	for (size_t i = stretch_at(t, from_ns); i < t->nr && t->list[i].start_ns < to_ns; i++) {
		const struct stretch *s = &t->list[i];
		uint64_t start = s->start_ns > from_ns ? s->start_ns : from_ns;
		uint64_t end = s->end_ns < to_ns ? s->end_ns : to_ns;
		uint64_t kernel, host;

		if (end <= start)
			continue;
		kernel = (uint64_t)((double)(end - start) * s->irq);
		host = (uint64_t)((double)(end - start) * s->steal);
		share_add(rep, AUDIT_ZONE_KERNEL, kernel);
		share_add(rep, AUDIT_ZONE_HOST, host);
		share_add(rep, s->zone, end - start - kernel - host);
	}
}

static int wait_begin(struct hash *waiters, const struct audit_record *r)
{
	struct waiter *w;

	if (hash_get(waiters, (uint32_t)r->a))
		return 0;
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct waiter){.since_ns = r->ns, .cpu = r->cpu};
	w->asleep = kind_of(r) == AUDIT_SWITCH && flags_of(r) & AUDIT_PREV_ASLEEP;
	return hash_put(waiters, (uint32_t)r->a, w);
}

static void wait_end(struct replay *rep, struct hash *waiters, int32_t pid, uint64_t ns)
{
	_cleanup_free_ struct waiter *w = hash_remove(waiters, (uint32_t)pid);

	if (!w)
		return;
	rep->waits++;
	wait_account(rep, w, ns);
}

static void wait_moves(struct replay *rep, struct hash *waiters, const struct audit_record *r)
{
	struct waiter *w = hash_get(waiters, (uint32_t)r->a);

	if (!w || w->cpu == r->cpu)
		return;
	wait_account(rep, w, r->ns);
	w->since_ns = r->ns;
	w->cpu = r->cpu;
}

/* Second pass: every wait of a watched task, against the timeline of the CPU where it waited. */
static int waits(struct replay *rep)
{
	const struct audit *a = rep->audit;
	struct hash waiters = {0};
	int err = 0;

	for (size_t i = 0; i < nr_records(a) && !err; i++) {
		const struct audit_record *r = &a->records[i];

		switch (kind_of(r)) {
		case AUDIT_WAKE:
			err = wait_begin(&waiters, r);
			break;
		case AUDIT_MIGRATE:
			wait_moves(rep, &waiters, r);
			break;
		case AUDIT_SWITCH:
			if (r->a && flags_of(r) & AUDIT_PREV_WAITS && is_watched(a, r->zone_a))
				err = wait_begin(&waiters, r);
			wait_end(rep, &waiters, r->b, r->ns);
			break;
		case AUDIT_UNSEEN:
			wait_end(rep, &waiters, r->a, r->ns);
			break;
		default:
			break;
		}
	}
	hash_for_each(&waiters, e)
		free(e->value);
	hash_done(&waiters);
	return err;
}

int audit_replay(struct audit *a, struct audit_share *shares, uint64_t *ret_waits,
		 uint64_t *ret_uncounted_ns)
{
	struct replay rep = {.shares = shares, .audit = a, .nr_cpus = libbpf_num_possible_cpus()};
	int r;

	if (a->skel->bss->nr_lost)
		return -EOVERFLOW;
	rep.cpus = calloc(rep.nr_cpus, sizeof(*rep.cpus));
	if (!rep.cpus)
		return -ENOMEM;
	r = timelines(&rep);
	if (!r)
		r = waits(&rep);
	for (uint32_t i = 0; i < rep.nr_cpus; i++)
		free(rep.cpus[i].list);
	free(rep.cpus);
	if (r)
		return r;
	*ret_waits = rep.waits;
	*ret_uncounted_ns = rep.uncounted_ns;
	return (int)rep.nr_shares;
}
