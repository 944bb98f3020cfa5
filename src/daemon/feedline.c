/* SPDX-License-Identifier: MIT */
#include "daemon/feedline.h"

#include <string.h>
#include "base/parse.h"

int feed_line_parse(char *line, struct feed_line *ret)
{
	char *save = NULL;
	const char *version = strtok_r(line, " ", &save), *zone = strtok_r(NULL, " ", &save),
		   *metric = strtok_r(NULL, " ", &save);
	const char *value = strtok_r(NULL, " ", &save), *count = strtok_r(NULL, " ", &save);
	struct feed_line f = {.zone = zone, .count = 1};

	if (!version || !zone || !metric || !value || strtok_r(NULL, " ", &save))
		return -EINVAL;
	if (strcmp(version, "v1") != 0 || strcmp(metric, "latency_ns") != 0)
		return -EINVAL;
	if (parse_u64(value, &f.latency_ns) < 0 || (count && parse_u64(count, &f.count) < 0) ||
	    !f.count)
		return -EINVAL;
	if (f.count > FEED_COUNT_MAX)
		return -ERANGE;
	*ret = f;
	return 0;
}

int feed_ack_parse(const char *line, uint64_t *ret_token)
{
	static const char head[] = "v1 ack ";

	if (strncmp(line, head, sizeof(head) - 1) != 0)
		return -EINVAL;
	return parse_u64(line + sizeof(head) - 1, ret_token);
}
