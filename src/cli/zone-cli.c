/* SPDX-License-Identifier: MIT */
#include "cli/zone-cli.h"

#include <unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "spec/zone-spec-io.h"

#define LOOK_NS	     100000000ull
#define APPS_TOLD_NS 3000000000ull /* a supervisor tells once a second */

static char *read_input(FILE *f, size_t *ret_len)
{
	char *text = malloc(SPEC_SIZE_MAX + 1);
	size_t n = text ? fread(text, 1, SPEC_SIZE_MAX + 1, f) : 0;

	if (n > SPEC_SIZE_MAX) {
		free(text);
		return NULL;
	}
	*ret_len = n;
	return text;
}

static int load(const char *path, struct zone_spec *spec, struct error_list *errs)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	if (strcmp(path, "-"))
		return zone_spec_load_file(AT_FDCWD, path, spec, errs);
	text = read_input(stdin, &len);
	return text ? zone_spec_load_text("standard input", text, len, spec, errs) : -EFBIG;
}

int zone_cli_spec(const struct verb *verb, const char *path, json_t **ret)
{
	_cleanup_free_ struct error_list *errs = calloc(1, sizeof(*errs));
	struct zone_spec spec;
	int r;

	if (!path)
		return cli_usage(verb, "-f FILE is missing: the zone's description");
	r = errs ? load(path, &spec, errs) : -ENOMEM;
	if (r < 0) {
		for (size_t i = 0; errs && i < errs->nr; i++)
			fprintf(stderr, "czctl: %s\n", errs->items[i].text);
		return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_USAGE;
	}
	*ret = zone_spec_json(&spec);
	zone_spec_done(&spec);
	return *ret ? EXIT_OK : EXIT_FAILED;
}

const char *zone_cli_name(const json_t *spec)
{
	return get_text(json_object_get(spec, "metadata"), "name");
}

int zone_cli_time(const struct verb *verb, const char *option, const char *text,
		  uint64_t fallback_ns, uint64_t *ret_ns)
{
	*ret_ns = fallback_ns;
	if (text && (parse_duration_ns(text, ret_ns) < 0 || *ret_ns > INT64_MAX))
		return cli_usage(verb, "--%s: '%s' is not a time (500ms, 10s, 2m)", option, text);
	return EXIT_OK;
}

/* The policy that the guest is to have is in force, or never will be. */
static bool scheduler_is_set(const json_t *zone)
{
	if (!json_is_boolean(json_object_get(zone, "told"))) /* no guest */
		return true;
	return get_bool(zone, "told") &&
	       (get_text(zone, "policy_why")[0] ||
		!get_text(zone, "policy_wanted")[0] || /* a guest that does not tell */
		!strcmp(get_text(zone, "policy"), get_text(zone, "policy_wanted")));
}

static bool is_over(const json_t *zone, const char *state)
{
	const char *now = get_text(zone, "state"), *phase = get_text(zone, "phase");

	if (strcmp(now, state))
		return false;
	return strcmp(state, "running") || (!strcmp(phase, "running") && scheduler_is_set(zone));
}

/* It runs, but not with the scheduler that its description wants. */
static int scheduler_missing(struct cli *cli, const char *name, const json_t *zone)
{
	struct error e = {0};

	if (!get_text(zone, "policy_why")[0])
		return EXIT_OK;
	error_set(&e, -EIO, "zone %s runs without its scheduler: %s", name,
		  get_text(zone, "policy_why"));
	error_hint(&e,
		   "czctl events tells what came before; czctl sched set %s POLICY tries another",
		   name);
	return cli_fail(cli, &e);
}

int zone_cli_wait(struct cli *cli, const char *name, const char *state, uint64_t timeout_ns)
{
	struct timespec look = {.tv_nsec = LOOK_NS};
	uint64_t end_ns = clock_mono_ns() + timeout_ns;

	for (;;) {
		_cleanup_json_ json_t *zone = NULL;
		struct error e = {0};
		int r = client_call(&cli->client, "zone-show", json_pack("{s:s}", "name", name),
				    &zone, &e);

		if (r == -ENOENT && !strcmp(state, "gone"))
			return EXIT_OK;
		if (r < 0)
			return cli_fail(cli, &e);
		if (is_over(zone, state))
			return strcmp(state, "running") ? EXIT_OK
							: scheduler_missing(cli, name, zone);
		if (!strcmp(get_text(zone, "state"), "error") && strcmp(state, "gone")) {
			error_set(&e, -EIO, "zone %s: %s", name, get_text(zone, "why"));
			error_hint(&e, "czctl log %s shows more", name);
			return cli_fail(cli, &e);
		}
		if (clock_mono_ns() > end_ns) {
			error_set(&e, -ETIMEDOUT, "zone %s is %s (%s), not %s%s yet", name,
				  get_text(zone, "state"), get_text(zone, "phase"), state,
				  strcmp(state, "running") ? "" : " with its scheduler");
			error_hint(&e, "it goes on; czctl inspect %s shows how it is", name);
			return cli_fail(cli, &e);
		}
		nanosleep(&look, NULL);
	}
}

static const char *state_words(const json_t *zone)
{
	const char *phase = get_text(zone, "phase"), *state = get_text(zone, "state");

	if (json_is_integer(json_object_get(zone, "silent_ns")))
		return "hangs";
	return !strcmp(state, "running") && phase[0] && strcmp(phase, "-") ? phase : state;
}

static bool has_failed(const json_t *app)
{
	return strcmp(get_text(app, "state"), "running") != 0 &&
	       json_integer_value(json_object_get(app, "exit")) != 0;
}

/* Its latest end, as the kernel has noted it; NULL: not for want of memory. */
static const char *oom_words(const json_t *app)
{
	static const struct {
		const char *oom, *words;
	} table[] = {
	    {"limit", "it was at its limit (apps.memory, or resource.memory of a cgroup zone)"},
	    {"machine", "all memory of its machine was taken (of a guest: resource.memory)"},
	    {"unknown", "of its limit or of the host, cgroup v1 does not tell"},
	};

	for (size_t i = 0; has_failed(app) && i < ARRAY_SIZE(table); i++)
		if (!strcmp(get_text(app, "oom"), table[i].oom))
			return table[i].words;
	return NULL;
}

/* "failed, exit 7", "waiting, signal 9", "failed, out of memory". */
static const char *app_state_words(const json_t *app, char *buf, size_t size)
{
	json_int_t code = json_integer_value(json_object_get(app, "exit"));
	const char *state = get_text(app, "state");

	if (!has_failed(app))
		snprintf(buf, size, "%s", state);
	else if (oom_words(app))
		snprintf(buf, size, "%s, out of memory", state);
	else if (code > 128 && code < 128 + 65)
		snprintf(buf, size, "%s, signal %d", state, (int)code - 128);
	else
		snprintf(buf, size, "%s, exit %d", state, (int)code);
	return buf;
}

static bool all_told(const json_t *apps)
{
	const json_t *app;
	size_t i;

	json_array_foreach(apps, i, app) if (!strcmp(get_text(app, "state"), "-")) return false;
	return true;
}

void zone_cli_note_apps(struct cli *cli, const char *name)
{
	struct timespec look = {.tv_nsec = LOOK_NS};
	uint64_t end_ns = clock_mono_ns() + APPS_TOLD_NS;
	_cleanup_json_ json_t *zone = NULL;
	char words[SHOW_MAX], shown[2 * ZONE_SPEC_NAME_MAX];
	const json_t *app;
	struct error e = {0};
	size_t i;

	for (;;) {
		json_decref(zone);
		zone = NULL;
		if (client_call(&cli->client, "zone-show", json_pack("{s:s}", "name", name), &zone,
				&e) < 0)
			return;
		if (all_told(json_object_get(zone, "apps")) || clock_mono_ns() > end_ns)
			break;
		nanosleep(&look, NULL);
	}
	json_array_foreach(json_object_get(zone, "apps"), i, app)
	{
		if (has_failed(app))
			fprintf(stderr, "czctl: app %s is %s: czctl log --app %s %s\n",
				str_escape(shown, sizeof(shown), get_text(app, "name")),
				app_state_words(app, words, sizeof(words)), shown, name);
	}
}

static enum style state_style(const json_t *zone)
{
	const char *state = get_text(zone, "state");

	return !strcmp(state, "error")	   ? STYLE_BAD
	       : !strcmp(state, "running") ? STYLE_GOOD
					   : STYLE_PLAIN;
}

static void apps_words(const json_t *zone, char *buf, size_t size)
{
	const json_t *apps = json_object_get(zone, "apps"), *app;
	size_t i, running = 0;

	json_array_foreach(apps, i, app) running += !strcmp(get_text(app, "state"), "running");
	snprintf(buf, size, "%zu/%zu", running, json_array_size(apps));
}

void zone_cli_table(const struct cli *cli, const json_t *applied)
{
	static const struct column columns[] = {
	    {"created zone", COLUMN_NAME}, {"runtime", COLUMN_TEXT}, {"class", COLUMN_TEXT},
	    {"state", COLUMN_TEXT},	   {"apps", COLUMN_NUMBER},  {"CPUs", COLUMN_TEXT},
	    {"memory", COLUMN_NUMBER},	   {"up", COLUMN_NUMBER},    {"", COLUMN_PROSE}};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	char buf[SHOW_MAX], apps[32];
	const json_t *zone;
	size_t i;

	json_array_foreach(applied, i, zone)
	{
		apps_words(zone, apps, sizeof(apps));
		table_add(&t, STYLE_PLAIN, "%s", get_text(zone, "name"));
		table_add(&t, STYLE_PLAIN, "%s", get_text(zone, "runtime"));
		table_add(&t, STYLE_PLAIN, "%s", get_text(zone, "class"));
		table_add(&t, state_style(zone), "%s", state_words(zone));
		table_add(&t, STYLE_PLAIN, "%s", apps);
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(zone, "cpus"));
		table_add(&t, STYLE_PLAIN, "%s", show_bytes(zone, "memory_bytes", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_duration(zone, "uptime_ns", buf));
		table_add(&t, STYLE_WARN, "%s",
			  get_bool(zone, "edited") ? "spec.yaml was changed behind czd's back"
						   : get_text(zone, "why"));
	}
	table_print(&t, &cli->out, 0);
	table_done(&t);
}

static void print_apps(const struct cli *cli, const json_t *apps)
{
	static const struct column columns[] = {
	    {"app", COLUMN_NAME},	 {"class", COLUMN_TEXT},      {"state", COLUMN_TEXT},
	    {"restarts", COLUMN_NUMBER}, {"CPU time", COLUMN_NUMBER}, {"memory", COLUMN_NUMBER},
	    {"wait p99", COLUMN_NUMBER}, {"health", COLUMN_TEXT}};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	char buf[SHOW_MAX];
	const json_t *app;
	size_t i;

	json_array_foreach(apps, i, app)
	{
		table_add(&t, STYLE_PLAIN, "%s", get_text(app, "name"));
		table_add(&t, STYLE_PLAIN, "%s", get_text(app, "class"));
		table_add(&t, STYLE_PLAIN, "%s", app_state_words(app, buf, sizeof(buf)));
		table_add(&t, STYLE_PLAIN, "%s", show_number(app, "restarts", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_duration(app, "cpu_ns", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_bytes(app, "memory_bytes", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_duration(app, "wait_p99_ns", buf));
		table_add(&t, STYLE_PLAIN, "%s",
			  json_is_false(json_object_get(app, "healthy")) ? "sick" : "-");
	}
	table_print(&t, &cli->out, 2);
	table_done(&t);
	json_array_foreach(apps, i, app) if (oom_words(app)) out_paragraph(
	    &cli->out, 2, STYLE_WARN, "  %s was killed by the kernel: out of memory, %s.",
	    get_text(app, "name"), oom_words(app));
}

void zone_cli_print(const struct cli *cli, const json_t *zone)
{
	const char *why = get_text(zone, "why"), *accel = get_text(zone, "accel");
	char buf[SHOW_MAX];

	out_paragraph(&cli->out, 0, STYLE_TITLE, "%s: %s zone, %s", get_text(zone, "name"),
		      get_text(zone, "runtime"), state_words(zone));
	if (why[0])
		out_paragraph(&cli->out, 2, STYLE_WARN, "  %s", why);
	if (get_bool(zone, "edited"))
		out_paragraph(
		    &cli->out, 2, STYLE_WARN,
		    "  Its spec.yaml was changed behind czd's back: czctl update -f FILE");
	if (accel[0])
		out_paragraph(&cli->out, 2, STYLE_PLAIN,
			      "  kernel %s, %s (%s), scheduler %s, "
			      "booted in %s ms",
			      text_or_dash(zone, "guest_kernel"), accel,
			      get_text(zone, "accel_why"), text_or_dash(zone, "policy"),
			      show_number(zone, "boot_ms", buf));
	if (get_text(zone, "policy_why")[0])
		out_paragraph(&cli->out, 2, STYLE_WARN, "  %s", get_text(zone, "policy_why"));
	if (json_array_size(json_object_get(zone, "apps")))
		print_apps(cli, json_object_get(zone, "apps"));
	putchar('\n');
}

void zone_cli_diff(const struct cli *cli, const json_t *diff)
{
	static const struct column columns[] = {{"field", COLUMN_TEXT},
						{"now", COLUMN_TEXT},
						{"wanted", COLUMN_TEXT},
						{"takes", COLUMN_PROSE}};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	const json_t *row;
	size_t i;

	if (!json_array_size(json_object_get(diff, "changes"))) {
		puts(!strcmp(get_text(diff, "needs"), "create") ? "There is no such zone yet."
								: "No difference.");
		return;
	}
	json_array_foreach(json_object_get(diff, "changes"), i, row)
	{
		const char *needs = get_text(row, "needs");

		table_add(&t, STYLE_PLAIN, "%s", get_text(row, "field"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(row, "from"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(row, "to"));
		table_add(&t, STYLE_PLAIN, "%s",
			  !strcmp(needs, "hot")	     ? "nothing: taken over at once"
			  : !strcmp(needs, "reboot") ? "a reboot"
						     : "a new zone");
	}
	table_print(&t, &cli->out, 0);
	table_done(&t);
}

int zone_cli_done(const struct cli *cli, const json_t *data, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (cli->json) {
		cli_print_json(data);
		return EXIT_OK;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "%s", text);
	return EXIT_OK;
}

int zone_cli_updated(const struct cli *cli, const json_t *data)
{
	if (cli->json)
		cli_print_json(data);
	else
		zone_cli_diff(cli, json_object_get(data, "diff"));
	return EXIT_OK;
}

int zone_cli_become(struct cli *cli, const char *name, const char *app, char *const command[])
{
	_cleanup_json_ json_t *data = NULL;
	int r =
	    cli_call(cli, "zone-join", json_pack("{s:s,s:s*}", "name", name, "app", app), &data);

	if (r != EXIT_OK)
		return r;
	execvp(command[0], command);
	r = errno == ENOENT ? EXIT_COMMAND_ABSENT : EXIT_CANNOT_RUN;
	fprintf(stderr, "czctl: cannot run '%s': %s\n", command[0], strerror(errno));
	return r;
}
