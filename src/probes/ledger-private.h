/* SPDX-License-Identifier: MIT */
/* Inside of the ledger's user side, shared by ledger*.c only. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "bpf/ledger.h"
#include "probes/ledger.h"

struct ledger_bpf;
struct ring_buffer;

struct ledger {
	struct ledger_bpf *skel;
	struct ring_buffer *ring;
	uint32_t nr_cpus, max_slots;
	/* Of the skeleton's sections: [nr_cpus], [victim][LEDGER_BUCKETS]. */
	struct ledger_cpu *cpus;
	uint64_t *hist;
	/* Maps, mapped: [victim][max_slots], [max_slots]. */
	uint64_t *cells;
	struct ledger_slot_info *slots;
	uint64_t victims[LEDGER_NR_VICTIMS]; /* zone id, 0: free */
	/* Slots of zones that are gone, oldest first; recycled when slots get scarce. */
	uint32_t *forgotten;
	uint32_t forgotten_head, nr_forgotten, nr_free;
	uint64_t overflow_seen;
	int stats_fd; /* -1: own run time is not being measured */
	bool irq_split, steal_split, throttle_exact;
	/* Set while ledger_drain runs. */
	void (*on_event)(const struct fast_event *e, void *arg);
	void *on_event_arg;
};

/* Index of a protected zone or -ENOENT. */
must_check int ledger_find(const struct ledger *l, uint64_t zone_id);
int ledger_ring_event(void *arg, void *data, size_t size);
