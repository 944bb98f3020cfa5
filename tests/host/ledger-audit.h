/* SPDX-License-Identifier: MIT */
/*
 * Checks on the wait ledger that share nothing with it: the kernel's run_delay, and a replay of a
 * raw event log (bpf/audit.bpf.c) that looks, for every finished wait, at who ran on that CPU
 * meanwhile.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct audit;

#define AUDIT_SHARES_MAX  512
#define AUDIT_ZONE_IDLE	  0u
#define AUDIT_ZONE_KERNEL UINT32_MAX
#define AUDIT_ZONE_HOST	  (UINT32_MAX - 1)
#define AUDIT_ZONE_OWN	  (UINT32_MAX - 2) /* any of the watched zones */

/* Who ran while tasks of the watched zones waited. zone: low half of the cgroup id, or as above. */
struct audit_share {
	uint32_t zone;
	uint64_t ns;
};

/* -EPERM, -EOPNOTSUPP: BPF is not to be had. */
must_check int audit_open(uint32_t max_records, struct audit **ret, struct error *reterr);
void audit_close(struct audit *a);
/* Watch these zones from now on. No task in them may be running or waiting yet. */
must_check int audit_start(struct audit *a, const uint64_t *zones, size_t nr);
/* The watched tasks have been killed: stops when the last one is gone (or after ten seconds). */
void audit_stop(struct audit *a);
/* Growth of the watched tasks' run_delay since the start, those that ended included. */
must_check int audit_run_delay(struct audit *a, uint64_t *ret_ns);
/*
 * -EOVERFLOW: the log was too small. Returns the number of shares. *ret_uncounted_ns: waits that
 * run_delay leaves out, of tasks preempted on their way to sleep (on kernels that preempt there).
 */
must_check int audit_replay(struct audit *a, struct audit_share *shares, uint64_t *ret_waits,
			    uint64_t *ret_uncounted_ns);
