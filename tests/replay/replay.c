/* SPDX-License-Identifier: MIT */
/*
 * Replays a recording through detect and decide and prints what they found and would have done:
 *   replay RECORDING              prints
 *   replay RECORDING EXPECTED     compares, line by line; exit 1 at the first difference
 * Steps "succeed" unless the recording says otherwise with a "result" line. A line is printed when
 * something changes: a finding's state or blame, a step, an action's state, a note.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "decide/decide.h"
#include "detect/detect.h"
#include "model/record.h"

#define WRITE_NS 100000 /* from the decision to the knob written */
#define SEEN_MAX 4096

struct replay {
	struct detect *detect;
	struct decide *decide;
	struct record_reader *reader;
	const struct snapshot *snapshot;
	struct finding_set findings;
	struct plan plan;
	int result[2][KNOB_NR]; /* apply, undo */
	uint64_t now_ns, victims[64];
	size_t nr_victims;
	char told[SEEN_MAX][96]; /* the latest line about finding or action seq */
	char told_action[SEEN_MAX][96];
	char note[64][192];
	FILE *out;
};

static void stamp(struct replay *r)
{
	fprintf(r->out, "%9.3f  ", (double)(r->now_ns / 1000000) / 1000.0);
}

/* Remembers what was told last under this number; true when text is news. */
static bool is_news(char *told, size_t size, const char *text)
{
	if (!strcmp(told, text))
		return false;
	str_copy(told, size, text);
	return true;
}

static void tell_culprits(struct replay *r, const struct finding *f)
{
	for (size_t i = 0; i < f->nr_culprits; i++)
		fprintf(r->out, "%s%s %u.%u %%", i ? ", " : " by ", f->culprits[i].name,
			f->culprits[i].share_ppm / 10000, f->culprits[i].share_ppm / 1000 % 10);
}

static void tell_finding(struct replay *r, const struct finding *f)
{
	char key[96];
	uint32_t sum = 0;

	snprintf(key, sizeof(key), "%d %d %d %zu %.40s", f->open, f->cause, f->severity,
		 f->nr_culprits, f->nr_culprits ? f->culprits[0].name : "");
	if (!is_news(r->told[f->seq % SEEN_MAX], sizeof(key), key))
		return;
	for (int c = 0; c < CAUSE_NR; c++)
		sum += f->cause_ppm[c];
	stamp(r);
	fprintf(r->out, "finding %llu %s: %s hurt by %s (%s, %s)", (unsigned long long)f->seq,
		f->open ? "open" : "closed", f->victim_name, cause_name(f->cause),
		resource_name(f->resource), severity_name(f->severity));
	tell_culprits(r, f);
	fprintf(r->out, "; %s%s\n", f->why,
		f->wait_ns && sum != 1000000 ? " SHARES DO NOT SUM TO ONE" : "");
}

static void tell_actions(struct replay *r)
{
	const struct action *a;
	size_t nr = decide_actions(r->decide, &a);
	char key[96];

	for (size_t i = 0; i < nr; i++) {
		snprintf(key, sizeof(key), "%s %s", action_state_name(a[i].state),
			 outcome_name(a[i].outcome));
		if (!is_news(r->told_action[a[i].seq % SEEN_MAX], sizeof(key), key))
			continue;
		stamp(r);
		fprintf(r->out, "action %llu %s, %s: %s = %s on %s for %s%s%s\n",
			(unsigned long long)a[i].seq, action_state_name(a[i].state),
			outcome_name(a[i].outcome), knob_name(a[i].knob), a[i].to, a[i].target_name,
			a[i].victim_name, a[i].ended[0] ? "; " : "", a[i].ended);
	}
}

static void tell_notes(struct replay *r)
{
	for (size_t i = 0; i < r->findings.nr && i < 64; i++) {
		const struct finding *f = &r->findings.items[i];
		const char *note = decide_note(r->decide, f->victim_id);

		if (!is_news(r->note[f->victim_id % 64], sizeof(r->note[0]), note) || !*note)
			continue;
		stamp(r);
		fprintf(r->out, "nothing done for %s: %s\n", f->victim_name, note);
	}
}

static const char *old_value(enum knob knob)
{
	static const char *const values[KNOB_NR] = {
	    [KNOB_CPU_IDLE] = "0",  [KNOB_CPU_WEIGHT] = "100", [KNOB_CPUSET] = "",
	    [KNOB_CPU_MAX] = "max", [KNOB_CPU_BURST] = "0",    [KNOB_MEMORY_HIGH] = "max",
	    [KNOB_IO_MAX] = "max",  [KNOB_NET_MAX] = "max",    [KNOB_FREEZE] = "0",
	};

	return values[knob];
}

static void do_plan(struct replay *r)
{
	for (size_t i = 0; i < r->plan.nr; i++) {
		const struct step *step = &r->plan.steps[i];
		const struct action *a = &step->action;
		int err = r->result[step->kind == STEP_UNDO][a->knob];

		stamp(r);
		if (step->kind == STEP_APPLY)
			fprintf(r->out, "apply %llu: %s = %s on %s for %s%s; %s",
				(unsigned long long)a->seq, knob_name(a->knob), a->to,
				a->target_name, a->victim_name, a->fast ? ", fast" : "", a->reason);
		else
			fprintf(r->out, "undo %llu: %s on %s; %s", (unsigned long long)a->seq,
				knob_name(a->knob), a->target_name, a->ended);
		fprintf(r->out, "%s%s\n", err ? " -> " : "", err ? error_name(err) : "");
		decide_result(r->decide, a->seq, step->kind, err, old_value(a->knob),
			      r->now_ns + WRITE_NS);
	}
}

static void run_snapshot(struct replay *r, const struct snapshot *s)
{
	r->snapshot = s;
	r->now_ns = s->now_ns;
	detect_run(r->detect, s, &r->findings);
	for (size_t i = 0; i < r->findings.nr; i++)
		tell_finding(r, &r->findings.items[i]);
	decide_tick(r->decide, s, &r->findings, &r->plan);
	do_plan(r);
	tell_notes(r);
}

static void run_event(struct replay *r, const struct fast_event *e)
{
	r->now_ns = e->now_ns;
	if (!r->snapshot)
		return;
	decide_fast(r->decide, r->snapshot, e, &r->plan);
	do_plan(r);
}

static void run_hand(struct replay *r, const struct record *rec)
{
	bool approve = rec->kind == RECORD_APPROVE;
	int err = approve ? decide_approve(r->decide, rec->id, rec->now_ns)
			  : decide_undo(r->decide, rec->id, rec->now_ns);

	r->now_ns = rec->now_ns;
	stamp(r);
	fprintf(r->out, "%s %llu%s%s\n", approve ? "approve" : "undo by hand",
		(unsigned long long)rec->id, err ? " -> " : "", err ? error_name(err) : "");
}

static void run_record(struct replay *r, const struct record *rec)
{
	switch (rec->kind) {
	case RECORD_SNAPSHOT:
		run_snapshot(r, rec->snapshot);
		break;
	case RECORD_EVENT:
		run_event(r, &rec->event);
		break;
	case RECORD_MODE:
		decide_set_mode(r->decide, rec->mode, rec->id, rec->until_ns, rec->now_ns);
		break;
	case RECORD_APPROVE:
	case RECORD_UNDO:
		run_hand(r, rec);
		break;
	case RECORD_GONE:
		decide_zone_gone(r->decide, rec->id);
		break;
	case RECORD_RESULT:
		r->result[rec->result_is_undo][rec->knob] = rec->result;
		break;
	}
	tell_actions(r);
}

static int replay_file(struct replay *r, const char *path)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, nr = 0;
	struct error error;
	struct record rec;

	if (!in) {
		fprintf(stderr, "replay: %s: %m\n", path);
		return 2;
	}
	while (getline(&line, &size, in) > 0) {
		nr++;
		if (record_read(r->reader, line, &rec, &error) < 0) {
			fprintf(stderr, "%s:%zu: %s\n", path, nr, error.msg);
			return 2;
		}
		run_record(r, &rec);
	}
	return nr ? 0 : 2;
}

static int compare(const char *got, const char *path)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, nr = 0;

	if (!in) {
		fprintf(stderr, "replay: %s: %m\n", path);
		return 2;
	}
	while (getline(&line, &size, in) > 0) {
		nr++;
		if (strncmp(got, line, strlen(line))) {
			printf("%s:%zu: expected\n%sgot\n%.*s\n", path, nr, line,
			       (int)strcspn(got, "\n"), got);
			return 1;
		}
		got += strlen(line);
	}
	if (*got)
		printf("%s: more than expected:\n%s", path, got);
	return *got ? 1 : 0;
}

static int replay_run(const char *recording, char **ret_text)
{
	struct config cfg;
	size_t size;
	int status;
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return 2;
	config_defaults(&cfg);
	r->out = open_memstream(ret_text, &size);
	if (!r->out || detect_new(&cfg, &r->detect) < 0 || decide_new(&cfg, 1, &r->decide) < 0 ||
	    record_reader_new(&r->reader) < 0)
		abort();
	status = replay_file(r, recording);
	fclose(r->out);
	detect_free(r->detect);
	decide_free(r->decide);
	record_reader_free(r->reader);
	config_done(&cfg);
	free(r);
	return status;
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *text = NULL;
	int status;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: replay RECORDING [EXPECTED]\n");
		return 2;
	}
	status = replay_run(argv[1], &text);
	if (status)
		return status;
	if (argc == 3)
		return compare(text, argv[2]);
	fputs(text, stdout);
	return 0;
}
