/* SPDX-License-Identifier: MIT */
/* From a path to a route, and from a route to a question to czd and its answer. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "gate/gate.h"
#include "gate/routes.h"

/* --- finding --------------------------------------------------------------------------------- */

/* Do the parts of the path match those of the pattern? Those at {names} are kept. */
static bool match(struct request *r, const char *pattern, char *const parts[], size_t n)
{
	r->nr_parts = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len;

		if (*pattern++ != '/')
			return false;
		len = strcspn(pattern, "/");
		if (pattern[0] == '{' && parts[i][0])
			r->parts[r->nr_parts++] = parts[i];
		else if (strlen(parts[i]) != len || strncmp(parts[i], pattern, len) != 0)
			return false;
		pattern += len;
	}
	return !*pattern;
}

/* One path may be there for several. */
static void add_method(struct request *r, const char *method)
{
	size_t n = strlen(r->allow);

	if (!strstr(r->allow, method))
		snprintf(r->allow + n, sizeof(r->allow) - n, "%s%s", n ? ", " : "",
			 strcmp(method, "GET") ? method : "GET, HEAD");
}

const struct route *route_find(struct request *r, const char *method, unsigned int *ret_status)
{
	char *parts[HTTP_PARTS_MAX], *at = r->path;
	bool has_nul = false;
	size_t n = 0;

	*ret_status = r->path[0] ? MHD_HTTP_NOT_FOUND : MHD_HTTP_URI_TOO_LONG;
	while (at && *at == '/' && n < HTTP_PARTS_MAX) {
		*at++ = 0;
		parts[n++] = at;
		at = strchr(at, '/');
	}
	if (at || !n) /* more parts than any route has */
		return NULL;
	for (size_t i = 0; i < n; i++)
		has_nul |= MHD_http_unescape(parts[i]) != strlen(parts[i]);
	if (has_nul) /* it would be taken for a shorter one */
		return NULL;
	for (size_t i = 0; i < nr_routes; i++) {
		if (!match(r, routes[i].path, parts, n))
			continue;
		if (!strcmp(routes[i].method, method))
			return &routes[i];
		*ret_status = MHD_HTTP_METHOD_NOT_ALLOWED;
		add_method(r, routes[i].method);
	}
	return NULL;
}

/* --- asking ---------------------------------------------------------------------------------- */

static int bad_param(struct error *reterr, const struct param *p)
{
	static const char *const kinds[] = {
	    [PARAM_TEXT] = "text",
	    [PARAM_NUMBER] = "a whole number, not negative",
	    [PARAM_FLAG] = "true or false",
	    [PARAM_DURATION] = "a time such as 10m",
	};

	return error_set(reterr, -EINVAL, "'%s' has to be %s", p->name, kinds[p->kind]);
}

static json_t *from_text(const struct param *p, const char *text)
{
	uint64_t n;

	if (p->kind == PARAM_FLAG && (!*text || !strcmp(text, "true") || !strcmp(text, "1")))
		return json_true();
	if (p->kind == PARAM_FLAG && (!strcmp(text, "false") || !strcmp(text, "0")))
		return json_false();
	if (p->kind == PARAM_NUMBER && parse_u64(text, &n) == 0 && n <= INT64_MAX)
		return json_integer((json_int_t)n);
	if (p->kind == PARAM_DURATION && parse_duration_ns(text, &n) == 0 && n <= INT64_MAX)
		return json_integer((json_int_t)n);
	return p->kind == PARAM_TEXT ? json_string(text) : NULL;
}

static json_t *from_json(const struct param *p, json_t *j)
{
	if (p->kind == PARAM_DURATION)
		return json_is_string(j) ? from_text(p, json_string_value(j)) : NULL;
	if ((p->kind == PARAM_TEXT && json_is_string(j)) ||
	    (p->kind == PARAM_FLAG && json_is_boolean(j)) ||
	    (p->kind == PARAM_NUMBER && json_is_integer(j) && json_integer_value(j) >= 0))
		return json_incref(j);
	return NULL;
}

static bool is_paging(const struct route *route, const char *name)
{
	return route->rows && (!strcmp(name, "limit") || !strcmp(name, "cursor"));
}

static int take_param(const struct request *r, const struct param *p, json_t *args,
		      struct error *reterr)
{
	bool post = !strcmp(r->route->method, "POST");
	const char *text = post ? NULL : request_query(r, p->name);
	json_t *j = post ? json_object_get(r->args, p->name) : NULL, *value;

	if (!text && (!j || json_is_null(j)))
		return p->required
			   ? error_set(reterr, -EINVAL, "'%s' is missing: %s", p->name, p->help)
			   : 0;
	value = text ? from_text(p, text) : from_json(p, j);
	if (!value || json_object_set_new(args, p->arg ? p->arg : p->name, value) < 0)
		return bad_param(reterr, p);
	return 0;
}

/* What the body says that nobody asked for is a mistake that should not go unnoticed. */
static int check_body(const struct request *r, struct error *reterr)
{
	const struct param *params = r->route->params;
	const char *key;
	json_t *value;

	json_object_foreach(r->args, key, value)
	{
		size_t i = 0;

		while (i < PARAMS_MAX && params[i].name && strcmp(params[i].name, key) != 0)
			i++;
		if (i == PARAMS_MAX || !params[i].name)
			return error_set(reterr, -EINVAL,
					 "'%.64s' is nothing that can be given here", key);
	}
	return 0;
}

/* What stands at {zone} and {seq}. */
static int take_parts(const struct request *r, json_t *args, struct error *reterr)
{
	uint64_t seq;

	if (!r->nr_parts)
		return 0;
	if (strstr(r->route->path, "{zone}"))
		return json_object_set_new(args, "zone", json_string(r->parts[0])) < 0
			   ? error_set(reterr, -EINVAL, "the name of the zone is not UTF-8")
			   : 0;
	if (parse_u64(r->parts[0], &seq) < 0 || seq > INT64_MAX ||
	    json_object_set_new(args, "seq", json_integer((json_int_t)seq)) < 0)
		return error_set(reterr, -EINVAL, "an action has a number");
	return 0;
}

static void on_answer(json_t *data, const struct error *why, void *arg)
{
	struct request *r = arg;
	struct error e = {0};

	if (!data) {
		request_error(r, why);
		return;
	}
	if (r->route->rows &&
	    page_cut(data, r->route->rows, r->route->key, request_query(r, "limit"),
		     request_query(r, "cursor"), &e) < 0) {
		request_error(r, &e);
		return;
	}
	request_json(r, MHD_HTTP_OK, data);
}

void route_ask(struct request *r)
{
	const struct route *route = r->route;
	struct gate *g = r->gate;
	json_t *args = json_object();
	struct error e = {0};
	int err = take_parts(r, args, &e);

	for (const struct param *p = route->params;
	     p < route->params + PARAMS_MAX && p->name && err == 0; p++) {
		if (!is_paging(route, p->name))
			err = take_param(r, p, args, &e);
	}
	if (err == 0)
		err = check_body(r, &e);
	if (err < 0) {
		json_decref(args);
		request_error(r, &e);
		return;
	}
	request_wait(r);
	czd_call(route->changes || route->slow ? g->change : g->ask, route->verb, args, on_answer,
		 r);
}

/* --- pages ----------------------------------------------------------------------------------- */

/* Rows by number, or by text; a row without the key comes last. */
static int compare_keys(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b)) {
		json_int_t x = json_integer_value(a), y = json_integer_value(b);

		return x < y ? -1 : x > y;
	}
	if (json_is_string(a) && json_is_string(b))
		return strcmp(json_string_value(a), json_string_value(b));
	return json_is_string(b) - json_is_string(a);
}

struct keyed {
	json_t *key, *row;
};

static int by_key(const void *a, const void *b)
{
	return compare_keys(((const struct keyed *)a)->key, ((const struct keyed *)b)->key);
}

static json_t *cursor_key(const char *cursor, bool numbers)
{
	uint64_t n;

	if (!numbers)
		return json_string(cursor);
	return parse_u64(cursor, &n) == 0 && n <= INT64_MAX ? json_integer((json_int_t)n) : NULL;
}

static json_t *cursor_of(const json_t *key)
{
	return json_is_integer(key) ? json_sprintf("%lld", (long long)json_integer_value(key))
				    : json_string(json_string_value(key));
}

int page_cut(json_t *data, const char *rows, const char *key, const char *limit, const char *cursor,
	     struct error *reterr)
{
	json_t *all = json_object_get(data, rows), *cut = json_array(), *after = NULL, *row;
	size_t n = json_array_size(all), i, first = 0;
	_cleanup_free_ struct keyed *order = calloc(n + 1, sizeof(*order));
	uint64_t most = PAGE_LIMIT;
	int r = 0;

	if (!order || !cut)
		r = -ENOMEM;
	else if (limit && (parse_u64(limit, &most) < 0 || !most || most > PAGE_LIMIT_MAX))
		r = error_set(reterr, -EINVAL, "'limit' is a number from 1 to %d", PAGE_LIMIT_MAX);
	else if (cursor && !(after = cursor_key(cursor, !strcmp(key, "seq"))))
		r = error_set(reterr, -EINVAL, "'cursor' is none that an answer gave");
	if (r < 0) {
		json_decref(cut);
		return r;
	}
	json_array_foreach(all, i, row) order[i] =
	    (struct keyed){.key = json_object_get(row, key), .row = row};
	qsort(order, n, sizeof(*order), by_key);
	while (after && first < n && compare_keys(order[first].key, after) <= 0)
		first++;
	for (i = first; i < n && i - first < most; i++)
		json_array_append(cut, order[i].row);
	json_object_set_new(data, "next_cursor",
			    i < n && i > first ? cursor_of(order[i - 1].key) : json_null());
	json_object_set_new(data, rows, cut);
	json_decref(after);
	return 0;
}
