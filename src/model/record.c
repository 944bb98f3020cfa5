/* SPDX-License-Identifier: MIT */
/* Reads recordings: one line, one record. */
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "model/record-internal.h"

#define _cleanup_json_ _cleanup_(json_decrefp)

int record_get_u64(const json_t *o, const char *key, uint64_t *ret, struct error *reterr)
{
	const json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return error_set(reterr, -EINVAL, "'%s' is not a number from 0 on", key);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

int record_item_u64(const json_t *array, size_t i, uint64_t max, uint64_t *ret,
		    struct error *reterr)
{
	const json_t *v = json_array_get(array, i);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return error_set(reterr, -EINVAL, "item %zu is not a number from 0 to %llu", i,
				 (unsigned long long)max);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

int record_get_i32(const json_t *o, const char *key, int32_t *ret, struct error *reterr)
{
	const json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < INT32_MIN ||
	    json_integer_value(v) > INT32_MAX)
		return error_set(reterr, -EINVAL, "'%s' is not a 32-bit number", key);
	*ret = (int32_t)json_integer_value(v);
	return 0;
}

int record_get_text(const json_t *o, const char *key, size_t max, const char **ret,
		    struct error *reterr)
{
	const json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	if (!json_is_string(v) || json_string_length(v) >= max)
		return error_set(reterr, -EINVAL, "'%s' is not a text of less than %zu bytes", key,
				 max);
	*ret = json_string_value(v);
	return 0;
}

static int read_event(const json_t *o, struct record *ret, struct error *reterr)
{
	struct fast_event *e = &ret->event;
	const char *comm = "";
	int err;

	ret->kind = RECORD_EVENT;
	*e = (struct fast_event){.cpu = -1};
	if ((err = record_get_u64(o, "now", &e->now_ns, reterr)) ||
	    (err = record_get_u64(o, "since", &e->since_ns, reterr)) ||
	    (err = record_get_u64(o, "foreign", &e->foreign_ns, reterr)) ||
	    (err = record_get_u64(o, "victim", &e->victim_id, reterr)) ||
	    (err = record_get_u64(o, "culprit", &e->culprit_id, reterr)) ||
	    (err = record_get_i32(o, "cpu", &e->cpu, reterr)) ||
	    (err = record_get_i32(o, "pid", &e->pid, reterr)) ||
	    (err = record_get_text(o, "comm", COMM_MAX, &comm, reterr)))
		return err;
	str_copy(e->comm, sizeof(e->comm), comm);
	return 0;
}

static int read_mode(const json_t *o, struct record *ret, struct error *reterr)
{
	const char *mode = "";
	int err;

	ret->kind = RECORD_MODE;
	if ((err = record_get_text(o, "mode", 16, &mode, reterr)) ||
	    (err = record_get_u64(o, "victim", &ret->id, reterr)))
		return err;
	if (guard_mode_parse(mode, &ret->mode) < 0)
		return error_set(reterr, -EINVAL, "no such mode: '%s'", mode);
	return record_get_u64(o, "until", &ret->until_ns, reterr);
}

static int errno_parse(const char *name, int *ret)
{
	*ret = 0;
	if (!strcmp(name, "OK"))
		return 0;
	for (int code = 1; code < 134; code++)
		if (!strcmp(name, error_name(-code))) {
			*ret = -code;
			return 0;
		}
	return -EINVAL;
}

static int read_result(const json_t *o, struct record *ret, struct error *reterr)
{
	const char *name = "", *knob = "", *step = "apply";
	int err;

	ret->kind = RECORD_RESULT;
	if ((err = record_get_text(o, "result", 32, &name, reterr)) ||
	    (err = record_get_text(o, "knob", 32, &knob, reterr)) ||
	    (err = record_get_text(o, "step", 16, &step, reterr)))
		return err;
	ret->result_is_undo = !strcmp(step, "undo");
	if (errno_parse(name, &ret->result) < 0 || knob_parse(knob, &ret->knob) < 0)
		return error_set(reterr, -EINVAL, "no such error or knob");
	return 0;
}

static int read_id(const json_t *o, const char *key, enum record_kind kind, struct record *ret,
		   struct error *reterr)
{
	ret->kind = kind;
	return record_get_u64(o, key, &ret->id, reterr);
}

static int read_any(struct record_reader *r, const json_t *o, struct record *ret,
		    struct error *reterr)
{
	const json_t *event = json_object_get(o, "event");

	if (event)
		return read_event(event, ret, reterr);
	if (json_object_get(o, "mode"))
		return read_mode(o, ret, reterr);
	if (json_object_get(o, "approve"))
		return read_id(o, "approve", RECORD_APPROVE, ret, reterr);
	if (json_object_get(o, "undo"))
		return read_id(o, "undo", RECORD_UNDO, ret, reterr);
	if (json_object_get(o, "gone"))
		return read_id(o, "gone", RECORD_GONE, ret, reterr);
	if (json_object_get(o, "result"))
		return read_result(o, ret, reterr);
	return record_read_snapshot(r, o, ret, reterr);
}

int record_read(struct record_reader *r, const char *line, struct record *ret, struct error *reterr)
{
	json_error_t e;
	_cleanup_json_ json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, &e);
	struct record record = {0};
	int err;

	if (!json_is_object(o))
		return error_set(reterr, -EINVAL, "not a JSON object: %s",
				 o ? "another value" : e.text);
	err = record_get_u64(o, "now", &record.now_ns, reterr);
	if (!err)
		err = read_any(r, o, &record, reterr);
	if (!err)
		*ret = record;
	return err;
}
