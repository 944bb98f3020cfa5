/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "run/run.h"

#define LAUNCH_MAX (256u << 10)
#define STEP_USEC  20000

/* While stopping: SIGKILL when the grace is over, and the end when all have ended. */
static int before_sleep(sd_event_source *src, uint64_t usec, void *arg)
{
	struct run *run = arg;

	if (run_apps_ended(run))
		return sd_event_exit(run->loop, 0);
	if (clock_mono_ns() >= run->kill_ns)
		run_apps_kill(run);
	return sd_event_source_set_time(src, usec + STEP_USEC) < 0
		   ? -EIO
		   : sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
}

static int on_term(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
	struct run *run = arg;

	run->stopping = true;
	run->kill_ns = clock_mono_ns();
	return 0;
}

/* sd-event has no "when this became true": looked at on every turn of the loop. */
static int on_turn(sd_event_source *src, void *arg)
{
	struct run *run = arg;

	if (!run->stopping)
		return 0;
	sd_event_source_set_enabled(src, SD_EVENT_OFF);
	return sd_event_add_time_relative(run->loop, NULL, CLOCK_MONOTONIC, 0, 1000, before_sleep,
					  run);
}

static json_t *read_launch(const char *path)
{
	_cleanup_free_ char *text = malloc(LAUNCH_MAX);
	ssize_t n = text ? read_file_at(AT_FDCWD, path, text, LAUNCH_MAX) : -ENOMEM;

	return n < 0 ? NULL : json_loadb(text, (size_t)n, 0, NULL);
}

static int open_log_dir(struct run *run, const char *dir)
{
	char path[4096];
	int r = str_printf(path, sizeof(path), "%s/log", dir);

	if (r < 0)
		return r;
	run->log_dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return run->log_dirfd < 0 ? -errno : 0;
}

static int start(struct run *run, const json_t *launch, struct error *e)
{
	const char *name = json_string_value(json_object_get(launch, "name")),
		   *dir = json_string_value(json_object_get(launch, "dir")),
		   *run_dir = json_string_value(json_object_get(launch, "run"));
	struct kernel k;
	int r;

	if (!name || !dir || !run_dir || !str_copy(run->name, sizeof(run->name), name))
		return error_set(e, -EBADMSG, "launch.json lacks name, dir or run");
	r = kernel_open("/", &k, e);
	if (r == 0)
		r = cgroup_fs_open(&k, &run->fs, e);
	if (r < 0)
		return r;
	r = open_log_dir(run, dir);
	if (r < 0)
		return error_errno(e, r, "open %s/log", dir);
	r = sd_event_default(&run->loop);
	if (r >= 0)
		r = sd_event_add_signal(run->loop, NULL, SIGTERM, on_term, run);
	if (r >= 0)
		r = sd_event_add_post(run->loop, NULL, on_turn, run);
	if (r >= 0)
		r = link_listen(run, run_dir);
	if (r < 0)
		return error_errno(e, r, "listen in %s", run_dir);
	r = run_take_spec(run, json_object_get(launch, "spec"));
	return r < 0 ? error_errno(e, r, "take the spec in") : 0;
}

int main(int argc, char **argv)
{
	static struct run run = {.log_dirfd = -1, .listen_fd = -1, .client_fd = -1};
	struct error e = {0};
	sigset_t handled;
	json_t *launch;
	int r;

	if (argc != 2 || argv[1][0] == '-') {
		puts("usage: cz-run LAUNCH.JSON\n\nHolds the apps of a zone of runtime cgroup. czd "
		     "starts it: czctl create, czctl start.");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGCHLD);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	signal(SIGPIPE, SIG_IGN);
	launch = read_launch(argv[1]);
	if (!launch) {
		fprintf(stderr, "cz-run: %s cannot be read\n", argv[1]);
		return 2;
	}
	r = start(&run, launch, &e);
	json_decref(launch);
	if (r < 0) {
		fprintf(stderr, "cz-run: %s\n", e.msg);
		return 3;
	}
	return sd_event_loop(run.loop) < 0 ? 1 : 0;
}
