/* SPDX-License-Identifier: MIT */
#include "vm/logs.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/zone-spec.h"
#include "vm/console-line.h"
#include "vm/logfile.h"
#include "vm/pump.h"

struct logs {
	int dirfd;
	struct pump pump;
	struct logfile console;
	struct console_line line;
	struct logfile app[CHANNEL_STREAMS_MAX]; /* by stream; name "": none yet */
};

static int feed(void *arg, const void *data, size_t len)
{
	struct logs *l = arg;

	logfile_write(&l->console, data, len);
	console_line_feed(&l->line, data, len);
	return 0;
}

static const void *pending(void *arg, size_t *ret_len)
{
	*ret_len = 0;
	return NULL;
}

static void sent(void *arg, size_t len)
{
}

static void closed(void *arg, int code)
{
}

static const struct pump_ops pump_ops = {feed, pending, sent, closed};

int logs_new(sd_event *loop, int dirfd, int console, struct logs **ret)
{
	struct logs *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->dirfd = dirfd;
	l->console.fd = -1;
	for (size_t i = 0; i < CHANNEL_STREAMS_MAX; i++)
		l->app[i].fd = -1;
	r = logfile_open(&l->console, dirfd, "console.log");
	if (r == 0)
		r = pump_init(&l->pump, loop, console, "console", &pump_ops, l);
	if (r < 0)
		logs_free(l);
	else
		*ret = l;
	return r;
}

const char *logs_panic(struct logs *l)
{
	pump_drain(&l->pump);
	return l->line.panic[0] ? l->line.panic : NULL;
}

void logs_session(struct logs *l)
{
	for (size_t i = 0; i < CHANNEL_STREAMS_MAX; i++) {
		logfile_done(&l->app[i]);
		l->app[i].name[0] = 0;
	}
}

void logs_free(struct logs *l)
{
	if (!l)
		return;
	logs_session(l);
	pump_done(&l->pump);
	logfile_done(&l->console);
	free(l);
}

/* The guest's word becomes a file name: an app's name (zone-spec.h) and nothing else. */
static bool app_name(const char *data, size_t len)
{
	if (len == 0 || len > ZONE_SPEC_NAME_MAX || !isalnum((unsigned char)data[0]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)data[i]) && (!data[i] || !strchr("._-", data[i])))
			return false;
	}
	return true;
}

static bool is_app(const json_t *apps, const char *data, size_t len)
{
	json_t *app;
	size_t i;

	json_array_foreach((json_t *)apps, i, app)
	{
		const char *name = json_string_value(json_object_get(app, "name"));

		if (name && strlen(name) == len && memcmp(name, data, len) == 0)
			return true;
	}
	return false;
}

static bool take_name(struct logs *l, const json_t *apps, const struct channel_frame *f)
{
	struct logfile *file = &l->app[f->stream];
	char name[LOGFILE_NAME_MAX];

	logfile_done(file);
	file->name[0] = 0;
	if (!app_name(f->data, f->len) || !is_app(apps, f->data, f->len))
		return false;
	snprintf(name, sizeof(name), "app-%.*s.log", (int)f->len, f->data);
	if (logfile_open(file, l->dirfd, name) < 0)
		file->name[0] = 0;
	return true;
}

static void take_lost(struct logfile *file, const struct channel_frame *f)
{
	uint64_t bytes = 0;
	char text[64];

	for (size_t i = 0; i < 8 && i < f->len; i++)
		bytes |= (uint64_t)(unsigned char)f->data[i] << (8 * i);
	snprintf(text, sizeof(text), "[%" PRIu64 " bytes lost here]\n", bytes);
	logfile_write(file, text, strlen(text));
}

bool logs_frame(struct logs *l, const json_t *apps, const struct channel_frame *f)
{
	struct logfile *file = &l->app[f->stream < CHANNEL_STREAMS_MAX ? f->stream : 0];

	if (f->type == CHANNEL_NAME)
		return take_name(l, apps, f);
	if (!file->name[0])
		return true;
	if (f->type == CHANNEL_LOST)
		take_lost(file, f);
	else if (f->type == CHANNEL_DATA || f->type == CHANNEL_STDERR)
		logfile_write(file, f->data, f->len);
	return true;
}
