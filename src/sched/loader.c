/* SPDX-License-Identifier: MIT */
#include "sched/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "sched/bus.h"
#include "sched/exit.h"
#include "sched/object.h"
#include "sched/policies.h"
#include "sched/refusal.h"
#include "sched/report.h"

enum { FD_SIGNAL, FD_EXIT, FD_HOOK, FD_WORDS, FD_NR };

struct loader {
	struct policy_run run;
	struct policy_settings settings;
	struct bpf_object *obj;
	struct bpf_link *link; /* attached */
	struct ring_buffer *ring;
	struct sched_exit ended; /* kind 0: it has not */
	struct refusal refusal;
	struct pollfd fds[FD_NR];
	char word[64]; /* of standard input, not whole yet */
	size_t word_len;
	bool quit;
};

static const struct option_desc common_options[] = {
    OPTION(struct policy_settings, "partial", FLAG, partial, NULL,
	   "only tasks of SCHED_EXT; default: all"),
    OPTION(struct policy_settings, "hold", FLAG, hold, NULL,
	   "load and wait for attach, detach, stats, quit on standard input"),
    OPTION(struct policy_settings, "stats-ms", NUMBER, stats_ms, "N", "print counters every N ms",
	   .max = 3600000),
    OPTION(struct policy_settings, "watchdog", DURATION, watchdog_ns, "TIME",
	   "ejected when a task waits this long; default: 30s", .min = 100000000,
	   .max = 30000000000),
    OPTION(struct policy_settings, "list-options", FLAG, list, NULL, "the options as JSON"),
    OPTION(struct policy_settings, "help", FLAG, help, NULL, "this text", .letter = 'h'),
    OPTIONS_END,
};

static int on_exit_record(void *context, void *data, size_t size)
{
	struct loader *l = context;

	if (size >= sizeof(l->ended))
		memcpy(&l->ended, data, sizeof(l->ended));
	return 0;
}

static void print_counters(struct loader *l)
{
	_cleanup_(strbuf_done) struct strbuf line = {0};

	strbuf_puts(&line, "{\"event\": \"stats\"");
	for (size_t i = 0; l->run.policy->counters && l->run.policy->counters[i]; i++)
		strbuf_printf(&line, ", \"%s\": %" PRIu64, l->run.policy->counters[i],
			      object_counter(l->obj, (uint32_t)i));
	if (l->run.policy->hooks.stats)
		l->run.policy->hooks.stats(&l->run, &line);
	strbuf_puts(&line, "}");
	report_line(&line);
}

static int refused(const struct loader *l, int code, const char *what, struct error *reterr)
{
	const char *why = l->refusal.text;

	return why[0] ? error_set(reterr, code, "%s (%s): %s", what, strerror(-code), why)
		      : error_errno(reterr, code, "%s", what);
}

static int attach(struct loader *l, struct error *reterr)
{
	const struct policy_hooks *hooks = &l->run.policy->hooks;
	uint64_t start = clock_mono_ns();
	int r;

	if (l->link)
		return error_set(reterr, -EALREADY, "attached already");
	r = hooks->attach ? hooks->attach(&l->run, reterr) : 0;
	if (r < 0)
		return r;
	refusal_watch(&l->refusal);
	l->link = bpf_map__attach_struct_ops(object_map(l->obj, "ops"));
	if (!l->link) {
		r = -errno;
		if (hooks->detach)
			hooks->detach(&l->run);
		ring_buffer__consume(l->ring);
		if (r == -EBUSY)
			return error_set(reterr, r, "another scheduler is attached");
		if (l->ended.kind)
			return error_set(reterr, r, "could not attach: %s", l->ended.message);
		return refused(l, r, "could not attach", reterr);
	}
	report_ms("attached", "ms", clock_mono_ns() - start);
	return 0;
}

/* A detached program stays loaded: its next attach is quick. */
static void detach(struct loader *l, bool say)
{
	uint64_t start = clock_mono_ns();

	if (!l->link)
		return;
	bpf_link__destroy(l->link);
	l->link = NULL;
	if (l->run.policy->hooks.detach)
		l->run.policy->hooks.detach(&l->run);
	ring_buffer__consume(l->ring);
	if (say)
		report_ms("detached", "ms", clock_mono_ns() - start);
}

static int word_attach(struct loader *l, struct error *reterr)
{
	return attach(l, reterr);
}

static int word_detach(struct loader *l, struct error *reterr)
{
	if (!l->link)
		return error_set(reterr, -EALREADY, "not attached");
	detach(l, true);
	if (l->ended.kind == SCX_EXIT_UNREG)
		l->ended.kind = 0; /* as asked */
	return 0;
}

static int word_stats(struct loader *l, struct error *reterr)
{
	print_counters(l);
	return 0;
}

static int word_quit(struct loader *l, struct error *reterr)
{
	l->quit = true;
	return 0;
}

static const struct {
	const char *word;
	int (*run)(struct loader *l, struct error *reterr);
} words[] = {
    {"attach", word_attach}, {"detach", word_detach}, {"stats", word_stats}, {"quit", word_quit}};

static void run_word(struct loader *l, const char *word)
{
	struct error error = {0};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].word, word))
			continue;
		if (words[i].run(l, &error) < 0)
			report_error(&error);
		return;
	}
	error_set(&error, -EINVAL, "no such word: '%s' (attach, detach, stats, quit)", word);
	report_error(&error);
}

/* Too long a line is cut, and so is no word. */
static void take_input(struct loader *l, const char *data, size_t size)
{
	for (size_t i = 0; i < size && !l->quit; i++) {
		if (data[i] != '\n') {
			if (l->word_len < sizeof(l->word) - 1)
				l->word[l->word_len++] = data[i];
			continue;
		}
		l->word[l->word_len] = '\0';
		l->word_len = 0;
		if (l->word[0])
			run_word(l, l->word);
	}
}

static void read_words(struct loader *l)
{
	char data[256];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n > 0)
		take_input(l, data, (size_t)n);
	else if (n == 0 || errno != EINTR)
		l->quit = true;
}

static int poll_timeout_ms(uint64_t now_ns, uint64_t next_ns)
{
	if (next_ns == UINT64_MAX)
		return -1;
	return next_ns <= now_ns ? 0 : (int)((next_ns - now_ns) / 1000000) + 1;
}

static void loop(struct loader *l)
{
	uint64_t every_ns = l->settings.stats_ms * 1000000;
	uint64_t next_ns = every_ns ? clock_mono_ns() + every_ns : UINT64_MAX;

	while (!l->quit && !l->ended.kind) {
		if (poll(l->fds, FD_NR, poll_timeout_ms(clock_mono_ns(), next_ns)) < 0)
			continue;
		if (l->fds[FD_EXIT].revents)
			ring_buffer__consume(l->ring);
		if (l->fds[FD_SIGNAL].revents)
			l->quit = true;
		if (l->fds[FD_HOOK].revents)
			l->run.policy->hooks.ready(&l->run);
		if (l->fds[FD_WORDS].revents)
			read_words(l);
		if (clock_mono_ns() >= next_ns) {
			print_counters(l);
			next_ns += every_ns;
		}
	}
}

/* The policy's options live in its read-only data: what is there already are the defaults. */
static int apply_settings(struct loader *l, const struct policy *policy, int argc, char **argv,
			  struct error *reterr)
{
	static const struct option_desc none[] = {OPTIONS_END};
	const struct option_desc *tables[] = {policy->options ? policy->options : none,
					      common_options, NULL};
	size_t size = 0;
	void *rodata = object_rodata(l->obj, &size);
	int r;

	if (size > sizeof(l->settings.rodata))
		return error_set(reterr, -E2BIG, "the options take %zu bytes", size);
	if (rodata)
		memcpy(l->settings.rodata, rodata, size);
	r = options_parse(tables, &l->settings, argc - 1, argv + 1, NULL, 0, reterr);
	if (r < 0)
		return r;
	if (rodata)
		memcpy(rodata, l->settings.rodata, size);
	return 0;
}

static int open_policy(struct loader *l, const struct policy *policy, struct error *reterr)
{
	size_t size;
	const void *elf = policy->elf(&size);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = policy->name,
		    .pin_root_path = BUS_DIR);

	refusal_watch(&l->refusal);
	l->obj = bpf_object__open_mem(elf, size, &opts);
	if (!l->obj)
		return error_errno(reterr, -errno, "could not open the program of %s",
				   policy->name);
	l->run = (struct policy_run){.policy = policy, .obj = l->obj, .settings = &l->settings};
	return 0;
}

static int load_policy(struct loader *l, struct error *reterr)
{
	const struct policy_hooks *hooks = &l->run.policy->hooks;
	uint64_t start;
	int r;

	if (access("/sys/kernel/sched_ext", F_OK) < 0) {
		error_set(reterr, -ENOSYS, "this kernel has no sched_ext");
		error_hint(reterr, "Run it in a VM zone whose kernel has CONFIG_SCHED_CLASS_EXT.");
		return -ENOSYS;
	}
	object_prepare(l->obj, &l->settings);
	r = hooks->open ? hooks->open(&l->run, reterr) : 0;
	if (r < 0)
		return r;
	start = clock_mono_ns();
	r = bpf_object__load(l->obj);
	if (r < 0)
		return refused(l, r, "the kernel refused the program", reterr);
	r = hooks->loaded ? hooks->loaded(&l->run, reterr) : 0;
	if (r < 0)
		return r;
	report_ready(l->run.policy, clock_mono_ns() - start, object_insns(l->obj));
	return 0;
}

static int signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int watch(struct loader *l, struct error *reterr)
{
	const struct policy_hooks *hooks = &l->run.policy->hooks;

	l->ring =
	    ring_buffer__new(bpf_map__fd(object_map(l->obj, "exits")), on_exit_record, l, NULL);
	if (!l->ring)
		return error_errno(reterr, -errno, "could not read the ring of exits");
	for (size_t i = 0; i < FD_NR; i++)
		l->fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	l->fds[FD_SIGNAL].fd = signal_fd();
	l->fds[FD_EXIT].fd = ring_buffer__epoll_fd(l->ring);
	if (hooks->fd)
		l->fds[FD_HOOK].fd = hooks->fd(&l->run);
	if (l->settings.hold)
		l->fds[FD_WORDS].fd = STDIN_FILENO;
	return 0;
}

static void done(struct loader *l)
{
	if (l->run.policy && l->run.policy->hooks.done)
		l->run.policy->hooks.done(&l->run);
	ring_buffer__free(l->ring);
	bpf_object__close(l->obj);
	close_fd(&l->fds[FD_SIGNAL].fd);
}

static int run(struct loader *l, struct error *reterr)
{
	int r = load_policy(l, reterr);

	if (r == 0)
		r = watch(l, reterr);
	if (r == 0 && !l->settings.hold)
		r = attach(l, reterr);
	if (r < 0)
		return r;
	loop(l);
	detach(l, false);
	return 0;
}

static void print_help(const struct policy *policy, const struct loader *l)
{
	printf("usage: scx-%s [OPTIONS]\n\n", policy->name);
	for (size_t i = 0; i < ARRAY_SIZE(policy_entries); i++)
		if (!strcmp(policy_entries[i].name, policy->name))
			printf("%s.\n\n", policy_entries[i].summary);
	if (policy->options) {
		puts("options:");
		options_print(policy->options);
		report_defaults(policy->options, &l->settings);
	}
	puts("as every policy:");
	options_print(common_options);
	printf("\nIt lasts as long as this process. Exit codes: %d ended as asked, %d could not "
	       "start, %d wrong\n"
	       "usage, %d ended by the kernel or by itself.\n",
	       POLICY_EXIT_OK, POLICY_EXIT_FAILED, POLICY_EXIT_USAGE, POLICY_EXIT_EJECTED);
}

int policy_main(const struct policy *policy, int argc, char **argv)
{
	_cleanup_(done) struct loader l = {.run.policy = policy, .fds[FD_SIGNAL].fd = -1};
	struct error error = {0};
	bool ejected;
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = open_policy(&l, policy, &error);
	if (r == 0 && apply_settings(&l, policy, argc, argv, &error) < 0) {
		fprintf(stderr, "scx-%s: %s%s%s\n", policy->name, error.msg,
			error.hint[0] ? ". " : "", error.hint);
		return POLICY_EXIT_USAGE;
	}
	if (r == 0 && l.settings.help) {
		print_help(policy, &l);
		return POLICY_EXIT_OK;
	}
	if (r == 0 && l.settings.list) {
		report_options(policy->options, &l.settings);
		return POLICY_EXIT_OK;
	}
	if (r == 0)
		r = run(&l, &error);
	if (r < 0) {
		report_error(&error);
		return POLICY_EXIT_FAILED;
	}
	ejected = l.ended.kind && l.ended.kind != SCX_EXIT_UNREG;
	report_exit(&l.ended);
	return ejected ? POLICY_EXIT_EJECTED : POLICY_EXIT_OK;
}
