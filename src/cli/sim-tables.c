/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>
#include "cli/sim.h"

static void on_progress(void *arg, unsigned int done)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s: %u of %u%s", (const char *)arg, done,
			TABLE_SIDE * TABLE_SIDE, done == TABLE_SIDE * TABLE_SIDE ? "\r\033[K" : "");
}

static void print_map(const struct sim_cli *s, const struct sim_table *map)
{
	struct column columns[TABLE_SIDE + 1] = {{"MEMCACHED", COLUMN_TEXT}};
	struct table t = {.columns = columns, .nr_columns = TABLE_SIDE + 1};
	char titles[TABLE_SIDE][8];

	for (int b = 0; b < TABLE_SIDE; b++) {
		snprintf(titles[b], sizeof(titles[b]), "X%d", 10 * (b + 1));
		columns[b + 1] = (struct column){titles[b], COLUMN_NUMBER};
	}
	for (int a = 0; a < TABLE_SIDE; a++) {
		table_add(&t, STYLE_PLAIN, "%d %%", 10 * (a + 1));
		for (int b = 0; b < TABLE_SIDE; b++)
			if (map->third[a][b])
				table_add(&t, STYLE_PLAIN, "%d", 10 * map->third[a][b]);
			else
				table_add(&t, STYLE_PLAIN, "-");
	}
	table_print(&t, &s->cli->out, 0);
	table_done(&t);
}

static json_t *map_json(const struct sim_table *map)
{
	json_t *rows = json_array();

	for (int a = 0; map && a < TABLE_SIDE; a++) {
		json_t *row = json_array();

		for (int b = 0; b < TABLE_SIDE; b++)
			json_array_append_new(row, map->third[a][b]
						       ? json_real(map->third[a][b] / 10.0)
						       : json_null());
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *table_json(const struct sim_cli *s, const char *name, const struct table_result *r,
			  const struct sim_table *oracle)
{
	const struct sim_table *paper = table_published(s->third->name, name);
	bool ran = r->runs > 0;

	return json_pack("{s:s,s:o,s:o,s:f,s:I,s:I,s:o,s:o,s:o,s:o}", "how", name, "map",
			 map_json(&r->table), "published", paper ? map_json(paper) : json_null(),
			 "emu", table_emu(&r->table, oracle) / 100, "runs", (json_int_t)r->runs,
			 "settled", (json_int_t)r->settled, "settle_mean_s",
			 ran ? json_real(r->settle_mean_s) : json_null(), "settle_most_s",
			 ran ? json_real(r->settle_most_s) : json_null(), "violated_share",
			 ran ? json_real(r->violated) : json_null(), "changes_per_s",
			 ran ? json_real(r->changes_per_s) : json_null());
}

static void print_table(const struct sim_cli *s, const char *name, const struct table_result *r,
			const struct sim_table *oracle)
{
	const struct sim_table *paper = table_published(s->third->name, name);
	const struct out *o = &s->cli->out;
	struct table_comparison c;

	out_paragraph(o, 0, STYLE_TITLE, "%s: %s %% beside memcached and xapian", name,
		      s->third->name);
	print_map(s, &r->table);
	out_paragraph(o, 2, STYLE_PLAIN,
		      "Mean of the three loads together, where the oracle has an answer: %.1f %%.",
		      table_emu(&r->table, oracle));
	if (r->runs)
		out_paragraph(o, 2, STYLE_PLAIN,
			      "%u of %u runs met all targets in time, after %.1f s in the mean and "
			      "%.1f s at most; of the time after that, the worst app was late in "
			      "%.1f %%, with %.2f changes a second.",
			      r->settled, r->runs, r->settle_mean_s, r->settle_most_s,
			      r->violated * 100, r->changes_per_s);
	if (paper) {
		c = table_compare(&r->table, paper);
		out_paragraph(o, 2, STYLE_PLAIN,
			      "In the paper: %.1f %% in the %u cells that both have; here %.1f %%.",
			      c.other, c.cells, c.mean);
	}
	printf("\n");
}

static int one_table(struct sim_cli *s, const char *name, enum sim_how how,
		     const struct controller *c, struct sim_table *oracle, json_t *all)
{
	struct table_question q = {.how = how,
				   .controller = c,
				   .third = s->third,
				   .settle_ns = s->settle_ns,
				   .measure_ns = s->time_ns,
				   .seed = s->seed,
				   .repeats = 3,
				   .forgiven = s->forgiven_ppm / 1e6,
				   .progress = on_progress,
				   .arg = (void *)name};
	struct table_result r;
	int err = table_make(&sim_xeon, &q, &r);

	if (err)
		return err;
	if (how == HOW_ORACLE)
		*oracle = r.table;
	if (all)
		json_array_append_new(all, table_json(s, name, &r, oracle));
	else
		print_table(s, name, &r, oracle);
	return 0;
}

int sim_tables(struct sim_cli *s)
{
	json_t *all = s->cli->json ? json_array() : NULL;
	struct sim_table oracle;
	int err = one_table(s, "oracle", HOW_ORACLE, NULL, &oracle, all);

	if (!err && !s->only)
		err = one_table(s, "unmanaged", HOW_UNMANAGED, NULL, &oracle, all);
	for (size_t i = 0; !err && controllers[i]; i++)
		if (!s->only || s->only == controllers[i])
			err = one_table(s, controllers[i]->name, HOW_CONTROLLER, controllers[i],
					&oracle, all);
	if (all) {
		_cleanup_json_ json_t *data = json_pack("{s:s,s:o,s:I}", "third", s->third->name,
							"tables", all, "seed", (json_int_t)s->seed);

		cli_print_json(data);
	}
	return err;
}
