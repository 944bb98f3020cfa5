/* SPDX-License-Identifier: MIT */
/* Loading and attaching the wait ledger: what this kernel has decides what is loaded. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "probes/ledger-private.h"
#include "ledger.skel.h"

#define CPUS_MAX 1023

DEFINE_CLEANUP(struct ledger *, ledger_close)
DEFINE_CLEANUP(struct btf *, btf__free)

printf_like(2, 0) static int print_debug(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0)
		return 0;
	/* The verifier's log is one message of very many lines: its end says what is wrong. */
	for (char *line = text, *rest = text; (line = strsep(&rest, "\n"));)
		if (*line && (!rest || strlen(rest) < 4096))
			log_debug("libbpf: %s", line);
	return 0;
}

static bool has_hook(const struct btf *btf, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

/* Looks into anonymous members too. */
static bool type_has_field(const struct btf *btf, int id, const char *field)
{
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;
	const struct btf_member *m;

	if (!t || !btf_is_composite(t))
		return false;
	m = btf_members(t);
	for (unsigned int i = 0; i < btf_vlen(t); i++, m++) {
		const char *name = btf__name_by_offset(btf, m->name_off);

		if (!strcmp(name, field) || (!*name && type_has_field(btf, m->type, field)))
			return true;
	}
	return false;
}

static bool has_field(const struct btf *btf, const char *type, const char *field)
{
	return type_has_field(btf, btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT), field);
}

static int check_hooks(const struct btf *btf, struct error *reterr)
{
	static const char *const hooks[] = {
	    "sched_switch",	  "sched_wakeup",	"sched_wakeup_new", "sched_migrate_task",
	    "sched_process_fork", "cgroup_attach_task", "cgroup_mkdir",	    "cgroup_rmdir"};

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!has_hook(btf, hooks[i]))
			return error_set(reterr, -EOPNOTSUPP, "this kernel has no hook %s",
					 hooks[i]);
	if (!has_field(btf, "task_struct", "sched_task_group"))
		return error_set(reterr, -EOPNOTSUPP,
				 "this kernel has no CPU controller (CONFIG_CGROUP_SCHED)");
	return 0;
}

static void choose_irq(struct ledger *l, const struct btf *btf)
{
	struct ledger_bpf *s = l->skel;
	struct bpf_program *progs[] = {s->progs.on_irq_enter, s->progs.on_irq_exit,
				       s->progs.on_softirq_enter, s->progs.on_softirq_exit};
	bool accounted = has_field(btf, "rq", "prev_irq_time");
	bool hooks = has_hook(btf, "irq_handler_entry") && has_hook(btf, "irq_handler_exit") &&
		     has_hook(btf, "softirq_entry") && has_hook(btf, "softirq_exit");

	for (size_t i = 0; i < ARRAY_SIZE(progs); i++)
		bpf_program__set_autoload(progs[i], hooks && !accounted);
	l->irq_split = accounted || hooks;
}

static int size_maps(struct ledger *l)
{
	struct ledger_bpf *s = l->skel;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
	    {s->maps.pairs, l->nr_cpus * LEDGER_NR_VICTIMS},
	    {s->maps.cells, l->max_slots * LEDGER_NR_VICTIMS},
	    {s->maps.slot_info, l->max_slots},
	    {s->maps.slots, l->max_slots},
	    {s->maps.free_slots, l->max_slots},
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int r = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);

		if (r)
			return r;
	}
	return bpf_map__set_value_size(s->maps.data_cpus, sizeof(*l->cpus) * l->nr_cpus);
}

static int load(struct ledger *l, struct error *reterr)
{
	_cleanup_(btf__freep) struct btf *btf = btf__load_vmlinux_btf();
	int r;

	if (!btf)
		return error_errno(reterr, -EOPNOTSUPP,
				   "kernel type information (BTF) not readable");
	r = check_hooks(btf, reterr);
	if (r)
		return r;
	l->skel = ledger_bpf__open();
	if (!l->skel)
		return error_errno(reterr, -errno, "open the ledger's BPF object");
	choose_irq(l, btf);
	l->steal_split = has_field(btf, "rq", "prev_steal_time_rq");
	l->throttle_exact = has_field(btf, "cfs_rq", "throttled_clock_self");
	l->skel->rodata->max_slots = l->max_slots;
	l->skel->rodata->max_cpus = l->nr_cpus;
	/* Without the thread iterator, threads may change their zone unseen. */
	l->skel->rodata->track_kernel =
	    has_field(btf, "sched_info", "last_queued") &&
	    btf__find_by_name_kind(btf, "bpf_iter_task_new", BTF_KIND_FUNC) > 0;
	/* Kernels whose task storage has an allocator of its own never wake anybody in it. */
	l->skel->rodata->may_create_storage = has_field(btf, "bpf_local_storage_map", "bpf_ma");
	r = size_maps(l);
	if (!r)
		r = ledger_bpf__load(l->skel);
	if (r == -EACCES || r == -EINVAL)
		r = -EOPNOTSUPP;
	if (r)
		return error_errno(reterr, r, "load the ledger's BPF programs");
	return 0;
}

static void *map_memory(struct bpf_map *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t cells_size(const struct ledger *l)
{
	return sizeof(*l->cells) * LEDGER_NR_VICTIMS * l->max_slots;
}

static int map_all(struct ledger *l)
{
	l->cpus = l->skel->data_cpus->cpus;
	l->hist = l->skel->bss->hist;
	l->cells = map_memory(l->skel->maps.cells, cells_size(l));
	l->slots = map_memory(l->skel->maps.slot_info, sizeof(*l->slots) * l->max_slots);
	return l->cells && l->slots ? 0 : -errno;
}

int ledger_open(const struct ledger_options *o, struct ledger **ret, struct error *reterr)
{
	_cleanup_(ledger_closep) struct ledger *l = calloc(1, sizeof(*l));
	int nr_cpus, r;

	if (!l)
		return error_errno(reterr, -ENOMEM, "wait ledger");
	l->stats_fd = -1;
	libbpf_set_print(print_debug);
	nr_cpus = libbpf_num_possible_cpus();
	if (nr_cpus < 1 || nr_cpus > CPUS_MAX)
		return error_set(reterr, -EOPNOTSUPP,
				 "the wait ledger is made for up to %d CPUs, not %d", CPUS_MAX,
				 nr_cpus);
	l->nr_cpus = nr_cpus;
	if (!o->max_zones || o->max_zones > (1u << 18) - 1 - SLOT_FIRST)
		return error_set(reterr, -EINVAL, "ledger: max_zones %u", o->max_zones);
	l->max_slots = o->max_zones + SLOT_FIRST;
	l->forgotten = calloc(l->max_slots, sizeof(*l->forgotten));
	if (!l->forgotten)
		return error_errno(reterr, -ENOMEM, "wait ledger");
	r = load(l, reterr);
	if (r)
		return r;
	r = map_all(l);
	if (r)
		return error_errno(reterr, r, "map the ledger's memory");
	l->ring = ring_buffer__new(bpf_map__fd(l->skel->maps.events), ledger_ring_event, l, NULL);
	if (!l->ring)
		return error_errno(reterr, -errno, "ledger events");
	r = ledger_bpf__attach(l->skel);
	if (r)
		return error_errno(reterr, r, "attach the ledger to the scheduler's trace points");
	*ret = TAKE_PTR(l);
	return 0;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	if (l->skel)
		ledger_bpf__detach(l->skel);
	ring_buffer__free(l->ring);
	if (l->cells)
		munmap(l->cells, cells_size(l));
	if (l->slots)
		munmap(l->slots, sizeof(*l->slots) * l->max_slots);
	ledger_bpf__destroy(l->skel);
	close_fd(&l->stats_fd);
	free(l->forgotten);
	free(l);
}
