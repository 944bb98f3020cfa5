/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "fuzz.h"
#include "sched/task-class.h"

/* A rule for threads: any text gives a bounded rule or an error. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct task_class_rule rule = {.class = BUS_BE};
	struct error error = {0};
	int r = task_class_parse(s, &rule, &error);

	FUZZ_ASSERT(r == 0 || (r == -EINVAL && error.msg[0]));
	if (r < 0)
		return 0;
	FUZZ_ASSERT(rule.program[0] && strlen(rule.program) < TASK_CLASS_NAME);
	FUZZ_ASSERT(rule.thread[0] && strlen(rule.thread) < TASK_CLASS_NAME);
	FUZZ_ASSERT(rule.class <= BUS_BE);
	(void)task_class_match(&rule, 1, "redis-server", "bio_close_file");
	return 0;
}
