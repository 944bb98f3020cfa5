/* SPDX-License-Identifier: MIT */
/* The link to czd: one client at a time, lines of JSON, at most 64 KiB each. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "run/run.h"
#include "spec/zone-spec-io.h"

#define TICK_USEC    1000000
#define GRACE_MAX_MS 3600000

static void drop_client(struct run *run)
{
	run->client = sd_event_source_disable_unref(run->client);
	close_fd(&run->client_fd);
	run->in_len = 0;
}

/* msg is consumed. A client that does not read is dropped: it comes back. */
static void say(struct run *run, json_t *msg)
{
	_cleanup_free_ char *text =
	    msg && run->client_fd >= 0 ? json_dumps(msg, JSON_COMPACT) : NULL;
	struct strbuf line = {0};

	json_decref(msg);
	if (!text)
		return;
	strbuf_puts(&line, text);
	strbuf_puts(&line, "\n");
	if (!line.failed && send(run->client_fd, line.data, line.len,
				 MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)line.len)
		drop_client(run);
	strbuf_done(&line);
}

void link_notice(struct run *run, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(run, json_pack("{s:s,s:s,s:s}", "event", "notice", "kind", "app", "text", text));
}

static json_t *shape_state(const struct run *run)
{
	return json_pack("{s:s,s:s,s:[]}", "event", "state", "state",
			 run->stopping ? "stopping" : "running", "vcpus");
}

void link_state(struct run *run)
{
	say(run, shape_state(run));
}

static json_t *shape_stats(const struct run *run)
{
	json_t *apps = json_array();

	for (size_t i = 0; i < run->nr_apps; i++)
		json_array_append_new(apps, app_shape(run->apps[i]));
	return json_pack("{s:s,s:I,s:o}", "event", "stats", "at_ns", (json_int_t)clock_mono_ns(),
			 "apps", apps);
}

int run_take_spec(struct run *run, const json_t *json)
{
	struct error_list *errs = calloc(1, sizeof(*errs));
	struct zone_spec old = run->spec, spec;
	int r = errs ? zone_spec_from_json("launch.json", json, &spec, errs) : -ENOMEM;

	if (r < 0 && errs && errs->nr)
		fprintf(stderr, "cz-run: %s\n", errs->items[0].text);
	free(errs);
	if (r < 0)
		return r;
	run->spec = spec;
	/* What is not the same any more is ended, and begun anew by run_apps_sync(). */
	for (size_t i = 0; i < run->nr_apps; i++) {
		struct app *a = run->apps[i];
		const struct zone_app *was = a->spec;

		a->spec = NULL;
		for (size_t k = 0; was && k < spec.nr_apps; k++)
			if (!strcmp(spec.apps[k].name, a->name) && app_same(was, &spec.apps[k]))
				a->spec = &run->spec.apps[k];
	}
	zone_spec_done(&old);
	return run_apps_sync(run);
}

static int do_nothing(struct run *run, const json_t *q)
{
	return 0;
}

static int do_power_down(struct run *run, const json_t *q)
{
	json_int_t grace_ms = json_integer_value(json_object_get(q, "grace_ms"));

	if (grace_ms < 0 || grace_ms > GRACE_MAX_MS)
		return -EINVAL;
	run->stopping = true;
	run->kill_ns = clock_mono_ns() + (uint64_t)grace_ms * 1000000;
	for (size_t i = run->nr_apps; i-- > 0;)
		app_stop(run->apps[i]);
	link_state(run);
	return 0;
}

static int do_apply(struct run *run, const json_t *q)
{
	return run->stopping ? -EBUSY : run_take_spec(run, json_object_get(q, "spec"));
}

static int do_app(struct run *run, const json_t *q)
{
	const char *name = json_string_value(json_object_get(q, "name")),
		   *op = json_string_value(json_object_get(q, "op"));

	for (size_t i = 0; name && op && i < run->nr_apps; i++) {
		struct app *a = run->apps[i];

		if (!a->spec || strcmp(a->name, name))
			continue;
		if (!strcmp(op, "start"))
			app_start(a);
		else if (!strcmp(op, "stop"))
			app_stop(a);
		else if (!strcmp(op, "restart"))
			app_restart(a);
		else
			return -EINVAL;
		return 0;
	}
	return -ENOENT;
}

static const struct {
	const char *name;
	int (*fn)(struct run *run, const json_t *q);
	json_t *(*shape)(const struct run *run); /* the answer's fields; NULL: none */
} requests[] = {
    {"hello", do_nothing, shape_state},
    {"stats", do_nothing, shape_stats},
    {"power-down", do_power_down, NULL},
    {"apply", do_apply, NULL},
    {"app", do_app, NULL},
};

static void answer(struct run *run, const json_t *q)
{
	const char *name = json_string_value(json_object_get(q, "do"));
	json_int_t id = json_integer_value(json_object_get(q, "id"));
	json_t *a = NULL;
	int r = -EOPNOTSUPP;

	for (size_t i = 0; name && i < ARRAY_SIZE(requests); i++) {
		if (strcmp(requests[i].name, name))
			continue;
		r = requests[i].fn(run, q);
		a = r == 0 && requests[i].shape ? requests[i].shape(run) : NULL;
	}
	if (!a)
		a = json_object();
	json_object_del(a, "event");
	json_object_set_new(a, "id", json_integer(id));
	json_object_set_new(a, "ok", json_boolean(r == 0));
	if (r < 0)
		json_object_set_new(a, "error",
				    json_pack("{s:s,s:s}", "name", error_name(r), "message",
					      r == -EOPNOTSUPP ? "not for a zone of runtime cgroup"
							       : strerror(-r)));
	say(run, a);
}

static int on_client(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct run *run = arg;
	ssize_t n = recv(fd, run->in + run->in_len, sizeof(run->in) - run->in_len, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		drop_client(run);
		return 0;
	}
	run->in_len += (size_t)n;
	while (run->client_fd >= 0 && (end = memchr(run->in, '\n', run->in_len))) {
		json_t *q = json_loadb(run->in, (size_t)(end - run->in), 0, NULL);
		size_t used = (size_t)(end - run->in) + 1;

		memmove(run->in, end + 1, run->in_len - used);
		run->in_len -= used;
		if (q)
			answer(run, q);
		json_decref(q);
	}
	if (run->in_len == sizeof(run->in))
		drop_client(run);
	return 0;
}

static int on_connect(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct run *run = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return 0;
	drop_client(run); /* a new czd takes the place of the old */
	run->client_fd = client;
	if (sd_event_add_io(run->loop, &run->client, client, EPOLLIN, on_client, run) < 0)
		drop_client(run);
	else
		link_state(run);
	return 0;
}

static int on_tick(sd_event_source *src, uint64_t usec, void *arg)
{
	struct run *run = arg;

	if (run->client_fd >= 0)
		say(run, shape_stats(run));
	return sd_event_source_set_time(src, usec + TICK_USEC) < 0
		   ? -EIO
		   : sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
}

int link_listen(struct run *run, const char *run_dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t before;
	int r = str_printf(addr.sun_path, sizeof(addr.sun_path), "%s/link.sock", run_dir);

	if (r < 0)
		return r;
	unlink(addr.sun_path);
	run->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	before = umask(0177);
	if (run->listen_fd < 0 ||
	    bind(run->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(run->listen_fd, 4) < 0)
		r = -errno;
	umask(before);
	if (r == 0)
		r = sd_event_add_io(run->loop, NULL, run->listen_fd, EPOLLIN, on_connect, run);
	if (r >= 0)
		r = sd_event_add_time_relative(run->loop, &run->tick, CLOCK_MONOTONIC, TICK_USEC,
					       50000, on_tick, run);
	return r < 0 ? r : 0;
}
