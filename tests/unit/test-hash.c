/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/hash.h"
#include "test.h"

#define KEYS 4096

static void test_basics(void **state)
{
	struct hash h = {0};
	int a, b;

	assert_null(hash_get(&h, 0));
	assert_null(hash_remove(&h, 0));
	assert_int_equal(hash_put(&h, 0, NULL), -EINVAL);
	assert_int_equal(hash_put(&h, 0, &a), 0);
	assert_ptr_equal(hash_get(&h, 0), &a);
	assert_int_equal(hash_put(&h, 0, &b), 0); /* replaces */
	assert_int_equal(h.count, 1);
	assert_ptr_equal(hash_remove(&h, 0), &b);
	assert_null(hash_get(&h, 0));
	assert_int_equal(h.count, 0);
	hash_done(&h);
}

/* Random puts and removes against a plain array: finds every slip of the backward shift. */
static void test_against_array(void **state)
{
	static int values[KEYS];
	static bool present[KEYS];
	struct hash h = {0};
	uint64_t x = 1;
	size_t count = 0, seen = 0;

	for (int step = 0; step < 200000; step++) {
		size_t k;

		x = hash_u64(x + 1);
		k = x % KEYS;
		if (x >> 63) {
			assert_int_equal(hash_put(&h, k * 4096, &values[k]), 0);
			count += !present[k];
			present[k] = true;
		} else {
			assert_ptr_equal(hash_remove(&h, k * 4096),
					 present[k] ? (void *)&values[k] : NULL);
			count -= present[k];
			present[k] = false;
		}
		assert_int_equal(h.count, count);
	}
	for (size_t k = 0; k < KEYS; k++)
		assert_ptr_equal(hash_get(&h, k * 4096), present[k] ? (void *)&values[k] : NULL);
	hash_for_each(&h, e) {
		assert_true(present[e->key / 4096]);
		seen++;
	}
	assert_int_equal(seen, count);
	hash_done(&h);
}

static void test_strings(void **state)
{
	assert_true(hash_string("/a") == hash_string("/a"));
	assert_true(hash_string("/a") != hash_string("/b"));
	assert_true(hash_string("") != hash_string("a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_basics),
	    cmocka_unit_test(test_against_array),
	    cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
