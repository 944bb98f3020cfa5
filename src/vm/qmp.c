/* SPDX-License-Identifier: MIT */
#include "vm/qmp.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "vm/json.h"

struct waiting {
	uint64_t id; /* 0: free */
	uint64_t deadline_ns;
	qmp_answer answer;
	void *arg;
};

struct qmp {
	qmp_event event;
	void *arg;
	bool greeted;
	uint64_t next_id;
	struct waiting waiting[QMP_WAITING_MAX];
	struct strbuf in, out;
	size_t sent; /* of out */
};

int qmp_new(qmp_event event, void *arg, struct qmp **ret)
{
	struct qmp *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->event = event;
	q->arg = arg;
	*ret = q;
	return 0;
}

static void end_waiting(struct waiting *w, const json_t *result, const struct error *e)
{
	struct waiting was = *w;

	/* Free before the call: it may ask for more. */
	*w = (struct waiting){0};
	if (was.answer)
		was.answer(was.arg, result, e);
}

void qmp_free(struct qmp *q)
{
	struct error e = {0};

	if (!q)
		return;
	q->greeted = false;
	error_set(&e, -ECANCELED, "the connection to QEMU ended");
	for (size_t i = 0; i < QMP_WAITING_MAX; i++) {
		if (q->waiting[i].id)
			end_waiting(&q->waiting[i], NULL, &e);
	}
	strbuf_done(&q->in);
	strbuf_done(&q->out);
	free(q);
}

void qmp_expire(struct qmp *q, uint64_t now_ns)
{
	struct error e = {0};

	error_set(&e, -ETIMEDOUT, "QEMU did not answer in time");
	for (size_t i = 0; i < QMP_WAITING_MAX; i++) {
		if (q->waiting[i].id && now_ns >= q->waiting[i].deadline_ns)
			end_waiting(&q->waiting[i], NULL, &e);
	}
}

const void *qmp_pending(struct qmp *q, size_t *ret_len)
{
	*ret_len = q->out.len - q->sent;
	return q->out.data + q->sent;
}

void qmp_sent(struct qmp *q, size_t len)
{
	q->sent += len;
	if (q->sent == q->out.len) {
		strbuf_reset(&q->out);
		q->sent = 0;
	}
}

static int write_command(struct qmp *q, json_t *command)
{
	_cleanup_free_ char *text = json_dumps(command, JSON_COMPACT);

	json_decref(command);
	if (!text)
		return -ENOMEM;
	if (q->out.len + strlen(text) + 1 > QMP_OUT_MAX)
		return -ENOBUFS;
	strbuf_printf(&q->out, "%s\n", text);
	return q->out.failed ? -ENOMEM : 0;
}

static struct waiting *waiting_find(struct qmp *q, uint64_t id)
{
	for (size_t i = 0; i < QMP_WAITING_MAX; i++) {
		if (q->waiting[i].id == id)
			return &q->waiting[i];
	}
	return NULL;
}

int qmp_command(struct qmp *q, const char *name, json_t *args, uint64_t deadline_ns,
		qmp_answer answer, void *arg)
{
	struct waiting *w = waiting_find(q, 0);
	uint64_t id = q->next_id + 1;
	int r;

	if (!w || !q->greeted) {
		json_decref(args);
		return w ? -ENOTCONN : -EBUSY;
	}
	r = write_command(q, json_pack("{s:s,s:o*,s:I}", "execute", name, "arguments", args, "id",
				       (json_int_t)id));
	if (r < 0)
		return r;
	q->next_id = id;
	*w = (struct waiting){id, deadline_ns, answer, arg};
	return 0;
}

static void take_answer(struct qmp *q, const json_t *message)
{
	double id = json_number_value(json_object_get(message, "id"));
	struct waiting *w =
	    id >= 1 && id <= (double)q->next_id ? waiting_find(q, (uint64_t)id) : NULL;
	const json_t *error = json_object_get(message, "error");
	const char *text = json_string_value(json_object_get(error, "desc"));
	const json_t *result = json_object_get(message, "return");
	struct error e = {0};
	char shown[256];

	if (!w)
		return; /* late, or never asked for */
	if (error || !result)
		error_set(&e, -EIO, "QEMU: %s",
			  str_escape(shown, sizeof(shown), text ? text : "?"));
	end_waiting(w, e.code ? NULL : result, e.code ? &e : NULL);
}

static int take_line(struct qmp *q, const char *line, size_t len)
{
	const char *event;
	json_t *message;
	int r = 0;

	if (len == 0 || (len == 1 && line[0] == '\r'))
		return 0;
	message = json_line_parse(line, len, &r);
	if (!message)
		return -EPROTO;
	event = json_string_value(json_object_get(message, "event"));
	if (!q->greeted && json_object_get(message, "QMP")) {
		r = write_command(q, json_pack("{s:s}", "execute", "qmp_capabilities"));
		q->greeted = r == 0;
		if (q->greeted)
			q->event(q->arg, "", NULL);
	} else if (event && q->greeted) {
		q->event(q->arg, event, json_object_get(message, "data"));
	} else {
		take_answer(q, message);
	}
	json_decref(message);
	return r;
}

/* Lines that are whole go straight from the caller's data; only a line's beginning is kept. */
int qmp_feed(struct qmp *q, const void *data, size_t len)
{
	const char *p = data, *end;
	int r = 0;

	while (r == 0 && len && (end = memchr(p, '\n', len))) {
		size_t n = (size_t)(end - p);

		if (q->in.len + n > QMP_LINE_MAX)
			return -E2BIG;
		if (q->in.len) {
			strbuf_add(&q->in, p, n);
			r = q->in.failed ? -ENOMEM : take_line(q, q->in.data, q->in.len);
			strbuf_reset(&q->in);
		} else {
			r = take_line(q, p, n);
		}
		p = end + 1;
		len -= n + 1;
	}
	if (r < 0 || len == 0)
		return r;
	if (q->in.len + len > QMP_LINE_MAX)
		return -E2BIG;
	strbuf_add(&q->in, p, len);
	return q->in.failed ? -ENOMEM : 0;
}
