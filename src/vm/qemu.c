/* SPDX-License-Identifier: MIT */
/* QEMU as a child of ours: it is started without a shell, with the fds of the plan and no others,
 * and dies with us. What it says over QMP is checked as if the guest had written it. */
#include "vm/backend.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "vm/privs.h"
#include "vm/pump.h"
#include "vm/qmp.h"

#define ANSWER_NS	(5ull * 1000 * 1000 * 1000)
#define BALLOON_PATH	"/machine/peripheral/balloon"
#define STATS_PERIOD_S	1
#define DEAF_POLLS_MAX	5
#define MEMORY_SANE_MAX (1ull << 50)

struct qemu {
	sd_event *loop;
	struct vm_events events;
	pid_t pid;
	sd_event_source *child;
	struct qmp *qmp;
	struct pump pump;
	bool ready, panicked;
	unsigned int deaf_polls; /* since the monitor was closed; 0: it is open */
	enum vm_end how;	 /* so far: VM_END_DIED until QEMU tells why it stops */
	struct vm_vcpu vcpus[ZONE_VCPUS_MAX];
	size_t nr_vcpus;
	struct vm_memory memory;
};

static uint64_t deadline(struct qemu *m)
{
	uint64_t usec = 0;

	sd_event_now(m->loop, CLOCK_MONOTONIC, &usec);
	return usec * 1000 + ANSWER_NS;
}

static int command(struct qemu *m, const char *name, json_t *args, qmp_answer answer)
{
	int r = qmp_command(m->qmp, name, args, deadline(m), answer, m);

	pump_kick(&m->pump);
	return r;
}

static uint64_t number(const json_t *object, const char *key)
{
	double n = json_number_value(json_object_get(object, key));

	/* the driver says UINT64_MAX for what it does not know */
	return n > 0 && n < (double)MEMORY_SANE_MAX ? (uint64_t)n : 0;
}

static bool own_thread(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
	return access(path, F_OK) == 0;
}

static void on_vcpus(void *arg, const json_t *result, const struct error *e)
{
	struct qemu *m = arg;
	json_t *item;
	size_t i;

	m->nr_vcpus = 0;
	json_array_foreach((json_t *)result, i, item)
	{
		uint64_t cpu = number(item, "cpu-index"), tid = number(item, "thread-id");

		if (m->nr_vcpus == ZONE_VCPUS_MAX)
			break;
		if (cpu < ZONE_VCPUS_MAX && tid < INT32_MAX && own_thread(m->pid, (pid_t)tid))
			m->vcpus[m->nr_vcpus++] = (struct vm_vcpu){(uint32_t)cpu, (pid_t)tid};
	}
	if (!m->ready && m->pid) { /* at its end what was not answered ends too, here */
		m->ready = true;
		m->events.ready(m->events.arg);
	}
}

static void on_balloon(void *arg, const json_t *result, const struct error *e)
{
	struct qemu *m = arg;

	if (!result)
		return;
	m->memory.balloon = number(result, "actual");
	m->events.memory(m->events.arg, &m->memory);
}

static void on_guest_stats(void *arg, const json_t *result, const struct error *e)
{
	struct qemu *m = arg;
	const json_t *stats = json_object_get(result, "stats");

	m->memory.free = number(stats, "stat-free-memory");
	m->memory.available = number(stats, "stat-available-memory");
}

/* Best effort: a command that does not go out now is asked again in a second. */
static void ask(struct qemu *m, const char *name, json_t *args, qmp_answer answer)
{
	if (command(m, name, args, answer) < 0)
		m->memory.free = m->memory.available = 0;
}

static void on_hello(struct qemu *m)
{
	ask(m, "query-cpus-fast", NULL, on_vcpus);
	ask(m, "qom-set",
	    json_pack("{s:s,s:s,s:i}", "path", BALLOON_PATH, "property",
		      "guest-stats-polling-interval", "value", STATS_PERIOD_S),
	    NULL);
}

enum vm_end vm_end_of(const char *reason)
{
	static const struct {
		const char *reason;
		enum vm_end how;
	} ends[] = {
	    {"guest-shutdown", VM_END_OFF},	     {"guest-reset", VM_END_RESET},
	    {"guest-panic", VM_END_PANIC},	     {"host-qmp-quit", VM_END_QUIT},
	    {"host-qmp-system-reset", VM_END_RESET},
	};

	for (size_t i = 0; reason && i < ARRAY_SIZE(ends); i++) {
		if (strcmp(reason, ends[i].reason) == 0)
			return ends[i].how;
	}
	return VM_END_DIED;
}

static void on_shutdown(struct qemu *m, const json_t *data)
{
	m->how = m->panicked ? VM_END_PANIC
			     : vm_end_of(json_string_value(json_object_get(data, "reason")));
}

static void on_port(struct qemu *m, const json_t *data)
{
	const char *id = json_string_value(json_object_get(data, "id"));
	unsigned int nr;

	/* The devices are given these ids below, in the order of enum channel_port. */
	if (id && sscanf(id, "port%u", &nr) == 1 && nr < CHANNEL_NR)
		m->events.port(m->events.arg, nr, json_is_true(json_object_get(data, "open")));
}

static void on_event(void *arg, const char *name, const json_t *data)
{
	struct qemu *m = arg;

	if (!*name)
		on_hello(m);
	else if (strcmp(name, "SHUTDOWN") == 0)
		on_shutdown(m, data);
	else if (strcmp(name, "GUEST_PANICKED") == 0)
		m->panicked = true;
	else if (strcmp(name, "VSERPORT_CHANGE") == 0)
		on_port(m, data);
	else if (strcmp(name, "BALLOON_CHANGE") == 0)
		on_balloon(m, data, NULL);
}

/* --- the connection ------------------------------------------------------------------------ */

static int feed(void *arg, const void *data, size_t len)
{
	return qmp_feed(((struct qemu *)arg)->qmp, data, len);
}

static const void *pending(void *arg, size_t *ret_len)
{
	return qmp_pending(((struct qemu *)arg)->qmp, ret_len);
}

static void sent(void *arg, size_t len)
{
	qmp_sent(((struct qemu *)arg)->qmp, len);
}

/* QEMU's end shows here first, as an end of file or a reset: it gets some time to exit by itself.
 * One that speaks nonsense, or lives on without its monitor, can't be led any more. */
static void closed(void *arg, int code)
{
	struct qemu *m = arg;

	m->deaf_polls = code == 0 || code == -ECONNRESET || code == -EPIPE ? 1 : DEAF_POLLS_MAX;
}

static const struct pump_ops pump_ops = {feed, pending, sent, closed};

/* --- the process --------------------------------------------------------------------------- */

static int on_child(sd_event_source *s, const siginfo_t *si, void *arg)
{
	struct qemu *m = arg;
	char text[96];

	m->pid = 0;
	if (si->si_code != CLD_EXITED)
		m->how = VM_END_DIED;
	else if (si->si_status != 0)
		m->how = VM_END_DIED;
	snprintf(text, sizeof(text),
		 si->si_code == CLD_EXITED ? "QEMU exited with %d" : "QEMU was ended by signal %d",
		 si->si_status);
	m->events.ended(m->events.arg, m->how, text);
	return 0;
}

static void keep_over_exec(int *fd)
{
	fcntl(*fd, F_SETFD, 0);
}

static void child_main(struct qemu_plan *plan, int program, char **argv, pid_t parent)
{
	static const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};

	privs_die_with(parent);
	qemu_plan_each_fd(plan, keep_over_exec);
	fexecve(program, argv, (char **)environment);
	dprintf(STDERR_FILENO, "QEMU can't be started: %s\n", strerror(errno));
	_exit(127);
}

static int spawn(struct qemu *m, struct qemu_plan *plan, int program, struct error *reterr)
{
	struct qemu_args args = {0};
	pid_t parent = getpid();
	int r = qemu_args_build(plan, "qemu-system-x86_64", &args, reterr);

	if (r < 0)
		return r;
	m->pid = fork();
	if (m->pid == 0)
		child_main(plan, program, args.argv, parent);
	qemu_args_done(&args);
	if (m->pid < 0)
		return error_errno(reterr, -errno, "fork");
	return sd_event_add_child(m->loop, &m->child, m->pid, WEXITED, on_child, m);
}

static void qemu_free(void *machine)
{
	struct qemu *m = machine;

	if (!m)
		return;
	sd_event_source_disable_unref(m->child);
	if (m->pid > 0) {
		kill(m->pid, SIGKILL);
		waitpid(m->pid, NULL, 0);
	}
	pump_done(&m->pump);
	qmp_free(m->qmp);
	free(m);
}
DEFINE_CLEANUP(struct qemu *, qemu_free)

/* QEMU's ends go to the plan. */
static int make_streams(struct qemu_plan *plan, int ret_ours[VM_STREAMS])
{
	for (size_t i = 0; i < VM_STREAMS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			return -errno;
		ret_ours[i] = pair[0];
		*(i < CHANNEL_NR ? &plan->port[i] : &plan->console) = pair[1];
	}
	return 0;
}

static int qemu_start(sd_event *loop, struct qemu_plan *plan, int program,
		      const struct vm_events *events, int ret_ours[VM_STREAMS], void **ret,
		      struct error *reterr)
{
	_cleanup_(qemu_freep) struct qemu *m = calloc(1, sizeof(*m));
	int pair[2], r;

	if (!m)
		return -ENOMEM;
	r = make_streams(plan, ret_ours);
	if (r < 0)
		return error_errno(reterr, r, "the guest's channels");
	m->loop = loop;
	m->events = *events;
	m->how = VM_END_DIED;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(reterr, -errno, "socketpair");
	plan->qmp = pair[1];
	r = pump_init(&m->pump, loop, pair[0], "qmp", &pump_ops, m);
	if (r < 0)
		close(pair[0]);
	else
		r = qmp_new(on_event, m, &m->qmp);
	if (r == 0)
		r = spawn(m, plan, program, reterr);
	qemu_plan_done(plan);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

static pid_t qemu_pid(void *machine)
{
	return ((struct qemu *)machine)->pid;
}

static size_t qemu_vcpus(void *machine, struct vm_vcpu ret[ZONE_VCPUS_MAX])
{
	struct qemu *m = machine;

	memcpy(ret, m->vcpus, m->nr_vcpus * sizeof(*ret));
	return m->nr_vcpus;
}

static int qemu_power_button(void *machine)
{
	return command(machine, "system_powerdown", NULL, NULL);
}

static int qemu_quit(void *machine)
{
	return command(machine, "quit", NULL, NULL);
}

static void qemu_kill(void *machine)
{
	struct qemu *m = machine;

	if (m->pid > 0)
		kill(m->pid, SIGKILL);
}

static int qemu_set_memory(void *machine, uint64_t bytes)
{
	return command(machine, "balloon", json_pack("{s:I}", "value", (json_int_t)bytes), NULL);
}

static void qemu_poll(void *machine)
{
	struct qemu *m = machine;

	qmp_expire(m->qmp, deadline(m) - ANSWER_NS);
	if (m->deaf_polls && m->deaf_polls++ >= DEAF_POLLS_MAX)
		qemu_kill(m);
	if (!m->ready || m->deaf_polls)
		return;
	ask(m, "qom-get", json_pack("{s:s,s:s}", "path", BALLOON_PATH, "property", "guest-stats"),
	    on_guest_stats);
	ask(m, "query-balloon", NULL, on_balloon);
}

const struct vm_backend vm_backend_qemu = {
    .name = "qemu",
    .start = qemu_start,
    .pid = qemu_pid,
    .vcpus = qemu_vcpus,
    .power_button = qemu_power_button,
    .quit = qemu_quit,
    .kill = qemu_kill,
    .set_memory = qemu_set_memory,
    .poll = qemu_poll,
    .free = qemu_free,
};
