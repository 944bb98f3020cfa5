/* SPDX-License-Identifier: MIT */
/*
 * Recordings: what detect and decide are fed, as text, one JSON object a line, so that an incident
 * can be replayed and a policy tried on it. Strings only, no files (src/replay has those).
 *
 * The first line of what czd records; people who write lines by hand leave it out:
 *   {"recording": 1, "czd": VERSION, "now": NS, "real": NS, "columns": [METRIC, ...],
 *    "host_columns": [METRIC, ...], "config": {KEY: N}, "finding_seq": N, "action_seq": N,
 *    "modes": [["enforce", VICTIM, UNTIL], ...], "learned": [[ZONE ID, N, ...], ...]}
 * All of the tree:
 *   {"now": NS, "window": NS, "online": "0-3", "cores": [0, 0, 1, 1],
 *    "zones": [{"id": 1, "parent": null, "name": "/", "path": "/", "class": "normal", "own": true,
 *               "off": "the root", "slo": "wait.p99=500us", "quota": true, "kind": "vm",
 *               "control": "cpi2-cap",
 *               "value": {METRIC: N}, "delta": {METRIC: N}, "m": MOVED, "via": INTERFACE}, ...],
 *    "ledgers": [{"zone": ZONE, "waits": N, "p50": NS, "p99": NS, "max": NS, "feed": [N, P50, P99],
 *                 "window": NS,
 *                 "parts": [["neighbour", ID, NS, PID, CPU, "COMM"], ["self", NS], ...]}, ...]}
 * ZONE is an index into the tree (parents first). Lines without "zones", "online" or "cores" keep
 * those of the line before. A ledger without "parts" but with "wait" is an estimated one.
 * By hand, CPU time of the zones listed, 0 for the others, and all else of them not told:
 *   {"now": NS, "window": NS, "use": [[ZONE, NS], ...], "ledgers": [...]}
 * Where instructions were counted: [ZONE, NS, REFERENCE CYCLES, INSTRUCTIONS].
 * Of several disks, what their requests in the window took, and zones did there (in io_span_ns):
 *   "disks": [[NAME, DEV, REQUESTS, NS], ...], "at_disks": [[ID, DEV, BYTES, OPERATIONS], ...]
 * From czd, exactly: zones that are new or changed (with "under", the parent's id, in place of
 * "parent"), what moved, and the host's totals. Ledgers name their zone by "id":
 *   {"now": NS, "window": NS, "nr": ZONES, "tree": [zone, ...], "host": MOVED,
 *    "moved": [[ID, MOVED, INTERFACE], ...], "ledgers": [...]}
 *
 * MOVED is a text of items with commas between:
 *   C=N     the metric of column C is N; by how much it grew is not known
 *   C=N+D   it grew by D to N
 *   C+D     it grew by D
 *   C!      it is no longer known
 *   Q=1     a quota is finite; 0: none is
 *   I=NS    io_span_ns, M=NS memory_span_ns; 0 if not told
 * Counters that are not in it have not grown.
 *
 * Between snapshots; those with "tree" from czd, where it changed meanwhile:
 *   {"event": {"now": NS, "since": NS, "foreign": NS, "victim": ID, "culprit": ID, "cpu": N,
 *              "pid": N, "comm": TEXT}, "tree": [...]}
 *   {"again": NS, "tree": [...]}   decided once more on the same snapshot
 *   {"mode": "enforce", "victim": ID, "until": NS, "now": NS}   victim, until optional
 *   {"approve": SEQ, "now": NS}   {"undo": SEQ, "now": NS}   {"observe": 0, "now": NS}
 *   {"gone": ID, "name": NAME}   {"can_apply": BOOL}
 *   {"missed": LINES, "now": NS}   the reader was too slow; a whole tree follows
 *   {"end": NS}
 * By hand, what becomes of the following such steps ("OK" again):
 *   {"result": "EBUSY", "knob": "cpu.idle", "step": "apply"}
 *
 * What czd did on a line is on the same line, see struct record_did.
 */
#pragma once
#include <stdbool.h>
#include "base/error.h"
#include "model/action.h"
#include "model/config.h"
#include "model/finding.h"
#include "model/learned.h"
#include "model/snapshot.h"

#define RECORD_VERSION 1

enum record_kind {
	RECORD_SNAPSHOT,
	RECORD_EVENT,
	RECORD_MODE,
	RECORD_APPROVE,
	RECORD_UNDO,
	RECORD_GONE,
	RECORD_RESULT,
	RECORD_HEAD,
	RECORD_AGAIN,
	RECORD_OBSERVE,
	RECORD_CAN_APPLY,
	RECORD_MISSED,
	RECORD_END,
};

/* A mode in force when the recording began: until_ns 0: for good. */
#define RECORD_MODES_MAX 64
struct record_mode {
	enum guard_mode mode;
	uint64_t victim_id, until_ns; /* victim_id 0: for all */
};

struct record_head {
	char czd[32]; /* its version */
	uint64_t now_ns, real_ns;
	uint64_t finding_seq; /* of the newest finding */
	uint64_t action_seq;  /* of the next action */
	struct config config; /* what detect and decide work by; owns nothing */
	size_t nr_modes;
	struct record_mode modes[RECORD_MODES_MAX];
	size_t nr_learned;
	const struct learned *learned; /* borrowed; read: the reader's */
};

/* A step that was carried out, with what became of it. */
struct record_step {
	uint64_t seq, target_id, written_ns;
	bool is_undo;
	enum knob knob;
	int result; /* 0 or -Exxx */
	char from[KNOB_TEXT_MAX];
};

/*
 * What was done on a line, and of findings and actions that are news, the part that is compared
 * with a replay:
 *   "foreign": [SEQ, ...]
 *   "steps": [[SEQ, "apply", KNOB, TARGET, "OK", NS, FROM], ...]
 *   "findings": [{"seq", "open", "victim", "name", "resource", "cause", "severity", "since",
 *                 "last", "culprits": [[ID, NAME, PPM], ...]}, ...]
 *   "actions": [{"seq", "victim", "victim_name", "target", "target_name", "knob", "to", "state",
 *                "outcome", "ended", "written", "settled", "fast"}, ...]
 */
struct record_did {
	size_t nr_foreign, nr_steps, nr_findings, nr_actions;
	const uint64_t *foreign; /* actions whose knob somebody else had changed */
	const struct record_step *steps;
	const struct finding *findings;
	const struct action *actions;
};

struct record {
	enum record_kind kind;
	uint64_t now_ns; /* mode, approve, undo */
	/* snapshot, and event and again where the tree changed since (else NULL): the reader's,
	 * until its next record */
	const struct snapshot *snapshot;
	struct record_did did;	 /* the reader's as well */
	struct record_head head; /* head */
	struct fast_event event;
	enum guard_mode mode;
	uint64_t until_ns;
	uint64_t id;	  /* mode: victim or 0; gone: zone; approve, undo: seq; missed: lines */
	bool can_apply;	  /* can_apply */
	const char *name; /* gone: what the zone was called; NULL: not known. The reader's */
	enum knob knob;	  /* result */
	bool result_is_undo;
	int result; /* 0 or -Exxx */
};

struct record_reader;
must_check int record_reader_new(struct record_reader **ret);
void record_reader_free(struct record_reader *r);
/* One line. -EINVAL with a sentence, -ENOMEM, -EOPNOTSUPP: of a later version; the reader stays
 * usable. A snapshot stays valid until the record after it that has one, or an error. */
must_check int record_read(struct record_reader *r, const char *line, struct record *ret,
			   struct error *reterr);

/* Lines without the newline; the caller frees. NULL: no memory. with_zones: the tree too, as the
 * first line must have it and every line after the tree, a class or an SLO changed. */
char *record_snapshot_text(const struct snapshot *s, bool with_zones);
char *record_event_text(const struct fast_event *e);
