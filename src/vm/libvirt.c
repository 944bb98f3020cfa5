/* SPDX-License-Identifier: MIT */
/*
 * A domain of libvirt's. libvirt wants root, and cz-vm has none: the connection is held by
 * cz-libvirt, a child that setup (libvirt-setup.c) gave its order to, and that ends the domain when
 * we end. If it is the one that dies, the domain is killed here: it runs as our own uid. What
 * cz-libvirt passes on was said by QEMU, and is checked as if the guest had written it.
 */
#include "vm/backend.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "vm/json.h"
#include "vm/libvirt-helper.h"
#include "vm/libvirt-line.h"
#include "vm/link.h"
#include "vm/pump.h"

#define MEMORY_SANE_KIB (1ull << 40)
#define OUT_MAX		65536
#define PERIOD_US	100000

_Static_assert(LIBVIRT_LINE_MAX <= LINK_LINE_MAX, "lines are cut by the link's rule");

struct machine {
	struct vm_events events;
	struct pump pump;
	struct strbuf in, out;
	size_t sent;
	int pidfd;
	pid_t pid;
	bool adopted; /* somebody else's: nothing here may end it */
	bool panicked, over;
	enum vm_end how;
	struct vm_vcpu vcpus[ZONE_VCPUS_MAX];
	size_t nr_vcpus;
	struct vm_memory memory;
	json_t *vcpu_stats;
	sd_event_source *ready;
	struct libvirt_fds fds; /* until the start is over */
};

static int request(struct machine *m, json_t *message)
{
	_cleanup_free_ char *text = json_dumps(message, JSON_COMPACT);

	json_decref(message);
	if (!text)
		return -ENOMEM;
	if (m->over)
		return -ENOTCONN;
	if (m->out.len - m->sent + strlen(text) > OUT_MAX)
		return -EBUSY;
	strbuf_puts(&m->out, text);
	strbuf_puts(&m->out, "\n");
	pump_kick(&m->pump);
	return m->out.failed ? -ENOMEM : 0;
}

/* --- what comes in ------------------------------------------------------------------------- */

static void end(struct machine *m, const char *text)
{
	if (m->over)
		return;
	m->over = true;
	m->events.ended(m->events.arg, m->how, text);
}

static void on_ended(struct machine *m, const json_t *event)
{
	bool failed = json_is_true(json_object_get(event, "failed"));

	/* How its owner ends it is nobody's failure. */
	if (m->adopted)
		m->how = failed ? VM_END_DIED : VM_END_OFF;
	end(m, failed ? "libvirt says that the domain failed" : "libvirt's domain is gone");
}

static void on_released(struct machine *m, const json_t *event)
{
	m->how = VM_END_RELEASED;
	end(m, "libvirt's domain goes on");
}

static void on_refused(struct machine *m, const json_t *event)
{
	const char *what = json_string_value(json_object_get(event, "do"));
	const char *text = json_string_value(json_object_get(event, "text"));

	m->events.refused(m->events.arg, what ? what : "a request",
			  text ? text : "libvirt refused");
}

static void on_limited(struct machine *m, const json_t *event)
{
	m->events.limited(m->events.arg);
}

static void on_lost(struct machine *m, const json_t *event)
{
	m->how = VM_END_DIED;
	end(m, "the connection to libvirt was lost");
}

/* The first counts: libvirt then ends QEMU, which says that too. */
static void on_shutdown(struct machine *m, const json_t *data)
{
	if (m->how == VM_END_DIED)
		m->how = m->panicked
			     ? VM_END_PANIC
			     : vm_end_of(json_string_value(json_object_get(data, "reason")));
}

/* An event of QEMU's monitor, which libvirt does not translate in full. */
static void on_monitor(struct machine *m, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "name"));
	const char *text = json_string_value(json_object_get(event, "data"));
	const char *id;
	json_t *data;
	unsigned int nr;
	int r = 0;

	data = text ? json_line_parse(text, strlen(text), &r) : NULL;
	id = json_string_value(json_object_get(data, "id"));
	if (!name)
		return;
	if (strcmp(name, "SHUTDOWN") == 0)
		on_shutdown(m, data);
	else if (strcmp(name, "GUEST_PANICKED") == 0)
		m->panicked = true;
	else if (strcmp(name, "VSERPORT_CHANGE") == 0 && id && !m->adopted &&
		 sscanf(id, "ua-port%u", &nr) == 1 && nr < CHANNEL_NR)
		m->events.port(m->events.arg, nr, json_is_true(json_object_get(data, "open")));
	json_decref(data);
}

static uint64_t kib(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 && n < (json_int_t)MEMORY_SANE_KIB ? (uint64_t)n * 1024 : 0;
}

static void on_stats(struct machine *m, const json_t *event)
{
	const json_t *memory = json_object_get(event, "memory_kib");

	json_decref(m->vcpu_stats);
	m->vcpu_stats = json_incref(json_object_get(event, "vcpus"));
	m->memory = (struct vm_memory){kib(memory, "balloon"), kib(memory, "free"),
				       kib(memory, "available")};
	m->events.memory(m->events.arg, &m->memory);
}

static bool own_thread(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
	return access(path, F_OK) == 0;
}

static void take_cpus(struct machine *m, const json_t *cpus)
{
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)cpus, i, item)
	{
		json_int_t cpu = json_integer_value(json_object_get(item, "cpu-index"));
		json_int_t tid = json_integer_value(json_object_get(item, "thread-id"));

		if (m->nr_vcpus == ZONE_VCPUS_MAX)
			break;
		if (cpu >= 0 && cpu < ZONE_VCPUS_MAX && tid > 1 && tid < INT32_MAX &&
		    own_thread(m->pid, (pid_t)tid))
			m->vcpus[m->nr_vcpus++] = (struct vm_vcpu){(uint32_t)cpu, (pid_t)tid};
	}
}

static void take_line(struct machine *m, const char *line, size_t len)
{
	static const struct {
		const char *event;
		void (*take)(struct machine *m, const json_t *event);
	} takers[] = {{"monitor", on_monitor},	 {"stats", on_stats},	  {"ended", on_ended},
		      {"released", on_released}, {"limited", on_limited}, {"refused", on_refused},
		      {"lost", on_lost}};
	int r = 0;
	json_t *event = json_line_parse(line, len, &r);
	const char *name = json_string_value(json_object_get(event, "event"));

	for (size_t i = 0; name && !m->over && i < ARRAY_SIZE(takers); i++) {
		if (strcmp(name, takers[i].event) == 0)
			takers[i].take(m, event);
	}
	json_decref(event);
}

/* --- the connection ------------------------------------------------------------------------ */

static int take_lines(struct machine *m)
{
	size_t used = 0, n, len;
	const char *line;
	int r = 0;

	while (m->in.len > used &&
	       (r = link_next_line(m->in.data + used, m->in.len - used, &line, &len, &n)) > 0) {
		take_line(m, line, len);
		used += n;
	}
	memmove(m->in.data, m->in.data + used, m->in.len - used);
	m->in.len -= used;
	return r;
}

static int feed(void *arg, const void *data, size_t len)
{
	struct machine *m = arg;

	strbuf_add(&m->in, data, len);
	return m->in.failed ? -ENOMEM : take_lines(m);
}

static const void *pending(void *arg, size_t *ret_len)
{
	struct machine *m = arg;

	*ret_len = m->out.len - m->sent;
	return m->out.data ? m->out.data + m->sent : NULL;
}

static void sent(void *arg, size_t len)
{
	struct machine *m = arg;

	m->sent += len;
	if (m->sent == m->out.len) {
		strbuf_reset(&m->out);
		m->sent = 0;
	}
}

static void libvirt_kill(void *machine)
{
	struct machine *m = machine;

	if (m->adopted) /* only to be left; czd sees to what was changed */
		end(m, "libvirt does not answer");
	else if (m->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, m->pidfd, SIGKILL, NULL, 0);
}

static void closed(void *arg, int code)
{
	struct machine *m = arg;

	m->how = VM_END_DIED;
	if (!m->adopted)
		libvirt_kill(m);
	end(m, "cz-libvirt ended");
}

static const struct pump_ops pump_ops = {feed, pending, sent, closed};

/* --- the start ----------------------------------------------------------------------------- */

static int take_started(struct machine *m, const json_t *event, struct error *reterr)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const char *what = json_string_value(json_object_get(event, "what"));
	const char *text = json_string_value(json_object_get(event, "text"));
	char shown[400];

	if (name && strcmp(name, "failed") == 0)
		return error_set(reterr, -EIO, "libvirt could not %s: %s", what ? what : "start",
				 str_escape(shown, sizeof(shown), text ? text : "no reason given"));
	m->pid = (pid_t)json_integer_value(json_object_get(event, "pid"));
	if (!name || strcmp(name, "started") != 0 || m->pid <= 1 ||
	    m->fds.nr != (m->adopted ? 0 : LIBVIRT_FDS))
		return error_set(reterr, -EPROTO, "libvirt started no QEMU that could be found");
	if (!m->adopted)
		m->pidfd = m->fds.fd[LIBVIRT_SOCKETS];
	take_cpus(m, json_object_get(event, "cpus"));
	return 0;
}

static int wait_started(struct machine *m, int fd, struct error *reterr)
{
	const char *line;
	size_t len, used;
	json_t *event;
	int r = libvirt_wait_line(fd, &m->in, &m->fds, &line, &len, &used);

	if (r == -ECONNRESET)
		return error_set(reterr, r, "cz-libvirt died at the start");
	if (r < 0)
		return error_errno(reterr, r, "wait for libvirt to start the domain");
	event = json_line_parse(line, len, &r);
	r = take_started(m, event, reterr);
	json_decref(event);
	memmove(m->in.data, m->in.data + used, m->in.len - used);
	m->in.len -= used;
	return r;
}

static void libvirt_free(void *machine)
{
	struct machine *m = machine;

	if (!m)
		return;
	if (!m->over && !m->adopted)
		libvirt_kill(m);
	if (m->pidfd >= 0)
		close(m->pidfd);
	sd_event_source_disable_unref(m->ready);
	pump_done(&m->pump); /* cz-libvirt ends by it */
	strbuf_done(&m->in);
	strbuf_done(&m->out);
	json_decref(m->vcpu_stats);
	free(m);
}
DEFINE_CLEANUP(struct machine *, libvirt_free)

/* The first turn of the loop: what came with the start, and that it is over. */
static int on_first_turn(sd_event_source *s, void *arg)
{
	struct machine *m = arg;

	m->events.ready(m->events.arg);
	take_lines(m);
	return 0;
}

static int libvirt_start(sd_event *loop, struct qemu_plan *plan, int program,
			 const struct vm_events *events, int ret_ours[VM_STREAMS], void **ret,
			 struct error *reterr)
{
	_cleanup_(libvirt_freep) struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->events = *events;
	m->adopted = plan->spec->os.adopt;
	m->how = VM_END_DIED;
	m->pidfd = -1;
	m->pump.fd = -1;
	r = wait_started(m, plan->helper, reterr);
	if (r == 0)
		r = pump_init(&m->pump, loop, plan->helper, "libvirt", &pump_ops, m);
	if (r == 0) {
		plan->helper = -1;
		r = sd_event_add_defer(loop, &m->ready, on_first_turn, m);
	}
	qemu_plan_done(plan);
	if (r < 0)
		return r;
	for (size_t i = 0; i < VM_STREAMS; i++)
		ret_ours[i] = m->adopted ? -1 : m->fds.fd[i];
	*ret = TAKE_PTR(m);
	return 0;
}

static pid_t libvirt_pid(void *machine)
{
	return ((struct machine *)machine)->pid;
}

static size_t libvirt_vcpus(void *machine, struct vm_vcpu ret[ZONE_VCPUS_MAX])
{
	struct machine *m = machine;

	memcpy(ret, m->vcpus, m->nr_vcpus * sizeof(*ret));
	return m->nr_vcpus;
}

static int libvirt_power_button(void *machine)
{
	return request(machine, json_pack("{s:s}", "do", "button"));
}

static int libvirt_quit(void *machine)
{
	struct machine *m = machine;

	m->how = VM_END_QUIT;
	return request(m, json_pack("{s:s}", "do", "quit"));
}

static int libvirt_set_memory(void *machine, uint64_t bytes)
{
	if (((struct machine *)machine)->adopted)
		return -EOPNOTSUPP;
	return request(machine,
		       json_pack("{s:s,s:I}", "do", "memory", "kib", (json_int_t)(bytes / 1024)));
}

static void put_number(json_t *knobs, const char *name, json_int_t value)
{
	json_object_set_new(knobs, name, json_sprintf("%" JSON_INTEGER_FORMAT, value));
}

/* Of a domain of ours "no limit" is said; of an adopted one it is to be as its owner wants it. */
static int libvirt_limit(void *machine, const struct vm_limits *l)
{
	struct machine *m = machine;
	json_t *knobs = json_object();
	char name[32], text[512];
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->nr_pins; i++) {
		if (!cpuset_count(&l->pin[i]))
			continue;
		snprintf(name, sizeof(name), "pin.%zu", i);
		r = cpuset_format(&l->pin[i], text, sizeof(text));
		json_object_set_new(knobs, name, json_string(text));
	}
	if (r < 0) {
		json_decref(knobs);
		return r;
	}
	if (l->cpu_max_ppm || !m->adopted) {
		put_number(knobs, "vcpu_period", PERIOD_US);
		put_number(knobs, "vcpu_quota",
			   l->cpu_max_ppm ? (json_int_t)(l->cpu_max_ppm / (1000000 / PERIOD_US))
					  : -1);
	}
	if (l->cpu_shares)
		put_number(knobs, "cpu_shares", (json_int_t)l->cpu_shares);
	return request(m, json_pack("{s:s,s:o}", "do", "limits", "knobs", knobs));
}

static void libvirt_poll(void *machine)
{
	struct machine *m = machine;

	if (request(m, json_pack("{s:s}", "do", "poll")) < 0)
		m->memory.free = m->memory.available = 0;
}

static json_t *libvirt_vcpu_stats(void *machine)
{
	return ((struct machine *)machine)->vcpu_stats;
}

const struct vm_backend vm_backend_libvirt = {
    .name = "libvirt",
    .start = libvirt_start,
    .pid = libvirt_pid,
    .vcpus = libvirt_vcpus,
    .power_button = libvirt_power_button,
    .quit = libvirt_quit,
    .kill = libvirt_kill,
    .set_memory = libvirt_set_memory,
    .limit = libvirt_limit,
    .poll = libvirt_poll,
    .vcpu_stats = libvirt_vcpu_stats,
    .free = libvirt_free,
};
