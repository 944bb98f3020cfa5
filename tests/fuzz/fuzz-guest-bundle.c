/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include "base/cleanup.h"
#include "fuzz.h"
#include "guest/bundle.h"

static size_t count_env(const json_t *process, const char *name)
{
	const json_t *env = json_object_get(process, "env");
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(env); i++)
		n += !strncmp(json_string_value(json_array_get(env, i)), name, strlen(name));
	return n;
}

/* Whatever passes has a program, no terminal and no cgroup, the app's variables once, and passes
 * again as it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct key_value env[] = {{(char *)"A", (char *)"1"}};
	const struct zone_app app = {.env = env, .nr_env = 1, .workdir = (char *)"/"};
	_cleanup_free_ char *first = NULL, *second = NULL;
	const json_t *process, *more;
	struct error e = {0};
	json_t *j;

	if (bundle_config((const char *)data, size, &app, &first, &e) < 0) {
		FUZZ_ASSERT(!first && e.code && e.msg[0]);
		return 0;
	}
	j = json_loads(first, 0, NULL);
	process = json_object_get(j, "process");
	more = json_object_get(j, "linux");
	FUZZ_ASSERT(json_string_length(json_array_get(json_object_get(process, "args"), 0)));
	FUZZ_ASSERT(json_is_false(json_object_get(process, "terminal")));
	FUZZ_ASSERT(!json_object_get(more, "resources") && !json_object_get(more, "cgroupsPath"));
	FUZZ_ASSERT(count_env(process, "A=") == 1);
	FUZZ_ASSERT(bundle_config(first, strlen(first), &app, &second, &e) == 0);
	FUZZ_ASSERT(!strcmp(first, second));
	json_decref(j);
	return 0;
}
