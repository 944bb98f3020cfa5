/* SPDX-License-Identifier: MIT */
#include "gate/stream.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "gate/gate.h"

#define ROWS_MAX 64

struct listener {
	struct stream *stream;
	struct listener *next;
	struct MHD_Connection *connection;
	struct strbuf out;
	size_t sent;
	bool parked; /* nothing to send: its connection is suspended */
	bool lost;   /* it did not read: its connection ends */
};

struct stream {
	struct gate *gate;
	struct listener *listeners;
	size_t nr;
	uint64_t dropped_total;
};

int stream_new(struct gate *g, struct stream **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->gate = g;
	return 0;
}

static void wake(struct listener *l)
{
	if (!l->parked)
		return;
	l->parked = false;
	http_resume(l->stream->gate->http, l->connection);
}

void stream_end(struct stream *s)
{
	for (struct listener *l = s ? s->listeners : NULL; l; l = l->next) {
		l->lost = true;
		wake(l);
	}
}

void stream_free(struct stream *s)
{
	free(s);
}

size_t stream_listeners(const struct stream *s)
{
	return s->nr;
}

uint64_t stream_dropped_total(const struct stream *s)
{
	return s->dropped_total;
}

/* One that reads, but never all there is, takes no more than what it has not read. */
static void drop_sent(struct listener *l)
{
	if (!l->sent)
		return;
	l->out.len -= l->sent;
	memmove(l->out.data, l->out.data + l->sent, l->out.len);
	l->sent = 0;
}

static void send_to(struct listener *l, const char *text, size_t len)
{
	if (l->lost)
		return;
	drop_sent(l);
	if (l->out.len + len > STREAM_PENDING_MAX || l->out.failed) {
		l->lost = true;
		l->stream->dropped_total++;
		http_end(l->stream->gate->http, l->connection);
	} else {
		strbuf_add(&l->out, text, len);
	}
	wake(l);
}

static void send_all(struct stream *s, const char *name, const json_t *data)
{
	_cleanup_free_ char *json = s->nr ? json_dumps(data, JSON_COMPACT) : NULL;
	struct strbuf text = {0};

	if (!json)
		return;
	strbuf_printf(&text, "event: %s\ndata: ", name);
	strbuf_puts(&text, json);
	strbuf_puts(&text, "\n\n");
	for (struct listener *l = s->listeners; l && !text.failed; l = l->next)
		send_to(l, text.data, text.len);
	strbuf_done(&text);
}

/* --- what is told ---------------------------------------------------------------------------- */

static uint64_t cpu_of(const struct view_zone *z)
{
	return z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS) ? z->delta[ZM_CPU_USAGE_NS] : 0;
}

static int busiest_first(const void *a, const void *b)
{
	uint64_t x = cpu_of(*(const struct view_zone *const *)a),
		 y = cpu_of(*(const struct view_zone *const *)b);

	return x > y ? -1 : x < y;
}

static json_t *known(bool is, uint64_t value)
{
	return is ? json_integer((json_int_t)value) : json_null();
}

static json_t *zone_row(const struct view *v, const struct view_zone *z)
{
	uint64_t cpu_ppm = 0;
	bool has_cpu = view_rate_ppm(v, z, ZM_CPU_USAGE_NS, &cpu_ppm);

	return json_pack("{s:I,s:s,s:s,s:s,s:b,s:o,s:o}", "id", (json_int_t)z->id, "name", z->label,
			 "kind", zone_kind_name(z->kind), "class", zone_class_name(z->class),
			 "class_own", z->class_own, "cpu_ppm", known(has_cpu, cpu_ppm),
			 "memory_bytes",
			 known(z->valid & METRIC_BIT(ZM_MEM_BYTES), z->value[ZM_MEM_BYTES]));
}

/* Those with a class of their own, and the busiest of the others. */
static json_t *zone_rows(const struct view *v)
{
	_cleanup_free_ const struct view_zone **order = calloc(v->nr_zones + 1, sizeof(*order));
	json_t *rows = json_array();
	size_t n = 0;

	if (!order)
		return rows;
	for (size_t i = 0; i < v->nr_zones; i++)
		if (cpu_of(&v->zones[i]) || v->zones[i].class_own)
			order[n++] = &v->zones[i];
	qsort(order, n, sizeof(*order), busiest_first);
	for (size_t i = 0; i < n; i++)
		if (order[i]->class_own || json_array_size(rows) < ROWS_MAX)
			json_array_append_new(rows, zone_row(v, order[i]));
	return rows;
}

static json_t *host_row(const struct view *v)
{
	json_t *o = json_object();

	for (int m = 0; m < HM_NR; m++) {
		bool gauge = host_metrics[m].kind == METRIC_GAUGE;
		bool is = (gauge ? v->host_valid : v->host_delta_valid) & METRIC_BIT(m);

		json_object_set_new(o, host_metrics[m].name,
				    known(is, gauge ? v->host_value[m] : v->host_delta[m]));
	}
	return o;
}

/* The name of each zone that is told of by id. */
static json_t *ledger_rows(const struct view *v)
{
	json_t *rows = json_array(), *ledger;
	size_t i;

	json_array_foreach(v->ledgers, i, ledger)
	{
		uint64_t id = (uint64_t)json_integer_value(json_object_get(ledger, "zone"));
		const struct view_zone *z = view_zone(v, id);
		json_t *row = z ? json_copy(ledger) : NULL;

		if (!row)
			continue;
		json_object_set_new(row, "id", json_integer((json_int_t)id));
		json_object_set_new(row, "zone", json_string(z->label));
		json_array_append_new(rows, row);
	}
	return rows;
}

json_t *stream_view(const struct gate *g)
{
	const struct view *v = &g->view;

	if (!v->known)
		return json_pack("{s:b}", "czd", 0);
	return json_pack("{s:b,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:O}", "czd", 1, "now_ns",
			 (json_int_t)v->now_ns, "real_ns", (json_int_t)v->real_ns, "window_ns",
			 (json_int_t)v->window_ns, "zones_total", (json_int_t)v->nr_zones, "host",
			 host_row(v), "zones", zone_rows(v), "ledgers", ledger_rows(v), "mode",
			 v->mode);
}

void stream_snapshot(struct stream *s)
{
	json_t *data = s->nr ? stream_view(s->gate) : NULL;

	send_all(s, "snapshot", data);
	json_decref(data);
}

void stream_event(struct stream *s, const json_t *event)
{
	send_all(s, "event", event);
}

void stream_rows(struct stream *s, const json_t *data)
{
	send_all(s, json_object_get(data, "actions") ? "actions" : "findings", data);
}

/* --- a listener ------------------------------------------------------------------------------ */

static ssize_t on_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct listener *l = arg;
	size_t n = l->out.len - l->sent;

	if (l->lost)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n) {
		l->parked = true;
		MHD_suspend_connection(l->connection);
		return 0;
	}
	n = n < max ? n : max;
	memcpy(buf, l->out.data + l->sent, n);
	l->sent += n;
	if (l->sent == l->out.len) {
		strbuf_reset(&l->out);
		l->sent = 0;
	}
	return (ssize_t)n;
}

static void on_gone(void *arg)
{
	struct listener *l = arg, **p = &l->stream->listeners;

	while (*p && *p != l)
		p = &(*p)->next;
	if (*p)
		*p = l->next;
	l->stream->nr--;
	strbuf_done(&l->out);
	free(l);
}

void stream_serve(struct request *r)
{
	struct stream *s = r->gate->stream;
	struct listener *l = s->nr < STREAM_LISTENERS_MAX ? calloc(1, sizeof(*l)) : NULL;
	struct MHD_Response *response;
	json_t *now;

	if (!l) {
		request_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, -EBUSY, "64 listen already",
			     "Close one, or ask /api/v1/top now and then.");
		return;
	}
	*l = (struct listener){.stream = s, .next = s->listeners, .connection = r->connection};
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, on_read, l, on_gone);
	if (!response) {
		free(l);
		request_answer(r, MHD_HTTP_SERVICE_UNAVAILABLE, NULL);
		return;
	}
	s->listeners = l;
	s->nr++;
	now = stream_view(r->gate);
	if (now) {
		char *text = json_dumps(now, JSON_COMPACT);

		strbuf_printf(&l->out, "retry: 2000\nevent: snapshot\ndata: ");
		strbuf_puts(&l->out, text ? text : "{}");
		strbuf_puts(&l->out, "\n\n");
		free(text);
	}
	json_decref(now);
	MHD_add_response_header(response, "Content-Type", "text/event-stream");
	r->streams = true;
	request_answer(r, MHD_HTTP_OK, response);
}
