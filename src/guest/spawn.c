/* SPDX-License-Identifier: MIT */
#include "guest/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "guest/task.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ENV_OWN	     4 /* PATH, HOME, USER, TERM */

/* What failed in the child, for a sentence in the parent. */
struct failure {
	int code; /* -Exxx; 0: none */
	char step[32];
};

static bool is_set(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return true;
	return false;
}

static size_t env_count(char *const *env)
{
	size_t n = 0;

	while (env && env[n])
		n++;
	return n;
}

/* The environment with what every program expects; only the array and `own` are new. */
static char **make_env(const struct spawn *s, char own[ENV_OWN][320])
{
	size_t n = env_count(s->env);
	char **env = calloc(n + ENV_OWN + 1, sizeof(*env));
	const char *names[ENV_OWN] = {"PATH", "HOME", "USER", "TERM"};
	const char *values[ENV_OWN] = {PATH_DEFAULT, s->user ? s->user->home : "/root",
				       s->user ? s->user->name : "root",
				       s->terminal ? "xterm" : NULL};

	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++)
		env[i] = s->env[i];
	for (size_t i = 0; i < ENV_OWN; i++) {
		if (!values[i] || is_set(s->env, names[i]))
			continue;
		snprintf(own[i], sizeof(own[i]), "%s=%s", names[i], values[i]);
		env[n++] = own[i];
	}
	return env;
}

static int set_stdio(const struct spawn *s)
{
	int fds[3];

	/* Above 2 first, so that none is overwritten before it is copied. */
	for (int i = 0; i < 3; i++) {
		int fd = s->stdio[i] >= 0 ? s->stdio[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		fds[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
		if (fds[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return -errno;
	if (s->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return -errno;
	return 0;
}

/* Raw system calls: the C library's would first tell other threads, which this process has not. */
static int set_user(const struct user *u)
{
	if (!u)
		return 0;
	return syscall(SYS_setgroups, u->nr_groups, u->groups) < 0 ||
		       syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0 ||
		       syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0
		   ? -errno
		   : 0;
}

/* The program's path: as it is with a slash, else from the PATH of the environment given. */
static int find_program(const char *name, char *const *env, char *ret, size_t size)
{
	const char *dir = PATH_DEFAULT;
	int r = -ENOENT;

	if (strchr(name, '/'))
		return !str_copy(ret, size, name) ? -ENAMETOOLONG : access(name, X_OK) ? -errno : 0;
	for (char *const *e = env; *e; e++)
		if (!strncmp(*e, "PATH=", 5))
			dir = *e + 5;
	for (size_t len; *dir; dir += len + (dir[len] == ':')) {
		len = strcspn(dir, ":");
		if (str_printf(ret, size, "%.*s/%s", (int)len, dir, name) < 0)
			continue;
		if (access(ret, X_OK) == 0)
			return 0;
		if (errno != ENOENT && errno != ENOTDIR)
			r = -errno;
	}
	return r;
}

static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		sigaction(i, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_steps(const struct spawn *s, char **env, char *path, size_t size,
		       const char **ret_step)
{
	int r;

	*ret_step = "session";
	if (setsid() < 0)
		return -errno;
	*ret_step = "cgroup";
	/* Not CLONE_INTO_CGROUP: some kernels kill whoever is born into a cgroup that was ever
	 * written "1" to cgroup.kill. */
	r = s->cgroup_fd >= 0 ? write_file_at(s->cgroup_fd, "cgroup.procs", "0") : 0;
	if (r < 0)
		return r;
	*ret_step = "standard input and output";
	r = set_stdio(s);
	if (r < 0)
		return r;
	*ret_step = "user";
	r = set_user(s->user);
	if (r < 0)
		return r;
	*ret_step = "working directory";
	if (chdir(s->workdir ?: "/") < 0)
		return -errno;
	reset_signals();
	*ret_step = "program";
	return s->exec_fd < 0 ? find_program(s->argv[0], env, path, size) : 0;
}

/*
 * Memory may not be allocated here: another thread may have held its lock at the fork. Until it
 * says that all is well the child has our real-time priority, or whoever waits for it would wait
 * for a scheduling policy that may be no good.
 */
static _Noreturn void child(const struct spawn *s, char **env, int report)
{
	struct failure f = {0};
	const char *step = "";
	char path[4096];

	f.code = child_steps(s, env, path, sizeof(path), &step);
	str_copy(f.step, sizeof(f.step), step);
	if (write(report, &f, sizeof(f)) != sizeof(f) || f.code)
		_exit(127);
	close(report);
	task_leave_real_time(s->ext);
	if (s->exec_fd >= 0)
		syscall(SYS_execveat, s->exec_fd, "", s->argv, env, AT_EMPTY_PATH);
	else
		execve(path, s->argv, env);
	dprintf(2, "cz-guest: %s: %m\n", s->argv[0]);
	_exit(127);
}

int spawn(const struct spawn *s, struct error *reterr)
{
	char own[ENV_OWN][320];
	_cleanup_free_ char **env = make_env(s, own);
	_cleanup_close_ int from = -1, to = -1;
	struct clone_args args = {.exit_signal = SIGCHLD};
	struct failure f = {.code = -EIO, .step = "its own beginning"};
	int fds[2];
	pid_t pid;

	if (!env)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(reterr, -errno, "pipe");
	from = fds[0];
	to = fds[1];
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args)); /* no handlers run */
	if (pid < 0)
		return error_errno(reterr, -errno, "%s: could not make a process", s->argv[0]);
	if (pid == 0)
		child(s, env, to);
	close_fd(&to);
	if (read(from, &f, sizeof(f)) != sizeof(f) || f.code)
		return error_errno(reterr, f.code, "%s: could not start (%.31s)", s->argv[0],
				   f.step);
	return pid;
}
