/* SPDX-License-Identifier: MIT */
/* What a hostile supervisor may say, and zones on disk. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "test.h"
#include "base/str.h"
#include "daemon/zone-msg.h"
#include "daemon/zone-store.h"

static struct zone_msg msg;

static int parse(const char *line)
{
	return zone_msg_parse(line, strlen(line), &msg);
}

static void test_state(void **state)
{
	assert_int_equal(parse("{\"event\":\"state\",\"state\":\"booting\",\"accel\":\"tcg\","
			       "\"vcpus\":[{\"cpu\":1,\"tid\":42,\"online\":true}],"
			       "\"boot_ms\":null}"),
			 0);
	assert_int_equal(msg.kind, ZONE_MSG_STATE);
	assert_int_equal(msg.hello.phase, PHASE_BOOTING);
	assert_int_equal(msg.hello.nr_vcpus, 2);
	assert_int_equal(msg.hello.vcpus[0].tid, 0);
	assert_int_equal(msg.hello.vcpus[1].tid, 42);
	assert_true(msg.hello.vcpus[1].online);
	assert_int_equal(msg.hello.boot_ms, -1);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "x",
	    "[]",
	    "{}",
	    "{\"event\":\"state\"}",
	    "{\"event\":\"state\",\"state\":\"flying\"}",
	    "{\"event\":\"other\"}",
	    "{\"event\":7}",
	    "{\"id\":1}",
	    "{\"id\":1,\"ok\":1}",
	    "{\"id\":1,\"ok\":true,\"id\":2}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i]), -EBADMSG);
	assert_int_equal(zone_msg_parse(bad[1], ZONE_LINE_MAX + 1, &msg), -EBADMSG);
}

static void test_bounds(void **state)
{
	char line[ZONE_LINE_MAX];
	int n = snprintf(line, sizeof(line), "{\"event\":\"stats\",\"apps\":[");

	for (int i = 0; i < 3 * ZONE_APPS_MAX; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n,
			      "%s{\"name\":\"a%d\",\"wait_ns\":-5,\"parts\":["
			      "{\"cause\":\"neighbour\",\"app\":\"\\u001b[2Jx\",\"ns\":7}]}",
			      i ? "," : "", i);
	snprintf(line + n, sizeof(line) - (size_t)n, "]}");
	assert_int_equal(parse(line), 0);
	assert_int_equal(msg.stats.nr_apps, ZONE_APPS_MAX);
	assert_int_equal(msg.stats.apps[0].wait_ns, 0);
	assert_string_equal(msg.stats.apps[31].name, "a31");
	assert_null(strchr(msg.stats.apps[0].parts[0].app, 0x1b));
	assert_int_equal(msg.stats.apps[0].parts[0].ns, 7);
	assert_int_equal(parse("{\"event\":\"state\",\"state\":\"running\",\"vcpus\":"
			       "[{\"cpu\":64,\"tid\":1},{\"cpu\":-1,\"tid\":9}]}"),
			 0);
	assert_int_equal(msg.hello.nr_vcpus, 1);
	assert_int_equal(msg.hello.vcpus[0].tid, 9);
}

static void test_answer(void **state)
{
	assert_int_equal(parse("{\"id\":3,\"ok\":false,\"error\":{\"name\":\"EIO\",\"message\":"
			       "\"no\"}}"),
			 0);
	assert_int_equal(msg.kind, ZONE_MSG_ANSWER);
	assert_int_equal(msg.id, 3);
	assert_false(msg.ok);
	assert_string_equal(msg.error_message, "no");
	assert_int_equal(parse("{\"id\":4,\"ok\":true,\"policy\":\"exclusive\",\"switch_ms\":70,"
			       "\"stats\":{\"a\":1,\"b\":\"no number\"}}"),
			 0);
	assert_int_equal(msg.switch_ms, 70);
	assert_int_equal(msg.nr_numbers, 1);
}

static void test_record(void **state)
{
	struct zone_record rec = {ZS_RUNNING, 3, 1234, 567890, 0xdeadbeef, WISH_STOP, 77}, back;
	char text[128];

	assert_int_equal(zone_record_format(&rec, text, sizeof(text)), 0);
	assert_string_equal(text, "v1 running 3 1234 567890 00000000deadbeef stop 77\n");
	assert_int_equal(zone_record_parse(text, &back), 0);
	assert_int_equal(back.state, ZS_RUNNING);
	assert_true(back.slot == 3 && back.pid == 1234);
	assert_true(back.start_ticks == 567890 && back.spec_hash == 0xdeadbeef);
	assert_true(back.wish == WISH_STOP && back.until_ns == 77);
	assert_int_equal(zone_record_parse("v1 running 3 1234 567890 00ff\n", &back), 0);
	assert_true(back.wish == WISH_NONE && back.spec_hash == 0xff);
	assert_int_equal(zone_record_parse("v1 running 3 1 2 3 fly 0\n", &back), -EBADMSG);
	assert_int_equal(zone_record_parse("v1 running 3 1 2 3 stop\n", &back), -EBADMSG);
	assert_int_equal(zone_record_parse("v2 running 3 1 2 3\n", &back), -EBADMSG);
	assert_int_equal(zone_record_parse("v1 flying 3 1 2 3\n", &back), -EBADMSG);
	assert_int_equal(zone_record_parse("v1 running 3 -1 2 3\n", &back), -EBADMSG);
	assert_int_equal(zone_record_parse("v1 running 3 1 2 3\nmore", &back), -EBADMSG);
	assert_int_equal(zone_record_parse("", &back), -EBADMSG);
}

static void test_store(void **state)
{
	char dir[] = "/tmp/cz-store-XXXXXX";
	struct zone_record rec = {.state = ZS_CREATED, .slot = 1}, back;
	struct error e = {0};
	uint64_t hash;
	char *yaml;
	int fd;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(zone_store_open(dir, &fd, &e), 0);
	assert_int_equal(zone_store_create(fd, "web", "a: 1\n", &rec, &e), 0);
	assert_int_equal(zone_store_create(fd, "web", "a: 1\n", &rec, &e), -EEXIST);
	assert_int_equal(zone_store_load(fd, "web", &yaml, &hash, &back), 0);
	assert_string_equal(yaml, "a: 1\n");
	assert_true(hash == back.spec_hash && back.state == ZS_CREATED && back.slot == 1);
	free(yaml);
	assert_int_equal(zone_store_spec(fd, "web", "a: 2\n", &rec, &e), 0);
	assert_int_equal(zone_store_hash(fd, "web", &hash), 0);
	assert_true(hash == rec.spec_hash);
	/* What an interrupted create left goes at the next start. */
	assert_int_equal(mkdirat(fd, ".new-x", 0700), 0);
	close(fd);
	assert_int_equal(zone_store_open(dir, &fd, &e), 0);
	assert_int_equal(faccessat(fd, ".new-x", F_OK, 0), -1);
	/* Removing follows no link. */
	assert_int_equal(symlinkat("/etc", fd, "web/log/etc"), 0);
	assert_int_equal(zone_store_remove(fd, "web"), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(zone_store_load(fd, "web", &yaml, &hash, &back), -ENOENT);
	close(fd);
	assert_int_equal(remove_all_at(AT_FDCWD, dir), 0);
}

/* Totals by which of one app, after 1, 2, ... seconds. */
static struct zone_stats *report(uint64_t at_ns, uint64_t batch_ns, uint64_t self_ns)
{
	static struct zone_stats s[2];
	static int which;
	struct zone_stats *r = &s[which ^= 1];

	*r = (struct zone_stats){.at_ns = at_ns, .nr_apps = 1};
	r->apps[0] = (struct zone_app_stats){
	    .name = "web",
	    .wait_known = true,
	    .wait_ns = batch_ns + self_ns,
	    .waits = (batch_ns + self_ns) / 1000000,
	    .wait_p99_ns = 7,
	    .nr_parts = batch_ns ? 2 : 1,
	    .parts = {{.cause = "self", .ns = self_ns},
		      {.cause = "neighbour", .app = "batch", .ns = batch_ns}}};
	return r;
}

#define S_NS 1000000000ull

static void test_recent(void **state)
{
	static struct zone_stats now, first;
	const struct zone_app_stats *a = &now.apps[0];

	/* The first report of a guest has nothing to be compared with. */
	assert_true(zone_stats_recent(&first, report(90 * S_NS, 0, 38 * S_NS), &now));
	assert_false(a->wait_known);
	assert_string_equal(a->name, "web");
	/* 38 s in total, then a second with a half behind batch: that half is what counts. */
	assert_true(zone_stats_recent(report(90 * S_NS, 0, 38 * S_NS),
				      report(91 * S_NS, S_NS / 2, 38 * S_NS + 1), &now));
	assert_true(a->wait_known && a->wait_ns == S_NS / 2 + 1 && a->waits == 500);
	assert_int_equal(a->nr_parts, 2);
	assert_string_equal(a->parts[0].app, "batch");
	assert_int_equal(a->parts[0].ns, S_NS / 2);
	assert_int_equal(a->wait_p99_ns, 7);
	/* Two seconds between reports: as much a second. */
	assert_true(zone_stats_recent(report(90 * S_NS, 0, 0), report(92 * S_NS, S_NS, 0), &now));
	assert_int_equal(a->wait_ns, S_NS / 2);
	/* Nothing since: known to be nothing. */
	assert_true(
	    zone_stats_recent(report(90 * S_NS, S_NS, 5), report(91 * S_NS, S_NS, 5), &now));
	assert_true(a->wait_known && !a->wait_ns && !a->waits && !a->nr_parts);
}

static void test_recent_unknown(void **state)
{
	static struct zone_stats now, full;

	/* Reports are missing; the clock went back (booted anew); the totals fell. */
	assert_true(zone_stats_recent(report(10 * S_NS, 0, 0), report(30 * S_NS, 9, 9), &now));
	assert_false(now.apps[0].wait_known);
	assert_true(zone_stats_recent(report(10 * S_NS, 0, 0), report(9 * S_NS, 9, 9), &now));
	assert_false(now.apps[0].wait_known);
	assert_true(zone_stats_recent(report(10 * S_NS, 9, 9), report(11 * S_NS, 8, 8), &now));
	assert_false(now.apps[0].wait_known);
	/* Too short a time says nothing, whatever it claims. */
	assert_false(
	    zone_stats_recent(report(10 * S_NS, 0, 0), report(10 * S_NS + 1, S_NS, S_NS), &now));
	/* No total is so large that a second's overflows. */
	assert_true(zone_stats_recent(report(10 * S_NS, 0, 0),
				      report(10 * S_NS + S_NS / 5, 0, INT64_MAX), &now));
	assert_int_equal(now.apps[0].wait_ns, INT64_MAX);
	/* A list that was full may have lacked the part. */
	full = *report(10 * S_NS, 0, 0);
	full.apps[0].nr_parts = ZONE_PARTS_MAX;
	assert_true(zone_stats_recent(&full, report(11 * S_NS, S_NS / 2, 0), &now));
	assert_int_equal(now.apps[0].nr_parts, 1);
	str_copy(full.apps[0].parts[1].app, sizeof(full.apps[0].parts[1].app), "other");
	assert_true(zone_stats_recent(&full, report(11 * S_NS, S_NS / 2, 0), &now));
	assert_int_equal(now.apps[0].nr_parts, 0);
	assert_int_equal(now.apps[0].wait_ns, S_NS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_state),  cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_bounds), cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_record), cmocka_unit_test(test_store),
	    cmocka_unit_test(test_recent), cmocka_unit_test(test_recent_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
