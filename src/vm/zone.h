/* SPDX-License-Identifier: MIT */
/* One zone's life in cz-vm, after root is given up: the machine, the guest and czd's link meet
 * here. */
#pragma once
#include <stdbool.h>
#include <jansson.h>
#include <systemd/sd-event.h>
#include "vm/backend.h"
#include "vm/launch.h"
#include "vm/link.h"
#include "vm/logs.h"
#include "vm/ports.h"
#include "vm/term.h"

enum vm_state { VM_STARTING, VM_BOOTING, VM_RUNNING, VM_STOPPING };
#define FORWARD_MAX 32

struct forward {	   /* a request of czd's that the guest has */
	uint64_t guest_id; /* 0: free */
	uint64_t generation, deadline_ns;
	json_int_t link_id;
	uint32_t online; /* of a `vcpus` request */
	json_t *set;	 /* of a `sched` request: what it asks for; owned */
	bool apply;
	bool silent; /* ours, not czd's */
};

struct zone {
	const struct launch *launch;
	sd_event *loop;
	sd_event_source *tick, *escalation, *share;
	const struct vm_backend *backend;
	void *machine;
	struct ports *ports;
	struct logs *logs;
	struct terms *terms;
	struct link *link;

	enum vm_state state;
	bool kvm;
	char accel_why[256];
	uint64_t start_ns, boot_ms; /* 0: not booted yet */
	uint64_t share_files;	    /* that virtiofsd may have open; 0: no virtiofsd */
	uint32_t online;
	struct vm_memory memory;
	json_t *guest, *stats; /* last ready, last stats; owned */
	/* All of what was applied, as it is said to a new session: with `again`, and `set`, the
	 * policy that was asked for since. Owned. */
	json_t *apply;
	bool applied; /* the guest has taken it in, and told of itself since: `told` of stats */
	bool told;

	struct forward forward[FORWARD_MAX];
	uint64_t next_guest_id;
	struct { /* the one `memory` request that waits */
		bool waiting;
		json_int_t link_id;
		uint64_t generation, bytes, deadline_ns;
	} want_memory;
	unsigned int said;	 /* control messages of the guest this second */
	unsigned int log_budget; /* lines that notices may still take in our own log */
	uint64_t dropped_total, refused_logs_total;

	unsigned int step; /* of the way down */
	uint64_t grace_ns;
	char failed[256]; /* the guest's own word that it cannot run; "": none */
	int exit_code;
};

bool zone_is_adopted(const struct zone *z); /* then it has no ports, logs or terms */
uint64_t zone_now_ns(const struct zone *z);
json_t *zone_state_json(struct zone *z);
json_t *zone_stats_json(struct zone *z);
void zone_state_changed(struct zone *z);
void zone_notice(struct zone *z, const char *kind, const char *text);

/* down.c */
void zone_power_down(struct zone *z, uint64_t grace_ms);
int zone_step_down(sd_event_source *source, uint64_t now_usec, void *arg); /* z->escalation's */
void zone_ended(void *arg, enum vm_end how, const char *text);		   /* vm_events' */

/* requests.c */
void zone_request(void *arg, json_int_t id, const char *what, const json_t *request);
void zone_answer(struct zone *z, const json_t *message); /* of the guest's */
void zone_check_memory(struct zone *z);
void zone_expire(struct zone *z);
int zone_apply_again(struct zone *z);  /* what the guest is to run, after a new session */
bool zone_apply_waits(struct zone *z); /* the guest has not taken it in (yet) */

struct zone_start {
	int link_listener, term_listener; /* taken */
	int log_dir, program;		  /* borrowed */
	pid_t share;			  /* virtiofsd; 0: none */
	uint64_t share_files;		  /* that it may have open */
	struct qemu_plan *plan;		  /* its fds are taken */
	bool kvm;
	const char *accel_why;
};
/* Runs the zone until its machine is gone. The process's exit code, or -Exxx: it did not start. */
must_check int zone_run(const struct launch *l, struct zone_start *start, struct error *reterr);
