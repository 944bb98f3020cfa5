/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "spec/spec.h"
#include "test.h"

static struct error_list errs;

static int load(const char *text, struct config *ret)
{
	return spec_load_text("czd.yaml", text, strlen(text), ret, &errs);
}

/* The text is refused with exactly these messages (after "czd.yaml:"), in order. */
static void expect(const char *text, size_t nr, const char *const messages[])
{
	struct config c = {.max_zones = 77};

	assert_int_equal(load(text, &c), -EINVAL);
	assert_int_equal(c.max_zones, 77); /* untouched */
	for (size_t i = 0; i < nr && i < errs.nr; i++) {
		assert_memory_equal(errs.items[i].text, "czd.yaml:", 9);
		assert_string_equal(errs.items[i].text + 9, messages[i]);
	}
	assert_int_equal(errs.total, nr);
	assert_int_equal(errs.nr, nr);
}
#define EXPECT(text, ...)                                                                          \
	expect(text, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),                  \
	       (const char *const[]){__VA_ARGS__})

static void test_all_keys(void **state)
{
	_cleanup_(config_done) struct config c = {0};

	assert_int_equal(
	    load("tick: 500ms\n"
		 "mode: enforce\n"
		 "guard: {fast_threshold: 200us, measure: 2s, cooldown: 3s, quiet: 1m, lease: 5m,\n"
		 "  max_actions: 8, min_cap: 20%, allow_freeze: true, allow_cpuset: false,\n"
		 "  allow_cap: false, min_memory: 32M, min_io: 4M, allow_memory: false, allow_io: "
		 "false}\n"
		 "ledger: {enabled: false, budget: 2%, max_zones: 100}\n"
		 "limits: {max_zones: 1000, fd_budget: 500}\n"
		 "off_limits: [\"/a/**\", sshd.service]\n"
		 "zones:\n"
		 "  - match: redis.service\n"
		 "    class: lc\n"
		 "    slo: {wait.p99: 500us, share: 5%, latency.p99: 2ms}\n"
		 "  - {match: \"/batch/**\", class: be}\n"
		 "  - match: web\n"
		 "    slo: {share: 1%}\n"
		 "    controller: cpi2-cap\n",
		 &c),
	    0);
	assert_int_equal(c.tick_ns, 500000000);
	assert_int_equal(c.guard.mode, MODE_ENFORCE);
	assert_int_equal(c.guard.fast_threshold_ns, 200000);
	assert_int_equal(c.guard.measure_ns, 2000000000);
	assert_int_equal(c.guard.cooldown_ns, 3000000000);
	assert_int_equal(c.guard.quiet_ns, 60000000000);
	assert_int_equal(c.guard.lease_ns, 300000000000);
	assert_int_equal(c.guard.max_actions, 8);
	assert_int_equal(c.guard.min_cap_ppm, 200000);
	assert_true(c.guard.allow_freeze && !c.guard.allow_cpuset && !c.guard.allow_cap);
	assert_int_equal(c.guard.min_memory_bytes, 32 << 20);
	assert_int_equal(c.guard.min_io_bytes, 4 << 20);
	assert_true(!c.guard.allow_memory && !c.guard.allow_io);
	assert_false(c.ledger.enabled);
	assert_int_equal(c.ledger.budget_ppm, 20000);
	assert_int_equal(c.ledger.max_zones, 100);
	assert_int_equal(c.max_zones, 1000);
	assert_int_equal(c.fd_budget, 500);
	assert_string_equal(c.off_limits[0], "/a/**");
	assert_string_equal(c.off_limits[1], "sshd.service");
	assert_null(c.off_limits[2]);
	assert_int_equal(c.nr_rules, 3);
	assert_string_equal(c.rules[0].match, "redis.service");
	assert_int_equal(c.rules[0].class, CLASS_LC);
	assert_int_equal(c.rules[0].line, 10);
	assert_int_equal(c.rules[0].slo.wait_p99_ns, 500000);
	assert_int_equal(c.rules[0].slo.wait_share_ppm, 50000);
	assert_int_equal(c.rules[0].slo.latency_p99_ns, 2000000);
	assert_int_equal(c.rules[1].class, CLASS_BE);
	assert_int_equal(c.rules[2].class, CLASS_LC); /* an slo means lc */
	assert_int_equal(c.rules[2].control, CONTROL_CPI2_CAP);
	assert_int_equal(c.rules[0].control, CONTROL_GUARD);
}

static void assert_is_default(const struct config *c)
{
	struct config d;

	config_defaults(&d);
	assert_int_equal(c->tick_ns, d.tick_ns);
	assert_int_equal(c->guard.mode, d.guard.mode);
	assert_int_equal(c->guard.fast_threshold_ns, d.guard.fast_threshold_ns);
	assert_int_equal(c->guard.measure_ns, d.guard.measure_ns);
	assert_int_equal(c->guard.cooldown_ns, d.guard.cooldown_ns);
	assert_int_equal(c->guard.quiet_ns, d.guard.quiet_ns);
	assert_int_equal(c->guard.lease_ns, d.guard.lease_ns);
	assert_int_equal(c->guard.max_actions, d.guard.max_actions);
	assert_int_equal(c->guard.min_cap_ppm, d.guard.min_cap_ppm);
	assert_int_equal(c->guard.allow_freeze, d.guard.allow_freeze);
	assert_int_equal(c->guard.allow_cpuset, d.guard.allow_cpuset);
	assert_int_equal(c->guard.allow_cap, d.guard.allow_cap);
	assert_int_equal(c->guard.min_memory_bytes, d.guard.min_memory_bytes);
	assert_int_equal(c->guard.min_io_bytes, d.guard.min_io_bytes);
	assert_true(c->guard.allow_memory && c->guard.allow_io);
	assert_int_equal(c->ledger.enabled, d.ledger.enabled);
	assert_int_equal(c->ledger.budget_ppm, d.ledger.budget_ppm);
	assert_int_equal(c->ledger.max_zones, d.ledger.max_zones);
	assert_int_equal(c->max_zones, d.max_zones);
	assert_int_equal(c->fd_budget, d.fd_budget);
	assert_null(c->rules);
}

static void test_nothing_given_is_the_default(void **state)
{
	static const char *const texts[] = {"", "# only a comment\n", "---\n...\n", "{}",
					    "guard:\nledger:\nzones:\noff_limits: []\n"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(config_done) struct config c = {0};

		assert_int_equal(load(texts[i], &c), 0);
		assert_is_default(&c);
	}
}

static void test_all_errors_at_once(void **state)
{
	EXPECT(
	    "tick: 1\n"
	    "mode: obsrve\n"
	    "guard: {leese: 10m, max_actions: 0, allow_freeze: yes}\n"
	    "ledger: {budget: 90%}\n"
	    "ledger: {enabled: true}\n"
	    "frobnicate: 1\n"
	    "zones:\n"
	    "  - match: redis.service\n"
	    "    slo:\n"
	    "      wait.p99: 500uss\n"
	    "      wait.p98: 1ms\n"
	    "  - match: redis.service\n"
	    "    class: be\n"
	    "    slo: {share: 5%}\n"
	    "  - class: foo\n"
	    "  - {match: x}\n"
	    "  - bar\n",
	    "1: tick: '1' is not a time (ns, us, ms, s, m, h)",
	    "2: mode: 'obsrve' is not a mode (observe, enforce)",
	    "3: guard: unknown key 'leese'. Did you mean 'lease'?",
	    "3: guard.max_actions: 0 is out of range (1 to 4096)",
	    "3: guard.allow_freeze: 'yes' is not true or false",
	    "4: ledger.budget: 90% is out of range (0.1 % to 50.0 %)", "5: ledger: is given twice",
	    "6: unknown key 'frobnicate' (known: tick, mode, guard, ledger, probes, limits, "
	    "off_limits, zones)",
	    "10: slo.wait.p99: '500uss' is not a time (ns, us, ms, s, m, h)",
	    "11: slo: unknown key 'wait.p98'. Did you mean 'wait.p99'?",
	    "12: an slo needs class lc; this zone's class is be", "12: the same match as in line 8",
	    "15: class: 'foo' is not a class (lc, be, normal)",
	    "15: 'match' is missing: which zones is this for?",
	    "16: 'class' is missing (lc, be, normal)", "17: expected '- match: NAME' here");
}

static void test_wrong_shapes(void **state)
{
	EXPECT("- a\n- b\n", "1: expected entries such as 'tick: ...' here");
	EXPECT("text", "1: expected entries such as 'tick: ...' here");
	EXPECT("guard: 7\n", "1: guard: expected entries such as 'fast_threshold: ...' here");
	EXPECT("tick: [1s]\n",
	       "1: tick: expected one value, not a list: a time (ns, us, ms, s, m, h)");
	EXPECT("tick: {a: 1s}\n",
	       "1: tick: expected one value, not keys: a time (ns, us, ms, s, m, h)");
	EXPECT("tick:\n", "1: tick: a value is missing here: a time (ns, us, ms, s, m, h)");
	EXPECT("zones:\n  - {match: a, controller: parties}\n  - {match: b, class: be, controller: "
	       "cpi2-cap}\n",
	       "2: controller: 'parties' is not a controller (guard, cpi2-cap)",
	       "2: 'class' is missing (lc, be, normal)",
	       "3: a controller acts for zones of class lc; this zone's class is be");
	EXPECT("zones: {match: a}\n", "1: zones: expected a list here ('- ...' lines or [a, b])");
	EXPECT("off_limits:\n  - a/b\n  - \"x\\ty\"\n  - \"\"\n",
	       "2: off_limits: 'a/b' is not a path: paths begin with '/'",
	       "3: off_limits: 'x\\x09y' is not a name: it has control characters",
	       "4: off_limits: a name must have 1 to 1023 characters");
	EXPECT("zones:\n  - {match: a, class: lc, slo: \"wait.p99=1ms\"}\n",
	       "2: slo: expected entries such as 'wait.p99: ...' here");
}

static void test_syntax_and_bombs(void **state)
{
	EXPECT("zones:\n  - match: x\n   class: be\n",
	       "3: YAML syntax: did not find expected '-' indicator (while parsing a block "
	       "collection that began in line 2)");
	EXPECT("a: \"open\n", "2: YAML syntax: found unexpected end of stream (while scanning a "
			      "quoted scalar that began in line 1)");
	EXPECT("tick: 1s\n\nmode: \x01\n", "3: YAML syntax: control characters are not allowed");
	EXPECT("tick: \xff\n", "1: YAML syntax: invalid leading UTF-8 octet");
	EXPECT("a: &x [1]\nb: [*x, *x]\n",
	       "1: anchors (&name) are not supported: write the value out");
	EXPECT("tick: &t 1s\n", "1: anchors (&name) are not supported: write the value out");
	EXPECT("tick: 1s\nx: *y\n", "2: aliases (*name) are not supported: write the value out");
	EXPECT("tick: !!str 1s\n", "1: tags (!name) are not supported");
	EXPECT("tick: 1s\n---\ntick: 2s\n", "2: a second document ('---') in one file");
	EXPECT("[[[[[[[[[[1]]]]]]]]]]", "1: nested too deep");
	EXPECT("? [a]\n: b\n", "1: a key must be a plain text");
	EXPECT("mode: \"a\\0b\"\n", "1: a text contains a NUL character");
}

static void test_relations(void **state)
{
	struct config c;

	assert_int_equal(load("guard: {measure: 1m, lease: 10s}\n", &c), -EINVAL);
	assert_string_equal(errs.items[0].text, "czd.yaml: guard.lease must be longer than "
						"guard.measure, or no effect is measured");
}

static void test_limits(void **state)
{
	const size_t entries = SPEC_RULES_MAX + 1;
	_cleanup_free_ char *text = calloc(entries, 8); /* longer than what goes in */
	_cleanup_free_ char *many = NULL;
	struct config c;
	char *p;

	assert_non_null(text);
	p = stpcpy(text, "off_limits: [");
	for (size_t i = 0; i < entries; i++)
		p = stpcpy(p, "a,");
	strcpy(p, "]");
	EXPECT(text, "1: off_limits: 4097 entries; at most 4096 are possible");

	/* more errors than are kept: all are counted */
	many = calloc(1, 200 * 8 + 1);
	for (int i = 0; i < 200; i++)
		strcat(many, "zzzz: 1\n");
	assert_int_equal(load(many, &c), -EINVAL);
	assert_int_equal(errs.total, 200);
	assert_int_equal(errs.nr, ERROR_LIST_MAX);
}

static void test_values_are_escaped(void **state)
{
	EXPECT("mode: \"\\e[2Jx\"\n", "1: mode: '\\x1b[2Jx' is not a mode (observe, enforce)");
	EXPECT("\"\\e[2J\": 1\n",
	       "1: unknown key '\\x1b[2J' (known: tick, mode, guard, ledger, probes, "
	       "limits, off_limits, zones)");
}

static void test_files(void **state)
{
	char dir[] = "/tmp/cz-spec-XXXXXX";
	struct config c;
	int fd;

	assert_int_equal(spec_load_file(AT_FDCWD, "/nonexistent/czd.yaml", &c, &errs), -ENOENT);
	assert_string_equal(errs.items[0].text, "/nonexistent/czd.yaml: No such file or directory");
	assert_int_equal(spec_load_file(AT_FDCWD, "/", &c, &errs), -EINVAL);
	assert_string_equal(errs.items[0].text, "/: not a regular file");
	assert_int_equal(spec_load_file(AT_FDCWD, "/dev/zero", &c, &errs), -EFBIG);
	assert_int_equal(spec_load_file(AT_FDCWD, "/dev/null", &c, &errs), 0);
	config_done(&c);

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0); /* must not hang */
	assert_int_equal(spec_load_file(fd, "fifo", &c, &errs), -EINVAL);
	unlinkat(fd, "fifo", 0);
	close(fd);
	rmdir(dir);
}

/* The example's comments are the defaults: uncommented, it loads and changes nothing. */
static void test_example(void **state)
{
	_cleanup_(config_done) struct config c = {0}, d = {0};
	_cleanup_fclose_ FILE *f = fopen(EXAMPLE, "re");
	char text[8192], *p, *out;

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	assert_int_equal(load(text, &c), 0);
	assert_is_default(&c);
	for (p = out = text; *p; p++) /* "#key" and "#  key" are defaults, "# text" is a comment */
		if (p[0] != '#' || (p[1] == ' ' && p[2] != ' '))
			*out++ = *p;
	*out = 0;
	assert_int_equal(load(text, &d), 0);
	assert_int_equal(d.nr_rules, 2);
	assert_string_equal(d.off_limits[0], "/system.slice/important.service");
	d.fd_budget = c.fd_budget; /* depends on the machine */
	free(d.rules[0].match);
	free(d.rules[1].match);
	free(d.rules);
	d.rules = NULL;
	d.nr_rules = 0;
	assert_is_default(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_keys),
	    cmocka_unit_test(test_nothing_given_is_the_default),
	    cmocka_unit_test(test_all_errors_at_once),
	    cmocka_unit_test(test_wrong_shapes),
	    cmocka_unit_test(test_syntax_and_bombs),
	    cmocka_unit_test(test_relations),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_values_are_escaped),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
