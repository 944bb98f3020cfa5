/* SPDX-License-Identifier: MIT */
/*
 * cz-libvirt: holds the libvirt connection of one zone, as root, for its unprivileged cz-vm. What
 * is to be run comes in the first line, sent while cz-vm was root too; after that only the few
 * words of `verbs`. The connection's end is the domain's end, and cz-vm's end is ours. A domain
 * that somebody else started is given back instead of ended (libvirt-adopt.h).
 *
 * Threads: libvirt's event loop, a reaper (libvirt-reap.h), and the one that reads lines and calls
 * libvirt, which blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "vm/libvirt-adopt.h"
#include "vm/libvirt-helper.h"
#include "vm/libvirt-knobs.h"
#include "vm/libvirt-reap.h"

#define LINK 0 /* our standard input: the socket to cz-vm */

static struct {
	virConnectPtr conn;
	virDomainPtr domain;
	const char *uri, *name; /* the domain's */
	bool created;		/* the domain, by us: nothing else is ever ended */
	struct adopted adopted; /* path NULL: nothing is adopted */
	char in[LIBVIRT_LINE_MAX];
	size_t len;
} self;

/* --- lines out, from both threads ---------------------------------------------------------- */

static void send_line(json_t *message, const int *fds, size_t nr_fds)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	_cleanup_free_ char *text = json_dumps(message, JSON_COMPACT);
	char control[CMSG_SPACE(sizeof(int) * LIBVIRT_FDS)] = {0};
	struct iovec iov[2] = {{text, text ? strlen(text) : 0}, {(char[]){"\n"}, 1}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	json_decref(message);
	if (!text || iov[0].iov_len >= LIBVIRT_LINE_MAX)
		return;
	if (nr_fds) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS,
				      .cmsg_len = CMSG_LEN(sizeof(int) * nr_fds)};
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nr_fds);
	}
	/* A cz-vm that does not read gets no more events; a line cut in two would end the link. */
	pthread_mutex_lock(&one_at_a_time);
	if (sendmsg(LINK, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < (ssize_t)iov[0].iov_len + 1 &&
	    errno != EAGAIN)
		shutdown(LINK, SHUT_RDWR);
	pthread_mutex_unlock(&one_at_a_time);
}

static void say(json_t *message)
{
	send_line(message, NULL, 0);
}

static void refuse(const char *what, const char *text)
{
	say(json_pack("{s:s,s:s,s:s}", "event", "refused", "do", what, "text", text));
}

static void quiet(void *arg, virErrorPtr e)
{
}

static const char *last_error(void)
{
	return virGetLastErrorMessage();
}

/* --- events -------------------------------------------------------------------------------- */

static bool is_ours(virDomainPtr d)
{
	return strcmp(virDomainGetName(d), self.name) == 0;
}

static void on_monitor(virConnectPtr c, virDomainPtr d, const char *event, long long seconds,
		       unsigned int micros, const char *details, void *arg)
{
	static const char *const passed[] = {"SHUTDOWN", "GUEST_PANICKED", "VSERPORT_CHANGE"};

	for (size_t i = 0; is_ours(d) && i < ARRAY_SIZE(passed); i++) {
		if (strcmp(event, passed[i]) == 0)
			say(json_pack("{s:s,s:s,s:s*}", "event", "monitor", "name", event, "data",
				      details));
	}
}

static int on_lifecycle(virConnectPtr c, virDomainPtr d, int event, int detail, void *arg)
{
	if (is_ours(d) && event == VIR_DOMAIN_EVENT_STOPPED)
		say(json_pack("{s:s,s:b}", "event", "ended", "failed",
			      detail == VIR_DOMAIN_EVENT_STOPPED_CRASHED ||
				  detail == VIR_DOMAIN_EVENT_STOPPED_FAILED));
	return 0;
}

static void *run_events(void *arg)
{
	while (virEventRunDefaultImpl() == 0) {
	}
	return NULL;
}

static void on_closed(virConnectPtr c, int reason, void *arg)
{
	say(json_pack("{s:s,s:s}", "event", "lost", "text", "the connection to libvirt ended"));
}

/* --- the start ----------------------------------------------------------------------------- */

static int fail(const char *what, const char *why)
{
	say(json_pack("{s:s,s:s,s:s}", "event", "failed", "what", what, "text", why));
	return 3;
}

/* One that an earlier cz-vm of this zone left, as only kill -9 of everything can; or a stranger. */
static int clear_name(const char *name)
{
	virDomainPtr old = virDomainLookupByName(self.conn, name);
	char *mark;
	int r = 0;

	if (!old)
		return 0;
	mark = virDomainGetMetadata(old, VIR_DOMAIN_METADATA_ELEMENT, LIBVIRT_MARK, 0);
	if (!mark)
		r = fail("start the domain", "libvirt has a domain of that name already, which is "
					     "no zone");
	else if (virDomainDestroy(old) < 0 && virDomainIsActive(old) == 1)
		r = fail("end the zone's old domain", last_error());
	free(mark);
	virDomainFree(old);
	return r;
}

static pid_t process_of(pid_t tid)
{
	char path[64], text[4096];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	if (tid <= 1 || read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, "\nTgid:\t");
	return line ? (pid_t)strtol(line + strlen("\nTgid:\t"), NULL, 10) : 0;
}

/* The vCPUs' threads, which libvirt's own interface does not tell. */
static json_t *ask_cpus(void)
{
	char *text = NULL;
	json_t *answer, *cpus;

	if (virDomainQemuMonitorCommand(self.domain, "{\"execute\":\"query-cpus-fast\"}", &text,
					0) < 0)
		return NULL;
	answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	cpus = json_incref(json_object_get(answer, "return"));
	json_decref(answer);
	return cpus;
}

static int connect_to(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (!path || !str_copy(a.sun_path, sizeof(a.sun_path), path))
		return -ENAMETOOLONG;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Says that it runs, with the domain's sockets and its process; of an adopted one with neither. */
static int tell_started(const json_t *order)
{
	json_t *cpus = self.adopted.path ? adopted_cpus(&self.adopted) : ask_cpus();
	json_t *paths = json_object_get(order, "sockets");
	json_int_t tid = json_integer_value(json_object_get(json_array_get(cpus, 0), "thread-id"));
	int fds[LIBVIRT_FDS];
	pid_t pid = process_of((pid_t)tid);
	size_t n = 0;

	for (; n < json_array_size(paths) && n < LIBVIRT_FDS - 1; n++) {
		fds[n] = connect_to(json_string_value(json_array_get(paths, n)));
		if (fds[n] < 0)
			return fail("connect to the domain's sockets", strerror(-fds[n]));
	}
	fds[n] = pid && !self.adopted.path ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fds[n] >= 0)
		n++;
	send_line(json_pack("{s:s,s:i,s:o*}", "event", "started", "pid", (int)pid, "cpus", cpus),
		  fds, n);
	while (n)
		close(fds[--n]);
	return 0;
}

static int adopt(const json_t *order)
{
	const char *what = "adopt the domain";
	char *mark;
	int r;

	self.domain = virDomainLookupByName(self.conn, self.name);
	if (!self.domain || virDomainIsActive(self.domain) != 1)
		return fail(what, "none of that name runs (virsh list --all)");
	mark = virDomainGetMetadata(self.domain, VIR_DOMAIN_METADATA_ELEMENT, LIBVIRT_MARK, 0);
	free(mark);
	if (mark)
		return fail(what, "it is a zone's own machine");
	self.adopted.domain = self.domain;
	self.adopted.complain = refuse;
	r = adopted_open(&self.adopted, json_string_value(json_object_get(order, "journal")),
			 self.uri);
	if (r == 0)
		return 0;
	return fail(what, r == -EADDRINUSE ? "another zone has it"
			  : r == -EIO	   ? last_error()
					   : strerror(-r));
}

static int create(const json_t *order, const char *xml)
{
	json_t *path;
	size_t i;
	int r = clear_name(self.name);

	if (r)
		return r;
	/* Only a daemon sees its client's end; a driver within this process leaves it to finish().
	 */
	self.domain =
	    virDomainCreateXML(self.conn, xml,
			       strncmp(self.uri, "qemu", 4) || strstr(self.uri, ":///embed")
				   ? 0
				   : VIR_DOMAIN_START_AUTODESTROY);
	json_array_foreach(json_object_get(order, "unlink"), i, path)
	{
		unlink(json_string_value(path));
	}
	self.created = self.domain;
	return self.created ? 0 : fail("start the domain", last_error());
}

static int begin(const json_t *order)
{
	const char *xml = json_string_value(json_object_get(order, "xml"));
	pthread_t events;
	int r;

	self.name = json_string_value(json_object_get(order, "name"));
	self.uri = json_string_value(json_object_get(order, "uri"));
	if (!self.name || !self.uri || (!xml && !json_object_get(order, "journal")))
		return fail("start the domain", "the order has no uri, name or xml");
	if (virEventRegisterDefaultImpl() < 0 || reap_orphans() < 0)
		return fail("start libvirt", last_error());
	self.conn = virConnectOpen(self.uri);
	if (!self.conn || pthread_create(&events, NULL, run_events, NULL) != 0)
		return fail("connect to libvirt", last_error());
	virConnectRegisterCloseCallback(self.conn, on_closed, NULL, NULL);
	if (xml)
		virConnectDomainQemuMonitorEventRegister(self.conn, NULL, NULL, on_monitor, NULL,
							 NULL, 0);
	virConnectDomainEventRegisterAny(self.conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
					 VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), NULL, NULL);
	r = xml ? create(order, xml) : adopt(order);
	return r ? r : tell_started(order);
}

/* --- what is asked for --------------------------------------------------------------------- */

static int do_button(const json_t *request)
{
	return virDomainShutdownFlags(self.domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
}

static int do_quit(const json_t *request)
{
	if (self.adopted.path) {
		adopted_release(&self.adopted);
		say(json_pack("{s:s}", "event", "released"));
		return 0;
	}
	return virDomainDestroyFlags(self.domain, VIR_DOMAIN_DESTROY_GRACEFUL);
}

static int do_memory(const json_t *request)
{
	json_int_t kib = json_integer_value(json_object_get(request, "kib"));

	return virDomainSetMemoryFlags(self.domain, (unsigned long)kib, VIR_DOMAIN_AFFECT_LIVE);
}

static json_t *memory_stats(void)
{
	virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
	int n = virDomainMemoryStats(self.domain, stats, ARRAY_SIZE(stats), 0);
	json_t *o = json_object();

	for (int i = 0; i < n; i++) {
		static const struct {
			int tag;
			const char *name;
		} names[] = {{VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, "balloon"},
			     {VIR_DOMAIN_MEMORY_STAT_UNUSED, "free"},
			     {VIR_DOMAIN_MEMORY_STAT_USABLE, "available"}};

		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			if (stats[i].tag == names[k].tag && stats[i].val < 1ull << 40)
				json_object_set_new(o, names[k].name,
						    json_integer((json_int_t)stats[i].val));
		}
	}
	return o;
}

/* {"0.delay": ns, ...}: of each vCPU what it ran and what it waited for a CPU of the host. */
static json_t *vcpu_stats(void)
{
	virDomainPtr list[] = {self.domain, NULL};
	virDomainStatsRecordPtr *records = NULL;
	int n = virDomainListGetStats(list, VIR_DOMAIN_STATS_VCPU, &records, 0);
	json_t *o = json_object();

	for (int i = 0; n == 1 && i < records[0]->nparams; i++) {
		const virTypedParameter *p = &records[0]->params[i];
		const char *dot = strrchr(p->field, '.');

		if (dot && p->type == VIR_TYPED_PARAM_ULLONG &&
		    (strcmp(dot, ".time") == 0 || strcmp(dot, ".delay") == 0))
			json_object_set_new(o, p->field + strlen("vcpu."),
					    json_integer((json_int_t)p->value.ul));
	}
	if (n > 0)
		virDomainStatsRecordListFree(records);
	return o;
}

static int do_poll(const json_t *request)
{
	say(json_pack("{s:s,s:o,s:o}", "event", "stats", "memory_kib", memory_stats(), "vcpus",
		      vcpu_stats()));
	return 0;
}

/* {"knobs": {NAME: TEXT}}; of an adopted domain all that is set, so that the rest is put back. */
static int do_limits(const json_t *request)
{
	json_t *knobs = json_object_get(request, "knobs"), *value;
	const char *name;

	if (self.adopted.path)
		adopted_set(&self.adopted, knobs);
	json_object_foreach(knobs, name, value)
	{
		if (!self.adopted.path && json_is_string(value) &&
		    knob_write(self.domain, name, json_string_value(value)) < 0)
			refuse(name, last_error());
	}
	say(json_pack("{s:s}", "event", "limited"));
	return 0;
}

static void obey(const char *line, size_t len)
{
	static const struct {
		const char *what;
		int (*take)(const json_t *request);
		bool own; /* not of an adopted domain, where nobody would put it back */
	} verbs[] = {{"button", do_button, true},
		     {"quit", do_quit, false},
		     {"memory", do_memory, true},
		     {"poll", do_poll, false},
		     {"limits", do_limits, false}};
	json_t *request = json_loadb(line, len, 0, NULL);
	const char *what = json_string_value(json_object_get(request, "do"));

	for (size_t i = 0; what && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(what, verbs[i].what) != 0)
			continue;
		if (verbs[i].own && self.adopted.path)
			refuse(what, "the domain is its owner's");
		else if (verbs[i].take(request) < 0)
			refuse(what, last_error());
	}
	json_decref(request);
}

/* --- lines in ------------------------------------------------------------------------------ */

/* Waits for a line; NULL at the end of the link. Valid until the next call. */
static const char *next_line(size_t *ret_len)
{
	static size_t used;
	char *end;

	memmove(self.in, self.in + used, self.len - used);
	self.len -= used;
	used = 0;
	while (!(end = self.len ? memchr(self.in, '\n', self.len) : NULL)) {
		ssize_t n = self.len < sizeof(self.in)
				? read(LINK, self.in + self.len, sizeof(self.in) - self.len)
				: 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		self.len += (size_t)n;
	}
	*ret_len = (size_t)(end - self.in);
	used = *ret_len + 1;
	return self.in;
}

static void finish(void)
{
	if (self.adopted.path)
		adopted_release(&self.adopted);
	if (self.created)
		virDomainDestroy(self.domain);
	if (self.domain)
		virDomainFree(self.domain);
	if (self.conn)
		virConnectClose(self.conn);
}

int main(int argc, char **argv)
{
	size_t len;
	const char *line;
	json_t *order;
	int r;

	signal(SIGPIPE, SIG_IGN);
	virSetErrorFunc(NULL, quiet);
	if (argc == 3 && strcmp(argv[1], "--give-back") == 0)
		return adopted_give_back(argv[2]);
	line = next_line(&len);
	order = line ? json_loadb(line, len, 0, NULL) : NULL;
	if (!order) {
		fprintf(stderr, "cz-libvirt is started by cz-vm, for zones of backend libvirt\n");
		return 2;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = begin(order);
	while (r == 0 && (line = next_line(&len)))
		obey(line, len);
	finish();
	json_decref(order);
	return r;
}
