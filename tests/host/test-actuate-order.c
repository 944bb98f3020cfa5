/* SPDX-License-Identifier: MIT */
/* Actions that stand on one another: whatever the order of applying and undoing, all ends as it
 * began. */
#include "actuate-env.h"
#include "base/cleanup.h"

static const struct {
	enum knob knob;
	const char *to;
} stack[] = {
    {KNOB_CPU_WEIGHT, "10"}, {KNOB_CPU_BURST, "5000"}, {KNOB_CPU_MAX, "20000 50000"},
    {KNOB_CPU_IDLE, "1"},    {KNOB_CPUSET, "0"},       {KNOB_FREEZE, "1"},
};
#define STACK ARRAY_SIZE(stack)

static void prepare_stack(void)
{
	env_make("/a/b");
	env_write("/a", WEIGHT, "303");
	env_set_max("/a", "80000", "100000");
	env_write("/a", BURST, "60000");
}

/* The n-th permutation of 0..5. */
static void permutation(unsigned int n, size_t order[STACK])
{
	bool used[STACK] = {false};

	for (size_t i = 0; i < STACK; i++) {
		size_t left = STACK - i, pick = n % left;

		n /= (unsigned int)left;
		for (order[i] = 0; used[order[i]] || pick-- > 0; order[i]++)
			;
		used[order[i]] = true;
	}
}

/* Each order of undoing gives back what was there, with the values of the rest in force meanwhile.
 */
static void test_undo_in_any_order(void **state)
{
	_cleanup_free_ char *before = NULL;
	size_t order[STACK];

	prepare_stack();
	before = env_snapshot();
	for (unsigned int n = 0; n < 720; n++) {
		_cleanup_free_ char *after = NULL;
		uint64_t first = env.seq + 1;

		permutation(n, order);
		for (size_t i = 0; i < STACK; i++)
			assert_int_equal(env_apply("/a", stack[i].knob, stack[i].to), 0);
		for (size_t i = 0; i < STACK; i++) {
			assert_int_equal(env_undo(first + order[i]), 0);
			if (i == STACK / 2) { /* what was handed on survives a restart */
				env_close();
				env_open();
			}
		}
		after = env_snapshot();
		assert_string_equal(after, before);
	}
}

/* Each order of applying is undone youngest first; weight under idle is refused. */
static void test_apply_in_any_order(void **state)
{
	_cleanup_free_ char *before = NULL;
	size_t order[STACK];

	prepare_stack();
	before = env_snapshot();
	for (unsigned int n = 0; n < 720; n++) {
		_cleanup_free_ char *after = NULL;
		struct undo_report report;
		uint32_t applied = 0;

		permutation(n, order);
		for (size_t i = 0; i < STACK; i++) {
			int r = env_apply("/a", stack[order[i]].knob, stack[order[i]].to);

			assert_true(r == 0 || r == -EINVAL || r == -EALREADY);
			applied += r == 0;
		}
		env_close(); /* the next czd finds the journal */
		env_open();
		assert_int_equal(actuator_undo_all(env.act, &report, NULL), 0);
		assert_int_equal(report.restored, applied);
		after = env_snapshot();
		assert_string_equal(after, before);
	}
}

/* A child's cpuset acted on first, then its parent's; the child's undone first. */
static void test_nested_cpusets(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	if (strcmp(env_read("", CG_CPUSET, "cpuset.effective_cpus", "cpuset.cpus.effective"),
		   "0-1"))
		skip();
	env_make("/a/b");
	env_make("/a/b/c");
	before = env_snapshot();
	assert_int_equal(env_apply("/a/b/c", KNOB_CPUSET, "0"), 0);
	assert_int_equal(env_apply("/a", KNOB_CPUSET, "0"), 0);
	assert_int_equal(env_undo(1), 0);
	assert_int_equal(env_undo(2), 0);
	after = env_snapshot();
	assert_string_equal(after, before);
}

/* A quota raised, then a burst that only the raised one allows; the quota undone first. */
static void test_burst_above_the_old_quota(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	env_set_max("/a", "20000", "100000");
	before = env_snapshot();
	assert_int_equal(env_apply("/a", KNOB_CPU_MAX, "80000 200000"), 0);
	assert_int_equal(env_apply("/a", KNOB_CPU_BURST, "60000"), 0);
	assert_int_equal(env_undo(1), 0);
	assert_int_equal(env_undo(2), 0);
	after = env_snapshot();
	assert_string_equal(after, before);
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, env_setup, env_teardown)
	    T(test_undo_in_any_order),
	    T(test_apply_in_any_order),
	    T(test_nested_cpusets),
	    T(test_burst_above_the_old_quota),
#undef T
	};

	return cmocka_run_group_tests_name("actuate-order", tests, NULL, NULL);
}

int main(void)
{
	return env_main("order", run_all);
}
