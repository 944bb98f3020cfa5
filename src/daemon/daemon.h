/* SPDX-License-Identifier: MIT */
/*
 * czd's worker: everything it holds, and the parts of the wiring that need each other. One thread,
 * one event loop. The order of a tick is in pipeline.c; what a client may ask is in api.c.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include "actuate/actuate.h"
#include "actuate/owner.h"
#include "actuate/controllers.h"
#include "base/hash.h"
#include "daemon/desired.h"
#include "daemon/events.h"
#include "daemon/recorder.h"
#include "daemon/server.h"
#include "daemon/victims.h"
#include "decide/decide.h"
#include "detect/detect.h"
#include "kernel/cgroup.h"
#include "kernel/kernel.h"
#include "kernel/procfs.h"
#include "model/config.h"
#include "model/snapshot.h"
#include "probes/ledger.h"
#include "probes/probe.h"
#include "zones/zones.h"

struct options {
	const char *run_dir;   /* sockets, journal, lock; tmpfs */
	const char *state_dir; /* protected zones; survives a reboot */
	const char *config_path;
	const char *root;	 /* "/" or a captured tree: look only */
	bool config_required;	 /* given by the user, so it must exist */
	int beat_fd;		 /* to the keeper, see keeper_beat(); -1: none */
	const char *libexec_dir; /* cz-run, cz-vm, cz-guest, scx-* */
	bool no_bpf;		 /* run without the ledger (tests, fallback by choice) */
};

/* Own cost and delay; shown by doctor, exported later. */
struct self_stats {
	uint64_t started_ns;
	uint64_t ticks_total, late_ticks_total;
	uint64_t early_ticks_total; /* begun because the kernel told of a stall */
	uint64_t fast_events_total, fast_applied_total;
	uint64_t loop_delay_max_ns; /* a slice that ran later than asked for */
	uint64_t feed_total, feed_refused_total;
	uint64_t cpu_ns_at_tick, cpu_ppm; /* own CPU over the last tick */
	const char *priority;		  /* "fifo 1", "nice -20", "normal" */
	uint64_t rt_again_tick;		  /* real-time priority was lost: try again then; 0 not */
};

/* The ledger's own cost, measured now and then. */
struct ledger_cost {
	bool measuring, known; /* known: ppm was measured */
	uint32_t over;	       /* measurements above the budget in a row */
	uint64_t before_ns, next_tick;
	uint64_t ppm;	   /* of all CPUs, when last measured */
	uint64_t retry_ns; /* detached until then; 0: not for its cost */
};

/* A comparison of all knobs with the baseline that is under way, see verify.c. */
struct verify {
	struct verify_walk *walk; /* NULL: none */
	uint64_t ticket;	  /* of those who are answered at its end */
	json_t *items;
	struct verify_report report;
};

#define DEFAULT_STATE_DIR "/var/lib/cz"

/* A zone that went away: windows that it ran in are still told of. */
#define GONE_KEPT 256
struct gone_zone {
	uint64_t id;
	uint64_t tree_seq; /* the first without it */
	enum zone_class class;
	char name[ZONE_NAME_MAX];
};

/* Findings that closed, newest last; the open ones are in d->findings. */
#define FINDINGS_KEPT 64

struct daemon {
	const struct options *opt;
	struct config cfg;
	struct kernel kernel;
	struct cgroup_fs fs;
	struct topology topo;
	int run_dirfd;
	sd_event *loop;
	sd_event_source *tick_timer, *slice_timer;
	struct zones *zones;
	struct probes *probes;
	struct ledger *ledger; /* NULL: off, see ledger_why_off */
	sd_event_source *ledger_source;
	char ledger_why_off[600];
	struct ledger_cost cost;
	struct victims victims;
	struct actuator *actuator; /* NULL: only with a captured root */
	struct owner *owner;	   /* NULL: no systemd that owns groups */
	struct baseline *baseline;
	struct verify verify;
	struct detect *detect;
	struct decide *decide;
	struct server *server;
	struct desired desired;
	struct zones_mgr *zones_mgr; /* zones that users created; NULL: only with a captured root */
	controllers_mask controllers_on; /* by us, in the root; see made.c */
	int feed_fd;
	sd_event_source *feed_source;
	struct events events;
	struct recorder recorder;
	struct self_stats self;

	/* the snapshot: the published views, and those before them once the tree has changed */
	struct snapshot snap;
	struct zone_view *views[2];
	size_t views_cap[2];
	int front;
	struct ledger_view ledgers[LEDGER_VICTIMS_MAX];
	struct disk_view disks[DISKS_MAX];
	struct disk_use *disk_uses;
	size_t cap_disk_uses;
	bool tree_dirty;   /* zones changed since the views were built */
	uint64_t tree_seq; /* counts the layouts in which zones came, went or changed their class */
	uint64_t *new_ids; /* zones that appeared and were not looked up in `desired` yet */
	size_t nr_new, cap_new;
	struct host_row host_before;
	struct finding_set findings;
	struct finding closed[FINDINGS_KEPT];
	size_t nr_closed;
	struct gone_zone gone[GONE_KEPT]; /* a ring */
	size_t next_gone;
	struct plan plan;	   /* scratch: too large for the stack */
	struct hash action_states; /* seq -> state last announced */
	int turn_fd;		   /* the lock of turn.c, -1 not held */
	struct error turn_why;	   /* why it cannot be had; code 0: no such reason */
	uint64_t last_stray;	   /* see enforce_strays() */
	uint64_t last_looked;	   /* see enforce_look() */
	uint64_t slice_end_ns, slice_due_ns;
	uint64_t stalled_ns; /* when the kernel last told of a stall; 0: never */
	bool tick_running;
};

/* daemon.c */
int daemon_run(const struct options *opt); /* exit code */
int daemon_undo(const struct options
		    *opt); /* exit code: 0 all put back, 1 something could not be, 3 a czd runs */
/* Open the sockets that are not open yet; a full or read-only run directory may allow it later. */
must_check int daemon_listen(struct daemon *d, struct error *reterr);

/* reload.c */
must_check int load_config(const struct options *opt, struct config *ret); /* says what is wrong */
/* The file again: rules, goals and off-limits zones are taken over; for the rest it takes a
 * restart. */
void reload_config(struct daemon *d);

/* Real-time priority that was lost for running too long comes back after a while. Once a tick. */
void daemon_keep_priority(struct daemon *d);
/* For what may take long in the kernel: until the end of this tick. */
void daemon_leave_priority(struct daemon *d);

/* pipeline.c */
struct slice pipeline_slice(struct daemon *d); /* from now on; one at a time */
void pipeline_slice_soon(struct daemon *d);    /* there is work for pipeline_zones() */
must_check int pipeline_init(struct daemon *d, struct error *reterr);
void pipeline_done(struct daemon *d);
void pipeline_tick(struct daemon *d);	 /* a full tick: timer */
void pipeline_zones(struct daemon *d);	 /* the tree has changed */
void pipeline_take_in(struct daemon *d); /* zones just found: the class that the user asked for */

/* publish.c */
/* A new snapshot from what was read. -ENOMEM: nobody may look at the previous one. */
must_check int publish_all(struct daemon *d);
/* Before anybody looks at d->snap: views borrow from zones, so they are laid out anew once zones
 * came, went or changed class. Cheap when nothing did. -ENOMEM. */
must_check int publish_fresh(struct daemon *d);
uint32_t publish_index_of(const struct daemon *d, uint64_t zone_id); /* NO_ZONE */

/* watch-ledger.c */
void watch_ledger_open(struct daemon *d); /* or says why not */
void watch_ledger_close(struct daemon *d, const char *why);
void watch_ledger_events(struct daemon *d); /* the fast path */
void watch_ledger_arm(struct daemon *d);    /* after the mode or the victims may have changed */
void watch_ledger_cost(struct daemon *d);

/* enforce.c: plans -> actuator, and the news about actions */
void enforce_plan(struct daemon *d, const struct plan *p);
void enforce_announce(struct daemon *d);
/* The journal's entries of a zone that is gone are closed: it holds what is open, not history. */
void enforce_zone_gone(struct daemon *d, uint64_t zone_id);

/* Actions whose knob somebody else has changed meanwhile end. Before each decision. */
void enforce_look(struct daemon *d);

/* Knobs that are changed although no action in force says so (rolling back failed, or undoing what
 * a dead czd left): try to put some of them back. Once a tick. */
void enforce_strays(struct daemon *d);

/* turn.c: one czd of all on this host may enforce at a time */
must_check int turn_take(struct daemon *d, struct error *reterr); /* before applying; -EROFS */
void turn_give_back(struct daemon *d);				  /* if nothing is in force */
/* Once a tick, and when the mode has changed: the lock is held while something may be enforced. */
void turn_look(struct daemon *d);
bool turn_can_apply(const struct daemon *d, const char **ret_why_not); /* and the journal as well */

/* made.c */
void made_load(struct daemon *d);    /* what an earlier czd has turned on */
void made_prepare(struct daemon *d); /* before a zone is made */
void made_reap(struct daemon *d);    /* remove the zones czd made that are empty now */
void made_remove_empty(struct daemon *d, const char *path); /* one of these, if it is empty */

/* feed.c */
must_check int feed_open(struct daemon *d, struct error *reterr);
void feed_close(struct daemon *d);

/* verify.c */
bool verify_step(struct daemon *d, uint32_t max_zones); /* is there more to do? */
void verify_done(struct daemon *d);

/* api.c */
json_t *api_handle(const struct peer *p, const char *verb, const json_t *args, void *arg,
		   struct error *reterr);
