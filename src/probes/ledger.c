/* SPDX-License-Identifier: MIT */
/* Which zones the wait ledger protects, its culprit slots, and the fast events. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "probes/ledger-private.h"
#include "ledger.skel.h"

_Static_assert(LEDGER_NR_VICTIMS == LEDGER_VICTIMS_MAX, "contract and layout agree");
_Static_assert(LEDGER_NR_BUCKETS == LEDGER_BUCKETS, "contract and layout agree");
_Static_assert(LEDGER_COMM == COMM_MAX, "contract and layout agree");

int ledger_find(const struct ledger *l, uint64_t zone_id)
{
	for (int v = 0; v < LEDGER_NR_VICTIMS; v++)
		if (zone_id && l->victims[v] == zone_id)
			return v;
	return -ENOENT;
}

void ledger_age(struct ledger *l)
{
	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++)
		__atomic_store_n(&l->cpus[cpu].memo_group, 0, __ATOMIC_SEQ_CST);
}

void ledger_invalidate(struct ledger *l)
{
	__atomic_store_n(&l->skel->bss->cache_gen, (l->skel->bss->cache_gen & LEDGER_GEN_MASK) + 1,
			 __ATOMIC_SEQ_CST);
	memset(l->skel->bss->zone_cache, 0, sizeof(l->skel->bss->zone_cache));
	ledger_age(l);
}

/* Walks all tasks: who is waiting is counted where it belongs now. */
static int seed(struct ledger *l)
{
	_cleanup_close_ int link = -1, fd = -1;
	char text[64];
	ssize_t n;

	link = bpf_link_create(bpf_program__fd(l->skel->progs.seed), 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return link;
	fd = bpf_iter_create(link);
	if (fd < 0)
		return fd;
	do {
		n = read(fd, text, sizeof(text));
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int timers_init(struct ledger *l, uint32_t v)
{
	struct ledger_timer_args args = {.victim = v};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));

	return bpf_prog_test_run_opts(bpf_program__fd(l->skel->progs.timers_init), &opts);
}

static void victim_clear(struct ledger *l, uint32_t v)
{
	memset(l->cells + (size_t)v * l->max_slots, 0, sizeof(*l->cells) * l->max_slots);
	memset(l->hist + (size_t)v * LEDGER_BUCKETS, 0, sizeof(*l->hist) * LEDGER_BUCKETS);
	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++) {
		struct ledger_cpu *c = &l->cpus[cpu];

		c->wait_ns[v] = 0;
		for (int slot = 0; slot < SLOT_FIRST; slot++)
			c->own_ns[slot][v] = 0;
		__atomic_store_n(&c->x[v], 0, __ATOMIC_SEQ_CST);
		__atomic_fetch_and(&c->mask, ~(1ull << v), __ATOMIC_SEQ_CST);
		__atomic_fetch_and(&c->throttle_mask, ~(1ull << v), __ATOMIC_SEQ_CST);
	}
}

/* The hooks of waking did nothing so far: which tasks wait, and who runs beside them, is not known.
 */
static void runners_forget(struct ledger *l)
{
	memset(l->skel->bss->task_table, 0, sizeof(l->skel->bss->task_table));
	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++) {
		l->cpus[cpu].run_slot = SLOT_UNKNOWN;
		l->cpus[cpu].run_victim = LEDGER_VICTIM_NONE;
		l->cpus[cpu].run_task = 0;
		l->cpus[cpu].run_pid = 0;
		l->cpus[cpu].irq_depth = 0;
	}
}

static bool victim_has_waiters(const struct ledger *l, uint32_t v)
{
	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++)
		if (__atomic_load_n(&l->cpus[cpu].x[v], __ATOMIC_SEQ_CST) & LEDGER_WAITERS_MAX)
			return true;
	return false;
}

int ledger_protect(struct ledger *l, uint64_t zone_id, uint64_t fast_threshold_ns)
{
	int v = ledger_find(l, zone_id), r;
	uint32_t index;

	if (!zone_id)
		return -EINVAL;
	if (v >= 0) {
		l->skel->bss->threshold_ns[v] = fast_threshold_ns;
		return -EEXIST;
	}
	for (v = 0; v < LEDGER_NR_VICTIMS && l->victims[v]; v++)
		;
	if (v == LEDGER_NR_VICTIMS)
		return -ENOSPC;
	r = timers_init(l, v);
	if (r)
		return r;
	victim_clear(l, v);
	if (!l->skel->bss->nr_victims)
		runners_forget(l);
	l->victims[v] = zone_id;
	l->skel->bss->victim_id[v] = zone_id;
	l->skel->bss->threshold_ns[v] = fast_threshold_ns;
	l->skel->bss->nr_victims++;
	index = v;
	r = bpf_map_update_elem(bpf_map__fd(l->skel->maps.protected_zones), &zone_id, &index,
				BPF_ANY);
	ledger_invalidate(l);
	if (!r)
		r = seed(l);
	if (r)
		ledger_unprotect(l, zone_id);
	return r;
}

void ledger_unprotect(struct ledger *l, uint64_t zone_id)
{
	int v = ledger_find(l, zone_id);

	if (v < 0)
		return;
	(void)bpf_map_delete_elem(bpf_map__fd(l->skel->maps.protected_zones), &zone_id);
	l->skel->bss->threshold_ns[v] = 0;
	ledger_invalidate(l);
	/* A hook under way may still count one in by the old mapping: look again. */
	for (int i = 0; i < 3; i++)
		if (seed(l) || !victim_has_waiters(l, v))
			break;
	l->skel->bss->victim_id[v] = 0;
	l->skel->bss->nr_victims--;
	l->victims[v] = 0;
}

/* Takes the oldest forgotten zone's slot back; what it was charged stays in the totals. */
static void slot_recycle(struct ledger *l)
{
	uint32_t slot = l->forgotten[l->forgotten_head];

	l->forgotten_head = (l->forgotten_head + 1) % l->max_slots;
	l->nr_forgotten--;
	for (int v = 0; v < LEDGER_NR_VICTIMS; v++) {
		uint64_t *row = l->cells + (size_t)v * l->max_slots;
		uint64_t ns = __atomic_exchange_n(&row[slot], 0, __ATOMIC_SEQ_CST);

		__atomic_fetch_add(&row[SLOT_GONE], ns, __ATOMIC_SEQ_CST);
	}
	memset(&l->slots[slot], 0, sizeof(l->slots[slot]));
	if (!bpf_map_update_elem(bpf_map__fd(l->skel->maps.free_slots), NULL, &slot, BPF_ANY))
		l->nr_free++;
}

void ledger_forget(struct ledger *l, uint64_t zone_id)
{
	int fd = bpf_map__fd(l->skel->maps.slots);
	uint32_t slot, unused;

	ledger_unprotect(l, zone_id);
	if (bpf_map_lookup_elem(fd, &zone_id, &slot) || bpf_map_delete_elem(fd, &zone_id))
		return;
	l->forgotten[(l->forgotten_head + l->nr_forgotten++) % l->max_slots] = slot;
	unused = l->max_slots - SLOT_FIRST;
	unused -= l->skel->data->next_slot - SLOT_FIRST < unused
		      ? l->skel->data->next_slot - SLOT_FIRST
		      : unused;
	if (unused >= l->max_slots / 8)
		return;
	while (l->nr_forgotten > l->max_slots / 8)
		slot_recycle(l);
	if (l->skel->bss->counters[COUNTER_SLOTS_OVERFLOW] != l->overflow_seen) {
		l->overflow_seen = l->skel->bss->counters[COUNTER_SLOTS_OVERFLOW];
		ledger_invalidate(l); /* zones that found no slot look again */
	}
}

int ledger_event_fd(const struct ledger *l)
{
	return ring_buffer__epoll_fd(l->ring);
}

int ledger_ring_event(void *arg, void *data, size_t size)
{
	const struct ledger_event *from = data;
	struct ledger *l = arg;
	struct fast_event e;

	if (size < sizeof(*from) || !l->on_event)
		return 0;
	e = (struct fast_event){
	    .now_ns = from->now_ns,
	    .since_ns = from->since_ns,
	    .foreign_ns = from->foreign_ns,
	    .victim_id = from->victim_id,
	    .culprit_id = from->culprit_id,
	    .cpu = from->cpu,
	    .pid = from->pid,
	};
	memcpy(e.comm, from->comm, sizeof(e.comm));
	e.comm[sizeof(e.comm) - 1] = '\0';
	l->on_event(&e, l->on_event_arg);
	return 0;
}

int ledger_drain(struct ledger *l, void (*on_event)(const struct fast_event *e, void *arg),
		 void *arg)
{
	int r;

	l->on_event = on_event;
	l->on_event_arg = arg;
	r = ring_buffer__consume(l->ring);
	l->on_event = NULL;
	return r;
}
