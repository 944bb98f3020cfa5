/* SPDX-License-Identifier: MIT */
/*
 * One line from a zone's supervisor (cz-vm, cz-run) -> plain data; docs/zone-protocol.md, "The
 * link". The line is hostile: it comes from a process that talks with QEMU and a guest. Everything
 * is cut at its maximum, names are escaped where they are taken in, numbers are clamped, and an
 * object of a wrong shape is -EBADMSG.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "model/zone-spec.h"

#define ZONE_LINE_MAX  65536
#define ZONE_PARTS_MAX 16
#define ZONE_STATS_MAX 64 /* numbers of one policy */
#define ZONE_TEXT_MAX  512

struct zone_part { /* of an app's waiting inside the zone */
	char cause[16];
	char app[ZONE_SPEC_NAME_MAX + 1]; /* who ran; "" unless the cause is a neighbour */
	uint64_t ns;
};

struct zone_app_stats {
	char name[ZONE_SPEC_NAME_MAX + 1];
	enum zone_class class;
	char state[16]; /* "running", "exited", "failed", "waiting" */
	int64_t pid, exit_code;
	uint64_t restarts;
	bool healthy;
	/* Killed for want of memory: whose, when it last ended ("limit", "machine", "unknown"; ""
	 * not), and how many of its processes since it was first there (-1: not told). */
	char oom[16];
	int64_t oom_kills_total;
	uint64_t cpu_ns, memory_bytes; /* cpu_ns: since it started */
	bool wait_known;	       /* the ledger has it */
	/* Waiting: since it was first there, its p99 in the last second. */
	uint64_t wait_ns, waits, wait_p99_ns;
	size_t nr_parts;
	struct zone_part parts[ZONE_PARTS_MAX];
};

struct zone_stats {
	uint64_t at_ns;
	uint64_t balloon_bytes, free_bytes, available_bytes; /* 0: not told */
	char policy[ZONE_SPEC_NAME_MAX + 1];
	/* The one that is to be in force, and why it cannot be had ("": it can, or may yet). */
	char policy_wanted[ZONE_SPEC_NAME_MAX + 1], policy_why[ZONE_TEXT_MAX];
	bool told; /* the guest knows all of the spec, and this is of after that */
	size_t nr_apps;
	struct zone_app_stats apps[ZONE_APPS_MAX];
};

/*
 * The same figures, with waiting (wait_ns, waits, parts, most first) as it was a second between two
 * reports. Not known (wait_known false): of an app whose totals fell, or that is new; of all when
 * the guest's clock went back or reports are missing. False, and *ret as it was: too short a time.
 */
bool zone_stats_recent(const struct zone_stats *was, const struct zone_stats *is,
		       struct zone_stats *ret);

enum zone_phase { PHASE_NONE, PHASE_STARTING, PHASE_BOOTING, PHASE_RUNNING, PHASE_STOPPING };
const char *zone_phase_name(enum zone_phase p);

struct zone_vcpu {
	int64_t tid;
	bool online;
};
struct zone_hello {
	enum zone_phase phase;
	char accel[8], accel_why[ZONE_TEXT_MAX];
	int64_t qemu_pid, boot_ms; /* boot_ms -1: not known (yet) */
	size_t nr_vcpus;
	struct zone_vcpu vcpus[ZONE_VCPUS_MAX]; /* by guest CPU; tid 0: none */
	char kernel[ZONE_TEXT_MAX];
};

enum zone_msg_kind { ZONE_MSG_STATE, ZONE_MSG_STATS, ZONE_MSG_NOTICE, ZONE_MSG_ANSWER };
struct zone_number {
	char name[40];
	int64_t value; /* its unit is in its name */
};
struct zone_msg {
	enum zone_msg_kind kind;
	/* answers */
	uint64_t id;
	bool ok;
	char error_name[24], error_message[ZONE_TEXT_MAX];
	char policy[ZONE_SPEC_NAME_MAX + 1], task_class[16];
	int64_t switch_ms, bytes, priority; /* -1: not told */
	size_t nr_numbers;		    /* of the policy */
	struct zone_number numbers[ZONE_STATS_MAX];
	/* notices */
	char notice_kind[16], text[ZONE_TEXT_MAX];
	/* state events, and answers to hello; stats events, and answers to stats */
	struct zone_hello hello;
	struct zone_stats stats;
};
/* -EBADMSG: not such a line. A struct zone_msg is some 60 KiB: not for the stack. */
must_check int zone_msg_parse(const char *line, size_t len, struct zone_msg *ret);
