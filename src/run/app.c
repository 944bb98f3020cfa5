/* SPDX-License-Identifier: MIT */
/* One app: started in its group, its output kept, started again as its spec says, looked after. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actuate/zone-limits.h"
#include "actuate/zone-make.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "run/run.h"

#define SECOND_NS	  1000000000ull
#define BACKOFF_MAX_NS	  (60 * SECOND_NS)
#define WELL_NS		  (10 * SECOND_NS) /* ran for so long: the next back-off is short again */
#define STOP_NS		  (5 * SECOND_NS)
#define LOG_MAX		  (1u << 20)
#define EXIT_NOT_STARTED  127
#define HEALTH_DEFAULT_NS (10 * SECOND_NS)

const char *app_state_name(enum app_state s)
{
	static const char *const names[] = {"waiting", "running", "exited", "failed"};

	return names[s];
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool app_same(const struct zone_app *a, const struct zone_app *b)
{
	size_t i = 0;

	if (!same_text(a->user, b->user) || !same_text(a->workdir, b->workdir) ||
	    a->nr_env != b->nr_env || !a->command || !b->command)
		return false;
	while (a->command[i] && same_text(a->command[i], b->command[i]))
		i++;
	if (a->command[i] || b->command[i])
		return false;
	for (i = 0; i < a->nr_env; i++)
		if (!same_text(a->env[i].key, b->env[i].key) ||
		    !same_text(a->env[i].value, b->env[i].value))
			return false;
	return true;
}

static void group_of(const struct app *a, char path[static ZONE_PATH_MAX])
{
	snprintf(path, ZONE_PATH_MAX, "/cz-zones/%s/%s", a->run->name, a->name);
}

static void log_name(const struct app *a, bool older, char buf[static 64])
{
	snprintf(buf, 64, "app-%s.log%s", a->name, older ? ".1" : "");
}

static void log_open(struct app *a)
{
	char name[64];
	struct stat st;

	log_name(a, false, name);
	a->log_fd = openat(a->run->log_dirfd, name,
			   O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	a->log_bytes = a->log_fd >= 0 && fstat(a->log_fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void log_write(struct app *a, const char *data, size_t n)
{
	char name[64], older[64];

	if (a->log_bytes + n > LOG_MAX) {
		log_name(a, false, name);
		log_name(a, true, older);
		close_fd(&a->log_fd);
		renameat(a->run->log_dirfd, name, a->run->log_dirfd, older);
	}
	if (a->log_fd < 0)
		log_open(a);
	/* A full disk loses output, never the app. */
	if (a->log_fd >= 0 && write(a->log_fd, data, n) > 0)
		a->log_bytes += n;
}

static int on_output(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct app *a = arg;
	char buf[16384];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		log_write(a, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		a->output = sd_event_source_disable_unref(a->output);
	return 0;
}

/* In the child: nothing but what the app may have, then the app. */
static void become(const struct app *a, char *const argv[], int output)
{
	const struct zone_app *s = a->spec;
	char group[ZONE_PATH_MAX];
	struct error e = {0};
	struct passwd *pw = NULL;
	sigset_t none;

	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	group_of(a, group);
	if (zone_attach_pid(&a->run->fs, group, getpid(), &e) < 0) {
		fprintf(stderr, "cz-run: %s: %s\n", a->name, e.msg);
		_exit(EXIT_NOT_STARTED);
	}
	for (size_t i = 0; i < s->nr_env; i++)
		setenv(s->env[i].key, s->env[i].value, 1);
	if (s->user) {
		pw = getpwnam(s->user);
		if (!pw || initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
		    setuid(pw->pw_uid) < 0) {
			fprintf(stderr, "cz-run: %s: cannot become user %s\n", a->name, s->user);
			_exit(EXIT_NOT_STARTED);
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* cleared by the change of user */
	}
	if (chdir(s->workdir ? s->workdir : "/") < 0) {
		fprintf(stderr, "cz-run: %s: workdir %s: %m\n", a->name, s->workdir);
		_exit(EXIT_NOT_STARTED);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	fprintf(stderr, "cz-run: %s: cannot run %s: %m\n", a->name, argv[0]);
	_exit(EXIT_NOT_STARTED);
}

static int after(struct app *a, sd_event_source **src, uint64_t ns, sd_event_time_handler_t fn)
{
	sd_event_source_disable_unref(*src);
	*src = NULL;
	return sd_event_add_time_relative(a->run->loop, src, CLOCK_MONOTONIC, ns / 1000, 10000, fn,
					  a);
}

static int on_restart_time(sd_event_source *src, uint64_t usec, void *arg)
{
	app_start(arg);
	return 0;
}

static int on_kill_time(sd_event_source *src, uint64_t usec, void *arg)
{
	struct app *a = arg;
	char group[ZONE_PATH_MAX];

	group_of(a, group);
	zone_kill(&a->run->fs, group);
	return 0;
}

static bool wants_restart(const struct app *a)
{
	if (!a->spec || a->held || a->run->stopping)
		return false;
	return a->spec->restart == RESTART_ALWAYS ||
	       (a->spec->restart == RESTART_ON_FAILURE && a->state == APP_FAILED);
}

static void free_app(struct app *a)
{
	struct run *run = a->run;

	for (size_t i = 0; i < run->nr_apps; i++)
		if (run->apps[i] == a)
			run->apps[i] = run->apps[--run->nr_apps];
	if (a->health_pid)
		kill(a->health_pid, SIGKILL);
	sd_event_source_disable_unref(a->child);
	sd_event_source_disable_unref(a->output);
	sd_event_source_disable_unref(a->timer);
	sd_event_source_disable_unref(a->health_child);
	sd_event_source_disable_unref(a->health_timer);
	close_fd(&a->log_fd);
	free(a);
}

static void take_rest_of_output(struct app *a)
{
	char buf[4096];
	ssize_t n;

	while (a->output && (n = read(sd_event_source_get_io_fd(a->output), buf, sizeof(buf))) > 0)
		log_write(a, buf, (size_t)n);
}

static struct cgroup_mem_events read_oom(const struct run *run, const char *group)
{
	struct cgroup_mem_events o = {0};
	char text[512];
	int fd = cgroup_open_file(&run->fs, CGF_MEM_EVENTS, group);

	if (fd < 0 || pread_text(fd, text, sizeof(text)) < 0 ||
	    cgroup_mem_events_parse(text, &o) < 0)
		o = (struct cgroup_mem_events){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	close_fd(&fd);
	return o;
}

/* Kills are those of the app, limits its own or the zone's. */
static struct cgroup_mem_events oom_now(const struct app *a)
{
	char group[ZONE_PATH_MAX];
	struct cgroup_mem_events o, zone;

	group_of(a, group);
	o = read_oom(a->run, group);
	*strrchr(group, '/') = 0;
	zone = read_oom(a->run, group);
	/* An app's limit counts in its zone as well. */
	if (zone.oom != UINT64_MAX && zone.oom > o.oom)
		o.oom = zone.oom;
	return o;
}

static const char *oom_of(const struct app *a)
{
	struct cgroup_mem_events now = oom_now(a);

	if (now.oom_kills == UINT64_MAX || now.oom_kills <= a->oom_begin.oom_kills)
		return NULL;
	if (!cgroup_file_v2(&a->run->fs, CGF_MEM_EVENTS))
		return "unknown";
	return now.oom > a->oom_begin.oom ? "limit" : "machine";
}

static int on_end(sd_event_source *src, const siginfo_t *si, void *arg)
{
	struct app *a = arg;
	char group[ZONE_PATH_MAX];

	a->pid = 0;
	a->child = sd_event_source_disable_unref(a->child);
	a->health_timer = sd_event_source_disable_unref(a->health_timer);
	a->exit_code = si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status;
	a->state = a->exit_code && !a->held ? APP_FAILED : APP_EXITED;
	a->oom = a->exit_code ? oom_of(a) : NULL;
	take_rest_of_output(a);
	a->timer = sd_event_source_disable_unref(a->timer);
	group_of(a, group);
	zone_kill(&a->run->fs, group); /* what it started does not outlive it */
	if (!a->run->stopping)
		link_notice(a->run, "app %s has ended with %d%s", a->name, a->exit_code,
			    a->oom ? ": killed by the kernel, out of memory" : "");
	if (!a->spec) {
		free_app(a);
		return 0;
	}
	if (a->again) {
		app_start(a);
		return 0;
	}
	if (!wants_restart(a))
		return 0;
	if (clock_mono_ns() - a->started_ns >= WELL_NS || !a->backoff_ns)
		a->backoff_ns = SECOND_NS;
	else if (a->backoff_ns < BACKOFF_MAX_NS)
		a->backoff_ns =
		    2 * a->backoff_ns < BACKOFF_MAX_NS ? 2 * a->backoff_ns : BACKOFF_MAX_NS;
	a->state = APP_WAITING;
	a->restarts++;
	return after(a, &a->timer, a->backoff_ns, on_restart_time);
}

static int on_health_exit(sd_event_source *src, const siginfo_t *si, void *arg)
{
	struct app *a = arg;
	bool healthy = si->si_code == CLD_EXITED && si->si_status == 0;

	a->health_pid = 0;
	a->health_child = sd_event_source_disable_unref(a->health_child);
	if (healthy != a->healthy)
		link_notice(a->run, "app %s is %s", a->name, healthy ? "healthy" : "not healthy");
	a->healthy = healthy;
	return 0;
}

static int on_health_time(sd_event_source *src, uint64_t usec, void *arg)
{
	struct app *a = arg;
	uint64_t period_ns =
	    a->spec && a->spec->health_period_ns ? a->spec->health_period_ns : HEALTH_DEFAULT_NS;

	if (!a->spec || !a->spec->health)
		return 0;
	if (a->health_pid) {
		kill(a->health_pid, SIGKILL); /* it took longer than the period: that is no */
	} else {
		a->health_pid = fork();
		if (a->health_pid == 0)
			become(a, a->spec->health, open("/dev/null", O_WRONLY | O_CLOEXEC));
		if (a->health_pid < 0)
			a->health_pid = 0;
		else if (sd_event_add_child(a->run->loop, &a->health_child, a->health_pid, WEXITED,
					    on_health_exit, a) < 0)
			a->health_pid = 0;
	}
	return after(a, &a->health_timer, period_ns, on_health_time);
}

void app_start(struct app *a)
{
	int ends[2];
	pid_t pid;

	a->timer = sd_event_source_disable_unref(a->timer);
	a->again = a->held && a->pid; /* on its way down: when it has ended */
	a->held = a->again;
	if (a->pid || !a->spec || !a->spec->command || a->run->stopping)
		return;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	a->oom_begin = oom_now(a);
	pid = fork();
	if (pid == 0)
		become(a, a->spec->command, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		after(a, &a->timer, SECOND_NS, on_restart_time);
		return;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	sd_event_source_disable_unref(a->output);
	a->output = NULL;
	if (sd_event_add_io(a->run->loop, &a->output, ends[0], EPOLLIN, on_output, a) < 0)
		close(ends[0]);
	else
		sd_event_source_set_io_fd_own(a->output, 1);
	a->pid = pid;
	a->state = APP_RUNNING;
	a->healthy = true;
	a->started_ns = clock_mono_ns();
	if (sd_event_add_child(a->run->loop, &a->child, pid, WEXITED, on_end, a) < 0)
		kill(pid, SIGKILL);
	if (a->spec->health)
		after(a, &a->health_timer, SECOND_NS, on_health_time);
}

void app_stop(struct app *a)
{
	a->held = true;
	a->again = false;
	a->timer = sd_event_source_disable_unref(a->timer);
	if (!a->pid) {
		a->state = APP_EXITED;
		if (!a->spec)
			free_app(a);
		return;
	}
	kill(-a->pid, SIGTERM);
	kill(a->pid, SIGTERM); /* before its setsid() there is no such group */
	after(a, &a->timer, STOP_NS, on_kill_time);
}

void app_restart(struct app *a)
{
	if (a->pid)
		app_stop(a);
	app_start(a);
}

static struct app *app_find(struct run *run, const char *name)
{
	for (size_t i = 0; i < run->nr_apps; i++)
		if (run->apps[i]->spec && !strcmp(run->apps[i]->name, name))
			return run->apps[i];
	return NULL;
}

static struct app *app_add(struct run *run, const struct zone_app *s)
{
	struct app *a;

	if (run->nr_apps == ARRAY_SIZE(run->apps))
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	*a = (struct app){.run = run, .spec = s, .log_fd = -1};
	str_copy(a->name, sizeof(a->name), s->name);
	run->apps[run->nr_apps++] = a;
	return a;
}

int run_apps_sync(struct run *run)
{
	struct app *gone[ARRAY_SIZE(run->apps)];
	size_t nr_gone = 0;

	for (size_t i = 0; i < run->nr_apps; i++)
		if (!run->apps[i]->spec)
			gone[nr_gone++] = run->apps[i];
	for (size_t i = 0; i < nr_gone; i++)
		app_stop(gone[i]);
	for (size_t i = 0; i < run->spec.nr_apps; i++) {
		struct app *a = app_find(run, run->spec.apps[i].name);

		if (a)
			continue;
		a = app_add(run, &run->spec.apps[i]);
		if (!a)
			return -ENOSPC;
		app_start(a);
	}
	return 0;
}

void run_apps_kill(struct run *run)
{
	for (size_t i = 0; i < run->nr_apps; i++)
		if (run->apps[i]->pid)
			on_kill_time(NULL, 0, run->apps[i]);
}

bool run_apps_ended(const struct run *run)
{
	for (size_t i = 0; i < run->nr_apps; i++)
		if (run->apps[i]->pid)
			return false;
	return true;
}

json_t *app_shape(const struct app *a)
{
	char group[ZONE_PATH_MAX], text[1024];
	uint64_t cpu_ns = 0, memory = 0, oom_kills;
	int fd;

	group_of(a, group);
	fd = cgroup_open_usage(&a->run->fs, group);
	if (fd >= 0 &&
	    (pread_text(fd, text, sizeof(text)) < 0 ||
	     cgroup_usage_parse(cgroup_file_v2(&a->run->fs, CGF_USAGE), text, &cpu_ns) < 0))
		cpu_ns = 0;
	close_fd(&fd);
	fd = cgroup_open_file(&a->run->fs, CGF_MEMORY, group);
	if (fd >= 0 && pread_text(fd, text, sizeof(text)) > 0)
		memory = strtoull(text, NULL, 10);
	close_fd(&fd);
	oom_kills = read_oom(a->run, group).oom_kills;
	return json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:b,s:I,s:I,s:s*,s:I}", "name", a->name, "class",
			 zone_class_name(a->spec ? a->spec->class : CLASS_NORMAL), "state",
			 app_state_name(a->state), "pid", (int)a->pid, "exit", a->exit_code,
			 "restarts", (int)a->restarts, "healthy", a->healthy, "cpu_ns",
			 (json_int_t)cpu_ns, "memory_bytes", (json_int_t)memory, "oom", a->oom,
			 "oom_kills_total", oom_kills == UINT64_MAX ? -1 : (json_int_t)oom_kills);
}
