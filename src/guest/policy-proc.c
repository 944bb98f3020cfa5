/* SPDX-License-Identifier: MIT */
#include "guest/policy-proc.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "guest/spawn.h"

#define LOAD_NS 60000000000ULL /* emulated guests verify slowly */
#define WORD_NS 15000000000ULL

bool policy_choice_equal(const struct policy_choice *a, const struct policy_choice *b)
{
	return !strcmp(a->name, b->name) &&
	       (!a->name[0] || (!strcmp(a->options, b->options) && a->full == b->full));
}

int policy_choose(const char *policy, const char *options, bool full, struct policy_choice *ret,
		  struct error *reterr)
{
	struct policy_choice c = {.full = full};

	if (!policy || !strcmp(policy, "none")) {
		*ret = c;
		return 0;
	}
	if (!str_copy(c.name, sizeof(c.name), policy) || !isalnum((unsigned char)policy[0]))
		return error_set(reterr, -EINVAL, "no valid name of a policy");
	for (const char *p = policy; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return error_set(reterr, -EINVAL, "no valid name of a policy");
	if (!str_copy(c.options, sizeof(c.options), options ?: ""))
		return error_set(reterr, -EINVAL, "options of a policy: at most %d characters",
				 POLICY_OPTIONS_MAX);
	*ret = c;
	return 0;
}

int policy_choose_json(const json_t *o, struct policy_choice *ret, struct error *reterr)
{
	const json_t *full = json_object_get(o, "full");

	if (full && !json_is_boolean(full) && !json_is_null(full))
		return error_set(reterr, -EINVAL, "full: true or false");
	return policy_choose(json_string_value(json_object_get(o, "policy")),
			     json_string_value(json_object_get(o, "options")), json_is_true(full),
			     ret, reterr);
}

int policy_words(char *text, char **words, size_t max)
{
	size_t n = 0;
	char *word;

	while ((word = strsep(&text, " \t"))) {
		if (!*word)
			continue;
		if (n + 1 >= max)
			return -E2BIG;
		words[n++] = word;
	}
	words[n] = NULL;
	return (int)n;
}

static void took_too_long(void *arg)
{
	struct policy_proc *p = arg;

	str_copy(p->why, sizeof(p->why), "no answer in time");
	kill(p->pid, SIGKILL);
}

static void take_other(struct policy_proc *p, const char *text, size_t len)
{
	char line[sizeof(p->said)];

	snprintf(line, sizeof(line), "%.*s", (int)len, text);
	if (line[strspn(line, " \t\r")])
		str_escape(p->said, sizeof(p->said), line);
}

static void take_line(struct policy_proc *p, const char *text, size_t len)
{
	json_t *line = json_loadb(text, len, 0, NULL);
	const char *event = json_string_value(json_object_get(line, "event"));
	const char *message = json_string_value(json_object_get(line, "message"));
	const char *kind = json_string_value(json_object_get(line, "kind"));

	if (event && !strcmp(event, "exit")) {
		snprintf(p->why, sizeof(p->why), "%s: %s", kind ?: "ended", message ?: "");
	} else if (event && !strcmp(event, "error")) {
		str_copy(p->why, sizeof(p->why), message ?: "error");
		if (p->state != PROC_LOADING && p->state != PROC_READY) {
			loop_cancel(&p->guest->loop, &p->deadline);
			p->refused(p);
		}
	} else if (event) {
		p->event(p, event, line);
	} else {
		take_other(p, text, len);
	}
	json_decref(line);
}

static void take_lines(struct policy_proc *p)
{
	char *start = p->line, *end;

	while ((end = memchr(start, '\n', p->len - (size_t)(start - p->line)))) {
		take_line(p, start, (size_t)(end - start));
		start = end + 1;
	}
	p->len -= (size_t)(start - p->line);
	memmove(p->line, start, p->len);
	if (p->len == sizeof(p->line))
		p->len = 0; /* no line of ours is so long */
}

/* 1: some; 0: the end; -EAGAIN: nothing now. */
static int read_some(struct policy_proc *p)
{
	ssize_t n = read(p->out, p->line + p->len, sizeof(p->line) - p->len);

	if (n <= 0)
		return n < 0 ? -errno : 0;
	p->len += (size_t)n;
	take_lines(p);
	return 1;
}

static void on_output(void *arg, uint32_t events)
{
	struct policy_proc *p = arg;

	if (read_some(p) == 0)
		loop_del(&p->guest->loop, &p->source); /* its end comes as a signal */
}

static int start_with(struct policy_proc *p, const int stdio[3], struct error *reterr)
{
	char path[64 + POLICY_NAME_MAX], options[POLICY_OPTIONS_MAX + 1],
	    *argv[POLICY_WORDS_MAX + 4];
	_cleanup_close_ int exec_fd = -1;
	struct spawn s = {.argv = argv, .cgroup_fd = -1, .stdio = {stdio[0], stdio[1], stdio[2]}};
	size_t n = 0;
	int r;

	snprintf(path, sizeof(path), "lib/cz/sched/scx-%s", p->choice.name);
	exec_fd = openat(p->guest->initramfs_fd, path, O_PATH | O_CLOEXEC);
	if (exec_fd < 0)
		return error_set(reterr, -errno, "the zone has no policy %s", p->choice.name);
	argv[n++] = path;
	argv[n++] = "--hold";
	if (!p->choice.full)
		argv[n++] = "--partial";
	strcpy(options, p->choice.options);
	r = policy_words(options, argv + n, POLICY_WORDS_MAX);
	if (r < 0)
		return error_set(reterr, r, "too many options");
	s.exec_fd = exec_fd;
	return spawn(&s, reterr);
}

int policy_proc_start(struct policy_proc *p, struct error *reterr)
{
	_cleanup_close_ int in_near = -1, in_far = -1, out_near = -1, out_far = -1;
	int in[2], out[2], r;

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_errno(reterr, -errno, "pipe");
	in_near = in[1];
	in_far = in[0];
	if (pipe2(out, O_CLOEXEC) < 0)
		return error_errno(reterr, -errno, "pipe");
	out_near = out[0];
	out_far = out[1];
	fcntl(out_near, F_SETFL, O_NONBLOCK);
	fcntl(in_near, F_SETFL, O_NONBLOCK);
	r = start_with(p, (const int[]){in_far, out_far, out_far}, reterr);
	if (r < 0)
		return r;
	p->pid = r;
	p->in = TAKE_FD(in_near);
	p->out = TAKE_FD(out_near);
	p->state = PROC_LOADING;
	loop_timer(&p->guest->loop, &p->deadline, p->guest->loop.now_ns + LOAD_NS, took_too_long,
		   p);
	return loop_add(&p->guest->loop, &p->source, p->out, EPOLLIN, on_output, p);
}

void policy_proc_tell(struct policy_proc *p, const char *word, enum proc_state state)
{
	char line[16];
	int n = snprintf(line, sizeof(line), "%s\n", word);

	p->used_ns = p->guest->loop.now_ns;
	if (state != p->state)
		loop_timer(&p->guest->loop, &p->deadline, p->used_ns + WORD_NS, took_too_long, p);
	p->state = state;
	if (write(p->in, line, (size_t)n) != n)
		kill(p->pid, SIGKILL);
}

void policy_proc_done(struct policy_proc *p)
{
	while (read_some(p) == 1)
		;
	loop_del(&p->guest->loop, &p->source);
	loop_cancel(&p->guest->loop, &p->deadline);
	close_fd(&p->in);
	close_fd(&p->out);
}
