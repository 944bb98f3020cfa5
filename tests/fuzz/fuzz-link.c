/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "vm/json.h"
#include "vm/link.h"
#include "vm/term.h"
#include "fuzz.h"

static unsigned int depth_of(const json_t *value)
{
	unsigned int deepest = 0;
	const char *key;
	json_t *item;
	size_t i;

	json_array_foreach(value, i, item)
	{
		unsigned int d = depth_of(item);

		deepest = d > deepest ? d : deepest;
	}
	json_object_foreach((json_t *)value, key, item)
	{
		unsigned int d = depth_of(item);

		deepest = d > deepest ? d : deepest;
	}
	return json_is_array(value) || json_is_object(value) ? deepest + 1 : 0;
}

static void one_line(const char *line, size_t len)
{
	static const struct json_limits limits = {.depth = 3, .items = 4, .text_bytes = 8};
	int r = 0;
	json_t *value = json_line_parse(line, len, &r), *copy;
	_cleanup_free_ char *text = NULL;

	FUZZ_ASSERT(value || r == -EINVAL || r == -E2BIG);
	if (!value)
		return;
	FUZZ_ASSERT(json_is_object(value) && depth_of(value) <= JSON_DEPTH_MAX);
	copy = json_copy_within(value, &limits);
	FUZZ_ASSERT(depth_of(copy) <= 3 && json_object_size(copy) <= 4);
	text = json_dumps(copy, JSON_COMPACT);
	FUZZ_ASSERT(text && strlen(text) < 4096);
	json_decref(copy);
	json_decref(value);
}

/* What clients of link.sock and term.sock send. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	size_t at = 0, len, used;
	enum channel_type type;
	const char *line;

	while (link_next_line(text + at, size - at, &line, &len, &used) > 0) {
		FUZZ_ASSERT(used == len + 1 && at + used <= size);
		one_line(line, len);
		at += used;
	}
	if (term_frame_parse(data, size, &type, &len) > 0)
		FUZZ_ASSERT(len + TERM_HEAD <= size && len <= TERM_FRAME_MAX);
	return 0;
}
