/* SPDX-License-Identifier: MIT */
/* czd's worker from start to stop: open everything, put right what a dead one left, run the loop,
 * undo. */
#include "daemon/daemon.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "daemon/keeper.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"

/* A real-time czd that runs this long without sleeping has gone wrong: it loses the priority. */
#define RT_LIMIT_USEC  500000
#define RT_PAUSE_TICKS 10
/* An owner of groups that does not answer by then hears of the rest at the next start. */
#define OWNER_WAIT_NS 2000000000ull

static int make_dir(const char *path, mode_t mode, int *ret_fd, struct error *reterr)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_errno(reterr, -errno, "make %s", path);
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? error_errno(reterr, -errno, "open %s", path) : 0;
}

/* What is in it is believed, and written to the host as root. */
static int check_run_dir(const struct daemon *d, struct error *reterr)
{
	struct stat st;

	if (fstat(d->run_dirfd, &st) < 0)
		return error_errno(reterr, -errno, "look at %s", d->opt->run_dir);
	if (stat_is_trusted(&st))
		return 0;
	error_set(reterr, -EPERM, "%s cannot be trusted: it belongs to uid %u and has mode %04o",
		  d->opt->run_dir, st.st_uid, st.st_mode & 07777);
	error_hint(reterr, "It has to be one's own or root's, and writable to nobody else");
	return -EPERM;
}

static int lock_run_dir(struct daemon *d, struct error *reterr)
{
	int r;

	/* The directory itself is locked: that works on a full or read-only tmpfs as well. */
	if (flock(d->run_dirfd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		if (r != -EWOULDBLOCK)
			return error_errno(reterr, r, "lock %s", d->opt->run_dir);
		error_set(reterr, -EBUSY, "another czd runs with %s", d->opt->run_dir);
		error_hint(reterr, "stop it first, or choose another --run-dir");
		return -EBUSY;
	}
	return 0;
}

static int open_host(struct daemon *d, struct error *reterr)
{
	int r = kernel_open(d->opt->root, &d->kernel, reterr);

	if (r == 0)
		r = cgroup_fs_open(&d->kernel, &d->fs, reterr);
	if (r == 0) {
		r = topology_read(&d->kernel, &d->topo);
		if (r < 0)
			error_errno(reterr, r, "read the CPUs of this host");
	}
	return r;
}

static bool has_undone(const struct undo_report *u)
{
	return u->restored || u->gone || u->hands_off || u->failed;
}

static void report_undo(const char *when, const struct undo_report *u)
{
	if (has_undone(u))
		log_notice("%s: %u knobs put back, %u zones gone, %u changed by somebody else and "
			   "left alone, %u failed",
			   when, u->restored, u->gone, u->hands_off, u->failed);
}

/* Who is to be told of knobs, if anybody is. loop NULL: to give back only. */
static void open_owner(struct daemon *d)
{
	int r = owner_new(d->loop, &d->fs, d->run_dirfd, &d->owner);

	if (r < 0 && r != -EOPNOTSUPP)
		log_warn("systemd is not told of what czd changes: %s", strerror(-r));
}

static void close_owner(struct daemon *d)
{
	size_t left = owner_settle(d->owner, d->actuator, OWNER_WAIT_NS);

	if (left)
		log_warn("systemd does not answer: %zu properties of units are given back at the "
			 "next start, or by czd --undo",
			 left);
	owner_free(d->owner);
	d->owner = NULL;
}

/* The journal first: whatever a dead czd left is undone before anything is measured. */
static int open_actuator(struct daemon *d, struct error *reterr)
{
	struct undo_report undone = {0};
	const char *why;
	int r;

	if (d->kernel.captured)
		return 0;
	r = actuator_open(&d->kernel, &d->fs, d->run_dirfd, &d->actuator, reterr);
	if (r < 0)
		return r;
	if (!actuator_can_apply(d->actuator, &why))
		log_warn("enforcing is refused, observing goes on: %s", why);
	r = actuator_undo_all(d->actuator, &undone, reterr);
	if (r < 0)
		log_warn("undo of what the last czd left: %s", reterr->msg);
	report_undo("left by the last czd", &undone);
	open_owner(d);
	owner_sync(d->owner, d->actuator);
	return baseline_new(&d->fs, &d->baseline);
}

static volatile sig_atomic_t rt_overran; /* a signal handler has nothing else to write to */

static void on_rt_overrun(int sig)
{
	struct sched_param none = {0};

	sched_setscheduler(0, SCHED_OTHER, &none);
	rt_overran = 1;
}

/* czd must get the CPU when the machine is overloaded, and must never take it for long. */
static void raise_priority(struct daemon *d)
{
	struct sched_param one = {.sched_priority = 1};
	struct rlimit limit = {.rlim_cur = RT_LIMIT_USEC, .rlim_max = RLIM_INFINITY};
	struct sigaction sa = {.sa_handler = on_rt_overrun, .sa_flags = SA_RESTART};

	if (d->kernel.captured) {
		d->self.priority = "normal";
		return;
	}
	sigaction(SIGXCPU, &sa, NULL);
	if (setrlimit(RLIMIT_RTTIME, &limit) == 0 &&
	    sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &one) == 0)
		d->self.priority = "fifo 1";
	else if (setpriority(PRIO_PROCESS, 0, -20) == 0)
		d->self.priority = "nice -20";
	else
		d->self.priority = "normal";
	/* A page fault under memory pressure would be a wait that nobody bounds. */
	if (mlockall(MCL_CURRENT) < 0)
		log_debug("memory is not locked: %m");
}

void daemon_keep_priority(struct daemon *d)
{
	if (rt_overran) {
		rt_overran = 0;
		d->self.priority = "normal";
		d->self.rt_again_tick = d->self.ticks_total + RT_PAUSE_TICKS;
		log_warn("ran for %d ms without a pause: real-time priority is given up for %d "
			 "ticks",
			 RT_LIMIT_USEC / 1000, RT_PAUSE_TICKS);
	} else if (d->self.rt_again_tick && d->self.ticks_total >= d->self.rt_again_tick) {
		d->self.rt_again_tick = 0;
		raise_priority(d);
	}
}

void daemon_leave_priority(struct daemon *d)
{
	struct sched_param none = {0};

	if (sched_getscheduler(0) == SCHED_OTHER || sched_setscheduler(0, SCHED_OTHER, &none) < 0)
		return;
	d->self.priority = "normal";
	d->self.rt_again_tick = d->self.ticks_total + 1;
}

static void on_event_published(const struct event *e, void *arg);

static int on_reload(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
	reload_config(arg);
	return 0;
}

int daemon_listen(struct daemon *d, struct error *reterr)
{
	int r = d->server ? 0
			  : server_new(d->loop, d->run_dirfd, d->opt->run_dir, api_handle, d,
				       &d->server, reterr);

	return r == 0 && d->feed_fd < 0 ? feed_open(d, reterr) : r;
}

static int start(struct daemon *d, struct error *reterr)
{
	int r = sd_event_default(&d->loop);

	if (r < 0)
		return error_errno(reterr, r, "event loop");
	sd_event_set_watchdog(d->loop, 1);
	/* First of all: whoever asks while the rest starts waits a moment, and gets an answer. */
	r = daemon_listen(d, reterr);
	if (r == -EROFS || r == -ENOSPC)
		log_warn("nobody can talk to czd yet, trying again every second: %s", reterr->msg);
	else if (r < 0)
		return r;
	r = open_host(d, reterr);
	if (r == 0)
		r = open_actuator(d, reterr);
	if (r == 0)
		made_load(d);
	/* Before the pipeline, which asks for the classes of the groups that it finds. */
	if (r == 0 && !d->kernel.captured && (r = zones_mgr_new(d, &d->zones_mgr)) < 0)
		error_errno(reterr, r, "take over the zones");
	if (r == 0)
		r = pipeline_init(d, reterr);
	if (r < 0)
		return r;
	d->events.on_event = on_event_published;
	d->events.arg = d;
	if (sd_event_add_signal(d->loop, NULL, SIGHUP, on_reload, d) < 0)
		log_debug("SIGHUP is not handled");
	for (size_t i = 0; i < 2; i++) {
		r = sd_event_add_signal(d->loop, NULL, i ? SIGINT : SIGTERM, NULL, NULL);
		if (r < 0)
			return error_errno(reterr, r, "signals");
	}
	return 0;
}

/* Negative: not everything could be put back. */
static int stop(struct daemon *d)
{
	struct undo_report undone = {0};
	struct error e = {0};
	int r = 0;

	if (d->actuator) {
		r = actuator_undo_all(d->actuator, &undone, &e);
		if (r < 0)
			log_error("undo: %s", e.msg);
		report_undo("stopping", &undone);
	}
	close_owner(d);
	turn_give_back(d);
	if (d->zones) /* else it never came so far, and the hierarchies may not even be open */
		made_reap(d);
	d->events.on_event = NULL;
	feed_close(d);
	zones_mgr_free(d->zones_mgr); /* whoever waits for a zone hears of it first */
	recorder_done(&d->recorder);
	server_free(d->server);
	pipeline_done(d);
	verify_done(d);
	baseline_free(d->baseline);
	actuator_close(d->actuator);
	desired_done(&d->desired);
	hash_done(&d->action_states);
	topology_done(&d->topo);
	cgroup_fs_close(&d->fs);
	kernel_close(&d->kernel);
	config_done(&d->cfg);
	sd_event_unref(d->loop);
	close_fd(&d->desired.dirfd);
	close_fd(&d->run_dirfd);
	return r;
}

static void on_event_published(const struct event *e, void *arg)
{
	struct daemon *d = arg;
	json_t *j = json_pack("{s:[o]}", "events", shape_event(e));

	if (e->kind != EVENT_ZONE)
		log_info("%s", e->text);
	if (j && d->server)
		server_publish(d->server, j);
	json_decref(j);
}

static void load_desired(struct daemon *d)
{
	struct error e = {0};
	int fd = -1;

	/* To be passed: libvirt's QEMU opens files of its zone by name, as the zone's user. */
	if (make_dir(d->opt->state_dir, 0711, &fd, &e) < 0)
		log_warn("what users protect is not kept over a restart: %s", e.msg);
	if (fd < 0)
		d->desired.dirfd = -1;
	else if (desired_load(&d->desired, fd, &e) < 0)
		log_warn("%s", e.msg);
}

int daemon_run(const struct options *opt)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct error e = {0};
	sigset_t handled;
	int r;

	if (!d)
		return EXIT_FAILURE;
	*d = (struct daemon){.opt = opt,
			     .run_dirfd = -1,
			     .turn_fd = -1,
			     .feed_fd = -1,
			     .desired.dirfd = -1,
			     .self.started_ns = clock_mono_ns()};
	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGCHLD); /* of zones: told by the event loop */
	sigprocmask(SIG_BLOCK, &handled, NULL);
	signal(SIGPIPE, SIG_IGN);

	if (load_config(opt, &d->cfg) < 0) {
		free(d);
		return EXIT_USAGE;
	}
	r = make_dir(opt->run_dir, 0755, &d->run_dirfd, &e);
	if (r == 0)
		r = check_run_dir(d, &e);
	if (r == 0)
		r = lock_run_dir(d, &e);
	if (r < 0) {
		log_error("%s%s%s", e.msg, e.hint[0] ? ". " : "", e.hint);
		config_done(&d->cfg);
		free(d);
		return EXIT_CANNOT_RUN;
	}
	load_desired(d);
	r = start(d, &e);
	if (r == 0) {
		raise_priority(d);
		turn_look(d);
		events_add(&d->events, clock_real_ns(), EVENT_DAEMON, NULL, 0,
			   "czd %s watches %zu zones, mode %s", CZ_VERSION, zones_count(d->zones),
			   guard_mode_name(d->cfg.guard.mode));
		sd_notify(0, "READY=1");
		r = sd_event_loop(d->loop);
		sd_notify(0, "STOPPING=1");
		if (r < 0)
			log_error("event loop: %s", strerror(-r));
	} else {
		log_error("%s%s%s", e.msg, e.hint[0] ? ". " : "", e.hint);
		r = EXIT_CANNOT_RUN;
	}
	if (stop(d) < 0)
		r = -EIO; /* the keeper tries once more, in a process of its own */
	free(d);
	return r < 0 ? EXIT_FAILURE : r;
}

/* The run directory of a czd that has been here: -ENOENT if none has, -EBUSY while one is. */
static int open_run_dir(struct daemon *d, struct error *reterr)
{
	int r;

	d->run_dirfd = open(d->opt->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->run_dirfd < 0)
		return error_errno(reterr, -errno, "open %s", d->opt->run_dir);
	r = check_run_dir(d, reterr);
	if (r < 0)
		return r;
	r = lock_run_dir(d, reterr);
	/* One that was killed a moment ago holds it until the kernel has taken it down. */
	for (int tries = 0; r == -EBUSY && tries < 20; tries++) {
		nanosleep(&(const struct timespec){.tv_nsec = 100000000}, NULL);
		r = lock_run_dir(d, reterr);
	}
	if (r == -EBUSY)
		error_hint(reterr, "Ask it: czctl undo");
	return r;
}

int daemon_undo(const struct options *opt)
{
	struct daemon d = {.opt = opt, .run_dirfd = -1, .turn_fd = -1};
	struct undo_report u = {0};
	struct error e = {0};
	uint32_t unread = 0;
	int r = open_run_dir(&d, &e);

	if (r == -ENOENT) {
		log_notice("nothing to undo: there is no %s", opt->run_dir);
		return EXIT_SUCCESS;
	}
	if (r == -EBUSY) {
		log_error("undo: %s. %s", e.msg, e.hint);
		close_fd(&d.run_dirfd);
		return EXIT_CANNOT_RUN;
	}
	if (r == 0)
		r = open_host(&d, &e);
	if (r == 0)
		r = actuator_open(&d.kernel, &d.fs, d.run_dirfd, &d.actuator, &e);
	if (r == 0)
		r = actuator_undo_all(d.actuator, &u, &e);
	if (r < 0)
		log_error("undo: %s%s%s", e.msg, e.hint[0] ? ". " : "", e.hint);
	report_undo("undo", &u);
	if (d.actuator) {
		unread = actuator_unread_lines(d.actuator);
		open_owner(&d);
		close_owner(&d);
	}
	if (r == 0 && !unread && !has_undone(&u))
		log_notice("nothing to undo");
	if (d.actuator && turn_take(&d, NULL) == 0) /* a killed czd has left it */
		turn_give_back(&d);
	actuator_close(d.actuator);
	topology_done(&d.topo);
	cgroup_fs_close(&d.fs);
	kernel_close(&d.kernel);
	close_fd(&d.run_dirfd);
	return r < 0 || u.failed || unread ? EXIT_FAILURE : EXIT_SUCCESS;
}
