/* SPDX-License-Identifier: MIT */
/* What cz-gate takes apart by hand: a path, a Host, a cursor. Lines: method, path, host, cursor. */
#include "fuzz.h"
#include "gate/routes.h"
#include "gate/security.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct security s = {.hosts = "cz.example,b", .hostname = "box"};
	char *text = fuzz_text(data, size), *rest = text, *line[4];
	struct request *r = calloc(1, sizeof(*r));
	const struct route *route;
	unsigned int status;
	json_t *page;

	FUZZ_ASSERT(r);
	for (int i = 0; i < 4; i++) {
		line[i] = rest ? strsep(&rest, "\n") : "";
	}
	if (str_copy(r->path, sizeof(r->path), line[1])) {
		route = route_find(r, line[0], &status);
		FUZZ_ASSERT(route || status == 404 || status == 405 || status == 414);
		FUZZ_ASSERT(r->nr_parts <= HTTP_PARTS_MAX);
		for (size_t i = 0; route && i < r->nr_parts; i++)
			FUZZ_ASSERT(r->parts[i] >= r->path &&
				    r->parts[i] < r->path + sizeof(r->path));
	}
	if (security_host_is_ours(&s, line[2]))
		FUZZ_ASSERT(line[2][0]);
	page = json_pack("{s:[{s:s},{s:s},{}]}", "rows", "path", "/a", "path", "/b");
	if (page_cut(page, "rows", "path", "1", line[3], NULL) == 0)
		FUZZ_ASSERT(json_array_size(json_object_get(page, "rows")) <= 1);
	json_decref(page);
	free(r);
	free(text);
	return 0;
}
