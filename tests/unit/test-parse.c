/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/parse.h"
#include "test.h"

static void test_integers(void **state)
{
	uint64_t u = 7;
	int64_t i = 7;
	uint32_t w = 7;

	assert_int_equal(parse_u64("18446744073709551615", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", &u), -ERANGE);
	assert_int_equal(parse_u64("", &u), -EINVAL);
	assert_int_equal(parse_u64("-1", &u), -EINVAL);
	assert_int_equal(parse_u64("+1", &u), -EINVAL);
	assert_int_equal(parse_u64(" 1", &u), -EINVAL);
	assert_int_equal(parse_u64("1 ", &u), -EINVAL);
	assert_int_equal(parse_u64("0x10", &u), -EINVAL);
	assert_true(u == UINT64_MAX); /* untouched by the failures */

	assert_int_equal(parse_i64("-9223372036854775808", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(parse_i64("9223372036854775807", &i), 0);
	assert_true(i == INT64_MAX);
	assert_int_equal(parse_i64("9223372036854775808", &i), -ERANGE);
	assert_int_equal(parse_i64("--1", &i), -EINVAL);

	assert_int_equal(parse_u32("4294967295", &w), 0);
	assert_int_equal(parse_u32("4294967296", &w), -ERANGE);
	assert_true(w == UINT32_MAX);
}

struct sample {
	const char *text;
	int r;
	uint64_t value;
};

static void check(const struct sample *s, size_t n, int (*parse)(const char *, uint64_t *))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = 424242;
		int r = parse(s[i].text, &v);

		if (r != s[i].r || v != (r == 0 ? s[i].value : 424242))
			fail_msg("'%s': %d, %llu", s[i].text, r, (unsigned long long)v);
	}
}

static void test_durations(void **state)
{
	static const struct sample samples[] = {
	    {"500us", 0, 500000},
	    {"1.5ms", 0, 1500000},
	    {"10m", 0, 600000000000},
	    {"2h", 0, 7200000000000},
	    {"4s", 0, 4000000000},
	    {"250ns", 0, 250},
	    {"0", 0, 0},
	    {"0s", 0, 0},
	    {"0.5ns", 0, 0},
	    {"0.000000001s", 0, 1},
	    {"0.0000000001s", -EINVAL, 0},
	    {"5", -EINVAL, 0},
	    {"", -EINVAL, 0},
	    {"s", -EINVAL, 0},
	    {".5s", -EINVAL, 0},
	    {"5.s", -EINVAL, 0},
	    {"500uss", -EINVAL, 0},
	    {"5 s", -EINVAL, 0},
	    {"-5s", -EINVAL, 0},
	    {"1e3s", -EINVAL, 0},
	    {"5S", -EINVAL, 0},
	    {"18446744073709551615ns", 0, UINT64_MAX},
	    {"18446744073709551616ns", -ERANGE, 0},
	    {"5124096h", -ERANGE, 0},
	};

	check(samples, ARRAY_SIZE(samples), parse_duration_ns);
}

static void test_cpus(void **state)
{
	static const struct {
		const char *text;
		int code;
		uint64_t ppm;
	} cases[] = {
	    {"1.5", 0, 1500000},
	    {"150%", 0, 1500000},
	    {"1500m", 0, 1500000},
	    {"0", 0, 0},
	    {"0.1%", 0, 1000},
	    {"4096", 0, 4096000000},
	    {"20000000000000", -ERANGE, 0},
	    {"1.5x", -EINVAL, 0},
	    {"", -EINVAL, 0},
	    {"-1", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ppm = 77;

		assert_int_equal(parse_cpus_ppm(cases[i].text, &ppm), cases[i].code);
		assert_int_equal(ppm, cases[i].code ? 77 : cases[i].ppm);
	}
}

static void test_sizes(void **state)
{
	static const struct sample samples[] = {
	    {"4096", 0, 4096},	       {"64K", 0, 65536},
	    {"1.5M", 0, 1572864},      {"2G", 0, 2147483648},
	    {"1T", 0, 1099511627776},  {"1KiB", 0, 1024},
	    {"1KB", 0, 1024},	       {"7B", 0, 7},
	    {"1iB", -EINVAL, 0},       {"1k", -EINVAL, 0},
	    {"1Ki", 0, 1024},	       {"K", -EINVAL, 0},
	    {"16777216T", -ERANGE, 0},
	};

	check(samples, ARRAY_SIZE(samples), parse_size_bytes);
}

static int ratio(const char *s, uint64_t *ret)
{
	uint32_t ppm;
	int r = parse_ratio_ppm(s, &ppm);

	if (r == 0)
		*ret = ppm;
	return r;
}

static void test_ratios(void **state)
{
	static const struct sample samples[] = {
	    {"12.5%", 0, 125000},   {"0.125", 0, 125000}, {"100%", 0, 1000000},
	    {"1", 0, 1000000},	    {"0", 0, 0},	  {"0.0001%", 0, 1},
	    {"100.1%", -ERANGE, 0}, {"1.01", -ERANGE, 0}, {"5 %", -EINVAL, 0},
	    {"%", -EINVAL, 0},	    {"5%%", -EINVAL, 0},  {"99999999999999999999%", -ERANGE, 0},
	};

	check(samples, ARRAY_SIZE(samples), ratio);
}

static void test_scan(void **state)
{
	const char *text = "  12\t34 x", *end = text + strlen(text), *p = text;
	uint64_t v;

	assert_int_equal(scan_u64(&p, end, &v), 0);
	assert_int_equal(v, 12);
	assert_int_equal(scan_u64(&p, end, &v), 0);
	assert_int_equal(v, 34);
	assert_int_equal(scan_u64(&p, end, &v), -EINVAL);
	assert_string_equal(p, " x"); /* not moved by the failure */
	p = text;
	assert_int_equal(scan_u64(&p, text + 3, &v), 0); /* the end is respected inside a number */
	assert_int_equal(v, 1);
	assert_int_equal(scan_u64(&p, text + 3, &v), -EINVAL);
}

static void test_format(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} times[] = {
	    {0, "0 ns"},
	    {999, "999 ns"},
	    {1000, "1 us"},
	    {328000, "328 us"},
	    {999499, "999 us"},
	    {999500, "1 ms"},
	    {4130000, "4.13 ms"},
	    {9996000, "10 ms"},
	    {23456000, "23.5 ms"},
	    {12000000000, "12 s"},
	    {90000000000, "90 s"},
	    {600000000000, "10 m"},
	    {5400000000000, "90 m"},
	    {7200000000000, "2 h"},
	    {60000, "60 us"},
	};
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		assert_string_equal(format_duration(times[i].ns, buf, sizeof(buf)), times[i].text);
	assert_string_equal(format_bytes(512, buf, sizeof(buf)), "512 B");
	assert_string_equal(format_bytes(25232932864, buf, sizeof(buf)), "23.5 GiB");
	assert_string_equal(format_bytes(1048575, buf, sizeof(buf)), "1 MiB");
	assert_string_equal(format_bytes(UINT64_MAX, buf, sizeof(buf)), "16777216 TiB");
	assert_string_equal(format_ppm(971000, buf, sizeof(buf)), "97.1 %");
	assert_string_equal(format_ppm(0, buf, sizeof(buf)), "0.0 %");
	assert_string_equal(format_ppm(1000000, buf, sizeof(buf)), "100.0 %");
	assert_string_equal(format_share(1000000, buf, sizeof(buf)), "100.0 % of the time");
	assert_string_equal(format_share(5582000, buf, sizeof(buf)),
			    "558.2 % of the time (its threads together)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_integers), cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_cpus),     cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_ratios),   cmocka_unit_test(test_scan),
	    cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
