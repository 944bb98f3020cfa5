/* SPDX-License-Identifier: MIT */
/*
 * cz-guest: process 1 of a VM zone's initramfs (or a service in one that has an init of its own).
 * It sets up the machine, then serves the three ports of cz-vm: apps, scheduler, logs, terminals.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "guest/apps.h"
#include "guest/cgroup-v2.h"
#include "guest/control.h"
#include "guest/cpus.h"
#include "guest/health.h"
#include "guest/policy.h"
#include "guest/stats.h"
#include "guest/task.h"
#include "guest/term.h"
#include "guest/threads.h"

#define SECOND_NS	 1000000000ULL
#define NOTICES_A_SECOND 20
#define NOTICES_EARLY	 16
#define LAST_WORDS_NS	 100000000ULL /* what apps said at their end, to the host */
#define SIGNAL_GRACE_MS	 10000

static struct notices {
	unsigned int this_second;
	uint64_t dropped_total;
	size_t nr_early; /* before the host was there to hear */
	struct {
		char kind[16], text[256];
	} early[NOTICES_EARLY];
} notices;

static void send_notice(struct guest *g, const char *kind, const char *text)
{
	control_event(
	    g, "notice",
	    json_pack("{s:s, s:o}", "kind", kind, "text", json_string(text) ?: json_string("?")));
}

void guest_notice(struct guest *g, const char *kind, const char *fmt, ...)
{
	struct channel *c = g->ports[CHANNEL_CONTROL].channel;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (notices.this_second++ >= NOTICES_A_SECOND) {
		notices.dropped_total++;
		return;
	}
	fprintf(stderr, "cz-guest: %s\n", text);
	if (c && channel_up(c)) {
		send_notice(g, kind, text);
	} else if (notices.nr_early < NOTICES_EARLY) {
		size_t i = notices.nr_early++;

		snprintf(notices.early[i].kind, sizeof(notices.early[i].kind), "%s", kind);
		memcpy(notices.early[i].text, text, sizeof(text));
	}
}

static void on_control_session(void *arg)
{
	struct guest *g = arg;

	control_session(g);
	if (!channel_up(g->ports[CHANNEL_CONTROL].channel))
		return;
	for (size_t i = 0; i < notices.nr_early; i++)
		send_notice(g, notices.early[i].kind, notices.early[i].text);
	notices.nr_early = 0;
}

/* ---- the end ---- */

static void power_off(void *arg)
{
	struct guest *g = arg;

	if (g->init)
		init_power_off(g);
	kill(1, SIGRTMIN + 4); /* how systemd is told */
	exit(0);
}

void guest_apps_ended(struct guest *g)
{
	if (!apps_alive(g))
		loop_timer(&g->loop, &g->tick, g->loop.now_ns + LAST_WORDS_NS, power_off, g);
}

void guest_power_down(struct guest *g, uint64_t grace_ms)
{
	uint64_t grace_ns = grace_ms * 1000000;

	if (g->ending)
		return;
	g->ending = true;
	policy_stop(g);
	apps_stop_all(g, grace_ns);
	/* A second more for those that were killed. */
	loop_timer(&g->loop, &g->tick, g->loop.now_ns + grace_ns + SECOND_NS, power_off, g);
	guest_apps_ended(g);
}

/* ---- signals ---- */

static void reap(struct guest *g)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		int exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

		/* The rest is what apps left behind. */
		if (!apps_reaped(g, pid, exit) && !policy_reaped(g, pid, exit))
			terms_reaped(g, pid, exit);
	}
}

static struct source signal_source;

static void on_signal(void *arg, uint32_t events)
{
	struct guest *g = arg;
	struct signalfd_siginfo info;

	while (read(signal_source.fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(g);
		else
			guest_power_down(g, SIGNAL_GRACE_MS);
	}
}

static int watch_signals(struct guest *g)
{
	sigset_t mask;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : loop_add(&g->loop, &signal_source, fd, EPOLLIN, on_signal, g);
}

/* ---- the loop ---- */

static void on_tick(void *arg)
{
	struct guest *g = arg;

	loop_timer(&g->loop, &g->tick, g->loop.now_ns + SECOND_NS, on_tick, g);
	notices.this_second = 0;
	for (int i = 0; i < CHANNEL_NR; i++)
		port_tick(&g->ports[i]);
	stats_tick(g);
	threads_look(g);
	apps_each(g, a)
	{
		log_wake(&a->log, true);
	}
}

static int open_ports(struct guest *g)
{
	static const struct {
		channel_handler frame;
		void (*session)(void *guest);
	} handlers[CHANNEL_NR] = {
	    [CHANNEL_CONTROL] = {control_frame, on_control_session},
	    [CHANNEL_LOG] = {log_frame, log_session},
	    [CHANNEL_TERM] = {term_frame, term_session},
	};
	int r = 0;

	for (int i = 0; i < CHANNEL_NR && r == 0; i++)
		r = port_init(&g->ports[i], (enum channel_port)i, g->boot.nonce, &g->loop,
			      handlers[i].frame, handlers[i].session, g);
	return r;
}

static void read_boot_line(struct guest *g, char *wrong, size_t size)
{
	char line[4096];

	if (read_file_at(AT_FDCWD, "/proc/cmdline", line, sizeof(line)) < 0)
		line[0] = 0;
	boot_line_parse(line, &g->boot, wrong, size);
}

static void check_preempt(struct guest *g)
{
	char line[4096], modes[128], wrong[256];

	if (read_file_at(AT_FDCWD, "/proc/cmdline", line, sizeof(line)) < 0)
		return;
	if (read_file_at(AT_FDCWD, "/sys/kernel/debug/sched/preempt", modes, sizeof(modes)) < 0)
		modes[0] = 0;
	boot_preempt_check(line, modes, wrong, sizeof(wrong));
	if (wrong[0])
		guest_notice(g, "guest", "%s", wrong);
}

/* Each part that fails is said; what does not need it goes on. Without memory nothing does. */
static int set_up(struct guest *g)
{
	char wrong[128];
	struct error e = {0};
	int r = loop_init(&g->loop);

	if (r == 0)
		r = apps_init(g);
	if (r == 0)
		r = terms_init(g);
	if (r == 0)
		r = policy_init(g);
	if (r == 0)
		r = threads_init(g);
	if (r == 0)
		r = watch_signals(g);
	if (g->init) {
		init_mounts();
		cpus_limit_ext_server();
	}
	read_boot_line(g, wrong, sizeof(wrong));
	if (r == 0)
		r = open_ports(g);
	if (r < 0)
		return r;
	if (wrong[0])
		guest_notice(g, "guest", "%s", wrong);
	else if (!g->boot.has_nonce)
		guest_notice(g, "guest", "no cz.nonce= on the kernel command line");
	check_preempt(g);
	if (g->init)
		init_machine(g);
	if (cgroups_init(&e) < 0 || bus_open(&g->bus, &e) < 0)
		guest_notice(g, "guest", "%s", e.msg);
	if (g->init)
		net_start(g);
	return stats_init(g);
}

/* A kernel without a console starts its first process with nothing open: what is said on standard
 * error would go to the next file that is. */
static void keep_standard_fds(void)
{
	int fd;

	do {
		fd = open("/", O_RDONLY | O_DIRECTORY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close_fd(&fd);
}

int main(void)
{
	static struct guest guest = {.initramfs_fd = -1, .bus = BUS_CLOSED};
	struct guest *g = &guest;
	int r;

	keep_standard_fds();
	g->init = getpid() == 1;
	if (!g->init)
		g->initramfs_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = set_up(g);
	if (r < 0) {
		fprintf(stderr, "cz-guest: %s\n", strerror(-r));
		if (!g->init)
			return 1;
		init_power_off(g); /* process 1 must not end */
	}
	task_enter_real_time();
	on_tick(g);
	for (;;) {
		loop_once(&g->loop);
		apps_each(g, a)
		{
			log_wake(&a->log, false);
		}
		terms_wake(g);
		for (int i = 0; i < CHANNEL_NR; i++)
			port_flush(&g->ports[i]);
	}
}
