/* SPDX-License-Identifier: MIT */
/*
 * Gathers first, then learns all names from all of it, then redacts: a name that is a field's in
 * one document is found in the text of another. What cannot be had is noted, and never fatal.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "cli/archive-file.h"
#include "cli/bundle-host.h"
#include "cli/gate-client.h"
#include "cli/show.h"
#include "cli/verbs.h"

#define CONFIG_DEFAULT "/etc/cz/czd.yaml"

enum { OPT_SINCE, OPT_FROM, OPT_TO, OPT_OUTPUT, OPT_KEEP, OPT_CONFIG, OPT_LOG, OPT_GATE };
static const struct verb_option options[] = {
    [OPT_SINCE] = {"since", "TIME", "how far back (default 1h)"},
    [OPT_FROM] = {"from", "TIME", "instead: 12:30, '2027-03-01 12:30', or 20m ago"},
    [OPT_TO] = {"to", "TIME", "the end (default now)"},
    [OPT_OUTPUT] = {"output", "FILE", "FILE.tar.zst or FILE.tar.gz"},
    [OPT_KEEP] = {"keep-names", NULL, "only secrets are removed"},
    [OPT_CONFIG] = {"config", "FILE", "of czd (default " CONFIG_DEFAULT ")"},
    [OPT_LOG] = {"log", "FILE", "czd's log, where there is no journal"},
    [OPT_GATE] = {"gate", "HOST:PORT", "of cz-gate (default " GATE_DEFAULT ")"},
    {0},
};

#define DOCS_MAX    256
#define WHY_MAX	    32
#define VICTIMS_MAX 32
#define TEXT_MAX    (4u << 20)

struct doc {
	char name[64];
	bool ours;	    /* names in it are no zones' */
	json_t *json;	    /* either */
	struct strbuf text; /* or */
	bool is_config;
};

struct bundle {
	struct cli *cli;
	const struct args *args;
	struct gate_range range;
	struct redact redact;
	struct doc docs[DOCS_MAX];
	size_t nr;
	json_t *missing; /* [{what, why}] */
};

static void bundle_free(struct bundle *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->nr; i++) {
		json_decref(b->docs[i].json);
		strbuf_done(&b->docs[i].text);
	}
	redact_done(&b->redact);
	json_decref(b->missing);
	free(b);
}
DEFINE_CLEANUP(struct bundle *, bundle_free)

static void add_missing(struct bundle *b, const char *what, const char *why)
{
	json_array_append_new(b->missing, json_pack("{s:s,s:s}", "what", what, "why", why));
}

static struct doc *add_doc(struct bundle *b, const char *name)
{
	struct doc *d = &b->docs[b->nr];

	if (b->nr == DOCS_MAX)
		return NULL;
	*d = (struct doc){0};
	str_copy(d->name, sizeof(d->name), name);
	b->nr++;
	return d;
}

static void add_json(struct bundle *b, const char *name, json_t *json, bool ours)
{
	struct doc *d = json ? add_doc(b, name) : NULL;

	if (!d) {
		json_decref(json);
		return;
	}
	d->json = json;
	d->ours = ours;
}

/* --- of czd */

static const json_t *ask_czd(struct bundle *b, const char *name, const char *verb, json_t *args,
			     bool ours)
{
	struct error e = {0};
	json_t *data = NULL;

	if (client_call(&b->cli->client, verb, args, &data, &e) < 0) {
		add_missing(b, name, e.msg);
		return NULL;
	}
	add_json(b, name, data, ours);
	return data;
}

static void gather_whys(struct bundle *b, const json_t *findings)
{
	size_t i, asked = 0;
	json_t *row;

	json_array_foreach(json_object_get(findings, "findings"), i, row)
	{
		char name[64];

		if (!get_bool(row, "open") || asked == WHY_MAX)
			continue;
		snprintf(name, sizeof(name), "why/finding-%llu.json",
			 (unsigned long long)get_count(row, "seq"));
		ask_czd(b, name, "why", json_pack("{s:s}", "zone", get_text(row, "victim")), false);
		asked++;
	}
}

static void gather_czd(struct bundle *b)
{
	const json_t *findings;

	if (!ask_czd(b, "version.json", "version", json_object(), true) && b->cli->client.no_answer)
		return; /* none of the others would come */
	ask_czd(b, "doctor.json", "doctor", json_object(), true);
	ask_czd(b, "probes.json", "probes", json_object(), true);
	ask_czd(b, "zones.json", "list", json_pack("{s:b}", "all", true), false);
	findings = ask_czd(b, "findings.json", "findings", json_pack("{s:b}", "all", true), false);
	ask_czd(b, "actions.json", "actions", json_pack("{s:b}", "all", true), false);
	ask_czd(b, "events.json", "events", json_object(), false);
	ask_czd(b, "verify.json", "verify", json_object(), false);
	gather_whys(b, findings);
}

/* --- of cz-gate */

static json_t *ask_gate(struct bundle *b, const char *path, const char *key, const char *value,
			const char *metric, struct error *e)
{
	const char *names[] = {key, "metric", "from", "to", "points", NULL};
	const char *values[] = {value, metric, b->range.from_ms, b->range.to_ms,
				metric ? "120" : NULL};
	json_t *data = NULL;

	if (gate_ask(b->cli, b->args->option[OPT_GATE], NULL,
		     &(struct gate_query){path, names, values}, &data, e) < 0)
		return NULL;
	return data;
}

static void gather_history(struct bundle *b)
{
	static const char *const notes[] = {"findings", "actions", "events"};
	char path[64], name[64];
	struct error e = {0};
	json_t *zones = ask_gate(b, "history/zones", "class", "lc", NULL, &e), *row;
	size_t i;

	if (!zones) {
		add_missing(b, "history", e.msg);
		return;
	}
	add_json(b, "history/zones.json", zones, false);
	json_object_del(zones, "metrics");
	for (i = 0; i < ARRAY_SIZE(notes); i++) {
		snprintf(path, sizeof(path), "history/notes/%s", notes[i]);
		snprintf(name, sizeof(name), "history/%s.json", notes[i]);
		add_json(b, name, ask_gate(b, path, "kind", NULL, NULL, &e), false);
	}
	json_array_foreach(json_object_get(zones, "zones"), i, row)
	{
		if (i == VICTIMS_MAX)
			break;
		snprintf(name, sizeof(name), "history/wait-p99-%zu.json", i + 1);
		add_json(b, name,
			 ask_gate(b, "history", "zone", get_text(row, "path"), "wait_p99_ns", &e),
			 false);
		snprintf(name, sizeof(name), "history/ledger-%zu.json", i + 1);
		add_json(b, name,
			 ask_gate(b, "history/ledger", "zone", get_text(row, "path"), "", &e),
			 false);
	}
}

/* --- of files */

static void gather_file(struct bundle *b, const char *name, const char *path, bool is_config)
{
	_cleanup_free_ char *text = calloc(1, TEXT_MAX);
	ssize_t n = text ? read_file_at(AT_FDCWD, path, text, TEXT_MAX) : -ENOMEM;
	struct error e = {0};
	struct doc *d;

	if (n < 0) {
		error_errno(&e, (int)n, "read %s", path);
		add_missing(b, name, e.msg);
		return;
	}
	d = add_doc(b, name);
	if (!d)
		return;
	d->is_config = is_config;
	strbuf_puts(&d->text, text);
}

static void gather_journal(struct bundle *b)
{
	struct strbuf text = {0};
	struct error e = {0};
	struct doc *d;

	if (b->args->option[OPT_LOG]) {
		gather_file(b, "log.txt", b->args->option[OPT_LOG], false);
		return;
	}
	if (bundle_journal(b->range.from_ms, b->range.to_ms, &text, &e) < 0)
		add_missing(b, "journal", e.msg);
	d = text.len ? add_doc(b, "journal.txt") : NULL;
	if (d)
		d->text = text;
	else
		strbuf_done(&text);
}

static void gather(struct bundle *b)
{
	const char *config = b->args->option[OPT_CONFIG];

	gather_czd(b);
	add_json(b, "host.json", bundle_host(), true);
	gather_file(b, "czd.yaml", config ? config : CONFIG_DEFAULT, true);
	gather_history(b);
	gather_journal(b);
}

/* --- and out again */

static void render(struct bundle *b, const struct doc *d, struct strbuf *out)
{
	_cleanup_json_ json_t *shown = d->json ? redact_json(&b->redact, d->json, d->ours) : NULL;
	_cleanup_free_ char *text =
	    shown ? json_dumps(shown, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;

	if (text)
		strbuf_printf(out, "%s\n", text);
	else if (d->json)
		out->failed = true;
	else if (d->is_config)
		redact_config(&b->redact, d->text.data ? d->text.data : "", out);
	else
		redact_text(&b->redact, d->text.data ? d->text.data : "", out);
}

static json_t *manifest(struct bundle *b, uint64_t now_ns, json_t *files)
{
	json_t *redacted = json_object();

	for (int k = 0; k < REDACT_NR; k++)
		json_object_set_new(redacted, redact_kinds[k],
				    json_integer((json_int_t)b->redact.nr[k]));
	json_object_set_new(redacted, "secrets", json_integer((json_int_t)b->redact.secrets));
	return json_pack(
	    "{s:i,s:s,s:I,s:s,s:s,s:b,s:o,s:o,s:o,s:s}", "format", 1, "czctl", CZ_VERSION,
	    "made_real_ns", (json_int_t)now_ns, "from_ms", b->range.from_ms, "to_ms",
	    b->range.to_ms, "names_kept", b->redact.keep_names, "files", files, "missing",
	    redact_json(&b->redact, b->missing, true), "redacted", redacted, "note",
	    b->redact.keep_names
		? "Names are kept; secrets are replaced by REMOVED."
		: "Names are replaced by pseudonyms that hold in this bundle. Command lines are "
		  "not taken. A plain word in a text that is in no field for names is not "
		  "recognised as a name: look before you send.");
}

static int add_file(struct archive_file *a, json_t *files, const char *name,
		    const struct strbuf *text, uint64_t now_ns, struct error *reterr)
{
	if (text->failed)
		return error_errno(reterr, -ENOMEM, "bundle");
	if (files)
		json_array_append_new(
		    files, json_pack("{s:s,s:I}", "name", name, "bytes", (json_int_t)text->len));
	return archive_file_add(a, name, text->data ? text->data : "", text->len, now_ns, reterr);
}

static int pack(struct bundle *b, struct archive_file *a, uint64_t now_ns, json_t **ret,
		struct error *reterr)
{
	_cleanup_(strbuf_done) struct strbuf last = {0};
	_cleanup_free_ char *text = NULL;
	json_t *files = json_array();
	int r = 0;

	for (size_t i = 0; i < b->nr && r == 0; i++) {
		_cleanup_(strbuf_done) struct strbuf out = {0};

		render(b, &b->docs[i], &out);
		r = add_file(a, files, b->docs[i].name, &out, now_ns, reterr);
	}
	*ret = manifest(b, now_ns, files);
	text = json_dumps(*ret, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	strbuf_printf(&last, "%s\n", text ? text : "");
	if (r == 0 && b->redact.failed)
		r = error_errno(reterr, -ENOMEM, "bundle");
	return r < 0 ? r : add_file(a, NULL, "manifest.json", &last, now_ns, reterr);
}

static void learn(struct bundle *b)
{
	b->redact.keep_names = b->args->option[OPT_KEEP] != NULL;
	bundle_learn_host(&b->redact);
	for (size_t i = 0; i < b->nr; i++)
		if (b->docs[i].json && !b->docs[i].ours)
			redact_learn_json(&b->redact, b->docs[i].json);
}

static void print_done(const struct cli *cli, const char *file, const json_t *m)
{
	json_t *row;
	size_t i;

	out_paragraph(&cli->out, 0, STYLE_PLAIN, "Written to %s: %zu files, %s.", file,
		      json_array_size(json_object_get(m, "files")),
		      get_bool(m, "names_kept") ? "names kept, secrets removed"
						: "names and secrets replaced");
	json_array_foreach(json_object_get(m, "missing"), i, row)
	    out_paragraph(&cli->out, 4, STYLE_WARN, "  without %s: %s", get_text(row, "what"),
			  get_text(row, "why"));
	out_paragraph(&cli->out, 2, STYLE_PLAIN,
		      "\nNext: look at it before you send it: tar xOf %s", file);
}

static void default_name(uint64_t now_ns, char *buf, size_t size)
{
	time_t t = (time_t)(now_ns / 1000000000);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(buf, size, "cz-bundle-%Y%m%d-%H%M%S.tar.zst", &tm);
}

static int bundle_run(struct cli *cli, const struct args *args)
{
	_cleanup_(archive_file_freep) struct archive_file *archive = NULL;
	const char *file = verb_output(cli, args->option[OPT_OUTPUT]);
	_cleanup_(bundle_freep) struct bundle *b = calloc(1, sizeof(*b));
	uint64_t now_ns = clock_real_ns();
	_cleanup_json_ json_t *m = NULL;
	struct error e = {0};
	char name[64];

	if (!b) {
		error_errno(&e, -ENOMEM, "bundle");
		return cli_fail(cli, &e);
	}
	b->cli = cli;
	b->args = args;
	b->missing = json_array();
	default_name(now_ns, name, sizeof(name));
	file = file ? file : name;
	if (gate_range(args->option[OPT_SINCE], args->option[OPT_FROM], args->option[OPT_TO],
		       now_ns, &b->range, &e) < 0 ||
	    archive_file_new(file, &archive, &e) < 0)
		return e.code == -EINVAL ? cli_usage(&verb_bundle, "%s", e.msg) : cli_fail(cli, &e);
	gather(b);
	cli->client.no_answer = false;
	learn(b);
	if (pack(b, archive, now_ns, &m, &e) < 0 || archive_file_write(archive, file, &e) < 0)
		return cli_fail(cli, &e);
	if (cli->json)
		cli_print_json(m);
	else
		print_done(cli, file, m);
	return EXIT_OK;
}

const struct verb verb_bundle = {
    .name = "bundle",
    .summary = "what a person elsewhere needs to help, without names",
    .usage = "[--since T | --from T --to T] [-o FILE] [--keep-names]",
    .help = "One archive, readable by you only: versions, what the host can, probes, zones,\n"
	    "findings and why, actions, events, configuration, history if cz-gate keeps it,\n"
	    "lines of the journal. Names of zones, commands, hosts, users, paths, addresses\n"
	    "become pseudonyms, the same all through the bundle; tokens and passwords are\n"
	    "removed, always; command lines are not taken. Its manifest.json says what is in\n"
	    "it, what could not be had and why, and how much was replaced. A plain word in a\n"
	    "text may be a name all the same: look before you send it.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl bundle\n"
	    "  sudo czctl bundle --since 2h -o incident.tar.gz\n"
	    "  tar xOf incident.tar.gz manifest.json\n",
    .options = options,
    .letters = "o",
    .run = bundle_run,
};
