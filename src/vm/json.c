/* SPDX-License-Identifier: MIT */
#include "vm/json.h"

#include <stdbool.h>
#include <string.h>

/* Every value is followed by a comma or a closing bracket, so counting those bounds the values. */
static bool within_bounds(const char *line, size_t len)
{
	size_t depth = 0, values = 1;
	bool text = false;

	for (size_t i = 0; i < len; i++) {
		char c = line[i];

		if (text) {
			i += c == '\\';
			text = c != '"';
			continue;
		}
		text = c == '"';
		depth += c == '{' || c == '[';
		values += c == '{' || c == '[' || c == ',';
		if (depth > JSON_DEPTH_MAX || values > JSON_VALUES_MAX)
			return false;
		if ((c == '}' || c == ']') && depth)
			depth--;
	}
	return true;
}

json_t *json_line_parse(const char *line, size_t len, int *ret_error)
{
	json_t *value;

	if (!within_bounds(line, len)) {
		*ret_error = -E2BIG;
		return NULL;
	}
	value = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!value) /* QEMU writes UINT64_MAX for "not known", which is no integer here */
		value =
		    json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	if (!json_is_object(value)) {
		json_decref(value);
		*ret_error = -EINVAL;
		return NULL;
	}
	return value;
}

static json_t *copy_text(const json_t *value, size_t max)
{
	size_t len = json_string_length(value);
	const char *text = json_string_value(value);

	/* Not in the middle of a UTF-8 character. */
	if (len > max)
		for (len = max; len && ((unsigned char)text[len] & 0xc0) == 0x80;)
			len--;
	return json_stringn(text, len);
}

static json_t *copy_object(const json_t *value, const struct json_limits *inner)
{
	json_t *copy = json_object(), *item;
	const char *key;

	json_object_foreach((json_t *)value, key, item)
	{
		if (json_object_size(copy) >= inner->items)
			break;
		if (strlen(key) > inner->text_bytes)
			continue;
		item = json_copy_within(item, inner);
		if (item && json_object_set_new(copy, key, item) < 0)
			break;
	}
	return copy;
}

json_t *json_copy_within(const json_t *value, const struct json_limits *limits)
{
	struct json_limits inner = *limits;
	json_t *copy, *item;
	size_t i;

	if (json_is_string(value))
		return copy_text(value, limits->text_bytes);
	if (!json_is_array(value) && !json_is_object(value))
		return json_deep_copy(value);
	if (limits->depth == 0)
		return NULL;
	inner.depth--;
	if (json_is_object(value))
		return copy_object(value, &inner);
	copy = json_array();
	json_array_foreach(value, i, item)
	{
		if (i >= limits->items)
			break;
		item = json_copy_within(item, &inner);
		if (item && json_array_append_new(copy, item) < 0)
			break;
	}
	return copy;
}
