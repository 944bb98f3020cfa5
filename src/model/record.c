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

int record_copy_text(const json_t *o, const char *key, char *buf, size_t size, struct error *reterr)
{
	const char *text = "";
	int err = record_get_text(o, key, size, &text, reterr);

	if (!err)
		str_copy(buf, size, text);
	return err;
}

int record_one_of(const char *name, const char *(*text)(int), int nr, int *ret)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(name, text(i))) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
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

int record_errno_parse(const char *name, int *ret)
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
	if (record_errno_parse(name, &ret->result) < 0 || knob_parse(knob, &ret->knob) < 0)
		return error_set(reterr, -EINVAL, "no such error or knob");
	return 0;
}

static int read_id(const json_t *o, const char *key, enum record_kind kind, struct record *ret,
		   struct error *reterr)
{
	ret->kind = kind;
	return record_get_u64(o, key, &ret->id, reterr);
}

/* Between ticks the tree may have changed. */
static int read_between(struct record_reader *r, const json_t *o, struct record *ret,
			struct error *reterr)
{
	bool changes = r->nr_gone || json_object_get(o, "tree");
	int err = record_read_tree(r, o, reterr);

	if (!err && changes && r->nr_zones)
		record_publish(r, ret);
	return err;
}

static int read_again(struct record_reader *r, const json_t *o, struct record *ret,
		      struct error *reterr)
{
	int err = read_id(o, "again", RECORD_AGAIN, ret, reterr);

	return err ? err : read_between(r, o, ret, reterr);
}

static int read_fast(struct record_reader *r, const json_t *o, struct record *ret,
		     struct error *reterr)
{
	int err = read_event(json_object_get(o, "event"), ret, reterr);

	return err ? err : read_between(r, o, ret, reterr);
}

static int read_gone(struct record_reader *r, const json_t *o, struct record *ret,
		     struct error *reterr)
{
	int err = read_id(o, "gone", RECORD_GONE, ret, reterr);
	uint32_t zone = err ? NO_ZONE : record_zone_index(r, ret->id);

	if (!err)
		err = record_copy_text(o, "name", r->gone_name, sizeof(r->gone_name), reterr);
	if (!err && !r->gone_name[0] && zone != NO_ZONE)
		str_copy(r->gone_name, sizeof(r->gone_name), r->zones[zone].name);
	ret->name = r->gone_name[0] ? r->gone_name : NULL;
	return err ? err : record_note_gone(r, ret->id);
}

static int read_mode_line(struct record_reader *r, const json_t *o, struct record *ret,
			  struct error *reterr)
{
	return read_mode(o, ret, reterr);
}

static int read_result_line(struct record_reader *r, const json_t *o, struct record *ret,
			    struct error *reterr)
{
	return read_result(o, ret, reterr);
}

static int read_can_apply(struct record_reader *r, const json_t *o, struct record *ret,
			  struct error *reterr)
{
	const json_t *v = json_object_get(o, "can_apply");

	ret->kind = RECORD_CAN_APPLY;
	ret->can_apply = json_is_true(v);
	return json_is_boolean(v)
		   ? 0
		   : error_set(reterr, -EINVAL, "'can_apply' is neither true nor false");
}

/* Lines that are a number and perhaps a time. */
#define NUMBER(name, key, kind)                                                                    \
	static int name(struct record_reader *r, const json_t *o, struct record *ret,              \
			struct error *reterr)                                                      \
	{                                                                                          \
		return read_id(o, key, kind, ret, reterr);                                         \
	}
NUMBER(read_approve, "approve", RECORD_APPROVE)
NUMBER(read_undo, "undo", RECORD_UNDO)
NUMBER(read_observe, "observe", RECORD_OBSERVE)
NUMBER(read_missed, "missed", RECORD_MISSED)
NUMBER(read_end, "end", RECORD_END)
#undef NUMBER

/* What a line is, by the field that says so; without any it is a snapshot. */
static const struct {
	const char *field;
	int (*read)(struct record_reader *r, const json_t *o, struct record *ret,
		    struct error *reterr);
} lines[] = {
    {"recording", record_read_head}, {"event", read_fast},    {"mode", read_mode_line},
    {"approve", read_approve},	     {"undo", read_undo},     {"gone", read_gone},
    {"result", read_result_line},    {"again", read_again},   {"observe", read_observe},
    {"can_apply", read_can_apply},   {"missed", read_missed}, {"end", read_end},
};

static int read_any(struct record_reader *r, const json_t *o, struct record *ret,
		    struct error *reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (json_object_get(o, lines[i].field))
			return lines[i].read(r, o, ret, reterr);
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
	if ((err = record_get_u64(o, "now", &record.now_ns, reterr)) ||
	    (err = record_read_did(r, o, &record.did, reterr)) ||
	    (err = read_any(r, o, &record, reterr)))
		return err;
	*ret = record;
	return 0;
}
