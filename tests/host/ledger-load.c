/* SPDX-License-Identifier: MIT */
/* Groups of the test's own, and loads in them. */
#include "ledger-load.h"
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "ledger-mix.h"

struct mix_env mix_env;

/* ---- loads: run in the child, until killed ---- */

static void spin_until(uint64_t end_ns)
{
	while (clock_mono_ns() < end_ns)
		;
}

void mix_sleep_ns(uint64_t ns)
{
	struct timespec t = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};

	nanosleep(&t, NULL);
}

static void load_spin(void)
{
	for (;;)
		spin_until(clock_mono_ns() + NS_PER_SEC);
}

/* Busy 2 ms, asleep 4 ms. */
static void load_burst(void)
{
	for (;;) {
		spin_until(clock_mono_ns() + 2 * NS_PER_MS);
		mix_sleep_ns(4 * NS_PER_MS);
	}
}

/* Demand follows a sine of 1 s between 5 and 95 %, in slots of 5 ms. */
static void load_sine(void)
{
	for (;;) {
		uint64_t now = clock_mono_ns(), slot = 5 * NS_PER_MS;
		double phase = (double)(now % NS_PER_SEC) / NS_PER_SEC * 2 * 3.14159265358979;
		uint64_t busy = (uint64_t)((double)slot * (0.5 + 0.45 * sin(phase)));

		spin_until(now + busy);
		mix_sleep_ns(slot - busy);
	}
}

static void load_sleeper(void)
{
	for (;;)
		mix_sleep_ns(NS_PER_MS / 2);
}

/* Two threads of control that wake each other all the time. */
static void load_pipe(void)
{
	int there[2], back[2];
	char c = 0;

	if (pipe(there) || pipe(back))
		_exit(1);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
			;
		_exit(0);
	}
	while (write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1)
		;
}

static void load_switch(void)
{
	execlp("stress-ng", "stress-ng", "-q", "--switch", "4", NULL);
}

static void load_messaging(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, 1);
	dup2(null, 2);
	execlp("perf", "perf", "bench", "sched", "messaging", "-g", "4", "-l", "100000", NULL);
}

static const struct {
	const char *name;
	void (*run)(void);
} loads[] = {
    {"spin", load_spin},	   {"burst", load_burst}, {"sine", load_sine},
    {"sleeper", load_sleeper},	   {"pipe", load_pipe},	  {"switch", load_switch},
    {"messaging", load_messaging},
};

/* ---- groups ---- */

void mix_group_path(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "%s%s%s", mix_env.base, *name ? "/" : "", name);
}

int mix_group_write(const char *name, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s%s/%s", mix_env.base, *name ? "/" : "", name, file);
	return write_file_at(AT_FDCWD, path, text);
}

static int group_make(const char *name)
{
	char path[256];

	for (int i = 0; i < mix_env.nr_groups; i++)
		if (!strcmp(mix_env.groups[i], name))
			return 0;
	if (mix_env.nr_groups == GROUPS_MAX)
		return -ENOSPC;
	mix_group_path(path, sizeof(path), name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	if (!mix_env.v1 && strchr(name, '/')) {
		char parent[32];

		snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(name, '/') - name), name);
		(void)!mix_group_write(parent, "cgroup.subtree_control", "+cpu");
	}
	snprintf(mix_env.groups[mix_env.nr_groups++], sizeof(mix_env.groups[0]), "%s", name);
	return 0;
}

uint64_t mix_group_id(const char *name)
{
	char path[256];
	struct stat st;

	mix_group_path(path, sizeof(path), name);
	return !group_make(name) && !stat(path, &st) ? st.st_ino : 0;
}

void mix_join(int pid, const char *name)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	(void)!mix_group_write(name, "cgroup.procs", text);
}

/* ---- children ---- */

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void child(const char *group, const char *load, int cpu)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	close(mix_env.go[1]);
	if (cpu >= 0)
		pin(cpu);
	mix_join(getpid(), group);
	(void)!write(mix_env.ready[1], "", 1);
	(void)!read(mix_env.go[0], &c, 1); /* until mix_go() closes the other end */
	for (size_t i = 0; i < ARRAY_SIZE(loads); i++)
		if (!strcmp(loads[i].name, load))
			loads[i].run();
	_exit(127);
}

static bool is_asleep(pid_t pid)
{
	char path[64], text[512];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return true;
	state = strrchr(text, ')');
	return state && state[1] && state[2] == 'S';
}

int mix_spawn(const char *name, const char *load, int cpu)
{
	pid_t pid;

	if (group_make(name) || mix_env.nr_children == CHILDREN_MAX)
		return -ENOSPC;
	if (mix_env.go[1] < 0 && (pipe2(mix_env.go, O_CLOEXEC) || pipe2(mix_env.ready, O_CLOEXEC)))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid)
		child(name, load, cpu);
	if (pid > 0)
		mix_env.children[mix_env.nr_children++] = pid;
	return pid;
}

/* All of them are in their groups and blocked: nothing has been waited for in them yet. */
void mix_children_settle(void)
{
	char c;

	for (int i = 0; i < mix_env.nr_children; i++)
		(void)!read(mix_env.ready[0], &c, 1);
	for (int i = 0; i < mix_env.nr_children; i++)
		for (int n = 0; n < 2000 && !is_asleep(mix_env.children[i]); n++)
			mix_sleep_ns(NS_PER_MS);
	mix_sleep_ns(20 * NS_PER_MS);
}

void mix_go(void)
{
	close_fd(&mix_env.go[1]);
	close_fd(&mix_env.go[0]);
	close_fd(&mix_env.ready[1]);
	close_fd(&mix_env.ready[0]);
}

static bool group_is_empty(const char *name)
{
	char path[256], text[64];

	mix_group_path(path, sizeof(path), name);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/cgroup.procs");
	return read_file_at(AT_FDCWD, path, text, sizeof(text)) == 0; /* -E2BIG: very many */
}

static void group_kill(const char *name)
{
	char path[256], line[32];
	FILE *f;

	mix_group_path(path, sizeof(path), name);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/cgroup.procs");
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (atoi(line) > 1)
			kill(atoi(line), SIGKILL);
	if (f)
		fclose(f);
}

void mix_kill_all(void)
{
	mix_go();
	for (int i = 0; i < mix_env.nr_children; i++)
		kill(mix_env.children[i], SIGKILL);
	for (int i = 0; i < mix_env.nr_children; i++)
		waitpid(mix_env.children[i], NULL, 0);
	mix_env.nr_children = 0;
	for (int i = 0; i < mix_env.nr_groups; i++) {
		for (int n = 0;
		     n < 3000 && *mix_env.groups[i] && !group_is_empty(mix_env.groups[i]); n++) {
			group_kill(mix_env.groups[i]);
			mix_sleep_ns(NS_PER_MS);
		}
	}
}

int mix_open(struct error *reterr)
{
	mix_env = (struct mix_env){
	    .go = {-1, -1}, .ready = {-1, -1}, .nr_cpus = (int)sysconf(_SC_NPROCESSORS_CONF)};
	mix_env.v1 = !access("/sys/fs/cgroup/cpu/cpu.shares", F_OK);
	snprintf(mix_env.base, sizeof(mix_env.base), "/sys/fs/cgroup%s/cz-test-ledger-%d",
		 mix_env.v1 ? "/cpu" : "", getpid());
	if (geteuid())
		return error_set(reterr, -EPERM, "needs root");
	if (!mix_env.v1)
		(void)!write_file_at(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
	if (group_make(""))
		return error_errno(reterr, -EOPNOTSUPP, "make %s", mix_env.base);
	if (!mix_env.v1)
		(void)!mix_group_write("", "cgroup.subtree_control", "+cpu");
	return 0;
}

void mix_close(void)
{
	char path[256];

	mix_kill_all();
	for (int i = mix_env.nr_groups - 1; i >= 0; i--) {
		mix_group_path(path, sizeof(path), mix_env.groups[i]);
		rmdir(path);
	}
	mix_env.nr_groups = 0;
}
