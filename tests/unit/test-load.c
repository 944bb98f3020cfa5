/* SPDX-License-Identifier: MIT */
/* The pure edges of cz-load: options, addresses, feed datagrams, requests. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/parse.h"
#include "bench/load.h"
#include "base/options.h"
#include "test.h"

struct values {
	bool flag;
	uint64_t time_ns, bytes, number;
	uint32_t ratio_ppm, choice;
	const char *text;
	struct cpuset cpus;
};

static const char *const choices[] = {"red", "blue", NULL};
#define OPT(...) OPTION(struct values, __VA_ARGS__)
static const struct option_desc table[] = {
    OPT("flag", FLAG, flag, NULL, "a flag", .letter = 'f'),
    OPT("time", DURATION, time_ns, "TIME", "a time", .max = 60000000000),
    OPT("bytes", SIZE, bytes, "BYTES", "a size"),
    OPT("number", NUMBER, number, "N", "a number", .min = 2, .max = 9),
    OPT("ratio", RATIO, ratio_ppm, "SHARE", "a share"),
    OPT("choice", CHOICE, choice, "red|blue", "a colour", .choices = choices, .letter = 'c'),
    OPT("text", TEXT, text, "TEXT", "a text"),
    OPT("cpus", CPUS, cpus, "LIST", "CPUs"),
    OPTIONS_END,
};
static const struct option_desc *const tables[] = {table, NULL};

static int parse(struct values *v, const char *line, const char **words, struct error *err)
{
	static char copy[256];
	char *argv[16], *rest = copy, *word;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	return options_parse(tables, v, argc, argv, words, 2, err);
}

static void test_options(void **state)
{
	struct values v = {0};
	const char *words[2] = {NULL};
	struct error err = {0};

	assert_int_equal(parse(&v,
			       "one -f --time 2.5 --bytes=4K --number 9 --ratio 10% -c blue two "
			       "--text=a=b --cpus 0-1",
			       words, &err),
			 2);
	assert_true(v.flag);
	assert_int_equal(v.time_ns, 2500000000);
	assert_int_equal(v.bytes, 4096);
	assert_int_equal(v.number, 9);
	assert_int_equal(v.ratio_ppm, 100000);
	assert_int_equal(v.choice, 1);
	assert_string_equal(v.text, "a=b");
	assert_int_equal(cpuset_count(&v.cpus), 2);
	assert_string_equal(words[0], "one");
	assert_string_equal(words[1], "two");
	assert_int_equal(parse(&v, "--time 300ms", words, &err), 0);
	assert_int_equal(v.time_ns, 300000000);
}

static void test_bad_options(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
	    {"--nmber 3", "no option '--nmber'"},
	    {"-x", "no option '-x'"},
	    {"--flag=1", "--flag takes no value"},
	    {"--time", "--time needs a value: TIME"},
	    {"--time 3x", "--time: '3x' is not a time (ns, us, ms, s, m)"},
	    {"--time 61", "--time: 61 is too large"},
	    {"--number 1", "--number: 1 is too small"},
	    {"--number -3", "--number: '-3' is not a whole number"},
	    {"--ratio 120%", "--ratio: '120%' is not a share (0% to 100%)"},
	    {"--choice green", "--choice: 'green' is not red|blue"},
	    {"--cpus 5-2", "--cpus: '5-2' is not a list of CPUs, as in 1 or 0-3,7"},
	    {"a b c", "'c' is one word too many"},
	};
	const char *words[2];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct values v = {0};
		struct error err = {0};

		assert_int_equal(parse(&v, cases[i].line, words, &err), -EINVAL);
		assert_string_equal(err.msg, cases[i].message);
		if (i == 0)
			assert_string_equal(err.hint, "Did you mean --number?");
	}
}

static void test_targets(void **state)
{
	static const char *const bad[] = {"redis", ":6379", "localhost:", "", "localhost:http2x"};
	struct error err = {0};
	char long_path[200];
	struct target t;

	assert_int_equal(target_parse("127.0.0.1:6379", &t, &err), 0);
	assert_int_equal(t.address.any.sa_family, AF_INET);
	assert_int_equal(ntohs(((struct sockaddr_in *)&t.address.any)->sin_port), 6379);
	assert_int_equal(target_parse("[::1]:80", &t, &err), 0);
	assert_int_equal(t.address.any.sa_family, AF_INET6);
	assert_int_equal(target_parse("/run/redis.sock", &t, &err), 0);
	assert_int_equal(t.address.any.sa_family, AF_UNIX);
	assert_string_equal(t.address.unix_path.sun_path, "/run/redis.sock");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(target_parse(bad[i], &t, &err), -EINVAL);
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = 0;
	assert_int_equal(target_parse(long_path, &t, &err), -ENAMETOOLONG);
}

/* Reads a datagram back as czd would; returns the number of lines. */
static unsigned int read_feed(char *text, const char *zone, struct hist *into)
{
	unsigned int lines = 0;
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) && *line) {
		char name[64];
		unsigned long long value, count;

		assert_int_equal(sscanf(line, "v1 %63s latency_ns %llu %llu", name, &value, &count),
				 3);
		assert_string_equal(name, zone);
		hist_add_n(into, value, count);
		lines++;
	}
	return lines;
}

static void test_feed(void **state)
{
	_cleanup_free_ struct hist *h = malloc(sizeof(*h));
	_cleanup_free_ struct hist *back = malloc(sizeof(*back));
	struct strbuf out = {0};

	hist_init(h);
	hist_init(back);
	feed_format(h, "demo", &out);
	assert_int_equal(out.len, 0); /* nothing measured, nothing said */
	for (uint64_t i = 0; i < 20000; i++)
		hist_add(h, 20000 + hash_u64(i) % (1 + (hash_u64(i * 7) % 5000000)));
	feed_format(h, "cz-demo-redis", &out);
	assert_true(out.len > 0 && out.len <= FEED_DATAGRAM_MAX);
	assert_true(read_feed(out.data, "cz-demo-redis", back) > 20);
	assert_int_equal(back->total, h->total);
	for (uint32_t q = 500000; q <= 990000; q += 490000) {
		double a = (double)hist_quantile(h, q), b = (double)hist_quantile(back, q);

		assert_true(b > a * 0.94 && b < a * 1.06);
	}
	strbuf_done(&out);
}

static void test_requests(void **state)
{
	struct load_options o = {
	    .keys = 5, .value_bytes = 3, .set_ratio_ppm = 250000, .path = "/x", .host = "h"};
	struct load l = {.o = &o, .value = (char[]){"vvv"}};
	struct strbuf out = {0};
	unsigned int sets = 0;

	for (int i = 0; i < 4000; i++) {
		strbuf_reset(&out);
		dialect_resp.add_request(&l, &out);
		sets += strstr(out.data, "SET") != NULL;
	}
	assert_true(sets > 850 && sets < 1150);
	strbuf_reset(&out);
	dialect_resp.add_fill(&l, 4, &out);
	assert_string_equal(out.data, "*3\r\n$3\r\nSET\r\n$14\r\nkey:0000000004\r\n$3\r\nvvv\r\n");
	strbuf_reset(&out);
	dialect_http.add_request(&l, &out);
	assert_string_equal(out.data, "GET /x HTTP/1.1\r\nHost: h\r\nUser-Agent: cz-load\r\n\r\n");
	strbuf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_options),  cmocka_unit_test(test_bad_options),
	    cmocka_unit_test(test_targets),  cmocka_unit_test(test_feed),
	    cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
