/* SPDX-License-Identifier: MIT */
/* Knobs as properties of systemd's units. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "actuate/owner-unit.h"
#include "test.h"
#include "base/cleanup.h"

static void units_of_paths(void **state)
{
	char unit[64];

	assert_int_equal(unit_of_path("/batch.slice", unit, sizeof(unit)), 0);
	assert_string_equal(unit, "batch.slice");
	assert_int_equal(unit_of_path("/system.slice/_cpu.service", unit, sizeof(unit)), 0);
	assert_string_equal(unit, "cpu.service");
	assert_int_equal(unit_of_path("/cz-zones/job", unit, sizeof(unit)), -ENOENT);
	assert_int_equal(unit_of_path("/kubepods.slice/pod1.d", unit, sizeof(unit)), -ENOENT);
	assert_string_equal(unit_interface("a@b.scope"), "org.freedesktop.systemd1.Scope");
}

static void knobs_as_properties(void **state)
{
	enum unit_property p;
	char text[KNOB_TEXT_MAX];

	assert_int_equal(unit_text_of_knob(KNOB_CPU_IDLE, "1", &p, text, sizeof(text)), 0);
	assert_int_equal(p, UNIT_WEIGHT);
	assert_string_equal(text, "idle");
	assert_int_equal(unit_text_of_knob(KNOB_CPU_IDLE, "0", &p, text, sizeof(text)),
			 -EOPNOTSUPP);
	assert_int_equal(unit_text_of_knob(KNOB_CPUSET, "0,1,2,5", &p, text, sizeof(text)), 0);
	assert_int_equal(p, UNIT_CPUS);
	assert_string_equal(text, "0-2,5");
	assert_int_equal(unit_text_of_knob(KNOB_CPU_MAX, "50000 0", &p, text, sizeof(text)),
			 -EINVAL);
	assert_int_equal(unit_text_of_knob(KNOB_MEMORY_HIGH, "8192", &p, text, sizeof(text)), 0);
	assert_int_equal(p, UNIT_MEMORY);
	assert_string_equal(text, "8192");
	assert_int_equal(unit_text_of_knob(KNOB_IO_MAX, "none", &p, text, sizeof(text)), -EINVAL);
	assert_int_equal(unit_text_of_knob(KNOB_IO_MAX, "", &p, text, sizeof(text)), 0);
	assert_int_equal(p, UNIT_IO);
	assert_string_equal(text, "");
	assert_int_equal(unit_text_of_knob(KNOB_FREEZE, "1", &p, text, sizeof(text)), -EOPNOTSUPP);
}

/* What systemd makes of the property is the very quota that was written. */
static void caps_come_back(void **state)
{
	static const uint64_t periods_us[] = {1000, 3333, 99999, 100000, 1000000};
	char knob[64], text[KNOB_TEXT_MAX];
	enum unit_property p;

	for (size_t i = 0; i < ARRAY_SIZE(periods_us); i++) {
		for (uint64_t quota_us = 1000; quota_us < 9000000;
		     quota_us = quota_us * 7 / 5 + 1) {
			snprintf(knob, sizeof(knob), "%" PRIu64 " %" PRIu64, quota_us,
				 periods_us[i]);
			assert_int_equal(
			    unit_text_of_knob(KNOB_CPU_MAX, knob, &p, text, sizeof(text)), 0);
			assert_int_equal(p, UNIT_CAP);
			assert_true(unit_agrees(UNIT_CAP, text, knob));
		}
	}
}

static void ideas_of_systemd(void **state)
{
	assert_true(unit_agrees(UNIT_WEIGHT, "", "100"));
	assert_false(unit_agrees(UNIT_WEIGHT, "", "50"));
	assert_true(unit_agrees(UNIT_WEIGHT, "idle", "0"));
	assert_true(unit_agrees(UNIT_WEIGHT, "300", "300"));
	assert_true(
	    unit_agrees(UNIT_CAP, "18446744073709551615 18446744073709551615", "max 100000"));
	assert_false(
	    unit_agrees(UNIT_CAP, "18446744073709551615 18446744073709551615", "50000 100000"));
	assert_true(unit_agrees(UNIT_CAP, "500000 18446744073709551615", "50000 100000"));
	assert_true(unit_agrees(UNIT_CPUS, "", ""));
	assert_true(unit_agrees(UNIT_CPUS, "0-1", "0-1\n"));
	assert_false(unit_agrees(UNIT_CPUS, "", "0"));
	assert_true(unit_agrees(UNIT_MEMORY, "", "max"));
	assert_true(unit_agrees(UNIT_MEMORY, "8200", "8192"));
	assert_false(unit_agrees(UNIT_MEMORY, "", "8192"));
	assert_true(unit_agrees(UNIT_IO, "", ""));
	assert_false(unit_agrees(UNIT_IO, "r /dev/vda 4096\n", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(units_of_paths),
	    cmocka_unit_test(knobs_as_properties),
	    cmocka_unit_test(caps_come_back),
	    cmocka_unit_test(ideas_of_systemd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
