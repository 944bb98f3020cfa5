/* SPDX-License-Identifier: MIT */
/*
 * What the hardware counted while a zone ran. One set of counters a CPU, whoever runs there; where
 * one zone gives way to another they are read, and what they grew by is the zone's that leaves. A
 * set of counters for each zone and CPU (perf's cgroup events) is programmed anew at each such
 * switch, which costs more the more zones there are; this does not.
 *
 * Limits: what an interrupt does counts for whom it interrupts. A zone that a task joins or leaves
 * while it runs gets the whole stretch of the task, or none of it.
 */
#include "bpf/counters.h"
#define ZONE_SUMS_FIELDS PMC_FIELDS
#include "zone-sums.bpf.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} events SEC(".maps"); /* [CPU * PMC_NR + counter]; how many there are is set before loading */

const volatile unsigned int leaders[PMC_GROUPS] = {}; /* the counter that leads the group */
const volatile unsigned int present = 0;	      /* bit e: counter e is there */

struct pmc_cpu cpus[PMC_CPUS_MAX] __attribute__((aligned(128))) = {};

static __always_inline void field_take(struct pmc_cpu *c, struct zone_sums *s, u32 f, u64 now)
{
	if (s && c->known & (1ull << f))
		__sync_fetch_and_add(&s->v[f], now - c->last[f]);
	c->last[f] = now;
	c->known |= 1ull << f;
}

/* Reads the counters of this CPU; what they grew by is for s, or for nobody. */
static __always_inline void take(struct pmc_cpu *c, u32 cpu, struct zone_sums *s)
{
	struct bpf_perf_event_value now;

	for (u32 e = 0; e < PMC_NR; e++) {
		u32 group = e >= PMC_FIRST_OF_LLC;

		if (!(present & (1u << e)) ||
		    bpf_perf_event_read_value(&events, cpu * PMC_NR + e, &now, sizeof(now)))
			continue;
		field_take(c, s, e, now.counter);
		if (e != leaders[group])
			continue;
		field_take(c, s, PMC_FIELD_ENABLED + group, now.enabled);
		field_take(c, s, PMC_FIELD_RUNNING + group, now.running);
	}
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u32 cpu = bpf_get_smp_processor_id();
	u64 zone = next->pid ? task_zone(next) : 0;
	struct pmc_cpu *c;

	if (cpu >= PMC_CPUS_MAX)
		return 0;
	c = &cpus[cpu];
	if (c->zone == zone)
		return 0;
	take(c, cpu, c->zone ? zone_sums_of(c->zone) : NULL);
	c->zone = zone;
	return 0;
}

/* Never attached: czd runs it on a CPU where one zone has run on and on. */
SEC("raw_tp/sched_switch")
int flush(void *ctx)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct pmc_cpu *c;

	if (cpu >= PMC_CPUS_MAX)
		return 0;
	c = &cpus[cpu];
	if (c->zone)
		take(c, cpu, zone_sums_of(c->zone));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
