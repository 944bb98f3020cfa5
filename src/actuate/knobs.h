/* SPDX-License-Identifier: MIT */
/*
 * What each knob is: its files on v1 and v2, its canonical value, and the parts (file by file, in
 * an order the kernel accepts) that lead from what is there to what is wanted. Nothing is written
 * here but through knob_file_write().
 */
#pragma once
#include "actuate/entry.h"
#include "kernel/cgroup.h"

struct actuator;
struct knob_target {
	const struct actuator *act; /* whose open actions count; NULL: none */
	int dirfd;		    /* the zone's directory in the knob's hierarchy */
	bool v2;
	uint64_t id; /* of dirfd */
	const char *path;
};

struct knob_desc {
	enum cgroup_controller ctl;
	/* Canonical value. */
	int (*get)(const struct knob_target *t, char *buf, size_t size);
	/* Adds the parts; e->from is set. -EINVAL and -EOPNOTSUPP with a sentence. */
	int (*plan)(const struct knob_target *t, const char *to, struct entry *e,
		    struct error *reterr);
	/* Did it take? After all parts were read back; NULL: nothing more to ask. */
	int (*check)(const struct knob_target *t, const char *to, struct error *reterr);
	bool (*valid)(const char *to);
	const char *form; /* of a valid value, for messages */
};
extern const struct knob_desc knob_descs[KNOB_NR];

enum cgroup_controller knob_file_controller(enum knob_file f);
enum knob knob_file_knob(enum knob_file f);
/* Name on this host; NULL when this cgroup version has no such file. */
const char *knob_file_name(enum knob_file f, bool v2);
/* Name in the journal, the same on both versions. */
const char *knob_file_label(enum knob_file f);
must_check int knob_file_by_label(const char *label, enum knob_file *ret);
/* Native text without the newline. -EOPNOTSUPP: no such file; -ENOENT: the cgroup is gone. */
must_check int knob_file_read(int dirfd, enum knob_file f, bool v2, char *buf, size_t size);
must_check int knob_file_write(int dirfd, enum knob_file f, bool v2, const char *text);
/* The text to which writing cpu.idle 0 resets the weight. */
const char *knob_file_reset_text(enum knob_file f, bool v2);
/* -EOPNOTSUPP and why: controller not enabled for the group, or a kernel without the file. */
int knob_explain_missing(const struct knob_target *t, enum knob_file f, struct error *reterr);

/* Pins file f of t in e if an older open action holds it. */
must_check int knob_pin_if_held(const struct knob_target *t, enum knob_file f, struct entry *e);

/* The plan of cpusets, a file of its own (knob-cpuset.c). */
int cpuset_get(const struct knob_target *t, char *buf, size_t size);
int cpuset_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr);
int cpuset_check(const struct knob_target *t, const char *to, struct error *reterr);
bool cpuset_valid(const char *to);

/* Limits on memory and io (knob-limits.c). */
int memory_high_get(const struct knob_target *t, char *buf, size_t size);
int memory_high_plan(const struct knob_target *t, const char *to, struct entry *e,
		     struct error *reterr);
/* A lower limit makes the kernel reclaim: waits for that a second at most. -EBUSY (v1): it could
 * not be set in a third of that. */
must_check int memory_limit_write(int dirfd, const char *name, bool v2, const char *text);
int io_max_get(const struct knob_target *t, char *buf, size_t size);
int io_max_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr);
bool limit_valid(const char *to);

/* Pacing (knob-net.c). */
int net_max_get(const struct knob_target *t, char *buf, size_t size);
int net_max_plan(const struct knob_target *t, const char *to, struct entry *e,
		 struct error *reterr);
bool net_max_valid(const char *to);

/* Cache and memory bandwidth (knob-cache.c). */
int llc_get(const struct knob_target *t, char *buf, size_t size);
int llc_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr);
int membw_get(const struct knob_target *t, char *buf, size_t size);
int membw_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr);
bool cache_valid(const char *to);
must_check int cache_read(int dirfd, enum knob_file f, char *buf, size_t size);
must_check int cache_write(int dirfd, enum knob_file f, bool v2, const char *text);
/* The zone of this id is gone: so is its resctrl group then. Nothing for other files. */
void cache_forget(enum knob_file f, uint64_t id);
