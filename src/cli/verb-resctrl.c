/* SPDX-License-Identifier: MIT */
/*
 * Cache ways and memory bandwidth by hand. Needs no daemon: it works on the mounted tree itself, or
 * on one below --root.
 */
#include <fcntl.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/resctrl-show.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "kernel/cgroup.h"

enum { OPTION_ROOT, OPTION_LLC, OPTION_MEMBW, OPTION_CPUS, OPTION_MODE };

struct work {
	struct cli *cli;
	const struct args *args;
	struct kernel kernel;
	struct resctrl rc;
	char path[RESCTRL_PATH_MAX]; /* of the group named first */
};

/* The same value in every domain that the default group has. */
static int fill(const struct work *w, enum resctrl_resource res, uint32_t value,
		struct resctrl_schemata *s, struct error *reterr)
{
	_cleanup_free_ struct resctrl_schemata *all = malloc(sizeof(*all));
	int r = all ? resctrl_get(&w->rc, "", all, reterr) : -ENOMEM;

	if (r < 0)
		return r;
	s->lines[res] = all->lines[res];
	for (size_t i = 0; i < s->lines[res].nr; i++)
		s->lines[res].domains[i].value = value;
	return 0;
}

/* So many ways from the top, where devices have theirs too; of code and of data under CDP. */
static int fill_llc(const struct work *w, const char *text, struct resctrl_schemata *s,
		    struct error *reterr)
{
	const struct resctrl_info *i = &w->rc.info;
	const struct resctrl_alloc *a = &i->alloc[resctrl_llc(i)];
	uint32_t ways, mask;
	int r = 0;

	if (!resctrl_has_llc(i))
		return error_set(reterr, -EOPNOTSUPP, "the ways of this L3 cache cannot be set");
	if (parse_u32(text, &ways) < 0 || resctrl_ways_mask(a, ways, true, &mask) < 0)
		return error_set(reterr, -EINVAL, "--llc: %u to %u ways, not '%s'",
				 a->min_cbm_bits ? a->min_cbm_bits : 1, resctrl_ways(a->cbm_mask),
				 text);
	for (enum resctrl_resource res = RESCTRL_L3; res <= RESCTRL_L3DATA && r >= 0; res++)
		if (i->alloc[res].present)
			r = fill(w, res, mask, s, reterr);
	return r;
}

static int fill_membw(const struct work *w, const char *text, struct resctrl_schemata *s,
		      struct error *reterr)
{
	const struct resctrl_alloc *a = &w->rc.info.alloc[RESCTRL_MB];
	uint32_t v;

	if (!a->present)
		return error_set(reterr, -EOPNOTSUPP, "memory bandwidth cannot be set on this CPU");
	if (parse_u32(text, &v) < 0)
		return error_set(reterr, -EINVAL, "--membw: a number in %s, not '%s'",
				 resctrl_unit_name(a->unit), text);
	return fill(w, RESCTRL_MB, v, s, reterr);
}

/* Options and lines like L3:0=f, from the nr-th word on. */
static int set_all(struct work *w, int nr, struct error *reterr)
{
	_cleanup_free_ struct resctrl_schemata *s = calloc(1, sizeof(*s));
	_cleanup_(strbuf_done) struct strbuf lines = {0};
	const char *const *option = w->args->option;
	struct cpuset cpus;
	int r = s ? 0 : -ENOMEM;

	for (int i = nr; i < w->args->nr; i++)
		strbuf_printf(&lines, "%s\n", w->args->words[i]);
	if (lines.failed)
		r = -ENOMEM;
	if (r == 0 && lines.len && resctrl_schemata_parse(lines.data, s) < 0)
		return error_set(reterr, -EINVAL, "not like L3:0=f;1=ff or MB:0=50");
	if (r == 0 && option[OPTION_LLC])
		r = fill_llc(w, option[OPTION_LLC], s, reterr);
	if (r == 0 && option[OPTION_MEMBW])
		r = fill_membw(w, option[OPTION_MEMBW], s, reterr);
	if (r == 0 && option[OPTION_CPUS] && cpuset_parse(option[OPTION_CPUS], &cpus) < 0)
		return error_set(reterr, -EINVAL, "--cpus: not a list of CPUs");
	if (r == 0)
		r = resctrl_set(&w->rc, w->path, s, reterr);
	if (r == 0 && option[OPTION_CPUS])
		r = resctrl_set_cpus(&w->rc, w->path, &cpus, reterr);
	if (r == 0 && option[OPTION_MODE])
		r = resctrl_set_mode(&w->rc, w->path, option[OPTION_MODE], reterr);
	return r;
}

static int do_show(struct work *w, struct error *reterr)
{
	_cleanup_json_ json_t *data =
	    resctrl_show_json(&w->rc, w->args->nr > 1 ? w->path : NULL, reterr);

	if (!data)
		return reterr->code;
	if (w->cli->json)
		cli_print_json(data);
	else
		resctrl_show_print(w->cli, data);
	return 0;
}

static int do_create(struct work *w, struct error *reterr)
{
	int r = resctrl_create(&w->rc, w->path, reterr);

	if (r == 0)
		r = set_all(w, 2, reterr);
	if (r < 0 && r != -EEXIST && resctrl_remove(&w->rc, w->path, NULL) < 0)
		error_hint(reterr, "czctl resctrl rm %s", w->args->words[1]);
	return r;
}

static int do_set(struct work *w, struct error *reterr)
{
	return set_all(w, 2, reterr);
}

static int assign_cgroup(struct work *w, const char *path, uint64_t *ret_moved,
			 struct error *reterr)
{
	struct resctrl_tasks tasks;
	struct cgroup_fs fs;
	int r = cgroup_fs_open(&w->kernel, &fs, reterr);

	if (r < 0)
		return r;
	_cleanup_close_ int fd = cgroup_open(&fs, CG_CPU, path, 0);

	tasks = resctrl_tasks_of_cgroup(fd, cgroup_is_v2(&fs, CG_CPU));
	r = fd < 0 ? error_errno(reterr, fd, "cgroup %s", path)
		   : resctrl_assign(&w->rc, w->path, &tasks, ret_moved, reterr);
	cgroup_fs_close(&fs);
	return r;
}

static int do_assign(struct work *w, struct error *reterr)
{
	uint64_t moved, sum = 0;
	int r = 0;

	for (int i = 2; i < w->args->nr && r >= 0; i++) {
		const char *word = w->args->words[i];
		struct resctrl_tasks tasks;
		uint32_t pid;

		if (word[0] == '/') {
			r = assign_cgroup(w, word, &moved, reterr);
		} else if (parse_u32(word, &pid) == 0 && pid && pid <= INT32_MAX) {
			tasks = resctrl_tasks_of_process(&w->kernel, (pid_t)pid);
			r = resctrl_assign(&w->rc, w->path, &tasks, &moved, reterr);
		} else {
			r = error_set(reterr, -EINVAL,
				      "'%s' is neither a process id nor the path of a cgroup",
				      word);
		}
		if (r >= 0)
			sum += moved;
	}
	if (r >= 0 && w->cli->json)
		printf("{\"moved\": %llu}\n", (unsigned long long)sum);
	else if (r >= 0)
		out_paragraph(&w->cli->out, 0, STYLE_PLAIN, "%llu tasks moved to %s",
			      (unsigned long long)sum, w->args->words[1]);
	return r;
}

static int do_rm(struct work *w, struct error *reterr)
{
	return resctrl_remove(&w->rc, w->path, reterr);
}

static const struct part {
	const char *name;
	int (*run)(struct work *w, struct error *reterr);
	int min_words, max_words;
	bool sets; /* takes the options that set something */
} parts[] = {
    {"show", do_show, 1, 2, false}, {"create", do_create, 2, 12, true},
    {"set", do_set, 2, 12, true},   {"assign", do_assign, 3, 12, false},
    {"rm", do_rm, 2, 2, false},
};

static int run_part(const struct part *part, struct work *w, struct error *reterr)
{
	const char *root = w->args->option[OPTION_ROOT];
	int r = kernel_open(root ? root : "/", &w->kernel, reterr);

	if (r < 0)
		return r;
	r = resctrl_open(&w->kernel, &w->rc, reterr);
	if (r == 0)
		r = part->run(w, reterr);
	resctrl_close(&w->rc);
	kernel_close(&w->kernel);
	return r;
}

static int resctrl_run(struct cli *cli, const struct args *args)
{
	struct work w = {.cli = cli, .args = args, .kernel.root_fd = -1, .rc.fd = -1};
	const struct part *part = NULL;
	struct error e = {0};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(parts[i].name, args->words[0]))
			part = &parts[i];
	if (!part)
		return cli_usage(&verb_resctrl, "'%s' is not show, create, set, assign or rm",
				 args->words[0]);
	if (args->nr < part->min_words)
		return cli_usage(&verb_resctrl, "%s needs %s", part->name,
				 part->min_words == 2 ? "a group" : "a group, and whose tasks");
	if (args->nr > part->max_words)
		return cli_usage(&verb_resctrl, "too many words");
	for (int i = OPTION_LLC; i <= OPTION_MODE && !part->sets; i++)
		if (args->option[i])
			return cli_usage(&verb_resctrl, "%s sets nothing", part->name);
	if (args->nr > 1 && resctrl_group_path(args->words[1], w.path, sizeof(w.path), &e) < 0)
		return cli_usage(&verb_resctrl, "%s", e.msg);
	return run_part(part, &w, &e) < 0 ? cli_fail(cli, &e) : EXIT_OK;
}

static const struct verb_option options[] = {
    [OPTION_ROOT] = {"root", "DIR", "the tree of a machine below DIR, instead of this one"},
    [OPTION_LLC] = {"llc", "WAYS", "so many ways of the L3 cache, from the top, in every domain"},
    [OPTION_MEMBW] = {"membw", "N", "memory bandwidth in every domain, in the CPU's unit"},
    [OPTION_CPUS] = {"cpus", "LIST", "CPUs whose tasks of the default group count as this one's"},
    [OPTION_MODE] = {"mode", "MODE", "exclusive: nobody else may have these ways; or shareable"},
    {0},
};

const struct verb verb_resctrl = {
    .name = "resctrl",
    .summary = "cache ways and memory bandwidth of groups of tasks",
    .usage = "show | create | set | assign | rm [GROUP [WORDS]]",
    .help = "Works on the kernel's resctrl (Intel RDT, AMD QoS, Arm MPAM), without czd.\n"
	    "What is written is checked before and read back after; the kernel's own reason\n"
	    "is told when it refuses. Changes need root.\n"
	    "\n"
	    "show [GROUP]              tasks and CPUs, what is held of the cache, traffic of\n"
	    "                          memory ('-': not known now), what may be used\n"
	    "create|set GROUP [LINE..] LINE as in the kernel's schemata: 'L3:0=f;1=ff'\n"
	    "assign GROUP PID|CGROUP.. all threads of processes, or all tasks of a cgroup and\n"
	    "                          below it, until none is outside\n"
	    "rm GROUP                  its tasks go to the group above\n"
	    "\n"
	    "GROUP: batch; batch/a is the monitoring group a in it; / the default group, /a a\n"
	    "monitoring group of it.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl resctrl create batch --llc 2 --membw 30\n"
	    "  czctl resctrl assign batch /batch.slice 4021\n"
	    "  czctl resctrl show -o json | jq '.groups[] | .llc_occupancy_bytes'\n",
    .options = options,
    .min_words = 1,
    .max_words = 12,
    .run = resctrl_run,
};
