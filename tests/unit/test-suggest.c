/* SPDX-License-Identifier: MIT */
/* What zones look like, from counts; and the lines that sockets are read from. */
#include "cli/suggest.h"
#include "test.h"

#define SECOND 1000000000ull

static struct zone_seen *zone(uint64_t run_ns, uint64_t wakes)
{
	struct zone_seen *z = calloc(1, sizeof(*z));

	assert_non_null(z);
	*z = (struct zone_seen){.path = "/x", .used_ns = run_ns, .run_ns = run_ns, .wakes = wakes};
	return z;
}

/* Frees the zone. */
static void expect(struct zone_seen *z, uint64_t watched_ns, enum confidence confidence,
		   enum zone_class class, const char *why)
{
	struct proposal p;

	suggest_judge(z, watched_ns, &p);
	assert_non_null(strstr(p.why.data, why));
	assert_int_equal(p.confidence, confidence);
	if (confidence)
		assert_int_equal(p.class, class);
	if (class == CLASS_BE)
		assert_int_equal(p.wait_p99_ns, 0);
	proposal_done(&p);
	free(z);
}

static void test_service(void **state)
{
	struct zone_seen *z = zone(6 * SECOND, 60000);

	z->serves = 8;
	expect(z, 60 * SECOND, CONFIDENCE_HIGH, CLASS_LC, "serves 8 connections");
	z = zone(SECOND / 2, 5000);
	z->serves = 8;
	expect(z, 10 * SECOND, CONFIDENCE_MEDIUM, CLASS_LC, "wakes 500 times a second");
	z = zone(SECOND / 10, 1000);
	z->listens = 1;
	expect(z, 2 * SECOND, CONFIDENCE_LOW, CLASS_LC, "listens on 1 socket");
	z = zone(SECOND / 10, 1000);
	z->feeds = 1;
	z->closed = 2;
	expect(z, 30 * SECOND, CONFIDENCE_HIGH, CLASS_LC, "reports its latency");
}

static void test_batch(void **state)
{
	struct zone_seen *z = zone(30 * SECOND, 3);

	z->modest_ns = z->run_ns;
	expect(z, 60 * SECOND, CONFIDENCE_HIGH, CLASS_BE, "computes without a pause");
	expect(zone(30 * SECOND, 0), 60 * SECOND, CONFIDENCE_MEDIUM, CLASS_BE, "nothing listens");
	expect(zone(30 * SECOND, 600), 60 * SECOND, CONFIDENCE_MEDIUM, CLASS_BE,
	       "50 ms at a stretch");
	z = zone(SECOND, 10000); /* a shell that starts others all the time */
	z->used_ns = 30 * SECOND;
	expect(z, 60 * SECOND, CONFIDENCE_LOW, CLASS_BE, "live briefly");
	z = zone(0, 0);
	strcpy(z->path, "/kubepods/besteffort/pod1/c1");
	expect(z, 60 * SECOND, CONFIDENCE_MEDIUM, CLASS_BE, "BestEffort");
}

static void test_neither(void **state)
{
	struct zone_seen *z;

	expect(zone(1000, 1), 60 * SECOND, CONFIDENCE_NONE, 0, "hardly ran");
	/* computes, but somebody waits for its answers */
	z = zone(30 * SECOND, 600);
	z->serves = 1;
	expect(z, 60 * SECOND, CONFIDENCE_NONE, 0, "fits either class");
	z = zone(30 * SECOND, 600000);
	z->is_vm = true;
	expect(z, 60 * SECOND, CONFIDENCE_NONE, 0, "virtual machine");
}

static void expect_goal(struct zone_seen *z, uint64_t goal_ns, const char *why)
{
	struct proposal p;

	z->serves = 1;
	suggest_judge(z, 60 * SECOND, &p);
	assert_int_equal(p.class, CLASS_LC);
	assert_int_equal(p.wait_p99_ns, goal_ns);
	assert_non_null(strstr(p.why.data, why));
	proposal_done(&p);
	free(z);
}

/* Of the quiet quarter, so that the harm that is there does not become the goal. */
static void test_goal(void **state)
{
	struct zone_seen *z = zone(6 * SECOND, 60000);

	for (size_t i = 0; i < 40; i++)
		z->p99s_ns[z->nr_p99s++] = i % 2 ? 4000000 : 120000 + i;
	expect_goal(z, 500000, "measured");
	z = zone(6 * SECOND, 60000);
	for (size_t i = 0; i < 10; i++)
		z->means_ns[z->nr_means++] = 60000;
	expect_goal(z, 2000000, "guessed");
	z = zone(6 * SECOND, 60000);
	for (size_t i = 0; i < 10; i++)
		z->means_ns[z->nr_means++] = 5;
	expect_goal(z, 500000, "guessed");
	z = zone(6 * SECOND, 60000);
	for (size_t i = 0; i < 10; i++)
		z->p99s_ns[z->nr_p99s++] = SECOND;
	expect_goal(z, 0, "waits long even when it is quiet");
	expect_goal(zone(6 * SECOND, 60000), 0, "too few looks");
}

static void test_socket_lines(void **state)
{
	uint32_t port, socket_state;
	uint64_t inode;
	bool listens;

	assert_int_equal(
	    suggest_tcp_line("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 "
			     "00000000     0        0 41234 1 0000000000000000 100 0 0 10 0",
			     &port, &socket_state, &inode),
	    0);
	assert_int_equal(port, 8080);
	assert_int_equal(socket_state, 10);
	assert_int_equal(inode, 41234);
	assert_int_equal(suggest_tcp_line("  sl  local_address rem_address   st tx_queue", &port,
					  &socket_state, &inode),
			 -EINVAL);
	assert_int_equal(
	    suggest_unix_line(
		"0000000000000000: 00000002 00000000 00010000 0001 01 3210 /run/x.sock", &listens,
		&inode),
	    0);
	assert_true(listens);
	assert_int_equal(inode, 3210);
	assert_int_equal(suggest_unix_line("0: 3 0 0 0001 03 77", &listens, &inode), 0);
	assert_false(listens);
	assert_int_equal(suggest_unix_line("Num       RefCount Protocol", &listens, &inode),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_service),	 cmocka_unit_test(test_batch),
	    cmocka_unit_test(test_neither),	 cmocka_unit_test(test_goal),
	    cmocka_unit_test(test_socket_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
