/* SPDX-License-Identifier: MIT */
/*
 * Inside probes/: probes that are a BPF program with sums per zone (bpf/zone-sums.bpf.h), and pairs
 * of zones where it has them (bpf/zone-pairs.bpf.h). Such a probe is its program, a struct
 * sums_spec, and the functions below as those of its descriptor. A program tells of the very cgroup
 * of a task; a row includes those below it.
 */
#pragma once
#include <bpf/libbpf.h>

#include "bpf/zone-sums.h"
#include "probes/internal.h"
#include "probes/tree-join.h"

#define SUMS_PROGRAMS_MAX 8
#define SUMS_FIELDS_MAX	  8

/* A way to hook the programs: their names, or none for all. */
struct sums_way {
	const char *programs[SUMS_PROGRAMS_MAX];
};
struct sums_spec {
	const void *(*elf)(size_t *ret_size); /* NAME_bpf__elf_bytes */
	const char *const *hooks;	      /* trace points that it cannot do without */
	size_t nr_hooks;
	struct sums_way ways[3]; /* the first that the kernel allows; one without programs ends */
	size_t nr_fields;
	enum zone_metric metrics[SUMS_FIELDS_MAX]; /* of the fields */
	/* Pairs: the tree of the owner's cgroup, and what others did to an owner. */
	bool has_pairs;
	enum cgroup_controller owners;
	enum zone_metric foreign;
};

struct sums {
	const struct sums_spec *spec;
	struct bpf_object *obj;
	struct bpf_program *programs[SUMS_PROGRAMS_MAX];
	struct bpf_link *links[SUMS_PROGRAMS_MAX];
	size_t nr_programs;
	int sums_fd, pairs_fd;
	const unsigned long long *lost; /* the program's */
	unsigned long long lost_seen;
	uint64_t missed;
	unsigned int nr_cpus;
	uint64_t *values; /* nr_fields for each CPU */
	struct hash last; /* zone id -> nr_fields values as read before */
	struct tree_join join;
	struct pair_list pairs;
};

must_check int sums_open(const struct sums_spec *spec, struct probes *p, void **ret_state,
			 char *why, size_t size);
/* As the functions of a probe; the state is a struct sums. */
void sums_close(void *state);
int sums_read(void *state, struct probes *p, struct probe_zone *z);
void sums_end(void *state, struct probes *p);
void sums_forget(void *state, const struct probe_zone *z);
size_t sums_holders(const void *state, const struct probes *p, uint64_t zone_id, struct holder *ret,
		    size_t max);

/* May this process load BPF, and has the kernel these trace points? 0, or -EOPNOTSUPP and why not.
 */
must_check int bpf_hooks_check(const char *const *hooks, size_t nr, char *why, size_t size);
/* What a failed load or attach means, as -EOPNOTSUPP and a text. */
int bpf_refused(int err, char *why, size_t size);
/* How often the kernel did not run one of these programs, as it was at work on that CPU. */
uint64_t bpf_missed(struct bpf_object *obj);
