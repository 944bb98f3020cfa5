/* SPDX-License-Identifier: MIT */
#include "probes/zone-sums.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "bpf/zone-sums.h"

DEFINE_CLEANUP(struct btf *, btf__free)

int zone_sums_init(struct zone_sums_reader *s, struct bpf_map *map)
{
	int nr_cpus = libbpf_num_possible_cpus();

	if (nr_cpus < 1)
		return -EOPNOTSUPP;
	s->map_fd = bpf_map__fd(map);
	s->nr_cpus = (unsigned int)nr_cpus;
	s->values = calloc(s->nr_cpus, sizeof(*s->values));
	return s->values ? 0 : -ENOMEM;
}

void zone_sums_done(struct zone_sums_reader *s)
{
	hash_for_each(&s->last, e)
		free(e->value);
	hash_done(&s->last);
	free(s->values);
	s->values = NULL;
}

static struct zone_sums *last_of(struct zone_sums_reader *s, uint64_t id)
{
	struct zone_sums *last = hash_get(&s->last, id);

	if (last)
		return last;
	last = calloc(1, sizeof(*last));
	if (!last || hash_put(&s->last, id, last) < 0) {
		free(last);
		return NULL;
	}
	return last;
}

static void note_losses(struct zone_sums_reader *s, struct probes *p)
{
	if (!s->lost || *s->lost == s->lost_seen)
		return;
	s->lost_seen = *s->lost;
	p->stats.errors_total++;
}

int zone_sums_read(struct zone_sums_reader *s, struct probes *p, struct probe_zone *z)
{
	struct zone_sums now = {0}, none = {0}, *last = &none;
	int r = bpf_map_lookup_elem(s->map_fd, &z->id, s->values);

	note_losses(s, p);
	if (r < 0 && r != -ENOENT)
		return r;
	for (unsigned int cpu = 0; r == 0 && cpu < s->nr_cpus; cpu++) {
		now.count += s->values[cpu].count;
		now.ns += s->values[cpu].ns;
	}
	if (r == 0)
		last = last_of(s, z->id);
	if (!last)
		return -ENOMEM;
	for (struct probe_zone *up = z; up; up = up->parent) {
		row_add(&up->row, s->count, now.count - last->count);
		row_add(&up->row, s->ns, now.ns - last->ns);
	}
	*last = now;
	return 0;
}

void zone_sums_forget(struct zone_sums_reader *s, const struct probe_zone *z)
{
	/* what it did since it was read last is lost to those above it: it is gone, and idle */
	free(hash_remove(&s->last, z->id));
	(void)bpf_map_delete_elem(s->map_fd, &z->id);
}

int bpf_hooks_check(const char *const *hooks, size_t nr, char *why, size_t size)
{
	_cleanup_(btf__freep) struct btf *btf = btf__load_vmlinux_btf();
	char type[128];

	if (!btf) {
		snprintf(why, size, "kernel type information (BTF) is not readable");
		return -EOPNOTSUPP;
	}
	for (size_t i = 0; i < nr; i++) {
		snprintf(type, sizeof(type), "btf_trace_%s", hooks[i]);
		if (btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) <= 0) {
			snprintf(why, size, "this kernel has no trace point %s", hooks[i]);
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

uint64_t bpf_misses(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	int fd = bpf_program__fd(program);

	return fd >= 0 && bpf_prog_get_info_by_fd(fd, &info, &size) == 0 ? info.recursion_misses
									 : 0;
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
