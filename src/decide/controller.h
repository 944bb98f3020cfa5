/* SPDX-License-Identifier: MIT */
/*
 * Published controllers: what was measured in, the allocation that is wanted out. A controller is
 * pure: the time is an argument, its random numbers come from a seed, it does no I/O, so that the
 * same measurements give the same decisions in the simulator, in a replay and in a daemon.
 *
 * Resources are counted in units, the steps in which hardware or kernel can give them. An app
 * either owns a partition, or lives in that of another (`owner`), unseparated from it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum res {
	RES_CORE, /* one physical core */
	RES_WAY,  /* one way of the last level cache */
	RES_FREQ, /* 100 MHz; not shared: the units of one app are not taken from another */
	RES_MEM,  /* 1 GiB */
	RES_DISK, /* a tenth of the disk */
	RES_BW,	  /* 10 % of memory bandwidth (MBA); not shared: a limit of each app */
	RES_NR,
};
extern const char *const res_names[RES_NR];
/* What one app gets, another cannot have. */
bool res_is_shared(enum res r);

#define CTL_APPS_MAX 16
struct ctl_alloc {
	uint16_t units[RES_NR]; /* 0 cores: the app is paused */
	uint8_t owner;		/* index of the app whose partition this is; its own: itself */
	uint32_t cap_ppm;	/* hard cap of CPU time per time; 0: none */
};

struct ctl_app {
	bool be;
	bool uses_disk;	       /* it was seen to do disk I/O */
	uint64_t target_ns;    /* of the 99th percentile; 0 of best-effort work */
	uint64_t latency_ns;   /* 99th percentile since the last step; 0: not known */
	uint32_t load_ppm;     /* of the load that it can serve alone; 0: not known */
	uint32_t progress_ppm; /* work done since the last step, of what it does alone */
	uint32_t cpi_ppm;      /* cycles an instruction; 0: not known */
	uint64_t dram_bytes_per_s;
	int32_t mem_slack_mib; /* memory it holds and does not need */
	struct ctl_alloc alloc;
};

struct ctl_host {
	uint16_t total[RES_NR]; /* 0: the host cannot control it */
	uint16_t min[RES_NR];	/* the least that an app can have */
	uint16_t start_freq;	/* nominal frequency in units */
	uint64_t dram_peak_bytes_per_s;
	uint64_t dram_bytes_per_s; /* measured */
	uint32_t power_ppm;	   /* of the thermal design power; 0: not known */
};

struct ctl_view {
	struct ctl_host host;
	size_t nr;
	struct ctl_app apps[CTL_APPS_MAX];
};

struct ctl_plan {
	struct ctl_alloc alloc[CTL_APPS_MAX]; /* comes in as it is; changed where wanted */
	unsigned int samples; /* that a search took, once it has finished (clite); 0 before */
	int migrate;	      /* an app to be moved to another host, or -1 */
	int culprit;	      /* in: whom a detector named, or -1 */
	char why[160];	      /* one sentence, or "" when nothing is changed */
};

struct controller {
	const char *name;
	const char *summary;
	uint64_t period_ns; /* step() wants to be called so often */
	/* NULL when out of memory. The first step() also gives the initial allocation. */
	void *(*create)(const void *options, uint64_t seed);
	void (*step)(void *state, const struct ctl_view *view, uint64_t now_ns,
		     struct ctl_plan *plan);
	void (*destroy)(void *state); /* accepts NULL */
	const void *options;	      /* of this variant */
};
extern const struct controller controller_parties, controller_parties_code, controller_heracles,
    controller_clite, controller_clite_jobs, controller_libra, controller_cpi2;
/* Those that need no detector beside them; ends with NULL. */
extern const struct controller *const controllers[];
/* By name; NULL: there is none. */
const struct controller *controller_find(const char *name);

/* (target - latency) / target. What is not known asks for nothing: between the thresholds. */
double ctl_slack(const struct ctl_app *app);
/* Units of a shared resource that no partition holds. */
int ctl_idle(const struct ctl_view *v, const struct ctl_plan *p, enum res r);
/* Every app a partition of its own, of equal size; the disk for those that use it. */
void ctl_equal_share(const struct ctl_view *v, struct ctl_plan *p);