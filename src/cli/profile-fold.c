/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "cli/profile-internal.h"
#include "cli/symbol-table.h"

#define NAMING_TIME_NS 20000000000ull /* of all processes; a hostile one costs 3 s */

static struct address chain_address(const struct chain *c, size_t i)
{
	return (struct address){.addr = c->addrs[i], .kernel = i < c->nr_kernel};
}

/* The addresses of one process' user code, or (NULL) all of the kernel's. */
static void add_addresses(const struct sampler *s, const struct process *p, struct symbol_table *t)
{
	hash_for_each(&s->chains, e) {
		const struct chain *c = e->value;
		size_t first = p ? c->nr_kernel : 0, end = p ? c->nr : c->nr_kernel;

		if (p && p != &s->processes[c->process])
			continue;
		for (size_t i = first; i < end; i++) {
			struct address a = chain_address(c, i);

			symbol_table_add(t, &a);
		}
	}
}

/* What is outside of code, the end of a walk without frame pointers, is left out. user NULL: its
 * functions have no names any more, and their addresses mean nothing to anybody. */
static void fold_chain(struct sampler *s, const struct chain *c, const struct symbol_table *user,
		       const struct symbol_table *kernel)
{
	_cleanup_(strbuf_done) struct strbuf line = {0};
	struct symbol symbol;
	size_t frames = 0;

	folded_frame(&line, s->processes[c->process].comm);
	if (!user && c->nr > c->nr_kernel)
		folded_frame(&line, "(ended)");
	for (size_t i = user ? c->nr : c->nr_kernel; i-- > 0; frames += symbol.key != 0) {
		struct address a = chain_address(c, i);

		symbol_table_find(a.kernel ? kernel : user, &a, &symbol);
		if (symbol.key)
			folded_frame(&line, symbol.text);
	}
	if (user && !frames)
		folded_frame(&line, "(unknown)");
	if (line.failed)
		s->out->stacks.failed = true;
	else
		folded_add(&s->out->stacks, line.data, c->samples);
}

static bool has_ended(const struct process *p)
{
	char comm[64];

	return p->procfd < 0 || read_file_at(p->procfd, "comm", comm, sizeof(comm)) < 0;
}

static int fold_process(struct sampler *s, const struct process *p,
			const struct symbol_table *kernel, uint64_t deadline_ns)
{
	_cleanup_(symbol_table_done) struct symbol_table user = {0};
	bool named = false;
	int r = 0;

	if (clock_mono_ns() < deadline_ns && !has_ended(p)) {
		add_addresses(s, p, &user);
		r = symbol_table_name(&user, p->procfd);
		named = !has_ended(p); /* all the while */
	}
	s->out->unnamed += !named;
	hash_for_each(&s->chains, e) {
		const struct chain *c = e->value;

		if (p == &s->processes[c->process])
			fold_chain(s, c, named ? &user : NULL, kernel);
	}
	return r;
}

static int most_samples_first(const void *a, const void *b)
{
	const struct process *x = *(const struct process *const *)a,
			     *y = *(const struct process *const *)b;

	return x->samples > y->samples ? -1 : x->samples < y->samples;
}

int profile_fold(struct sampler *s)
{
	_cleanup_(symbol_table_done) struct symbol_table kernel = {0};
	_cleanup_free_ const struct process **order = calloc(s->nr_processes + 1, sizeof(*order));
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t deadline_ns = clock_mono_ns() + NAMING_TIME_NS;
	int r;

	if (!order)
		return -ENOMEM;
	add_addresses(s, NULL, &kernel);
	r = symbol_table_name(&kernel, self);
	for (size_t i = 0; i < s->nr_processes; i++)
		order[i] = &s->processes[i];
	qsort(order, s->nr_processes, sizeof(*order), most_samples_first);
	for (size_t i = 0; i < s->nr_processes && r == 0; i++)
		r = fold_process(s, order[i], &kernel, deadline_ns);
	folded_sort(&s->out->stacks);
	s->out->processes = s->nr_processes;
	return s->out->stacks.failed ? -ENOMEM : r;
}
