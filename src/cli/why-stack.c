/* SPDX-License-Identifier: MIT */
#include "cli/why-stack.h"

#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/stack.h"

#define CULPRITS_MAX 3
#define SAMPLE_NS    200000000ull
#define FRAMES_SHOWN 12

struct culprit {
	pid_t pid;
	const char *zone, *comm;
};

static json_t *any_text(const char *s)
{
	char safe[4 * SYMBOL_MAX];

	return json_string(str_escape(safe, sizeof(safe), s));
}

static json_t *stack_json(const struct culprit *c, uint64_t samples)
{
	return json_pack("{s:s, s:I, s:s, s:I, s:[], s:n, s:n}", "zone", c->zone, "pid",
			 (json_int_t)c->pid, "comm", c->comm, "samples", (json_int_t)samples,
			 "frames", "share_ppm", "why_not");
}

static void add_failure(json_t *list, const struct culprit *c, const struct error *e)
{
	json_t *o = stack_json(c, 0);

	json_object_set_new(o, "why_not", any_text(e->msg));
	json_array_append_new(list, o);
}

static void add_stack(json_t *list, const struct culprit *c, const struct stacks *all,
		      const struct stack *s)
{
	json_t *o = stack_json(c, s->samples), *frames = json_object_get(o, "frames");

	for (size_t i = 0; i < s->nr; i++)
		json_array_append_new(frames, any_text(s->frames[i]));
	if (s->nr_omitted)
		json_array_append_new(frames, json_sprintf("(%zu more)", s->nr_omitted));
	json_object_set_new(o, "share_ppm",
			    json_integer((json_int_t)(s->samples * 1000000 / all->samples)));
	json_array_append_new(list, o);
}

static void sample_culprit(json_t *list, const struct culprit *c)
{
	_cleanup_free_ struct stacks *stacks = calloc(1, sizeof(*stacks));
	struct error e = {.msg = "out of memory"};

	if (!stacks || stacks_sample(c->pid, c->comm, SAMPLE_NS, stacks, &e) < 0) {
		add_failure(list, c, &e);
		return;
	}
	for (size_t i = 0; i < stacks->nr; i++)
		add_stack(list, c, stacks, &stacks->top[i]);
}

/* Those with a pid among rows that carry zone, pid and comm; parts of the ledger are not all so. */
static size_t culprits_of(const json_t *rows, struct culprit ret[static CULPRITS_MAX])
{
	size_t i, n = 0;
	uint64_t pid;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		const char *cause = get_text(row, "cause");

		if (n == CULPRITS_MAX || !get_number(row, "pid", &pid) || !pid || pid > INT32_MAX ||
		    (cause[0] && strcmp(cause, "neighbour")))
			continue;
		ret[n++] = (struct culprit){.pid = (pid_t)pid,
					    .zone = get_text(row, "zone"),
					    .comm = get_text(row, "comm")};
	}
	return n;
}

void why_add_stacks(json_t *why)
{
	struct culprit culprits[CULPRITS_MAX];
	const json_t *finding = json_object_get(why, "finding");
	json_t *list = json_array();
	size_t n = culprits_of(json_object_get(finding, "culprits"), culprits);

	if (!n)
		n = culprits_of(json_object_get(json_object_get(why, "ledger"), "parts"), culprits);
	for (size_t i = 0; i < n; i++)
		sample_culprit(list, &culprits[i]);
	json_object_set_new(why, "stack", list);
}

static void print_frames(const struct cli *cli, const json_t *stack)
{
	const json_t *frames = json_object_get(stack, "frames");
	size_t i, nr = json_array_size(frames);
	char share[SHOW_MAX];
	json_t *frame;

	show_ppm(stack, "share_ppm", share);
	json_array_foreach(frames, i, frame)
	{
		if (i == FRAMES_SHOWN) {
			out_paragraph(&cli->out, 15, STYLE_PLAIN, "%14s %zu more", "", nr - i);
			break;
		}
		out_paragraph(&cli->out, 15, STYLE_PLAIN, "%12s   %s", i ? "" : share,
			      json_string_value(frame));
	}
}

void why_print_stacks(const struct cli *cli, const json_t *stacks)
{
	json_int_t last = 0, pid;
	char id[SHOW_MAX];
	json_t *stack;
	size_t i;

	if (!stacks)
		return;
	if (!json_array_size(stacks))
		out_paragraph(&cli->out, 4, STYLE_PLAIN,
			      "\n  no stack: no culprit is known by its pid");
	json_array_foreach(stacks, i, stack)
	{
		pid = json_integer_value(json_object_get(stack, "pid"));
		if (get_text(stack, "why_not")[0]) {
			out_paragraph(&cli->out, 4, STYLE_PLAIN, "\n  no stack from %s: %s",
				      text_or_dash(stack, "zone"), get_text(stack, "why_not"));
			continue;
		}
		if (pid != last)
			out_paragraph(&cli->out, 4, STYLE_PLAIN,
				      "\n  what %s of %s does (pid %s, sampled for 0.2 s):",
				      text_or_dash(stack, "comm"), text_or_dash(stack, "zone"),
				      show_id(stack, "pid", id));
		last = pid;
		print_frames(cli, stack);
	}
}
