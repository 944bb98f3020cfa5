/* SPDX-License-Identifier: MIT */
/* Rows of traces: formats, mappings, and what is said of bad lines. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include "test.h"
#include "base/cleanup.h"
#include "replay/usage.h"
#include "replay/usage-run.h"

static int fd_of(const char *text)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

struct trace {
	struct usage_map map;
	struct usage_reader *reader;
	struct usage_row row;
	struct error e;
};

static void open_with(struct trace *t, int fd, const char *format, const char *map)
{
	const struct usage_format *f = usage_format_find(format);

	memset(t, 0, sizeof(*t));
	assert_non_null(f);
	assert_int_equal(usage_map_set(&t->map, f->map, NULL), 0);
	if (map)
		assert_int_equal(usage_map_set(&t->map, map, NULL), 0);
	assert_int_equal(usage_map_check(&t->map, NULL), 0);
	assert_int_equal(usage_open(fd, "t.csv", &t->map, f->columns, &t->reader, NULL), 0);
}

static int next(struct trace *t)
{
	return usage_next(t->reader, &t->row, &t->e);
}

static void open_fixture(struct trace *t, const char *format)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/traces/%s.txt", CZ_FIXTURES, format);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	open_with(t, fd, format, NULL);
}

/* The first row, which is the same task in all: web-0 with 1.118 CPUs and CPI 1.611. */
static void test_public_formats(void **state)
{
	static const struct {
		const char *format, *task, *machine;
		uint64_t time_ns;
		double cpus; /* of which cpu is the part */
		size_t rows;
		double off; /* formats round */
	} expected[] = {
	    {"csv", "web-0", "m0", 0, 1, 12, 1e-4},
	    {"google2011", "6000097428/0", "6000001597", 600000000000, 32, 12, 1e-4},
	    {"google2019", "6000097428/0", "6000001597", 600000000000, 32, 12, 1e-4},
	    {"alibaba2018", "c_web-0", "m0", 0, 1, 12, 1e-2},
	};
	double cpu = 0, cpi = 0;

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct trace t;
		size_t rows = 1;
		int r;

		open_fixture(&t, expected[i].format);
		assert_int_equal(next(&t), 1);
		assert_int_equal(t.row.time_ns, expected[i].time_ns);
		assert_string_equal(t.row.task, expected[i].task);
		assert_string_equal(t.row.machine, expected[i].machine);
		cpu = i ? cpu : t.row.cpu_ppm;
		cpi = i ? cpi : t.row.cpi_ppm;
		assert_true(t.row.cpu_ppm * expected[i].cpus > cpu * (1 - expected[i].off));
		assert_true(t.row.cpu_ppm * expected[i].cpus < cpu * (1 + expected[i].off));
		assert_true(t.row.cpi_ppm > cpi * (1 - expected[i].off));
		assert_true(t.row.cpi_ppm < cpi * (1 + expected[i].off));
		while ((r = next(&t)) > 0)
			rows++;
		assert_int_equal(r, 0);
		assert_int_equal(rows, expected[i].rows);
		usage_close(t.reader);
	}
}

static void test_amtrace_has_a_row_a_cpu(void **state)
{
	struct trace t;
	double cycles = 0, instructions = 0, cpu = 0;

	open_fixture(&t, "amtrace");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(next(&t), 1);
		assert_string_equal(t.row.task, "web-0");
		assert_int_equal(t.row.cpi_ppm, 0);
		cycles += t.row.cycles;
		instructions += t.row.instructions;
		cpu += t.row.cpu_ppm;
	}
	assert_true(cycles / instructions > 1.2 && cycles / instructions < 2.4);
	assert_true(cpu > 800000 && cpu < 1200000);
	usage_close(t.reader);
}

static void test_a_header_and_quotes(void **state)
{
	struct trace t;

	open_with(&t,
		  fd_of("cpi,\"task\",time,cpu,class,label,culprit\r\n"
			"1.5,\"a,\"\"b\"\"\",60.5,0.25,lc,1,x\r\n"
			"\r\n"
			",b,61,-1,Batch-Share,0,null\n"),
		  "csv", NULL);
	assert_int_equal(next(&t), 1);
	assert_string_equal(t.row.task, "a,\"b\"");
	assert_int_equal(t.row.time_ns, 60500000000);
	assert_int_equal(t.row.cpi_ppm, 1500000);
	assert_int_equal(t.row.cpu_ppm, 250000);
	assert_int_equal(t.row.class, CLASS_LC);
	assert_int_equal(t.row.label, 1);
	assert_string_equal(t.row.culprit, "x");
	assert_string_equal(t.row.machine, "");
	assert_int_equal(next(&t), 1);
	assert_int_equal(t.row.line, 4);
	assert_int_equal(t.row.cpi_ppm, 0); /* not known */
	assert_int_equal(t.row.cpu_ppm, 0);
	assert_int_equal(t.row.class, CLASS_BE);
	assert_int_equal(t.row.label, 0);
	assert_int_equal(next(&t), 0);
	usage_close(t.reader);
}

static void test_a_mapping(void **state)
{
	struct trace t;

	open_with(&t, fd_of("7,pod,ns,250,1.25\n"), "csv",
		  "time=#1:ms,task=#3+#2,cpu=#4*0.001,cpi=#5");
	assert_int_equal(next(&t), 1);
	assert_int_equal(t.row.time_ns, 7000000);
	assert_string_equal(t.row.task, "ns/pod");
	assert_int_equal(t.row.cpu_ppm, 250000);
	assert_int_equal(t.row.label, -1);
	usage_close(t.reader);
	open_with(&t,
		  fd_of("{\"t\": 5, \"who\": {\"pod\": \"p\"}, \"cpu\": 1, \"cpi\": \"2.5\"}\n"),
		  "csv", "time=t,task=who.pod");
	assert_int_equal(next(&t), 1);
	assert_string_equal(t.row.task, "p");
	assert_int_equal(t.row.cpi_ppm, 2500000);
	assert_int_equal(t.row.label, -1);
	usage_close(t.reader);
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *text, *told;
	} bad[] = {
	    {"time,task,cpu\n1,a,1\n", "t.csv:1: there is no column 'cpi'"},
	    {"time,task,cpu,cpi\n1,a,1,x\n", "t.csv:2: 'x' is not a number"},
	    {"time,task,cpu,cpi\n1,a,1\n", "t.csv:2: the line has 3 columns, 4 are needed"},
	    {"time,task,cpu,cpi\n,a,1,1\n", "t.csv:2: 'time' has no time in it"},
	    {"time,task,cpu,cpi\n1,,1,1\n", "t.csv:2: 'task' has no task in it"},
	    {"{\"time\": 1\n", "t.csv:1: not a JSON object"},
	    {"1,2,3\n", "t.csv:1: there is no column 'time' in the header"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct trace t;

		open_with(&t, fd_of(bad[i].text), "csv", NULL);
		assert_true(next(&t) < 0);
		if (!strstr(t.e.msg, bad[i].told))
			fail_msg("'%s' instead of '%s'", t.e.msg, bad[i].told);
		usage_close(t.reader);
	}
}

static void test_bad_mappings(void **state)
{
	static const char *const bad[] = {"time",    "colour=x",     "time=ts:h",
					  "cpu=a*b", "task=a+b+c+d", "task="};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct usage_map map = {0};
		struct error e = {0};

		assert_int_equal(usage_map_set(&map, bad[i], &e), -EINVAL);
		assert_int_not_equal(e.msg[0], 0);
	}
	assert_int_equal(usage_map_check(&(struct usage_map){0}, NULL), -EINVAL);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		double value;
	} good[] = {{"0", 0},
		    {"-1", -1},
		    {"1.5", 1.5},
		    {".5", 0.5},
		    {"4e-10", 4e-10},
		    {"1E3", 1e3},
		    {"18446744073709551615", 18446744073709551615.0}};
	static const char *const bad[] = {"",	  "-",	".",   "1e",  "e5",   "1.2.3",
					  "0x10", "1 ", "nan", "inf", "1e999"};
	double value;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(usage_real(good[i].text, &value), 0);
		assert_true(
		    value >= good[i].value - 1e-12 * (good[i].value > 0 ? good[i].value : 1) &&
		    value <= good[i].value + 1e-12 * (good[i].value > 0 ? good[i].value : 1));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(usage_real(bad[i], &value), -EINVAL);
}

static void test_gzip_that_was_cut_off(void **state)
{
	struct trace t;
	int fd = memfd_create("gz", MFD_CLOEXEC), r;
	gzFile gz = gzdopen(dup(fd), "wb");

	for (int i = 0; i < 20000; i++)
		gzprintf(gz, "%d,task-%d,1,%d.5\n", i, i * 7919 % 1000, i % 3);
	gzclose(gz);
	assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) / 2), 0);
	lseek(fd, 0, SEEK_SET);
	open_with(&t, fd, "csv", "time=#1,task=#2,cpu=#3,cpi=#4");
	while ((r = next(&t)) > 0)
		;
	assert_int_equal(r, -EIO);
	assert_non_null(strstr(t.e.msg, "cut off"));
	usage_close(t.reader);
}

/* ---- a run: numbers for tasks, and the truth ---- */

static void test_a_run_counts(void **state)
{
	struct cpi2_config c = cpi2_default;
	struct usage_sink sink = {0};
	struct usage_result got;
	struct usage_run *u;
	struct trace t;
	char text[16384];
	size_t n =
	    (size_t)snprintf(text, sizeof(text), "time,task,job,machine,class,cpu,cpi,culprit\n");

	assert_int_equal(cpi2_config_set(&c, "spec=10m,min-samples=5,min-tasks=2", NULL), 0);
	for (int i = 0; i < 40; i++) {
		bool on = i >= 20 && i % 4 >= 2;

		for (int k = 0; k < 2; k++)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "%d,w%d,web,m%d,lc,1,%s,%s\n", i * 60, k, k,
					      on && !k ? "3"
					      : i % 2  ? "1.05"
						       : "0.95",
					      on && !k ? "b" : "");
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%d,b,batch,m0,be,%s,1,\nbad\n",
				      i * 60, on ? "1" : "0.1");
	}
	open_with(&t, fd_of(text), "csv", NULL);
	assert_int_equal(usage_run_new(&c, &sink, true, &u), 0);
	assert_int_equal(usage_run_file(u, t.reader, NULL), 0);
	assert_int_equal(usage_run_end(u, &got), 0);
	assert_int_equal(got.rows, 120);
	assert_int_equal(got.bad_rows, 40);
	assert_non_null(strstr(got.first_bad.msg, "t.csv:5: "));
	assert_int_equal(got.tasks, 3);
	assert_int_equal(got.jobs, 2);
	assert_int_equal(got.machines, 2);
	assert_true(got.has_labels && got.has_culprits);
	assert_int_equal(got.spans, 1);
	assert_int_equal(got.spans_found, 1);
	assert_true(got.true_episodes >= 1);
	assert_int_equal(got.false_episodes, 0);
	assert_true(got.names_right >= 1);
	assert_int_equal(got.names_wrong, 0);
	usage_close(t.reader);
	usage_run_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_public_formats),
	    cmocka_unit_test(test_amtrace_has_a_row_a_cpu),
	    cmocka_unit_test(test_a_header_and_quotes),
	    cmocka_unit_test(test_a_mapping),
	    cmocka_unit_test(test_bad_lines),
	    cmocka_unit_test(test_bad_mappings),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_gzip_that_was_cut_off),
	    cmocka_unit_test(test_a_run_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
