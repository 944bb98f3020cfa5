/* SPDX-License-Identifier: MIT */
/*
 * Recordings: what detect and decide are fed, as text, one JSON object a line, so that an incident
 * can be replayed and a policy tried on it. Strings only, no files.
 *
 *   {"now": NS, "window": NS, "online": "0-3", "cores": [0, 0, 1, 1],
 *    "zones": [{"id": 1, "parent": null, "name": "/", "path": "/", "class": "normal", "own": true,
 *               "off": "the root", "slo": "wait.p99=500us", "quota": true, "kind": "vm",
 *               "value": {METRIC: N}, "delta": {METRIC: N}}, ...],
 *    "use": [[ZONE, NS], ...],
 *    "ledgers": [{"zone": ZONE, "waits": N, "p50": NS, "p99": NS, "max": NS, "feed": [N, P50, P99],
 *                 "parts": [["neighbour", ID, NS, PID, CPU, "COMM"], ["self", NS], ...]}, ...]}
 *   {"event": {"now": NS, "since": NS, "foreign": NS, "victim": ID, "culprit": ID, "cpu": N, "pid":
 * N, "comm": TEXT}}
 *   {"mode": "enforce", "victim": ID, "until": NS, "now": NS}      victim, until optional
 *   {"approve": SEQ, "now": NS}   {"undo": SEQ, "now": NS}   {"gone": ID}
 *   {"result": "EBUSY", "knob": "cpu.idle", "step": "apply"}       of the following such steps;
 * "OK" again
 *
 * ZONE is an index into the latest "zones" (parents first); a line without "zones", "online" or
 * "cores" keeps those of the line before, with "use" for the CPU time of the zones listed (0 for
 * the others). A ledger without "parts" but with "wait" is an estimated one.
 */
#pragma once
#include <stdbool.h>
#include "base/error.h"
#include "model/action.h"
#include "model/snapshot.h"

enum record_kind {
	RECORD_SNAPSHOT,
	RECORD_EVENT,
	RECORD_MODE,
	RECORD_APPROVE,
	RECORD_UNDO,
	RECORD_GONE,
	RECORD_RESULT,
};

struct record {
	enum record_kind kind;
	uint64_t now_ns;		 /* mode, approve, undo */
	const struct snapshot *snapshot; /* the reader's, until its next record */
	struct fast_event event;
	enum guard_mode mode;
	uint64_t until_ns;
	uint64_t id;	/* mode: victim or 0; gone: zone; approve, undo: seq */
	enum knob knob; /* result */
	bool result_is_undo;
	int result; /* 0 or -Exxx */
};

struct record_reader;
must_check int record_reader_new(struct record_reader **ret);
void record_reader_free(struct record_reader *r);
/* One line. -EINVAL with a sentence, -ENOMEM; the reader stays usable. The snapshot returned before
 * is void in any case. */
must_check int record_read(struct record_reader *r, const char *line, struct record *ret,
			   struct error *reterr);

/* Lines without the newline; the caller frees. NULL: no memory. with_zones: the tree too, as the
 * first line must have it and every line after the tree, a class or an SLO changed. */
char *record_snapshot_text(const struct snapshot *s, bool with_zones);
char *record_event_text(const struct fast_event *e);
