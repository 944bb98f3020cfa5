/* SPDX-License-Identifier: MIT */
#include "probes/zone-sums.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct btf *, btf__free)
DEFINE_CLEANUP(void *, sums_close)

static void unload(struct sums *s)
{
	for (size_t i = 0; i < s->nr_programs; i++)
		bpf_link__destroy(s->links[i]);
	bpf_object__close(s->obj);
	memset(s->links, 0, sizeof(s->links));
	s->nr_programs = 0;
	s->obj = NULL;
}

void sums_close(void *state)
{
	struct sums *s = state;

	if (!s)
		return;
	unload(s);
	hash_for_each(&s->last, e)
		free(e->value);
	hash_done(&s->last);
	tree_join_done(&s->join);
	free(s->values);
	free(s);
}

static bool has_hook(const struct btf *btf, const char *hook)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", hook);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

static int hooks_check(const struct btf *btf, const char *const *hooks, size_t nr, char *why,
		       size_t size)
{
	if (!btf) {
		snprintf(why, size, "kernel type information (BTF) is not readable");
		return -EOPNOTSUPP;
	}
	for (size_t i = 0; i < nr; i++) {
		if (has_hook(btf, hooks[i]))
			continue;
		snprintf(why, size, "this kernel has no trace point %s", hooks[i]);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Of this way, and not on a trace point that some kernels lack. */
static bool is_wanted(const struct bpf_program *program, const struct sums_way *way,
		      const struct btf *btf)
{
	const char *section = bpf_program__section_name(program);
	bool named = !way->programs[0];

	for (size_t i = 0; i < SUMS_PROGRAMS_MAX && way->programs[i]; i++)
		named |= strcmp(way->programs[i], bpf_program__name(program)) == 0;
	return named && (strncmp(section, "tp_btf/", 7) != 0 || has_hook(btf, section + 7));
}

static int load(struct sums *s, const struct sums_way *way, const struct btf *btf)
{
	struct bpf_program *program;
	size_t size = 0;
	const void *elf = s->spec->elf(&size);

	s->obj = bpf_object__open_mem(elf, size, NULL);
	if (!s->obj)
		return -errno;
	bpf_object__for_each_program(program, s->obj)
	{
		bool wanted = is_wanted(program, way, btf) && s->nr_programs < SUMS_PROGRAMS_MAX;

		bpf_program__set_autoload(program, wanted);
		if (wanted)
			s->programs[s->nr_programs++] = program;
	}
	return bpf_object__load(s->obj);
}

static int attach(struct sums *s)
{
	for (size_t i = 0; i < s->nr_programs; i++) {
		s->links[i] = bpf_program__attach(s->programs[i]);
		if (!s->links[i])
			return -errno;
	}
	return 0;
}

static int find_maps(struct sums *s)
{
	const struct bpf_map *bss = bpf_object__find_map_by_name(s->obj, ".bss");
	size_t size = 0;

	s->sums_fd = bpf_object__find_map_fd_by_name(s->obj, "sums");
	s->pairs_fd = s->spec->has_pairs ? bpf_object__find_map_fd_by_name(s->obj, "pairs") : -1;
	s->lost = bss ? bpf_map__initial_value(bss, &size) : NULL;
	return s->sums_fd < 0 || !s->lost || size < sizeof(*s->lost) ? -EINVAL : 0;
}

/* The first way that works; what the others said is of no use where one does. */
static int load_any(struct sums *s, const struct btf *btf)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	int r = -EOPNOTSUPP;

	for (size_t i = 0; i < ARRAY_SIZE(s->spec->ways) && r < 0; i++) {
		if (i && !s->spec->ways[i].programs[0])
			break;
		unload(s);
		r = load(s, &s->spec->ways[i], btf);
		if (r == 0)
			r = find_maps(s);
		if (r == 0)
			r = attach(s);
	}
	libbpf_set_print(print);
	return r;
}

int sums_open(const struct sums_spec *spec, struct probes *p, void **ret_state, char *why,
	      size_t size)
{
	_cleanup_(btf__freep) struct btf *btf = NULL;
	_cleanup_(sums_closep) void *state = NULL;
	int nr_cpus = libbpf_num_possible_cpus();
	struct sums *s;
	int r;

	if (spec->has_pairs && !cgroup_has(p->fs, spec->owners)) {
		snprintf(why, size, "the controller whose groups it tells of is not mounted");
		return -EOPNOTSUPP;
	}
	btf = btf__load_vmlinux_btf();
	r = hooks_check(btf, spec->hooks, spec->nr_hooks, why, size);
	if (r < 0 || nr_cpus < 1)
		return r < 0 ? r : -EOPNOTSUPP;
	state = s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->spec = spec;
	s->nr_cpus = (unsigned int)nr_cpus;
	tree_join_init(&s->join, p, spec->owners);
	s->values = calloc(s->nr_cpus * spec->nr_fields, sizeof(*s->values));
	if (!s->values)
		return -ENOMEM;
	r = load_any(s, btf);
	if (r < 0)
		return bpf_refused(r, why, size);
	*ret_state = TAKE_PTR(state);
	return 0;
}

static uint64_t *last_of(struct sums *s, uint64_t id)
{
	uint64_t *last = hash_get(&s->last, id);

	if (last)
		return last;
	last = calloc(s->spec->nr_fields, sizeof(*last));
	if (!last || hash_put(&s->last, id, last) < 0) {
		free(last);
		return NULL;
	}
	return last;
}

/* What came since the last reading is added to the zone and to those above it. */
static int add_up(struct sums *s, struct probe_zone *z)
{
	uint64_t *last = last_of(s, z->id);

	if (!last)
		return -ENOMEM;
	for (size_t f = 0; f < s->spec->nr_fields; f++) {
		uint64_t now = 0, more;

		for (unsigned int cpu = 0; cpu < s->nr_cpus; cpu++)
			now += s->values[cpu * s->spec->nr_fields + f];
		more = now - last[f];
		last[f] = now;
		for (struct probe_zone *up = z; up; up = up->parent)
			row_add(&up->row, s->spec->metrics[f], more);
	}
	return 0;
}

int sums_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct sums *s = state;
	int r = bpf_map_lookup_elem(s->sums_fd, &z->id, s->values);

	if (r < 0 && r != -ENOENT)
		return r;
	if (s->spec->has_pairs) {
		(void)tree_join_zone(&s->join, p, z);
		row_add(&z->row, s->spec->foreign, 0);
	}
	if (r == 0)
		return add_up(s, z);
	for (size_t f = 0; f < s->spec->nr_fields; f++)
		row_add(&z->row, s->spec->metrics[f], 0);
	return 0;
}

static void take_pairs(struct sums *s, struct probes *p)
{
	struct zone_pair key;
	uint64_t amount;

	s->pairs.nr = 0;
	/* each is taken out: the first is always one not seen yet */
	for (int i = 0; i < ZONE_PAIRS_MAX && bpf_map_get_next_key(s->pairs_fd, NULL, &key) == 0;
	     i++)
		if (bpf_map_lookup_and_delete_elem(s->pairs_fd, &key, &amount) == 0)
			pair_list_add(&s->pairs, p, tree_join_back(&s->join, key.owner), key.holder,
				      amount, s->spec->foreign);
}

/* What could not be counted is said, never guessed. */
void sums_end(void *state, struct probes *p)
{
	struct sums *s = state;
	uint64_t missed = bpf_missed(s->obj);

	if (missed != s->missed || *s->lost != s->lost_seen)
		p->stats.errors_total++;
	s->missed = missed;
	s->lost_seen = *s->lost;
	if (s->pairs_fd >= 0)
		take_pairs(s, p);
}

void sums_forget(void *state, const struct probe_zone *z)
{
	struct sums *s = state;

	/* what it did since it was read last is lost to those above it: it is gone, and idle */
	free(hash_remove(&s->last, z->id));
	(void)bpf_map_delete_elem(s->sums_fd, &z->id);
	(void)tree_join_forget(&s->join, z);
}

size_t sums_holders(const void *state, const struct probes *p, uint64_t zone_id, struct holder *ret,
		    size_t max)
{
	return pair_list_of(&((const struct sums *)state)->pairs, p, zone_id, ret, max);
}

int bpf_hooks_check(const char *const *hooks, size_t nr, char *why, size_t size)
{
	_cleanup_(btf__freep) struct btf *btf = btf__load_vmlinux_btf();

	return hooks_check(btf, hooks, nr, why, size);
}

uint64_t bpf_missed(struct bpf_object *obj)
{
	struct bpf_program *program;
	uint64_t missed = 0;

	bpf_object__for_each_program(program, obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(program);

		if (fd >= 0 && bpf_prog_get_info_by_fd(fd, &info, &size) == 0)
			missed += info.recursion_misses;
	}
	return missed;
}

int bpf_refused(int err, char *why, size_t size)
{
	if (err == -ENOMEM)
		return err;
	snprintf(why, size,
		 err == -EPERM ? "BPF is not allowed: it needs CAP_BPF and CAP_PERFMON"
			       : "the kernel refused its BPF programs (error %d)",
		 -err);
	return -EOPNOTSUPP;
}
