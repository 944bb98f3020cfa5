/* SPDX-License-Identifier: MIT */
/*
 * Inside probes/: hardware counters of the CPUs. What is read is taken apart, scaled and divided
 * here by pure functions (pmc.c); pmc-open.c opens the counters of a CPU.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "bpf/counters.h"

/*
 * A group as read(2) gives it, with PERF_FORMAT_GROUP, TOTAL_TIME_ENABLED and TOTAL_TIME_RUNNING.
 * Times are ns; the kernel makes 64 bits of counters that have fewer.
 */
struct pmc_reading {
	uint64_t enabled_ns, running_ns;
	size_t nr;
	uint64_t value[PMC_NR];
};
/* -EBADMSG: cut off, or not such a reading. */
must_check int pmc_reading_parse(const void *bytes, size_t size, struct pmc_reading *ret);

/* Of a zone: fields of enum pmc_field, all of which only grow, modulo 2^64. */
struct pmc_sums {
	uint64_t v[PMC_FIELDS];
};
/*
 * What all counters of a group would have counted since `last`, had they run all the time that they
 * were enabled; *last goes on to `now`. False: they did not run at all, which tells nothing: what
 * is missing is taken with the next, *last stays.
 */
bool pmc_grown(const struct pmc_sums *now, struct pmc_sums *last, enum pmc_group_nr group,
	       uint64_t ret[PMC_NR], uint64_t *ret_enabled_ns, uint64_t *ret_running_ns);

/* Quotients of counts, in parts per million; UINT64_MAX: not known. */
struct pmc_rates {
	uint64_t cpi_ppm;  /* reference cycles an instruction: they do not change with the clock */
	uint64_t ipc_ppm;  /* instructions a core cycle */
	uint64_t mpki_ppm; /* LLC misses a thousand instructions */
	uint64_t miss_ppm; /* LLC misses of the references */
};
/* present: bit e for each counter that there is. */
void pmc_rates(const uint64_t counts[PMC_NR], uint32_t present, struct pmc_rates *ret);

struct pmc_event {
	uint32_t type;
	uint64_t config;
};
/* The hardware's, and the kernel's own that count anywhere: clocks and page faults. */
extern const struct pmc_event pmc_hardware[PMC_NR], pmc_software[PMC_NR];

/* Opens a CPU's counters, and starts them: fds of those in *present, -1 for the others. -ENODEV:
 * the CPU is offline; -EOPNOTSUPP, -EACCES: it has none of them, they are not allowed. */
must_check int pmc_open_cpu(const struct pmc_event events[PMC_NR], uint32_t cpu, int ret_fd[PMC_NR],
			    uint32_t *present);
void pmc_close(int fd[PMC_NR]);
/* The group that this fd leads. */
must_check int pmc_read(int leader_fd, struct pmc_reading *ret);
/* The first of the group in present; PMC_NR: none. */
uint32_t pmc_leader(uint32_t present, enum pmc_group_nr group);
