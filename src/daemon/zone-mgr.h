/* SPDX-License-Identifier: MIT */
/*
 * Zones that users applied: what they are to be is on disk (zone-store.h), what they are is asked
 * of their supervisors (cz-vm, cz-run) over their links. The manager brings one to the other:
 * zone-mgr.c keeps the list, zone-step.c goes from state to state, zone-start.c makes limits and
 * processes, zone-apply.c takes changes to what runs, zone-api.c is what clients ask for.
 *
 * A zone's process belongs to nobody but its group: czd may die at any moment, and takes it over
 * again by pid, start time and group.
 */
#pragma once
#include <jansson.h>
#include "daemon/daemon.h"
#include "daemon/zone-link.h"
#include "daemon/zone-store.h"
#include "model/lifecycle.h"

#define ZONES_PARENT "/cz-zones"
/* The group of commands that users run in a cgroup zone; no app is called so (zone-check.c). */
#define ZONE_EXEC	    "cz-exec"
#define ZONES_APPLIED_MAX   256
#define ZONE_UID_BASE	    2000000000u
#define ZONE_SLOTS_MAX	    100000 /* of all czd of a host */
#define ZONE_SLOTS	    512	   /* of one czd; the second half for what has lost its slot */
#define ZONE_GRACE_NS	    (10ull * 1000000000)
#define ZONE_GRACE_MAX_NS   (3600ull * 1000000000)
#define ZONE_BACKOFF_NS	    (1ull * 1000000000)
#define ZONE_BACKOFF_MAX_NS (60ull * 1000000000)
#define ZONE_WELL_NS	    (60ull * 1000000000) /* ran for so long: back-off begins anew */

struct zones_mgr;
struct applied {
	struct zones_mgr *m;
	char name[ZONE_SPEC_NAME_MAX + 1], path[ZONE_SPEC_NAME_MAX + sizeof(ZONES_PARENT) + 1];
	char domain[ZONE_PATH_MAX]; /* the cgroup of what it adopted; "" nothing */
	struct zone_spec spec;
	struct zone_record rec;
	bool gave_back;	   /* that was tried, after its supervisor was killed */
	bool edited;	   /* spec.yaml is not what czd wrote: said, not followed */
	bool broken;	   /* nor can it be loaded: spec is what it was started with, or none */
	bool clean;	   /* its supervisor said that it stops, on its own account */
	bool groups;	   /* there are cgroups of it, which this czd or one before it made */
	char why[512];	   /* the latest trouble, "" none */
	char verdict[512]; /* why czd itself is ending it; "" it is not */

	int pidfd; /* of the supervisor; -1 */
	bool is_child;
	sd_event_source *gone;
	struct zone_link *link;
	enum zone_phase phase;
	uint64_t phase_ns; /* since when */
	struct zone_hello hello;
	struct zone_stats stats, recent; /* as told; what apps waited in the last second */
	uint64_t stats_ns;		 /* when they came; 0 never */
	uint64_t silent_ns; /* for how long nothing was heard of it; 0: it is heard of */
	unsigned int silent_ticks;
	uint64_t started_ns, retry_ns, backoff_ns;
	uint32_t crashes;
	/* Of the machine that was started last: whatever the spec came to say since, it can have
	 * so much. */
	uint32_t vcpus_max;
	uint64_t memory_max_bytes;
	bool vcpus_moved;
	struct cpuset cpus;   /* as set */
	unsigned int untold;  /* what of a change its supervisor does not know yet */
	unsigned int telling; /* requests about changes that it has not answered yet */
};

struct zones_mgr {
	struct daemon *d;
	int dirfd;     /* STATE_DIR/zones; -1: why_off says why */
	int run_dirfd; /* RUN_DIR/zones */
	char why_off[600];
	struct applied *items[ZONES_APPLIED_MAX];
	size_t nr, next_step; /* whose turn it is */
	uint32_t first_slot;
	sd_event_source *timer;
	uint64_t last_ticket; /* of requests that a supervisor answers */
};

/* zone-mgr.c */
must_check int zones_mgr_new(struct daemon *d, struct zones_mgr **ret);
void zones_mgr_free(struct zones_mgr *m); /* what runs goes on */
void zones_mgr_tick(struct zones_mgr *m); /* once a second */
bool zones_mgr_has_groups(const struct zones_mgr *m);
/* The class and goals that an applied zone gives a cgroup path; false: none of ours. */
bool zones_mgr_class(const struct zones_mgr *m, const char *path, enum zone_class *ret_class,
		     struct slo *ret_slo, enum zone_kind *ret_kind);
/* A group of a zone that another czd made: what changes there is its affair. */
bool zones_mgr_is_foreign(const struct zones_mgr *m, const char *path);
/* NULL: none of that name (which may be NULL). */
struct applied *zones_mgr_find(const struct zones_mgr *m, const char *name);
void zone_soon(struct zones_mgr *m); /* look at all zones again, at once */
/* New state, on disk; a failure to write is said. */
void zone_set_state(struct applied *z, enum zone_state s);
void zone_say(struct applied *z, const char *fmt, ...) printf_like(2, 3); /* an event */
/* -EPERM and why, when there is no way from its state to `to`. */
must_check int zone_may(const struct applied *z, enum zone_state to, struct error *reterr);
/* A new zone, state created. Takes spec over on success. */
must_check int zone_create(struct zones_mgr *m, struct zone_spec *spec, struct applied **ret,
			   struct error *reterr);
struct applied *zone_add(struct zones_mgr *m, const char *name); /* NULL: memory */
void zone_look_at_spec(struct applied *z);			 /* is it what czd wrote? */

/* zone-step.c */
int zones_step(sd_event_source *src, uint64_t usec, void *arg); /* the manager's timer */
void zone_set_phase(struct applied *z, enum zone_phase phase);
/* Ends a machine whose guest has not said for too long that it runs: that counts as a crash. */
void zone_check_boot(struct applied *z, uint64_t now_ns);
/* Says when one that runs is not heard of any more, and when it is again. */
void zone_check_voice(struct applied *z, uint64_t now_ns);
bool zone_is_stopping(const struct applied *z); /* on request */
/* Asks it to end, and for what comes then (on disk before anything is done). */
must_check int zone_stop(struct applied *z, enum zone_wish wish, uint64_t grace_ns,
			 struct error *reterr);
must_check int zone_watch(struct applied *z); /* for its process's end */
void zone_drop_link(struct applied *z);

/* zone-load.c */
void zones_load(struct zones_mgr *m);

/* zone-programs.c */
enum vm_program { VM_QEMU, VM_VIRTIOFSD, VM_QEMU_DATA };
const char *zone_program(enum vm_program which); /* NULL: not on this host */
must_check int zone_libexec_path(const struct zones_mgr *m, const char *name, char *buf,
				 size_t size, struct error *reterr);
/* A path as it is, else a name; NULL: the default. */
must_check int zone_kernel_path(const struct zones_mgr *m, const char *name, char *buf, size_t size,
				struct error *reterr);
json_t *zone_policies_json(const struct zones_mgr *m); /* the schedulers that zones may have */
json_t *zone_machines_json(const struct zones_mgr *m); /* what is there, for doctor */

/* zone-start.c */
/* CPUs, files and other zones: can this spec run here, now? */
must_check int zone_check(const struct zones_mgr *m, const struct zone_spec *spec,
			  struct error *reterr);
must_check int zone_start(struct applied *z, struct error *reterr);
/* spec: what its machine was started with. */
void zone_note_machine(struct applied *z, const struct zone_spec *spec);
/* Watches the process of z->rec. -ESRCH: it is gone, or another. */
must_check int zone_adopt(struct applied *z);
/* The last line of one of its logs, escaped. */
void zone_last_words(const struct applied *z, const char *file, char *buf, size_t size);
void zone_clear_run_dir(struct applied *z);

/* A process of its group that is known on disk before it runs, and watched; an argument may be
 * NULL. */
must_check int zone_spawn(struct applied *z, const char *program, const char *arg1,
			  const char *arg2, struct error *reterr);

/* zone-adopted.c */
#define ZONE_JOURNAL "adopted"
const char *zone_watched_path(const struct applied *z); /* its own group, or what it adopted */
void zone_find_domain(struct applied *z);		/* once its supervisor has told of it */
void zone_class_domain(struct applied *z);
void zone_note_domain(struct applied *z);
void zone_lose_domain(struct applied *z);
/* Its supervisor is gone: puts back what that left changed. True: somebody is at it. */
bool zone_give_back(struct applied *z);

/* zone-groups.c */
/* 0: its path is nobody's (now). -EBUSY: something runs there; it is left alone. */
must_check int zone_path_is_free(const struct applied *z, struct error *reterr);
bool zone_owns_groups(const struct applied *z); /* what is at its path was made for it */
must_check int zone_mark_groups(const struct applied *z, struct error *reterr);
bool zone_holds(const struct applied *z, pid_t tid); /* does it run in its groups? */
/* z->groups: whether anything was made, also on failure. */
must_check int zone_make_groups(struct applied *z, struct error *reterr);
must_check int zone_app_groups(struct applied *z, struct error *reterr); /* those of its apps */
must_check int zone_set_limits(struct applied *z, struct error *reterr);
/* Threads into their groups, one CPU each. True: some went, and their groups are to be noted. */
bool zone_place_vcpus(struct applied *z);
/* 0: all are gone; -EBUSY: later. */
must_check int zone_remove_groups(struct applied *z);
void zone_note_groups(struct applied *z); /* limits are no change to verify */

/* zone-apply.c */
json_t *zone_diff_json(const struct applied *z, const struct zone_spec *wanted);
/* Takes spec over on success. */
must_check int zone_update(struct applied *z, struct zone_spec *spec, bool reboot,
			   struct error *reterr);
void zone_tell_again(struct applied *z); /* what could not be told when it changed */

/* zone-why.c */
/* The VM zone meant by "NAME" or "NAME/APP", if its guest tells of itself; else NULL. */
const struct applied *zone_why_of(const struct zones_mgr *m, const char *name,
				  const struct zone_app_stats **ret_app);
/* Adds to the answer o of `why` what goes on inside; app NULL: each lc app. */
void zone_why(const struct applied *z, const struct zone_app_stats *app,
	      const struct ledger_view *w, json_t *o);

/* zone-exec.c: a client's process joins a zone of runtime cgroup */
must_check int zone_join(struct applied *z, const char *app, pid_t pid, struct error *reterr);

/* zone-shape.c */
json_t *zones_mgr_rows(const struct zones_mgr *m);
json_t *zone_shape(const struct applied *z, bool whole);
json_t *zone_app_row(const struct applied *z, const struct zone_app_stats *a);
