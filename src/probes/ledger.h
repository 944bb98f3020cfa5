/* SPDX-License-Identifier: MIT */
/*
 * The wait ledger and run-queue wait histogram: BPF in the scheduler keeps, for every protected
 * zone, who ran on that CPU while one of its tasks was runnable and waiting. See src/bpf/ledger.h
 * for the map layout and src/bpf/ledger.bpf.c for how and for its limits.
 *
 * A protected zone's waiting includes that of its descendants, except those protected themselves.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "model/cause.h"
#include "model/snapshot.h"

#define LEDGER_VICTIMS_MAX 64

struct ledger;

struct ledger_options {
	uint32_t max_zones; /* culprit slots */
};
/* Loads and attaches; seeds tasks already waiting. -EPERM (no CAP_BPF/PERFMON), -EOPNOTSUPP (no
 * BTF or a hook is missing): reterr says which; the caller falls back to run delay. */
must_check int ledger_open(const struct ledger_options *o, struct ledger **ret,
			   struct error *reterr);
void ledger_close(struct ledger *l);

/* -ENOSPC: LEDGER_VICTIMS_MAX reached. -EEXIST: already protected (options are updated). */
must_check int ledger_protect(struct ledger *l, uint64_t zone_id, uint64_t fast_threshold_ns);
void ledger_unprotect(struct ledger *l, uint64_t zone_id);
void ledger_forget(struct ledger *l,
		   uint64_t zone_id); /* the cgroup is gone: its slot may be reused */
/* The protected set or the tree changed: cached task -> zone mappings are dropped.
 * protect/unprotect call it themselves. */
void ledger_invalidate(struct ledger *l);
/* With each tick: what CPUs remember of a task's zone is at most that old (ledger-zone.bpf.h). */
void ledger_age(struct ledger *l);

/* Fast events: poll the fd for EPOLLIN, then drain. on_event is called for each; returns how many.
 */
int ledger_event_fd(const struct ledger *l);
int ledger_drain(struct ledger *l, void (*on_event)(const struct fast_event *e, void *arg),
		 void *arg);

/* Totals since attach for one victim; parts sum to wait_ns. parts: caller's array, at most max;
 * those that do not fit are added up as cause UNKNOWN. Reads mapped memory: no system call a cell.
 */
struct ledger_totals {
	uint64_t wait_ns;
	uint64_t cause_ns[CAUSE_NR];
	uint64_t waits;
	size_t nr_parts;
	int32_t busiest_cpu; /* where the victim waited most; -1 none */
};
struct ledger_cell {
	uint64_t culprit_id;
	uint64_t ns;
	int32_t pid, cpu;
	char comm[COMM_MAX];
};
must_check int ledger_read(struct ledger *l, uint64_t zone_id, struct ledger_totals *ret,
			   struct ledger_cell *parts, size_t max);
/* Wait histogram of a victim since attach: counts per bucket (see ledger_bucket_ns). */
#define LEDGER_BUCKETS 320 /* 40 powers of two x 8 */
must_check int ledger_hist(struct ledger *l, uint64_t zone_id, uint64_t counts[LEDGER_BUCKETS]);
uint64_t ledger_bucket_ns(unsigned int bucket); /* upper end of the bucket */

struct ledger_health {			 /* all totals since attach */
	uint64_t events_lost_total;	 /* ring buffer full */
	uint64_t storage_failed_total;	 /* task storage could not be had: wait not counted */
	uint64_t waiters_overflow_total; /* more than 1023 waiters on one CPU */
	uint64_t slots_overflow_total;	 /* more zones than slots: charged to unknown */
	uint64_t missed_switches_total;
	uint64_t clock_backwards_total; /* a wait would have been negative: carried over */
	uint64_t stale_waiters_total;	/* still counted as waiting while it ran: taken out */
	uint64_t late_waits_total;	/* begun unseen, accounted when they ended */
	uint64_t timers_failed_total;	/* fast path: a timer could not be started */
	uint64_t run_time_ns_total; /* own BPF run time, when measured (bpf_stats window), else 0 */
	uint64_t run_count_total;
	bool irq_split, steal_split, throttle_exact; /* what this kernel lets it tell apart */
};
void ledger_health(struct ledger *l, struct ledger_health *ret);
/* Measure own BPF run time from now on, or stop. Costs some 30 ns a hook and falsifies other cost
 * measurements: open it for short windows only. */
must_check int ledger_measure(struct ledger *l, bool on);
