/* SPDX-License-Identifier: MIT */
/*
 * CPI2 (Zhang et al., EuroSys 2013): a task whose cycles per instruction are far above what is
 * usual for its job on that type of CPU is a victim, and who used the CPU just then is the suspect.
 * Equations, constants and where this differs: docs/algorithms/cpi2.md.
 *
 * Pure: samples in, alarms out; the time is that of the samples. Memory is linear in tasks, see
 * cpi2_task_bytes(). Tasks, specs (a job on a type of CPU) and machines are small numbers that the
 * caller gives out from 0 on.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "model/zone.h"

#define CPI2_NONE	  UINT32_MAX
#define CPI2_OUTLIERS_MAX 4
#define CPI2_SLOTS_MAX	  240
#define CPI2_BINS	  16
#define CPI2_SUSPECTS	  5
#define CPI2_TASKS_MAX	  (1u << 24)

struct cpi2_config {
	uint64_t period_ns;	  /* from one sample of a task to the next */
	uint64_t window_ns;	  /* the outliers of an alarm lie within it */
	uint64_t correlate_ns;	  /* how far back suspects are correlated */
	uint64_t spec_ns;	  /* from one spec of a job to the next */
	uint64_t analysis_gap_ns; /* between two analyses on one machine */
	uint32_t outliers;	  /* of an alarm, up to CPI2_OUTLIERS_MAX */
	uint32_t sigmas_ppm;	  /* an outlier is above mean + this many deviations */
	uint32_t age_ppm;	  /* weight that older samples keep at each new spec */
	uint32_t min_cpu_ppm;	  /* CPI of a task that used less says nothing */
	uint32_t min_tasks;	  /* of a spec, each with */
	uint32_t min_samples;	  /* this many samples */
	uint32_t correlation_ppm; /* from here on a suspect is named */
	uint32_t ceiling_ppm; /* not 0: named from this part of the largest possible correlation */
	uint32_t bin_cpu_ppm; /* not 0: a spec for each such step of CPU use, up to CPI2_BINS */
	bool own;	      /* each task's own past is its spec, continually */
	bool skip_outliers;   /* own: what is above the threshold teaches nothing */
	bool blame_largest; /* when no suspect correlates, the largest best-effort user is named */
	bool verify;	    /* a name that a cap did not confirm is not given again for a while */
};
extern const struct cpi2_config cpi2_default;
/* "cpi2", "rubik", "robust", "host"; NULL: not one of them. */
const struct cpi2_config *cpi2_preset(const char *name);
/* "correlation=0.15,window=10m,own=yes"; all errors name the key. */
must_check int cpi2_config_set(struct cpi2_config *c, const char *text, struct error *reterr);
must_check int cpi2_config_check(const struct cpi2_config *c, struct error *reterr);
/* The keys that can be set, for help: name and meaning; false: no more. */
bool cpi2_config_key(size_t i, const char **ret_name, const char **ret_help);

struct cpi2_sample {
	uint64_t time_ns;
	uint32_t task;
	uint32_t cpi_ppm; /* reference cycles an instruction; 0: not known */
	uint32_t cpu_ppm; /* of one CPU */
};

struct cpi2_suspect {
	uint32_t task;
	double correlation; /* -1..1 */
};

/* A sample of a task that has had enough outliers, and who is suspected. */
struct cpi2_alarm {
	uint64_t time_ns;
	uint32_t task;
	uint32_t cpi_ppm, mean_ppm, threshold_ppm;
	bool begins;				     /* it had not been anomalous before */
	bool analysed;				     /* false: too many at that time */
	uint32_t nr_suspects, culprit;		     /* culprit CPI2_NONE: nobody is named */
	double needed;				     /* the correlation that names */
	struct cpi2_suspect suspects[CPI2_SUSPECTS]; /* the largest first */
};
/* Told at the end of the period in which the sample was, in the order of samples. */
typedef void (*cpi2_alarm_fn)(const struct cpi2_alarm *a, void *arg);

struct cpi2_tally {
	uint64_t samples, late, extra; /* of a period that was over; a second one within a period */
	uint64_t idle, unjudged;       /* too little CPU; no spec yet */
	uint64_t judged, outliers, episodes, analyses, limited, named;
	uint64_t capped, confirmed, refuted;
};

struct cpi2;
must_check int cpi2_new(const struct cpi2_config *c, cpi2_alarm_fn fn, void *arg,
			struct cpi2 **ret);
void cpi2_free(struct cpi2 *e);
/* Class `normal` is not known to be either: it may be a victim and may be named. -ENOSPC: too many.
 */
must_check int cpi2_task_add(struct cpi2 *e, uint32_t task, uint32_t spec, uint32_t machine,
			     enum zone_class class);
/* The task is another one from now on, of the same spec and machine: all that was known is gone.
 * -ENOENT: it was not added. */
must_check int cpi2_task_renew(struct cpi2 *e, uint32_t task, enum zone_class class);
/* The task was added. Samples come in the order of time, within a period in any. */
must_check int cpi2_sample(struct cpi2 *e, const struct cpi2_sample *s);
/* Many at once: with more tasks than a cache holds this is several times as fast. */
must_check int cpi2_samples(struct cpi2 *e, const struct cpi2_sample *s, size_t n);
/* No more samples before now_ns: alarms that waited for the rest of their period are told. */
must_check int cpi2_advance(struct cpi2 *e, uint64_t now_ns);
/* A spec that is known from elsewhere; bin 0 unless specs are by CPU use. */
must_check int cpi2_spec_set(struct cpi2 *e, uint32_t spec, uint32_t bin, uint32_t mean_ppm,
			     uint32_t stddev_ppm);
/* false: there is none yet. */
bool cpi2_spec_get(const struct cpi2 *e, uint32_t spec, uint32_t bin, uint32_t *ret_mean_ppm,
		   uint32_t *ret_stddev_ppm);
/* Whether the newest sample of the task left it anomalous. */
bool cpi2_is_anomalous(const struct cpi2 *e, uint32_t task);
/* What its CPI is held against now; 0: no spec. */
uint32_t cpi2_threshold_ppm(const struct cpi2 *e, uint32_t task, uint32_t cpu_ppm);
/*
 * verify: somebody capped the culprit that was named for this victim. The victim's next three
 * samples tell: with a mean above the threshold the name is refuted, and not given again for an
 * hour.
 */
must_check int cpi2_capped(struct cpi2 *e, uint32_t victim, uint32_t culprit, uint64_t now_ns);
const struct cpi2_tally *cpi2_tally(const struct cpi2 *e);
/* Memory that one more task takes; what else there is does not grow with tasks. */
size_t cpi2_task_bytes(const struct cpi2_config *c);

/*
 * Of a victim's CPI and a suspect's CPU use at the same times; -1..1, 0 when it used nothing. Units
 * do not matter as long as cpi and threshold have the same.
 */
double cpi2_correlation(const double *cpi, const double *use, size_t n, double threshold);
/* No suspect can correlate more than this: the reason why small harm is never attributed. */
double cpi2_ceiling(double cpi_max, double threshold);
