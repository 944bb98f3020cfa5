/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/sim.h"
#include "cli/verbs.h"
#include "sim/oracle.h"

enum { OPT_CONTROLLER, OPT_TABLE, OPT_STEP, OPT_SETTLE, OPT_TIME, OPT_FORGIVE, OPT_SEED, OPT_LOG };
static const struct verb_option options[] = {
    [OPT_CONTROLLER] = {"controller", "NAME", "only this one (default: all)"},
    [OPT_TABLE] = {"table", "APP", "the paper's map with this third app"},
    [OPT_STEP] = {"step", "APP=LOAD@TIME", "another load from then on; several with ';'"},
    [OPT_SETTLE] = {"settle", "TIME", "to meet all targets in (default 60s)"},
    [OPT_TIME] = {"time", "TIME", "to be measured after that (default 60s)"},
    [OPT_FORGIVE] = {"forgive", "SHARE", "of half seconds late, in a table (default 100%)"},
    [OPT_SEED] = {"seed", "N", "of the noise and the controllers' choices (default 1)"},
    [OPT_LOG] = {"log", NULL, "every change of the allocation, with its reason"},
    {0},
};
static json_t *known(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static json_t *alloc_json(const struct ctl_alloc *a)
{
	json_t *o = json_pack("{s:i,s:i}", "owner", a->owner, "cap_ppm", (int)a->cap_ppm);

	for (int r = 0; o && r < RES_NR; r++)
		json_object_set_new(o, res_names[r], json_integer(a->units[r]));
	return o;
}

static void on_change(void *arg, uint64_t now_ns, const struct ctl_plan *plan, size_t nr)
{
	struct sim_cli *s = arg;
	json_t *allocs;

	if (s->log && !s->changes)
		out_paragraph(&s->cli->out, 12, STYLE_PLAIN, "%8.1f s  %s", (double)now_ns / 1e9,
			      plan->why);
	if (!s->changes)
		return;
	allocs = json_array();
	for (size_t i = 0; i < nr; i++)
		json_array_append_new(allocs, alloc_json(&plan->alloc[i]));
	json_array_append_new(s->changes, json_pack("{s:I,s:s,s:o}", "at_ns", (json_int_t)now_ns,
						    "why", plan->why, "allocation", allocs));
}

static json_t *answer_json(const struct sim_cli *s, const char *name, const struct sim_answer *a)
{
	json_t *apps = json_array();

	for (size_t i = 0; i < s->mix.nr; i++)
		json_array_append_new(apps, json_pack("{s:s,s:f,s:o,s:f,s:f,s:f,s:o}", "app",
						      s->mix.apps[i]->name, "load", s->mix.load[i],
						      "p99_ns", known(a->p99_ns[i]), "late_share",
						      a->late[i], "violated_share", a->violated[i],
						      "progress", a->progress[i], "allocation",
						      alloc_json(&a->alloc[i])));
	return json_pack(
	    "{s:s,s:b,s:o,s:f,s:f,s:f,s:i,s:b,s:f,s:o,s:o,s:o}", "controller", name, "met", a->met,
	    "settled_ns",
	    a->settled_ns == UINT64_MAX ? json_null() : json_integer((json_int_t)a->settled_ns),
	    "emu", a->emu, "changes_per_s", a->changes_per_s, "reversals_per_s", a->reversals_per_s,
	    "samples", (int)a->samples, "final_met", a->final_met, "final_progress",
	    a->final_progress, "migrate",
	    a->migrate < 0 ? json_null() : json_string(s->mix.apps[a->migrate]->name), "apps", apps,
	    "changes", s->changes ? json_incref(s->changes) : json_null());
}

static void add_row(const struct sim_cli *s, struct table *t, const char *name,
		    const struct sim_answer *a)
{
	double worst = 0;

	for (size_t i = 0; i < s->mix.nr; i++)
		worst = fmax(worst, a->violated[i]);
	table_add(t, STYLE_PLAIN, "%s", name);
	if (a->settled_ns <= s->settle_ns)
		table_add(t, STYLE_GOOD, "%.1f s", (double)a->settled_ns / 1e9);
	else
		table_add(t, STYLE_BAD, "never");
	table_add(t, a->met ? STYLE_GOOD : STYLE_WARN, "%s", a->met ? "yes" : "no");
	table_add(t, STYLE_PLAIN, "%.1f %%", worst * 100);
	table_add(t, STYLE_PLAIN, "%.0f %%", a->emu * 100);
	table_add(t, STYLE_PLAIN, "%.2f", a->changes_per_s);
}

static void print_apps(const struct sim_cli *s, const struct sim_answer *a)
{
	static const struct column columns[] = {
	    {"APP", COLUMN_TEXT},    {"LOAD", COLUMN_NUMBER},	 {"TARGET", COLUMN_NUMBER},
	    {"P99", COLUMN_NUMBER},  {"LATE", COLUMN_NUMBER},	 {"CORES", COLUMN_NUMBER},
	    {"WAYS", COLUMN_NUMBER}, {"100 MHz", COLUMN_NUMBER},
	};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	char buf[16];

	for (size_t i = 0; i < s->mix.nr; i++) {
		const struct sim_app *app = s->mix.apps[i];
		const struct ctl_alloc *l = &a->alloc[i];

		table_add(&t, STYLE_PLAIN, "%s", app->name);
		table_add(&t, STYLE_PLAIN, "%.0f %%",
			  (app->be ? a->progress[i] : s->mix.load[i]) * 100);
		table_add(&t, STYLE_PLAIN, "%s",
			  app->be ? "-"
				  : format_duration((uint64_t)app->target_ns, buf, sizeof(buf)));
		if (app->be || !isfinite(a->p99_ns[i]))
			table_add(&t, STYLE_PLAIN, "-");
		else
			table_add(&t, a->p99_ns[i] > app->target_ns ? STYLE_BAD : STYLE_PLAIN, "%s",
				  format_duration((uint64_t)a->p99_ns[i], buf, sizeof(buf)));
		if (app->be)
			table_add(&t, STYLE_PLAIN, "-");
		else
			table_add(&t, STYLE_PLAIN, "%.2f %%", a->late[i] * 100);
		table_add(&t, STYLE_PLAIN, "%u", l->units[RES_CORE]);
		table_add(&t, STYLE_PLAIN, "%u", l->units[RES_WAY]);
		table_add(&t, STYLE_PLAIN, "%u", l->units[RES_FREQ]);
	}
	table_print(&t, &s->cli->out, 0);
	table_done(&t);
}

static int run_one(struct sim_cli *s, const struct controller *c, struct table *t, json_t *all)
{
	struct sim_question q = {
	    .controller = c,
	    .mix = s->mix,
	    .trace = {s->steps, s->nr_steps},
	    .settle_ns = s->settle_ns,
	    .measure_ns = s->time_ns,
	    .seed = s->seed,
	    .changed = on_change,
	    .arg = s,
	};
	const char *name = c ? c->name : "unmanaged";
	struct sim_answer a;
	int err;

	s->changes = all && s->only ? json_array() : NULL;
	err = sim_run(&sim_xeon, &q, &a);
	if (err)
		return err;
	if (all)
		json_array_append_new(all, answer_json(s, name, &a));
	else
		add_row(s, t, name, &a);
	if (!all && s->only && c)
		print_apps(s, &a);
	json_decref(s->changes);
	s->changes = NULL;
	return 0;
}

/* 1 there is an allocation that meets all targets, and what it serves; 0 there is none;
 * -EOPNOTSUPP. */
static int oracle_says(const struct sim_cli *s, double *ret_emu)
{
	struct sim_place places[CTL_APPS_MAX] = {0};
	struct sim_result results[CTL_APPS_MAX];
	size_t be = 0;
	int found;

	*ret_emu = 0;
	for (size_t i = 0; i < s->mix.nr; i++) {
		places[i] = (struct sim_place){.app = s->mix.apps[i], .load = s->mix.load[i]};
		be += s->mix.apps[i]->be;
	}
	found = be > 1 ? -EOPNOTSUPP : oracle_find(&sim_xeon, places, s->mix.nr);
	sim_evaluate(&sim_xeon, places, s->mix.nr, results);
	for (size_t i = 0; i < s->mix.nr; i++)
		*ret_emu += s->mix.apps[i]->be ? results[i].progress : s->mix.load[i];
	return found;
}

static void print_head(const struct sim_cli *s, int oracle, double emu)
{
	const struct out *o = &s->cli->out;

	if (oracle > 0)
		out_paragraph(o, 0, STYLE_PLAIN,
			      "The best allocation that meets all targets has an EMU of %.0f %%.",
			      emu * 100);
	else
		out_paragraph(o, 0, STYLE_WARN, "%s",
			      oracle ? "Whether an allocation meets all targets was not searched: "
				       "there are several best-effort apps."
				     : "No allocation meets all targets: expect none to.");
}

static int run_mix(struct sim_cli *s)
{
	static const struct column columns[] = {
	    {"CONTROLLER", COLUMN_TEXT}, {"SETTLED", COLUMN_NUMBER}, {"ALL MET", COLUMN_TEXT},
	    {"LATE", COLUMN_NUMBER},	 {"EMU", COLUMN_NUMBER},     {"CHANGES/S", COLUMN_NUMBER},
	};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	json_t *all = s->cli->json ? json_array() : NULL;
	double emu;
	int oracle = oracle_says(s, &emu), err = s->only ? 0 : run_one(s, NULL, &t, all);

	if (!all)
		print_head(s, oracle, emu);
	for (size_t i = 0; !err && controllers[i]; i++)
		if (!s->only || s->only == controllers[i])
			err = run_one(s, controllers[i], &t, all);
	if (all) {
		_cleanup_json_ json_t *data =
		    json_pack("{s:o,s:o,s:o,s:I}", "feasible",
			      oracle < 0 ? json_null() : json_boolean(oracle), "oracle_emu",
			      oracle > 0 ? json_real(emu) : json_null(), "runs", all, "seed",
			      (json_int_t)s->seed);

		cli_print_json(data);
	} else {
		table_print(&t, &s->cli->out, 0);
	}
	table_done(&t);
	return err;
}

static int unknown_app(const char *name)
{
	return cli_usage(&verb_sim, "no app is called '%s'; the help names them", name);
}

/* "xapian=30%" or, of best-effort work, "stream". */
static int read_load(char *word, const struct sim_app **ret_app, double *ret_load)
{
	char *load = strchr(word, '=');
	uint32_t ppm;

	if (load)
		*load++ = 0;
	*ret_app = sim_app_find(word);
	if (!*ret_app)
		return unknown_app(word);
	*ret_load = 1;
	if ((*ret_app)->be)
		return load ? cli_usage(&verb_sim, "%s is best-effort work and has no load", word)
			    : EXIT_OK;
	if (!load || parse_ratio_ppm(load, &ppm) < 0 || !ppm)
		return cli_usage(&verb_sim, "%s needs a load, such as %s=30%%", word, word);
	*ret_load = ppm / 1e6;
	return EXIT_OK;
}

static int read_mix(struct sim_cli *s, const struct args *args)
{
	for (int i = 0; i < args->nr; i++) {
		size_t n = s->mix.nr++;
		_cleanup_free_ char *word = strdup(args->words[i]);
		int code = word ? read_load(word, &s->mix.apps[n], &s->mix.load[n]) : EXIT_FAILED;

		if (code != EXIT_OK)
			return code;
	}
	return EXIT_OK;
}

static int read_step(struct sim_cli *s, char *item)
{
	struct sim_change *c = &s->steps[s->nr_steps];
	char *at = strchr(item, '@');
	const struct sim_app *app;
	int code;

	if (!at || s->nr_steps == SIM_STEPS_MAX)
		return cli_usage(&verb_sim, "--step: '%s' is not APP=LOAD@TIME", item);
	*at++ = 0;
	code = read_load(item, &app, &c->load);
	if (code != EXIT_OK)
		return code;
	if (parse_duration_ns(at, &c->at_ns) < 0)
		return cli_usage(&verb_sim, "--step: '%s' is no time, such as 90s", at);
	if (s->nr_steps && c->at_ns < c[-1].at_ns)
		return cli_usage(&verb_sim, "--step: the times have to ascend");
	for (c->app = 0; c->app < s->mix.nr && s->mix.apps[c->app] != app; c->app++)
		;
	if (c->app == s->mix.nr)
		return cli_usage(&verb_sim, "--step: %s is not in the mix", app->name);
	s->nr_steps++;
	return EXIT_OK;
}

static int read_steps(struct sim_cli *s, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *item;
	int code = copy ? EXIT_OK : EXIT_FAILED;

	while (code == EXIT_OK && (item = strsep(&rest, ";")))
		code = read_step(s, item);
	return code;
}

static int read_time(const struct args *args, int option, uint64_t *ret_ns)
{
	const uint64_t longest_ns = 86400 * UINT64_C(1000000000);
	const char *text = args->option[option];

	if (text && (parse_duration_ns(text, ret_ns) < 0 || *ret_ns > longest_ns))
		return cli_usage(&verb_sim, "--%s: '%s' is no time up to a day, such as 60s",
				 options[option].name, text);
	return EXIT_OK;
}

static int read_options(struct sim_cli *s, const struct args *args)
{
	const char *name = args->option[OPT_CONTROLLER], *third = args->option[OPT_TABLE];
	const char *seed = args->option[OPT_SEED], *share = args->option[OPT_FORGIVE];

	s->only = name ? controller_find(name) : NULL;
	if (name && !s->only)
		return cli_usage(&verb_sim, "no controller is called '%s'", name);
	s->third = third ? sim_app_find(third) : NULL;
	if (third && (!s->third || s->third->be))
		return unknown_app(third);
	if (seed && parse_u64(seed, &s->seed) < 0)
		return cli_usage(&verb_sim, "--seed: '%s' is no number", seed);
	if (share && parse_ratio_ppm(share, &s->forgiven_ppm) < 0)
		return cli_usage(&verb_sim, "--forgive: '%s' is no share, such as 10%%", share);
	s->log = args->option[OPT_LOG] != NULL;
	if (read_time(args, OPT_SETTLE, &s->settle_ns) != EXIT_OK ||
	    read_time(args, OPT_TIME, &s->time_ns) != EXIT_OK)
		return EXIT_USAGE;
	if (!third == !args->nr)
		return cli_usage(&verb_sim, "%s",
				 third ? "a table has its own mixes"
				       : "which apps? Such as memcached=20%");
	return EXIT_OK;
}

static int sim_verb_run(struct cli *cli, const struct args *args)
{
	const uint64_t minute_ns = 60 * UINT64_C(1000000000);
	struct sim_cli s = {.cli = cli,
			    .settle_ns = minute_ns,
			    .time_ns = minute_ns,
			    .seed = 1,
			    .forgiven_ppm = 1000000};
	struct error e = {0};
	int code = read_options(&s, args), err;

	if (code == EXIT_OK)
		code = read_mix(&s, args);
	if (code == EXIT_OK && args->option[OPT_STEP])
		code = read_steps(&s, args->option[OPT_STEP]);
	if (code != EXIT_OK)
		return code;
	err = s.third ? sim_tables(&s) : run_mix(&s);
	if (err < 0) {
		error_errno(&e, err, "simulate");
		return cli_fail(cli, &e);
	}
	return EXIT_OK;
}

const struct verb verb_sim = {
    .name = "sim",
    .summary = "run published controllers on a simulated machine; needs no czd",
    .usage = "[--controller NAME] [--step APP=LOAD@TIME] APP=LOAD...",
    .help = "How would PARTIES or Heracles divide a machine between these apps? Controllers\n"
	    "are those of this project, the machine is a model fitted to the tables of\n"
	    "PARTIES (ASPLOS'19): 14 cores, 20 ways of cache. A load is that share of what\n"
	    "the app can serve alone. The same seed gives the same answer.\n"
	    "\n"
	    "SETTLED: when all targets had been met for 2 s. ALL MET: no app had over 1 % of\n"
	    "its requests late, while measured. LATE: half seconds in which the worst app\n"
	    "was. EMU: loads served in time and best-effort progress, together.\n"
	    "\n"
	    "Apps: memcached xapian nginx moses mongodb sphinx; best effort, without a load:\n"
	    "stream compute analytics.\n"
	    "Controllers: parties parties-code heracles clite clite-jobs libra.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl sim memcached=20% xapian=20% nginx=40%\n"
	    "  czctl sim --controller parties --log memcached=30% moses=20% stream\n"
	    "  czctl sim --step 'xapian=60%@90s' --time 120s memcached=20% xapian=20%\n"
	    "  czctl sim --table nginx\n",
    .options = options,
    .min_words = 0,
    .max_words = 8,
    .run = sim_verb_run,
};
