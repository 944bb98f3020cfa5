/* SPDX-License-Identifier: MIT */
#include "cli/bundle-host.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "base/cleanup.h"
#include "base/io.h"

#define JOURNAL_MAX (4u << 20)
#define JOURNAL_S   "20" /* of journalctl, then it is ended */
#define USERS_MAX   4096
#define PERSON_UID  1000 /* from here on accounts are people's */
#define FILE_MAX    65536
#define ABSENT	    127

/* Options of the kernel whose values are nobody's business but the scheduler's. */
static const char *const boot_options[] = {"isolcpus",	   "nohz_full",
					   "rcu_nocbs",	   "preempt",
					   "mitigations",  "nosmt",
					   "cgroup_no_v1", "systemd.unified_cgroup_hierarchy",
					   "psi",	   "transparent_hugepage",
					   "intel_pstate", "amd_pstate",
					   "idle",	   "processor.max_cstate",
					   "threadirqs",   NULL};

static void add_text(json_t *o, const char *key, const char *text)
{
	char safe[FILE_MAX / 8];

	json_object_set_new(o, key, json_string(str_escape(safe, sizeof(safe), text)));
}

/* The lines of a small file that begin so, without that; the first only, or all joined. */
static void add_lines(json_t *o, const char *key, const char *file, const char *begin, bool all)
{
	_cleanup_free_ char *text = calloc(1, FILE_MAX);
	_cleanup_(strbuf_done) struct strbuf b = {0};
	char *rest = text, *line;

	if (!text || read_file_at(AT_FDCWD, file, text, FILE_MAX) < 0) {
		json_object_set_new(o, key, json_null());
		return;
	}
	while ((line = strsep(&rest, "\n")) != NULL && (all || !b.len))
		if (!strncmp(line, begin, strlen(begin)) && line[strlen(begin)])
			strbuf_printf(&b, "%s%s", b.len ? "; " : "", line + strlen(begin));
	add_text(o, key, b.data ? b.data : "");
}

static void add_boot_options(json_t *o)
{
	char text[4096], *rest = text, *word;
	_cleanup_(strbuf_done) struct strbuf b = {0};

	if (read_file_at(AT_FDCWD, "/proc/cmdline", text, sizeof(text)) < 0)
		return;
	while ((word = strsep(&rest, " \n")) != NULL) {
		for (const char *const *p = boot_options; *p; p++)
			if (!strncmp(word, *p, strlen(*p)) && strchr("=", word[strlen(*p)]))
				strbuf_printf(&b, "%s%s", b.len ? " " : "", word);
	}
	add_text(o, "boot_options", b.data ? b.data : "");
}

static void add_mounts(json_t *o)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mounts", "re");
	json_t *list = json_array();
	char where[512], kind[64], options[512];

	while (f && fscanf(f, "%*s %511s %63s %511s %*d %*d", where, kind, options) == 3)
		if (!strncmp(kind, "cgroup", 6))
			json_array_append_new(list, json_sprintf("%s %s %s", kind, where, options));
	json_object_set_new(o, "cgroup_mounts", list);
}

json_t *bundle_host(void)
{
	json_t *o = json_object();
	struct utsname u;

	if (uname(&u) == 0) {
		add_text(o, "kernel", u.release);
		add_text(o, "version", u.version);
		add_text(o, "unit", u.machine);
	}
	add_lines(o, "what", "/proc/cpuinfo", "model name\t: ", false);
	add_lines(o, "summary", "/etc/os-release", "PRETTY_NAME=", false);
	add_lines(o, "loadavg", "/proc/loadavg", "", false);
	add_lines(o, "pressure_cpu", "/proc/pressure/cpu", "", true);
	add_lines(o, "pressure_memory", "/proc/pressure/memory", "", true);
	add_lines(o, "pressure_io", "/proc/pressure/io", "", true);
	add_boot_options(o);
	add_mounts(o);
	return o;
}

void bundle_learn_host(struct redact *r)
{
	struct utsname u;
	struct passwd *p;
	size_t n = 0;

	if (uname(&u) == 0) {
		char *dot = strchr(u.nodename, '.');

		redact_learn(r, REDACT_HOST, u.nodename);
		if (dot) {
			*dot = '\0';
			redact_learn(r, REDACT_HOST, u.nodename);
		}
		if (strcmp(u.domainname, "(none)") != 0)
			redact_learn(r, REDACT_HOST, u.domainname);
	}
	setpwent();
	while (n++ < USERS_MAX && (p = getpwent()) != NULL)
		if (p->pw_uid >= PERSON_UID && strcmp(p->pw_name, "nobody") != 0)
			redact_learn(r, REDACT_USER, p->pw_name);
	endpwent();
}

static void read_all(int fd, struct strbuf *b)
{
	char buf[65536];
	ssize_t n;

	while (b->len < JOURNAL_MAX && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n > 0)
			strbuf_add(b, buf, (size_t)n);
		else if (errno != EINTR)
			return;
	}
}

static pid_t start_journalctl(const char *since, const char *until, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("timeout", "timeout", JOURNAL_S, "journalctl", "--no-pager", "-q", "-o",
		       "short-iso", "-u", "czd", "-u", "cz-gate", "--since", since, "--until",
		       until, (char *)NULL);
		_exit(ABSENT);
	}
	return pid;
}

int bundle_journal(const char *from_ms, const char *to_ms, struct strbuf *ret, struct error *reterr)
{
	_cleanup_close_ int in = -1, out = -1;
	char since[40], until[40];
	int fds[2], status = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(reterr, -errno, "ask journalctl");
	in = fds[0];
	out = fds[1];
	snprintf(since, sizeof(since), "@%.*s", (int)strlen(from_ms) - 3, from_ms);
	snprintf(until, sizeof(until), "@%.*s", (int)strlen(to_ms) - 3, to_ms);
	pid = start_journalctl(since, until, out);
	if (pid < 0)
		return error_errno(reterr, -errno, "ask journalctl");
	close_fd(&out);
	read_all(in, ret);
	close_fd(&in); /* it ends when it writes more */
	waitpid(pid, &status, 0);
	if (ret->len)
		return 0;
	return error_set(reterr, -ENODATA,
			 WIFEXITED(status) && WEXITSTATUS(status) == ABSENT
			     ? "there is no journalctl"
			     : "the journal has no lines of czd or cz-gate in that time");
}
