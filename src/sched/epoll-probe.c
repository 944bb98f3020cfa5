/* SPDX-License-Identifier: MIT */
#include "sched/epoll-probe.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "epoll.skel.h"

#define NO_ATTACH "could not attach the probe of epoll_wait"

struct epoll_probe {
	struct epoll_bpf *skel;
	struct bpf_program *program;
	struct bpf_link *link;
	const char *where;
	int cpus;
};

/* The cheap one first. */
static const struct {
	const char *program, *where;
} ways[] = {{"epoll_function", "do_epoll_wait"}, {"epoll_call", "sys_exit"}};

static int attach(struct epoll_probe *probe)
{
	if (!probe->link)
		probe->link = bpf_program__attach(probe->program);
	return probe->link ? 0 : -errno;
}

static int try_way(struct epoll_probe *probe, size_t way)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = BUS_DIR);
	struct bpf_program *program;
	int r;

	probe->skel = epoll_bpf__open_opts(&opts);
	if (!probe->skel)
		return -errno;
	bpf_object__for_each_program(program, probe->skel->obj)
	{
		bpf_program__set_autoload(
		    program, strcmp(bpf_program__name(program), ways[way].program) == 0);
	}
	r = epoll_bpf__load(probe->skel);
	if (r == 0) {
		probe->program =
		    bpf_object__find_program_by_name(probe->skel->obj, ways[way].program);
		r = attach(probe);
	}
	if (r < 0) {
		epoll_bpf__destroy(probe->skel);
		probe->skel = NULL;
	}
	probe->where = ways[way].where;
	return r;
}

int epoll_probe_open(struct epoll_probe **ret, struct error *reterr)
{
	struct epoll_probe *probe = calloc(1, sizeof(*probe));
	libbpf_print_fn_t print;
	int r = -ENOENT;

	if (!probe)
		return -ENOMEM;
	probe->cpus = libbpf_num_possible_cpus();
	print = libbpf_set_print(NULL); /* that the first way fails is no news */
	for (size_t i = 0; i < ARRAY_SIZE(ways) && r < 0; i++)
		r = try_way(probe, i);
	libbpf_set_print(print);
	if (r < 0) {
		free(probe);
		return error_errno(reterr, r, NO_ATTACH);
	}
	*ret = probe;
	return 0;
}

int epoll_probe_attach(struct epoll_probe *probe, struct error *reterr)
{
	int r = attach(probe);

	return r < 0 ? error_errno(reterr, r, NO_ATTACH) : 0;
}

void epoll_probe_detach(struct epoll_probe *probe)
{
	bpf_link__destroy(probe->link);
	probe->link = NULL;
}

void epoll_probe_close(struct epoll_probe *probe)
{
	if (!probe)
		return;
	bpf_link__destroy(probe->link);
	epoll_bpf__destroy(probe->skel);
	free(probe);
}

int epoll_probe_read(const struct epoll_probe *probe, struct bus_epoll *ret)
{
	_cleanup_free_ struct bus_epoll *sums = calloc((size_t)probe->cpus, sizeof(*sums));
	struct bus_epoll all = {0};
	int r;

	if (!sums)
		return -ENOMEM;
	r = bpf_map_lookup_elem(bpf_map__fd(probe->skel->maps.cz_epoll), &(uint32_t){0}, sums);
	if (r < 0)
		return r;
	for (int i = 0; i < probe->cpus; i++) {
		all.returns_total += sums[i].returns_total;
		all.events_total += sums[i].events_total;
	}
	*ret = all;
	return 0;
}

const char *epoll_probe_where(const struct epoll_probe *probe)
{
	return probe->where;
}
