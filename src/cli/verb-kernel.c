/* SPDX-License-Identifier: MIT */
/* The kernels that zones of runtime vm may boot; asks czd where they are, if one runs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/kimage.h"

#define DEFAULT_DIR "/var/lib/cz/kernels"
#define KERNELS_MAX 256

enum { OPTION_DIR, OPTION_SOURCE, OPTION_WORK, OPTION_JOBS };

/* What was said, else where czd looks, else where one without options would. */
static void kernels_dir(struct cli *cli, const struct args *args, char *buf, size_t size)
{
	const char *set =
	    args->option[OPTION_DIR] ? args->option[OPTION_DIR] : getenv("CZ_KERNELS");
	_cleanup_json_ json_t *doctor = NULL;
	const char *dir = DEFAULT_DIR;
	json_t *item;
	size_t i;

	if ((!set || !set[0]) &&
	    client_call(&cli->client, "doctor", json_object(), &doctor, NULL) == 0)
		json_array_foreach(json_object_get(doctor, "machines"), i, item)
		{
			if (!strcmp(get_text(item, "name"), "kernels"))
				dir = get_text(item, "path");
		}
	snprintf(buf, size, "%s", set && set[0] ? set : dir);
}

/* Why no scheduler can be loaded; "" where one can. */
static const char *why_not(const struct kimage *k)
{
	if (kimage_sched_ext(k))
		return "";
	if (!k->has_btf)
		return "no schedulers: it has no type information (BTF)";
	if (!k->btf.sched_ext_ops)
		return "no schedulers: it was built without sched_ext";
	return "no schedulers: its BTF lacks functions that they call; another build may have them";
}

static json_t *kernel_json(int dirfd, const char *name)
{
	char path[512], why[600] = "";
	struct kimage k = {0};
	struct error e = {0};
	json_t *o;
	int r = kimage_find(dirfd, name, path, sizeof(path));

	if (r < 0)
		return NULL;
	r = kimage_probe(dirfd, path, &k, &e);
	str_escape(why, sizeof(why), e.msg);
	o = json_pack("{s:s, s:s, s:b, s:s, s:b, s:b, s:s}", "name", name, "path", path, "ok",
		      r == 0, "version", k.version, "btf", k.has_btf, "sched_ext",
		      kimage_sched_ext(&k), "why_not", r < 0 ? why : why_not(&k));
	if (!o)
		return NULL;
	json_object_set_new(o, "hz", k.hz ? json_integer(k.hz) : json_null());
	json_object_set_new(o, "preempt", k.preempt[0] ? json_string(k.preempt) : json_null());
	json_object_set_new(o, "preempt_dynamic", json_boolean(k.preempt_dynamic));
	json_object_set_new(o, "size_bytes", json_integer((json_int_t)k.size_bytes));
	return o;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*b)->d_name, (*a)->d_name);
}

/* Newest first; NULL: out of memory. -errno in *ret_err where dir cannot be read. */
static json_t *list_kernels(const char *dir, int *ret_err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	json_t *list = json_array(), *kernel;
	struct dirent **entries = NULL;
	int nr = fd < 0 ? -1 : scandirat(fd, ".", &entries, NULL, by_name);

	*ret_err = nr < 0 ? -errno : 0;
	for (int i = 0; i < nr; i++) {
		kernel = json_array_size(list) < KERNELS_MAX ? kernel_json(fd, entries[i]->d_name)
							     : NULL;
		if (kernel)
			json_array_append_new(list, kernel);
		free(entries[i]);
	}
	free(entries);
	return list;
}

static void print_kernels(const struct cli *cli, const json_t *list)
{
	static const struct column columns[] = {
	    {"NAME", COLUMN_TEXT}, {"VERSION", COLUMN_TEXT},	{"BTF", COLUMN_TEXT},
	    {"HZ", COLUMN_NUMBER}, {"PREEMPTION", COLUMN_TEXT}, {"SCHED_EXT", COLUMN_TEXT},
	};
	_cleanup_(table_done) struct table t = {.columns = columns,
						.nr_columns = ARRAY_SIZE(columns)};
	char hz[SHOW_MAX];
	json_t *k;
	size_t i;

	json_array_foreach(list, i, k)
	{
		bool good = get_bool(k, "sched_ext");

		table_add(&t, STYLE_PLAIN, "%s", get_text(k, "name"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(k, "version"));
		table_add(&t, STYLE_PLAIN, "%s", get_bool(k, "btf") ? "yes" : "no");
		table_add(&t, STYLE_PLAIN, "%s", show_id(k, "hz", hz));
		table_add(&t, STYLE_PLAIN, "%s%s", text_or_dash(k, "preempt"),
			  get_bool(k, "preempt_dynamic") ? ", or preempt=" : "");
		table_add(&t, good ? STYLE_GOOD : STYLE_WARN, "%s", good ? "yes" : "no");
		if (!good)
			table_note(&t, get_text(k, "why_not"));
	}
	table_print(&t, &cli->out, 0);
}

static int do_list(struct cli *cli, const struct args *args, const char *dir)
{
	_cleanup_json_ json_t *list = NULL;
	struct error e;
	int err;

	(void)args;
	list = list_kernels(dir, &err);
	if (err < 0 && err != -ENOENT) {
		error_errno(&e, err, "%s", dir);
		return cli_fail(cli, &e);
	}
	if (cli->json) {
		cli_print_json(list);
	} else if (!json_array_size(list)) {
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "No kernels in %s.", dir);
		out_paragraph(&cli->out, 0, STYLE_PLAIN,
			      "Get the one that is tested with Control Zone: czctl kernel fetch");
	} else {
		print_kernels(cli, list);
	}
	return EXIT_OK;
}

/* Scripts, because apt and make are their work; they say what they do and how long. */
static int run_script(struct cli *cli, const char *name, const char **argv)
{
	const char *set = getenv("CZ_LIBEXEC");
	char program[4200];
	struct error e;
	int r = str_printf(program, sizeof(program), "%s/%s", set && set[0] ? set : CZ_LIBEXECDIR,
			   name);

	if (r == 0) {
		argv[0] = program;
		fflush(stdout);
		execv(program, (char *const *)argv);
		r = -errno;
	}
	error_errno(&e, r, "%s", program);
	error_hint(&e, "is Control Zone installed in full? From a build tree: ./dev shell");
	return cli_fail(cli, &e);
}

static int do_fetch(struct cli *cli, const struct args *args, const char *dir)
{
	const char *argv[] = {NULL, dir, NULL};

	(void)args;
	return run_script(cli, "cz-fetch-kernel", argv);
}

/* The script asks this program whether schedulers can be loaded into what it has built. */
static int do_build(struct cli *cli, const struct args *args, const char *dir)
{
	static const struct {
		int option;
		const char *word;
	} passed[] = {
	    {OPTION_SOURCE, "--source"}, {OPTION_WORK, "--work"}, {OPTION_JOBS, "--jobs"}};
	const char *argv[12] = {NULL, NULL, dir};
	size_t nr = 3;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (args->nr < 2)
		return cli_usage(&verb_kernel,
				 "build needs a flavour: stock, responsive or throughput");
	argv[1] = args->words[1];
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		if (!args->option[passed[i].option])
			continue;
		argv[nr++] = passed[i].word;
		argv[nr++] = args->option[passed[i].option];
	}
	if (n > 0) {
		self[n] = 0;
		argv[nr++] = "--czctl";
		argv[nr++] = self;
	}
	return run_script(cli, "cz-build-kernel", argv);
}

static const struct {
	const char *name;
	int (*run)(struct cli *cli, const struct args *args, const char *dir);
	int max_words;
} parts[] = {
    {"list", do_list, 1},
    {"fetch", do_fetch, 1},
    {"build", do_build, 2},
};

static int kernel_run(struct cli *cli, const struct args *args)
{
	char dir[4096];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strcmp(parts[i].name, args->words[0]) != 0)
			continue;
		if (args->nr > parts[i].max_words)
			return cli_usage(&verb_kernel, "too many words");
		kernels_dir(cli, args, dir, sizeof(dir));
		return parts[i].run(cli, args, dir);
	}
	return cli_usage(&verb_kernel, "'%s' is not list, fetch or build", args->words[0]);
}

static const struct verb_option options[] = {
    [OPTION_DIR] = {"dir", "DIR", "where they are (default: $CZ_KERNELS, or what czd says)"},
    [OPTION_SOURCE] = {"source", "TREE", "build: a source that is there already"},
    [OPTION_WORK] = {"work", "DIR", "build: keeps files there (/var/cache/control-zone/kernel)"},
    [OPTION_JOBS] = {"jobs", "N", "build: so many compilers at once (default: one a CPU)"},
    {0},
};

const struct verb verb_kernel = {
    .name = "kernel",
    .summary = "the kernels that virtual machines may boot",
    .usage = "list | fetch | build FLAVOUR",
    .help = "list   each kernel, and what it can do: its type information (BTF) is looked at,\n"
	    "       because a version number does not say whether schedulers can be loaded.\n"
	    "fetch  get the kernel that is tested with Control Zone from Debian, by an apt\n"
	    "       state of its own: this machine's package sources stay as they are.\n"
	    "build  make one from Debian's source, with little but what a zone has use for:\n"
	    "         stock       tick (250 Hz) and preemption as Debian has them\n"
	    "         responsive  1000 Hz, full preemption: latency first\n"
	    "         throughput  100 Hz, and the least preemption that the source has\n"
	    "       It takes a while, and says how long; stopped, it goes on where it was.\n"
	    "A zone names one in os.kernel; 'default' is what it gets otherwise. Where the\n"
	    "list says 'or preempt=', os.preempt chooses the preemption at boot.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl kernel build responsive   # then os: {kernel: responsive}\n"
	    "  czctl kernel list -o json | jq -r '.[] | select(.sched_ext) | .name'\n",
    .options = options,
    .min_words = 1,
    .max_words = 2,
    .run = kernel_run,
};
