/* SPDX-License-Identifier: MIT */
/*
 * fake-resctrl: a stand-in for the kernel's resctrl where no CPU has any. It enforces the rules
 * that Documentation/filesystems/resctrl.rst and the kernel's fs/resctrl state, with their errors
 * and last_cmd_status, and makes counters from a model of cache and bandwidth. Written from these
 * texts, unverified on silicon. Not here: pseudo-locking (refused as on CPUs without it), BMEC, CPU
 * hotplug.
 *
 * It shares no code with src/kernel/resctrl*: what is tested must not judge itself.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DOMAINS_MAX 8
#define GROUPS_MAX  64
#define DEMANDS_MAX 64
#define NAME_SIZE   64
#define PATH_SIZE   144

enum machine { INTEL, AMD, MPAM };
enum resource { L3, L3CODE, L3DATA, MB, RESOURCES };
enum mode { SHAREABLE, EXCLUSIVE };

struct group {
	bool used, is_mon;
	char name[NAME_SIZE];
	struct group *parent; /* of a monitoring group */
	enum mode mode;
	uint32_t value[RESOURCES][DOMAINS_MAX]; /* control groups */
	uint64_t cpus;
	bool assigned[2][DOMAINS_MAX]; /* counters: total, local */
	bool fresh;		       /* the next read is "Unavailable" (AMD) */
	double occupancy[DOMAINS_MAX], total[DOMAINS_MAX], local[DOMAINS_MAX];
	char mbps_event[24];
};

/* Who wants how much of the cache and of memory: a task wherever it is, or a group by its path. */
struct demand {
	pid_t tid; /* 0: by group */
	char group[PATH_SIZE];
	int domain; /* index */
	double footprint_bytes, accesses_per_s;
	double remote; /* part of its memory traffic that is not local */
	/* computed */
	double occupancy, bytes_per_s;
};

struct task {
	pid_t tid;
	uint64_t start;
	struct group *ctrl, *mon; /* mon NULL: of ctrl itself */
	bool alive;
};

struct fake {
	enum machine machine;
	bool cdp, mbps;
	int nr_domains, domain_id[DOMAINS_MAX];
	uint32_t ways, closids, rmids, min_cbm_bits, shareable, gran, min_bw, max_bw;
	bool sparse;
	int snc; /* nodes a cache; 0 or 1: off */
	int nr_cpus;
	double way_bytes, bandwidth_bytes_per_s;
	uint32_t counters; /* assignable ones a domain; 0: not that mode */
	bool assign_on;
	uint64_t limbo_ns; /* for so long the RMID of a removed group cannot be had again */
	uint64_t limbo_until[GROUPS_MAX];
	uint64_t threshold_bytes;
	struct group groups[GROUPS_MAX]; /* [0]: the default one */
	struct demand demands[DEMANDS_MAX];
	size_t nr_demands;
	struct task *tasks;
	size_t nr_tasks, cap_tasks;
	uint64_t model_ns; /* up to then the counters are made */
	char status[512];
	char config[512]; /* path of the model's file */
	int64_t config_mtime_ns;
};

/* text that grows; failed allocations end the program */
struct text {
	char *data;
	size_t len;
};
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* fake-model.c */
int fake_config(struct fake *f, const char *path); /* 0, or a message on stderr and -1 */
void fake_advance(struct fake *f);
/* fake-groups.c */
void fake_reset(struct fake *f);
void fake_status(struct fake *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct group *fake_find(struct fake *f, const char *ctrl, const char *mon);
void fake_path(const struct group *g, char buf[PATH_SIZE]);
int fake_mkdir(struct fake *f, struct group *parent, const char *name, bool mon);
int fake_rmdir(struct fake *f, struct group *g);
int fake_rename(struct fake *f, struct group *g, struct group *to, const char *name);
int fake_write_cpus(struct fake *f, struct group *g, const char *text, bool list);
int fake_write_mode(struct fake *f, struct group *g, char *text);
int fake_write_event(struct fake *f, struct group *g, char *text);
int fake_write_assignments(struct fake *f, struct group *g, char *text);
bool fake_resource(const struct fake *f, enum resource r); /* is it there? */
uint32_t fake_free_counters(const struct fake *f, int domain);
extern const char *const resource_names[RESOURCES];
/* fake-schemata.c */
int fake_write_schemata(struct fake *f, struct group *g, char *text, size_t len);
void fake_show_schemata(const struct fake *f, const struct group *g, struct text *t, bool size);
void fake_show_bit_usage(const struct fake *f, enum resource r, struct text *t);
bool fake_overlaps(const struct fake *f, const struct group *g, enum resource r, int domain,
		   uint32_t mask, bool exclusive_only);
uint32_t fake_initial_mask(const struct fake *f, enum resource r, int domain);
/* fake-tasks.c */
void fake_scan_tasks(struct fake *f);
int fake_write_tasks(struct fake *f, struct group *g, char *text);
void fake_show_tasks(struct fake *f, const struct group *g, struct text *t);
void fake_forget_group(struct fake *f, struct group *g); /* its tasks go up */
struct task *fake_task(struct fake *f, pid_t tid);
/* fake-files.c */
struct node {
	enum { NODE_NONE, NODE_DIR, NODE_FILE } kind;
	enum {
		AT_GROUP,
		AT_INFO,
		AT_RESOURCE,
		AT_L3_MON,
		AT_MON_GROUPS,
		AT_MON_DATA,
		AT_DOMAIN,
		AT_NODE
	} at;
	struct group *group;
	enum resource resource;
	int domain, snc_node;
	char file[NAME_SIZE];
};
struct node fake_lookup(struct fake *f, const char *path);
void fake_list(struct fake *f, const struct node *n, void (*add)(void *arg, const char *name),
	       void *arg);
bool fake_writable(const struct node *n);
int fake_read(struct fake *f, const struct node *n, struct text *t);
int fake_write(struct fake *f, const struct node *n, const char *data, size_t len);
